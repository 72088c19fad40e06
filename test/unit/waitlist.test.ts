/**
 * Waiting lists in the ledger: their bounds, that all of them comes back from the records and is the
 * same where it is told of, and that the auditor of the state says what is off.
 */
import { describe, expect, test } from "bun:test";
import { Unasked } from "../../src/engine/unasked.ts";
import type { Buyer } from "../../src/ledger/buyers.ts";
import { effectsOf } from "../../src/ledger/changes.ts";
import { check } from "../../src/ledger/check.ts";
import type { Command, Outcome } from "../../src/ledger/commands.ts";
import { Ledger, Replica } from "../../src/ledger/ledger.ts";
import { join } from "../../src/ledger/offers.ts";
import type { Sale } from "../../src/ledger/sale.ts";
import {
  openLinesMax,
  ownLinesMax,
  saleLinesMax,
  type Line,
  type WaitingList,
} from "../../src/ledger/waitlist.ts";
import { NaiveRecords, nothingRecorded } from "../support/naive-records.ts";
import { Random, seeds } from "../support/random.ts";
import { guest, openState, openTerms, reserved } from "../support/state.ts";
import { upTo } from "../support/wait.ts";

const ttl = 100;
const account = (userId: string): Buyer => ({ kind: "account", userId });

/** A ledger with its records and a replica, asked as the writer asks it. */
class Books {
  readonly ledger: Ledger;
  readonly replica: Replica;
  readonly records = new NaiveRecords(0, 0);
  now = 1;
  #codes = 0;

  private constructor(ledger: Ledger, replica: Replica) {
    this.ledger = ledger;
    this.replica = replica;
  }

  static async open(...sales: readonly Sale[]): Promise<Books> {
    const books = new Books(
      await Ledger.restore(nothingRecorded(), 0),
      await Replica.restore(nothingRecorded()),
    );
    books.records.beginTerm(0);
    for (const terms of sales) {
      const change = books.ledger.addSale(terms, 0);
      if (change !== null) books.replica.apply(change);
      books.records.addSale(terms);
    }
    return books;
  }

  code(): string {
    this.#codes += 1;
    return `00000000-0000-4000-8000-${String(this.#codes).padStart(12, "0")}`;
  }

  /** Has something decided, and what is due before and after. @returns its outcome */
  ask(command: Command): Outcome {
    const firstSeq = this.ledger.seq + 1;
    const at = this.ledger.moveOn(this.now);
    const offers = new Unasked(this.ledger, at, () => this.code());
    offers.offer(0);
    const outcome = this.ledger.decide(command, at);
    offers.offer(1);
    const { commands, outcomes } = offers.among({
      commands: [command],
      outcomes: [outcome],
      asked: [],
    });
    const attempts = this.ledger.attemptsSince();
    const effects = effectsOf(firstSeq, at, commands, outcomes);
    this.replica.apply({ kind: "batch", firstSeq, seq: this.ledger.seq, at, effects, attempts });
    commands.forEach((one, index) => {
      const of = outcomes[index];
      if (of !== undefined) this.records.note(one, of, firstSeq + index, at);
    });
    return outcome;
  }

  wait(buyer: Buyer, item: number | "any" = 1, sale = 1): string {
    return this.ask({ kind: "waitlist_join", buyer, sale, item }).word;
  }

  reserve(buyer: Buyer, item: number | "any" = 1, sale = 1): string {
    const code = this.code();
    const rest = { key: null, expectedPriceCents: null } as const;
    this.ask({ kind: "checkout", buyer, item, sale, code, ...rest });
    return code;
  }

  /** All lines of a sale, as a ledger has them. */
  linesIn(of: { readonly view: Ledger["view"] }, sale = 1): readonly Line[] {
    return of.view(this.now).checkpoint(sale)?.waiting ?? [];
  }
}

describe("bounds:", () => {
  test("lines of a buyer in a sale", async () => {
    const books = await Books.open(openTerms(upTo(ownLinesMax + 1).map(() => 1)));
    for (const item of upTo(ownLinesMax + 1)) books.reserve(guest(`g ${item}`), item);
    for (const item of upTo(ownLinesMax)) expect(books.wait(account("ann"), item)).toBe("waiting");
    expect(books.wait(account("ann"), ownLinesMax + 1)).toBe("too_many_lines");
    expect(books.wait(account("bob"), ownLinesMax + 1)).toBe("waiting");
    expect(books.wait(account("ann"), 1)).toBe("waiting_again");
  });

  test("lines of a sale, and of all that are open", async () => {
    const books = await Books.open(...upTo(3).map((id) => openTerms([1], { id })));
    for (const sale of upTo(3)) books.reserve(guest("g"), 1, sale);
    for (const sale of [1, 2]) {
      for (const number of upTo(saleLinesMax)) {
        expect(books.wait(account(`${number}`), 1, sale)).toBe("waiting");
      }
      expect(books.wait(account("one more"), 1, sale)).toBe("waitlist_full");
    }
    expect(openLinesMax).toBe(2 * saleLinesMax);
    expect(books.wait(account("one more"), 1, 3)).toBe("waitlist_full");
    books.ask({ kind: "waitlist_leave", buyer: account("1"), sale: 1 });
    expect(books.wait(account("one more"), 1, 3)).toBe("waiting");
  });

  test("whom the limit passes over keeps nobody from buying, and has what is free as soon as may be", async () => {
    const books = await Books.open(openTerms([1, 1], { perUserLimit: 1 }));
    const first = books.reserve(guest("g"), 1);
    const own = books.reserve(account("ann"), 2);
    expect(books.wait(account("ann"), 1)).toBe("waiting");
    const release = { kind: "release", saleId: null, lookup: null } as const;
    books.ask({ ...release, code: first, by: null });
    expect(books.ledger.view(books.now).free(1)?.[0]).toBe(1);
    books.ask({ ...release, code: own, by: account("ann") });
    const [line] = books.ledger.view(books.now).linesOf(1, account("ann"));
    expect(line?.offer?.itemId).toBe(1);
    expect(books.ledger.check()).toEqual([]);
  });
});

describe.each(seeds(8))("with seed %i,", (seed) => {
  test("a ledger is restored with its waiting lists, with checkpoints and without, and a replica has them", async () => {
    const dice = new Random(seed);
    const books = await Books.open(openTerms([1, 1, 2], { perUserLimit: 2 }));
    const buyers = ["ann", "bob", "cy", "di"].map(account);
    const codes: { readonly code: string; readonly by: Buyer }[] = [];
    const seen = new Set<string>();
    for (let step = 0; step < 250; step += 1) {
      books.now += dice.between(0, 30);
      const by = dice.pick(buyers) ?? account("ann");
      const held = books.ledger.view(books.now).reservationsOf(by);
      for (const { code } of held) codes.push({ code, by });
      const known = dice.pick(codes.slice(-8));
      const kind = dice.between(0, 9);
      if (kind < 3) books.reserve(by, dice.chance(0.3) ? "any" : dice.between(1, 3));
      else if (kind < 6) seen.add(books.wait(by, dice.chance(0.3) ? "any" : dice.between(1, 3)));
      else if (kind === 6) books.ask({ kind: "waitlist_leave", buyer: by, sale: 1 });
      else if (known !== undefined && dice.chance(0.9)) {
        const lookup = { upTo: books.ledger.seq, found: books.records.findCode(known.code) };
        const { code } = known;
        const isSold = kind === 7 && dice.chance(0.1);
        if (isSold) {
          const rest = { expectedPriceCents: null, lookup };
          books.ask({ kind: "purchase", code, by: known.by, ...rest });
        } else books.ask({ kind: "release", code, saleId: null, by: known.by, lookup });
      }
      expect(books.ledger.check()).toEqual([]);
      if (dice.chance(0.05)) books.records.saveCheckpoint(1, books.ledger.view(books.now));
      if (!dice.chance(0.1)) continue;
      const lines = books.linesIn(books.ledger);
      expect(books.linesIn(books.replica)).toEqual(lines);
      for (const isShort of [true, false]) {
        const again = await Ledger.restore(books.records.recorded(isShort), books.now);
        expect(books.linesIn(again)).toEqual(lines);
        // What was due there is due here: nothing, but what the time has brought since.
        expect(again.saleWithOfferDue(books.now)).toBe(books.ledger.saleWithOfferDue(books.now));
      }
    }
    expect(seen.has("waiting")).toBe(true);
  });
});

/** Two wait for item 1, of whom ann has a second line; bob is offered item 2. */
function scene() {
  const { state, sale } = openState([1, 1], { reservationTtlMs: ttl });
  const made = reserved({ state, sale }, 1, account("bob"), { item: 2 });
  const wait = (seq: number, userId: string, item: number | "any"): void =>
    join(state, sale, { seq, at: 0, buyer: account(userId), item });
  reserved({ state, sale }, 2, "g");
  wait(3, "bob", 2);
  wait(4, "ann", 1);
  wait(5, "ann", "any");
  wait(6, "cy", 1);
  const list = sale.waitingList;
  if (list === null) throw new Error("nobody waits");
  list.offer(account("bob"), 2, made.code);
  state.seq = 6;
  const lineOf = (userId: string, index = 0): Line => {
    const line = list.of(account(userId))[index];
    if (line === undefined) throw new Error(`${userId} has no such line`);
    return line;
  };
  return { state, sale, list, lineOf };
}
type Scene = ReturnType<typeof scene>;

const free = (itemId: number): number | null => (itemId === 1 ? 1 : null);
const anybody = (): boolean => true;

describe("the auditor says", () => {
  const breaks: readonly (readonly [what: RegExp, tamper: (of: Scene) => unknown])[] = [
    [/has a waiting list, or has none/, ({ state, sale }) => state.waited.delete(sale)],
    [/guest:bob waits/, ({ lineOf }) => Object.assign(lineOf("bob"), { buyer: guest("bob") })],
    [/who does not hold it/, ({ lineOf }) => (lineOf("bob").offer = { code: "c1", itemId: 1 })],
    [/out of order/, ({ lineOf }) => (lineOf("cy").place = 4)],
    [/does not wait for item 1/, ({ lineOf }) => (lineOf("cy").offer = { code: "c9", itemId: 1 })],
    [/is not theirs/, ({ lineOf }) => Object.assign(lineOf("cy"), { buyer: account("eve") })],
    [/is offered to nobody/, ({ lineOf }) => (lineOf("bob").offer = null)],
    [
      /lines, .* waiting, counted/,
      ({ list, lineOf }) =>
        (list.of(account("cy")) as Line[]).push({ ...lineOf("cy"), item: "any" }),
    ],
    [/two lines for one item/, ({ lineOf }) => Object.assign(lineOf("ann", 1), { item: 1 })],
    [
      /a line is not of account:ann/,
      ({ lineOf }) => Object.assign(lineOf("ann", 1), { buyer: account("eve") }),
    ],
  ];

  test("nothing while nothing is off", () => {
    expect(check(scene().state)).toEqual([]);
  });

  test.each(breaks)("%s", (what, tamper) => {
    const broken = scene();
    tamper(broken);
    expect(check(broken.state).some((line) => what.test(line))).toBe(true);
  });

  test("what is due, and no more", () => {
    const { list }: { readonly list: WaitingList } = scene();
    expect(list.nextFree(free, anybody)).toBeNull();
    list.noteFreed(1);
    expect(list.nextFree(free, anybody)?.line.buyer).toEqual(account("ann"));
    expect(list.nextFree(free, ({ userId }) => userId === "cy")?.line.place).toBe(6);
    expect(list.nextFree(free, () => false)).toBeNull();
    expect(list.nextLapsed()).toBeNull();
    list.noteLapsed("c1", account("bob"));
    expect(list.nextLapsed()?.buyer).toEqual(account("bob"));
    list.lapse("c1", 7);
    expect(list.nextLapsed()).toBeNull();
    expect(list.all().at(-1)).toMatchObject({ place: 7, lapses: 1, offer: null });
  });
});

/** What a ledger and its replica show. */
const figures = (books: Books) =>
  [books.ledger, books.replica].map((of) => {
    const view = of.view(books.now);
    const totals = view.totals(1);
    const units = Array.from(view.free(1) ?? []);
    return { reserved: totals?.reserved, available: totals?.available, free: units };
  });
const both = <T>(shown: T): T[] => [shown, shown];

describe("what is free and due to who waits", () => {
  test("is nobody else's in any figure, from the moment at which it lapses", async () => {
    const books = await Books.open(openTerms([1, 1, 2], { perUserLimit: 2 }));
    for (const item of [1, 2, 3, 3]) books.reserve(guest(`g ${item}`), item);
    books.wait(account("ann"), 1);
    books.wait(account("bob"), "any");
    books.now += ttl;
    const due = { reserved: 2, available: 2 };
    const [shown, again] = figures(books);
    expect(shown).toMatchObject(due);
    expect([shown, again]).toEqual([again, shown]);
    expect(shown?.free[0]).toBe(0);
    expect(shown?.free.reduce((sum, units) => sum + units)).toBe(2);
    // They are offered as many.
    books.wait(account("eve"), 1);
    for (const of of figures(books)) expect(of).toMatchObject(due);
  });

  test("is what their own offer was, however often it lapsed", async () => {
    const books = await Books.open(openTerms([1]));
    books.reserve(guest("g"), 1);
    books.wait(account("ann"));
    for (let lapses = 0; lapses < 5; lapses += 1) {
      books.now += ttl;
      expect(figures(books)).toEqual(both({ reserved: 1, available: 0, free: [0] }));
      books.wait(guest("nobody"));
    }
  });

  test("is due after a term that ended before it was offered, from a checkpoint too", async () => {
    const books = await Books.open(openTerms([1]));
    const code = books.reserve(guest("g"), 1);
    books.wait(account("ann"));
    const release = { kind: "release", code, saleId: null, by: null, lookup: null } as const;
    const outcome = books.ledger.decide(release, books.ledger.moveOn(books.now));
    books.records.note(release, outcome, books.ledger.seq, books.now);
    const isDue = async (isShort: boolean): Promise<number | null> => {
      const again = await Ledger.restore(books.records.recorded(isShort), books.now);
      return again.saleWithOfferDue(books.now);
    };
    expect(await isDue(false)).toBe(1);
    books.records.saveCheckpoint(1, books.ledger.view(books.now));
    expect(await isDue(true)).toBe(1);
  });

  test("is not whose limit is full: others can have it", async () => {
    const books = await Books.open(openTerms([1, 1], { perUserLimit: 1 }));
    books.reserve(guest("g"), 1);
    books.wait(account("ann"), 1);
    books.now += ttl / 2;
    books.reserve(account("ann"), 2);
    books.now += ttl / 2;
    expect(figures(books)).toEqual(both({ reserved: 1, available: 1, free: [1, 0] }));
  });
});

/**
 * Queues in the ledger: who has joined, how fast they are let in, when a pass ends, and that all of it
 * comes back from the records, and is the same where it is told of.
 */
import { describe, expect, test } from "bun:test";
import { buyerId, type Buyer } from "../../src/ledger/buyers.ts";
import { effectsOf } from "../../src/ledger/changes.ts";
import { rateChangesMax, type Command, type Outcome } from "../../src/ledger/commands.ts";
import { Ledger, Replica } from "../../src/ledger/ledger.ts";
import { Queue } from "../../src/ledger/queue.ts";
import { Tickets } from "../../src/ledger/tickets.ts";
import { NaiveRecords, nothingRecorded } from "../support/naive-records.ts";
import { Random, seeds } from "../support/random.ts";
import { guest, openTerms } from "../support/state.ts";
import { upTo } from "../support/wait.ts";

const opens = 1_000_000;
const ttl = 100;
const passTtl = 1_000;
const ticketOf = (number: number): string =>
  `${(Math.imul(number, 0x9e_37_79_b1) >>> 0).toString(16).padStart(8, "0")}-0000-4000-8000-${number.toString(16).padStart(12, "0")}`;

/** Ranks that are no draw, but differ from the order of coming: the last is the first. */
class Backwards {
  count: number;

  constructor(count: number) {
    this.count = count;
  }

  ranks(): number[] {
    return Array.from({ length: this.count }, (_, index) => this.count - index);
  }
}

const queued = (admitPerSecond = 1) =>
  openTerms([5, 5], {
    startsAt: opens,
    endsAt: opens + 1_000_000,
    perUserLimit: 2,
    reservationTtlMs: ttl,
    entry: { kind: "queue", admitPerSecond, passTtlMs: passTtl },
  });

/** So many join. */
function joined(queue: Queue, count: number, at = opens - 10): void {
  for (const index of upTo(count)) {
    const number = queue.tickets.count + 1;
    queue.join({ ticket: ticketOf(number), buyer: guest(`${number} ${index}`), key: null }, at);
  }
}

describe("tickets", () => {
  test("are found by their text and by their buyer, of whom the last counts", () => {
    const tickets = new Tickets();
    const names = ["ann", "äöü €", "", "a".repeat(255), "😀"];
    const kinds = ["guest", "account", "customer"] as const;
    const added: { buyer: Buyer; key: string | null }[] = [];
    for (const number of upTo(30_000)) {
      const name = names[number % 7] ?? `user ${number}`;
      const buyer: Buyer = { kind: kinds[number % 3] ?? "guest", userId: name };
      const key = number % 4 === 0 ? `key ${number}` : null;
      const ticket = ticketOf(number);
      expect(tickets.add({ ticket, buyer, key, joinedAt: number })).toBe(number);
      added.push({ buyer, key });
    }
    const last = new Map(added.map(({ buyer }, i) => [`${buyer.kind} ${buyer.userId}`, i + 1]));
    for (const [index, { buyer, key }] of added.entries()) {
      const number = index + 1;
      const found = {
        number: tickets.find(ticketOf(number)),
        buyer: tickets.buyerOf(number),
        key: tickets.keyOf(number),
        at: tickets.joinedAt(number),
        counts: tickets.ofBuyer(buyer),
      };
      const counts = last.get(`${buyer.kind} ${buyer.userId}`) ?? 0;
      const wanted = { number, buyer, key, at: number, counts };
      if (!Bun.deepEquals(found, wanted)) expect(found).toEqual(wanted);
    }
    expect(tickets.find(ticketOf(40_000))).toBe(0);
    expect(tickets.ofBuyer(guest("nobody"))).toBe(0);
  });
});

describe("a queue", () => {
  const first = { admitPerSecond: 2, paused: false };

  test("lets in so many a second from the opening on, and never more than have joined", () => {
    const queue = new Queue(1, opens, first, new Backwards(3));
    joined(queue, 3);
    const upToAt = [-1, 0, 499, 500, 999, 1_000, 1_499, 1_500, 9_000].map((ms) =>
      queue.admittedUpTo(opens + ms),
    );
    expect(upToAt).toEqual([0, 0, 0, 1, 1, 2, 2, 3, 3]);
    joined(queue, 2, opens + 9_000);
    expect(queue.admittedUpTo(opens + 9_000)).toBe(5);
    expect([1, 2, 3].map((rank) => queue.roomFor(rank))).toEqual(
      [500, 1_000, 1_500].map((ms) => opens + ms),
    );
  });

  test("stands while it is paused, and goes on at another rate from when that was set", () => {
    const queue = new Queue(1, opens, first, new Backwards(100));
    joined(queue, 100);
    queue.change({ admitPerSecond: 2, paused: true }, opens + 1_250);
    expect([1_250, 5_000].map((ms) => queue.admittedUpTo(opens + ms))).toEqual([2, 2]);
    expect(queue.roomFor(3)).toBeNull();
    queue.change({ admitPerSecond: 10, paused: false }, opens + 5_000);
    expect([5_049, 5_050, 5_150].map((ms) => queue.admittedUpTo(opens + ms))).toEqual([2, 3, 4]);
    expect([2, 3, 4].map((rank) => queue.roomFor(rank))).toEqual(
      [1_000, 5_050, 5_150].map((ms) => opens + ms),
    );
  });

  test("is stood still by a pause for who comes then, who is let in after it, so many a second", () => {
    const queue = new Queue(1, opens, first, new Backwards(3));
    joined(queue, 3);
    // There was room for twenty.
    queue.change({ admitPerSecond: 2, paused: true }, opens + 10_000);
    joined(queue, 4, opens + 10_000);
    expect([10_000, 20_000].map((ms) => queue.admittedUpTo(opens + ms))).toEqual([3, 3]);
    expect([3, 4].map((rank) => queue.roomFor(rank))).toEqual([opens + 1_500, null]);
    queue.change({ admitPerSecond: 1, paused: false }, opens + 20_000);
    expect([20_999, 21_000, 24_000].map((ms) => queue.admittedUpTo(opens + ms))).toEqual([3, 4, 7]);
    expect([3, 4, 7].map((rank) => queue.roomFor(rank))).toEqual(
      [1_500, 21_000, 24_000].map((ms) => opens + ms),
    );
  });

  test("lets in by what was set last, where a clock that was ahead had set something for later", () => {
    const queue = new Queue(1, opens, { admitPerSecond: 1, paused: false }, new Backwards(100));
    joined(queue, 100);
    queue.change({ admitPerSecond: 1_000, paused: false }, opens + 10_000);
    expect([5_000, 10_010].map((ms) => queue.admittedUpTo(opens + ms))).toEqual([5, 20]);
    // It was set right, and the rate is set anew.
    queue.change({ admitPerSecond: 2, paused: false }, opens + 5_000);
    expect([4_000, 6_000, 10_010].map((ms) => queue.admittedUpTo(opens + ms))).toEqual([4, 7, 15]);
    expect([5, 7].map((rank) => queue.roomFor(rank))).toEqual([opens + 5_000, opens + 6_000]);
  });

  test("takes more changes than there may be, one after another, and reckons with them once", () => {
    const queue = new Queue(1, opens, { admitPerSecond: 1, paused: false }, { ranks: () => [] });
    joined(queue, 200);
    const changes = 10 * rateChangesMax;
    for (const ms of upTo(changes)) {
      queue.change({ admitPerSecond: 1 + (ms % 2), paused: false }, opens + ms);
    }
    // Half of the time one a second, half of it two.
    expect(queue.admittedUpTo(opens + changes)).toBe((1.5 * changes) / 1_000);
  });

  test("counts nothing of a rate that was set before the opening, whenever that is moved to", () => {
    const queue = new Queue(1, opens, first, new Backwards(5));
    queue.change({ admitPerSecond: 1_000, paused: false }, opens - 500);
    queue.change({ admitPerSecond: 1, paused: false }, opens - 100);
    joined(queue, 5);
    expect(queue.admittedUpTo(opens + 1_000)).toBe(1);
    queue.moveOpening(opens - 50);
    expect([queue.gathered, queue.admittedUpTo(opens + 950)]).toEqual([0, 1]);
    queue.moveOpening(opens + 5_000);
    expect([queue.gathered, queue.admittedUpTo(opens + 4_999)]).toEqual([5, 0]);
  });

  test("lets nobody in before those are drawn who joined before the opening", () => {
    const queue = new Queue(1, opens, first, { ranks: () => null });
    joined(queue, 1);
    expect([queue.ranks(opens + 9_000), queue.admittedUpTo(opens + 9_000)]).toEqual([null, 0]);
  });
});

/** A ledger with one sale, of which all that is decided is recorded, and told to a replica. */
class Told {
  readonly records = new NaiveRecords(0, 0);
  now = opens - 1_000;
  seq = 0;
  #codes = 0;

  readonly ledger: Ledger;
  readonly replica: Replica;
  readonly draws: Backwards;

  private constructor(ledger: Ledger, replica: Replica, draws: Backwards) {
    this.draws = draws;
    this.ledger = ledger;
    this.replica = replica;
  }

  static async open(admitPerSecond = 1): Promise<Told> {
    const draws = new Backwards(0);
    const ledger = await Ledger.restore(nothingRecorded(), opens - 1_000, draws);
    const replica = await Replica.restore(nothingRecorded(), draws);
    const told = new Told(ledger, replica, draws);
    const change = ledger.addSale(queued(admitPerSecond), 0);
    if (change !== null) replica.apply(change);
    told.records.addSale(queued(admitPerSecond));
    told.records.beginTerm(opens - 1_000);
    return told;
  }

  decide<C extends Command>(command: C): Outcome {
    const outcome = this.ledger.decide(command, this.now);
    const { seq } = this.ledger;
    if (seq === this.seq) return outcome;
    this.records.note(command, outcome, seq, this.now);
    const effects = effectsOf(seq, this.now, [command], [outcome]);
    const attempts = this.ledger.attemptsSince();
    const batch = { kind: "batch", firstSeq: seq, seq, at: this.now, effects, attempts } as const;
    this.replica.apply(batch);
    this.seq = seq;
    return outcome;
  }

  join(buyer: Buyer, key: string | null = null): Outcome {
    const ticket = ticketOf(this.seq + 1);
    const outcome = this.decide({ kind: "join", buyer, sale: 1, ticket, key });
    if (outcome.word === "joined" && this.now < opens) this.draws.count += 1;
    return outcome;
  }

  ticketOf(buyer: Buyer) {
    return this.ledger.view(this.now).ticketOf(1, buyer);
  }

  take(buyer: Buyer, ticket: string | null, item: number | "any" = "any"): Outcome {
    const code = `code ${(this.#codes += 1)}`;
    const asked = { kind: "checkout", buyer, sale: 1, item, code, key: null } as const;
    return this.decide({ ...asked, expectedPriceCents: null, ticket });
  }

  buy(code: string): Outcome {
    const asked = { kind: "purchase", code, by: null, lookup: null } as const;
    return this.decide({ ...asked, expectedPriceCents: null });
  }
}

const [ann, bob, cy] = [guest("ann"), guest("bob"), guest("cy")];
const wordOf = (outcome: Outcome): string => outcome.word;
const codeIn = (outcome: Outcome): string =>
  "reservation" in outcome ? outcome.reservation.code : outcome.word;

describe("whoever joins", () => {
  test("has one ticket, told again to the same key, and to a buyer who is proven", async () => {
    const told = await Told.open();
    const account: Buyer = { kind: "account", userId: "ann" };
    expect(wordOf(told.join(ann, "k"))).toBe("joined");
    expect([told.join(ann, "k"), told.join(ann), told.join(ann, "other")].map(wordOf)).toEqual([
      "joined_again",
      "already_joined",
      "already_joined",
    ]);
    expect([told.join(account), told.join(account)].map(wordOf)).toEqual([
      "joined",
      "joined_again",
    ]);
    expect(told.ledger.view(told.now).queue(1)?.joined).toBe(2);
  });

  test("is let in by rank, with their own ticket alone", async () => {
    const told = await Told.open();
    for (const buyer of [ann, bob, cy]) told.join(buyer);
    const [anns, cys] = [ann, cy].map((buyer) => told.ticketOf(buyer)?.ticket ?? "");
    expect(wordOf(told.take(cy, cys ?? null))).toBe("sale_not_open");
    told.now = opens + 1_000;
    // The last is the first, here.
    expect(told.take(ann, anns ?? null)).toEqual({
      word: "not_admitted",
      saleId: 1,
      ahead: 1,
      retryMs: 2_000,
    });
    expect(told.take(ann, cys ?? null)).toMatchObject({ word: "not_admitted", ahead: null });
    expect(told.take(cy, null)).toMatchObject({ word: "not_admitted", ahead: null });
    expect(wordOf(told.take(cy, cys ?? null))).toBe("reserved");
    expect(told.ticketOf(bob)).toMatchObject({ state: "waiting", rank: 2, ahead: 0, etaMs: 1_000 });
    told.now = opens + 3_000;
    expect(wordOf(told.take(ann, anns ?? null))).toBe("reserved");
  });

  test("passes when nothing was held or bought for a while, and joins again behind everybody", async () => {
    const told = await Told.open(10);
    told.join(ann, "k");
    told.join(bob);
    told.now = opens + 200;
    const ticket = told.ticketOf(ann)?.ticket ?? null;
    expect(told.ticketOf(ann)).toMatchObject({
      state: "admitted",
      expiresAt: opens + 200 + passTtl,
    });
    told.now = opens + 900;
    const code = codeIn(told.take(ann, ticket));
    expect(told.ticketOf(ann)).toMatchObject({ state: "admitted", expiresAt: null });
    told.now = opens + 950;
    told.decide({ kind: "release", code, saleId: null, by: null, lookup: null });
    expect(told.ticketOf(ann)?.expiresAt).toBe(opens + 950 + passTtl);
    told.now = opens + 1_900;
    // It is held until it lapses.
    expect(wordOf(told.take(ann, ticket))).toBe("reserved");
    told.now = opens + 1_900 + ttl + passTtl - 1;
    expect(told.ticketOf(ann)?.state).toBe("admitted");
    told.now += 1;
    expect(told.ticketOf(ann)?.state).toBe("passed");
    expect(wordOf(told.take(ann, ticket))).toBe("not_admitted");
    expect(wordOf(told.join(ann, "k"))).toBe("joined_again");
    expect(told.join(ann, "k2")).toMatchObject({
      word: "joined",
      supersedes: 1,
      ticket: { rank: 3 },
    });
    expect(told.ledger.view(told.now).ticket(1, ticket ?? "")?.state).toBe("passed");
  });

  test("passes with the limit bought; and the queue is closed when all is sold", async () => {
    const told = await Told.open(1_000);
    for (const index of upTo(6)) told.join(guest(`buyer ${index}`));
    told.now = opens + 10;
    for (const index of upTo(5)) {
      const buyer = guest(`buyer ${index}`);
      const ticket = told.ticketOf(buyer)?.ticket ?? null;
      for (const _ of upTo(2))
        expect(wordOf(told.buy(codeIn(told.take(buyer, ticket))))).toBe("purchased");
      if (index < 5) expect(told.ticketOf(buyer)?.state).toBe("passed");
    }
    expect(told.ticketOf(guest("buyer 6"))).toMatchObject({ state: "closed", ahead: null });
    expect(told.ledger.view(told.now).queue(1)?.state).toBe("closed");
    expect(wordOf(told.join(guest("late")))).toBe("sold_out");
  });
});

/** Everything that is said of a queue, and of everybody in it. */
function dump(view: ReturnType<Ledger["view"]>) {
  const tickets = view.ticketsAfter(1, 0, 1_000);
  return {
    queue: view.queue(1),
    changes: view.rateChanges(1),
    tickets: tickets.map((ticket) => view.ticket(1, ticket)),
  };
}

/** What has become of those who were let in, ticket by ticket. */
function progressOf({ ledger, now }: Told, buyers: ReadonlyMap<string, number>) {
  const view = ledger.view(now);
  const tickets = view.ticketsAfter(1, 0, 10_000).map((ticket) => view.ticket(1, ticket));
  const people = new Map<string, Buyer>();
  for (const ticket of tickets) {
    if (ticket !== null) people.set(buyerId(ticket.buyer), ticket.buyer);
  }
  let [bought, holding, givenUp] = [0, 0, tickets.filter((one) => one?.state === "passed").length];
  for (const buyer of people.values()) {
    const has = buyers.has(buyerId(buyer));
    if (has) bought += 1;
    else if (view.reservationsOf(buyer).length > 0) holding += 1;
    if (has && view.ticketOf(1, buyer)?.state === "passed") givenUp -= 1;
  }
  return { bought, holding, givenUp };
}

test.each(seeds(20))("a queue comes back from the records, and is told: SEED=%d", async (seed) => {
  const random = new Random(seed);
  const told = await Told.open(random.between(1, 50));
  const codes: string[] = [];
  const buyers = new Map<string, number>();
  const people = upTo(12).map((index): Buyer => ({
    kind: random.pick(["guest", "account", "customer"]) ?? "guest",
    userId: `person ${index}`,
  }));
  for (const _ of upTo(300)) {
    told.now += random.chance(0.4) ? random.between(0, 60) : random.between(0, 3);
    const buyer = random.pick(people) ?? ann;
    const code = random.pick(codes) ?? "none";
    const die = random.next();
    // Who has all that they may have could join again, to no end.
    const isFull = buyers.get(buyerId(buyer)) === 2;
    if (die < 0.3 && !isFull) told.join(buyer, random.pick([null, "a", "b"]) ?? null);
    else if (die < 0.35) {
      const admitPerSecond = random.pick([null, 1, 20, 500]) ?? null;
      const paused = random.pick([null, true, false]) ?? null;
      const by = { kind: "key", name: "shop" } as const;
      told.decide({ kind: "change_queue", saleId: 1, admitPerSecond, paused, by });
    } else if (die < 0.7) {
      const outcome = told.take(buyer, told.ticketOf(buyer)?.ticket ?? null);
      if ("reservation" in outcome) codes.push(outcome.reservation.code);
    } else if (die < 0.8) {
      const asked = { kind: "purchase", code, by: "merchant", lookup: null } as const;
      const outcome = told.decide({ ...asked, expectedPriceCents: null });
      if (outcome.word === "purchased" && "of" in outcome) {
        const id = buyerId(outcome.of.buyer);
        buyers.set(id, (buyers.get(id) ?? 0) + 1);
      }
    } else if (die < 0.88)
      told.decide({ kind: "release", code, saleId: null, by: "merchant", lookup: null });
    else if (die < 0.93)
      told.decide({ kind: "extend", code, ms: random.between(1, 300), lookup: null });
    else if (die < 0.96) told.records.saveCheckpoint(1, told.ledger.view(told.now));
    expect(told.ledger.check()).toEqual([]);
    const view = told.ledger.view(told.now);
    if (view.queue(1)?.state === "admitting")
      expect(view.queueProgress(1)).toEqual(progressOf(told, buyers));
  }
  const live = dump(told.ledger.view(told.now));
  expect(dump(told.replica.view(told.now))).toEqual(live);
  for (const withCheckpoints of [true, false]) {
    const restored = await Ledger.restore(
      told.records.recorded(withCheckpoints),
      told.now,
      told.draws,
    );
    expect(dump(restored.view(told.now))).toEqual(live);
  }
});

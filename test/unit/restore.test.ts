/**
 * A ledger that is restored from its records: from such that contradict themselves it is not,
 * and from all others it is the same, with checkpoints and without, whatever the clocks said.
 * What is answered afterwards, the random histories in `ledger.test.ts` compare.
 */
import { describe, expect, test } from "bun:test";
import { check } from "../../src/ledger/check.ts";
import { wholeLife } from "../../src/ledger/commands.ts";
import { Ledger, Replica } from "../../src/ledger/ledger.ts";
import type { EffectiveAttempt, RecordedTicket } from "../../src/ledger/changes.ts";
import type { Recorded, RecordedSince, StoredPurchase } from "../../src/ledger/recorded.ts";
import { lapse, revive } from "../../src/ledger/lapses.ts";
import { dumpOf } from "../support/compare.ts";
import { inPages } from "../support/naive-records.ts";
import { Random, seeds } from "../support/random.ts";
import { openState, openTerms, reserved } from "../support/state.ts";
import { buy, buyNow, codeOf, drop, endAt, take } from "../support/story.ts";
import { ToldLedger } from "../support/told-ledger.ts";

const second = 1_000;
const minute = 60 * second;
const year = 365 * 24 * 60 * minute;
const begin = year;

/** Some sold in either way, some reserved; a checkpoint in between where it is wanted. */
async function aMorning(checkpointAfter: number | null): Promise<ToldLedger> {
  const told = await ToldLedger.with(openTerms([9, 9], { startsAt: begin, endsAt: 2 * year }));
  const commands = [
    take("A", "ann", 1, { key: "k" }),
    take("B", "account:bob", 1),
    buy("A"),
    buyNow("C", "customer:cyd", 2, { units: 2, key: "k" }),
    take("D", "dan", 2),
    drop("B", "account:bob"),
    buyNow("E", "dan", 2),
  ];
  commands.forEach((command, index) => {
    told.decide(command, begin + index);
    if (index + 1 === checkpointAfter) told.records.saveCheckpoint(1, told.ledger.view(0));
  });
  return told;
}

/** What the records would be, if they said something else. */
type Forged = {
  readonly purchases?: (purchases: readonly StoredPurchase[]) => readonly StoredPurchase[];
  readonly attempts?: (attempts: EffectiveAttempt[]) => readonly EffectiveAttempt[];
  readonly checkpointSold?: number;
};

async function forge(recorded: Recorded, forged: Forged): Promise<Recorded> {
  const all = (await Array.fromAsync(recorded.effective)).flat();
  const attempts = all.filter((one): one is EffectiveAttempt => "quantity" in one);
  const sales = recorded.sales.map((sale) => ({
    ...sale,
    purchases: forged.purchases?.(sale.purchases) ?? sale.purchases,
    checkpoint: {
      ...sale.checkpoint,
      sold: sale.checkpoint.sold + (forged.checkpointSold ?? 0),
    },
  }));
  return { ...recorded, sales, effective: inPages(forged.attempts?.(attempts) ?? attempts) };
}

/** Changes the purchase of a place in the list. */
const change =
  (place: number, to: Partial<StoredPurchase>): NonNullable<Forged["purchases"]> =>
  (purchases) =>
    purchases.map((purchase, index) => (index === place ? { ...purchase, ...to } : purchase));

const whatIsSold = /1: \d purchases are stored, the journal says \d|the journal does not say that/;

const forgeries: readonly (readonly [what: string, forged: Forged, complaint: RegExp])[] = [
  ["lack a purchase", { purchases: (all) => all.slice(0, -1) }, whatIsSold],
  ["lack the first purchase", { purchases: (all) => all.slice(1) }, whatIsSold],
  [
    "have a purchase that nobody made",
    {
      purchases: (all) => [...all, { ...lastOf(all), code: codeOf("Z"), unit: 2 }],
    },
    whatIsSold,
  ],
  ["have another buyer", { purchases: change(3, { buyer: buyer("guest", "eve") }) }, whatIsSold],
  [
    "have another kind of buyer",
    { purchases: change(3, { buyer: buyer("account", "dan") }) },
    whatIsSold,
  ],
  ["have another unit", { purchases: change(3, { unit: 9 }) }, whatIsSold],
  ["have another item", { purchases: change(3, { itemId: 1 }) }, whatIsSold],
  ["have another order", { purchases: change(3, { seq: 6 }) }, whatIsSold],
  ["have another code", { purchases: change(3, { code: codeOf("Z") }) }, whatIsSold],
  ["count a buyer's otherwise", { purchases: change(3, { userOrdinal: 2 }) }, whatIsSold],
  [
    "lack an attempt that sold",
    { attempts: (all) => all.filter(({ word }) => word !== "purchased") },
    whatIsSold,
  ],
  ["sell a code twice", { attempts: twice("purchased") }, /not on the books|stored, the journal/],
  [
    "reserve more than there is",
    { attempts: (all) => [...all, ...upTo(20).map((n) => another(all, n))] },
    /over the limit|no unit of item/,
  ],
  [
    "give back what is sold",
    {
      attempts: (all) => [...all, { ...firstOf(all), seq: 99, word: "released" }],
    },
    /not on the books cannot end/,
  ],
  [
    "name a sale that is not read",
    { attempts: (all) => all.map((one) => ({ ...one, saleId: 2 })) },
    /names a sale that is not loaded/,
  ],
];

function reservationOf(
  seq: number,
  itemId: number,
  by: ReturnType<typeof buyer>,
  [reservedAt, due]: readonly [number, number],
) {
  const code = `c${seq}`;
  return {
    seq: -seq,
    code,
    itemId,
    buyer: by,
    reservedAt,
    due,
    extendedBy: null,
    key: null,
    request: null,
  };
}

function lastOf<T>(all: readonly T[]): T {
  return firstOf(all.slice(-1));
}

function firstOf<T>(all: readonly T[]): T {
  const [first] = all;
  if (first === undefined) throw new Error("there is nothing");
  return first;
}

function buyer(kind: "guest" | "account", userId: string) {
  return { kind, userId };
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

function twice(word: EffectiveAttempt["word"]) {
  return (all: EffectiveAttempt[]): readonly EffectiveAttempt[] =>
    all.flatMap((one) => (one.word === word && one.quantity === null ? [one, one] : [one]));
}

/** One more sale of the first item, of a code of its own. */
function another(all: readonly EffectiveAttempt[], number: number): EffectiveAttempt {
  const first = firstOf(all);
  const code = `00000000-0000-7000-8000-${String(number).padStart(12, "0")}`;
  const by = { kind: "guest", userId: `user ${number}` } as const;
  return {
    ...first,
    seq: 100 + number,
    word: "purchased",
    buyer: by,
    code,
    quantity: 1,
    key: null,
  };
}

describe("records that contradict themselves are not sold from: those that", () => {
  test("have a coupon of which more is left than there was", async () => {
    const { records } = await aMorning(null);
    const figures = { id: 1, name: "TEN", amount: 2, createdAt: begin, remaining: 3, ...wholeLife };
    const recorded = { ...records.recorded(), coupons: inPages([figures]) };
    await expect(Ledger.restore(recorded, begin)).rejects.toThrow("does not add up");
  });

  test.each(forgeries)("%s", async (_, forged, complaint) => {
    const { records } = await aMorning(null);
    const recorded = await forge(records.recorded(), forged);
    await expect(Ledger.restore(recorded, begin)).rejects.toThrow(complaint);
  });

  test.each([1, -1])("count %d more sold at a checkpoint than are stored", async (by) => {
    const { records } = await aMorning(4);
    const recorded = await forge(records.recorded(), { checkpointSold: by });
    await expect(Ledger.restore(recorded, begin)).rejects.toThrow(
      `sale 1: 3 purchases are stored, the journal says ${3 + by}`,
    );
  });

  test("have an attempt after the last one: somebody else writes", async () => {
    const { records } = await aMorning(null);
    const recorded = records.recorded();
    await expect(Ledger.restore({ ...recorded, seq: recorded.seq - 1 }, begin)).rejects.toThrow(
      `attempt ${recorded.seq} was written while the records were read`,
    );
  });

  test("forget what a replica has heard of: a term began with less", async () => {
    const { records } = await aMorning(null);
    const nothing = {
      settled: new Map(),
      sales: [],
      coupons: [],
      removedCoupons: [],
      keyedClaims: [],
    } as const;
    const since = (afterSeq: number): RecordedSince => ({
      ...nothing,
      seq: 9,
      at: begin,
      terms: [{ epoch: 2, afterSeq, at: begin }],
      effective: inPages<EffectiveAttempt>([]),
      tickets: inPages<RecordedTicket>([]),
      rates: [],
    });
    const replica = await Replica.restore(records.recorded());
    const { seq } = replica.upTo;
    await expect(replica.catchUp(since(seq - 1))).rejects.toThrow("does not know of attempts");
  });

  test("have more on the books at a checkpoint than there is", async () => {
    const { records } = await aMorning(2);
    const recorded = records.recorded();
    const sales = recorded.sales.map((sale) => {
      const one = firstOf(sale.checkpoint.open);
      const { itemId, reservedAt, due } = one;
      const more = upTo(20).map((seq) => {
        const by = buyer("guest", `user ${seq}`);
        const times = [reservedAt, due] as const;
        return reservationOf(seq, itemId, by, times);
      });
      return {
        ...sale,
        checkpoint: { ...sale.checkpoint, open: [...more, ...sale.checkpoint.open] },
      };
    });
    await expect(Ledger.restore({ ...recorded, sales }, begin)).rejects.toThrow("its checkpoint");
  });
});

describe("a ledger that is restored", () => {
  test.each([null, 1, 2, 3, 4, 5, 6, 7])(
    "is the same, with a checkpoint after %p attempts",
    async (after) => {
      const { ledger, records } = await aMorning(after);
      const restored = await Ledger.restore(records.recorded(), begin + 6);
      expect(dumpOf(restored.view(0))).toEqual(dumpOf(ledger.view(0)));
      const keys = [
        take("Z", "ann", 1, { key: "k" }),
        buyNow("Z", "customer:cyd", 2, { units: 2, key: "k" }),
      ];
      const words = keys.map((command) => restored.decide(command, begin + 6).word);
      expect(words).toEqual(["reserved_again", "purchased_again"]);
    },
  );

  test.each([0, second, -second, year, -begin + 1])(
    "by a clock that is off by %d ms has sold the same, and what it sells adds up",
    async (off) => {
      const { ledger, records } = await aMorning(4);
      const restored = await Ledger.restore(records.recorded(), begin + 6 + off);
      const view = restored.view(0);
      expect([view.now, view.seq, [...(view.soldOf(1) ?? [])]]).toEqual([
        begin + 6 + off,
        ledger.seq,
        [1, 3],
      ]);
      expect(restored.check()).toEqual([]);
    },
  );

  test("from a checkpoint sells in the same order what a buyer holds", async () => {
    const told = await ToldLedger.with(openTerms([9]));
    const letters = ["A", "B", "C", "D", "E"];
    letters.forEach((letter, index) => told.decide(take(letter, "ann", 1), index));
    told.decide(drop("A"), 5);
    told.records.saveCheckpoint(1, told.ledger.view(0));
    const bought = told.decide(buyNow("F", "ann", 1, { units: 2 }), 5);
    const codes = "units" in bought ? bought.units.map(({ code }) => code) : [];
    expect(codes).toEqual([codeOf("B"), codeOf("C")]);
    const restored = await Ledger.restore(told.records.recorded(), 5);
    expect(dumpOf(restored.view(0))).toEqual(dumpOf(told.ledger.view(0)));
  });

  test("loses the same reservation whether or not its sale was ended since", async () => {
    const day = 24 * 60 * minute;
    let told = await ToldLedger.with(openTerms([2]));
    // A clock that was ahead says a day; the next term holds it for the TTL alone.
    told.decide(take("A", "ann", 1), day);
    told.records.beginTerm(0);
    told = told.goingOnWith(await Ledger.restore(told.records.recorded(), 0));
    told.decide(take("B", "bob", 1), second);
    expect(told.decide(take("C", "cyd", 1), minute).word).toBe("reserved");
    expect(told.decide(buyNow("D", "bob", 1), minute).word).toBe("purchased");
    expect(told.decide(endAt(1, "now"), minute).word).toBe("sale_changed");
    const restored = await Ledger.restore(told.records.recorded(), minute);
    expect(restored.decide(buy("B"), minute).word).toBe("purchased_again");
    expect(restored.check()).toEqual([]);
  });

  test("lets what lapsed live again as far as a clock went back, and further", () => {
    const books = openState([1, 1, 1]);
    const made = [1, 2, 3].map((item) => reserved(books, item, "ann", { item, at: 100 * item }));
    const { state, sale } = books;
    state.now = 500;
    lapse(sale, 500);
    const lives = [500, 350, 250, 150].map((time) => {
      revive(sale, time);
      state.now = time;
      return made.map(({ status }) => status === "live");
    });
    expect(check(state)).toEqual([]);
    expect(lives).toEqual([
      [false, false, false],
      [false, false, true],
      [false, true, true],
      [true, true, true],
    ]);
  });

  test("asks the records for what ended, and takes what they said before for stale", async () => {
    const { ledger, records } = await aMorning(null);
    const restored = await Ledger.restore(records.recorded(), begin + 6);
    const found = records.findCode(codeOf("B"));
    const asked = { kind: "release", code: codeOf("B"), by: buyer("account", "bob") } as const;
    const words = [ledger.seq - 1, ledger.seq].map((last) => {
      const lookup = { upTo: last, found };
      return restored.decide({ ...asked, saleId: 1, lookup }, 0).word;
    });
    expect(words).toEqual(["look_up", "released_again"]);
  });
});

test("items of several units, displaced in any order by clocks of any kind, are read as they were sold", async () => {
  const wrong = await Promise.all(
    seeds(40).map(async (seed) => {
      const random = new Random(seed);
      const terms = { startsAt: 0, endsAt: 2 * year, perUserLimit: 2 };
      let told = await ToldLedger.with(openTerms([3, 2], terms));
      let now = begin;
      for (let step = 1; step <= 120; step += 1) {
        now += random.between(0, 60);
        const code = String.fromCodePoint(0x100 + step);
        const name = `account:user ${random.between(1, 5)}`;
        const lately = String.fromCodePoint(0x100 + random.between(Math.max(1, step - 12), step));
        const die = random.next();
        if (die < 0.6) told.decide(take(code, name, random.between(1, 2), { sale: 1 }), now);
        else if (die < 0.7) told.decide(buyNow(code, name, 1), now);
        else {
          const found = told.records.findCode(codeOf(lately));
          const by = found?.buyer ?? null;
          const lookup = { upTo: told.ledger.seq, found };
          const shown = { code: codeOf(lately), by, lookup };
          if (die < 0.74)
            told.decide({ kind: "purchase", ...shown, expectedPriceCents: null }, now);
          else if (die < 0.9) {
            const ms = random.pick([20, 300, minute, 15 * minute]) ?? 20;
            told.decide({ kind: "extend", code: shown.code, ms, lookup }, now);
          } else told.decide({ kind: "release", ...shown, saleId: null }, now);
        }
        if (random.chance(0.05)) told.records.saveCheckpoint(1, told.ledger.view(0));
        if (!random.chance(0.06)) continue;
        // The next leader's clock says what it likes.
        now += random.pick([0, 40, -40, -300, minute, -minute]) ?? 0;
        told.records.beginTerm(now);
        // oxlint-disable-next-line no-await-in-loop
        const twins = await Promise.all(
          [true, false].map((whole) => Ledger.restore(told.records.recorded(whole), now)),
        );
        const dumps = twins.map((twin) => dumpOf(twin.view(0)));
        if (!Bun.deepEquals(dumps[0], dumps[1])) return `SEED=${seed}, step ${step}: they differ`;
        const [first] = twins;
        if (first !== undefined) told = told.goingOnWith(first);
      }
      return null;
    }),
  );
  expect(wrong.filter((complaint) => complaint !== null)).toEqual([]);
});

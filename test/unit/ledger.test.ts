/**
 * The ledger as a whole: against the model in random histories, against itself after a
 * recovery, at its true size, and at the bound of what it keeps.
 *
 * A failing history prints its seed and the fewest steps that still fail; `SEED=` replays
 * it. The rules one by one are in `ledger.checkout.test.ts` and `ledger.codes.test.ts`.
 */
import { describe, expect, test } from "bun:test";
import type { ArchivedCode, Checkout, Outcome } from "../../src/ledger/commands.ts";
import { check } from "../../src/ledger/check.ts";
import { decide } from "../../src/ledger/decide.ts";
import {
  addSale,
  emptyState,
  lapsedReservationsMax,
  type LedgerState,
  type SaleState,
} from "../../src/ledger/state.ts";
import { saleWords } from "../support/compare.ts";
import { Draw } from "../support/draw.ts";
import { replay, Run, shrink, take, type Seen, type Step } from "../support/history.ts";
import { Random, seeds } from "../support/random.ts";

const historySteps = 2_000;
/** Generous: the machine may be busy with something else. */
const timeoutMs = 120_000;

describe("random histories", () => {
  test(
    "are answered and counted as the model says",
    () => expectAllSeen(runHistories(120, { crashes: false })),
    timeoutMs,
  );

  test(
    "go on after a recovery as if nothing had happened",
    () => expectAllSeen(runHistories(80, { crashes: true })),
    timeoutMs,
  );
});

/** Runs many histories; on a disagreement throws its seed and the steps that lead to it. */
function runHistories(count: number, { crashes }: { readonly crashes: boolean }): Seen {
  const seen: Seen = new Map();
  for (const seed of seeds(count)) {
    const run = new Run();
    const draw = new Draw(new Random(seed), run, crashes);
    const steps: Step[] = [];
    while (steps.length < historySteps) {
      const step = draw.next();
      steps.push(step);
      if (take(run, step) !== null) throw new Error(report(seed, shrink(steps)));
    }
    for (const [word, times] of run.seen) seen.set(word, (seen.get(word) ?? 0) + times);
  }
  return seen;
}

function report(seed: number, steps: readonly Step[]): string {
  const lines = steps.map((step) => `  ${JSON.stringify(step)}`);
  return `SEED=${seed}\n${lines.join("\n")}\n${replay(steps)?.complaint}`;
}

/** Histories that never come to some answer prove nothing about it. One seed may miss some. */
function expectAllSeen(seen: Seen): void {
  if (process.env["SEED"] !== undefined) return;
  const wanted = [...Object.keys(saleWords), "late purchase"];
  const rare = wanted.filter((word) => (seen.get(word) ?? 0) < 100);
  expect(rare).toEqual([]);
}

const endsAt = 1_000_000_000;

/** A state with one hourly sale, open from 0 on. */
function openSale(
  units: readonly number[],
  limit: number,
  ttlMs: number,
): [LedgerState, SaleState] {
  const state = emptyState(0, 0);
  const stock = Int32Array.from(units);
  const terms = { perUserLimit: limit, reservationTtlMs: ttlMs, stock };
  return [state, addSale(state, { id: 1, kind: "hourly", startsAt: 0, endsAt, ...terms }, 0)];
}

function checkout(code: string, userId: string, key: string | null = null): Checkout {
  return { kind: "checkout", userId, item: "any", sale: "current", code, key };
}

const purchase = (state: LedgerState, code: string, at: number, archived: ArchivedCode | null) =>
  decide(state, { kind: "purchase", code, archived }, at);

test("a sale of 10,000 in which every third code is abandoned sells exactly 10,000", () => {
  const [seed = 0] = seeds(1);
  const random = new Random(seed);
  const items = 10_000;
  const limit = 10;
  const [state, sale] = openSale(
    Array.from({ length: items }, () => 1),
    limit,
    50,
  );
  let made: Outcome = { word: "code_not_found", of: null };
  for (let n = 0; made.word !== "sold_out"; n += 1) {
    made = decide(state, checkout(`c${n}`, `u${random.between(1, 3_000)}`), n >> 5);
    if (made.word === "reserved" && random.chance(2 / 3)) purchase(state, `c${n}`, n >> 5, null);
    if (n > 100 * items) throw new Error(`SEED=${seed}: ${sale.sold} sold, and no end`);
  }
  const { sold, available, reserved, buyers } = sale;
  expect({ sold, available, reserved }).toEqual({ sold: items, available: 0, reserved: 0 });
  expect(sale.soldOf.every((units) => units === 1)).toBe(true);
  expect(Math.max(...[...buyers.values()].map(({ bought }) => bought))).toBeLessThanOrEqual(limit);
  expect(check(state)).toEqual([]);
});

/** Reserves and lets lapse, one a millisecond, under a key each. */
function lapse(state: LedgerState, from: number, to: number): void {
  for (let at = from; at <= to; at += 1) decide(state, checkout(`c${at}`, "ann", `k${at}`), at);
}

describe("what is kept of the past", () => {
  const ttlMs = 1;

  test("is bounded: the oldest lapsed codes go, what is sold stays", () => {
    const [state, sale] = openSale([3], 3, ttlMs);
    decide(state, checkout("first", "bob", "kept"), 0);
    const order = purchase(state, "first", 0, null);
    const heldMax = 2 * lapsedReservationsMax + sale.sold + 2;
    const last = 2 * heldMax + 7;
    for (let at = 1; at <= last; at += heldMax >> 4) {
      lapse(state, at, Math.min(last, at + (heldMax >> 4) - 1));
      expect(sale.deadlines.length).toBeLessThanOrEqual(heldMax);
      expect(state.codes.size).toBe(sale.deadlines.length);
      expect(state.keys.size).toBe(sale.deadlines.length);
    }
    expect(check(state)).toEqual([]);
    expect(order.word).toBe("purchased");
    expect(purchase(state, "first", last, null).word).toBe("purchased_again");
    expect(decide(state, checkout("x", "bob", "kept"), last).word).toBe("reserved_again");
    expect(state.codes.has(`c${last - lapsedReservationsMax}`)).toBe(true);
    expect(purchase(state, `c${last - lapsedReservationsMax}`, last, null).word).toBe("purchased");

    expect(state.codes.has("c1")).toBe(false);
    const archived = { code: "c1", saleId: 1, itemId: 1, userId: "ann", sold: null };
    expect(purchase(state, "c1", last, archived)).toEqual({ word: "code_expired", of: archived });
    const release = { kind: "release", code: "c1", archived } as const;
    expect(decide(state, release, last)).toEqual({ word: "released_again", of: archived });
    expect(check(state)).toEqual([]);
  });

  test("does not lose a code in the very decision that sells it", () => {
    const [state, sale] = openSale([1], 1, ttlMs);
    const last = 2 * lapsedReservationsMax + 1;
    lapse(state, 1, last);
    expect(purchase(state, "c1", last + 1, null).word).toBe("purchased");
    expect(purchase(state, "c1", last + 2, null).word).toBe("purchased_again");
    expect(sale.sold).toBe(1);
    expect(check(state)).toEqual([]);
  });

  test("is bounded for codes that are given back before they lapse", () => {
    const [state, sale] = openSale([2], 1, endsAt);
    const heldMax = 2 * lapsedReservationsMax + 2;
    // It lives throughout, and stands before the others in the order of expiry.
    decide(state, checkout("first", "bob"), 0);
    for (let n = 0; n <= heldMax + 7; n += 1) {
      decide(state, checkout(`c${n}`, "ann", "the same"), 0);
      decide(state, { kind: "release", code: `c${n}`, archived: null }, 0);
    }
    expect(sale.deadlines.length).toBeLessThanOrEqual(heldMax);
    expect(state.codes.size).toBe(sale.deadlines.length);
    expect(check(state)).toEqual([]);
  });
});

/**
 * The ledger's commands of product sales: buying in one step, and moving a sale's end. Rule by
 * rule, and in random histories that are rebuilt from their journal again and again.
 */
import { describe, expect, test } from "bun:test";
import { check } from "../../src/ledger/check.ts";
import type { Command, Outcome, OutcomeOf } from "../../src/ledger/commands.ts";
import { decide } from "../../src/ledger/decide.ts";
import { restore, type EffectiveAttempt } from "../../src/ledger/restore.ts";
import {
  addSale,
  emptyState,
  unitCode,
  type LedgerState,
  type SaleState,
} from "../../src/ledger/state.ts";
import { dumpOf } from "../support/compare.ts";
import { Random, seeds } from "../support/random.ts";

const saleId = 7;
const startsAt = 1_000;
const endsAt = 10_000;
const ttlMs = 500;
const code = (number: number): string =>
  `00000000-0000-7000-8000-${(number * 16).toString(16).padStart(12, "0")}`;

/** All of a state that matters: when a code would have run out matters while it lives. */
function comparable(state: LedgerState, now: number): unknown {
  const dump = dumpOf(state, now);
  const live = [...state.codes.values()].filter(({ status }) => status === "live");
  const expiring = live.map((reservation) => [reservation.code, reservation.expiresAt]);
  return JSON.parse(
    JSON.stringify({ dump, expiring }, (name, value: unknown) =>
      name === "expiresAt" ? undefined : value,
    ),
  );
}

/** A ledger with one product sale, and a journal of what changed it. */
class Ledger {
  state: LedgerState = emptyState(0, 0);
  readonly journal: EffectiveAttempt[] = [];
  sale: SaleState;

  constructor(stock: readonly number[], perUserLimit = 10) {
    this.sale = addSale(
      this.state,
      {
        id: saleId,
        kind: "product",
        startsAt,
        endsAt,
        perUserLimit,
        reservationTtlMs: ttlMs,
        stock: Int32Array.from(stock),
      },
      0,
    );
  }

  /** Decides, notes what the journal keeps, and checks that everything adds up. */
  decide<C extends Command>(command: C, at: number): OutcomeOf<C> {
    const outcome = decide(this.state, command, at);
    this.#note(command, outcome);
    expect(check(this.state)).toEqual([]);
    return outcome as OutcomeOf<C>;
  }

  buy(userId: string, number: number, at: number, options: { item?: number; units?: number } = {}) {
    const { item: itemId = 1, units: quantity = 1 } = options;
    return this.decide(
      { kind: "buy", userId, saleId, itemId, quantity, code: code(number) } as const,
      at,
    );
  }

  checkout(userId: string, number: number, at: number, item: number | "any" = 1) {
    const asked = { kind: "checkout", userId, item, sale: saleId, key: null } as const;
    return this.decide({ ...asked, code: code(number) }, at);
  }

  purchase(number: number, at: number) {
    return this.decide({ kind: "purchase", code: code(number), archived: null } as const, at);
  }

  change(end: number | "now", at: number) {
    return this.decide({ kind: "change_sale", saleId, endsAt: end } as const, at);
  }

  #note(command: Command, outcome: Outcome): void {
    const { seq, now: at } = this.state;
    const nothing = { key: null, request: null, quantity: null };
    if (outcome.word === "purchased" && "units" in outcome && command.kind === "buy") {
      const { userId, itemId, quantity, code: first } = command;
      const sold = { seq, at, word: outcome.word, saleId, itemId, userId, code: first };
      this.journal.push({ ...sold, ...nothing, quantity });
      return;
    }
    const of = "reservation" in outcome ? outcome.reservation : "of" in outcome ? outcome.of : null;
    const { word } = outcome;
    if (of === null || (word !== "reserved" && word !== "purchased" && word !== "released")) return;
    const { itemId, userId, code: own } = of;
    this.journal.push({ seq, at, word, saleId, itemId, userId, code: own, ...nothing });
  }

  /** The state as a process would rebuild it that starts now. */
  rebuilt(): LedgerState {
    const state = emptyState(this.state.seq, this.state.now);
    addSale(state, this.sale.sale, 0);
    for (const attempt of this.journal) restore(state, attempt);
    return state;
  }

  expectRebuilt(now: number): void {
    const rebuilt = this.rebuilt();
    expect(comparable(rebuilt, now)).toEqual(comparable(this.state, now));
    expect(check(rebuilt)).toEqual([]);
  }
}

describe("buying in one step", () => {
  test("sells so many units in one attempt, each with a code of its own", () => {
    const ledger = new Ledger([5]);
    const bought = ledger.buy("ann", 1, 2_000, { units: 3 });
    if (bought.word !== "purchased") throw new Error(bought.word);
    expect(bought.units.map((unit) => unit.code)).toEqual([
      "00000000-0000-7000-8000-000000000010",
      "00000000-0000-7000-8000-000000000011",
      "00000000-0000-7000-8000-000000000012",
    ]);
    expect(bought.units.map((unit) => unit.sold)).toEqual(
      [1, 2, 3].map((unit) => ({ seq: 1, at: 2_000, unit, userOrdinal: unit })),
    );
    expect(ledger.sale).toMatchObject({ sold: 3, available: 2, reserved: 0 });
    // Each unit's code is a code: shown again, it gives its order.
    expect(ledger.purchase(1, 2_001)).toMatchObject({ word: "purchased_again" });
    ledger.expectRebuilt(2_001);
  });

  test("counts codes on past the end of their digits", () => {
    const last = "00000000-0000-7000-8000-ffffffffffff";
    expect(unitCode(last, 0)).toBe(last);
    expect(unitCode(last, 1)).toBe("00000000-0000-7000-8000-000000000000");
    expect(unitCode("00000000-0000-7000-8000-0000000000ff", 1)).toEndWith("000000000100");
  });

  test("refuses in the contract's order, and then nothing has changed", () => {
    const ledger = new Ledger([2, 3], 2);
    const before = dumpOf(ledger.state, 0);
    expect(ledger.buy("ann", 1, 999)).toMatchObject({ word: "sale_not_open", opensAt: startsAt });
    expect(ledger.buy("ann", 1, 1_000, { item: 3 }).word).toBe("item_not_found");
    expect(ledger.buy("ann", 1, 1_000, { units: 3 }).word).toBe("item_sold_out");
    expect(ledger.buy("ann", 1, 1_000, { item: 2, units: 3 }).word).toBe("user_limit_reached");
    expect(ledger.decide({ ...ghost, saleId: 99 }, 1_000).word).toBe("sale_not_found");
    expect(dumpOf(ledger.state, 1_000)).toEqual({ ...Object(before), seq: 5 });

    ledger.checkout("bob", 2, 1_000);
    const waits = ledger.buy("ann", 1, 1_000, { units: 2 });
    expect(waits).toMatchObject({ word: "item_reserved", retryAt: 1_000 + ttlMs });
    expect(ledger.buy("ann", 1, 1_000 + ttlMs, { units: 2 }).word).toBe("purchased");
    expect(ledger.buy("bob", 3, 1_000 + ttlMs).word).toBe("item_sold_out");
    expect(ledger.buy("ann", 4, endsAt)).toMatchObject({ word: "sale_not_open", opensAt: null });
    ledger.expectRebuilt(endsAt);
  });

  test("counts what a user holds towards the limit, in both ways of buying", () => {
    const ledger = new Ledger([9], 2);
    ledger.checkout("ann", 1, 2_000);
    expect(ledger.buy("ann", 2, 2_000, { units: 2 }).word).toBe("user_limit_reached");
    expect(ledger.buy("ann", 3, 2_000).word).toBe("purchased");
    expect(ledger.checkout("ann", 4, 2_000).word).toBe("user_limit_reached");
    // The reservation lapses; its owner may take the unit in the other way.
    expect(ledger.buy("ann", 5, 2_000 + ttlMs).word).toBe("purchased");
    expect(ledger.purchase(1, 2_000 + ttlMs).word).toBe("code_expired");
    ledger.expectRebuilt(2_000 + ttlMs);
  });
});

const ghost = {
  kind: "buy",
  userId: "ann",
  saleId,
  itemId: 1,
  quantity: 1,
  code: code(1),
} as const;

describe("moving a sale's end", () => {
  test("to a later time, reservations that were cut short by the end live on", () => {
    const ledger = new Ledger([3]);
    ledger.checkout("ann", 1, endsAt - 600);
    ledger.checkout("bob", 2, endsAt - 100);
    const held = ledger.state.codes.get(code(2));
    expect(held?.expiresAt).toBe(endsAt);
    expect(ledger.change(endsAt + 5_000, endsAt - 1)).toMatchObject({
      word: "sale_changed",
      endsAt: endsAt + 5_000,
    });
    expect(held?.expiresAt).toBe(endsAt - 100 + ttlMs);
    ledger.expectRebuilt(endsAt - 1);
    // At the old end ann's has run out by itself, and bob's has not.
    expect(ledger.purchase(2, endsAt).word).toBe("purchased");
    expect(ledger.state.codes.get(code(1))?.status).toBe("lapsed");
    expect(ledger.buy("cyd", 3, endsAt + 4_999).word).toBe("purchased");
    expect(ledger.buy("cyd", 4, endsAt + 5_000).word).toBe("sale_not_open");
    ledger.expectRebuilt(endsAt + 5_000);
  });

  test("to now, nothing is sold any more, and what was reserved is free", () => {
    const ledger = new Ledger([3]);
    ledger.checkout("ann", 1, 2_000);
    ledger.buy("bob", 2, 2_000);
    const closed = ledger.change("now", 2_100);
    if (closed.word !== "sale_changed") throw new Error(closed.word);
    const { endsAt: end } = closed;
    expect(ledger.purchase(1, end).word).toBe("sale_ended");
    expect(ledger.buy("cyd", 3, end).word).toBe("sale_not_open");
    expect(ledger.checkout("cyd", 4, end).word).toBe("sale_not_open");
    expect(ledger.sale).toMatchObject({ sold: 1, reserved: 0, available: 2 });
    expect(ledger.change(endsAt + 1, end).word).toBe("sale_ended");
    expect(ledger.change("now", end).word).toBe("sale_ended");
    ledger.expectRebuilt(end);
  });

  test("refuses an end that is not later, and a sale that has not opened or is none", () => {
    const ledger = new Ledger([1]);
    expect(ledger.change("now", 0).word).toBe("sale_not_open");
    expect(ledger.change(endsAt, 2_000).word).toBe("end_not_later");
    expect(ledger.change(endsAt - 1, 2_000).word).toBe("end_not_later");
    const none = { kind: "change_sale", saleId: 99, endsAt: "now" } as const;
    expect(ledger.decide(none, 2_000).word).toBe("sale_not_found");
    expect(ledger.sale.sale.endsAt).toBe(endsAt);
  });
});

test("random histories are the same when they are rebuilt from their journal", () => {
  for (const seed of seeds(60)) {
    try {
      runHistory(new Random(seed));
    } catch (error) {
      throw new Error(`SEED=${seed}: ${String(error)}`, { cause: error });
    }
  }
});

function runHistory(random: Random): void {
  const items = random.between(1, 3);
  const stock = Array.from({ length: items }, () => random.between(1, 6));
  const ledger = new Ledger(stock, random.between(1, 4));
  let at = random.between(500, 1_500);
  let last = 0;
  for (let step = 0; step < 250; step += 1) {
    at += random.between(0, 80);
    const user = `user ${random.between(1, 4)}`;
    const item = random.between(1, items);
    const kind = random.between(1, 20);
    last += 1;
    if (kind <= 6) ledger.buy(user, last, at, { item, units: random.between(1, 4) });
    else if (kind <= 12) ledger.checkout(user, last, at, random.chance(0.3) ? "any" : item);
    else if (kind <= 16) ledger.purchase(random.between(1, last), at);
    else if (kind <= 18) {
      const shown = code(random.between(1, last));
      ledger.decide({ kind: "release", code: shown, archived: null }, at);
    } else if (kind === 19) ledger.change(ledger.sale.sale.endsAt + random.between(-10, 300), at);
    else if (random.chance(0.05)) ledger.change("now", at);
    if (random.chance(0.1)) ledger.expectRebuilt(at);
  }
  ledger.expectRebuilt(at);
  const { sold, sale } = ledger.sale;
  const units = ledger.journal.filter(({ word }) => word === "purchased");
  expect(units.reduce((sum, { quantity }) => sum + (quantity ?? 1), 0)).toBe(sold);
  expect(sold).toBeLessThanOrEqual(sale.stock.reduce((sum, one) => sum + one, 0));
}

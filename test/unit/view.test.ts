/** What a reader sees: one moment, moved on to it, of which nothing can be kept or changed. */
import { describe, expect, test } from "bun:test";
import type { Ledger } from "../../src/ledger/ledger.ts";
import { LedgerView, reservationsToldMax } from "../../src/ledger/view.ts";
import { openState, openTerms, reserved } from "../support/state.ts";
import { buy, take, who } from "../support/story.ts";
import { ToldLedger } from "../support/told-ledger.ts";

/** Ann holds item 1 and has bought item 2; item 3 is free. Reservations run out after 100 ms. */
async function aSale(): Promise<Ledger> {
  const { ledger } = await ToldLedger.with(openTerms([1, 1, 1]));
  ledger.decide(take("A", "account:ann", 1), 10);
  ledger.decide(take("B", "account:ann", 2), 20);
  ledger.decide(buy("B", "account:ann"), 30);
  return ledger;
}

/** Everything that a view tells. */
const all = (view: LedgerView) => ({
  now: view.now,
  seq: view.seq,
  sales: view.sales(),
  sale: view.sale(1),
  current: view.currentSaleId(),
  totals: view.totals(1),
  free: view.free(1),
  soldOf: view.soldOf(1),
  reservations: view.reservationsOf(who("account:ann")),
  ending: view.endingBy(1, 1_000, 10),
  coupon: view.coupon("A"),
  claims: view.claimsHeld,
  activity: view.activity(1),
  checkpoint: view.checkpoint(1),
});

const figures = { sold: 1, refunded: 0, takenOut: 0, attempts: 3 };

describe("a view of the ledger", () => {
  test("is of its moment: what has run out by then has lapsed", async () => {
    const ledger = await aSale();
    const before = ledger.view(109);
    const held = [before.totals(1), before.reservationsOf(who("account:ann")).length];
    const after = ledger.view(110);
    expect([...held, after.totals(1), after.reservationsOf(who("account:ann"))]).toEqual([
      { ...figures, reserved: 1, available: 1 },
      1,
      { ...figures, reserved: 0, available: 2 },
      [],
    ]);
    // Time that was seen is not taken back.
    expect(ledger.view(20).now).toBe(110);
    expect(ledger.decide(take("C", "bob", 1), 20).word).toBe("reserved");
  });

  test("tells nothing once it is closed", async () => {
    const view = (await aSale()).view(40);
    const told = all(view);
    view.close();
    const refused = Object.keys(told).filter((name) => {
      try {
        const read: Record<string, () => unknown> = {
          now: () => view.now,
          seq: () => view.seq,
          sales: () => view.sales(),
          sale: () => view.sale(1),
          current: () => view.currentSaleId(),
          totals: () => view.totals(1),
          free: () => view.free(1),
          soldOf: () => view.soldOf(1),
          reservations: () => view.reservationsOf(who("account:ann")),
          ending: () => view.endingBy(1, 1_000, 10),
          coupon: () => view.coupon("A"),
          claims: () => view.claimsHeld,
          activity: () => view.activity(1),
          checkpoint: () => view.checkpoint(1),
        };
        read[name]?.();
        return false;
      } catch (error) {
        return String(error).includes("closed");
      }
    });
    expect(refused).toEqual(Object.keys(told));
  });

  test("gives copies: what was read goes on as it was, and nobody changes the ledger by it", async () => {
    const ledger = await aSale();
    const told = all(ledger.view(40));
    const kept = structuredClone(told);
    ledger.decide(buy("A", "account:ann"), 41);
    ledger.decide(take("C", "bob", 3), 41);
    expect(told).toEqual(kept);
    ledger.view(41).free(1)?.fill(7);
    ledger.view(41).soldOf(1)?.fill(7);
    ledger.view(41).sales().length = 0;
    const { free, soldOf, sales } = all(ledger.view(41));
    expect([[...(free ?? [])], [...(soldOf ?? [])], sales.length]).toEqual([
      [0, 0, 0],
      [1, 1, 0],
      1,
    ]);
    expect(ledger.check()).toEqual([]);
  });

  test("knows nothing of a sale that is not held", async () => {
    const view = (await aSale()).view(40);
    const { sale, totals, free, soldOf, activity, checkpoint, ending } = {
      sale: view.sale(2),
      totals: view.totals(2),
      free: view.free(2),
      soldOf: view.soldOf(2),
      activity: view.activity(2),
      checkpoint: view.checkpoint(2),
      ending: view.endingBy(2, 1_000, 10),
    };
    expect([sale, totals, free, soldOf, activity, checkpoint]).toEqual([
      null,
      null,
      null,
      null,
      null,
      null,
    ]);
    expect(ending).toEqual([]);
  });

  test("counts attempts, changes and what lives", async () => {
    const ledger = await aSale();
    ledger.decide(take("C", "bob", 9), 40);
    expect(ledger.view(40).activity(1)).toEqual({ attempts: 4, changes: 3, open: 1 });
  });

  test("names what ends by a time, so many at most; all of it where the sale ends by then", () => {
    const books = openState([20], { endsAt: 1_000, perUserLimit: 20 });
    for (let seq = 1; seq <= 10; seq += 1) reserved(books, seq, "ann", { at: 10 * seq });
    const view = new LedgerView(books.state);
    const ending = (by: number, max: number) => view.endingBy(1, by, max).length;
    expect([ending(109, 9), ending(110, 9), ending(150, 9), ending(999, 20)]).toEqual([
      0, 1, 5, 10,
    ]);
    expect([ending(999, 9), ending(1_000, 20), ending(1_000, 3)]).toEqual([9, 10, 3]);
  });

  test("tells a buyer so many reservations at most, oldest first, and those after one", () => {
    const count = reservationsToldMax + 1;
    const books = openState([count], { perUserLimit: count });
    for (let seq = 1; seq <= count; seq += 1) reserved(books, seq, "ann");
    const view = new LedgerView(books.state);
    const told = (after?: number, max?: number) => {
      const codes = view.reservationsOf(who("ann"), after, max).map(({ code }) => code);
      return [codes[0], codes.at(-1), codes.length];
    };
    expect(told()).toEqual(["c1", `c${reservationsToldMax}`, reservationsToldMax]);
    expect(told(reservationsToldMax)).toEqual([`c${count}`, `c${count}`, 1]);
    expect(told(2, 3)).toEqual(["c3", "c5", 3]);
    expect(told(0, count)[2]).toBe(reservationsToldMax);
  });

  test("knows the sale of a code for its buyer alone, also of one that has run out", () => {
    const books = openState([2], { reservationTtlMs: 100 });
    reserved(books, 1, who("account:ann"));
    const saleOf = (name: string, at: number) => {
      books.state.now = at;
      return new LedgerView(books.state).saleOf("c1", who(name));
    };
    expect([saleOf("account:ann", 99), saleOf("ann", 99), saleOf("account:ann", 100)]).toEqual([
      1,
      null,
      1,
    ]);
  });
});

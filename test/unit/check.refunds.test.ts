/**
 * The auditor of the state, where something was refunded or taken out of a sale, and where people have
 * to join: as in check.test.ts, each of its complaints by itself.
 */
import { expect, test } from "bun:test";
import { check } from "../../src/ledger/check.ts";
import { putSold, refund, sell } from "../../src/ledger/books.ts";
import type { SaleState } from "../../src/ledger/state.ts";
import { guest, openState, reserved } from "../support/state.ts";
import { upTo } from "../support/wait.ts";

/** Two items, of the second of which one unit is sold. */
function scene() {
  const books = openState([9, 9]);
  sell(reserved(books, 1, "ann", { item: 2 }), 2, 0);
  books.state.seq = 2;
  return books;
}

const breaks: readonly (readonly [string, (sale: SaleState) => unknown, string[]])[] = [
  [
    "an item's count of what was refunded is off",
    (sale) => (sale.refundedOf[1] = 1),
    ["item 2: counted 1 refunded, found 0"],
  ],
  [
    "an item's count of what was taken out is off",
    (sale) => (sale.takenOutOf[0] = 1),
    ["item 1: counted 1 taken out, found 0"],
  ],
  [
    "the count of what was refunded is off",
    (sale) => (sale.refunded += 1),
    // What is sold is what is left of it.
    [
      "17 available + 0 reserved + 0 sold + 0 taken out ≠ 18",
      "counted 1 refunded, found 0",
      "0 sold, buyers bought 1",
    ],
  ],
];

test.each(breaks)("the auditor of the state says that %s", (_, breakIt, complaints) => {
  const { state, sale } = scene();
  expect(check(state)).toEqual([]);
  breakIt(sale);
  expect(check(state)).toEqual(complaints.map((one) => `sale 1: ${one}`));
});

test("the auditor of the state says that somebody has something, and has not joined", () => {
  const entry = { kind: "queue", admitPerSecond: 1, passTtlMs: 1_000 } as const;
  const books = openState([9], { entry });
  expect(check(books.state)).toEqual([]);
  reserved(books, 1, "ann");
  expect(check(books.state)).toEqual(["sale 1: buyer guest:ann has something, and has not joined"]);
});

test("half of a large sale may be on sale again: each of its units is looked at once, and sold once", () => {
  const [units, back] = [40_000, 20_000];
  const books = openState([units]);
  const { state, sale } = books;
  const isBack = (n: number): boolean => n <= back;
  const sold = upTo(units).map((n) => ({
    seq: n,
    code: `sold ${n}`,
    itemId: 1,
    buyer: guest(`buyer ${n}`),
    reservedAt: 0,
    key: null,
    request: null,
    sold: {
      seq: n,
      at: 0,
      unit: n,
      userOrdinal: 1,
      refundedBy: isBack(n) ? units + n : null,
      restocked: isBack(n),
    },
  }));
  putSold(state, sale, sold);
  state.seq = units + back;
  expect(check(state)).toEqual([]);
  // The lowest that nobody has, what comes back last among them.
  const again = [1, 2].map((n) => reserved(books, state.seq + n, `again ${n}`));
  for (const one of again) sell(one, state.seq, 0);
  refund(again[0] ?? reserved(books, 1, "nobody"), state.seq, true);
  sell(reserved(books, state.seq + 1, "last"), state.seq, 0);
  expect(sale.soldUnits.slice(units).map((one) => one.sold?.unit)).toEqual([1, 2, 1]);
  expect(check(state)).toEqual([]);
});

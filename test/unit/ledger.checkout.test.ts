/**
 * The rules of a checkout one by one: what it reserves and for how long, when a sale is
 * open, what a user's limit counts, and which refusal comes before which.
 */
import { describe, expect, test } from "bun:test";
import { Ledger } from "../../src/ledger/ledger.ts";
import { nothingRecorded } from "../support/naive-records.ts";
import {
  buy,
  drop,
  ends,
  hour,
  type Line,
  nextHour,
  opens,
  product,
  sale,
  take,
  tell,
} from "../support/story.ts";

describe("a reservation", () => {
  tell(
    "names its code, item, user and sale, and lives for the TTL",
    [hour()],
    [
      [
        opens + 5,
        take("A", "ann", 1),
        {
          word: "reserved",
          code: "A",
          itemId: 1,
          buyer: "guest:ann",
          saleId: 1,
          expiresAt: opens + 105,
        },
      ],
    ],
  );
  tell(
    "never outlives its sale",
    [hour()],
    [[ends - 1, take("A", "ann", 1), { word: "reserved", expiresAt: ends }]],
  );
  tell(
    "of any item gets the lowest free number",
    [hour({ stock: [1, 2, 1] })],
    [
      [opens, take("A", "ann", "any"), { word: "reserved", itemId: 1 }],
      [opens, take("B", "ann", 2), "reserved"],
      [opens, take("C", "ann", "any"), { word: "reserved", itemId: 2 }],
      [opens, take("D", "ann", "any"), { word: "reserved", itemId: 3 }],
      [opens, drop("A"), "released"],
      [opens, take("E", "ann", "any"), { word: "reserved", itemId: 1 }],
    ],
  );
  tell(
    "of any item gets one that has lapsed, whatever was taken since",
    [hour({ stock: [1, 1, 1] })],
    [
      [opens, take("A", "ann", "any"), { word: "reserved", itemId: 1 }],
      [opens + 1, take("B", "bob", "any"), { word: "reserved", itemId: 2 }],
      [opens + 100, take("C", "cyd", "any"), { word: "reserved", itemId: 1 }],
      [opens + 101, take("D", "cyd", "any"), { word: "reserved", itemId: 2 }],
    ],
  );
  tell(
    "ends at the millisecond of its expiry",
    [hour()],
    [
      [opens, take("A", "ann", 1), { word: "reserved", expiresAt: opens + 100 }],
      [opens + 99, take("B", "bob", 1), { word: "item_reserved", retryAt: opens + 100 }],
      [opens + 100, take("C", "bob", 1), "reserved"],
    ],
  );
  tell(
    "given back is free at once",
    [hour()],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens, drop("A"), { word: "released", code: "A" }],
      [opens, take("B", "bob", 1), "reserved"],
    ],
  );
  tell(
    "where no other is free is told again to who has proven to hold it, no longer than before",
    [hour()],
    [
      [opens, take("A", "account:ann", 1), "reserved"],
      [
        opens + 99,
        take("B", "account:ann", 1),
        { word: "reserved_again", code: "A", expiresAt: opens + 100 },
      ],
      [opens + 99, take("B", "account:ann", "any"), { word: "reserved_again", code: "A" }],
      [opens + 100, take("C", "account:ann", 1), { word: "reserved", code: "C" }],
    ],
  );
  tell(
    "of a guest is told to nobody again: a name is anybody's word",
    [hour({ limit: 1 })],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens, take("B", "ann", 1), { word: "item_reserved", retryAt: opens + 100 }],
      [opens, take("B", "account:ann", 1), "item_reserved"],
      [opens, take("B", "customer:ann", "any"), "item_reserved"],
    ],
  );
  tell(
    "that fills the limit is told again to who has proven to hold it, the youngest",
    [hour({ stock: [9, 9], limit: 2 })],
    [
      [opens, take("A", "customer:ann", 1), "reserved"],
      [opens, take("B", "customer:ann", 1), "reserved"],
      [opens, take("C", "customer:ann", 1), { word: "reserved_again", code: "B" }],
      [opens, take("C", "customer:ann", "any"), { word: "reserved_again", code: "B" }],
      [opens, take("C", "customer:ann", 2), { word: "user_limit_reached", retryAt: opens + 100 }],
      [opens, buy("B", "customer:ann"), "purchased"],
      [opens, take("C", "customer:ann", 1), { word: "reserved_again", code: "A" }],
    ],
  );
  tell(
    "is a second one while a unit is free",
    [hour({ stock: [2] })],
    [
      [opens, take("A", "account:ann", 1), { word: "reserved", code: "A" }],
      [opens, take("B", "account:ann", 1), { word: "reserved", code: "B" }],
      [opens, take("C", "account:ann", 1), { word: "reserved_again", code: "B" }],
    ],
  );
  tell(
    "is not told again for another item",
    [hour({ stock: [1, 1] })],
    [
      [opens, take("A", "account:ann", 1), "reserved"],
      [opens, take("B", "bob", 2), "reserved"],
      [opens, take("C", "account:ann", 2), "item_reserved"],
      [opens, take("C", "account:ann", "any"), { word: "reserved_again", code: "A" }],
    ],
  );
  tell(
    "told again is the youngest after a restart from a checkpoint too",
    [hour({ stock: [3], limit: 3 })],
    [
      [opens, take("A", "account:ann", 1), "reserved"],
      [opens, take("B", "account:ann", 1), "reserved"],
      [opens + 1, take("C", "account:ann", 1), "reserved"],
      [opens + 1, drop("A", "account:ann"), "released"],
      [opens + 1, take("D", "account:ann", 1), "reserved"],
      ["checkpoint", 1],
      ["crash", opens + 2],
      [opens + 2, take("E", "account:ann", 1), { word: "reserved_again", code: "D" }],
    ],
  );
  tell(
    "sees time that runs backwards as standing still",
    [hour()],
    [
      [opens + 50, take("A", "ann", 1), "reserved"],
      [opens - 1, take("B", "bob", 1), { word: "item_reserved", retryAt: opens + 150 }],
      [opens, buy("A"), { word: "purchased", soldAt: opens + 50 }],
    ],
  );
});

describe("opening and closing", () => {
  tell(
    "a sale opens at the millisecond",
    [hour()],
    [
      [opens - 1, take("A", "ann", 1), { word: "sale_not_open", saleId: null, opensAt: opens }],
      [
        opens - 1,
        take("A", "ann", 1, { sale: 1 }),
        { word: "sale_not_open", saleId: 1, opensAt: opens },
      ],
      [opens, take("B", "ann", 1), "reserved"],
    ],
  );
  tell(
    "a sale closes at the millisecond, and the next one is current",
    [hour({ stock: [2] }), nextHour()],
    [
      [ends - 1, take("A", "ann", 1), { word: "reserved", saleId: 1 }],
      [ends, take("B", "ann", 1, { sale: 1 }), { word: "sale_not_open", saleId: 1, opensAt: null }],
      [ends, take("C", "ann", 1), { word: "reserved", saleId: 2 }],
    ],
  );
  tell(
    "between two hours the next opening is told, with none ahead nothing",
    [hour(), sale(5, "hourly", 9_000, {}), sale(4, "hourly", 8_000, {})],
    [
      [ends, take("A", "ann", 1), { word: "sale_not_open", saleId: null, opensAt: 8_000 }],
      [8_000, take("B", "ann", 1), { word: "reserved", saleId: 4 }],
      [10_000, take("C", "ann", 1), { word: "sale_not_open", opensAt: null }],
    ],
  );
  tell(
    "a product sale is never the current one",
    [product()],
    [
      [opens - 1, take("A", "ann", 1), { word: "sale_not_open", opensAt: null }],
      [opens, take("B", "ann", 1), "sale_not_open"],
      [opens, take("C", "ann", 1, { sale: 3 }), "reserved"],
    ],
  );
});

describe("a user's limit", () => {
  tell(
    "counts what is reserved and what is bought",
    [hour({ stock: [9], limit: 2 })],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens, take("B", "ann", 1), "reserved"],
      [opens, take("C", "ann", 1), { word: "user_limit_reached", saleId: 1 }],
      [opens, buy("A"), { word: "purchased", unit: 1, userOrdinal: 1 }],
      [opens, take("D", "ann", 1), "user_limit_reached"],
      [opens, take("E", "bob", 1), "reserved"],
      [opens, buy("B"), { word: "purchased", unit: 2, userOrdinal: 2 }],
      [opens, take("F", "ann", "any"), "user_limit_reached"],
    ],
  );
  tell(
    "is freed by giving back, and by expiry at the millisecond",
    [hour({ stock: [9], limit: 1 })],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens, drop("A"), "released"],
      [opens + 10, take("B", "ann", 1), { word: "reserved", expiresAt: opens + 110 }],
      [opens + 109, take("C", "ann", 1), "user_limit_reached"],
      [opens + 110, take("D", "ann", 1), "reserved"],
    ],
  );
  tell(
    "is a sale's own",
    [hour({ limit: 1 }), product({ limit: 1 }), nextHour({ limit: 1 })],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens, buy("A"), "purchased"],
      [opens, take("B", "ann", 1, { sale: 3 }), "reserved"],
      [ends, take("C", "ann", 1), { word: "reserved", saleId: 2 }],
    ],
  );
});

/** A sold out hour: ann has bought item 1 and item 2. */
const soldOut: readonly Line[] = [
  [opens, take("A", "ann", 1), "reserved"],
  [opens, buy("A"), "purchased"],
  [opens, take("B", "ann", 2), "reserved"],
  [opens, buy("B"), "purchased"],
];

describe("refusals come in the order of the contract", () => {
  const two = { stock: [1, 1], limit: 2 };
  tell(
    "no such sale, before no such item",
    [hour()],
    [
      [opens, take("A", "ann", 9, { sale: 77 }), { word: "sale_not_found", saleId: 77 }],
      [opens, take("A", "ann", 9, { sale: "unknown" }), { word: "sale_not_found", saleId: null }],
    ],
  );
  tell(
    "no such item, before a sale that is not open",
    [hour()],
    [
      [opens - 1, take("A", "ann", 2, { sale: 1 }), { word: "item_not_found", saleId: 1 }],
      [opens, take("A", "ann", 2), "item_not_found"],
      [ends, take("A", "ann", 2, { sale: 1 }), "item_not_found"],
      ["settle", 1],
      [ends, take("A", "ann", 2, { sale: 1 }), { word: "item_not_found", saleId: 1 }],
      [ends, take("A", "ann", 1, { sale: 1 }), { word: "sale_not_open", saleId: 1, opensAt: null }],
      [ends, take("A", "ann", "any", { sale: 1 }), { word: "sale_not_open", saleId: 1 }],
    ],
  );
  tell(
    "a sale that is not open, before everything sold",
    [hour(two)],
    [...soldOut, [ends, take("C", "ann", 1, { sale: 1 }), "sale_not_open"]],
  );
  tell(
    "an item sold out, before the sale sold out and the limit",
    [hour(two)],
    [
      ...soldOut,
      [opens, take("C", "ann", 1), { word: "item_sold_out", saleId: 1 }],
      [opens, take("C", "bob", 1), "item_sold_out"],
    ],
  );
  tell(
    "a sale sold out, before the limit",
    [hour(two)],
    [...soldOut, [opens, take("C", "ann", "any"), { word: "sold_out", saleId: 1 }]],
  );
  tell(
    "an item reserved, before the limit",
    [hour({ stock: [1, 1, 1], limit: 1 })],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens, take("B", "bob", 2), "reserved"],
      [opens, take("C", "ann", 2), "item_reserved"],
      [opens, take("D", "cyd", 3), "reserved"],
      [opens, take("E", "ann", "any"), "item_reserved"],
    ],
  );
  tell(
    "an item is reserved while one unsold unit of it is",
    [hour({ stock: [2, 1] })],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens, buy("A"), "purchased"],
      [opens + 7, take("B", "ann", 1), "reserved"],
      [opens + 8, take("C", "bob", 1), { word: "item_reserved", saleId: 1, retryAt: opens + 107 }],
      [opens + 8, buy("B"), "purchased"],
      [opens + 8, take("C", "bob", 1), "item_sold_out"],
      [opens + 8, take("D", "bob", "any"), { word: "reserved", itemId: 2 }],
      [opens + 9, take("E", "cyd", "any"), { word: "item_reserved", retryAt: opens + 108 }],
      [opens + 9, buy("D"), "purchased"],
      [opens + 9, take("E", "cyd", "any"), "sold_out"],
    ],
  );
  tell(
    "any item may come free at the soonest expiry that is left",
    [hour({ stock: [1, 1, 1] })],
    [
      [opens, take("A", "ann", 3), "reserved"],
      [opens + 1, take("B", "ann", 2), "reserved"],
      [opens + 2, take("C", "ann", 1), "reserved"],
      [opens + 3, take("D", "bob", "any"), { word: "item_reserved", retryAt: opens + 100 }],
      [opens + 3, buy("A"), "purchased"],
      [opens + 3, take("D", "bob", "any"), { word: "item_reserved", retryAt: opens + 101 }],
    ],
  );
});

test("a code is looked at once, and only for what is reserved", async () => {
  const ledger = await Ledger.restore(nothingRecorded(), opens);
  const { stock, ...terms } = hour({ stock: [1, 1, 1], limit: 2 });
  ledger.addSale({ ...terms, stock: Int32Array.from(stock) }, 0);
  let looks = 0;
  const checkout = (name: string, item: number, saleId = 1, key?: string) => {
    const { code: _, ...asked } = take("A", name, item, {
      sale: saleId,
      ...(key === undefined ? {} : { key }),
    });
    const command = {
      ...asked,
      get code() {
        looks += 1;
        return `code ${looks}`;
      },
    };
    return ledger.decide(command, opens).word;
  };
  const ann = "account:ann";
  const reserved = [checkout(ann, 1), checkout(ann, 2, 1, "key")];
  expect([...reserved, looks]).toEqual(["reserved", "reserved", 2]);
  const refused = [checkout(ann, 3), checkout("bob", 1), checkout("bob", 4)];
  refused.push(checkout("bob", 1, 2), checkout(ann, 2), checkout(ann, 1, 1, "key"));
  expect([...refused, looks]).toEqual([
    "user_limit_reached",
    "item_reserved",
    "item_not_found",
    "sale_not_found",
    "reserved_again",
    "idempotency_key_reused",
    2,
  ]);
});

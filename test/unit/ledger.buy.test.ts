/**
 * The rules of buying in one step, and of moving a sale's end, one by one.
 */
import { describe, expect, test } from "bun:test";
import { unitCode } from "../../src/ledger/books.ts";
import {
  buy,
  buyNow,
  codeOf,
  drop,
  endAt,
  ends,
  hour,
  opens,
  priceOf,
  take,
  tell,
} from "../support/story.ts";

/** The code of a unit that was bought with others, by how many came before. */
const unit = (letter: string, index: number) => ({ code: unitCode(codeOf(letter), index) });

describe("buying in one step", () => {
  tell(
    "sells so many units in one attempt, each with a code of its own",
    [hour({ stock: [5] })],
    [
      [
        opens,
        buyNow("A", "ann", 1, { units: 3 }),
        {
          word: "purchased",
          units: [1, 2, 3].map((number) => {
            const { code } = unit("A", number - 1);
            return { code, order: 42, unit: number, userOrdinal: number };
          }),
        },
      ],
      // Each unit's code is a code: shown again, it gives its order.
      [opens + 1, buy("A"), { word: "purchased_again", order: 42 }],
      [opens + 1, drop("A"), { word: "already_purchased", order: 42 }],
      ["crash", opens + 2],
      [opens + 2, buy("A"), { word: "purchased_again", order: 42 }],
    ],
  );
  tell(
    "refuses in the contract's order",
    [hour({ stock: [2, 3], limit: 2 })],
    [
      [
        opens - 1,
        buyNow("A", "ann", 1, { sale: "unknown" }),
        { word: "sale_not_found", saleId: null },
      ],
      [opens - 1, buyNow("A", "ann", 1, { sale: 99 }), { word: "sale_not_found", saleId: 99 }],
      [opens - 1, buyNow("A", "ann", 3), "item_not_found"],
      [opens - 1, buyNow("A", "ann", "unknown"), "item_not_found"],
      [opens - 1, buyNow("A", "ann", 1, { price: 1 }), { word: "sale_not_open", opensAt: opens }],
      [opens, buyNow("A", "ann", 1, { units: 3, price: 1 }), "price_changed"],
      [opens, buyNow("A", "ann", 1, { units: 3, price: priceOf(1) }), "item_sold_out"],
      [opens, take("B", "bob", 1), "reserved"],
      [
        opens,
        buyNow("A", "cyd", 1, { units: 2 }),
        { word: "item_reserved", saleId: 1, retryAt: opens + 100 },
      ],
      [opens, buyNow("A", "cyd", 2, { units: 3 }), { word: "user_limit_reached", retryAt: null }],
      [opens + 100, buyNow("A", "cyd", 1, { units: 2 }), "purchased"],
      [opens + 100, buyNow("C", "bob", 1), "item_sold_out"],
      [ends, buyNow("C", "bob", 2), { word: "sale_not_open", opensAt: null }],
    ],
  );
  tell(
    "sells first what the buyer holds, then what lapsed of theirs, then others",
    [hour({ stock: [5] })],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens + 10, take("B", "ann", 1), "reserved"],
      [opens + 20, take("C", "ann", 1), "reserved"],
      [
        opens + 100,
        buyNow("D", "ann", 1, { units: 4 }),
        {
          word: "purchased",
          units: [unit("B", 0), unit("C", 0), unit("A", 0), unit("D", 0)],
        },
      ],
      ["crash", opens + 101],
      [opens + 101, buy("C"), { word: "purchased_again", order: 45 }],
    ],
  );
  tell(
    "counts what a user holds towards the limit, and what is sold by it once",
    [hour({ stock: [9, 9], limit: 2 })],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [
        opens,
        buyNow("B", "ann", 2, { units: 2 }),
        { word: "user_limit_reached", retryAt: opens + 100 },
      ],
      [opens, buyNow("B", "ann", 1, { units: 2 }), "purchased"],
      [opens, buyNow("C", "ann", 1), { word: "user_limit_reached", retryAt: null }],
      [opens, buyNow("C", "account:ann", 1, { units: 2 }), "purchased"],
    ],
  );
  tell(
    "gives a key's order again, and refuses other parameters",
    [hour({ stock: [9] })],
    [
      [opens, buyNow("A", "ann", 1, { key: "k", units: 2 }), "purchased"],
      [
        opens,
        buyNow("B", "ann", 1, { key: "k", units: 2 }),
        { word: "purchased_again", code: "A", order: 42 },
      ],
      [opens, buyNow("B", "ann", 1, { key: "k", units: 1 }), "idempotency_key_reused"],
      [opens, take("B", "ann", 1, { key: "k" }), "idempotency_key_reused"],
      [opens, buyNow("B", "account:ann", 1, { key: "k" }), "purchased"],
      ["checkpoint", 1],
      ["crash", opens + 1],
      [opens + 1, buyNow("C", "ann", 1, { key: "k", units: 2 }), { word: "purchased_again" }],
      [opens + 1, buyNow("C", "ann", 1, { key: "k" }), "idempotency_key_reused"],
    ],
  );
  tell(
    "under the key of a reservation that lapsed stands for the order, with a checkpoint too",
    [hour({ stock: [9] })],
    [
      [opens, take("A", "ann", 1, { key: "k" }), "reserved"],
      [opens + 100, buyNow("B", "ann", 1, { key: "k" }), { word: "purchased" }],
      ["checkpoint", 1],
      ["crash", opens + 101],
      [opens + 101, buyNow("C", "ann", 1, { key: "k" }), { word: "purchased_again", code: "A" }],
      [opens + 101, take("C", "ann", 1, { key: "k" }), "idempotency_key_reused"],
    ],
  );

  test("counts codes on past the end of their digits", () => {
    const last = "00000000-0000-7000-8000-ffffffffffff";
    expect([0, 1].map((index) => unitCode(last, index))).toEqual([
      last,
      "00000000-0000-7000-8000-000000000000",
    ]);
    expect(unitCode("00000000-0000-7000-8000-0000000000ff", 1)).toEndWith("000000000100");
  });
});

describe("moving a sale's end", () => {
  tell(
    "to a later time, reservations that were cut short by the end live on",
    [hour({ stock: [3] })],
    [
      [ends - 100, take("A", "ann", 1), { word: "reserved", expiresAt: ends }],
      [ends - 10, take("B", "account:bob", 1), { word: "reserved", expiresAt: ends }],
      [ends - 1, endAt(1, ends + 500), { word: "sale_changed", endsAt: ends + 500, closed: false }],
      [ends - 1, take("C", "account:bob", 1, { sale: 1 }), "reserved"],
      [
        ends - 1,
        take("D", "account:bob", 1),
        { word: "reserved_again", code: "C", expiresAt: ends + 99 },
      ],
      // At the old end ann's has run out by itself, and bob's has not.
      [ends, take("D", "cyd", 1), "reserved"],
      [ends + 89, buy("B", "account:bob"), "purchased"],
      [ends + 499, buyNow("E", "cyd", 1), "purchased"],
      [ends + 500, buyNow("F", "cyd", 1), "sale_not_open"],
    ],
  );
  tell(
    "to now, nothing is sold any more, and what was reserved is free",
    [hour({ stock: [3] })],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens, buyNow("B", "bob", 1), "purchased"],
      [opens + 5, endAt(1, "now"), { word: "sale_changed", endsAt: opens + 6, closed: true }],
      [opens + 5, buy("A"), "sale_ended"],
      [opens + 5, take("C", "cyd", 1, { sale: 1 }), { word: "sale_not_open", opensAt: null }],
      [opens + 5, buyNow("C", "cyd", 1), "sale_not_open"],
      [opens + 6, endAt(1, ends), "sale_ended"],
      [opens + 6, endAt(1, "now"), "sale_ended"],
      ["settle", 1],
      [opens + 6, endAt(1, ends), "sale_ended"],
    ],
  );
  tell(
    "refuses an end that is not later, and a sale that has not opened or is none",
    [hour()],
    [
      [opens - 1, endAt(1, "now"), { word: "sale_not_open", saleId: 1 }],
      [opens, endAt(1, opens), { word: "end_not_later", saleId: 1 }],
      [opens, endAt(1, opens - 1), "end_not_later"],
      [opens, endAt(99, "now"), { word: "sale_not_found", saleId: 99 }],
      [ends, endAt(1, ends + 1), "sale_ended"],
      [ends, take("A", "ann", 1, { sale: 1 }), "sale_not_open"],
    ],
  );
});

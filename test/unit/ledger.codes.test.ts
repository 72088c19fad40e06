/**
 * The rules of codes and keys one by one: buying, buying late, giving back, what is told
 * when the sale is over, and what an idempotency key remembers.
 */
import { describe, expect, test } from "bun:test";
import type { ArchivedCode } from "../../src/ledger/commands.ts";
import { decide } from "../../src/ledger/decide.ts";
import { addSale, emptyState } from "../../src/ledger/state.ts";
import { buy, drop, ends, hour, nextHour, opens, product, take, tell } from "../support/story.ts";

describe("a purchase", () => {
  tell(
    "sells once, and says so again",
    [hour()],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [
        opens + 1,
        buy("A"),
        { word: "purchased", code: "A", order: 43, soldAt: opens + 1, unit: 1 },
      ],
      [opens + 500, buy("A"), { word: "purchased_again", code: "A", order: 43, soldAt: opens + 1 }],
      [opens + 500, take("B", "ann", 1), "item_sold_out"],
    ],
  );
  tell(
    "of a code that never was finds nothing",
    [hour()],
    [
      [opens, buy("A"), "code_not_found"],
      [opens, take("A", "ann", 2), "item_not_found"],
      [opens, buy("A"), "code_not_found"],
    ],
  );
  tell(
    "of what was given back is refused though its unit is free",
    [hour()],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens, drop("A"), "released"],
      [opens, buy("A"), { word: "code_expired", code: "A" }],
      [ends, buy("A"), "sale_ended"],
    ],
  );
  tell(
    "is refused from the millisecond of the sale's end on",
    [hour({ stock: [2] })],
    [
      [ends - 50, take("A", "ann", 1), { word: "reserved", expiresAt: ends }],
      [ends - 50, take("B", "ann", 1), { word: "reserved", expiresAt: ends }],
      [ends - 1, buy("A"), "purchased"],
      [ends, buy("B"), { word: "sale_ended", code: "B" }],
      [ends, buy("A"), { word: "purchased_again", order: 44 }],
    ],
  );
  tell(
    "after settlement is answered from the records",
    [hour({ stock: [3] })],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens, take("B", "ann", 1), "reserved"],
      [opens + 3, buy("A"), { word: "purchased", order: 44 }],
      [opens + 3, drop("B"), "released"],
      ["settle", 1],
      [ends, buy("A"), { word: "purchased_again", order: 44, soldAt: opens + 3, userId: "ann" }],
      [ends, drop("A"), { word: "already_purchased", order: 44 }],
      [ends, buy("B"), "sale_ended"],
      [ends, drop("B"), "released_again"],
      [ends, buy("C"), "code_not_found"],
      [ends, drop("C"), "code_not_found"],
    ],
  );
});

describe("a late purchase", () => {
  tell(
    "sells while the unit is free, at the millisecond of expiry and much later",
    [hour({ stock: [1, 1] })],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens, take("B", "ann", 2), "reserved"],
      [opens + 100, buy("A"), { word: "purchased", code: "A" }],
      [ends - 1, buy("B"), { word: "purchased", code: "B", ordinal: 2 }],
      [ends - 1, take("C", "bob", "any"), "sold_out"],
    ],
  );
  tell(
    "is refused while another holds the unit, and when another bought it",
    [hour()],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens + 100, take("B", "bob", 1), "reserved"],
      [opens + 101, buy("A"), { word: "code_expired", code: "A", order: null }],
      [opens + 102, buy("B"), { word: "purchased", code: "B" }],
      [opens + 103, buy("A"), "code_expired"],
    ],
  );
  tell(
    "sells again when the other one let go",
    [hour()],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens + 100, take("B", "bob", 1), "reserved"],
      [opens + 199, buy("A"), "code_expired"],
      [opens + 200, buy("A"), "purchased"],
      [opens + 200, buy("B"), "code_expired"],
    ],
  );
  tell(
    "takes a unit of its own item and no other",
    [hour({ stock: [1, 1] })],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens + 100, take("B", "bob", 1), "reserved"],
      [opens + 100, buy("A"), "code_expired"],
    ],
  );
  tell(
    "is held to the user's limit: bought and reserved",
    [hour({ stock: [9], limit: 2 })],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens + 100, take("B", "ann", 1), "reserved"],
      [opens + 100, take("C", "ann", 1), "reserved"],
      [opens + 100, buy("A"), "code_expired"],
      [opens + 100, buy("B"), "purchased"],
      [opens + 100, buy("A"), "code_expired"],
      [opens + 100, drop("C"), "released"],
      [opens + 100, buy("A"), { word: "purchased", ordinal: 2 }],
      [opens + 100, take("D", "ann", 1), "user_limit_reached"],
    ],
  );
  tell(
    "leaves nothing reserved behind: the unit counts once",
    [hour({ stock: [2], limit: 2 })],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens + 100, buy("A"), { word: "purchased", unit: 1, ordinal: 1 }],
      [opens + 100, take("B", "bob", 1), "reserved"],
      [opens + 101, buy("B"), { word: "purchased", unit: 2, ordinal: 1 }],
      [opens + 101, take("C", "ann", "any"), "sold_out"],
    ],
  );
  tell(
    "is refused when the sale is over",
    [hour()],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [ends, buy("A"), "sale_ended"],
    ],
  );
});

describe("giving back", () => {
  tell(
    "is said once and again",
    [hour()],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens, drop("A"), "released"],
      [opens, drop("A"), "released_again"],
      [opens, take("B", "bob", 1), "reserved"],
      [opens, drop("A"), "released_again"],
      [opens, buy("B"), "purchased"],
      [opens, drop("C"), "code_not_found"],
    ],
  );
  tell(
    "is refused after the purchase, whenever that is",
    [hour()],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens, buy("A"), "purchased"],
      [opens, drop("A"), { word: "already_purchased", code: "A", order: 43 }],
      [ends, drop("A"), "already_purchased"],
    ],
  );
  tell(
    "comes too late at the millisecond of expiry, and frees nothing twice",
    [hour()],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens + 100, drop("A"), "released_again"],
      [opens + 100, take("B", "bob", 1), "reserved"],
      [opens + 100, take("C", "cyd", 1), "item_reserved"],
    ],
  );
});

describe("an idempotency key", () => {
  const key = "k";
  tell(
    "gives the same code while it lives and once it is sold",
    [hour({ stock: [9], limit: 1 })],
    [
      [opens, take("A", "ann", 1, { key }), "reserved"],
      [
        opens + 99,
        take("B", "ann", 1, { key }),
        { word: "reserved_again", code: "A", expiresAt: opens + 100 },
      ],
      [opens + 99, buy("A"), "purchased"],
      [opens + 500, take("C", "ann", 1, { key }), { word: "reserved_again", code: "A", order: 44 }],
      [ends, take("D", "ann", 1, { key }), { word: "reserved_again", code: "A" }],
    ],
  );
  tell(
    "tries afresh when its reservation lapsed, at the millisecond",
    [hour({ stock: [9] })],
    [
      [opens, take("A", "ann", 1, { key }), "reserved"],
      [opens + 100, take("B", "ann", 1, { key }), { word: "reserved", code: "B" }],
      [opens + 100, take("C", "ann", 1, { key }), { word: "reserved_again", code: "B" }],
    ],
  );
  tell(
    "tries afresh when its reservation was given back, with what it likes",
    [hour({ stock: [9, 9] })],
    [
      [opens, take("A", "ann", 1, { key }), "reserved"],
      [opens, drop("A"), "released"],
      [opens, take("B", "ann", 2, { key }), { word: "reserved", code: "B" }],
    ],
  );
  tell(
    "tries afresh when its attempt was refused",
    [hour()],
    [
      [opens, take("A", "bob", 1), "reserved"],
      [opens, take("B", "ann", 1, { key }), "item_reserved"],
      [opens, take("C", "ann", 2, { key }), "item_not_found"],
      [opens + 100, take("D", "ann", 1, { key }), { word: "reserved", code: "D" }],
    ],
  );
  tell(
    "is a user's own",
    [hour({ stock: [9] })],
    [
      [opens, take("A", "ann", 1, { key }), "reserved"],
      [opens, take("B", "bob", 1, { key }), { word: "reserved", code: "B" }],
    ],
  );
  tell(
    "refuses other parameters, as they were asked",
    [hour({ stock: [9, 9] }), product()],
    [
      [opens, take("A", "ann", 1, { key }), "reserved"],
      [opens, take("B", "ann", 2, { key }), { word: "idempotency_key_reused", saleId: 1 }],
      [opens, take("C", "ann", "any", { key }), "idempotency_key_reused"],
      [opens, take("D", "ann", 1, { key, sale: 1 }), "idempotency_key_reused"],
      [opens, take("E", "ann", 1, { key, sale: 3 }), { word: "idempotency_key_reused", saleId: 3 }],
      [
        opens,
        take("F", "ann", 1, { key, sale: 77 }),
        { word: "idempotency_key_reused", saleId: 77 },
      ],
      [opens, take("G", "ann", 1, { key, sale: "unknown" }), "idempotency_key_reused"],
      [opens, take("H", "ann", 1, { key }), { word: "reserved_again", code: "A" }],
    ],
  );
  tell(
    "remembers across sales: sold in one hour, asked again in the next",
    [hour(), nextHour()],
    [
      [opens, take("A", "ann", 1, { key }), "reserved"],
      [opens, buy("A"), "purchased"],
      [ends, take("B", "ann", 1, { key }), { word: "reserved_again", code: "A", saleId: 1 }],
      ["settle", 1],
      [ends, take("C", "ann", 1, { key }), { word: "reserved", code: "C", saleId: 2 }],
    ],
  );
  tell(
    "lapsed in one sale is fresh in another",
    [hour(), nextHour(), product()],
    [
      [opens, take("A", "ann", 1, { key, sale: 3 }), "reserved"],
      [opens + 99, take("B", "ann", 1, { key }), { word: "idempotency_key_reused", saleId: 1 }],
      [opens + 100, take("C", "ann", 1, { key }), { word: "reserved", code: "C", saleId: 1 }],
      [ends, take("D", "ann", 1, { key }), { word: "reserved", code: "D", saleId: 2 }],
    ],
  );
  tell(
    "used afresh still gives the first code when that was bought late",
    [hour({ stock: [9] })],
    [
      [opens, take("A", "ann", 1, { key }), "reserved"],
      [opens + 100, take("B", "ann", 1, { key }), { word: "reserved", code: "B" }],
      [opens + 100, buy("A"), "purchased"],
      [opens + 100, take("C", "ann", 1, { key }), { word: "reserved_again", code: "B" }],
      [opens + 200, take("D", "ann", 1, { key }), { word: "reserved_again", code: "A", order: 44 }],
    ],
  );
  tell(
    "made afresh in a sale that is settled first still stands for the earlier sale",
    [product({ stock: [9] }), hour()],
    [
      [opens, take("A", "ann", 1, { key, sale: 3 }), "reserved"],
      [opens + 100, take("B", "ann", 1, { key }), "reserved"],
      [opens + 200, buy("A"), "purchased"],
      ["settle", 1],
      [ends, take("C", "ann", 1, { key, sale: 3 }), { word: "reserved_again", code: "A" }],
    ],
  );
});

describe("a code that only the records have, in a sale that is held", () => {
  const { stock, ...plan } = hour();
  const archived: ArchivedCode = { code: "A", saleId: 1, itemId: 1, userId: "ann", sold: null };
  const askAt = (at: number, known: ArchivedCode, kind: "purchase" | "release"): unknown => {
    const state = emptyState(0, 0);
    addSale(state, { ...plan, stock: Int32Array.from(stock) }, 0);
    return decide(state, { kind, code: "A", archived: known }, at);
  };

  test("has expired while the sale is open, and ended with it", () => {
    expect(askAt(ends - 1, archived, "purchase")).toEqual({ word: "code_expired", of: archived });
    expect(askAt(ends, archived, "purchase")).toEqual({ word: "sale_ended", of: archived });
    expect(askAt(opens, archived, "release")).toEqual({ word: "released_again", of: archived });
  });

  test("that is sold is told again", () => {
    const of = { ...archived, sold: { seq: 7, at: opens } };
    expect(askAt(opens, of, "purchase")).toEqual({ word: "purchased_again", of });
    expect(askAt(ends, of, "purchase")).toEqual({ word: "purchased_again", of });
    expect(askAt(opens, of, "release")).toEqual({ word: "already_purchased", of });
  });

  test("of a sale that nobody has heard of for long has ended with it", () => {
    const of = { ...archived, saleId: 99 };
    expect(askAt(opens, of, "purchase")).toEqual({ word: "sale_ended", of });
  });
});

/**
 * The rules of codes and keys one by one: buying, buying late, giving back, what is told
 * when the sale is over, and what an idempotency key remembers.
 */
import { describe } from "bun:test";
import {
  buy,
  drop,
  endAt,
  ends,
  hour,
  opens,
  priceOf,
  product,
  take,
  tell,
} from "../support/story.ts";

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
      [
        ends,
        buy("A"),
        { word: "purchased_again", order: 44, soldAt: opens + 3, buyer: "guest:ann" },
      ],
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
      [ends - 1, buy("B"), { word: "purchased", code: "B", userOrdinal: 2 }],
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
      [opens + 100, buy("A"), { word: "purchased", userOrdinal: 2 }],
      [opens + 100, take("D", "ann", 1), "user_limit_reached"],
    ],
  );
  tell(
    "leaves nothing reserved behind: the unit counts once",
    [hour({ stock: [2], limit: 2 })],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens + 100, buy("A"), { word: "purchased", unit: 1, userOrdinal: 1 }],
      [opens + 100, take("B", "bob", 1), "reserved"],
      [opens + 101, buy("B"), { word: "purchased", unit: 2, userOrdinal: 1 }],
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
    "after it lapsed frees nothing twice, and it is not sold late",
    [hour({ stock: [2] })],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens, take("B", "bob", 1), "reserved"],
      [opens + 100, drop("A"), "released"],
      [opens + 100, drop("A"), "released_again"],
      [opens + 100, buy("A"), "code_expired"],
      [opens + 100, take("C", "cyd", 1), "reserved"],
      [opens + 100, take("D", "cyd", 1), "reserved"],
      [opens + 100, take("E", "dan", 1), "item_reserved"],
      [opens + 101, drop("B"), "released"],
      [opens + 200, buy("B"), { word: "code_expired", code: "B" }],
      ["crash", opens + 201],
      [opens + 201, buy("B"), "code_expired"],
      [opens + 201, drop("B"), "released_again"],
    ],
  );
  tell(
    "under another sale's id finds no code, and gives nothing back",
    [hour(), product()],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens, drop("A", "ann", 3), "code_not_found"],
      [opens, take("B", "bob", 1), "item_reserved"],
      [opens, drop("A", "ann", 1), "released"],
      [opens, drop("A", "ann", 3), "code_not_found"],
      ["crash", opens],
      [opens, drop("A", "ann", 3), "code_not_found"],
      [opens, drop("A", "ann", 1), "released_again"],
    ],
  );
});

describe("a code of somebody proven", () => {
  tell(
    "is nobody else's, of whatever name",
    [hour({ stock: [2] })],
    [
      [opens, take("A", "account:ann", 1), "reserved"],
      [opens, buy("A"), { word: "code_not_found" }],
      [opens, buy("A", "ann"), "code_not_found"],
      [opens, drop("A", "customer:ann"), "code_not_found"],
      [opens, drop("A", "account:bob"), "code_not_found"],
      [opens, buy("A", "account:ann"), "purchased"],
      [opens, buy("A", "account:bob"), "code_not_found"],
      ["settle", 1],
      [opens, buy("A", "account:ann"), "purchased_again"],
    ],
  );
  tell(
    "is nobody else's either when only the records have it",
    [hour()],
    [
      [opens, take("A", "account:ann", 1), "reserved"],
      [opens, drop("A", "account:ann"), "released"],
      ["crash", opens],
      [opens, buy("A"), "code_not_found"],
      [opens, drop("A", "account:bob"), "code_not_found"],
      [opens, drop("A", "account:ann"), "released_again"],
      [ends, buy("A", "account:ann"), "sale_ended"],
      ["settle", 1],
      [ends, buy("A", "ann"), "code_not_found"],
    ],
  );
  tell(
    "is a guest's for whoever has it",
    [hour({ stock: [2] })],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens, take("B", "ann", 1), "reserved"],
      [opens, buy("A", "account:bob"), { word: "purchased", buyer: "guest:ann" }],
      [opens, drop("B", "customer:cyd"), { word: "released", buyer: "guest:ann" }],
    ],
  );
});

describe("the price that is expected of a code", () => {
  tell(
    "is looked at while the sale is open and the code is not sold",
    [hour()],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens, buy("A", "ann", 1), { word: "price_changed", code: "A" }],
      [opens, buy("A", "ann", priceOf(1)), "purchased"],
      [opens, buy("A", "ann", 1), "purchased_again"],
    ],
  );
  tell(
    "is looked at before whether it can still be sold, and after the end",
    [hour()],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens + 100, take("B", "bob", 1), "reserved"],
      [opens + 100, buy("A", "ann", 1), "price_changed"],
      [opens + 100, buy("A", "ann", priceOf(1)), "code_expired"],
      [ends, buy("A", "ann", 1), "sale_ended"],
    ],
  );
});

describe("a clock that is set back before a restart", () => {
  tell(
    "lets what had lapsed live again, if nobody has taken its unit",
    [hour({ stock: [1, 1] })],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens, take("B", "ann", 2), "reserved"],
      [opens + 100, take("C", "bob", 1), "reserved"],
      ["crash", opens + 50],
      [opens + 50, buy("A"), "code_expired"],
      [opens + 50, take("D", "bob", 2), { word: "item_reserved", retryAt: opens + 100 }],
      [opens + 50, take("D", "cyd", 1), { word: "item_reserved", retryAt: opens + 150 }],
      [opens + 50, buy("B"), "purchased"],
      [opens + 50, buy("C"), "purchased"],
    ],
  );
  tell(
    "tells nobody to wait for a time of that clock, of what was sold late",
    [hour({ stock: [2] })],
    [
      [opens + 500, take("A", "ann", 1), { word: "reserved", expiresAt: opens + 600 }],
      ["crash", opens + 10],
      [opens + 20, take("B", "bob", 1), "reserved"],
      [opens + 110, take("C", "cyd", 1), "reserved"],
      [opens + 120, buy("A"), "purchased"],
      [opens + 130, take("D", "dan", 1), { word: "item_reserved", retryAt: opens + 210 }],
    ],
  );
  tell(
    "does not open again what was closed, by years neither",
    [hour({ stock: [2] })],
    [
      [opens, take("A", "ann", 1), "reserved"],
      [opens + 10, endAt(1, "now"), { word: "sale_changed", endsAt: opens + 11, closed: true }],
      ["crash", opens - 500],
      [opens - 500, take("B", "ann", 1, { sale: 1 }), { word: "sale_not_open", opensAt: null }],
      [opens - 500, buy("A"), "sale_ended"],
      [opens, endAt(1, ends), "sale_ended"],
      [opens, take("B", "ann", 1, { sale: 1 }), "sale_not_open"],
    ],
  );
});

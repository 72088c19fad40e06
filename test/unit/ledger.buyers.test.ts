/**
 * The rules of who may buy what, at which price: kinds of buyers, expected prices, and numbers
 * that no item has.
 */
import { describe } from "bun:test";
import { buy, buyNow, ends, hour, opens, priceOf, product, take, tell } from "../support/story.ts";

describe("a buyer", () => {
  tell(
    "of one name is another in each kind, with a limit of its own",
    [hour({ stock: [9], limit: 1 })],
    [
      [opens, take("A", "ann", 1), { word: "reserved", buyer: "guest:ann" }],
      [opens, take("B", "account:ann", 1), { word: "reserved", buyer: "account:ann" }],
      [opens, take("C", "customer:ann", 1), { word: "reserved", buyer: "customer:ann" }],
      [opens, take("D", "ann", 1), { word: "user_limit_reached", retryAt: opens + 100 }],
      [opens, buy("A"), "purchased"],
      [opens, take("D", "ann", 1), { word: "user_limit_reached", retryAt: null }],
      [opens, buy("B", "account:ann"), { word: "purchased", unit: 2, userOrdinal: 1 }],
      [opens, take("D", "account:ann", 1), { word: "user_limit_reached", retryAt: null }],
    ],
  );
  tell(
    "who has proven nothing has nothing of a sale for those who have",
    [product({ access: "proven" })],
    [
      [opens - 1, take("A", "ann", 9, { sale: 3 }), { word: "unauthenticated", saleId: 3 }],
      [opens, take("A", "ann", 1, { sale: 3 }), "unauthenticated"],
      [opens, buyNow("A", "ann", 1, { sale: 3 }), "unauthenticated"],
      [opens, take("A", "customer:ann", 1, { sale: 3 }), "reserved"],
      [opens, buyNow("B", "customer:ann", 1, { sale: 3 }), "purchased"],
      [ends, take("A", "ann", 1, { sale: 3 }), "unauthenticated"],
      ["settle", 3],
      [ends, take("A", "ann", 9, { sale: 3 }), { word: "unauthenticated", saleId: 3 }],
      [ends, buyNow("A", "ann", 1, { sale: 3 }), "unauthenticated"],
      [ends, take("A", "account:ann", 1, { sale: 3 }), "sale_not_open"],
      ["crash", ends + 500],
      [ends + 500, take("A", "ann", 1, { sale: 3 }), "unauthenticated"],
      [ends + 500, buyNow("A", "account:ann", 1, { sale: 3 }), "sale_not_open"],
    ],
  );
});

describe("the price that is expected", () => {
  const price = priceOf(1);
  tell(
    "is the item's, or nothing is reserved",
    [hour({ stock: [1, 1] })],
    [
      [opens, take("A", "ann", 1, { price: price + 1 }), { word: "price_changed", saleId: 1 }],
      [opens, take("A", "ann", 2, { price }), "price_changed"],
      [opens, take("A", "ann", 1, { price }), "reserved"],
      [opens, take("B", "ann", "any", { price }), "price_changed"],
      [opens, take("B", "ann", "any", { price: priceOf(2) }), { word: "reserved", itemId: 2 }],
    ],
  );
  tell(
    "is looked at after whether the sale is open, and before what is left",
    [hour({ stock: [1] })],
    [
      [opens - 1, take("A", "ann", 1, { price: 1, sale: 1 }), "sale_not_open"],
      [opens, take("A", "ann", 1), "reserved"],
      [opens, buy("A"), "purchased"],
      [opens, take("B", "ann", 1, { price: 1 }), "price_changed"],
      [opens, take("B", "ann", 1, { price }), "item_sold_out"],
    ],
  );
});

describe("a number without an item", () => {
  tell(
    "is no item's, is not taken for any, and keeps the others' numbers",
    [hour({ stock: [1, 0, 1] })],
    [
      [opens, take("A", "ann", 2), { word: "item_not_found", saleId: 1 }],
      [opens, buyNow("A", "ann", 2), "item_not_found"],
      [opens, take("A", "ann", "any"), { word: "reserved", itemId: 1 }],
      [opens, take("B", "ann", "any"), { word: "reserved", itemId: 3 }],
      [opens, take("C", "ann", "any"), "item_reserved"],
    ],
  );
});

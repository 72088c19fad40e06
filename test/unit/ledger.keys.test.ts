/** The rules of idempotency keys one by one: what a key remembers, of whom, and for how long. */
import { describe, expect, test } from "bun:test";
import { check } from "../../src/ledger/check.ts";
import { addSale, settleSale } from "../../src/ledger/state.ts";
import { openState, openTerms, reserved } from "../support/state.ts";
import {
  buy,
  buyNow,
  drop,
  ends,
  hour,
  nextHour,
  opens,
  priceOf,
  product,
  take,
  tell,
} from "../support/story.ts";

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
      [ends, take("C", "ann", 1, { key }), { word: "reserved_again", code: "A", saleId: 1 }],
      ["crash", ends + 500],
      [ends + 500, take("D", "ann", 1, { key }), { word: "reserved_again", code: "A" }],
      [ends + 500, take("D", "bob", 1, { key }), { word: "reserved", code: "D", saleId: 2 }],
    ],
  );
  tell(
    "of a sale that is settled refuses other parameters, and remembers an order too",
    [hour({ stock: [9, 9], limit: 9 }), nextHour(), product({ stock: [9], limit: 9 })],
    [
      [opens, take("A", "ann", 1, { key }), "reserved"],
      [opens, take("B", "ann", 1, { key: "lapses" }), "reserved"],
      [opens + 1, buy("A"), "purchased"],
      [opens + 2, buyNow("C", "ann", 1, { sale: 3, key: "order", units: 2 }), "purchased"],
      [ends, take("D", "ann", 1, { key }), { word: "reserved_again", code: "A" }],
      ["settle", 1],
      ["settle", 3],
      [ends, take("D", "ann", 2, { key }), { word: "idempotency_key_reused", saleId: 2 }],
      [ends, buyNow("D", "ann", 1, { sale: 3, key }), "idempotency_key_reused"],
      [
        ends,
        buyNow("D", "ann", 1, { sale: 3, key: "order", units: 2 }),
        { word: "purchased_again", code: "C", saleId: 3 },
      ],
      [
        ends,
        buyNow("D", "ann", 1, { sale: 3, key: "order" }),
        { word: "idempotency_key_reused", saleId: 3 },
      ],
      [ends, take("D", "ann", 1, { key: "order", sale: 3 }), "idempotency_key_reused"],
      [ends, take("D", "ann", 1, { key: "lapses" }), { word: "reserved", code: "D", saleId: 2 }],
      [ends, take("E", "ann", 1, { key: "lapses" }), { word: "reserved_again", code: "D" }],
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
    "used afresh gives what lives, and then the first code when that was bought late",
    [hour({ stock: [9] })],
    [
      [opens, take("A", "ann", 1, { key }), "reserved"],
      [opens + 100, take("B", "ann", 1, { key }), { word: "reserved", code: "B" }],
      [opens + 100, buy("A"), "purchased"],
      [opens + 100, take("C", "ann", 1, { key }), { word: "reserved_again", code: "B" }],
      [opens + 200, take("D", "ann", 1, { key }), { word: "reserved_again", code: "A", order: 44 }],
      [opens + 200, buy("B"), "purchased"],
      [opens + 200, take("D", "ann", 1, { key }), { word: "reserved_again", code: "B" }],
      ["crash", opens + 201],
      [opens + 201, take("D", "ann", 1, { key }), { word: "reserved_again", code: "B" }],
    ],
  );
  tell(
    "used in another sale since leaves the first sale's books alone",
    [hour(), product()],
    [
      [opens, take("A", "ann", 1, { key, sale: 3 }), "reserved"],
      [opens + 100, take("B", "ann", 1, { key }), "reserved"],
      ["checkpoint", 1],
      ["crash", opens + 101],
      [opens + 101, take("C", "ann", 1, { key }), { word: "reserved_again", code: "B" }],
      [opens + 101, take("C", "bob", 1), "item_reserved"],
      ["crash", opens + 50],
      [opens + 50, take("D", "bob", 1, { sale: 3 }), "item_reserved"],
      [opens + 50, take("D", "ann", 1, { key }), { word: "reserved_again", code: "B" }],
    ],
  );
  tell(
    "is a user's own in every kind",
    [hour({ stock: [9] })],
    [
      [opens, take("A", "ann", 1, { key }), "reserved"],
      [opens, take("B", "account:ann", 1, { key }), { word: "reserved", code: "B" }],
      [opens, take("C", "ann", 1, { key, price: priceOf(1) }), "idempotency_key_reused"],
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

test("a sale is settled without a look at the keys of others", () => {
  const { state, sale } = openState([1_000], { perUserLimit: 1_000 });
  const small = addSale(state, openTerms([9], { id: 2, endsAt: 10 }), 0);
  for (let n = 1; n <= 1_000; n += 1) reserved({ state, sale }, n, "ann", { key: `k${n}` });
  reserved({ state, sale: small }, 1_001, "ann", { key: "k1" });
  reserved({ state, sale: small }, 1_002, "bob", { key: "k2" });
  let looks = 0;
  const { get, keys } = state.keys;
  state.keys.get = (name) => {
    looks += 1;
    return get.call(state.keys, name);
  };
  state.keys.keys = () => {
    looks += state.keys.size;
    return keys.call(state.keys);
  };
  settleSale(state, small);
  expect(looks).toBeLessThan(10);
  Object.assign(state.keys, { get, keys });
  expect(state.keys.size).toBe(1_000);
  expect(check(state)).toEqual([]);
});

test("the auditor says that a sale does not know of its keys, or of keys that are not its own", () => {
  const { state, sale } = openState([9]);
  reserved({ state, sale }, 1, "ann", { key: "k" });
  expect(check(state)).toEqual([]);
  sale.keys.add("another");
  expect(check(state)).toEqual(["sale 1: a key is not used in it any more"]);
  sale.keys.clear();
  expect(check(state)).toEqual(["a sale does not know of a key that is used in it"]);
});

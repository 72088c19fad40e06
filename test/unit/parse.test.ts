/**
 * A checkout's URL, read beside the platform's own reader of queries: whichever way in the parser
 * takes, the usual or the long one, it must come to the same.
 */
import { describe, expect, test } from "bun:test";
import { type CheckoutAsked, Invalid, parseCheckout } from "../../src/http/parse.ts";
import { Random, seeds } from "../support/random.ts";
import { upTo } from "../support/wait.ts";

const queriesASeed = 20_000;

const names = [
  "user_id",
  "id",
  "item_id",
  "sale_id",
  "expected_price_cents",
  "user_id",
  "id",
  "x",
  "user_idx",
  "i",
  "",
];
const values = [
  "ann",
  "a.b_c@d:e-f",
  "7",
  "10000",
  "07",
  "0",
  "-1",
  "1.5",
  "any",
  "ANY",
  "any7",
  "999999999",
  "1000000000",
  "2147483647",
  "2147483648",
  "99999999999999999999",
  "",
  "+",
  "%20",
  "a+b",
  "%61ny",
  "%37",
  "é",
  "a\u00A0b",
  "?user_id=eve",
  "ann?",
  "x".repeat(255),
  "x".repeat(256),
];

const digits = /^[0-9]+$/;
const integerMax = 2 ** 31 - 1;

/** What the contract says of a query. Who has proven something need not be named. */
function expected(url: string): CheckoutAsked | "refused" {
  const query = new URLSearchParams(url.slice(url.indexOf("?") + 1));
  const userId = query.get("user_id");
  if (userId !== null && (userId.trim() === "" || userId.length > 255)) return "refused";
  const id = query.get("id") ?? query.get("item_id");
  if (id !== "any" && !(id !== null && digits.test(id) && Number(id) > 0)) return "refused";
  const price = query.get("expected_price_cents");
  if (price !== null && !(digits.test(price) && Number(price) <= integerMax)) return "refused";
  const saleId = query.get("sale_id");
  const known = saleId !== null && digits.test(saleId) && Number(saleId) > 0;
  const sale = known && Number(saleId) <= integerMax ? Number(saleId) : "unknown";
  return {
    userId,
    item: id === "any" ? "any" : Math.min(Number(id), Number.MAX_SAFE_INTEGER),
    sale: saleId === null ? "current" : sale,
    expectedPriceCents: price === null ? null : Number(price),
    ticket: null,
  };
}

function draw(random: Random): string {
  const usual = ["user_id=ann", `id=${random.pick(values)}`, `sale_id=${random.pick(values)}`];
  if (random.chance(0.3)) usual.push(`expected_price_cents=${random.pick(values)}`);
  const mixed = upTo(random.between(0, 4)).map(() => {
    const name = random.pick(names) ?? "";
    return random.chance(0.05) ? name : `${name}=${random.pick(values)}`;
  });
  const parts = random.chance(0.5)
    ? usual.slice(random.chance(0.2) ? 1 : 0, random.between(2, 4))
    : mixed;
  if (random.chance(0.3)) parts.reverse();
  return `http://127.0.0.1:8080/checkout?${parts.join("&")}`;
}

const at = (query: string) => parseCheckout(`http://127.0.0.1/checkout?${query}`);

describe("a checkout's URL", () => {
  test.each(seeds(3))("is read as the platform reads it: SEED=%d", (seed) => {
    const random = new Random(seed);
    let read = 0;
    for (const _ of upTo(queriesASeed)) {
      const url = draw(random);
      const asked = parseCheckout(url);
      const found = asked instanceof Invalid ? "refused" : asked;
      const wanted = expected(url);
      if (!Bun.deepEquals(found, wanted)) expect({ url, found }).toEqual({ url, found: wanted });
      if (found !== "refused") read += 1;
    }
    // Refusing everything would not do.
    expect(read).toBeGreaterThan(queriesASeed / 10);
  });

  test("need not name anybody, and may say what the price should be", () => {
    const asked: CheckoutAsked = {
      userId: null,
      item: 7,
      sale: "current",
      expectedPriceCents: null,
      ticket: null,
    };
    expect([
      at("id=7"),
      at("id=7&expected_price_cents=0"),
      at(`id=7&expected_price_cents=${integerMax}`),
    ]).toEqual([
      asked,
      { ...asked, expectedPriceCents: 0 },
      { ...asked, expectedPriceCents: integerMax },
    ]);
    const refused = ["1.5", "-1", "", "ten", String(integerMax + 1), "+1"].map((price) => {
      const found = at(`user_id=ann&id=7&expected_price_cents=${price}`);
      return found instanceof Invalid && found.detail.startsWith("expected_price_cents ");
    });
    expect(refused).toEqual(refused.map(() => true));
    expect(at("user_id=&id=7")).toBeInstanceOf(Invalid);
  });
});

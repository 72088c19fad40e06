/**
 * Buying in product sales, over HTTP: in two steps and in one, by who may, and what a code is
 * good for.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { accepted, audit, reservation } from "../support/contract.ts";

import { usePostgres } from "../support/postgres.ts";

import { isSettled } from "../support/shop.ts";
import {
  flashSaleShape,
  newProduct,
  newSale,
  openPeopledStorefront,
  orderShape,
  read,
  told,
} from "../support/storefront.ts";
import { until } from "../support/wait.ts";

const postgres = usePostgres();
const minuteMs = 60_000;

type Peopled = Awaited<ReturnType<typeof openPeopledStorefront>>;
let { clock, front, admin, ann, bob, nobody } = {} as Peopled;

beforeAll(async () => {
  ({ clock, front, admin, ann, bob, nobody } = await openPeopledStorefront(
    await postgres.newRecords(),
  ));
});

/** A sale of new products that is open now. */
async function openSale(stocks: readonly number[], limit = 1) {
  const items = [];
  for (const stock of stocks) items.push({ product: await newProduct(admin, "Lamp"), stock });
  const window = { startsAt: clock.now, endsAt: clock.now + 10 * minuteMs };
  return await newSale(admin, { ...window, limit, items });
}

const saleNow = async (id: number) =>
  read(await nobody.get(`/api/flash-sales/${id}`), flashSaleShape);

const shownReservation = reservation.extend({
  item: z.looseObject({ id: z.int() }),
  product_id: z.int(),
});

describe("two steps", () => {
  test("reserve and buy, for who is logged in", async () => {
    const sale = await openSale([1]);
    const product = sale.items[0]?.product_id ?? 0;
    expect(told(await nobody.reserve(sale.id, 1))).toBe("401 unauthenticated");
    const held = read(await ann.reserve(sale.id, 1), shownReservation);
    expect(held).toMatchObject({ user_id: "Ann", sale_id: sale.id, product_id: product });
    expect(told(await bob.reserve(sale.id, 1))).toBe("409 item_reserved");
    expect(read(await ann.reserve(sale.id, 1), shownReservation).code).toBe(held.code);
    expect(told(await nobody.purchase(held.code))).toBe("401 unauthenticated");
    expect(told(await bob.purchase(held.code))).toBe("404 code_not_found");
    const order = read(await ann.purchase(held.code), orderShape);
    expect(order).toMatchObject({
      code: held.code,
      codes: [held.code],
      user_id: "Ann",
      product_id: product,
      quantity: 1,
      total_cents: 500,
      replayed: false,
    });
    expect(read(await ann.purchase(held.code), orderShape)).toEqual({ ...order, replayed: true });
    expect(told(await bob.reserve(sale.id, 1))).toBe("409 item_sold_out");
  });

  test("a reservation is given back by its account alone, and runs out by itself", async () => {
    const sale = await openSale([1]);
    const path = (code: string) => `/api/flash-sales/${sale.id}/checkout?code=${code}`;
    const { code } = read(await ann.reserve(sale.id, "any"), shownReservation);
    expect(told(await bob.ask("DELETE", path(code)))).toBe("404 code_not_found");
    expect(told(await ann.ask("DELETE", path(code)))).toBe("204");
    expect(told(await ann.ask("DELETE", path(code)))).toBe("204");
    expect(told(await ann.purchase(code))).toBe("410 code_expired");
    const again = read(await bob.reserve(sale.id, 1), shownReservation);
    clock.now += 121_000;
    const late = read(await ann.reserve(sale.id, 1), shownReservation);
    expect(told(await bob.purchase(again.code))).toBe("410 code_expired");
    expect(told(await ann.purchase(late.code))).toBe("200");
    expect(told(await ann.ask("DELETE", path(late.code)))).toBe("409 already_purchased");
  });

  test("an idempotency key gives the first code again", async () => {
    const sale = await openSale([2, 2], 2);
    const first = read(await ann.reserve(sale.id, 1, "key-1"), shownReservation);
    expect(read(await ann.reserve(sale.id, 1, "key-1"), shownReservation)).toEqual(first);
    expect(told(await ann.reserve(sale.id, 2, "key-1"))).toBe("422 idempotency_key_reused");
    expect(told(await bob.reserve(sale.id, 1, "key-1"))).toBe("200");
  });

  test("bodies that are none change nothing", async () => {
    const sale = await openSale([2]);
    const path = `/api/flash-sales/${sale.id}/checkout`;
    for (const body of [{}, { item_id: 0 }, { item_id: -1 }, { item_id: 1.5 }, { item_id: "1" }]) {
      const answer = await ann.post(path, body);
      expect(told(answer)).toBe("400 invalid_request");
      const detail = "item_id is neither a positive integer nor any";
      expect(answer.json()).toMatchObject({ detail });
    }
    expect(told(await ann.reserve(sale.id, 2))).toBe("404 item_not_found");
    expect(told(await ann.reserve(999_999, 1))).toBe("404 sale_not_found");
    for (const body of [{}, { code: 7 }, { code: "x" }, { code: null }]) {
      expect(told(await ann.post("/api/purchases", body))).toBe("400 invalid_request");
    }
    expect(told(await ann.purchase(crypto.randomUUID()))).toBe("404 code_not_found");
    expect(await saleNow(sale.id)).toMatchObject({ sold: 0, reserved: 0 });
  });
});

describe("one step", () => {
  test("reserves and sells, to the limit and the stock", async () => {
    const sale = await openSale([5, 1], 3);
    const [first = 0, second = 0] = sale.items.map((item) => item.product_id);
    const order = read(await ann.buy(sale.id, first, 2), orderShape);
    expect(order).toMatchObject({ quantity: 2, total_cents: 1_000, replayed: false });
    expect(new Set(order.codes).size).toBe(2);
    expect(order.code).toBe(order.codes[0] ?? "");
    // Each code is the order's.
    const again = read(await ann.purchase(order.codes[1] ?? ""), orderShape);
    expect(again).toEqual({ ...order, replayed: true });
    expect(told(await ann.buy(sale.id, first, 2))).toBe("409 user_limit_reached");
    expect(told(await bob.buy(sale.id, first, 3))).toBe("200");
    expect(told(await ann.buy(sale.id, first))).toBe("409 item_sold_out");
    expect(told(await bob.purchase(order.code))).toBe("404 code_not_found");
    expect(told(await ann.buy(sale.id, second))).toBe("200");
    expect(await saleNow(sale.id)).toMatchObject({ sold: 6, available: 0 });
    const proof = accepted(await front.client.get(`/sales/${sale.id}/audit`), audit);
    expect(proof).toMatchObject({ sold: 6, max_units_one_user: 3, ok: true });
  });

  test("a quantity that is none is refused, and nothing changes", async () => {
    const sale = await openSale([9], 3);
    const product = sale.items[0]?.product_id ?? 0;
    for (const quantity of [0, -1, 1.5, 4, 1e9, 2 ** 53, "1", null, true, [1]]) {
      expect(told(await ann.buy(sale.id, product, quantity))).toBe("400 invalid_request");
    }
    const missing = { flash_sale_id: sale.id, product_id: product };
    const answer = await ann.post("/api/purchases", missing);
    expect(told(answer)).toBe("400 invalid_request");
    expect(answer.text).toContain("quantity is not an integer from 1 to");
    expect(await saleNow(sale.id)).toMatchObject({ sold: 0, reserved: 0, available: 9 });
  });

  test("names a product of the sale, in its window", async () => {
    const sale = await openSale([1]);
    const product = sale.items[0]?.product_id ?? 0;
    const other = await newProduct(admin, "Not on sale");
    expect(told(await nobody.buy(sale.id, product))).toBe("401 unauthenticated");
    expect(told(await ann.buy(sale.id, other))).toBe("404 item_not_found");
    expect(told(await ann.buy(999_999, product))).toBe("404 sale_not_found");
    const startsAt = clock.now + minuteMs;
    const items = [{ product, stock: 1 }];
    const coming = await newSale(admin, { startsAt, endsAt: startsAt + minuteMs, items });
    const early = await ann.buy(coming.id, product);
    expect(told(early)).toBe("409 sale_not_open");
    expect(early.headers.get("Retry-After")).toBe("60");
    expect(told(await ann.reserve(coming.id, 1))).toBe("409 sale_not_open");
    clock.now = startsAt + minuteMs;
    const late = await ann.buy(coming.id, product);
    expect([told(late), late.headers.get("Retry-After")]).toEqual(["409 sale_not_open", null]);
  });
});

test("a code of a product sale is good for its owner alone, on whatever path", async () => {
  const sale = await openSale([3], 3);
  const { code } = read(await ann.reserve(sale.id, 1), shownReservation);
  const { client } = front;
  expect(told(await client.checkout("Ann", 1, { sale: sale.id }))).toBe("401 unauthenticated");
  for (const someone of [{}, bob.headers]) {
    expect(told(await client.purchase(code, { headers: someone }))).toBe("404 code_not_found");
    expect(told(await client.release(code, { headers: someone }))).toBe("404 code_not_found");
  }
  const { headers } = ann;
  const order = read(await client.purchase(code, { headers }), orderShape);
  expect(read(await ann.purchase(code), orderShape)).toEqual({ ...order, replayed: true });
  expect(told(await client.purchase(code))).toBe("404 code_not_found");
  expect(told(await client.release(code))).toBe("404 code_not_found");
  expect(told(await client.release(code, { headers }))).toBe("409 already_purchased");
  const back = read(await ann.reserve(sale.id, 1), shownReservation);
  expect((await client.release(back.code, { headers })).status).toBe(204);
  // A guest's code of the hour is whoever's has it, in the shop too.
  const hourly = await client.reserve("Ann", 1);
  const bought = await ann.purchase(hourly.code);
  expect(bought.json()).toMatchObject({ user_id: "Ann", buyer: "guest", code: hourly.code });
  expect(told(await client.purchase(hourly.code))).toBe("200");
});

test("codes of a sale long over are what they were", async () => {
  const sale = await openSale([9], 4);
  const product = sale.items[0]?.product_id ?? 0;
  const bought = read(await ann.buy(sale.id, product, 2), orderShape);
  const stepped = read(await ann.reserve(sale.id, 1), shownReservation);
  await ann.purchase(stepped.code);
  const lapsed = read(await ann.reserve(sale.id, 1), shownReservation);
  clock.now += 30 * minuteMs;
  await until("its settlement", () => isSettled(front, sale.id));
  expect(await saleNow(sale.id)).toMatchObject({ status: "ended", sold: 3, available: 6 });
  expect(read(await ann.purchase(bought.codes[1] ?? ""), orderShape)).toMatchObject({
    order_id: bought.order_id,
    quantity: 2,
    replayed: true,
  });
  expect(told(await ann.purchase(stepped.code))).toBe("200");
  expect(told(await ann.purchase(lapsed.code))).toBe("410 sale_ended");
  expect(told(await ann.buy(sale.id, product))).toBe("409 sale_not_open");
  expect(told(await ann.reserve(sale.id, 1))).toBe("409 sale_not_open");
  for (const { code } of [bought, stepped, lapsed]) {
    expect(told(await bob.purchase(code))).toBe("404 code_not_found");
    expect(told(await front.client.purchase(code))).toBe("404 code_not_found");
    expect(told(await front.client.release(code))).toBe("404 code_not_found");
  }
});

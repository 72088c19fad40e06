/**
 * The one-step purchase, prices that are expected, and items that keep their numbers: in the real
 * process, over HTTP. What is asked twice is sold once, also when the process was killed between.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import type { Sql } from "postgres";
import { z } from "zod";
import { orderUnitsMax } from "../../src/http/shop/purchases.ts";
import { saveCheckpoint } from "../../src/store/checkpoints.ts";
import { type Answer, Client, withQuery } from "../support/client.ts";
import { accepted, audit, refused } from "../support/contract.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { Clock, jwtSecret, openShop } from "../support/shop.ts";
import {
  flashSaleShape,
  newPerson,
  newProduct,
  newSale,
  orderShape,
  Person,
  read,
  told,
} from "../support/storefront.ts";
import { inTurn, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const hourMs = 3_600_000;

let url: string;
let server: TestServer;
let client: Client;
let sql: Sql;
let admin: Person;

beforeAll(async () => {
  url = await postgres.newRecords();
  server = await startServer({ DATABASE_URL: url, JWT_SECRET: jwtSecret });
  client = new Client(() => server.url);
  sql = lookInto(url);
  admin = await newPerson(sql, client, "boss", "admin");
});

/** As `kill -9`, and a start. */
async function restart(): Promise<void> {
  await server.kill();
  server = await startServer({ DATABASE_URL: url, JWT_SECRET: jwtSecret });
}

let people = 0;
const newcomer = (): Promise<Person> => newPerson(sql, client, `person-${(people += 1)}`);

type Listed = z.output<typeof flashSaleShape>;

/** A sale that is open now, of one product a stock, 500 a unit. */
async function openSale(stocks: readonly number[], limit: number): Promise<Listed> {
  const items = await inTurn(stocks, async (stock) => ({
    product: await newProduct(admin, "Lamp"),
    stock,
  }));
  const window = { startsAt: Date.now() - 1_000, endsAt: Date.now() + hourMs };
  return await newSale(admin, { ...window, limit, items });
}

const productOf = ({ items }: Listed, item = 1): number =>
  items.find(({ id }) => id === item)?.product_id ?? 0;

const oneStep = (sale: Listed, more: Record<string, unknown> = {}) => ({
  flash_sale_id: sale.id,
  product_id: productOf(sale),
  quantity: 1,
  ...more,
});

const buyWith = (person: Person, key: string, body: unknown): Promise<Answer> =>
  person.post("/api/purchases", body, { "Idempotency-Key": key });

const soldOf = async ({ id }: Listed): Promise<number> =>
  read(await client.get(`/api/flash-sales/${id}`), flashSaleShape).sold;

async function expectSound({ id }: Pick<Listed, "id">, sold: number): Promise<void> {
  const proof = accepted(await client.get(`/sales/${id}/audit`), audit);
  expect(proof).toMatchObject({ sold, ok: true });
}

describe("the same one-step purchase with one key", () => {
  test("is one order, at once, again, and over kill -9; another one is refused", async () => {
    const ann = await newcomer();
    const sale = await openSale([9, 9], 5);
    const both = await Promise.all(upTo(5).map(() => buyWith(ann, "once", oneStep(sale))));
    const orders = both.map((answer) => read(answer, orderShape));
    const first = orders.find(({ replayed }) => !replayed);
    if (first === undefined) throw new Error("no order was the first");
    for (const one of orders) expect(one).toEqual({ ...first, replayed: one !== first });
    expect(await soldOf(sale)).toBe(1);
    const others = [
      oneStep(sale, { quantity: 2 }),
      oneStep(sale, { product_id: productOf(sale, 2) }),
      oneStep(sale, { expected_price_cents: 500 }),
    ];
    const refuse = () =>
      inTurn(others, async (body) => {
        expect(told(await buyWith(ann, "once", body))).toBe("422 idempotency_key_reused");
      });
    await refuse();
    const reserving = await ann.reserve(sale.id, 1, "once");
    expect(told(reserving)).toBe("422 idempotency_key_reused");
    await restart();
    expect(read(await buyWith(ann, "once", oneStep(sale)), orderShape)).toEqual({
      ...first,
      replayed: true,
    });
    await refuse();
    // Another's key is another key.
    const bob = await newcomer();
    expect(read(await buyWith(bob, "once", oneStep(sale)), orderShape).replayed).toBe(false);
    await expectSound(sale, 2);
  });

  test("of several units gives all their codes again", async () => {
    const ann = await newcomer();
    const sale = await openSale([9], 5);
    const asked = oneStep(sale, { quantity: 3 });
    const first = read(await buyWith(ann, "three", asked), orderShape);
    expect(new Set(first.codes).size).toBe(3);
    await restart();
    const again = read(await buyWith(ann, "three", asked), orderShape);
    expect(again).toEqual({ ...first, replayed: true });
    await inTurn(first.codes, async (code) => {
      expect(read(await ann.purchase(code), orderShape)).toEqual(again);
    });
    await expectSound(sale, 3);
  });

  test("is remembered beside the purchases, when the journal is not read so far back", async () => {
    const clock = new Clock(Date.parse("2030-05-05T10:15:00Z"));
    const records = await postgres.newRecords();
    const shop = await openShop(records, { clock });
    const boss = await newPerson(shop.sql, shop.client, "boss", "admin");
    const ann = await newPerson(shop.sql, shop.client, "ann");
    const items = [{ product: await newProduct(boss, "Lamp"), stock: 5 }];
    const window = { startsAt: clock.now, endsAt: clock.now + hourMs };
    const sale = await newSale(boss, { ...window, limit: 5, items });
    const held = read(await ann.reserve(sale.id, 1, "first"), z.object({ code: z.string() }));
    const asked = oneStep(sale, { quantity: 2 });
    const order = read(await buyWith(ann, "second", asked), orderShape);
    expect(order.codes[0]).toBe(held.code);
    const noted = await shop.writer().read((view) => view.checkpoint(sale.id));
    if (noted === null) throw new Error("the sale is not held");
    await saveCheckpoint(shop.sql, 1, sale.id, { ...noted, attempts: 2, settled: false });
    await shop.sql`delete from attempts where seq < ${noted.seq}`;
    await shop.sql`update attempts set outcome = 'item_sold_out'`;
    await shop.stop();
    const again = await openShop(records, { clock });
    const back = new Person(ann.name, again.client, ann.headers["Authorization"]?.slice(7) ?? "");
    expect(read(await buyWith(back, "second", asked), orderShape)).toEqual({
      ...order,
      replayed: true,
    });
    const code = z.object({ code: z.string() });
    expect(read(await back.reserve(sale.id, 1, "first"), code).code).toBe(held.code);
    await again.stop();
  });

  test("stands for nothing after a refusal", async () => {
    const [ann, bob] = [await newcomer(), await newcomer()];
    const sale = await openSale([1], 1);
    const held = read(await bob.reserve(sale.id, 1), z.object({ code: z.string() }));
    const busy = await buyWith(ann, "k", oneStep(sale));
    refused(busy, "item_reserved", "retry");
    await client.ask("DELETE", withQuery("/checkout", { code: held.code }), {
      headers: bob.headers,
    });
    expect(read(await buyWith(ann, "k", oneStep(sale)), orderShape).replayed).toBe(false);
  });
});

describe("a one-step purchase of what one has reserved", () => {
  test("sells the reservation, at the limit and of the last unit", async () => {
    const [ann, bob] = [await newcomer(), await newcomer()];
    const sale = await openSale([1], 1);
    const { code } = read(await ann.reserve(sale.id, 1), z.object({ code: z.string() }));
    expect(told(await bob.buy(sale.id, productOf(sale)))).toBe("409 item_reserved");
    const order = read(await ann.buy(sale.id, productOf(sale)), orderShape);
    expect(order.codes).toEqual([code]);
    expect(read(await ann.purchase(code), orderShape)).toEqual({ ...order, replayed: true });
    await restart();
    expect(read(await ann.purchase(code), orderShape)).toEqual({ ...order, replayed: true });
    await expectSound(sale, 1);
  });

  test("and of more, sells that first and the others beside it", async () => {
    const ann = await newcomer();
    const sale = await openSale([9], 4);
    const own = await inTurn([1, 2], async () => {
      // With a key, so that it is a second one and not the first again.
      const key = crypto.randomUUID();
      return read(await ann.reserve(sale.id, 1, key), z.object({ code: z.string() })).code;
    });
    const order = read(await buyWith(ann, "k", oneStep(sale, { quantity: 3 })), orderShape);
    expect(order.codes.slice(0, 2)).toEqual(own);
    expect(told(await ann.buy(sale.id, productOf(sale), 2))).toBe("409 user_limit_reached");
    await restart();
    const again = read(await buyWith(ann, "k", oneStep(sale, { quantity: 3 })), orderShape);
    expect(again).toEqual({ ...order, replayed: true });
    await expectSound(sale, 3);
  });

  test("takes the one that lives before one that has lapsed", async () => {
    const clock = new Clock(Date.parse("2030-05-05T10:15:00Z"));
    const shop = await openShop(await postgres.newRecords(), { clock });
    const boss = await newPerson(shop.sql, shop.client, "boss", "admin");
    const ann = await newPerson(shop.sql, shop.client, "ann");
    const product = await newProduct(boss, "Lamp");
    const window = { startsAt: clock.now, endsAt: clock.now + hourMs };
    const items = [{ product, stock: 5 }];
    const sale = await newSale(boss, { ...window, limit: 2, items });
    const code = z.object({ code: z.string() });
    const lapsed = read(await ann.reserve(sale.id, 1), code);
    clock.now += 120_000;
    const live = read(await ann.reserve(sale.id, 1), code);
    expect(read(await ann.buy(sale.id, product), orderShape).codes).toEqual([live.code]);
    // The other still sells late.
    expect(read(await ann.purchase(lapsed.code), orderShape).replayed).toBe(false);
    await shop.stop();
  });
});

test(`an order has at most ${orderUnitsMax} units, whatever the limit of the sale`, async () => {
  const ann = await newcomer();
  const sale = await openSale([1_000], 1_000_000);
  await inTurn([orderUnitsMax + 1, 100_000, 300_000, 2 ** 31], async (quantity) => {
    const answer = await ann.buy(sale.id, productOf(sale), quantity);
    expect(told(answer)).toBe("400 invalid_request");
  });
  const order = read(await ann.buy(sale.id, productOf(sale), orderUnitsMax), orderShape);
  expect(new Set(order.codes).size).toBe(orderUnitsMax);
  await expectSound(sale, orderUnitsMax);
});

describe("a price that is expected", () => {
  test("and is not the price: nothing is done, on any path", async () => {
    const ann = await newcomer();
    const sale = await openSale([9, 9], 9);
    const { item } = await client.reserve("a guest", 1);
    const hourly = item.price_cents;
    const right = { expected_price_cents: 500 };
    const wrong = { expected_price_cents: 499 };
    const code = z.object({ code: z.string() });
    const path = `/api/flash-sales/${sale.id}/checkout`;
    const asProven = { headers: ann.headers };
    const ask = (method: string, to: string, query: Record<string, string | number>) =>
      client.ask(method, withQuery(to, query), asProven);
    const wrongly = [
      await ann.post(path, { item_id: 1, ...wrong }),
      await ann.post(path, { item_id: "any", ...wrong }),
      await ann.post("/api/purchases", oneStep(sale, wrong)),
      await ask("POST", "/checkout", { id: 1, sale_id: sale.id, ...wrong }),
      await ask("POST", "/checkout", { id: 2, expected_price_cents: hourly + 1_000_000 }),
      await ask("POST", "/checkout", { id: "any", expected_price_cents: hourly + 1_000_000 }),
    ];
    for (const answer of wrongly) refused(answer, "price_changed");
    const { code: first } = read(await ann.post(path, { item_id: 1, ...right }), code);
    refused(await ann.post("/api/purchases", { code: first, ...wrong }), "price_changed");
    refused(await ask("POST", "/purchase", { code: first, ...wrong }), "price_changed");
    const guest = await client.reserve("a guest", 3);
    const asked = { code: guest.code, expected_price_cents: guest.item.price_cents + 1 };
    refused(await client.ask("POST", withQuery("/purchase", asked)), "price_changed");
    expect(await soldOf(sale)).toBe(0);

    const rightly = [
      await ann.post("/api/purchases", { code: first, ...right }),
      await ann.post("/api/purchases", oneStep(sale, right)),
      await ask("POST", "/checkout", { id: 2, sale_id: sale.id, ...right }),
      await client.ask(
        "POST",
        withQuery("/purchase", {
          code: guest.code,
          expected_price_cents: guest.item.price_cents,
        }),
      ),
    ];
    for (const answer of rightly) expect(told(answer)).toBe("200");
    // What is bought is bought: it gives its order again whatever is expected.
    expect(
      read(await ask("POST", "/purchase", { code: first, ...wrong }), orderShape).replayed,
    ).toBe(true);
    const words = await sql<{ count: number }[]>`
      select count(*)::int as count from attempts where outcome = 'price_changed'`;
    expect(words[0]?.count).toBe(wrongly.length + 3);
  });

  test("and is none is 400", async () => {
    const ann = await newcomer();
    const sale = await openSale([9], 9);
    await inTurn([-1, 1.5, "500", 2 ** 31], async (price) => {
      const body = oneStep(sale, { expected_price_cents: price });
      expect(told(await ann.post("/api/purchases", body))).toBe("400 invalid_request");
      const item = { item_id: 1, expected_price_cents: price };
      const path = `/api/flash-sales/${sale.id}/checkout`;
      expect(told(await ann.post(path, item))).toBe("400 invalid_request");
    });
    await inTurn(["-1", "1.5", "x", ""], async (price) => {
      const query = { user_id: "ann", id: 1, expected_price_cents: price };
      refused(await client.ask("POST", withQuery("/checkout", query)), "invalid_request");
      const code = { code: crypto.randomUUID(), expected_price_cents: price };
      refused(await client.ask("POST", withQuery("/purchase", code)), "invalid_request");
    });
  });
});

/** A sale in the future, of these products. */
async function comingSale(products: readonly number[]) {
  const window = { startsAt: Date.now() + hourMs, endsAt: Date.now() + 2 * hourMs };
  const items = products.map((product) => ({ product, stock: 5 }));
  return await newSale(admin, { ...window, limit: 5, items });
}

/** Gives a sale these products, at these prices; its items then. */
const changeItems = async (id: number, products: readonly (readonly [number, number])[]) => {
  const items = products.map(([product_id, price_cents]) => ({
    product_id,
    stock: 5,
    price_cents,
  }));
  const answer = await admin.ask("PATCH", `/api/admin/flash-sales/${id}`, { items });
  const { items: listed } = read(answer, flashSaleShape);
  return listed.map(({ id: item, product_id, price_cents }) => [item, product_id, price_cents]);
};

describe("an item of a sale", () => {
  test("keeps its number in any order, and a number that was taken out is not given again", async () => {
    const products = await inTurn(upTo(4), (n) => newProduct(admin, `Thing ${n}`));
    const [a = 0, b = 0, c = 0, d = 0] = products;
    const { id, items } = await comingSale([a, b, c]);
    expect(items.map((item) => [item.id, item.product_id])).toEqual([
      [1, a],
      [2, b],
      [3, c],
    ]);
    expect(
      await changeItems(id, [
        [c, 30],
        [b, 20],
        [a, 10],
      ]),
    ).toEqual([
      [1, a, 10],
      [2, b, 20],
      [3, c, 30],
    ]);
    // The last one goes, another comes, and comes back.
    expect(
      await changeItems(id, [
        [b, 20],
        [a, 10],
      ]),
    ).toEqual([
      [1, a, 10],
      [2, b, 20],
    ]);
    expect(
      await changeItems(id, [
        [d, 40],
        [a, 10],
      ]),
    ).toEqual([
      [1, a, 10],
      [4, d, 40],
    ]);
    await restart();
    expect(
      await changeItems(id, [
        [c, 31],
        [d, 40],
      ]),
    ).toEqual([
      [4, d, 40],
      [5, c, 31],
    ]);
    // It is sold under that number, and the others are none.
    const now = { starts_at: new Date(Date.now() + 1).toISOString() };
    read(await admin.ask("PATCH", `/api/admin/flash-sales/${id}`, now), flashSaleShape);
    const ann = await newcomer();
    await inTurn([1, 2, 3, 6], async (gone) => {
      expect(told(await ann.reserve(id, gone))).toBe("404 item_not_found");
    });
    const item = z.object({ item: z.object({ id: z.int(), price_cents: z.int() }) });
    expect(read(await ann.reserve(id, 5), item).item).toEqual(
      expect.objectContaining({ id: 5, price_cents: 31 }),
    );
    expect(read(await ann.buy(id, d), orderShape).item.id).toBe(4);
    expect(read(await ann.reserve(id, "any", "k"), item).item.id).toBe(4);
    await expectSound({ id }, 1);
    const page = await client.get(`/sales/${id}/items`);
    expect(accepted(page, z.object({ items: z.array(z.object({ id: z.int() })) })).items).toEqual([
      expect.objectContaining({ id: 4 }),
      expect.objectContaining({ id: 5 }),
    ]);
    expect((await client.get(`/sales/${id}/items/3`)).status).toBe(404);
    expect((await client.get(`/sales/${id}/items/5`)).status).toBe(200);
  });
});

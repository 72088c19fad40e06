/**
 * Sales that are over for so long that only the records know of them: what a key was used for, and
 * who may ask, is what it was before, over a restart too.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { settleAfterMs } from "../../src/store/records.ts";
import { accepted, readiness, refused, reservation } from "../support/contract.ts";
import { usePostgres } from "../support/postgres.ts";
import { Clock, openShop, type Shop } from "../support/shop.ts";
import {
  newPerson,
  newProduct,
  newSale,
  orderShape,
  Person,
  read,
  told,
} from "../support/storefront.ts";
import { until } from "../support/wait.ts";

const postgres = usePostgres();
const opens = Date.parse("2030-05-05T10:00:00Z");
const ends = opens + 3_600_000;

let url: string;
let clock: Clock;
let shop: Shop;
let ann: Person;
let product: number;
let flashSale: number;

beforeAll(async () => {
  url = await postgres.newDatabase();
  clock = new Clock(opens + 60_000);
  shop = await openShop(url, { clock, terms: { items: 8, perUserLimit: 4 } });
  const admin = await newPerson(shop.sql, shop.client, "boss", "admin");
  ann = await newPerson(shop.sql, shop.client, "ann");
  product = await newProduct(admin, "Lamp");
  const items = [{ product, stock: 5 }];
  ({ id: flashSale } = await newSale(admin, { startsAt: opens, endsAt: ends, limit: 3, items }));
});

/** Some time after the next sale has opened, once it is noted that the last is over for good. */
async function settle(): Promise<void> {
  clock.now = ends + settleAfterMs;
  await until("the end of both sales for good", async () => {
    const [row] = await shop.sql<{ open: number }[]>`
      select count(*)::int as open from sales where not settled and ends_at <= ${new Date(ends)}`;
    return row?.open === 0;
  });
}

function buy(key: string, quantity = 2) {
  const body = { flash_sale_id: flashSale, product_id: product, quantity };
  return ann.post("/api/purchases", body, { "Idempotency-Key": key });
}
const reserveOfProduct = (key: string) => ann.reserve(flashSale, 1, key);

describe("once its sale is settled", () => {
  test("a key that bought something gives that again, and takes no other parameters", async () => {
    const { client } = shop;
    const held = await client.checkout("guest", 3, { key: "k" });
    const { code } = accepted(held, reservation);
    await client.buy(code);
    const lapsed = await client.reserve("guest", 4, { key: "lapsed" });
    const ofProduct = read(await reserveOfProduct("p"), z.looseObject({ code: z.string() }));
    read(await ann.purchase(ofProduct.code), orderShape);
    const order = read(await buy("order"), orderShape);
    await settle();

    const asBefore = async () => {
      const { client: now } = shop;
      expect((await now.checkout("guest", 3, { key: "k" })).text).toBe(held.text);
      refused(await now.checkout("guest", 4, { key: "k" }), "idempotency_key_reused");
      refused(await now.checkout("guest", "any", { key: "k" }), "idempotency_key_reused");
      expect(told(await buy("k"))).toBe("409 sale_not_open");
      expect(read(await reserveOfProduct("p"), z.looseObject({ code: z.string() }))).toEqual(
        ofProduct,
      );
      expect(read(await buy("order"), orderShape)).toEqual({ ...order, replayed: true });
      expect(told(await buy("order", 1))).toBe("422 idempotency_key_reused");
      expect(told(await buy("another"))).toBe("409 sale_not_open");
    };
    await asBefore();
    // What had lapsed may be tried afresh; another's key is another key.
    const afresh = await shop.client.reserve("guest", 4, { key: "lapsed" });
    expect(afresh.code).not.toBe(lapsed.code);
    expect((await shop.client.reserve("other", 3, { key: "k" })).code).not.toBe(code);
    await shop.stop();
    const token = ann.headers["Authorization"]?.replace("Bearer ", "") ?? null;
    shop = await openShop(url, { clock, terms: { items: 8, perUserLimit: 4 } });
    ann = new Person("ann", shop.client, token);
    await asBefore();
  });

  test("a product sale is still for those alone who have proven who they are", async () => {
    for (const item of [1, 99]) {
      refused(await shop.client.checkout("guest", item, { sale: flashSale }), "unauthenticated");
    }
    expect(told(await ann.ask("POST", `/checkout?id=1&sale_id=${flashSale}`))).toBe(
      "409 sale_not_open",
    );
  });
});

test("an hourly sale that was ended by hand stays settled, and the next one opens", async () => {
  const records = await postgres.newRecords();
  const time = new Clock(opens + 60_000);
  const early = await openShop(records, { clock: time });
  const admin = await newPerson(early.sql, early.client, "boss", "admin");
  const { id } = await early.client.openSale();
  expect(told(await admin.post(`/api/admin/flash-sales/${id}/close`, {}))).toBe("200");
  time.now += settleAfterMs + 1_000;
  await until("its end for good", async () => {
    const rows = await early.sql`select from sales where id = ${id} and settled`;
    return rows.length === 1;
  });
  // The next is prepared once the present one was looked for.
  time.now = ends - 60_000;
  await until("the next sale", async () => {
    const rows = await early.sql`select from sales where kind = 'hourly' and id <> ${id}`;
    return rows.length === 1;
  });
  time.now = ends;
  await until("its opening", async () => (await early.client.checkout("ann", 1)).status === 200);
  expect(accepted(await early.client.get("/ready"), readiness).epoch).toBe(1);
});

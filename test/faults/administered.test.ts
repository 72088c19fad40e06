/**
 * `kill -9` right after each change of an administrator that was acknowledged: whoever leads next has
 * it, and has it once.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { z } from "zod";
import { leadsNow } from "../support/flood.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { runProgram, startServer, type TestServer } from "../support/server.ts";
import { jwtSecret } from "../support/shop.ts";
import { newPerson, newProduct, Person, read, told, wishBody } from "../support/storefront.ts";
import { until } from "../support/wait.ts";
import { Client } from "../support/client.ts";

const postgres = usePostgres();
const minuteMs = 60_000;
const sales = "/api/admin/flash-sales";

let url: string;
let server: TestServer;
let admin: Person;
let ann: Person;
let lamp: number;

const start = (): Promise<TestServer> => startServer({ DATABASE_URL: url, JWT_SECRET: jwtSecret });

beforeAll(async () => {
  url = await postgres.newRecords();
  const sql = lookInto(url);
  server = await start();
  const client = new Client(() => server.url);
  admin = await newPerson(sql, client, "boss", "admin");
  ann = await newPerson(sql, client, "ann");
  lamp = await newProduct(admin, "Lamp");
});
afterAll(() => server.kill());

/** Kills who leads, in the moment of its answer, and has another lead. */
async function killed(): Promise<void> {
  await server.kill();
  server = await start();
  await until("somebody who leads", () => leadsNow(server));
}

const withId = z.object({ id: z.int() });
const shownSale = async (id: number): Promise<unknown> =>
  (await admin.get(`/api/flash-sales/${id}`)).json();

async function announce(more: object = {}): Promise<number> {
  const now = Date.now();
  const items = [{ product: lamp, stock: 2 }];
  const wish = wishBody({ startsAt: now + 5 * minuteMs, endsAt: now + 60 * minuteMs, items });
  return read(await admin.post(sales, { ...wish, ...more }), withId, 201).id;
}

test("a sale that was announced, opened, restocked, refunded of and closed is so after a kill", async () => {
  const id = await announce();
  await killed();
  expect(await shownSale(id)).toMatchObject({ status: "upcoming", stock: 2 });

  expect(told(await admin.post(`${sales}/${id}/open`, {}))).toBe("200");
  await killed();
  expect(await shownSale(id)).toMatchObject({ status: "active" });

  const restock = { item_id: 1, units: 3 };
  expect(told(await admin.post(`${sales}/${id}/restock`, restock))).toBe("200");
  await killed();
  expect(await shownSale(id)).toMatchObject({ stock: 5, available: 5 });

  const order = read(await ann.buy(id, lamp), z.object({ order_id: z.string() }));
  const refund = { restock: true, reason: "Broken" };
  const path = `/api/admin/orders/${order.order_id}`;
  expect(told(await admin.post(`${path}/refund`, refund))).toBe("200");
  await killed();
  expect((await admin.get(path)).json()).toMatchObject({ status: "refunded" });
  expect(told(await admin.post(`${path}/refund`, refund))).toBe("409 already_refunded");
  expect(await shownSale(id)).toMatchObject({ sold: 0, refunded: 1, available: 5 });

  expect(told(await admin.post(`${sales}/${id}/close`, {}))).toBe("200");
  await killed();
  expect(await shownSale(id)).toMatchObject({ status: "ended" });
  expect(told(await ann.buy(id, lamp))).toBe("409 sale_not_open");
}, 300_000);

test("a draft that was made, changed, announced and withdrawn is so after a kill", async () => {
  const id = await announce({ state: "draft" });
  await killed();
  expect(await shownSale(id)).toMatchObject({ state: "draft", stock: 2 });

  expect(told(await admin.ask("PATCH", `${sales}/${id}`, { title: "Lamps" }))).toBe("200");
  await killed();
  expect(await shownSale(id)).toMatchObject({ state: "draft", title: "Lamps" });

  expect(told(await admin.ask("PATCH", `${sales}/${id}`, { state: "published" }))).toBe("200");
  await killed();
  const published = { state: "published", title: "Lamps", status: "upcoming" };
  expect(await shownSale(id)).toMatchObject(published);

  expect(told(await admin.ask("DELETE", `${sales}/${id}`))).toBe("204");
  await killed();
  expect(told(await admin.get(`/api/flash-sales/${id}`))).toBe("404 sale_not_found");
}, 300_000);

test("a coupon that was made, changed and removed is so after a kill", async () => {
  const path = "/api/coupons/TEN";
  expect(told(await admin.post("/api/coupons", { name: "TEN", amount: 2 }))).toBe("201");
  await killed();
  const change = { amount: 1, disabled: true, ends_at: new Date(Date.now() + minuteMs) };
  expect(told(await admin.ask("PATCH", path, change))).toBe("200");
  await killed();
  const shown = { amount: 1, remaining_amount: 1, disabled: true };
  expect((await admin.get(path)).json()).toMatchObject({
    ...shown,
    ends_at: change.ends_at.toISOString(),
  });
  const claim = { user_id: "eve", coupon_name: "TEN" };
  const eve = new Person("eve", admin.client, null);
  expect(told(await eve.post("/api/coupons/claim", claim))).toBe("409 coupon_not_active");
  expect(told(await admin.ask("PATCH", path, { disabled: false }))).toBe("200");
  await killed();
  expect(told(await eve.post("/api/coupons/claim", claim))).toBe("200");
  expect(told(await admin.ask("DELETE", path))).toBe("409 coupon_claimed");
  expect(told(await admin.post("/api/coupons", { name: "GONE", amount: 1 }))).toBe("201");
  expect(told(await admin.ask("DELETE", "/api/coupons/GONE"))).toBe("204");
  await killed();
  expect(told(await admin.get("/api/coupons/GONE"))).toBe("404 coupon_not_found");
}, 300_000);

test("what was set of the house is so after a kill, all of it is noted once, and the records are sound", async () => {
  const set = { name: "Zoo", currency: "EUR", accent: "#7a1f10" };
  expect(told(await admin.ask("PATCH", "/api/admin/settings", set))).toBe("200");
  await killed();
  expect((await admin.get("/api/admin/settings")).json()).toMatchObject(set);
  const page = z.object({ activity: z.array(z.object({ what: z.string() })) });
  const { activity } = read(await admin.get("/api/admin/activity?limit=500"), page);
  expect(activity.map(({ what }) => what).toReversed()).toEqual([
    "product.made",
    "sale.announced",
    "sale.opened",
    "sale.restocked",
    "order.refunded",
    "sale.closed",
    "sale.drafted",
    "sale.changed",
    "sale.announced",
    "sale.withdrawn",
    "coupon.made",
    "coupon.changed",
    "coupon.changed",
    "coupon.made",
    "coupon.removed",
    "settings.changed",
  ]);
  const { exitCode, output } = await runProgram(["verify"], { DATABASE_URL: url });
  expect({ exitCode, output }).toEqual({ exitCode: 0, output: expect.any(String) });
}, 300_000);

/** Who has changed what: every change of an administrator or a key is told, and nothing that was not one. */
import { beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { usePostgres } from "../support/postgres.ts";
import { rawRequest, sendRaw } from "../support/raw.ts";
import { Clock } from "../support/shop.ts";
import {
  newKey,
  newProduct,
  newSale,
  openStorefront,
  orderShape,
  Person,
  quietClock,
  read,
  told,
} from "../support/storefront.ts";

const postgres = usePostgres();
const minuteMs = 60_000;

let clock: Clock;
let front: Awaited<ReturnType<typeof openStorefront>>;
let admin: Person;
let ann: Person;

beforeAll(async () => {
  clock = quietClock();
  front = await openStorefront(await postgres.newRecords(), clock);
  admin = await front.person("boss", "admin");
  ann = await front.person("ann");
});

const change = z.object({
  seq: z.int(),
  at: z.iso.datetime(),
  who: z.string(),
  what: z.string(),
  before: z.record(z.string(), z.unknown()).nullable(),
  after: z.record(z.string(), z.unknown()).nullable(),
});
const page = z.object({ activity: z.array(change), next_after: z.int().nullable() });
const activity = async (query = "") => read(await admin.get(`/api/admin/activity${query}`), page);

/** What was noted since, the oldest first. */
async function since(seq: number) {
  const { activity: all } = await activity("?limit=500");
  return all.filter((one) => one.seq > seq).toReversed();
}
const lastSeq = async (): Promise<number> => (await activity("?limit=1")).activity[0]?.seq ?? 0;

describe("the activity", () => {
  test("tells of products, sales, orders, keys and users who changed what", async () => {
    const before = await lastSeq();
    const lamp = await newProduct(admin, "Lamp");
    await admin.ask("PATCH", `/api/admin/products/${lamp}`, { price_cents: 900 });
    const window = { startsAt: clock.now + minuteMs, endsAt: clock.now + 9 * minuteMs };
    const sale = await newSale(admin, { ...window, items: [{ product: lamp, stock: 3 }] });
    const path = `/api/admin/flash-sales/${sale.id}`;
    const ask = (method: string, to: string, body?: object) => admin.ask(method, to, body);
    await ask("PATCH", path, { title: "Lamps" });
    await ask("POST", `${path}/open`);
    await ask("PATCH", path, { title: "Lamps!", ends_at: new Date(clock.now + minuteMs) });
    const order = read(await ann.buy(sale.id, lamp), orderShape);
    await ask("POST", `/api/admin/orders/${order.order_id}/refund`, { reason: "Broken" });
    await ask("POST", `${path}/close`);
    const other = await newSale(admin, {
      startsAt: clock.now + minuteMs,
      endsAt: clock.now + 9 * minuteMs,
      items: [{ product: lamp, stock: 3 }],
    });
    await ask("DELETE", `/api/admin/flash-sales/${other.id}`);
    clock.now += 10 * minuteMs;
    await ask("DELETE", `/api/admin/products/${lamp}`);
    const users = z.object({ users: z.array(z.object({ id: z.int(), username: z.string() })) });
    const { users: found } = read(await admin.get("/api/admin/users?q=ann"), users);
    await ask("PATCH", `/api/admin/users/${found[0]?.id}`, { disabled: true });
    const noted = await since(before);
    expect(noted.map(({ what }) => what)).toEqual([
      "product.made",
      "product.changed",
      "sale.announced",
      "sale.changed",
      "sale.opened",
      "sale.changed",
      "order.refunded",
      "sale.closed",
      "sale.announced",
      "sale.withdrawn",
      "product.removed",
      "user.changed",
    ]);
    expect(noted.every(({ who }) => who === "boss")).toBe(true);
    expect(noted[1]).toMatchObject({ before: { price_cents: 1_000 }, after: { price_cents: 900 } });
    expect(noted[3]).toMatchObject({ before: { title: "A sale" }, after: { title: "Lamps" } });
    expect(noted[5]).toMatchObject({ before: { title: "Lamps" }, after: { title: "Lamps!" } });
    expect(noted[6]).toMatchObject({
      before: { status: "paid" },
      after: { status: "refunded", order_id: order.order_id, units: 1, reason: "Broken" },
    });
    expect(noted[9]).toMatchObject({ before: { sale_id: other.id }, after: null });
    expect(noted[11]).toMatchObject({ before: { disabled: false }, after: { disabled: true } });
  });

  test("tells a key by its name, and nothing of what was refused or seen", async () => {
    const before = await lastSeq();
    const merchant = await newKey(admin, "manage", "read");
    const nobody = new Person("nobody", front.client, null);
    const post = (body: object) => nobody.post("/api/admin/products", body, merchant);
    expect(told(await post({ name: "Chair", price_cents: 5 }))).toBe("201");
    expect(told(await post({ name: "", price_cents: 5 }))).toBe("400 invalid_request");
    expect(told(await admin.ask("PATCH", "/api/admin/products/9999", { name: "x" }))).toBe(
      "404 product_not_found",
    );
    expect(told(await admin.post("/api/admin/flash-sales/9999/close", {}))).toBe(
      "404 sale_not_found",
    );
    const [key, chair, ...more] = await since(before);
    expect(more).toEqual([]);
    expect(key).toMatchObject({ who: "boss", what: "key.made", before: null });
    expect(JSON.stringify(key)).not.toContain("sk_");
    expect(chair).toMatchObject({ who: key?.after?.["name"], what: "product.made" });
    expect(told(await nobody.ask("GET", "/api/admin/activity", undefined, merchant))).toBe("200");
    expect(told(await nobody.get("/api/admin/activity"))).toBe("401 unauthenticated");
  });

  test("is paged, newest first", async () => {
    const all = (await activity()).activity.map(({ seq }) => seq);
    expect(all).toEqual(all.toSorted((a, b) => b - a));
    const first = await activity("?limit=3");
    const next = await activity(`?limit=3&after=${first.next_after}`);
    expect([...first.activity, ...next.activity].map(({ seq }) => seq)).toEqual(all.slice(0, 6));
  });
});

const claimsOf = (coupon: string) => `/api/coupons/${encodeURIComponent(coupon)}/claims.csv`;

test("who has claimed a coupon is told as CSV, for who may read or manage", async () => {
  const name = 'Ten % "off", =1+1';
  const coupon = { name, amount: 5 };
  expect(told(await admin.post("/api/coupons", coupon))).toBe("201");
  for (const user_id of ["eve", "=cmd", "dan"]) {
    const claim = { user_id, coupon_name: name };
    const nobody = new Person("nobody", front.client, null);
    expect(told(await nobody.post("/api/coupons/claim", claim))).toBe("200");
  }
  const lines = (await admin.get(claimsOf(name))).text.split("\r\n");
  expect(lines).toHaveLength(5);
  expect(lines[0]).toBe("coupon_name,claim,user_id,buyer,claimed_at");
  expect(lines[1]).toStartWith('"Ten % ""off"", =1+1",1,"eve",guest,');
  expect(lines[2]).toContain(`,2,"'=cmd",guest,`);
  for (const [scope, status] of [
    ["read", "200"],
    ["manage", "200"],
    ["sell", "403 forbidden"],
  ] as const) {
    const key = await newKey(admin, scope);
    const answer = await front.client.ask("GET", claimsOf(name), { headers: key });
    expect([scope, told(answer)]).toEqual([scope, status]);
  }
  expect(told(await admin.get(claimsOf("none")))).toBe("404 coupon_not_found");
  // Dots as they are would be taken out of the path.
  expect(told(await admin.post("/api/coupons", { name: "..", amount: 1 }))).toBe("201");
  const { Authorization = "" } = admin.headers;
  const asked = rawRequest("GET /api/coupons/%2E%2E/claims.csv", `Authorization: ${Authorization}`);
  expect((await sendRaw(front.url, asked)).status).toBe(200);
  expect(told(await new Person("nobody", front.client, null).get(claimsOf(name)))).toBe(
    "401 unauthenticated",
  );
});

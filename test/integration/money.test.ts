/** What sales brought in, each item of one, and a buyer's things: the figures of the administrators' pages. */
import { beforeAll, expect, test } from "bun:test";
import { z } from "zod";
import { salesMax } from "../../src/http/admin/money.ts";
import { usePostgres } from "../support/postgres.ts";
import { Clock } from "../support/shop.ts";
import {
  newProduct,
  newSale,
  openStorefront,
  orderShape,
  type Person,
  quietClock,
  read,
  told,
} from "../support/storefront.ts";
import { inTurn, until, upTo } from "../support/wait.ts";
import { offerOf, wait } from "../support/waitlist.ts";

const postgres = usePostgres();
const minuteMs = 60_000;

let clock: Clock;
let front: Awaited<ReturnType<typeof openStorefront>>;
let admin: Person;
let ann: Person;
let bob: Person;
let lamp: number;
let chair: number;

beforeAll(async () => {
  clock = quietClock();
  front = await openStorefront(await postgres.newRecords(), clock);
  admin = await front.person("boss", "admin");
  ann = await front.person("ann");
  bob = await front.person("bob");
  lamp = await newProduct(admin, "Lamp");
  chair = await newProduct(admin, "Chair");
});

const money = z.object({
  orders: z.int(),
  buyers: z.int(),
  units: z.int(),
  refunded_units: z.int(),
  paid_cents: z.int(),
  refunded_cents: z.int(),
  revenue_cents: z.int(),
  average_order_cents: z.int().nullable(),
  stock: z.int(),
  sell_through: z.number().nullable(),
  tries: z.int(),
  conversion: z.number().nullable(),
});
const pace = z.array(z.object({ at: z.iso.datetime(), per_second: z.number() }));
const items = z.object({
  items: z.array(z.record(z.string(), z.unknown())),
  next_after: z.int().nullable(),
});

const openSale = () =>
  newSale(admin, {
    startsAt: clock.now,
    endsAt: clock.now + 30 * minuteMs,
    limit: 5,
    items: [
      { product: lamp, stock: 6 },
      { product: chair, stock: 4 },
    ],
  });
const moneyOf = async (id: number) => read(await admin.get(`/api/admin/sales/${id}/money`), money);
const itemsOf = async (id: number, query = "") =>
  read(await admin.get(`/api/admin/sales/${id}/items${query}`), items);
const buy = async (who: Person, sale: number, product: number, quantity: number) =>
  read(
    await who.post("/api/purchases", { flash_sale_id: sale, product_id: product, quantity }),
    orderShape,
  );
const refund = (order: string, body: object) =>
  admin.post(`/api/admin/orders/${order}/refund`, body);

test("a sale's money, items and tries: sold, held, taken back, put on sale again; the same once it is settled", async () => {
  const { id } = await openSale();
  expect(await moneyOf(id)).toMatchObject({
    orders: 0,
    revenue_cents: 0,
    average_order_cents: null,
    stock: 10,
    sell_through: 0,
    tries: 0,
    conversion: null,
  });
  const [hers, his] = [await buy(ann, id, lamp, 3), await buy(bob, id, chair, 1)];
  await refund(hers.order_id, { units: 1 });
  await refund(hers.order_id, { units: 1, restock: true });
  const held = await bob.post(`/api/flash-sales/${id}/checkout`, { item_id: 1 });
  const { code } = read(held, z.object({ code: z.string() }));
  // Refused: a try, and no order.
  expect(
    told(await bob.post("/api/purchases", { flash_sale_id: id, product_id: chair, quantity: 5 })),
  ).toBe("409 item_sold_out");
  const [lamps, chairs] = (await itemsOf(id)).items;
  expect(lamps).toMatchObject({
    name: "Lamp",
    stock: 6,
    sold: 1,
    refunded: 2,
    taken_out: 1,
    reserved: 1,
    available: 3,
    revenue_cents: 500,
  });
  expect(chairs).toMatchObject({ name: "Chair", sold: 1, reserved: 0, available: 3 });
  const first = await itemsOf(id, "?limit=1");
  expect(first).toMatchObject({ items: [{ id: 1 }], next_after: 1 });
  expect(await itemsOf(id, "?after=1")).toMatchObject({ items: [{ id: 2 }], next_after: null });
  const figures = {
    orders: 2,
    buyers: 2,
    units: 2,
    refunded_units: 2,
    paid_cents: 2_000,
    refunded_cents: 1_000,
    revenue_cents: 1_000,
    average_order_cents: 1_000,
    stock: 10,
    sell_through: 0.2,
    // Two bought at once, one reserved, one refused.
    tries: 4,
    conversion: 0.5,
  };
  expect(await moneyOf(id)).toEqual(figures);
  // The second step is no try of its own.
  const third = read(await bob.post("/api/purchases", { code }), orderShape);
  expect(await moneyOf(id)).toMatchObject({ orders: 3, tries: 4, conversion: 0.75 });

  await admin.post(`/api/admin/flash-sales/${id}/close`, {});
  clock.now += 60 * minuteMs;
  const settled = await moneyOf(id);
  // That it was closed is an attempt on it, too.
  expect(settled).toMatchObject({ orders: 3, tries: 5, revenue_cents: 1_500, stock: 10 });
  expect((await itemsOf(id)).items[0]).toMatchObject({ sold: 2, taken_out: 1, reserved: 0 });
  // What is taken back later counts, too.
  await refund(his.order_id, {});
  expect(await moneyOf(id)).toMatchObject({ refunded_units: 3, revenue_cents: 1_000 });
  expect(third.total_cents).toBe(500);
});

test("waiting, and what is offered to who waits, is no try", async () => {
  const { id } = await newSale(admin, {
    startsAt: clock.now,
    endsAt: clock.now + 30 * minuteMs,
    limit: 5,
    items: [{ product: lamp, stock: 1 }],
  });
  const order = await buy(ann, id, lamp, 1);
  await wait(bob, id);
  await refund(order.order_id, { restock: true });
  await inTurn(upTo(3), async () => {
    const { code } = (await offerOf(bob, id)) ?? {};
    clock.now += 3 * minuteMs;
    // Who asks has what has lapsed offered once more.
    await until(
      "an offer",
      async () => ![undefined, code].includes((await offerOf(bob, id))?.code),
    );
  });
  await bob.ask("DELETE", `/sales/${id}/waitlist`);
  expect(await moneyOf(id)).toMatchObject({ orders: 1, tries: 1, conversion: 1 });
});

test("the money of some days is that of their sales, with how attempts came over the last hour", async () => {
  const { id } = await openSale();
  await buy(ann, id, lamp, 2);
  // What was told a second ago is told again.
  clock.now += 2_000;
  const told1 = read(await admin.get("/api/admin/money"), money.extend({ sales: z.int(), pace }));
  const one = await moneyOf(id);
  expect(told1.sales).toBeGreaterThan(0);
  expect(told1.paid_cents).toBeGreaterThanOrEqual(one.paid_cents);
  expect(told1.pace).toHaveLength(60);
  const last = told1.pace.at(-1)?.per_second ?? 0;
  expect(last).toBeGreaterThan(0);
  for (const days of ["0", "8", "x"])
    expect(told(await admin.get(`/api/admin/money?days=${days}`))).toBe("400 invalid_request");
  expect(told(await admin.get("/api/admin/sales/999999/money"))).toBe("404 sale_not_found");
  expect(told(await admin.get("/api/admin/sales/999999/items"))).toBe("404 sale_not_found");
  expect(told(await admin.get(`/api/admin/sales/${id}/items?limit=501`))).toBe(
    "400 invalid_request",
  );
});

const buyer = z.object({
  totals: z.record(z.string(), z.int()),
  reservations: z.array(z.record(z.string(), z.unknown())),
  orders: z.array(z.object({ order_id: z.string() })),
  next_after: z.int().nullable(),
});

const ask = async (query: string) => read(await admin.get(`/api/admin/buyer?${query}`), buyer);

test("a buyer's orders, sums and live reservations, of their kind alone", async () => {
  const cleo = await front.person("cleo");
  const { id } = await openSale();
  const [first, second] = [await buy(cleo, id, lamp, 1), await buy(cleo, id, chair, 2)];
  await refund(second.order_id, { units: 1 });
  await cleo.post(`/api/flash-sales/${id}/checkout`, { item_id: 1 });
  const all = await ask("buyer=account&user_id=cleo");
  expect(all.totals).toEqual({ orders: 2, units: 2, paid_cents: 1_500, refunded_cents: 500 });
  expect(all.orders.map((order) => order.order_id)).toEqual([second.order_id, first.order_id]);
  expect(all.reservations).toMatchObject([{ sale_id: id, item_name: "Lamp", price_cents: 500 }]);
  expect(all.reservations[0]).not.toHaveProperty("code");
  const page = await ask("buyer=account&user_id=cleo&limit=1");
  expect(page.next_after).toBe(Number(second.order_id));
  const rest = await ask(`buyer=account&user_id=cleo&after=${page.next_after}`);
  expect(rest.orders.map((order) => order.order_id)).toEqual([first.order_id]);
  expect(await ask("buyer=guest&user_id=cleo")).toMatchObject({
    totals: { orders: 0, paid_cents: 0 },
    orders: [],
    reservations: [],
  });
  for (const query of ["", "buyer=robot&user_id=x", "buyer=guest", "buyer=guest&user_id=%20"])
    expect(told(await admin.get(`/api/admin/buyer?${query}`))).toBe("400 invalid_request");
});

test("the money of some days is that of all their sales, however many", async () => {
  const asked = async () => {
    clock.now += 2_000;
    return read(await admin.get("/api/admin/money?days=7"), z.object({ sales: z.int() })).sales;
  };
  const before = await asked();
  const from = new Date(clock.now - 6 * 86_400_000).toISOString();
  await front.sql`
    insert into sales (kind, title, starts_at, ends_at, per_user_limit, reservation_ttl_ms, item_count,
                       stored_after_seq, attempts_seq, settled)
    select 'product', 'Past', ${from}::text::timestamptz + n * interval '1 minute',
           ${from}::text::timestamptz + (n + 1) * interval '1 minute', 1, 60000, 0, 0, 0, true
    from generate_series(1, ${salesMax + 10}::int) n`;
  expect(await asked()).toBe(before + salesMax + 10);
});

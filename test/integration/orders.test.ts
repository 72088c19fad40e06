/**
 * Orders over HTTP: found by their beginnings, taken back whole and in part, put on sale again, and
 * shown to whoever has bought them; in sales that are open, over, and long settled.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { verify } from "../../src/cli/verify.ts";
import { audit } from "../support/contract.ts";
import { usePostgres } from "../support/postgres.ts";
import { isSettled } from "../support/shop.ts";
import {
  newKey,
  newProduct,
  newSale,
  openPeopledStorefront,
  orderShape,
  Person,
  read,
  told,
} from "../support/storefront.ts";
import { until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const minuteMs = 60_000;

type Peopled = Awaited<ReturnType<typeof openPeopledStorefront>>;
let { clock, front, admin, ann, bob, nobody } = {} as Peopled;

beforeAll(async () => {
  ({ clock, front, admin, ann, bob, nobody } = await openPeopledStorefront(
    await postgres.newRecords(),
  ));
});

const shown = z.object({
  order_id: z.string(),
  user_id: z.string(),
  status: z.enum(["paid", "partly_refunded", "refunded"]),
  quantity: z.int(),
  refunded_quantity: z.int(),
});
const whole = shown.extend({
  buyer: z.string(),
  codes: z.array(z.uuid()),
  units: z.array(z.object({ code: z.uuid(), refunded_at: z.iso.datetime().nullable() })),
  refunds: z.array(
    z.object({
      units: z.int(),
      restocked: z.boolean(),
      who: z.string(),
      reason: z.string().nullable(),
    }),
  ),
  attempts: z.array(z.object({ kind: z.string(), outcome: z.string() })),
});
const refunded = whole.extend({ replayed: z.boolean() });
const page = z.object({ orders: z.array(shown), next_after: z.int().nullable() });

const figures = z.object({
  stock: z.int(),
  sold: z.int(),
  refunded: z.int(),
  taken_out: z.int(),
  reserved: z.int(),
  available: z.int(),
});
const figuresOf = async (id: number) => read(await nobody.get(`/sales/${id}`), figures);
const auditOf = async (id: number) =>
  read(await nobody.get(`/sales/${id}/audit`), audit.extend({ refunded: z.int() }));

/** A sale of one product of which there are so many units, open for ten minutes. */
async function openSale(stock: number, limit = 1) {
  const product = await newProduct(admin, "Lamp");
  const window = { startsAt: clock.now, endsAt: clock.now + 10 * minuteMs };
  const { id } = await newSale(admin, { ...window, limit, items: [{ product, stock }] });
  return { id, product };
}

const bought = async (by: Person, sale: { id: number; product: number }, quantity = 1) =>
  read(await by.buy(sale.id, sale.product, quantity), orderShape);

const refund = (order: string, body: object = {}, key?: string, by = admin) =>
  by.post(
    `/api/admin/orders/${order}/refund`,
    body,
    key === undefined ? {} : { "Idempotency-Key": key },
  );

const orderOf = async (order: string) => read(await admin.get(`/api/admin/orders/${order}`), whole);

describe("a refund", () => {
  test("takes a unit out: it is nobody's, and counts for no limit", async () => {
    const sale = await openSale(2);
    const order = await bought(ann, sale);
    expect(told(await ann.buy(sale.id, sale.product))).toBe("409 user_limit_reached");
    const back = read(await refund(order.order_id, { reason: "Broken" }), refunded);
    expect(back).toMatchObject({ status: "refunded", refunded_quantity: 1, replayed: false });
    expect(back.refunds).toEqual([{ units: 1, restocked: false, who: "boss", reason: "Broken" }]);
    const gone = { stock: 2, sold: 0, refunded: 1, taken_out: 1, reserved: 0, available: 1 };
    expect(await figuresOf(sale.id)).toEqual(gone);
    await bought(ann, sale);
    // The other unit is neither sold nor free.
    expect(told(await bob.reserve(sale.id, 1))).toBe("409 item_sold_out");
    expect(told(await bob.reserve(sale.id, "any"))).toBe("409 sold_out");
    expect(await auditOf(sale.id)).toMatchObject({ sold: 1, refunded: 1, ok: true });
    const replay = await ann.purchase(order.code);
    expect(replay.json()).toMatchObject({
      order_id: order.order_id,
      replayed: true,
      refunded: true,
    });
  });

  test("puts a unit on sale again, once, under another order", async () => {
    const sale = await openSale(1);
    const order = await bought(ann, sale);
    expect(told(await bob.buy(sale.id, sale.product))).toBe("409 item_sold_out");
    expect(told(await refund(order.order_id, { restock: true }))).toBe("200");
    const free = { stock: 1, sold: 0, refunded: 1, taken_out: 0, reserved: 0, available: 1 };
    expect(await figuresOf(sale.id)).toEqual(free);
    const next = await bought(bob, sale);
    expect(next.order_id).not.toBe(order.order_id);
    expect(told(await ann.buy(sale.id, sale.product))).toBe("409 item_sold_out");
    expect(await auditOf(sale.id)).toMatchObject({ sold: 1, refunded: 1, ok: true });
    const story = (await orderOf(order.order_id)).attempts;
    expect(story.map(({ kind, outcome }) => `${kind} ${outcome}`)).toEqual([
      "buy purchased",
      "refund refunded",
    ]);
  });

  test("is of some units, until none is left", async () => {
    const sale = await openSale(5, 5);
    const order = await bought(ann, sale, 3);
    expect(told(await refund(order.order_id, { units: 4 }))).toBe("409 too_many_units");
    const part = read(await refund(order.order_id, { units: 1, restock: true }), refunded);
    expect(part).toMatchObject({ status: "partly_refunded", refunded_quantity: 1 });
    expect(told(await refund(order.order_id, { units: 3 }))).toBe("409 too_many_units");
    const rest = read(await refund(order.order_id), refunded);
    expect(rest).toMatchObject({ status: "refunded", refunded_quantity: 3 });
    expect(rest.units.every((unit) => unit.refunded_at !== null)).toBe(true);
    expect(told(await refund(order.order_id))).toBe("409 already_refunded");
    expect(await figuresOf(sale.id)).toMatchObject({ sold: 0, refunded: 3, taken_out: 2 });
    // The shop says so too, of the sale and of its item: what is taken out cannot be had any more.
    const inShop = (await nobody.get(`/api/flash-sales/${sale.id}`)).json();
    const out = { stock: 5, sold: 0, refunded: 3, taken_out: 2, available: 3 };
    expect(inShop).toMatchObject({ ...out, items: [out] });
    expect(told(await refund("987654321"))).toBe("404 order_not_found");
    expect(told(await refund("0"))).toBe("404 order_not_found");
  });

  test("names the field that is wrong, and changes nothing", async () => {
    const order = await bought(ann, await openSale(1));
    for (const [body, field] of [
      [{ units: 0 }, "units"],
      [{ units: "all" }, "units"],
      [{ restock: "yes" }, "restock"],
      [{ reason: 7 }, "reason"],
      [{ resaon: "typo" }, "resaon"],
    ] as const) {
      const answer = await refund(order.order_id, body);
      expect(told(answer)).toBe("400 invalid_request");
      expect(answer.text).toContain(field);
    }
    expect((await orderOf(order.order_id)).status).toBe("paid");
  });

  test("is done once with a key, which is its sender's own", async () => {
    const sale = await openSale(3, 3);
    const order = await bought(ann, sale, 3);
    const key = crypto.randomUUID();
    expect(read(await refund(order.order_id, { units: 1 }, key), refunded).replayed).toBe(false);
    const again = read(await refund(order.order_id, { units: 1 }, key), refunded);
    expect(again).toMatchObject({ replayed: true, refunded_quantity: 1 });
    const other = "422 idempotency_key_reused";
    expect(told(await refund(order.order_id, { units: 2 }, key))).toBe(other);
    const another = await bought(bob, await openSale(1));
    expect(told(await refund(another.order_id, { units: 1 }, key))).toBe(other);
    const merchant = await newKey(admin, "manage");
    const path = `/api/admin/orders/${order.order_id}/refund`;
    const byKey = await nobody.post(path, { units: 1 }, { ...merchant, "Idempotency-Key": key });
    expect(read(byKey, refunded)).toMatchObject({ replayed: false, refunded_quantity: 2 });
  });

  test("is for administrators and keys that manage", async () => {
    const order = await bought(ann, await openSale(1));
    expect(told(await refund(order.order_id, {}, undefined, ann))).toBe("403 forbidden");
    expect(told(await refund(order.order_id, {}, undefined, nobody))).toBe("401 unauthenticated");
    const reader = await newKey(admin, "read");
    const path = `/api/admin/orders/${order.order_id}/refund`;
    expect(told(await nobody.post(path, {}, reader))).toBe("403 forbidden");
  });

  test("of an order twenty times at once takes back what there is", async () => {
    const sale = await openSale(10, 10);
    const order = await bought(ann, sale, 10);
    const answers = await Promise.all(upTo(20).map(() => refund(order.order_id, { units: 1 })));
    const words = answers.map((answer) => told(answer)).toSorted();
    expect(words).toEqual([
      ...upTo(10).map(() => "200"),
      ...upTo(10).map(() => "409 already_refunded"),
    ]);
    const all = await bought(bob, await openSale(2, 2), 2);
    const both = await Promise.all(upTo(20).map(() => refund(all.order_id)));
    expect(both.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(await auditOf(sale.id)).toMatchObject({ sold: 0, refunded: 10, ok: true });
  });

  test("against buyers of the same unit sells it to one of them, each time", async () => {
    const sale = await openSale(1);
    let { order_id: order } = await bought(ann, sale);
    for (const round of upTo(5)) {
      const buyers = [ann, bob].map((one) => one.buy(sale.id, sale.product));
      const [back, ...sold] = await Promise.all([refund(order, { restock: true }), ...buyers]);
      expect(told(back)).toBe("200");
      const orders = sold.filter(({ status }) => status === 200);
      expect(orders.length).toBeLessThanOrEqual(1);
      const [first] = orders;
      const next =
        first === undefined
          ? await bought(round % 2 === 0 ? ann : bob, sale)
          : read(first, orderShape);
      order = next.order_id;
    }
    expect(await auditOf(sale.id)).toMatchObject({ sold: 1, refunded: 5, ok: true });
  });

  test("goes on when the sale is over, and puts nothing on sale", async () => {
    const sale = await openSale(2, 2);
    const order = await bought(ann, sale, 2);
    clock.now += 11 * minuteMs;
    expect(told(await refund(order.order_id, { units: 1, restock: true }))).toBe("200");
    const closed = { sold: 1, refunded: 1, taken_out: 1, available: 0 };
    expect(await figuresOf(sale.id)).toMatchObject(closed);
    clock.now += 11 * minuteMs;
    await until("its being settled", () => isSettled(front, sale.id));
    expect(await figuresOf(sale.id)).toMatchObject(closed);
    expect(told(await refund(order.order_id, { restock: true }))).toBe("200");
    const after = { sold: 0, refunded: 2, taken_out: 2, available: 0 };
    expect(await figuresOf(sale.id)).toMatchObject(after);
    expect(told(await refund(order.order_id))).toBe("409 already_refunded");
    expect((await ann.purchase(order.code)).json()).toMatchObject({ refunded: true });
    expect(await auditOf(sale.id)).toMatchObject({ sold: 0, refunded: 2, ok: true });
  });
});

describe("orders", () => {
  test("are found by what their number, a code or a user begins with", async () => {
    const eve = await front.person("Eve of o'Hara");
    const sale = await openSale(9, 9);
    const order = await bought(eve, sale, 2);
    const found = async (query: string) =>
      read(await admin.get(`/api/admin/orders?${query}`), page).orders.map((one) => one.order_id);
    const { order_id: id, codes } = order;
    const [, second = ""] = codes;
    for (const q of [
      id,
      id.slice(0, 2),
      second,
      second.slice(0, 30),
      "Eve of o'",
      "Eve of o'Hara",
    ]) {
      expect(await found(`q=${encodeURIComponent(q)}`)).toContain(id);
    }
    for (const q of ["eve of", "Hara", second.slice(1), "9999999", "%", "Eve_of"]) {
      expect(await found(`q=${encodeURIComponent(q)}`)).not.toContain(id);
    }
    const next = await bought(eve, sale, 1);
    const last = await bought(eve, sale, 1);
    expect(await found(`sale_id=${sale.id}`)).toEqual([last.order_id, next.order_id, id]);
    await refund(id, { units: 1 });
    await refund(next.order_id);
    const inSale = `sale_id=${sale.id}&status`;
    expect(await found(`${inSale}=partly_refunded`)).toEqual([id]);
    expect(await found(`${inSale}=refunded`)).toEqual([next.order_id]);
    expect(await found(`${inSale}=paid&q=Eve`)).toEqual([last.order_id]);
    const one = read(await admin.get(`/api/admin/orders?sale_id=${sale.id}&limit=2`), page);
    expect(one.orders.map((each) => each.order_id)).toEqual([last.order_id, next.order_id]);
    expect(await found(`sale_id=${sale.id}&limit=2&after=${one.next_after}`)).toEqual([id]);
    expect(told(await admin.get("/api/admin/orders?status=lost"))).toBe("400 invalid_request");
    expect(told(await admin.get("/api/admin/orders?page=2"))).toBe("400 invalid_request");
  });

  test("are found by a user whose name is a number that no order can have", async () => {
    const sale = await openSale(9, 9);
    for (const name of [String(2 ** 53), "9".repeat(16), "9".repeat(255)]) {
      const order = await bought(await front.person(name), sale, 1);
      for (const q of [name, name.slice(0, 16)]) {
        const answer = await admin.get(`/api/admin/orders?q=${q}&sale_id=${sale.id}`);
        expect(read(answer, page).orders.map((one) => one.order_id)).toContain(order.order_id);
      }
    }
  });

  test("tell all that was tried about them, in order", async () => {
    const sale = await openSale(1);
    const held = read(await ann.reserve(sale.id, 1), z.looseObject({ code: z.uuid() }));
    const order = read(await ann.purchase(held.code), orderShape);
    await ann.purchase(held.code);
    await refund(order.order_id);
    await refund(order.order_id);
    const { attempts, buyer } = await orderOf(order.order_id);
    expect(buyer).toBe("account");
    expect(attempts.map(({ kind, outcome }) => `${kind} ${outcome}`)).toEqual([
      "checkout reserved",
      "purchase purchased",
      "purchase purchased_again",
      "refund refunded",
      "refund already_refunded",
    ]);
  });

  test("have a receipt, for whoever has a code of it and for its owner", async () => {
    const order = await bought(ann, await openSale(2, 2), 2);
    const path = `/api/orders/${order.order_id}`;
    const receipt = read(await ann.get(path), shown.extend({ codes: z.array(z.uuid()) }));
    expect(receipt).toMatchObject({ order_id: order.order_id, codes: order.codes });
    const [, second] = order.codes;
    expect(told(await nobody.get(`${path}?code=${second}`))).toBe("200");
    expect(told(await admin.get(path))).toBe("200");
    for (const who of [nobody, bob]) expect(told(await who.get(path))).toBe("404 order_not_found");
    const other = `${path}?code=${crypto.randomUUID()}`;
    expect(told(await nobody.get(other))).toBe("404 order_not_found");
    expect(told(await nobody.get(`${path}?code=x`))).toBe("400 invalid_request");
    const forged = { Authorization: "Bearer nothing" };
    const bad = await nobody.ask("GET", `${path}?code=${second}`, undefined, forged);
    expect(told(bad)).toBe("401 unauthenticated");
  });
});

test("all of it is sound in the records", async () => {
  const lines: string[] = [];
  const isSound = await verify(front.sql, undefined, (line) => lines.push(line));
  expect({ isSound, lines }).toEqual({ isSound: true, lines });
});

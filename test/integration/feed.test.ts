/** The feed: what happened, in order, nothing skipped and nothing twice, on whichever process is asked. */
import { beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { arrivalsWaitingMax } from "../../src/engine/arrivals.ts";
import { lastEvent, readFeed } from "../../src/store/feed.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { Clock, openShop } from "../support/shop.ts";
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
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const minuteMs = 60_000;

const event = z.strictObject({
  seq: z.int(),
  type: z.string(),
  at: z.iso.datetime(),
  data: z.record(z.string(), z.unknown()),
});
const page = z.strictObject({ events: z.array(event), next_after: z.int() });
const reserved = z.object({ code: z.uuid() });

let clock: Clock;
let front: Awaited<ReturnType<typeof openStorefront>>;
let url: string;
let admin: Person;
let ann: Person;
let bob: Person;

beforeAll(async () => {
  clock = quietClock();
  url = await postgres.newRecords();
  front = await openStorefront(url, clock);
  admin = await front.person("boss", "admin");
  ann = await front.person("ann");
  bob = await front.person("bob");
});

const feed = async (query: string, from: Person = admin) =>
  read(await from.get(`/api/admin/feed?${query}`), page);

/** The number of the last event. */
async function last(): Promise<number> {
  for (let after = 0; ;) {
    const { events, next_after } = await feed(`after=${after}&limit=500`);
    if (events.length === 0) return after;
    after = next_after;
  }
}

const sale = async (stock: number, limit = stock) => {
  const product = await newProduct(admin, "Lamp");
  const window = { startsAt: clock.now + minuteMs, endsAt: clock.now + 9 * minuteMs };
  const { id } = await newSale(admin, { ...window, limit, items: [{ product, stock }] });
  return { id, product, path: `/api/admin/flash-sales/${id}` };
};

describe("the feed", () => {
  test("tells a sale's story in order, each event with what it is about", async () => {
    const after = await last();
    const { id, product, path } = await sale(2);
    expect(told(await admin.post(`${path}/open`, {}))).toBe("200");
    const first = read(await ann.reserve(id, 1), reserved);
    const bought = read(await ann.purchase(first.code), z.object({ order_id: z.string() }));
    const given = read(await bob.reserve(id, 1), reserved);
    expect(told(await bob.ask("DELETE", `/checkout?code=${given.code}`))).toBe("204");
    const order = read(await bob.buy(id, product), orderShape);
    // Nothing changed by these.
    expect(told(await ann.buy(id, product))).toBe("409 item_sold_out");
    expect(told(await ann.purchase(first.code))).toBe("200");
    const refund = `/api/admin/orders/${order.order_id}/refund`;
    expect(told(await admin.post(refund, { restock: true }))).toBe("200");
    const again = read(await ann.buy(id, product), orderShape);
    expect(told(await admin.post(`${path}/close`, {}))).toBe("200");
    const coupon = { user_id: "ann", coupon_name: "TEN" };
    expect(told(await admin.post("/api/coupons", { name: "TEN", amount: 5 }))).toBe("201");
    expect(told(await ann.post("/api/coupons/claim", coupon))).toBe("200");
    expect(told(await ann.post("/api/coupons/claim", coupon))).toBe("409 already_claimed");

    const all = await feed(`after=${after}`);
    // The hourly sale has opened by itself, perhaps since.
    const events = all.events.filter(({ data }) => (data["sale_id"] ?? id) === id);
    const ofAnn = { sale_id: id, item_id: 1, user_id: "ann", buyer: "account", quantity: 1 };
    const ofBob = { ...ofAnn, user_id: "bob" };
    expect(events.map(({ type, data }) => [type, data])).toEqual([
      ["sale.opened", { sale_id: id }],
      ["reservation.made", { ...ofAnn, code: first.code }],
      ["order.created", { ...ofAnn, code: first.code, order_id: bought.order_id }],
      ["reservation.made", { ...ofBob, code: given.code }],
      ["reservation.released", { ...ofBob, code: given.code }],
      ["order.created", { ...ofBob, code: order.code, order_id: order.order_id }],
      ["sale.sold_out", { sale_id: id }],
      ["order.refunded", { ...ofBob, code: order.code, order_id: order.order_id }],
      ["order.created", { ...ofAnn, code: again.code, order_id: again.order_id }],
      ["sale.sold_out", { sale_id: id }],
      ["sale.closed", { sale_id: id }],
      ["coupon.claimed", { user_id: "ann", buyer: "account", coupon_name: "TEN" }],
    ]);
    expect(all.next_after).toBe(all.events.at(-1)?.seq ?? 0);
    const numbers = events.map(({ seq }) => seq);
    expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b));
    expect(events[2]?.seq).toBe(Number(bought.order_id));
  });

  test("tells of several units under one order how many, and how many were taken back", async () => {
    const after = await last();
    const { id, product, path } = await sale(5);
    expect(told(await admin.post(`${path}/open`, {}))).toBe("200");
    const order = read(await ann.buy(id, product, 3), orderShape);
    const refund = `/api/admin/orders/${order.order_id}/refund`;
    expect(told(await admin.post(refund, { units: 2 }))).toBe("200");
    const { events } = await feed(`after=${after}`);
    expect(events.map(({ type, data }) => [type, data["quantity"]])).toEqual([
      ["sale.opened", undefined],
      ["order.created", 3],
      ["order.refunded", 2],
    ]);
    expect(order.codes).toContain(events[2]?.data["code"] as string);
  });

  test("tells that a sale opens and is over by the time alone, once each, before and after what is sold in it", async () => {
    const after = await last();
    const { id } = await sale(5);
    clock.now += 2 * minuteMs;
    const { code } = read(await ann.reserve(id, 1), reserved);
    clock.now += 9 * minuteMs;
    // Others are over by then, too.
    const own = async () =>
      (await feed(`after=${after}`)).events.filter(({ data }) => data["sale_id"] === id);
    await until("its end", async () => (await own()).length > 2);
    const events = await own();
    expect(events.map(({ type, data }) => [type, data["code"]])).toEqual([
      ["sale.opened", undefined],
      ["reservation.made", code],
      ["sale.closed", undefined],
    ]);
  });

  test("tells that a sale is over whose end nobody has seen, for nothing ran, and once", async () => {
    const own = quietClock();
    const records = await postgres.newRecords();
    const before = await openStorefront(records, own);
    const boss = await before.person("boss", "admin");
    const items = [{ product: await newProduct(boss, "Lamp"), stock: 2 }];
    const window = { startsAt: own.now, endsAt: own.now + minuteMs };
    const { id } = await newSale(boss, { ...window, limit: 2, items });
    const { code } = read(await boss.reserve(id, 1), reserved);
    await before.stop();
    own.now += 60 * minuteMs;
    const sql = lookInto(records, 1);
    const ofSale = async () => {
      const { events } = await readFeed(sql, { after: 0, limit: 100 });
      return events.filter(({ saleId }) => saleId === id);
    };
    // The second time it is known. What is asked comes after what is noted by itself.
    await inTurn([1, 2], async () => {
      const again = await openStorefront(records, own);
      expect(told(await again.client.checkout("guest", "any", { sale: id }))).toBe(
        "401 unauthenticated",
      );
      await again.stop();
    });
    expect((await ofSale()).map(({ type, code: of }) => [type, of])).toEqual([
      ["sale.opened", null],
      ["reservation.made", code],
      ["sale.closed", null],
    ]);
  });

  test("is the same in pages of any size, also while others buy", async () => {
    const { id } = await sale(60);
    clock.now += 2 * minuteMs;
    const after = await last();
    const buying = Promise.all(
      upTo(30).map(async () => {
        const { code } = read(await ann.reserve(id, 1), reserved);
        return await ann.purchase(code);
      }),
    );
    const seen: number[] = [];
    let done = false;
    void buying.then(() => (done = true));
    for (let at = after; ;) {
      const isLast = done;
      const { events, next_after } = await feed(`after=${at}&limit=3`);
      expect(events.length).toBeLessThanOrEqual(3);
      seen.push(...events.map(({ seq }) => seq));
      if (events.length === 0 && isLast) break;
      at = next_after;
    }
    const { events } = await feed(`after=${after}&limit=500`);
    expect(events).toHaveLength(61);
    expect(seen).toEqual(events.map(({ seq }) => seq));
    const ones = await inTurn(events, async ({ seq }) => await feed(`after=${seq - 1}&limit=1`));
    expect(ones.map((one) => one.events[0])).toEqual(events);
  });
});

test("what retention has dropped is passed over, however much it is", async () => {
  const sql = lookInto(await postgres.newRecords());
  const limit = 100;
  await sql`
    insert into sales (id, kind, title, starts_at, ends_at, per_user_limit, reservation_ttl_ms, item_count)
    overriding system value
    values (1, 'product', '', now(), now() + interval '1 hour', 1, 60000, 1)`;
  // Milestones are kept, and so are refunds; their attempts are not.
  await sql`
    insert into milestones (seq, sale_id, word) select seq, 1, 'sold_out' from generate_series(1, ${limit}) as seq`;
  await sql`
    insert into attempts (seq, at, kind, outcome) values (${limit + 1}, now(), 'milestone', 'sold_out')`;
  await sql`insert into milestones (seq, sale_id, word) values (${limit + 1}, 1, 'sold_out')`;
  const passed = await readFeed(sql, { after: 0, limit });
  expect(passed).toEqual({ events: [], upTo: limit });
  const { events, upTo: end } = await readFeed(sql, { after: passed.upTo, limit });
  expect(events).toMatchObject([{ seq: limit + 1, type: "sale.sold_out", saleId: 1 }]);
  expect(end).toBe(await lastEvent(sql));
});

describe("who waits", () => {
  test("is answered when something happens, on the leader and on a process that stands by", async () => {
    await using other = await standby();
    const after = await last();
    const waiting = [admin, other.admin].map((who) => feed(`after=${after}&wait_ms=30000`, who));
    const { id } = await sale(1);
    clock.now += 2 * minuteMs;
    await ann.reserve(id, 1);
    for (const { events } of await Promise.all(waiting)) {
      expect(events[0]).toMatchObject({ type: "sale.opened", data: { sale_id: id } });
    }
    // What is there is told at once, on both.
    const [one, another] = await Promise.all(
      [admin, other.admin].map((who) => feed(`after=${after}&wait_ms=30000`, who)),
    );
    expect(another).toEqual(one);
  });

  test("is told after its time that there is nothing", async () => {
    const after = await last();
    expect(await feed(`after=${after}&wait_ms=1`)).toEqual({ events: [], next_after: after });
  });

  test("is told that too many do", async () => {
    // Nothing that happens in between answers anybody.
    const after = (await last()) + 1_000_000;
    const ends = new AbortController();
    const path = `${front.url}/api/admin/feed?after=${after}&wait_ms=30000`;
    const wait = () => fetch(path, { headers: admin.headers, signal: ends.signal });
    // Who asks below may have taken the place of one.
    const waiting = upTo(arrivalsWaitingMax + 20).map(() => wait().catch(() => null));
    const isFull = async () =>
      told(await admin.get(`/api/admin/feed?after=${after}&wait_ms=1`)) === "503 overloaded";
    await until("too many to wait", isFull);
    expect((await feed(`after=${after}`)).events).toEqual([]);
    ends.abort();
    await Promise.all(waiting);
    await until("their leaving", async () => !(await isFull()));
  });
});

test("what is asked wrongly is refused, and who may not", async () => {
  for (const query of ["after=-1", "after=x", "limit=0", "limit=501", "wait_ms=30001", "types=x"]) {
    const answer = await admin.get(`/api/admin/feed?${query}`);
    expect([query, told(answer)]).toEqual([query, "400 invalid_request"]);
    expect(answer.text).toContain(query.slice(0, query.indexOf("=")));
  }
  const nobody = new Person("nobody", front.client, null);
  expect(told(await nobody.get("/api/admin/feed"))).toBe("401 unauthenticated");
  expect(told(await ann.get("/api/admin/feed"))).toBe("403 forbidden");
  const key = async (scope: string) =>
    await nobody.ask("GET", "/api/admin/feed", undefined, await newKey(admin, scope));
  expect(told(await key("manage"))).toBe("403 forbidden");
  expect(told(await key("read"))).toBe("200");
});

/** Another process on the same database. */
async function standby() {
  const shop = await openShop(url, { clock, terms: { items: 5 } });
  const { name } = admin;
  const token = admin.headers["Authorization"]?.replace("Bearer ", "") ?? "";
  return {
    admin: new Person(name, shop.client, token),
    [Symbol.asyncDispose]: () => shop.stop(),
  };
}

/**
 * More than one process on the same records: one leads, the others stand by, answer reads and
 * pass the rest on; when the leader is gone another leads within seconds, and no hour is ever
 * opened twice.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { storeSale } from "../../src/store/sales.ts";
import {
  accepted,
  audit,
  availability,
  itemPage,
  readiness,
  refused,
} from "../support/contract.ts";
import { newDataFolder } from "../support/leftovers.ts";
import { lookInto, newCluster, usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { Clock, openShop, type Shop } from "../support/shop.ts";
import { EventStream, stockNews, type SentEvent } from "../support/sse.ts";
import { jwtSecret } from "../support/shop.ts";
import { newPerson, read } from "../support/storefront.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();

const roleOf = async ({ client }: TestServer) => accepted(await client.get("/ready"), readiness);

/** Waits until a server leads, and returns its epoch. */
const leads = (server: TestServer) =>
  until("its leading", async () => {
    const answer = await server.client.get("/ready");
    if (answer.status !== 200) return null;
    const { role, epoch } = accepted(answer, readiness);
    return role === "leader" && epoch;
  });

const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();

describe("a leader and a standby", () => {
  let database: string;
  let leader: TestServer;
  let standby: TestServer;

  beforeAll(async () => {
    database = await postgres.newRecords();
    const limits = { SALE_PER_USER_LIMIT: "3" };
    const environment = { DATABASE_URL: database, JWT_SECRET: jwtSecret, ...limits };
    leader = await startServer(environment);
    standby = await startServer(environment);
  });

  test("are both ready, and say which they are", async () => {
    expect(await roleOf(leader)).toMatchObject({ role: "leader", epoch: 1 });
    expect(await roleOf(standby)).toMatchObject({ role: "standby", epoch: 1 });
    expect((await standby.client.get("/health")).status).toBe(200);
  });

  test("sell alike: what the standby is asked, the leader does", async () => {
    const first = await standby.client.reserve("ann", 1, { key: "k" });
    expect(await leader.client.reserve("ann", 1, { key: "k" })).toEqual(first);
    const order = await standby.client.buy(first.code);
    expect(await leader.client.buy(first.code)).toEqual({ ...order, replayed: true });
    const second = await leader.client.reserve("ann", 2);
    expect((await standby.client.release(second.code)).status).toBe(204);
    refused(await leader.client.purchase(second.code), "code_expired");
  });

  test("refuse alike, headers and all", async () => {
    await leader.client.reserve("bob", 3);
    const answer = await standby.client.checkout("eve", 3, { headers: { "X-Request-Id": "mine" } });
    refused(answer, "item_reserved", "retry");
    expect(answer.headers.get("X-Request-Id")).toBe("mine");
    refused(await standby.client.checkout("eve", "x"), "invalid_request");
    refused(await standby.client.checkout("eve", 9_999), "item_not_found");
    refused(await standby.client.ask("GET", "/checkout"), "method_not_allowed");
    const body = "x".repeat(70_000);
    refused(await standby.client.ask("POST", "/checkout", { body }), "payload_too_large");
  });

  test("keep odd texts as they are on the way", async () => {
    const user = 'ß "{}" \\ مرحبا 👩‍🚀 a+b&c=d%00';
    const { code, user_id: answered } = await standby.client.reserve(user);
    expect(answered).toBe(user);
    expect((await leader.client.buy(code)).user_id).toBe(user);
  });

  test("show the same: the standby is behind by a second at most", async () => {
    const { id } = await leader.client.openSale();
    await leader.client.reserveAndBuy("carl");
    const ofLeader = await leader.client.sale(id);
    await until("the standby's figures", async () => {
      const { attempts: _, ...figures } = await standby.client.sale(id);
      const { attempts: __, ...wanted } = ofLeader;
      return Bun.deepEquals(figures, wanted);
    });
    expect((await standby.client.openSale()).id).toBe(id);
    const items = `/sales/${id}/items?limit=500`;
    expect(accepted(await standby.client.get(items), itemPage)).toEqual(
      accepted(await leader.client.get(items), itemPage),
    );
    const whole = `/sales/${id}/catalogue`;
    expect((await standby.client.get(whole)).text).toBe((await leader.client.get(whole)).text);
    const wanted = accepted(await leader.client.get(items), itemPage).items.map(
      (one) => one.available,
    );
    await until("the event that tells of it", async () => {
      const answer = await standby.client.get(`/sales/${id}/availability`);
      return Bun.deepEquals(accepted(answer, availability).free, wanted);
    });
    expect((await standby.client.get("/sales")).json()).toEqual({
      sales: [(await leader.client.get(`/sales/${id}`)).json()],
      next_before: null,
    });
    const picture = `/sales/${id}/items/1/image.svg`;
    expect((await standby.client.get(picture)).text).toBe((await leader.client.get(picture)).text);
    const proof = accepted(await standby.client.get(`/sales/${id}/audit`), audit);
    expect(proof).toMatchObject({ ok: true, sold: ofLeader.sold });
  });

  test("show the same of a product sale that an administrator changes", async () => {
    const admin = await newPerson(lookInto(database), leader.client, "boss", "admin");
    const made = z.object({ id: z.int() });
    const lamp = { name: "Lamp", price_cents: 100 };
    const product = read(await admin.post("/api/admin/products", lamp), made, 201);
    const terms = {
      title: "Lamps",
      starts_at: inHours(1),
      ends_at: inHours(2),
      items: [{ product_id: product.id, stock: 5, price_cents: 50 }],
    };
    const { id } = read(await admin.post("/api/admin/flash-sales", terms), made, 201);
    expect(await standby.client.sale(id)).toMatchObject({ title: "Lamps", stock: 5 });
    const items = [{ product_id: product.id, stock: 7, price_cents: 40 }];
    const change = { title: "More lamps", items };
    const path = `/api/admin/flash-sales/${id}`;
    expect((await admin.ask("PATCH", path, change)).status).toBe(200);
    await until("the standby's sale", async () => {
      const { title, stock, available } = await standby.client.sale(id);
      return title === "More lamps" && stock === 7 && available === 7;
    });
    const page = accepted(await standby.client.get(`/sales/${id}/items`), itemPage);
    expect(page.items).toMatchObject([{ name: "Lamp", stock: 7, price_cents: 40 }]);
  });

  test("send the same events", async () => {
    const streams = await inTurn([leader, standby], ({ url }) => EventStream.open(url));
    await standby.client.reserveAndBuy("dora");
    const { sold } = await leader.client.openSale();
    await inTurn(streams, async (stream) => {
      await stream.upTo(
        ({ event, data }) => event === "stock" && stockNews.parse(data).sold === sold,
      );
      stream.close();
    });
  });
});

/** Whether an event tells that nothing of an item is free. */
const isOf = (item: number) => (event: SentEvent) => {
  const { items = [] } = z
    .object({ items: z.array(z.array(z.int())).optional() })
    .parse(event.data);
  return items.some(([id, free]) => id === item && free === 0);
};

test("whoever goes to another process hears there what came after the last that was told", async () => {
  const environment = { DATABASE_URL: await postgres.newDatabase() };
  await using leader = await startServer(environment);
  await using standby = await startServer(environment);
  const here = await EventStream.open(leader.url);
  const there = await EventStream.open(standby.url);
  // From here on changes are told.
  await inTurn([here, there], (stream) => stream.upTo(({ event }) => event === "stock"));
  await leader.client.reserve("ann", 3);
  const last = (await here.upTo(isOf(3))).at(-1);
  await there.upTo(isOf(3));
  here.close();
  // Told at the other before anybody comes back there.
  await leader.client.reserve("ann", 4);
  await there.upTo(isOf(4));
  const again = await EventStream.open(standby.url, last?.id);
  expect((await again.upTo(isOf(4))).length).toBeGreaterThan(0);
  for (const stream of [there, again]) stream.close();
});

describe("a standby", () => {
  test.skipIf(process.platform !== "linux")(
    "finds a leader that listens at one address only",
    async () => {
      const environment = { DATABASE_URL: await postgres.newRecords(), HOST: "127.0.0.2" };
      await using leader = await startServer(environment);
      await using standby = await startServer(environment);
      expect((await roleOf(leader)).role).toBe("leader");
      const order = await standby.client.reserveAndBuy("ann");
      expect(await leader.client.buy(order.code)).toEqual({ ...order, replayed: true });
    },
  );

  test("keeps a stream of events open in which nothing happens", async () => {
    // A comment comes when nothing was said for longer than the runtime lets a connection be
    // idle, unless it is told otherwise.
    const quietMaxMs = 20_000;
    const environment = { DATABASE_URL: await postgres.newRecords() };
    await using leader = await startServer(environment);
    await using standby = await startServer(environment);
    const streams = await inTurn([leader, standby], ({ url }) => EventStream.open(url));
    await inTurn(streams, (stream) => stream.upTo(({ event }) => event === "stock"));
    await Promise.all(streams.map((stream) => stream.comment(quietMaxMs)));
    await leader.client.reserve("ann");
    const heard = await inTurn(streams, (stream) => stream.next());
    expect(heard.map(({ event }) => event)).toEqual(["stock", "stock"]);
    for (const stream of streams) stream.close();
  });
});

describe("when the leader is gone", () => {
  test("killed, the standby leads within seconds, with all that was said", async () => {
    const environment = { DATABASE_URL: await postgres.newRecords(), SALE_PER_USER_LIMIT: "9" };
    await using leader = await startServer(environment);
    await using standby = await startServer(environment);
    await using third = await startServer(environment);
    const held = await standby.client.reserve("ann", 5, { key: "k" });
    const order = await standby.client.reserveAndBuy("ann", 6);
    const { id } = await leader.client.openSale();
    await leader.kill();

    const heir = await until("the next leader", async () => {
      const roles = await inTurn([standby, third], async (server) => {
        const answer = await server.client.get("/ready");
        return answer.text.includes('"leader"') ? server : null;
      });
      return roles.find((server) => server !== null);
    });
    expect(await leads(heir)).toBe(2);
    expect((await heir.client.openSale()).id).toBe(id);
    expect(await heir.client.reserve("ann", 5, { key: "k" })).toEqual(held);
    const other = heir === standby ? third : standby;
    await until("the other's following", async () => {
      const answer = await other.client.purchase(order.code);
      return answer.status === 200;
    });
    expect(await other.client.buy(order.code)).toMatchObject({
      order_id: order.order_id,
      replayed: true,
    });
  });

  test("stopped, it hands over, and the standby opens no second sale", async () => {
    const url = await postgres.newRecords();
    await using leader = await startServer({ DATABASE_URL: url });
    await using standby = await startServer({ DATABASE_URL: url });
    const { id } = await leader.client.openSale();
    expect(await leader.stop()).toBe(0);
    expect(await leads(standby)).toBe(2);
    expect((await standby.client.openSale()).id).toBe(id);
    expect((await lookInto(url)`select 1 from sales where starts_at < now()`).length).toBe(1);
    // And the next that comes stands by.
    await using next = await startServer({ DATABASE_URL: url });
    expect(await roleOf(next)).toMatchObject({ role: "standby", epoch: 2 });
  });
});

describe("two processes of one data folder", () => {
  test("share the embedded PostgreSQL, whoever started it, and whoever stops it", async () => {
    const environment = { STAMPEDE_DATA: await newCluster() };
    await using first = await startServer(environment);
    await using second = await startServer(environment);
    expect((await roleOf(first)).role).toBe("leader");
    expect((await roleOf(second)).role).toBe("standby");
    const order = await second.client.reserveAndBuy("ann");
    expect(await first.stop()).toBe(0);
    const epoch = await leads(second);
    expect(epoch).toBeGreaterThan(1);
    expect(await second.client.buy(order.code)).toMatchObject({
      order_id: order.order_id,
      replayed: true,
    });
    expect(await second.stop()).toBe(0);
  });

  test("may be started at the same moment, on a folder that is not there yet", async () => {
    const environment = { STAMPEDE_DATA: newDataFolder() };
    const servers = await Promise.all(upTo(2).map(() => startServer(environment)));
    const roles = await inTurn(servers, async (server) => (await roleOf(server)).role);
    expect(roles.toSorted()).toEqual(["leader", "standby"]);
    await Promise.all(servers.map((server) => server.kill()));
  });
});

const salesIn = (url: string) => lookInto(url)<{ id: number }[]>`select id from sales`;
const hourOf = async ({ client }: Shop) => (await client.openSale()).id;

describe("one hour", () => {
  const now = Date.parse("2030-05-05T10:59:00Z");

  test("is opened once by processes that start together", async () => {
    const url = await postgres.newDatabase();
    const clock = new Clock(now);
    const shops = await Promise.all(upTo(3).map(() => openShop(url, { clock })));
    const ids = await inTurn(shops, async ({ client }) => (await client.openSale()).id);
    expect(new Set(ids).size).toBe(1);
    await until("the next sale's making", async () => (await salesIn(url)).length === 2);
    await Promise.all(shops.map((shop) => shop.stop()));
  });

  test("is stored once by two who both believe to lead", async () => {
    const url = await postgres.newRecords();
    const sale = {
      kind: "hourly",
      title: "one hour",
      startsAt: now,
      endsAt: now + 3_600_000,
      perUserLimit: 1,
      reservationTtlMs: 1,
      items: [{ id: 1, name: "item", pictureSeed: "seed", priceCents: 1, stock: 1 }],
    } as const;
    const ids = await Promise.all(upTo(6).map(() => storeSale(lookInto(url), sale, 0)));
    expect(new Set(ids).size).toBe(1);
    const items = await lookInto(url)`select 1 from items`;
    expect({ sales: (await salesIn(url)).length, items: items.length }).toEqual({
      sales: 1,
      items: 1,
    });
  });

  test("is the same sale for a leader that takes over in it", async () => {
    const url = await postgres.newRecords();
    const clock = new Clock(now);
    const first = await openShop(url, { clock });
    const second = await openShop(url, { clock });
    const before = await hourOf(first);
    await first.stop();
    await until("the second's term", () => second.engine.role.name === "leader");
    expect(await hourOf(second)).toBe(before);
    clock.now = Date.parse("2030-05-05T11:00:00Z");
    const after = await until("the next hour", async () => {
      const id = await hourOf(second).catch(() => before);
      return id !== before && id;
    });
    await second.stop();
    const third = await openShop(url, { clock });
    expect(await hourOf(third)).toBe(after);
    expect((await salesIn(url)).length).toBe(2);
    await third.stop();
  });
});

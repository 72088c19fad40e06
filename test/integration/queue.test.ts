/**
 * The waiting room over HTTP, by section 8 of the contract: who joins, how they are drawn, when they
 * are let in, and that a stranger can check it; through a process that stands by, too, and after the
 * program was started again. On a clock that the test turns.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { refused } from "../support/contract.ts";
import { usePostgres } from "../support/postgres.ts";
import { Clock, openShop, type Shop } from "../support/shop.ts";
import { EventStream } from "../support/sse.ts";
import {
  newKey,
  newPerson,
  newProduct,
  read,
  wishBody,
  type Person,
} from "../support/storefront.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const opens = Date.parse("2030-05-05T11:00:00Z");
const minute = 60_000;
const queue = { admitPerSecond: 1, passTtlMs: 60_000 };
const terms = { items: 20, perUserLimit: 2, queue };

const ticketShape = z.object({
  ticket: z.uuid(),
  entry: z.string().regex(/^[0-9a-f]{64}$/),
  number: z.int().min(1),
  state: z.enum(["waiting", "admitted", "passed", "closed"]),
  rank: z.int().min(1).nullable(),
  ahead: z.int().min(0).nullable(),
  eta_ms: z.number().nullable(),
});
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const queueShape = z.object({
  sale_id: z.int(),
  state: z.enum(["gathering", "admitting", "closed"]),
  joined: z.int(),
  admitted_up_to: z.int(),
  admit_per_second: z.int(),
  paused: z.boolean(),
  commitment: hash,
  seed: hash.nullable(),
  entries_digest: hash.nullable(),
  opens_at: z.string(),
});
const newsShape = z.object({ sale_id: z.int(), joined: z.int(), state: z.string() });

type Ticket = z.output<typeof ticketShape>;

const sha256 = (text: string | Uint8Array): string =>
  new Bun.CryptoHasher("sha256").update(text).digest("hex");

/** The sale that opens at eleven. */
async function comingSale({ client }: Pick<Shop, "client">): Promise<number> {
  return await until("the next sale", async () => {
    const { next } = z
      .object({ next: z.object({ id: z.int().nullable() }) })
      .parse((await client.get("/sale")).json());
    return next.id ?? undefined;
  });
}

async function join(shop: Shop, sale: number, user: string, key?: string, status = 201) {
  const headers = key === undefined ? {} : { "Idempotency-Key": key };
  const path = `/sales/${sale}/queue?user_id=${user}`;
  return read(await shop.client.ask("POST", path, { headers }), ticketShape, status);
}

const stateOf = async ({ client }: Pick<Shop, "client">, sale: number) =>
  read(await client.get(`/sales/${sale}/queue`), queueShape);

const ticketOf = async ({ client }: Pick<Shop, "client">, sale: number, ticket: string) =>
  read(
    await client.get(`/sales/${sale}/queue/me`, { headers: { "Queue-Ticket": ticket } }),
    ticketShape,
  );

/** Waits until it is drawn; what is public is kept for a second. */
const drawn = (shop: Shop, clock: Clock, sale: number) =>
  until("the draw", async () => {
    clock.now += 1_000;
    const state = await stateOf(shop, sale);
    return state.state === "admitting" ? state : undefined;
  });

/** The lines of a draw, checked as a stranger would. */
async function checkedDraw(shop: Pick<Shop, "client">, sale: number) {
  const { seed, commitment, entries_digest } = await stateOf(shop, sale);
  expect(sha256(Uint8Array.fromHex(seed ?? ""))).toBe(commitment);
  const [head, ...lines] = (await shop.client.get(`/sales/${sale}/draw.csv`)).text
    .trim()
    .split("\n");
  expect(head).toBe("number,entry,rank");
  const rows = lines.map((line) => line.split(","));
  expect(rows.map(([number]) => Number(number))).toEqual(upTo(rows.length));
  const entries = rows.map(([, entry]) => entry ?? "");
  const digest = sha256(entries.map((entry) => `${entry}\n`).join(""));
  expect(entries_digest).toBe(digest);
  const keyOf = (entry: string): string => sha256(`${seed}:${digest}:${entry}`);
  const order = entries.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  expect(rows.map(([, entry, rank]) => [entry, Number(rank)])).toEqual(
    entries.map((entry) => [entry, order.indexOf(entry) + 1]),
  );
  return new Map(rows.map(([, entry, rank]) => [entry ?? "", Number(rank)]));
}

describe("an hourly sale with a queue", () => {
  let clock: Clock;
  let url: string;
  let shop: Shop;
  let sale: number;
  const tickets: Ticket[] = [];

  beforeAll(async () => {
    url = await postgres.newRecords();
    clock = new Clock(opens - 5 * minute);
    shop = await openShop(url, { clock, terms });
    sale = await comingSale(shop);
  });

  test("gathers before the opening, and nobody can know how it will be drawn", async () => {
    for (const user of ["ann", "bob", "cy", "dan"])
      tickets.push(await join(shop, sale, user, `key ${user}`));
    expect(tickets.map(({ number }) => number)).toEqual([1, 2, 3, 4]);
    for (const { ticket, entry, state, rank, ahead, eta_ms } of tickets) {
      expect({ entry, state, rank, ahead, eta_ms }).toEqual({
        entry: sha256(ticket),
        state: "waiting",
        rank: null,
        ahead: null,
        eta_ms: null,
      });
    }
    expect(await stateOf(shop, sale)).toMatchObject({
      state: "gathering",
      joined: 4,
      admitted_up_to: 0,
      admit_per_second: 1,
      seed: null,
      entries_digest: null,
    });
    expect(await join(shop, sale, "ann", "key ann", 200)).toEqual(tickets[0] as Ticket);
    refused(await shop.client.ask("POST", `/sales/${sale}/queue?user_id=ann`), "already_joined");
    refused(await shop.client.get(`/sales/${sale}/draw.csv`), "sale_not_open");
    const [draw] = await shop.sql<
      { seed: string }[]
    >`select seed from draws where sale_id = ${sale}`;
    const seed = draw?.seed ?? "";
    const shown = ["", "/queue", "/audit", "/items"].map((path) =>
      shop.client.get(`/sales/${sale}${path}`),
    );
    for (const { text } of await Promise.all(shown)) expect(text).not.toContain(seed);
  });

  test("is told of as it changes, and cached for a second by whoever likes", async () => {
    const stream = await EventStream.open(shop.url);
    const told = await until("what is said of the queue", async () => {
      const { event, data } = await stream.next();
      const news = event === "queue" ? newsShape.parse(data) : undefined;
      return news?.sale_id === sale && news.joined === 4 ? news : undefined;
    });
    await stream.close();
    expect(told).toEqual({ sale_id: sale, joined: 4, state: "gathering" });
    const { headers } = await shop.client.get(`/sales/${sale}/queue`);
    expect(headers.get("Cache-Control")).toBe("public, max-age=1");
  });

  test("is drawn when it opens, as anybody can check, also after kill and start", async () => {
    await shop.stop();
    shop = await openShop(url, { clock, terms });
    expect(await join(shop, sale, "ann", "key ann", 200)).toEqual(tickets[0] as Ticket);
    clock.now = opens;
    await drawn(shop, clock, sale);
    const ranks = await checkedDraw(shop, sale);
    expect(ranks.size).toBe(4);
    for (const { ticket, entry } of tickets) {
      expect((await ticketOf(shop, sale, ticket)).rank).toBe(ranks.get(entry) ?? 0);
    }
    const late = await join(shop, sale, "eve");
    expect([late.number, late.rank]).toEqual([5, 5]);
    await shop.stop();
    shop = await openShop(url, { clock, terms });
    await drawn(shop, clock, sale);
    expect(await checkedDraw(shop, sale)).toEqual(ranks);
  });

  test("lets in whoever has the turn and shows the ticket, and nobody else", async () => {
    const standby = await openShop(url, { clock, terms });
    await until("its replica", () => (standby.engine.reader === null ? undefined : true));
    clock.now = opens + 2 * minute;
    for (const at of [shop, standby]) {
      await drawn(at, clock, sale);
      refused(await at.client.checkout("ann", "any", { sale }), "not_admitted", "retry");
      refused(
        await at.client.checkout("ann", "any", { sale, headers: { "Queue-Ticket": "nonsense" } }),
        "not_admitted",
        "retry",
      );
      const bobs = { "Queue-Ticket": tickets[1]?.ticket ?? "" };
      const refusal = await at.client.checkout("ann", "any", { sale, headers: bobs });
      expect(z.object({ ahead: z.null() }).parse(refusal.json())).toEqual({ ahead: null });
      expect(refusal.headers.get("Retry-After")).not.toBeNull();
    }
    const [frank, gus] = [await join(standby, sale, "frank"), await join(shop, sale, "gus")];
    for (const [at, user, { ticket }] of [
      [shop, "frank", frank],
      [standby, "gus", gus],
    ] as const) {
      expect((await ticketOf(at, sale, ticket)).state).toBe("admitted");
      const answer = await at.client.checkout(user, "any", {
        sale,
        headers: { "Queue-Ticket": ticket },
      });
      expect(answer.status).toBe(200);
    }
    const path = `/checkout?user_id=frank&id=any&sale_id=${sale}&ticket=${frank.ticket}`;
    expect((await standby.client.ask("POST", path)).status).toBe(200);
    await standby.stop();
  });

  test("tells of a pass that has ended, and lets them join again behind everybody", async () => {
    const [{ ticket }] = tickets as [Ticket];
    // The first of the four was let in two minutes ago.
    expect((await ticketOf(shop, sale, ticket)).state).toBe("passed");
    const again = await join(shop, sale, "ann", "another key");
    expect(again.number).toBe(8);
    refused(
      await shop.client.get(`/sales/${sale}/queue/me`, {
        headers: { "Queue-Ticket": crypto.randomUUID() },
      }),
      "ticket_not_found",
    );
    refused(await shop.client.get(`/sales/${sale}/queue/me`), "invalid_request");
  });
});

describe("a product sale with a queue", () => {
  let clock: Clock;
  let shop: Shop;
  let url: string;
  let boss: Person;
  let ann: Person;
  let product: number;
  const saleShape = z.object({
    id: z.int(),
    entry: z.string(),
    admit_per_second: z.int(),
    pass_ttl_ms: z.int(),
  });

  beforeAll(async () => {
    clock = new Clock(opens);
    url = await postgres.newRecords();
    shop = await openShop(url, { clock });
    boss = await newPerson(shop.sql, shop.client, "boss", "admin");
    ann = await newPerson(shop.sql, shop.client, "ann");
    product = await newProduct(boss, "Lamp");
  });

  const announce = async (more: object) => {
    const items = [{ product, stock: 5 }];
    const wish = { startsAt: clock.now + minute, endsAt: clock.now + 60 * minute, limit: 2, items };
    return await boss.post("/api/admin/flash-sales", { ...wishBody(wish), ...more });
  };

  test("is for accounts and customers, in one step too; its rate can be changed at any time", async () => {
    const made = read(
      await announce({ entry: "queue", admit_per_second: 1, pass_ttl_ms: 5_000 }),
      saleShape,
      201,
    );
    expect(made).toMatchObject({ entry: "queue", admit_per_second: 1, pass_ttl_ms: 5_000 });
    const path = `/sales/${made.id}/queue`;
    refused(await shop.client.ask("POST", `${path}?user_id=guest`), "unauthenticated");
    refused(await ann.get(`${path}/me`), "ticket_not_found");
    const { ticket } = read(await ann.ask("POST", path), ticketShape, 201);
    expect(read(await ann.get(`${path}/me`), ticketShape).ticket).toBe(ticket);
    expect(read(await ann.ask("POST", path), ticketShape).ticket).toBe(ticket);
    const merchant = await newKey(boss, "sell");
    read(
      await shop.client.ask("POST", `${path}?user_id=carl`, { headers: merchant }),
      ticketShape,
      201,
    );
    const patch = (body: object) => boss.ask("PATCH", `/api/admin/flash-sales/${made.id}`, body);
    read(await patch({ paused: true }), saleShape);
    clock.now += 10 * minute;
    await drawn(shop, clock, made.id);
    const buy = () =>
      ann.post(`/api/purchases?ticket=${ticket}`, {
        flash_sale_id: made.id,
        product_id: product,
        quantity: 1,
      });
    refused(await buy(), "not_admitted", "retry");
    read(await patch({ paused: false, admit_per_second: 1_000 }), saleShape);
    clock.now += 1_000;
    expect(await stateOf(shop, made.id)).toMatchObject({
      admitted_up_to: 2,
      admit_per_second: 1_000,
      paused: false,
    });
    expect((await buy()).status).toBe(200);
    const held = await ann.post(
      `/api/flash-sales/${made.id}/checkout`,
      { item_id: 1 },
      { "Queue-Ticket": ticket },
    );
    expect(held.status).toBe(200);
    refused(await patch({ admit_per_second: 0 }), "invalid_request");
    // Carl lets his pass end; ann has bought, so she has not given up.
    clock.now += 6_000;
    const watched = z.object({ bought: z.int(), holding: z.int(), given_up: z.int() });
    const progress = await boss.get(`/api/admin/flash-sales/${made.id}/queue`);
    expect(read(progress, watched)).toMatchObject({ bought: 1, holding: 0, given_up: 1 });
    expect((await ann.get(`/api/admin/flash-sales/${made.id}/queue`)).status).toBe(403);
    refused(await boss.get("/api/admin/flash-sales/999/queue"), "sale_not_found");
    // A pause is for those, too, who come then, whatever room there was.
    read(await patch({ paused: true }), saleShape);
    const late = await shop.client.ask("POST", `${path}?user_id=dora`, { headers: merchant });
    const dora = read(late, ticketShape, 201);
    expect(dora).toMatchObject({ state: "waiting", ahead: 0, eta_ms: null });
    const take = () =>
      shop.client.ask("POST", `/checkout?user_id=dora&id=any&sale_id=${made.id}`, {
        headers: { ...merchant, "Queue-Ticket": dora.ticket },
      });
    refused(await take(), "not_admitted", "retry");
    clock.now += minute;
    expect(await stateOf(shop, made.id)).toMatchObject({ joined: 3, admitted_up_to: 2 });
    read(await patch({ paused: false, admit_per_second: 1 }), saleShape);
    const admittedAfter = async (ms: number): Promise<unknown> => {
      clock.now += ms;
      return (await stateOf(shop, made.id)).admitted_up_to;
    };
    expect([await admittedAfter(0), await admittedAfter(1_000)]).toEqual([2, 3]);
    expect((await take()).status).toBe(200);
    const audited = await shop.client.ask("GET", `/sales/${made.id}/audit`);
    expect(read(audited, z.looseObject({ ok: z.boolean() }))).toMatchObject({ ok: true });
  });

  test("draws who has joined by then when it is opened at once, and processes beside it agree", async () => {
    const standby = await openShop(url, { clock });
    await until("its replica", () => (standby.engine.reader === null ? undefined : true));
    const { id } = read(await announce({ entry: "queue", admit_per_second: 1 }), saleShape, 201);
    const path = `/sales/${id}/queue`;
    const { ticket } = read(await ann.ask("POST", path), ticketShape, 201);
    clock.now += 1_000;
    expect((await boss.ask("POST", `/api/admin/flash-sales/${id}/open`)).status).toBe(200);
    for (const at of [shop, standby]) {
      await drawn(at, clock, id);
      expect((await ticketOf(at, id, ticket)).rank).toBe(1);
      expect((await checkedDraw(at, id)).size).toBe(1);
    }
    await standby.stop();
  });

  test("is withdrawn with everybody who has joined, were it in the same moment", async () => {
    const made = await announce({ entry: "queue", admit_per_second: 1 });
    const { id } = read(made, saleShape, 201);
    const path = `/sales/${id}/queue`;
    const merchant = await newKey(boss, "sell");
    const joins = (count: number) =>
      upTo(count).map((n) =>
        shop.client.ask("POST", `${path}?user_id=u${count}-${n}`, { headers: merchant }),
      );
    await Promise.all(joins(3));
    const withdraw = boss.ask("DELETE", `/api/admin/flash-sales/${id}`);
    const statuses = (await Promise.all(joins(40))).map(({ status }) => status);
    expect((await withdraw).status).toBe(204);
    expect(statuses.filter((status) => status !== 201 && status !== 404)).toEqual([]);
    expect([...(await shop.sql`select from draws where sale_id = ${id}`)]).toEqual([]);
    // There may be millions of them, which nobody waits for.
    await until("its tickets' being gone", async () => {
      const left = await shop.sql`select from tickets where sale_id = ${id} limit 1`;
      return left.length === 0;
    });
    refused(await ann.ask("POST", path), "sale_not_found");
  });

  test("is what says so; one that is open to all has no queue", async () => {
    const open = read(await announce({}), z.object({ id: z.int(), entry: z.literal("open") }), 201);
    const path = `/sales/${open.id}/queue`;
    for (const answer of await inTurn(["GET", "POST"], (method) => ann.ask(method, path)))
      refused(answer, "no_queue");
    refused(await announce({ admit_per_second: 5 }), "invalid_request");
    refused(await announce({ entry: "door" }), "invalid_request");
    refused(await shop.client.get("/sales/4711/queue"), "sale_not_found");
  });
});

/** What reads may not do: hold others up, be made again and again, or change anything. */
import { beforeAll, describe, expect, test } from "bun:test";
import { Catalogue, salesReadMax } from "../../src/sales/catalogue.ts";
import { OverloadedError } from "../../src/engine/writer.ts";
import { readsMax } from "../../src/http/reads.ts";
import { refusesGzip } from "../../src/http/compressed.ts";
import { expectRefusal } from "../support/accounts.ts";
import { useLeftovers } from "../support/leftovers.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { rawRequest, sendRaw } from "../support/raw.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { refused } from "../support/contract.ts";
import { Clock, isSettled, jwtSecret, openShop } from "../support/shop.ts";
import { newPerson } from "../support/storefront.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
useLeftovers();

describe("a read that PostgreSQL does not answer", () => {
  let url: string;
  let server: TestServer;

  beforeAll(async () => {
    url = await postgres.newDatabase();
    server = await startServer({ DATABASE_URL: url });
  });

  test("is ended with a 503 that says why, and nobody else waits for it", async () => {
    const outside = lookInto(url);
    const { promise: asked, resolve: letGo } = Promise.withResolvers<void>();
    const locked = Promise.withResolvers<void>();
    const holding = outside.begin(async (tx) => {
      await tx`lock table products`;
      locked.resolve();
      await asked;
    });
    await locked.promise;
    const slow = inTurn(upTo(1), () => server.client.get("/api/products"));
    const waiting = async () => {
      const rows = await outside<{ read: string }[]>`
        select pid || ' ' || query_start as read from pg_stat_activity
        where wait_event_type = 'Lock' and query like '%products%'`;
      return rows.map(({ read }) => read);
    };
    await until("a read that waits", async () => (await waiting()).length > 0);
    // More than there are connections for reading.
    const more: Promise<unknown>[] = [];
    const readMore = () => more.push(...upTo(8).map(() => server.client.get("/api/products/1")));
    readMore();
    await inTurn(upTo(5), async (i) => {
      // Whoever waited for a read would see its end, and not the same ones wait on.
      await until("answers while the reads wait", async () => {
        const before = await waiting();
        await server.client.reserveAndBuy(`buyer${i}`);
        expect((await server.client.get("/sale")).status).toBe(200);
        expect((await server.client.get("/health")).status).toBe(200);
        const after = await waiting();
        const isMet = before.length > 0 && before.every((read) => after.includes(read));
        if (!isMet) readMore();
        return isMet;
      });
    });
    const [first] = await slow;
    if (first === undefined) throw new Error("there is no answer");
    expectRefusal(first, 503, "overloaded");
    expect(first.text).toContain("took too long");
    expect(Number(first.headers.get("Retry-After"))).toBeGreaterThanOrEqual(1);
    letGo();
    await holding;
    await Promise.all(more);
    expect((await server.client.get("/api/products")).status).toBe(200);
    expect(server.program.log).not.toContain('"msg":"failed"');
  });
});

describe("who somebody is, where PostgreSQL does not say", () => {
  test.each([
    ["a session", "sessions", null],
    ["a key", "api_keys", `sk_${"a".repeat(43)}`],
  ])("%s is asked for until its time is over, and nobody else waits", async (_, table, token) => {
    const url = await postgres.newDatabase();
    await using server = await startServer({ DATABASE_URL: url, JWT_SECRET: jwtSecret });
    const outside = lookInto(url);
    const person = await newPerson(outside, server.client, "ann");
    const { promise: asked, resolve: letGo } = Promise.withResolvers<void>();
    const locked = Promise.withResolvers<void>();
    const holding = outside.begin(async (tx) => {
      await tx`lock table ${tx(table)}`;
      locked.resolve();
      await asked;
    });
    await locked.promise;
    const waiting = async (): Promise<number> => {
      const rows = await outside`
        select from pg_stat_activity where wait_event_type = 'Lock'
          and datname = current_database() and query like ${`%${table}%`}`;
      return rows.length;
    };
    // More than there are connections for it.
    const headers = token === null ? person.headers : { Authorization: `Bearer ${token}` };
    const slow = upTo(12).map(() => server.client.get("/api/auth/me", { headers }));
    await until("somebody of whom nobody knows", async () => (await waiting()) > 0);
    // What a guest does asks the records too, where the ledger does not know.
    await server.client.reserveAndBuy("guest");
    refused(await server.client.purchase(crypto.randomUUID()), "code_not_found");
    expect((await server.client.get("/api/products")).status).toBe(200);
    expect(await waiting()).toBeGreaterThan(0);
    for (const answer of await Promise.all(slow)) expect(answer.status).toBe(503);
    await until("PostgreSQL's giving up", async () => (await waiting()) === 0);
    letGo();
    await holding;
  });
});

describe("beside those who buy through the same process", () => {
  test.each(["leads", "stands by"])(
    "which %s, reads wait, and more than so many are told",
    async (what) => {
      const environment = { DATABASE_URL: await postgres.newRecords() };
      await using leader = await startServer(environment);
      await using standby = await startServer(environment);
      const { url, client } = what === "leads" ? leader : standby;
      const buying = new AbortController();
      const buyers = upTo(16).map(async (i) => {
        // oxlint-disable-next-line no-await-in-loop
        while (!buying.signal.aborted) await client.checkout(`buyer${i}`, "any");
      });
      // Refused without waiting for anything else, and so never too many at a time by itself.
      const asked = rawRequest("GET /reservations?user_id=%00");
      const statuses = new Set<number>();
      await until("a read that is one too many", async () => {
        const answers = await Promise.all(upTo(2 * readsMax.large).map(() => sendRaw(url, asked)));
        for (const { status } of answers) statuses.add(status);
        return statuses.has(503);
      });
      buying.abort();
      await Promise.all(buyers);
      expect(statuses).toEqual(new Set([400, 503]));
    },
  );
});

test("a code that nobody holds is looked for until its time is over, and others are sold to", async () => {
  const url = await postgres.newDatabase();
  await using server = await startServer({ DATABASE_URL: url });
  const outside = lookInto(url);
  const { promise: asked, resolve: letGo } = Promise.withResolvers<void>();
  const locked = Promise.withResolvers<void>();
  const holding = outside.begin(async (tx) => {
    await tx`lock table purchases`;
    locked.resolve();
    await asked;
  });
  await locked.promise;
  const slow = upTo(6).map(() => server.client.purchase(crypto.randomUUID()));
  const waiting = async (): Promise<number> => {
    const rows = await outside`
      select from pg_stat_activity where wait_event_type = 'Lock'
        and datname = current_database() and query like '%purchases%'`;
    return rows.length;
  };
  await until("a code that is looked for", async () => (await waiting()) > 0);
  await inTurn(upTo(5), (i) => server.client.reserve(`buyer${i}`));
  expect(await waiting()).toBeGreaterThan(0);
  for (const answer of await Promise.all(slow)) expect(answer.status).toBe(503);
  await until("PostgreSQL's giving up", async () => (await waiting()) === 0);
  letGo();
  await holding;
  refused(await server.client.purchase(crypto.randomUUID()), "code_not_found");
});

test("of a sale that is settled the records are asked once", async () => {
  const url = await postgres.newDatabase();
  const clock = new Clock(Date.parse("2030-01-31T12:00:00Z"));
  const items = 2_500;
  const before = await openShop(url, { clock, terms: { items } });
  const { sale_id: sale } = await before.client.reserveAndBuy("ann", 2_400);
  clock.now += 3 * 3_600_000;
  await until("its settling", () => isSettled(before, sale));
  await before.stop();
  const shop = await openShop(url, { clock, terms: { items: 1 } });
  const told = async () => {
    const head = await shop.client.sale(sale);
    const free = await shop.client.get(`/sales/${sale}/items?after=2398&limit=3`);
    return { head, items: free.json() };
  };
  const first = await told();
  expect(first.head).toMatchObject({ status: "closed", sold: 1, available: items - 1 });
  expect(first.items).toMatchObject({
    items: [
      { id: 2_399, available: 1 },
      { id: 2_400, available: 0 },
      { id: 2_401, available: 1 },
    ],
  });
  await lookInto(url)`delete from purchases where sale_id = ${sale}`;
  clock.now += 10_000;
  expect(await told()).toEqual(first);
  const { text } = await shop.client.get(`/sales/${sale}/catalogue`);
  expect((JSON.parse(text) as { names: string[] }).names).toHaveLength(items);
  await shop.stop();
});

test("catalogues that are read wait in a line with an end", async () => {
  const reading = Promise.withResolvers<[]>();
  let asked = 0;
  const catalogue = new Catalogue(
    () => {
      asked += 1;
      return reading.promise;
    },
    () => 0,
  );
  const found = upTo(salesReadMax).map((id) => catalogue.find(id));
  await until("the first to be read", () => asked === 1);
  await expect(catalogue.find(salesReadMax + 1)).rejects.toBeInstanceOf(OverloadedError);
  // Who asks for one that is being read waits with the others.
  found.push(catalogue.find(1));
  reading.resolve([]);
  expect(await Promise.all(found)).toEqual(found.map(() => null));
  expect(asked).toBe(salesReadMax);
});

test("gzip is kept from those alone who refuse it", () => {
  expect([null, "gzip", "br, gzip;q=0.5", "*"].map(refusesGzip)).toEqual(upTo(4).map(() => false));
  expect(["", "identity", "br", "gzip;q=0"].map(refusesGzip)).toEqual(upTo(4).map(() => true));
});

test("names are looked through as one text, and found as if each were by itself", async () => {
  const items = upTo(3_000).map((id) => ({
    id,
    name: `Blue FOX ${id} Zz`,
    pictureSeed: "x",
    priceCents: 1,
    stock: 1,
  }));
  const sale = {
    id: 1,
    kind: "hourly",
    startsAt: 0,
    endsAt: 1,
    closed: false,
    access: "everyone",
    entry: { kind: "open" },
    perUserLimit: 1,
    reservationTtlMs: 1,
    stock: new Int32Array(items.length).fill(1),
    priceCents: new Int32Array(items.length).fill(1),
  } as const;
  const stored = {
    sale,
    title: "",
    items,
    endByHand: false,
    commitment: null,
    attempts: 0,
    attemptsSeq: 0,
  };
  const catalogue = new Catalogue(
    // What nobody sells is read as everything is for whoever asks: by who may not take long.
    () => Promise.reject(new Error("it is not sold")),
    () => 0,
    () => Promise.resolve([stored]),
  );
  const shown = await catalogue.find(1);
  if (shown === null) throw new Error("there is no sale");
  const parts = ["fox 29", "zz", "z", "blue fox 1 zz", "fox 3000 zz", "nobody", "zz\nblue"];
  for (const part of parts) {
    const alike = items.filter(({ name }) => name.toLowerCase().includes(part));
    expect([...shown.named(part)]).toEqual(alike);
  }
});

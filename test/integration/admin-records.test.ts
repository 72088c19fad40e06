/**
 * The records for administrators, over HTTP from a real process: attempts searched in a journal
 * of more than a million, and a sale's records as CSV, in memory that does not grow with them.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { z } from "zod";
import type { Sql } from "postgres";
import { streamOf } from "../../src/http/streams.ts";
import { connect } from "../../src/postgres/client.ts";
import { attemptsCsv, searchRowsMax } from "../../src/store/exports.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { jwtSecret } from "../support/shop.ts";
import { newPerson, type Person, read, told } from "../support/storefront.ts";
import { until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const attemptsMade = 1_200_000;
const unitsSold = 25_000;
const nasty = '=1+1"\r\n,x';
/** Garbage waits where the machine is busy; whoever kept it all would have twice its size and more. */
const exportGrowthMaxMb = 150;

let url: string;
let server: TestServer;
let sql: Sql;
let admin: Person;

/** A sale long over with its records; the journal's second millisecond has the needle. */
async function fill(): Promise<void> {
  await sql`
    insert into sales (kind, title, starts_at, ends_at, per_user_limit, reservation_ttl_ms,
                       item_count)
    values ('hourly', 'Long over', now() - interval '3 days', now() - interval '2 days', 1, 1, 1)`;
  await sql`
    insert into items (sale_id, id, name, picture_seed, price_cents, stock)
    values (1, 1, '-Minus', 's', 5, ${unitsSold})`;
  await sql`
    insert into attempts (seq, at, kind, outcome, sale_id, item_id, buyer, user_id)
    select n, date_trunc('milliseconds', now() - interval '3 days') + n * interval '1 ms',
           'checkout', 'item_sold_out', 1, 1, 'guest',
           case n when 2 then 'needle' when 3 then ${nasty} else 'somebody-' || n end
    from generate_series(1, ${attemptsMade}::int) as n`;
  await sql`alter table purchases disable trigger purchases_reserved`;
  await sql`
    insert into purchases (sale_id, item_id, unit, item_stock, buyer, user_id, user_ordinal, user_limit,
                           code, seq, purchased_at)
    select 1, 1, n, ${unitsSold}, 'guest', case n when 1 then ${nasty} else 'buyer-' || n end, 1, 1,
           gen_random_uuid(), n, now() - interval '3 days'
    from generate_series(1, ${unitsSold}::int) as n`;
}

beforeAll(async () => {
  url = await postgres.newRecords();
  sql = lookInto(url);
  await fill();
  server = await startServer({ DATABASE_URL: url, JWT_SECRET: jwtSecret });
  admin = await newPerson(sql, server.client, "boss", "admin");
});

/** Memory of a process, in MB. */
function residentMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024;
}

async function download(path: string, signal?: AbortSignal): Promise<Response> {
  return await fetch(server.url + path, {
    headers: admin.headers,
    ...(signal === undefined ? {} : { signal }),
  });
}

/** Cells of a line without line ends in its cells. */
const cells = (line: string): string[] => line.split(",");

describe("CSV", () => {
  test("of every attempt, in memory that does not grow with it", async () => {
    const before = residentMb(server.program.pid);
    let most = before;
    const response = await download("/api/admin/sales/1/attempts.csv");
    expect(response.headers.get("Content-Type")).toStartWith("text/csv");
    expect(response.headers.get("Content-Disposition")).toContain("sale-1-attempts.csv");
    let bytes = 0;
    let lines = 0;
    let head = "";
    const decoder = new TextDecoder();
    for await (const part of response.body ?? []) {
      const text = decoder.decode(part, { stream: true });
      if (head.length < 2_000) head += text;
      bytes += part.byteLength;
      lines += text.split("\n").length - 1;
      most = Math.max(most, residentMb(server.program.pid));
    }
    // The nasty user has a line end of their own.
    expect(lines).toBe(attemptsMade + 2);
    expect(bytes / 1024 ** 2).toBeGreaterThan(80);
    expect(most - before).toBeLessThan(exportGrowthMaxMb);
    const [columns = "", first = ""] = head.split("\r\n");
    // Decoding has taken the byte order mark away that spreadsheets need.
    expect(columns).toBe(
      "seq,at,kind,outcome,sale_id,item_id,user_id,code,idempotency_key,quantity,buyer",
    );
    expect(cells(first)).toMatchObject({ 0: "1", 3: "item_sold_out", 6: '"somebody-1"', 9: "" });
    expect(cells(first)[1]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    // RFC 4180, and no formula for a spreadsheet.
    expect(head).toContain(`,"'=1+1""\r\n,x",`);
  });

  test("of a sale that was stored late, without a look at what came before", async () => {
    const lamp = { name: "Lamp", price_cents: 100 };
    const made = z.object({ id: z.int() });
    const product = read(await admin.post("/api/admin/products", lamp), made, 201);
    const { id } = read(
      await admin.post("/api/admin/flash-sales", {
        title: "Lamps",
        starts_at: new Date(Date.now() - 1_000).toISOString(),
        ends_at: new Date(Date.now() + 3_600_000).toISOString(),
        items: [{ product_id: product.id, stock: 5, price_cents: 50 }],
      }),
      made,
      201,
    );
    expect((await admin.reserve(id, 1)).status).toBe(200);
    const path = `/api/flash-sales/${id}/checkout`;
    const cheap = await admin.post(path, { item_id: 1, expected_price_cents: 49 });
    expect(told(cheap)).toBe("409 price_changed");
    const scans: unknown[] = [];
    const watched = connect(
      { url },
      {
        max: 1,
        debug: (_connection, query) => {
          if (query.includes("string_agg")) scans.push(query);
        },
      },
    );
    const lines = (await Array.fromAsync(attemptsCsv(watched, id))).join("").split("\r\n");
    await watched.end();
    expect(lines.map((line) => cells(line)[3])).toEqual([
      "outcome",
      "reserved",
      "price_changed",
      undefined,
    ]);
    expect(scans).toHaveLength(1);
    const answer = await admin.get(`/api/admin/sales/${id}/attempts.csv`);
    expect(`\ufeff${answer.text}`).toBe(lines.join("\r\n"));
    const bytes = await (await download(`/api/admin/sales/${id}/attempts.csv`)).bytes();
    expect([...bytes.subarray(0, 3)]).toEqual([0xef, 0xbb, 0xbf]);
  });

  test("of every unit sold", async () => {
    const response = await download("/api/admin/sales/1/purchases.csv");
    const text = await response.text();
    const lines = text.split("\r\n");
    expect(lines[0]).toBe(
      "sale_id,item_id,name,unit,user_id,code,order_id,purchased_at,price_cents,buyer," +
        "refunded_at,restocked",
    );
    expect(text).toContain(`1,1,"'-Minus",1,"'=1+1""\r\n,x",`);
    expect(lines).toHaveLength(unitsSold + 3);
    expect(lines.at(-1)).toBe("");
    const codes = new Set(text.match(/[0-9a-f]{8}-[0-9a-f-]{27}/g));
    expect(codes.size).toBe(unitsSold);
  });

  test("of nothing, and of no sale", async () => {
    const { id } = await server.client.openSale();
    const empty = await admin.get(`/api/admin/sales/${id}/purchases.csv`);
    expect(empty.text.split("\r\n")).toHaveLength(2);
    expect(told(await admin.get("/api/admin/sales/999/attempts.csv"))).toBe("404 sale_not_found");
    expect((await admin.ask("HEAD", "/api/admin/sales/1/attempts.csv")).status).toBe(200);
  });

  test("two at a time; who goes away makes room at once", async () => {
    const path = "/api/admin/sales/1/attempts.csv";
    const stops = upTo(2).map(() => new AbortController());
    const readers = [];
    for (const stop of stops) {
      const response = await download(path, stop.signal);
      readers.push(response.body?.getReader());
      await readers.at(-1)?.read();
    }
    const refused = await admin.get(path);
    expect(told(refused)).toBe("503 overloaded");
    expect(refused.headers.get("Retry-After")).toBe("5");
    expect(refused.headers.get("X-Request-Id")).toMatch(/^\S{8,}$/);
    for (const stop of stops) stop.abort();
    await until("room for an export", async () => {
      const response = await download(path);
      await response.body?.cancel();
      return response.status === 200;
    });
    // And nothing goes on in the database for those who left.
    await until("quiet", async () => {
      const [row] = await sql<{ count: number }[]>`
        select count(*)::int as count from pg_stat_activity
        where datname = current_database() and query like '%string_agg%'
          and state = 'active' and pid <> pg_backend_pid()`;
      return row?.count === 0;
    });
  });

  test("is asked for no faster than it is read", async () => {
    let asked = 0;
    let ended = 0;
    async function* parts(): AsyncGenerator<string, void> {
      for (;;) {
        asked += 1;
        yield "x".repeat(1 << 20);
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    const body = streamOf(parts(), () => {
      ended += 1;
    });
    const slow = Bun.serve({ port: 0, fetch: () => new Response(body) });
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: slow.port ?? 0,
      socket: { data: (one) => void one.pause() },
    });
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await until("the first parts", () => asked > 0);
    // What fits the buffers between the two is asked for, and then no more.
    let before = -1;
    await until("a standstill", async () => {
      const still = asked === before;
      before = asked;
      for (let turn = 0; turn < 200; turn += 1) await new Promise((go) => setImmediate(go));
      return still;
    });
    expect(asked).toBeLessThan(40);
    socket.terminate();
    await until("the end", () => ended === 1);
    await slow.stop(true);
  });
});

const page = z.object({
  attempts: z.array(
    z.object({
      seq: z.int(),
      at: z.iso.datetime(),
      kind: z.string(),
      outcome: z.string(),
      sale_id: z.int().nullable(),
      user_id: z.string().nullable(),
      code: z.uuid().nullable(),
    }),
  ),
  scanned: z.object({ from_seq: z.int(), to_seq: z.int() }).nullable(),
  next_after: z.int().nullable(),
});
/** A time as a value in a query. */
const iso = (ms: number): string => encodeURIComponent(new Date(ms).toISOString());

const find = async (query: string) => read(await admin.get(`/api/admin/attempts?${query}`), page);

describe("attempts", () => {
  test("are found by user, however far back, in bounded pages", async () => {
    const first = await find("user=needle");
    expect(first.attempts).toEqual([]);
    const { from_seq = 0, to_seq = 0 } = first.scanned ?? {};
    expect(to_seq - from_seq + 1).toBe(searchRowsMax);
    const second = await find(`user=needle&after=${first.next_after}`);
    expect(second.attempts).toMatchObject([{ seq: 2, outcome: "item_sold_out", sale_id: 1 }]);
    expect(second.next_after).toBeNull();
  });

  test("are found at once within a time", async () => {
    const [row] = await sql<{ at: Date }[]>`select at from attempts where seq = 2`;
    const at = row?.at.getTime() ?? 0;
    const found = await find(`user=needle&from=${iso(at)}&to=${iso(at + 1)}`);
    expect(found.attempts.map(({ seq }) => seq)).toEqual([2]);
    expect(found.scanned).toEqual({ from_seq: 2, to_seq: 2 });
    expect((await find(`from=${iso(at + 1)}&to=${iso(at + 3)}`)).attempts).toHaveLength(2);
    expect((await find(`from=${iso(Date.now() + 9e6)}`)).attempts).toEqual([]);
  });

  test("are paged by their numbers, newest first", async () => {
    const newest = await find("sale_id=1&outcome=item_sold_out&limit=3");
    const seqs = newest.attempts.map(({ seq }) => seq);
    expect(seqs).toEqual([attemptsMade, attemptsMade - 1, attemptsMade - 2]);
    const next = await find(`sale_id=1&limit=1&after=${newest.next_after}`);
    expect(next.attempts[0]?.seq).toBe(attemptsMade - 3);
    expect((await find("outcome=claimed")).attempts).toEqual([]);
  });

  test("are found by a code: what became of it", async () => {
    const { client } = server;
    const { code } = await client.reserve("carl");
    await client.buy(code);
    await client.buy(code);
    const found = await find(`code=${code}`);
    expect(found.attempts.map(({ outcome }) => outcome)).toEqual(["purchased", "reserved"]);
    expect(found).toMatchObject({ scanned: null, next_after: null });
    expect((await find(`code=${crypto.randomUUID()}`)).attempts).toEqual([]);
  });

  test("are not looked for by what is nothing", async () => {
    for (const query of [
      "user=",
      "code=x",
      "outcome=won",
      "sale_id=0",
      "from=yesterday",
      "limit=501",
      "after=-1",
    ]) {
      const answer = await admin.get(`/api/admin/attempts?${query}`);
      expect([query, told(answer)]).toEqual([query, "400 invalid_request"]);
    }
  });
});

test("how a sale sold over time: from the first purchase to the last, in some 200 points", async () => {
  const curve = z.object({
    sale_id: z.literal(1),
    starts_at: z.iso.datetime(),
    points: z.array(z.object({ at: z.iso.datetime(), sold: z.int() })),
  });
  const { points } = read(await admin.get("/api/admin/sales/1/curve"), curve);
  expect(points.map(({ sold }) => sold)).toEqual([1, ...upTo(200).map((n) => n * 125)]);
  expect(told(await admin.get("/api/admin/sales/999/curve"))).toBe("404 sale_not_found");
});

test("who looks for a page where none is gets one; a program gets a problem", async () => {
  const { client } = server;
  const look = { headers: { Accept: "text/html,application/xhtml+xml,*/*;q=0.8" } };
  const found = await client.get("/nothing/here", look);
  expect(found.status).toBe(404);
  expect(found.headers.get("Content-Type")).toStartWith("text/html");
  expect(found.text).toContain("<h1");
  for (const answer of [
    await client.get("/nothing/here"),
    await client.get("/nothing/here", { headers: { Accept: "application/json" } }),
    await client.ask("POST", "/nothing/here", look),
    await client.get("/sales/999", look),
  ]) {
    expect(answer.status).toBe(404);
    expect(answer.headers.get("Content-Type")).toBe("application/problem+json");
  }
});

test("live figures", async () => {
  const { client } = server;
  const { code } = await client.reserve("dora");
  await client.checkout("dora", 999_999);
  const stats = z.object({
    role: z.literal("leader"),
    epoch: z.int().min(1),
    attempts: z.object({
      total: z.int(),
      per_second: z.object({ last_1s: z.number(), last_10s: z.number(), last_60s: z.number() }),
      by_outcome: z.record(z.string(), z.int()),
    }),
    waiting: z.int(),
    database: z.object({ state: z.literal("up"), latency_ms: z.number() }),
    sales: z.array(z.looseObject({ kind: z.string(), status: z.string(), reserved: z.int() })),
    reservations: z.object({ live: z.int(), expiring: z.int(), next: z.array(z.unknown()) }),
  });
  const now = await until("the second to pass", async () => {
    const one = read(await admin.get("/api/admin/stats"), stats);
    return one.attempts.per_second.last_10s > 0 && one;
  });
  expect(now.attempts.by_outcome).toMatchObject({ item_not_found: 1 });
  expect(now.attempts.by_outcome["reserved"]).toBeGreaterThan(0);
  expect(now.attempts.total).toBeGreaterThan(attemptsMade);
  expect(now.reservations.live).toBeGreaterThan(0);
  expect(
    now.sales.find(({ kind, status }) => kind === "hourly" && status === "open"),
  ).toBeDefined();
  await client.release(code);
});

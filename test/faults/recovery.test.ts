/**
 * The state is what the records say: after any crash a new writer knows exactly what the old
 * one had said. And the ground it stands on: migrations.
 */
import { describe, expect, test } from "bun:test";
import { Journal } from "../../src/store/journal.ts";
import { lead } from "../../src/store/leadership.ts";
import { migrate, newestMigration } from "../../src/store/migrations.ts";
import { batchRowsMax } from "../../src/engine/pending-batch.ts";
import { BatchWriter, OverloadedError, queueCommandsMax } from "../../src/engine/writer.ts";
import { ledgerOf, pictureOf } from "../support/books.ts";
import type { Client } from "../support/client.ts";
import { accepted, itemPage } from "../support/contract.ts";
import { alone, nowhere } from "../support/link.ts";
import { lookInto, migrationsFolder, usePostgres } from "../support/postgres.ts";
import { Random, seeds } from "../support/random.ts";
import { runProgram, startServer } from "../support/server.ts";
import { Clock, openShop } from "../support/shop.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const quarterPast = Date.parse("2030-05-05T10:15:00Z");

/** One step of a shop's life, drawn at random; every code that was given goes into `codes`. */
async function liveAMoment(client: Client, random: Random, codes: string[]): Promise<void> {
  const user = `user "${random.between(1, 6)}"`;
  const code = random.pick(codes);
  const draw = random.between(1, 10);
  if (draw <= 5 || code === undefined) {
    const id = random.chance(0.5) ? "any" : random.between(1, 14);
    const key = random.chance(0.3) ? { key: `key ${random.between(1, 5)}` } : {};
    const answer = await client.checkout(user, id, key);
    const given = /"code":"([0-9a-f-]{36})"/.exec(answer.text)?.[1];
    if (given !== undefined && !codes.includes(given)) codes.push(given);
  } else if (draw <= 8) await client.purchase(code);
  else await client.release(code);
}

/** All that a client can see of a sale, and of the codes it holds. */
async function allToBeSeen(client: Client, codes: readonly string[]) {
  const sale = await client.openSale();
  const page = accepted(await client.get(`/sales/${sale.id}/items?limit=500`), itemPage);
  const keys = await inTurn(upTo(6), (user) =>
    inTurn(upTo(5), async (key) => {
      const answer = await client.checkout(`user "${user}"`, 9_999, { key: `key ${key}` });
      return { status: answer.status, text: answer.text };
    }),
  );
  const { sold, reserved, available } = sale;
  const fates = await inTurn(codes, async (code) => {
    const { status, text } = await client.purchase(code);
    return { code, status, text: text.replace(/"replayed":\w+/, "").replace(/purchased_at.*/, "") };
  });
  return { sold, reserved, available, items: page.items, keys, fates };
}

describe.each(seeds(3))("with seed %i,", (seed) => {
  test("after kill -9 the program tells what it told before", async () => {
    const random = new Random(seed);
    const url = await postgres.newRecords();
    const environment = {
      DATABASE_URL: url,
      SALE_ITEMS: "12",
      SALE_UNITS_PER_ITEM: "2",
      SALE_PER_USER_LIMIT: "4",
    };
    const codes: string[] = [];
    const orders = new Map<string, string>();
    const first = await startServer(environment);
    await inTurn(upTo(150), () => liveAMoment(first.client, random, codes));
    const before = await first.client.openSale();
    const shelf = await first.client.get(`/sales/${before.id}/items?limit=500`);
    const sql = lookInto(url);
    const sold = await sql<{ code: string; seq: string }[]>`select code, seq from purchases`;
    for (const row of sold) orders.set(row.code, row.seq);
    await first.kill();

    await using second = await startServer(environment);
    expect(await second.client.openSale()).toEqual(before);
    expect((await second.client.get(`/sales/${before.id}/items?limit=500`)).text).toBe(shelf.text);
    await inTurn(orders, async ([code, order]) => {
      expect(await second.client.buy(code)).toMatchObject({ order_id: order, replayed: true });
    });
    // Two that recover from the same records go on alike, whatever they are asked.
    const seen = await allToBeSeen(second.client, codes);
    await second.kill();
    await using third = await startServer(environment);
    const again = await allToBeSeen(third.client, codes);
    expect(again.fates).toEqual(seen.fates);
    expect(again.keys).toEqual(seen.keys);
  });

  test("the state that is read back equals the state that was there", async () => {
    const random = new Random(seed);
    const url = await postgres.newRecords();
    const clock = new Clock(quarterPast);
    const terms = { items: 12, unitsPerItem: 2, perUserLimit: 4 };
    const schedule = { cron: "0 10 * * *", timeZone: "UTC" };
    const shop = await openShop(url, { clock, terms, schedule });
    const codes: string[] = [];
    const sql = lookInto(url);
    await inTurn(upTo(6), async () => {
      await inTurn(upTo(40), async () => {
        // So that some reservations run out, and now and then all of them.
        clock.now += random.chance(0.02) ? 130_000 : random.between(0, 8_000);
        await liveAMoment(shop.client, random, codes);
      });
      const { now } = clock;
      const live = await shop.writer().read(pictureOf);
      const ledger = await ledgerOf(sql, now);
      expect(pictureOf(ledger.view(now))).toEqual(live);
      expect(ledger.check()).toEqual([]);
    });
    await shop.stop();
  });
});

/** A writer without the rest of the program. */
async function openWriter(url: string) {
  const leadership = await lead(
    { url },
    newestMigration(migrationsFolder),
    nowhere,
    new AbortController().signal,
    alone,
  );
  if (leadership === null) throw new Error("nobody leads");
  const ledger = await ledgerOf(lookInto(url), quarterPast);
  const journal = new Journal(leadership.session);
  const writer = new BatchWriter(
    ledger,
    (batch) => journal.commit(batch),
    () => quarterPast,
  );
  return { writer, leadership };
}

const attempt = (userId: string) =>
  ({
    kind: "checkout",
    buyer: { kind: "guest", userId },
    item: 1,
    sale: 7,
    code: crypto.randomUUID(),
    key: null,
    expectedPriceCents: null,
  }) as const;

describe("the writer", () => {
  test("refuses what is past its bound, and decides what is within", async () => {
    const url = await postgres.newRecords();
    const { writer, leadership } = await openWriter(url);
    const sql = lookInto(url);
    const locked = Promise.withResolvers<void>();
    const free = Promise.withResolvers<void>();
    const blocking = sql.begin(async (tx) => {
      await tx`lock table attempts in exclusive mode`;
      locked.resolve();
      await free.promise;
    });
    await locked.promise;
    const first = writer.submit(attempt("first"));
    await until("its being sent", async () => {
      const waiting = await sql`
        select 1 from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`;
      return waiting.length > 0;
    });
    const queued = upTo(queueCommandsMax).map((n) => writer.submit(attempt(`queued ${n}`)));
    await expect(writer.submit(attempt("past"))).rejects.toBeInstanceOf(OverloadedError);
    free.resolve();
    await blocking;
    const words = await Promise.all([first, ...queued]);
    expect(new Set(words.map(({ word }) => word))).toEqual(new Set(["sale_not_found"]));
    const batches = await sql<{ rows: number }[]>`
      select count(*)::int as rows from attempts group by xmin order by 1 desc`;
    expect(batches[0]?.rows).toBe(batchRowsMax);
    expect(batches.reduce((sum, { rows }) => sum + rows, 0)).toBe(queueCommandsMax + 1);
    await leadership.end();
  });

  test("that has been deposed without noticing collides, and writes nothing", async () => {
    const url = await postgres.newRecords();
    const { writer, leadership } = await openWriter(url);
    await writer.submit(attempt("before"));
    const sql = lookInto(url);
    await sql`insert into attempts (seq, at, kind, outcome) values (2, now(), 'checkout', 'sold_out')`;
    await expect(writer.submit(attempt("after"))).rejects.toThrow(/duplicate key|attempts_p0_pkey/);
    await expect(writer.submit(attempt("later"))).rejects.toThrow();
    expect((await sql`select seq from attempts order by seq`).map(({ seq }) => seq)).toEqual([
      "1",
      "2",
    ]);
    await leadership.end();
  });

  test("whose connection was replaced writes nothing on the new one", async () => {
    const url = await postgres.newRecords();
    const { writer, leadership } = await openWriter(url);
    await writer.submit(attempt("before"));
    const sql = lookInto(url);
    await sql`select pg_terminate_backend(${leadership.session.backendPid}::int)`;
    await leadership.lost;
    await expect(writer.submit(attempt("after"))).rejects.toThrow();
    expect((await sql`select 1 from attempts`).length).toBe(1);
    await leadership.end();
  });

  test("that has ended can be drained all the same", async () => {
    const { writer, leadership } = await openWriter(await postgres.newRecords());
    writer.end(new Error("lost"));
    let isDrained = false;
    void writer.drain().finally(() => {
      isDrained = true;
    });
    await until("the drain", () => isDrained);
    await leadership.end();
  });
});

describe("the schema", () => {
  test("of a newer program is refused by this one", async () => {
    const url = await postgres.newRecords();
    await lookInto(url)`
      insert into drizzle.__drizzle_migrations (hash, created_at)
      values ('newer', ${String(Date.parse("2999-01-01"))})`;
    for (const { exitCode, log } of await Promise.all(
      ["serve", "migrate", "verify"].map((command) => runProgram([command], { DATABASE_URL: url })),
    )) {
      expect({ exitCode, log }).toEqual({ exitCode: 1, log: expect.stringMatching(/newer/) });
      expect(log).not.toMatch(/^\s+at /m);
    }
  });

  test("is brought up to date once by many who start together", async () => {
    const url = await postgres.newDatabase();
    const runs = await Promise.all(
      upTo(3).map(() => runProgram(["migrate"], { DATABASE_URL: url })),
    );
    for (const { exitCode, log } of runs)
      expect({ exitCode, log }).toEqual({ exitCode: 0, log: "" });
    await Promise.all(upTo(3).map(() => migrate({ url }, migrationsFolder)));
    const rows = await lookInto(url)`select hash from drizzle.__drizzle_migrations`;
    const files = new Set(rows.map(({ hash }) => String(hash)));
    expect(files.size).toBe(rows.length);
  });
});

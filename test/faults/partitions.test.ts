/** The journal's partitions: made ahead, and dropped once they are old, exported or not. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exportRowsMax } from "../../src/store/attempt-export.ts";
import { auditSale } from "../../src/store/audit.ts";
import { partitionRows, Partitions } from "../../src/store/partitions.ts";
import { newFolder } from "../support/leftovers.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { startServer } from "../support/server.ts";
import { Clock, openShop } from "../support/shop.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const quarterPast = Date.parse("2030-05-05T10:15:00Z");

async function partitionsOf(url: string): Promise<string[]> {
  const rows = await lookInto(url)<{ name: string }[]>`
    select inhrelid::regclass::text as name from pg_inherits
    where inhparent = 'attempts'::regclass`;
  return rows.map(({ name }) => name).toSorted();
}

/** Puts one refusal into the journal, so that it goes on behind it. */
const storeAttempt = (url: string, seq: number, at = new Date()) =>
  lookInto(url)`
    insert into attempts (seq, at, kind, outcome)
    values (${seq}, ${at.toISOString()}, 'checkout', 'sold_out')`;

const kept = (retentionMs: number) => ({ retentionMs, exportDir: null });

describe("the journal's partitions", () => {
  test("are made ahead, and writing goes on over a boundary", async () => {
    const url = await postgres.newRecords();
    await storeAttempt(url, partitionRows - 2);
    await using server = await startServer({ DATABASE_URL: url });
    expect(await partitionsOf(url)).toEqual(["attempts_p0", "attempts_p1"]);
    const orders = await inTurn(upTo(5), (n) => server.client.reserveAndBuy(`user ${n}`));
    expect(Number(orders.at(-1)?.order_id)).toBeGreaterThan(partitionRows);
    await until("the partition after", async () => (await partitionsOf(url)).length === 3);
    await server.kill();
    await using again = await startServer({ DATABASE_URL: url });
    await inTurn(orders, async ({ code, order_id: order }) => {
      expect(await again.client.buy(code)).toMatchObject({ order_id: order, replayed: true });
    });
    expect((await again.client.openSale()).sold).toBe(5);
    // A key and the indexes are there on the new ones too.
    await expect(storeAttempt(url, partitionRows + 1).execute()).rejects.toThrow(/p1_pkey/);
  });

  test("are made once by two who need the same", async () => {
    const url = await postgres.newRecords();
    const makers = upTo(4).map(() => new Partitions(lookInto(url), kept(Infinity)));
    const ensure = (seq: number) =>
      Promise.all(makers.map((maker) => maker.ensure(seq, Date.now(), Infinity)));
    await ensure(partitionRows * 3);
    expect(await partitionsOf(url)).toContain("attempts_p3");
    await ensure(partitionRows * 3 + 1);
    expect(await partitionsOf(url)).toContain("attempts_p4");
  });

  test("are dropped past the retention, and not while a sale needs them", async () => {
    const dayMs = 86_400_000;
    const url = await postgres.newRecords();
    await storeAttempt(url, 1, new Date(quarterPast - 10 * dayMs));
    const sql = lookInto(url);
    const ensure = (retentionDays: number, neededSince: number) =>
      new Partitions(sql, kept(retentionDays * dayMs)).ensure(
        partitionRows + 1,
        quarterPast,
        neededSince,
      );
    const three = ["attempts_p0", "attempts_p1", "attempts_p2"];
    await ensure(Infinity, Infinity);
    await ensure(11, Infinity);
    await ensure(5, quarterPast - 10 * dayMs);
    expect(await partitionsOf(url)).toEqual(three);
    await ensure(5, quarterPast - 9 * dayMs);
    expect(await partitionsOf(url)).toEqual(three.slice(1));
  });

  test("are dropped all the same where that was cut off half way, and not beside who reads them", async () => {
    const url = await postgres.newRecords();
    const [sql, reader] = [lookInto(url), lookInto(url, 1)];
    const partitions = new Partitions(sql, kept(1));
    let now = quarterPast;
    const dropped = async (last: number): Promise<string[]> => {
      now += 60_000;
      await partitions.ensure(last * partitionRows + 1, now, Infinity);
      return (
        await sql<{ name: string }[]>`
        select relname as name from pg_class where relname ~ '^attempts_p[0-9]+$' and relkind = 'r' order by 1`
      ).map(({ name }) => name);
    };
    await storeAttempt(url, 1, new Date(quarterPast));
    await reader`begin isolation level repeatable read`;
    await reader`select from attempts`;
    const isOld = async () =>
      (
        await sql`
      select from pg_stat_activity where pid in (select pid from pg_locks where relation = 'attempts'::regclass)
        and xact_start < now() - interval '1 second'`
      ).length > 0;
    await until("a transaction that is not short", isOld);
    expect(await dropped(1)).toContain("attempts_p0");
    expect(await sql`select from pg_inherits where inhdetachpending`).toHaveLength(0);

    // As one that somebody has not waited for, and that ends with its connection.
    const detaching = lookInto(
      url,
      1,
    )`alter table attempts detach partition attempts_p0 concurrently`;
    const ended = detaching.execute().catch(() => {});
    const isPending = async () =>
      (await sql`select from pg_inherits where inhdetachpending`).length > 0;
    await until("its first half", isPending);
    await sql`
      select pg_terminate_backend(pid) from pg_stat_activity where query like 'alter table attempts detach%'`;
    await ended;
    await reader`commit`;
    await until("its end", async () => !(await dropped(1)).includes("attempts_p0"));

    await storeAttempt(url, partitionRows + 1, new Date(quarterPast));
    await sql`alter table attempts detach partition attempts_p1`;
    expect(await dropped(2)).toEqual(["attempts_p2", "attempts_p3"]);
  });

  test("are not dropped where they cannot be exported, and are once they can", async () => {
    const url = await postgres.newRecords();
    await storeAttempt(url, 1, new Date(quarterPast));
    await storeAttempt(url, exportRowsMax + 1, new Date(quarterPast + 1));
    const exportDir = newFolder();
    const name = `attempts-1-${exportRowsMax + 1}.csv.zst`;
    writeFileSync(join(exportDir, name), Bun.zstdCompressSync(Buffer.from("another's")));
    const partitions = new Partitions(lookInto(url), { retentionMs: 1, exportDir });
    const ensure = async (now: number): Promise<void> => {
      await partitions.ensure(partitionRows + 1, now, Infinity);
      await partitions.exporting;
    };
    const later = quarterPast + 86_400_000;
    await ensure(later);
    expect(await partitionsOf(url)).toContain("attempts_p0");
    expect(readdirSync(exportDir)).toEqual([name]);
    await expect(ensure(later + 1)).rejects.toThrow("is there already");
    rmSync(join(exportDir, name));
    // What cannot be read is no end of the program.
    mkdirSync(join(exportDir, name));
    await ensure(later + 2);
    expect(await partitionsOf(url)).toContain("attempts_p0");
    await ensure(later + 60_000);
    await expect(ensure(later + 60_001)).rejects.toThrow("EISDIR");
    rmdirSync(join(exportDir, name));
    await ensure(later + 120_000);
    expect(await partitionsOf(url)).not.toContain("attempts_p0");
    const text = new TextDecoder().decode(
      Bun.zstdDecompressSync(readFileSync(join(exportDir, name))),
    );
    // The header is there once, whatever a row is part of.
    expect(text.match(/^seq,/gm)).toHaveLength(1);
    expect(text.trimEnd().split("\n")).toHaveLength(3);
  });

  test("may be dropped between a reservation and its purchase: the audit stays sound", async () => {
    const url = await postgres.newRecords();
    const clock = new Clock(quarterPast);
    // After it, that the sale has opened; and then the reservation.
    await storeAttempt(url, partitionRows - 2, new Date(quarterPast - 1_000));
    const shop = await openShop(url, { clock });
    const order = await shop.client.reserveAndBuy("ann", 1);
    expect(Number(order.order_id)).toBe(partitionRows + 1);
    await shop.stop();
    const later = quarterPast + 100 * 86_400_000;
    const exportDir = newFolder();
    const partitions = new Partitions(lookInto(url), { retentionMs: 86_400_000, exportDir });
    await partitions.ensure(partitionRows + 1, later, later);
    await partitions.exporting;
    expect(await partitionsOf(url)).not.toContain("attempts_p0");
    // What is dropped was written into a file before, one line an attempt.
    const seqs = [partitionRows - 2, partitionRows - 1, partitionRows];
    const file = join(exportDir, `attempts-${seqs[0]}-${seqs[2]}.csv.zst`);
    const text = new TextDecoder().decode(Bun.zstdDecompressSync(readFileSync(file)));
    const [columns = "", ...lines] = text.trimEnd().split("\n");
    expect(columns).toStartWith("seq,");
    expect(lines.map((line) => Number(line.split(",")[0]))).toEqual(seqs);
    expect(lines[2]).toContain(order.code);
    expect(await auditSale(lookInto(url), order.sale_id)).toMatchObject({ sold: 1, ok: true });
    // What was sold is kept for ever: its code gives its order again.
    clock.now = later;
    const again = await openShop(url, { clock });
    expect(await again.client.buy(order.code)).toEqual({ ...order, replayed: true });
    await again.stop();
  });
});

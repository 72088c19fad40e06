/**
 * What PostgreSQL reads for a row that is written does not grow with what there is, also in a session
 * that began with empty tables, for which it has planned: its own count of rows that were read, after
 * some thousand of each kind, on the real process.
 */
import { expect, test } from "bun:test";
import type { Sql } from "postgres";
import { z } from "zod";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const people = 1_500;
const atOnce = 50;
/** Rows of a table that may be read for each that is written: its keys, and those that refer to it. */
const readsMax = 12;

/** Does it for each, some at once. */
const forEach = (numbers: readonly number[], work: (number: number) => Promise<void>) =>
  inTurn(
    upTo(Math.ceil(numbers.length / atOnce)),
    async (part) => await Promise.all(numbers.slice((part - 1) * atOnce, part * atOnce).map(work)),
  );

/** Everybody joins, is let in, buys, and claims one of the first coupon and all of another. */
async function crowd({ client }: TestServer): Promise<void> {
  const ask = async (path: string, status: number, asked?: object): Promise<string> => {
    const body = asked === undefined ? {} : { body: JSON.stringify(asked) };
    const answer = await client.ask("POST", path, body);
    expect({ path, status: answer.status }).toEqual({ path, status });
    return answer.text;
  };
  const ticketShape = z.object({ ticket: z.string() });
  const tickets = new Map<number, string>();
  await forEach(upTo(people), async (n) => {
    const text = await ask(`/sales/1/queue?user_id=user-${n}`, 201);
    tickets.set(n, ticketShape.parse(JSON.parse(text)).ticket);
  });
  await forEach(upTo(people), async (n) => {
    const path = `/checkout?user_id=user-${n}&id=${n}&ticket=${tickets.get(n)}`;
    const { code } = z.object({ code: z.string() }).parse(JSON.parse(await ask(path, 200)));
    await ask(`/purchase?code=${code}`, 200);
  });
  await ask("/api/coupons", 201, { name: "for-all", amount: people });
  await forEach(upTo(people), async (n) => {
    await ask("/api/coupons", 201, { name: `of-${n}`, amount: 1 });
    await ask("/api/coupons/claim", 200, { user_id: `user-${n}`, coupon_name: `of-${n}` });
    await ask("/api/coupons/claim", 200, { user_id: `user-${n}`, coupon_name: "for-all" });
  });
}

/** Of each table: rows that were written, and that were read, by whichever way. */
async function counts(sql: Sql): Promise<Map<string, { written: number; read: number }>> {
  const rows = await sql<{ name: string; written: number; read: number }[]>`
    select coalesce(inhparent::regclass::text, t.relname) as name,
      sum(n_tup_ins + n_tup_upd)::float8 as written,
      sum(seq_tup_read + coalesce(
        (select sum(idx_tup_read) from pg_stat_user_indexes i where i.relid = t.relid), 0))::float8 as read
    from pg_stat_user_tables t left join pg_inherits on inhrelid = t.relid
    where schemaname = 'public'
    group by 1`;
  return new Map(rows.map(({ name, written, read }) => [name, { written, read }]));
}

test("what is read for a row that is written does not grow with what there is", async () => {
  const url = await postgres.newRecords();
  const server = await startServer({
    DATABASE_URL: url,
    RATE_LIMITS: "off",
    SALE_ITEMS: String(people),
    SALE_ENTRY: "queue",
    SALE_ADMIT_PER_SECOND: "100000",
  });
  const sql = lookInto(url);
  await crowd(server);
  await server.stop();
  // A session tells what it has counted at its end.
  const told = await until("all that was counted", async () => {
    await sql`select pg_stat_clear_snapshot()`;
    const found = await counts(sql);
    return (found.get("purchases")?.written ?? 0) >= people &&
      (found.get("claims")?.written ?? 0) >= 2 * people
      ? found
      : undefined;
  });
  for (const name of ["tickets", "attempts", "purchases", "claims", "coupons"]) {
    const { written, read } = told.get(name) ?? { written: 0, read: 0 };
    expect(written, name).toBeGreaterThanOrEqual(people);
    expect(read / written, name).toBeLessThan(readsMax);
  }
});

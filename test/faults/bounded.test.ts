/**
 * What a restart reads is bounded by what is on the books, not by what was tried: many thousands of
 * reservations made and given back, by users who never come again, and `kill -9`.
 */
import { expect, test } from "bun:test";
import type { Sql } from "postgres";
import { verify } from "../../src/cli/verify.ts";

import { connect } from "../../src/postgres/client.ts";
import { lastAttempt, recover } from "../../src/store/recovery.ts";
import type { Client } from "../support/client.ts";
import { accepted, refused, reservation } from "../support/contract.ts";
import { usePostgres } from "../support/postgres.ts";
import { startServer } from "../support/server.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const pairs = 20_000;
const clients = 64;
/** A checkpoint is made after 20,000 changes, by somebody who looks twice a second. */
const rowsReadMax = 35_000;
const ttlMs = 3_000;

/** Reserves and gives back, each time as somebody else with a name of 200 characters. */
async function abandonMany(client: Client): Promise<void> {
  let left = pairs;
  const one = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const user = `${left} `.padEnd(200, "x");
      // oxlint-disable-next-line no-await-in-loop
      const { code } = accepted(await client.checkout(user, "any"), reservation);
      // oxlint-disable-next-line no-await-in-loop
      expect((await client.release(code)).status).toBe(204);
    }
  };
  await Promise.all(upTo(clients).map(one));
}

/** Attempts that a term which begins now reads one by one. */
async function rowsRead(sql: Sql): Promise<number> {
  let rows = 0;
  const { effective } = await recover(sql, await lastAttempt(sql));
  for await (const page of effective) rows += page.length;
  return rows;
}

const checkpointOf = async (sql: Sql, sale: number): Promise<number> => {
  const [row] = await sql<{ seq: number }[]>`
    select seq::float8 as seq from checkpoints where sale_id = ${sale}`;
  return row?.seq ?? 0;
};

/** Asks a database something, and leaves it alone. */
async function asking<T>(url: string, ask: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = connect({ url }, { max: 2 });
  try {
    return await ask(sql);
  } finally {
    await sql.end();
  }
}

/** A copy of a killed server's database, as soon as PostgreSQL has noticed that it is gone. */
const copyOf = (url: string): Promise<string> =>
  until("a copy", () => postgres.copyOf(url).catch(() => null));

test("a restart reads from the last checkpoint on, and forgets nothing", async () => {
  const url = await postgres.newRecords();
  const environment = {
    DATABASE_URL: url,
    SALE_ITEMS: "100",
    RESERVATION_TTL_MS: String(ttlMs),
  };
  const first = await startServer(environment);
  const { client } = first;
  const { id } = await client.openSale();
  const bought = await inTurn(upTo(20), (n) => client.reserveAndBuy(`buyer ${n}`, n));
  // Long ago it ran out; its unit was taken, and given back.
  const early = await client.reserve("early", 98);
  await until("its lapse", async () => (await client.item(id, 98)).available === 1);
  const taken = await client.reserve("later", 98);
  await client.release(taken.code);
  // And this one ran out, and nobody took it.
  const idle = await client.reserve("idle", 99);
  await abandonMany(client);
  const seq = await asking(url, (sql) =>
    until("a checkpoint", async () => {
      const noted = await checkpointOf(sql, id);
      return noted > pairs && noted;
    }),
  );
  const held = await client.reserve("held", 90, { key: "mine" });
  const late = await client.reserveAndBuy("late", 91);
  const before = await client.sale(id);
  await first.kill();

  await asking(url, async (sql) => {
    expect(await rowsRead(sql)).toBeLessThan(rowsReadMax);
    const [total] = await sql<{ rows: number }[]>`select count(*)::int as rows from attempts`;
    expect(total?.rows).toBeGreaterThan(2 * pairs);
  });
  const copy = await copyOf(url);
  // What is before the checkpoint is not looked at: here it is gone.
  // So nothing can be compared with what reserved it.
  await asking(copy, (sql) => sql`alter table purchases disable trigger purchases_reserved`);
  await asking(copy, (sql) => sql`delete from attempts where seq <= ${seq}`);
  await inTurn([url, copy], async (records) => {
    await using again = await startServer({ ...environment, DATABASE_URL: records });
    const { sold, attempts } = await again.client.sale(id);
    expect({ sold, attempts }).toEqual({ sold: before.sold, attempts: before.attempts });
    await inTurn([...bought, late], async (order) => {
      expect(await again.client.buy(order.code)).toEqual({ ...order, replayed: true });
    });
    expect((await again.client.buy(idle.code)).item.id).toBe(99);
    expect((await again.client.buy(held.code)).item.id).toBe(90);
    if (records === copy) return;
    expect(await again.client.buy(early.code)).toMatchObject({ item: { id: 98 }, replayed: false });
    refused(await again.client.purchase(taken.code), "code_expired");
  });
  expect(await asking(url, (sql) => verify(sql, undefined, () => {}))).toBe(true);
});

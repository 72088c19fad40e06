/** Several processes on one database: which of them leads, and whether it sells. */
import { expect } from "bun:test";
import type { Sql } from "postgres";
import { leaderLockKey } from "../../src/store/leadership.ts";
import { accepted, readiness } from "./contract.ts";
import { lookInto } from "./postgres.ts";
import type { Environment, TestServer } from "./server.ts";
import { until } from "./wait.ts";

/** Far more than any of it takes, and less than it took before. */
export const boundMs = 20_000;

export const environment = (url: string, more: Environment = {}): Environment => ({
  DATABASE_URL: url,
  RATE_LIMITS: "off",
  SALE_ITEMS: "2000",
  SALE_PER_USER_LIMIT: "2000",
  ...more,
});

export const say = (what: string, ms: number): void =>
  void process.stdout.write(`  ${what}: ${Math.round(ms)} ms\n`);

const roleOf = async ({ client }: TestServer): Promise<string> => {
  const answer = await client.get("/ready");
  return answer.status === 200 ? accepted(answer, readiness).role : "none";
};

export const leads = (server: TestServer): Promise<unknown> =>
  until("its leading", async () => (await roleOf(server)) === "leader", boundMs);

/** Waits until it stands by, and has a replica to read. */
export async function standsBy(server: TestServer): Promise<void> {
  await until("its standing by", async () => (await roleOf(server)) === "standby", boundMs);
  await until("its replica", () => server.program.log.includes("the replica is current"), boundMs);
}

/** Asks until it is answered, and says how long that took. */
export async function sells({ client }: TestServer, what: string): Promise<void> {
  const startedAt = performance.now();
  await until(
    what,
    async () => (await client.checkout("ann", "any").catch(() => null))?.status === 200,
    boundMs,
  );
  say(what, performance.now() - startedAt);
}

export async function expectSound(url: string): Promise<void> {
  const [row] = await lookInto(url)<{ last: number; count: number }[]>`
    select max(seq)::int as last, count(*)::int as count from attempts`;
  expect(row?.count).toBe(row?.last);
}

/** Ends the leader's session in PostgreSQL, as an administrator does, or a network. */
export async function endSession(sql: Sql): Promise<void> {
  // Of one that was ended before, what is left may still be listed.
  const ended = await sql`
    select pg_terminate_backend(pid) from pg_locks
    where locktype = 'advisory' and granted and objid = ${leaderLockKey}
      and database = (select oid from pg_database where datname = current_database())`;
  expect(ended.length).toBe(1);
}

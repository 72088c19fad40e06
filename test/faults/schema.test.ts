/**
 * A program that is older than the schema: it leads no more and takes no lead, whether it stands
 * by, leads already or has just lost its connection; what it knows of selling may be wrong.
 */
import { describe, expect, test } from "bun:test";
import { accepted, readiness, refused } from "../support/contract.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { newerProgram, runProgram, startServer, type TestServer } from "../support/server.ts";
import { until, upTo } from "../support/wait.ts";

const postgres = usePostgres();

/** As a newer program does when it is started. */
const migrateFurther = (url: string) => lookInto(url)`
  insert into drizzle.__drizzle_migrations (hash, created_at)
  values ('newer', ${String(Date.parse("2999-01-01"))})`;

const attemptsIn = async (url: string): Promise<number> => {
  const [row] = await lookInto(url)<{ count: number }[]>`
    select coalesce(max(seq), 0)::int as count from attempts`;
  return row?.count ?? 0;
};

const roleOf = async ({ client }: TestServer) => accepted(await client.get("/ready"), readiness);

const epochOf = async (url: string): Promise<number> => {
  const [row] = await lookInto(url)<{ epoch: number }[]>`
    select epoch::float8 as epoch from leader`;
  return row?.epoch ?? 0;
};

const saysWhy = ({ program }: TestServer): Promise<true> =>
  until("its saying why", () => program.log.includes("a newer Stampede has migrated"));

/** It sells nothing, says so, and can be stopped. */
async function expectIdle(server: TestServer, url: string, epoch: number): Promise<void> {
  const { client } = server;
  await until("its refusal", async () => (await client.get("/ready")).status === 503);
  refused(await client.get("/ready"), "unavailable", "retry");
  refused(await client.checkout("bob", "any"), "unavailable", "retry");
  expect((await client.get("/health")).status).toBe(200);
  expect(await epochOf(url)).toBe(epoch);
}

describe("where a newer program has migrated the schema, an older one", () => {
  test("that stands by does not take the lead when the leader goes", async () => {
    const url = await postgres.newRecords();
    const leader = await startServer({ DATABASE_URL: url });
    await using standby = await startServer({ DATABASE_URL: url });
    expect((await roleOf(standby)).role).toBe("standby");
    const held = await leader.client.reserve("ann", 1);
    // In this order: the leader has not noticed yet, and the standby waits.
    await migrateFurther(url);
    await leader.kill();
    await saysWhy(standby);
    await expectIdle(standby, url, 1);
    refused(await standby.client.purchase(held.code), "unavailable", "retry");
    const rows = await lookInto(url)`select 1 from attempts where kind <> 'milestone'`;
    expect(rows.length).toBe(1);
    expect(await standby.stop()).toBe(0);
  });

  test("that leads stops within a heartbeat, and leads no more", async () => {
    const url = await postgres.newRecords();
    await using leader = await startServer({ DATABASE_URL: url });
    await leader.client.reserveAndBuy("ann", 1);
    await migrateFurther(url);
    await saysWhy(leader);
    await expectIdle(leader, url, 1);
    const [last] = await lookInto(url)<{ seq: number }[]>`
      select max(seq)::int as seq from attempts`;
    refused(await leader.client.checkout("eve", "any"), "unavailable", "retry");
    const [after] = await lookInto(url)<{ seq: number }[]>`
      select max(seq)::int as seq from attempts`;
    expect(after).toEqual(last ?? { seq: 0 });
    expect(await leader.stop()).toBe(0);
  });

  test("that leads writes nothing any more once that is done, in the middle of selling", async () => {
    const url = await postgres.newDatabase();
    await using leader = await startServer({ DATABASE_URL: url, RATE_LIMITS: "off" });
    const mark = `create table mark as
      select (select max(seq) from attempts) as seq, (select epoch from leader) as epoch`;
    const newer = newerProgram(mark);
    const selling = new AbortController();
    const words = new Set<number>();
    const buyers = upTo(16).map(async (buyer) => {
      for (let n = 0; !selling.signal.aborted; n += 1) {
        // oxlint-disable-next-line no-await-in-loop
        words.add((await leader.client.checkout(`u${buyer}-${n}`, "any")).status);
      }
    });
    await until("some selling", async () => (await attemptsIn(url)) > 100);
    const { exitCode, log } = await runProgram(
      ["migrate"],
      { DATABASE_URL: url },
      undefined,
      newer,
    );
    expect({ exitCode, log }).toEqual({ exitCode: 0, log: "" });
    // As a standby of its version would be told.
    await saysWhy(leader);
    selling.abort();
    await Promise.all(buyers);
    const [marked] = await lookInto(url)<{ seq: number; epoch: number }[]>`
      select seq::int as seq, epoch::int as epoch from mark`;
    expect(marked?.seq).toBeGreaterThan(100);
    expect(await attemptsIn(url)).toBe(marked?.seq ?? 0);
    expect([...words].toSorted()).toEqual([200, 409, 503].filter((word) => words.has(word)));
    expect(words.has(503)).toBe(true);
    await expectIdle(leader, url, marked?.epoch ?? 0);
    // Whoever leads next is of the new version, and goes on from there.
    expect(await leader.stop()).toBe(0);
  });

  test("whose connection was cut does not begin another term", async () => {
    const url = await postgres.newRecords();
    await using leader = await startServer({ DATABASE_URL: url });
    await migrateFurther(url);
    await lookInto(url)`
      select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'stampede writer' and datname = current_database()`;
    await saysWhy(leader);
    await expectIdle(leader, url, 1);
  });

  test("is not started, and says what to do", async () => {
    const url = await postgres.newRecords();
    await migrateFurther(url);
    const { exitCode, log } = await runProgram(["serve"], { DATABASE_URL: url });
    expect({ exitCode, log }).toEqual({ exitCode: 1, log: expect.stringContaining("newer") });
  });
});

/**
 * A program that is older than the schema: it leads no more and takes no lead, whether it stands
 * by, leads already or has just lost its connection; what it knows of selling may be wrong.
 */
import { describe, expect, test } from "bun:test";
import { accepted, readiness, refused } from "../support/contract.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { runProgram, startServer, type TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

const postgres = usePostgres();

/** As a newer program does when it is started. */
const migrateFurther = (url: string) => lookInto(url)`
  insert into drizzle.__drizzle_migrations (hash, created_at)
  values ('newer', ${String(Date.parse("2999-01-01"))})`;

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
    const url = await postgres.newDatabase();
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
    const rows = await lookInto(url)`select 1 from attempts`;
    expect(rows.length).toBe(1);
    expect(await standby.stop()).toBe(0);
  });

  test("that leads stops within a heartbeat, and leads no more", async () => {
    const url = await postgres.newDatabase();
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

  test("whose connection was cut does not begin another term", async () => {
    const url = await postgres.newDatabase();
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

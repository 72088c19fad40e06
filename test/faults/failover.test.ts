/**
 * PostgreSQL's own failover: two servers, of which one streams to the other and no commit is answered
 * that both do not have. The primary is killed and the other made the primary, while a crowd buys.
 */
import { expect, test } from "bun:test";
import { Client } from "../support/client.ts";
import { Crowd, expectSellsOut, expectSound } from "../support/crowd.ts";
import { environment, leads, sells, standsBy } from "../support/leading.ts";
import { lookInto, replicated, useOwnPostgres } from "../support/postgres.ts";
import { Random, seeds } from "../support/random.ts";
import { runProgram, startServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

const primary = useOwnPostgres(replicated);
const buyers = 12;
const limits = {
  SALE_ITEMS: "100",
  SALE_UNITS_PER_ITEM: "5",
  SALE_PER_USER_LIMIT: "1000",
  RESERVATION_TTL_MS: "1500",
};

/** A URL of both servers; the one that is asked first comes first. */
function urlOfBoth(first: string, second: string, attributes = "read-write"): string {
  const { username, password, host, pathname } = new URL(first);
  const hosts = `${host},${new URL(second).host}`;
  return `postgres://${username}:${password}@${hosts}${pathname}?target_session_attrs=${attributes}`;
}

test.each(seeds(1))("with seed %i, nothing is lost when PostgreSQL fails over", async (seed) => {
  const records = await primary.newDatabase();
  const replica = await primary.replicate();
  const moved = replica.url(new URL(records).pathname.slice(1));
  // The replica comes first, and is not taken for the primary while it is none.
  const DATABASE_URL = urlOfBoth(moved, records);
  await using first = await startServer(environment(DATABASE_URL, limits));
  await using second = await startServer(environment(DATABASE_URL, limits));
  await leads(first);
  await standsBy(second);
  const random = new Random(seed);
  const crowd = new Crowd(new Client(() => random.pick([first, second])?.url ?? ""), random);
  const off = new AbortController();
  const shopping = crowd.shop(buyers, off.signal);
  await crowd.acknowledges(100);
  await primary.end("SIGKILL");
  await until("its saying so", async () => (await second.client.get("/ready")).status === 503);
  await replica.promote();
  await sells(second, "the replica is the primary, sold again after");
  await crowd.acknowledges(100);
  off.abort();
  await shopping;
  const sql = lookInto(moved);
  await crowd.expectRemembered();
  await crowd.expectStored(sql);
  await expectSound(sql);
  await expectSellsOut(second.client, sql, buyers);
  expect(await runProgram(["verify"], { DATABASE_URL })).toMatchObject({ exitCode: 0 });
});

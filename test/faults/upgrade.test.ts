/**
 * Three processes are replaced by those of the next release, one after another, under load. They are
 * of two releases meanwhile, which follow each other.
 */
import { expect, test } from "bun:test";
import {
  answersEach,
  ends,
  expectOnce,
  Flood,
  faultsOf,
  floodedSale,
  leadsNow,
  leaves,
  tell,
} from "../support/flood.ts";
import { Client } from "../support/client.ts";
import { accepted, readiness } from "../support/contract.ts";
import { Crowd, expectSound } from "../support/crowd.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { Random } from "../support/random.ts";
import { newerProgram, startServer, type TestServer } from "../support/server.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();

/** Who leads, by how they are started. */
async function leaderOf(servers: readonly TestServer[]): Promise<TestServer | undefined> {
  const leading = await inTurn(servers, (server) => leadsNow(server));
  return servers[leading.indexOf(true)];
}

test("with the schema as it was: each goes on answering, and nothing is done twice", async () => {
  const url = await postgres.newDatabase();
  const old = await inTurn(upTo(3), () => startServer(floodedSale(url)));
  const main = newerProgram(null);
  const floods = old.map((server, n) => new Flood(server, `of the old ${n}`));
  const next: TestServer[] = [];
  await inTurn(old, async (server, n) => {
    const other = await startServer(floodedSale(url), { main });
    next.push(other);
    floods.push(new Flood(other, `of the new ${n}`));
    server.program.signal("SIGTERM");
    await leaves(server, floods[n]);
    // The old ones that are left, too, whoever leads.
    await Promise.all(floods.slice(n + 1).map((flood) => flood.goesOn(answersEach / 3)));
    expect(await ends(server, floods)).toBe(0);
  });
  await Promise.all(floods.map((flood) => flood.end()));
  tell("upgraded", floods);
  expect(faultsOf(floods)).toEqual([]);
  expect(await leaderOf(next)).toBeDefined();
  await expectOnce(lookInto(url), floods);
  await Promise.all(next.map((server) => server.kill()));
});

test("with another schema: the old lead no more, sell through the new, and nothing is lost", async () => {
  const url = await postgres.newDatabase();
  const limits = { SALE_PER_USER_LIMIT: "10000", RESERVATION_TTL_MS: "1500" };
  const environment = { ...floodedSale(url), ...limits };
  const old = await inTurn(upTo(2), () => startServer(environment));
  const random = new Random(1);
  const crowd = new Crowd(new Client(() => random.pick(old)?.url ?? ""), random);
  const off = new AbortController();
  const shopping = crowd.shop(8, off.signal);
  await crowd.acknowledges(50);
  await using next = await startServer(environment, {
    main: newerProgram("create table news (id int)"),
  });
  await until("the new one's leading", () => leadsNow(next));
  // Through processes of the release before.
  await crowd.acknowledges(50);
  off.abort();
  await shopping;
  await inTurn(old, async ({ client }) => {
    const ready = accepted(await client.get("/ready"), readiness);
    expect(ready).toMatchObject({ role: "standby" });
  });
  // And they never lead again: nobody sells when the new one is gone.
  await next.kill();
  await until("their saying why", () => old.every(({ program }) => program.log.includes("newer")));
  expect(await leaderOf(old)).toBeUndefined();
  const sql = lookInto(url);
  await crowd.expectStored(sql);
  await expectSound(sql);
  await Promise.all(old.map((server) => server.kill()));
});

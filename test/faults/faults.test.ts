/**
 * Accidents on the real program under load: it is killed, its session is ended, PostgreSQL
 * is taken away, it is stopped in its tracks. Whatever happens, what was acknowledged is
 * there, nothing is sold twice, and the sale sells out to exactly its stock.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "../support/client.ts";
import { accepted, readiness, reservation } from "../support/contract.ts";
import {
  Crowd,
  expectNothingLost,
  expectSellsOut,
  expectSound,
  whileShopping,
} from "../support/crowd.ts";
import { endSession } from "../support/leading.ts";
import { freePort } from "../support/leftovers.ts";
import { lookInto, newCluster, useOwnPostgres } from "../support/postgres.ts";
import { Random, seeds } from "../support/random.ts";
import { runProgram, startServer, type TestServer } from "../support/server.ts";
import { until, upTo } from "../support/wait.ts";

const postgres = useOwnPostgres();
const buyers = 24;
const stock = 600;
const perUserLimit = Math.ceil(stock / buyers) + 10;

/** A sale that is big enough for a storm, whose abandoned codes run out soon after it. */
const stormSale = (url: string, port: number) => ({
  DATABASE_URL: url,
  PORT: String(port),
  SALE_ITEMS: String(stock / 2),
  SALE_UNITS_PER_ITEM: "2",
  SALE_PER_USER_LIMIT: String(perUserLimit),
  RESERVATION_TTL_MS: "1500",
  LOG_LEVEL: "warn",
});

/** The number of the term in which a server leads; 0 while it does not. */
async function epochOf({ client }: TestServer): Promise<number> {
  const answer = await client.get("/ready");
  return answer.status === 200 ? accepted(answer, readiness).epoch : 0;
}

/** The crowd shops while `strike` is done, each time after a few answers or many. */
const storm = (
  crowd: Crowd,
  random: Random,
  rounds: number,
  strike: (round: number) => Promise<unknown>,
) => whileShopping({ crowd, buyers }, { rounds, answers: () => random.between(5, 60) }, strike);

describe.each(seeds(1))("with seed %i,", (seed) => {
  test("kill -9, again and again", async () => {
    const random = new Random(seed);
    const url = await postgres.newRecords();
    const environment = stormSale(url, freePort());
    let server = await startServer(environment);
    const client = new Client(() => server.url);
    const crowd = new Crowd(client, random);
    await storm(crowd, random, 6, async () => {
      await server.kill();
      server = await startServer(environment);
    });
    await expectNothingLost({ crowd, buyers }, client, url);
    expect(await server.stop()).toBe(0);
  });

  test("the writer's session is ended by PostgreSQL", async () => {
    const random = new Random(seed);
    const url = await postgres.newRecords();
    await using server = await startServer(stormSale(url, 0));
    const sql = lookInto(url);
    const crowd = new Crowd(server.client, random);
    await storm(crowd, random, 6, async () => {
      const before = await epochOf(server);
      await endSession(sql);
      await until("the next term", async () => (await epochOf(server)) > before);
    });
    await expectNothingLost({ crowd, buyers }, server.client, url);
    const [leader] = await sql<{ epoch: number }[]>`select epoch::int from leader`;
    expect(leader?.epoch).toBe(7);
  });

  test.each(["SIGINT", "SIGQUIT", "SIGKILL"] as const)(
    "PostgreSQL is ended with %s and started again",
    async (signal) => {
      const random = new Random(seed);
      const url = await postgres.newRecords();
      await using server = await startServer(stormSale(url, 0));
      const crowd = new Crowd(server.client, random);
      await storm(crowd, random, 1, async () => {
        await postgres.end(signal);
        const { client } = server;
        await until("its not being ready", async () => (await client.get("/ready")).status === 503);
        expect((await client.get("/health")).status).toBe(200);
        await postgres.start();
        await crowd.acknowledges(20);
      });
      await expectNothingLost({ crowd, buyers }, server.client, url);
      expect(await server.stop()).toBe(0);
    },
  );

  test("the embedded PostgreSQL is killed, and the program starts it again", async () => {
    const random = new Random(seed);
    const dataDir = await newCluster();
    const { DATABASE_URL: _, ...environment } = stormSale("", 0);
    await using server = await startServer({ ...environment, STAMPEDE_DATA: dataDir });
    const postmaster = () =>
      Number(readFileSync(join(dataDir, "pgdata/postmaster.pid"), "utf8").split("\n")[0]);
    const crowd = new Crowd(server.client, random);
    await storm(crowd, random, 2, async () => {
      const struck = postmaster();
      const before = await epochOf(server);
      process.kill(struck, "SIGKILL");
      await until("the next term", async () => (await epochOf(server)) > before);
      expect(postmaster()).not.toBe(struck);
      await crowd.acknowledges(20);
    });
    await crowd.expectRemembered();
    expect(await server.stop()).toBe(0);
    const audited = await runProgram(["verify"], { STAMPEDE_DATA: dataDir });
    expect(audited).toMatchObject({ exitCode: 0 });
  });

  test("SIGTERM: it answers what it has taken, and ends within seconds", async () => {
    const random = new Random(seed);
    const url = await postgres.newRecords();
    await using server = await startServer(stormSale(url, 0));
    const crowd = new Crowd(server.client, random, 500);
    const off = new AbortController();
    // Nobody is there any more to answer those who go on asking.
    const shopping = crowd.shop(buyers, off.signal).catch(() => {});
    await crowd.acknowledges(60);
    const stopping = server.stop();
    // A stop that hangs is ended from outside, with another code.
    expect(await stopping).toBe(0);
    off.abort();
    await shopping;
    const sql = lookInto(url);
    await crowd.expectStored(sql);
    await expectSound(sql);
    await using again = await startServer(stormSale(url, 0));
    await expectSellsOut(again.client, sql, buyers);
  });
});

/** Asks a server a few times at once; null for each connection that came to nothing. */
const asksOf = ({ client }: TestServer, user: string) =>
  Promise.all(upTo(5).map((n) => client.checkout(`${user} ${n}`, "any").catch(() => null)));

describe("a leader that stops in its tracks", () => {
  test("is replaced by the standby, writes nothing when it wakes, and stands by", async () => {
    const url = await postgres.newRecords();
    const environment = stormSale(url, 0);
    await using old = await startServer(environment);
    await using standby = await startServer(environment);
    const { code } = await old.client.reserve("before");
    const order = await old.client.buy(code);
    old.program.signal("SIGSTOP");
    const asleep = asksOf(old, "asleep");
    await until("the standby's term", async () =>
      (await standby.client.get("/ready")).text.includes('"leader"'),
    );
    const again = await standby.client.buy(code);
    expect(again).toMatchObject({ order_id: order.order_id, replayed: true });
    await standby.client.reserveAndBuy("meanwhile");
    const sql = lookInto(url);
    const attempts = await sql`select seq from attempts`;

    old.program.signal("SIGCONT");
    // Those who asked the old leader while it slept get an answer of the new one, or none.
    const answers = (await asleep).filter((answer) => answer !== null);
    for (const { status } of answers) expect([200, 503]).toContain(status);
    await until("its standing by", async () =>
      (await old.client.get("/ready")).text.includes('"standby"'),
    );
    const given = answers.filter(({ status }) => status === 200).length;
    const after = await sql`select seq from attempts`;
    expect(after.length).toBe(attempts.length + given);
    await expectSound(sql);
    // Both lead to one writer.
    await expectSellsOut(old.client, sql, buyers);
    await expectSellsOut(standby.client, sql, buyers);
    expect(await old.stop()).toBe(0);
    expect(await standby.stop()).toBe(0);
  });
});

test("what a standby asks of a leader that does not answer, the next one answers", async () => {
  const url = await postgres.newRecords();
  const environment = stormSale(url, 0);
  await using leader = await startServer(environment);
  await using standby = await startServer(environment);
  leader.program.signal("SIGSTOP");
  for (const answer of await asksOf(standby, "passed on")) {
    if (answer === null) throw new Error("the connection was cut without an answer");
    accepted(answer, reservation);
  }
  leader.program.signal("SIGCONT");
  await expectSound(lookInto(url));
});

describe("a stop", () => {
  test("while PostgreSQL is away ends the program all the same", async () => {
    const url = await postgres.newRecords();
    await using server = await startServer(stormSale(url, 0));
    await postgres.end("SIGQUIT");
    try {
      await until("its noticing", async () => (await server.client.get("/ready")).status === 503);
      server.program.signal("SIGTERM");
      expect(await server.program.exited()).toBe(0);
    } finally {
      await postgres.start();
    }
  });
});

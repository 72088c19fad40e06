/**
 * A program with processes that take requests beside the one that leads: they share its port and its
 * life, one that dies is replaced, nobody else gets in among them, and what buyers are told through
 * them is as good as what the leading process says.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { z } from "zod";
import { findPostmaster } from "../../src/postgres/postmaster.ts";
import { Client, type Answer } from "../support/client.ts";
import { accepted, readiness, refused, reservation } from "../support/contract.ts";
import { Crowd, expectNothingLost, expectSound, whileShopping } from "../support/crowd.ts";
import { freePort } from "../support/leftovers.ts";
import { lookInto, newCluster, usePostgres } from "../support/postgres.ts";
import { Random, seeds } from "../support/random.ts";
import { frontsOf, readProc, runProgram, startServer, type TestServer } from "../support/server.ts";
import { EventStream, stockNews, type SentEvent } from "../support/sse.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const buyers = 16;
const stock = 400;

const environment = (url: string, more: Readonly<Record<string, string>> = {}) => ({
  DATABASE_URL: url,
  FRONTS: "2",
  SALE_ITEMS: String(stock / 2),
  SALE_UNITS_PER_ITEM: "2",
  SALE_PER_USER_LIMIT: String(stock),
  RESERVATION_TTL_MS: "1500",
  ...more,
});

const logLine = z.object({ process: z.string() });

const isAlive = (pid: number): boolean => readProc(`/proc/${pid}/cmdline`) !== "";

/** Who answers on a new connection; null where nobody is ready. */
async function answering({ client }: TestServer): Promise<string | null> {
  const answer = await client.get("/ready", { headers: { Connection: "close" } }).catch(() => null);
  return answer?.status === 200 ? accepted(answer, readiness).process : null;
}

/** Waits until each of two has answered. */
async function bothAnswer(server: TestServer): Promise<void> {
  const seen = new Set<string>();
  await until("an answer of each front", async () => {
    const name = await answering(server);
    if (name !== null) seen.add(name);
    return seen.size === 2;
  });
  expect([...seen].toSorted()).toEqual(["front-1", "front-2"]);
}

describe("fronts", () => {
  test("share the port, say which they are, and tell the figures of all", async () => {
    await using server = await startServer(environment(await postgres.newRecords()));
    const { client, program } = server;
    await bothAnswer(server);
    const { code } = await client.reserve("ann", 1);
    await client.buy(code);
    const metrics = (await client.get("/metrics")).text;
    expect(metrics).toContain('stampede_role{role="leader",process="main"} 1');
    expect(metrics).toContain('stampede_role{role="standby",process="front-1"} 1');
    expect(metrics).toContain('stampede_role{role="standby",process="front-2"} 1');
    const counted = 'stampede_attempts_total{kind="purchase",outcome="purchased",process="main"} 1';
    expect(metrics).toContain(counted);
    expect(metrics.match(/^# HELP stampede_role /gm)).toHaveLength(1);
    const lines = program.log.trim().split("\n");
    const speakers = new Set(lines.map((line) => logLine.parse(JSON.parse(line)).process));
    expect([...speakers].toSorted()).toEqual(["front-1", "front-2", "main"]);
    // What was started is the program and its fronts, and on their command lines is no secret.
    for (const pid of frontsOf(server)) {
      expect(readProc(`/proc/${pid}/cmdline`).split("\0").filter(Boolean).slice(2)).toEqual([
        "front",
      ]);
    }
  });

  test("tell their streams what was bought through another", async () => {
    await using server = await startServer(environment(await postgres.newRecords()));
    const streams = await inTurn(upTo(6), () => EventStream.open(server.url));
    const { id } = await server.client.openSale();
    await server.client.reserveAndBuy("ann");
    const isTold = ({ event, data }: SentEvent): boolean => {
      const news = event === "stock" ? stockNews.parse(data) : null;
      return news?.sale_id === id && news.sold === 1;
    };
    await Promise.all(streams.map((stream) => stream.upTo(isTold)));
    for (const stream of streams) stream.close();
  });

  test("let no other program take their port, nor one of the same kind", async () => {
    const url = await postgres.newRecords();
    await using server = await startServer(environment(url));
    const { port } = server;
    for (const FRONTS of ["0", "2"]) {
      const other = { ...environment(url), PORT: String(port), FRONTS };
      const refusal = await runProgram(["serve"], other);
      expect(refusal).toMatchObject({ exitCode: 1, output: "" });
      expect(refusal.log).toContain(`Port ${port} is in use by another program`);
    }
    const listen = () => Bun.serve({ hostname: "127.0.0.1", port, fetch: () => new Response() });
    expect(listen).toThrow("in use");
    // Not while one of them is away either.
    for (const pid of frontsOf(server)) process.kill(pid, "SIGKILL");
    expect(listen).toThrow("in use");
    await bothAnswer(server);
  });

  test("are replaced when they stand still", async () => {
    await using server = await startServer(environment(await postgres.newRecords()));
    const [first] = frontsOf(server);
    if (first === undefined) throw new Error("there are no fronts");
    process.kill(first, "SIGSTOP");
    await until("its end", () => !isAlive(first));
    expect(server.program.log).toContain("a front does nothing any more");
    await bothAnswer(server);
  });

  test("are not to be started by hand", async () => {
    const { exitCode, log } = await runProgram(["front"]);
    expect(exitCode).toBe(2);
    expect(log).toContain("set FRONTS");
  });

  test("follow whoever leads where their own machine stands by, and its successor", async () => {
    const url = await postgres.newRecords();
    await using leader = await startServer(environment(url));
    await using standby = await startServer(environment(url));
    await bothAnswer(standby);
    const { code } = await standby.client.reserve("ann", 1);
    expect(await leader.client.buy(code)).toMatchObject({ user_id: "ann" });
    expect(await leader.stop()).toBe(0);
    const second = await standby.client.reserve("ann", 2);
    await standby.client.buy(second.code);
    expect(accepted(await standby.client.get("/ready"), readiness).epoch).toBe(2);
    await expectSound(lookInto(url));
  });
});

const twenty = () => 20;

describe.each(seeds(1))("with seed %i, nothing is lost when", (seed) => {
  test("fronts are killed, one after another, and replaced", async () => {
    const random = new Random(seed);
    const url = await postgres.newRecords();
    await using server = await startServer(environment(url));
    const crowd = new Crowd(server.client, random);
    await whileShopping({ crowd, buyers }, { rounds: 4, answers: twenty }, async () => {
      const running = await until("both fronts", () => {
        const pids = frontsOf(server);
        return pids.length === 2 && pids;
      });
      process.kill(random.pick(running) ?? server.program.pid, "SIGKILL");
    });
    await bothAnswer(server);
    expect(server.program.log).toContain("a front has ended; starting another");
    await expectNothingLost({ crowd, buyers }, server.client, url);
    expect(await server.stop()).toBe(0);
  });

  test("the leading process is killed, and its fronts with it", async () => {
    const random = new Random(seed);
    const url = await postgres.newRecords();
    const settings = environment(url, { PORT: String(freePort()) });
    let server = await startServer(settings);
    const crowd = new Crowd(new Client(() => server.url), random);
    await whileShopping({ crowd, buyers }, { rounds: 2, answers: twenty }, async (round) => {
      const fronts = frontsOf(server);
      expect(fronts.length).toBe(2);
      // One that stands still goes as well.
      if (round === 2) process.kill(fronts[0] ?? server.program.pid, "SIGSTOP");
      await server.kill();
      // On the same port, while those may just be ending.
      server = await startServer(settings);
      await until("the end of the fronts", () => !fronts.some(isAlive));
    });
    await expectNothingLost({ crowd, buyers }, server.client, url);
    expect(await server.stop()).toBe(0);
  });
});

/** Buys until it is told to leave; what went wrong meanwhile, and what was bought. */
async function buyUntilSentAway({ client }: TestServer, user: string) {
  const bought: string[] = [];
  for (;;) {
    const given = await client.checkout(user, "any");
    if (isParting(given)) return bought;
    const { code } = accepted(given, reservation);
    const sold = await client.purchase(code);
    expect(sold.status).toBe(200);
    bought.push(code);
    if (isParting(sold)) return bought;
  }
}

const isParting = ({ status, headers }: Answer): boolean => {
  expect([200, 409]).toContain(status);
  return headers.get("Connection") === "close";
};

describe("told to stop,", () => {
  test("the program answers all that it is asked, and ends with its fronts", async () => {
    const url = await postgres.newRecords();
    await using server = await startServer(
      environment(url, { SALE_UNITS_PER_ITEM: "1000", STOP_GRACE_MS: "3000" }),
    );
    const fronts = frontsOf(server);
    const crowd = upTo(buyers).map((n) => buyUntilSentAway(server, `buyer ${n}`));
    const sql = lookInto(url);
    await until("some purchases", async () => {
      const [row] = await sql<{ count: number }[]>`select count(*)::int from purchases`;
      return (row?.count ?? 0) > buyers;
    });
    server.program.signal("SIGTERM");
    const bought = (await Promise.all(crowd)).flat();
    refused(await server.client.get("/ready"), "unavailable", "retry");
    expect(await server.program.exited()).toBe(0);
    expect(fronts.some(isAlive)).toBe(false);
    const stored = await sql<{ code: string }[]>`select code from purchases`;
    expect(stored.map(({ code }) => code).toSorted()).toEqual(bought.toSorted());
    expect(await runProgram(["verify"], { DATABASE_URL: url })).toMatchObject({ exitCode: 0 });
  });

  test("one front leaves the others to answer, and is replaced; no client is cut off", async () => {
    await using server = await startServer(environment(await postgres.newRecords()));
    const off = new AbortController();
    // Each asks on a connection of its own, so that some are always about to be taken.
    const clients = upTo(buyers).map(async (n) => {
      let answers = 0;
      for (; !off.signal.aborted; answers += 1) {
        const answer = await server.client.checkout(`buyer ${n}`, "any", {
          headers: { Connection: "close" },
        });
        expect([200, 409]).toContain(answer.status);
      }
      return answers;
    });
    const left = await inTurn(upTo(4), async () => {
      await bothAnswer(server);
      const [first] = frontsOf(server);
      if (first === undefined) throw new Error("there are no fronts");
      process.kill(first, "SIGTERM");
      await Promise.race([until("its end", () => !isAlive(first)), Promise.all(clients)]);
      return first;
    });
    await bothAnswer(server);
    off.abort();
    expect((await Promise.all(clients)).every((answers) => answers > 0)).toBe(true);
    expect(frontsOf(server).filter((pid) => left.includes(pid))).toEqual([]);
  });

  test("two programs on one embedded PostgreSQL end it with the last of them", async () => {
    const dataDir = await newCluster();
    const { DATABASE_URL: _, ...rest } = environment("");
    const settings = { ...rest, STAMPEDE_DATA: dataDir };
    await using first = await startServer(settings);
    await using second = await startServer({ ...settings, FRONTS: "1" });
    const running = findPostmaster(join(dataDir, "pgdata"))?.pid;
    await second.client.reserveAndBuy("ann", 1);
    expect(await first.stop()).toBe(0);
    await second.client.reserveAndBuy("ann", 2);
    expect(findPostmaster(join(dataDir, "pgdata"))?.pid).toBe(running);
    expect(await second.stop()).toBe(0);
    expect(findPostmaster(join(dataDir, "pgdata"))).toBeUndefined();
  });
});

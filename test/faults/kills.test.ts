/**
 * `kill -9` in random order, of whoever leads, of who stands by, of a front and of PostgreSQL, while a
 * crowd buys through all processes: each of them once, and on for `KILLS_SECONDS`. After each nothing
 * that was acknowledged is lost, and nothing is sold twice. The seed says who is killed, in which order and
 * after how many answers; what is under way in that moment no seed can say.
 */
import { expect, test } from "bun:test";
import { Client } from "../support/client.ts";
import { Crowd, expectSellsOut, expectSound } from "../support/crowd.ts";
import { leadsNow } from "../support/flood.ts";
import { freePort } from "../support/leftovers.ts";
import { lookInto, useOwnPostgres } from "../support/postgres.ts";
import { Random, seeds } from "../support/random.ts";
import {
  frontsOf,
  runProgram,
  startServer,
  type Environment,
  type TestServer,
} from "../support/server.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = useOwnPostgres();
const seconds = Number(process.env["KILLS_SECONDS"] ?? "0");
const testMaxMs = seconds * 1000 + 480_000;
const buyers = 12;
const frontCount = 2;
/** So many are left to be sold after the last of them. */
const unitsKept = 60;
const units = 300 + 10 * Math.ceil(seconds);

const victims = ["leader", "standby", "front", "postgres"] as const;
type Victim = (typeof victims)[number];

/** Three processes at ports of their own, one of which has fronts. */
class Nodes {
  readonly #environments: readonly Environment[];
  readonly servers: TestServer[] = [];

  constructor(url: string) {
    this.#environments = ["0", "0", String(frontCount)].map((FRONTS) => ({
      DATABASE_URL: url,
      FRONTS,
      PORT: String(freePort()),
      RATE_LIMITS: "off",
      SALE_ITEMS: String(units / 10),
      SALE_UNITS_PER_ITEM: "10",
      SALE_PER_USER_LIMIT: "100000",
      RESERVATION_TTL_MS: "1500",
    }));
  }

  async start(): Promise<void> {
    await inTurn(this.#environments, async (environment) => {
      this.servers.push(await startServer(environment));
    });
  }

  /** Kills one, and has it back. */
  async kill(victim: Victim, random: Random): Promise<void> {
    if (victim === "postgres") {
      await postgres.end("SIGKILL");
      return await postgres.start();
    }
    if (victim === "front") return await this.#killFront(random);
    const leading = await until("somebody to lead", () => this.#leading());
    const others = upTo(this.servers.length).filter((n) => n - 1 !== leading);
    await this.#replace(victim === "leader" ? leading : (random.pick(others) ?? 1) - 1);
  }

  async end(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.kill()));
  }

  /** Which of them leads; one with fronts does so behind them. */
  async #leading(): Promise<number | null> {
    const found = await inTurn(this.servers.slice(0, 2), (server) =>
      leadsNow(server).catch(() => false),
    );
    if (found.includes(true)) return found.indexOf(true);
    const behind = await this.servers[2]?.client.get("/metrics").catch(() => null);
    return behind?.text.includes('stampede_role{role="leader",process="main"} 1') === true
      ? 2
      : null;
  }

  async #replace(index: number): Promise<void> {
    const [server, environment] = [this.servers[index], this.#environments[index]];
    if (server === undefined || environment === undefined) throw new Error(`there is no ${index}`);
    await server.kill();
    this.servers[index] = await startServer(environment);
  }

  async #killFront(random: Random): Promise<void> {
    const [, , server] = this.servers;
    const front = await until("a front", () => server && random.pick(frontsOf(server)));
    process.kill(front, "SIGKILL");
    await until("another in its place", () => {
      const fronts = server === undefined ? [] : frontsOf(server);
      return fronts.length === frontCount && !fronts.includes(front);
    });
  }
}

/** All of them once, in some order, again and again. */
function* orderOf(random: Random): Generator<Victim> {
  for (;;) {
    const left: Victim[] = [...victims];
    while (left.length > 0) yield left.splice(random.between(0, left.length - 1), 1)[0] ?? "leader";
  }
}

test.each(seeds(1))(
  "with seed %i, nothing is lost when anybody is killed at any time",
  async (seed) => {
    const random = new Random(seed);
    const url = await postgres.newDatabase();
    const sql = lookInto(url);
    const nodes = new Nodes(url);
    await nodes.start();
    const crowd = new Crowd(
      new Client(() => random.pick(nodes.servers)?.url ?? ""),
      random,
      60_000,
    );
    const killed: Victim[] = [];
    const endsAt = performance.now() + seconds * 1000;
    // However fast the machine is, it does not sell out meanwhile: then all is given back.
    const habits = {
      leaves: 0.1,
      get releases() {
        return crowd.orders.size + unitsKept < units ? 0.4 : 0.9;
      },
    };
    for (const victim of orderOf(new Random(seed))) {
      if (killed.length >= victims.length && performance.now() > endsAt) break;
      const off = new AbortController();
      const shopping = crowd.shop(buyers, off.signal, habits);
      await crowd.acknowledges(random.between(5, 40));
      killed.push(victim);
      await nodes.kill(victim, random);
      await crowd.acknowledges(random.between(5, 20));
      off.abort();
      await shopping;
      await crowd.expectStored(sql);
      await expectSound(sql);
    }
    const told = `${crowd.orders.size} bought, ${crowd.retries} asked again`;
    process.stdout.write(`seed ${seed}: killed ${killed.join(", ")}; ${told}\n`);
    expect(new Set(killed).size).toBe(victims.length);
    const [first] = nodes.servers;
    if (first === undefined) throw new Error("nobody is left");
    await expectSellsOut(first.client, sql, buyers);
    await crowd.expectStored(sql);
    expect(await runProgram(["verify"], { DATABASE_URL: url })).toMatchObject({ exitCode: 0 });
    await nodes.end();
  },
  testMaxMs,
);

/**
 * Buyers at one process who never ask twice, and note what went wrong; and what the journal has to say
 * of them.
 */
import { expect } from "bun:test";
import type { Sql } from "postgres";
import { z } from "zod";
import { waitMaxMs as waitsForLeaderMs } from "../../src/engine/current-writer.ts";
import { accepted, readiness, reservation } from "./contract.ts";
import { expectSound } from "./crowd.ts";
import type { TestServer } from "./server.ts";
import { until, upTo } from "./wait.ts";

export const buyersEach = 6;
/** Answers that are to come before something happens, and after. */
export const answersEach = 150;
const waitMaxMs = 60_000;

const refusal = z.object({ code: z.string() });
/** What buyers may be told while somebody sells. */
const usual: ReadonlySet<string> = new Set(["item_reserved", "sold_out", "user_limit_reached"]);

/** Buyers at one process, who ask everything once, and note what went wrong. */
export class Flood {
  /** Requests that were answered, by what was asked. */
  readonly answered = { checkout: 0, purchase: 0, release: 0 };
  readonly wrong: string[] = [];
  /**
   * Requests that have waited for as long as any may, while nobody led, and were told to come again:
   * on a machine that is busy a takeover may take longer.
   */
  unavailable = 0;
  /** Codes that were bought. */
  readonly bought: string[] = [];
  slowestMs = 0;
  /** Buyers wait for it before they go on; null: they do not. */
  #turn: PromiseWithResolvers<void> | null = null;
  readonly #server: TestServer;
  readonly #off = new AbortController();
  readonly #done: Promise<unknown>;

  constructor(server: TestServer, name: string) {
    this.#server = server;
    this.#done = Promise.all(upTo(buyersEach).map((n) => this.#buyer(`${name} ${n}`)));
  }

  get count(): number {
    const { checkout, purchase, release } = this.answered;
    return checkout + purchase + release;
  }

  /** Waits for so many more answers, or for one that is wrong. */
  async goesOn(more = answersEach): Promise<void> {
    const wanted = this.count + more;
    const isThere = (): boolean => this.count >= wanted || this.wrong.length > 0;
    await until(`${more} more answers`, isThere, waitMaxMs);
  }

  /** From now on each buyer gets one thing at a turn. */
  takeTurn(): void {
    const before = this.#turn;
    this.#turn = Promise.withResolvers();
    before?.resolve();
  }

  /** And now as many as they can, again. */
  goFreely(): void {
    this.#turn?.resolve();
    this.#turn = null;
  }

  async end(): Promise<void> {
    this.#off.abort();
    await this.#done;
  }

  async #buyer(name: string): Promise<void> {
    const { client } = this.#server;
    for (let n = 1; !this.#off.signal.aborted && this.wrong.length === 0; n += 1) {
      await this.#turn?.promise;
      const user = `${name} ${n % 3 === 0 ? 0 : n}`;
      const given = await this.#ask("checkout", () => client.checkout(user, "any"));
      if (given?.status !== 200) continue;
      const { code } = accepted(given, reservation);
      if (n % 4 === 0) await this.#ask("release", () => client.release(code));
      else if ((await this.#ask("purchase", () => client.purchase(code)))?.status === 200) {
        this.bought.push(code);
      }
    }
  }

  async #ask(
    kind: keyof Flood["answered"],
    ask: () => ReturnType<TestServer["client"]["purchase"]>,
  ) {
    const askedAt = performance.now();
    try {
      const answer = await ask();
      const tookMs = performance.now() - askedAt;
      const isUnavailable =
        answer.status === 503 && refusal.parse(answer.json()).code === "unavailable";
      // Nothing was done, and is not recorded.
      if (isUnavailable && tookMs >= waitsForLeaderMs) {
        this.unavailable += 1;
        return answer;
      }
      this.slowestMs = Math.max(this.slowestMs, tookMs);
      this.answered[kind] += 1;
      const isUsual =
        answer.status < 300 ||
        (answer.status === 409 && usual.has(refusal.parse(answer.json()).code));
      if (!isUsual) {
        this.wrong.push(`${kind}, after ${Math.round(tookMs)} ms: ${answer.status} ${answer.text}`);
      }
      return answer;
    } catch (error) {
      this.wrong.push(`${kind}: ${String(error)}`);
      return null;
    }
  }
}

export const floodedSale = (url: string) => ({
  DATABASE_URL: url,
  SALE_ITEMS: "2000",
  SALE_UNITS_PER_ITEM: "10",
  RATE_LIMITS: "off",
  // A machine under test may be slow to hear.
  STOP_GRACE_MS: "3000",
});

export const leadsNow = async ({ client }: TestServer): Promise<boolean> => {
  const answer = await client.get("/ready");
  return answer.status === 200 && accepted(answer, readiness).role === "leader";
};

/** The journal has what was asked, once each, and nothing else. */
export async function expectOnce(sql: Sql, floods: readonly Flood[]): Promise<void> {
  const rows = await sql<{ kind: keyof Flood["answered"]; attempts: number }[]>`
    select kind, count(*)::int as attempts from attempts
    where kind <> 'milestone' group by kind`;
  const recorded = Object.fromEntries(rows.map(({ kind, attempts }) => [kind, attempts]));
  const sum = (kind: keyof Flood["answered"]): number =>
    floods.reduce((total, { answered }) => total + answered[kind], 0);
  expect(recorded).toEqual({
    checkout: sum("checkout"),
    purchase: sum("purchase"),
    release: sum("release"),
  });
  const twice = await sql`select asked from attempts where asked is not null
    group by asked having count(*) > 1`;
  expect([...twice]).toEqual([]);
  const stored = await sql<{ code: string }[]>`select code from purchases`;
  expect(stored.map(({ code }) => code).toSorted()).toEqual(
    floods.flatMap(({ bought }) => bought).toSorted(),
  );
  await expectSound(sql);
}

export const tell = (what: string, floods: readonly Flood[]): void => {
  const counts = floods.map(({ count, slowestMs }) => `${count} (${Math.round(slowestMs)} ms)`);
  const unavailable = floods.reduce((sum, flood) => sum + flood.unavailable, 0);
  const inVain = unavailable === 0 ? "" : `; ${unavailable} waited in vain`;
  process.stdout.write(`${what}: answers (the slowest) of each: ${counts.join(", ")}${inVain}\n`);
};

/** Buyers leave a process that says that it ends, as a balancer has them do. */
export async function leaves(
  server: TestServer | undefined,
  flood: Flood | undefined,
): Promise<void> {
  await until("its saying that it ends", async () => {
    const answer = await server?.client.get("/ready");
    return answer?.status === 503;
  });
  await flood?.end();
}

/**
 * Waits for the end of a process that its buyers have left. Those at the others go on, but each asks
 * for one thing whenever it is looked whether the process has ended: the lead is given away, and for
 * all of the grace they would keep the machine busy for nothing.
 */
export async function ends({ program }: TestServer, others: readonly Flood[]): Promise<number> {
  try {
    await until("its end", () => {
      others.forEach((flood) => flood.takeTurn());
      return !program.isRunning;
    });
    return await program.exited();
  } finally {
    others.forEach((flood) => flood.goFreely());
  }
}

/** What was not answered as it is while somebody sells, nor after all the time that it may wait. */
export const faultsOf = (floods: readonly Flood[]): string[] =>
  floods.flatMap(({ wrong }) => wrong);

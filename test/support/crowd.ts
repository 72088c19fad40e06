/**
 * A crowd of buyers that keeps to the contract: it retries what was not answered, with the
 * same idempotency key or the same code, and notes everything it was told. Afterwards it
 * asks again for all of it.
 */
import { expect } from "bun:test";
import { z } from "zod";
import type { Sql } from "postgres";
import { poll } from "../../src/postgres/poll.ts";
import type { Answer, Client } from "./client.ts";
import { accepted, audit, order, reservation } from "./contract.ts";
import { lookInto } from "./postgres.ts";
import { Random } from "./random.ts";
import { runProgram } from "./server.ts";
import { inTurn, until, upTo, waitMaxMs } from "./wait.ts";

const refusal = z.object({ code: z.string(), retry_after_ms: z.int().optional() });
/** A buyer who is told to wait does not wait longer than this. */
const patienceMaxMs = 200;
const retryMs = 20;

/** Answers that end a buyer's shopping. */
const final = new Set(["sold_out", "user_limit_reached"]);

export class Crowd {
  /** Codes that were given, by whom to. */
  readonly codes = new Map<string, string>();
  /** Codes that were bought, and the number of the order. */
  readonly orders = new Map<string, string>();
  readonly released = new Set<string>();
  /** Attempts that got no answer, or were told to try again. */
  retries = 0;
  readonly #client: Client;
  readonly #random: Random;
  readonly #crowdMs: number;

  /** @param crowdMs bound on one buyer's wait for an answer that counts */
  constructor(client: Client, random: Random, crowdMs = waitMaxMs) {
    this.#client = client;
    this.#random = random;
    this.#crowdMs = crowdMs;
  }

  get acknowledged(): number {
    return this.codes.size + this.orders.size;
  }

  /** Shops until everybody was told that there is nothing more, or is called off. */
  async shop(buyers: number, off: AbortSignal, habits = { leaves: 0.15, releases: 0.1 }) {
    await Promise.all(upTo(buyers).map((number) => this.#buyer(`buyer ${number}`, off, habits)));
  }

  async #buyer(user: string, off: AbortSignal, habits: { leaves: number; releases: number }) {
    let isDone = false;
    while (!off.aborted && !isDone) {
      // oxlint-disable-next-line no-await-in-loop
      isDone = await this.#once(user, habits);
    }
  }

  /** One item, from the checkout to what this buyer makes of it; whether it was the last. */
  async #once(user: string, habits: { leaves: number; releases: number }): Promise<boolean> {
    const key = crypto.randomUUID();
    const answer = await this.#answered(() => this.#client.checkout(user, "any", { key }));
    if (answer.status !== 200) {
      const { code, retry_after_ms: ms } = refusal.parse(answer.json());
      if (final.has(code)) return true;
      if (code !== "item_reserved") throw new Error(`a checkout got ${answer.text}`);
      await this.#changed(Math.min(ms ?? retryMs, patienceMaxMs));
      return false;
    }
    const { code, user_id: of } = accepted(answer, reservation);
    expect(of).toBe(user);
    this.codes.set(code, user);
    const mood = this.#random.next();
    if (mood < habits.leaves) return false;
    if (mood < habits.leaves + habits.releases) {
      const given = await this.#answered(() => this.#client.release(code));
      expect(given.status).toBe(204);
      this.released.add(code);
      return false;
    }
    await this.#buy(code);
    return false;
  }

  async #buy(code: string): Promise<void> {
    const answer = await this.#answered(() => this.#client.purchase(code));
    if (answer.status === 410) return;
    this.orders.set(code, accepted(answer, order).order_id);
  }

  /** Resolves once somebody was told something new, or when a buyer's patience ends. */
  async #changed(patienceMs: number): Promise<void> {
    const told = (): number => this.acknowledged + this.released.size;
    const before = told();
    await poll({ everyMs: retryMs, waitMaxMs: patienceMs }, () => told() !== before || undefined);
  }

  /** Asks until there is an answer that counts. */
  async #answered(ask: () => Promise<Answer>): Promise<Answer> {
    const bounds = { everyMs: retryMs, waitMaxMs: this.#crowdMs };
    const answered = await poll(bounds, async () => {
      const answer = await ask().catch(() => null);
      if (answer !== null && answer.status !== 503) return answer;
      this.retries += 1;
      return undefined;
    });
    if (answered === undefined) throw new Error(`an answer: not within ${this.#crowdMs} ms`);
    return answered;
  }

  /** Resolves once so many more answers have been acknowledged. */
  async acknowledges(more: number): Promise<void> {
    const wanted = this.acknowledged + more;
    await until(`${more} more answers`, () => this.acknowledged >= wanted);
  }

  /** Asks again for everything that was told: nothing may be forgotten, nothing different. */
  async expectRemembered(): Promise<void> {
    await inTurn(this.orders, async ([code, orderId]) => {
      const again = await this.#client.buy(code);
      expect(again).toMatchObject({ order_id: orderId, code, replayed: true });
      expect(again.user_id).toBe(this.codes.get(code) ?? "nobody");
    });
  }

  /** Compares what was told with what is stored. */
  async expectStored(sql: Sql): Promise<void> {
    const purchases = await sql<{ code: string; seq: string; user_id: string }[]>`
      select code, seq, user_id from purchases`;
    const stored = new Map(purchases.map((row) => [row.code, row]));
    for (const [code, orderId] of this.orders) {
      expect({ code, seq: stored.get(code)?.seq }).toEqual({ code, seq: orderId });
      expect(stored.get(code)?.user_id).toBe(this.codes.get(code) ?? "nobody");
    }
    const reserved = await sql<{ code: string; user_id: string }[]>`
      select code, user_id from attempts where outcome = 'reserved'`;
    const given = new Map(reserved.map((row) => [row.code, row.user_id]));
    for (const [code, user] of this.codes) expect(given.get(code)).toBe(user);
    // One that ran out before it was given back is told so alike.
    const back = await sql<{ code: string }[]>`
      select code from attempts where outcome in ('released', 'released_again')`;
    const gone = new Set(back.map((row) => row.code));
    for (const code of this.released) {
      const is = { code, released: gone.has(code), sold: stored.has(code) };
      expect(is).toEqual({ code, released: true, sold: false });
    }
  }
}

/** The promises that hold at any moment, asked of the tables alone. */
export async function expectSound(sql: Sql): Promise<void> {
  const wrong = await sql`
    select 'item with two buyers' as what from purchases p join items i
      on i.sale_id = p.sale_id and i.id = p.item_id
      group by p.sale_id, p.item_id, i.stock having count(*) > i.stock
    union all
    select 'user over the limit' from purchases p join sales s on s.id = p.sale_id
      group by p.sale_id, p.user_id, s.per_user_limit having count(*) > s.per_user_limit
    union all
    select 'gap in the journal' from attempts having count(*) <> coalesce(max(seq) - min(seq) + 1, 0)
    union all
    select 'time out of order' from (
      select at < lag(at) over (order by seq) as backwards from attempts) j where backwards`;
  expect([...wrong]).toEqual([]);
}

/** The sale sells out to exactly its stock, and its audit finds nothing. */
export async function expectSellsOut(client: Client, sql: Sql, buyers: number): Promise<void> {
  const { id, stock } = await client.openSale();
  const never = new AbortController().signal;
  const last = new Crowd(client, new Random(0));
  await last.shop(buyers, never, { leaves: 0, releases: 0 });
  // A standby's figures may be a second old.
  await until("the figures of a sale sold out", async () => {
    const { sold, available } = await client.sale(id);
    expect(sold).toBeLessThanOrEqual(stock);
    return sold === stock && available === 0;
  });
  const [row] = await sql<{ sold: number }[]>`
    select count(*)::int as sold from purchases where sale_id = ${id}`;
  expect(row?.sold).toBe(stock);
  await expectSound(sql);
  const proof = await until("a fresh audit", async () => {
    const answer = accepted(await client.get(`/sales/${id}/audit`), audit);
    return answer.sold === stock && answer;
  });
  expect(proof.ok).toBe(true);
}

/**
 * Lets a crowd shop while `strike` is done `rounds` times, each time after some more answers.
 * @param strike ends when whatever was struck may be struck again
 */
export async function whileShopping(
  { crowd, buyers }: { readonly crowd: Crowd; readonly buyers: number },
  { rounds, answers }: { readonly rounds: number; readonly answers: () => number },
  strike: (round: number) => Promise<unknown>,
): Promise<void> {
  const off = new AbortController();
  const shopping = crowd.shop(buyers, off.signal);
  try {
    await inTurn(upTo(rounds), async (round) => {
      await Promise.race([crowd.acknowledges(answers()), shopping]);
      await strike(round);
    });
    await Promise.race([crowd.acknowledges(answers()), shopping]);
  } finally {
    off.abort();
    await shopping;
  }
}

/** Everything that must hold after whatever befell a sale. */
export async function expectNothingLost(
  { crowd, buyers }: { readonly crowd: Crowd; readonly buyers: number },
  client: Client,
  url: string,
): Promise<void> {
  const sql = lookInto(url);
  expect(crowd.orders.size).toBeGreaterThan(0);
  await crowd.expectRemembered();
  await crowd.expectStored(sql);
  await expectSound(sql);
  await expectSellsOut(client, sql, buyers);
  expect(await runProgram(["verify"], { DATABASE_URL: url })).toMatchObject({ exitCode: 0 });
}

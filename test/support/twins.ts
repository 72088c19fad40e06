/** PostgreSQL and the memory twin of the records, each with its term, and the ledger that decides for both. */
import { expect } from "bun:test";
import type { Sql } from "postgres";
import type { Buyer } from "../../src/ledger/buyers.ts";
import type { SoldUnit } from "../../src/ledger/commands.ts";
import { Ledger } from "../../src/ledger/ledger.ts";
import type { LedgerView } from "../../src/ledger/view.ts";
import { databaseRecords } from "../../src/store/database-records.ts";
import { newestMigration } from "../../src/store/migrations.ts";
import type { Records, Recovered, RecoveredSince, Term } from "../../src/store/records.ts";
import { soundLine } from "../simulator/line.ts";
import { MemoryRecords } from "../simulator/records.ts";
import { alone, nowhere } from "./link.ts";
import { migrationsFolder } from "./postgres.ts";
import { Random } from "./random.ts";
import { inTurn, upTo } from "./wait.ts";

export const ttlMs = 20_000;
export const begunAt = Date.UTC(2030, 0, 1);
export const products = [1, 2, 3];
export const names = ["TEN", "FREE"];
export const keys = upTo(4).map((n) => `"key" ${n}`);
export const buyers: readonly Buyer[] = (["guest", "account", "customer"] as const).flatMap(
  (kind) => ["ann", "bob \u{1f3b5} o'hara"].map((userId) => ({ kind, userId })),
);

/** One of the two, with its term. */
export type Side = { readonly records: Records; term: Term };

async function collected<T>(pages: AsyncIterable<readonly T[]>): Promise<T[]> {
  const all: T[] = [];
  for await (const page of pages) all.push(...page);
  return all;
}

const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_, part: unknown) => {
      if (part instanceof Int32Array) return Array.from(part);
      return part instanceof Map ? [...part] : part;
    }),
  );

/** What a term has read, as values that can be compared and read again. */
export async function readIn(recovered: Recovered) {
  const [effective, coupons] = [
    await collected(recovered.effective),
    await collected(recovered.coupons),
  ];
  return { plain: plain({ ...recovered, effective, coupons }), effective, coupons };
}

export const readSince = async (since: RecoveredSince): Promise<unknown> =>
  plain({ ...since, effective: await collected(since.effective) });

async function* onePage<T>(rows: readonly T[]): AsyncGenerator<readonly T[]> {
  yield await Promise.resolve(rows);
}

export class Twins {
  readonly dice: Random;
  readonly sql: Sql;
  readonly sides: Side[] = [];
  readonly memory = new MemoryRecords();
  #ledger: Ledger | null = null;
  now = begunAt;
  readonly codes: string[] = [];
  readonly sold: SoldUnit[] = [];
  /** How often something was refused by both. */
  refusals = 0;

  constructor(seed: number, sql: Sql) {
    this.dice = new Random(seed);
    this.sql = sql;
  }

  async begin(url: string): Promise<void> {
    for (const id of products) {
      await this.sql`
        insert into products (name, picture_seed, price_cents)
        values (${`product ${id}`}, ${String(id)}, 100)`;
      this.memory.sales.addProduct(id);
    }
    const schema = newestMigration(migrationsFolder);
    const connection = { url };
    const both = [
      databaseRecords({
        connection,
        sql: this.sql,
        schema,
        retentionMs: Infinity,
        exportDir: null,
      }),
      this.memory.over(soundLine),
    ];
    for (const records of both) this.sides.push({ records, term: await newTerm(records) });
    await this.recover();
  }

  async end(): Promise<void> {
    for (const { term } of this.sides) await term.end();
  }

  get open(): Ledger {
    if (this.#ledger === null) throw new Error("no term has begun");
    return this.#ledger;
  }

  /** Asks both, and compares what they say. */
  async both<T>(ask: (side: Side) => Promise<T>): Promise<T> {
    const [one, other] = await inTurn(this.sides, async (side) => ({ said: await ask(side) }));
    if (one === undefined) throw new Error("nobody was asked");
    expect(other).toEqual(one);
    return one.said;
  }

  /** As above, of what may be refused: then both refuse it. */
  async tried(ask: (side: Side) => Promise<unknown>): Promise<boolean> {
    const isDone = await this.both(async (side) => {
      try {
        await ask(side);
        return true;
      } catch {
        return false;
      }
    });
    if (!isDone) this.refusals += 1;
    return isDone;
  }

  view<T>(use: (view: LedgerView) => T): T {
    return use(this.open.view(this.now));
  }

  code(): string {
    const digits = upTo(12).map(() => this.dice.between(0, 15).toString(16));
    return `00000000-0000-4000-8000-${digits.join("")}`;
  }

  /** Another term, whose clock may be behind, or so far ahead that sales are settled. */
  async again(): Promise<void> {
    const steps = [0, 0, -3_000, -40_000, 700_000];
    this.now += this.dice.pick(steps) ?? 0;
    for (const side of this.sides) {
      await side.term.end();
      side.term = await newTerm(side.records);
    }
    await this.recover();
  }

  /** The journals of both, attempt by attempt. */
  async compareAttempts(): Promise<void> {
    const attempts = await this.sql`
      select seq::float8 as seq, round(extract(epoch from at) * 1000)::float8 as at, kind, outcome,
             sale_id, item_id, buyer, user_id, code, idempotency_key, request, quantity
      from attempts order by seq`;
    const twins = [...this.memory.attempts.values()].map((row) => ({
      seq: row.seq,
      at: row.at,
      kind: row.kind,
      outcome: row.outcome,
      sale_id: row.saleId,
      // What no item can be is not stored.
      item_id: (row.itemId ?? 0) > 2_147_483_647 ? null : row.itemId,
      buyer: row.buyer?.kind ?? null,
      user_id: row.buyer?.userId ?? null,
      code: row.code,
      idempotency_key: row.key,
      request: row.request,
      quantity: row.quantity,
    }));
    expect(twins).toEqual(Array.from(attempts) as typeof twins);
  }

  async recover(): Promise<void> {
    await this.both(({ term }) => Promise.resolve([term.epoch, term.lastAt]));
    const read: Awaited<ReturnType<typeof readIn>>[] = [];
    const found: Recovered[] = [];
    for (const { term } of this.sides) {
      await term.makeRoom(0, this.now, 0);
      await term.begin(this.now);
      const recovered = await term.recover();
      found.push(recovered);
      read.push(await readIn(recovered));
    }
    expect(read[1]?.plain).toEqual(read[0]?.plain);
    const [recovered] = found;
    const [rows] = read;
    if (recovered === undefined || rows === undefined) throw new Error("nothing was read");
    const { effective, coupons } = rows;
    this.#ledger = await Ledger.restore(
      { ...recovered, effective: onePage(effective), coupons: onePage(coupons) },
      this.now,
    );
    const held = this.view((view) => view.sales().map(({ id }) => id));
    const noted = await this.both(async ({ term }) =>
      [...(await term.notedLives(held))].toSorted(([a], [b]) => a - b),
    );
    this.#ledger.noteMilestones(new Map(noted));
  }
}

async function newTerm(records: Records): Promise<Term> {
  const term = await records.lead(nowhere, new AbortController().signal, alone);
  if (term === null) throw new Error("no term has begun");
  return term;
}

/**
 * The hourly sale as most that are public have it: a script in Redis decides, and what it decided is
 * stored in PostgreSQL behind the answer, in batches, which is quicker than one by one before it.
 * What was answered is as safe as Redis's file is, and attempts only once their batch is stored.
 */
import type { Sql } from "postgres";
import { RedisClient } from "bun";
import {
  perUserLimit,
  type Refusal,
  reservationMs,
  type RivalSale,
  stock,
  storedIn,
} from "./rival.ts";

/** KEYS: sold, held, units of the buyer, the code. ARGV: buyer, item, code, ms, limit. */
const checkoutScript = `
if redis.call('HEXISTS', KEYS[1], ARGV[2]) == 1 then return 'item_sold_out' end
if redis.call('EXISTS', KEYS[2]) == 1 then return 'item_reserved' end
if tonumber(redis.call('GET', KEYS[3]) or '0') >= tonumber(ARGV[5]) then return 'user_limit_reached' end
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
redis.call('INCR', KEYS[3])
redis.call('SET', KEYS[4], ARGV[1] .. '|' .. ARGV[2], 'PX', ARGV[4])
return 'ok'`;

/** KEYS: sold, the code, its order, the last order's number. ARGV: prefix of holds. */
const purchaseScript = `
local order = redis.call('GET', KEYS[3])
if order then return order end
local held = redis.call('GET', KEYS[2])
if not held then return false end
local user, item = held:match('^(.*)|(%d+)$')
if redis.call('HSETNX', KEYS[1], item, user) == 0 then return false end
order = redis.call('INCR', KEYS[4]) .. '|' .. held
redis.call('SET', KEYS[3], order)
redis.call('DEL', KEYS[2], ARGV[1] .. item)
return order`;

const batchRowsMax = 5_000;

type Attempt = readonly [
  kind: string,
  user: string | null,
  item: number | null,
  code: string | null,
  outcome: string,
];

export async function saleByLua(sql: Sql, socket: string): Promise<RivalSale> {
  const redis = new RedisClient(`redis+unix://${socket}`);
  await redis.connect();
  const load = async (script: string): Promise<string> =>
    String(await redis.send("SCRIPT", ["LOAD", script]));
  const [checkout, purchase] = [await load(checkoutScript), await load(purchaseScript)];
  const store = new StoredBehind((rows) => insertAttempts(sql, rows));
  return {
    checkout: async (user, item) => {
      if (item < 1 || item > stock) return "item_not_found";
      const code = crypto.randomUUID();
      const keys = ["sold", `held:${item}`, `units:${user}`, `code:${code}`];
      const given = [user, String(item), code, String(reservationMs), String(perUserLimit)];
      const outcome = String(await redis.send("EVALSHA", [checkout, "4", ...keys, ...given]));
      store.add(["checkout", user, item, outcome === "ok" ? code : null, outcome]);
      return outcome === "ok" ? { code } : refusalOf(outcome);
    },
    purchase: async (code) => {
      const keys = ["sold", `code:${code}`, `order:${code}`, "orders"];
      const told: unknown = await redis.send("EVALSHA", [purchase, "4", ...keys, "held:"]);
      const [order = "", user = "", item] = typeof told === "string" ? told.split("|") : [];
      store.add(["purchase", user, Number(item), code, item === undefined ? "not found" : "ok"]);
      return item === undefined ? null : { order, user, item: Number(item) };
    },
    stored: async (codes) => {
      await store.settle();
      return await storedIn(sql, codes);
    },
  };
}

const refusals: readonly Refusal[] = ["item_reserved", "item_sold_out", "user_limit_reached"];

function refusalOf(outcome: string): Refusal {
  const known = refusals.find((one) => one === outcome);
  if (known === undefined) throw new Error(`Redis said ${outcome}`);
  return known;
}

function insertAttempts(sql: Sql, rows: readonly Attempt[]): Promise<unknown> {
  const column = <K extends 0 | 1 | 2 | 3 | 4>(at: K): Attempt[K][] => rows.map((row) => row[at]);
  return sql`
    insert into attempts (kind, user_id, item, code, outcome)
    select * from unnest(${column(0)}::text[], ${column(1)}::text[], ${column(2)}::int[],
                         ${column(3)}::text[], ${column(4)}::text[])`;
}

/** One insert under way; what comes meanwhile is the next. */
class StoredBehind {
  readonly #insert: (rows: readonly Attempt[]) => Promise<unknown>;
  #waiting: Attempt[] = [];
  #storing: Promise<void> | null = null;

  constructor(insert: (rows: readonly Attempt[]) => Promise<unknown>) {
    this.#insert = insert;
  }

  add(attempt: Attempt): void {
    this.#waiting.push(attempt);
    this.#storing ??= this.#store();
  }

  async settle(): Promise<void> {
    while (this.#storing !== null) await this.#storing;
  }

  async #store(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, batchRowsMax);
      this.#waiting = this.#waiting.slice(batchRowsMax);
      await this.#insert(batch);
    }
    this.#storing = null;
  }
}

/**
 * Reads back what a new term needs: the sales that are not settled, each with its checkpoint and
 * what is sold of it, and of the journal only what changed them since. It is bounded by those
 * sales' units and by how often checkpoints are made, never by history or by what was tried.
 */
import type { ISql, Sql } from "postgres";
import type { BuyerKind } from "../ledger/buyers.ts";
import type {
  BegunTerm,
  Checkpoint,
  EffectiveAttempt,
  RecordedExtension,
  RecordedSale,
  StoredPurchase,
} from "../ledger/restore.ts";
import { isoTime } from "../time.ts";
import { parseOpen } from "./checkpoints.ts";
import { couponPages, keyedClaims } from "./coupons.ts";
import { settleAfterMs, type Recovered } from "./records.ts";
import { countAttempts, loadSales, settle, type StoredSale } from "./sales.ts";

/** Rows of the journal read at a time. */
const replayRowsMax = 10_000;

type LastAttempt = { readonly seq: number; readonly at: number };

/**
 * Counts the attempts of sales that were over before anybody who led could, for the last time; and
 * takes that back of sales that are not over, which a clock that was ahead may have settled.
 */
export async function settleByTime(sql: Sql, now: number, last: LastAttempt): Promise<void> {
  for (const { id, over, settled } of await knownSales(sql, now)) {
    if (over && !settled) await settle(sql, id, last.seq);
    if (!over && settled) await sql`update sales set settled = false where id = ${id}`;
  }
}

/**
 * Reads everything; changes nothing.
 * @param now the term's time, ms
 * @param last the last attempt's number and time
 */
export async function recover(sql: ISql, now: number, last: LastAttempt): Promise<Recovered> {
  const known = await knownSales(sql, now);
  const ids = known.filter(({ over }) => !over).map(({ id }) => id);
  const catalogues = await loadSales(sql, ids);
  const sales = await recordedSales(sql, catalogues, last.seq);
  return {
    ...last,
    settled: new Map(known.filter(({ over }) => over).map((row) => [row.id, row.item_count])),
    sales,
    catalogues,
    terms: await begunTerms(sql, sales),
    effective: effectiveAttempts(sql, sales),
    coupons: couponPages(sql),
    keyedClaims: await keyedClaims(sql, last.at),
  };
}

type KnownSale = { id: number; item_count: number; over: boolean; settled: boolean };

const knownSales = (sql: ISql, now: number): Promise<KnownSale[]> => {
  const settledBefore = isoTime(now - settleAfterMs);
  return sql<KnownSale[]>`
    select id, item_count, ends_at <= ${settledBefore} as over, settled from sales order by id`;
};

/** The number and time of the last attempt; 0 before the first. */
export async function lastAttempt(sql: ISql): Promise<LastAttempt> {
  // `seq` alone would name the output column, which no index has in order.
  const [row] = await sql<{ seq: number; at: Date }[]>`
    select seq::float8 as seq, at from attempts order by attempts.seq desc limit 1`;
  return { seq: row?.seq ?? 0, at: row?.at.getTime() ?? 0 };
}

async function recordedSales(
  sql: ISql,
  stored: readonly StoredSale[],
  upTo: number,
): Promise<RecordedSale[]> {
  const ids = stored.map(({ sale }) => sale.id);
  const [checkpoints, purchases] = await Promise.all([
    readCheckpoints(sql, ids),
    readPurchases(sql, ids),
  ]);
  const recorded: RecordedSale[] = [];
  for (const { sale, attempts, attemptsSeq } of stored) {
    recorded.push({
      terms: sale,
      attempts: attempts + (await countAttempts(sql, sale.id, attemptsSeq, upTo)),
      checkpoint: checkpoints.get(sale.id) ?? { seq: 0, sold: 0, open: [] },
      purchases: purchases.get(sale.id) ?? [],
    });
  }
  return recorded;
}

async function readCheckpoints(
  sql: ISql,
  ids: readonly number[],
): Promise<ReadonlyMap<number, Checkpoint>> {
  const rows = await sql<{ sale_id: number; seq: number; sold: number; open: string }[]>`
    select sale_id, seq::float8 as seq, sold, open from checkpoints
    where sale_id = any(${arrayOf(ids)}::int[])`;
  return new Map(
    rows.map(({ sale_id, seq, sold, open }) => [sale_id, { seq, sold, open: parseOpen(open) }]),
  );
}

type PurchaseRow = {
  sale_id: number;
  seq: number;
  at: number;
  item_id: number;
  buyer: BuyerKind;
  user_id: string;
  code: string;
  unit: number;
  user_ordinal: number;
  idempotency_key: string | null;
  request: string | null;
  order_key: string | null;
  order_request: string | null;
};

/** What was sold, by sale, in the order in which the ledger sold it. */
async function readPurchases(
  sql: ISql,
  ids: readonly number[],
): Promise<ReadonlyMap<number, readonly StoredPurchase[]>> {
  const found = new Map<number, StoredPurchase[]>(ids.map((id) => [id, []]));
  const rows = sql<PurchaseRow[]>`
    select sale_id, seq::float8 as seq, (extract(epoch from purchased_at) * 1000)::float8 as at,
           item_id, buyer, user_id, code, unit, user_ordinal,
           idempotency_key, request, order_key, order_request
    from purchases where sale_id = any(${arrayOf(ids)}::int[])
    order by purchases.seq, unit`.cursor(replayRowsMax);
  for await (const page of rows) {
    for (const row of page) {
      found.get(row.sale_id)?.push({
        seq: row.seq,
        at: Math.round(row.at),
        itemId: row.item_id,
        buyer: { kind: row.buyer, userId: row.user_id },
        code: row.code,
        unit: row.unit,
        userOrdinal: row.user_ordinal,
        key: row.idempotency_key,
        request: row.request,
        orderKey: row.order_key,
        orderRequest: row.order_request,
      });
    }
  }
  return found;
}

/** The terms since the oldest checkpoint, and the one in which that was made. */
async function begunTerms(sql: ISql, sales: readonly RecordedSale[]): Promise<BegunTerm[]> {
  const since = Math.min(...sales.map(({ checkpoint }) => checkpoint.seq));
  if (!Number.isFinite(since)) return [];
  const rows = await sql<{ after_seq: number; at: number }[]>`
    select after_seq::float8 as after_seq, (extract(epoch from began_at) * 1000)::float8 as at
    from terms where epoch >= (
      select coalesce(max(epoch), 0) from terms where after_seq < ${since})
    order by terms.epoch`;
  return rows.map(({ after_seq: afterSeq, at }) => ({ afterSeq, at: Math.round(at) }));
}

type EffectiveRow =
  | {
      seq: number;
      at: number;
      outcome: EffectiveAttempt["word"];
      sale_id: number;
      item_id: number;
      buyer: BuyerKind;
      user_id: string;
      code: string;
      idempotency_key: string | null;
      request: string | null;
      quantity: number | null;
    }
  | { seq: number; at: number; outcome: "extended"; sale_id: number; code: string; due: number };

async function* effectiveAttempts(
  sql: ISql,
  sales: readonly RecordedSale[],
): AsyncGenerator<readonly (EffectiveAttempt | RecordedExtension)[]> {
  if (sales.length === 0) return;
  const ids = arrayOf(sales.map(({ terms }) => terms.id));
  const since = arrayOf(sales.map(({ checkpoint }) => checkpoint.seq));
  const rows = sql<EffectiveRow[]>`
    select seq::float8 as seq, (extract(epoch from at) * 1000)::float8 as at, outcome,
           a.sale_id, item_id, buyer, user_id, code, idempotency_key, request, quantity,
           (extract(epoch from due) * 1000)::float8 as due
    from unnest(${ids}::int[], ${since}::bigint[]) as s (sale_id, since)
      cross join lateral (
        select seq, at, outcome, sale_id, item_id, buyer, user_id, code, idempotency_key, request,
               quantity, null::timestamptz as due
        from attempts
        where sale_id = s.sale_id and seq > s.since
          and outcome in ('reserved', 'purchased', 'released')
        union all
        select seq, extended_at, 'extended', sale_id, null, null, null, code, null, null, null, due
        from extensions where sale_id = s.sale_id and seq > s.since) as a
    order by a.seq`.cursor(replayRowsMax);
  for await (const page of rows) yield page.map(effectiveOf);
}

function effectiveOf(row: EffectiveRow): EffectiveAttempt | RecordedExtension {
  const { seq, outcome: word, sale_id: saleId, code } = row;
  const at = Math.round(row.at);
  if (word === "extended") return { seq, at, word, saleId, code, due: Math.round(row.due) };
  const { item_id: itemId, buyer: kind, user_id: userId, idempotency_key: key } = row;
  const { request, quantity } = row;
  return { seq, at, word, saleId, itemId, buyer: { kind, userId }, code, key, request, quantity };
}

const arrayOf = (numbers: readonly number[]): string => `{${numbers.join(",")}}`;

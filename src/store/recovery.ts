/**
 * Reads the state back from the records: the sales that are not settled, and of the journal
 * only what changed them. It is bounded by those sales, never by history.
 */
import type { Sql } from "postgres";
import { check } from "../ledger/check.ts";
import { restore, type EffectiveAttempt } from "../ledger/restore.ts";
import { addSale, emptyState, trimLapsed, type LedgerState } from "../ledger/state.ts";
import { recoverCoupons } from "./coupons.ts";
import { countAttempts, loadSales, tallyAttempts, type StoredSale } from "./sales.ts";

/** A sale stays in memory this long after its end, for clients that are still asking. */
export const settleAfterMs = 10 * 60_000;
/** Rows of the journal read at a time. */
const replayRowsMax = 10_000;

export type Recovered = { readonly state: LedgerState; readonly sales: readonly StoredSale[] };

/**
 * @param now ms
 * @throws Error when the records contradict themselves: then nothing may be sold from them
 */
export async function recover(sql: Sql, now: number): Promise<Recovered> {
  // `seq` alone would name the output column, which no index has in order.
  const [last] = await sql<{ seq: number; at: Date }[]>`
    select seq::float8 as seq, at from attempts order by attempts.seq desc limit 1`;
  const state = emptyState(last?.seq ?? 0, last?.at.getTime() ?? 0);

  const unsettledSince = new Date(now - settleAfterMs).toISOString();
  const known = await sql<KnownSale[]>`
    select id, item_count, ends_at <= ${unsettledSince} as over, settled,
           attempts::float8 as attempts, attempts_seq::float8 as attempts_seq
    from sales order by id`;
  for (const row of known.filter(({ over }) => over)) {
    state.settled.set(row.id, row.item_count);
    if (!row.settled) await settleLate(sql, row, state.seq);
  }

  const ids = known.filter(({ over }) => !over).map(({ id }) => id);
  const sales = await loadSales(sql, ids);
  for (const stored of sales) {
    const { sale, attempts, attemptsSeq } = stored;
    addSale(state, sale, attempts + (await countAttempts(sql, sale.id, attemptsSeq, state.seq)));
  }
  await replay(sql, state, ids);
  await recoverCoupons(sql, state);
  for (const sale of state.sales.values()) trimLapsed(state, sale);
  await compareWithPurchases(sql, state, ids);
  const complaints = check(state);
  if (complaints.length > 0) {
    throw new Error(`the journal does not add up: ${complaints.slice(0, 5).join("; ")}`);
  }
  return { state, sales };
}

type KnownSale = {
  id: number;
  item_count: number;
  over: boolean;
  settled: boolean;
  attempts: number;
  attempts_seq: number;
};

/** Counts the attempts of a sale that was over before anybody who led could settle it. */
async function settleLate(sql: Sql, sale: KnownSale, seq: number): Promise<void> {
  const { id, attempts, attempts_seq: since } = sale;
  const all = attempts + (await countAttempts(sql, id, since, seq));
  await tallyAttempts(sql, id, { attempts: all, seq, settled: true });
}

type EffectiveRow = {
  seq: number;
  at: number;
  outcome: EffectiveAttempt["word"];
  sale_id: number;
  item_id: number;
  user_id: string;
  code: string;
  idempotency_key: string | null;
  request: string | null;
  quantity: number | null;
};

async function replay(sql: Sql, state: LedgerState, saleIds: readonly number[]): Promise<void> {
  if (saleIds.length === 0) return;
  const rows = sql<EffectiveRow[]>`
    select seq::float8 as seq, (extract(epoch from at) * 1000)::float8 as at, outcome,
           sale_id, item_id, user_id, code, idempotency_key, request, quantity
    from attempts
    where sale_id = any(${`{${saleIds.join(",")}}`}::int[])
      and outcome in ('reserved', 'purchased', 'released')
    order by attempts.seq`.cursor(replayRowsMax);
  for await (const page of rows) {
    for (const row of page) {
      restore(state, {
        seq: row.seq,
        at: Math.round(row.at),
        word: row.outcome,
        saleId: row.sale_id,
        itemId: row.item_id,
        userId: row.user_id,
        code: row.code,
        key: row.idempotency_key,
        request: row.request,
        quantity: row.quantity,
      });
    }
  }
}

/** The journal and the purchases are written together; they must agree on what is sold. */
async function compareWithPurchases(
  sql: Sql,
  state: LedgerState,
  saleIds: readonly number[],
): Promise<void> {
  const rows = await sql<{ sale_id: number; sold: number }[]>`
    select sale_id, count(*)::int as sold from purchases
    where sale_id = any(${`{${saleIds.join(",")}}`}::int[]) group by sale_id`;
  const soldOf = new Map(rows.map((row) => [row.sale_id, row.sold]));
  for (const [id, sale] of state.sales) {
    const stored = soldOf.get(id) ?? 0;
    if (stored !== sale.sold) {
      throw new Error(
        `sale ${id}: ${stored} purchases are stored, the journal says ${sale.sold}. ` +
          "Run `stampede verify`, and do not sell before the records are mended",
      );
    }
  }
}

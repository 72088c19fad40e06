/**
 * Reads back what a new term needs: the sales that are not settled, each with its checkpoint and
 * what is sold of it, and of the journal only what changed them since. It is bounded by those
 * sales' units and by how often checkpoints are made, never by history or by what was tried.
 */
import type { ISql, Sql } from "postgres";
import type { BuyerKind } from "../ledger/buyers.ts";
import { GapError } from "../ledger/changes.ts";
import type {
  BegunTerm,
  Checkpoint,
  RecordedSale,
  RestoredUpTo,
  StoredPurchase,
} from "../ledger/recorded.ts";
import type { Sale, SettledSale } from "../ledger/sale.ts";
import { isoTime } from "../time.ts";
import { parseActive, parseOpen, parseWaiting } from "./checkpoints.ts";
import { couponPages, couponsSince, keyedClaims } from "./coupons.ts";
import { effectiveAttempts, replayRowsMax } from "./effective.ts";
import { isErasedSince } from "./erase.ts";
import { settleAfterMs, type Recovered, type RecoveredSince } from "./records.ts";
import { joinedSince, ratesSince } from "./queues.ts";
import { accessOf, countAttempts, loadSales, settle, type StoredSale } from "./sales.ts";

/** Also what was sold by no attempt that there is: it has to be noticed. */
const noMatterHowLate = Number.MAX_SAFE_INTEGER;

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
 * Reads everything; changes nothing. While somebody else writes it has to be asked in a snapshot.
 * @param last the last attempt's number and time
 */
export async function recover(sql: ISql, last: LastAttempt): Promise<Recovered> {
  const { ends, settled } = await readSettled(sql);
  const ids = ends.map(({ id }) => id);
  const catalogues = await loadSales(sql, ids);
  const sales = await recordedSales(sql, catalogues, last.seq);
  return {
    ...last,
    settled,
    sales,
    catalogues,
    terms: await begunTerms(sql, sales),
    tickets: joinedSince(
      sql,
      ids.map((id) => ({ id, after: 0 })),
      last.seq,
    ),
    rates: await ratesSince(sql, ids, 0),
    effective: effectiveAttempts(
      sql,
      sales.map(({ terms, checkpoint }) => ({ id: terms.id, since: checkpoint.seq })),
    ),
    coupons: couponPages(sql),
    keyedClaims: await keyedClaims(sql, last.at),
  };
}

/**
 * Reads what was recorded since, and all sales that are not settled; as above.
 * @param from what of the records is known
 */
export async function recoverSince(
  sql: ISql,
  from: RestoredUpTo,
  last: LastAttempt,
): Promise<RecoveredSince> {
  if (await isErasedSince(sql, from.epoch)) throw new GapError("a name was erased since");
  const { ends, settled } = await readSettled(sql);
  const isKnown = ({ id }: SaleWindow): boolean => from.sales.has(id);
  const catalogues = await loadSales(
    sql,
    ends.filter((sale) => !isKnown(sale)).map(({ id }) => id),
  );
  const ids = ends.map(({ id }) => id);
  const purchases = await readPurchases(sql, ids, from.comparedSeq, noMatterHowLate);
  const attempts = await attemptsSince(sql, from.seq, last.seq);
  const added = await restocks(sql, ids);
  const unknown = catalogues.map(({ sale }) => asOf(sale, added, from.seq));
  const terms = [...ends.filter(isKnown), ...unknown];
  const sales = terms.map((of) => ({
    terms: of,
    attempts: attempts.get(of.id) ?? 0,
    purchases: purchases.get(of.id) ?? [],
  }));
  return {
    ...last,
    settled,
    sales,
    catalogues,
    terms: (await termsAfter(sql, from.epoch)).map(begunTerm),
    tickets: joinedSince(
      sql,
      ids.map((id) => ({ id, after: from.joined.get(id) ?? 0 })),
      last.seq,
    ),
    rates: await ratesSince(sql, ids, from.seq),
    effective: effectiveAttempts(
      sql,
      ids.map((id) => ({ id, since: from.seq })),
    ),
    ...(await couponsSince(sql, from.seq, last.seq)),
  };
}

type KnownSale = { id: number; over: boolean; settled: boolean };

const knownSales = (sql: ISql, now: number): Promise<KnownSale[]> => {
  const settledBefore = isoTime(now - settleAfterMs);
  return sql<KnownSale[]>`
    select id, ends_at <= ${settledBefore} as over, settled from sales order by id`;
};

type SaleWindow = Pick<Sale, "id" | "startsAt" | "endsAt" | "closed">;

type EndRow = {
  id: number;
  kind: Sale["kind"];
  item_count: number;
  reservation_ttl_ms: number;
  settled: boolean;
  starts_at: Date;
  ends_at: Date;
  closed: boolean;
};

const settledOf = (row: EndRow): SettledSale => ({
  access: accessOf(row.kind),
  endsAt: row.ends_at.getTime(),
  reservationTtlMs: row.reservation_ttl_ms,
  items: row.item_count,
});

/** The sales that are not settled, and what is still known of those that are. */
async function readSettled(sql: ISql) {
  const rows = await sql<EndRow[]>`
    select id, kind, item_count, reservation_ttl_ms, settled, starts_at, ends_at, closed
    from sales order by id`;
  const settled = rows.filter((row) => row.settled);
  const ends: SaleWindow[] = rows
    .filter((row) => !row.settled)
    .map(({ id, starts_at, ends_at, closed }) => {
      return { id, startsAt: starts_at.getTime(), endsAt: ends_at.getTime(), closed };
    });
  return {
    ends,
    settled: new Map(settled.map((row) => [row.id, settledOf(row)])),
  };
}

async function attemptsSince(
  sql: ISql,
  since: number,
  upTo: number,
): Promise<ReadonlyMap<number, number>> {
  const rows = await sql<{ sale_id: number; count: number }[]>`
    select sale_id, count(*)::float8 as count from attempts
    where seq > ${since} and seq <= ${upTo} and sale_id is not null group by sale_id`;
  return new Map(rows.map((row) => [row.sale_id, row.count]));
}

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
    readPurchases(sql, ids, 0, noMatterHowLate),
  ]);
  const added = await restocks(sql, ids);
  const recorded: RecordedSale[] = [];
  for (const { sale, attempts, attemptsSeq } of stored) {
    const checkpoint = checkpoints.get(sale.id) ?? fromTheStart;
    recorded.push({
      terms: asOf(sale, added, checkpoint.seq),
      attempts: attempts + (await countAttempts(sql, sale.id, attemptsSeq, upTo)),
      checkpoint,
      purchases: purchases.get(sale.id) ?? [],
    });
  }
  return recorded;
}

const fromTheStart: Checkpoint = { seq: 0, sold: 0, open: [], active: [], waiting: [] };

type CheckpointRow = {
  sale_id: number;
  seq: number;
  sold: number;
  open: string;
  active: string;
  waiting: string;
};
/** Units that were added to an item, by the attempt that did it. */
type Restocked = {
  readonly sale_id: number;
  readonly item_id: number;
  readonly seq: number;
  readonly units: number;
};

const restocks = (sql: ISql, ids: readonly number[]): Promise<Restocked[]> => sql<Restocked[]>`
  select sale_id, item_id, seq::float8 as seq, quantity as units from attempts
  where sale_id = any(${arrayOf(ids)}::int[]) and kind in ('refund', 'restock')
    and outcome = 'restocked'`;

/** A sale with the units that there were at an attempt: what was added since is read again. */
function asOf(sale: Sale, added: readonly Restocked[], upTo: number): Sale {
  const later = added.filter(({ sale_id, seq }) => sale_id === sale.id && seq > upTo);
  if (later.length === 0) return sale;
  const stock = Int32Array.from(sale.stock);
  for (const { item_id: id, units } of later) stock[id - 1] = (stock[id - 1] ?? 0) - units;
  return { ...sale, stock };
}

async function readCheckpoints(
  sql: ISql,
  ids: readonly number[],
): Promise<ReadonlyMap<number, Checkpoint>> {
  const rows = await sql<CheckpointRow[]>`
    select sale_id, seq::float8 as seq, sold, open, active, waiting from checkpoints
    where sale_id = any(${arrayOf(ids)}::int[])`;
  return new Map(
    rows.map(({ sale_id, seq, sold, ...lists }) => [
      sale_id,
      {
        seq,
        sold,
        open: parseOpen(lists.open),
        active: parseActive(lists.active),
        waiting: parseWaiting(lists.waiting),
      },
    ]),
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
  refunded_seq: number | null;
  restocked: boolean;
  idempotency_key: string | null;
  request: string | null;
  order_key: string | null;
  order_request: string | null;
};

/** What was sold after an attempt and up to one, by sale, in the order in which it was sold. */
export async function readPurchases(
  sql: ISql,
  ids: readonly number[],
  since: number,
  upTo: number,
): Promise<ReadonlyMap<number, readonly StoredPurchase[]>> {
  const found = new Map<number, StoredPurchase[]>(ids.map((id) => [id, []]));
  const rows = sql<PurchaseRow[]>`
    select sale_id, seq::float8 as seq, (extract(epoch from purchased_at) * 1000)::float8 as at,
           item_id, buyer, user_id, code, unit, user_ordinal,
           refunded_seq::float8 as refunded_seq, freed_seq is not null as restocked,
           idempotency_key, request, order_key, order_request
    from purchases where sale_id = any(${arrayOf(ids)}::int[]) and seq > ${since} and seq <= ${upTo}
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
        refundedBy: row.refunded_seq,
        restocked: row.restocked,
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
  const [row] = await sql<{ epoch: number }[]>`
    select coalesce(max(epoch), 0)::float8 as epoch from terms where after_seq < ${since}`;
  return (await termsAfter(sql, (row?.epoch ?? 0) - 1)).map(begunTerm);
}

const termsAfter = (sql: ISql, epoch: number): Promise<TermRow[]> => sql<TermRow[]>`
  select epoch::float8 as epoch, after_seq::float8 as after_seq,
         (extract(epoch from began_at) * 1000)::float8 as at
  from terms where epoch > ${epoch} order by terms.epoch`;

type TermRow = { epoch: number; after_seq: number; at: number };

const begunTerm = ({ epoch, after_seq: afterSeq, at }: TermRow): BegunTerm => ({
  epoch,
  afterSeq,
  at: Math.round(at),
});

const arrayOf = (numbers: readonly number[]): string => `{${numbers.join(",")}}`;

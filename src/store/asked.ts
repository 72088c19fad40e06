/**
 * What was made of commands that came over the link and may not have been answered: read by who
 * leads next, of the last attempts alone.
 */
import type { Sql } from "postgres";
import type { BuyerKind } from "../ledger/buyers.ts";
import type { ArchivedOrder, OutcomeWord } from "../ledger/commands.ts";
import { isoTime } from "../time.ts";
import type { AskedAttempt, AskedUnit, SentAttempt } from "./records.ts";

type AskedRow = {
  asked: number;
  seq: number;
  at: number;
  outcome: OutcomeWord;
  sale_id: number | null;
  item_id: number | null;
  buyer: BuyerKind | null;
  user_id: string | null;
  code: string | null;
  /** JSON, for there may be none or many. */
  units: string;
  due: number | null;
  restocked: boolean | null;
  order_units: string;
  ordinal: number | null;
  claimed_at: number | null;
};

type UnitText = readonly [
  code: string,
  itemId: number,
  seq: number,
  at: number,
  unit: number,
  userOrdinal: number,
  itemStock: number,
  userLimit: number,
  reservedSeq: number,
  key: string | null,
  request: string | null,
  refundedSeq: number | null,
];

/**
 * Whether what was sent in a term was committed, by its last attempt; null while no later term has
 * begun. That notes the last attempt when the lock was free, and nothing of an earlier one is
 * written after that; and that an attempt is another's, who wrote it in our place, its time tells.
 */
export async function isCommitted(
  sql: Sql,
  epoch: number,
  { seq, at, word }: SentAttempt,
): Promise<boolean | null> {
  const [row] = await sql<{ committed: boolean }[]>`
    select t.after_seq >= ${seq}::bigint and exists (
        select from attempts a
        where a.seq = ${seq}::bigint and a.at = ${isoTime(at)}::timestamptz
          and a.outcome = ${word}::outcome_word) as committed
    from terms t where t.epoch > ${epoch}::bigint order by t.epoch limit 1`;
  return row?.committed ?? null;
}

/** The attempts after the one numbered `seq` that have these ids, found by the primary key's range. */
export async function findAsked(
  sql: Sql,
  seq: number,
  ids: readonly number[],
): Promise<AskedAttempt[]> {
  const rows = await sql<AskedRow[]>`
    select a.asked::float8 as asked, a.seq::float8 as seq,
           (extract(epoch from a.at) * 1000)::float8 as at,
           a.outcome, a.sale_id, a.item_id, a.buyer, a.user_id, a.code,
           (select coalesce(json_agg(json_build_array(
                     p.code, p.item_id, p.seq, round(extract(epoch from p.purchased_at) * 1000),
                     p.unit, p.user_ordinal, p.item_stock, p.user_limit, p.reserved_seq,
                     p.idempotency_key, p.request, p.refunded_seq) order by p.unit), '[]')::text
            from purchases p
            where (p.user_id = a.user_id and p.seq = a.seq) or p.code = a.code) as units,
           (extract(epoch from e.due) * 1000)::float8 as due, r.restocked,
           (select coalesce(json_agg(json_build_array(p.code, p.refunded_seq) order by p.unit),
                            '[]')::text
            from purchases p where p.seq = r.order_seq) as order_units,
           c.ordinal, (extract(epoch from c.claimed_at) * 1000)::float8 as claimed_at
    from attempts a
      left join extensions e on e.seq = a.seq
      left join refunds r on r.seq = a.seq
      left join claims c
        on c.coupon_name = a.coupon_name and c.buyer = a.buyer and c.user_id = a.user_id
    where a.seq > ${seq}::bigint and a.asked = any(${`{${ids.join(",")}}`}::bigint[])`;
  return rows.map((row) => ({
    asked: row.asked,
    seq: row.seq,
    at: Math.round(row.at),
    word: row.outcome,
    saleId: row.sale_id,
    itemId: row.item_id,
    buyer:
      row.buyer === null || row.user_id === null ? null : { kind: row.buyer, userId: row.user_id },
    code: row.code,
    units: (JSON.parse(row.units) as UnitText[]).map(unitOf),
    due: row.due === null ? null : Math.round(row.due),
    refund:
      row.restocked === null
        ? null
        : { restocked: row.restocked, units: orderUnitsOf(row.order_units) },
    claim:
      row.ordinal === null || row.claimed_at === null
        ? null
        : { ordinal: row.ordinal, at: Math.round(row.claimed_at) },
  }));
}

function unitOf(text: UnitText): AskedUnit {
  const [code, itemId, seq, at, unit, userOrdinal, itemStock, userLimit, ...more] = text;
  const [reservedSeq, key, request, refundedBy] = more;
  const counted = { unit, userOrdinal, itemStock, userLimit, reservedSeq };
  return { code, itemId, sold: { seq, at, refundedBy }, ...counted, key, request };
}

const orderUnitsOf = (text: string): ArchivedOrder["units"] =>
  (JSON.parse(text) as [string, number | null][]).map(([code, refundedBy]) => ({
    code,
    refundedBy,
  }));

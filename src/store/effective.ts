/** What is read back of the journal: the attempts that changed a sale, and what is kept beside them. */
import type { ISql } from "postgres";
import type { BuyerKind } from "../ledger/buyers.ts";
import type { EffectiveAttempt, RecordedChange } from "../ledger/changes.ts";

/** Rows of the journal read at a time. */
export const replayRowsMax = 10_000;

type UnitRow = {
  outcome: EffectiveAttempt["word"];
  item_id: number;
  buyer: BuyerKind;
  user_id: string;
  code: string;
  idempotency_key: string | null;
  request: string | null;
  quantity: number | null;
};
type EffectiveRow = { seq: number; at: number; sale_id: number } & (
  | UnitRow
  | { outcome: "waiting"; item_id: number | null; buyer: BuyerKind; user_id: string }
  | { outcome: "left"; buyer: BuyerKind; user_id: string }
  | { outcome: "offer_lapsed"; code: string }
  | { outcome: "extended"; code: string; due: number }
  | { outcome: "restocked"; item_id: number; quantity: number }
  | { outcome: "refunded"; restocked: boolean; codes: string }
);

/** @param sales each with the attempt after which it is read */
export async function* effectiveAttempts(
  sql: ISql,
  sales: readonly { readonly id: number; readonly since: number }[],
): AsyncGenerator<readonly RecordedChange[]> {
  if (sales.length === 0) return;
  const ids = arrayOf(sales.map(({ id }) => id));
  const since = arrayOf(sales.map((sale) => sale.since));
  const rows = sql<EffectiveRow[]>`
    select seq::float8 as seq, (extract(epoch from at) * 1000)::float8 as at, outcome,
           a.sale_id, item_id, buyer, user_id, code, idempotency_key, request, quantity,
           (extract(epoch from due) * 1000)::float8 as due, restocked, codes
    from unnest(${ids}::int[], ${since}::bigint[]) as s (sale_id, since)
      cross join lateral (
        select seq, at, case kind when 'offer' then 'offered' else outcome::text end as outcome,
               sale_id, item_id, buyer, user_id, code, idempotency_key, request, quantity,
               null::timestamptz as due, null::boolean as restocked, null::text as codes
        from attempts
        where sale_id = s.sale_id and seq > s.since
          and outcome in ('reserved', 'purchased', 'released')
        union all
        select seq, at, outcome::text, sale_id, item_id, buyer, user_id, code, null, null, null,
               null, null, null
        from attempts
        where sale_id = s.sale_id and seq > s.since
          and outcome in ('waiting', 'left', 'offer_lapsed')
        union all
        select seq, extended_at, 'extended', sale_id, null, null, null, code, null, null, null, due,
               null, null
        from extensions where sale_id = s.sale_id and seq > s.since
        union all
        select seq, refunded_at, 'refunded', sale_id, null, null, null, null, null, null, null, null,
               restocked, (select string_agg(code::text, ',' order by unit) from purchases p
                           where p.seq = r.order_seq and p.refunded_seq = r.seq)
        from refunds r where sale_id = s.sale_id and seq > s.since
        union all
        select seq, at, 'restocked', sale_id, item_id, null, null, null, null, null, quantity, null,
               null, null
        from attempts where sale_id = s.sale_id and seq > s.since
          and kind in ('refund', 'restock') and outcome = 'restocked') as a
    order by a.seq`.cursor(replayRowsMax);
  for await (const page of rows) yield page.map(effectiveOf);
}

function effectiveOf(row: EffectiveRow): RecordedChange {
  const { seq, sale_id: saleId } = row;
  const of = { seq, at: Math.round(row.at), saleId };
  switch (row.outcome) {
    case "refunded":
      return { ...of, word: row.outcome, codes: row.codes.split(","), restocked: row.restocked };
    case "restocked":
      return { ...of, word: row.outcome, itemId: row.item_id, units: row.quantity };
    case "extended":
      return { ...of, word: row.outcome, code: row.code, due: Math.round(row.due) };
    case "waiting":
      return { ...of, word: row.outcome, buyer: buyerIn(row), item: row.item_id ?? "any" };
    case "left":
      return { ...of, word: row.outcome, buyer: buyerIn(row) };
    case "offer_lapsed":
      return { ...of, word: row.outcome, code: row.code };
    default: {
      const { outcome: word, item_id: itemId, code, idempotency_key: key, request, quantity } = row;
      return { ...of, word, itemId, buyer: buyerIn(row), code, key, request, quantity };
    }
  }
}

const buyerIn = ({ buyer: kind, user_id: userId }: Pick<UnitRow, "buyer" | "user_id">) => ({
  kind,
  userId,
});

const arrayOf = (numbers: readonly number[]): string => `{${numbers.join(",")}}`;

/**
 * What sales brought in, counted from the records: orders, money, and how many tries led to them; and
 * how many attempts there were a second. An attempt's number grows by one each time, so that the
 * numbers of some moments say how many came in between, and nothing is counted row by row.
 */
import type { Sql } from "postgres";
import { isoTime } from "../time.ts";
import { firstAt, lastSeq } from "./exports.ts";

/** Of one sale; money in minor units. */
export type SaleMoney = {
  readonly saleId: number;
  readonly orders: number;
  readonly buyers: number;
  readonly units: number;
  readonly refundedUnits: number;
  readonly paidCents: number;
  readonly refundedCents: number;
};

/** Those of the sales of which something was sold. */
export async function moneyOf(sql: Sql, saleIds: readonly number[]): Promise<SaleMoney[]> {
  return await sql<SaleMoney[]>`
    select p.sale_id as "saleId", count(distinct p.seq)::int as orders,
           count(distinct (p.buyer, p.user_id))::int as buyers, count(*)::int as units,
           count(p.refunded_seq)::int as "refundedUnits",
           sum(i.price_cents)::float8 as "paidCents",
           coalesce(sum(i.price_cents) filter (where p.refunded_seq is not null), 0)::float8
             as "refundedCents"
    from purchases p join items i on i.sale_id = p.sale_id and i.id = p.item_id
    where p.sale_id = any(${listOf(saleIds)}::int[]) group by p.sale_id`;
}

/**
 * By sale, the attempts that were no try to get something: the second step, giving back, holding
 * longer, joining the queue, waiting and what is offered to who waits, refunds. Refusals of these and
 * changes of the sale are few, and are not left out.
 */
export async function stepsOf(sql: Sql, saleIds: readonly number[]): Promise<Map<number, number>> {
  const rows = await sql<{ id: number; steps: number }[]>`
    select id, (
        (select count(*) from attempts a
         where a.sale_id = s.id and a.outcome in ('purchased', 'released', 'extended')
           and a.kind in ('purchase', 'release', 'extend'))
        + (select count(*) from attempts a
           where a.sale_id = s.id and a.kind in ('refund', 'restock'))
        + (select count(*) from attempts a
           where a.sale_id = s.id and a.outcome in ('waiting', 'left', 'offer_lapsed'))
        + (select count(*) from offers o where o.sale_id = s.id)
        + (select count(*) from tickets t where t.sale_id = s.id))::float8 as steps
    from sales s where id = any(${listOf(saleIds)}::int[])`;
  return new Map(rows.map(({ id, steps }) => [id, steps]));
}

/**
 * The sales that were open at some time from `from` to `now` (ms), the newest first, below the id
 * `before`, at most `max` of them.
 */
export async function salesSince(
  sql: Sql,
  options: {
    readonly from: number;
    readonly now: number;
    readonly before: number;
    readonly max: number;
  },
): Promise<number[]> {
  const { from, now, before, max } = options;
  const rows = await sql<{ id: number }[]>`
    select id from sales
    where ends_at > ${isoTime(from)} and starts_at <= ${isoTime(now)} and id < ${before}::bigint
    order by id desc limit ${max}`;
  return rows.map(({ id }) => id);
}

/** Of those of the sales that are settled: units, and attempts, of which there will be no more. */
export async function settledSales(
  sql: Sql,
  saleIds: readonly number[],
): Promise<ReadonlyMap<number, { readonly stock: number; readonly attempts: number }>> {
  const rows = await sql<{ id: number; stock: number; attempts: number }[]>`
    select id, attempts::float8 as attempts,
           (select coalesce(sum(stock), 0) from items where sale_id = s.id)::float8 as stock
    from sales s where id = any(${listOf(saleIds)}::int[]) and settled`;
  return new Map(rows.map((row) => [row.id, row]));
}

/** How many attempts there had been by a moment. */
type Counted = { readonly at: number; readonly seq: number };

/** Since `from` (ms): the number of an attempt and when it was, about `pointsMax` of them, in order. */
export async function attemptsOverTime(
  sql: Sql,
  from: number,
  pointsMax: number,
): Promise<Counted[]> {
  const [first, last] = [await firstAt(sql, from), await lastSeq(sql)];
  const step = Math.max(1, Math.ceil((last - first + 1) / pointsMax));
  const rows = await sql<{ at: Date; seq: number }[]>`
    select a.seq::float8 as seq, a.at
    from generate_series(${first}::bigint, ${last}::bigint, ${step}::bigint) as n(seq)
      join attempts a on a.seq = n.seq
    union select seq::float8, at from attempts where seq = ${last}
    order by seq`;
  return rows.map(({ at, seq }) => ({ at: at.getTime(), seq }));
}

const listOf = (ids: readonly number[]): string => `{${ids.join(",")}}`;

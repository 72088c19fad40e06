/**
 * The audit of what a sale was announced as, and of what its purchases say of themselves, from the
 * records alone: nothing of it is another than when it was written, but where an attempt says so.
 * Of what retention has dropped, or versions wrote that noted less, nothing is said.
 */
import type { ISql } from "postgres";
import { announcedDigest, msOf } from "./announced.ts";

/** Counts of what must not be. */
export type AnnouncedAudit = {
  /** 1 where the sale or its items are not what was announced, and changed by attempts since. */
  readonly announcement_altered: number;
  /** Times, reservations and stocks of purchases that are not what the journal says. */
  readonly purchases_altered: number;
};

/** What an attempt says that moved a sale: see `sale-rows.ts`. */
const movedShape = String.raw`^\{"before":\[\d+,\d+\],"after":\[\d+,\d+\],"closed":(true|false)\}$`;

export async function auditAnnounced(sql: ISql, saleId: number): Promise<AnnouncedAudit> {
  const [announcement, purchases] = await Promise.all([
    countAltered(sql, saleId),
    countAlteredPurchases(sql, saleId),
  ]);
  return { announcement_altered: announcement, purchases_altered: purchases };
}

/** The first attempt that is kept: from there on none is missing. */
const retained = (sql: ISql) => sql`
  retained as (select coalesce(min(seq), 0) as seq from attempts)`;

async function countAltered(sql: ISql, saleId: number): Promise<number> {
  const [row] = await sql<{ altered: number }[]>`
    with ${retained(sql)},
    sale as (select *, coalesce(announced_after_seq, 0) as since from sales where id = ${saleId}),
    moves as (
      select a.seq, case when a.request ~ ${movedShape} then a.request::json end as said,
             a.request is null as is_silent
      from attempts a, sale
      where a.sale_id = ${saleId} and a.kind = 'change_sale' and a.outcome = 'sale_changed'
        and a.seq > since),
    first as (select said -> 'before' as said from moves order by seq limit 1),
    last as (select said, is_silent from moves order by seq desc limit 1),
    added as (
      select a.item_id as id, sum(a.quantity) as units from attempts a, sale
      where a.sale_id = ${saleId} and a.kind = 'restock' and a.outcome = 'restocked' and a.seq > since
      group by a.item_id),
    listed as (
      select i.id, product_id, name, picture_seed, price_cents, (stock - coalesce(units, 0))::int as stock
      from items i left join added on added.id = i.id where sale_id = ${saleId})
    select (
      -- It is what the last attempt says that moved it.
      exists (select from last where not is_silent and (
        said is null or closed <> (said ->> 'closed')::boolean
        or ${msOf(sql, sql`starts_at`)} <> (said -> 'after' ->> 0)::bigint
        or ${msOf(sql, sql`ends_at`)} <> (said -> 'after' ->> 1)::bigint))
      -- And what was announced, with what attempts have changed since taken back.
      or since + 1 >= retained.seq and not exists (select from moves where is_silent) and (
        announced <> ${announcedDigest(
          sql,
          {
            kind: sql`kind`,
            entry: sql`entry`,
            perUserLimit: sql`per_user_limit`,
            reservationTtlMs: sql`reservation_ttl_ms`,
            admitPerSecond: sql`admit_per_second`,
            passTtlMs: sql`pass_ttl_ms`,
            commitment: sql`commitment`,
            startsAt: sql`coalesce((select (said ->> 0)::bigint from first), ${msOf(sql, sql`starts_at`)})`,
            endsAt: sql`coalesce((select (said ->> 1)::bigint from first), ${msOf(sql, sql`ends_at`)})`,
            // What is closed is moved no more.
            closed: sql`closed and not exists (select from moves)`,
          },
          sql`listed`,
        )}))::int as altered
    from sale, retained`;
  return row?.altered ?? 0;
}

/**
 * Each in one pass, by groups: PostgreSQL knows nothing yet of the purchases of a sale that has just
 * opened, and would join them one by one.
 */
async function countAlteredPurchases(sql: ISql, saleId: number): Promise<number> {
  const [row] = await sql<{ altered: number }[]>`
    with ${retained(sql)},
    sold as (
      select item_id, code, seq, reserved_seq, item_stock, purchased_at,
             min(seq) filter (where reserved_seq is not null) over () as noted_since
      from purchases where sale_id = ${saleId}),
    times as (
      select max(at) as said, min(purchased_at) as first, max(purchased_at) as last
      from (
        select seq, purchased_at, null::timestamptz as at from sold
        union all
        select seq, null, at from attempts
        where sale_id = ${saleId} and outcome = 'purchased') both_kinds
      group by seq),
    reservations as (
      select max(order_seq) as order_seq, max(reserved_seq) as reserved_seq, min(seq) as said
      from (
        select code, seq as order_seq, reserved_seq, null::bigint as seq from sold
        union all
        select code, null, null, seq from attempts
        where sale_id = ${saleId} and outcome = 'reserved') both_kinds
      group by code),
    stocks as (
      select is_sold, both_kinds.seq, item_stock, i.stock - coalesce(sum(units) over (
               partition by item_id order by both_kinds.seq desc
               rows between unbounded preceding and 1 preceding), 0) as said
      from (
        select true as is_sold, item_id, seq, item_stock, 0 as units from sold
        union all
        select false, item_id, seq, null, quantity from attempts
        where sale_id = ${saleId} and kind = 'restock' and outcome = 'restocked') both_kinds
        left join items i on i.sale_id = ${saleId} and i.id = item_id)
    select (
      (select count(*) from times where first <> said or last <> said)
      + (select count(*) from reservations, retained
         where reserved_seq <> said
           or said is null and least(order_seq, reserved_seq) >= retained.seq
             and reserved_seq <> order_seq and exists (
               -- What was not reserved before is reserved as it is bought.
               select from attempts a where a.seq = order_seq and a.kind = 'buy'))
      -- Earlier versions noted none; since the first that was, each has been.
      + (select count(*) from sold where reserved_seq is null and seq > noted_since)
      + (select count(*) from stocks, retained
         where is_sold and stocks.seq >= retained.seq and item_stock is distinct from said)
    )::int as altered
    from retained`;
  return row?.altered ?? 0;
}

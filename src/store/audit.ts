/**
 * The proof: every promise of the contract, asked of PostgreSQL alone. Nothing here knows
 * the ledger; whoever can read the database can run the same queries.
 */
import type { Sql } from "postgres";

/** The audit of one sale. Counts of what must not be, but for `sold`, `stock` and `max_units_one_user`. */
export type SaleAudit = {
  readonly sale_id: number;
  readonly title: string;
  readonly stock: number;
  readonly sold: number;
  readonly per_user_limit: number;
  readonly max_units_one_user: number;
  readonly oversold_items: number;
  readonly users_over_limit: number;
  readonly purchases_without_attempt: number;
  readonly purchases_without_reservation: number;
  readonly purchases_outside_window: number;
  readonly attempts_without_purchase: number;
  readonly duplicate_codes: number;
  readonly extensions_without_attempt: number;
  readonly extensions_beyond_bounds: number;
  readonly ok: boolean;
};

/** The audit of a sale, or null when there is none of that id. */
export async function auditSale(sql: Sql, saleId: number): Promise<SaleAudit | null> {
  const [row] = await sql<Omit<SaleAudit, "ok">[]>`
    with sale as (select * from sales where id = ${saleId}),
    sold as (select * from purchases where sale_id = ${saleId}),
    units as (select item_id, count(*) as units from sold group by item_id),
    extended as (select * from extensions where sale_id = ${saleId}),
    -- The same name in two kinds is two buyers.
    buyers as (select buyer, user_id, count(*) as units from sold group by buyer, user_id),
    -- The attempts that changed something, as the partial index holds them.
    effective as (
      select seq, kind, outcome, code, buyer, user_id, item_id, quantity from attempts
      where sale_id = ${saleId} and outcome in ('reserved', 'purchased', 'released')),
    -- What retention has left: the first attempt that is kept, and from when on none is missing.
    first as (select seq, at from attempts order by seq limit 1),
    retained as (
      select coalesce((select seq from first), 0) as seq,
             coalesce((select at from first where seq > 1), '-infinity') as at)
    select
      sale.id as sale_id, sale.title, sale.per_user_limit,
      (select coalesce(sum(stock), 0)::float8 from items where sale_id = sale.id) as stock,
      (select count(*)::int from sold) as sold,
      (select coalesce(max(units), 0)::int from buyers) as max_units_one_user,
      (select count(*)::int from units left join items
         on items.sale_id = sale.id and items.id = units.item_id
       where units.units > coalesce(items.stock, 0)) as oversold_items,
      (select count(*)::int from buyers where units > sale.per_user_limit) as users_over_limit,
      (select count(*)::int from sold where seq >= retained.seq and not exists (
         select from effective e
         where e.outcome = 'purchased' and e.seq = sold.seq
           -- Units bought in one step have the codes that they were reserved under, or new ones.
           and (e.code = sold.code or e.kind = 'buy')
           and e.buyer = sold.buyer and e.user_id = sold.user_id
           and e.item_id = sold.item_id)) as purchases_without_attempt,
      (select count(*)::int from sold where sale.starts_at >= retained.at and not exists (
         select from effective e
         where (e.kind = 'buy' and e.seq = sold.seq
                or e.outcome = 'reserved' and e.seq < sold.seq and e.code = sold.code)
           and e.buyer = sold.buyer and e.user_id = sold.user_id
           and e.item_id = sold.item_id)) as purchases_without_reservation,
      (select count(*)::int from sold
       where purchased_at < sale.starts_at or purchased_at >= sale.ends_at) as purchases_outside_window,
      (select count(*)::int from effective e where e.outcome = 'purchased' and (
         select count(*) from sold
         where sold.seq = e.seq and (e.kind = 'buy' or sold.code = e.code)
       ) <> coalesce(e.quantity, 1)) as attempts_without_purchase,
      ((select count(*) - count(distinct code) from effective where outcome = 'reserved')
       + (select count(*) - count(distinct code) from sold))::int as duplicate_codes,
      (select count(*)::int from extended x where x.seq >= retained.seq and not exists (
         select from attempts a
         where a.seq = x.seq and a.kind = 'extend' and a.outcome = 'extended'
           and a.at = x.extended_at and a.sale_id = x.sale_id
           and a.code = x.code)) as extensions_without_attempt,
      -- For a quarter of an hour at most, before the end, and never of what was sold before.
      (select count(*)::int from extended x
       where x.due <= x.extended_at or x.due > x.extended_at + interval '15 minutes'
          or x.extended_at >= sale.ends_at
          or exists (select from sold where sold.code = x.code and sold.seq <= x.seq)
      ) as extensions_beyond_bounds
    from sale, retained`;
  return row === undefined ? null : { ...row, ok: isSound(row) };
}

/** The verdict: every promise, each by itself. */
export const isSound = (audit: Omit<SaleAudit, "ok">): boolean =>
  audit.sold <= audit.stock &&
  audit.max_units_one_user <= audit.per_user_limit &&
  audit.oversold_items === 0 &&
  audit.users_over_limit === 0 &&
  audit.purchases_without_attempt === 0 &&
  audit.purchases_without_reservation === 0 &&
  audit.purchases_outside_window === 0 &&
  audit.attempts_without_purchase === 0 &&
  audit.duplicate_codes === 0 &&
  audit.extensions_without_attempt === 0 &&
  audit.extensions_beyond_bounds === 0;

/** The audit of the journal as a whole. */
type JournalAudit = {
  readonly attempts: number;
  /** Sequence numbers that are missing between the first attempt kept and the last. */
  readonly missing: number;
  /** Attempts with an earlier time than the one before them: a clock was set back in between. */
  readonly clock_set_back: number;
  /** Attempts that held something for longer, without the row that says how long. */
  readonly extensions_missing: number;
  readonly ok: boolean;
};

export async function auditJournal(sql: Sql): Promise<JournalAudit> {
  const [row] = await sql<Omit<JournalAudit, "ok">[]>`
    select count(*)::float8 as attempts,
           coalesce(max(seq) - min(seq) + 1 - count(*), 0)::float8 as missing,
           (count(*) filter (where at < before))::float8 as clock_set_back,
           (count(*) filter (where outcome = 'extended' and not exists (
              select from extensions x where x.seq = journal.seq)))::float8 as extensions_missing
    from (select seq, at, outcome, lag(at) over (order by seq) as before from attempts) as journal`;
  if (row === undefined) throw new Error("the journal could not be counted");
  return { ...row, ok: row.missing === 0 && row.extensions_missing === 0 };
}

/** The audit of all coupons together. Counts of what must not be, but for `coupons` and `claims`. */
export type CouponAudit = {
  readonly coupons: number;
  readonly claims: number;
  /** Coupons with more claims than their amount. */
  readonly overclaimed_coupons: number;
  /** Coupons whose figures do not fit their claims. */
  readonly miscounted_coupons: number;
  /** Users with two claims of one coupon. */
  readonly double_claims: number;
  /** Claims whose number does not follow the one before, or that were made earlier than it. */
  readonly claims_out_of_order: number;
  readonly claims_without_attempt: number;
  readonly attempts_without_claim: number;
  readonly ok: boolean;
};

export async function auditCoupons(sql: Sql): Promise<CouponAudit> {
  const [row] = await sql<Omit<CouponAudit, "ok">[]>`
    with counted as (
      select coupon_name, count(*) as claimed, count(distinct (buyer, user_id)) as users
      from claims group by coupon_name),
    joined as (
      select c.name, c.amount, c.remaining_amount, coalesce(n.claimed, 0) as claimed,
             coalesce(n.users, 0) as users
      from coupons c left join counted n on n.coupon_name = c.name),
    numbered as (
      select ordinal, seq, lag(ordinal, 1, 0) over coupon as before, lag(seq, 1, 0::bigint) over coupon as earlier
      from claims window coupon as (partition by coupon_name order by ordinal)),
    tried as (
      select seq, buyer, user_id, coupon_name from attempts where kind = 'claim' and outcome = 'claimed'),
    retained as (select coalesce(min(seq), 0) as seq from attempts)
    select
      (select count(*)::float8 from joined) as coupons,
      (select count(*)::float8 from claims) as claims,
      (select count(*)::float8 from joined where claimed > amount) as overclaimed_coupons,
      (select count(*)::float8 from joined
       where claimed <> amount - remaining_amount) as miscounted_coupons,
      (select coalesce(sum(claimed - users), 0)::float8 from joined) as double_claims,
      (select count(*)::float8 from numbered
       where ordinal <> before + 1 or seq <= earlier) as claims_out_of_order,
      (select count(*)::float8 from claims c left join tried t
         on t.seq = c.seq and t.buyer = c.buyer and t.user_id = c.user_id
            and t.coupon_name = c.coupon_name
       where t.seq is null and c.seq >= (select seq from retained)) as claims_without_attempt,
      (select count(*)::float8 from tried t left join claims c
         on c.seq = t.seq and t.buyer = c.buyer and t.user_id = c.user_id
            and t.coupon_name = c.coupon_name
       where c.seq is null) as attempts_without_claim`;
  if (row === undefined) throw new Error("the coupons could not be counted");
  const { coupons: _coupons, claims: _claims, ...faults } = row;
  return { ...row, ok: Object.values(faults).every((count) => count === 0) };
}

/** Every sale's id, in the order of their making. */
export async function saleIds(sql: Sql): Promise<number[]> {
  const rows = await sql<{ id: number }[]>`select id from sales order by id`;
  return rows.map((row) => row.id);
}

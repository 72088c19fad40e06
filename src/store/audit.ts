/**
 * The proof: every promise of the contract, asked of PostgreSQL alone. Nothing here knows
 * the ledger; whoever can read the database can run the same queries.
 */
import type { ISql, Sql } from "postgres";
import { auditAnnounced, type AnnouncedAudit } from "./announced-audit.ts";
import { auditOffers, type OfferAudit } from "./offer-audit.ts";
import { auditQueue, isFair, type QueueAudit } from "./queue-audit.ts";

/** The audit of one sale. Counts of what must not be, but for `sold`, `stock` and `max_units_one_user`. */
export type SaleAudit = {
  readonly sale_id: number;
  readonly title: string;
  readonly stock: number;
  /** Units that somebody owns, and those that were sold and taken back. */
  readonly sold: number;
  readonly refunded: number;
  readonly per_user_limit: number;
  readonly max_units_one_user: number;
  readonly oversold_items: number;
  readonly users_over_limit: number;
  readonly purchases_without_attempt: number;
  readonly purchases_without_reservation: number;
  readonly purchases_outside_window: number;
  readonly attempts_without_purchase: number;
  readonly duplicate_codes: number;
  /** Units that were sold again before they were taken back, or while they were not on sale. */
  readonly units_owned_twice: number;
  readonly refunds_without_attempt: number;
  readonly attempts_without_refund: number;
  /** Refunds of which not as many units were taken back as they say. */
  readonly refunds_miscounted: number;
  readonly extensions_without_attempt: number;
  readonly attempts_without_extension: number;
  readonly extensions_beyond_bounds: number;
  readonly offers_without_attempt: number;
  readonly attempts_without_offer: number;
  /** Offers to who did not wait for it, had left, or had been offered something that had not lapsed. */
  readonly offers_out_of_line: number;
  /** 1 where the sale or its items are not what was announced, and changed by attempts since. */
  readonly announcement_altered: number;
  /** Times, reservations and stocks of purchases that are not what the journal says. */
  readonly purchases_altered: number;
  /** Null without one. */
  readonly queue: QueueAudit | null;
  readonly ok: boolean;
};

type RefundAudit = Pick<
  SaleAudit,
  "units_owned_twice" | "refunds_without_attempt" | "attempts_without_refund" | "refunds_miscounted"
>;

/** The audit of a sale, or null when there is none of that id. */
export async function auditSale(sql: ISql, saleId: number): Promise<SaleAudit | null> {
  const [[row], refunds, offers, announced, queue] = await Promise.all([
    auditSold(sql, saleId),
    auditRefunds(sql, saleId),
    auditOffers(sql, saleId),
    auditAnnounced(sql, saleId),
    auditQueue(sql, saleId),
  ]);
  if (row === undefined) return null;
  const audit = { ...row, ...refunds, ...offers, ...announced, queue };
  return { ...audit, ok: isSound(audit) };
}

/**
 * Whether something of a number was after the sale's end. That may have been moved since by somebody
 * with an earlier time, where a clock was set back; who did is looked for where it matters alone. Where
 * retention may have dropped it, it is enough that a term has begun since at an earlier time.
 */
const isAfterEnd = (sql: ISql, saleId: number, at: ReturnType<ISql>) => sql`
  (${at} >= sale.ends_at and seq > (
    select coalesce(max(a.seq), 0) from attempts a
    where a.sale_id = ${saleId} and a.kind = 'change_sale' and a.outcome = 'sale_changed')
   and (seq >= retained.seq or not exists (
     select from terms t where t.after_seq >= seq and t.began_at < ${at})))`;

/**
 * Whether something was bought before the sale's start. What was reserved after it may be, where a clock that
 * was ahead is right by then: a term has begun before the start. What retention has dropped says neither.
 */
const isBeforeStart = (sql: ISql) => sql`
  (purchased_at < sale.starts_at and coalesce(reserved_seq, seq) >= retained.seq and not exists (
    select from attempts a join terms t on t.after_seq >= a.seq and t.after_seq < sold.seq
    where a.seq = reserved_seq and a.at >= sale.starts_at and t.began_at < sale.starts_at))`;

/**
 * Whether no attempt has reserved something, nor can retention have dropped it: neither by the times, nor by
 * its number where that is noted, for a clock that was ahead is of times that come again.
 */
const isUnreserved = (sql: ISql) => sql`
  (sale.starts_at >= retained.at
   and (retained.seq <= 1 or coalesce(reserved_seq, seq) >= retained.seq) and not exists (
     select from effective e
     where (e.kind = 'buy' and e.seq = sold.seq
            or e.outcome = 'reserved' and e.seq < sold.seq and e.code = sold.code)
       and e.buyer = sold.buyer and e.user_id = sold.user_id
       and e.item_id = sold.item_id))`;

/** What is sold, by whom, and by which attempts. */
const auditSold = (sql: ISql, saleId: number) =>
  sql<Omit<SaleAudit, "ok" | "queue" | keyof (RefundAudit & OfferAudit & AnnouncedAudit)>[]>`
    with sale as (select * from sales where id = ${saleId}),
    sold as (select * from purchases where sale_id = ${saleId}),
    owned as (select * from sold where refunded_seq is null),
    -- What was taken back and is not on sale again is gone, as what is owned.
    units as (select item_id, count(*) as units from sold where freed_seq is null group by item_id),
    extended as (select * from extensions where sale_id = ${saleId}),
    -- Of each kind by themselves.
    buyers as (select buyer, user_id, count(*) as units from owned group by buyer, user_id),
    -- The attempts that changed something, as the partial index holds them.
    effective as (
      select seq, kind, outcome, code, buyer, user_id, item_id, quantity from attempts
      where sale_id = ${saleId} and outcome in ('reserved', 'purchased', 'released', 'extended')),
    -- What retention has left: the first attempt that is kept, and from when on none is missing.
    first as (select seq, at from attempts order by seq limit 1),
    retained as (select coalesce((select seq from first), 0) as seq,
                        coalesce((select at from first where seq > 1), '-infinity') as at)
    select
      sale.id as sale_id, sale.title, sale.per_user_limit,
      (select coalesce(sum(stock), 0)::float8 from items where sale_id = sale.id) as stock,
      (select count(*)::int from owned) as sold, (select count(refunded_seq)::int from sold) as refunded,
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
      (select count(*)::int from sold where ${isUnreserved(sql)}) as purchases_without_reservation,
      (select count(*)::int from sold
       where ${isBeforeStart(sql)} or ${isAfterEnd(sql, saleId, sql`purchased_at`)}) as purchases_outside_window,
      -- As a join: looked up one by one, 10,000 purchases took PostgreSQL ten seconds.
      (select count(*)::int from (
         select from effective e left join sold
           on sold.seq = e.seq and (e.kind = 'buy' or sold.code = e.code)
         where e.outcome = 'purchased' group by e.seq, e.quantity
         having count(sold.seq) <> coalesce(e.quantity, 1)) as orders) as attempts_without_purchase,
      ((select count(*) - count(distinct code) from effective where outcome = 'reserved')
       + (select count(*) - count(distinct code) from sold))::int as duplicate_codes,
      (select count(*)::int from extended x where x.seq >= retained.seq and not exists (
         select from attempts a
         where a.seq = x.seq and a.kind = 'extend' and a.outcome = 'extended'
           and a.at = x.extended_at and a.sale_id = x.sale_id
           and a.code = x.code)) as extensions_without_attempt,
      (select count(*)::int from effective e where e.outcome = 'extended' and not exists (
         select from extended x where x.seq = e.seq)) as attempts_without_extension,
      -- For a quarter of an hour or the TTL, before the end, and never of what was sold before.
      (select count(*)::int from extended x
       where x.due <= x.extended_at or ${isAfterEnd(sql, saleId, sql`x.extended_at`)}
          or x.due > x.extended_at + greatest(interval '15 minutes',
                                              sale.reservation_ttl_ms * interval '1 millisecond')
          or exists (select from sold where sold.code = x.code and sold.seq <= x.seq)
      ) as extensions_beyond_bounds
    from sale, retained`;

/** What was taken back, and sold again. */
async function auditRefunds(sql: ISql, saleId: number): Promise<RefundAudit> {
  const [row] = await sql<RefundAudit[]>`
    with sold as (select * from purchases where sale_id = ${saleId}),
    back as (select * from refunds where sale_id = ${saleId}),
    retained as (select coalesce(min(seq), 0) as seq from attempts)
    select
      (select count(*)::int from (
         select seq, lag(seq) over unit as before, lag(freed_seq) over unit as freed from sold
         window unit as (partition by item_id, unit order by seq)) as one
       where before is not null and (freed is null or freed >= seq)) as units_owned_twice,
      (select count(*)::int from back b where b.seq >= retained.seq and not exists (
         select from attempts a
         where a.seq = b.seq and a.kind = 'refund' and a.outcome = 'refunded'
           and a.at = b.refunded_at and a.sale_id = b.sale_id
           and a.quantity = b.units)) as refunds_without_attempt,
      (select count(*)::int from attempts a
       where a.sale_id = ${saleId} and a.kind in ('refund', 'restock') and a.outcome = 'refunded'
         and not exists (select from back b where b.seq = a.seq)) as attempts_without_refund,
      ((select count(*) from back b where b.units <> (
          select count(*) from sold
          where sold.seq = b.order_seq and sold.refunded_seq = b.seq
            and (sold.freed_seq is not null) = b.restocked))
       + (select count(*) from sold where refunded_seq is not null and not exists (
            select from back b where b.seq = sold.refunded_seq)))::int as refunds_miscounted
    from retained`;
  if (row === undefined) throw new Error("the refunds could not be counted");
  return row;
}

/** What PostgreSQL spends on the audit of one sale for whoever asks, ms: a second for 350,000 reservations. */
const auditMaxMs = 60_000;

/** As `auditSale`, where every statement has a bound that an audit may need more than. */
export const auditPatiently = (sql: Sql, saleId: number): Promise<SaleAudit | null> =>
  sql.begin("read only", async (tx) => {
    await tx`select set_config('statement_timeout', ${String(auditMaxMs)}, true)`;
    return await auditSale(tx, saleId);
  });

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
  audit.units_owned_twice === 0 &&
  audit.refunds_without_attempt === 0 &&
  audit.attempts_without_refund === 0 &&
  audit.refunds_miscounted === 0 &&
  audit.extensions_without_attempt === 0 &&
  audit.attempts_without_extension === 0 &&
  audit.extensions_beyond_bounds === 0 &&
  audit.offers_without_attempt === 0 &&
  audit.attempts_without_offer === 0 &&
  audit.offers_out_of_line === 0 &&
  audit.announcement_altered === 0 &&
  audit.purchases_altered === 0 &&
  (audit.queue === null || isFair(audit.queue));

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
  /** Claims whose time, or what there was of their coupon then, is not what the journal says. */
  readonly claims_altered: number;
  /** Claims after the last change of their coupon, by which it could not be claimed then. */
  readonly claims_while_inactive: number;
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
      select seq, at, buyer, user_id, coupon_name from attempts where kind = 'claim' and outcome = 'claimed'),
    retained as (select coalesce(min(seq), 0) as seq from attempts),
    ${amounts(sql)}
    select
      (select count(*)::float8 from joined) as coupons,
      (select count(*)::float8 from claims) as claims,
      (select count(*)::float8 from joined where claimed > amount) as overclaimed_coupons,
      (select count(*)::float8 from joined
       where claimed <> amount - remaining_amount) as miscounted_coupons,
      (select coalesce(sum(claimed - users), 0)::float8 from joined) as double_claims,
      (select count(*)::float8 from numbered
       where ordinal <> before + 1 or seq <= earlier) as claims_out_of_order,
      ((select count(*) from claims c join tried t on t.seq = c.seq where c.claimed_at <> t.at)
       + (select count(*) from amounts, retained
          where amounts.seq >= retained.seq and claimed_of <> amount))::float8 as claims_altered,
      (select count(*)::float8 from claims c join coupons k on k.name = c.coupon_name
       where c.seq > k.changed_seq
         and (k.disabled or c.claimed_at < k.starts_at or c.claimed_at >= k.ends_at)
      ) as claims_while_inactive,
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

/**
 * What there was of its coupon at each claim: what the next change of that says that there was before
 * it, and what there is where none has followed. Who has changed it is noted for good.
 */
const amounts = (sql: Sql) => sql`
    changed as (
      select a.seq, a.coupon_name, substring(c.before from '"amount":([0-9]+)')::int as before
      from activity c join attempts a on a.seq = c.attempt
      where c.what = 'coupon.changed' and c.before ~ '"amount":[0-9]'),
    steps as (
      select seq, coupon_name, coupon_amount as claimed_of, null::int as before from claims
      union all
      select seq, coupon_name, null, before from changed),
    until_changed as (
      select *, count(before) over (partition by coupon_name order by seq desc) as nth from steps),
    amounts as (
      select u.seq, claimed_of, coalesce(
               max(before) over (partition by u.coupon_name, nth), k.amount) as amount
      from until_changed u join coupons k on k.name = u.coupon_name)`;

/** Every sale's id, in the order of their making. */
export async function saleIds(sql: Sql): Promise<number[]> {
  const rows = await sql<{ id: number }[]>`select id from sales order by id`;
  return rows.map((row) => row.id);
}

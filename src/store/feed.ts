/**
 * The feed: what happened, in order, read from the journal. Nothing of it is written a second time:
 * an event is an attempt that changed something, and its number is the attempt's, so it is one, in
 * the order in which things were decided. Attempts are committed in that order by one writer, so
 * what is read later never has a lower number than what was read before.
 *
 * Of events whose attempts were dropped by retention nothing is told.
 */
import type { ISql } from "postgres";
import type { BuyerKind } from "../ledger/buyers.ts";
import type { Command, OutcomeWord } from "../ledger/commands.ts";

export const eventTypes = [
  "sale.opened",
  "sale.sold_out",
  "sale.closed",
  "order.created",
  "order.refunded",
  "reservation.made",
  "reservation.released",
  "coupon.claimed",
  "waitlist.offered",
] as const;
export type EventType = (typeof eventTypes)[number];

/** What an attempt is told as, by what was asked and what came of it. */
const typeOf: {
  readonly [kind in Command["kind"]]?: { readonly [word in OutcomeWord]?: EventType };
} = {
  checkout: { reserved: "reservation.made" },
  offer: { reserved: "waitlist.offered" },
  release: { released: "reservation.released" },
  purchase: { purchased: "order.created" },
  buy: { purchased: "order.created" },
  refund: { refunded: "order.refunded" },
  claim: { claimed: "coupon.claimed" },
  milestone: { sale_opened: "sale.opened", sold_out: "sale.sold_out", sale_ended: "sale.closed" },
};

/** One event; of what it is not about, null. */
export type FeedEvent = {
  /** The attempt's number. */
  readonly seq: number;
  readonly type: EventType;
  readonly at: Date;
  /** The number of the attempt that sold it. */
  readonly order: number | null;
  readonly saleId: number | null;
  readonly itemId: number | null;
  /** Of several units, the first one's. */
  readonly code: string | null;
  readonly buyer: BuyerKind | null;
  readonly userId: string | null;
  readonly couponName: string | null;
  /** Units. */
  readonly quantity: number | null;
};

/** Null: what was dropped by retention. */
type Row = Omit<FeedEvent, "type"> & {
  readonly kind: Command["kind"] | null;
  readonly outcome: OutcomeWord | null;
};

/** Events in their order, and the attempt up to which all are among them. */
type FeedPage = { readonly events: readonly FeedEvent[]; readonly upTo: number };

/** Events after the one numbered `after`, at most `limit`. */
export async function readFeed(
  sql: ISql,
  { after, limit }: { readonly after: number; readonly limit: number },
): Promise<FeedPage> {
  // Refunds and milestones are kept for longer than their attempts: the page goes on behind them.
  // Three tables that have numbers of events, each by its index; then what is to be said of them.
  const rows = await sql<Row[]>`
    with found as (
      (select seq, null::int as sale_id, null::bigint as order_seq from attempts
       where seq > ${after}::bigint and outcome in ('reserved', 'purchased', 'released', 'claimed')
       order by seq limit ${limit})
      union all
      (select seq, null, order_seq from refunds where seq > ${after}::bigint order by seq limit ${limit})
      union all
      (select seq, sale_id, null from milestones where seq > ${after}::bigint order by seq limit ${limit})),
    page as materialized (select * from found order by seq limit ${limit})
    select p.seq::float8 as seq, a.at, a.kind, a.outcome, a.buyer, a.user_id as "userId",
           coalesce(p.sale_id, a.sale_id) as "saleId", a.item_id as "itemId",
           a.coupon_name as "couponName", coalesce(u.code, a.code) as code,
           case when a.outcome in ('purchased', 'refunded') then coalesce(p.order_seq, a.seq) end::float8
             as order,
           coalesce(u.units, case when a.code is not null then 1 end) as quantity
    from page p left join attempts a on a.seq = p.seq
      left join lateral (
        select (array_agg(code order by unit))[1] as code, count(*)::int as units
        from purchases s
        where s.seq = coalesce(p.order_seq, a.seq)
          and (p.order_seq is null or s.refunded_seq = a.seq)
        having count(*) > 0) as u on true
    order by p.seq`;
  const events = rows.flatMap(({ kind, outcome, ...event }) => {
    const type = kind === null || outcome === null ? undefined : typeOf[kind]?.[outcome];
    return type === undefined ? [] : [{ ...event, type }];
  });
  return { events, upTo: rows.at(-1)?.seq ?? after };
}

/** The number of the last event; 0 before the first. */
export async function lastEvent(sql: ISql): Promise<number> {
  const [row] = await sql<{ seq: number }[]>`
    select greatest(
      (select seq from attempts where outcome in ('reserved', 'purchased', 'released', 'claimed')
       order by seq desc limit 1),
      (select max(seq) from refunds), (select max(seq) from milestones), 0)::float8 as seq`;
  return row?.seq ?? 0;
}

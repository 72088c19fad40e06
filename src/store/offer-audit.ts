/**
 * The audit of what was offered to those who wait, from the records alone: that each offer is an
 * attempt, that it was for somebody who waited for it and had not left, and none while another lived.
 */
import type { ISql } from "postgres";

/** Counts of what must not be. */
export type OfferAudit = {
  readonly offers_without_attempt: number;
  readonly attempts_without_offer: number;
  /** Offers to who did not wait for it, had left, or had been offered something that had not lapsed. */
  readonly offers_out_of_line: number;
};

export async function auditOffers(sql: ISql, saleId: number): Promise<OfferAudit> {
  const [row] = await sql<OfferAudit[]>`
    with retained as (select coalesce(min(seq), 0) as seq from attempts),
    made as (select * from offers where sale_id = ${saleId}),
    tried as (
      select seq, buyer, user_id, item_id, code from attempts
      where sale_id = ${saleId} and outcome = 'reserved' and kind = 'offer'),
    waited as (
      select seq, outcome, buyer, user_id, item_id, code from attempts
      where sale_id = ${saleId} and outcome in ('waiting', 'left', 'offer_lapsed')),
    given as (select m.joined_seq, m.ordinal, t.* from made m join tried t on t.seq = m.seq)
    select
      (select count(*)::int from made m, retained
       where m.seq >= retained.seq and not exists (
         select from tried t where t.seq = m.seq)) as offers_without_attempt,
      (select count(*)::int from tried t where not exists (
         select from made m where m.seq = t.seq)) as attempts_without_offer,
      (select count(*)::int from given g, retained
       where g.joined_seq >= retained.seq and (
         not exists (
           select from waited w
           where w.seq = g.joined_seq and w.outcome = 'waiting'
             and w.buyer = g.buyer and w.user_id = g.user_id
             and (w.item_id is null or w.item_id = g.item_id))
         or exists (
           select from waited w
           where w.outcome = 'left' and w.buyer = g.buyer and w.user_id = g.user_id
             and w.seq > g.joined_seq and w.seq < g.seq)
         or g.ordinal > 1 and not exists (
           select from given before join waited w on w.outcome = 'offer_lapsed' and w.code = before.code
           where before.joined_seq = g.joined_seq and before.ordinal = g.ordinal - 1
             and w.seq > before.seq and w.seq < g.seq))) as offers_out_of_line`;
  if (row === undefined) throw new Error("the offers could not be counted");
  return row;
}

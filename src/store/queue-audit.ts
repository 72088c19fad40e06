/**
 * The audit of a queue, from the records alone: that it was drawn by the seed that was promised, from
 * the tickets that there were, that these are all there and each a buyer's own, and that nobody
 * reserved before their turn or after it. The ranks are reckoned here once more, by PostgreSQL and from
 * the words of the contract; nothing is taken from the program's own draw.
 */
import type { ISql } from "postgres";

/** Counts of what must not be, but for `joined` and `drawn`. */
export type QueueAudit = {
  readonly joined: number;
  readonly drawn: number;
  /** Seeds whose hash is not what was promised, or promises that are not what was announced. */
  readonly broken_commitments: number;
  /** Draws of other entries than there are. */
  readonly broken_draws: number;
  /** Tickets of before the opening that were not drawn. */
  readonly left_out_of_draw: number;
  readonly missing_tickets: number;
  readonly tickets_without_attempt: number;
  readonly attempts_without_ticket: number;
  /** Rates that nobody has set, or not so or then. */
  readonly rates_without_attempt: number;
  readonly attempts_without_rate: number;
  /** Reservations, purchases and lines of buyers who had not joined by then. */
  readonly reserved_without_ticket: number;
  /** … and of those whose turn had not come. */
  readonly reserved_before_turn: number;
  /** … and of those whose pass had ended. */
  readonly reserved_after_pass: number;
};

/** Whether every promise is kept. */
export const isFair = ({ joined: _joined, drawn: _drawn, ...faults }: QueueAudit): boolean =>
  Object.values(faults).every((count) => count === 0);

/** The sale, its draw, and everybody who joined with their rank, as it follows from the tickets. */
const given = (sql: ISql, saleId: number) => sql`
    sale as (select * from sales where id = ${saleId} and entry = 'queue'),
    joined as materialized (
      select t.*, encode(sha256(convert_to(ticket::text, 'UTF8')), 'hex') as entry
      from tickets t where sale_id = ${saleId}),
    draw as materialized (
      select seed, commitment, entries_digest as noted, drawn_seq,
             coalesce(drawn, (select count(*) from joined, sale where joined_at < starts_at)) as drawn
      from draws where sale_id = ${saleId}),
    digest as materialized (
      select encode(sha256(convert_to(coalesce(string_agg(entry || chr(10), '' order by number), ''),
                                      'UTF8')), 'hex') as digest
      from joined, draw where number <= drawn),
    -- In one pass: PostgreSQL knows nothing yet of the tickets of a sale that has just opened, and would
    -- join them with their ranks one by one.
    given as materialized (
      select j.*, case when number <= drawn
        then row_number() over (partition by number <= drawn
          order by sha256(convert_to(seed || ':' || digest || ':' || entry, 'UTF8')))
        else number end as rank
      from joined j left join (select * from draw, digest) d on true)`;

/** Who reserved or bought something, with their ticket by then and when the turn of that was. */
const turns = (sql: ISql, saleId: number) => sql`
    -- From when on each rate held, and what it had made room for by then, in thousandths.
    rates as (
      select '-infinity'::timestamptz as at, admit_per_second as rate, false as paused, 0::bigint as seq
      from sale
      union all
      select changed_at, admit_per_second, paused, seq from queue_rates where sale_id = ${saleId}),
    stretches as (
      select greatest(at, starts_at) as since, case when paused then 0 else rate end as rate, r.seq,
             greatest(coalesce(lead(at) over (order by r.seq), 'infinity'), starts_at) as until,
             -- It stands while it is paused, for those who come then, too.
             case when paused then coalesce((select max(g.number) from given g where g.seq < r.seq), 0)::bigint * 1000
             end as at_most
      from rates r, sale
      -- What was set by a clock that was ahead, and set anew before its time, never held.
      where not exists (select from rates later where later.seq > r.seq and later.at < r.at)),
    -- Each takes what those before it have made, but for what was gone at the last that bounds it most.
    made as (
      select *, coalesce(sum(rate * extract(epoch from until - since) * 1000)
        filter (where until <> 'infinity') over (order by seq rows between unbounded preceding and 1 preceding), 0)
        as made from stretches),
    banked as (
      select *, made + least(0, min(at_most - made) over (order by seq)) as before from made),
    reserved as (
      select a.seq, a.at, a.buyer, a.user_id, a.kind, a.code from attempts a
      where a.sale_id = ${saleId}
        and a.outcome in ('reserved', 'purchased', 'waiting')),
    -- What a buyer held is held until then, at the latest; what was bought keeps the pass from then on.
    active as (
      select r.*, max(case when r.kind = 'waitlist_join' then null when r.kind in ('checkout', 'offer')
          then greatest(r.at + reservation_ttl_ms * interval '1 millisecond', x.due) else r.at end)
        over (partition by r.buyer, r.user_id order by r.seq
              rows between unbounded preceding and 1 preceding) as until
      from sale, reserved r left join lateral (
        select max(due) as due from extensions x where x.sale_id = ${saleId} and x.code = r.code) x on true),
    -- Each buyer's tickets and what they took, in order: what was taken belongs to the ticket before it.
    -- In one pass, too, for no table is known yet.
    both_kinds as (
      select seq, at, buyer, user_id, kind, until,
             null::bigint as number, null::bigint as rank, null::timestamptz as joined_at from active
      union all
      select seq, joined_at, buyer, user_id, null, null, number, rank, joined_at from given),
    of_tickets as (
      select *, count(number) over (partition by buyer, user_id order by seq) as nth from both_kinds),
    holders as (
      select seq, at, kind, until, rank, joined_at from (
        select seq, at, kind, until, number, first_value(rank) over ticket as rank,
               first_value(joined_at) over ticket as joined_at
        from of_tickets window ticket as (partition by buyer, user_id, nth order by seq)) taken
      where number is null and kind <> 'purchase'),
    let_in as (
      select h.*, (
        select before + rate * greatest(0, extract(epoch from least(h.at, until) - since) * 1000)
        from banked b where since < h.at order by b.seq desc limit 1) as room, (
        select since + ceil((h.rank * 1000 - before) / rate) * interval '1 millisecond'
        from banked b where rate > 0 and h.rank * 1000 > before and since < h.at
        order by b.seq desc limit 1) as turn
      from holders h where h.rank is not null)`;

/** What is noted of a rate that somebody sets, beside its attempt: see `rateActivity`. */
const rateText = (sql: ISql) => sql`
  format('{"sale_id":%s,"admit_per_second":%s,"paused":%s}',
         r.sale_id, r.admit_per_second, r.paused::text)`;

/** @returns null for a sale without a queue */
export async function auditQueue(sql: ISql, saleId: number): Promise<QueueAudit | null> {
  const [row] = await sql<QueueAudit[]>`
    with ${given(sql, saleId)}, ${turns(sql, saleId)},
    -- From when on retention has left all attempts.
    retained as (
      select coalesce(max(at) filter (where seq > 1), '-infinity') as at, coalesce(max(seq), 0) as seq
      from (select seq, at from attempts order by seq limit 1) first)
    select
      (select count(*)::int from given) as joined,
      (select drawn::int from draw) as drawn,
      (select count(*)::int from sale left join draw on true
       where seed is null or draw.commitment <> encode(sha256(decode(seed, 'hex')), 'hex')
          or draw.commitment is distinct from sale.commitment
      ) as broken_commitments,
      (select count(*)::int from draw, digest where noted <> digest) as broken_draws,
      (select count(*)::int from given, draw, sale
       where number > drawn and joined_at < starts_at and seq <= drawn_seq) as left_out_of_draw,
      (select (coalesce(max(number), 0) - count(*))::int from given) as missing_tickets,
      (select count(*)::int from given g where not exists (
         select from attempts a
         where a.seq = g.seq and a.kind = 'join' and a.outcome = 'joined' and a.at = g.joined_at
           and a.sale_id = g.sale_id and a.buyer = g.buyer and a.user_id = g.user_id)
       and g.seq >= (select coalesce(min(seq), 0) from attempts)) as tickets_without_attempt,
      (select count(*)::int from (
         select seq from attempts where sale_id = ${saleId} and outcome = 'joined'
         except select seq from given) a) as attempts_without_ticket,
      (select count(*)::int from queue_rates r, retained
       where r.sale_id = ${saleId} and (
         not exists (
           select from activity c
           where c.attempt = r.seq and c.what = 'queue.changed' and c.after = ${rateText(sql)})
         or r.seq >= retained.seq and not exists (
           select from attempts a
           where a.seq = r.seq and a.kind = 'change_queue' and a.outcome = 'queue_changed'
             and a.at = r.changed_at and a.sale_id = r.sale_id))) as rates_without_attempt,
      (select count(*)::int from (
         select seq from attempts
         where sale_id = ${saleId} and kind = 'change_queue' and outcome = 'queue_changed'
         except select seq from queue_rates where sale_id = ${saleId}) a) as attempts_without_rate,
      (select count(*)::int from holders where rank is null) as reserved_without_ticket,
      -- What is offered, whenever that is, was waited for when their turn had come.
      (select count(*)::int from let_in
       where kind <> 'offer' and rank * 1000 > coalesce(room, 0)) as reserved_before_turn,
      -- What kept a pass may be among what was dropped.
      (select count(*)::int from let_in, sale, retained
       where sale.starts_at >= retained.at and let_in.kind not in ('offer', 'waitlist_join')
         and let_in.at >= greatest(turn, joined_at, until) + pass_ttl_ms * interval '1 millisecond'
      ) as reserved_after_pass
    from sale`;
  return row ?? null;
}

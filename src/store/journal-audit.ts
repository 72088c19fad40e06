/**
 * The audit of the journal as a whole, in which each attempt has a number: that none is missing, and
 * that what is noted of sales and terms beside it is what it says.
 */
import type { Sql } from "postgres";
import { milestoneText } from "./milestones.ts";

/** Counts of what must not be, but for `attempts` and `clock_set_back`. */
export type JournalAudit = {
  readonly attempts: number;
  /** Sequence numbers that are missing between the first attempt kept and the last that there was. */
  readonly missing: number;
  /** Attempts with an earlier time than the one before them: a clock was set back in between. */
  readonly clock_set_back: number;
  /** What is noted of sales and no attempt, of those that are kept, says. */
  readonly milestones_without_attempt: number;
  /** What attempts say of sales that are there, and is not noted. */
  readonly attempts_without_milestone: number;
  /** Terms that began before an earlier one, or after what was decided in them. */
  readonly terms_out_of_order: number;
  readonly ok: boolean;
};

export async function auditJournal(sql: Sql): Promise<JournalAudit> {
  const [row] = await sql<Omit<JournalAudit, "ok">[]>`
    with journal as (
      select count(*) as attempts, min(seq) as first, max(seq) as last,
             count(*) filter (where at < before) as clock_set_back
      from (select seq, at, lag(at) over (order by seq) as before from attempts) as one)
    select attempts::float8 as attempts, clock_set_back::float8 as clock_set_back,
           (coalesce(greatest(journal.last, named.last), 0) - coalesce(first, 1) + 1 - attempts)::float8
             as missing,
           (${milestonesAlone(sql)})::float8 as milestones_without_attempt,
           (${attemptsAlone(sql)})::float8 as attempts_without_milestone,
           (${termsOutOfOrder(sql)})::float8 as terms_out_of_order
    from journal, (${lastNamed(sql)}) as named`;
  if (row === undefined) throw new Error("the journal could not be counted");
  const { attempts: _attempts, clock_set_back: _setBack, ...faults } = row;
  return { ...row, ok: Object.values(faults).every((count) => count === 0) };
}

/**
 * The last attempt that any record names which is written with it, or once it is committed: the end of
 * the journal is missed by these alone.
 */
const lastNamed = (sql: Sql) => sql`
  select greatest(
    (select max(seq) from purchases), (select max(refunded_seq) from purchases),
    (select max(seq) from refunds), (select max(seq) from extensions),
    (select max(seq) from offers), (select max(seq) from tickets),
    (select max(seq) from queue_rates), (select max(seq) from milestones),
    (select max(seq) from claims), (select max(seq) from coupons),
    (select max(changed_seq) from coupons), (select max(attempt) from activity),
    (select max(after_seq) from terms), (select max(seq) from checkpoints),
    (select last_seq from leader), (select max(drawn_seq) from draws), (select max(attempts_seq) from sales)) as last`;

const milestonesAlone = (sql: Sql) => sql`
  select count(*) from milestones m
  where m.seq >= journal.first and not exists (
    select from attempts a
    where a.seq = m.seq and a.kind = 'milestone' and a.outcome = m.word
      and coalesce(a.request, ${milestoneText(sql, sql`m.sale_id`)})
        = ${milestoneText(sql, sql`m.sale_id`)})`;

/**
 * A sale may be withdrawn that had opened, where nothing was had of it and a clock was set back since.
 * What attempts of earlier versions say is of no sale: then it may be any that was withdrawn later.
 */
const attemptsAlone = (sql: Sql) => sql`
  select count(*) from attempts a
  where a.kind = 'milestone' and not exists (
      select from milestones m where m.seq = a.seq)
    and not exists (
      select from attempts w
      where w.kind = 'withdraw' and w.outcome = 'withdrawn' and w.seq > a.seq
        and coalesce(a.request, ${milestoneText(sql, sql`w.sale_id`)})
          = ${milestoneText(sql, sql`w.sale_id`)})`;

/** Where nothing was decided in a term, the next one begins after the same attempt. */
const termsOutOfOrder = (sql: Sql) => sql`
  select count(*) from (
    select after_seq, began_at, lag(after_seq) over term as before, lead(after_seq) over term as after
    from terms window term as (order by epoch)) t
    left join attempts a on a.seq = t.after_seq + 1
  where t.after_seq < t.before
     or (t.after is null or t.after > t.after_seq) and a.at < t.began_at`;

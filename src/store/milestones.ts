/** Milestones of sales as they are stored: an attempt each, and beside it which sale it is of. */
import type { Fragment, ISql } from "postgres";
import type { Milestone, NotedLife } from "../ledger/commands.ts";
import { nothing, ofAttempt, type attempt } from "./journal-rows.ts";
import { none, quote, type RowOf } from "./rows.ts";

export const milestone = {
  into: "milestones",
  columns: { nth: "int", sale_id: "int", word: "outcome_word" },
  derived: { seq: ofAttempt.seq },
} as const;

/**
 * It is not among what was tried in a sale, and so of none; which it is about is in what is kept of a
 * request, for the audit: see `milestoneText`.
 */
export const milestoneAttempt = (
  nth: number,
  { kind, what, saleId }: Milestone,
): RowOf<typeof attempt> => ({
  ...nothing,
  nth,
  kind,
  outcome: what,
  sale_id: none,
  request: quote(JSON.stringify({ sale_id: saleId })),
});

/** What the attempt of a milestone says of its sale; earlier versions wrote nothing. */
export const milestoneText = (sql: ISql, saleId: Fragment): Fragment =>
  sql`format('{"sale_id":%s}', ${saleId})`;

export const milestoneRow = (
  nth: number,
  { saleId, what }: Milestone,
): RowOf<typeof milestone> => ({
  nth,
  sale_id: saleId,
  word: what,
});

/**
 * How far the life is noted of each of these sales; of those of which nothing is, nothing. And of all
 * others that have opened, and of which it is not noted that they are over.
 */
export async function notedLives(
  sql: ISql,
  saleIds: readonly number[],
): Promise<ReadonlyMap<number, NotedLife>> {
  const rows = await sql<{ sale_id: number; ended: boolean }[]>`
    select sale_id, bool_or(word = 'sale_ended') as ended from milestones
    where word <> 'sold_out' group by sale_id
    having sale_id = any(${`{${saleIds.join(",")}}`}::int[]) or not bool_or(word = 'sale_ended')`;
  return new Map(rows.map(({ sale_id, ended }) => [sale_id, ended ? "ended" : "opened"]));
}

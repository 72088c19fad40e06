/**
 * Who has changed what: one row for every change that an administrator or a key has made, written in
 * the transaction that makes it. What is changed by an attempt the journal notes with it.
 */
import { desc, lt, sql } from "drizzle-orm";
import type { Fragment, Sql } from "postgres";
import type { Actor } from "../ledger/commands.ts";
import type { Db } from "./db.ts";
import { activity } from "./schema.ts";

/**
 * Who asks the leader for a change; and the id of the call, where it may be asked for again: by that
 * the next leader finds what was done.
 */
export type Caller = Actor & { readonly asked?: number };

/** What was changed: of what it was and is, what differs. */
export type Note = {
  readonly what: string;
  /** Null for what was made. */
  readonly before: object | null;
  /** Null for what is gone. */
  readonly after: object | null;
};

const textOf = (value: object | null): string | null =>
  value === null ? null : JSON.stringify(value);

/**
 * Makes a change and notes who has made it: both, or neither.
 * @param by null: whoever runs the program, of whom nothing is noted
 * @param change gives null for a note where nothing was changed
 */
export async function noted<T>(
  db: Db,
  by: Actor | null,
  change: (tx: Db) => Promise<readonly [made: T, note: Note | null]>,
): Promise<T> {
  return await db.transaction(async (tx) => {
    const [made, note] = await change(tx);
    if (note === null || by === null) return made;
    await tx.insert(activity).values({
      at: sql`now()`,
      actor: by.kind,
      who: by.name,
      what: note.what,
      before: textOf(note.before),
      after: textOf(note.after),
    });
    return made;
  });
}

/** The same as a part of a statement, for each row of `from`. @param after an expression of its columns */
export const noting = (
  sqlOf: Sql,
  by: Caller,
  what: string,
  {
    before,
    after,
    from,
  }: { readonly before: Fragment; readonly after: Fragment; readonly from: Fragment },
): Fragment => sqlOf`
  insert into activity (at, actor, who, what, before, after, asked)
  select now(), ${by.kind}::actor_kind, ${by.name}::text, ${what}::text, ${before}, ${after},
         ${by.asked ?? null}::bigint
  from ${from}`;

/** What was changed by the call with this id, but by an attempt; null: nothing was. */
export async function findChange(sqlOf: Sql, asked: number): Promise<CalledChange | null> {
  const [row] = await sqlOf<CalledChange[]>`
    select (after::json ->> 'sale_id')::int as "saleId" from activity
    where asked = ${asked}::bigint`;
  return row ?? null;
}

/** @param saleId null where it was no sale */
export type CalledChange = { readonly saleId: number | null };

/** One change, as it is shown. */
export type Activity = {
  readonly seq: number;
  readonly at: Date;
  readonly by: Actor["kind"];
  readonly who: string;
  readonly what: string;
  readonly before: unknown;
  readonly after: unknown;
};

/** Newest first, before the one numbered `before`. */
export async function listActivity(
  db: Db,
  { before, limit }: { readonly before: number; readonly limit: number },
): Promise<Activity[]> {
  const rows = await db
    .select()
    .from(activity)
    .where(lt(activity.seq, before))
    .orderBy(desc(activity.seq))
    .limit(limit);
  return rows.map((row) => ({
    seq: row.seq,
    at: row.at,
    by: row.actor,
    who: row.who,
    what: row.what,
    before: valueOf(row.before),
    after: valueOf(row.after),
  }));
}

const valueOf = (text: string | null): unknown => (text === null ? null : JSON.parse(text));

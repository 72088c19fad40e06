/**
 * Tickets of sales that were withdrawn. A queue may have millions, and to delete them takes longer than
 * the journal may wait for one statement, with everybody who buys: the withdrawal leaves them, for nothing
 * refers to the sale that they are of, and they are dropped behind it, some at a time.
 */
import type { Sql } from "postgres";

/** Dropped at a time: some 20 ms of PostgreSQL's. */
export const strayTicketsMax = 10_000;

export class StrayTickets {
  readonly #sql: Sql;
  /** Whether there may be some: a term before this one may not have come to its end with them. */
  #isDue = true;
  /** Those up to this number are gone. */
  #of: { readonly saleId: number; readonly after: number } | null = null;
  #isDropping = false;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** A sale was withdrawn, and that is committed. */
  found(): void {
    this.#isDue = true;
  }

  /** Drops some, if there are any. Never rejects. */
  async drop(): Promise<void> {
    if (!this.#isDue || this.#isDropping) return;
    this.#isDropping = true;
    this.#isDue = false;
    try {
      if (!(await this.#dropSome())) this.#isDue = true;
    } catch {
      // PostgreSQL is away, or was; there is time.
      this.#isDue = true;
    } finally {
      this.#isDropping = false;
    }
  }

  /** Whether there are no more. */
  async #dropSome(): Promise<boolean> {
    this.#of ??= await this.#next();
    if (this.#of === null) return true;
    const { saleId, after } = this.#of;
    const sql = this.#sql;
    const upTo = after + strayTicketsMax;
    await sql`
      delete from tickets
      where sale_id = ${saleId}::int and number > ${after}::int and number <= ${upTo}::int
        and not exists (select from sales where id = ${saleId}::int)`;
    const [left] = await sql<{ found: boolean }[]>`
      select exists (
        select from tickets where sale_id = ${saleId}::int and number > ${upTo}::int) as found`;
    this.#of = left?.found === true ? { saleId, after: upTo } : null;
    return false;
  }

  /** A sale that is not there and has tickets: each sale that has some is one look at their index. */
  async #next(): Promise<{ readonly saleId: number; readonly after: number } | null> {
    const sql = this.#sql;
    const [stray] = await sql<{ id: number }[]>`
      with recursive queued (id) as (
        (select sale_id from tickets order by sale_id limit 1)
        union all
        select (select t.sale_id from tickets t where t.sale_id > q.id order by t.sale_id limit 1)
        from queued q where q.id is not null)
      select id from queued
      where id is not null and not exists (select from sales where sales.id = queued.id) limit 1`;
    return stray === undefined ? null : { saleId: stray.id, after: 0 };
  }
}

/**
 * The records for administrators: the journal searched, and written out as CSV (RFC 4180).
 *
 * Both read the journal by ranges of its primary key, the sequence number, one bounded
 * statement after another: nothing is held open between two of them, neither a transaction nor
 * a connection, however slowly somebody reads, and who goes away costs nothing from then on.
 * PostgreSQL writes the lines: a page of them is one value, and not ten thousand rows that the
 * process which also sells would have to take apart.
 */
import type { Fragment, Sql } from "postgres";
import type { BuyerKind } from "../ledger/buyers.ts";
import type { OutcomeWord } from "../ledger/commands.ts";

/** Attempts looked at for one answer of a search. */
export const searchRowsMax = 1_000_000;
/** Attempts looked at, and lines written, by one statement of an export. */
const exportScanRows = 200_000;
const exportPageRows = 10_000;

export type FoundAttempt = {
  readonly seq: number;
  readonly at: Date;
  readonly kind: string;
  readonly outcome: string;
  readonly sale_id: number | null;
  readonly item_id: number | null;
  readonly buyer: BuyerKind | null;
  readonly user_id: string | null;
  readonly code: string | null;
  readonly coupon_name: string | null;
  readonly quantity: number | null;
};

export type Search = {
  /** What the user's id begins with. */
  readonly user: string | null;
  readonly outcome: OutcomeWord | null;
  readonly saleId: number | null;
  /** From this time up to, but not including, `to`; ms. */
  readonly from: number | null;
  readonly to: number | null;
  /** Only attempts with a lower number. */
  readonly before: number;
  readonly limit: number;
};

type Found = {
  readonly attempts: readonly FoundAttempt[];
  /** The attempts that were looked at; null for none. */
  readonly scanned: { readonly from: number; readonly to: number } | null;
  /** Where to go on; null at the end. */
  readonly nextBefore: number | null;
};

/**
 * Attempts that fit, newest first. Looks at `searchRowsMax` attempts at most, so that a rare
 * find may need several pages, some of which are empty.
 */
export async function searchAttempts(sql: Sql, search: Search): Promise<Found> {
  const { before, limit } = search;
  const lowest = search.from === null ? await firstSeq(sql) : await firstAt(sql, search.from);
  const end = search.to === null ? null : await firstAt(sql, search.to);
  const last = await lastSeq(sql);
  const to = Math.min(before, end ?? Number.MAX_SAFE_INTEGER, last + 1) - 1;
  const from = Math.max(lowest, to - searchRowsMax + 1);
  if (to < from) return { attempts: [], scanned: null, nextBefore: null };
  const conditions = [
    search.user === null ? sql`` : sql`and starts_with(user_id, ${search.user})`,
    search.outcome === null ? sql`` : sql`and outcome = ${search.outcome}`,
    search.saleId === null ? sql`` : sql`and sale_id = ${search.saleId}`,
  ];
  const attempts = await sql<FoundAttempt[]>`
    select seq::float8 as seq, at, kind, outcome, sale_id, item_id, buyer, user_id, code,
           coupon_name, quantity
    from attempts where seq between ${from} and ${to} ${conditions}
    order by seq desc limit ${limit}`;
  const lastFound = attempts.at(-1)?.seq ?? from;
  const reached = attempts.length === limit ? lastFound : from;
  const nextBefore = reached > lowest ? reached : null;
  return { attempts, scanned: { from: reached, to }, nextBefore };
}

/**
 * What a code went through, newest first: its reservation, and what sold it or gave it back.
 * Found by indexes; a purchase that was asked for again is not among it.
 */
export async function attemptsOfCode(sql: Sql, code: string): Promise<FoundAttempt[]> {
  return await sql<FoundAttempt[]>`
    with reserved as (
      select seq, sale_id from attempts where code = ${code} and outcome = 'reserved'),
    effective as (
      select a.seq from reserved r join attempts a
        on a.sale_id = r.sale_id and a.seq >= r.seq and a.code = ${code}
       and a.outcome in ('reserved', 'purchased', 'released')
      union select seq from purchases where code = ${code})
    select a.seq::float8 as seq, a.at, a.kind, a.outcome, a.sale_id, a.item_id, a.buyer,
           a.user_id, a.code, a.coupon_name, a.quantity
    from effective e join attempts a on a.seq = e.seq order by a.seq desc limit 100`;
}

export async function lastSeq(sql: Sql): Promise<number> {
  const [row] = await sql<{ seq: number }[]>`
    select seq::float8 as seq from attempts order by seq desc limit 1`;
  return row?.seq ?? 0;
}

/** The first attempt that is kept. */
async function firstSeq(sql: Sql): Promise<number> {
  const [row] = await sql<{ seq: number }[]>`
    select seq::float8 as seq from attempts order by seq limit 1`;
  return row?.seq ?? 1;
}

/**
 * Number of the first attempt made at a time (ms) or later; one more than the last when there
 * is none. Where a clock was set back, one of those that are near it.
 */
export async function firstAt(sql: Sql, at: number): Promise<number> {
  let low = await firstSeq(sql);
  let high = (await lastSeq(sql)) + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [row] = await sql<{ at: Date }[]>`
      select at from attempts where seq >= ${middle} order by seq limit 1`;
    if (row !== undefined && row.at.getTime() < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Without it Excel reads UTF-8 as something else. */
const byteOrderMark = "\ufeff";

type Page = { readonly csv: string; readonly rows: number; readonly last: number | null };

const lineEnd = "\r\n";

/** Every attempt on a sale, from its being stored up to now, as pieces of a CSV file. */
export async function* attemptsCsv(sql: Sql, saleId: number): AsyncGenerator<string, void> {
  const columns = "seq,at,kind,outcome,sale_id,item_id,user_id,code,idempotency_key,quantity,buyer";
  yield byteOrderMark + columns + lineEnd;
  const upTo = await lastSeq(sql);
  const [sale] = await sql<{ seq: number }[]>`
    select stored_after_seq::float8 as seq from sales where id = ${saleId}`;
  let after = Math.max(sale?.seq ?? 0, (await firstSeq(sql)) - 1);
  while (after < upTo) {
    const end = Math.min(after + exportScanRows, upTo);
    const [page] = await sql<Page[]>`
      select coalesce(string_agg(
               concat_ws(',', seq, ${timeCell(sql, "at")}, kind, outcome, sale_id,
                         coalesce(item_id::text, ''), ${textCell(sql, "user_id")},
                         coalesce(code::text, ''), ${textCell(sql, "idempotency_key")},
                         coalesce(quantity::text, ''), coalesce(buyer::text, '')) || E'\r\n', '' order by seq), '') as csv,
             count(*)::int as rows, max(seq)::float8 as last
      from (select * from attempts
            where seq > ${after} and seq <= ${end} and sale_id = ${saleId}
            order by seq limit ${exportPageRows}) as page`;
    if (page === undefined) return;
    if (page.csv !== "") yield page.csv;
    after = page.rows === exportPageRows && page.last !== null ? page.last : end;
  }
}

/** Every unit of a sale that was sold up to now, those that were taken back too, as pieces of a CSV file. */
export async function* purchasesCsv(sql: Sql, saleId: number): AsyncGenerator<string, void> {
  const columns =
    "sale_id,item_id,name,unit,user_id,code,order_id,purchased_at,price_cents,buyer,refunded_at,restocked";
  yield byteOrderMark + columns + lineEnd;
  const upTo = await lastSeq(sql);
  let last = { item: 0, unit: 0, seq: 0 };
  for (;;) {
    const [page] = await sql<
      (Page & { item: number | null; unit: number | null; seq: number | null })[]
    >`
      select coalesce(string_agg(
               concat_ws(',', sale_id, item_id, ${textCell(sql, "name")}, unit,
                         ${textCell(sql, "user_id")}, code, seq,
                         ${timeCell(sql, "purchased_at")}, price_cents, buyer,
                         coalesce(${timeCell(sql, "refunded_at")}, ''),
                         case when refunded_seq is null then ''
                              else (freed_seq is not null)::text end) || E'\r\n',
               '' order by item_id, unit, seq), '') as csv,
             count(*)::int as rows, max(item_id) as item,
             (array_agg(unit order by item_id desc, unit desc, seq desc))[1] as unit,
             (array_agg(seq order by item_id desc, unit desc, seq desc))[1]::float8 as seq
      from (select p.*, i.name, i.price_cents, r.refunded_at
            from purchases p join items i on i.sale_id = p.sale_id and i.id = p.item_id
              left join refunds r on r.seq = p.refunded_seq
            where p.sale_id = ${saleId}
              and (p.item_id, p.unit, p.seq) > (${last.item}, ${last.unit}, ${last.seq})
              and p.seq <= ${upTo}
            order by p.item_id, p.unit, p.seq limit ${exportPageRows}) as page`;
    if (page === undefined || page.item === null) return;
    if (page.unit === null || page.seq === null) return;
    yield page.csv;
    if (page.rows < exportPageRows) return;
    last = { item: page.item, unit: page.unit, seq: page.seq };
  }
}

/** Who has claimed a coupon up to now, in the order of their claims, as pieces of a CSV file. */
export async function* claimsCsv(sql: Sql, coupon: string): AsyncGenerator<string, void> {
  yield `${byteOrderMark}coupon_name,claim,user_id,buyer,claimed_at${lineEnd}`;
  for (let last = 0; ;) {
    const [page] = await sql<Page[]>`
      select coalesce(string_agg(
               concat_ws(',', ${textCell(sql, "coupon_name")}, ordinal, ${textCell(sql, "user_id")},
                         buyer, ${timeCell(sql, "claimed_at")}) || E'\r\n',
               '' order by ordinal), '') as csv,
             count(*)::int as rows, max(ordinal)::float8 as last
      from (select * from claims where coupon_name = ${coupon} and ordinal > ${last}
            order by ordinal limit ${exportPageRows}) as page`;
    if (page === undefined || page.last === null) return;
    yield page.csv;
    if (page.rows < exportPageRows) return;
    last = page.last;
  }
}

const timeCell = (sql: Sql, column: string): Fragment =>
  sql`to_char(${sql(column)} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/**
 * A text as a quoted cell. One that a spreadsheet would take for a formula gets an apostrophe
 * before it, as OWASP advises; also after spaces, and in full width, which some read alike.
 */
const textCell = (sql: Sql, column: string): Fragment =>
  sql`case when ${sql(column)} is null then ''
      else '"' || case when ${sql(column)} ~ '^[[:space:]]*[=+@\t\r\n＝＋－＠-]' then '''' else '' end
               || replace(${sql(column)}, '"', '""') || '"' end`;

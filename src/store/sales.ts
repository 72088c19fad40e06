/**
 * The sales and their items as they are stored, and what the records say of sales that the ledger
 * does not hold. Everything here may be asked of any process, leader or not.
 */
import type { Fragment, ISql, Sql } from "postgres";
import type { Entry } from "../ledger/queue.ts";
import type { Sale } from "../ledger/sale.ts";
import { isoTime } from "../time.ts";
import { newDigest } from "./announced.ts";
import { commitmentOf, entryOf, queueColumns, type NewQueue } from "./queues.ts";

/** Items read between two turns of the event loop: under a millisecond's worth. */
const itemsPerTurn = 1_000;

/** One item of a sale, as it is shown. */
export type Item = {
  readonly id: number;
  readonly name: string;
  readonly pictureSeed: string;
  readonly priceCents: number;
  readonly stock: number;
  /** In a product sale. */
  readonly productId?: number;
};

/** A sale with its title and its catalogue, in item order. */
export type StoredSale = {
  readonly sale: Sale;
  readonly title: string;
  readonly items: readonly Item[];
  /** SHA-256 of the seed that its queue is drawn by, in hex; null without a queue. */
  readonly commitment: string | null;
  /** Somebody has moved its end. */
  readonly endByHand: boolean;
  /** Attempts that named the sale, up to and including the one numbered `attemptsSeq`. */
  readonly attempts: number;
  readonly attemptsSeq: number;
};

/** What a sale's announcement says of it as a whole. */
export type SaleHead = Omit<Sale, "stock" | "priceCents" | "access"> & { readonly title: string };

/** A sale to be stored. */
export type NewSale = Pick<
  Sale,
  "kind" | "startsAt" | "endsAt" | "perUserLimit" | "reservationTtlMs"
> & {
  readonly title: string;
  /** Without, everybody gets in at once. */
  readonly queue?: NewQueue;
  readonly items: readonly Item[];
};

type HeadRow = {
  id: number;
  kind: Sale["kind"];
  title: string;
  starts_at: Date;
  ends_at: Date;
  closed: boolean;
  per_user_limit: number;
  reservation_ttl_ms: number;
  entry: Entry["kind"];
  admit_per_second: number | null;
  pass_ttl_ms: number | null;
};

type SaleRow = HeadRow & {
  end_by_hand: boolean;
  item_count: number;
  attempts: number;
  attempts_seq: number;
  commitment: string | null;
};

/**
 * Stores a sale with its items, all or nothing, and returns its id. An hourly sale that
 * somebody has stored for the same hour wins: then its id is returned, and `sale` is not stored.
 * @param seq number of the last attempt made so far: none before it can name this sale
 */
export async function storeSale(sql: Sql, sale: NewSale, seq: number): Promise<number> {
  const { entry, admitPerSecond, passTtlMs, seed } = queueColumns(sale.queue);
  // One statement: a connection that is cut in the middle of `sql.begin` ends the process.
  const [row] = await sql<{ id: number }[]>`
    with made as (
      insert into sales (kind, title, starts_at, ends_at, per_user_limit, reservation_ttl_ms,
                         entry, admit_per_second, pass_ttl_ms, commitment, announced,
                         item_count, stored_after_seq, attempts_seq, announced_after_seq)
      values (${sale.kind}, ${sale.title}, ${isoTime(sale.startsAt)}, ${isoTime(sale.endsAt)},
              ${sale.perUserLimit}, ${sale.reservationTtlMs},
              ${entry}, ${admitPerSecond}, ${passTtlMs}, ${commitmentOf(sql, seed)},
              ${newDigest(sql, sale.kind, sale, listOf(sql, sale))}, ${sale.items.length}, ${seq}, ${seq}, ${seq})
      on conflict (kind, starts_at) where kind = 'hourly' do nothing
      returning id, commitment),
    drawn as (
      insert into draws (sale_id, seed, commitment)
      select id, ${seed}::text, commitment from made where ${seed}::text is not null),
    listed as (
      insert into items (sale_id, id, product_id, name, picture_seed, price_cents, stock)
      select made.id, listed.*
      from made, ${listOf(sql, sale)})
    select id from made`;
  const id = row?.id ?? (await findHourly(sql, sale.startsAt));
  if (id === null) throw new Error("an hourly sale was refused as double, and is not there");
  return id;
}

/** Its items, as they are stored. */
const listOf = (sql: Sql, { items }: NewSale): Fragment => sql`(
  select id, null::int as product_id, name, "pictureSeed" as picture_seed,
         "priceCents" as price_cents, stock
  from json_to_recordset(${JSON.stringify(items)}::text::json)
    as t (id int, name text, "pictureSeed" text, "priceCents" int, stock int)) as listed`;

/** The id of the hourly sale that starts at a time (ms), or null. */
export async function findHourly(sql: Sql, startsAt: number): Promise<number | null> {
  const [row] = await sql<{ id: number }[]>`
    select id from sales where kind = 'hourly' and starts_at = ${isoTime(startsAt)}`;
  return row?.id ?? null;
}

/** Sales by id, with their items. Ids that do not exist are left out. */
export async function loadSales(sql: ISql, ids: readonly number[]): Promise<StoredSale[]> {
  if (ids.length === 0) return [];
  const list = `{${ids.join(",")}}`;
  const sales = await sql<SaleRow[]>`
    select id, kind, title, starts_at, ends_at, closed, per_user_limit, reservation_ttl_ms,
           end_by_hand, entry, admit_per_second, pass_ttl_ms,
           item_count, attempts::float8 as attempts, attempts_seq::float8 as attempts_seq,
           (select commitment from draws where sale_id = sales.id) as commitment
    from sales where id = any(${list}::int[]) order by id`;
  // Some items a row, as text: ten thousand rows cost ten times as much in the driver, and all of
  // them at once hold the thread for too long.
  const parts = await sql<{ sale_id: number; items: string }[]>`
    select sale_id, json_agg(json_build_array(id, name, picture_seed, price_cents, stock, product_id)
                             order by id)::text as items
    from (select *, id / ${itemsPerTurn}::int as part from items
          where sale_id = any(${list}::int[])) one
    group by sale_id, part order by sale_id, part`;
  const itemsOf = new Map<number, Item[]>();
  for (const part of parts) {
    const items = itemsOf.get(part.sale_id) ?? [];
    itemsOf.set(part.sale_id, items);
    items.push(...parseItems(part.items));
    // oxlint-disable-next-line no-await-in-loop
    await new Promise((next) => setImmediate(next));
  }
  return sales.map((row) => storedSale(row, itemsOf.get(row.id) ?? []));
}

function parseItems(text: string): Item[] {
  const rows = JSON.parse(text) as [number, string, string, number, number, number | null][];
  return rows.map(([id, name, pictureSeed, priceCents, stock, productId]) => {
    const item = { id, name, pictureSeed, priceCents, stock };
    return productId === null ? item : Object.assign(item, { productId });
  });
}

function storedSale(row: SaleRow, items: readonly Item[]): StoredSale {
  const { title, ...head } = headOf(row);
  return {
    sale: saleOf(head, items, row.item_count),
    title,
    items,
    commitment: row.commitment,
    endByHand: row.end_by_hand,
    attempts: row.attempts,
    attemptsSeq: row.attempts_seq,
  };
}

/** A sale as the ledger has it. @param itemCount numbers given so far */
export function saleOf(
  head: Omit<SaleHead, "title">,
  items: readonly Item[],
  itemCount: number,
): Sale {
  const stock = new Int32Array(itemCount);
  const priceCents = new Int32Array(itemCount);
  for (const item of items) {
    stock[item.id - 1] = item.stock;
    priceCents[item.id - 1] = item.priceCents;
  }
  return { ...head, access: accessOf(head.kind), stock, priceCents };
}

/** Who may buy follows from where a sale comes from. */
export function accessOf(kind: Sale["kind"]): Sale["access"] {
  switch (kind) {
    case "hourly":
      return "everyone";
    case "product":
      return "proven";
    default:
      return kind satisfies never;
  }
}

/** The item of a number; undefined when there is none. */
export function itemOf({ items }: Pick<StoredSale, "items">, id: number): Item | undefined {
  const likely = items[id - 1];
  // Only where a number was taken out is it another one's.
  return likely?.id === id ? likely : items.find((item) => item.id === id);
}

const headOf = (row: HeadRow): SaleHead => ({
  id: row.id,
  kind: row.kind,
  title: row.title,
  startsAt: row.starts_at.getTime(),
  endsAt: row.ends_at.getTime(),
  closed: row.closed,
  perUserLimit: row.per_user_limit,
  reservationTtlMs: row.reservation_ttl_ms,
  entry: entryOf({
    entry: row.entry,
    admitPerSecond: row.admit_per_second,
    passTtlMs: row.pass_ttl_ms,
  }),
});

/** Units of a sale: `takenOut` of those that were `refunded` are not on sale again. */
type CountedUnits = {
  readonly stock: number;
  readonly sold: number;
  readonly refunded: number;
  readonly takenOut: number;
};

/** A sale in a list. */
export type ListedSale = {
  readonly head: SaleHead;
  /** Attempts that named it, as last noted. */
  readonly attempts: number;
  /** Units of a sale that was asked to be counted. */
  readonly counted: CountedUnits | null;
};

/**
 * Sales, newest first, below the id `before`. Units are counted of those that had ended by
 * `endedBy` (ms), but for the ids in `known`: each takes an entry of an index, a million of them
 * 200 ms. A `case` leaves uncounted what is not wanted; a lateral join counted all of them.
 */
export async function listSales(
  sql: Sql,
  options: {
    readonly kind: Sale["kind"] | null;
    readonly before: number;
    readonly limit: number;
    readonly endedBy: number;
    readonly known: readonly number[];
  },
): Promise<ListedSale[]> {
  const { kind, before, limit, endedBy, known } = options;
  const rows = await sql<
    (HeadRow & { attempts: number; stock: number | null; units: string | null })[]
  >`
    select id, kind, title, starts_at, ends_at, closed, per_user_limit, reservation_ttl_ms,
           entry, admit_per_second, pass_ttl_ms, attempts::float8 as attempts,
           case when wanted then (
             select sum(stock)::float8 from items where sale_id = s.id) end as stock,
           case when wanted then (
             select json_build_array(
                      count(*) filter (where refunded_seq is null), count(refunded_seq),
                      count(refunded_seq) filter (where freed_seq is null))::text
             from purchases where sale_id = s.id) end as units
    from (
      select *, ends_at <= ${isoTime(endedBy)}
                and id <> all(${`{${known.join(",")}}`}::int[]) as wanted
      from sales
      where id < ${before}::bigint ${kind === null ? sql`` : sql`and kind = ${kind}`}
      order by id desc limit ${limit}
    ) s order by id desc`;
  return rows.map((row) => {
    const { attempts, stock, units } = row;
    return { head: headOf(row), attempts, counted: countedOf(stock, units) };
  });
}

function countedOf(stock: number | null, units: string | null): CountedUnits | null {
  if (stock === null || units === null) return null;
  const [sold, refunded, takenOut] = JSON.parse(units) as [number, number, number];
  return { stock, sold, refunded, takenOut };
}

/** Attempts that named a sale, numbered above `since` and up to `upTo`. */
export async function countAttempts(
  sql: ISql,
  saleId: number,
  since: number,
  upTo: number,
): Promise<number> {
  // Without the upper bound the planner takes a third of the journal for wanted, and scans it.
  const [row] = await sql<{ count: number }[]>`
    select count(*)::float8 as count from attempts
    where seq > ${since} and seq <= ${upTo} and sale_id = ${saleId}`;
  return row?.count ?? 0;
}

/**
 * Counts the attempts of a sale for the last time: it was over before anybody who led could.
 * @param upTo the last attempt's number
 */
export async function settle(sql: Sql, saleId: number, upTo: number): Promise<void> {
  await sql`
    update sales set settled = true, attempts_seq = ${upTo}, attempts = attempts + (
      select count(*) from attempts a
      where a.seq > sales.attempts_seq and a.seq <= ${upTo} and a.sale_id = sales.id)
    where id = ${saleId} and not settled`;
}

/** Units of a sale that are gone; of each item, item N at index N - 1. */
type UnitsGone = {
  readonly sold: Int32Array;
  readonly refunded: Int32Array;
  readonly takenOut: Int32Array;
  readonly reserved: Int32Array;
  readonly attempts: number;
};

/**
 * What is sold and reserved by the records, for a process that does not hold the sale in its
 * ledger. Attempts on a sale that was settled are not counted any more.
 */
export async function readTaken(
  sql: Sql,
  { sale }: StoredSale,
  now: number,
  settledAt: number,
): Promise<UnitsGone> {
  // As one text each: ten thousand rows hold the thread for ten milliseconds in the driver.
  const sold = await sql<UnitsRow[]>`
    select coalesce(json_agg(json_build_array(item_id, sold, refunded, out))::text, '[]') as units
    from (
      select item_id, count(*) filter (where refunded_seq is null) as sold,
             count(refunded_seq) as refunded,
             count(refunded_seq) filter (where freed_seq is null) as out
      from purchases where sale_id = ${sale.id} group by item_id
    ) one`;
  const reserved =
    now >= sale.endsAt
      ? []
      : await sql<UnitsRow[]>`
          with extended as materialized (
            select distinct on (code) code, due from extensions
            where sale_id = ${sale.id} order by code, seq desc),
          reserved as (
            select seq, item_id, code from attempts
            where sale_id = ${sale.id} and outcome = 'reserved'
              and at > ${isoTime(now - sale.reservationTtlMs)}
              and not exists (select from extended x where x.code = attempts.code)
            union all
            select a.seq, a.item_id, a.code from extended x join attempts a on a.code = x.code
            where x.due > ${isoTime(now)} and a.sale_id = ${sale.id} and a.outcome = 'reserved')
          select coalesce(json_agg(json_build_array(item_id, units))::text, '[]') as units from (
            select r.item_id, count(*) as units from reserved r
            where not exists (
                select from attempts e
                where e.sale_id = ${sale.id} and e.outcome in ('purchased', 'released')
                  and e.seq > r.seq and e.code = r.code)
            group by r.item_id) one`;
  const [tally] = await sql<{ attempts: number; since: number; up_to: number }[]>`
    select attempts::float8 as attempts, attempts_seq::float8 as since,
           (select coalesce(max(seq), 0) from attempts)::float8 as up_to
    from sales where id = ${sale.id}`;
  if (tally === undefined) throw new Error(`sale ${sale.id} is not stored`);
  const counted =
    now >= settledAt ? 0 : await countAttempts(sql, sale.id, tally.since, tally.up_to);
  return {
    sold: unitsOf(sale, sold, 1),
    refunded: unitsOf(sale, sold, 2),
    takenOut: unitsOf(sale, sold, 3),
    reserved: unitsOf(sale, reserved),
    attempts: tally.attempts + counted,
  };
}

/** `[[item, units, …], …]` */
type UnitsRow = { units: string };

/** @param nth which of the counts */
function unitsOf({ stock }: Sale, [row]: readonly UnitsRow[], nth = 1): Int32Array {
  const units = new Int32Array(stock.length);
  const counts = JSON.parse(row?.units ?? "[]") as [item: number, ...units: number[]][];
  for (const count of counts) units[count[0] - 1] = count[nth] ?? 0;
  return units;
}

/** How many units were sold by a time (ms since the Unix epoch). */
export type SoldBy = { readonly at: number; readonly sold: number };

/**
 * How a sale sold, first purchase to last: every so many-th purchase, so that the curve is as
 * fine where it is steep as where it is flat.
 * @param pointsMax about so many are returned
 */
export async function soldOverTime(
  sql: Sql,
  saleId: number,
  pointsMax: number,
): Promise<readonly SoldBy[]> {
  const rows = await sql<{ at: Date; sold: number }[]>`
    select at, sold from (
      select purchased_at as at, row_number() over (order by seq)::int as sold,
             count(*) over ()::int as total
      from purchases where sale_id = ${saleId}
    ) one
    where sold = 1 or sold = total or sold % greatest(1, total / ${pointsMax}) = 0
    order by sold`;
  return rows.map(({ at, sold }) => ({ at: at.getTime(), sold }));
}

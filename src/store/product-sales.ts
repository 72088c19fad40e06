/**
 * Product sales as they are stored. They are written beside the journal, by the pool, and so
 * every statement that writes here holds on to the leader's epoch: a leader that has been
 * deposed without noticing cannot change a sale that the next one has already loaded, and the
 * next one's term does not begin before such a statement has ended. Each change is one
 * statement, so that no client can die between its lock and its commit.
 */
import type { Fragment, Sql } from "postgres";
import type { Entry } from "../ledger/queue.ts";
import { isoTime } from "../time.ts";
import { noting, type Caller } from "./activity.ts";
import { newDigest, replacedDigest } from "./announced.ts";
import { DeposedError } from "./records.ts";
import { commitmentOf, entryOf, queueColumns, type NewQueue } from "./queues.ts";
import { saleOf, type Item, type StoredSale } from "./sales.ts";

/** What is announced of an item; its name and picture are the product's at that moment. */
type AnnouncedItem = {
  readonly productId: number;
  readonly stock: number;
  readonly priceCents: number;
};

export type SaleTerms = {
  readonly title: string;
  /** ms since the Unix epoch */
  readonly startsAt: number;
  readonly endsAt: number;
  readonly perUserLimit: number;
  readonly reservationTtlMs: number;
};

/** A product sale to be stored. */
export type NewProductSale = SaleTerms & {
  readonly items: readonly AnnouncedItem[];
  /** Without, everybody gets in at once. */
  readonly queue?: NewQueue | undefined;
  /** What it is announced of, which is gone then. */
  readonly draft?: DraftRef | undefined;
};

/** A draft, as it was when it was read. */
export type DraftRef = { readonly id: number; readonly version: number };

/** What a product sale becomes; items null: they stay as they are. */
export type ProductSaleChange = SaleTerms & { readonly items: readonly AnnouncedItem[] | null };

/** The sale as it was stored, or a product that was announced and is not in the shop. */
export type WrittenSale = StoredSale | { readonly missing: number };

type WrittenRow = {
  /** Whether the epoch was still ours. */
  led: boolean;
  /** Null: nothing was written. */
  id: number | null;
  missing: number | null;
  /** Of a queue that was made. */
  commitment: string | null;
  /** Number, name and picture seed of each item written. */
  items: string;
};

/** The tables that both statements begin with; a new leader changes its row before it loads. */
const term = (sql: Sql, epoch: number, announced: readonly NumberedItem[]): Fragment => sql`
  with term as materialized (
    select id from leader where id = 1 and epoch = ${epoch} for share
  ), announced as materialized (
    select * from json_to_recordset(${JSON.stringify(announced)}::text::json)
      as t (id int, "productId" int, stock int, "priceCents" int)
  ), found as materialized (
    select id, name, picture_seed from products
    where id in (select "productId" from announced) and not deleted for share
  ), missing as (
    select "productId" as id from announced
    where not exists (select from found where found.id = "productId"))`;

/** The items that both store, as they are stored. */
const lines = (sql: Sql): Fragment => sql`
  select a.id, a."productId" as product_id, f.name, f.picture_seed, a."priceCents" as price_cents, a.stock
  from announced a join found f on f.id = a."productId"`;

type NotedSale = Omit<SaleTerms, "reservationTtlMs"> & {
  readonly items: readonly Partial<AnnouncedItem>[];
};

/** A sale as its announcement, and each change of that, is noted. */
export function saleNote(
  { title, startsAt, endsAt, perUserLimit, items }: NotedSale,
  saleId?: number,
): object {
  return {
    sale_id: saleId,
    title,
    starts_at: isoTime(startsAt),
    ends_at: isoTime(endsAt),
    per_user_limit: perUserLimit,
    items: items.map(({ productId, stock, priceCents }) => ({
      product_id: productId,
      stock,
      price_cents: priceCents,
    })),
  };
}

const noteOf = (sale: NotedSale, saleId?: number): string => JSON.stringify(saleNote(sale, saleId));

type NumberedItem = AnnouncedItem & { readonly id: number };

/**
 * A product keeps the number that it has in the sale; others get numbers that were never given.
 * @param present what the sale has now
 * @param given numbers given so far
 */
function numbered(
  announced: readonly AnnouncedItem[],
  present: readonly Item[],
  given: number,
): NumberedItem[] {
  const numbers = new Map(present.map((item) => [item.productId, item.id]));
  let next = given;
  return announced
    .map((item) => {
      const known = numbers.get(item.productId);
      if (known === undefined) next += 1;
      return { ...item, id: known ?? next };
    })
    .toSorted((a, b) => a.id - b.id);
}

/**
 * Stores a new sale with its items. Of a draft it takes the number, unless that was changed since.
 * @param seq number of the last attempt made so far: none before it can name this sale
 * @throws DeposedError when another leader's term has begun; nothing was stored
 */
export async function insertProductSale(
  sql: Sql,
  epoch: number,
  terms: NewProductSale,
  seq: number,
  by: Caller,
): Promise<WrittenSale | "draft_changed"> {
  const { draft = null } = terms;
  const announced = numbered(terms.items, [], 0);
  const { entry, admitPerSecond, passTtlMs, seed } = queueColumns(terms.queue);
  const listed = sql`(${lines(sql)}) as lines`;
  const [row] = await sql<WrittenRow[]>`
    ${term(sql, epoch, announced)}, draft as (
      delete from drafts using term
      where drafts.id = ${draft?.id ?? null}::int and drafts.version = ${draft?.version ?? null}::int
        and not exists (select from missing)
      returning drafts.id
    ), sale as (
      insert into sales (id, kind, title, starts_at, ends_at, per_user_limit, reservation_ttl_ms,
                         entry, admit_per_second, pass_ttl_ms, commitment, announced,
                         item_count, stored_after_seq, attempts_seq, announced_after_seq)
      overriding system value
      select coalesce((select id from draft), nextval(pg_get_serial_sequence('sales', 'id'))),
             'product', ${terms.title}::text, ${isoTime(terms.startsAt)}::timestamptz,
             ${isoTime(terms.endsAt)}::timestamptz, ${terms.perUserLimit}::int,
             ${terms.reservationTtlMs}::int, ${entry}::sale_entry, ${admitPerSecond}::int,
             ${passTtlMs}::int, ${commitmentOf(sql, seed)}, ${newDigest(sql, "product", terms, listed)},
             ${announced.length}::int, ${seq}::bigint, ${seq}::bigint, ${seq}::bigint
      from term where not exists (select from missing)
        and (${draft === null}::boolean or exists (select from draft))
      returning id, commitment
    ), drawn as (
      insert into draws (sale_id, seed, commitment)
      select id, ${seed}::text, commitment from sale
      where ${seed}::text is not null
      returning commitment
    ), stored as (
      insert into items (sale_id, id, product_id, name, picture_seed, price_cents, stock)
      select sale.id, lines.* from sale, ${listed}
      returning id, name, picture_seed
    ), noted as (${noting(sql, by, "sale.announced", {
      before: sql`null::text`,
      after: sql`(${noteOf(terms)}::text::jsonb || jsonb_build_object('sale_id', id))::text`,
      from: sql`sale`,
    })})
    select exists (select from term) as led, (select id from sale) as id,
           (select min(id) from missing) as missing, (select commitment from drawn) as commitment,
           (select coalesce(json_agg(json_build_array(id, name, picture_seed)), '[]')::text
            from stored) as items`;
  const written = checked(row);
  if (written.missing !== null) return { missing: written.missing };
  if (written.id === null && draft !== null) return "draft_changed";
  if (written.id === null) throw new Error("a product sale was not stored");
  const items = itemsOf(announced, written);
  return storedSale(written.id, terms, items, {
    entry: entryOf({ entry, admitPerSecond, passTtlMs }),
    commitment: written.commitment,
    count: announced.length,
    attempts: 0,
    attemptsSeq: seq,
    endByHand: false,
  });
}

/**
 * Replaces a sale that has not opened and of which nothing was ever taken.
 * @param now ms; the sale must not have opened by then
 * @throws DeposedError when another leader's term has begun; nothing was changed
 */
export async function replaceProductSale(
  sql: Sql,
  epoch: number,
  present: StoredSale,
  terms: ProductSaleChange,
  now: number,
  by: Caller,
): Promise<WrittenSale | "sale_has_opened"> {
  const { id, stock } = present.sale;
  const announced =
    terms.items === null ? null : numbered(terms.items, present.items, stock.length);
  const keptIds = `{${(announced ?? present.items).map((item) => item.id).join(",")}}`;
  const count = Math.max(stock.length, announced?.at(-1)?.id ?? 0);
  const listed =
    announced === null ? sql`items where sale_id = ${id}` : sql`(${lines(sql)}) as lines`;
  const [row] = await sql<WrittenRow[]>`
    ${term(sql, epoch, announced ?? [])}, sale as materialized (
      select s.id from sales s cross join term
      where s.id = ${id} and s.kind = 'product' and not s.closed
        and s.starts_at > ${isoTime(now)}::timestamptz
      for update of s
    ), changed as (
      update sales
      set title = ${terms.title}, starts_at = ${isoTime(terms.startsAt)}::timestamptz,
          ends_at = ${isoTime(terms.endsAt)}::timestamptz,
          per_user_limit = ${terms.perUserLimit}::int,
          reservation_ttl_ms = ${terms.reservationTtlMs}::int, item_count = ${count}::int,
          announced = ${replacedDigest(sql, terms, listed)},
          announced_after_seq = (select coalesce(max(seq), 0) from attempts)
      from sale
      where sales.id = sale.id and not exists (select from missing)
        and not exists (select from purchases where sale_id = ${id})
        and not exists (select from attempts where sale_id = ${id}
                          and outcome in ('reserved', 'purchased', 'released'))
        and not exists (select from attempts where sale_id = ${id}
                          and kind in ('refund', 'restock') and outcome = 'restocked')
      returning sales.id
    ), stored as (
      insert into items (sale_id, id, product_id, name, picture_seed, price_cents, stock)
      select changed.id, lines.* from changed, (${lines(sql)}) as lines
      on conflict (sale_id, id) do update
        set product_id = excluded.product_id, name = excluded.name,
            picture_seed = excluded.picture_seed, price_cents = excluded.price_cents,
            stock = excluded.stock
      returning id, name, picture_seed
    ), noted as (${noting(sql, by, "sale.changed", {
      before: sql`${noteOf({ ...present.sale, title: present.title, items: present.items }, id)}::text`,
      after: sql`${noteOf({ ...terms, items: terms.items ?? present.items }, id)}::text`,
      from: sql`changed`,
    })}), gone as (
      delete from items using changed where items.sale_id = changed.id and items.id <> all(${keptIds}::int[])
    )
    select exists (select from term) as led, (select id from changed) as id,
           (select min(id) from missing) as missing, null as commitment,
           (select coalesce(json_agg(json_build_array(id, name, picture_seed)), '[]')::text
            from stored) as items`;
  const written = checked(row);
  if (written.missing !== null) return { missing: written.missing };
  if (written.id === null) return "sale_has_opened";
  const items = announced === null ? present.items : itemsOf(announced, written);
  const { sale, title: _title, items: _items, ...kept } = present;
  return storedSale(id, terms, items, { ...kept, count, entry: sale.entry });
}

/**
 * Takes a product out of the shop, unless a sale that is coming or open has it. No sale may be
 * stored at the same time by the same leader.
 * @throws DeposedError when another leader's term has begun; nothing was changed
 */
export async function deleteProduct(
  sql: Sql,
  epoch: number,
  id: number,
  now: number,
  by: Caller,
): Promise<"deleted" | "product_not_found" | "product_in_sale"> {
  const [row] = await sql<{ led: boolean; known: boolean; deleted: boolean }[]>`
    with term as materialized (
      select id from leader where id = 1 and epoch = ${epoch} for share
    ), gone as (
      update products set deleted = true from term
      where products.id = ${id} and not deleted and not exists (
        select from items join sales on sales.id = items.sale_id
        where items.product_id = ${id} and sales.ends_at > ${isoTime(now)}::timestamptz)
      returning products.id, products.name
    ), noted as (${noting(sql, by, "product.removed", {
      before: sql`json_build_object('product_id', id, 'name', name)::text`,
      after: sql`null::text`,
      from: sql`gone`,
    })})
    select exists (select from term) as led, exists (select from gone) as deleted,
           exists (select from products where id = ${id} and not deleted) as known`;
  const { known, deleted } = checked(row);
  return deleted ? "deleted" : known ? "product_in_sale" : "product_not_found";
}

function checked<T extends { readonly led: boolean }>(row: T | undefined): T {
  if (row?.led !== true) throw new DeposedError("another leader has begun its term");
  return row;
}

function itemsOf(announced: readonly NumberedItem[], { items }: WrittenRow): Item[] {
  const rows = JSON.parse(items) as [number, string, string][];
  const named = new Map(rows.map(([id, name, pictureSeed]) => [id, { name, pictureSeed }]));
  return announced.map((item) => {
    const { name, pictureSeed } = named.get(item.id) ?? { name: "", pictureSeed: "" };
    return { ...item, name, pictureSeed };
  });
}

export function storedSale(
  id: number,
  terms: SaleTerms,
  items: readonly Item[],
  more: Omit<StoredSale, "sale" | "title" | "items"> & {
    readonly entry: Entry;
    readonly count: number;
  },
): StoredSale {
  const { title, startsAt, endsAt, perUserLimit, reservationTtlMs } = terms;
  const kind = "product" as const;
  const { count, entry, ...stored } = more;
  const times = { startsAt, endsAt, closed: false };
  const head = { id, kind, entry, ...times, perUserLimit, reservationTtlMs };
  return { sale: saleOf(head, items, count), title, items, ...stored };
}

export const saleStates = ["active", "upcoming", "ended"] as const;
export type SaleStateWord = (typeof saleStates)[number];

/** Ids of product sales, newest first, before the one with the id `before`. */
export async function listProductSales(
  sql: Sql,
  options: {
    readonly status: SaleStateWord | null;
    readonly before: number;
    readonly limit: number;
    readonly now: number;
  },
): Promise<number[]> {
  const now = isoTime(options.now);
  const among = {
    active: sql`and starts_at <= ${now} and ends_at > ${now}`,
    upcoming: sql`and starts_at > ${now}`,
    ended: sql`and ends_at <= ${now}`,
  };
  const rows = await sql<{ id: number }[]>`
    select id from sales
    where kind = 'product' and id < ${options.before}
      ${options.status === null ? sql`` : among[options.status]}
    order by id desc limit ${options.limit}`;
  return rows.map((row) => row.id);
}

/** The product sale that ended last by `now` (ms), or null. */
export async function lastEndedSale(sql: Sql, now: number): Promise<number | null> {
  const [row] = await sql<{ id: number }[]>`
    select id from sales where kind = 'product' and ends_at <= ${isoTime(now)}
    order by ends_at desc, id desc limit 1`;
  return row?.id ?? null;
}

/** Units of an item: `takenOut` of those that were `refunded` are not on sale again. */
export type ItemUnits = {
  readonly sold: number;
  readonly refunded: number;
  readonly takenOut: number;
};

/** What was sold of a sale, by item. */
export async function soldByItem(
  sql: Sql,
  saleId: number,
): Promise<ReadonlyMap<number, ItemUnits>> {
  const rows = await sql<(ItemUnits & { item_id: number })[]>`
    select item_id, count(*) filter (where refunded_seq is null)::int as sold,
           count(refunded_seq)::int as refunded,
           count(refunded_seq) filter (where freed_seq is null)::int as "takenOut"
    from purchases where sale_id = ${saleId} group by item_id`;
  return new Map(rows.map((row) => [row.item_id, row]));
}

/**
 * Orders of all sales, for administrators: searched by what their number, a code or a user begins
 * with, a page at a time, newest first; and one with all that was tried about it.
 *
 * Each way of searching finds its newest candidates by an index of its own, and a page is the newest
 * of them all.
 */
import type { Fragment, Sql } from "postgres";
import type { BuyerKind } from "../ledger/buyers.ts";
import type { Actor, OrderStatus } from "../ledger/commands.ts";
import type { FoundAttempt } from "./exports.ts";
import { orderText } from "./refund-rows.ts";
import type { Order } from "./orders.ts";

/** Attempts that are told of one order. */
const storyAttemptsMax = 1_000;

export type OrderSearch = {
  /** What the order's number, a code of it or its user begins with; empty for all. */
  readonly text: string;
  readonly saleId: number | null;
  readonly status: OrderStatus | null;
  /** Only orders with a lower number. */
  readonly before: number;
  readonly limit: number;
};

type OrderRow = {
  seq: number;
  buyer: BuyerKind;
  user_id: string;
  sale_id: number;
  title: string;
  item_id: number;
  product_id: number | null;
  name: string;
  price_cents: number;
  codes: string;
  refunded: number;
  purchased_at: Date;
};

export async function searchOrders(sql: Sql, search: OrderSearch): Promise<Order[]> {
  const branches = search.text === "" ? [sql``] : beginnings(sql, search.text);
  if (branches.length === 0) return [];
  const found = branches.map((condition) => newest(sql, search, condition));
  const all = found.reduce((one, other) => sql`${one} union ${other}`);
  return await readOrders(
    sql,
    sql`select seq from (${all}) as found order by seq desc limit ${search.limit}`,
  );
}

/** An order of a number, or null. */
export async function findAnyOrder(sql: Sql, seq: number): Promise<Order | null> {
  const [order] = await readOrders(sql, sql`select ${seq}::bigint as seq`);
  return order ?? null;
}

async function readOrders(sql: Sql, seqs: Fragment): Promise<Order[]> {
  const rows = await sql<OrderRow[]>`
    with found as materialized (${seqs})
    select o.*, s.title, i.product_id, i.name, i.price_cents
    from (
      select p.seq::float8 as seq, p.buyer, p.user_id, p.sale_id, p.item_id,
             string_agg(p.code::text, ',' order by p.unit) as codes,
             count(p.refunded_seq)::int as refunded, min(p.purchased_at) as purchased_at
      from found join purchases p on p.seq = found.seq
      group by p.seq, p.buyer, p.user_id, p.sale_id, p.item_id) as o
      join sales s on s.id = o.sale_id
      join items i on i.sale_id = o.sale_id and i.id = o.item_id
    order by o.seq desc`;
  return rows.map((row) => ({
    seq: row.seq,
    buyer: row.buyer,
    userId: row.user_id,
    saleId: row.sale_id,
    saleTitle: row.title,
    itemId: row.item_id,
    productId: row.product_id,
    name: row.name,
    priceCents: row.price_cents,
    codes: row.codes.split(","),
    refunded: row.refunded,
    purchasedAt: row.purchased_at.getTime(),
  }));
}

/** The newest orders that fit, and one condition more. */
function newest(sql: Sql, { saleId, status, before, limit }: OrderSearch, more: Fragment) {
  // An old sale's orders are among the newest of none: they are looked for where they can be.
  const ofSale =
    saleId === null
      ? sql``
      : sql`and sale_id = ${saleId}
            and seq > (select stored_after_seq from sales where id = ${saleId})
            and seq <= coalesce((select attempts_seq from sales where id = ${saleId} and settled),
                                ${Number.MAX_SAFE_INTEGER}::bigint)`;
  return sql`(
    select seq from purchases p where seq < ${before}::bigint ${ofSale} ${statusIs(sql, status)} ${more}
    group by seq order by seq desc limit ${limit})`;
}

function statusIs(sql: Sql, status: OrderStatus | null): Fragment {
  const isLeft = sql`exists (select from purchases o where o.seq = p.seq and o.refunded_seq is null)`;
  switch (status) {
    case null:
      return sql``;
    case "paid":
      return sql`and not exists (
        select from purchases o where o.seq = p.seq and o.refunded_seq is not null)`;
    case "partly_refunded":
      return sql`and p.refunded_seq is not null and ${isLeft}`;
    case "refunded":
      return sql`and p.refunded_seq is not null and not ${isLeft}`;
    default:
      return status satisfies never;
  }
}

/** What a text can be the beginning of, each as a condition that an index answers. */
function beginnings(sql: Sql, text: string): Fragment[] {
  const found = [sql`and user_id ~>=~ ${text} and user_id ~<~ ${`${text}\u{10ffff}`}`];
  const numbers = /^[1-9][0-9]*$/.test(text) ? numbersFrom(sql, text) : null;
  if (numbers !== null) found.push(sql`and (${numbers})`);
  const digits = text.replaceAll("-", "").toLowerCase();
  if (/^[0-9a-f]{1,32}$/.test(digits) && isCodesBeginning(text.toLowerCase(), digits)) {
    const [low, high] = [asCode(digits, "0"), asCode(digits, "f")];
    found.push(sql`and code between ${low}::uuid and ${high}::uuid`);
  }
  return found;
}

const asCode = (digits: string, rest: string): string =>
  digits.padEnd(32, rest).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");

/** With its dashes where a code has them, as far as it goes. */
const isCodesBeginning = (text: string, digits: string): boolean =>
  asCode(digits, "0").startsWith(text);

/** Numbers that begin with some digits; null where no number can. */
function numbersFrom(sql: Sql, digits: string): Fragment | null {
  const ranges: Fragment[] = [];
  for (let size = 1; Number(digits) * size <= Number.MAX_SAFE_INTEGER; size *= 10) {
    const low = Number(digits) * size;
    ranges.push(sql`seq between ${low}::bigint and ${low + size - 1}::bigint`);
  }
  const [first, ...others] = ranges;
  if (first === undefined) return null;
  return others.reduce((one, other) => sql`${one} or ${other}`, first);
}

/** One unit of an order. */
export type OrderUnit = {
  readonly code: string;
  readonly refundedAt: Date | null;
  /** Whether it was put on sale again. */
  readonly restocked: boolean;
};

export async function unitsOfOrder(sql: Sql, seq: number): Promise<OrderUnit[]> {
  return await sql<OrderUnit[]>`
    select p.code, r.refunded_at as "refundedAt", p.freed_seq is not null as restocked
    from purchases p left join refunds r on r.seq = p.refunded_seq
    where p.seq = ${seq} order by p.unit`;
}

/** What was taken back of an order at a time, by whom, and why. */
export type OrderRefund = {
  readonly seq: number;
  readonly at: Date;
  readonly units: number;
  readonly restocked: boolean;
  readonly by: Actor["kind"] | null;
  readonly who: string | null;
  readonly reason: string | null;
};

export async function refundsOfOrder(sql: Sql, seq: number): Promise<OrderRefund[]> {
  return await sql<OrderRefund[]>`
    select r.seq::float8 as seq, r.refunded_at as at, r.units, r.restocked, a.actor as by, a.who,
           a.after::json ->> 'reason' as reason
    from refunds r left join activity a on a.attempt = r.seq
    where r.order_seq = ${seq} order by r.seq`;
}

/** All that was tried about an order, in order: with its codes, and with its number. */
export async function storyOfOrder(
  sql: Sql,
  { seq, saleId, codes }: Pick<Order, "seq" | "saleId" | "codes">,
): Promise<FoundAttempt[]> {
  const list = `{${codes.join(",")}}`;
  return await sql<FoundAttempt[]>`
    with about as (
      select seq from attempts
      where code = any(${list}::uuid[]) and outcome in ('reserved', 'released')
      union select seq from attempts
      where code = any(${list}::uuid[])
        and outcome in ('purchased_again', 'already_purchased', 'code_expired', 'extended')
      union select seq from attempts
      where sale_id = ${saleId} and kind in ('refund', 'restock') and request = ${orderText(seq)}
      union select ${seq}::bigint)
    select a.seq::float8 as seq, a.at, a.kind, a.outcome, a.sale_id, a.item_id, a.buyer,
           a.user_id, a.code, a.coupon_name, a.quantity
    from about join attempts a on a.seq = about.seq
    order by a.seq limit ${storyAttemptsMax}`;
}

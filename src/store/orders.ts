/** What a buyer has bought, in every sale: one order for each attempt that sold something. */
import type { Sql } from "postgres";
import type { Buyer, BuyerKind } from "../ledger/buyers.ts";

export type Order = {
  /** Number of the attempt that sold it. */
  readonly seq: number;
  readonly buyer: BuyerKind;
  readonly userId: string;
  readonly saleId: number;
  readonly saleTitle: string;
  readonly itemId: number;
  /** Null in an hourly sale. */
  readonly productId: number | null;
  readonly name: string;
  readonly priceCents: number;
  /** One a unit, in their order. */
  readonly codes: readonly string[];
  readonly purchasedAt: number;
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
  purchased_at: Date;
};

/**
 * A buyer's orders, newest first, before the one numbered `before`. Read by the index on
 * (user_id, seq); a user has as many rows as units bought.
 */
export async function listOrders(
  sql: Sql,
  { kind, userId }: Buyer,
  { before, limit }: { before: number; limit: number },
): Promise<Order[]> {
  const rows = await sql<OrderRow[]>`
    with orders as (
      select p.seq, p.buyer, p.user_id, p.sale_id, p.item_id,
             min(p.purchased_at) as purchased_at,
             string_agg(p.code::text, ',' order by p.unit) as codes
      from purchases p
      where p.user_id = ${userId} and p.buyer = ${kind} and p.seq < ${before}
      group by p.seq, p.buyer, p.user_id, p.sale_id, p.item_id
      order by p.seq desc limit ${limit})
    select o.seq::float8 as seq, o.buyer, o.user_id, o.sale_id, s.title, o.item_id, i.product_id,
           i.name, i.price_cents, o.codes, o.purchased_at
    from orders o join sales s on s.id = o.sale_id
      join items i on i.sale_id = o.sale_id and i.id = o.item_id
    order by o.seq desc`;
  return rows.map(orderOf);
}

/** A buyer's order of a number, or null. */
export async function findOrder(sql: Sql, buyer: Buyer, seq: number): Promise<Order | null> {
  const [order] = await listOrders(sql, buyer, { before: seq + 1, limit: 1 });
  return order?.seq === seq ? order : null;
}

const orderOf = (row: OrderRow): Order => ({
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
  purchasedAt: row.purchased_at.getTime(),
});

export type Bought = {
  readonly units: number;
  /** The newest order, and when it was. */
  readonly last: { readonly seq: number; readonly at: number } | null;
};

/** How much of a product a buyer has bought, in all product sales together. */
export async function boughtOf(
  sql: Sql,
  { kind, userId }: Buyer,
  productId: number,
): Promise<Bought> {
  const [row] = await sql<{ units: number; seq: number | null; at: Date | null }[]>`
    select count(*)::int as units, max(p.seq)::float8 as seq, max(p.purchased_at) as at
    from purchases p join items i on i.sale_id = p.sale_id and i.id = p.item_id
    where p.user_id = ${userId} and p.buyer = ${kind} and i.product_id = ${productId}`;
  const { units, seq, at } = row ?? { units: 0, seq: null, at: null };
  return { units, last: seq === null || at === null ? null : { seq, at: at.getTime() } };
}

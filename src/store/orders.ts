/** What a buyer has bought, in every sale: one order for each attempt that sold something. */
import { and, count, desc, eq, isNull, lt, max, sql } from "drizzle-orm";
import type { Sql } from "postgres";
import type { Buyer, BuyerKind } from "../ledger/buyers.ts";
import { prepared, type Db } from "./db.ts";
import { items, purchases, sales } from "./schema.ts";

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
  /** How many of them were taken back. */
  readonly refunded: number;
  readonly purchasedAt: number;
};

/**
 * A buyer's orders, newest first, before the one numbered `before`. Read by the index on
 * (user_id, seq); a user has as many rows as units bought.
 */
export async function listOrders(
  db: Db,
  { kind, userId }: Buyer,
  { before, limit }: { before: number; limit: number },
): Promise<Order[]> {
  const rows = await pageOfOrders(db).execute({ kind, userId, before, limit });
  return rows.map(orderOf);
}

const pageOfOrders = prepared((db) => {
  const orders = db.$with("orders").as(
    db
      .select({
        seq: purchases.seq,
        buyer: purchases.buyer,
        userId: purchases.userId,
        saleId: purchases.saleId,
        itemId: purchases.itemId,
        codes: sql`string_agg(${purchases.code}::text, ',' order by ${purchases.unit})`.as("codes"),
        refunded: count(purchases.refundedSeq).as("refunded"),
        purchasedAt: sql`min(${purchases.purchasedAt})`.as("purchased_at"),
      })
      .from(purchases)
      .where(
        and(
          eq(purchases.userId, sql.placeholder("userId")),
          eq(purchases.buyer, sql.placeholder("kind")),
          lt(purchases.seq, sql.placeholder("before")),
        ),
      )
      .groupBy(purchases.seq, purchases.buyer, purchases.userId, purchases.saleId, purchases.itemId)
      .orderBy(desc(purchases.seq))
      .limit(sql.placeholder("limit")),
  );
  return (
    db
      .with(orders)
      // The tables' own columns: those of a part of a statement are read half as fast.
      .select({
        seq: sql`${orders.seq}`.mapWith(purchases.seq),
        buyer: sql`${orders.buyer}`.mapWith(purchases.buyer),
        userId: sql<string>`${orders.userId}`,
        saleId: sales.id,
        saleTitle: sales.title,
        itemId: items.id,
        productId: items.productId,
        name: items.name,
        priceCents: items.priceCents,
        codes: sql<string>`${orders.codes}`,
        refunded: sql`${orders.refunded}`.mapWith(Number),
        purchasedAt: sql`${orders.purchasedAt}`.mapWith(purchases.purchasedAt),
      })
      .from(orders)
      .innerJoin(sales, eq(sales.id, orders.saleId))
      .innerJoin(items, and(eq(items.saleId, orders.saleId), eq(items.id, orders.itemId)))
      .orderBy(desc(orders.seq))
      .prepare("page_of_orders")
  );
});

type OrderRow = Awaited<ReturnType<ReturnType<typeof pageOfOrders>["execute"]>>[number];

const orderOf = ({ codes, purchasedAt, ...order }: OrderRow): Order => ({
  ...order,
  codes: codes.split(","),
  purchasedAt: purchasedAt.getTime(),
});

/** What a buyer has bought in all; money in minor units. */
type BuyerTotals = {
  readonly orders: number;
  /** Taken back ones left out. */
  readonly units: number;
  readonly paidCents: number;
  readonly refundedCents: number;
};

export async function totalsOf(sqlOf: Sql, { kind, userId }: Buyer): Promise<BuyerTotals> {
  const [row] = await sqlOf<BuyerTotals[]>`
    select count(distinct p.seq)::int as orders,
           count(*) filter (where p.refunded_seq is null)::int as units,
           coalesce(sum(i.price_cents), 0)::float8 as "paidCents",
           coalesce(sum(i.price_cents) filter (where p.refunded_seq is not null), 0)::float8
             as "refundedCents"
    from purchases p join items i on i.sale_id = p.sale_id and i.id = p.item_id
    where p.user_id = ${userId} and p.buyer = ${kind}::buyer_kind`;
  return row ?? { orders: 0, units: 0, paidCents: 0, refundedCents: 0 };
}

/** A buyer's order of a number, or null. */
export async function findOrder(db: Db, buyer: Buyer, seq: number): Promise<Order | null> {
  const [order] = await listOrders(db, buyer, { before: seq + 1, limit: 1 });
  return order?.seq === seq ? order : null;
}

type Bought = {
  readonly units: number;
  /** The newest order, and when it was. */
  readonly last: { readonly seq: number; readonly at: number } | null;
};

/** How much of a product a buyer has bought and owns, in all product sales together. */
export async function boughtOf(
  db: Db,
  { kind, userId }: Buyer,
  productId: number,
): Promise<Bought> {
  const [row] = await unitsBought(db).execute({ kind, userId, productId });
  const { units, seq, at } = row ?? { units: 0, seq: null, at: null };
  return { units, last: seq === null || at === null ? null : { seq, at: at.getTime() } };
}

const unitsBought = prepared((db) =>
  db
    .select({ units: count(), seq: max(purchases.seq), at: max(purchases.purchasedAt) })
    .from(purchases)
    .innerJoin(items, and(eq(items.saleId, purchases.saleId), eq(items.id, purchases.itemId)))
    .where(
      and(
        eq(purchases.userId, sql.placeholder("userId")),
        eq(purchases.buyer, sql.placeholder("kind")),
        eq(items.productId, sql.placeholder("productId")),
        isNull(purchases.refundedSeq),
      ),
    )
    .prepare("units_bought"),
);

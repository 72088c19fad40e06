/** What an account has bought in product sales: one order for each attempt that sold something. */
import { and, count, desc, eq, lt, max, sql } from "drizzle-orm";
import { prepared, type Db } from "./db.ts";
import { items, purchases, sales } from "./schema.ts";

export type Order = {
  /** Number of the attempt that sold it. */
  readonly seq: number;
  readonly saleId: number;
  readonly saleTitle: string;
  readonly itemId: number;
  readonly productId: number;
  readonly name: string;
  readonly priceCents: number;
  /** One a unit, in their order. */
  readonly codes: readonly string[];
  readonly purchasedAt: number;
};

/**
 * A user's orders, newest first, before the one numbered `before`. Read by the index on
 * (user_id, seq); a user has as many rows as units bought.
 */
export async function listOrders(
  db: Db,
  userId: string,
  { before, limit }: { before: number; limit: number },
): Promise<Order[]> {
  const rows = await pageOfOrders(db).execute({ userId, before, limit });
  return rows.map(orderOf);
}

const pageOfOrders = prepared((db) => {
  const orders = db.$with("orders").as(
    db
      .select({
        seq: purchases.seq,
        saleId: purchases.saleId,
        itemId: purchases.itemId,
        codes: sql`string_agg(${purchases.code}::text, ',' order by ${purchases.unit})`.as("codes"),
        purchasedAt: sql`min(${purchases.purchasedAt})`.as("purchased_at"),
      })
      .from(purchases)
      .innerJoin(sales, and(eq(sales.id, purchases.saleId), eq(sales.kind, "product")))
      .where(
        and(
          eq(purchases.userId, sql.placeholder("userId")),
          lt(purchases.seq, sql.placeholder("before")),
        ),
      )
      .groupBy(purchases.seq, purchases.saleId, purchases.itemId)
      .orderBy(desc(purchases.seq))
      .limit(sql.placeholder("limit")),
  );
  return (
    db
      .with(orders)
      // The tables' own columns: those of a part of a statement are read half as fast.
      .select({
        seq: sql`${orders.seq}`.mapWith(purchases.seq),
        saleId: sales.id,
        saleTitle: sales.title,
        itemId: items.id,
        productId: items.productId,
        name: items.name,
        priceCents: items.priceCents,
        codes: sql<string>`${orders.codes}`,
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

function orderOf(row: OrderRow): Order {
  const { seq, saleId, saleTitle, itemId, productId, name, priceCents } = row;
  if (productId === null) throw new Error(`order ${seq} is of no product`);
  const codes = row.codes.split(",");
  const purchasedAt = row.purchasedAt.getTime();
  return { seq, saleId, saleTitle, itemId, productId, name, priceCents, codes, purchasedAt };
}

/** A user's order of a number, or null. */
export async function findOrder(db: Db, userId: string, seq: number): Promise<Order | null> {
  const [order] = await listOrders(db, userId, { before: seq + 1, limit: 1 });
  return order?.seq === seq ? order : null;
}

export type Bought = {
  readonly units: number;
  /** The newest order, and when it was. */
  readonly last: { readonly seq: number; readonly at: number } | null;
};

/** How much of a product a user has bought, in all product sales together. */
export async function boughtOf(db: Db, userId: string, productId: number): Promise<Bought> {
  const [row] = await unitsBought(db).execute({ userId, productId });
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
        eq(items.productId, sql.placeholder("productId")),
      ),
    )
    .prepare("units_bought"),
);

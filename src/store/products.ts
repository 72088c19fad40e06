/**
 * Products as they are stored. A product that was taken out of the shop stays in the records
 * for the sales and purchases that name it; it is only not listed or sold any more.
 */
import { and, asc, eq, gt, sql } from "drizzle-orm";
import type { Actor } from "../ledger/commands.ts";
import { noted } from "./activity.ts";
import { prepared, type Db } from "./db.ts";
import { products } from "./schema.ts";

export type Product = {
  readonly id: number;
  readonly name: string;
  readonly description: string;
  readonly pictureSeed: string;
  /** What `pictureOf` has; null: its picture is drawn from the seed. */
  readonly picture: string | null;
  readonly priceCents: number;
  readonly deleted: boolean;
  readonly createdAt: Date;
};

/** What an administrator says of a product. */
type ProductFields = Pick<Product, "name" | "description" | "priceCents">;

/**
 * A page of the products in the shop, by id, after the one with the id `after`.
 * @param search part of a name, upper and lower case alike; empty for all
 */
export async function listProducts(
  db: Db,
  { after, limit, search }: { after: number; limit: number; search: string },
): Promise<Product[]> {
  return await pageOfProducts(db).execute({ after, limit, search });
}

const pageOfProducts = prepared((db) =>
  db
    .select()
    .from(products)
    .where(
      and(
        gt(products.id, sql.placeholder("after")),
        eq(products.deleted, false),
        // An empty text is at the first position of every one.
        sql`position(lower(${sql.placeholder("search")}) in lower(${products.name})) > 0`,
      ),
    )
    .orderBy(asc(products.id))
    .limit(sql.placeholder("limit"))
    .prepare("page_of_products"),
);

/** A product of an id, in the shop or taken out of it. */
export async function findProduct(db: Db, id: number): Promise<Product | null> {
  const [found] = await productOfId(db).execute({ id });
  return found ?? null;
}

const productOfId = prepared((db) =>
  db
    .select()
    .from(products)
    .where(eq(products.id, sql.placeholder("id")))
    .prepare("product_of_id"),
);

/** @param pictureSeed what its picture is made from; it stays for good */
export async function insertProduct(
  db: Db,
  { name, description, priceCents }: ProductFields,
  pictureSeed: string,
  by: Actor | null,
): Promise<Product> {
  const values = { name, description, pictureSeed, priceCents };
  return await noted(db, by, async (tx) => {
    const [made] = await tx.insert(products).values(values).returning();
    if (made === undefined) throw new Error("a product was stored and is not there");
    return [made, { what: "product.made", before: null, after: noteOf(made) }];
  });
}

const noteOf = ({ id, name, description, priceCents }: Product) => ({
  product_id: id,
  name,
  description,
  price_cents: priceCents,
});

/** The product as changed; null when there is none in the shop. */
export async function updateProduct(
  db: Db,
  id: number,
  {
    name,
    description,
    priceCents,
  }: { readonly [name in keyof ProductFields]?: ProductFields[name] | undefined },
  by: Actor,
): Promise<Product | null> {
  const isIt = and(eq(products.id, id), eq(products.deleted, false));
  return await noted(db, by, async (tx) => {
    const [before] = await tx.select().from(products).where(isIt).for("update");
    if (before === undefined) return [null, null];
    const [after = before] = await tx
      .update(products)
      .set({
        name: name ?? before.name,
        description: description ?? before.description,
        priceCents: priceCents ?? before.priceCents,
      })
      .where(isIt)
      .returning();
    return [after, { what: "product.changed", before: noteOf(before), after: noteOf(after) }];
  });
}

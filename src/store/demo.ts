/** What belongs to the demo: its products, its sales, and its accounts that anybody may use. */
import { and, asc, eq, exists, sql } from "drizzle-orm";
import type { Db } from "./db.ts";
import { items, products, sales, secrets, users } from "./schema.ts";

/** What the picture seeds of the demo's products begin with. */
export const demoSeedPrefix = "demo-";

type DemoProduct = {
  readonly id: number;
  readonly pictureSeed: string;
  readonly priceCents: number;
  readonly deleted: boolean;
};

const isOfTheDemo = sql`starts_with(${products.pictureSeed}, ${demoSeedPrefix})`;

/** The demo's products, those that were taken out of the shop too. */
export async function demoProducts(db: Db): Promise<DemoProduct[]> {
  const { id, pictureSeed, priceCents, deleted } = products;
  return await db
    .select({ id, pictureSeed, priceCents, deleted })
    .from(products)
    .where(isOfTheDemo)
    .orderBy(asc(id));
}

/** The sales that have a product of the demo. */
export async function demoSales(
  db: Db,
): Promise<{ readonly startsAt: Date; readonly endsAt: Date }[]> {
  const demoItems = db
    .select({ id: items.id })
    .from(items)
    .innerJoin(products, eq(products.id, items.productId))
    .where(and(eq(items.saleId, sales.id), isOfTheDemo));
  return await db
    .select({ startsAt: sales.startsAt, endsAt: sales.endsAt })
    .from(sales)
    .where(and(eq(sales.kind, "product"), exists(demoItems)));
}

/** The secret that lists the names of the demo's accounts. */
const demoSecret = "demo";

/** Notes that an account of the demo was made in this database. */
export async function markDemo(db: Db, username: string): Promise<void> {
  await db
    .insert(secrets)
    .values({ name: demoSecret, value: username })
    .onConflictDoUpdate({
      target: secrets.name,
      set: { value: sql`${secrets.value} || ',' || excluded.value` },
    });
}

/** Whether one of the demo's accounts lets people in by the password that is published. */
export async function hasDemo(db: Db): Promise<boolean> {
  const open = await db
    .select({ id: users.id })
    .from(secrets)
    .innerJoin(users, sql`${users.username} = any(string_to_array(${secrets.value}, ','))`)
    .where(
      and(eq(secrets.name, demoSecret), eq(users.disabled, false), eq(users.passwordVersion, 1)),
    )
    .limit(1);
  return open.length > 0;
}

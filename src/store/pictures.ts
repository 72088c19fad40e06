/** Pictures that were given, of products and of the shop, by their content: one that two have is kept once. */
import { eq, sql } from "drizzle-orm";
import type { Actor } from "../ledger/commands.ts";
import { noted } from "./activity.ts";
import { prepared, type Db } from "./db.ts";
import { pictures, products, settings } from "./schema.ts";

export type StoredPicture = { readonly digest: string; readonly bytes: Uint8Array<ArrayBuffer> };

/**
 * Gives a product a picture, or null for the one that is drawn; what nobody has any more is let go of.
 * @returns whether there is such a product in the shop
 */
export async function setPicture(
  db: Db,
  productId: number,
  picture: StoredPicture | null,
  by: Actor,
): Promise<boolean> {
  return await noted(db, by, async (tx) => {
    const isIt = sql`${products.id} = ${productId} and not ${products.deleted}`;
    const [before] = await tx.select({ picture: products.picture }).from(products).where(isIt);
    await storePicture(tx, picture);
    const [product] = await tx
      .update(products)
      .set({ picture: picture?.digest ?? null })
      .where(isIt)
      .returning({ picture: products.picture });
    await releasePictures(tx);
    if (product === undefined || before === undefined) return [false, null];
    const noteOf = (of: typeof before) => ({ product_id: productId, picture: of.picture });
    return [true, { what: "product.pictured", before: noteOf(before), after: noteOf(product) }];
  });
}

/** Keeps a picture. Until the transaction has ended nobody else's is let go of. */
export async function storePicture(tx: Db, picture: StoredPicture | null): Promise<void> {
  await tx.execute(sql`lock table ${pictures} in share row exclusive mode`);
  if (picture !== null) await tx.insert(pictures).values(picture).onConflictDoNothing();
}

/** Lets go of what nobody has any more. */
export async function releasePictures(tx: Db): Promise<void> {
  await tx.delete(pictures).where(sql`
    not exists (select from ${products} where ${products.picture} = ${pictures.digest})
    and not exists (select from ${settings} where ${settings.logo} = ${pictures.digest})`);
}

/** A picture of a digest. */
export async function findPicture(db: Db, digest: string): Promise<StoredPicture | null> {
  const [found] = await pictureOfDigest(db).execute({ digest });
  return found ?? null;
}

const pictureOfDigest = prepared((db) =>
  db
    .select()
    .from(pictures)
    .where(eq(pictures.digest, sql.placeholder("digest")))
    .prepare("picture_of_digest"),
);

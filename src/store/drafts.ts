/**
 * Product sales that nobody has announced. Administrators alone know of them; no ledger does, nor does
 * anything that reads sales. A draft has the number that it keeps as a sale.
 */
import { count, desc, eq, inArray, lt, sql } from "drizzle-orm";
import { z } from "zod";
import type { Actor } from "../ledger/commands.ts";
import { noted } from "./activity.ts";
import type { Db } from "./db.ts";
import { saleNote, storedSale, type NewProductSale } from "./product-sales.ts";
import type { NewQueue } from "./queues.ts";
import { drafts, products } from "./schema.ts";
import type { StoredSale } from "./sales.ts";

/** There may be so many. */
const draftsMax = 200;

export type DraftTerms = Pick<
  NewProductSale,
  "title" | "startsAt" | "endsAt" | "perUserLimit" | "items"
> & {
  /** Null: everybody is to get in at once. */
  readonly queue: Omit<NewQueue, "seed"> | null;
};

export type Draft = DraftTerms & {
  readonly id: number;
  /** Goes up with each change. */
  readonly version: number;
};

const itemsShape = z.array(z.object({ productId: z.int(), stock: z.int(), priceCents: z.int() }));

type DraftRow = typeof drafts.$inferSelect;

function draftOf({ items, startsAt, endsAt, admitPerSecond, passTtlMs, ...row }: DraftRow): Draft {
  const queue =
    admitPerSecond === null || passTtlMs === null ? null : { admitPerSecond, passTtlMs };
  const times = { startsAt: startsAt.getTime(), endsAt: endsAt.getTime() };
  return { ...row, ...times, queue, items: itemsShape.parse(JSON.parse(items)) };
}

const rowOf = ({ title, startsAt, endsAt, perUserLimit, queue, items }: DraftTerms) => ({
  title,
  startsAt: new Date(startsAt),
  endsAt: new Date(endsAt),
  perUserLimit,
  admitPerSecond: queue?.admitPerSecond ?? null,
  passTtlMs: queue?.passTtlMs ?? null,
  items: JSON.stringify(items),
});

const noteOf = (draft: Draft): object => ({ ...saleNote(draft, draft.id), state: "draft" });

/**
 * Stores a draft.
 * @param of the sale that it is a duplicate of
 * @returns null where there are as many as there may be
 */
export async function insertDraft(
  db: Db,
  terms: DraftTerms,
  by: Actor,
  of: number | null = null,
): Promise<Draft | null> {
  return await noted(db, by, async (tx) => {
    const [there] = await tx.select({ count: count() }).from(drafts);
    if ((there?.count ?? 0) >= draftsMax) return [null, null];
    const id = sql<number>`nextval(pg_get_serial_sequence('sales', 'id'))`;
    const [row] = await tx
      .insert(drafts)
      .values({ id, ...rowOf(terms) })
      .returning();
    if (row === undefined) throw new Error("a draft was stored and is not there");
    const made = draftOf(row);
    const after = { ...noteOf(made), ...(of === null ? {} : { duplicate_of: of }) };
    return [made, { what: "sale.drafted", before: null, after }];
  });
}

/**
 * Changes a draft into what `change` makes of it; where that is null it stays as it is.
 * @returns null where there is none of that id, or it stays
 */
export async function changeDraft(
  db: Db,
  id: number,
  change: (before: Draft) => DraftTerms | null,
  by: Actor,
): Promise<Draft | null> {
  return await noted(db, by, async (tx) => {
    const [found] = await tx.select().from(drafts).where(eq(drafts.id, id)).for("update");
    if (found === undefined) return [null, null];
    const before = draftOf(found);
    const becomes = change(before);
    if (becomes === null) return [null, null];
    const version = before.version + 1;
    const [row = found] = await tx
      .update(drafts)
      .set({ ...rowOf(becomes), version })
      .where(eq(drafts.id, id))
      .returning();
    const after = draftOf(row);
    return [after, { what: "sale.changed", before: noteOf(before), after: noteOf(after) }];
  });
}

/** @returns whether there was one */
export async function removeDraft(db: Db, id: number, by: Actor): Promise<boolean> {
  return await noted(db, by, async (tx) => {
    const [row] = await tx.delete(drafts).where(eq(drafts.id, id)).returning();
    if (row === undefined) return [false, null];
    return [true, { what: "sale.withdrawn", before: noteOf(draftOf(row)), after: null }];
  });
}

export async function findDraft(db: Db, id: number): Promise<Draft | null> {
  const [row] = await db.select().from(drafts).where(eq(drafts.id, id));
  return row === undefined ? null : draftOf(row);
}

/** Newest first, before the one with the id `before`. */
export async function listDrafts(
  db: Db,
  { before, limit }: { readonly before: number; readonly limit: number },
): Promise<Draft[]> {
  const rows = await db
    .select()
    .from(drafts)
    .where(lt(drafts.id, before))
    .orderBy(desc(drafts.id))
    .limit(limit);
  return rows.map(draftOf);
}

/** A draft as the sale that it would be, with its products as they are now. */
export async function asSale(
  db: Db,
  { id, queue, items, ...terms }: Draft,
  reservationTtlMs: number,
): Promise<StoredSale> {
  const ids = items.map(({ productId }) => productId);
  const found = await db
    .select({ id: products.id, name: products.name, pictureSeed: products.pictureSeed })
    .from(products)
    .where(inArray(products.id, ids));
  const named = new Map(found.map((product) => [product.id, product]));
  const numbered = items.map((item, index) => {
    const { name = "", pictureSeed = "" } = named.get(item.productId) ?? {};
    return { ...item, id: index + 1, name, pictureSeed };
  });
  return storedSale(id, { ...terms, reservationTtlMs }, numbered, {
    entry: queue === null ? { kind: "open" } : { kind: "queue", ...queue },
    commitment: null,
    count: items.length,
    attempts: 0,
    attemptsSeq: 0,
    endByHand: false,
  });
}

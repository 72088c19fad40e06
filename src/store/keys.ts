/** API keys as they are stored: by the hash of their text, for the text is shown once and kept nowhere. */
import { and, count, desc, eq, isNull, lt, sql } from "drizzle-orm";
import { isoTime } from "../time.ts";
import type { Db } from "./db.ts";
import { apiKeys } from "./schema.ts";

/** What a key may be for. */
export const scopes = ["sell", "manage", "read"] as const;
export type Scope = (typeof scopes)[number];

export type StoredKey = {
  readonly id: number;
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly lastUsedAt: Date | null;
  readonly revokedAt: Date | null;
};

const storedKey = ({ hash: _hash, ...row }: typeof apiKeys.$inferSelect): StoredKey => ({
  ...row,
  scopes: scopes.filter((scope) => row.scopes.split(" ").includes(scope)),
});

/** Keys that are not revoked, at a time: every process holds them all. */
const keysMax = 1_000;

type NewKey = {
  readonly name: string;
  readonly hash: string;
  readonly scopes: readonly Scope[];
  readonly expiresAt: Date | null;
};

const isLive = isNull(apiKeys.revokedAt);

/** Null when a key of this name is not revoked, or when there are as many as there may be. */
export async function insertKey(db: Db, key: NewKey): Promise<StoredKey | null> {
  const [live] = await db.select({ count: count() }).from(apiKeys).where(isLive);
  if (live === undefined || live.count >= keysMax) return null;
  const values = { ...key, scopes: key.scopes.join(" ") };
  // An error would end the transaction that this may be part of.
  const [made] = await db.insert(apiKeys).values(values).onConflictDoNothing().returning();
  return made === undefined ? null : storedKey(made);
}

/** Keys by age, the youngest first; `before` is the id of the last one of the page before. */
export async function listKeys(
  db: Db,
  { before, limit }: { readonly before: number; readonly limit: number },
): Promise<StoredKey[]> {
  const found = await db
    .select()
    .from(apiKeys)
    .where(lt(apiKeys.id, before))
    .orderBy(desc(apiKeys.id))
    .limit(limit);
  return found.map(storedKey);
}

/** Those that count, by their hash. */
export async function liveKeys(db: Db): Promise<Map<string, StoredKey>> {
  const found = await db.select().from(apiKeys).where(isLive);
  return new Map(found.map((row) => [row.hash, storedKey(row)]));
}

/** Ends a key, by its id or its name; null when there is none that counts. */
export async function revokeKey(
  db: Db,
  by: { readonly id: number } | { readonly name: string },
): Promise<StoredKey | null> {
  const isIt = "id" in by ? eq(apiKeys.id, by.id) : eq(apiKeys.name, by.name);
  const [revoked] = await db
    .update(apiKeys)
    .set({ revokedAt: sql`now()` })
    .where(and(isIt, isLive))
    .returning();
  return revoked === undefined ? null : storedKey(revoked);
}

/** Notes when keys were used, unless a later use is noted. */
export async function noteUses(db: Db, uses: ReadonlyMap<number, number>): Promise<void> {
  const used = Array.from(uses, ([id, at]) => ({ id, at: isoTime(at) }));
  await db.execute(sql`
    update api_keys set last_used_at = used.at
    from json_to_recordset(${JSON.stringify(used)}::text::json) as used (id int, at timestamptz)
    where api_keys.id = used.id
      and (api_keys.last_used_at is null or api_keys.last_used_at < used.at)`);
}

/** API keys as they are stored: by the hash of their text, for the text is shown once and kept nowhere. */
import type { Sql } from "postgres";
import { errorCode } from "../postgres/client.ts";

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

type KeyRow = {
  id: number;
  name: string;
  scopes: string;
  created_at: Date;
  expires_at: Date | null;
  last_used_at: Date | null;
  revoked_at: Date | null;
};

const storedKey = (row: KeyRow): StoredKey => ({
  id: row.id,
  name: row.name,
  scopes: scopes.filter((scope) => row.scopes.split(" ").includes(scope)),
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  lastUsedAt: row.last_used_at,
  revokedAt: row.revoked_at,
});

/** Keys that are not revoked, at a time: every process holds them all. */
export const keysMax = 1_000;

export type NewKey = {
  readonly name: string;
  readonly hash: string;
  readonly scopes: readonly Scope[];
  readonly expiresAt: Date | null;
};

/** Null when a key of this name is not revoked, or when there are as many as there may be. */
export async function insertKey(
  sql: Sql,
  { name, hash, scopes: granted, expiresAt }: NewKey,
): Promise<StoredKey | null> {
  try {
    const [row] = await sql<KeyRow[]>`
      insert into api_keys (name, hash, scopes, expires_at)
      select ${name}, ${hash}, ${granted.join(" ")}, ${expiresAt?.toISOString() ?? null}
      where (select count(*) from api_keys where revoked_at is null) < ${keysMax}
      returning id, name, scopes, created_at, expires_at, last_used_at, revoked_at`;
    return row === undefined ? null : storedKey(row);
  } catch (error) {
    if (errorCode(error) === "23505") return null;
    throw error;
  }
}

/** Keys by age, the youngest first; `before` is the id of the last one of the page before. */
export async function listKeys(
  sql: Sql,
  { before, limit }: { readonly before: number; readonly limit: number },
): Promise<StoredKey[]> {
  const rows = await sql<KeyRow[]>`
    select id, name, scopes, created_at, expires_at, last_used_at, revoked_at
    from api_keys where id < ${before}::bigint order by id desc limit ${limit}`;
  return rows.map(storedKey);
}

/** Those that count, by their hash. */
export async function liveKeys(sql: Sql): Promise<Map<string, StoredKey>> {
  const rows = await sql<(KeyRow & { hash: string })[]>`
    select id, name, hash, scopes, created_at, expires_at, last_used_at, revoked_at
    from api_keys where revoked_at is null`;
  return new Map(rows.map((row) => [row.hash, storedKey(row)]));
}

/** Ends a key, by its id or its name; null when there is none that counts. */
export async function revokeKey(
  sql: Sql,
  by: { readonly id: number } | { readonly name: string },
): Promise<StoredKey | null> {
  const which = "id" in by ? sql`id = ${by.id}` : sql`name = ${by.name}`;
  const [row] = await sql<KeyRow[]>`
    update api_keys set revoked_at = now() where ${which} and revoked_at is null
    returning id, name, scopes, created_at, expires_at, last_used_at, revoked_at`;
  return row === undefined ? null : storedKey(row);
}

/** Notes when keys were used, unless a later use is noted. */
export async function noteUses(sql: Sql, uses: ReadonlyMap<number, number>): Promise<void> {
  const used = Array.from(uses, ([id, at]) => ({ id, at: new Date(at).toISOString() }));
  await sql`
    update api_keys set last_used_at = used.at
    from json_to_recordset(${JSON.stringify(used)}::text::json) as used (id int, at timestamptz)
    where api_keys.id = used.id
      and (api_keys.last_used_at is null or api_keys.last_used_at < used.at)`;
}

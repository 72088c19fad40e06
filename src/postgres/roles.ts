/**
 * Who logs in to the embedded server, and as what:
 *
 * - the superuser that initdb makes, for what needs one: the roles and the database, and what an
 *   older version of this program has made as the superuser, which is handed over at a start;
 * - the seller, as whom the program works: it owns the database and everything in it, and no more;
 * - the reader, as whom it reads for whoever asks: it can change nothing, and not read for long.
 */
import type { Sql } from "postgres";
import { readMaxMs } from "./client.ts";

export const superuser = "stampede";
export const seller = "stampede_seller";
export const reader = "stampede_reader";

/** A role's password: another for each, all of them from the one that is stored. */
export const passwordOf = (role: string, stored: string): string =>
  role === superuser
    ? stored
    : new Bun.CryptoHasher("sha256", stored).update(role).digest("base64url");

/** Makes the roles that are not there. @param sql the superuser's client */
export async function makeRoles(sql: Sql, stored: string): Promise<void> {
  const found = await sql<{ name: string }[]>`
    select rolname as name from pg_roles where rolname in (${seller}, ${reader})`;
  const names = new Set(found.map(({ name }) => name));
  // Statements sent together are done together, or not at all. They take no parameters.
  const made = (role: string): string =>
    `create role ${role} login password '${passwordOf(role, stored)}'`;
  if (!names.has(seller)) await sql.unsafe(made(seller));
  if (names.has(reader)) return;
  await sql.unsafe(`${made(reader)};
    grant pg_read_all_data to ${reader};
    alter role ${reader} set default_transaction_read_only = on;
    alter role ${reader} set statement_timeout = ${readMaxMs}`);
}

/**
 * Gives the seller what is somebody else's in the database. `reassign owned` would do it, but for
 * the superuser that initdb made.
 * @param sql the superuser's client, connected to the database
 */
export async function handOver(sql: Sql): Promise<void> {
  const statements = await sql<{ text: string }[]>`
    with ours as (
      select oid, nspname, nspowner from pg_namespace
      where nspname !~ '^pg_' and nspname <> 'information_schema'),
    seller as (select oid from pg_roles where rolname = ${seller})
    select format('alter schema %I owner to %I', nspname, ${seller}::text) as text
    from ours where nspname <> 'public' and nspowner <> (select oid from seller)
    union all
    -- A column's own sequence goes along with its table.
    select format('alter table %s owner to %I', c.oid::regclass, ${seller}::text)
    from pg_class c join ours on ours.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'S') and c.relowner <> (select oid from seller)
      and not exists (
        select from pg_depend d
        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i')
          and c.relkind = 'S')
    union all
    select format('alter type %s owner to %I', t.oid::regtype, ${seller}::text)
    from pg_type t join ours on ours.oid = t.typnamespace
    where t.typtype in ('d', 'e') and t.typowner <> (select oid from seller)
    union all
    select format('alter routine %s owner to %I', p.oid::regprocedure, ${seller}::text)
    from pg_proc p join ours on ours.oid = p.pronamespace
    where p.proowner <> (select oid from seller)`;
  if (statements.length === 0) return;
  await sql.unsafe(statements.map(({ text }) => text).join(";\n"));
}

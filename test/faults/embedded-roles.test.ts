/**
 * Who works in the embedded PostgreSQL: the program as the owner of its database and no more, what is
 * read for others by a role that can change nothing, and folders in which all was the superuser's.
 */
import { afterAll, afterEach, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import postgres, { type Sql } from "postgres";
import { openPools } from "../../src/postgres/client.ts";
import type { EmbeddedServer } from "../../src/postgres/embedded.ts";
import { reader, seller, superuser } from "../../src/postgres/roles.ts";
import { migrate } from "../../src/store/migrations.ts";
import { migrationsFolder } from "../support/postgres.ts";
import { cleanUp, cleanups, newFolder, query, removeShared, start } from "./embedded-helper.ts";

afterEach(cleanUp);
afterAll(removeShared);

/** As the superuser: who it is, the program does not say. */
function asSuperuser(server: EmbeddedServer, dataDir: string, database = "stampede"): Sql {
  const password = readFileSync(join(dataDir, "password"), "utf8");
  const login = { ...server.connection, username: superuser, password, database };
  const sql = postgres({ ...login, max: 1, onnotice() {} });
  cleanups.push(() => sql.end());
  return sql;
}

const whoAmI = `
  select current_user::text, rolsuper, rolcreaterole, rolcreatedb, rolreplication,
         pg_get_userbyid(datdba)::text
  from pg_roles, pg_database where rolname = current_user and datname = current_database()`;

/** What is not the seller's, of all that a migration makes. */
const notOwned = `
  select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname in ('public', 'drizzle') and pg_get_userbyid(c.relowner) <> '${seller}'
  union all
  select n.nspname, t.typname from pg_type t join pg_namespace n on n.oid = t.typnamespace
  where n.nspname in ('public', 'drizzle') and pg_get_userbyid(t.typowner) <> '${seller}'
  union all
  select nspname, '' from pg_namespace
  where nspname = 'drizzle' and pg_get_userbyid(nspowner) <> '${seller}'`;

test("the program owns its database, and is nothing more", async () => {
  const { server } = await start(newFolder());
  expect(await query(server, whoAmI)).toEqual([[seller, false, false, false, false, seller]]);
  expect(query(server, "alter system set fsync = off")).rejects.toThrow(/permission denied/);
  expect(query(server, "copy (select 1) to program 'true'")).rejects.toThrow(/permission denied/);
});

function poolsOf(server: EmbeddedServer) {
  const pools = openPools(server);
  for (const pool of Object.values(pools)) cleanups.push(() => pool.end());
  return pools;
}

test("what reads for others changes nothing, and does not read for ever", async () => {
  const { server } = await start(newFolder());
  await migrate(server.connection, migrationsFolder);
  const { reading } = poolsOf(server);
  const [row] = await reading.unsafe(`${whoAmI}`).values();
  expect(row?.slice(0, 2)).toEqual([reader, false]);
  expect([...(await reading`select count(*)::int from attempts`.values())]).toEqual([[0]]);
  expect([...(await reading`show statement_timeout`.values())]).toEqual([["7s"]]);
  const workers = await reading`show max_parallel_workers_per_gather`.values();
  expect([...workers]).toEqual([["0"]]);
  const refused = /read-only transaction|permission denied/;
  expect(reading`delete from attempts`.execute()).rejects.toThrow(refused);
  // Nor when somebody lifts what the session has set.
  const lifted = reading.begin("read write", (tx) => tx`delete from attempts`);
  expect(lifted).rejects.toThrow(/permission denied/);
});

test("what takes long may, whatever its role is set to", async () => {
  const { server } = await start(newFolder());
  await query(server, `alter role ${seller} set statement_timeout = '1s'`);
  const { lastingSql, sql } = poolsOf(server);
  expect([...(await sql`show statement_timeout`.values())]).toEqual([["1s"]]);
  expect([...(await lastingSql`show statement_timeout`.values())]).toEqual([["2min"]]);
});

test("a folder in which all was the superuser's is handed over at a start", async () => {
  const dataDir = newFolder();
  const { server: first } = await start(dataDir);
  const outside = asSuperuser(first, dataDir, "postgres");
  await outside.unsafe(`alter database stampede owner to ${superuser}`);
  await outside.unsafe(`drop owned by ${reader}; drop role ${reader}; drop role ${seller}`);
  const inside = asSuperuser(first, dataDir);
  const password = readFileSync(join(dataDir, "password"), "utf8");
  await migrate({ ...first.connection, username: superuser, password }, migrationsFolder);
  await inside`insert into products (name, picture_seed, price_cents) values ('old', 'x', 1)`;
  await first.leave();

  const { server, lines } = await start(dataDir);
  expect(lines).toEqual([]);
  expect(await query(server, whoAmI)).toEqual([[seller, false, false, false, false, seller]]);
  expect(await query(server, notOwned)).toEqual([]);
  await migrate(server.connection, migrationsFolder);
  expect(await query(server, "select name from products")).toEqual([["old"]]);
  // What a later migration and the partitions of the journal do.
  await query(server, "alter type attempt_kind add value 'another'");
  await query(server, "alter table attempts add column another integer");
  await query(server, "drop table purchases cascade");
});

/**
 * Puts the records of a backup into a database that has nothing in it: the schema as it was, then all
 * rows in one transaction, then what this program's schema has more. When anything fails, the database
 * has nothing in it again.
 *
 * Whoever led is forgotten: a process of the original is none of the copy's.
 */
import { once } from "node:events";
import type { Sql } from "postgres";
import { z } from "zod";
import { connect, type Connection } from "../postgres/client.ts";
import {
  endShape,
  headerShape,
  patiently,
  tableShape,
  type BackupEnd,
  type BackupHeader,
  type BackupTable,
} from "./backup.ts";
import { BackupError, readBlocks, told, type Block, type BlockKind } from "./backup-file.ts";
import { migrate, newestMigration } from "./migrations.ts";
import { makePartition } from "./partitions.ts";

/**
 * @param path of the backup
 * @param folder the migrations
 * @throws BackupError when the file is not whole, or the database not empty
 */
export async function restore(
  connection: Connection,
  path: string,
  folder: string,
  say: (line: string) => void = () => {},
): Promise<BackupHeader> {
  const blocks = readBlocks(path);
  const header = read(headerShape, await next(blocks, "H"), path);
  if (header.schema > newestMigration(folder)) {
    throw new BackupError(
      `${path} was made by Stampede ${header.version}, with a newer schema than this one has. Restore it by that version, or a later one.`,
    );
  }
  const sql = connect(connection, patiently);
  try {
    await refuseFull(sql);
    try {
      await migrate(connection, folder, say, header.schema);
      await fill(sql, header, blocks, path);
      await migrate(connection, folder, say);
    } catch (error) {
      // What went wrong first is what is told.
      await empty(sql).catch(() =>
        say("What was made could not be taken away: drop the database."),
      );
      throw told(error, "Nothing was restored");
    }
    return header;
  } finally {
    await blocks.return(undefined);
    await sql.end({ timeout: 1 });
  }
}

/** What somebody has made in a database, but for what belongs to an extension. */
const madeThere = (sql: Sql) => sql<{ kind: string; name: string }[]>`
  with ours as (
    select oid, nspname from pg_namespace
    where nspname !~ '^pg_' and nspname <> 'information_schema')
  select 'table' as kind, c.oid::regclass::text as name from pg_class c
  where c.relnamespace in (select oid from ours) and c.relkind in ('r', 'p', 'v', 'm', 'f')
    and not exists (select from pg_depend where objid = c.oid and deptype = 'e')
  union all
  select 'type', t.oid::regtype::text from pg_type t
  where t.typnamespace in (select oid from ours) and t.typtype in ('e', 'd')
    and not exists (select from pg_depend where objid = t.oid and deptype = 'e')
  union all
  select 'function', p.oid::regprocedure::text from pg_proc p
  where p.pronamespace in (select oid from ours)
    and not exists (select from pg_depend where objid = p.oid and deptype = 'e')
  union all
  select 'schema', quote_ident(nspname) from ours where nspname <> 'public'`;

async function refuseFull(sql: Sql): Promise<void> {
  const [found] = await madeThere(sql);
  if (found === undefined) return;
  throw new BackupError(
    `The database is not empty (${found.kind} ${found.name}). Restore into one that is new.`,
  );
}

/** Takes away what a restore that failed has made, in a database that had nothing in it. */
async function empty(sql: Sql): Promise<void> {
  await sql`rollback`;
  for (const { kind, name } of await madeThere(sql)) {
    await sql.unsafe(`drop ${kind} if exists ${name} cascade`);
  }
}

async function fill(
  sql: Sql,
  header: BackupHeader,
  blocks: AsyncGenerator<Block>,
  path: string,
): Promise<void> {
  await sql`begin`;
  // Those that a migration has made, as it would in any database.
  const made = await sql<{ table: string }[]>`
    select c.oid::regclass::text as table from pg_class c
    where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p')
      and not c.relispartition`;
  await sql.unsafe(`truncate ${made.map(({ table }) => table).join(", ")}`);
  for (const number of header.partitions) await makePartition(sql, number);
  const rows: Record<string, number> = {};
  let block = await next(blocks, "T", "E");
  while (block.kind === "T") {
    const table = read(tableShape, block, path);
    [rows[table.table], block] = await copyRows(sql, table, blocks);
  }
  const end = read(endShape, block, path);
  if (JSON.stringify(Object.entries(rows)) !== JSON.stringify(Object.entries(end.rows))) {
    throw new BackupError(`${path} has other rows than it says.`);
  }
  await setSequences(sql, end);
  await forgetLeader(sql);
  await sql`commit`;
}

/** Rows of a table into it; returns how many, and the block after them. */
async function copyRows(
  sql: Sql,
  { table, columns }: BackupTable,
  blocks: AsyncGenerator<Block>,
): Promise<[number, Block]> {
  // As a simple query: the driver does not get over a refusal in the middle of another. And of one
  // that comes after the last row it tells the query alone.
  const refused = Promise.withResolvers<never>();
  const failed = refused.promise;
  failed.catch(() => {});
  const query = sql`copy ${sql(table)} (${sql(columns)}) from stdin`.simple();
  Object.assign(query, { reject: refused.reject });
  const copy = await Promise.race([query.writable(), failed]);
  copy.once("error", refused.reject);
  let count = 0;
  let block = await next(blocks, "D", "T", "E");
  while (block.kind === "D") {
    const { bytes } = block;
    for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) count += 1;
    if (!copy.write(bytes)) await Promise.race([once(copy, "drain"), failed]);
    block = await next(blocks, "D", "T", "E");
  }
  copy.end();
  await Promise.race([once(copy, "finish"), failed]);
  return [count, block];
}

async function setSequences(sql: Sql, { sequences }: BackupEnd): Promise<void> {
  for (const { table, column, last, isCalled } of sequences) {
    await sql`
      select setval(pg_get_serial_sequence(format('%I', ${table}::text), ${column}),
        ${last}::bigint, ${isCalled})`;
  }
}

/**
 * Makes records that PostgreSQL has restored those of another program: its processes must not speak
 * to the ones of the original.
 * @returns the last attempt that is in them, and when it was, ms since the Unix epoch
 */
export async function setApart(
  connection: Connection,
): Promise<{ lastSeq: number; lastAt: number | null }> {
  const sql = connect(connection, patiently);
  try {
    await sql`delete from secrets where name = 'link'`;
    await forgetLeader(sql);
    const [last] = await sql<{ seq: number; at: number }[]>`
      select seq::float8 as seq, (extract(epoch from at) * 1000)::float8 as at
      from attempts order by attempts.seq desc limit 1`;
    return { lastSeq: last?.seq ?? 0, lastAt: last?.at ?? null };
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** Earlier schemas have not all of these columns. */
async function forgetLeader(sql: Sql): Promise<void> {
  const columns = await sql<{ name: string }[]>`
    select attname as name from pg_attribute
    where attrelid = 'leader'::regclass and attname in ('instance', 'link')
      and not attisdropped`;
  for (const { name } of columns) await sql`update leader set ${sql(name)} = null`;
}

/** The next block, which has to be of one of these kinds. */
async function next(blocks: AsyncGenerator<Block>, ...wanted: BlockKind[]): Promise<Block> {
  const { done, value } = await blocks.next();
  if (done !== true && wanted.includes(value.kind)) return value;
  throw new BackupError("The file is not a backup that this program can read.");
}

/** @throws BackupError for what no backup of this format has */
function read<T>(shape: z.ZodType<T>, { bytes }: Block, path: string): T {
  const isJson = z.string().transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue({ code: "custom", message: "not JSON" });
      return z.NEVER;
    }
  });
  const found = isJson.pipe(shape).safeParse(bytes.toString());
  if (found.success) return found.data;
  throw new BackupError(`${path} is no backup that this program can read.`);
}

/**
 * A backup of all records, as of one moment, while others write: a transaction that sees what was
 * committed when it began and nothing later, and holds up nobody. A program that wants to change the
 * schema waits for it.
 *
 * It knows the tables from PostgreSQL itself, so that none can be forgotten. What the processes prove
 * to each other that they belong together by is left out: a copy of the records is another program,
 * and its processes must not speak to those of the original.
 */
import type { Sql } from "postgres";
import { z } from "zod";
import { connect, type Connection } from "../postgres/client.ts";
import { BackupError, BackupWriter, blockBytesWanted, told } from "./backup-file.ts";
import { appliedMigration, migrationLockKey } from "./migrations.ts";
import { partitionNumbers } from "./partitions.ts";

const backupFormat = 1 as const;

/** What a backup begins with. */
export const headerShape = z.object({
  format: z.literal(backupFormat, "is of another version of the format"),
  /** Of the program that made it. */
  version: z.string(),
  /** The newest migration that was applied. */
  schema: z.number(),
  /** ms since the Unix epoch */
  madeAt: z.number(),
  /** The last attempt that is in it. */
  lastSeq: z.number(),
  /** Of the journal. */
  partitions: z.array(z.int()),
});
export type BackupHeader = z.infer<typeof headerShape>;

export const tableShape = z.object({ table: z.string(), columns: z.array(z.string()).min(1) });
export type BackupTable = z.infer<typeof tableShape>;

/** What it ends with. */
export const endShape = z.object({
  /** By table. */
  rows: z.record(z.string(), z.number()),
  /** Of each column that is numbered: the last number that was given, and whether any was. */
  sequences: z.array(
    z.object({ table: z.string(), column: z.string(), last: z.number(), isCalled: z.boolean() }),
  ),
});
export type BackupEnd = z.infer<typeof endShape>;

/** For both ends of a backup no time is too long. */
export const patiently = {
  max: 1,
  max_lifetime: null,
  idle_timeout: 0,
  connection: {
    statement_timeout: 0,
    idle_in_transaction_session_timeout: 0,
  },
} as const;

/**
 * Writes all records into a file that is not there yet.
 * @param now ms since the Unix epoch
 * @returns what is in it
 * @throws BackupError when there is nothing to back up
 */
export async function backUp(
  connection: Connection,
  path: string,
  { version, now }: { readonly version: string; readonly now: number },
): Promise<{ header: BackupHeader; end: BackupEnd }> {
  let isLost = false;
  const sql = connect(connection, { ...patiently, onclose: () => (isLost = true) });
  const writer = new BackupWriter(path);
  try {
    await sql`select pg_advisory_lock_shared(${migrationLockKey})`;
    await sql`begin isolation level repeatable read read only`;
    const schema = await appliedMigration(sql);
    if (schema === 0) throw new BackupError("There are no records in this database yet.");
    const lastSeq = await lastAttempt(sql);
    const partitions = await partitionNumbers(sql);
    const header: BackupHeader = {
      format: backupFormat,
      version,
      schema,
      madeAt: now,
      lastSeq,
      partitions,
    };
    await writer.block("H", JSON.stringify(header));
    const rows: Record<string, number> = {};
    for (const table of await tablesOf(sql)) {
      await writer.block("T", JSON.stringify(table));
      rows[table.table] = await writeRows(sql, table, writer);
    }
    // Numbers are given outside of transactions: read last, none is lower than a row's.
    const end = { rows, sequences: await sequencesOf(sql) };
    await sql`commit`;
    // The driver would have gone on, on another connection, and as of another moment.
    if (isLost) throw new BackupError("The connection to PostgreSQL was lost.");
    await writer.block("E", JSON.stringify(end));
    await writer.end();
    return { header, end };
  } catch (error) {
    await writer.abandon();
    throw told(error, "No backup was made");
  } finally {
    await sql.end({ timeout: 0 });
  }
}

async function lastAttempt(sql: Sql): Promise<number> {
  const [row] = await sql<{ last: number }[]>`
    select coalesce(max(seq), 0)::float8 as last from attempts`;
  return row?.last ?? 0;
}

/** The tables with their columns, each after those that it refers to. */
async function tablesOf(sql: Sql): Promise<BackupTable[]> {
  const tables = await sql<{ table: string; columns: string[]; refers: string[] }[]>`
    select c.relname as table,
      (select json_agg(a.attname order by a.attnum) from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
          and a.attgenerated = '') as columns,
      coalesce((select json_agg(distinct t.relname) from pg_constraint k
        join pg_class t on t.oid = k.confrelid
        where k.conrelid = c.oid and k.contype = 'f' and t.oid <> c.oid), '[]') as refers
    from pg_class c
    where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p')
      and not c.relispartition
      -- A partition that is detached and about to be dropped.
      and c.relname !~ '^attempts_p[0-9]+$'
    order by c.relname`;
  const ordered: BackupTable[] = [];
  let left = tables.map((table) => table);
  while (left.length > 0) {
    const names = new Set(left.map(({ table }) => table));
    const next = left.filter(({ refers }) => !refers.some((name) => names.has(name)));
    if (next.length === 0) throw new Error(`${[...names].join(", ")} refer to each other`);
    ordered.push(...next.map(({ table, columns }) => ({ table, columns })));
    left = left.filter((one) => !next.includes(one));
  }
  return ordered;
}

/** Rows that are asked for at a time. */
const rowsPerPage = 2_000;
const newline = Buffer.from("\n");

/**
 * Rows of a table as of the transaction's moment, as COPY writes them; tells how many. Asked for a page
 * at a time: the driver's own stream of a COPY stands still for good once it had to wait.
 */
async function writeRows(
  sql: Sql,
  { table, columns }: BackupTable,
  writer: BackupWriter,
): Promise<number> {
  const rest = table === "secrets" ? sql`where name <> 'link'` : sql``;
  const pages = sql`select ${sql(columns)} from ${sql(table)} ${rest}`.raw().cursor(rowsPerPage);
  let count = 0;
  let held: Buffer[] = [];
  let heldBytes = 0;
  for await (const page of pages) {
    for (const row of page) {
      const line = Buffer.from(row.map(fieldOf).join("\t"));
      held.push(line, newline);
      heldBytes += line.length + 1;
      if (heldBytes < blockBytesWanted) continue;
      await writer.block("D", Buffer.concat(held));
      held = [];
      heldBytes = 0;
    }
    count += page.length;
  }
  if (heldBytes > 0) await writer.block("D", Buffer.concat(held));
  return count;
}

/** What COPY's text format does not write as it is: <https://www.postgresql.org/docs/current/sql-copy.html>. */
const special = /[\\\n\r\t]/g;
const escapes: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

const fieldOf = (value: Uint8Array | null): string =>
  value === null
    ? "\\N"
    : Buffer.from(value.buffer, value.byteOffset, value.byteLength)
        .toString()
        .replaceAll(special, (one) => escapes[one] ?? one);

async function sequencesOf(sql: Sql): Promise<BackupEnd["sequences"]> {
  const columns = await sql<{ table: string; column: string; sequence: string }[]>`
    select c.relname as table, a.attname as column,
      pg_get_serial_sequence(format('%I', c.relname), a.attname) as sequence
    from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p')
      and not c.relispartition and a.attnum > 0 and not a.attisdropped
      and pg_get_serial_sequence(format('%I', c.relname), a.attname) is not null
    order by 1, 2`;
  const sequences: BackupEnd["sequences"] = [];
  for (const { table, column, sequence } of columns) {
    // Its name is quoted by PostgreSQL already.
    const [at] = await sql.unsafe<{ last: number; called: boolean }[]>(
      `select last_value::float8 as last, is_called as called from ${sequence}`,
    );
    if (at !== undefined) sequences.push({ table, column, last: at.last, isCalled: at.called });
  }
  return sequences;
}

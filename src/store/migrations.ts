/**
 * Brings the schema up to date, under a lock, so that processes which start together do not
 * both try. A database that a newer program has migrated is refused: its records may mean
 * something this program does not know. For the same reason whoever leads by the schema as it was
 * is deposed in the transaction that changes it: nothing is written by the old rules after that.
 */
import { readMigrationFiles, type MigrationMeta } from "drizzle-orm/migrator";
import type { ISql, Sql } from "postgres";
import { connect, DatabaseError, errorCode, type Connection } from "../postgres/client.ts";
import { leaderLockKey } from "./leadership.ts";

/**
 * Whoever changes the schema holds it, and whoever has it stay as it is shares it.
 * Any constant, as long as nobody else uses it in this database: "stampede" in
 * ASCII, cut.
 */
export const migrationLockKey = 0x7374616d;
/** How long a leader's session may take to end. */
const endingMaxMs = 10_000;

/**
 * @param folder the migrations, as drizzle-kit writes them
 * @param say told what a migration has found and left as it was
 * @param upTo the newest of them that is wanted; without it, all are
 * @throws DatabaseError when the database is newer than this program
 */
export async function migrate(
  connection: Connection,
  folder: string,
  say: (line: string) => void = () => {},
  upTo = Infinity,
): Promise<void> {
  // One connection, never recycled: the lock belongs to the session.
  const session = { max: 1, max_lifetime: null, idle_timeout: 0 } as const;
  const onnotice: NonNullable<Parameters<typeof connect>[1]>["onnotice"] = (notice) => {
    if (notice["severity"] === "WARNING") say(String(notice["message"]));
  };
  const sql = connect(connection, { ...session, onnotice });
  try {
    const migrations = readMigrationFiles({ migrationsFolder: folder });
    const wanted = migrations.filter(({ folderMillis }) => folderMillis <= upTo);
    // Where there is nothing to do, nobody waits for a backup that is being made.
    const found = await appliedMigration(sql);
    refuseNewer(found, migrations);
    if (wanted.every(({ folderMillis }) => folderMillis <= found)) return;
    await sql`select pg_advisory_lock(${migrationLockKey})`;
    await sql`create schema if not exists drizzle`;
    // As drizzle's own migrator has it, which runs all of them in one transaction.
    await sql`
      create table if not exists drizzle.__drizzle_migrations (
        id serial primary key, hash text not null, created_at bigint)`;
    const applied = await appliedMigration(sql);
    refuseNewer(applied, migrations);
    for (const migration of wanted) {
      // oxlint-disable-next-line no-await-in-loop
      if (migration.folderMillis > applied) await apply(sql, migration);
    }
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** The newest migration in a folder, as drizzle numbers it. */
export const newestMigration = (folder: string): number =>
  Math.max(
    ...readMigrationFiles({ migrationsFolder: folder }).map(({ folderMillis }) => folderMillis),
  );

/** The newest migration that was applied, as drizzle numbers it; 0 before the first. */
export async function appliedMigration(sql: Sql): Promise<number> {
  const [table] = await sql`select to_regclass('drizzle.__drizzle_migrations') as name`;
  if (table?.["name"] == null) return 0;
  const [row] = await sql<{ applied: number }[]>`
    select coalesce(max(created_at), 0)::float8 as applied from drizzle.__drizzle_migrations`;
  return row?.applied ?? 0;
}

function refuseNewer(applied: number, migrations: readonly MigrationMeta[]): void {
  if (applied <= Math.max(...migrations.map(({ folderMillis }) => folderMillis))) return;
  throw new DatabaseError(
    "This database was migrated by a newer Stampede than this one. Run that version, or a later one.",
  );
}

/** Each has a transaction of its own: a word that one adds to an enum, the next may use. */
async function apply(sql: Sql, { sql: statements, hash, folderMillis }: MigrationMeta) {
  await sql.begin(async (tx) => {
    await depose(tx);
    for (const statement of statements) {
      // oxlint-disable-next-line no-await-in-loop
      await tx.unsafe(statement);
    }
    await tx`
      insert into drizzle.__drizzle_migrations (hash, created_at)
      values (${hash}, ${folderMillis}::bigint)`;
  });
}

/**
 * Ends the term of whoever leads: its session, with what it is writing, and all that names its epoch.
 * Another term begins when this transaction is over, and by then the schema is another.
 */
export async function depose(tx: ISql): Promise<void> {
  const [table] = await tx`select to_regclass('leader') as name`;
  if (table?.["name"] == null) return;
  await tx`lock table leader in exclusive mode`;
  const ended = await endLeader(tx);
  if (!ended) throw new DatabaseError("The leader's session did not end. Stop it, and try again.");
  await tx`update leader set epoch = epoch + 1`;
}

async function endLeader(tx: ISql): Promise<boolean> {
  try {
    const sessions = await tx<{ ended: boolean }[]>`
      select pg_terminate_backend(pid, ${endingMaxMs}) as ended from pg_locks
      where locktype = 'advisory' and granted and objid = ${leaderLockKey} and classid = 0
        and objsubid = 1
        and database = (select oid from pg_database where datname = current_database())`;
    return sessions.every(({ ended }) => ended);
  } catch (error) {
    if (errorCode(error) !== "42501") throw error;
    throw new DatabaseError(
      "Another Stampede leads, and this user of PostgreSQL may not end its session. " +
        "Stop it, or use its user in DATABASE_URL.",
    );
  }
}

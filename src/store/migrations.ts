/**
 * Brings the schema up to date, under a lock, so that processes which start together do not
 * both try. A database that a newer program has migrated is refused: its records may mean
 * something this program does not know.
 */
import { drizzle } from "drizzle-orm/postgres-js";
import { readMigrationFiles } from "drizzle-orm/migrator";
import { migrate as runMigrations } from "drizzle-orm/postgres-js/migrator";
import type { Sql } from "postgres";
import { connect, DatabaseError, type Connection } from "../postgres/client.ts";

/** Any constant, as long as nobody else uses it in this database: "stampede" in ASCII, cut. */
const migrationLockKey = 0x7374616d;

/**
 * @param folder the migrations, as drizzle-kit writes them
 * @param say told what a migration has found and left as it was
 * @throws DatabaseError when the database is newer than this program
 */
export async function migrate(
  connection: Connection,
  folder: string,
  say: (line: string) => void = () => {},
): Promise<void> {
  // One connection, never recycled: the lock belongs to the session.
  const session = { max: 1, max_lifetime: null, idle_timeout: 0 } as const;
  const onnotice: NonNullable<Parameters<typeof connect>[1]>["onnotice"] = (notice) => {
    if (notice["severity"] === "WARNING") say(String(notice["message"]));
  };
  const sql = connect(connection, { ...session, onnotice });
  try {
    await sql`select pg_advisory_lock(${migrationLockKey})`;
    await refuseNewer(sql, folder);
    await runMigrations(drizzle(sql), { migrationsFolder: folder });
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** The newest migration in a folder, as drizzle numbers it. */
export const newestMigration = (folder: string): number =>
  Math.max(
    ...readMigrationFiles({ migrationsFolder: folder }).map(({ folderMillis }) => folderMillis),
  );

async function refuseNewer(sql: Sql, folder: string): Promise<void> {
  const newest = newestMigration(folder);
  const [table] = await sql`select to_regclass('drizzle.__drizzle_migrations') as name`;
  if (table?.["name"] == null) return;
  const [row] = await sql<{ applied: number | null }[]>`
    select max(created_at)::float8 as applied from drizzle.__drizzle_migrations`;
  if (row?.applied != null && row.applied > newest) {
    throw new DatabaseError(
      "This database was migrated by a newer Stampede than this one. Run that version, or a later one.",
    );
  }
}

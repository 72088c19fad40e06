/** What a PostgreSQL says of itself, for `stampede doctor`. It changes nothing that anybody sees. */
import type { Sql } from "postgres";

const settingsOfInterest = [
  "fsync",
  "synchronous_commit",
  "full_page_writes",
  "data_checksums",
  "default_transaction_read_only",
  "max_connections",
  "server_encoding",
  "server_version",
  "statement_timeout",
  "superuser_reserved_connections",
  "synchronous_standby_names",
  "transaction_timeout",
  "wal_level",
] as const;

type Setting = (typeof settingsOfInterest)[number];

export type Inspection = {
  /** Those that it knows. Times are in ms. */
  readonly settings: Partial<Record<Setting, string>>;
  /** Its clock, and ours in the middle of asking; ms since the Unix epoch. */
  readonly clock: { readonly its: number; readonly ours: number };
  /** Sessions of clients, and how many of them are of this program. */
  readonly sessions: { readonly all: number; readonly ours: number };
  /**
   * Servers that follow it now, and how many of them a commit waits for: null where this user may not
   * be told.
   */
  readonly standbys: { readonly all: number; readonly synchronous: number | null };
  /** Slots that nobody reads, for which it keeps its log. */
  readonly idleSlots: readonly string[];
  /** Whether the last file of the log could not be archived. */
  readonly archivingFails: boolean;
  /** How long each of some commits took, ms. The last may have been given up. */
  readonly commitsMs: readonly number[];
};

/** Enough for a median and its worst. */
const commitsMeasured = 25;
/** One that takes so long waits for something that does not come, as a standby that is gone. */
export const commitGivenUpMs = 3_000;

export async function inspect(sql: Sql): Promise<Inspection> {
  const rows = await sql<{ name: Setting; setting: string }[]>`
    select name, setting from pg_settings where name in ${sql(settingsOfInterest)}`;
  const [state] = await sql<
    (Inspection["sessions"] & { standbys: number; synchronous: number; told: boolean })[]
  >`
    select
      (select count(*) from pg_stat_activity
        where backend_type = 'client backend' or backend_type is null)::int as all,
      (select count(*) from pg_stat_activity
        where application_name = 'stampede' and datname = current_database())::int as ours,
      (select count(*) from pg_stat_replication)::int as standbys,
      (select count(*) from pg_stat_replication
        where sync_state in ('sync', 'quorum'))::int as synchronous,
      pg_has_role('pg_read_all_stats', 'usage') as told`;
  const slots = await sql<{ name: string }[]>`
    select slot_name::text as name from pg_replication_slots where not active order by 1`;
  const [archive] = await sql<{ fails: boolean }[]>`
    select coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) as fails
    from pg_stat_archiver`;
  const { all = 0, ours = 0, standbys = 0, synchronous = 0, told = false } = state ?? {};
  return {
    settings: Object.fromEntries(rows.map(({ name, setting }) => [name, setting])),
    clock: await clockOf(sql),
    sessions: { all, ours },
    standbys: { all: standbys, synchronous: told ? synchronous : null },
    idleSlots: slots.map(({ name }) => name),
    archivingFails: archive?.fails ?? false,
    commitsMs: await commitTimes(sql),
  };
}

async function clockOf(sql: Sql): Promise<Inspection["clock"]> {
  const before = Date.now();
  const [row] = await sql<{ now: number }[]>`
    select (extract(epoch from clock_timestamp()) * 1000)::float8 as now`;
  return { its: row?.now ?? Number.NaN, ours: (before + Date.now()) / 2 };
}

/**
 * Commits of a message that is in the log, and nowhere else. One that does not return is cancelled, or
 * its session would wait on when this program has ended.
 */
async function commitTimes(sql: Sql): Promise<number[]> {
  const times: number[] = [];
  for (let n = 0; n < commitsMeasured; n += 1) {
    const before = performance.now();
    const commit = sql`select pg_logical_emit_message(true, 'stampede', 'doctor')`;
    const given = setTimeout(() => commit.cancel(), commitGivenUpMs);
    // oxlint-disable-next-line no-await-in-loop
    await commit.finally(() => clearTimeout(given));
    const took = performance.now() - before;
    times.push(took);
    if (took >= commitGivenUpMs) break;
  }
  return times.toSorted((a, b) => a - b);
}

/**
 * The journal's partitions: ten million attempts each, made before they are needed.
 * Partition N holds the sequence numbers N·10⁷+1 … (N+1)·10⁷; the first migration made 0.
 * They are kept for ever, or dropped, and exported first where that is asked for, when all that is in
 * them is older than the retention and no sale that is still held needs them.
 */
import type { Sql } from "postgres";
import { exportPartition } from "./attempt-export.ts";

export const partitionRows = 10_000_000;

const retryMs = 60_000;

export type Retention = {
  /** Age after which attempts may be dropped, ms; Infinity keeps them. */
  readonly retentionMs: number;
  /** Where they are written to before; null: nowhere. */
  readonly exportDir: string | null;
};

/** Keeps the partitions ahead of the journal. */
export class Partitions {
  readonly #sql: Sql;
  readonly #retention: Retention;
  /** Partitions up to this number are there. */
  #made = -1;
  /** When partitions are to be dropped next. */
  #dropAt = Infinity;
  #failure: unknown = null;
  /** Resolves when nothing is being exported. */
  exporting: Promise<void> | null = null;

  constructor(sql: Sql, retention: Retention) {
    this.#sql = sql;
    this.#retention = retention;
  }

  /**
   * Makes the partition of `seq` and the one after it, where they are missing; whenever one
   * was made, drops those that are past the retention.
   * @param neededSince start of the earliest sale that is still held, ms
   * @throws also what dropping them failed with since; it is tried again by itself
   */
  async ensure(seq: number, now: number, neededSince: number): Promise<void> {
    const wanted = Math.floor(Math.max(seq - 1, 0) / partitionRows) + 1;
    if (this.#made !== wanted) {
      for (let number = Math.max(this.#made + 1, wanted - 1); number <= wanted; number += 1) {
        await makePartition(this.#sql, number);
        this.#made = number;
      }
      this.#dropAt = now;
    }
    if (this.#failure !== null) {
      const failure = this.#failure;
      this.#failure = null;
      throw failure;
    }
    if (now < this.#dropAt || this.exporting !== null) return;
    this.#dropAt = Infinity;
    await this.#drop(wanted - 1, now, neededSince);
  }

  async #drop(present: number, now: number, neededSince: number): Promise<void> {
    const { retentionMs, exportDir } = this.#retention;
    const before = Math.min(now - retentionMs, neededSince);
    if (!Number.isFinite(before)) return;
    const dropping = dropPartitions(this.#sql, present, before, exportDir)
      .then((isDone) => (isDone ? Infinity : now + retryMs))
      .catch((error: unknown) => {
        this.#failure = error;
        return now + retryMs;
      })
      .then((dropAt) => void (this.#dropAt = dropAt));
    if (exportDir === null) return await dropping;
    // Ten million rows take minutes, and sales are to be opened meanwhile.
    this.exporting = dropping.finally(() => (this.exporting = null));
  }
}

/**
 * A partition that is taken out of the journal in two steps of PostgreSQL's, and then dropped. What ends
 * in between, by a crash or because PostgreSQL was not waited for, leaves it pending, or detached.
 */
type Droppable = { readonly name: string; readonly state: "attached" | "pending" | "detached" };

/**
 * Drops the partitions below number `present` of which every attempt is older than `before`.
 * @returns false where it is to be tried again
 */
async function dropPartitions(
  sql: Sql,
  present: number,
  before: number,
  exportDir: string | null,
): Promise<boolean> {
  const partitions = await sql<Droppable[]>`
    select c.relname as name, case when i.inhrelid is null then 'detached'
             when i.inhdetachpending then 'pending' else 'attached' end as state
    from pg_class c left join pg_inherits i
      on i.inhrelid = c.oid and i.inhparent = 'attempts'::regclass
    where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r'
      and c.relname ~ '^attempts_p[0-9]+$'
    order by length(c.relname), c.relname`;
  for (const { name, state } of partitions) {
    if (Number(name.slice("attempts_p".length)) >= present) return true;
    // The last attempt of a partition is its youngest.
    const [youngest] = await sql<{ at: Date }[]>`
      select at from ${sql(name)} order by seq desc limit 1`;
    if (youngest !== undefined && youngest.at.getTime() >= before) return true;
    if (exportDir !== null) await exportPartition(sql, name, exportDir);
    if (state !== "detached") {
      if (await isReadAtLength(sql)) return false;
      const how = state === "pending" ? "finalize" : "concurrently";
      await sql.unsafe(`alter table attempts detach partition ${name} ${how}`);
    }
    await sql.unsafe(`drop table ${name}`);
  }
  return true;
}

/**
 * Whether somebody has been looking at the journal for a while in one transaction, as a backup does:
 * to detach would wait for them, for longer than PostgreSQL is waited for.
 */
async function isReadAtLength(sql: Sql): Promise<boolean> {
  // Of a session of another role nothing is known.
  const [row] = await sql<{ found: boolean }[]>`
    select exists (
      select from pg_locks l left join pg_stat_activity a on a.pid = l.pid
      where l.relation = 'attempts'::regclass and l.pid is distinct from pg_backend_pid()
        and l.database = (select oid from pg_database where datname = current_database())
        and coalesce(a.xact_start, '-infinity') < now() - interval '1 second') as found`;
  return row?.found ?? false;
}

/** The partitions that there are, lowest first. */
export async function partitionNumbers(sql: Sql): Promise<number[]> {
  const partitions = await sql<{ number: number }[]>`
    select substr(c.relname, length('attempts_p') + 1)::int as number
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'attempts'::regclass and c.relname ~ '^attempts_p[0-9]+$'
    order by 1`;
  return partitions.map(({ number }) => number);
}

/** Makes a partition that is not there. */
export async function makePartition(sql: Sql, number: number): Promise<void> {
  const name = `attempts_p${number}`;
  const from = number * partitionRows + 1;
  // Two leaders in quick succession may both get here: the second waits and finds it made.
  // Attaching a ready table, unlike PARTITION OF, does not lock the journal's writer out.
  // One statement: a connection that is cut in the middle of `sql.begin` ends the process.
  await sql.unsafe(`
    do $$ begin
      perform pg_advisory_xact_lock(hashtext('stampede partitions'));
      if to_regclass('${name}') is null then
        create table ${name} (like attempts including defaults including constraints);
        alter table attempts attach partition ${name}
          for values from (${from}) to (${from + partitionRows});
      end if;
    end $$`);
}

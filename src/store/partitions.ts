/**
 * The journal's partitions: ten million attempts each, made before they are needed.
 * Partition N holds the sequence numbers N·10⁷+1 … (N+1)·10⁷; the first migration made 0.
 * They are kept for ever, or dropped, and exported first where that is asked for, when all that is in them is older than the retention
 * and no sale that is still held needs them.
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
   * @throws also what an export failed with since; it is tried again by itself
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
    if (exportDir === null) return await dropPartitions(this.#sql, present, before, null);
    // Ten million rows take minutes, and sales are to be opened meanwhile.
    this.exporting = dropPartitions(this.#sql, present, before, exportDir)
      .catch((error: unknown) => {
        this.#failure = error;
        this.#dropAt = now + retryMs;
      })
      .finally(() => (this.exporting = null));
  }
}

/** Drops the partitions below number `present` of which every attempt is older than `before`. */
async function dropPartitions(
  sql: Sql,
  present: number,
  before: number,
  exportDir: string | null,
): Promise<void> {
  const partitions = await sql<{ name: string }[]>`
    select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'attempts'::regclass
    order by length(c.relname), c.relname`;
  for (const { name } of partitions) {
    if (!/^attempts_p\d+$/.test(name) || Number(name.slice("attempts_p".length)) >= present) return;
    // The last attempt of a partition is its youngest.
    const [youngest] = await sql<{ at: Date }[]>`
      select at from ${sql(name)} order by seq desc limit 1`;
    if (youngest !== undefined && youngest.at.getTime() >= before) return;
    if (exportDir !== null) await exportPartition(sql, name, exportDir);
    await sql.unsafe(`alter table attempts detach partition ${name} concurrently`);
    await sql.unsafe(`drop table ${name}`);
  }
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

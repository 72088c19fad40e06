/**
 * The journal's partitions: ten million attempts each, made before they are needed.
 * Partition N holds the sequence numbers N·10⁷+1 … (N+1)·10⁷; the first migration made 0.
 */
import type { Sql } from "postgres";

export const partitionRows = 10_000_000;

/** Keeps the partitions ahead of the journal. */
export class Partitions {
  readonly #sql: Sql;
  /** Partitions up to this number are there. */
  #made = -1;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** Makes the partition of `seq` and the one after it, where they are missing. */
  async ensure(seq: number): Promise<void> {
    const wanted = Math.floor(Math.max(seq - 1, 0) / partitionRows) + 1;
    for (let number = Math.max(this.#made + 1, wanted - 1); number <= wanted; number += 1) {
      await makePartition(this.#sql, number);
      this.#made = number;
    }
  }
}

async function makePartition(sql: Sql, number: number): Promise<void> {
  const name = `attempts_p${number}`;
  const from = number * partitionRows + 1;
  await sql.begin(async (tx) => {
    // Two leaders in quick succession may both get here: the second waits and finds it made.
    await tx`select pg_advisory_xact_lock(hashtext('stampede partitions'))`;
    const [found] = await tx`select to_regclass(${name}) as name`;
    if (found?.["name"] != null) return;
    // Attaching a ready table, unlike PARTITION OF, does not lock the journal's writer out.
    await tx.unsafe(
      `create table ${name} (like attempts including defaults including constraints)`,
    );
    await tx.unsafe(
      `alter table attempts attach partition ${name} for values from (${from}) to (${from + partitionRows})`,
    );
  });
}

/** Transactions in a pool: as the driver's own, and with their connection cut in the middle. */
import { beforeAll, describe, expect, test } from "bun:test";
import type { Sql, TransactionSql } from "postgres";
import { isAway, openPool } from "../../src/postgres/client.ts";
import { transactionsMax, transactionsWaitingMax } from "../../src/postgres/transactions.ts";
import { openDb } from "../../src/store/db.ts";
import { secrets } from "../../src/store/schema.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { atEnd } from "../support/leftovers.ts";
import { until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
let pool: Sql;
let look: Sql;

beforeAll(async () => {
  const url = await postgres.newRecords();
  pool = openPool({ url });
  atEnd(() => pool.end({ timeout: 0 }));
  look = lookInto(url);
});

const reasonOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "none",
    (reason: unknown) => reason,
  );

/** Has PostgreSQL end the session of a transaction, after what it is doing has begun. */
async function cut(pid: number, state: "active" | "idle in transaction"): Promise<void> {
  await until("the session", async () => {
    const ended = await look`
      select pg_terminate_backend(pid) from pg_stat_activity
      where pid = ${pid} and state = ${state}`;
    return ended.length > 0;
  });
}

async function pidOf(tx: TransactionSql): Promise<number> {
  const [row] = await tx<{ pid: number }[]>`select pg_backend_pid() as pid`;
  if (row === undefined) throw new Error("a session without a process");
  return row.pid;
}

const insert = (tx: TransactionSql, name: string) =>
  tx`insert into secrets (name, value) values (${name}, '')`;

const namesLike = async (pattern: string): Promise<string[]> => {
  const rows = await pool<{ name: string }[]>`
    select name from secrets where name like ${pattern} order by name`;
  return rows.map(({ name }) => name);
};

describe("a transaction", () => {
  test("commits, and gives what its work gives", async () => {
    expect(await pool.begin(async (tx) => (await insert(tx, "ok1")).count)).toBe(1);
    const both = await pool.begin((tx) => [insert(tx, "ok2"), insert(tx, "ok3")]);
    expect(both.map(({ count }) => count)).toEqual([1, 1]);
    expect(await namesLike("ok%")).toEqual(["ok1", "ok2", "ok3"]);
  });

  test("rolls back what fails, and its savepoints alone", async () => {
    const failed = pool.begin(async (tx) => {
      await insert(tx, "back1");
      throw new Error("mine");
    });
    expect(await reasonOf(failed)).toEqual(new Error("mine"));
    await pool.begin(async (tx) => {
      await insert(tx, "back2");
      const inner = tx.savepoint("inner", async (part) => {
        await insert(part, "back3");
        throw new Error("mine");
      });
      expect(await reasonOf(inner)).toEqual(new Error("mine"));
      await tx.savepoint((part) => insert(part, "back4"));
    });
    expect(await namesLike("back%")).toEqual(["back2", "back4"]);
  });

  test("has the mode that it is given", async () => {
    const refused = pool.begin("read only", (tx) => insert(tx, "read"));
    expect(await reasonOf(refused)).toMatchObject({ code: "25006" });
  });

  test("waits for its turn, and is refused when too many wait", async () => {
    const gate = Promise.withResolvers<void>();
    let running = 0;
    const all = upTo(transactionsMax + transactionsWaitingMax).map(() =>
      pool.begin(async (tx) => {
        running += 1;
        await gate.promise;
        return await tx`select`;
      }),
    );
    const refused = await reasonOf(pool.begin((tx) => tx`select`));
    expect(refused).toMatchObject({ code: "53300" });
    expect(isAway(refused)).toBe(true);
    await until("the first", () => running === transactionsMax);
    gate.resolve();
    await Promise.all(all);
    expect(running).toBe(transactionsMax + transactionsWaitingMax);
    // There is room again.
    await Promise.all(upTo(transactionsMax + 1).map(() => pool.begin((tx) => tx`select`)));
  });
});

describe("a transaction whose connection is cut", () => {
  test("while a statement runs: whoever asked is told", async () => {
    const cutting = pool.begin(async (tx) => {
      await insert(tx, "cut1");
      const pid = await pidOf(tx);
      await Promise.all([tx`select pg_sleep(600)`, cut(pid, "active")]);
    });
    expect(isAway(await reasonOf(cutting))).toBe(true);
    expect(await namesLike("cut1")).toEqual([]);
  });

  test("while none does, and its work takes no notice of it", async () => {
    const refusals: unknown[] = [];
    const worked = Promise.withResolvers<void>();
    const cutting = pool.begin(async (tx) => {
      await insert(tx, "cut2");
      await cut(await pidOf(tx), "idle in transaction");
      // The first may still find the connection open.
      await until("that it is lost", async () => {
        const reason = await reasonOf((async () => await tx`select 1`)());
        if (reason !== "none") refusals.push(reason);
        return refusals.length === 3;
      });
      worked.resolve();
      return "done";
    });
    expect(isAway(await reasonOf(cutting))).toBe(true);
    await worked.promise;
    expect(refusals.map(isAway)).toEqual([true, true, true]);
    expect(await namesLike("cut2")).toEqual([]);
  });

  test("in a savepoint", async () => {
    const cutting = pool.begin(async (tx) => {
      await insert(tx, "cut3");
      const pid = await pidOf(tx);
      const inner = tx.savepoint((part) =>
        Promise.all([part`select pg_sleep(600)`, cut(pid, "active")]),
      );
      await reasonOf(inner);
      await insert(tx, "cut3 too");
    });
    expect(isAway(await reasonOf(cutting))).toBe(true);
    expect(await namesLike("cut3%")).toEqual([]);
  });

  test("of drizzle", async () => {
    const cutting = openDb(pool).transaction(async (tx) => {
      await tx.insert(secrets).values({ name: "cut4", value: "not for a log" });
      const [row] = await tx.execute<{ pid: number }>("select pg_backend_pid() as pid");
      await Promise.all([tx.execute("select pg_sleep(600)"), cut(row?.pid ?? 0, "active")]);
    });
    const reason = await reasonOf(cutting);
    expect(isAway(reason)).toBe(true);
    expect(String(reason)).not.toContain("Failed query");
    expect(await namesLike("cut4")).toEqual([]);
  });

  test("leaves the pool as good as before", async () => {
    await Promise.all(upTo(20).map((n) => pool`select ${n}::int`));
    expect(await pool.begin(async (tx) => (await insert(tx, "after")).count)).toBe(1);
  });
});

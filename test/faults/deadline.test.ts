/** A PostgreSQL that is asked, and says nothing: whoever asked is told so in time. */
import { describe, expect, test } from "bun:test";
import type { Sql } from "postgres";
import { isAway, openPool } from "../../src/postgres/client.ts";
import { useOwnPostgres } from "../support/postgres.ts";
import { atEnd } from "../support/leftovers.ts";
import { upTo, waitMaxMs, within } from "../support/wait.ts";

const postgres = useOwnPostgres();
const answerMaxMs = 500;

/** A pool, and one of its sessions, which is made to stand still for a while. */
async function aSilentPool(): Promise<{ readonly pool: Sql; readonly wake: () => void }> {
  const pool = openPool({ url: await postgres.newDatabase() }, answerMaxMs);
  atEnd(() => pool.end({ timeout: 0 }));
  const [row] = await pool<{ pid: number }[]>`select pg_backend_pid() as pid`;
  const pid = row?.pid ?? 0;
  process.kill(pid, "SIGSTOP");
  return { pool, wake: () => void process.kill(pid, "SIGCONT") };
}

const reasonOf = async (asked: Promise<unknown>): Promise<unknown> => {
  const told = asked.then(
    () => null,
    (reason: unknown) => reason,
  );
  return await within("its being told", waitMaxMs, told);
};

describe("what is asked of a session that has fallen silent", () => {
  test("fails in time, and what is asked next is asked on another", async () => {
    const { pool, wake } = await aSilentPool();
    try {
      const reason = await reasonOf(pool`select 1`);
      expect([String(reason), isAway(reason)]).toEqual([
        `Error: PostgreSQL has not answered for ${answerMaxMs} ms`,
        true,
      ]);
      expect([...(await pool`select 2 as two`)]).toEqual([{ two: 2 }]);
    } finally {
      wake();
    }
  });

  test("fails in time by text, and page by page", async () => {
    const { pool, wake } = await aSilentPool();
    try {
      expect(isAway(await reasonOf(pool.unsafe("select 1")))).toBe(true);
    } finally {
      wake();
    }
    const pages = await aSilentPool();
    const read = async (): Promise<void> => {
      for await (const page of pages.pool`select generate_series(1, 9)`.cursor(3))
        expect(page).toEqual([]);
    };
    try {
      expect(isAway(await reasonOf(read()))).toBe(true);
    } finally {
      pages.wake();
    }
  });

  test("fails in time in a transaction, which ends with it", async () => {
    const { pool, wake } = await aSilentPool();
    const pids: number[] = [];
    try {
      const done = pool.begin(async (tx) => {
        const [row] = await tx<{ pid: number }[]>`select pg_backend_pid() as pid`;
        pids.push(row?.pid ?? 0);
        process.kill(row?.pid ?? 0, "SIGSTOP");
        await tx`select 1`;
      });
      expect(isAway(await reasonOf(done))).toBe(true);
    } finally {
      for (const pid of pids) process.kill(pid, "SIGCONT");
      wake();
    }
  });
});

// As PostgreSQL's end cuts all connections, whatever they are about. `patches/` has what the driver lacks.
test("connections that are cut are made again, and nobody waits for the old ones", async () => {
  const pool = openPool({ url: await postgres.newDatabase() });
  atEnd(() => pool.end({ timeout: 0 }));
  const askAll = () => Promise.all(upTo(8).map(() => reasonOf(pool`select pg_sleep(0.01)`)));
  const nobody = Array.from({ length: 8 }, () => null);
  expect(await askAll()).toEqual(nobody);
  // The driver writes a turn later: what it has not written must not stay with the connection.
  const asked = askAll();
  await Promise.resolve();
  pool.drop(new Error("cut"));
  expect((await asked).map(String)).toEqual(nobody.map(() => "Error: cut"));
  // Taken by connections that have failed, and have not ended yet.
  for (const reason of await askAll()) expect(String(reason)).not.toContain("has not answered");
  expect(await askAll()).toEqual(nobody);
});

test("a commit that is not answered fails in time", async () => {
  const pool = openPool({ url: await postgres.newDatabase() }, answerMaxMs);
  atEnd(() => pool.end({ timeout: 0 }));
  const pids: number[] = [];
  try {
    const done = pool.begin(async (tx) => {
      const [row] = await tx<{ pid: number }[]>`select pg_backend_pid() as pid`;
      pids.push(row?.pid ?? 0);
      process.kill(row?.pid ?? 0, "SIGSTOP");
    });
    expect(isAway(await reasonOf(done))).toBe(true);
  } finally {
    for (const pid of pids) process.kill(pid, "SIGCONT");
  }
});

test("pages that are taken slowly are not waited for in vain", async () => {
  const pool = openPool({ url: await postgres.newDatabase() }, answerMaxMs);
  atEnd(() => pool.end({ timeout: 0 }));
  const seen: number[] = [];
  for await (const page of pool<{ n: number }[]>`select generate_series(1, 9) as n`.cursor(3)) {
    seen.push(...page.map(({ n }) => n));
    // Whoever takes them has all the time: PostgreSQL is the one who sleeps here.
    await pool`select pg_sleep(${(2 * answerMaxMs) / 3000})`;
  }
  expect(seen.length).toBe(9);
});

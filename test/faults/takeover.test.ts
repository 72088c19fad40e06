/**
 * One process leads, others stand by, and the leader goes: killed, told to stop, frozen, cut off, or
 * without its PostgreSQL. How long it takes until somebody sells again is printed; that it comes to
 * that at all, that whoever asks meanwhile is answered, and that nothing is told of the past, is
 * tested.
 */
import { describe, expect, test } from "bun:test";
import { accepted, reservation } from "../support/contract.ts";
import {
  boundMs,
  environment,
  expectSound,
  leads,
  say,
  sells,
  standsBy,
} from "../support/leading.ts";
import { lookInto, useOwnPostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { until, within } from "../support/wait.ts";

const postgres = useOwnPostgres();
/** Asks one after another, until it is told to end; what was answered other than with a code. */
function asking({ client }: TestServer) {
  const state = { isOver: false, answered: 0, failed: [] as string[] };
  const ask = async (): Promise<void> => {
    while (!state.isOver) {
      const answer = await client.checkout("bob", "any").catch((error: unknown) => String(error));
      if (typeof answer === "string") state.failed.push(answer);
      else if (answer.status === 200) state.answered += 1;
      else state.failed.push(answer.text);
    }
  };
  const done = ask();
  return {
    /** Waits for so many answers more. */
    more: async (count: number): Promise<void> => {
      const wanted = state.answered + count;
      await until("more answers", () => state.answered >= wanted, boundMs);
    },
    end: async (): Promise<readonly string[]> => {
      state.isOver = true;
      await done;
      return state.failed;
    },
  };
}

describe("the leader is gone", () => {
  test("killed: another goes on from its replica, and who asks it meanwhile is answered", async () => {
    const url = await postgres.newDatabase();
    await using first = await startServer(environment(url));
    await using second = await startServer(environment(url));
    await standsBy(second);
    const buyer = asking(second);
    await buyer.more(20);
    const startedAt = performance.now();
    await first.kill();
    await buyer.more(1);
    say("killed, sold again after", performance.now() - startedAt);
    expect(await buyer.end()).toEqual([]);
    expect(second.program.log).toContain('"from":"the replica"');
    await expectSound(url);
  });

  test("killed: one that had lost its own session meanwhile leads in one term, from its replica", async () => {
    const url = await postgres.newDatabase();
    await using first = await startServer(environment(url));
    await using second = await startServer(environment(url));
    await standsBy(second);
    const restored = (): number => second.program.log.split("the replica is current").length - 1;
    await lookInto(url)`
      select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'stampede writer' and datname = current_database()
        and pid not in (select pid from pg_locks where locktype = 'advisory')`;
    await until("its standing by again", () => restored() === 2, boundMs);
    await first.kill();
    await sells(second, "killed after the other's session, sold again after");
    expect(second.program.log).toMatch(/"epoch":2,.*"from":"the replica"/);
    await expectSound(url);
  });

  test("told to stop: another leads at once, and who asks meanwhile is answered", async () => {
    const url = await postgres.newDatabase();
    const servers = [await startServer(environment(url)), await startServer(environment(url))];
    const [first, second] = servers;
    if (first === undefined || second === undefined) throw new Error("nobody sells");
    await standsBy(second);
    const buyer = asking(second);
    await buyer.more(20);
    const startedAt = performance.now();
    first.program.signal("SIGTERM");
    await leads(second);
    say("told to stop, another leads after", performance.now() - startedAt);
    await buyer.more(20);
    expect(await buyer.end()).toEqual([]);
    expect(await first.program.exited()).toBe(0);
    expect(second.program.log).toContain('"from":"the replica"');
    await expectSound(url);
    await second.stop();
  });

  test("frozen: another leads, and the one that wakes tells nothing of the past", async () => {
    const url = await postgres.newDatabase();
    await using first = await startServer(environment(url));
    await using second = await startServer(environment(url));
    await standsBy(second);
    const { id } = await first.client.openSale();
    first.program.signal("SIGSTOP");
    const asleep = Promise.all([
      first.client.get(`/sales/${id}`).catch(() => null),
      first.client.checkout("cyd", "any").catch(() => null),
    ]);
    await sells(second, "frozen, sold again after");
    const wanted = (await second.client.sale(id)).reserved;
    expect(wanted).toBeGreaterThan(0);
    first.program.signal("SIGCONT");
    const [read, asked] = await within("its answers", boundMs, asleep);
    if (read?.status === 200) expect(read.text).toContain(`"reserved":${wanted}`);
    if (asked?.status === 200) accepted(asked, reservation);
    await standsBy(first);
    expect((await first.client.sale(id)).reserved).toBeGreaterThanOrEqual(wanted);
    await expectSound(url);
  });
});

describe("PostgreSQL is gone", () => {
  test("and back after the leader: the other sells", async () => {
    const url = await postgres.newRecords();
    await using first = await startServer(environment(url));
    await using second = await startServer(environment(url));
    await standsBy(second);
    await second.client.reserve("ann");
    await postgres.end("SIGKILL");
    try {
      await until("its saying so", async () => (await second.client.get("/ready")).status === 503);
      await first.kill();
    } finally {
      await postgres.start();
    }
    // From its replica, or from the records where it had begun a term that PostgreSQL's end cut short.
    await sells(second, "PostgreSQL is back without the leader, sold again after");
    await expectSound(url);
  });

  test("ended at once, and back: the same process sells", async () => {
    const url = await postgres.newDatabase();
    await using server = await startServer(environment(url));
    await server.client.reserve("ann");
    await postgres.end("SIGKILL");
    try {
      await until("its saying so", async () => (await server.client.get("/ready")).status === 503);
    } finally {
      await postgres.start();
    }
    await sells(server, "PostgreSQL is back, sold again after");
    await expectSound(url);
  });

  test("silent on the writer's connection: nobody says that it is ready", async () => {
    const url = await postgres.newDatabase();
    await using server = await startServer(environment(url));
    const [row] = await lookInto(url)<{ pid: number }[]>`
      select pid from pg_stat_activity where application_name = 'stampede writer'`;
    const pid = row?.pid ?? 0;
    process.kill(pid, "SIGSTOP");
    const startedAt = performance.now();
    try {
      await until("its saying so", async () => (await server.client.get("/ready")).status === 503);
      say("PostgreSQL is silent, not ready after", performance.now() - startedAt);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    await leads(server);
  });
});

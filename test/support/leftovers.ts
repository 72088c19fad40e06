/**
 * What the tests of a file have started and made, and the end of it: processes first, then
 * the servers they used, then folders. Every file that starts something calls `useLeftovers`.
 * What is left even so, because the process itself was ended, a sweep finds: see `runs.ts`.
 */
import { afterAll, setDefaultTimeout } from "bun:test";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { findPostmaster } from "../../src/postgres/postmaster.ts";
import { leaveRun, runFolder } from "./runs.ts";
import { inTurn, until, upTo } from "./wait.ts";

const testMaxMs = 120_000;

const cleanups: (() => Promise<void> | void)[] = [];

/** Has something ended when the tests of this file are over; the youngest goes first. */
export const atEnd = (cleanup: () => Promise<void> | void): void => {
  cleanups.push(cleanup);
};

/** To be called at the top of a test file, before anything else that ends something. */
export function useLeftovers(): void {
  // A test that is past the runner's own bound has everything it started killed, which tells
  // less than the bounds that the tests set themselves.
  setDefaultTimeout(testMaxMs);
  runFolder();
  afterAll(async () => {
    try {
      await inTurn(cleanups.splice(0).toReversed(), (cleanup) => cleanup());
    } finally {
      leaveRun();
    }
  });
}

/** A new folder that any user may enter, for the PostgreSQL that root starts as another. */
export function newFolder(): string {
  const folder = mkdtempSync(join(runFolder(), "test-"));
  chmodSync(folder, 0o755);
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const portsTriedMax = 100;

/** A value for `STAMPEDE_DATA`; the PostgreSQL that is left running there is ended. */
export function newDataFolder(): string {
  const dataDir = join(newFolder(), "data");
  atEnd(async () => {
    const running = findPostmaster(join(dataDir, "pgdata"));
    if (running === undefined) return;
    process.kill(running.pid, "SIGQUIT");
    await until("the server's end", () => findPostmaster(join(dataDir, "pgdata")) === undefined);
  });
  return dataDir;
}

/**
 * A TCP port of this machine that nobody listens on. Below those that systems give to outgoing
 * connections: one of these may be taken by a connection before the program listens on it.
 */
export function freePort(): number {
  for (const _ of upTo(portsTriedMax)) {
    const port = 20_000 + Math.floor(12_000 * Math.random());
    try {
      Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } }).stop(true);
      return port;
    } catch {
      // Somebody listens there.
    }
  }
  throw new Error(`none of ${portsTriedMax} ports is free`);
}

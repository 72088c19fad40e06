/**
 * Folders, servers and processes for the tests of the embedded PostgreSQL, for root and for an ordinary
 * user. Whatever a test takes from here is ended and removed after it: a test file says so itself, by
 * `afterEach(cleanUp)` and `afterAll(removeShared)`, since hooks belong to the file that sets them.
 */
import { expect } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { EmbeddedError, type EmbeddedServer, startEmbedded } from "../../src/postgres/embedded.ts";
import { leaveRun, runFolder } from "../support/runs.ts";
import { poll } from "../../src/postgres/poll.ts";

export const isRoot = process.geteuid?.() === 0;
const conditionBounds = { everyMs: 5, waitMaxMs: 30_000 };
const modulePath = join(import.meta.dir, "../../src/postgres/embedded.ts");

export const cleanups: (() => Promise<void> | void)[] = [];

/** Ends and removes what a test has taken. */
export async function cleanUp(): Promise<void> {
  for (const cleanup of cleanups.splice(0).toReversed()) {
    // In the opposite order, one after another: servers before their folders.
    // oxlint-disable-next-line no-await-in-loop
    await cleanup();
  }
}

/** A new folder that the server's user can reach. */
export function newFolder(mode = 0o755): string {
  const parent = newParent(mode);
  const dataDir = join(parent, "data");
  cleanups.push(async () => {
    await killServer(dataDir);
    rmSync(parent, { recursive: true, force: true });
  });
  return dataDir;
}

/** A folder with a database in it that is not running. All tests share it, and leave it usable. */
export async function usedFolder(): Promise<string> {
  shared ??= join(newParent(0o755), "data");
  const dataDir = shared;
  if (!existsSync(dataDir)) {
    const server = await startEmbedded({ dataDir, log() {} });
    await server.leave();
  }
  cleanups.push(() => killServer(dataDir));
  return dataDir;
}
let shared: string | undefined;

/** Removes the folder of {@link usedFolder}, and whatever else is left. */
export function removeShared(): void {
  leaveRun();
  shared = undefined;
}

export function newParent(mode: number): string {
  const parent = mkdtempSync(join(runFolder(), "embedded-"));
  chmodSync(parent, mode);
  return parent;
}

/** For a server that a test has left; those it started and knows of are stopped before. */
export async function killServer(dataDir: string): Promise<void> {
  const pid = postmasterPid(dataDir);
  if (pid === undefined || !isServer(pid)) return;
  process.kill(pid, "SIGQUIT");
  await until(() => !isServer(pid));
}

/** Puts other content into a file until the test is over. */
export function replaceForTheTest(path: string, content: string): void {
  const before = readFileSync(path);
  cleanups.push(() => writeFileSync(path, before));
  writeFileSync(path, content);
}

export async function start(dataDir: string): Promise<{ server: EmbeddedServer; lines: string[] }> {
  const lines: string[] = [];
  const server = await startEmbedded({ dataDir, log: (line) => lines.push(line) });
  cleanups.push(() => server.leave());
  return { server, lines };
}

/** A process that starts the server on the folder and then waits to be killed. */
export function startInChild(dataDir: string): Bun.Subprocess<"ignore", "pipe", "inherit"> {
  const script = `
    import { startEmbedded } from ${JSON.stringify(modulePath)};
    await startEmbedded({ dataDir: ${JSON.stringify(dataDir)}, log() {} });
    console.log("started");
    setInterval(() => {}, 1000);`;
  const child = Bun.spawn([process.execPath, "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  cleanups.push(async () => {
    child.kill("SIGKILL");
    await child.exited;
  });
  return child;
}

export async function printed(child: Bun.Subprocess<"ignore", "pipe", "inherit">): Promise<string> {
  const { value } = await child.stdout.getReader().read();
  return new TextDecoder().decode(value).trim();
}

export async function failure(dataDir: string): Promise<string> {
  const error = await startEmbedded({ dataDir, log() {} }).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(EmbeddedError);
  return error instanceof Error ? error.message : "";
}

export async function query(server: EmbeddedServer, statement: string): Promise<unknown[][]> {
  const sql = postgres({ ...server.connection, max: 1, onnotice() {} });
  try {
    return await sql.unsafe(statement).values();
  } finally {
    await sql.end();
  }
}

export function postmasterPid(dataDir: string): number | undefined {
  const path = join(dataDir, "pgdata/postmaster.pid");
  if (!existsSync(path)) return undefined;
  return Number(readFileSync(path, "utf8").split("\n")[0]);
}

export function runningPid(dataDir: string): number {
  const pid = postmasterPid(dataDir);
  if (pid === undefined || !isServer(pid)) throw new Error(`no server runs in ${dataDir}`);
  return pid;
}

export function isServer(pid: number): boolean {
  const ps = Bun.spawnSync(["ps", "-o", "stat=,command=", "-p", String(pid)]);
  const line = ps.stdout.toString().trim();
  return line.includes("postgres") && !line.startsWith("Z");
}

export async function until(condition: () => boolean): Promise<void> {
  const met = await poll(conditionBounds, () => (condition() ? true : undefined));
  if (met === undefined) throw new Error("the condition was not met in time");
}

export const modeOf = (path: string) => statSync(path).mode & 0o777;

/** The pid in the lock files of a killed server, changed to another's. */
export async function leaveLockFilesOf(dataDir: string, pid: number): Promise<void> {
  const { server } = await start(dataDir);
  const killed = runningPid(dataDir);
  process.kill(killed, "SIGKILL");
  await until(() => !isServer(killed));
  for (const path of [join(dataDir, "pgdata/postmaster.pid"), `${server.connection.path}.lock`]) {
    writeFileSync(path, readFileSync(path, "utf8").replace(/^\d+/, String(pid)));
  }
}

/** Another program of the user that the server runs as. */
export function startBystander(dataDir: string): Bun.Subprocess {
  const { uid, gid } = statSync(join(dataDir, "pgdata"));
  const bystander = Bun.spawn(["sleep", "1000"], {
    ...(isRoot ? { uid, gid } : {}),
    cwd: "/",
    stdio: ["ignore", "ignore", "ignore"],
  });
  cleanups.push(() => bystander.kill());
  return bystander;
}

/** Lets a stopped process go on, if it still exists. */
export function resume(pid: number): void {
  if (isServer(pid)) process.kill(pid, "SIGCONT");
}

/** A field of what Linux says about a process. */
export const statusOf = (pid: number, name: string) =>
  new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];

/**
 * The running server, seen from outside: who it is, what state it is in, and how it is stopped.
 *
 * All knowledge comes from `postmaster.pid`, which PostgreSQL writes into its data folder and takes
 * away when it ends; after a crash it stays. So the file is believed only when the process it names
 * is a postgres started on this folder. A pid that has passed to another program is no server.
 */
import { readFileSync, statSync, unlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { EmbeddedError, systemErrorCode } from "./error.ts";
import { poll } from "./poll.ts";

type Postmaster = {
  readonly pid: number;
  readonly state: "starting" | "ready" | "stopping";
};

/** A fast shutdown writes at most the shared buffers to disk: seconds, on a slow disk a minute. */
const fastShutdownWaitMaxMs = 60_000;
const immediateShutdownWaitMaxMs = 10_000;
const pollMs = 5;

/** The server that runs on `pgdata`, or undefined. */
export function findPostmaster(pgdata: string): Postmaster | undefined {
  const lines = readLines(join(pgdata, "postmaster.pid"));
  // While it starts, the file has fewer lines; a standby's is negative in single-user mode.
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0 || !servesFolder(pid, pgdata)) return undefined;
  switch (lines[7]?.trim()) {
    case "ready":
      return { pid, state: "ready" };
    case "stopping":
      return { pid, state: "stopping" };
    // Also "standby": one that reads an archive's log, and lets nobody in until it has.
    default:
      return { pid, state: "starting" };
  }
}

/**
 * Removes what a server that is gone left behind when its pid belongs to another program by now:
 * PostgreSQL would take that program for a server, and refuse. Leftovers of a pid that nobody has it
 * removes by itself. Called under the folder's lock, when {@link findPostmaster} found nobody and the
 * socket answers nobody. Should processes of the old server be left, PostgreSQL still sees them by
 * their shared memory, which it finds through the data folder, and does not start.
 */
export function removeStaleLockFiles(pgdata: string, socketFile: string): void {
  for (const path of [join(pgdata, "postmaster.pid"), `${socketFile}.lock`]) {
    const pid = Math.abs(Number(readLines(path)[0]));
    if (isAlive(pid)) unlinkSync(path);
  }
}

/** Ends the server: no new connections, transactions rolled back, a checkpoint. */
export async function stopPostmaster(pgdata: string, logPath: string): Promise<void> {
  const found = findPostmaster(pgdata);
  if (found === undefined) return;
  signal(found.pid, "SIGINT");
  if (await gone(found.pid, pgdata, fastShutdownWaitMaxMs)) return;
  // Ends without the checkpoint; the next start recovers from the log.
  signal(found.pid, "SIGQUIT");
  if (await gone(found.pid, pgdata, immediateShutdownWaitMaxMs)) return;
  throw new EmbeddedError(
    `PostgreSQL (pid ${found.pid}) does not end: see ${logPath}, and end that process.`,
  );
}

async function gone(pid: number, pgdata: string, waitMaxMs: number): Promise<boolean> {
  const isGone = () => (servesFolder(pid, pgdata) ? undefined : true);
  return (await poll({ everyMs: pollMs, waitMaxMs }, isGone)) ?? false;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (systemErrorCode(error) !== "ESRCH") throw error;
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid === 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: alive, and not ours.
    return systemErrorCode(error) === "EPERM";
  }
}

/** Whether the process is a `postgres -D <folder>` with that very folder, by whatever path. */
function servesFolder(pid: number, pgdata: string): boolean {
  const command = commandOf(pid);
  if (command[0] === undefined || basename(command[0]) !== "postgres") return false;
  const folder = command[command.indexOf("-D") + 1];
  if (folder === undefined) return false;
  const theirs = identityOf(folder);
  return theirs !== undefined && theirs === identityOf(pgdata);
}

/** Undefined for a folder that is not there, or that we may not see and so is not ours. */
function identityOf(folder: string): string | undefined {
  try {
    const { dev, ino } = statSync(folder);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

/** Empty when there is no such process, or only its zombie. */
function commandOf(pid: number): string[] {
  if (process.platform === "linux") {
    return readLines(`/proc/${pid}/cmdline`, "\0");
  }
  // Our own arguments, in our own order: cut at the options rather than at spaces, as paths have some.
  const ps = Bun.spawnSync(["/bin/ps", "-ww", "-o", "command=", "-p", String(pid)]);
  const [program, folder] = ps.stdout
    .toString()
    .trim()
    .split(/ -[Dc] /);
  return program === undefined || folder === undefined ? [] : [program, "-D", folder];
}

function readLines(path: string, separator = "\n"): string[] {
  try {
    return readFileSync(path, "utf8").split(separator);
  } catch (error) {
    const code = systemErrorCode(error);
    // ESRCH: the process ended between opening and reading.
    if (code === "ENOENT" || code === "ESRCH") return [];
    throw error;
  }
}

/**
 * Who the server runs as, and starting a program as that user.
 *
 * As an ordinary user: ourselves. PostgreSQL refuses to run as root, so as root it is the first of
 *   1. the owner of the data that is there,
 *   2. the owner of the data folder, when that is not root,
 *   3. a user named `stampede`, for whoever wants one of its own,
 *   4. `nobody`, which every system has.
 * Not `postgres`: where that user exists it owns another database, whose files and whose trust it
 * would share with ours. The same weakness is left in `nobody`: two installations that root starts
 * run as the same user. A `stampede` user, or data folders that belong to different users, part them.
 *
 * A program runs in a session of its own, so that a Ctrl-C in our terminal is ours alone; its output
 * goes to a file, so that it outlives us; and its environment is empty.
 */
import { chownSync, readFileSync, statSync } from "node:fs";
import { EmbeddedError, systemErrorCode } from "./error.ts";
import { withPathCapability } from "./capability.ts";

export type Account = { readonly uid: number; readonly gid: number };

/** The user the server runs as. Neither folder has to exist. */
export function serverAccount(dataDir: string, pgdata: string): Account {
  const self = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  if (self.uid !== 0) return self;
  const account =
    ownerOf(pgdata) ?? ownerOf(dataDir) ?? accountNamed("stampede") ?? accountNamed("nobody");
  if (account === undefined) {
    throw new EmbeddedError(
      "PostgreSQL refuses to run as root, and this system has no user nobody: add a user named stampede, or start as an ordinary user.",
    );
  }
  return account;
}

/** Undefined for root, and for a path that leads nowhere, which is for others to complain about. */
function ownerOf(path: string): Account | undefined {
  try {
    const { uid, gid } = statSync(path);
    return uid === 0 ? undefined : { uid, gid };
  } catch {
    return undefined;
  }
}

function accountNamed(name: string): Account | undefined {
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(":") ?? [];
  if (uid === undefined || gid === undefined) return undefined;
  // macOS writes nobody's as -2.
  return { uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 };
}

/** Gives a file to the account when it is not ours already. Only root has reason to, and may. */
export function giveTo(account: Account, path: string): void {
  if (account.uid !== process.geteuid?.()) chownSync(path, account.uid, account.gid);
}

/** Starts `command` as the account; `logFile` is the open file that takes what it prints. */
export function spawnAs(account: Account, command: string[], logFile: number): Bun.Subprocess {
  const identity = account.uid === process.geteuid?.() ? {} : account;
  const spawn = () =>
    Bun.spawn(command, {
      ...identity,
      cwd: "/",
      // TZ: initdb would otherwise compare every time zone with the machine's.
      env: { TZ: "UTC", LC_ALL: "C" },
      stdio: ["ignore", logFile, logFile],
      detached: true,
    });
  const program = command[0] ?? "";
  const child = attempt(program, spawn) ?? attempt(program, () => withPathCapability(spawn));
  if (child === undefined) throw new EmbeddedError(closedTo(account, program));
  return child;
}

/** Undefined when the kernel denies access: to the program or, far more often, to a folder above. */
function attempt<T>(program: string, spawn: () => T): T | undefined {
  try {
    return spawn();
  } catch (error) {
    if (systemErrorCode(error) === "EACCES") return undefined;
    if (systemErrorCode(error) !== "ENOENT") throw error;
    throw new EmbeddedError(
      `${program} does not run on this system, which lacks the loader it was built for (it needs glibc 2.27 or later, not musl): set DATABASE_URL to a PostgreSQL 15 or later.`,
      { cause: error },
    );
  }
}

function closedTo(account: Account, program: string): string {
  const mounted = "or its file system is mounted noexec";
  return account.uid === process.geteuid?.()
    ? `${program} may not be run: a folder above it is closed to this user, ${mounted}. Point STAMPEDE_DATA at another folder.`
    : `PostgreSQL refuses to run as root, and uid ${account.uid}, which it runs as instead, may not run ${program}: a folder above it is closed to that user, ${mounted}. Point STAMPEDE_DATA at a folder that other users may enter, such as /var/lib/stampede.`;
}

/**
 * One process at a time prepares, starts or stops the server of a data folder; and who uses it.
 *
 * The locks are the kernel's (`flock`), so they end with the process that holds them, however that
 * ends: there is never a stale one to judge. Who starts or stops it is waited for with a bound,
 * because it may be sitting out a crash recovery.
 */
import { closeSync, openSync } from "node:fs";
import { type Account, giveTo } from "./account.ts";
import { EmbeddedError } from "./error.ts";
import { libcLock } from "./libc.ts";
import { poll } from "./poll.ts";

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const lockPollMs = 10;
/** Longer than the longest thing done under the lock, a start with crash recovery. */
const lockWaitMaxMs = 11 * 60_000;

/**
 * Opens a file to be locked, which is made when it is not there.
 * @param owner of the data folder, who must be able to take the lock as well when we are root
 * @returns a descriptor. Close-on-exec, as all are in Bun: a server must not keep what is locked
 */
function openLock(path: string, owner: Account): number {
  const fd = openSync(path, "a", 0o600);
  giveTo(owner, path);
  return fd;
}

/** @param owner of the data folder */
export async function underLock<T>(
  path: string,
  owner: Account,
  work: () => Promise<T>,
): Promise<T> {
  const { flock } = libcLock();
  const fd = openLock(path, owner);
  try {
    const isOurs = await poll({ everyMs: lockPollMs, waitMaxMs: lockWaitMaxMs }, () =>
      flock(fd, LOCK_EX | LOCK_NB) === 0 ? true : undefined,
    );
    if (isOurs === undefined) {
      throw new EmbeddedError(
        `Another process has been starting or stopping the database of this folder for ${lockWaitMaxMs / 60_000} minutes (it holds ${path}): look at that process, end it, and start again.`,
      );
    }
    return await work();
  } finally {
    closeSync(fd);
  }
}

/**
 * One that uses the server, counted by a lock that it shares with all others who do. They come and
 * go under the other lock, so that nobody comes while somebody finds out to be the last.
 */
export class User {
  readonly #path: string;
  readonly #owner: Account;
  #fd: number | null = null;

  constructor(path: string, owner: Account) {
    this.#path = path;
    this.#owner = owner;
  }

  get isHere(): boolean {
    return this.#fd !== null;
  }

  /** Idempotent. */
  come(): void {
    if (this.#fd !== null) return;
    const fd = openLock(this.#path, this.#owner);
    // Nobody holds it alone for longer than the other lock.
    if (libcLock().flock(fd, LOCK_SH | LOCK_NB) !== 0) {
      closeSync(fd);
      throw new EmbeddedError(`${this.#path} cannot be locked: end whoever holds it.`);
    }
    this.#fd = fd;
  }

  /** @returns whether nobody is left; false for who is not here. */
  go(): boolean {
    const fd = this.#fd;
    if (fd === null) return false;
    this.#fd = null;
    const isLast = libcLock().flock(fd, LOCK_EX | LOCK_NB) === 0;
    closeSync(fd);
    return isLast;
  }
}

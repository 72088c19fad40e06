/**
 * One process at a time prepares, starts or stops the server of a data folder.
 *
 * The lock is the kernel's (`flock`), so it ends with the process that holds it, however that ends:
 * there is never a stale one to judge. It is waited for with a bound, because its holder may be
 * sitting out a crash recovery.
 */
import { closeSync, openSync } from "node:fs";
import { type Account, giveTo } from "./account.ts";
import { EmbeddedError } from "./error.ts";
import { libcLock } from "./libc.ts";
import { poll } from "./poll.ts";

const LOCK_EX = 2;
const LOCK_NB = 4;
const lockPollMs = 10;
/** Longer than the longest thing done under the lock, a start with crash recovery. */
const lockWaitMaxMs = 11 * 60_000;

/** @param owner of the data folder, who must be able to take the lock as well when we are root */
export async function underLock<T>(
  path: string,
  owner: Account,
  work: () => Promise<T>,
): Promise<T> {
  const { flock } = libcLock();
  // Opened close-on-exec, as all files are in Bun: a server started under the lock must not keep it.
  const fd = openSync(path, "a", 0o600);
  try {
    giveTo(owner, path);
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

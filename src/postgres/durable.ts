/** Files that are whole or absent, whatever happens to the process or the machine meanwhile. */
import { closeSync, fchmodSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { type Account, giveTo } from "./account.ts";

/** Writes a file or a folder through to the disk. */
export function sync(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** A reader sees the old content or the new one, also after a crash. */
export function writeWhole(path: string, content: string, mode: number, owner?: Account): void {
  const unfinished = `${path}.unfinished`;
  rmSync(unfinished, { force: true });
  const fd = openSync(unfinished, "wx", 0o600);
  try {
    writeSync(fd, content);
    // Not left to our umask, as the server may be another user than we are.
    fchmodSync(fd, mode);
    if (owner !== undefined) giveTo(owner, unfinished);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(unfinished, path);
}

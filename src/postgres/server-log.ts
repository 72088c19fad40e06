/**
 * `postgres.log`: what the server prints, bounded to twice {@link logBytesMax}.
 *
 * The server and initdb append to the file itself, not to a pipe of ours, so that they survive us.
 * Past the bound its content moves to `postgres.log.1` and it is emptied in place: the writers, who
 * have it open to append, go on at its new end. A line written in that moment can be lost.
 */
import {
  closeSync,
  copyFileSync,
  fstatSync,
  openSync,
  readSync,
  statSync,
  truncateSync,
} from "node:fs";
import { join } from "node:path";
import { type Account, giveTo } from "./account.ts";

const logBytesMax = 8 * 1024 * 1024;
const quotedBytesMax = 4096;
const quotedLinesMax = 12;

export type ServerLog = {
  readonly path: string;
  /** Calls `use` with the file open for appending, and the size it has at that moment. */
  appendTo<T>(use: (fd: number, bytesBefore: number) => T): T;
  /** The last lines written after `offset`. */
  linesSince(offset: number): string;
  /** Moves the content aside when there is too much of it. */
  bound(): void;
};

export function serverLogIn(dataDir: string, owner: Account): ServerLog {
  const path = join(dataDir, "postgres.log");
  return {
    path,
    appendTo(use) {
      const fd = openSync(path, "a", 0o600);
      try {
        giveTo(owner, path);
        return use(fd, fstatSync(fd).size);
      } finally {
        closeSync(fd);
      }
    },
    linesSince(offset) {
      const size = statSync(path).size;
      const start = Math.max(offset, size - quotedBytesMax);
      const bytes = Buffer.alloc(Math.max(0, size - start));
      const fd = openSync(path, "r");
      readSync(fd, bytes, 0, bytes.length, start);
      closeSync(fd);
      return bytes.toString().trim().split("\n").slice(-quotedLinesMax).join("\n");
    },
    bound() {
      if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) <= logBytesMax) return;
      copyFileSync(path, `${path}.1`);
      truncateSync(path);
    },
  };
}

/** Copies of a server's data folder, file by file: while it is used, and into a place of its own. */
import { constants } from "node:fs";
import { copyFile, mkdir, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { systemErrorCode } from "./error.ts";

/** Folders whose contents a copy must not have: <https://www.postgresql.org/docs/current/continuous-archiving.html>. */
const emptied = new Set([
  "pg_wal",
  "pg_dynshmem",
  "pg_notify",
  "pg_replslot",
  "pg_serial",
  "pg_snapshots",
  "pg_stat_tmp",
  "pg_subtrans",
]);
const left = /^(?:postmaster\.(?:pid|opts)|backup_label|pg_internal\.init.*|pgsql_tmp.*)$/;

/**
 * A copy for PostgreSQL to recover from with the log that was written meanwhile: files may change
 * under it, grow, and go.
 * @param isOver asked before each file; then the copy is left as it is
 */
export async function copyWhileUsed(
  from: string,
  to: string,
  isOver: () => boolean,
): Promise<void> {
  await copyFolder(from, to, (name, isTop) => {
    if (isOver() || left.test(name)) return "leave";
    return isTop && emptied.has(name) ? "empty" : "copy";
  });
}

/** A copy of a copy. */
export const copyAll = (from: string, to: string): Promise<void> =>
  copyFolder(from, to, () => "copy");

type Choice = (name: string, isTop: boolean) => "copy" | "empty" | "leave";

async function copyFolder(from: string, to: string, choose: Choice, isTop = true): Promise<void> {
  await mkdir(to, { mode: 0o700 });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const choice = choose(entry.name, isTop);
    if (choice === "leave") continue;
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (choice === "empty") await mkdir(target, { mode: 0o700 });
    else if (entry.isDirectory()) await copyFolder(source, target, choose, false);
    else if (entry.isFile()) await copyOne(source, target);
  }
  await syncAt(to);
}

async function copyOne(from: string, to: string): Promise<void> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE);
  } catch (error) {
    // It went while others were copied: the log knows why.
    if (systemErrorCode(error) === "ENOENT") return;
    throw error;
  }
  await syncAt(to);
}

async function syncAt(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

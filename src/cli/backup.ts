/**
 * `stampede backup FILE` and `stampede restore FILE`: the records in a file, and out of it; and
 * `stampede restore --at TIME`, out of the archive.
 */
import { existsSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Connection } from "../postgres/client.ts";
import { sync } from "../postgres/durable.ts";
import { fillFromArchive } from "../postgres/from-archive.ts";
import { backUp } from "../store/backup.ts";
import { BackupError, readBlocks } from "../store/backup-file.ts";
import { setApart, restore } from "../store/restoring.ts";
import { isoTime } from "../time.ts";

type Tell = (line: string) => void;

/**
 * Makes a backup under another name, reads it again, and gives it its name when it is whole.
 * @throws BackupError
 */
export async function runBackup(
  connection: Connection,
  file: string,
  { version, say }: { readonly version: string; readonly say: Tell },
): Promise<void> {
  const path = resolve(file);
  if (existsSync(path)) throw new BackupError(`${file} is there already. Take another name.`);
  if (!existsSync(dirname(path))) throw new BackupError(`There is no folder ${dirname(path)}.`);
  const partial = `${path}.${crypto.randomUUID().slice(0, 8)}.partial`;
  try {
    const { header, end } = await backUp(connection, partial, { version, now: Date.now() });
    await readAgain(partial);
    renameSync(partial, path);
    sync(dirname(path));
    const counts = Object.values(end.rows);
    const rows = counts.reduce((sum, count) => sum + count, 0);
    const megabytes = (statSync(path).size / 1e6).toFixed(1);
    say(`Backed up ${rows} rows of ${counts.length} tables, up to attempt ${header.lastSeq}.`);
    say(`${file}: ${megabytes} MB, read again and whole. It has secrets in it: keep it as one.`);
  } finally {
    rmSync(partial, { force: true });
  }
}

/** @throws BackupError when it is not whole */
async function readAgain(path: string): Promise<void> {
  let last = "";
  for await (const { kind } of readBlocks(path)) last = kind;
  if (last !== "E") throw new BackupError(`${path} was not written whole.`);
}

/** @param folder the migrations */
export async function runRestore(
  connection: Connection,
  file: string,
  { folder, say }: { readonly folder: string; readonly say: Tell },
): Promise<void> {
  const { madeAt, lastSeq, version } = await restore(connection, resolve(file), folder, say);
  say(
    `Restored what Stampede ${version} backed up at ${isoTime(madeAt)}, up to attempt ${lastSeq}.`,
  );
  say("Everything after that is not in it. stampede verify audits what is.");
}

/**
 * @param at ms since the Unix epoch; null for the latest there is
 * @throws EmbeddedError
 */
export async function runRestoreAt(
  at: number | null,
  from: { readonly backupDir: string; readonly dataDir: string },
  say: Tell,
): Promise<void> {
  await fillFromArchive({ ...from, at, log: say }, async ({ connection }) => {
    const { lastSeq, lastAt } = await setApart(connection);
    const what = lastAt === null ? "no attempt" : `attempt ${lastSeq} of ${isoTime(lastAt)}`;
    say(`Restored up to ${what}. Everything after that is not in it.`);
  });
  say("stampede verify audits it. Give it a BACKUP_DIR of its own, or none.");
}

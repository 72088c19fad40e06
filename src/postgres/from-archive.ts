/**
 * A new data folder as the archived one was at a moment: the last copy of its data from before that,
 * and PostgreSQL brings it on by the log. See `archive.ts` for what an archive is.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { chown } from "node:fs/promises";
import { join, resolve } from "node:path";
import { freeBytes, gigabytes } from "../disk.ts";
import { type Account, serverAccount } from "./account.ts";
import { copiesIn, type DataCopy, positionOf, segment } from "./archive.ts";
import { copyAll } from "./copy-data.ts";
import { sync, writeWhole } from "./durable.ts";
import type { EmbeddedServer } from "./embedded.ts";
import { EmbeddedError } from "./error.ts";
import { fillNewFolder } from "./new-folder.ts";

const segmentBytes = 16 * 2 ** 20;

type FromArchive = {
  readonly backupDir: string;
  readonly dataDir: string;
  /** ms since the Unix epoch; null for all that there is. */
  readonly at: number | null;
  readonly log: (line: string) => void;
};

/**
 * @param use does something with the server before the folder is where it is to be
 * @throws EmbeddedError when there is nothing from before the moment, when part of the log is
 *   missing, and when the folder is not empty
 */
export async function fillFromArchive(
  { backupDir, dataDir, at, log }: FromArchive,
  use: (server: EmbeddedServer) => Promise<void>,
): Promise<void> {
  const found = findCopy(resolve(backupDir), at ?? Infinity);
  log(
    `Beginning from the copy of ${timeOf(found.copy.madeAt)}, with ${found.log.length} files of log.`,
  );
  const begin = async (inside: string) => {
    const account = serverAccount(inside, join(inside, "pgdata"));
    await layOut(found, inside, account);
    return recoverySettings(join(inside, "log"), at);
  };
  try {
    await fillNewFolder({ dataDir, log, begin }, use);
  } catch (error) {
    const isShort = error instanceof EmbeddedError && error.message.includes(endedBefore);
    if (!isShort || at === null) throw error;
    throw new EmbeddedError(
      `The log in the archive ends, or has a gap, before ${timeOf(at)}. Restore all that there is by --at latest, or put back what is missing.`,
      { cause: error },
    );
  }
}

const endedBefore = "recovery ended before configured recovery target was reached";

type Found = {
  readonly archive: string;
  readonly copy: DataCopy;
  /** Names of the log's files that are needed, in order. */
  readonly log: readonly string[];
};

function findCopy(backupDir: string, at: number): Found {
  const archives = existsSync(backupDir)
    ? readdirSync(backupDir)
        .map((name) => join(backupDir, name))
        .filter((path) => existsSync(join(path, "log")))
    : [];
  const all = archives.flatMap((archive) => copiesIn(archive).map((copy) => ({ archive, copy })));
  const ordered = all.toSorted((a, b) => a.copy.madeAt - b.copy.madeAt);
  const last = ordered.findLast(({ copy }) => copy.madeAt <= at);
  if (last === undefined) {
    const [oldest] = ordered;
    throw new EmbeddedError(
      oldest === undefined
        ? `There is no archive in ${backupDir}: set BACKUP_DIR to the folder that it is in.`
        : `${backupDir} begins at ${timeOf(oldest.copy.madeAt)}: nothing before that can be restored.`,
    );
  }
  const next = ordered.find(({ archive, copy }) => archive === last.archive && copy.madeAt > at);
  const log = logBetween(last.archive, last.copy, next?.copy);
  if (at === Infinity) refuseGap(last.archive, last.copy, log);
  return { ...last, log };
}

/** What is needed of the log, in order. */
function logBetween(archive: string, from: DataCopy, to: DataCopy | undefined): string[] {
  const end = to === undefined ? undefined : positionOf(to.lastSegment);
  const names = readdirSync(join(archive, "log")).filter((name) => !name.endsWith(".partial"));
  const needed = names.filter((name) => {
    if (!segment.test(name.slice(0, 24))) return /^[0-9A-F]{8}\.history/.test(name);
    const position = positionOf(name);
    return position >= positionOf(from.firstSegment) && (end === undefined || position <= end);
  });
  return needed.toSorted();
}

/**
 * PostgreSQL goes as far as the log goes; that it came to the moment that it was told to, it sees to
 * itself. Of the end it knows nothing.
 * @throws EmbeddedError when a file in between is missing
 */
function refuseGap(archive: string, from: DataCopy, log: readonly string[]): void {
  const whole = log.map((name) => name.replace(".zst", "")).filter((name) => segment.test(name));
  const positions = new Set(whole.map(positionOf));
  const last = [...positions].toSorted().at(-1) ?? "";
  let position = positionOf(from.firstSegment);
  while (positions.has(position) && position < last) position = after(position);
  if (positions.has(position) && last >= positionOf(from.lastSegment)) return;
  throw new EmbeddedError(`${join(archive, "log")} lacks the segment …${position}: put it back.`);
}

/** The position of the segment that follows: 256 of them have a number in common. */
function after(position: string): string {
  const next = BigInt(`0x${position.slice(0, 8)}`) * 256n + BigInt(`0x${position.slice(8)}`) + 1n;
  return eightDigits(next / 256n) + eightDigits(next % 256n);
}

const eightDigits = (value: bigint): string => value.toString(16).toUpperCase().padStart(8, "0");

async function layOut(
  { archive, copy, log }: Found,
  inside: string,
  account: Account,
): Promise<void> {
  const needed = log.length * segmentBytes;
  const free = freeBytes(inside);
  if (free !== null && free < needed) {
    throw new EmbeddedError(
      `The log alone takes ${gigabytes(needed)}, and ${gigabytes(free)} are free there: point STAMPEDE_DATA at a larger disk.`,
    );
  }
  await copyAll(join(copy.folder, "pgdata"), join(inside, "pgdata"));
  const password = readFileSync(join(copy.folder, "password"), "utf8");
  writeWhole(join(inside, "password"), password, 0o600, account);
  mkdirSync(join(inside, "pgdata/pg_wal/archive_status"), { recursive: true, mode: 0o700 });
  writeWhole(join(inside, "pgdata/recovery.signal"), "", 0o600);
  mkdirSync(join(inside, "log"), { mode: 0o700 });
  for (const name of log) {
    const bytes = await Bun.file(join(archive, "log", name)).bytes();
    const plain = name.endsWith(".zst") ? await Bun.zstdDecompress(bytes) : bytes;
    await Bun.write(join(inside, "log", name.replace(/\.zst$/, "")), plain);
  }
  await giveAll(account, inside);
  sync(inside);
}

async function giveAll({ uid, gid }: Account, inside: string): Promise<void> {
  if (uid === process.geteuid?.()) return;
  for (const folder of ["pgdata", "log"]) {
    const entries = readdirSync(join(inside, folder), { recursive: true, encoding: "utf8" });
    for (const path of [".", ...entries]) await chown(join(inside, folder, path), uid, gid);
  }
}

/** It is ready when all of the log is in, up to the moment: until then it answers nobody. */
const recoverySettings = (log: string, at: number | null): Readonly<Record<string, string>> => ({
  restore_command: `cp "${log}/%f" "%p"`,
  hot_standby: "off",
  recovery_target_action: "promote",
  ...(at === null ? {} : { recovery_target_time: timeOf(at).replace("Z", "+00") }),
});

const timeOf = (ms: number): string => new Date(ms).toISOString();

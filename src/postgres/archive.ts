/**
 * A continuous archive of the embedded server in a folder of the operator's, BACKUP_DIR, of which
 * `from-archive.ts` makes a data folder as of a moment.
 *
 *   <system identifier>/    of the database, so that one folder can take those of several
 *     log/<segment>.zst     its log; PostgreSQL puts segments there whole, here they are compressed
 *     data-<time>/          a copy of its data, made while it sells, to begin from
 *
 * A segment is there when it is full, or a minute after something was written into it. While the
 * folder cannot be written PostgreSQL keeps its segments, on its own disk; that is said in the log, in
 * the figures and by `stampede doctor`.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Sql } from "postgres";
import { z } from "zod";
import { type Account, giveTo } from "./account.ts";
import { copyWhileUsed } from "./copy-data.ts";
import { sync, writeWhole } from "./durable.ts";
import { makeDataFolder } from "./folders.ts";

/** A full segment, or what PostgreSQL notes beside them. */
const finished = /^[0-9A-F]{24}(\.[0-9A-F]{8}\.backup)?$|^[0-9A-F]{8}\.history$/;
export const segment = /^[0-9A-F]{24}$/;
const segmentWaitSeconds = 60;
const roundEveryMs = 10_000;
export const copyEveryMs = 24 * 3_600_000;
const zstdLevel = 3;
/** How the folder of a copy ends that is being made, or removed. */
const unfinished = ".unfinished";

/** What a copy of the data says of itself; it is written last. */
const copyShape = z.object({
  /** ms since the Unix epoch, by PostgreSQL's clock: from when on it can be restored. */
  madeAt: z.number(),
  /** The log that it needs at least. */
  firstSegment: z.string().regex(segment),
  lastSegment: z.string().regex(segment),
});
export type DataCopy = z.infer<typeof copyShape> & { readonly folder: string };

/** Where a segment is in the log, whatever came before and after a restore. */
export const positionOf = (name: string): string => name.slice(8, 24);

/** Where the archive of a database is. */
export function archiveFor(backupDir: string, pgdata: string): string {
  const control = Buffer.alloc(8);
  const fd = openSync(join(pgdata, "global/pg_control"), "r");
  try {
    readSync(fd, control);
  } finally {
    closeSync(fd);
  }
  return join(backupDir, String(control.readBigUInt64LE()));
}

/** What the server is started with so that it archives there. */
export const archiveSettings = (archive: string): Readonly<Record<string, string>> => ({
  wal_level: "replica",
  archive_mode: "on",
  archive_library: "basic_archive",
  archive_timeout: String(segmentWaitSeconds),
  "basic_archive.archive_directory": join(archive, "log"),
});

/** Makes the folder that the server writes into. @throws what the file system says */
export function makeArchive(archive: string, account: Account): void {
  makeDataFolder(dirname(archive), account);
  for (const folder of [archive, join(archive, "log")]) {
    if (existsSync(folder)) continue;
    mkdirSync(folder, { mode: 0o700 });
    giveTo(account, folder);
  }
}

/**
 * Notes that the log has a gap: the server ran without an archive, so what comes now does not go on
 * where it ended, and needs a copy of the data to begin from.
 */
export const noteGap = (archive: string): void => writeWhole(gapIn(archive), "", 0o600);

const gapIn = (archive: string): string => join(archive, "gap");

/** The copies of an archive that are whole, oldest first. */
export function copiesIn(archive: string): DataCopy[] {
  return readdirSync(archive)
    .filter((name) => /^data-[^.]*$/.test(name))
    .toSorted()
    .map((name) => {
      const folder = join(archive, name);
      const said = copyShape.parse(JSON.parse(readFileSync(join(folder, "copy.json"), "utf8")));
      return Object.assign(said, { folder });
    });
}

type ArchiveOptions = {
  readonly archive: string;
  /** Any moment of so long, ms, can be restored. */
  readonly keepMs: number;
  readonly pgdata: string;
  readonly passwordFile: string;
  /** Does something as the superuser, in one session. */
  readonly asSuperuser: (work: (sql: Sql) => Promise<void>) => Promise<void>;
  /** Told once when it does not archive, and null when it does again. */
  readonly onTrouble: (reason: string | null) => void;
};

/** Compresses the log, copies the data once a day, and removes what is not needed any more. */
export class Archive {
  readonly #options: ArchiveOptions;
  #timer: Timer | undefined;
  #round: Promise<void> = Promise.resolve();
  #trouble: string | null = null;
  #isStopped = false;

  constructor(options: ArchiveOptions) {
    this.#options = options;
  }

  /** Why it is not kept; null while it is. */
  get trouble(): string | null {
    return this.#trouble;
  }

  start(): void {
    this.#round = this.#tend();
  }

  /** Resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#round;
  }

  async #tend(): Promise<void> {
    try {
      this.#note(await this.#once());
    } catch (error) {
      this.#note(error instanceof Error ? error.message : String(error));
    }
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => (this.#round = this.#tend()), roundEveryMs);
    this.#timer.unref();
  }

  #note(reason: string | null): void {
    if (this.#isStopped || reason === this.#trouble) return;
    this.#trouble = reason;
    this.#options.onTrouble(reason);
  }

  /** @returns what is wrong */
  async #once(): Promise<string | null> {
    let trouble: string | null = null;
    await this.#options.asSuperuser(async (sql) => {
      // Several programs may share a data folder; one of them is enough.
      const [lock] = await sql<{ isOurs: boolean }[]>`
        select pg_try_advisory_lock(hashtext('stampede archive')) as "isOurs"`;
      if (lock?.isOurs !== true) return;
      const { archive, keepMs } = this.#options;
      await compressLog(join(archive, "log"));
      const [now = Date.now(), failing] = await stateOf(sql);
      trouble = failing;
      const newest = copiesIn(archive).at(-1);
      const isOld = newest === undefined || now - newest.madeAt >= copyEveryMs;
      if (isOld || existsSync(gapIn(archive))) await this.#copy(sql);
      removeOld(archive, now - keepMs);
    });
    return trouble;
  }

  async #copy(sql: Sql): Promise<void> {
    const { archive, pgdata, passwordFile } = this.#options;
    for (const name of readdirSync(archive).filter((one) => one.endsWith(unfinished))) {
      rmSync(join(archive, name), { recursive: true });
    }
    const [began] = await sql<{ segment: string }[]>`
      select pg_walfile_name(pg_backup_start('stampede', true)) as segment`;
    const stamp = new Date().toISOString().replaceAll(/[:.]/g, "");
    const folder = join(archive, `data-${stamp}`);
    const inside = `${folder}${unfinished}`;
    mkdirSync(inside, { mode: 0o700 });
    await copyWhileUsed(pgdata, join(inside, "pgdata"), () => this.#isStopped);
    const [ended] = await sql<{ label: string; segment: string; at: number }[]>`
      select labelfile as label, pg_walfile_name(lsn) as segment,
             (extract(epoch from clock_timestamp()) * 1000)::float8 as at
      from pg_backup_stop(false)`;
    if (this.#isStopped || began === undefined || ended === undefined) return;
    writeWhole(join(inside, "pgdata/backup_label"), ended.label, 0o600);
    writeWhole(join(inside, "password"), readFileSync(passwordFile, "utf8"), 0o600);
    const copy = {
      madeAt: Math.ceil(ended.at),
      firstSegment: began.segment,
      lastSegment: ended.segment,
    };
    writeWhole(join(inside, "copy.json"), JSON.stringify(copy), 0o600);
    renameSync(inside, folder);
    rmSync(gapIn(archive), { force: true });
    sync(archive);
  }
}

/** PostgreSQL's time, and what it says when it cannot archive. */
async function stateOf(sql: Sql): Promise<readonly [number | undefined, string | null]> {
  const [state] = await sql<{ now: number; failed: string | null }[]>`
    select (extract(epoch from clock_timestamp()) * 1000)::float8 as now,
           case when last_failed_time > coalesce(last_archived_time, '-infinity')
             then last_failed_wal end as failed
    from pg_stat_archiver`;
  const failed = state?.failed ?? null;
  const trouble =
    failed === null ? null : `PostgreSQL cannot put ${failed} there: see postgres.log.`;
  return [state?.now, trouble];
}

/** Each is there whole, as it was or compressed, at every moment. */
async function compressLog(log: string): Promise<void> {
  for (const name of readdirSync(log).filter((one) => finished.test(one))) {
    const path = join(log, name);
    const { atime, mtime } = statSync(path);
    const partial = `${path}.partial`;
    await Bun.write(
      partial,
      await Bun.zstdCompress(await Bun.file(path).bytes(), { level: zstdLevel }),
    );
    utimesSync(partial, atime, mtime);
    sync(partial);
    renameSync(partial, `${path}.zst`);
    sync(log);
    rmSync(path);
  }
}

const removeFolder = (folder: string): void => rmSync(folder, { recursive: true });

/**
 * Leaves the last copy from before the moment, and what was archived from there on.
 * @param remove may be ended in the middle: what is left of a copy is none from before it is begun on
 */
export function removeOld(archive: string, before: number, remove = removeFolder): void {
  const copies = copiesIn(archive);
  const old = copies.filter(({ madeAt }) => madeAt < before);
  for (const { folder } of old.slice(0, -1)) {
    renameSync(folder, `${folder}${unfinished}`);
    sync(archive);
    remove(`${folder}${unfinished}`);
  }
  const [first] = copies.slice(Math.max(old.length - 1, 0));
  if (first === undefined) return;
  const log = join(archive, "log");
  for (const name of readdirSync(log)) {
    const isSegment = segment.test(name.slice(0, 24));
    if (isSegment && positionOf(name) < positionOf(first.firstSegment)) rmSync(join(log, name));
  }
}

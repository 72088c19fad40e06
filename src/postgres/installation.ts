/**
 * The server's files, unpacked below the data folder: `postgres-<version>-<hash>/`.
 *
 * They are there whole or not at all: unpacked under another name, written to disk, then renamed.
 * Root owns what root unpacks, so the ordinary user the server runs as cannot change what it runs.
 * Called under the folder's lock, and only when no server is running from here.
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { randomBytes } from "node:crypto";
import { dirname, join, relative } from "node:path";
import { type Distribution, libraryLinks, packageDistribution } from "./distribution.ts";
import { sync } from "./durable.ts";
import { EmbeddedError } from "./error.ts";
import { type Packed, packed } from "./packed.ts";

export type Installation = {
  /** As PostgreSQL says it: `18.4`. */
  readonly version: string;
  readonly postgres: string;
  readonly initdb: string;
  /** Unpacks the files when they are not there, and removes those of other versions. */
  prepare(): Promise<void>;
};

export function installationIn(dataDir: string): Installation {
  const source = serverFiles();
  const hash = new Bun.CryptoHasher("sha256").update(source.id).digest("hex").slice(0, 8);
  const name = `postgres-${source.version}-${hash}`;
  const folder = join(dataDir, name);
  return {
    version: source.version,
    postgres: join(folder, "bin/postgres"),
    initdb: join(folder, "bin/initdb"),
    async prepare() {
      const others = readdirSync(dataDir).filter(
        (other) => other.startsWith("postgres-") && other !== name,
      );
      for (const other of others) removeIfOurs(join(dataDir, other));
      if (!existsSync(folder)) await unpack(source, folder);
    },
  };
}

/** @throws EmbeddedError where this program brings no server */
export function serverFiles(): Packed | Distribution {
  if (packed === "source") return packageDistribution();
  if (packed !== "lean") return packed;
  throw new EmbeddedError(
    "This executable is the lean one, without a PostgreSQL: set DATABASE_URL to a PostgreSQL 15 or later, or take the other one.",
  );
}

function removeIfOurs(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // Root unpacked it, and we are not root: it costs space, and nothing else.
  }
}

async function unpack(source: Packed | Distribution, folder: string): Promise<void> {
  const unfinished = `${folder}.${randomBytes(4).toString("hex")}.unfinished`;
  mkdirSync(unfinished, { mode: 0o755 });
  if ("archive" in source) {
    await extract(source.archive, unfinished);
    setPermissions(unfinished);
  } else {
    linkFiles(source, unfinished);
  }
  for (const { path, target } of libraryLinks(unfinished)) symlinkSync(target, path);
  openFoldersAndSync(unfinished);
  renameSync(unfinished, folder);
  sync(dirname(folder));
}

async function extract(archive: string, folder: string): Promise<void> {
  const tar = await Bun.zstdDecompress(await Bun.file(archive).bytes());
  try {
    await new Bun.Archive(tar).extract(folder);
  } catch (cause) {
    rmSync(folder, { recursive: true, force: true });
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EmbeddedError(
      `PostgreSQL could not be unpacked into ${dirname(folder)} (${reason}): see that there are 100 MB free, or point STAMPEDE_DATA at another folder.`,
      { cause },
    );
  }
}

/** Hard links where the file system allows, since an installed package is never written again. */
function linkFiles(source: Distribution, folder: string): void {
  for (const file of source.files) {
    const from = join(source.root, file);
    const to = join(folder, file);
    mkdirSync(dirname(to), { recursive: true });
    try {
      linkSync(from, to);
    } catch {
      copyFileSync(from, to);
      chmodSync(to, permissionsOf(file));
    }
  }
}

/** The archive carries none, and our umask may keep out the user that the server runs as. */
function setPermissions(root: string): void {
  for (const { path, entry } of entriesBelow(root)) {
    if (entry.isFile()) chmodSync(path, permissionsOf(relative(root, path)));
  }
}

function permissionsOf(file: string): number {
  return file.startsWith("bin/") ? 0o755 : 0o644;
}

function openFoldersAndSync(root: string): void {
  chmodSync(root, 0o755);
  for (const { path, entry } of entriesBelow(root)) {
    if (entry.isDirectory()) chmodSync(path, 0o755);
    if (!entry.isSymbolicLink()) sync(path);
  }
  sync(root);
}

function entriesBelow(root: string) {
  return readdirSync(root, { recursive: true, withFileTypes: true }).map((entry) => ({
    entry,
    path: join(entry.parentPath, entry.name),
  }));
}

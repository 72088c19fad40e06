/**
 * The data folder and the folder of the server's socket: who may enter them.
 *
 * The data folder is ours alone. When root makes it, it stays root's, and the user that the server
 * runs as may pass through it and no more: so nothing that user does can mislead root in there.
 * Nothing outside the data folder changes hands, and of a folder that holds something already,
 * nothing but what we put in.
 */
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Account, giveTo } from "./account.ts";
import { EmbeddedError, systemErrorCode } from "./error.ts";

/** Enough to begin with: the server's files 60 MB, the database 40 MB, and its log. */
const freeBytesMin = 300e6;
/** initdb hands its own path to a shell between double quotes, and does not escape it. */
const unquotable = /["$`\\\n\r]/;
export const socketPort = 5432;
/** What `sun_path` holds on the strictest of our systems, macOS, without the closing zero. */
const socketPathBytesMax = 103;

export function refuseUnquotable(dataDir: string): void {
  const character = unquotable.exec(dataDir)?.[0];
  if (character === undefined) return;
  throw new EmbeddedError(
    `The path ${dataDir} has a ${JSON.stringify(character)} in it, which PostgreSQL cannot handle there: point STAMPEDE_DATA at another folder.`,
  );
}

/** @returns who owns the folder, and with it what we write in there. */
export function makeDataFolder(dataDir: string, account: Account): Account {
  mkdirSync(dirname(dataDir), { recursive: true });
  try {
    mkdirSync(dataDir, { mode: 0o700 });
  } catch (error) {
    if (systemErrorCode(error) !== "EEXIST") throw error;
  }
  const { uid, gid } = statSync(dataDir);
  const self = process.geteuid?.();
  const isNew = readdirSync(dataDir).length === 0;
  if (isNew && uid === self) {
    const passesThrough = account.uid !== self;
    if (passesThrough) chownSync(dataDir, uid, account.gid);
    chmodSync(dataDir, passesThrough ? 0o710 : 0o700);
  }
  return self === 0 ? { uid, gid } : account;
}

/** Refuses a disk that a new database would fill. */
export function requireSpace(dataDir: string): void {
  const { bavail, bsize } = statfsSync(dataDir);
  if (bavail * bsize < freeBytesMin) {
    throw new EmbeddedError(
      `There is too little space for a database in ${dataDir}: free ${freeBytesMin / 1e6} MB, or point STAMPEDE_DATA at a larger disk.`,
    );
  }
}

export function socketFile(folder: string): string {
  return join(folder, `.s.PGSQL.${socketPort}`);
}

/**
 * Makes the folder of the socket: in the data folder, unless its path is too long for a socket. Then
 * it is one for temporary files with a name that nobody can guess, noted in the data folder, so that
 * every process and every start comes to the same.
 */
export function makeSocketFolder(dataDir: string, account: Account, owner: Account): string {
  const own = join(dataDir, "run");
  if (Buffer.byteLength(socketFile(own)) <= socketPathBytesMax) {
    if (claimed(own, account)) return own;
    throw new Error(`${own} is not a folder of the user the server runs as (uid ${account.uid})`);
  }
  const note = join(dataDir, "socket-folder");
  const [noted, notedFor] = readNote(note);
  // The note may have come here with a copy of the folder.
  if (noted !== undefined && notedFor === dataDir && claimed(noted, account)) return noted;
  const folder = mkdtempSync(join(tmpdir(), "stampede-"));
  giveTo(account, folder);
  writeFileSync(note, `${folder}\n${dataDir}\n`, { mode: 0o600 });
  giveTo(owner, note);
  return folder;
}

/** Takes away a folder for the socket that is not in the data folder, once no server uses it. */
export function removeTemporarySocketFolder(dataDir: string, folder: string): void {
  if (dirname(folder) !== dataDir) rmSync(folder, { recursive: true, force: true });
}

/** Whether the folder is the account's alone; makes it when it is not there. */
function claimed(folder: string, account: Account): boolean {
  try {
    mkdirSync(folder, { mode: 0o700 });
    giveTo(account, folder);
  } catch (error) {
    if (systemErrorCode(error) !== "EEXIST") throw error;
  }
  const stat = lstatSync(folder);
  return stat.isDirectory() && stat.uid === account.uid && (stat.mode & 0o077) === 0;
}

function readNote(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split("\n");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw error;
  }
}

/**
 * A data folder that is made with something in it, or not at all: it is filled in a folder inside,
 * where nobody looks for a database, and what is whole is moved up. The database itself comes last,
 * and it is what makes the folder one with data.
 */
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { serverAccount } from "./account.ts";
import { sync } from "./durable.ts";
import { startEmbedded, type EmbeddedServer } from "./embedded.ts";
import { EmbeddedError, mendable } from "./error.ts";
import { makeDataFolder } from "./folders.ts";
import { stopPostmaster } from "./postmaster.ts";

const unfinished = /^restoring-[0-9a-f]+$/;
/** What makes up a database that is stopped; the rest is of one that runs. */
const lasting = /^(?:postgres-.*|postgres\.conf|password)$/;

type NewFolder = {
  readonly dataDir: string;
  readonly log: (line: string) => void;
  /**
   * Puts something into the folder in which the data are made, before a server is started there.
   * @returns settings for the server that is
   */
  readonly begin?: (inside: string) => Promise<Readonly<Record<string, string>>>;
};

/**
 * @param fill puts the data into the server that runs meanwhile
 * @throws EmbeddedError when the folder is not empty
 */
export async function fillNewFolder<T>(
  options: NewFolder,
  fill: (server: EmbeddedServer) => Promise<T>,
): Promise<T> {
  const dataDir = resolve(options.dataDir);
  return await mendable(dataDir, async () => {
    const before = existsSync(dataDir) ? statSync(dataDir) : null;
    await clearUnfinished(dataDir);
    makeDataFolder(dataDir, serverAccount(dataDir, join(dataDir, "pgdata")));
    const inside = join(dataDir, `restoring-${randomBytes(4).toString("hex")}`);
    try {
      mkdirSync(inside, { mode: 0o700 });
      const { uid, gid } = statSync(dataDir);
      // Whoever the folder belongs to is whom the server runs as.
      if (uid !== statSync(inside).uid) chownSync(inside, uid, gid);
      const settings = (await options.begin?.(inside)) ?? {};
      const server = await startEmbedded({ log: options.log, dataDir: inside, settings });
      const filled = await fill(server).finally(() => server.leave());
      moveUp(inside, dataDir);
      return filled;
    } catch (error) {
      rmSync(inside, { recursive: true, force: true });
      if (before === null) rmdirSync(dataDir);
      else {
        chownSync(dataDir, before.uid, before.gid);
        chmodSync(dataDir, before.mode & 0o7777);
      }
      throw error;
    }
  });
}

/** Takes away what a restore that was killed has left. @throws EmbeddedError for anything else */
async function clearUnfinished(dataDir: string): Promise<void> {
  const names = existsSync(dataDir) ? readdirSync(dataDir) : [];
  const other = names.find((name) => !unfinished.test(name) && name !== "lost+found");
  if (other !== undefined) {
    throw new EmbeddedError(
      `${dataDir} is not empty (${other}): restore into a folder that is, by STAMPEDE_DATA.`,
    );
  }
  for (const name of names.filter((one) => unfinished.test(one))) {
    const left = join(dataDir, name);
    await stopPostmaster(join(left, "pgdata"), join(left, "postgres.log"));
    rmSync(left, { recursive: true, force: true });
  }
}

function moveUp(inside: string, dataDir: string): void {
  for (const name of readdirSync(inside).filter((one) => lasting.test(one))) {
    renameSync(join(inside, name), join(dataDir, name));
  }
  sync(dataDir);
  renameSync(join(inside, "pgdata"), join(dataDir, "pgdata"));
  sync(dataDir);
  rmSync(inside, { recursive: true, force: true });
}

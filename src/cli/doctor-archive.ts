/** What `stampede doctor` makes of the archive in BACKUP_DIR. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { archiveFor, copiesIn, copyEveryMs } from "../postgres/archive.ts";
import { messageOf } from "../postgres/client.ts";
import { fine, note, wrong, type Finding } from "./finding.ts";

/** A copy that is made once a day, and takes its time. */
const copyAgeMaxMs = 2 * copyEveryMs;

type Archived = {
  /** BACKUP_DIR, and the data folder. */
  readonly backupDir: string;
  readonly dataDir: string;
  /** Whether PostgreSQL could not put the last piece of its log there. */
  readonly fails: boolean;
};

export function archiveFinding({ backupDir, dataDir, fails }: Archived): Finding {
  const what = "archive";
  if (fails) {
    const found = `PostgreSQL cannot put its log into ${backupDir}: what is sold now cannot be restored from there`;
    const todo = "make room there, and let PostgreSQL's account write; postgres.log says why";
    return wrong(what, found, todo);
  }
  try {
    const archive = archiveFor(backupDir, join(dataDir, "pgdata"));
    if (existsSync(archive) && !existsSync(join(archive, "log"))) {
      const todo = "put it back, or start Stampede anew: it makes one, and begins the archive anew";
      return wrong(what, `${archive} has no folder log any more`, todo);
    }
    const copies = existsSync(archive) ? copiesIn(archive) : [];
    const [oldest, newest] = [copies[0], copies.at(-1)];
    if (oldest === undefined || newest === undefined) {
      const todo = "start it with BACKUP_DIR, and look again; its log says what is in the way";
      return note(what, `${backupDir} has no whole copy of these records yet`, todo);
    }
    const days = Math.floor((Date.now() - newest.madeAt) / copyEveryMs);
    if (Date.now() - newest.madeAt > copyAgeMaxMs) {
      const todo = "see that it runs with BACKUP_DIR, and what its log says";
      return wrong(what, `the last copy in ${backupDir} is ${days} days old`, todo);
    }
    const since = new Date(oldest.madeAt).toISOString();
    return fine(what, `${copies.length} in ${backupDir}, from ${since} on`);
  } catch (error) {
    const todo = "mend that, and ask again: nothing may be restorable from there";
    return wrong(what, `${backupDir} cannot be read: ${messageOf(error)}`, todo);
  }
}

/**
 * The data of the server, `pgdata/` below the data folder, and what goes with it: the password of
 * its superuser, and its settings.
 *
 * The cluster is there whole or not at all: initdb writes it under another name, with everything
 * synced to disk, and a rename makes it real. An initdb that was cut short, or still runs after its
 * parent was killed, has a name of its own that nobody uses again.
 */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { type Account, giveTo, spawnAs } from "./account.ts";
import { EmbeddedError } from "./error.ts";
import { sync, writeWhole } from "./durable.ts";
import { superuser } from "./roles.ts";
import type { ServerLog } from "./server-log.ts";

const majorVersion = "18";
const unfinished = /^pgdata\.[0-9a-f]+\.unfinished$/;

/**
 * What the journal needs of PostgreSQL: one writer that appends in small transactions, and a restart
 * after a crash in seconds. `fsync` and its kin are not here: they are arguments of the server, which
 * nothing overrides.
 *
 * wal_compression stays off: without lz4 in this build, pglz would cost the writer more than it saves.
 */
const settings = `# Stampede writes this file at every start.
# To change a setting, use ALTER SYSTEM: it wins over this file.

listen_addresses = ''
# Seven processes of this program at most on one machine: see FRONTS.
max_connections = 150

# A server that nobody replicates from: the least a log can hold.
wal_level = minimal
max_wal_senders = 0
max_logical_replication_workers = 0
wal_compression = off
wal_buffers = 16MB

# What bounds the time a start takes after a crash: at most about this much log is read again,
# at 110 to 200 MB/s. Checkpoints cost an appending writer next to nothing: it dirties each page
# once, and only the last page of each index is logged in full again. Twice as much took no less
# processor time a checkout (measured in turns at full flood, one every 5 seconds and every 11).
max_wal_size = 64MB
min_wal_size = 64MB
checkpoint_timeout = 5min
checkpoint_completion_target = 0.5
checkpoint_warning = 0

shared_buffers = 256MB
jit = off
autovacuum = on

log_line_prefix = '%m [%p] '
`;

export type Cluster = {
  readonly pgdata: string;
  /** Makes the cluster when there is none; refuses one that this program cannot run. */
  prepare(initdb: string): Promise<void>;
  writeSettings(): void;
};

export function clusterIn(dataDir: string, account: Account, log: ServerLog): Cluster {
  const pgdata = join(dataDir, "pgdata");
  return {
    pgdata,
    async prepare(initdb) {
      if (isEmpty(pgdata)) await initialise(dataDir, pgdata, account, log, initdb);
      checkUsable(dataDir, pgdata, account);
    },
    writeSettings() {
      const path = join(dataDir, "postgres.conf");
      if (existsSync(path) && readFileSync(path, "utf8") === settings) return;
      writeWhole(path, settings, 0o644);
    },
  };
}

/** Reads the password of the superuser, from which the others follow; makes one when there is no cluster yet that has another. */
export function superuserPassword(dataDir: string, account: Account): string {
  const path = join(dataDir, "password");
  if (existsSync(path)) return readFileSync(path, "utf8").trim();
  if (!isEmpty(join(dataDir, "pgdata"))) {
    throw new EmbeddedError(
      `${path} is missing, and without it nobody can log in to the database beside it: put it back from a backup.`,
    );
  }
  const password = randomBytes(32).toString("base64url");
  // initdb reads it, as the account.
  writeWhole(path, password, 0o600, account);
  return password;
}

async function initialise(
  dataDir: string,
  pgdata: string,
  account: Account,
  log: ServerLog,
  initdb: string,
): Promise<void> {
  removeUnfinished(dataDir);
  const fresh = join(dataDir, `pgdata.${randomBytes(4).toString("hex")}.unfinished`);
  mkdirSync(fresh, { mode: 0o700 });
  giveTo(account, fresh);
  // Comparisons by byte, which are the fastest; upper and lower case as Unicode has them.
  const locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"];
  const access = [`--username=${superuser}`, `--pwfile=${join(dataDir, "password")}`];
  const command = [
    initdb,
    `--pgdata=${fresh}`,
    ...access,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    ...locale,
    "--no-instructions",
  ];
  const [child, offset] = log.appendTo(
    (fd, size) => [spawnAs(account, command, fd), size] as const,
  );
  if ((await child.exited) !== 0) {
    const lines = log.linesSince(offset);
    removeUnfinished(dataDir);
    const hint = lines.includes("could not look up effective user ID")
      ? "\nIt needs a name for the user it runs as: add one to /etc/passwd, or run as another user."
      : "";
    throw new EmbeddedError(
      `PostgreSQL could not make a database in ${dataDir}. It said:\n${lines}${hint}`,
    );
  }
  const configuration = join(fresh, "postgresql.conf");
  appendFileSync(configuration, "\ninclude '../postgres.conf'\n");
  sync(configuration);
  renameSync(fresh, pgdata);
  sync(dataDir);
}

function removeUnfinished(dataDir: string): void {
  for (const name of readdirSync(dataDir).filter((entry) => unfinished.test(entry))) {
    try {
      rmSync(join(dataDir, name), { recursive: true, force: true });
    } catch {
      // An initdb whose parent was killed still writes there, and fails soon. The next start removes it.
    }
  }
}

function checkUsable(dataDir: string, pgdata: string, account: Account): void {
  const version = join(pgdata, "PG_VERSION");
  if (!existsSync(version)) {
    throw new EmbeddedError(
      `${pgdata} is not a database of PostgreSQL (it has no PG_VERSION): move it away, or point STAMPEDE_DATA at another folder.`,
    );
  }
  const found = readFileSync(version, "utf8").trim();
  if (found !== majorVersion) {
    const next = `${dataDir}-${majorVersion}`;
    throw new EmbeddedError(
      `${pgdata} was made by PostgreSQL ${found}; this program carries ${majorVersion}. With the Stampede that made it, run:
  STAMPEDE_DATA='${dataDir}' stampede backup stampede.backup
and with this one:
  STAMPEDE_DATA='${next}' stampede restore stampede.backup
  STAMPEDE_DATA='${next}' stampede verify
Then start it with STAMPEDE_DATA='${next}'. The data here stay as they are.`,
    );
  }
  const owner = statSync(pgdata).uid;
  if (owner !== account.uid) {
    throw new EmbeddedError(
      `${pgdata} belongs to another user (uid ${owner}), and PostgreSQL runs on nobody else's data: start as that user, or point STAMPEDE_DATA at another folder.`,
    );
  }
}

function isEmpty(folder: string): boolean {
  return !existsSync(folder) || readdirSync(folder).length === 0;
}

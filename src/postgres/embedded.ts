/**
 * The embedded PostgreSQL: a real server, in a process of its own, on a folder of its own.
 *
 * Below the data folder:
 *   postgres-<version>-<hash>/   the server's files          (embedded/installation.ts)
 *   pgdata/, postgres.conf       its data, its settings      (embedded/cluster.ts)
 *   password                     its superuser's, 0600
 *   run/                         its Unix socket, 0700       (embedded/folders.ts)
 *   postgres.log                 what it prints, bounded     (embedded/server-log.ts)
 *   lock, users                  who may start or stop it, and who uses it  (embedded/lock.ts)
 *
 * It listens on the socket only. Any number of processes may share a folder: the first one starts the
 * server, the others find it running and use it, and so does the next start after a `kill -9`, since
 * the server outlives the process that started it. It ends with the last that uses it, whoever
 * started it; one that was killed uses it no more.
 *
 * Fails with an {@link EmbeddedError} for everything an operator can mend.
 */
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Account, serverAccount, spawnAs } from "./account.ts";
import { Archive, archiveFor, archiveSettings, makeArchive, noteGap } from "./archive.ts";
import { type Cluster, clusterIn, superuserPassword } from "./cluster.ts";
import { type Connection, answers, asSuperuser, openDatabase } from "./database.ts";
import { EmbeddedError, mendable } from "./error.ts";
import {
  makeDataFolder,
  makeSocketFolder,
  refuseUnquotable,
  removeTemporarySocketFolder,
  requireSpace,
  socketFile,
  socketPort,
} from "./folders.ts";
import { type Installation, installationIn, serverFiles } from "./installation.ts";
import { underLock, User } from "./lock.ts";
import { findPostmaster, removeStaleLockFiles, stopPostmaster } from "./postmaster.ts";
import { poll } from "./poll.ts";
import { passwordOf, reader, seller } from "./roles.ts";
import { type ServerLog, serverLogIn } from "./server-log.ts";

export { EmbeddedError } from "./error.ts";

export type EmbeddedServer = {
  /** For postgres.js. `host` is the folder of the socket, as libpq takes it; `path` is the socket. */
  readonly connection: Connection;
  /** The same for reading alone. */
  readonly reading: Connection;
  /** For a human: `embedded PostgreSQL 18.4 in /srv/stampede-data`. */
  readonly description: string;
  /** Starts the server when it does not run. To be called before each new connection. */
  ensure(): Promise<void>;
  /** As in `Database`. */
  startArchive(onTrouble: (reason: string | null) => void): void;
  /** As in `Database`. */
  archiveTrouble(): string | null | undefined;
  /**
   * Uses the server no more. Stops it when nobody else does, and resolves when it is gone.
   * Idempotent, and final for this object.
   */
  leave(): Promise<void>;
};

const database = "stampede";
/** Nearly all of it is for crash recovery, which reads up to 1 GB of log. */
const startWaitMaxMs = 10 * 60_000;
/** How long processes of a server that was killed may take to see that it is gone. */
const leftoverWaitMaxMs = 30_000;
const silenceWaitMaxMs = 10_000;
const leftoverPollMs = 30;
const startPollMs = 3;
const progressEveryMs = 5_000;
const logCheckEveryMs = 60_000;
/**
 * What PostgreSQL says when processes of a server that was killed are left and have not noticed yet,
 * or when another is starting, spawned by a process that was killed just before us.
 */
const inUse = /shared memory block .* is still in use|lock file .* already exists/;

/** Where the server archives to, BACKUP_DIR, and of how long any moment, ms, can be restored. */
type Archiving = { readonly backupDir: string; readonly keepMs: number };

export async function startEmbedded(options: {
  dataDir: string;
  /** Without it the server is left as it is in that. */
  archiving?: Archiving | undefined;
  /** Settings of this start alone. */
  settings?: Readonly<Record<string, string>>;
  /** Takes progress lines for a human: one at the first start, some during a long recovery. */
  log: (line: string) => void;
}): Promise<EmbeddedServer> {
  serverFiles();
  const dataDir = resolve(options.dataDir);
  refuseUnquotable(dataDir);
  return await mendable(dataDir, async () => {
    const account = serverAccount(dataDir, join(dataDir, "pgdata"));
    const owner = makeDataFolder(dataDir, account);
    const server = new Server(realpathSync(dataDir), account, owner, options);
    try {
      await server.ensure();
    } catch (error) {
      // What went wrong first is what is told.
      await server.leave().catch(() => {});
      throw error;
    }
    server.boundLog();
    return server;
  });
}

class Server implements EmbeddedServer {
  readonly description: string;
  readonly #dataDir: string;
  /** Who the server runs as. */
  readonly #account: Account;
  /** Whose the data folder is. */
  readonly #owner: Account;
  readonly #say: (line: string) => void;
  readonly #installation: Installation;
  readonly #cluster: Cluster;
  readonly #serverLog: ServerLog;
  readonly #user: User;
  readonly #archiving: Archiving | undefined;
  readonly #settings: Readonly<Record<string, string>>;
  #archive: Archive | undefined;
  #logCheck: Timer | undefined;
  #socketFolder = "";
  #password = "";
  #hasLeft = false;

  constructor(
    dataDir: string,
    account: Account,
    owner: Account,
    { archiving, settings = {}, log }: Omit<Parameters<typeof startEmbedded>[0], "dataDir">,
  ) {
    this.#dataDir = dataDir;
    this.#account = account;
    this.#owner = owner;
    this.#say = log;
    this.#archiving = archiving;
    this.#settings = settings;
    this.#installation = installationIn(dataDir);
    this.#serverLog = serverLogIn(dataDir, owner);
    this.#cluster = clusterIn(dataDir, account, this.#serverLog);
    this.#user = new User(join(dataDir, "users"), owner);
    this.description = `embedded PostgreSQL ${this.#installation.version} in ${dataDir}`;
  }

  /** Keeps the server's log within its bound, for as long as it is used. */
  boundLog(): void {
    this.#logCheck = setInterval(() => this.#serverLog.bound(), logCheckEveryMs);
    this.#logCheck.unref();
  }

  get connection(): Connection {
    return this.#as(seller);
  }

  get reading(): Connection {
    return this.#as(reader);
  }

  #as(username: string): Connection {
    return {
      host: this.#socketFolder,
      port: socketPort,
      path: socketFile(this.#socketFolder),
      username,
      password: passwordOf(username, this.#password),
      database,
    };
  }

  async ensure(): Promise<void> {
    this.#refuseWhenLeft();
    if (await this.#serves()) return;
    await mendable(this.#dataDir, () => this.#locked(() => this.#startOrAdopt()));
  }

  startArchive(onTrouble: (reason: string | null) => void): void {
    if (this.#archiving === undefined) return;
    const { pgdata } = this.#cluster;
    const { backupDir, keepMs } = this.#archiving;
    this.#archive = new Archive({
      archive: archiveFor(backupDir, pgdata),
      keepMs,
      pgdata,
      passwordFile: join(this.#dataDir, "password"),
      asSuperuser: (work) => asSuperuser(this.connection, this.#password, work),
      onTrouble,
    });
    this.#archive.start();
  }

  archiveTrouble(): string | null | undefined {
    return this.#archiving === undefined ? undefined : (this.#archive?.trouble ?? null);
  }

  async leave(): Promise<void> {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    await this.#archive?.stop();
    clearInterval(this.#logCheck);
    if (!this.#user.isHere) return;
    await mendable(this.#dataDir, () =>
      this.#locked(async () => {
        if (this.#user.go()) await this.#end();
      }),
    );
  }

  async #end(): Promise<void> {
    await stopPostmaster(this.#cluster.pgdata, this.#serverLog.path);
    removeTemporarySocketFolder(this.#dataDir, this.#socketFolder);
  }

  #locked(work: () => Promise<void>): Promise<void> {
    return underLock(join(this.#dataDir, "lock"), this.#owner, work);
  }

  async #serves(): Promise<boolean> {
    const isReady = findPostmaster(this.#cluster.pgdata)?.state === "ready";
    return isReady && (await this.#answers());
  }

  #answers(): Promise<boolean> {
    return answers(this.connection.path);
  }

  /** Somebody may have cleaned the folder for temporary files, and the socket with it. */
  #isCutOff(): boolean {
    return !existsSync(this.connection.path);
  }

  /** Whether the server was started last with the archive that is asked for, if one is. */
  #archivesAsAsked(): boolean {
    const settings = Object.entries(this.#archiveSettings());
    const noted = join(this.#cluster.pgdata, "postmaster.opts");
    if (settings.length === 0 || !existsSync(noted)) return true;
    const options = readFileSync(noted, "utf8");
    return settings.every(([name, value]) => options.includes(`"${name}=${value}"`));
  }

  #archiveSettings(): Readonly<Record<string, string>> {
    if (this.#archiving === undefined) return {};
    return archiveSettings(archiveFor(this.#archiving.backupDir, this.#cluster.pgdata));
  }

  #refuseWhenLeft(): void {
    if (this.#hasLeft) throw new EmbeddedError("The embedded PostgreSQL is used here no more.");
  }

  /** Under the lock. Afterwards the server accepts connections, and the database is there. */
  async #startOrAdopt(): Promise<void> {
    // While we waited for the lock.
    this.#refuseWhenLeft();
    this.#user.come();
    this.#socketFolder = makeSocketFolder(this.#dataDir, this.#account, this.#owner);
    this.#password = superuserPassword(this.#dataDir, this.#account);
    const running = await this.#settled();
    const isOfNoUse = running !== undefined && (this.#isCutOff() || !this.#archivesAsAsked());
    if (isOfNoUse) await stopPostmaster(this.#cluster.pgdata, this.#serverLog.path);
    const adopted = isOfNoUse ? undefined : running;
    if (adopted !== undefined) {
      this.#say(`Using the PostgreSQL that already runs in ${this.#dataDir} (pid ${adopted})`);
      await openDatabase(this.connection, this.#password);
      return;
    }
    await this.#prepare();
    await this.#start();
    await openDatabase(this.connection, this.#password);
  }

  /** A server that was killed is seen as gone a moment before its socket is closed. */
  async #fallsSilent(): Promise<boolean> {
    const bounds = { everyMs: startPollMs, waitMaxMs: silenceWaitMaxMs };
    const isSilent = async () => ((await this.#answers()) ? undefined : true);
    return (await poll(bounds, isSilent)) ?? false;
  }

  async #prepare(): Promise<void> {
    if (!(await this.#fallsSilent())) {
      throw new EmbeddedError(
        `A PostgreSQL that this process cannot see already serves ${this.#dataDir}, from another container perhaps: stop it first, or point STAMPEDE_DATA at another folder.`,
      );
    }
    if (!existsSync(this.#cluster.pgdata)) {
      requireSpace(this.#dataDir);
      const version = this.#installation.version;
      this.#say(`Preparing PostgreSQL ${version} in ${this.#dataDir} (first start only)`);
    }
    await this.#installation.prepare();
    await this.#cluster.prepare(this.#installation.initdb);
    this.#cluster.writeSettings();
    if (this.#archiving !== undefined) {
      const archive = archiveFor(this.#archiving.backupDir, this.#cluster.pgdata);
      makeArchive(archive, this.#account);
      if (!this.#archivesAsAsked()) noteGap(archive);
    }
    this.#serverLog.bound();
  }

  /** Starts the server and waits until it is ready, through a crash recovery if there is one. */
  async #start(): Promise<void> {
    const bounds = { everyMs: leftoverPollMs, waitMaxMs: leftoverWaitMaxMs };
    let lines = "";
    const pid = await poll(bounds, async () => {
      removeStaleLockFiles(this.#cluster.pgdata, this.connection.path);
      const [child, offset] = this.#serverLog.appendTo(
        (fd, size) => [spawnAs(this.#account, this.#command(), fd), size] as const,
      );
      child.unref();
      const started = await this.#settled(child);
      if (started !== undefined) return started;
      lines = this.#serverLog.linesSince(offset);
      if (!inUse.test(lines)) throw new EmbeddedError(this.#doesNotStart(lines));
      return await this.#settled();
    });
    if (pid === undefined) throw new EmbeddedError(this.#doesNotStart(lines));
  }

  #doesNotStart(lines: string): string {
    return `PostgreSQL does not start in ${this.#dataDir}. It said:\n${lines}`;
  }

  #command(): string[] {
    const always = {
      unix_socket_directories: `"${this.#socketFolder.replaceAll('"', '""')}"`,
      port: String(socketPort),
      // What has been acknowledged must be on disk: nobody turns these off for this server.
      fsync: "on",
      full_page_writes: "on",
      synchronous_commit: "on",
      ...this.#archiveSettings(),
      ...this.#settings,
    };
    const settings = Object.entries(always).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    return [this.#installation.postgres, "-D", this.#cluster.pgdata, ...settings];
  }

  /**
   * Waits while a server is starting or stopping.
   * @param child the server just spawned, which takes a moment to be seen
   * @returns the pid of the server that is ready, or undefined when there is none
   */
  async #settled(child?: Bun.Subprocess): Promise<number | undefined> {
    const begin = performance.now();
    const seconds = () => Math.round((performance.now() - begin) / 1000);
    let nextProgressMs = progressEveryMs;
    const bounds = { everyMs: startPollMs, waitMaxMs: startWaitMaxMs };
    const settled = await poll(bounds, async () => {
      const found = findPostmaster(this.#cluster.pgdata);
      // One that was killed this moment still looks ready.
      const isReady = found?.state === "ready";
      if (isReady && (this.#isCutOff() || (await this.#answers()))) return { pid: found.pid };
      const isComing = child !== undefined && child.exitCode === null && child.signalCode === null;
      if (found === undefined && !isComing) return { pid: undefined };
      if (performance.now() - begin > nextProgressMs) {
        nextProgressMs += progressEveryMs;
        const what = found?.state === "stopping" ? "stop" : "start";
        this.#say(`Waiting for PostgreSQL to ${what} (${seconds()} s so far)`);
      }
      return undefined;
    });
    if (settled !== undefined) return settled.pid;
    throw new EmbeddedError(
      `PostgreSQL in ${this.#dataDir} has not become ready in ${seconds()} seconds: see ${this.#serverLog.path}.`,
    );
  }
}

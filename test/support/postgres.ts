/**
 * A PostgreSQL for the tests: the embedded one's files and data, but listening on loopback TCP, as
 * a server at `DATABASE_URL` does. Each test takes a database of its own.
 *
 * `npm test` starts one for all files and says so in `TEST_POSTGRES`; a file that is run alone, or
 * that ends servers, has one of its own.
 *
 * Nothing is written for a machine that fails: the tests kill processes, never the machine, and
 * what a process has written survives it.
 */
import { beforeAll } from "bun:test";
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Sql } from "postgres";
import { connect } from "../../src/postgres/client.ts";
import { packageDistribution } from "../../src/postgres/distribution.ts";
import { startEmbedded } from "../../src/postgres/embedded.ts";
import { serverAccount, spawnAs } from "../../src/postgres/account.ts";
import { superuser } from "../../src/postgres/roles.ts";
import { makeDataFolder } from "../../src/postgres/folders.ts";
import { installationIn } from "../../src/postgres/installation.ts";
import { findPostmaster } from "../../src/postgres/postmaster.ts";
import { migrate } from "../../src/store/migrations.ts";
import { atEnd, freePort, newDataFolder, useLeftovers } from "./leftovers.ts";
import { inTurn, until } from "./wait.ts";

export const migrationsFolder = join(import.meta.dir, "../../drizzle");

/** Has the schema; new databases are copies of it, which takes a fraction of the migrations' time. */
const template = "records";

/** Databases on a server. */
export class Databases {
  readonly #server: () => string;
  #template: Promise<unknown> | undefined;

  /** @param server the URL of any database there, as its superuser */
  constructor(server: () => string) {
    this.#server = server;
  }

  url(database: string, password?: string): string {
    const url = new URL(this.#server());
    url.pathname = `/${database}`;
    if (password !== undefined) url.password = password;
    return url.href;
  }

  protected async administer(statement: string): Promise<void> {
    const sql = connect({ url: this.#server() }, { max: 1 });
    await sql.unsafe(statement);
    await sql.end();
  }

  /**
   * A new, empty database.
   * @param options as `create database` takes them
   */
  async newDatabase(options = ""): Promise<string> {
    const name = `t${crypto.randomUUID().slice(-12)}`;
    await this.administer(`create database ${name} ${options}`);
    return this.url(name);
  }

  /**
   * A new database with all that is in another one, to which nobody may be connected. As files, for
   * by the log, which is usual, it takes several times as long.
   */
  copyOf(url: string): Promise<string> {
    const from = new URL(url).pathname.slice(1);
    return this.newDatabase(`template ${from} strategy file_copy`);
  }

  /** Makes what {@link newRecords} copies, unless it is there. */
  async prepareTemplate(): Promise<void> {
    await (this.#template ??= this.administer(`create database ${template}`).then(() =>
      migrate({ url: this.url(template) }, migrationsFolder),
    ));
  }

  /** A new database with the schema in it. */
  async newRecords(): Promise<string> {
    await this.prepareTemplate();
    return await this.copyOf(this.url(template));
  }
}

/** Databases of a file on the server of all; they are gone when the file is over. */
class SharedDatabases extends Databases {
  override async newDatabase(options?: string): Promise<string> {
    const url = await super.newDatabase(options);
    const name = new URL(url).pathname.slice(1);
    atEnd(() => this.administer(`drop database ${name} with (force)`));
    return url;
  }

  override prepareTemplate(): Promise<void> {
    return Promise.resolve();
  }
}

/**
 * A data folder as the program's first start leaves it, for those who do not care about that: it takes
 * seconds. `npm test` has made one, of which this is a copy, identifier and password too.
 */
export async function newCluster(): Promise<string> {
  const dataDir = newDataFolder();
  const made = process.env["TEST_CLUSTER"];
  if (made === undefined) {
    const embedded = await startEmbedded({ dataDir, log() {} });
    await embedded.leave();
    return dataDir;
  }
  makeDataFolder(dataDir, serverAccount(made, join(made, "pgdata")));
  for (const name of readdirSync(made)) {
    // The server's files are never written again.
    copy(name.startsWith("postgres-") ? "-al" : "-a", join(made, name), join(dataDir, name));
  }
  return dataDir;
}

function copy(how: string, from: string, to: string): void {
  const { exitCode, stderr } = Bun.spawnSync(["cp", how, from, to]);
  if (exitCode !== 0) throw new Error(`${from} cannot be copied: ${stderr.toString()}`);
}

/** What a server needs to have replicas. */
export const replicated = { wal_level: "replica", max_wal_senders: "4" } as const;

/** A server of its own. */
export class Postgres extends Databases {
  readonly port = freePort();
  #dataDir = "";
  #password = "";
  readonly #addresses = ["127.0.0.1"];
  /** Settings beside the usual ones. */
  readonly #more: Readonly<Record<string, string>>;

  constructor(more: Readonly<Record<string, string>> = {}) {
    super(() => `postgres://${superuser}:${this.#password}@127.0.0.1:${this.port}/postgres`);
    this.#more = more;
  }

  /** Makes the cluster, which is done the way the product does it. */
  async prepare(): Promise<void> {
    this.#dataDir = await newCluster();
    this.#password = readFileSync(join(this.#dataDir, "password"), "utf8");
    await this.start();
  }

  /**
   * Another server that has all that this one has, and is told what is written; this one has to be
   * `replicated`. It is started again for it, and answers no commit from now on that the other has not.
   */
  async replicate(): Promise<Postgres> {
    const replica = new Postgres({
      ...replicated,
      primary_conninfo:
        `host=127.0.0.1 port=${this.port} user=${superuser} password=${this.#password} ` +
        "application_name=replica",
    });
    replica.#dataDir = newDataFolder();
    replica.#password = this.#password;
    await this.end("SIGINT");
    copy("-a", this.#dataDir, replica.#dataDir);
    // The program has no use for it.
    const receiver = "lib/postgresql/libpqwalreceiver.so";
    const { postgres } = installationIn(replica.#dataDir);
    const installed = join(dirname(dirname(postgres)), receiver);
    copyFileSync(join(packageDistribution().root, receiver), installed);
    writeFileSync(join(replica.#pgdata, "standby.signal"), "");
    await this.start({ synchronous_standby_names: "replica" });
    await replica.start();
    await until("the replica's following", async () => {
      const sql = connect({ url: this.url("postgres") }, { max: 1 });
      const rows = await sql`select from pg_stat_replication where sync_state = 'sync'`;
      await sql.end();
      return rows.length === 1;
    });
    return replica;
  }

  /** Makes a primary of a replica. */
  async promote(): Promise<void> {
    await this.administer("select pg_promote(true, 60)");
  }

  get #pgdata(): string {
    return join(this.#dataDir, "pgdata");
  }

  /** Starts the server; one that was killed may need several attempts to be replaced. */
  async start(once: Readonly<Record<string, string>> = {}): Promise<void> {
    const settings = {
      listen_addresses: this.#addresses.join(","),
      port: this.port,
      unix_socket_directories: "",
      fsync: "off",
      full_page_writes: "off",
      max_connections: 400,
      ...this.#more,
      ...once,
    };
    const command = [installationIn(this.#dataDir).postgres, "-D", this.#pgdata];
    for (const [name, value] of Object.entries(settings)) command.push("-c", `${name}=${value}`);
    const log = openSync(join(this.#dataDir, "test.log"), "a");
    try {
      await until("a PostgreSQL for the tests", async () => {
        const child = spawnAs(serverAccount(this.#dataDir, this.#pgdata), command, log);
        child.unref();
        return await until("its start", () => {
          if (child.exitCode !== null) return "ended";
          return findPostmaster(this.#pgdata)?.state === "ready" && "ready";
        }).then((state) => state === "ready");
      });
    } finally {
      closeSync(log);
    }
  }

  /** Starts it again, to be reached at an address of this machine by its neighbours there, too. */
  async listenAt(address: string): Promise<void> {
    this.#addresses.push(address);
    appendFileSync(join(this.#pgdata, "pg_hba.conf"), `host all all ${address}/30 scram-sha-256\n`);
    await this.end("SIGINT");
    await this.start();
  }

  /** SIGINT ends it in order, SIGQUIT without a checkpoint, SIGKILL at once. */
  async end(signal: "SIGINT" | "SIGQUIT" | "SIGKILL"): Promise<void> {
    const running = findPostmaster(this.#pgdata);
    if (running === undefined) return;
    process.kill(running.pid, signal);
    await until("the server's end", () => findPostmaster(this.#pgdata) === undefined);
  }
}

/** To be called at the top of a test file. */
export function usePostgres(): Databases {
  const shared = process.env["TEST_POSTGRES"];
  if (shared === undefined) return useOwnPostgres();
  useLeftovers();
  return new SharedDatabases(() => shared);
}

/** The same for a file that ends the server, or has it do what others would notice. */
export function useOwnPostgres(settings: Readonly<Record<string, string>> = {}): Postgres {
  const postgres = new Postgres(settings);
  useLeftovers();
  beforeAll(() => postgres.prepare());
  return postgres;
}

/** A client for looking at what a program has stored; closed at the end of the file. */
export function lookInto(url: string, max = 4): Sql {
  const sql = connect({ url }, { max });
  atEnd(() => sql.end({ timeout: 0 }));
  return sql;
}

/** Tables in which a text stands, in any case of its letters. */
export async function tablesWith(url: string, text: string): Promise<string[]> {
  const sql = lookInto(url, 1);
  const tables = await sql<{ name: string }[]>`
    select c.relname as name from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'`;
  const found = await inTurn(tables, async (table) => {
    const [row] = await sql`
      select from ${sql(table.name)} t where position(lower(${text}) in lower(t::text)) > 0 limit 1`;
    return row === undefined ? [] : [table.name];
  });
  return found.flat();
}

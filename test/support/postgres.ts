/**
 * A PostgreSQL for the tests of one file: the embedded one's files and data, but listening on
 * loopback TCP, as a server at `DATABASE_URL` does. Each test takes a database of its own.
 *
 * Without fsync: the tests kill processes, never the machine, and what a process has written
 * survives it.
 */
import { beforeAll } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import type { Sql } from "postgres";
import { connect } from "../../src/postgres/client.ts";
import { startEmbedded } from "../../src/postgres/embedded.ts";
import { serverAccount, spawnAs } from "../../src/postgres/account.ts";
import { superuser } from "../../src/postgres/cluster.ts";
import { installationIn } from "../../src/postgres/installation.ts";
import { findPostmaster } from "../../src/postgres/postmaster.ts";
import { migrate } from "../../src/store/migrations.ts";
import { atEnd, freePort, newDataFolder, useLeftovers } from "./leftovers.ts";
import { until } from "./wait.ts";

export const migrationsFolder = join(import.meta.dir, "../../drizzle");

export class Postgres {
  readonly port = freePort();
  #dataDir = "";
  #password = "";
  #databases = 0;

  /** Makes the cluster, which is done the way the product does it. */
  async prepare(): Promise<void> {
    this.#dataDir = newDataFolder();
    const embedded = await startEmbedded({ dataDir: this.#dataDir, log() {} });
    const { connection } = embedded;
    this.#password = connection.password;
    await embedded.stop();
    await this.start();
  }

  get #pgdata(): string {
    return join(this.#dataDir, "pgdata");
  }

  /** Starts the server; one that was killed may need several attempts to be replaced. */
  async start(): Promise<void> {
    const settings = {
      listen_addresses: "127.0.0.1",
      port: this.port,
      unix_socket_directories: "",
      fsync: "off",
      max_connections: 200,
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

  /** SIGINT ends it in order, SIGQUIT without a checkpoint, SIGKILL at once. */
  async end(signal: "SIGINT" | "SIGQUIT" | "SIGKILL"): Promise<void> {
    const running = findPostmaster(this.#pgdata);
    if (running === undefined) return;
    process.kill(running.pid, signal);
    await until("the server's end", () => findPostmaster(this.#pgdata) === undefined);
  }

  url(database: string, password = this.#password): string {
    return `postgres://${superuser}:${password}@127.0.0.1:${this.port}/${database}`;
  }

  /**
   * A new, empty database.
   * @param options as `create database` takes them
   */
  async newDatabase(options = ""): Promise<string> {
    this.#databases += 1;
    const name = `t${this.#databases}`;
    const sql = connect({ url: this.url("postgres") }, { max: 1 });
    await sql.unsafe(`create database ${name} ${options}`);
    await sql.end();
    return this.url(name);
  }

  /** A new database with all that is in another one, to which nobody may be connected. */
  copyOf(url: string): Promise<string> {
    return this.newDatabase(`template ${new URL(url).pathname.slice(1)}`);
  }

  /** A new database with the schema in it. */
  async newRecords(): Promise<string> {
    const url = await this.newDatabase();
    await migrate({ url }, migrationsFolder);
    return url;
  }
}

/** To be called at the top of a test file. */
export function usePostgres(): Postgres {
  const postgres = new Postgres();
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

/**
 * Connections to PostgreSQL. Knows how a connection is made, how long a server that is
 * not there yet is waited for, and how a failure is told to a person.
 *
 * The writer's connection is made in `leadership.ts`; it needs other settings than a pool.
 */
import postgres, { type Options, type PostgresType, type Sql } from "postgres";
import { transactions } from "./transactions.ts";

/** Where the server is: a URL, or the parts of an embedded one. */
export type Connection =
  | { readonly url: string }
  | {
      readonly host: string;
      readonly port: number;
      readonly username: string;
      readonly password: string;
      readonly database: string;
      /** Unix socket; it takes precedence over host and port. */
      readonly path?: string;
    };

/** A PostgreSQL to keep the records in, and who is responsible that it runs. */
export type Database = {
  readonly connection: Connection;
  /** For a person, without secrets. */
  readonly description: string;
  /** Makes sure that it runs, where that is ours to do. Called before each reconnection. */
  ensure(): Promise<void>;
  /** Stops the server, where it is ours. */
  stop(): Promise<void>;
  /** Stops it if this process started it, and leaves it running for others if not. */
  leave(): Promise<void>;
};

/** A condition that the operator has to mend; the message says what and how. */
export class DatabaseError extends Error {}

const serverVersionMin = 150_000;
const connectTimeoutSeconds = 5;
/** How long a server that refuses connections is waited for at the start. */
const refusedWaitMaxMs = 20_000;
/** How long a server that says it is starting up is waited for. */
const startingWaitMaxMs = 10 * 60_000;
const retryIntervalMs = 250;
/** Connections for everything but the journal; `transactionsMax` more while transactions run. */
const poolConnectionsMax = 8;

/** A client for one connection or a pool of them. Nothing is sent before the first query. */
export function connect(
  connection: Connection,
  options: Options<Record<string, PostgresType>> = {},
): Sql {
  const common: Options<Record<string, PostgresType>> = {
    connect_timeout: connectTimeoutSeconds,
    fetch_types: false,
    onnotice: () => {},
    ...options,
    connection: { application_name: "stampede", ...options.connection },
  };
  return "url" in connection
    ? postgres(connection.url, { ...common, ...ipv6Host(connection.url) })
    : postgres({ ...connection, ...common });
}

/** The driver takes an IPv6 address apart at its colons, unless it is in a list. */
function ipv6Host(url: string): object {
  const { hostname, port } = new URL(url);
  if (!hostname.startsWith("[")) return {};
  return { host: [hostname.slice(1, -1)], port: [Number(port || 5432)] };
}

/** The cold paths' pool; its transactions have connections of their own. */
export function openPool(connection: Connection): Sql {
  const pool = connect(connection, { max: poolConnectionsMax, idle_timeout: 60 });
  pool.begin = transactions((onclose) =>
    connect(connection, { max: 1, max_lifetime: null, idle_timeout: 0, onclose }),
  );
  return pool;
}

/**
 * Waits until the server answers, and checks that it will do; or until `signal` is aborted.
 * @throws DatabaseError when it cannot be reached, refuses us, or is too old.
 */
export async function waitForDatabase(
  database: Database,
  say: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const startedAt = Date.now();
  let said = false;
  for (;;) {
    if (signal?.aborted === true) return;
    const sql = connect(database.connection, { max: 1 });
    try {
      await checkServer(sql);
      return;
    } catch (error) {
      if (error instanceof DatabaseError) throw error;
      const bound = waitMaxMs(error);
      if (Date.now() - startedAt >= bound) throw explain(database, error, bound);
      if (!said) say(`Waiting for ${database.description}: ${messageOf(error)}`);
      said = true;
    } finally {
      await sql.end({ timeout: 0 });
    }
    await Bun.sleep(retryIntervalMs);
  }
}

async function checkServer(sql: Sql): Promise<void> {
  const [row] = await sql<{ version: number; readable: string; replica: boolean }[]>`
    select current_setting('server_version_num')::int as version,
           current_setting('server_version') as readable,
           pg_is_in_recovery() as replica`;
  if (row === undefined || row.version < serverVersionMin) {
    throw new DatabaseError(
      `The server at DATABASE_URL is PostgreSQL ${row?.readable}; Stampede needs 15 or later.`,
    );
  }
  if (row.replica) {
    throw new DatabaseError(
      "The server at DATABASE_URL is a read-only replica; point DATABASE_URL at the primary.",
    );
  }
}

/** The code of a driver's or a server's error, e.g. `ECONNREFUSED` or `28P01`. */
export function errorCode(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "";
}

/** Whether a statement was refused, and so rolled back for certain: PostgreSQL was not going down. */
export const isRefused = (error: unknown): boolean =>
  error instanceof postgres.PostgresError && !errorCode(error).startsWith("57");

/** A message for people. Some connection errors carry their reason in the code alone. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message === "" ? errorCode(error) || error.name : error.message;
}

/** It is there, and says so, but has no time for us yet. */
const busyCodes: ReadonlySet<string> = new Set([
  "57P03", // cannot_connect_now: starting up, or shutting down
  "53300", // too_many_connections
]);

/**
 * Whether an error says that PostgreSQL is not there just now, or has no room for us, and may
 * again: connections that fail (the driver's and the system's codes, and class 08), a server
 * that is ending or starting (57P), and one that lacks what it needs (53).
 */
export const isAway = (error: unknown): boolean =>
  /^(?:08|53|57P|CONNECTION_|CONNECT_TIMEOUT$|ECONN|EPIPE$|ENOENT$)/.test(errorCode(error));

function waitMaxMs(error: unknown): number {
  const code = errorCode(error);
  if (busyCodes.has(code)) return startingWaitMaxMs;
  // A time-out has waited by itself, and an address that swallows packets stays like that.
  return isAway(error) && code !== "CONNECT_TIMEOUT" ? refusedWaitMaxMs : 0;
}

function explain(database: Database, error: unknown, waitedMs: number): DatabaseError {
  const reason = messageOf(error);
  const where = database.description;
  switch (errorCode(error)) {
    case "28P01":
    case "28000":
      return new DatabaseError(
        `${where} refused the login (${reason}). Check the user and password in DATABASE_URL.`,
      );
    case "3D000":
      return new DatabaseError(
        `${where}: ${reason}. Create the database, or correct its name in DATABASE_URL.`,
      );
    default: {
      const waited = waitedMs === 0 ? "" : ` after ${Math.round(waitedMs / 1000)} s`;
      return new DatabaseError(
        `Cannot reach ${where}${waited}: ${reason}. Start it, or correct DATABASE_URL.`,
      );
    }
  }
}

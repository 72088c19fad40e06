/**
 * Connections to PostgreSQL. Knows how a connection is made, how long a server that is
 * not there yet is waited for, and how a failure is told to a person.
 *
 * The writer's connection is made in `leadership.ts`; it needs other settings than a pool.
 */
import postgres, { type Options, type PostgresType, type Sql } from "postgres";
import { silence, Sockets, withDeadline } from "./deadline.ts";
import { placeOf, primaryAmong, serversOf, type Found, type Place } from "./servers.ts";
import { transactions } from "./transactions.ts";

/** Where the server is: a URL, which may name several, or the parts of an embedded one. */
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
  /** The same server, for what is read for whoever asks. */
  readonly reading: Connection;
  /** For a person, without secrets. */
  readonly description: string;
  /** Makes sure that it runs, where that is ours to do. Called before each reconnection. */
  ensure(): Promise<void>;
  /**
   * Keeps an archive from now on, where that is ours to do and was asked for.
   * @param onTrouble told once when it does not archive, and null when it does again
   */
  startArchive(onTrouble: (reason: string | null) => void): void;
  /** Why that archive is not kept, null while it is; undefined where none is to be kept here. */
  archiveTrouble(): string | null | undefined;
  /** This process needs it no more: where it is ours, it ends with the last that does. */
  leave(): Promise<void>;
};

/** A PostgreSQL of somebody else's, who looks after it. */
export function databaseAt(databaseUrl: string): Database {
  const { urls } = serversOf(databaseUrl) ?? { urls: [databaseUrl] };
  const places = urls.map((url) => `${new URL(url).hostname}:${placeOf(url).port}`).join(", ");
  const { pathname } = new URL(urls[0] ?? "");
  return {
    connection: { url: databaseUrl },
    reading: { url: databaseUrl },
    description: `PostgreSQL at ${places}${pathname}`,
    ensure: () => Promise.resolve(),
    startArchive: () => {},
    archiveTrouble: () => undefined,
    leave: () => Promise.resolve(),
  };
}

/** A condition that the operator has to mend; the message says what and how. */
export class DatabaseError extends Error {}

const serverVersionMin = 150_000;
const connectTimeoutSeconds = 5;
/** How long after a connection could not be made it is tried again. */
const reconnectSeconds = 0.25;
/** How long a server may take to say whether it is the primary, where there are several. */
const searchMaxSeconds = 2;
/** What the leader asks beside the journal is waited for this long. */
const poolAnswerMaxMs = 15_000;
/** What somebody asks who waits: their connection is not closed before eight seconds. */
const askingAnswerMaxMs = 7_500;
/** What is read may take PostgreSQL longer, where it is told so: see `store/audit.ts`. */
const readingAnswerMaxMs = 65_000;
/** How long a server that refuses connections is waited for at the start. */
const refusedWaitMaxMs = 20_000;
/** How long a server that says it is starting up is waited for. */
const startingWaitMaxMs = 10 * 60_000;
const retryIntervalMs = 250;
/**
 * Connections for what the leader reads and writes, beside the journal's; those of each pool for
 * somebody who waits, and `transactionsMax` more while transactions run; and those for what is read
 * for whoever asks.
 */
const poolConnectionsMax = 4;
const askingConnectionsMax = 3;
const readingConnectionsMax = 4;
/**
 * What PostgreSQL spends on one statement for somebody who waits, ms; then it ends it, and they are
 * told, before their connection is closed.
 */
export const readMaxMs = 7_000;
const lastingMaxMs = 120_000;
/** PostgreSQL ends a statement that lasts too long before it counts as silent. */
const lastingMarginMs = 5_000;
const lastingIdleMaxMs = 10_000;

/** A client for one connection or a pool of them. Nothing is sent before the first query. */
export function connect(
  connection: Connection,
  options: Options<Record<string, PostgresType>> & {
    /** Told of what is listened to on its connections. */
    readonly onnotify?: (channel: string) => void;
    /** Makes the connections' sockets. */
    readonly socket?: Sockets["open"];
  } = {},
): Sql {
  const common: Options<Record<string, PostgresType>> = {
    connect_timeout: connectTimeoutSeconds,
    // The driver's own waits longer each time, up to twenty seconds.
    backoff: () => reconnectSeconds,
    fetch_types: false,
    onnotice: () => {},
    ...options,
    connection: { ...spoken, application_name: "stampede", ...asTexts(options.connection ?? {}) },
  };
  if (!("url" in connection)) return postgres({ ...connection, ...common });
  const [first = connection.url] = serversOf(connection.url)?.urls ?? [];
  const locate = locatorOf(connection);
  const located = locate === null ? {} : { socket: new Sockets(locate).open };
  return postgres(first, { ...located, ...common, ...ipv6Host(first) });
}

/** How dates are written: a database may say otherwise, for those who look into it by hand. */
const spoken = { DateStyle: "ISO, MDY", TimeZone: "UTC" };

/** The driver leaves out what is 0 or false, which then is as the server has it. */
const asTexts = (settings: object): Record<string, string> =>
  Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)]));

/** The driver takes an IPv6 address apart at its colons, unless it is in a list. */
function ipv6Host(url: string): object {
  if (!new URL(url).hostname.startsWith("[")) return {};
  const { host, port } = placeOf(url);
  return { host: [host], port: [port] };
}

/** What says which server is the primary just now; null where there is only one. */
function locatorOf(connection: Connection): (() => Promise<Place>) | null {
  const servers = "url" in connection ? serversOf(connection.url) : null;
  if (servers?.isSearched !== true) return null;
  const { urls } = servers;
  return async () => {
    try {
      return await primaryAmong(urls.map((url) => askPrimary(url)));
    } catch (error) {
      throw noPrimary(error instanceof AggregateError ? error.errors : [error], urls);
    }
  };
}

/** @throws Error when it is none */
async function askPrimary(url: string): Promise<Found> {
  const sql = connect({ url }, { max: 1, connect_timeout: searchMaxSeconds });
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(silence(searchMaxSeconds * 1000)),
    searchMaxSeconds * 1000,
  );
  try {
    // The first digits of a file's name are the timeline.
    const asked = sql<{ file: string | null }[]>`
      select case when not pg_is_in_recovery()
                   and current_setting('default_transaction_read_only') = 'off'
                  then pg_walfile_name(pg_current_wal_lsn()) end as file`;
    const [row] = await Promise.race([asked, late.promise]);
    if (row?.file == null) throw away("CONNECTION_READ_ONLY", "it cannot be written to");
    return { ...placeOf(url), timeline: Number.parseInt(row.file.slice(0, 8), 16) };
  } finally {
    clearTimeout(timer);
    await sql.end({ timeout: 0 });
  }
}

/** Of several reasons the one that somebody has to mend. */
function noPrimary(reasons: readonly unknown[], urls: readonly string[]): unknown {
  const told = reasons.find((reason) => !isAway(reason));
  if (told !== undefined) return told;
  const each = urls.map((url, index) => {
    const { host, port } = placeOf(url);
    return `${host}:${port}: ${messageOf(reasons[index])}`;
  });
  return away("CONNECTION_NO_PRIMARY", `there is no primary (${each.join("; ")})`);
}

const away = (code: string, message: string): Error => Object.assign(new Error(message), { code });

/** A pool, and a way to throw its connections away when PostgreSQL has fallen silent. */
type Pool = Sql & { readonly drop: (reason: Error) => void };

/**
 * The cold paths' pool; its transactions have connections of their own.
 * @param answerMaxMs how long a query, or a page of one, is waited for
 */
export const openPool = (connection: Connection, answerMaxMs = poolAnswerMaxMs): Pool =>
  pooled(connection, answerMaxMs, { max: poolConnectionsMax });

/**
 * A pool for somebody who waits: by which it is found out who asks, for what they change, and for what
 * is looked up for them. A statement that takes longer than `readMaxMs` is ended, as below; and nothing
 * else waits for those that do.
 */
const openAsking = (connection: Connection): Pool =>
  pooled(connection, askingAnswerMaxMs, {
    max: askingConnectionsMax,
    connection: { statement_timeout: readMaxMs },
  });

/**
 * The pool for what is read for whoever asks: nothing can be changed by it, and a statement that
 * takes longer than `readMaxMs` is ended: see `isTooSlow`.
 */
const openReading = (connection: Connection): Pool =>
  pooled(connection, readingAnswerMaxMs, {
    max: readingConnectionsMax,
    connection: {
      statement_timeout: readMaxMs,
      default_transaction_read_only: true,
      // One read takes one core at most.
      max_parallel_workers_per_gather: 0,
    },
  });

/**
 * A pool for what takes PostgreSQL as long as it takes, whatever its roles are set to; but a transaction
 * that nobody goes on with is ended, for others may wait for it.
 * @param statementMaxMs of one statement, in the end; whoever runs the program may wait for longer
 */
export const openLasting = (connection: Connection, statementMaxMs = lastingMaxMs): Pool =>
  pooled(connection, statementMaxMs + lastingMarginMs, {
    max: 1,
    connection: {
      statement_timeout: statementMaxMs,
      idle_in_transaction_session_timeout: lastingIdleMaxMs,
    },
  });

/** All that a program asks by, but for its journal: what is asked by one waits for no other. */
export const openPools = ({ connection, reading }: Database) => ({
  sql: openPool(connection),
  asking: openAsking(connection),
  lookingUp: openAsking(connection),
  reading: openReading(reading),
  lastingSql: openLasting(connection),
});

type PoolOptions = NonNullable<Parameters<typeof connect>[1]>;

function pooled(connection: Connection, answerMaxMs: number, options: PoolOptions): Pool {
  const sockets = new Sockets(locatorOf(connection));
  const socket = sockets.open;
  const pool = connect(connection, { ...options, idle_timeout: 60, socket });
  pool.begin = transactions(
    (onclose) => {
      const one = { max: 1, max_lifetime: null, idle_timeout: 0, onclose, socket };
      return connect(connection, { ...options, ...one });
    },
    (tx) => withDeadline(tx, answerMaxMs, sockets),
    answerMaxMs,
  );
  const drop = (reason: Error): void => sockets.drop(reason);
  return Object.assign(withDeadline(pool, answerMaxMs, sockets), { drop });
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
  /^(?:08|53|57P|CONNECTION_|CONNECT_TIMEOUT$|ECONN|EPIPE$|ENOENT$|ETIMEDOUT$|E(?:HOST|NET)(?:UNREACH|DOWN)$)/.test(
    errorCode(error),
  );

/**
 * Whether a connection was lost after a statement may have gone over it: what that was to do may be
 * done. It has not where no connection could be made, or the server has said so.
 */
export const isCut = (error: unknown): boolean =>
  /^(?:08|57P0[12]|CONNECTION_(?:CLOSED|DESTROYED|SILENT)$|ECONN(?:RESET|ABORTED)$|EPIPE$|ETIMEDOUT$)/.test(
    errorCode(error),
  );

/** Whether PostgreSQL has ended a statement, because it took longer than it may. */
export const isTooSlow = (error: unknown): boolean => errorCode(error) === "57014";

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

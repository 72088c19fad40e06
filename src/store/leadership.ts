/**
 * Who may write. There is one advisory lock in the database, and the session that holds it
 * is the only one that writes the journal: lose the connection, and lock and power are gone
 * together. In detail:
 *
 * - standby: somebody else has the lock. Asks again every `lockPollMs`; writes nothing.
 * - leader: has the lock on a connection of its own, which is never replaced. Writes.
 * - lost: the connection closed, or did not answer for `silenceMaxMs`, or a newer program has
 *   migrated the schema. Writes nothing more, for whatever is sent to a replacement of the
 *   connection is refused there (`journal.ts`).
 *
 * A leader that falls silent (its machine stops, the network is cut) is ended by PostgreSQL
 * after `silenceMaxMs`, and the lock with it, so that a standby takes over.
 */
import type { Sql } from "postgres";
import { connect, type Connection } from "../postgres/client.ts";
import type { WriterSession } from "./journal.ts";
import { isoTime } from "../time.ts";
import { DeposedError, SchemaError, type Announcement, type LeaderRecord } from "./records.ts";

/** "leader" in ASCII, cut to four bytes; any constant would do. */
const leaderLockKey = 0x6c656164;
/** PostgreSQL ends the leader's session after this much silence; heartbeats come thrice as often. */
const silenceMaxMs = 9_000;
const heartbeatMs = 3_000;
const lockPollMs = 250;

/** One session with the lock, from its epoch's start until it is lost. */
type Leadership = {
  readonly session: WriterSession;
  /** How many terms there have been in this database, this one included. */
  readonly epoch: number;
  /** Resolves with the reason when the session is lost. */
  readonly lost: Promise<Error>;
  /** Gives the lock back by closing the session. */
  end(): Promise<void>;
};

/**
 * Waits for the lock. Resolves to null when `signal` is aborted first.
 * @param schema the newest migration that this program knows, as drizzle numbers it
 * @param onStandby called after each attempt that found the lock taken
 * @throws SchemaError when the database was migrated by a newer program
 * @throws the driver's error when the connection fails
 */
export async function lead(
  connection: Connection,
  schema: number,
  announce: Announcement,
  signal: AbortSignal,
  onStandby: (leader: LeaderRecord | null) => void,
): Promise<Leadership | null> {
  const { promise: lost, resolve: lose } = Promise.withResolvers<Error>();
  const sql = connect(connection, {
    max: 1,
    max_lifetime: null,
    idle_timeout: 0,
    onclose: () => lose(new Error("the connection that holds the leader's lock was closed")),
    connection: {
      application_name: "stampede writer",
      idle_session_timeout: silenceMaxMs,
      // A statement that waits behind something for ever must not keep the lock for ever.
      statement_timeout: silenceMaxMs,
    },
  });
  try {
    for (;;) {
      if (signal.aborted) {
        await sql.end({ timeout: 0 });
        return null;
      }
      const session = await tryLock(sql);
      if (session !== null) {
        const epoch = await beginEpoch(sql, schema, announce);
        const stopHeart = beat(sql, schema, lose);
        void lost.then(stopHeart);
        return {
          session,
          epoch,
          lost,
          end: async () => {
            stopHeart();
            await sql.end({ timeout: 0 });
          },
        };
      }
      onStandby(await readLeader(sql));
      await Bun.sleep(lockPollMs);
    }
  } catch (error) {
    await sql.end({ timeout: 0 });
    throw error;
  }
}

/**
 * Keeps the session from falling silent, and notices when PostgreSQL has: the heartbeat
 * stands behind whatever statement is in flight, so an answer that does not come is a
 * commit that does not come, too.
 */
function beat(sql: Sql, schema: number, lose: (reason: Error) => void): () => void {
  let askedAt: number | null = null;
  const ask = async (): Promise<void> => {
    askedAt = performance.now();
    try {
      const [row] = await sql<{ newer: boolean }[]>`select ${isNewer(sql, schema)} as newer`;
      if (row?.newer === true) lose(new SchemaError(migrated));
      askedAt = null;
    } catch (error) {
      lose(error instanceof Error ? error : new Error(String(error)));
    }
  };
  const timer = setInterval(() => {
    if (askedAt === null) void ask();
    else if (performance.now() - askedAt >= silenceMaxMs) {
      lose(new Error(`PostgreSQL has not answered for ${silenceMaxMs} ms`));
    }
  }, heartbeatMs);
  return () => clearInterval(timer);
}

async function tryLock(sql: Sql): Promise<WriterSession | null> {
  const [row] = await sql<{ locked: boolean; pid: number }[]>`
    select pg_try_advisory_lock(${leaderLockKey}) as locked, pg_backend_pid() as pid`;
  return row?.locked === true ? { sql, backendPid: row.pid } : null;
}

const migrated =
  "a newer Stampede has migrated this database; stop this process, and run that version";

/** Whether the schema has migrations that this program does not know. */
const isNewer = (sql: Sql, schema: number) =>
  sql`exists (select from drizzle.__drizzle_migrations where created_at > ${schema}::bigint)`;

/**
 * Counts this term, and says where the leader listens, as PostgreSQL sees its address.
 * @throws SchemaError when this program is older than the schema: then no term has begun
 */
async function beginEpoch(sql: Sql, schema: number, { url, port }: Announcement): Promise<number> {
  const [row] = await sql<{ epoch: number }[]>`
    insert into leader (id, epoch, url, since)
    select 1, 1,
            coalesce(${url}::text, 'http://' || coalesce(
              case family(inet_client_addr()) when 6 then '[' || host(inet_client_addr()) || ']'
                                              else host(inet_client_addr()) end,
              '127.0.0.1') || ':' || ${port}::int),
            now()
    where not ${isNewer(sql, schema)}
    on conflict (id) do update
      set epoch = leader.epoch + 1, url = excluded.url, since = excluded.since
    returning epoch::float8 as epoch`;
  if (row === undefined) throw new SchemaError(migrated);
  return row.epoch;
}

/**
 * Notes when a term began, before anything is written in it.
 * @param afterSeq the last attempt of the terms before
 * @param now ms
 * @throws DeposedError when this session does not hold the lock any more
 */
export async function beginTerm(
  { sql, backendPid }: WriterSession,
  epoch: number,
  afterSeq: number,
  now: number,
): Promise<void> {
  const { count } = await sql`
    insert into terms (epoch, after_seq, began_at)
    select ${epoch}::bigint, ${afterSeq}::bigint, ${isoTime(now)}::timestamptz
    where pg_backend_pid() = ${backendPid}::int`;
  if (count !== 1)
    throw new DeposedError("the connection that holds the leader's lock was replaced");
}

async function readLeader(sql: Sql): Promise<LeaderRecord | null> {
  const [row] = await sql<LeaderRecord[]>`select epoch::float8 as epoch, url from leader`;
  return row ?? null;
}

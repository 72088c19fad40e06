/**
 * Who may write. There is one advisory lock in the database, and the session that holds it
 * is the only one that writes the journal: lose the connection, and lock and power are gone
 * together. In detail:
 *
 * - standby: somebody else has the lock, or this process is not to have it. Asks again when it
 *   has waited, or hears that the lock was given back; writes nothing.
 * - leader: has the lock on a connection of its own, which is never replaced. Writes.
 * - lost: the connection closed, as it does where a newer program migrates the schema, or did not
 *   answer for `answerMaxMs`. Writes nothing more, for whatever is sent to a replacement of the
 *   connection is refused there (`journal.ts`).
 *
 * A leader that falls silent (its machine stops, the network is cut) is ended by PostgreSQL after
 * `silenceMaxMs`, and the lock with it, so that a standby takes over. Until then it may speak for the
 * records by its lease, which is shorter; after, it asks first.
 *
 * Those who stand by ask for the lock a few times a second rather than wait in line for it: one that
 * had fallen silent in the line would be given the lock, and nobody would sell.
 */
import type { Sql } from "postgres";
import { connect, type Connection } from "../postgres/client.ts";
import { silence } from "../postgres/deadline.ts";
import type { WriterSession } from "./journal.ts";
import { Lease, thisMoment } from "./lease.ts";
import { isoTime } from "../time.ts";
import {
  DeposedError,
  SchemaError,
  type Announcement,
  type LeaderRecord,
  type Standing,
} from "./records.ts";

/** "leader" in ASCII, cut to four bytes; any constant would do. */
export const leaderLockKey = 0x6c656164;
/**
 * What a session plans once, for tables that are nearly empty then, has to be good for millions of
 * rows: everything that this one does is by keys, and so it is planned.
 */
const plannedForMany = { enable_seqscan: "off", enable_hashjoin: "off", enable_mergejoin: "off" };

/** PostgreSQL ends the session of a leader that sells after this much silence. */
const silenceMaxMs = 3_500;
/** It is asked so often whether it is there, beside all that is committed. */
const heartbeatMs = 1_000;
/** So long after it was asked something that it has answered, nobody else leads. */
const leaseMs = 2_500;
/** Of one that stands by, or has the journal to read, which may hold its one thread for long. */
const patientSilenceMaxMs = 9_000;
/** A statement that is not answered within so long never is, and keeps the lock no longer. */
const answerMaxMs = 5_000;
/** How long whoever reads waits to be sure. */
const confirmWaitMaxMs = 2_000;
/** A connection that is not made within so long is tried again: PostgreSQL may be back by then. */
const connectMaxSeconds = 2;
/** How long the lock's giving back may take; the connection's end gives it back, too. */
const unlockMaxMs = 500;
const freed = "stampede_lead";

/** One session with the lock, from its epoch's start until it is lost. */
export type Leadership = {
  readonly session: WriterSession;
  /** How many terms there have been in this database, this one included. */
  readonly epoch: number;
  /** Resolves with the reason when the session is lost. */
  readonly lost: Promise<Error>;
  /** From now on this session is ended after a short silence. */
  open(): Promise<void>;
  /** See `Term`. */
  confirm(): Promise<void> | null;
  /** PostgreSQL has answered what was sent at this moment. */
  confirmed(sentAt: ReturnType<typeof thisMoment>): void;
  /** Gives the lock back, tells those who wait for it, and closes the session. */
  end(): Promise<void>;
};

/**
 * Waits for the lock. Resolves to null when `signal` is aborted first.
 * @param schema the newest migration that this program knows, as drizzle numbers it
 * @throws SchemaError when the database was migrated by a newer program
 * @throws the driver's error when the connection fails
 */
export async function lead(
  connection: Connection,
  schema: number,
  announce: Announcement,
  signal: AbortSignal,
  { mayLead, onStandby, onFreed }: Standing,
): Promise<Leadership | null> {
  const { promise: lost, resolve: lose } = Promise.withResolvers<Error>();
  const isLost: { by: Error | null } = { by: null };
  void lost.then((reason) => (isLost.by = reason));
  const sql = connect(connection, {
    max: 1,
    max_lifetime: null,
    idle_timeout: 0,
    connect_timeout: connectMaxSeconds,
    onclose: () => lose(new Error("the connection that holds the leader's lock was closed")),
    onnotify: onFreed,
    connection: {
      application_name: "stampede writer",
      idle_session_timeout: patientSilenceMaxMs,
      // A statement that waits behind something for ever must not keep the lock for ever; of one that
      // PostgreSQL ends itself it is known that it was not silent.
      statement_timeout: answerMaxMs - 500,
      // What nobody receives must not keep it either.
      tcp_user_timeout: answerMaxMs,
      ...plannedForMany,
    },
  });
  try {
    await within(answerMaxMs, sql.unsafe(`listen ${freed}`));
    for (;;) {
      if (signal.aborted) {
        await sql.end({ timeout: 0 });
        return null;
      }
      const session = mayLead() ? await within(answerMaxMs, tryLock(sql)) : null;
      if (session !== null) {
        const epoch = await within(answerMaxMs, beginEpoch(sql, schema, announce));
        const heart = new Heart(sql, schema, lose);
        void lost.then(() => heart.stop());
        return {
          session,
          epoch,
          lost,
          open: async () => {
            await sql.unsafe(`set idle_session_timeout = ${silenceMaxMs}`);
          },
          confirm: () => heart.confirm(lost),
          confirmed: (sentAt) => heart.lease.renew(sentAt),
          end: async () => {
            heart.stop();
            if (isLost.by === null) await within(unlockMaxMs, unlock(sql)).catch(() => {});
            await sql.end({ timeout: 0 });
          },
        };
      }
      await onStandby(await within(answerMaxMs, readLeader(sql)));
      // The driver connects again by itself, and that session neither listens nor could lead.
      if (isLost.by !== null) throw isLost.by;
    }
  } catch (error) {
    await sql.end({ timeout: 0 });
    throw error;
  }
}

/** @throws Error when it takes longer */
async function within<T>(ms: number, answer: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(silence(ms)), ms);
  try {
    return await Promise.race([answer, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Keeps the session from falling silent, and notices when PostgreSQL has: the heartbeat
 * stands behind whatever statement is in flight, so an answer that does not come is a
 * commit that does not come, too.
 */
class Heart {
  readonly lease = new Lease(leaseMs);
  readonly #sql: Sql;
  readonly #schema: number;
  readonly #lose: (reason: Error) => void;
  readonly #timer: ReturnType<typeof setInterval>;
  #asked: { readonly at: ReturnType<typeof thisMoment>; readonly answered: Promise<void> } | null =
    null;

  constructor(sql: Sql, schema: number, lose: (reason: Error) => void) {
    this.#sql = sql;
    this.#schema = schema;
    this.#lose = lose;
    this.#timer = setInterval(() => this.#beat(), heartbeatMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Resolves when it is certain that nobody else led when it was asked; null: it is now. */
  confirm(lost: Promise<Error>): Promise<void> | null {
    if (this.lease.isHeld) return null;
    const fails = lost.then((reason) => {
      throw reason;
    });
    // What was asked long ago says nothing of now.
    return within(confirmWaitMaxMs, Promise.race([this.#askAnew(), fails]));
  }

  async #askAnew(): Promise<void> {
    if (this.#asked !== null) await this.#asked.answered;
    if (!this.lease.isHeld) await this.#ask();
  }

  #beat(): void {
    if (this.#asked === null) void this.#ask();
    else if (performance.now() - this.#asked.at.monotonic >= answerMaxMs) {
      this.#lose(silence(answerMaxMs));
    }
  }

  #ask(): Promise<void> {
    const at = thisMoment();
    const answered = this.#askNewer(at);
    this.#asked ??= { at, answered };
    return answered;
  }

  async #askNewer(at: ReturnType<typeof thisMoment>): Promise<void> {
    try {
      const sql = this.#sql;
      const [row] = await sql<{ newer: boolean }[]>`select ${isNewer(sql, this.#schema)} as newer`;
      if (row?.newer === true) this.#lose(new SchemaError(migrated));
      this.lease.renew(at);
    } catch (error) {
      this.#lose(error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.#asked = null;
    }
  }
}

async function tryLock(sql: Sql): Promise<WriterSession | null> {
  const [row] = await sql<{ locked: boolean; pid: number }[]>`
    select pg_try_advisory_lock(${leaderLockKey}) as locked, pg_backend_pid() as pid`;
  return row?.locked === true ? { sql, backendPid: row.pid } : null;
}

/** Those who wait hear of it when it is free. */
async function unlock(sql: Sql): Promise<void> {
  await sql`select pg_advisory_unlock(${leaderLockKey}), pg_notify(${freed}, '')`;
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
async function beginEpoch(sql: Sql, schema: number, announce: Announcement): Promise<number> {
  const { url, port, instance, link } = announce;
  const [row] = await sql<{ epoch: number }[]>`
    insert into leader (id, epoch, url, since, instance, link)
    select 1, 1,
            coalesce(${url}::text, 'http://' || coalesce(
              case family(inet_client_addr()) when 6 then '[' || host(inet_client_addr()) || ']'
                                              else host(inet_client_addr()) end,
              '127.0.0.1') || ':' || ${port}::int),
            now(), ${instance}, ${link}
    where not ${isNewer(sql, schema)}
    on conflict (id) do update
      set epoch = leader.epoch + 1, url = excluded.url, since = excluded.since,
          instance = excluded.instance, link = excluded.link
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

/**
 * Notes the last attempt while the journal rests, beside it: by a number that nothing follows nobody
 * could tell that it is gone. In another term it does nothing.
 */
export async function noteEnd(sql: Sql, epoch: number, seq: number): Promise<void> {
  await sql`
    update leader set last_seq = ${seq}::bigint where id = 1 and epoch = ${epoch}::bigint`;
}

async function readLeader(sql: Sql): Promise<LeaderRecord | null> {
  const [row] = await sql<
    LeaderRecord[]
  >`select epoch::float8 as epoch, url, instance, link from leader`;
  return row ?? null;
}

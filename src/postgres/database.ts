/**
 * Talking to the embedded server for the first time: whether it answers, whether the password is the
 * right one, and the database itself, which is made when it is not there.
 */
import postgres from "postgres";
import { EmbeddedError } from "./error.ts";

export type Connection = {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly username: string;
  readonly password: string;
  readonly database: string;
};

const wrongPassword = "28P01";
const connectSecondsMax = 30;
const answerWaitMaxMs = 2_000;
/** The shortest question there is: "do you speak TLS?", its length and its code. */
const sslRequest = new Uint8Array([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/**
 * Whether a PostgreSQL answers on the socket. That it accepts a connection is not enough: the kernel
 * does that for it, even while the process is dying.
 */
export async function answers(socketPath: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const silence = setTimeout(() => resolve(false), answerWaitMaxMs);
  const connected = Bun.connect({
    unix: socketPath,
    socket: {
      open: (socket) => void socket.write(sslRequest),
      data: () => resolve(true),
      close: () => resolve(false),
    },
  });
  // The connection is refused, or there is no socket.
  connected.catch(() => resolve(false));
  const answered = await promise;
  clearTimeout(silence);
  connected.then((socket) => socket.end()).catch(() => {});
  return answered;
}

/** Logs in once. Afterwards the database is there. */
export async function openDatabase(connection: Connection): Promise<void> {
  const sql = postgres({
    ...connection,
    // The one that initdb makes; ours would be refused the first time, and the log say FATAL.
    database: "postgres",
    max: 1,
    connect_timeout: connectSecondsMax,
    fetch_types: false,
    onnotice() {},
  });
  try {
    const found = await sql`select from pg_database where datname = ${connection.database}`;
    if (found.length === 0) await sql`create database ${sql(connection.database)}`;
  } catch (error) {
    if (!(error instanceof postgres.PostgresError) || error.code !== wrongPassword) throw error;
    throw new EmbeddedError(
      `The PostgreSQL on ${connection.path} does not take the password in the data folder: put back the password file that belongs to this data.`,
      { cause: error },
    );
  } finally {
    await sql.end({ timeout: 1 });
  }
}

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

/** Whether something accepts connections on the socket. */
export async function answers(socketPath: string): Promise<boolean> {
  try {
    const socket = await Bun.connect({ unix: socketPath, socket: { data() {} } });
    socket.end();
    return true;
  } catch {
    return false;
  }
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

/**
 * Talking to the embedded server for the first time: whether it answers, whether the password is the
 * right one, the roles, and the database itself, which is made when it is not there.
 */
import postgres, { type Sql } from "postgres";
import { EmbeddedError } from "./error.ts";
import { handOver, makeRoles, passwordOf, seller, superuser } from "./roles.ts";

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

/**
 * Logs in as the superuser. Afterwards the roles and the database are there, and all that is in it
 * is the seller's.
 * @param stored the password in the data folder
 */
export async function openDatabase(
  { database, ...where }: Omit<Connection, "username" | "password">,
  stored: string,
): Promise<void> {
  try {
    // The one that initdb makes; ours would be refused the first time, and the log say FATAL.
    await asSuperuser({ ...where, database: "postgres" }, stored, async (sql) => {
      await makeRoles(sql, stored);
      const [found] = await sql<{ owner: string }[]>`
        select pg_get_userbyid(datdba) as owner from pg_database where datname = ${database}`;
      const [name, owner] = [sql(database), sql(seller)];
      if (found === undefined) await sql`create database ${name} owner ${owner}`;
      else if (found.owner !== seller) await sql`alter database ${name} owner to ${owner}`;
    });
    await asSuperuser({ ...where, database }, stored, handOver);
  } catch (error) {
    if (!(error instanceof postgres.PostgresError) || error.code !== wrongPassword) throw error;
    throw new EmbeddedError(
      `The PostgreSQL on ${where.path} does not take the password in the data folder: put back the password file that belongs to this data.`,
      { cause: error },
    );
  }
}

/**
 * Does something in one session of the superuser's.
 * @param stored the password in the data folder
 */
export async function asSuperuser(
  to: Omit<Connection, "username" | "password">,
  stored: string,
  work: (sql: Sql) => Promise<void>,
): Promise<void> {
  const sql = postgres({
    ...to,
    username: superuser,
    password: passwordOf(superuser, stored),
    max: 1,
    max_lifetime: null,
    idle_timeout: 0,
    connect_timeout: connectSecondsMax,
    fetch_types: false,
    onnotice() {},
  });
  try {
    await work(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

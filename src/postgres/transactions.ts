/**
 * Transactions in a pool, for a process that is to live when a connection is cut in the middle.
 *
 * The driver's own `begin` rolls back on a connection that is gone: that throws in a timer,
 * where nobody can catch it, and the pool's connection never comes back. So each transaction
 * has a connection of its own, which is thrown away with it, and once that is lost nothing is
 * sent to it any more: whoever asked gets an error that `isAway` knows. What was done until
 * then PostgreSQL takes back by itself; of a commit that was under way nobody knows.
 *
 * It costs a login each, which is for the cold paths to pay. At most `transactionsMax` run at
 * a time and `transactionsWaitingMax` wait; more are refused.
 */
import type { Sql, TransactionSql } from "postgres";

export const transactionsMax = 2;
export const transactionsWaitingMax = 64;

type Work<T> = (sql: TransactionSql) => T | Promise<T>;

/**
 * @param open a client for one connection, which tells at once when that has closed
 * @param watch the same client, whose queries have a deadline
 * @param answerMaxMs how long a beginning and a commit have, ms
 */
export function transactions(
  open: (onclose: () => void) => Sql,
  watch: (sql: TransactionSql) => TransactionSql,
  answerMaxMs: number,
): Sql["begin"] {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async <T>(modeOrWork: string | Work<T>, workInMode?: Work<T>) => {
    const [mode, work] =
      typeof modeOrWork === "string" ? [modeOrWork, workInMode] : ["", modeOrWork];
    if (work === undefined) throw new TypeError("a transaction without anything to do in it");
    if (running < transactionsMax) running += 1;
    else if (waiting.length >= transactionsWaitingMax) {
      throw failure("53300", `${transactionsWaitingMax} transactions wait already`);
    } else await new Promise<void>((resolve) => waiting.push(resolve));
    const connection = { isLost: false };
    const sql = open(() => {
      connection.isLost = true;
    });
    const giveUp = (): void => void sql.end({ timeout: 0 });
    let deadline = setTimeout(giveUp, answerMaxMs);
    const connected = whileConnected<T>(connection, (tx) => work(watch(tx)));
    const done = async (tx: TransactionSql): Promise<T> => {
      clearTimeout(deadline);
      try {
        return await connected(tx);
      } finally {
        deadline = setTimeout(giveUp, answerMaxMs);
      }
    };
    try {
      return await sql.begin(mode, done);
    } finally {
      clearTimeout(deadline);
      await sql.end({ timeout: 0 });
      // Whoever waits takes the place over, so that nobody new slips in between.
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}

type Connection = { readonly isLost: boolean };

/**
 * The same work, of which the driver learns no end once the connection is lost: it would commit
 * or roll back there. It has told whoever asked by then.
 */
function whileConnected<T>(connection: Connection, work: Work<T>): Work<T> {
  return async (sql) => {
    try {
      const done = work(guarded(connection, sql));
      return await (Array.isArray(done) ? Promise.all(done) : done);
    } finally {
      if (connection.isLost) await new Promise<never>(() => {});
    }
  };
}

/** The same client, which refuses to be used once the connection is lost. */
function guarded(connection: Connection, sql: TransactionSql): TransactionSql {
  const check = (): void => {
    if (connection.isLost) {
      throw failure("CONNECTION_CLOSED", "the connection was lost in the middle of a transaction");
    }
  };
  return new Proxy(sql, {
    apply(target, self, given) {
      check();
      return Reflect.apply(target, self, given);
    },
    get(target, name) {
      check();
      if (name !== "savepoint") return Reflect.get(target, name);
      return (...given: [Work<unknown>] | [string, Work<unknown>]) =>
        given.length === 1
          ? target.savepoint(whileConnected(connection, given[0]))
          : target.savepoint(given[0], whileConnected(connection, given[1]));
    },
  });
}

const failure = (code: string, message: string): Error =>
  Object.assign(new Error(message), { code });

/**
 * The cold paths' way to the records: drizzle over the pool that the exports and the audit use
 * as it is, so that a process has one bound on its connections.
 *
 * drizzle's own `drizzle(client)` changes the client that it is given: dates come back as
 * strings, and parameters that are dates throw. So its parts are put together here, and the
 * client stays as it is; the columns of the schema take dates as the client gives them.
 *
 * Three things differ from drizzle's own. Every statement is a prepared one in PostgreSQL, as the
 * client's are: otherwise each costs a round trip more, and is planned anew. And an error is the
 * driver's, with its code: drizzle's wraps it, and tells the parameters, a password's hash too. But
 * that a connection is lost in the middle of a change is a `CommitUnknownError`, here and once for
 * all: whoever asked for it must not be told that nothing was done.
 */
import { DrizzleQueryError, sql as fragment, type Query } from "drizzle-orm";
import { PgDialect, type PgTransactionConfig, type PreparedQueryConfig } from "drizzle-orm/pg-core";
import {
  PostgresJsDatabase,
  PostgresJsSession,
  type PostgresJsTransaction,
} from "drizzle-orm/postgres-js";
import type { Sql } from "postgres";
import { isAway, isCut, messageOf } from "../postgres/client.ts";

/** To be given to whatever asks the records; the statements are typed by the schema's tables. */
export type Db = PostgresJsDatabase;

/** PostgreSQL was lost while it changed something: nobody knows whether it did. */
export class CommitUnknownError extends Error {
  /** @param cause how it was lost */
  constructor(cause: unknown) {
    super(`PostgreSQL was lost in the middle of a change: ${messageOf(cause)}`);
  }
}

/** A statement that changes something; one that only locks rows does not. */
const changes = /(?<!\bfor (?:no key )?)\b(?:insert into|update|delete from)\b/;

type None = Record<string, never>;

class RecordsSession extends PostgresJsSession<Sql, None, None> {
  override prepareQuery<T extends PreparedQueryConfig = PreparedQueryConfig>(
    query: Query,
    ...[fields, name = "", ...rest]: Tail<
      Parameters<PostgresJsSession<Sql, None, None>["prepareQuery"]>
    >
  ) {
    const statement = super.prepareQuery<T>(query, fields, name, ...rest);
    const execute = statement.execute.bind(statement);
    const failed = changes.test(query.sql) ? rethrowChange : rethrow;
    statement.execute = (values) => execute(values).catch(failed);
    return statement;
  }

  override async transaction<T>(
    work: (tx: PostgresJsTransaction<None, None>) => Promise<T>,
    config?: PgTransactionConfig,
  ): Promise<T> {
    const begin = (committing: typeof work) => super.transaction(committing, config);
    return await transacted(begin, work).catch(rethrow);
  }
}

/**
 * Does something in a transaction.
 * @param begin begins one, and commits when what it is given is done
 * @throws CommitUnknownError when PostgreSQL is lost once the commit was asked for
 */
export async function transacted<Tx, T>(
  begin: (work: (tx: Tx) => Promise<T>) => Promise<T>,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  const commit = { isAsked: false };
  try {
    return await begin(async (tx) => {
      const made = await work(tx);
      commit.isAsked = true;
      return made;
    });
  } catch (error) {
    throw commit.isAsked && isAway(error) ? new CommitUnknownError(error) : error;
  }
}

type Tail<T extends unknown[]> = T extends [unknown, ...infer Rest] ? Rest : never;

const causeOf = (error: unknown): unknown =>
  error instanceof DrizzleQueryError ? error.cause : error;

function rethrow(error: unknown): never {
  throw causeOf(error);
}

/** Of a statement that commits by itself. */
function rethrowChange(error: unknown): never {
  const cause = causeOf(error);
  throw isCut(cause) ? new CommitUnknownError(cause) : cause;
}

/** @param sql a pool; it belongs to the caller, who ends it */
export const openDb = (sql: Sql): Db => {
  const dialect = new PgDialect();
  return new PostgresJsDatabase(dialect, new RecordsSession(sql, dialect, undefined), undefined);
};

/**
 * A statement for a path that crowds take, built once for each `Db`: drizzle builds a statement
 * in 50 to 500 µs of the one thread, four times what all the rest of a small one takes.
 */
export function prepared<Statement>(build: (db: Db) => Statement): (db: Db) => Statement {
  const built = new WeakMap<Db, Statement>();
  return (db) => {
    const known = built.get(db);
    if (known !== undefined) return known;
    const statement = build(db);
    built.set(db, statement);
    return statement;
  };
}

/** Asks PostgreSQL for nothing: that it answers is the answer. */
export const ping = async (db: Db): Promise<void> => void (await db.execute(fragment`select 1`));

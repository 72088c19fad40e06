/**
 * Takes a name out of the records: whoever has it, of any kind of buyer, is called by a pseudonym from
 * then on, the same in every table, so that all figures and limits are what they were. An account of
 * this name is left, and lets nobody in.
 *
 * The names are in the memory of processes, too, and what they have decided may be under way. So it
 * is done as a migration is: whoever leads is deposed in the transaction, and what any process keeps
 * from before is of no use (`erasures`): each begins with what is read anew. The journal is looked
 * through before that, so that nobody sells for no longer than the names take to be changed.
 */
import type { ISql, Sql } from "postgres";
import { connect, type Connection } from "../postgres/client.ts";
import { plainly } from "./backup.ts";
import { depose, migrationLockKey } from "./migrations.ts";

/** What nobody's password is. */
const noPassword = "!";

type Erased = {
  readonly pseudonym: string;
  readonly accounts: number;
  /** By table. */
  readonly rows: Readonly<Record<string, number>>;
};

/**
 * @param name as buyers are called; an account's in any case of its letters
 * @param pseudonym which nobody has
 * @returns what was changed; null when nobody has the name
 */
export async function eraseName(
  connection: Connection,
  name: string,
  pseudonym: string,
): Promise<Erased | null> {
  const state = { isLost: false };
  const sql = connect(connection, { ...plainly, onclose: () => (state.isLost = true) });
  try {
    await sql`select pg_advisory_lock_shared(${migrationLockKey})`;
    const names = await namesOf(sql, name);
    const known = await attemptsOf(sql, names, 0);
    const upTo = known.at(-1) ?? 0;
    const tables = await tablesWithUsers(sql);
    if (known.length === 0 && !(await isCalled(sql, tables, names))) return null;
    await sql`begin`;
    await depose(sql);
    const attempts = [...known, ...(await attemptsOf(sql, names, upTo))];
    const rows: Record<string, number> = {
      attempts: await renameAttempts(sql, attempts, pseudonym),
    };
    for (const table of tables) {
      const changed = await sql`
        update ${sql(table)} set user_id = ${pseudonym} where user_id in ${sql(names)}`;
      rows[table] = changed.count;
    }
    await renameInActivity(sql, names, pseudonym);
    // They follow from the journal.
    await sql`delete from checkpoints`;
    const accounts = await renameAccount(sql, names, pseudonym);
    await sql`insert into erasures (epoch, pseudonym) select epoch, ${pseudonym} from leader`;
    await sql`commit`;
    if (state.isLost) throw new Error("the connection was lost; nobody knows whether it was done");
    return { pseudonym, accounts, rows };
  } finally {
    await sql.end({ timeout: 0 });
  }
}

/** The name, and how an account of it is spelled. */
async function namesOf(sql: Sql, name: string): Promise<string[]> {
  const accounts = await sql<{ username: string }[]>`
    select username from users
    where lower(username collate "C") = lower(${name} collate "C")`;
  return [...new Set([name, ...accounts.map(({ username }) => username)])];
}

/** Whether somebody has one of these names. */
async function isCalled(
  sql: Sql,
  tables: readonly string[],
  names: readonly string[],
): Promise<boolean> {
  const [account] = await sql`select from users where username in ${sql(names)} limit 1`;
  if (account !== undefined) return true;
  for (const table of tables) {
    const [row] = await sql`select from ${sql(table)} where user_id in ${sql(names)} limit 1`;
    if (row !== undefined) return true;
  }
  return false;
}

async function attemptsOf(sql: Sql, names: readonly string[], after: number): Promise<number[]> {
  const rows = await sql<{ seq: number }[]>`
    select seq::float8 as seq from attempts
    where seq > ${after}::bigint and user_id in ${sql(names)} order by seq`;
  return rows.map(({ seq }) => seq);
}

/** Attempts that are renamed by one statement. */
const attemptsPerStatement = 10_000;

async function renameAttempts(
  sql: Sql,
  attempts: readonly number[],
  pseudonym: string,
): Promise<number> {
  for (let from = 0; from < attempts.length; from += attemptsPerStatement) {
    const some = attempts.slice(from, from + attemptsPerStatement);
    await sql`
      update attempts set user_id = ${pseudonym}
      where seq in (select jsonb_array_elements_text(${JSON.stringify(some)}::text::jsonb)::bigint)`;
  }
  return attempts.length;
}

/** All tables but the journal that say by name whose a row is. */
async function tablesWithUsers(sql: Sql): Promise<string[]> {
  const tables = await sql<{ name: string }[]>`
    select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p')
      and not c.relispartition and c.relname <> 'attempts'
      and a.attname = 'user_id' and a.atttypid = 'text'::regtype and not a.attisdropped
    order by 1`;
  return tables.map(({ name }) => name);
}

/** Who changed something, and whom: what it was and became is JSON. */
async function renameInActivity(
  sql: Sql,
  names: readonly string[],
  pseudonym: string,
): Promise<void> {
  await sql`
    update activity set who = ${pseudonym} where actor = 'account' and who in ${sql(names)}`;
  const next = JSON.stringify(pseudonym);
  for (const name of names) {
    const quoted = JSON.stringify(name);
    await sql`
      update activity set before = replace(before, ${quoted}, ${next}),
        after = replace(after, ${quoted}, ${next}), request = replace(request, ${quoted}, ${next})
      where position(${quoted} in concat(before, after, request)) > 0`;
  }
}

async function renameAccount(
  sql: Sql,
  names: readonly string[],
  pseudonym: string,
): Promise<number> {
  await sql`
    delete from sessions where user_id in (select id from users where username in ${sql(names)})`;
  const changed = await sql`
    update users set username = ${pseudonym}, password_hash = ${noPassword}, disabled = true,
      role = 'user', factor_secret = null, factor_pending = null, recovery_hashes = '{}',
      password_version = password_version + 1
    where username in ${sql(names)}`;
  return changed.count;
}

/** Whether processes may not go on from what they knew in a term, for a name is in it that is erased. */
export async function isErasedSince(sql: ISql, epoch: number): Promise<boolean> {
  const [row] = await sql<{ found: boolean }[]>`
    select exists (select from erasures where epoch > ${epoch}::bigint) as found`;
  return row?.found ?? false;
}

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
import type { ISql, Sql, TransactionSql } from "postgres";
import type { Actor } from "../ledger/commands.ts";
import { transacted } from "./db.ts";
import { depose, migrationLockKey } from "./migrations.ts";

/** What nobody's password is. */
const noPassword = "!";

/** Where a name stands. */
type FoundName = {
  readonly name: string;
  /** By their numbers, up to `upTo`. */
  readonly attempts: readonly number[];
  readonly upTo: number;
};

export type Erased = {
  readonly pseudonym: string;
  readonly accounts: number;
  /** By table. */
  readonly rows: Readonly<Record<string, number>>;
};

/**
 * Looks for a name, in all of the journal: nothing is held up meanwhile.
 * @param name as buyers are called; an account's in any case of its letters
 * @returns null when nobody has it
 */
export async function findName(sql: ISql, name: string): Promise<FoundName | null> {
  const names = await namesOf(sql, name);
  const upTo = await lastAttempt(sql);
  const attempts = await attemptsOf(sql, names, 0);
  const isKnown = attempts.length > 0 || (await isCalled(sql, await tablesWithUsers(sql), names));
  return isKnown ? { name, attempts: attempts.filter((seq) => seq <= upTo), upTo } : null;
}

/**
 * Takes a name that was found out of the records, and ends the term of whoever leads.
 * @param by who has asked for it; null: whoever runs the program, of whom nothing is noted
 * @returns null when somebody else has erased it meanwhile
 * @throws CommitUnknownError
 */
export async function eraseName(
  sql: Sql,
  { name, attempts: known, upTo }: FoundName,
  by: Actor | null,
): Promise<Erased | null> {
  const pseudonym = `erased-${crypto.randomUUID()}`;
  return await transacted<TransactionSql, Erased | null>(
    async (work) => await sql.begin(work),
    async (tx) => {
      await tx`select pg_advisory_xact_lock_shared(${migrationLockKey})`;
      const tables = await tablesWithUsers(tx);
      await depose(tx);
      const names = await namesOf(tx, name);
      const attempts = [...known, ...(await attemptsOf(tx, names, upTo))];
      const rows: Record<string, number> = {
        attempts: await renameAttempts(tx, attempts, names, pseudonym),
      };
      for (const table of tables) {
        const changed = await tx`
          update ${tx(table)} set user_id = ${pseudonym} where ${isTheirs(tx, names)}`;
        rows[table] = changed.count;
      }
      await renameInActivity(tx, names, pseudonym);
      // They follow from the journal.
      await tx`delete from checkpoints`;
      const accounts = await renameAccount(tx, names, pseudonym);
      if (accounts === 0 && Object.values(rows).every((count) => count === 0)) return null;
      await tx`insert into erasures (epoch, pseudonym) select epoch, ${pseudonym} from leader`;
      if (by !== null) await note(tx, by, pseudonym);
      return { pseudonym, accounts, rows };
    },
  );
}

/** By the pseudonym alone: what it stands for is not to be found there. */
async function note(tx: ISql, by: Actor, pseudonym: string): Promise<void> {
  await tx`
    insert into activity (at, actor, who, what, before, after)
    values (now(), ${by.kind}, ${by.name}, 'user.erased', null,
            json_build_object('user_id', ${pseudonym}::text)::text)`;
}

/** The name, and how an account of it is spelled. */
async function namesOf(sql: ISql, name: string): Promise<string[]> {
  const accounts = await sql<{ username: string }[]>`
    select username from users
    where lower(username collate "C") = lower(${name} collate "C")`;
  return [...new Set([name, ...accounts.map(({ username }) => username)])];
}

/**
 * Whose a row is: of whoever has the name. As an account of it is spelled otherwise, that account's
 * alone: guests and customers are called so by themselves, and two of them stay two.
 */
const isTheirs = (sql: ISql, names: readonly string[]) => sql`
  (user_id = ${names[0] ?? ""} or (buyer = 'account' and user_id in ${sql(names)}))`;

/** Whether somebody has one of these names. */
async function isCalled(
  sql: ISql,
  tables: readonly string[],
  names: readonly string[],
): Promise<boolean> {
  const [account] = await sql`select from users where username in ${sql(names)} limit 1`;
  if (account !== undefined) return true;
  for (const table of tables) {
    const [row] = await sql`select from ${sql(table)} where ${isTheirs(sql, names)} limit 1`;
    if (row !== undefined) return true;
  }
  return false;
}

async function lastAttempt(sql: ISql): Promise<number> {
  const [row] = await sql<{ seq: number }[]>`
    select coalesce(max(seq), 0)::float8 as seq from attempts`;
  return row?.seq ?? 0;
}

async function attemptsOf(sql: ISql, names: readonly string[], after: number): Promise<number[]> {
  const rows = await sql<{ seq: number }[]>`
    select seq::float8 as seq from attempts
    where seq > ${after}::bigint and ${isTheirs(sql, names)} order by seq`;
  return rows.map(({ seq }) => seq);
}

/** Attempts that are renamed by one statement. */
const attemptsPerStatement = 10_000;

async function renameAttempts(
  sql: ISql,
  attempts: readonly number[],
  names: readonly string[],
  pseudonym: string,
): Promise<number> {
  let renamed = 0;
  for (let from = 0; from < attempts.length; from += attemptsPerStatement) {
    const some = attempts.slice(from, from + attemptsPerStatement);
    // Somebody else may have erased the name since they were found.
    const { count } = await sql`
      update attempts set user_id = ${pseudonym}
      where seq in (select jsonb_array_elements_text(${JSON.stringify(some)}::text::jsonb)::bigint)
        and ${isTheirs(sql, names)}`;
    renamed += count;
  }
  return renamed;
}

/** All tables but the journal that say by name whose a row is. */
async function tablesWithUsers(sql: ISql): Promise<string[]> {
  const tables = await sql<{ name: string }[]>`
    select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p')
      and not c.relispartition and c.relname <> 'attempts'
      and a.attname = 'user_id' and a.atttypid = 'text'::regtype and not a.attisdropped
    order by 1`;
  return tables.map(({ name }) => name);
}

/** What a pattern of PostgreSQL's takes for itself. */
const inPatterns = /[\\^$.|?*+()[\]{}]/g;

/** Who changed something, and whom: what it was and became is JSON, in which a name may be a key's, too. */
async function renameInActivity(
  sql: ISql,
  names: readonly string[],
  pseudonym: string,
): Promise<void> {
  await sql`
    update activity set who = ${pseudonym} where actor = 'account' and who in ${sql(names)}`;
  const next = JSON.stringify(pseudonym);
  for (const name of names) {
    const quoted = JSON.stringify(name);
    const value = `${quoted.replaceAll(inPatterns, "\\$&")}(?!\\s*:)`;
    await sql`
      update activity set before = regexp_replace(before, ${value}, ${next}, 'g'),
        after = regexp_replace(after, ${value}, ${next}, 'g'),
        request = regexp_replace(request, ${value}, ${next}, 'g')
      where position(${quoted} in concat(before, after, request)) > 0`;
  }
}

async function renameAccount(
  sql: ISql,
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

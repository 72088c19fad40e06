/**
 * Users and their sessions as they are stored.
 *
 * The leader answers from a cache of sessions, so what ends a session must not be done by a
 * leader that has been deposed and does not know it: the new one would go on with what it has
 * read. Such statements take the epoch and hold its row; the next term begins after them, or
 * they do nothing. Each is one statement, so that no client can die between lock and commit.
 */
import type { Sql } from "postgres";
import { sameName } from "../access/rules.ts";
import { errorCode } from "../postgres/client.ts";

export type UserRole = "user" | "admin";

export type StoredUser = {
  readonly id: number;
  readonly username: string;
  readonly role: UserRole;
  readonly disabled: boolean;
  readonly createdAt: Date;
};

type UserRow = {
  id: number;
  username: string;
  role: UserRole;
  disabled: boolean;
  created_at: Date;
};

const storedUser = ({ id, username, role, disabled, created_at }: UserRow): StoredUser => ({
  id,
  username,
  role,
  disabled,
  createdAt: created_at,
});

/** Null when there is a user of this name, by `sameName`. */
export async function insertUser(
  sql: Sql,
  user: { readonly username: string; readonly passwordHash: string; readonly role: UserRole },
): Promise<StoredUser | null> {
  const [row] = await sql<UserRow[]>`
    insert into users (username, password_hash, role)
    values (${user.username}, ${user.passwordHash}, ${user.role})
    on conflict (lower(username collate "C")) do nothing
    returning id, username, role, disabled, created_at`;
  return row === undefined ? null : storedUser(row);
}

export async function hasUser(sql: Sql, username: string): Promise<boolean> {
  const rows =
    await sql`select 1 from users where lower(username collate "C") = ${sameName(username)}`;
  return rows.length > 0;
}

export type Credentials = StoredUser & { readonly passwordHash: string };

export async function findCredentials(sql: Sql, username: string): Promise<Credentials | null> {
  const [row] = await sql<(UserRow & { password_hash: string })[]>`
    select id, username, role, disabled, created_at, password_hash
    from users where lower(username collate "C") = ${sameName(username)}`;
  return row === undefined ? null : { ...storedUser(row), passwordHash: row.password_hash };
}

/** Users in the order of their making, after the id `after`; `q` is a part of the name. */
export async function listUsers(
  sql: Sql,
  { after, limit, q }: { readonly after: number; readonly limit: number; readonly q: string },
): Promise<StoredUser[]> {
  const rows = await sql<UserRow[]>`
    select id, username, role, disabled, created_at from users
    where id > ${after} and position(${sameName(q)} in lower(username collate "C")) > 0
    order by id limit ${limit}`;
  return rows.map(storedUser);
}

/** Sessions of one user; the oldest give way. */
const sessionsPerUserMax = 50;
/** Sessions past their end that one login clears away. */
const clearedPerLoginMax = 100;

/**
 * Begins a session, if the user is still enabled and the password still the one that was
 * verified; tells whether.
 */
export async function startSession(
  sql: Sql,
  session: { readonly id: string; readonly expiresAt: number; readonly now: number },
  user: Credentials,
): Promise<boolean> {
  const expiresAt = new Date(session.expiresAt).toISOString();
  const now = new Date(session.now).toISOString();
  // The lock has a disabling that goes on at the same time either seen here, or see this row.
  const rows = await sql`
    with known as materialized (
      select id, password_version from users
      where id = ${user.id} and not disabled and password_hash = ${user.passwordHash}
      for share
    ), surplus as (
      delete from sessions where id in (
        select id from sessions where user_id = ${user.id}
        order by expires_at desc offset ${sessionsPerUserMax - 1})
    ), past as (
      delete from sessions where id in (
        select id from sessions where expires_at < ${now} and user_id <> ${user.id}
        limit ${clearedPerLoginMax} for update skip locked)
    )
    insert into sessions (id, user_id, password_version, expires_at)
    select ${session.id}, known.id, known.password_version, ${expiresAt} from known
    returning id`;
  return rows.length > 0;
}

/** The user of a session that has not been ended; its time is the token's to tell. */
export async function findSessionUser(sql: Sql, sessionId: string): Promise<StoredUser | null> {
  const [row] = await sql<UserRow[]>`
    select u.id, u.username, u.role, u.disabled, u.created_at
    from sessions s join users u on u.id = s.user_id
    where s.id = ${sessionId} and not u.disabled and s.password_version = u.password_version`;
  return row === undefined ? null : storedUser(row);
}

/** False when the term is over, and nothing was done. */
export async function endSession(sql: Sql, epoch: number, sessionId: string): Promise<boolean> {
  const [row] = await sql<{ led: boolean }[]>`
    with term as materialized (
      select id from leader where id = 1 and epoch = ${epoch} for share
    ), ended as (
      delete from sessions where id = ${sessionId} and exists (select from term)
    )
    select exists (select from term) as led`;
  return row?.led === true;
}

/**
 * Gives a user who is enabled another password, if the one that was verified is still theirs.
 * That ends every session of the user but one: a login with the old password that goes on at
 * the same time has the old version, whichever of the two is done first.
 */
export async function changePassword(
  sql: Sql,
  by: { readonly epoch: number; readonly sessionId: string },
  user: Credentials,
  passwordHash: string,
): Promise<"changed" | "term_over" | "outdated"> {
  const [row] = await sql<{ led: boolean; changed: boolean }[]>`
    with term as materialized (
      select id from leader where id = 1 and epoch = ${by.epoch} for share
    ), changed as (
      update users
      set password_hash = ${passwordHash}, password_version = password_version + 1
      where id = ${user.id} and not disabled and password_hash = ${user.passwordHash}
        and exists (select from term)
      returning id, password_version
    ), kept as (
      update sessions set password_version = changed.password_version from changed
      where sessions.id = ${by.sessionId} and sessions.user_id = changed.id
    )
    select exists (select from term) as led, exists (select from changed) as changed`;
  if (row?.led !== true) return "term_over";
  return row.changed ? "changed" : "outdated";
}

/**
 * Gives a user another password whoever asks, and ends all sessions; the name as it is
 * spelled, or null when there is no such user. What a leader has read of the sessions counts
 * for `cacheAgeMaxMs` more.
 */
export async function replacePassword(
  sql: Sql,
  username: string,
  passwordHash: string,
): Promise<string | null> {
  const [row] = await sql<{ username: string }[]>`
    update users set password_hash = ${passwordHash}, password_version = password_version + 1
    where lower(username collate "C") = ${sameName(username)}
    returning username`;
  return row?.username ?? null;
}

/** What is null or not there stays as it is. */
export type UserChange = {
  readonly role?: UserRole | null | undefined;
  readonly disabled?: boolean | null | undefined;
};

/**
 * Changes a user in the name of an administrator, and ends the sessions of one who is
 * disabled. The rows of all who administrate are locked first, in order: of two who demote
 * each other the second is none any more.
 */
export async function changeUser(
  sql: Sql,
  by: { readonly epoch: number; readonly adminId: number },
  id: number,
  { role = null, disabled = null }: UserChange,
): Promise<StoredUser | "term_over" | "not_admin" | "user_not_found"> {
  type Answered = { led: boolean; is_admin: boolean } & (UserRow | { id: null });
  const [row] = await sql<Answered[]>`
    with term as materialized (
      select id from leader where id = 1 and epoch = ${by.epoch} for share
    ), admins as materialized (
      select id from users
      where role = 'admin' and not disabled and exists (select from term)
      order by id for no key update
    ), changed as (
      update users
      set role = coalesce(${role}::user_role, role), disabled = coalesce(${disabled}, disabled)
      where id = ${id} and exists (select from admins where admins.id = ${by.adminId})
      returning id, username, role, disabled, created_at
    ), ended as (
      delete from sessions where user_id in (select id from changed where disabled)
    )
    select exists (select from term) as led,
           exists (select from admins where id = ${by.adminId}) as is_admin,
           changed.id, username, role, disabled, created_at
    from (select) as one left join changed on true`;
  if (row?.led !== true) return "term_over";
  if (!row.is_admin) return "not_admin";
  return row.id === null ? "user_not_found" : storedUser(row);
}

/** Whether somebody else administrates too. */
export async function hasOtherAdmin(sql: Sql, id: number): Promise<boolean> {
  const rows = await sql`
    select 1 from users where role = 'admin' and not disabled and id <> ${id} limit 1`;
  return rows.length > 0;
}

/** The secret of a name: the one that is kept, or `made`, which is kept from now on. */
export async function keepSecret(sql: Sql, name: string, made: string): Promise<string> {
  await sql`insert into secrets (name, value) values (${name}, ${made}) on conflict do nothing`;
  const [row] = await sql<{ value: string }[]>`select value from secrets where name = ${name}`;
  if (row === undefined) throw new Error(`the secret ${name} is not kept`);
  return row.value;
}

/** Whether an error means that PostgreSQL is away, or ending, or has no room for us. */
export const isAway = (error: unknown): boolean =>
  /^(?:08|57P|53|CONNECTION_|CONNECT_|ECONN|ENOENT|EPIPE)/.test(errorCode(error));

/**
 * Users and their sessions as they are stored.
 *
 * Every change is one statement, so that no client can die between lock and commit. A part of it
 * that locks rows is done once, however often it is named.
 */
import {
  and,
  asc,
  desc,
  eq,
  gt,
  inArray,
  lt,
  ne,
  sql,
  type Placeholder,
  type SQL,
} from "drizzle-orm";
import type { PgUpdateSetSource } from "drizzle-orm/pg-core";
import { prepared, type Db } from "./db.ts";
import { sessions, users } from "./schema.ts";

export type UserRole = (typeof users.$inferSelect)["role"];

export type StoredUser = {
  readonly id: number;
  readonly username: string;
  readonly role: UserRole;
  readonly disabled: boolean;
  readonly hasSecondFactor: boolean;
  readonly createdAt: Date;
};

export const stored = {
  id: users.id,
  username: users.username,
  role: users.role,
  disabled: users.disabled,
  hasSecondFactor: sql<boolean>`${users.factorSecret} is not null`.as("has_second_factor"),
  createdAt: users.createdAt,
};

/**
 * What is the same for two names of one account: names are one when they differ in the case of
 * the letters A to Z alone, for nobody could tell two such people apart. Other letters are as
 * they are: Ä and ä, İ and i, ẞ and ß are two, in every locale. No rule lets such a name be
 * made, but one may be typed at a login, or stored by hand. PostgreSQL says the same by
 * `lower(username collate "C")`.
 */
export const sameName = (name: string): string =>
  name.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());

/** As the unique index on users has it. */
const nameInIndex = sql`lower(${users.username} collate "C")`;
export const hasName = (username: string): SQL => eq(nameInIndex, sameName(username));

/** Null when there is a user of this name, by `sameName`. */
export async function insertUser(
  db: Db,
  user: { readonly username: string; readonly passwordHash: string; readonly role: UserRole },
): Promise<StoredUser | null> {
  // The name is all that two users can have in common.
  const [made] = await db.insert(users).values(user).onConflictDoNothing().returning(stored);
  return made ?? null;
}

/** Of the account of this name, by `sameName`. */
export async function findUserId(db: Db, username: string): Promise<number | null> {
  const [found] = await db.select({ id: users.id }).from(users).where(hasName(username));
  return found?.id ?? null;
}

export const hasUser = async (db: Db, username: string): Promise<boolean> =>
  (await findUserId(db, username)) !== null;

export type Credentials = StoredUser & {
  readonly passwordHash: string;
  readonly passwordVersion: number;
  /** Sealed; null without a second factor. */
  readonly factorSecret: string | null;
};

export async function findCredentials(db: Db, username: string): Promise<Credentials | null> {
  const [found] = await credentialsOfName(db).execute({ name: sameName(username) });
  return found ?? null;
}

const credentialsOfName = prepared((db) =>
  db
    .select({
      ...stored,
      passwordHash: users.passwordHash,
      passwordVersion: users.passwordVersion,
      factorSecret: users.factorSecret,
    })
    .from(users)
    .where(eq(nameInIndex, sql.placeholder("name")))
    .prepare("credentials_of_name"),
);

/** Users in the order of their making, after the id `after`; `q` is a part of the name. */
export async function listUsers(
  db: Db,
  { after, limit, q }: { readonly after: number; readonly limit: number; readonly q: string },
): Promise<StoredUser[]> {
  return await db
    .select(stored)
    .from(users)
    .where(and(gt(users.id, after), sql`position(${sameName(q)} in ${nameInIndex}) > 0`))
    .orderBy(asc(users.id))
    .limit(limit);
}

/** Sessions of one user; the oldest give way. */
const sessionsPerUserMax = 50;
/** Sessions past their end that one login clears away. */
const clearedPerLoginMax = 100;

/**
 * Begins a session, if the user is still enabled, and password and second factor still those that
 * were verified; tells whether.
 */
export async function startSession(
  db: Db,
  session: { readonly id: string; readonly expiresAt: number; readonly now: number },
  user: Credentials,
): Promise<boolean> {
  const begun = await sessionBegun(db).execute({
    ...session,
    expiresAt: new Date(session.expiresAt),
    now: new Date(session.now),
    userId: user.id,
    passwordHash: user.passwordHash,
    passwordVersion: user.passwordVersion,
  });
  return begun.length > 0;
}

const sessionBegun = prepared((db) => {
  const userId = sql.placeholder("userId");
  // The lock has a disabling that goes on at the same time either seen here, or see this row.
  const known = db.$with("known").as(
    db
      .select({ id: users.id, passwordVersion: users.passwordVersion })
      .from(users)
      .where(
        stillThe({
          id: userId,
          passwordHash: sql.placeholder("passwordHash"),
          passwordVersion: sql.placeholder("passwordVersion"),
        }),
      )
      .for("share"),
  );
  const surplus = db
    .select({ id: sessions.id })
    .from(sessions)
    .where(eq(sessions.userId, userId))
    .orderBy(desc(sessions.expiresAt))
    .offset(sessionsPerUserMax - 1);
  const past = db
    .select({ id: sessions.id })
    .from(sessions)
    .where(and(lt(sessions.expiresAt, sql.placeholder("now")), ne(sessions.userId, userId)))
    .limit(clearedPerLoginMax)
    .for("update", { skipLocked: true });
  const begun = db
    .select({
      id: sql`${sql.placeholder("id")}::uuid`.as("id"),
      userId: known.id,
      passwordVersion: known.passwordVersion,
      expiresAt:
        sql`${sql.param(sql.placeholder("expiresAt"), sessions.expiresAt)}::timestamptz`.as(
          "expires_at",
        ),
    })
    .from(known);
  return db
    .with(
      known,
      db.$with("surplus").as(db.delete(sessions).where(inArray(sessions.id, surplus))),
      db.$with("past").as(db.delete(sessions).where(inArray(sessions.id, past))),
    )
    .insert(sessions)
    .select(begun)
    .returning({ id: sessions.id })
    .prepare("session_begun");
});

type Known = {
  readonly id: number | Placeholder;
  readonly passwordHash: string | Placeholder;
  readonly passwordVersion: number | Placeholder;
};

/** A user who is enabled, and whose password and second factor are those that were verified. */
export const stillThe = ({ id, passwordHash, passwordVersion }: Known) =>
  and(
    eq(users.id, id),
    eq(users.disabled, false),
    eq(users.passwordHash, passwordHash),
    eq(users.passwordVersion, passwordVersion),
  );

/** The user of a session that has not been ended; its time is the token's to tell. */
export async function findSessionUser(db: Db, sessionId: string): Promise<StoredUser | null> {
  const [found] = await userOfSession(db).execute({ sessionId });
  return found ?? null;
}

const userOfSession = prepared((db) =>
  db
    .select(stored)
    .from(sessions)
    .innerJoin(users, eq(users.id, sessions.userId))
    .where(
      and(
        eq(sessions.id, sql.placeholder("sessionId")),
        eq(users.disabled, false),
        eq(sessions.passwordVersion, users.passwordVersion),
      ),
    )
    .prepare("user_of_session"),
);

export async function endSession(db: Db, sessionId: string): Promise<void> {
  await db.delete(sessions).where(eq(sessions.id, sessionId));
}

/** Gives a user another password, if the one that was verified is still theirs: see `changeSelf`. */
export const changePassword = (
  db: Db,
  sessionId: string,
  user: Credentials,
  passwordHash: string,
): Promise<boolean> => changeSelf(db, sessionId, user, { passwordHash });

/**
 * Changes what a user logs in with, if they are enabled and it is still what was verified. That
 * ends every session of the user but one: a login with the old that goes on at the same time has
 * the old version, whichever of the two is done first.
 * @returns false when somebody else has changed it meanwhile
 */
export async function changeSelf(
  db: Db,
  sessionId: string,
  user: Known,
  change: PgUpdateSetSource<typeof users>,
  provided?: SQL,
): Promise<boolean> {
  const changed = db.$with("changed").as(
    db
      .update(users)
      .set({ ...change, passwordVersion: nextVersion })
      .where(and(stillThe(user), provided))
      .returning({ id: users.id, passwordVersion: users.passwordVersion }),
  );
  const kept = db.$with("kept").as(
    db
      .update(sessions)
      .set({ passwordVersion: sql`${changed.passwordVersion}` })
      .from(changed)
      .where(and(eq(sessions.id, sessionId), eq(sessions.userId, changed.id))),
  );
  const rows = await db.with(changed, kept).select({ id: changed.id }).from(changed);
  return rows.length > 0;
}

export const nextVersion = sql`${users.passwordVersion} + 1`;

/**
 * Gives a user another password whoever asks, and ends all sessions; the name as it is
 * spelled, or null when there is no such user. What processes have read of the sessions counts
 * for `cacheAgeMaxMs` more.
 */
export async function replacePassword(
  db: Db,
  username: string,
  passwordHash: string,
): Promise<string | null> {
  const [changed] = await db
    .update(users)
    .set({ passwordHash, passwordVersion: nextVersion })
    .where(hasName(username))
    .returning({ username: users.username });
  return changed?.username ?? null;
}

/** Nothing of a second factor; the sessions end. */
export const withoutFactor = {
  factorSecret: null,
  factorPending: null,
  factorStep: 0,
  recoveryHashes: [],
  passwordVersion: nextVersion,
} satisfies PgUpdateSetSource<typeof users>;

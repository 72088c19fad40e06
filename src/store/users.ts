/**
 * Users and their sessions as they are stored.
 *
 * The leader answers from a cache of sessions, so what ends a session must not be done by a
 * leader that has been deposed and does not know it: the new one would go on with what it has
 * read. Such statements take the epoch and hold its row; the next term begins after them, or
 * they do nothing. Each is one statement, so that no client can die between lock and commit.
 * A part of it that locks rows is done once, however often it is named.
 */
import {
  and,
  asc,
  desc,
  eq,
  exists,
  gt,
  inArray,
  lt,
  ne,
  sql,
  type Placeholder,
  type SQL,
} from "drizzle-orm";
import { prepared, type Db } from "./db.ts";
import { leader, sessions, users } from "./schema.ts";

export type UserRole = (typeof users.$inferSelect)["role"];

export type StoredUser = {
  readonly id: number;
  readonly username: string;
  readonly role: UserRole;
  readonly disabled: boolean;
  readonly createdAt: Date;
};

const stored = {
  id: users.id,
  username: users.username,
  role: users.role,
  disabled: users.disabled,
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
const hasName = (username: string): SQL => eq(nameInIndex, sameName(username));

/** Null when there is a user of this name, by `sameName`. */
export async function insertUser(
  db: Db,
  user: { readonly username: string; readonly passwordHash: string; readonly role: UserRole },
): Promise<StoredUser | null> {
  // The name is all that two users can have in common.
  const [made] = await db.insert(users).values(user).onConflictDoNothing().returning(stored);
  return made ?? null;
}

export async function hasUser(db: Db, username: string): Promise<boolean> {
  const rows = await db.select({ id: users.id }).from(users).where(hasName(username));
  return rows.length > 0;
}

export type Credentials = StoredUser & { readonly passwordHash: string };

export async function findCredentials(db: Db, username: string): Promise<Credentials | null> {
  const [found] = await credentialsOfName(db).execute({ name: sameName(username) });
  return found ?? null;
}

const credentialsOfName = prepared((db) =>
  db
    .select({ ...stored, passwordHash: users.passwordHash })
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
 * Begins a session, if the user is still enabled and the password still the one that was
 * verified; tells whether.
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
      .where(stillThe({ id: userId, passwordHash: sql.placeholder("passwordHash") }))
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
};

/** A user who is enabled, and whose password is the one that was verified. */
const stillThe = ({ id, passwordHash }: Known) =>
  and(eq(users.id, id), eq(users.disabled, false), eq(users.passwordHash, passwordHash));

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

/** The row of a term, held until the statement is done; none when the term is over. */
const termOf = (db: Db, epoch: number) =>
  db.$with("term").as(
    db
      .select({ epoch: leader.epoch })
      .from(leader)
      .where(and(eq(leader.id, 1), eq(leader.epoch, epoch)))
      .for("share"),
  );

/** False when the term is over, and nothing was done. */
export async function endSession(db: Db, epoch: number, sessionId: string): Promise<boolean> {
  const term = termOf(db, epoch);
  const ended = db
    .$with("ended")
    .as(db.delete(sessions).where(and(eq(sessions.id, sessionId), exists(db.select().from(term)))));
  const led = await db.with(term, ended).select().from(term);
  return led.length > 0;
}

/**
 * Gives a user who is enabled another password, if the one that was verified is still theirs.
 * That ends every session of the user but one: a login with the old password that goes on at
 * the same time has the old version, whichever of the two is done first.
 */
export async function changePassword(
  db: Db,
  by: { readonly epoch: number; readonly sessionId: string },
  user: Credentials,
  passwordHash: string,
): Promise<"changed" | "term_over" | "outdated"> {
  const term = termOf(db, by.epoch);
  const changed = db.$with("changed").as(
    db
      .update(users)
      .set({ passwordHash, passwordVersion: nextVersion })
      .where(and(stillThe(user), exists(db.select().from(term))))
      .returning({ id: users.id, passwordVersion: users.passwordVersion }),
  );
  const kept = db.$with("kept").as(
    db
      .update(sessions)
      .set({ passwordVersion: sql`${changed.passwordVersion}` })
      .from(changed)
      .where(and(eq(sessions.id, by.sessionId), eq(sessions.userId, changed.id))),
  );
  const [row] = await db
    .with(term, changed, kept)
    .select({ id: changed.id })
    .from(term)
    .leftJoin(changed, sql`true`);
  if (row === undefined) return "term_over";
  return row.id === null ? "outdated" : "changed";
}

const nextVersion = sql`${users.passwordVersion} + 1`;

/**
 * Gives a user another password whoever asks, and ends all sessions; the name as it is
 * spelled, or null when there is no such user. What a leader has read of the sessions counts
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
  db: Db,
  by: { readonly epoch: number; readonly adminId: number },
  id: number,
  { role, disabled }: UserChange,
): Promise<StoredUser | "term_over" | "not_admin" | "user_not_found"> {
  const term = termOf(db, by.epoch);
  const admins = db.$with("admins").as(
    db
      .select({ id: users.id })
      .from(users)
      .where(and(isAdmin, exists(db.select().from(term))))
      .orderBy(asc(users.id))
      .for("no key update"),
  );
  const administrates = exists(db.select().from(admins).where(eq(admins.id, by.adminId)));
  const changed = db.$with("changed").as(
    db
      .update(users)
      .set({ role: role ?? sql`${users.role}`, disabled: disabled ?? sql`${users.disabled}` })
      .where(and(eq(users.id, id), administrates))
      .returning(stored),
  );
  const ended = db
    .$with("ended")
    .as(
      db
        .delete(sessions)
        .where(
          inArray(
            sessions.userId,
            db.select({ id: changed.id }).from(changed).where(eq(changed.disabled, true)),
          ),
        ),
    );
  const [row] = await db
    .with(term, admins, changed, ended)
    .select({
      admin: admins.id,
      user: {
        id: changed.id,
        username: changed.username,
        role: changed.role,
        disabled: changed.disabled,
        createdAt: changed.createdAt,
      },
    })
    .from(term)
    .leftJoin(admins, eq(admins.id, by.adminId))
    .leftJoin(changed, sql`true`);
  if (row === undefined) return "term_over";
  if (row.admin === null) return "not_admin";
  return row.user ?? "user_not_found";
}

const isAdmin = and(eq(users.role, "admin"), eq(users.disabled, false));

/** Whether somebody else administrates too. */
export async function hasOtherAdmin(db: Db, id: number): Promise<boolean> {
  const others = await db
    .select({ id: users.id })
    .from(users)
    .where(and(isAdmin, ne(users.id, id)))
    .limit(1);
  return others.length > 0;
}

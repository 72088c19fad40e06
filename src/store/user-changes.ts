/**
 * What administrators change of users, and whoever runs the program. Each change is one statement, as
 * in `users.ts`, and is noted by it.
 */
import { and, asc, eq, exists, inArray, ne, not, or, sql, type SQL } from "drizzle-orm";
import type { Db } from "./db.ts";
import { activity, sessions, users } from "./schema.ts";
import {
  hasName,
  hasUser,
  nextVersion,
  stored,
  withoutFactor,
  type StoredUser,
  type UserRole,
} from "./users.ts";

/** What is null or not there stays as it is. */
export type UserChange = {
  readonly role?: UserRole | null | undefined;
  readonly disabled?: boolean | null | undefined;
  /** Takes the second factor away, and ends the sessions. */
  readonly resetsFactor?: boolean | undefined;
};

/**
 * Changes a user in the name of an administrator, and ends the sessions of one who is disabled
 * or whose second factor is taken away. The rows of all who administrate are locked first, in order: of two who demote
 * each other the second is none any more.
 */
export async function changeUser(
  db: Db,
  { id: adminId, username: who }: { readonly id: number; readonly username: string },
  id: number,
  { role, disabled, resetsFactor }: UserChange,
): Promise<StoredUser | "not_admin" | "user_not_found"> {
  const admins = db
    .$with("admins")
    .as(
      db
        .select({ id: users.id })
        .from(users)
        .where(isAdmin)
        .orderBy(asc(users.id))
        .for("no key update"),
    );
  const administrates = exists(db.select().from(admins).where(eq(admins.id, adminId)));
  const changed = db.$with("changed").as(
    db
      .update(users)
      .set({
        role: role ?? sql`${users.role}`,
        disabled: disabled ?? sql`${users.disabled}`,
        ...(resetsFactor === true && withoutFactor),
      })
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
  // Of the moment before, for no part of a statement sees what another one changes.
  const before = db.$with("before").as(db.select(stored).from(users).where(eq(users.id, id)));
  const noted = db.$with("noted", {}).as(sql`
    insert into ${activity} (at, actor, who, what, before, after)
    select now(), 'account', ${who}::text, 'user.changed', ${noteOf("before")}, ${noteOf("changed")}
    from ${before} join ${changed} on true`);
  const [row] = await db
    .with(admins, before, changed, ended, noted)
    .select({
      user: {
        id: changed.id,
        username: changed.username,
        role: changed.role,
        disabled: changed.disabled,
        hasSecondFactor: changed.hasSecondFactor,
        createdAt: changed.createdAt,
      },
    })
    .from(admins)
    .leftJoin(changed, sql`true`)
    .where(eq(admins.id, adminId));
  if (row === undefined) return "not_admin";
  return row.user ?? "user_not_found";
}

/** A user as a change of it is noted. @param of the part of the statement that has it */
const noteOf = (of: "before" | "changed"): SQL => {
  const column = (name: string): SQL => sql.raw(`${of}.${name}`);
  return sql`json_build_object(
    'user_id', ${column("id")}, 'username', ${column("username")}, 'role', ${column("role")},
    'disabled', ${column("disabled")}, 'second_factor', ${column("has_second_factor")})::text`;
};

/** What whoever runs the program changes of an account. */
export type AccountChange = { readonly role: UserRole } | { readonly disabled: true };

/**
 * Changes an account of this name in nobody's name, and ends its sessions. Somebody who administrates
 * stays: all who do are locked first, in order, as `changeUser` does.
 */
export async function changeAccount(
  db: Db,
  username: string,
  change: AccountChange,
): Promise<StoredUser | "last_admin" | "user_not_found"> {
  const admins = db
    .$with("admins")
    .as(
      db
        .select({ id: users.id })
        .from(users)
        .where(isAdmin)
        .orderBy(asc(users.id))
        .for("no key update"),
    );
  const staysAdmin = "role" in change && change.role === "admin" ? sql`true` : sql`false`;
  const isAnother = exists(db.select().from(admins).where(ne(admins.id, users.id)));
  const [changed] = await db
    .with(admins)
    .update(users)
    .set({ ...change, passwordVersion: nextVersion })
    .where(and(hasName(username), or(staysAdmin, not(isAdmin), isAnother)))
    .returning(stored);
  if (changed !== undefined) return changed;
  return (await hasUser(db, username)) ? "last_admin" : "user_not_found";
}

/** Who administrates. */
const isAdmin = sql`(${users.role} = 'admin' and not ${users.disabled})`;

/** Whether somebody else administrates too. */
export async function hasOtherAdmin(db: Db, id: number): Promise<boolean> {
  const others = await db
    .select({ id: users.id })
    .from(users)
    .where(and(isAdmin, ne(users.id, id)))
    .limit(1);
  return others.length > 0;
}

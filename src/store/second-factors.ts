/**
 * Second factors as they are stored: the sealed secret, the step of the last code that was taken, and
 * the hashes of the recovery codes that are left. A code is taken by one statement that finds it not
 * taken yet, so that it is good once whatever processes are asked at a time.
 */
import { and, arrayContains, eq, isNull, lt, sql } from "drizzle-orm";
import type { Db } from "./db.ts";
import { users } from "./schema.ts";
import { changeSelf, hasName, stillThe, withoutFactor, type Credentials } from "./users.ts";

/** What a user has of a second factor; the secrets are sealed. */
type StoredFactor = Pick<
  Credentials,
  "id" | "passwordHash" | "passwordVersion" | "factorSecret"
> & {
  readonly pending: string | null;
  readonly recoveryCodesLeft: number;
};

export async function findFactor(db: Db, userId: number): Promise<StoredFactor | null> {
  const [found] = await db
    .select({
      id: users.id,
      passwordHash: users.passwordHash,
      passwordVersion: users.passwordVersion,
      factorSecret: users.factorSecret,
      pending: users.factorPending,
      recoveryCodesLeft: sql<number>`cardinality(${users.recoveryHashes})`,
    })
    .from(users)
    .where(eq(users.id, userId));
  return found ?? null;
}

/** Keeps a secret until a code confirms it; in place of one that was not. Tells whether it is kept. */
export async function keepPending(db: Db, user: Credentials, pending: string): Promise<boolean> {
  const kept = await db
    .update(users)
    .set({ factorPending: pending })
    .where(and(stillThe(user), isNull(users.factorSecret)))
    .returning({ id: users.id });
  return kept.length > 0;
}

/** Makes the pending secret the second factor; every session of the user ends but one. */
export const switchOn = (
  db: Db,
  sessionId: string,
  user: StoredFactor & { readonly pending: string },
  { step, recoveryHashes }: { readonly step: number; readonly recoveryHashes: string[] },
): ReturnType<typeof changeSelf> =>
  changeSelf(
    db,
    sessionId,
    user,
    { factorSecret: user.pending, factorPending: null, factorStep: step, recoveryHashes },
    and(eq(users.factorPending, user.pending), isNull(users.factorSecret)),
  );

/** Every session of the user ends but one. */
export const switchOff = (
  db: Db,
  sessionId: string,
  user: Credentials,
): ReturnType<typeof changeSelf> => changeSelf(db, sessionId, user, withoutFactor);

type Owner = Pick<Credentials, "id" | "factorSecret">;

/** A user whose second factor is the one that was read. */
const stillHas = ({ id, factorSecret }: Owner) =>
  and(eq(users.id, id), eq(users.factorSecret, factorSecret ?? ""));

/** False for the code of a step that was taken, or that is earlier than one. */
export async function takeCode(db: Db, user: Owner, step: number): Promise<boolean> {
  const taken = await db
    .update(users)
    .set({ factorStep: step })
    .where(and(stillHas(user), lt(users.factorStep, step)))
    .returning({ id: users.id });
  return taken.length > 0;
}

/** False for one that was taken, or never was one. */
export async function takeRecoveryCode(db: Db, user: Owner, hash: string): Promise<boolean> {
  const taken = await db
    .update(users)
    .set({ recoveryHashes: sql`array_remove(${users.recoveryHashes}, ${hash})` })
    .where(and(stillHas(user), arrayContains(users.recoveryHashes, [hash])))
    .returning({ id: users.id });
  return taken.length > 0;
}

export async function replaceRecoveryCodes(
  db: Db,
  user: Owner,
  recoveryHashes: string[],
): Promise<boolean> {
  const replaced = await db
    .update(users)
    .set({ recoveryHashes })
    .where(stillHas(user))
    .returning({ id: users.id });
  return replaced.length > 0;
}

/**
 * Takes a user's second factor away whoever asks, and ends all sessions; the name as it is spelled,
 * or null when there is no such user.
 */
export async function resetFactor(db: Db, username: string): Promise<string | null> {
  const [changed] = await db
    .update(users)
    .set(withoutFactor)
    .where(hasName(username))
    .returning({ username: users.username });
  return changed?.username ?? null;
}

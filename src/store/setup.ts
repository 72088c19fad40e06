/** What the records say of a set-up, for `stampede doctor`: who administrates, who leads. */
import { and, desc, eq, isNull, sql } from "drizzle-orm";
import type { Db } from "./db.ts";
import { apiKeys, attempts, leader, users } from "./schema.ts";

export type Setup = {
  readonly administrators: number;
  /** Of them, those that a password alone lets in. */
  readonly withoutFactor: number;
  readonly keys: number;
  /** Whoever led last, and where. */
  readonly leader: { readonly url: string; readonly epoch: number } | null;
  /** When the last attempt was made, by the time that sales go by; ms since the Unix epoch. */
  readonly lastAttemptAt: number | null;
};

/** Of records with the schema of this program. */
export async function readSetup(db: Db): Promise<Setup> {
  const administrates = and(eq(users.role, "admin"), eq(users.disabled, false));
  const [[admins], [keys], [led], [last]] = await Promise.all([
    db
      .select({
        all: sql<number>`count(*)::int`,
        plain: sql<number>`(count(*) filter (where ${users.factorSecret} is null))::int`,
      })
      .from(users)
      .where(administrates),
    db
      .select({ count: sql<number>`count(*)::int` })
      .from(apiKeys)
      .where(isNull(apiKeys.revokedAt)),
    db.select({ url: leader.url, epoch: leader.epoch }).from(leader),
    db.select({ at: attempts.at }).from(attempts).orderBy(desc(attempts.seq)).limit(1),
  ]);
  return {
    administrators: admins?.all ?? 0,
    withoutFactor: admins?.plain ?? 0,
    keys: keys?.count ?? 0,
    leader: led === undefined || led.epoch === 0 ? null : led,
    lastAttemptAt: last === undefined ? null : last.at.getTime(),
  };
}

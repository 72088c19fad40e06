/** Challenges that were solved and used. */
import { lt } from "drizzle-orm";
import type { Db } from "./db.ts";
import { spentChallenges } from "./schema-queues.ts";

/** Of those that nobody can use any more, this part is looked for when another one is spent. */
const tidiedEvery = 256;

/**
 * Notes that a challenge is used up.
 * @param expiresAt after which nobody can use it any more, ms
 * @returns whether it was not before
 */
export async function spendChallenge(
  db: Db,
  challenge: string,
  expiresAt: number,
): Promise<boolean> {
  const row = { challenge, expiresAt: new Date(expiresAt) };
  const spent = await db
    .insert(spentChallenges)
    .values(row)
    .onConflictDoNothing()
    .returning({ challenge: spentChallenges.challenge });
  // A signature is random: one in so many sweeps.
  if (Number.parseInt(challenge.slice(0, 2), 16) % tidiedEvery === 0) {
    await db
      .delete(spentChallenges)
      .where(lt(spentChallenges.expiresAt, new Date(expiresAt - 3_600_000)));
  }
  return spent.length === 1;
}

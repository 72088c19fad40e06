/** Secrets that the program makes for itself once, and that all processes on a database share. */
import { eq } from "drizzle-orm";
import type { Db } from "./db.ts";
import { secrets } from "./schema.ts";

/** The secret of a name: the one that is kept, or `made`, which is kept from now on. */
export async function keepSecret(db: Db, name: string, made: string): Promise<string> {
  await db.insert(secrets).values({ name, value: made }).onConflictDoNothing();
  const [kept] = await db.select().from(secrets).where(eq(secrets.name, name));
  if (kept === undefined) throw new Error(`the secret ${name} is not kept`);
  return kept.value;
}

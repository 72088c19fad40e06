/** What failed logins have used up, so that a restart gives nobody new tries. */
import { lt, sql } from "drizzle-orm";
import { isoTime } from "../time.ts";
import type { Db } from "./db.ts";
import { loginLimits } from "./schema.ts";

/** When buckets will be full again (ms), by their keys; those that are by `now` are forgotten. */
export async function loadLoginLimits(db: Db, now: number): Promise<Map<string, number>> {
  await db.delete(loginLimits).where(lt(loginLimits.fullAt, new Date(now)));
  const found = await db.select().from(loginLimits);
  return new Map(found.map(({ key, fullAt }) => [key, fullAt.getTime()]));
}

export async function keepLoginLimits(db: Db, buckets: ReadonlyMap<string, number>): Promise<void> {
  const kept = Array.from(buckets, ([key, fullAt]) => ({ key, full_at: isoTime(fullAt) }));
  await db.execute(sql`
    insert into login_limits (key, full_at)
    select key, full_at
    from json_to_recordset(${JSON.stringify(kept)}::text::json) as kept (key text, full_at timestamptz)
    on conflict (key) do update set full_at = excluded.full_at`);
}

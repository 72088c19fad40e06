/** What failed logins have used up, so that it counts on every process, and after a restart. */
import { inArray, sql } from "drizzle-orm";
import { isoTime } from "../time.ts";
import type { Db } from "./db.ts";
import { loginLimits } from "./schema.ts";

/** Buckets that are full again, and are cleared away by who keeps others. */
const clearedMax = 100;

/** When buckets will be full again (ms), by their keys, as far as they are kept. */
export async function findLoginLimits(
  db: Db,
  keys: readonly string[],
): Promise<Map<string, number>> {
  const found = await db
    .select()
    .from(loginLimits)
    .where(inArray(loginLimits.key, [...keys]));
  return new Map(found.map(({ key, fullAt }) => [key, fullAt.getTime()]));
}

/** Keeps buckets, and forgets some of those that are full by `now` (ms). */
export async function keepLoginLimits(
  db: Db,
  buckets: ReadonlyMap<string, number>,
  now: number,
): Promise<void> {
  const kept = Array.from(buckets, ([key, fullAt]) => ({ key, full_at: isoTime(fullAt) }));
  await db.execute(sql`
    with cleared as (
      delete from login_limits where key in (
        select key from login_limits where full_at < ${isoTime(now)}::timestamptz
          and key <> all(${`{${[...buckets.keys()].join(",")}}`}::text[])
        limit ${clearedMax} for update skip locked))
    insert into login_limits (key, full_at)
    select key, full_at
    from json_to_recordset(${JSON.stringify(kept)}::text::json) as kept (key text, full_at timestamptz)
    order by key
    on conflict (key) do update set full_at = excluded.full_at`);
}

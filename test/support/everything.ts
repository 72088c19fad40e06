/** What a database has that somebody has asked for. */
import type { Sql } from "postgres";

/**
 * What there is, but for what is only counted, and for what happens by itself. Each is all of a
 * table's rows, or those columns that somebody changes by asking.
 */
const kept: Readonly<Record<string, string>> = {
  users: "t::text",
  sessions: "t::text",
  api_keys: "(id, name, scopes, revoked_at)::text",
  products: "t::text",
  pictures: "digest",
  settings: "t::text",
  drafts: "t::text",
  webhooks: "(id, url, types, version)::text",
  sales:
    "case kind when 'product' then (id, title, starts_at, ends_at, closed, per_user_limit)::text end",
  items: "case when product_id is not null then t::text end",
  purchases: "t::text",
  coupons: "t::text",
  claims: "t::text",
  activity: "t::text",
  attempts: "case when kind not in ('milestone', 'offer') then t::text end",
};

/** All of it, to be compared with what it was. */
export async function everything(sql: Sql): Promise<string> {
  const parts = Object.entries(kept).map(
    ([table, row]) => `select '${table}' as of, md5(string_agg(${row}, '|' order by ${row}))
                       from ${table} as t`,
  );
  return JSON.stringify(await sql.unsafe(parts.join(" union all ")));
}

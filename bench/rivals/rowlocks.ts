/**
 * The hourly sale with row locks: a transaction of PostgreSQL for each request, which locks the item's
 * row, counts the buyer's units in a row of their own, and stores the attempt, refused or not.
 */
import type { Sql, TransactionSql } from "postgres";
import { perUserLimit, type Refusal, reservationMs, type RivalSale, storedIn } from "./rival.ts";

type Item = {
  readonly sold_to: string | null;
  readonly is_held: boolean;
  readonly held_by: string;
};

export function saleByRowLocks(sql: Sql): RivalSale {
  return {
    checkout: (user, item) => sql.begin((tx) => reserve(tx, user, item)),
    purchase: (code) => sql.begin((tx) => buy(tx, code)),
    stored: (codes) => storedIn(sql, codes),
  };
}

async function reserve(
  tx: TransactionSql,
  user: string,
  item: number,
): Promise<{ readonly code: string } | Refusal> {
  const code = crypto.randomUUID();
  const refusal = await hold(tx, { user, item, code });
  await tx`
    insert into attempts (kind, user_id, item, code, outcome)
    values ('checkout', ${user}, ${item}, ${refusal === null ? code : null}, ${refusal ?? "ok"})`;
  return refusal ?? { code };
}

/** Whoever held the item before has lost it by now, and may have another in its place. */
async function hold(
  tx: TransactionSql,
  { user, item, code }: { readonly user: string; readonly item: number; readonly code: string },
): Promise<Refusal | null> {
  const [found] = await tx<Item[]>`
    select sold_to, held_by, held_until > now() as is_held from items where id = ${item} for update`;
  if (found === undefined) return "item_not_found";
  if (found.sold_to !== null) return "item_sold_out";
  if (found.is_held) return "item_reserved";
  const counted = await tx`
    insert into buyers (user_id, units) values (${user}, 1)
    on conflict (user_id) do update set units = buyers.units + 1 where buyers.units < ${perUserLimit}
    returning units`;
  if (counted.length === 0) return "user_limit_reached";
  if (found.held_by !== null) {
    await tx`update buyers set units = units - 1 where user_id = ${found.held_by}`;
  }
  await tx`
    update items set held_by = ${user}, code = ${code},
                     held_until = now() + ${reservationMs} * interval '1 ms'
    where id = ${item}`;
  return null;
}

async function buy(tx: TransactionSql, code: string) {
  const [item] = await tx<{ id: number; held_by: string; sold_to: string | null }[]>`
    select id, held_by, sold_to from items where code = ${code} for update`;
  await tx`
    insert into attempts (kind, code, outcome)
    values ('purchase', ${code}, ${item === undefined ? "code_not_found" : "ok"})`;
  if (item === undefined) return null;
  const [made] =
    item.sold_to === null
      ? await tx<{ id: string }[]>`
          insert into orders (code, user_id, item) values (${code}, ${item.held_by}, ${item.id})
          returning id::text`
      : await tx<{ id: string }[]>`select id::text from orders where code = ${code}`;
  if (item.sold_to === null) {
    await tx`update items set sold_to = ${item.held_by} where id = ${item.id}`;
  }
  return made === undefined ? null : { order: made.id, user: item.held_by, item: item.id };
}

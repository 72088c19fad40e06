/** What belongs to the demo: its products, its sales, and its accounts that anybody may use. */
import type { Sql } from "postgres";

/** What the picture seeds of the demo's products begin with. */
export const demoSeedPrefix = "demo-";

type DemoProduct = {
  readonly id: number;
  readonly pictureSeed: string;
  readonly priceCents: number;
  readonly deleted: boolean;
};

/** The demo's products, those that were taken out of the shop too. */
export async function demoProducts(sql: Sql): Promise<DemoProduct[]> {
  const rows = await sql<
    { id: number; picture_seed: string; price_cents: number; deleted: boolean }[]
  >`
    select id, picture_seed, price_cents, deleted from products
    where starts_with(picture_seed, ${demoSeedPrefix}) order by id`;
  return rows.map((row) => ({
    id: row.id,
    pictureSeed: row.picture_seed,
    priceCents: row.price_cents,
    deleted: row.deleted,
  }));
}

/** The sales that have a product of the demo; ms. */
export async function demoSales(
  sql: Sql,
): Promise<{ readonly startsAt: number; readonly endsAt: number }[]> {
  const rows = await sql<{ starts_at: Date; ends_at: Date }[]>`
    select starts_at, ends_at from sales s
    where kind = 'product' and exists (
      select from items i join products p on p.id = i.product_id
      where i.sale_id = s.id and starts_with(p.picture_seed, ${demoSeedPrefix}))`;
  return rows.map((row) => ({
    startsAt: row.starts_at.getTime(),
    endsAt: row.ends_at.getTime(),
  }));
}

/** Notes that an account of the demo was made in this database. */
export async function markDemo(sql: Sql, username: string): Promise<void> {
  await sql`
    insert into secrets (name, value) values ('demo', ${username})
    on conflict (name) do update set value = secrets.value || ',' || excluded.value`;
}

/** Whether one of the demo's accounts lets people in by the password that is published. */
export async function hasDemo(sql: Sql): Promise<boolean> {
  const [row] = await sql<{ demo: boolean }[]>`
    select exists (
      select from secrets s join users u on u.username = any(string_to_array(s.value, ','))
      where s.name = 'demo' and not u.disabled and u.password_version = 1) as demo`;
  return row?.demo === true;
}

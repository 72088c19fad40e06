/**
 * Products as they are stored. A product that was taken out of the shop stays in the records
 * for the sales and purchases that name it; it is only not listed or sold any more.
 */
import type { Sql } from "postgres";

export type Product = {
  readonly id: number;
  readonly name: string;
  readonly description: string;
  readonly pictureSeed: string;
  readonly priceCents: number;
  readonly deleted: boolean;
  /** ms since the Unix epoch */
  readonly createdAt: number;
};

/** What an administrator says of a product. */
type ProductFields = Pick<Product, "name" | "description" | "priceCents">;

type ProductRow = {
  id: number;
  name: string;
  description: string;
  picture_seed: string;
  price_cents: number;
  deleted: boolean;
  created_at: Date;
};

const productOf = (row: ProductRow): Product => ({
  id: row.id,
  name: row.name,
  description: row.description,
  pictureSeed: row.picture_seed,
  priceCents: row.price_cents,
  deleted: row.deleted,
  createdAt: row.created_at.getTime(),
});

/**
 * A page of the products in the shop, by id, after the one with the id `after`.
 * @param search part of a name, upper and lower case alike; empty for all
 */
export async function listProducts(
  sql: Sql,
  { after, limit, search }: { after: number; limit: number; search: string },
): Promise<Product[]> {
  const rows = await sql<ProductRow[]>`
    select id, name, description, picture_seed, price_cents, deleted, created_at
    from products
    where id > ${after} and not deleted
      and (${search} = '' or position(lower(${search}) in lower(name)) > 0)
    order by id limit ${limit}`;
  return rows.map(productOf);
}

/** A product of an id, in the shop or taken out of it. */
export async function findProduct(sql: Sql, id: number): Promise<Product | null> {
  const [row] = await sql<ProductRow[]>`
    select id, name, description, picture_seed, price_cents, deleted, created_at
    from products where id = ${id}`;
  return row === undefined ? null : productOf(row);
}

/** @param pictureSeed what its picture is made from; it stays for good */
export async function insertProduct(
  sql: Sql,
  { name, description, priceCents }: ProductFields,
  pictureSeed: string,
): Promise<Product> {
  const [row] = await sql<ProductRow[]>`
    insert into products (name, description, picture_seed, price_cents)
    values (${name}, ${description}, ${pictureSeed}, ${priceCents})
    returning id, name, description, picture_seed, price_cents, deleted, created_at`;
  if (row === undefined) throw new Error("a product was stored and is not there");
  return productOf(row);
}

/** The product as changed; null when there is none in the shop. */
export async function updateProduct(
  sql: Sql,
  id: number,
  fields: Partial<ProductFields>,
): Promise<Product | null> {
  const [row] = await sql<ProductRow[]>`
    update products
    set name = coalesce(${fields.name ?? null}, name),
        description = coalesce(${fields.description ?? null}, description),
        price_cents = coalesce(${fields.priceCents ?? null}::int, price_cents)
    where id = ${id} and not deleted
    returning id, name, description, picture_seed, price_cents, deleted, created_at`;
  return row === undefined ? null : productOf(row);
}

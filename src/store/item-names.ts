/** What items and their sales are called, for pages that know them by their numbers. */
import type { Sql } from "postgres";

type NamedItem = {
  readonly sale_id: number;
  readonly item_id: number;
  readonly sale: string;
  readonly item: string;
};

/** Those of the asked that there are. */
export async function namesOfItems(
  sql: Sql,
  asked: readonly { readonly saleId: number; readonly itemId: number }[],
): Promise<readonly NamedItem[]> {
  // The pool knows no types of arrays: they go as text.
  const sales = `{${asked.map(({ saleId }) => saleId).join()}}`;
  const numbers = `{${asked.map(({ itemId }) => itemId).join()}}`;
  return await sql<NamedItem[]>`
    select i.sale_id, i.id as item_id, s.title as sale, i.name as item
    from unnest(${sales}::int[], ${numbers}::int[]) as asked (sale_id, item_id)
    join items i on i.sale_id = asked.sale_id and i.id = asked.item_id
    join sales s on s.id = i.sale_id`;
}

/** Names of items and sales for the administrators' tables, which have their numbers alone. */
import type { Sql } from "postgres";
import { z } from "zod";
import type { Accounts } from "../../access/accounts.ts";
import { namesOfItems } from "../../store/item-names.ts";
import { integerMax } from "../../store/integer.ts";
import { Invalid, queryOf, queryValue } from "../parse.ts";
import { json, problem } from "../problems.ts";
import type { Route } from "../server.ts";
import { withScope } from "../callers.ts";

/** Items named by one answer. */
export const namesMax = 200;

const namedItem = z.object({
  sale_id: z.int(),
  item_id: z.int(),
  sale: z.string().describe("The sale's title"),
  item: z.string(),
});

export function nameRoutes(accounts: Accounts, { sql }: { readonly sql: Sql }): Route[] {
  return [
    {
      path: "/api/admin/names",
      methods: {
        GET: {
          handle: withScope(accounts, "read", async (request) => {
            const asked = askedIn(queryOf(request.url));
            if (asked instanceof Invalid) return problem("invalid_request", asked);
            return json({ names: await namesOfItems(sql, asked) });
          }),
          cost: "records",
          summary: "What items and their sales are called, by their numbers",
          auth: "admin",
          query: z.object({
            of: z
              .string()
              .describe(`Up to ${namesMax} pairs of a sale's and an item's number`)
              .meta({ example: "1:42,1:43" }),
          }),
          answers: { 200: z.object({ names: z.array(namedItem) }) },
          refusals: ["invalid_request", "unauthenticated", "forbidden"],
        },
      },
    },
  ];
}

function askedIn(query: string): { saleId: number; itemId: number }[] | Invalid {
  const of = queryValue(query, "of");
  if (of instanceof Invalid) return of;
  if (of === null) return new Invalid("of", "is missing");
  const pairs = of.split(",", namesMax + 1);
  if (pairs.length > namesMax) return new Invalid("of", `has more than ${namesMax} pairs`);
  const asked: { saleId: number; itemId: number }[] = [];
  for (const pair of pairs) {
    const [, sale, item] = /^(\d{1,10}):(\d{1,10})$/.exec(pair) ?? [];
    const [saleId, itemId] = [Number(sale), Number(item)];
    if (!(saleId <= integerMax && itemId <= integerMax))
      return new Invalid("of", "is not a list of numbers such as 1:42,1:43");
    asked.push({ saleId, itemId });
  }
  return asked;
}

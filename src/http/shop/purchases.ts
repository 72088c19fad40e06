/**
 * The routes of buying in product sales: for accounts, in two steps or in one, and what an
 * account has bought. `till.ts` serves them.
 */
import { z } from "zod";
import type { Accounts } from "../../access/accounts.ts";
import { withUser } from "./accounts.ts";
import { idParam, pageParams, timeShape } from "../fields.ts";
import type { FlashSales, FlashSalesContext } from "./flash-sales.ts";
import type { ProblemCode } from "../problems.ts";
import { idempotencyHeader } from "../schemas.ts";
import type { Route } from "../server.ts";
import { checkoutBody, ordersPerPageMax, purchaseBody, Till } from "./till.ts";

const shownItem = z.object({
  id: z.int(),
  name: z.string(),
  image_url: z.string(),
  price_cents: z.int(),
});
const reservationShape = z.object({
  code: z.uuid(),
  user_id: z.string(),
  sale_id: z.int(),
  flash_sale_id: z.int(),
  product_id: z.int(),
  item: shownItem,
  expires_at: timeShape,
});
const orderShape = z.object({
  order_id: z.string(),
  code: z.uuid(),
  codes: z.array(z.uuid()).describe("One a unit"),
  user_id: z.string(),
  sale_id: z.int(),
  flash_sale_id: z.int(),
  flash_sale_title: z.string(),
  product_id: z.int(),
  item: shownItem,
  quantity: z.int(),
  total_cents: z.int(),
  purchased_at: timeShape,
});
const purchaseShape = orderShape.extend({ message: z.string(), replayed: z.boolean() });
const orderPage = z.object({ purchases: z.array(orderShape), next_after: z.int().nullable() });
const checkShape = z.object({
  product_id: z.int(),
  purchased: z.boolean(),
  quantity: z.int(),
  last_order_id: z.string().nullable(),
  last_purchased_at: timeShape.nullable(),
});

const notSold = [
  "sale_not_found",
  "item_not_found",
  "sale_not_open",
  "item_sold_out",
  "sold_out",
  "item_reserved",
  "user_limit_reached",
] as const satisfies readonly ProblemCode[];

const everyone = ["unauthenticated", "cross_site", "unavailable", "overloaded"] as const;

export function purchaseRoutes(
  sales: FlashSales,
  accounts: Accounts,
  context: FlashSalesContext,
): Route[] {
  const till = new Till(sales, context);
  return [...stepRoutes(till, accounts), ...historyRoutes(till, accounts)];
}

function stepRoutes(till: Till, accounts: Accounts): Route[] {
  return [
    {
      path: "/api/flash-sales/:id/checkout",
      leaderOnly: true,
      methods: {
        POST: {
          handle: withUser(accounts, (request, _, account) => till.checkout(request, account)),
          summary: "The first step: reserve one unit of an item",
          auth: "user",
          path: idParam("The sale"),
          headers: idempotencyHeader,
          body: checkoutBody,
          answers: { 200: reservationShape },
          refusals: ["invalid_request", ...notSold, "idempotency_key_reused", ...everyone],
        },
        DELETE: {
          handle: withUser(accounts, (request, _, account) => till.release(request, account)),
          summary: "Give a reservation back",
          auth: "user",
          path: idParam("The sale"),
          query: z.object({ code: z.uuid() }),
          answers: { 204: null },
          refusals: ["invalid_request", "code_not_found", "already_purchased", ...everyone],
        },
      },
    },
    {
      path: "/api/purchases",
      leaderOnly: true,
      methods: {
        POST: {
          handle: withUser(accounts, (request, _, account) => till.purchase(request, account)),
          summary: "Buy: the second step with a code, or both steps in one",
          auth: "user",
          body: purchaseBody,
          answers: { 200: purchaseShape },
          refusals: [
            "invalid_request",
            ...notSold,
            "code_not_found",
            "code_expired",
            "sale_ended",
            ...everyone,
          ],
        },
      },
    },
  ];
}

function historyRoutes(till: Till, accounts: Accounts): Route[] {
  return [
    {
      path: "/api/purchases/my-purchases",
      leaderOnly: true,
      methods: {
        GET: {
          handle: withUser(accounts, (request, _, account) => till.orders(request, account)),
          summary: "What this account has bought, newest first",
          auth: "user",
          query: z.object(pageParams("order", ordersPerPageMax)),
          answers: { 200: orderPage },
          refusals: ["invalid_request", "unauthenticated"],
        },
      },
    },
    {
      path: "/api/purchases/check-product/:product",
      leaderOnly: true,
      methods: {
        GET: {
          handle: withUser(accounts, (request, _, account) => till.check(request, account)),
          summary: "Whether this account has bought a product",
          auth: "user",
          path: idParam("The product", "product"),
          answers: { 200: checkShape },
          refusals: ["product_not_found", "unauthenticated"],
        },
      },
    },
  ];
}

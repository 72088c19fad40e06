/** What administrators do with sales. */
import { z } from "zod";
import type { Accounts } from "../../access/accounts.ts";
import { withScope } from "../callers.ts";
import { idParam } from "../fields.ts";
import { queueProgressRoute } from "./queue.ts";
import { queueFigures } from "../queue-shapes.ts";
import { saleShape } from "../schemas.ts";
import type { Route } from "../server.ts";
import { flashSale, type FlashSales } from "../shop/flash-sales.ts";
import type { DraftsContext } from "../shop/drafts.ts";
import { productRoutes, writing, type AdministrationContext } from "./products.ts";
import { SaleAdministration } from "./sale-administration.ts";
import { newSale, restockBody, saleChange } from "./sale-bodies.ts";

/** The hourly one is shown as `/sales/{sale_id}` tells it. */
const anySale = z.union([flashSale, saleShape]);
/** … and, where its queue alone is changed, as `/sales/{sale_id}/queue` does. */
const changedSale = z.union([flashSale, saleShape, queueFigures]);

export function adminRoutes(
  sales: FlashSales,
  accounts: Accounts,
  context: AdministrationContext & DraftsContext,
): Route[] {
  const administration = new SaleAdministration(sales, context);
  return [
    ...productRoutes(sales, accounts, context),
    ...saleRoutes(administration, accounts),
    queueProgressRoute(accounts, context.queues),
  ];
}

function saleRoutes(administration: SaleAdministration, accounts: Accounts): Route[] {
  return [
    {
      path: "/api/admin/flash-sales",
      methods: {
        POST: {
          handle: withScope(accounts, "manage", (request, _, by) =>
            administration.createSale(request, by),
          ),
          summary: "Announce a product sale, or make a draft of one",
          auth: "admin",
          body: newSale,
          answers: { 201: flashSale },
          sends: ["Location"],
          refusals: [...writing, "product_not_found", "too_many_sales"],
        },
      },
    },
    {
      path: "/api/admin/flash-sales/:id",
      methods: {
        PATCH: {
          handle: withScope(accounts, "manage", (request, _, by) =>
            administration.changeSale(request, by),
          ),
          summary:
            "Change a sale: anything before it opens, after that its title and its end; announce a draft",
          auth: "admin",
          path: idParam("The sale"),
          body: saleChange,
          answers: { 200: changedSale },
          refusals: [
            "no_queue",
            "too_many_changes",
            ...writing,
            "sale_not_found",
            "sale_not_open",
            "product_not_found",
            "sale_has_opened",
            "sale_ended",
            "end_not_later",
            "too_many_sales",
          ],
        },
        DELETE: {
          handle: withScope(accounts, "manage", (request, _, by) =>
            administration.withdrawSale(request, by),
          ),
          summary: "Take back the announcement of a sale that has not opened, or drop a draft",
          auth: "admin",
          path: idParam("The sale"),
          answers: { 204: null },
          refusals: [...writing, "sale_not_found", "sale_opened"],
        },
      },
    },
    duplicateRoute(administration, accounts),
    ...openingRoutes(administration, accounts),
  ];
}

const duplicateRoute = (administration: SaleAdministration, accounts: Accounts): Route => ({
  path: "/api/admin/flash-sales/:id/duplicate",
  methods: {
    POST: {
      handle: withScope(accounts, "manage", (request, _, by) =>
        administration.duplicateSale(request, by),
      ),
      summary: "Make a draft of the same items as a product sale or a draft has",
      auth: "admin",
      path: idParam("The sale"),
      answers: { 201: flashSale },
      sends: ["Location"],
      refusals: [...writing, "sale_not_found", "too_many_sales"],
    },
  },
});

function openingRoutes(administration: SaleAdministration, accounts: Accounts): Route[] {
  return [
    {
      path: "/api/admin/flash-sales/:id/close",
      methods: {
        POST: {
          handle: withScope(accounts, "manage", (request, _, by) =>
            administration.closeSale(request, by),
          ),
          summary: "End an open sale at once",
          auth: "admin",
          path: idParam("The sale"),
          answers: { 200: anySale },
          refusals: [...writing, "sale_not_found", "sale_not_open", "sale_ended"],
        },
      },
    },
    {
      path: "/api/admin/flash-sales/:id/restock",
      methods: {
        POST: {
          handle: withScope(accounts, "manage", (request, _, by) =>
            administration.restock(request, by),
          ),
          summary: "Add units of an item to an open sale",
          auth: "admin",
          path: idParam("The sale, of either kind"),
          body: restockBody,
          answers: { 200: anySale },
          refusals: [
            ...writing,
            "sale_not_found",
            "item_not_found",
            "sale_not_open",
            "sale_ended",
            "too_many_units",
          ],
        },
      },
    },
    {
      path: "/api/admin/flash-sales/:id/open",
      methods: {
        POST: {
          handle: withScope(accounts, "manage", (request, _, by) =>
            administration.openSale(request, by),
          ),
          summary: "Open a coming sale at once",
          auth: "admin",
          path: idParam("The sale"),
          answers: { 200: anySale },
          refusals: [
            ...writing,
            "sale_not_found",
            "sale_not_open",
            "sale_opened",
            "sale_ended",
            "end_not_later",
          ],
        },
      },
    },
  ];
}

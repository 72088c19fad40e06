/** The routes of the shop and of its administrators, put together. */
import type { Accounts } from "../../access/accounts.ts";
import { adminRoutes } from "../admin/admin.ts";
import { FlashSales, type FlashSalesContext } from "./flash-sales.ts";
import { purchaseRoutes } from "./purchases.ts";
import { recordRoutes } from "../admin/records.ts";
import type { Route } from "../server.ts";
import { shopRoutes } from "./shop.ts";
import { statsRoutes } from "../admin/stats.ts";

export function platformRoutes(accounts: Accounts, context: FlashSalesContext): Route[] {
  const sales = new FlashSales(context);
  return [
    ...shopRoutes(sales, context),
    ...purchaseRoutes(sales, accounts, context),
    ...adminRoutes(sales, accounts, context),
    ...statsRoutes(accounts, context),
    ...recordRoutes(accounts, context),
  ];
}

/** The routes of the shop and of its administrators, put together. */
import type { Accounts } from "../../access/accounts.ts";
import { activityRoutes } from "../admin/activity.ts";
import { adminRoutes } from "../admin/admin.ts";
import type { AdministrationContext } from "../admin/products.ts";
import { Drafts, type DraftsContext } from "./drafts.ts";
import { FlashSales } from "./flash-sales.ts";
import { purchaseRoutes, type PurchasesContext } from "./purchases.ts";
import { nodeRoutes } from "../admin/nodes.ts";
import { PhotoIntake, photoRoutes } from "../admin/photos.ts";
import { settingsRoutes, type SettingsContext } from "../admin/settings.ts";
import { logoRoute } from "../logo.ts";
import { orderRoutes } from "../admin/orders.ts";
import { recordRoutes, type RecordsContext } from "../admin/records.ts";
import type { Route } from "../server.ts";
import { shopRoutes } from "./shop.ts";
import { erasingRoutes, type ErasingContext } from "../admin/erasing.ts";
import { buyerRoutes } from "../admin/buyers.ts";
import { moneyRoutes } from "../admin/money.ts";
import { statsRoutes } from "../admin/stats.ts";

export function platformRoutes(
  accounts: Accounts,
  context: AdministrationContext &
    PurchasesContext &
    RecordsContext &
    SettingsContext &
    ErasingContext & { readonly photoCommand: readonly string[] } & DraftsContext,
): Route[] {
  const sales = new FlashSales(context);
  const photos = new PhotoIntake(context.photoCommand);
  return [
    ...shopRoutes(sales, { ...context, accounts, drafts: new Drafts(context) }),
    ...purchaseRoutes(sales, accounts, context),
    ...adminRoutes(sales, accounts, context),
    ...photoRoutes(sales, accounts, photos, context),
    ...settingsRoutes(accounts, photos, context),
    logoRoute(context.db, context.appearance),
    ...statsRoutes(accounts, context),
    ...moneyRoutes(accounts, context),
    ...buyerRoutes(accounts, context),
    ...erasingRoutes(accounts, context),
    ...nodeRoutes(accounts, context),
    ...recordRoutes(accounts, context),
    ...orderRoutes(accounts, context),
    ...activityRoutes(accounts, context),
  ];
}

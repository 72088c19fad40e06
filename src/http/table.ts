/** The one table of routes: everything that is asked by programs, and so in the document. */
import type { Sql } from "postgres";
import type { Accounts } from "../access/accounts.ts";
import type { Schedule } from "../sales/schedule.ts";
import type { SaleEngine } from "../sales/selling.ts";
import type { Catalogue } from "../sales/catalogue.ts";
import type { Db } from "../store/db.ts";
import { accountRoutes } from "./shop/accounts.ts";
import { checkoutRoutes } from "./sale/checkout.ts";
import { couponRoutes } from "./coupons/coupons.ts";
import type { Events } from "./sale/events.ts";
import { compressed, type Compressed } from "./compressed.ts";
import { nameRoutes } from "./admin/names.ts";
import { documentOf } from "./openapi/document.ts";
import { operationRoutes, type OperationsContext } from "./operations.ts";
import { platformRoutes } from "./shop/platform.ts";
import { keyRoutes } from "./admin/keys.ts";
import { Buyers } from "./buyers.ts";
import type { Gate } from "./gate.ts";
import type { Hoarding } from "../access/hoarding.ts";
import type { Access } from "../access/identity.ts";
import type { Route } from "./server.ts";
import { userRoutes } from "./admin/users.ts";
import { viewRoutes } from "./sale/views.ts";

type TableContext = {
  readonly engine: SaleEngine;
  readonly catalogue: Catalogue;
  readonly sql: Sql;
  readonly db: Db;
  readonly schedule: Schedule;
  readonly accounts: Accounts;
  readonly events: Events;
  readonly metrics: OperationsContext["metrics"];
  /** Who may read figures: everybody, or this machine and those with the scope `read`. */
  readonly access: Access;
  readonly gate: Gate;
  readonly hoarding: Hoarding;
  /** Status of a claim on a coupon that is sold out. */
  readonly couponSoldOutStatus: number;
  readonly version: string;
  /** ms since the Unix epoch */
  readonly clock: () => number;
};

export function apiRoutes(context: TableContext): Route[] {
  const { engine, db, accounts, metrics, access, gate } = context;
  const buyers = new Buyers({ accounts, gate, access });
  // Made when it is first asked for: a start does not wait for it.
  let rendered: Promise<Compressed> | null = null;
  const document = (): Promise<Compressed> =>
    (rendered ??= compressed(documentOf(routes, context.version), "best"));
  const routes: Route[] = [
    ...checkoutRoutes({ ...context, buyers }),
    ...viewRoutes(context),
    ...context.events.routes,
    ...couponRoutes({
      engine,
      db,
      accounts,
      buyers,
      access,
      soldOutStatus: context.couponSoldOutStatus,
    }),
    ...accountRoutes(accounts),
    ...platformRoutes(accounts, context),
    ...userRoutes(accounts),
    ...nameRoutes(accounts, context),
    ...keyRoutes(accounts),
    ...operationRoutes({ engine, metrics, accounts, access, document }),
  ];
  return routes;
}

/** The one table of routes: everything that is asked by programs, and so in the document. */
import type { Sql } from "postgres";
import type { Accounts } from "../access/accounts.ts";
import type { ProductSaleChanges } from "../sales/product-sale-changes.ts";
import type { Schedule } from "../sales/schedule.ts";
import type { SaleEngine } from "../sales/selling.ts";
import type { Catalogue } from "../sales/catalogue.ts";
import type { Db } from "../store/db.ts";
import type { Appearance } from "./appearance.ts";
import { accountRoutes } from "./shop/accounts.ts";
import { checkoutRoutes } from "./sale/checkout.ts";
import { couponRoutes } from "./coupons/coupons.ts";
import type { Events } from "./sale/events.ts";
import { compressed, type Compressed } from "./compressed.ts";
import { nameRoutes } from "./admin/names.ts";
import { documentOf } from "./openapi/document.ts";
import { operationRoutes, type OperationsContext } from "./operations.ts";
import { secondFactorRoutes } from "./shop/second-factor.ts";
import { platformRoutes } from "./shop/platform.ts";
import { feedRoutes } from "./admin/feed.ts";
import { keyRoutes } from "./admin/keys.ts";
import { Buyers } from "./buyers.ts";
import type { Gate } from "./gate.ts";
import type { Reads } from "./reads.ts";
import type { Hoarding } from "../access/hoarding.ts";
import type { Challenges } from "../access/challenges.ts";
import type { Draws } from "../sales/draws.ts";
import { Queues } from "./queue/queues.ts";
import { queueRoutes } from "./queue/routes.ts";
import type { Webhooks } from "../webhooks/webhooks.ts";
import type { Access } from "../access/identity.ts";
import type { Route } from "./server.ts";
import { userRoutes } from "./admin/users.ts";
import { webhookRoutes } from "./admin/webhooks.ts";
import { viewRoutes } from "./sale/views.ts";
import { waitlistRoutes } from "./sale/waitlist.ts";

type TableContext = {
  readonly engine: SaleEngine;
  readonly catalogue: Catalogue;
  readonly draws: Draws;
  /** What guests solve before they join a queue; null: nothing. */
  readonly challenges: Challenges | null;
  readonly productSales: ProductSaleChanges;
  readonly sql: Sql;
  readonly db: Db;
  readonly changingDb: Db;
  readonly lastingSql: Sql;
  readonly schedule: Schedule;
  readonly accounts: Accounts;
  readonly webhooks: Webhooks;
  readonly events: Events;
  readonly process: OperationsContext["process"];
  readonly disk: OperationsContext["disk"];
  readonly metrics: OperationsContext["metrics"];
  /** Who may read figures: everybody, or this machine and those with the scope `read`. */
  readonly access: Access;
  readonly gate: Gate;
  readonly hoarding: Hoarding;
  readonly reads: Reads;
  /** Status of a claim on a coupon that is sold out. */
  readonly couponSoldOutStatus: number;
  /** Of product sales. */
  readonly reservationTtlMs: number;
  readonly appearance: Appearance;
  /** What starts a process that makes a picture anew. */
  readonly photoCommand: readonly string[];
  readonly version: string;
  /** ms since the Unix epoch */
  readonly clock: () => number;
};

export function apiRoutes(context: TableContext): Route[] {
  const { engine, accounts, process, disk, metrics, access, gate } = context;
  const buyers = new Buyers({ accounts, gate, access });
  const queues = new Queues(context);
  // Made when it is first asked for: a start does not wait for it.
  let rendered: Promise<Compressed> | null = null;
  const document = (): Promise<Compressed> =>
    (rendered ??= compressed(documentOf(routes, context.version), "best"));
  const routes: Route[] = [
    ...checkoutRoutes({ ...context, buyers }),
    ...waitlistRoutes({ ...context, buyers }),
    ...viewRoutes(context),
    ...queueRoutes({ ...context, buyers, queues }),
    ...context.events.routes,
    ...couponRoutes({ ...context, buyers, soldOutStatus: context.couponSoldOutStatus }),
    ...accountRoutes(accounts),
    ...secondFactorRoutes(accounts, context.appearance),
    ...platformRoutes(accounts, { ...context, buyers, queues }),
    ...userRoutes(accounts),
    ...nameRoutes(accounts, context),
    ...keyRoutes(accounts),
    ...feedRoutes(accounts, context),
    ...webhookRoutes(accounts, context.webhooks),
    ...operationRoutes({ engine, process, disk, metrics, accounts, access, document }),
  ];
  return routes;
}

/** The one table of routes: everything that is asked by programs, and so in the document. */
import type { Sql } from "postgres";
import type { Accounts } from "../accounts.ts";
import type { Engine } from "../engine.ts";
import type { Schedule } from "../sales/schedule.ts";
import type { Shelf } from "../sales/shelf.ts";
import { findCode } from "../store/sales.ts";
import { accountRoutes } from "./accounts.ts";
import { checkoutRoutes } from "./checkout.ts";
import { couponRoutes } from "./coupons.ts";
import type { Events } from "./events.ts";
import { documentOf } from "./openapi.ts";
import { operationRoutes, type OperationsContext } from "./operations.ts";
import { platformRoutes } from "./platform.ts";
import type { Route } from "./server.ts";
import { userRoutes } from "./users.ts";
import { viewRoutes } from "./views.ts";

export type TableContext = {
  readonly engine: Engine;
  readonly shelf: Shelf;
  readonly sql: Sql;
  readonly schedule: Schedule;
  readonly accounts: Accounts;
  readonly events: Events;
  readonly metrics: OperationsContext["metrics"];
  /** Status of a claim on a coupon that is sold out. */
  readonly couponSoldOutStatus: number;
  readonly version: string;
  /** ms since the Unix epoch */
  readonly clock: () => number;
};

export function apiRoutes(context: TableContext): Route[] {
  const { engine, sql, accounts, metrics } = context;
  // Made when it is first asked for: a start does not wait for it.
  let rendered: string | null = null;
  const document = (): string => (rendered ??= JSON.stringify(documentOf(routes, context.version)));
  const routes: Route[] = [
    ...checkoutRoutes({ ...context, findCode: (code) => findCode(sql, code) }),
    ...viewRoutes(context),
    ...context.events.routes,
    ...couponRoutes({ engine, sql, soldOutStatus: context.couponSoldOutStatus }),
    ...accountRoutes(accounts),
    ...platformRoutes(accounts, context),
    ...userRoutes(accounts),
    ...operationRoutes({ engine, metrics, document }),
  ];
  return routes;
}

/** The API's document without a running program: the table of parts that are never started. */
import { BlockList } from "node:net";
import { Accounts } from "../access/accounts.ts";
import { Clients } from "../access/clients.ts";
import { Passwords } from "../access/passwords.ts";
import { Engine } from "../engine/engine.ts";
import { Events } from "../http/sale/events.ts";
import type { Schema } from "../http/openapi/schemas.ts";
import { documentOf } from "../http/openapi/document.ts";
import type { Route } from "../http/server.ts";
import { apiRoutes } from "../http/table.ts";
import { Shelf } from "../sales/catalogue.ts";
import { openPool } from "../postgres/client.ts";

/** Nobody listens there; a pool connects when it is first asked something, which none is. */
const nowhere = "postgres://nobody@127.0.0.1:1/nothing";
const nothing = (): Promise<void> => Promise.resolve();
const clock = (): number => 0;

/** The table that a program with no settings serves. */
export function idleRoutes(version: string): Route[] {
  const sql = openPool({ url: nowhere });
  const shelf = new Shelf(sql);
  const schedule = { cron: "0 * * * *", timeZone: "UTC" };
  const engine = new Engine({
    database: {
      connection: { url: nowhere },
      description: "none",
      ensure: nothing,
      stop: nothing,
      leave: nothing,
    },
    sql,
    shelf,
    schedule,
    terms: { items: 1, unitsPerItem: 1, perUserLimit: 1, reservationTtlMs: 1 },
    retentionMs: Infinity,
    announce: () => ({ url: null, port: 0 }),
    clock,
    log: { info() {}, warn() {}, error() {} },
  });
  const accounts = new Accounts({
    sql,
    tokenSecret: crypto.randomUUID(),
    epoch: () => null,
    clients: new Clients({ sealKey: "", trustedProxies: new BlockList(), clock }),
    passwords: new Passwords(),
    clock,
  });
  return apiRoutes({
    engine,
    shelf,
    sql,
    schedule,
    accounts,
    events: new Events(engine, shelf, clock),
    metrics: { contentType: "text/plain", text: () => Promise.resolve("") },
    access: "open",
    couponSoldOutStatus: 409,
    version,
    clock,
  });
}

export const idleDocument = (version: string): Schema => documentOf(idleRoutes(version), version);

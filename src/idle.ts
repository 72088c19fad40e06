/** The table of a program that does not run: for the document, and for tests of every route. */
import { BlockList } from "node:net";
import { Accounts } from "./access/accounts.ts";
import { Clients } from "./access/clients.ts";
import { Passwords } from "./access/passwords.ts";
import type { LedgerClock } from "./engine/clock.ts";
import { DiskWatch } from "./engine/disk-watch.ts";
import { systemTimers } from "./engine/engine.ts";
import { Appearance } from "./http/appearance.ts";
import { Connections } from "./http/connections.ts";
import { documentOf } from "./http/openapi/document.ts";
import type { Schema } from "./http/openapi/schemas.ts";
import type { Route } from "./http/server.ts";
import type { Link } from "./link/line.ts";
import { openPool } from "./postgres/client.ts";
import { sellingParts, servedParts } from "./program.ts";
import { ProductSaleChanges } from "./sales/product-sale-changes.ts";
import { sealsOf, Webhooks } from "./webhooks/webhooks.ts";
import { databaseRecords } from "./store/database-records.ts";
import { openDb } from "./store/db.ts";

/** Nobody is linked to it. */
const noLink: Link = {
  dial: () => Promise.reject(new Error("there is no link")),
  serve: () => {},
  isFollowed: () => false,
};

/** Nobody listens there; a pool connects when it is first asked something, which none is. */
const nowhere = { url: "postgres://nobody@127.0.0.1:1/nothing" };

const shop = { name: "Stampede", currency: "USD", locale: "en" };

/** The table that a program with no settings serves, without a running one. */
export function idleRoutes(version: string, clock: LedgerClock): Route[] {
  const sql = openPool(nowhere);
  const db = openDb(sql);
  const schedule = { cron: "0 * * * *", timeZone: "UTC" };
  const log = { info() {}, warn() {}, error() {} };
  const hourlySale = { items: 1, unitsPerItem: 1, perUserLimit: 1, reservationTtlMs: 1 };
  const kept = { retentionMs: Infinity, exportDir: null };
  const records = databaseRecords({ connection: nowhere, sql, schema: 0, ...kept });
  const { engine, catalogue, draws } = sellingParts(
    records,
    { schedule, hourlySale },
    {
      ensure: () => Promise.resolve(),
      announce: () => ({ url: null, port: 0, instance: "", link: "" }),
      instance: "",
      link: noLink,
      clock,
      timers: systemTimers,
      log,
    },
  );
  const now = (): number => clock.now();
  const accounts = new Accounts({
    db,
    tokenSecret: crypto.randomUUID(),
    factorSecret: crypto.randomUUID(),
    demandsFactor: false,
    clients: new Clients({ trustedProxies: new BlockList() }),
    passwords: new Passwords(),
    clock: now,
  });
  const productSales = new ProductSaleChanges(engine.writer, catalogue);
  const read = { sql, db, changingDb: db, lastingSql: sql };
  const disk = new DiskWatch({ folder: null, log });
  const told = {
    clock: now,
    version,
    family: null,
    secret: "",
    instance: "",
    disk,
    photoCommand: [],
    appearance: Appearance.by({ shop, schedule }, db),
  };
  const sold = { engine, catalogue, draws, challenges: null, productSales };
  const webhooks = new Webhooks({
    engine,
    db,
    changingDb: db,
    changingSql: sql,
    seals: sealsOf(crypto.randomUUID()),
    mayBePrivate: false,
    clock: now,
    version,
    log,
  });
  const parts = { ...sold, accounts, webhooks, ...read, ...told };
  const settings = { access: "open", rates: null, corsOrigins: new Set<string>() } as const;
  const served = { schedule, hourlySale, couponSoldOutStatus: 409, ...settings };
  return servedParts(parts, served, new Connections()).routes;
}

/** The API's document. */
export const idleDocument = (version: string, clock: LedgerClock): Schema =>
  documentOf(idleRoutes(version, clock), version);

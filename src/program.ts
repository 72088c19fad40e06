/**
 * The one place where the parts of the program are joined: for `serve`, for commands that need a
 * part of it, and for the tests.
 */
import { BlockList } from "node:net";
import type { Sql } from "postgres";
import { Accounts } from "./access/accounts.ts";
import { Clients } from "./access/clients.ts";
import { Hoarding } from "./access/hoarding.ts";
import { openAccounts } from "./access/open.ts";
import { Passwords } from "./access/passwords.ts";
import type { Config } from "./config.ts";
import type { LedgerClock } from "./engine/clock.ts";
import { Engine, systemTimers, type Log, type Timers } from "./engine/engine.ts";
import { Metrics } from "./engine/metrics.ts";
import { Connections, placesFor } from "./http/connections.ts";
import { openDescriptors } from "./http/descriptors.ts";
import { Gate } from "./http/gate.ts";
import { documentOf } from "./http/openapi/document.ts";
import type { Schema } from "./http/openapi/schemas.ts";
import { Events, type EventBounds } from "./http/sale/events.ts";
import { serve, type PageRoute, type Route } from "./http/server.ts";
import { apiRoutes } from "./http/table.ts";
import { openPool, type Database } from "./postgres/client.ts";
import { Catalogue } from "./sales/catalogue.ts";
import { TermSales, type SaleEngine } from "./sales/selling.ts";
import { databaseRecords } from "./store/database-records.ts";
import { openDb, type Db } from "./store/db.ts";
import type { Announcement, Records } from "./store/records.ts";

type SaleSettings = Pick<Config, "schedule" | "hourlySale">;

/** What sells: an engine over records, and the catalogues of what it sells. */
export function sellingParts(
  records: Records,
  settings: SaleSettings,
  process: {
    readonly ensure: () => Promise<void>;
    readonly announce: () => Announcement;
    readonly clock: LedgerClock;
    readonly timers: Timers;
    readonly log: Log;
  },
): { readonly engine: SaleEngine; readonly catalogue: Catalogue } {
  const { clock } = process;
  const { schedule, hourlySale: terms } = settings;
  const catalogue = new Catalogue(
    (ids) => records.loadSales(ids),
    () => clock.now(),
  );
  const engine: SaleEngine = new Engine({
    ...process,
    records,
    open: (opening, now) => TermSales.open(opening, now, { records, catalogue, schedule, terms }),
    close: () => catalogue.holdOnly(new Set()),
  });
  return { engine, catalogue };
}

type Parts = {
  readonly engine: SaleEngine;
  readonly catalogue: Catalogue;
  readonly accounts: Accounts;
  readonly sql: Sql;
  readonly db: Db;
  /** ms since the Unix epoch */
  readonly clock: () => number;
  readonly version: string;
};

type ServedSettings = Pick<
  Config,
  "schedule" | "hourlySale" | "couponSoldOutStatus" | "access" | "rates" | "corsOrigins"
>;

/** Everything that is served to programs. */
function servedParts(
  parts: Parts,
  settings: ServedSettings,
  connections: Connections,
  eventBounds: Partial<EventBounds> = {},
) {
  const { engine, catalogue, clock, version, accounts } = parts;
  const { clients } = accounts;
  const { schedule, couponSoldOutStatus, access, rates, corsOrigins } = settings;
  const hoarding = new Hoarding(settings.hourlySale);
  const gate = new Gate({ accounts, clients, rates, corsOrigins });
  const places = placesFor(connections, clients);
  const { streamsMax } = connections;
  const events = new Events(engine, catalogue, clock, { streamsMax, ...eventBounds }, places);
  const streams = (): number => events.streamCount;
  const metrics = new Metrics({ engine, streams, descriptors: openDescriptors, version });
  const context = {
    ...parts,
    schedule,
    couponSoldOutStatus,
    access,
    gate,
    hoarding,
    events,
    metrics,
  };
  return { events, routes: apiRoutes(context), gate, places };
}

/** What is told when a proxy seems to be there that nobody has named. */
const unnamedProxy =
  "requests come with X-Forwarded-For, as from a proxy: name it in TRUSTED_PROXIES, or all clients " +
  "behind it count as one";

type ProgramOptions = {
  readonly config: Config;
  readonly database: Database;
  /** The newest migration that this program knows, as drizzle numbers it. */
  readonly schema: number;
  readonly announce: (port: number) => Announcement;
  /** For people; without it there are no pages. */
  readonly pages: readonly PageRoute[];
  readonly missingPage?: (request: Request) => Response;
  /** Of the streams of events, in place of the usual ones. */
  readonly eventBounds?: Partial<EventBounds>;
  readonly clock: LedgerClock;
  readonly log: Log;
  readonly version: string;
};

/** A program that listens, and sells once it is started. */
export class Program {
  readonly engine: SaleEngine;
  readonly sql: Sql;
  readonly db: Db;
  readonly passwords: Passwords;
  readonly server: ReturnType<typeof serve>;
  readonly events: Events;
  readonly #connections: Connections;

  private constructor(
    parts: Pick<Parts, "engine" | "sql" | "db"> & {
      readonly passwords: Passwords;
      readonly connections: Connections;
    },
    server: ReturnType<typeof serve>,
    events: Events,
  ) {
    this.engine = parts.engine;
    this.sql = parts.sql;
    this.db = parts.db;
    this.passwords = parts.passwords;
    this.server = server;
    this.events = events;
    this.#connections = parts.connections;
  }

  /** @throws the system's error when it cannot listen there */
  static async open(options: ProgramOptions): Promise<Program> {
    const { config, database, schema, clock, log, version } = options;
    const { connection } = database;
    const { retentionMs } = config;
    const sql = openPool(connection);
    const db = openDb(sql);
    const records = databaseRecords({ connection, sql, schema, retentionMs });
    const { engine, catalogue } = sellingParts(records, config, {
      ensure: () => database.ensure(),
      announce: () => options.announce(server.port ?? config.port),
      clock,
      timers: systemTimers,
      log,
    });
    const now = (): number => clock.now();
    const passwords = new Passwords();
    const accounts = await openAccounts({
      ...config,
      db,
      engine,
      passwords,
      onUnnamedProxy: (address) => log.warn({ address }, unnamedProxy),
      clock: now,
    });
    const parts = { engine, catalogue, accounts, sql, db, clock: now, version };
    const connections = new Connections();
    const { eventBounds } = options;
    const { events, routes, gate, places } = servedParts(parts, config, connections, eventBounds);
    const { missingPage, pages } = options;
    const server = serve({
      routes,
      pages,
      ...(missingPage === undefined ? {} : { missingPage }),
      engine,
      host: config.host,
      port: config.port,
      log,
      clients: accounts.clients,
      places,
      gate,
    });
    connections.watch(server, log);
    return new Program({ engine, sql, db, passwords, connections }, server, events);
  }

  start(): void {
    this.engine.start();
    this.events.start();
  }

  /** Answers what was taken, and ends; the database goes on. */
  async stop(): Promise<void> {
    void this.server.stop();
    await this.engine.stop();
    this.events.stop();
    this.#connections.stop();
    await this.server.stop(true);
    await this.sql.end({ timeout: 1 });
  }
}

/** Nobody listens there; a pool connects when it is first asked something, which none is. */
const nowhere = { url: "postgres://nobody@127.0.0.1:1/nothing" };

/** The table that a program with no settings serves, without a running one. */
export function idleRoutes(version: string, clock: LedgerClock): Route[] {
  const sql = openPool(nowhere);
  const db = openDb(sql);
  const schedule = { cron: "0 * * * *", timeZone: "UTC" };
  const hourlySale = { items: 1, unitsPerItem: 1, perUserLimit: 1, reservationTtlMs: 1 };
  const records = databaseRecords({
    connection: nowhere,
    sql,
    schema: 0,
    retentionMs: Infinity,
  });
  const { engine, catalogue } = sellingParts(
    records,
    { schedule, hourlySale },
    {
      ensure: () => Promise.resolve(),
      announce: () => ({ url: null, port: 0 }),
      clock,
      timers: systemTimers,
      log: { info() {}, warn() {}, error() {} },
    },
  );
  const now = (): number => clock.now();
  const accounts = new Accounts({
    db,
    tokenSecret: crypto.randomUUID(),
    epoch: () => null,
    clients: new Clients({ sealKey: "", trustedProxies: new BlockList(), clock: now }),
    passwords: new Passwords(),
    clock: now,
  });
  const parts = { engine, catalogue, accounts, sql, db, clock: now, version };
  const settings = { access: "open", rates: null, corsOrigins: new Set<string>() } as const;
  const served = { schedule, hourlySale, couponSoldOutStatus: 409, ...settings };
  return servedParts(parts, served, new Connections()).routes;
}

/** The API's document. */
export const idleDocument = (version: string, clock: LedgerClock): Schema =>
  documentOf(idleRoutes(version, clock), version);

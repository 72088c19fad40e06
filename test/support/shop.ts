/**
 * The program inside the test, joined as it joins itself, with a clock that the test turns. For
 * everything that depends on time: expiry, openings, ends, clocks that are set.
 */
import { join } from "node:path";
import { readConfig } from "../../src/config.ts";
import { LedgerClock } from "../../src/engine/clock.ts";
import type { Log } from "../../src/engine/engine.ts";
import type { TimeSource } from "../../src/engine/machine-time.ts";
import { UnavailableError, type Writer } from "../../src/engine/writer.ts";
import type { EventBounds, Events } from "../../src/http/sale/events.ts";
import type { Database } from "../../src/postgres/client.ts";
import { Program } from "../../src/program.ts";
import type { HourlySaleTerms } from "../../src/sales/hourly.ts";
import type { Schedule } from "../../src/sales/schedule.ts";
import type { SaleEngine } from "../../src/sales/selling.ts";
import { migrate, newestMigration } from "../../src/store/migrations.ts";
import { Client } from "./client.ts";
import { atEnd } from "./leftovers.ts";
import { migrationsFolder } from "./postgres.ts";

/** Given to processes and shops as JWT_SECRET. */
export const jwtSecret = "a secret of the tests, long enough for tokens";

/** Time that stands still until the test moves it, and a wall clock that may be set wrong. */
export class Clock implements TimeSource {
  /** ms since the Unix epoch; a test moves it forward alone. */
  now: number;
  /** How much the wall clock is ahead of that, ms. */
  ahead = 0;

  constructor(now: number) {
    this.now = now;
  }

  readonly wall = (): number => this.now + this.ahead;
  readonly monotonic = (): number => this.now;
  /** What the ledger's time is while the wall clock is right. */
  readonly read = (): number => this.now;
}

/** Lines of the log, as they were said. */
export class KeptLog implements Log {
  readonly lines: { readonly level: string; readonly message: string; readonly fields: object }[] =
    [];

  info(fields: object, message: string): void {
    this.lines.push({ level: "info", message, fields });
  }

  warn(fields: object, message: string): void {
    this.lines.push({ level: "warn", message, fields });
  }

  error(fields: object, message: string): void {
    this.lines.push({ level: "error", message, fields });
  }

  /** The messages of a level. */
  said(level: string): string[] {
    return this.lines.filter((line) => line.level === level).map(({ message }) => message);
  }
}

export type ShopOptions = {
  readonly clock: Clock;
  readonly schedule?: Schedule;
  readonly terms?: Partial<HourlySaleTerms>;
  readonly bounds?: Partial<EventBounds>;
  readonly log?: Log;
  readonly environment?: Readonly<Record<string, string>>;
};

export const hourly: Schedule = { cron: "0 * * * *", timeZone: "UTC" };

export const smallSale: HourlySaleTerms = {
  items: 3,
  unitsPerItem: 1,
  perUserLimit: 2,
  reservationTtlMs: 120_000,
};

const nothing = (): Promise<void> => Promise.resolve();

/** A database that is there, whoever sees to that. */
export const databaseAt = (url: string): Database => ({
  connection: { url },
  reading: { url },
  description: "the test's",
  ensure: nothing,
  startArchive: () => {},
  archiveTrouble: () => undefined,
  leave: nothing,
});

export const quietLog: Log = { info() {}, warn() {}, error() {} };

export type Shop = {
  readonly client: Client;
  readonly url: string;
  readonly engine: SaleEngine;
  readonly events: Events;
  readonly sql: Program["sql"];
  /** Requests that are being answered, those for streams too. */
  readonly pendingRequests: () => number;
  /** The writer of the present term; throws when this shop does not lead. */
  readonly writer: () => Writer;
  readonly stop: () => Promise<void>;
};

/** Opens a shop on a database, and waits until it leads or stands by. */
export async function openShop(url: string, options: ShopOptions): Promise<Shop> {
  const { clock, schedule = hourly, bounds, log = quietLog, environment = {} } = options;
  await migrate({ url }, migrationsFolder);
  const program = await Program.open({
    config: {
      ...readConfig({
        HOST: "127.0.0.1",
        PORT: "0",
        JWT_SECRET: jwtSecret,
        STOP_GRACE_MS: "0",
        ...environment,
      }),
      schedule,
      hourlySale: { ...smallSale, ...options.terms },
    },
    database: databaseAt(url),
    schema: newestMigration(migrationsFolder),
    announce: (port) => ({ url: null, port }),
    pages: () => ({}),
    photoCommand: [process.execPath, join(import.meta.dir, "photo.ts")],
    ...(bounds === undefined ? {} : { eventBounds: bounds }),
    clock: new LedgerClock(clock),
    log,
    version: "0.0.0",
  });
  const server = program.listen();
  const { engine, events, sql } = program;
  let isOpen = true;
  const stop = async (): Promise<void> => {
    if (!isOpen) return;
    isOpen = false;
    await program.stop();
  };
  atEnd(stop);
  program.start();
  await engine.settled();
  const origin = `http://127.0.0.1:${server.port}`;
  return {
    client: new Client(() => origin),
    url: origin,
    engine,
    events,
    sql,
    pendingRequests: () => server.pendingRequests,
    writer,
    stop,
  };

  function writer(): Writer {
    const { role } = engine;
    if (role.name !== "leader") throw new UnavailableError(`this shop is ${role.name}`);
    return role.writer;
  }
}

/** Whether a shop's ledger has dropped a sale. */
export const isSettled = (shop: Pick<Shop, "writer">, saleId: number): Promise<boolean> =>
  shop.writer().read((view) => view.sale(saleId) === null);

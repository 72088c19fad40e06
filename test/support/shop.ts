/**
 * The selling part of the program inside the test, wired as `main.ts` does, with a clock that
 * the test turns. For everything that depends on time: expiry, openings, ends.
 */
import { Engine, type Log } from "../../src/engine/engine.ts";
import { checkoutRoutes } from "../../src/http/sale/checkout.ts";
import { type EventBounds, Events } from "../../src/http/sale/events.ts";
import { serve } from "../../src/http/server.ts";
import { viewRoutes } from "../../src/http/sale/views.ts";
import type { HourlySaleTerms } from "../../src/sales/hourly.ts";
import type { Schedule } from "../../src/sales/schedule.ts";
import { Shelf } from "../../src/sales/catalogue.ts";
import { openPool } from "../../src/postgres/client.ts";
import { migrate } from "../../src/store/migrations.ts";
import { findCode } from "../../src/store/sales.ts";
import { UnavailableError, type Writer } from "../../src/engine/writer.ts";
import { Client } from "./client.ts";
import { atEnd } from "./leftovers.ts";
import { migrationsFolder } from "./postgres.ts";

/** A clock that stands still until it is set. */
export class Clock {
  now: number;

  constructor(now: number) {
    this.now = now;
  }

  readonly read = (): number => this.now;
}

export type ShopOptions = {
  readonly clock: Clock;
  readonly schedule?: Schedule;
  readonly terms?: Partial<HourlySaleTerms>;
  readonly bounds?: Partial<EventBounds>;
};

export const hourly: Schedule = { cron: "0 * * * *", timeZone: "UTC" };

export const smallSale: HourlySaleTerms = {
  items: 3,
  unitsPerItem: 1,
  perUserLimit: 2,
  reservationTtlMs: 120_000,
};

const nothing = (): Promise<void> => Promise.resolve();

export const quietLog: Log = { info() {}, warn() {}, error() {} };

export type Shop = {
  readonly client: Client;
  readonly url: string;
  readonly engine: Engine;
  readonly events: Events;
  /** Requests that are being answered, those for streams too. */
  readonly pendingRequests: () => number;
  /** The writer of the present term; throws when this shop does not lead. */
  readonly writer: () => Writer;
  readonly stop: () => Promise<void>;
};

/** Opens a shop on a database, and waits until it leads or stands by. */
export async function openShop(url: string, options: ShopOptions): Promise<Shop> {
  const { clock, schedule = hourly } = options;
  await migrate({ url }, migrationsFolder);
  const sql = openPool({ url });
  const shelf = new Shelf(sql);
  const engine = new Engine({
    database: {
      connection: { url },
      description: "the test's",
      ensure: nothing,
      stop: nothing,
      leave: nothing,
    },
    sql,
    shelf,
    schedule,
    terms: { ...smallSale, ...options.terms },
    retentionMs: Infinity,
    announce: () => ({ url: null, port: server.port ?? 0 }),
    clock: clock.read,
    log: quietLog,
  });
  const events = new Events(engine, shelf, clock.read, options.bounds);
  const context = { engine, shelf, sql, schedule, events, clock: clock.read };
  const routes = [
    ...checkoutRoutes({ ...context, findCode: (code) => findCode(sql, code) }),
    ...viewRoutes(context),
    ...events.routes,
  ];
  const server = serve({ routes, engine, host: "127.0.0.1", port: 0, log: quietLog });
  let isOpen = true;
  const stop = async (): Promise<void> => {
    if (!isOpen) return;
    isOpen = false;
    await engine.stop();
    events.stop();
    await server.stop(true);
    await sql.end({ timeout: 1 });
  };
  atEnd(stop);
  engine.start();
  events.start();
  await engine.settled();
  const origin = `http://127.0.0.1:${server.port}`;
  return {
    client: new Client(() => origin),
    url: origin,
    engine,
    events,
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

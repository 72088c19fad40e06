/**
 * Accounts over HTTP inside the test, with a clock that the test turns, and hashing that costs
 * nothing and is counted. Of one database there may be more than one.
 */
import { expect } from "bun:test";
import { BlockList } from "node:net";
import type { Sql } from "postgres";
import { z } from "zod";
import { Accounts } from "../../src/access/accounts.ts";
import { Clients } from "../../src/access/clients.ts";
import { Passwords, type Hashing } from "../../src/access/passwords.ts";
import { LedgerClock } from "../../src/engine/clock.ts";
import { systemTime, type TimeSource } from "../../src/engine/machine-time.ts";
import { systemTimers } from "../../src/engine/engine.ts";
import { Appearance } from "../../src/http/appearance.ts";
import { keyRoutes } from "../../src/http/admin/keys.ts";
import { Gate } from "../../src/http/gate.ts";
import { accountRoutes } from "../../src/http/shop/accounts.ts";
import { secondFactorRoutes } from "../../src/http/shop/second-factor.ts";
import { serve } from "../../src/http/server.ts";
import { userRoutes } from "../../src/http/admin/users.ts";
import { openPool } from "../../src/postgres/client.ts";
import { openDb } from "../../src/store/db.ts";
import { sellingParts } from "../../src/program.ts";
import type { SaleEngine } from "../../src/sales/selling.ts";
import { databaseRecords } from "../../src/store/database-records.ts";
import { insertUser } from "../../src/store/users.ts";
import { type Answer, type Ask, Client } from "./client.ts";
import { atEnd } from "./leftovers.ts";
import { noLink, nowhere } from "./link.ts";
import { type Clock, hourly, quietLog, smallSale } from "./shop.ts";

export const tokenSecret = "a secret of the tests, long enough for it";

/** A hash that costs nothing. */
export const cheapHash = (password: string): string =>
  new Bun.CryptoHasher("sha256").update(password).digest("hex");

/** Cheap hashes, and what was asked of them. */
export class CountedHashing implements Hashing {
  hashed = 0;
  /** The hashes that passwords were held against. */
  readonly verified: string[] = [];

  hash(password: string): Promise<string> {
    this.hashed += 1;
    return Promise.resolve(cheapHash(password));
  }

  verify(password: string, hash: string): Promise<boolean> {
    this.verified.push(hash);
    return Promise.resolve(hash === cheapHash(password));
  }
}

const token = z.object({
  token: z.string().min(1),
  user: z.object({
    id: z.int().min(1),
    username: z.string(),
    role: z.enum(["user", "admin"]),
    second_factor: z.boolean(),
    second_factor_demanded: z.boolean(),
  }),
});

/** A client's own calls of the accounts' contract. */
export class AccountClient extends Client {
  send(method: string, path: string, body: unknown, ask: Ask = {}): Promise<Answer> {
    const headers = { "Content-Type": "application/json", ...ask.headers };
    return this.ask(method, path, { ...ask, headers, body: JSON.stringify(body) });
  }

  register(username: string, password: string, ask?: Ask): Promise<Answer> {
    return this.send("POST", "/api/auth/register", { username, password }, ask);
  }

  login(username: string, password: string, ask?: Ask): Promise<Answer> {
    return this.send("POST", "/api/auth/login", { username, password }, ask);
  }

  /** Logs in, or throws; the headers of whoever is logged in. */
  async enter(username: string, password: string, ask?: Ask) {
    const answer = await this.login(username, password, ask);
    if (answer.status !== 200) throw new Error(`${answer.status}: ${answer.text}`);
    const entered = token.parse(answer.json());
    return { ...entered, headers: { Authorization: `Bearer ${entered.token}` }, answer };
  }

  me(headers: Ask["headers"] = {}): Promise<Answer> {
    return this.get("/api/auth/me", { headers });
  }
}

/** Checks the status and the code of a refusal, which must not repeat a password. */
export function expectRefusal(answer: Answer, status: number, code: string): void {
  const body = z.object({ code: z.string(), status: z.int(), error: z.string() });
  const refusal = body.parse(answer.json());
  expect({ status: answer.status, code: refusal.code }).toEqual({ status, code });
  expect(answer.headers.get("Content-Type")).toBe("application/problem+json");
}

/** An engine that is never started: it leads nothing, and passes nothing on. */
export function idleEngine(sql: Sql, url: string, clock: TimeSource = systemTime()): SaleEngine {
  const connection = { url };
  const records = databaseRecords({
    connection,
    sql,
    schema: 0,
    retentionMs: Infinity,
    exportDir: null,
  });
  const settings = { schedule: hourly, hourlySale: smallSale };
  const { engine } = sellingParts(records, settings, {
    ensure: () => Promise.resolve(),
    announce: () => nowhere,
    instance: "",
    link: noLink,
    clock: new LedgerClock(clock),
    timers: systemTimers,
    log: quietLog,
  });
  return engine;
}

const usual = { name: "Paper animals", currency: "USD", locale: "en", timeZone: "UTC" };

export type AccountShopOptions = {
  readonly clock: Clock;
  readonly proxies?: BlockList;
  readonly hashing?: Hashing;
  readonly demandsFactor?: boolean;
};

/** @param url a database with the schema */
export async function openAccountShop(url: string, options: AccountShopOptions) {
  const { clock, proxies = new BlockList(), hashing = new CountedHashing() } = options;
  const sql = openPool({ url });
  atEnd(() => sql.end({ timeout: 0 }));
  const db = openDb(sql);
  const clients = new Clients({ trustedProxies: proxies });
  const accounts = new Accounts({
    db,
    tokenSecret,
    factorSecret: "another secret of the tests, long enough",
    demandsFactor: options.demandsFactor ?? false,
    clients,
    passwords: new Passwords(hashing),
    clock: clock.read,
  });
  const routes = [
    ...accountRoutes(accounts),
    ...secondFactorRoutes(accounts, new Appearance(db, usual)),
    ...userRoutes(accounts),
    ...keyRoutes(accounts),
  ];
  const gate = new Gate({ accounts, clients, rates: null, corsOrigins: new Set() });
  const where = { host: "127.0.0.1", port: 0 };
  const server = serve({ routes, ...where, log: quietLog, gate });
  atEnd(() => server.stop(true));
  const origin = `http://127.0.0.1:${server.port}`;
  return {
    sql,
    client: new AccountClient(() => origin),
    /** An administrator, made as the command does, without its hashing. */
    makeAdmin: (username: string, password: string) =>
      insertUser(db, { username, passwordHash: cheapHash(password), role: "admin" }),
  };
}

export type AccountShop = Awaited<ReturnType<typeof openAccountShop>>;

/**
 * Accounts over HTTP inside the test, with a clock that the test turns, a term of leadership
 * that it ends, and hashing that costs nothing and is counted.
 */
import { expect } from "bun:test";
import { BlockList } from "node:net";
import type { Sql } from "postgres";
import { z } from "zod";
import { Accounts } from "../../src/access/accounts.ts";
import { Clients } from "../../src/access/clients.ts";
import { Passwords, type Hashing } from "../../src/access/passwords.ts";
import { LedgerClock, systemTime, type TimeSource } from "../../src/engine/clock.ts";
import { systemTimers } from "../../src/engine/engine.ts";
import { keyRoutes } from "../../src/http/admin/keys.ts";
import { Gate } from "../../src/http/gate.ts";
import { accountRoutes } from "../../src/http/shop/accounts.ts";
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
  user: z.object({ id: z.int().min(1), username: z.string(), role: z.enum(["user", "admin"]) }),
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
export function idleEngine(sql: Sql, url: string, clock: TimeSource = systemTime): SaleEngine {
  const connection = { url };
  const records = databaseRecords({ connection, sql, schema: 0, retentionMs: Infinity });
  const settings = { schedule: hourly, hourlySale: smallSale };
  const { engine } = sellingParts(records, settings, {
    ensure: () => Promise.resolve(),
    announce: () => ({ url: null, port: 0 }),
    clock: new LedgerClock(clock),
    timers: systemTimers,
    log: quietLog,
  });
  return engine;
}

export type AccountShopOptions = {
  readonly clock: Clock;
  readonly proxies?: BlockList;
  readonly hashing?: Hashing;
};

/** @param url a database with the schema, in which nobody leads */
export async function openAccountShop(url: string, options: AccountShopOptions) {
  const { clock, proxies = new BlockList(), hashing = new CountedHashing() } = options;
  const sql = openPool({ url });
  atEnd(() => sql.end({ timeout: 0 }));
  const db = openDb(sql);
  const engine = idleEngine(sql, url, clock);
  let epoch: number | null = 0;
  /** As `leadership.ts` begins a term, in this process or in another. */
  const beginTerm = async (by: "us" | "others"): Promise<void> => {
    const [row] = await sql<{ epoch: number }[]>`
      insert into leader (id, epoch, url, since) values (1, 1, 'http://nowhere', now())
      on conflict (id) do update set epoch = leader.epoch + 1
      returning epoch::float8 as epoch`;
    if (row === undefined) throw new Error("no term has begun");
    if (by === "us") ({ epoch } = row);
  };
  await beginTerm("us");
  const clients = new Clients({ sealKey: "seal", trustedProxies: proxies, clock: clock.read });
  const accounts = new Accounts({
    db,
    tokenSecret,
    epoch: () => epoch,
    clients,
    passwords: new Passwords(hashing),
    clock: clock.read,
  });
  const routes = [...accountRoutes(accounts), ...userRoutes(accounts), ...keyRoutes(accounts)];
  const gate = new Gate({ accounts, clients, rates: null, corsOrigins: new Set() });
  const where = { host: "127.0.0.1", port: 0 };
  const server = serve({ routes, engine, ...where, log: quietLog, clients, gate });
  atEnd(() => server.stop(true));
  const origin = `http://127.0.0.1:${server.port}`;
  return {
    sql,
    client: new AccountClient(() => origin),
    beginTerm,
    /** This process leads no more, and knows it. */
    standDown: (): void => {
      epoch = null;
    },
    /** An administrator, made as the command does, without its hashing. */
    makeAdmin: (username: string, password: string) =>
      insertUser(db, { username, passwordHash: cheapHash(password), role: "admin" }),
  };
}

export type AccountShop = Awaited<ReturnType<typeof openAccountShop>>;

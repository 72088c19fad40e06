/** Who sells the same sale in the report, Stampede and those beside it, as one thing to measure and kill. */
import { join } from "node:path";
import postgres from "postgres";
import type { ArrivalReport } from "../arriving.ts";
import { accessTo, type DatabaseAccess } from "../baseline.ts";
import { addressOf } from "../beside.ts";
import type { Child } from "../owned.ts";
import type { Bench } from "../scenario.ts";
import { type Home, makeHome, Stampede } from "../stampede.ts";
import { Redis, type Sync } from "./redis.ts";
import { type RivalSettings, stock, type Stored, storedSchema, tables, type Way } from "./rival.ts";

export type Contender = {
  readonly name: string;
  /** Another one after each start. */
  readonly port: number;
  /** Attempts that are stored. */
  readonly attempts: () => Promise<number>;
  /** Of these orders, how many have no attempt of buying stored; null where the order is the attempt. */
  readonly unrecorded: (orders: ArrivalReport["orders"]) => Promise<number | null>;
  /** `kill -9` of everything at once: what serves, and what keeps its records. */
  readonly crash: () => Promise<void>;
  /** On what it had before. */
  readonly restart: () => Promise<void>;
};

/** The same number of items as the others have. */
const environment = { SALE_ITEMS: String(stock) };

export class StampedeContender implements Contender {
  readonly name = "Stampede";
  readonly home: Home;
  readonly #bench: Bench;
  #stampede: Stampede;

  private constructor(bench: Bench, home: Home, stampede: Stampede) {
    this.#bench = bench;
    this.home = home;
    this.#stampede = stampede;
  }

  static async start(bench: Bench): Promise<StampedeContender> {
    const home = makeHome(bench.owned, environment);
    const stampede = await Stampede.start(bench.owned, bench.executable, home);
    return new StampedeContender(bench, home, stampede);
  }

  get port(): number {
    return this.home.port;
  }

  get stampede(): Stampede {
    return this.#stampede;
  }

  async attempts(): Promise<number> {
    return (await this.#stampede.settledSale()).attempts;
  }

  /** An order of it is the attempt: there is none without the other. */
  unrecorded(): Promise<null> {
    return Promise.resolve(null);
  }

  async crash(): Promise<void> {
    await this.#stampede.crash({ database: true });
  }

  async restart(): Promise<void> {
    this.#stampede = await Stampede.start(this.#bench.owned, this.#bench.executable, this.home);
  }
}

const database = "bench_rival";
/** What PostgreSQL serves best on few cores. */
const poolConnections = 16;

type Kind = { readonly name: string; readonly way: Way; readonly sync: Sync | null };

export const rivals: readonly Kind[] = [
  { name: "row locks in PostgreSQL", way: "rowlocks", sync: null },
  { name: "Lua in Redis, everysec", way: "lua", sync: "everysec" },
  { name: "Lua in Redis, always", way: "lua", sync: "always" },
];

/** A server of another design. Its PostgreSQL is the one that a Stampede brings, which is idle beside it. */
export class Rival implements Contender {
  readonly name: string;
  readonly #bench: Bench;
  readonly #kind: Kind;
  readonly #home: Home;
  readonly #redisFolder: string;
  #host: Stampede | null = null;
  #redis: Redis | null = null;
  #server: { readonly child: Child; readonly port: number } | null = null;

  private constructor(bench: Bench, kind: Kind) {
    this.#bench = bench;
    this.#kind = kind;
    this.name = kind.name;
    this.#home = makeHome(bench.owned, { SALE_ITEMS: "100" });
    this.#redisFolder = bench.owned.folder();
  }

  static async start(bench: Bench, kind: Kind): Promise<Rival> {
    const rival = new Rival(bench, kind);
    await rival.#startRecords();
    await asOwner(accessTo(rival.#home), (sql) => sql.unsafe(`create database ${database}`));
    await asOwner(accessTo(rival.#home, database), (sql) => sql.unsafe(tables));
    await rival.#serve();
    return rival;
  }

  get port(): number {
    return this.#server?.port ?? 0;
  }

  async attempts(): Promise<number> {
    return (await this.#stored([])).attempts;
  }

  async unrecorded(orders: ArrivalReport["orders"]): Promise<number> {
    const { bought } = await this.#stored(orders.map(([code]) => code));
    return orders.length - bought;
  }

  async #stored(codes: readonly string[]): Promise<Stored> {
    const body = JSON.stringify(codes);
    const answer = await fetch(`http://127.0.0.1:${this.port}/stored`, { method: "POST", body });
    return storedSchema.parse(await answer.json());
  }

  async crash(): Promise<void> {
    this.#server?.child.kill("SIGKILL");
    await Promise.all([this.#redis?.crash(), this.#host?.crash({ database: true })]);
  }

  async restart(): Promise<void> {
    await this.#startRecords();
    await this.#serve();
  }

  async #startRecords(): Promise<void> {
    const { owned, executable } = this.#bench;
    const { sync } = this.#kind;
    this.#host = await Stampede.start(owned, executable, this.#home);
    if (sync !== null) this.#redis = await Redis.start(owned, this.#redisFolder, sync);
  }

  async #serve(): Promise<void> {
    const settings: RivalSettings = {
      way: this.#kind.way,
      connections: poolConnections,
      database: accessTo(this.#home, database),
      redis: this.#redis?.socket ?? null,
    };
    const program = join(import.meta.dir, "server.ts");
    const command = [process.execPath, program, JSON.stringify(settings)];
    const child = this.#bench.owned.spawn(command);
    const origin = await addressOf(child, this.name);
    this.#server = { child, port: Number(new URL(origin).port) };
  }
}

async function asOwner(
  { passwordFile, ...where }: DatabaseAccess,
  work: (sql: postgres.Sql) => Promise<unknown>,
): Promise<void> {
  const password = (await Bun.file(passwordFile).text()).trim();
  const sql = postgres({ ...where, password, max: 1, fetch_types: false, onnotice: () => {} });
  try {
    await work(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

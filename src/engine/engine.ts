/**
 * The life of a process: lock, load, sell; and again from the start after anything that
 * leaves the state in doubt. Starting, taking over from a leader that died and recovering
 * from a lost connection are one and the same path.
 */
import type { Sql } from "postgres";
import { Claims } from "./claims.ts";
import { CountedJournal, Counters } from "./counters.ts";
import type { LedgerState } from "../ledger/state.ts";
import type { HourlySaleTerms } from "../sales/hourly.ts";
import { HourlySales } from "../sales/hourly.ts";
import { ProductSales } from "../sales/product-sales.ts";
import type { Schedule } from "../sales/schedule.ts";
import type { Shelf } from "../sales/catalogue.ts";
import { messageOf, type Database } from "../postgres/client.ts";
import { lead, type Announcement, type Leadership } from "../store/leadership.ts";
import { Partitions } from "../store/partitions.ts";
import { recover } from "../store/recovery.ts";
import { Writer } from "./writer.ts";

const tickMs = 500;
const retryMinMs = 100;
const retryMaxMs = 2_000;

/** Lines for whoever runs the program. */
export type Log = {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
};

export type Role =
  | { readonly name: "starting"; readonly epoch: null }
  /** `url`: where the leader listens. */
  | { readonly name: "standby"; readonly epoch: number; readonly url: string }
  | {
      readonly name: "leader";
      readonly epoch: number;
      readonly writer: Writer;
      readonly claims: Claims;
      readonly productSales: ProductSales;
    };

export type EngineOptions = {
  readonly database: Database;
  readonly sql: Sql;
  readonly shelf: Shelf;
  readonly schedule: Schedule;
  readonly terms: HourlySaleTerms;
  readonly announce: () => Announcement;
  /** Age after which attempts may be dropped, ms; Infinity keeps them. */
  readonly retentionMs: number;
  /** ms since the Unix epoch */
  readonly clock: () => number;
  readonly log: Log;
};

export class Engine {
  /** What this process has committed, in all its terms together. */
  readonly counters = new Counters();
  readonly #options: EngineOptions;
  readonly #stopping = new AbortController();
  #role: Role = { name: "starting", epoch: null };
  #running: Promise<void> | null = null;
  readonly #settled = Promise.withResolvers<void>();

  constructor(options: EngineOptions) {
    this.#options = options;
  }

  get role(): Role {
    return this.#role;
  }

  /** Resolves once this process leads or stands by, for the first time. */
  settled(): Promise<void> {
    return this.#settled.promise;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Answers what was taken, gives the lock back, and ends. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    if (this.#role.name === "leader") await this.#role.writer.drain();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    let retryMs = retryMinMs;
    while (!signal.aborted) {
      let sellingSince = Infinity;
      try {
        await this.#options.database.ensure();
        await this.#term(() => {
          sellingSince = performance.now();
        });
      } catch (error) {
        if (!signal.aborted) {
          this.#options.log.error({ reason: messageOf(error) }, "not selling; trying again");
        }
      }
      this.#role = { name: "starting", epoch: null };
      this.#options.shelf.letGoAll();
      if (signal.aborted) {
        this.#settled.resolve();
        return;
      }
      // A term that ends at once, as on a full disk, is no reason to hurry.
      if (performance.now() - sellingSince > retryMaxMs) retryMs = retryMinMs;
      await Bun.sleep(retryMs);
      retryMs = Math.min(retryMs * 2, retryMaxMs);
    }
  }

  /** One term, from waiting for the lock to losing it. */
  async #term(onSelling: () => void): Promise<void> {
    const { database, announce, log } = this.#options;
    const leadership = await lead(
      database.connection,
      announce(),
      this.#stopping.signal,
      (leader) => {
        if (leader === null) return;
        if (this.#role.name !== "standby") log.info({ leader: leader.url }, "standing by");
        this.#role = { name: "standby", ...leader };
        this.#settled.resolve();
      },
    );
    if (leadership === null) return;
    try {
      await this.#sell(leadership, onSelling);
    } finally {
      await leadership.end();
    }
  }

  async #sell(leadership: Leadership, onSelling: () => void): Promise<void> {
    const { sql, shelf, schedule, terms, clock, log } = this.#options;
    const { epoch, session } = leadership;
    const startedAt = performance.now();
    const { state, sales } = await recover(sql, clock());
    const partitions = new Partitions(sql, this.#options.retentionMs);
    await partitions.ensure(state.seq, clock(), neededSince(state));
    for (const stored of sales) shelf.hold(stored);
    const writer = new Writer(state, new CountedJournal(session, this.counters), clock);
    void leadership.lost.then((reason) => writer.end(reason));
    const hourly = new HourlySales(sql, writer, shelf, { schedule, terms });
    await hourly.tick(clock());

    const claims = new Claims(sql, writer);
    const { reservationTtlMs } = terms;
    const forProducts = { sql, writer, state, shelf, epoch, reservationTtlMs, clock };
    const productSales = await ProductSales.open(forProducts);
    this.#role = { name: "leader", epoch, writer, claims, productSales };
    const recoveryMs = Math.round(performance.now() - startedAt);
    log.info({ epoch, seq: state.seq, recoveryMs }, "selling");
    onSelling();
    this.#settled.resolve();
    if (this.#stopping.signal.aborted) void writer.drain();
    const stopTicking = this.#upkeep(async () => {
      await hourly.tick(clock());
      await claims.tidy();
      const [seq, since] = await writer.read((now) => [now.seq, neededSince(now)] as const);
      await partitions.ensure(seq, clock(), since);
    });
    const reason = await writer.lost;
    await stopTicking();
    if (!this.#stopping.signal.aborted) throw reason;
  }

  /** Does `work` about twice a second, never two at once, until what it returns is called. */
  #upkeep(work: () => Promise<void>): () => Promise<void> {
    const { log } = this.#options;
    let stopped = false;
    let timer: Timer | undefined;
    let ticking = Promise.resolve();
    const tick = async (): Promise<void> => {
      try {
        await work();
      } catch (error) {
        // The sale that is open goes on; what failed is tried again in the next tick.
        if (!stopped) log.warn({ reason: messageOf(error) }, "upkeep failed");
      }
      if (!stopped) schedule();
    };
    const schedule = (): void => {
      timer = setTimeout(() => {
        ticking = tick();
      }, tickMs);
    };
    schedule();
    return async () => {
      stopped = true;
      clearTimeout(timer);
      await ticking;
    };
  }
}

/** Start of the earliest sale in the ledger: recovery would read the journal from there. */
const neededSince = (state: LedgerState): number =>
  Math.min(...Array.from(state.sales.values(), ({ sale }) => sale.startsAt));

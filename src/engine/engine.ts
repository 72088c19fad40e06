/**
 * The life of a process: lock, load, sell; and again from the start after anything that
 * leaves the state in doubt. Starting, taking over from a leader that died, recovering from a
 * lost connection and following a clock that was set are one and the same path.
 *
 *   starting ──► standby ──► leader ──► (lost) ──► starting
 *      └────────────────────────▲
 *
 * - starting: nobody is known to lead. Answers 503 to whatever needs the leader.
 * - standby: somebody else leads, and is known. Passes on what needs the leader.
 * - leader: holds the lock, and has read the records. Sells.
 */
import { Ledger } from "../ledger/ledger.ts";
import { messageOf } from "../postgres/client.ts";
import {
  settleAfterMs,
  type Announcement,
  type Batch,
  type Records,
  type Recovered,
  type Term,
} from "../store/records.ts";
import { noticedMs, type LedgerClock } from "./clock.ts";
import { Counters } from "./counters.ts";
import { BatchWriter, type Writer } from "./writer.ts";

const tickMs = 500;
const retryMinMs = 100;
const retryMaxMs = 2_000;
/** A checkpoint of a sale is made after so many attempts on it, … */
const checkpointAttempts = 100_000;
/** … or after so many that changed it, or twice as many as are on its books. */
const checkpointChanges = 20_000;

/** Lines for whoever runs the program. */
export type Log = {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
};

/** How a process waits. */
export type Timers = {
  sleep(ms: number): Promise<void>;
  /** Has something done after what has arrived was read. */
  nextTurn(turn: () => void): void;
};

export const systemTimers: Timers = {
  sleep: (ms) => Bun.sleep(ms),
  nextTurn: (turn) => {
    setImmediate(turn);
  },
};

/** A term that has just begun. */
export type Opening = {
  readonly epoch: number;
  readonly writer: Writer;
  readonly recovered: Recovered;
};

/** What is sold in a term, kept up to date with the time. */
export type Selling = {
  /** To be done about twice a second; never two at once. */
  tick(now: number): Promise<void>;
};

type Role<S extends Selling = Selling> =
  | { readonly name: "starting"; readonly epoch: null }
  /** `url`: where the leader listens. */
  | { readonly name: "standby"; readonly epoch: number; readonly url: string }
  | {
      readonly name: "leader";
      readonly epoch: number;
      readonly writer: Writer;
      readonly selling: S;
    };

type EngineOptions<S extends Selling> = {
  readonly records: Records;
  /** Makes sure that the database runs, where that is ours to do. Called before each term. */
  readonly ensure: () => Promise<void>;
  /** Opens what is sold in a term; it must have been ticked once. */
  readonly open: (opening: Opening, now: number) => Promise<S>;
  /** Called when a term is over. */
  readonly close: () => void;
  readonly announce: () => Announcement;
  readonly clock: LedgerClock;
  readonly timers: Timers;
  readonly log: Log;
};

export class Engine<S extends Selling = Selling> {
  /** What this process has committed, in all its terms together. */
  readonly counters = new Counters();
  readonly #options: EngineOptions<S>;
  readonly #stopping = new AbortController();
  #role: Role<S> = { name: "starting", epoch: null };
  #running: Promise<unknown> | null = null;
  #isClockOff = false;
  readonly #settled = Promise.withResolvers<void>();

  constructor(options: EngineOptions<S>) {
    this.#options = options;
  }

  get role(): Role<S> {
    return this.#role;
  }

  /** How much the machine's clock is ahead of the ledger's, ms; negative when it is behind. */
  get clockDifferenceMs(): number {
    return this.#options.clock.differenceMs;
  }

  /** Resolves once this process leads or stands by, for the first time. */
  settled(): Promise<void> {
    return this.#settled.promise;
  }

  start(): void {
    this.#running = Promise.all([this.#run(), this.#watchClock()]);
  }

  /** Answers what was taken, gives the lock back, and ends. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    if (this.#role.name === "leader") await this.#role.writer.drain();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { clock, timers, ensure, close, log } = this.#options;
    let retryMs = retryMinMs;
    while (!signal.aborted) {
      let sellingSince = Infinity;
      try {
        await ensure();
        await this.#term(() => {
          sellingSince = clock.now();
        });
      } catch (error) {
        if (!signal.aborted) log.error({ reason: messageOf(error) }, "not selling; trying again");
      }
      this.#role = { name: "starting", epoch: null };
      close();
      if (signal.aborted) break;
      // A term that ends at once, as on a full disk, is no reason to hurry.
      if (clock.now() - sellingSince > retryMaxMs) retryMs = retryMinMs;
      await this.#pause(timers.sleep(retryMs));
      retryMs = Math.min(retryMs * 2, retryMaxMs);
    }
    this.#settled.resolve();
  }

  /** Waits, but not past the order to stop. */
  async #pause(wait: Promise<unknown>): Promise<void> {
    const { signal } = this.#stopping;
    if (signal.aborted) return;
    const stopped = Promise.withResolvers<void>();
    const stop = (): void => stopped.resolve();
    signal.addEventListener("abort", stop);
    await Promise.race([wait, stopped.promise]);
    signal.removeEventListener("abort", stop);
  }

  /** One term, from waiting for the lock to losing it. */
  async #term(onSelling: () => void): Promise<void> {
    const { records, announce, log } = this.#options;
    const term = await records.lead(announce(), this.#stopping.signal, (leader) => {
      if (leader === null) return;
      if (this.#role.name !== "standby") log.info({ leader: leader.url }, "standing by");
      this.#role = { name: "standby", ...leader };
      this.#settled.resolve();
    });
    if (term === null) return;
    // Nobody else leads, and the time that the term begins with is its own from here on.
    this.#role = { name: "starting", epoch: null };
    try {
      await this.#sell(term, onSelling);
    } finally {
      await term.end();
    }
  }

  async #sell(term: Term, onSelling: () => void): Promise<void> {
    const { open, clock, timers, log } = this.#options;
    const { epoch } = term;
    const startedAt = performance.now();
    const now = clock.begin(term.lastAt);
    const recovered = await term.recover(now);
    const ledger = await Ledger.restore(recovered, now);
    await term.makeRoom(ledger.seq, now, neededSince(recovered.sales.map(({ terms }) => terms)));
    const writer = new BatchWriter(
      ledger,
      (batch) => this.#commit(term, batch),
      () => clock.now(),
      timers.nextTurn,
    );
    void term.lost.then((reason) => writer.end(reason));
    const selling = await open({ epoch, writer, recovered }, clock.now());
    this.#role = { name: "leader", epoch, writer, selling };
    const recoveryMs = Math.round(performance.now() - startedAt);
    log.info({ epoch, seq: ledger.seq, recoveryMs }, "selling");
    onSelling();
    this.#settled.resolve();
    if (this.#stopping.signal.aborted) void writer.drain();
    const upkeep = new Upkeep(term, writer, this.#options);
    const kept = upkeep.run(selling);
    const reason = await writer.lost;
    await kept;
    if (!this.#stopping.signal.aborted) throw reason;
  }

  async #commit(term: Term, batch: Batch): Promise<void> {
    const startedAt = performance.now();
    await term.commit(batch);
    this.counters.add(batch, (performance.now() - startedAt) / 1000);
  }

  /** Follows a wall clock that has stayed wrong, and says so. */
  async #watchClock(): Promise<void> {
    const { clock, timers, log } = this.#options;
    while (!this.#stopping.signal.aborted) {
      const corrected = clock.look();
      const differenceMs = clock.differenceMs;
      if (Math.abs(corrected) >= noticedMs) {
        log.warn(
          { differenceMs: corrected },
          "the machine's clock has stayed where it is; following",
        );
      }
      const isOff = Math.abs(differenceMs) >= noticedMs;
      if (isOff && !this.#isClockOff) {
        log.warn({ differenceMs }, "the machine's clock was set; waiting whether it stays so");
      }
      this.#isClockOff = isOff;
      if (clock.isFarOff) this.#beginAnew(differenceMs);
      await this.#pause(timers.sleep(tickMs));
    }
  }

  /** Within a term time does not run backwards, nor jump far. */
  #beginAnew(differenceMs: number): void {
    const { clock, log } = this.#options;
    log.warn({ differenceMs }, "the machine's clock has stayed far off; beginning anew with it");
    const role = this.#role;
    if (role.name === "leader") role.writer.end(new Error("the machine's clock was set"));
    // Who stands by has nothing to begin but its own time; who is about to lead begins a term with
    // it, and another one if it is set while that one loads.
    if (role.name === "standby") clock.begin(0);
  }
}

/** What a term has done beside selling: sales opened and settled, checkpoints, room. */
class Upkeep<S extends Selling> {
  readonly #term: Term;
  readonly #writer: Writer;
  readonly #options: EngineOptions<S>;
  /** What was noted of each sale in its last checkpoint. */
  readonly #noted = new Map<number, { readonly attempts: number; readonly changes: number }>();
  #ended = false;

  constructor(term: Term, writer: Writer, options: EngineOptions<S>) {
    this.#term = term;
    this.#writer = writer;
    this.#options = options;
  }

  /** Until the writer ends. */
  async run(selling: S): Promise<void> {
    const { clock, timers, log } = this.#options;
    const { lost } = this.#writer;
    void this.#notice(lost);
    for (;;) {
      await Promise.race([timers.sleep(tickMs), lost]);
      if (this.#ended) return;
      try {
        await selling.tick(clock.now());
        await this.#checkpoints();
        await this.#makeRoom();
      } catch (error) {
        // The sale that is open goes on; what failed is tried again in the next tick.
        if (!this.#ended) log.warn({ reason: messageOf(error) }, "upkeep failed");
      }
    }
  }

  async #notice(lost: Promise<Error>): Promise<void> {
    await lost;
    this.#ended = true;
  }

  /** Notes where sales stand that have changed much, and settles those that are long over. */
  async #checkpoints(): Promise<void> {
    const { records } = this.#options;
    const due = await this.#writer.read((view) =>
      view.sales().flatMap((sale) => {
        const settled = view.now >= sale.endsAt + settleAfterMs;
        const done = view.activity(sale.id);
        const noted = this.#noted.get(sale.id) ?? { attempts: 0, changes: 0 };
        if (done === null) return [];
        const changes = done.changes - noted.changes;
        const isMuch =
          done.attempts - noted.attempts >= checkpointAttempts ||
          (changes >= checkpointChanges && changes >= 2 * done.open);
        const checkpoint = settled || isMuch ? view.checkpoint(sale.id) : null;
        return checkpoint === null ? [] : [{ id: sale.id, settled, done, checkpoint }];
      }),
    );
    for (const { id, settled, done, checkpoint } of due) {
      await records.saveCheckpoint(id, { ...checkpoint, attempts: done.attempts, settled });
      this.#noted.set(id, done);
      if (settled) {
        await this.#writer.maintain((ledger) => ledger.settleSale(id));
        this.#noted.delete(id);
      }
    }
  }

  async #makeRoom(): Promise<void> {
    const { clock } = this.#options;
    const [seq, since] = await this.#writer.read(
      (view) => [view.seq, neededSince(view.sales())] as const,
    );
    await this.#term.makeRoom(seq, clock.now(), since);
  }
}

/** Start of the earliest sale: a restart may read the journal from there. */
const neededSince = (sales: readonly { readonly startsAt: number }[]): number =>
  Math.min(...sales.map(({ startsAt }) => startsAt));

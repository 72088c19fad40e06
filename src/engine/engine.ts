/**
 * The life of a process: lock, load, sell; and again from the start after anything that
 * leaves the state in doubt. Starting, taking over from a leader that died, recovering from a
 * lost connection and following a clock that was set are one and the same path.
 *
 *   starting ──► standby ──► leader ──► (lost) ──► starting
 *      └────────────────────────▲
 *
 * - starting: nobody is known to lead. What is asked waits.
 * - standby: somebody else leads, and is known. Asks it over the link, and follows it, so as to have
 *   nearly all of the ledger for reads, and when it leads itself: see `follower.ts`.
 * - leader: holds the lock, and has read the records. Sells, and is asked by the others.
 *
 * Told to resign, a leader answers what it has taken and gives the lead back; from then on it
 * stands by and never leads again, so that what still comes to it is answered by the next.
 */
import type { Replica } from "../ledger/ledger.ts";
import type { LedgerChange } from "../ledger/changes.ts";
import type { Link } from "../link/line.ts";
import { messageOf } from "../postgres/client.ts";
import type { Announcement, Batch, LeaderRecord, Records, Term } from "../store/records.ts";
import type { StoredSale } from "../store/sales.ts";
import type { LedgerClock } from "./clock.ts";
import { ClockWatch } from "./clock-watch.ts";
import { Counters } from "./counters.ts";
import { CurrentWriter, type Reader } from "./current-writer.ts";
import { Feed } from "./feed.ts";
import { Follower, type ShownSales } from "./follower.ts";
import { leaderEnd, LinkedCommands } from "./linked-commands.ts";
import { Lookups } from "./lookups.ts";
import { drawnFrom, takeOver, type DrawsKept } from "./take-over.ts";
import { neededSince, tellTime, Upkeep } from "./upkeep.ts";
import { BatchWriter, type Writer } from "./writer.ts";

const tickMs = 500;
const retryMinMs = 200;
const retryMaxMs = 2_000;
/** How often a process that stands by asks whether it may lead, … */
const lockPollMs = 250;
/** … and how often while the leader has just been lost. */
const lockPollLostMs = 20;
const lostMs = 3_000;

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
  /** ms since some moment; it only goes forwards. */
  monotonic(): number;
  /** Of a unit that is offered; without it one at random. */
  newCode?(): string;
};

export const systemTimers: Timers = {
  sleep: (ms) => Bun.sleep(ms),
  nextTurn: (turn) => void setImmediate(turn),
  monotonic: () => performance.now(),
};

/** A term that has just begun. */
export type Opening = {
  readonly epoch: number;
  readonly writer: Writer;
  /** Sales that the ledger holds: those that were read for it. */
  readonly catalogues: readonly StoredSale[];
};

/** What is sold in a term, kept up to date with the time. */
export type Selling = {
  /** To be done about twice a second; never two at once. */
  tick(now: number): Promise<void>;
  /**
   * Does what is asked for that is no command of the ledger.
   * @param asked the call's id
   */
  call(body: unknown, asked: number): Promise<unknown>;
};

type Role<S extends Selling = Selling> =
  | { readonly name: "starting"; readonly epoch: null }
  | (LeaderRecord & { readonly name: "standby"; readonly replica: Follower })
  | {
      readonly name: "leader";
      readonly epoch: number;
      readonly writer: Writer;
      readonly feed: Feed;
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
  /** Which process this is: a new one each time that the program starts. */
  readonly instance: string;
  readonly link: Link;
  /** It asks whoever leads, for as long as it lives. */
  readonly neverLeads?: boolean;
  readonly shown: ShownSales;
  readonly draws: DrawsKept;
  readonly clock: LedgerClock;
  readonly timers: Timers;
  readonly log: Log;
};

export class Engine<S extends Selling = Selling> {
  /** What this process has committed, in all its terms together. */
  readonly counters = new Counters();
  /** What is sold by, whoever leads. */
  readonly writer: CurrentWriter;
  readonly #options: EngineOptions<S>;
  readonly #stopping = new AbortController();
  readonly #resigning = new AbortController();
  #isDeparting = false;
  /** Until when it is worth asking often whether this process may lead. */
  #isLostUntil = 0;
  #woken = Promise.withResolvers<void>();
  #role: Role<S> = { name: "starting", epoch: null };
  #running: Promise<unknown> | null = null;
  readonly #follower: Follower;
  /** Whom it follows: a PostgreSQL that failed over to a replica that lagged counts a term twice. */
  #following: { readonly leader: LeaderRecord; readonly stop: AbortController } | null = null;
  readonly #settled = Promise.withResolvers<void>();

  constructor(options: EngineOptions<S>) {
    this.#options = options;
    const { instance, records, timers } = options;
    this.writer = new CurrentWriter({ instance, records, ...timers });
    const source = { follow: this.#follow.bind(this) };
    this.#follower = new Follower({ ...options, source });
  }

  get role(): Role<S> {
    return this.#role;
  }

  /** The ledger that can be read at once: this process's own, or the leader's as it is heard of. */
  get reader(): Reader | null {
    const role = this.#role;
    if (role.name === "leader") return role.writer;
    return role.name === "standby" && role.replica.isCurrent ? role.replica : null;
  }

  /** How much the machine's clock is ahead of the ledger's, ms; negative when it is behind. */
  get clockDifferenceMs(): number {
    return this.#options.clock.differenceMs;
  }

  /** Resolves once this process leads, or is connected to who does, for the first time. */
  settled(): Promise<void> {
    return this.#settled.promise;
  }

  start(): void {
    const drawn = this.#options.draws.run(() => drawnFrom(this), this.#stopping.signal);
    this.#running = Promise.all([this.#run(), this.#watchClock(), drawn]);
  }

  /** Whether this process was told to lead no more. */
  get isResigned(): boolean {
    return this.#resigning.signal.aborted;
  }

  /** Whether this process is about to end, and its clients had better go elsewhere. */
  get isDeparting(): boolean {
    return this.#isDeparting;
  }

  /**
   * Gets ready to stop. Where somebody else can lead, it answers what was taken, gives the lead back
   * and stands by; alone, it goes on.
   */
  async depart(): Promise<void> {
    this.#isDeparting = true;
    if (!this.#options.link.isFollowed()) return;
    this.#resigning.abort();
    await this.#drain();
  }

  /** Answers what was taken, gives the lock back, and ends. */
  async stop(): Promise<void> {
    this.#resigning.abort();
    this.#stopping.abort();
    await this.#drain();
    await this.#running;
  }

  /** What comes from now on waits for the next leader. */
  async #drain(): Promise<void> {
    if (this.#role.name !== "leader") return;
    this.writer.leave();
    await this.#role.writer.drain();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { clock, timers, ensure, close, log } = this.#options;
    let retryMs = retryMinMs;
    while (!signal.aborted) {
      const term = { hasBegun: false };
      let sellingSince = Infinity;
      try {
        await ensure();
        await this.#term(term, () => {
          sellingSince = clock.now();
        });
      } catch (error) {
        if (!signal.aborted) log.error({ reason: messageOf(error) }, "not selling; trying again");
      }
      this.#role = { name: "starting", epoch: null };
      close();
      if (signal.aborted) break;
      // Whoever leads next is followed at once.
      if (this.isResigned) continue;
      // A term that ends at once, as on a full disk, is no reason to hurry; a PostgreSQL that is
      // away may be back at any moment.
      const isAway = !term.hasBegun;
      if (isAway || clock.now() - sellingSince > retryMaxMs) retryMs = retryMinMs;
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
  async #term(begun: { hasBegun: boolean }, onSelling: () => void): Promise<void> {
    const { records, announce } = this.#options;
    let term: Term | null;
    try {
      term = await records.lead(announce(), this.#stopping.signal, {
        mayLead: () => this.#options.neverLeads !== true && !this.isResigned,
        onStandby: (leader) => this.#standBy(leader),
        onFreed: () => this.#noticeLoss(),
      });
    } finally {
      // The replica outlives a PostgreSQL that is away.
      this.#followNobody();
    }
    if (term === null) return;
    begun.hasBegun = true;
    const replica = this.#follower.release();
    // Nobody else leads, and the time that the term begins with is its own from here on.
    this.#role = { name: "starting", epoch: null };
    try {
      await this.#sell(term, replica, onSelling);
    } finally {
      await term.end();
    }
  }

  /** Notes who leads, has it followed, and waits until it is time to ask again. */
  async #standBy(leader: LeaderRecord | null): Promise<void> {
    const { timers, log, instance } = this.#options;
    if (leader !== null && leader.instance !== instance) {
      if (this.#role.name !== "standby") log.info({ leader: leader.url }, "standing by");
      const replica = this.#follower;
      this.#role = { name: "standby", ...leader, replica };
      const followed = this.#following?.leader;
      if (followed?.epoch !== leader.epoch || followed.instance !== leader.instance) {
        this.#following?.stop.abort();
        this.writer.leave();
        const stop = new AbortController();
        this.#following = { leader, stop };
        void replica.run(leader, stop.signal);
      }
    }
    const isLost = timers.monotonic() < this.#isLostUntil;
    const wait = timers.sleep(isLost ? lockPollLostMs : lockPollMs);
    await this.#pause(Promise.race([wait, this.#woken.promise]));
  }

  /** Connects to a leader: what it tells goes to `listener`, what is asked here to it. */
  async #follow(
    leader: LeaderRecord,
    listener: (change: LedgerChange) => void,
    signal: AbortSignal,
  ): Promise<Error> {
    const closed = Promise.withResolvers<Error>();
    const stop = (): void => closed.resolve(new Error("it is followed no more"));
    signal.addEventListener("abort", stop);
    try {
      const line = await this.#options.link.dial(leader, {
        ...this.writer.events,
        onChange: (change) => {
          this.writer.heard(change.seq);
          listener(change);
        },
        onClose: closed.resolve,
      });
      if (!signal.aborted) {
        this.writer.follow(line, this.#follower);
        this.#settled.resolve();
      }
      const reason = await closed.promise;
      line.close(reason);
      if (!signal.aborted) {
        this.writer.leave();
        this.#noticeLoss();
      }
      return reason;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /** The leader is gone, perhaps: who asks now may be the next. */
  #noticeLoss(): void {
    this.#isLostUntil = this.#options.timers.monotonic() + lostMs;
    this.#woken.resolve();
    this.#woken = Promise.withResolvers();
  }

  #followNobody(): void {
    this.#following?.stop.abort();
    this.#following = null;
    this.writer.leave();
  }

  async #sell(term: Term, replica: Replica | null, onSelling: () => void): Promise<void> {
    const { open, records, clock, timers, link, log } = this.#options;
    const { epoch } = term;
    const startedAt = performance.now();
    const now = clock.begin(term.lastAt);
    await term.begin(now);
    const { ledger, catalogues, from } = await takeOver(term, replica, now, this.#options);
    await term.makeRoom(ledger.seq, now, neededSince(ledger.view(now).sales()));
    const feed = new Feed(ledger.seq, now);
    const writer = new BatchWriter(
      ledger,
      (batch) => this.#commit(term, batch),
      () => clock.now(),
      {
        ...timers,
        feed,
        confirm: () => term.confirm(),
        ...this.writer.heirOf(epoch),
      },
    );
    void term.lost.then((reason) => writer.end(reason));
    const selling = await open({ epoch, writer, catalogues }, clock.now());
    await term.open();
    const lookups = new Lookups(records, writer);
    const linked = new LinkedCommands(writer, lookups, records);
    this.#role = { name: "leader", epoch, writer, feed, selling };
    const call: Selling["call"] = (body, asked) => selling.call(body, asked);
    this.writer.lead({ writer, lookups, linked, call });
    const { counts } = this.writer;
    link.serve({ epoch, end: leaderEnd({ feed, linked, call, counts, log }) });
    void this.#serveUntil(writer.lost);
    const recoveryMs = this.counters.beganTerm(startedAt);
    log.info({ epoch, seq: ledger.seq, from, recoveryMs }, "selling");
    onSelling();
    this.#settled.resolve();
    if (this.isResigned) void this.#drain();
    const upkeep = new Upkeep(term, writer, this.#options);
    const kept = upkeep.run(selling);
    const told = tellTime(term, feed, writer, this.#options);
    const reason = await writer.lost;
    // Whoever is next need not wait for what is done beside.
    await term.end();
    await Promise.all([kept, told]);
    if (!this.isResigned) throw reason;
  }

  async #serveUntil(lost: Promise<Error>): Promise<void> {
    await lost;
    this.writer.leave();
    this.#options.link.serve(null);
  }

  async #commit(term: Term, batch: Batch): Promise<void> {
    const startedAt = performance.now();
    await term.commit(batch);
    this.counters.add(batch, (performance.now() - startedAt) / 1000);
  }

  async #watchClock(): Promise<void> {
    const watch = new ClockWatch(this.#options);
    while (!this.#stopping.signal.aborted) {
      if (watch.look()) this.#beginAnew();
      await this.#pause(this.#options.timers.sleep(tickMs));
    }
  }

  /** Within a term time does not run backwards, nor jump far. */
  #beginAnew(): void {
    const { clock } = this.#options;
    const role = this.#role;
    if (role.name === "leader") role.writer.end(new Error("the machine's clock was set"));
    // Who stands by has nothing to begin but its own time; who is about to lead begins a term with
    // it, and another one if it is set while that one loads.
    if (role.name === "standby") clock.begin(0);
  }
}

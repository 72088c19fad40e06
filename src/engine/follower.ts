/**
 * The replica of a process that stands by: what the leader's ledger says, for reads here, and the
 * ledger of the term that this process may begin.
 *
 *   following ──► restoring ──► current ──► (the feed is over) ──► following
 *                     ▲            │
 *                     └────────────┘ something was not told, or contradicts what is there
 *
 * - following: asks the leader to tell what happens.
 * - restoring: keeps what is told, reads the records as of one moment, and applies what came after;
 *   a replica that was there reads only what it does not have.
 * - current: applies what is told as it comes. It can be read for as long as the leader is heard.
 */
import { GapError, type LedgerChange } from "../ledger/changes.ts";
import { Replica } from "../ledger/ledger.ts";
import type { Draws } from "../ledger/queue.ts";
import type { LedgerView } from "../ledger/view.ts";
import { messageOf } from "../postgres/client.ts";
import type { LeaderRecord, Records } from "../store/records.ts";
import type { StoredSale } from "../store/sales.ts";
import type { Log, Timers } from "./engine.ts";
import { UnavailableError } from "./writer.ts";

/** Effects that are kept while the records are read; of more, it is read again. */
export const queuedEffectsMax = 200_000;
/** Purchases that are told before they are compared with the records. */
export const uncomparedMax = 1_000;
/** Effects of that which are applied in one turn of the event loop. */
const effectsPerTurn = 2_000;
/** Who has not been heard of for so long may lead no more: the time is told four times a second. */
const freshMs = 1_000;
/** How long a read waits for a replica that is current. */
const readWaitMaxMs = 3_000;
/** Reads that wait for it; more are refused. */
export const readsWaitingMax = 4_096;
const followAgainMs = 100;
const restoreAgainMs = 250;

/** Where a leader's changes come from. */
type FeedSource = {
  /**
   * Calls `listener` for each change in order, as it comes, until it is over.
   * @returns why it is over
   */
  follow(
    leader: LeaderRecord,
    listener: (change: LedgerChange) => void,
    signal: AbortSignal,
  ): Promise<Error>;
};

/** The sales as they are shown, which go with the replica's. */
export type ShownSales = {
  hold(stored: StoredSale): void;
  /** A sale came, was replaced, ends at another time, or is held no more. */
  changed(saleId: number, isHeld: boolean): void;
  /** These are held, and may have been changed unheard. */
  readAgain(saleIds: Iterable<number>): void;
};

type FollowerOptions = {
  readonly records: Records;
  readonly source: FeedSource;
  readonly timers: Timers;
  readonly log: Log;
  readonly shown: ShownSales;
  readonly draws: Draws;
};

export class Follower {
  readonly #options: FollowerOptions;
  #replica: Replica | null = null;
  /** What was told while the records are read; null while the replica is current. */
  #queue: LedgerChange[] | null = [];
  #queuedEffects = 0;
  /** Resolves when the leader is heard of and the replica is current; null where nobody waits. */
  #awaited: PromiseWithResolvers<void> | null = null;
  /** Resolves when the replica is not current any more. */
  #stale = Promise.withResolvers<void>();
  /** When the leader was heard last, by the monotonic clock, and what its time was. */
  #heardAt = -Infinity;
  #leaderNow = 0;
  #viewedAt = 0;
  #readsWaiting = 0;
  /** Purchases that were told, and not compared with those in the records. */
  #uncompared = 0;
  #isComparing = false;

  constructor(options: FollowerOptions) {
    this.#options = options;
  }

  /** The last attempt that is in the replica; 0 without one. */
  get seq(): number {
    return this.#replica?.upTo.seq ?? 0;
  }

  /** Whether what is read here is what the leader has, as it was within a second. */
  get isCurrent(): boolean {
    return this.#queue === null && this.#options.timers.monotonic() - this.#heardAt <= freshMs;
  }

  /** As of which of the leader's times, ms, this can be read; null: it cannot. */
  get readsAsOf(): number | null {
    return this.isCurrent ? this.#leaderNow : null;
  }

  /** How long ago the leader was as this can be read, ms; infinite while it cannot be read. */
  get behindMs(): number {
    return this.isCurrent ? this.#options.timers.monotonic() - this.#heardAt : Infinity;
  }

  /**
   * Calls `use` with a view of what is committed, as far as the leader has told. `use` must not
   * await.
   * @throws UnavailableError when the leader is not heard of
   */
  async read<T>(use: (view: LedgerView) => T): Promise<T> {
    if (!this.isCurrent) await this.#awaitCurrent();
    const replica = this.#replica;
    if (replica === null || !this.isCurrent) throw new UnavailableError(unheard);
    const view = replica.view(this.#now());
    try {
      return use(view);
    } finally {
      view.close();
    }
  }

  async #awaitCurrent(): Promise<void> {
    if (this.#readsWaiting >= readsWaitingMax) throw new UnavailableError(unheard);
    this.#awaited ??= Promise.withResolvers();
    this.#readsWaiting += 1;
    await Promise.race([this.#awaited.promise, this.#options.timers.sleep(readWaitMaxMs)]);
    this.#readsWaiting -= 1;
  }

  #becomeCurrent(): void {
    this.#awaited?.resolve();
    this.#awaited = null;
  }

  /** Follows a leader until `signal` is aborted. */
  async run(leader: LeaderRecord, signal: AbortSignal): Promise<void> {
    const { source, timers, log } = this.#options;
    while (!signal.aborted) {
      const begun = Promise.withResolvers<void>();
      this.#queueAgain();
      this.#viewedAt = 0;
      const session = { isOver: false };
      const listener = (change: LedgerChange): void => {
        if (session.isOver || signal.aborted) return;
        this.#hear(change);
        begun.resolve();
      };
      const over = source.follow(leader, listener, signal).then((reason) => {
        session.isOver = true;
        begun.resolve();
        this.#stale.resolve();
        return reason;
      });
      await begun.promise;
      await this.#keepCurrent(() => session.isOver || signal.aborted);
      const reason = await over;
      if (signal.aborted) return;
      this.#queueAgain();
      log.info({ reason: messageOf(reason) }, "the leader is not heard any more");
      await timers.sleep(followAgainMs);
    }
  }

  /** Gives the replica away, with which this ends; null when there is none that could go on. */
  release(): Replica | null {
    const replica = this.#replica;
    this.#replica = null;
    this.#queueAgain();
    return replica;
  }

  async #keepCurrent(isOver: () => boolean): Promise<void> {
    const { timers, log } = this.#options;
    while (!isOver()) {
      try {
        await this.#restore(isOver);
        await this.#stale.promise;
      } catch (error) {
        if (isOver()) return;
        // What is there cannot be brought up to date.
        if (error instanceof GapError) this.#replica = null;
        this.#queueAgain();
        log.warn({ reason: messageOf(error) }, "the replica is not current; restoring it again");
        await timers.sleep(restoreAgainMs);
      }
    }
  }

  /** What is there is out of reach meanwhile: what fails half way is of no use. */
  async #restore(isOver: () => boolean): Promise<void> {
    const { records, shown, log } = this.#options;
    const known = this.#replica;
    const hold = (stored: StoredSale): void => shown.hold(stored);
    // What was told before is in what is read.
    const queue = this.#queueAgain();
    let replica: Replica | null = null;
    if (known === null) {
      replica = await records.snapshot(async (all) => {
        all.catalogues.forEach(hold);
        return await Replica.restore(all, this.#options.draws);
      });
    } else {
      await records.snapshotSince(known.upTo, async (since) => {
        if (isOver()) throw new UnavailableError(unheard);
        this.#replica = null;
        since.catalogues.forEach(hold);
        await known.catchUp(since);
      });
      replica = known;
    }
    await this.#applyQueued(queue, replica, isOver);
    if (isOver()) return;
    if (this.#queue !== queue) throw new GapError("more was told than is kept");
    this.#replica = replica;
    this.#uncompared = 0;
    this.#queue = null;
    this.#stale = Promise.withResolvers<void>();
    log.info({ seq: this.seq }, "the replica is current");
    if (known !== null) shown.readAgain(known.upTo.sales);
    this.#becomeCurrent();
  }

  async #applyQueued(
    queue: readonly LedgerChange[],
    replica: Replica,
    isOver: () => boolean,
  ): Promise<void> {
    let applied = 0;
    // It grows meanwhile.
    for (let next = 0; next < queue.length && !isOver(); next += 1) {
      const change = queue[next];
      if (change === undefined) return;
      this.#apply(replica, change);
      applied += effectsIn(change);
      if (applied < effectsPerTurn) continue;
      applied = 0;
      await new Promise<void>((resolve) => this.#options.timers.nextTurn(resolve));
    }
  }

  #hear(change: LedgerChange): void {
    this.#heardAt = this.#options.timers.monotonic();
    this.#leaderNow = change.at;
    if (this.#queue !== null) {
      this.#queuedEffects += effectsIn(change);
      if (this.#queuedEffects > queuedEffectsMax) this.#queueAgain();
      else this.#queue.push(change);
      return;
    }
    try {
      if (this.#replica === null) return;
      this.#apply(this.#replica, change);
      this.#becomeCurrent();
      if (this.#uncompared >= uncomparedMax && !this.#isComparing)
        void this.#compare(this.#replica);
    } catch (error) {
      this.#throwAway(error);
    }
  }

  #throwAway(error: unknown): void {
    this.#options.log.warn({ reason: messageOf(error) }, "the replica is thrown away");
    this.#replica = null;
    this.#queueAgain();
    this.#stale.resolve();
  }

  /** Compares what was sold with the records now and then, so that a takeover has little to. */
  async #compare(replica: Replica): Promise<void> {
    const { records, log } = this.#options;
    const { seq, comparedSeq, sales } = replica.upTo;
    this.#isComparing = true;
    this.#uncompared = 0;
    try {
      const purchases = await records.purchases([...sales], comparedSeq, seq);
      // Another one, or one that is being brought up to date, is compared by itself.
      if (this.#replica === replica) this.#compareWith(replica, purchases, seq);
    } catch (error) {
      log.warn({ reason: messageOf(error) }, "what was sold is compared later");
    } finally {
      this.#isComparing = false;
    }
  }

  #compareWith(replica: Replica, ...found: Parameters<Replica["compare"]>): void {
    try {
      replica.compare(...found);
    } catch (error) {
      this.#throwAway(error);
    }
  }

  #apply(replica: Replica, change: LedgerChange): void {
    const { shown } = this.#options;
    replica.apply(change);
    if (change.kind === "sale") shown.changed(change.terms.id, true);
    if (change.kind === "settled") shown.changed(change.saleId, false);
    if (change.kind !== "batch") return;
    for (const { word, ...of } of change.effects) {
      if (word === "purchased") this.#uncompared += 1;
      const isChanged = word === "sale_changed" || word === "restocked";
      if (isChanged && "saleId" in of) shown.changed(of.saleId, true);
      if (word === "withdrawn" && "saleId" in of) shown.changed(of.saleId, false);
    }
  }

  /** Keeps what is told from now on. */
  #queueAgain(): LedgerChange[] {
    this.#queuedEffects = 0;
    this.#queue = [];
    return this.#queue;
  }

  /** The leader's time, which is not taken back while it is followed. */
  #now(): number {
    const passed = this.#options.timers.monotonic() - this.#heardAt;
    this.#viewedAt = Math.max(this.#viewedAt, Math.floor(this.#leaderNow + passed));
    return this.#viewedAt;
  }
}

const unheard = "the leader is not heard of";

const effectsIn = (change: LedgerChange): number =>
  change.kind === "batch" ? change.effects.length + 1 : 1;

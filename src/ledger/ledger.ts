/**
 * The ledger as the rest of the program has it: a state that nobody else can reach.
 *
 * - `decide` is the only way to buy, and to change anything that was sold.
 * - `view` gives a reader a moment of it: what can be read is copied, and nothing can be changed.
 * - The few other changes say what was stored, or drop what the records have too: they sell
 *   nothing, and nothing of them is in the journal.
 */
import type { Sale } from "./sale.ts";
import { check } from "./check.ts";
import { dropIdleClaims, holdClaims } from "./coupons.ts";
import type { Command, Outcome } from "./commands.ts";
import { decide } from "./decide.ts";
import type { LedgerChange } from "./changes.ts";
import type { Recorded, RecordedSince, RestoredUpTo, StoredPurchase } from "./recorded.ts";
import { Milestones, type Milestone, type NotedLife } from "./milestones.ts";
import { noDraws, type Draws } from "./queue.ts";
import { saleWithOfferDue } from "./offers.ts";
import { Restoration } from "./restore.ts";
import { hasBegun } from "./sales.ts";
import { addSale, advance, isOver, onBooks, settleSale, type LedgerState } from "./state.ts";
import { LedgerView } from "./view.ts";

/** What may be done to the ledger beside deciding. */
export type LedgerUpkeep = {
  /** Puts a sale that was stored into the ledger, or in the place of one that was being changed. */
  addSale(terms: Sale, attempts: number): void;
  /** Keeps a sale that has not opened shut while it is replaced; false when it has opened. */
  shutSale(saleId: number): boolean;
  /** Drops a sale that is over; its codes are answered from the records from now on. */
  settleSale(saleId: number): void;
  /** Puts a coupon's claims into memory, in the order of their making. */
  holdClaims(coupon: string, claims: ReadonlyMap<string, number>): void;
  /** Keeps the claims in memory within their bound. */
  dropIdleClaims(): void;
};

const noMilestones: readonly Milestone[] = [];

export class Ledger implements LedgerUpkeep {
  readonly #state: LedgerState;
  /** Attempts on each sale, as told last. */
  readonly #attempts = new Map<number, number>();
  /** Null where none are noted. */
  #milestones: Milestones | null = null;

  /** Of a state, which nobody outside of this folder has: see `Replica.promote`. */
  constructor(state: LedgerState) {
    this.#state = state;
  }

  /**
   * The ledger of a new term.
   * @param now the term's time, ms
   * @throws Error when the records contradict themselves: nothing may be sold from them
   */
  static async restore(recorded: Recorded, now: number, draws: Draws = noDraws): Promise<Ledger> {
    const replica = await Replica.restore(recorded, draws);
    return replica.promote(now);
  }

  /** Number of the last attempt decided. */
  get seq(): number {
    return this.#state.seq;
  }

  /** @param now ms; an earlier time than was seen before counts as that */
  decide(command: Command, now: number): Outcome {
    const outcome = decide(this.#state, command, now);
    this.#milestones?.decided(this.#state, outcome);
    return outcome;
  }

  /** From now on what happens to sales by itself is due to be noted. @param noted so far */
  noteMilestones(noted: ReadonlyMap<number, NotedLife>): void {
    this.#milestones = new Milestones(noted, this.#state);
  }

  /** What has happened to sales by the last decision and up to this time: to be decided next. */
  milestones(): readonly Milestone[] {
    return this.#milestones?.due(this.#state) ?? noMilestones;
  }

  /** The sale of whose waiting list something is due at `now` (ms): see `Offer`. Null for none. */
  saleWithOfferDue(now: number): number | null {
    return this.#state.waited.size === 0 ? null : saleWithOfferDue(this.#state, now);
  }

  /** Moves the time on to `now` (ms), and returns it; it never runs backwards. */
  moveOn(now: number): number {
    return advance(this.#state, now);
  }

  /** What is there at `now` (ms). Good until the next decision. */
  view(now: number): LedgerView {
    this.moveOn(now);
    return new LedgerView(this.#state);
  }

  /** The attempts on each sale that was named since this was asked last. */
  attemptsSince(): (readonly [saleId: number, attempts: number])[] {
    const found: (readonly [number, number])[] = [];
    for (const [id, { attempts }] of this.#state.sales) {
      if (this.#attempts.get(id) === attempts) continue;
      this.#attempts.set(id, attempts);
      found.push([id, attempts]);
    }
    return found;
  }

  /** @returns what a replica has to be told; null when nothing was done */
  addSale(terms: Sale, attempts: number): LedgerChange | null {
    const { sales, seq, now: at } = this.#state;
    const before = sales.get(terms.id);
    if (before !== undefined && !before.changing) return null;
    const added = addSale(this.#state, terms, before?.attempts ?? attempts);
    this.#milestones?.changed();
    return { kind: "sale", seq, at, terms, attempts: added.attempts };
  }

  shutSale(saleId: number): boolean {
    const sale = this.#state.sales.get(saleId);
    if (sale === undefined || hasBegun(sale, this.#state.now)) return false;
    sale.changing = true;
    return true;
  }

  /** @returns as above */
  settleSale(saleId: number): LedgerChange | null {
    const { sales, seq, now: at } = this.#state;
    const sale = sales.get(saleId);
    if (sale === undefined) return null;
    if (!isOver(sale, at)) throw new Error(`sale ${saleId} is not over`);
    settleSale(this.#state, sale);
    this.#attempts.delete(saleId);
    this.#milestones?.forget(saleId);
    return { kind: "settled", seq, at, saleId };
  }

  holdClaims(coupon: string, claims: ReadonlyMap<string, number>): void {
    holdClaims(this.#state, coupon, claims);
  }

  dropIdleClaims(): void {
    dropIdleClaims(this.#state);
  }

  /** Every invariant that does not hold, a sentence each. */
  check(): string[] {
    return check(this.#state);
  }

  /** Reservations on the books of a sale, for the tests that count them. */
  openIn(saleId: number): number {
    const sale = this.#state.sales.get(saleId);
    return sale === undefined ? 0 : [...onBooks(sale)].length;
  }
}

/**
 * The ledger of another process, kept current: what it says is what that one would, and it can
 * become the ledger of a term of its own. It decides nothing.
 */
export class Replica {
  readonly #restoration: Restoration;

  private constructor(restoration: Restoration) {
    this.#restoration = restoration;
  }

  /** @throws Error when the records contradict themselves */
  static async restore(recorded: Recorded, draws: Draws = noDraws): Promise<Replica> {
    return new Replica(await Restoration.from(recorded, draws));
  }

  /** What of the records is in it. */
  get upTo(): RestoredUpTo {
    return this.#restoration.upTo;
  }

  /**
   * Does what the leader has done; what was done already is not done again.
   * @throws GapError when something in between is missing: it is good for nothing any more
   * @throws Error when it contradicts what is there: as above
   */
  apply(change: LedgerChange): void {
    this.#restoration.apply(change);
  }

  /**
   * Reads from the records what it does not have.
   * @throws GapError, Error as above
   */
  async catchUp(since: RecordedSince): Promise<void> {
    await this.#restoration.catchUp(since);
  }

  /**
   * Compares what is sold with the purchases of the records, so that less is left for later.
   * @param purchases by sale, in their order: those after `comparedSeq`, up to the attempt `upTo`
   * @throws Error when they contradict each other: it is good for nothing any more
   */
  compare(purchases: ReadonlyMap<number, readonly StoredPurchase[]>, upTo: number): void {
    this.#restoration.compare(purchases, upTo);
  }

  /** What is there at `now` (ms). Good until the next change. */
  view(now: number): LedgerView {
    return this.#restoration.view(now);
  }

  /**
   * The ledger of a new term, with which this replica ends.
   * @param now the term's time, ms
   * @throws Error when it does not add up: nothing may be sold from it
   */
  promote(now: number): Ledger {
    const state = this.#restoration.begin(now);
    const complaints = check(state);
    if (complaints.length > 0) {
      throw new Error(`the journal does not add up: ${complaints.slice(0, 5).join("; ")}`);
    }
    return new Ledger(state);
  }
}

/**
 * The queue of a sale: who has joined, how they were drawn, and how far they are let in.
 *
 * Who joined before the opening is drawn: where each stands follows from a seed and from everybody's
 * tickets, by hashes, which are none of the ledger's business. Who draws tells it (`Draws`); until
 * then nobody is let in. Who came later stands in the order of coming.
 *
 * How far it is let in follows from the opening, the rate, its changes and the time: so many a
 * second, but while it is paused, and never more than have joined. A pause lets in nobody who had not
 * joined by then, and what nobody had used is gone with it: who comes during it is let in after it, so
 * many a second. Nothing of that is kept, and nothing has to happen for it.
 */
import type { Buyer } from "./buyers.ts";
import { Tickets } from "./tickets.ts";

/** How one gets in: at once, or one after another. */
export type Entry =
  | { readonly kind: "open" }
  | {
      readonly kind: "queue";
      /** As announced; see `RateChange`. */
      readonly admitPerSecond: number;
      /** A pass ends after so long without a live reservation or a purchase, ms. */
      readonly passTtlMs: number;
    };

/** Tickets of one sale. */
export const ticketsMax = 16_000_000;

export type Rate = { readonly admitPerSecond: number; readonly paused: boolean };

/** From when on another rate holds, ms. */
export type RateChange = Rate & { readonly at: number };

/** Draws those who joined a sale before it opened. */
export type Draws = {
  /**
   * The rank of each who was drawn, from 1, ticket N's at index N - 1; null as long as they are not.
   * What was drawn stays so: should a clock be set back to before the opening, whoever joins then is
   * not drawn any more.
   */
  ranks(saleId: number): ArrayLike<number> | null;
};

export const noDraws: Draws = { ranks: () => null };

const nobody: ArrayLike<number> = [];

/** … and how many are let in at most by what was before it: those who had joined, at a pause. */
type BoundedChange = RateChange & { readonly atMost: number };
/** From when on a rate holds, and what had been let in by then, in thousandths. */
type Stretch = BoundedChange & { readonly banked: number };

export class Queue {
  readonly tickets = new Tickets();
  readonly #saleId: number;
  readonly #draws: Draws;
  #startsAt: number;
  /** The first that joined at the opening or after it; 0 for none. */
  #firstLate = 0;
  readonly #changes: BoundedChange[] = [];
  /** Null after a change: there may be many, and they are read back one after another. */
  #reckoned: readonly Stretch[] | null = null;

  constructor(saleId: number, startsAt: number, first: Rate, draws: Draws) {
    this.#saleId = saleId;
    this.#draws = draws;
    this.#startsAt = startsAt;
    this.#changes.push({ ...first, at: -Infinity, atMost: Infinity });
  }

  get rate(): Rate {
    const { admitPerSecond, paused } = this.#changes.at(-1) ?? { admitPerSecond: 0, paused: true };
    return { admitPerSecond, paused };
  }

  /** As announced, and every change since. */
  get changes(): readonly RateChange[] {
    return this.#changes;
  }

  /** The sale opens at another time than was said, before it has. */
  moveOpening(startsAt: number): void {
    if (startsAt === this.#startsAt) return;
    this.#startsAt = startsAt;
    this.#firstLate = 0;
    for (let number = 1; number <= this.tickets.count && this.#firstLate === 0; number += 1) {
      if (this.tickets.joinedAt(number) >= startsAt) this.#firstLate = number;
    }
    this.#reckoned = null;
  }

  join(
    ticket: { readonly ticket: string; readonly buyer: Buyer; readonly key: string | null },
    at: number,
  ): number {
    const number = this.tickets.add({ ...ticket, joinedAt: at });
    if (this.#firstLate === 0 && at >= this.#startsAt) this.#firstLate = number;
    return number;
  }

  /** @param joined how many had when it was decided */
  change(rate: Rate, at: number, joined = this.tickets.count): void {
    this.#changes.push({ ...rate, at, atMost: rate.paused ? joined : Infinity });
    this.#reckoned = null;
  }

  /** How many are to be drawn: those who joined before the opening, as far as they have. */
  get gathered(): number {
    return this.#firstLate === 0 ? this.tickets.count : this.#firstLate - 1;
  }

  /**
   * The ranks of those who are drawn, be it nobody; null before they are. Who is to be drawn does not
   * say it: a clock that goes back and an opening by hand leave nobody of those who were.
   */
  ranks(now: number): ArrayLike<number> | null {
    return now < this.#startsAt ? null : this.#draws.ranks(this.#saleId);
  }

  /** How many are let in at `now`: those of ranks up to this. */
  admittedUpTo(now: number): number {
    if (this.ranks(now) === null) return 0;
    return Math.min(this.tickets.count, Math.floor(this.#roomAt(now) / 1_000));
  }

  /** How many had been let in at a time before, or at `now`. */
  letInBy(time: number): number {
    const ranks = this.#draws.ranks(this.#saleId) ?? nobody;
    const room = Math.floor(this.#roomAt(time) / 1_000);
    return Math.min(room, Math.max(ranks.length, this.#joinedBy(time)));
  }

  /** By halves: they came in the order of their numbers. */
  #joinedBy(time: number): number {
    let [low, high] = [0, this.tickets.count];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.tickets.joinedAt(middle) <= time) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** When there is, or was, room for those of ranks up to this, ms; null where nobody knows: it is paused. */
  roomFor(rank: number): number | null {
    const needed = rank * 1_000;
    const index = this.#stretches.findLastIndex(({ banked }) => banked < needed);
    const stretch = this.#stretches[index];
    if (stretch === undefined || stretch.paused) return null;
    const { at, banked, admitPerSecond } = stretch;
    return Math.max(at, this.#startsAt) + Math.ceil((needed - banked) / admitPerSecond);
  }

  #roomAt(now: number): number {
    const stretch = this.#stretches.findLast(({ at }) => at <= now);
    return stretch === undefined ? 0 : stretch.banked + this.#gainOf(stretch, now);
  }

  /** What is let in from when a rate begins to hold, in thousandths. A clock that was set back adds nothing. */
  #gainOf({ at, admitPerSecond, paused }: RateChange, until: number): number {
    const ms = Math.max(0, until - Math.max(at, this.#startsAt));
    return paused ? 0 : ms * admitPerSecond;
  }

  get #stretches(): readonly Stretch[] {
    this.#reckoned ??= this.#stretch();
    return this.#reckoned;
  }

  #stretch(): Stretch[] {
    const stretches: Stretch[] = [];
    // What was set by a clock that was ahead, and set anew before its time, never held.
    const held: BoundedChange[] = [];
    for (const change of this.#changes) {
      while ((held.at(-1)?.at ?? -Infinity) > change.at) held.pop();
      held.push(change);
    }
    let banked = 0;
    for (const [index, change] of held.entries()) {
      banked = Math.min(banked, change.atMost * 1_000);
      stretches.push({ ...change, banked });
      const next = held[index + 1];
      if (next !== undefined) banked += this.#gainOf(change, next.at);
    }
    return stretches;
  }
}

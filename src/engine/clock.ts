/**
 * The time of the ledger, and of everything that is told of it: one place asks, everybody else is
 * told. It never runs backwards.
 *
 * It flows with the machine's monotonic clock, which nobody can set. The wall clock may differ from
 * it, by a step of NTP or of a hand; a difference that is gone within `keptMs` was nothing, and
 * nobody who buys notices. One that has stayed is followed: a small one forwards at once, and backwards by
 * running slowly; a large one by starting a new term with it: `isFarOff`.
 */

import { systemTime, type TimeSource } from "./machine-time.ts";

/** How long a difference has to stay before it is followed. */
export const keptMs = 60_000;
/** Differences below this are none. */
const ignoredMs = 20;
/** A difference counts as the same while it changes by less than this, or by a tenth. */
const sameMs = 250;
/** A larger difference is followed by a new term; one that is behind is waited for, at half pace. */
export const smallMaxMs = 60_000;
/** A difference of more than this is told to people. */
export const noticedMs = 1_000;

export class LedgerClock {
  readonly #source: TimeSource;
  /** The ledger's time is that of the monotonic clock and this. */
  #offset: number;
  #last: number;
  /** A difference of the wall clock that has stayed, and since when. */
  #kept: { readonly ms: number; readonly since: number } | null = null;
  /** How much the ledger is ahead of a wall clock that it waits for. */
  #ahead = 0;
  #slowedAt = 0;

  constructor(source: TimeSource = systemTime()) {
    this.#source = source;
    this.#offset = source.wall() - source.monotonic();
    this.#last = source.wall();
  }

  /** ms since the Unix epoch, whole. */
  now(): number {
    const flowed = Math.floor(this.#source.monotonic() + this.#offset);
    if (flowed > this.#last) this.#last = flowed;
    return this.#last;
  }

  /** How much the wall clock is ahead of the ledger's, ms; negative when it is behind. */
  get differenceMs(): number {
    return Math.round(this.#source.wall() - this.now());
  }

  /** Whether the wall clock is so far off, and has been, that only a new term can follow it. */
  get isFarOff(): boolean {
    return this.#hasStayed() && Math.abs(this.#kept?.ms ?? 0) > smallMaxMs;
  }

  /**
   * Looks at the wall clock, and follows it where it has stayed where it is. To be called a few
   * times a second.
   * @returns what it was corrected by, ms; 0 when it was not
   */
  look(): number {
    this.#slow();
    const ms = this.differenceMs;
    if (Math.abs(ms) < ignoredMs || this.#ahead > 0) {
      this.#kept = null;
      return 0;
    }
    const at = this.#source.monotonic();
    if (this.#kept === null || !isSame(this.#kept.ms, ms)) this.#kept = { ms, since: at };
    if (!this.#hasStayed() || this.isFarOff) return 0;
    this.#kept = null;
    if (ms > 0) this.#offset += ms;
    else {
      this.#ahead = -ms;
      this.#slowedAt = at;
    }
    return ms;
  }

  /**
   * Begins a term: with the wall clock when that is far off, and not before `at`, the last time
   * in the records, where that is ahead by no more than what is waited for.
   * @param at ms; 0 without records
   * @returns the term's time
   */
  begin(at: number): number {
    if (this.isFarOff) this.#reset();
    const lead = at - this.now();
    if (lead > 0 && lead <= smallMaxMs) this.#offset += lead;
    return this.now();
  }

  #reset(): void {
    this.#offset = this.#source.wall() - this.#source.monotonic();
    this.#last = Math.floor(this.#source.wall());
    this.#kept = null;
    this.#ahead = 0;
  }

  #hasStayed(): boolean {
    return this.#kept !== null && this.#source.monotonic() - this.#kept.since >= keptMs;
  }

  /** Runs at half its pace until the wall clock has caught up. */
  #slow(): void {
    if (this.#ahead === 0) return;
    const at = this.#source.monotonic();
    const back = Math.min((at - this.#slowedAt) / 2, this.#ahead);
    this.#slowedAt = at;
    this.#ahead -= back;
    this.#offset -= back;
  }
}

const isSame = (a: number, b: number): boolean =>
  Math.abs(a - b) <= Math.max(sameMs, Math.abs(a) / 10);

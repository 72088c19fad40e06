/**
 * For how long a leader may speak for the records without asking: PostgreSQL ends the session of one
 * that is silent, and gives the lock to another, but not before some time after it heard of it last.
 * That is after the moment at which something was sent that it has answered.
 */

/** A moment by the two clocks that a process has. */
type Moment = { readonly monotonic: number; readonly wall: number };

/** ms. A machine that was suspended may have stood still by its monotonic clock, not by the wall. */
export const thisMoment = (): Moment => ({ monotonic: performance.now(), wall: Date.now() });

export class Lease {
  readonly #ms: number;
  readonly #now: () => Moment;
  #since: Moment = { monotonic: -Infinity, wall: -Infinity };

  /** @param ms how long it is held after something was sent, less than PostgreSQL's patience */
  constructor(ms: number, now: () => Moment = thisMoment) {
    this.#ms = ms;
    this.#now = now;
  }

  /** PostgreSQL has answered what was sent at this moment. */
  renew(sentAt: Moment): void {
    if (sentAt.monotonic > this.#since.monotonic) this.#since = sentAt;
  }

  get isHeld(): boolean {
    const { monotonic, wall } = this.#now();
    return monotonic - this.#since.monotonic < this.#ms && wall - this.#since.wall < this.#ms;
  }
}

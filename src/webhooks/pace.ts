/** How fast webhooks are sent: the thread that sends them is the one that sells. */

/**
 * Beside so many attempts a second, an event goes out each so many ms; and a crowd is there so much
 * longer. At full flood on two cores a send takes two ms of the thread, most of them in fetch().
 */
const crowdPerSecond = 500;
const besideCrowdMs = 100;
const crowdStaysMs = 2_000;
/** And what is asked and noted at intervals is so many times rarer: each is a statement, and its answer. */
const besideCrowdRarer = 4;

/** When the next event may go out. All times are ms of a clock that only goes on. */
export class Pace {
  #seen: { readonly seq: number; readonly at: number } | null = null;
  #crowdAt = -Infinity;
  #nextAt = 0;

  /** @param seq the last attempt */
  see(seq: number, now: number): void {
    const before = this.#seen;
    this.#seen = { seq, at: now };
    if (before === null) return;
    const perSecond = (1_000 * (seq - before.seq)) / Math.max(1, now - before.at);
    if (perSecond >= crowdPerSecond) this.#crowdAt = now;
  }

  /** How long the next event has to wait, ms; it counts as gone then. */
  next(now: number): number {
    if (!this.#isCrowd(now)) return 0;
    this.#nextAt = Math.max(this.#nextAt + besideCrowdMs, now);
    return this.#nextAt - now;
  }

  /** How often to do what is done each `everyMs` where nobody is in the way, ms. */
  every(everyMs: number, now: number): number {
    return this.#isCrowd(now) ? everyMs * besideCrowdRarer : everyMs;
  }

  #isCrowd(now: number): boolean {
    return now - this.#crowdAt < crowdStaysMs;
  }
}

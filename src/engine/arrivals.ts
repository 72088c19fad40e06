/**
 * Tells those who wait for the next event of the feed that it has come, on whichever process they
 * ask. While somebody waits it is looked now and then how far the ledger is, in memory: the own one,
 * or the leader's as it is heard of. Only where that has moved PostgreSQL is asked for the number of
 * the last event, once for all who wait; where nobody knows how far it is, once a second.
 */
import type { Reader } from "./current-writer.ts";

/** Who waits at one time; more are told that there are too many. */
export const arrivalsWaitingMax = 128;
const lookEveryMs = 100;
/** Looks after which PostgreSQL is asked where nobody knows whether something has happened. */
const blindLooks = 10;

type Waiting = { readonly after: number; readonly wake: () => void };

export class Arrivals {
  readonly #reader: () => Reader | null;
  readonly #lastEvent: () => Promise<number>;
  readonly #sleep: (ms: number) => Promise<void>;
  readonly #waiting = new Set<Waiting>();
  #isLooking = false;
  /** The last event that is known of. */
  #last = 0;

  /** @param lastEvent its number, by the records */
  constructor(
    reader: () => Reader | null,
    lastEvent: () => Promise<number>,
    sleep: (ms: number) => Promise<void>,
  ) {
    this.#reader = reader;
    this.#lastEvent = lastEvent;
    this.#sleep = sleep;
  }

  get isFull(): boolean {
    return this.#waiting.size >= arrivalsWaitingMax;
  }

  /** Waits until there is an event after the one numbered `after`, or `ended` resolves. */
  async next(after: number, ended: Promise<unknown>): Promise<void> {
    if (this.#last > after) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = { after, wake: resolve };
    this.#waiting.add(waiting);
    void this.#look();
    await Promise.race([promise, ended]);
    this.#waiting.delete(waiting);
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    let seen: number | null = null;
    let blind = blindLooks;
    while (this.#waiting.size > 0) {
      const seq = await this.#seq();
      blind = seq === null ? blind + 1 : 0;
      if (seq === null ? blind >= blindLooks : seq !== seen) {
        blind = 0;
        // Asked again at the next look where PostgreSQL does not answer.
        if (await this.#ask()) seen = seq;
      }
      await this.#sleep(lookEveryMs);
    }
    this.#isLooking = false;
  }

  async #seq(): Promise<number | null> {
    return (
      (await this.#reader()
        ?.read((view) => view.seq)
        .catch(() => null)) ?? null
    );
  }

  async #ask(): Promise<boolean> {
    try {
      this.#last = Math.max(this.#last, await this.#lastEvent());
    } catch {
      return false;
    }
    for (const { after, wake } of this.#waiting) if (this.#last > after) wake();
    return true;
  }
}

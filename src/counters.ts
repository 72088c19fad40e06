/**
 * What the journal has taken since this process started: attempts by outcome, and how many in
 * each of the last seconds. Counted after the commit; a few additions an attempt, and memory
 * that does not grow.
 */
import type { Command, Outcome, OutcomeWord } from "./ledger/commands.ts";
import { Journal, type WriterSession } from "./store/journal.ts";

/** Seconds of which the attempts are kept. */
const secondsKept = 64;

export class Counters {
  readonly #byOutcome = new Map<OutcomeWord, number>();
  readonly #perSecond = new Float64Array(secondsKept);
  #lastSecond = 0;

  /** @param at ms since the Unix epoch; it does not run backwards */
  add(words: ReadonlyMap<OutcomeWord, number>, at: number): void {
    this.#advance(at);
    let total = 0;
    for (const [word, count] of words) {
      this.#byOutcome.set(word, (this.#byOutcome.get(word) ?? 0) + count);
      total += count;
    }
    const slot = this.#lastSecond % secondsKept;
    this.#perSecond[slot] = (this.#perSecond[slot] ?? 0) + total;
  }

  /** Attempts by outcome, the most frequent first. */
  byOutcome(): Record<string, number> {
    return Object.fromEntries([...this.#byOutcome].toSorted(([, a], [, b]) => b - a));
  }

  /** Attempts a second, over the last `seconds` that are over. */
  rate(seconds: number, now: number): number {
    this.#advance(now);
    let total = 0;
    for (let back = 1; back <= Math.min(seconds, secondsKept - 1); back += 1) {
      if (this.#lastSecond >= back) {
        total += this.#perSecond[(this.#lastSecond - back) % secondsKept] ?? 0;
      }
    }
    return total / seconds;
  }

  /** Empties the slots of the seconds in which nothing came. */
  #advance(at: number): void {
    const second = Math.max(Math.floor(at / 1000), this.#lastSecond);
    const empty = Math.min(second - this.#lastSecond, secondsKept);
    for (let i = 0; i < empty; i += 1) this.#perSecond[(second - i) % secondsKept] = 0;
    this.#lastSecond = second;
  }
}

/** A journal that tells what it has committed. */
export class CountedJournal extends Journal {
  readonly #counters: Counters;
  #batch = new Map<OutcomeWord, number>();

  constructor(session: WriterSession, counters: Counters) {
    super(session);
    this.#counters = counters;
  }

  override add(command: Command, outcome: Outcome): void {
    super.add(command, outcome);
    this.#batch.set(outcome.word, (this.#batch.get(outcome.word) ?? 0) + 1);
  }

  override async commit(at: number): Promise<void> {
    const batch = this.#batch;
    this.#batch = new Map();
    await super.commit(at);
    this.#counters.add(batch, at);
  }
}

/**
 * What the journal has taken since this process started: attempts by kind and outcome, and how
 * many in each of the last seconds. Counted after the commit; a few additions an attempt, and memory
 * that does not grow.
 */
import type { Command, OutcomeWord } from "../ledger/commands.ts";
import type { Batch } from "../store/records.ts";

/** Seconds of which the attempts are kept. */
const secondsKept = 64;

type Kind = Command["kind"];
type Tally = Map<Kind, Map<OutcomeWord, number>>;

/** A batch that was committed: its rows, and how long its statement took. */
type Committed = { readonly rows: number; readonly seconds: number };

export class Counters {
  readonly #attempts: Tally = new Map();
  /** Told of every batch that was committed. */
  onCommit: ((batch: Committed) => void) | null = null;
  /** Terms that this process has led, and how long it took to begin the last one, s. */
  readonly terms = { count: 0, lastSeconds: 0 };
  readonly #perSecond = new Float64Array(secondsKept);
  #lastSecond = 0;

  /** Counts a batch that was committed. @param seconds that the commit took */
  add({ at, commands, outcomes }: Batch, seconds: number): void {
    this.#advance(at);
    let total = 0;
    commands.forEach(({ kind }, index) => {
      const word = outcomes[index]?.word;
      if (word === undefined || word === "look_up") return;
      // Nobody has tried it.
      if (kind === "milestone") return;
      tick(this.#attempts, kind, word, 1);
      total += 1;
    });
    if (total === 0) return;
    const slot = this.#lastSecond % secondsKept;
    this.#perSecond[slot] = (this.#perSecond[slot] ?? 0) + total;
    this.onCommit?.({ rows: total, seconds });
  }

  /** Counts a term that has begun. @returns how long that took, ms */
  beganTerm(startedAt: number): number {
    const ms = Math.round(performance.now() - startedAt);
    this.terms.count += 1;
    this.terms.lastSeconds = ms / 1000;
    return ms;
  }

  /** Attempts by kind and outcome. */
  *attempts(): Generator<{ kind: Kind; outcome: OutcomeWord; count: number }> {
    for (const [kind, words] of this.#attempts) {
      for (const [outcome, count] of words) yield { kind, outcome, count };
    }
  }

  /** Attempts by outcome, the most frequent first. */
  byOutcome(): Record<string, number> {
    const sums = new Map<OutcomeWord, number>();
    for (const { outcome, count } of this.attempts()) {
      sums.set(outcome, (sums.get(outcome) ?? 0) + count);
    }
    return Object.fromEntries([...sums].toSorted(([, a], [, b]) => b - a));
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

function tick(tally: Tally, kind: Kind, word: OutcomeWord, by: number): void {
  let words = tally.get(kind);
  if (words === undefined) tally.set(kind, (words = new Map()));
  words.set(word, (words.get(word) ?? 0) + by);
}

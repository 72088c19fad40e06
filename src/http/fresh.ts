/** Answers from the records, remembered for a moment: a crowd that looks asks them once. */
import { BoundedMap } from "../bounded.ts";

/** How long an answer from the records is given again. */
export const freshMs = 1_000;
/** Answers kept, by what they are about. */
export const freshMax = 256;

type Given<T> = { readonly at: number; readonly answer: Promise<T> };

/** Answers by a sale's id, or another key, each given again for `freshMs`, and asked for once however many wait. */
export class Fresh<T, Key = number> {
  readonly #given = new BoundedMap<Key, Given<T>>(freshMax);

  get(key: Key, now: number, ask: () => Promise<T>): Promise<T> {
    const known = this.#given.get(key);
    if (known !== undefined && now - known.at < freshMs) return known.answer;
    const given = { at: now, answer: ask() };
    this.#given.set(key, given);
    // Whoever waits is told; whoever comes next asks anew.
    given.answer.catch(() => {
      if (this.#given.get(key) === given) this.#given.delete(key);
    });
    return given.answer;
  }
}

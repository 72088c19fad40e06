/** Answers from the records, remembered for a moment: a crowd that looks asks them once. */

/** How long an answer from the records is given again. */
const freshMs = 1_000;
const freshMax = 256;

/** Answers by sale, each given again for `freshMs`, and asked for once however many wait. */
export class Fresh<T> {
  readonly #answers = new Map<
    number,
    { readonly at: number; readonly answer: Promise<T | null> }
  >();

  get(saleId: number, now: number, ask: () => Promise<T | null>): Promise<T | null> {
    const known = this.#answers.get(saleId);
    if (known !== undefined && now - known.at < freshMs) return known.answer;
    const answer = ask();
    this.#answers.delete(saleId);
    this.#answers.set(saleId, { at: now, answer });
    answer.catch(() => this.#answers.delete(saleId));
    const oldest = this.#answers.keys().next().value;
    if (this.#answers.size > freshMax && oldest !== undefined) this.#answers.delete(oldest);
    return answer;
  }
}

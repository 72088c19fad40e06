/**
 * Answers that come in another order than they were asked for. A question may be repeated for half a
 * minute while the next ones are answered at once; what it brings then is older than what is shown.
 *
 * Whoever puts an answer where people see it asks here first whether it may still be taken: not when a
 * later question's answer was taken before it, and not when something else is asked by now. An answer
 * to an earlier question is taken while there is no later one, so that a slow line, on which each is
 * overtaken by the next question, still brings something.
 */
export class Answers {
  #asked = 0;
  /** The last one that was taken, or is void. */
  #done = 0;

  /** Notes that a question is asked. Call what comes back once, when its answer is there: whether it may be taken. */
  ask(): () => boolean {
    const mine = ++this.#asked;
    return () => {
      if (mine <= this.#done) return false;
      this.#done = mine;
      return true;
    };
  }

  /** From now on it is about something else, or is known better: no answer that is under way is taken. */
  void(): void {
    this.#done = this.#asked;
  }

  /** Asks about something else: as `ask`, and no earlier answer is taken. */
  askAnew(): () => boolean {
    this.void();
    return this.ask();
  }
}

/** Answers about several things, each for itself. @returns those about one of them */
export function answersEach<Key>(): (of: Key) => Answers {
  const each = new Map<Key, Answers>();
  return (of) => {
    const known = each.get(of) ?? new Answers();
    each.set(of, known);
    return known;
  };
}

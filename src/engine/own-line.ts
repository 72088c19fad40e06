/** The way from this process to itself, when it comes to lead: what waited here is decided here. */
import type { FollowerLine, Undecided } from "../link/line.ts";
import type { LinkedOutcome } from "../link/outcomes.ts";
import type { LinkedCommand } from "../link/words.ts";

export class OwnLine implements FollowerLine {
  readonly instance: string;
  readonly isOpen = true;
  readonly #onAnswer: (number: number, answer: LinkedOutcome | Undecided) => void;

  constructor(
    instance: string,
    onAnswer: (number: number, answer: LinkedOutcome | Undecided) => void,
  ) {
    this.instance = instance;
    this.#onAnswer = onAnswer;
  }

  answer(
    numbers: readonly number[],
    _commands: readonly LinkedCommand[],
    outcomes: readonly (LinkedOutcome | null)[],
  ): void {
    numbers.forEach((number, index) => {
      const outcome = outcomes[index];
      if (outcome != null) this.#onAnswer(number, outcome);
    });
  }

  refuse(numbers: readonly number[], because: Undecided["word"]): void {
    for (const number of numbers) this.#onAnswer(number, { word: because });
  }

  change(): void {}

  counts(): void {}

  reply(): void {}

  close(): void {}
}

/** Commands that wait to be decided together, and whoever waits for their answers. */
import type { Command, Outcome } from "../ledger/commands.ts";

/** Attempts in one statement. */
export const batchRowsMax = 4_096;
/**
 * What comes later than this after the first begins another: all of a batch is given up when its first has
 * waited long enough, and in a process that stood still some have come just now.
 */
const batchAgeMaxMs = 250;

/** Makes something of an outcome: an answer, say. Called before the commit, and kept until it. */
export type Use = (outcome: never) => unknown;

/**
 * Commands that are decided and committed together. Whoever asked waits for the one promise of
 * the batch, and finds its answer there.
 */
export class PendingBatch {
  /** When the first of them came, by a monotonic clock, ms. */
  readonly begunAt: number;
  readonly commands: Command[] = [];
  /** The ids of those that came over the link, by their places. */
  readonly asked: number[] = [];
  /** By the places of their commands; those that came together have none. */
  readonly #uses: Use[] = [];
  readonly #groups: Group[] = [];
  #outcomes: readonly (Outcome | Error)[] = [];
  #answers: unknown[] | null = null;
  #handedOver: Error | null = null;
  readonly #committed = Promise.withResolvers<void>();

  constructor(begunAt: number) {
    this.begunAt = begunAt;
  }

  /** Whether so many more may come to it. @param now monotonic, ms */
  takes(count: number, now: number): boolean {
    return this.commands.length + count <= batchRowsMax && now - this.begunAt <= batchAgeMaxMs;
  }

  /** Resolves to what `use` makes of the command's outcome, once that is committed. */
  add(command: Command, use: Use): Promise<unknown> {
    const index = this.commands.push(command) - 1;
    this.#uses[index] = use;
    return this.#committed.promise.then(() =>
      this.#answers === null ? this.#answer(index) : this.#answers[index],
    );
  }

  /** Resolves to the outcomes of commands that came together, once they are committed; null: overdue. */
  async addAll(
    commands: readonly Command[],
    ids: readonly number[],
    dueAt: number,
  ): Promise<readonly Outcome[] | null> {
    const from = this.commands.length;
    commands.forEach((command, index) => {
      this.commands.push(command);
      const id = ids[index];
      if (id !== undefined) this.asked[from + index] = id;
    });
    const group = { from, to: this.commands.length, dueAt, isOverdue: false };
    this.#groups.push(group);
    await this.#committed.promise;
    if (this.#handedOver !== null) throw this.#handedOver;
    return group.isOverdue ? null : (this.#outcomes.slice(group.from, group.to) as Outcome[]);
  }

  /** Has every command decided, but for those that came together and are overdue at `now`. */
  decide(decide: (command: Command, index: number) => Outcome, now: number): readonly Outcome[] {
    for (const group of this.#groups) group.isOverdue = now > group.dueAt;
    const overdue = this.#groups.filter(({ isOverdue }) => isOverdue);
    const outcomes =
      overdue.length === 0
        ? this.commands.map(decide)
        : this.commands.map((command, index) =>
            overdue.some(({ from, to }) => from <= index && index < to)
              ? notDecided
              : decide(command, index),
          );
    this.#outcomes = outcomes;
    return outcomes;
  }

  /** Makes the answers while PostgreSQL commits; without it they are made when they are given. */
  prepare(): void {
    if (this.#handedOver !== null) return;
    try {
      this.#answers = this.commands.map((_, index) => this.#answer(index));
    } catch {
      // Whose answer cannot be made is told so; the others are made again.
    }
  }

  /**
   * Has somebody else decide what nobody has, or nobody has committed.
   * @param reason told of what came together: who has sent it sends it again
   */
  async handOver(ask: (command: Command) => Promise<Outcome>, reason: Error): Promise<void> {
    this.#handedOver = reason;
    // Of what was decided and not committed.
    this.#answers = null;
    const asked = this.commands.map(async (command, index) => {
      if (this.#uses[index] === undefined) return null;
      return await ask(command).catch((error: unknown) =>
        error instanceof Error ? error : new Error(String(error)),
      );
    });
    this.#outcomes = (await Promise.all(asked)).map((outcome) => outcome ?? notDecided);
    this.answer();
  }

  answer(): void {
    this.#committed.resolve();
  }

  refuse(error: Error): void {
    this.#committed.reject(error);
  }

  /** Resolves when it is answered or refused. */
  async settled(): Promise<void> {
    await this.#committed.promise.catch(() => {});
  }

  #answer(index: number): unknown {
    const outcome = this.#outcomes[index];
    if (outcome instanceof Error) throw outcome;
    return this.#uses[index]?.(outcome as never);
  }
}

/** Commands of a batch that came together, by their places in it. */
type Group = {
  readonly from: number;
  readonly to: number;
  /** By a monotonic clock, ms. */
  readonly dueAt: number;
  isOverdue: boolean;
};

/** No attempt is made of it. */
const notDecided: Outcome = { word: "look_up" };

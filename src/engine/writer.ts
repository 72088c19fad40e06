/**
 * The one writer: it owns the state, decides what is asked one after another, and answers
 * only after the journal has committed.
 *
 * One statement is in flight; what arrives meanwhile is the next batch. There is no timer:
 * idle, a batch is one row, under load it is hundreds. A batch is decided at the moment it
 * is sent, so between batches the state is exactly what PostgreSQL has. Its answers are made
 * while PostgreSQL commits it, and given out after.
 *
 * A commit that fails, or of which nobody knows, ends the writer: its state may be ahead of
 * the records. Everybody waiting gets `UnavailableError`, `lost` resolves, and a new writer
 * has to be made from what is stored.
 */
import type { Command, Outcome, OutcomeOf } from "../ledger/commands.ts";
import type { Coupon } from "../ledger/coupons.ts";
import { decide } from "../ledger/decide.ts";
import type { LedgerState } from "../ledger/state.ts";
import type { Journal } from "../store/journal.ts";

/** Attempts in one statement. */
export const batchRowsMax = 4_096;
/** Commands that wait to be decided; more are refused at once. */
export const queueCommandsMax = 32_768;

/**
 * Turns of the event loop between a commit and the next batch, where few are waiting: the
 * replies just given are written in the first, and what their clients ask next is read in the
 * others. With none, batches are smaller and cost more; more than four change nothing. With
 * nothing to do a turn takes microseconds.
 */
const turnsBeforeSending = 4;
/**
 * A queue of so many goes at once, and PostgreSQL has it while the next is read. Measured in
 * turns, in processor time a request: 32 cost 3 to 8 % more than 64 on 64 connections and 13 %
 * on 256, where 128 cost as much as 64.
 */
export const commandsWorthSending = 64;

/** There is no writer at the moment; the caller may try again. */
export class UnavailableError extends Error {}

/** The writer is behind its bound; the caller may try again. */
export class OverloadedError extends Error {}

const stopping = "the program is stopping";

/** Makes something of an outcome: an answer, say. Called before the commit, and kept until it. */
type Use = (outcome: never) => unknown;

const same: Use = (outcome) => outcome;

/**
 * Commands that are decided and committed together. Whoever asked waits for the one promise of
 * the batch, and finds its answer there.
 */
class Batch {
  readonly commands: Command[] = [];
  readonly #uses: Use[] = [];
  #outcomes: readonly Outcome[] = [];
  #answers: unknown[] | null = null;
  readonly #committed = Promise.withResolvers<void>();

  /** Resolves to what `use` makes of the command's outcome, once that is committed. */
  add(command: Command, use: Use): Promise<unknown> {
    const index = this.commands.push(command) - 1;
    this.#uses.push(use);
    return this.#committed.promise.then(() =>
      this.#answers === null ? this.#answer(index) : this.#answers[index],
    );
  }

  decided(outcomes: readonly Outcome[]): void {
    this.#outcomes = outcomes;
  }

  /** Makes the answers while PostgreSQL commits; without it they are made when they are given. */
  prepare(): void {
    try {
      this.#answers = this.commands.map((_, index) => this.#answer(index));
    } catch {
      // Whose answer cannot be made is told so; the others are made again.
    }
  }

  answer(): void {
    this.#committed.resolve();
  }

  refuse(error: Error): void {
    this.#committed.reject(error);
  }

  #answer(index: number): unknown {
    return this.#uses[index]?.(this.#outcomes[index] as never);
  }
}

export class Writer {
  readonly #state: LedgerState;
  readonly #journal: Journal;
  readonly #clock: () => number;
  /** Not decided yet; the last one is filling. */
  #batches: Batch[] = [];
  #queueLength = 0;
  #reads: (() => void)[] = [];
  #inFlight: Batch | null = null;
  #scheduled = false;
  #ended: Error | null = null;
  #drained: (() => void) | null = null;
  readonly #lost = Promise.withResolvers<Error>();

  /** @param clock milliseconds since the Unix epoch */
  constructor(state: LedgerState, journal: Journal, clock: () => number) {
    this.#state = state;
    this.#journal = journal;
    this.#clock = clock;
  }

  /** Resolves with the reason when this writer has ended and its state is void. */
  get lost(): Promise<Error> {
    return this.#lost.promise;
  }

  /** Commands that wait to be decided. */
  get queueLength(): number {
    return this.#queueLength;
  }

  /**
   * Has a command decided and its record committed.
   * @throws UnavailableError when there is no telling whether it was, or it was not
   * @throws OverloadedError when too many are waiting; it was not decided
   */
  submit<C extends Command>(command: C): Promise<OutcomeOf<C>>;
  /**
   * As above, and gives what `use` makes of the outcome. It is called while PostgreSQL commits,
   * when there is time, so it must do nothing that is seen outside.
   */
  submit<C extends Command, T>(command: C, use: (outcome: OutcomeOf<C>) => T): Promise<T>;
  submit(command: Command, use: Use = same): Promise<unknown> {
    if (this.#ended !== null || this.#drained !== null) {
      return Promise.reject(new UnavailableError(this.#ended?.message ?? stopping));
    }
    if (this.#queueLength >= queueCommandsMax) {
      return Promise.reject(new OverloadedError("too many requests are waiting"));
    }
    let batch = this.#batches.at(-1);
    if (batch === undefined || batch.commands.length >= batchRowsMax) {
      batch = new Batch();
      this.#batches.push(batch);
    }
    this.#queueLength += 1;
    this.#schedule();
    return batch.add(command, use);
  }

  /**
   * Calls `use` with the state at a moment when all of it is committed, so that nothing is
   * told that a crash could take back. `use` may also add or drop what is not decided here:
   * sales that were stored, claims that were loaded. `waiting` are the commands not decided yet.
   */
  read<T>(use: (state: LedgerState, waiting: Iterable<Command>) => T): Promise<T> {
    if (this.#ended !== null) return Promise.reject(new UnavailableError(this.#ended.message));
    if (this.#inFlight === null) return Promise.resolve(use(this.#state, this.#waiting()));
    return new Promise((resolve, reject) => {
      this.#reads.push(() => {
        try {
          if (this.#ended !== null) throw new UnavailableError(this.#ended.message);
          resolve(use(this.#state, this.#waiting()));
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }

  *#waiting(): Generator<Command> {
    for (const { commands } of this.#batches) yield* commands;
  }

  /** The coupon of a name, as far as the ledger knows it. May be ahead of the records. */
  coupon(name: string): Coupon | undefined {
    return this.#state.coupons.get(name);
  }

  /** Whether the ledger holds a code in memory. May be ahead of the records. */
  knows(code: string): boolean {
    return this.#state.codes.has(code);
  }

  /** Takes nothing more, and resolves when everything taken has been answered. */
  drain(): Promise<void> {
    if (this.#ended !== null) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#drained = resolve;
    this.#schedule();
    return promise;
  }

  /** Ends the writer at once: nothing more is decided, everybody waiting is told. */
  end(reason: Error): void {
    if (this.#ended !== null) return;
    this.#ended = reason;
    const waiting = [...(this.#inFlight === null ? [] : [this.#inFlight]), ...this.#batches];
    this.#inFlight = null;
    this.#batches = [];
    this.#queueLength = 0;
    for (const batch of waiting) batch.refuse(new UnavailableError(reason.message));
    this.#settleReads();
    this.#drained?.();
    this.#lost.resolve(reason);
  }

  /** Lets the event loop read what has arrived, then sends it. */
  #schedule(): void {
    if (this.#scheduled || this.#inFlight !== null || this.#ended !== null) return;
    this.#scheduled = true;
    let turns = turnsBeforeSending;
    const turn = (): void => {
      turns -= 1;
      if (turns === 0 || this.#queueLength >= commandsWorthSending) this.#send();
      else setImmediate(turn);
    };
    setImmediate(turn);
  }

  #send(): void {
    this.#scheduled = false;
    if (this.#ended !== null) return;
    const batch = this.#batches.shift();
    if (batch === undefined) {
      if (this.#drained !== null) this.end(new Error(stopping));
      return;
    }
    this.#queueLength -= batch.commands.length;
    this.#inFlight = batch;
    this.#decideAndCommit(batch).catch((error: unknown) => {
      this.end(error instanceof Error ? error : new Error(String(error)));
    });
  }

  async #decideAndCommit(batch: Batch): Promise<void> {
    batch.decided(this.#decide(batch.commands));
    const committed = this.#journal.commit(this.#state.now);
    // A turn later the statement has left.
    setImmediate(() => batch.prepare());
    await committed;
    if (this.#ended !== null) return;
    this.#inFlight = null;
    this.#settleReads();
    if (this.#queueLength >= commandsWorthSending) {
      this.#send();
      // PostgreSQL has the next batch to do while this one's answers are written.
      setImmediate(() => batch.answer());
      return;
    }
    batch.answer();
    if (this.#queueLength > 0 || this.#drained !== null) this.#schedule();
  }

  /** Decides commands one after another, all at one time, and hands them to the journal. */
  #decide(commands: readonly Command[]): Outcome[] {
    const state = this.#state;
    const journal = this.#journal;
    const now = this.#clock();
    journal.begin(state.seq + 1);
    return commands.map((command) => {
      const outcome = decide(state, command, now);
      journal.add(command, outcome);
      return outcome;
    });
  }

  #settleReads(): void {
    const reads = this.#reads;
    this.#reads = [];
    for (const read of reads) read();
  }
}

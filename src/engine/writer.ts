/**
 * The one writer: it owns the ledger, decides what is asked one after another, and answers
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
import type { Ledger, LedgerUpkeep } from "../ledger/ledger.ts";
import type { LedgerView } from "../ledger/view.ts";
import type { Batch } from "../store/records.ts";

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
class PendingBatch {
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

/** What the rest of the program has of the writer. */
export type Writer = {
  /** Commands that wait to be decided. */
  readonly queueLength: number;
  /** Number of the last attempt that is committed. */
  readonly committedSeq: number;
  /** Resolves with the reason when this writer has ended and its ledger is void. */
  readonly lost: Promise<Error>;
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
  /**
   * Calls `use` with a view of the ledger at a moment when all of it is committed, so that nothing
   * is told that a crash could take back. `use` must not await.
   */
  read<T>(use: (view: LedgerView) => T): Promise<T>;
  /** Calls `change` at such a moment, for what is not decided: see `LedgerUpkeep`. */
  maintain<T>(change: (ledger: LedgerUpkeep) => T): Promise<T>;
  /** Takes nothing more, and resolves when everything taken has been answered. */
  drain(): Promise<void>;
  /** Ends the writer at once: nothing more is decided, everybody waiting is told. */
  end(reason: Error): void;
};

export class BatchWriter implements Writer {
  readonly #ledger: Ledger;
  readonly #commit: (batch: Batch) => Promise<void>;
  readonly #clock: () => number;
  /** Not decided yet; the last one is filling. */
  #batches: PendingBatch[] = [];
  #queueLength = 0;
  #committedSeq: number;
  #reads: (() => void)[] = [];
  #inFlight: PendingBatch | null = null;
  #scheduled = false;
  #ended: Error | null = null;
  #drained: (() => void) | null = null;
  readonly #lost = Promise.withResolvers<Error>();
  readonly #nextTurn: (turn: () => void) => void;

  /**
   * @param commit makes a batch durable, or rejects when nobody knows whether it is
   * @param clock ms since the Unix epoch; it does not run backwards
   * @param nextTurn has something done after what has arrived was read
   */
  constructor(
    ledger: Ledger,
    commit: (batch: Batch) => Promise<void>,
    clock: () => number,
    nextTurn: (turn: () => void) => void = setImmediate,
  ) {
    this.#ledger = ledger;
    this.#commit = commit;
    this.#clock = clock;
    this.#committedSeq = ledger.seq;
    this.#nextTurn = nextTurn;
  }

  get lost(): Promise<Error> {
    return this.#lost.promise;
  }

  get queueLength(): number {
    return this.#queueLength;
  }

  get committedSeq(): number {
    return this.#committedSeq;
  }

  submit<C extends Command>(command: C): Promise<OutcomeOf<C>>;
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
      batch = new PendingBatch();
      this.#batches.push(batch);
    }
    this.#queueLength += 1;
    this.#schedule();
    return batch.add(command, use);
  }

  read<T>(use: (view: LedgerView) => T): Promise<T> {
    return this.#whenCommitted(() => {
      const view = this.#ledger.view(this.#clock());
      try {
        return use(view);
      } finally {
        view.close();
      }
    });
  }

  maintain<T>(change: (ledger: LedgerUpkeep) => T): Promise<T> {
    return this.#whenCommitted(() => {
      this.#ledger.moveOn(this.#clock());
      return change(this.#ledger);
    });
  }

  /** Between two batches the ledger is exactly what PostgreSQL has. */
  #whenCommitted<T>(use: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        try {
          if (this.#ended !== null) throw new UnavailableError(this.#ended.message);
          resolve(use());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      if (this.#inFlight === null) settle();
      else this.#reads.push(settle);
    });
  }

  drain(): Promise<void> {
    if (this.#ended !== null) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#drained = resolve;
    this.#schedule();
    return promise;
  }

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
      else this.#nextTurn(turn);
    };
    this.#nextTurn(turn);
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

  async #decideAndCommit(asked: PendingBatch): Promise<void> {
    const at = this.#ledger.moveOn(this.#clock());
    const firstSeq = this.#ledger.seq + 1;
    const { commands } = asked;
    const outcomes = commands.map((command) => this.#ledger.decide(command, at));
    asked.decided(outcomes);
    const { seq } = this.#ledger;
    if (seq >= firstSeq) {
      const committed = this.#commit({ firstSeq, at, commands, outcomes });
      // A turn later the statement has left.
      this.#nextTurn(() => asked.prepare());
      await committed;
    }
    if (this.#ended !== null) return;
    this.#committedSeq = seq;
    this.#inFlight = null;
    this.#settleReads();
    if (this.#queueLength >= commandsWorthSending) {
      this.#send();
      // PostgreSQL has the next batch to do while this one's answers are written.
      this.#nextTurn(() => asked.answer());
      return;
    }
    asked.answer();
    if (this.#queueLength > 0 || this.#drained !== null) this.#schedule();
  }

  #settleReads(): void {
    const reads = this.#reads;
    this.#reads = [];
    for (const read of reads) read();
  }
}

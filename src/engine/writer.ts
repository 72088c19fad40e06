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
 * the records. Who is in that batch gets `UnavailableError` where it is known that nothing was
 * written, and waits else until that is found out; what was not decided may go to another writer. `lost` resolves, and
 * a new writer has to be made from what is stored.
 */
import type { Command, Outcome, OutcomeOf } from "../ledger/commands.ts";
import type { Ledger, LedgerUpkeep } from "../ledger/ledger.ts";
import type { LedgerView } from "../ledger/view.ts";
import { DeposedError, NotWrittenError, type Batch, type SentAttempt } from "../store/records.ts";
import { PendingBatch, type Use } from "./pending-batch.ts";
import { Feed } from "./feed.ts";
import { Unasked } from "./unasked.ts";

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

/** Nobody decided it while the caller waited, and nobody is going to; the caller may try again. */
export class OverdueError extends UnavailableError {}

/** It may have been decided or not, and nobody can tell now: the caller has to look. */
export class OutcomeUnknownError extends Error {}

const stopping = "the program is stopping";

const same: Use = (outcome) => outcome;

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
   * @throws UnavailableError when it was not
   * @throws OutcomeUnknownError when there is no telling whether it was
   * @throws OverloadedError when too many are waiting; it was not decided
   */
  submit<C extends Command>(command: C): Promise<OutcomeOf<C>>;
  /**
   * As above, and gives what `use` makes of the outcome. It is called while PostgreSQL commits,
   * when there is time, so it must do nothing that is seen outside.
   */
  submit<C extends Command, T>(
    command: C,
    use: (outcome: OutcomeOf<C>) => T | Promise<T>,
  ): Promise<T>;
  /**
   * Has commands decided that came together over the link, as one answer.
   * @param ids of the commands, as they are stored with their attempts
   * @param patienceMs after so long they are not to be decided any more
   * @throws OverdueError then
   * @throws UnavailableError, OverloadedError as above
   */
  submitAll(
    commands: readonly Command[],
    ids: readonly number[],
    patienceMs: number,
  ): Promise<readonly Outcome[]>;
  /** Resolves when all that has been submitted is answered. */
  settled(): Promise<void>;
  /**
   * Calls `use` with a view of the ledger at a moment when all of it is committed, so that nothing
   * is told that a crash could take back. `use` must not await.
   */
  read<T>(use: (view: LedgerView) => T): Promise<T>;
  /** Calls `change` at such a moment, for what is not decided: see `LedgerUpkeep`. */
  maintain<T>(change: (ledger: LedgerUpkeep) => T): Promise<T>;
  /** Has noted what has happened to sales, where nobody asks for anything. */
  noteMilestones(): void;
  /** Has units offered that have come free by themselves, to those who wait for them. */
  offerDue(): void;
  /** Takes nothing more, and resolves when everything taken has been answered. */
  drain(): Promise<void>;
  /** Ends the writer at once: nothing more is decided, everybody waiting is told. */
  end(reason: Error): void;
};

export type WriterOptions = {
  /** Has something done after what has arrived was read. */
  readonly nextTurn?: (turn: () => void) => void;
  /** ms of a clock that only goes on. */
  readonly monotonic?: () => number;
  /** Is told of what is committed, before those who asked. */
  readonly feed?: Feed;
  /** Makes sure that nobody else leads; null where that is certain. */
  readonly confirm?: () => Promise<void> | null;
  /** Draws the code of a unit that is offered. */
  readonly newCode?: () => string;
  /** Told of each batch that was not decided when the writer ended, or in vain; without it they are refused. */
  readonly onUndecided?: (batch: PendingBatch, reason: Error) => void;
  /**
   * Told of the batch of which nobody knows whether it was committed, and of its last attempt; without
   * it they are told so.
   */
  readonly onUnknown?: (batch: PendingBatch, last: SentAttempt, reason: Error) => void;
};

const unconfirmed = (error: unknown): never => {
  throw new UnavailableError(error instanceof Error ? error.message : String(error));
};

const refuse = (batch: PendingBatch, reason: Error): void =>
  batch.refuse(new UnavailableError(reason.message));

const leaveUnknown = (batch: PendingBatch, _: SentAttempt, reason: Error): void =>
  batch.refuse(new OutcomeUnknownError(reason.message));

/** Of the last outcome that is an attempt. */
const lastWord = (outcomes: readonly Outcome[]): SentAttempt["word"] => {
  const word = outcomes.findLast((outcome) => outcome.word !== "look_up")?.word;
  if (word === undefined) throw new Error("a batch without an attempt");
  return word;
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
  /** The last attempt of what is in flight; null before it is sent. */
  #sent: SentAttempt | null = null;
  #scheduled = false;
  #ended: Error | null = null;
  #drained: (() => void) | null = null;
  readonly #lost = Promise.withResolvers<Error>();
  readonly #nextTurn: (turn: () => void) => void;
  readonly #monotonic: () => number;
  readonly #onUndecided: NonNullable<WriterOptions["onUndecided"]>;
  readonly #onUnknown: NonNullable<WriterOptions["onUnknown"]>;
  readonly #confirm: () => Promise<void> | null;
  readonly #newCode: () => string;
  readonly #feed: Feed;
  readonly #upkeep: LedgerUpkeep;

  /**
   * @param commit makes a batch durable, or rejects when nobody knows whether it is
   * @param clock ms since the Unix epoch; it does not run backwards
   */
  constructor(
    ledger: Ledger,
    commit: (batch: Batch) => Promise<void>,
    clock: () => number,
    options: WriterOptions = {},
  ) {
    this.#ledger = ledger;
    this.#commit = commit;
    this.#clock = clock;
    this.#committedSeq = ledger.seq;
    this.#nextTurn = options.nextTurn ?? setImmediate;
    this.#monotonic = options.monotonic ?? (() => performance.now());
    this.#onUndecided = options.onUndecided ?? refuse;
    this.#onUnknown = options.onUnknown ?? leaveUnknown;
    this.#confirm = options.confirm ?? (() => null);
    this.#newCode = options.newCode ?? (() => Bun.randomUUIDv7());
    this.#feed = options.feed ?? new Feed(ledger.seq, clock());
    this.#upkeep = this.#feed.upkeepOf(ledger);
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
  submit<C extends Command, T>(
    command: C,
    use: (outcome: OutcomeOf<C>) => T | Promise<T>,
  ): Promise<T>;
  submit(command: Command, use: Use = same): Promise<unknown> {
    const batch = this.#batchFor(1);
    return batch instanceof Error ? Promise.reject(batch) : batch.add(command, use);
  }

  async submitAll(
    commands: readonly Command[],
    ids: readonly number[],
    patienceMs: number,
  ): Promise<readonly Outcome[]> {
    const batch = this.#batchFor(commands.length);
    if (batch instanceof Error) throw batch;
    const outcomes = await batch.addAll(commands, ids, this.#monotonic() + patienceMs);
    if (outcomes === null) throw new OverdueError("it came too late to be decided");
    return outcomes;
  }

  async settled(): Promise<void> {
    const last = this.#batches.at(-1) ?? this.#inFlight;
    await last?.settled();
  }

  /** Where so many commands are put, all in one batch; or why they are not. */
  #batchFor(count: number): PendingBatch | Error {
    if (this.#ended !== null || this.#drained !== null) {
      return new UnavailableError(this.#ended?.message ?? stopping);
    }
    if (this.#queueLength + count > queueCommandsMax) {
      return new OverloadedError("too many requests are waiting");
    }
    const now = this.#monotonic();
    let batch = this.#batches.at(-1);
    if (batch?.takes(count, now) !== true) {
      batch = new PendingBatch(now);
      this.#batches.push(batch);
    }
    this.#queueLength += count;
    this.#schedule();
    return batch;
  }

  async read<T>(use: (view: LedgerView) => T): Promise<T> {
    const confirmed = this.#confirm();
    if (confirmed !== null) await confirmed.catch(unconfirmed);
    return await this.#whenCommitted(() => {
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
      return change(this.#upkeep);
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

  noteMilestones(): void {
    if (this.#ended !== null || this.#drained !== null || this.#batches.length > 0) return;
    const batch = new PendingBatch(this.#monotonic());
    // Nobody waits for it: that it fails is told to nobody.
    void batch.settled();
    this.#batches.push(batch);
    this.#schedule();
  }

  offerDue(): void {
    // What is under way sees to it.
    if (this.#inFlight !== null) return;
    const now = this.#ledger.moveOn(this.#clock());
    if (this.#ledger.saleWithOfferDue(now) !== null) this.noteMilestones();
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
    const [unknown, undecided] = [this.#inFlight, this.#batches];
    this.#inFlight = null;
    this.#batches = [];
    this.#queueLength = 0;
    if (unknown !== null) {
      // What could not even be decided is written nowhere.
      if (this.#sent === null) refuse(unknown, reason);
      else this.#onUnknown(unknown, this.#sent, reason);
    }
    for (const batch of undecided) this.#onUndecided(batch, reason);
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
    this.#sent = null;
    this.#decideAndCommit(batch).catch((error: unknown) => {
      if (this.#ended !== null) return;
      if (error instanceof NotWrittenError) {
        this.#inFlight = null;
        // Whoever leads by now decides what this one may not any more.
        const settle = error instanceof DeposedError ? this.#onUndecided : refuse;
        settle(batch, error);
      }
      this.end(error instanceof Error ? error : new Error(String(error)));
    });
  }

  async #decideAndCommit(asked: PendingBatch): Promise<void> {
    const at = this.#ledger.moveOn(this.#clock());
    const firstSeq = this.#ledger.seq + 1;
    const { commands, outcomes, asked: ids } = this.#decide(asked, at);
    const { seq } = this.#ledger;
    if (seq >= firstSeq) {
      const batch = { firstSeq, at, commands, outcomes, asked: ids };
      this.#sent = { seq, at, word: lastWord(outcomes) };
      const committed = this.#commit(batch);
      // A turn later the statement has left.
      this.#nextTurn(() => asked.prepare());
      await committed;
      // What has ended says nothing more, of what nobody answers.
      if (this.#ended === null) this.#feed.tellBatch(batch, this.#ledger);
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
    if (this.#batches.length > 0 || this.#drained !== null) this.#schedule();
  }

  /** Has what waits decided, and in between what nobody asks for. */
  #decide(asked: PendingBatch, at: number): Pick<Batch, "commands" | "outcomes" | "asked"> {
    const unasked = new Unasked(this.#ledger, at, this.#newCode);
    unasked.noteMilestones(0);
    unasked.offer(0);
    const outcomes = asked.decide((command, index) => {
      const outcome = this.#ledger.decide(command, at);
      unasked.offer(index + 1);
      return outcome;
    }, this.#monotonic());
    unasked.noteMilestones(asked.commands.length);
    return unasked.among({ commands: asked.commands, outcomes, asked: asked.asked });
  }

  #settleReads(): void {
    const reads = this.#reads;
    this.#reads = [];
    for (const read of reads) read();
  }
}

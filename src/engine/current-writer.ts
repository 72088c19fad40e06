/**
 * The writer that this process sells by at the moment: its own while it leads, the leader's over the
 * link while another does. In between nobody decides, and commands wait for whoever will.
 *
 *   leads ──────► its own writer, without a detour
 *   stands by ──► the leader's, over the line that there is
 *   neither ────► waits, up to `waitMaxMs`, then `UnavailableError`
 *
 * A command that was sent and not answered when the line is gone is sent again to whoever leads
 * next, with its id, so it is decided once. The leader decides nothing that is older than
 * `decideWithinMs`; only when that is long past is a command given up that was sent: then nobody can
 * tell whether it was decided, and it ends with `OutcomeUnknownError`. What is no command is asked
 * again in the same way: see `calls.ts`.
 */
import type { Command, Decided, Outcome, OutcomeOf } from "../ledger/commands.ts";
import type { LedgerView } from "../ledger/view.ts";
import {
  askedId,
  commandsPerFrameMax,
  numbersMax,
  type Asked,
  type LeaderEvents,
  type LeaderLine,
  type Undecided,
} from "../link/line.ts";
import type { LinkedOutcome } from "../link/outcomes.ts";
import type { LinkedCommand } from "../link/words.ts";
import { Calls, failureOf, nobodyLeads, unknown, type Callee } from "./calls.ts";
import { mayNeedRecords, type Lookups } from "./lookups.ts";
import type { LinkedCommands } from "./linked-commands.ts";
import { OwnLine } from "./own-line.ts";
import type { PendingBatch } from "./pending-batch.ts";
import type { Records } from "../store/records.ts";
import { SharedCounts } from "./shared-counts.ts";
import { settleUnknown } from "./unknown-batch.ts";
import {
  OverloadedError,
  UnavailableError,
  queueCommandsMax,
  type Writer,
  type WriterOptions,
} from "./writer.ts";

/** How long something waits while nobody leads. */
export const waitMaxMs = 3_000;
/** A command that is not decided within so long of its coming is not decided any more. */
export const decideWithinMs = 6_000;
/**
 * What was sent is given up after so long, when the last leader that may have it has dropped it; and
 * before a connection is closed on which nothing has been said: Bun looks for those every four
 * seconds, so the ten that it gives them are eight for some.
 */
export const giveUpMs = 7_500;
/** How often is looked for what has waited too long. */
const lookEveryMs = 100;

/** What a leader decides by. */
type OwnWriter = {
  readonly writer: Writer;
  readonly lookups: Lookups;
  readonly linked: LinkedCommands;
  /** Does what is no command of the ledger; the number is the call's id. */
  readonly call: (body: unknown, asked: number) => Promise<unknown>;
};

/** What a view of a ledger can be had of. */
export type Reader = { read<T>(use: (view: LedgerView) => T): Promise<T> };

/** A command that waits to be sent, or was sent and waits for its answer. */
type Pending = {
  readonly number: number;
  readonly command: LinkedCommand;
  readonly use: (outcome: never) => unknown;
  readonly resolve: (made: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly cameAt: number;
  /** None of this and earlier attempts is its; null while it was never sent. */
  sinceSeq: number | null;
};

type CurrentOptions = {
  /** Which process this is. */
  readonly instance: string;
  readonly records: Pick<Records, "isCommitted">;
  readonly sleep: (ms: number) => Promise<void>;
  /** Has something done after what has arrived was read. */
  readonly nextTurn: (turn: () => void) => void;
  /** ms of a clock that only goes on. */
  readonly monotonic: () => number;
};

const same = (outcome: never): unknown => outcome;

export class CurrentWriter {
  /** What clients use up, here and elsewhere. */
  readonly counts = new SharedCounts();
  readonly #options: CurrentOptions;
  #own: OwnWriter | null = null;
  #line: LeaderLine | null = null;
  #reader: Reader | null = null;
  /** In the order in which they came. */
  readonly #pending = new Map<number, Pending>();
  #unsent: Pending[] = [];
  readonly #calls: Calls;
  #number = 0;
  /** What is committed, as far as this process has heard. */
  #seq = 0;
  #isFlushing = false;
  #isLooking = false;
  #changed = Promise.withResolvers<void>();

  constructor(options: CurrentOptions) {
    this.#options = options;
    this.#calls = new Calls({ ...options, giveUpMs });
  }

  /** Commands that wait here for an answer over the link, or for somebody to lead. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  /** Changes with everything that is asked of the ledger through this process. */
  get askedCount(): number {
    if (this.#own === null) return this.#number;
    const { committedSeq, queueLength } = this.#own.writer;
    return committedSeq + queueLength;
  }

  /** The last attempt that this process knows of. */
  get heardSeq(): number {
    return this.#own?.writer.committedSeq ?? this.#seq;
  }

  /** Whether there is somebody who decides. */
  get isReachable(): boolean {
    return this.#own !== null || this.#line !== null;
  }

  /**
   * Has a command decided and its record committed, and gives what `use` makes of the outcome.
   * @throws UnavailableError when it was not, and is not going to be
   * @throws OutcomeUnknownError when there is no telling
   * @throws OverloadedError when too many are waiting; it was not decided
   */
  submit<C extends LinkedCommand>(command: C): Promise<Decided<OutcomeOf<C>>>;
  submit<C extends LinkedCommand, T>(
    command: C,
    use: (outcome: Decided<OutcomeOf<C>>) => T | Promise<T>,
  ): Promise<T>;
  submit(command: LinkedCommand, use: (outcome: never) => unknown = same): Promise<unknown> {
    // What comes over the link has been looked up there.
    if (this.#own === null) return this.#ask(command, use);
    const { writer, lookups } = this.#own;
    return mayNeedRecords(command)
      ? lookups.decide(command, use as (outcome: Outcome) => unknown)
      : writer.submit(command, use as (outcome: Outcome) => unknown);
  }

  /**
   * Calls `use` with a view of what is committed, where this process stands.
   * @throws UnavailableError when there is none for too long
   */
  async read<T>(use: (view: LedgerView) => T): Promise<T> {
    const reader = await this.#when(() => this.#own?.writer ?? this.#reader);
    if (reader === null) throw nobodyLeads();
    return await reader.read(use);
  }

  /**
   * Has the leader do what is no command of the ledger.
   * @throws UnavailableError when it was not done, OutcomeUnknownError when nobody can tell
   * @throws OverloadedError when too many are under way
   */
  async call(body: object): Promise<unknown> {
    const cameAt = this.#options.monotonic();
    const made = this.#calls.make(this.#nextNumber(), body, (isAgain) =>
      this.#when(() => this.#callee(), cameAt + (isAgain ? giveUpMs : waitMaxMs)),
    );
    this.#lookForOld();
    return await made;
  }

  #callee(): Callee | null {
    const own = this.#own;
    if (own === null) {
      const line = this.#line;
      return line && { seq: this.#seq, call: (number, body) => line.call(number, body) };
    }
    const { instance } = this.#options;
    const call = (number: number, body: object): void => {
      own.call(body, askedId(instance, number)).then(
        (done) => this.#calls.replied(number, { ok: true, body: done }),
        (error: Error) => {
          const word = failureOf(error);
          this.#calls.replied(number, word === "unavailable" ? { ok: false, word } : error);
        },
      );
    };
    return { seq: own.writer.committedSeq, call };
  }

  /** This process leads: what waits is decided here. */
  lead(own: OwnWriter): void {
    const waiting = new OwnLine(this.#options.instance, (number, answer) =>
      this.#answered(number, answer),
    );
    this.#line = {
      ask: (asked) => own.linked.ask(waiting, asked),
      call: () => {},
      counts: () => {},
      close: () => {},
    };
    this.#askAgain();
    this.#line = null;
    this.#own = own;
    this.#announce();
  }

  /** Another process leads, and is reached. Told what it says. */
  get events(): Pick<LeaderEvents, "onAnswer" | "onReply" | "onCounts"> {
    return {
      onAnswer: (number, answer) => this.#answered(number, answer),
      onReply: (number, reply) => this.#calls.replied(number, reply),
      onCounts: this.counts.heard,
    };
  }

  /** What is committed, by what the leader has told. */
  heard(seq: number): void {
    this.#seq = Math.max(this.#seq, seq);
  }

  follow(line: LeaderLine, reader: Reader): void {
    this.#line = line;
    this.#reader = reader;
    this.counts.follow(line);
    this.#askAgain();
    this.#announce();
  }

  /** Nobody decides from now on; what was sent may be decided or not. */
  leave(): void {
    this.#own = null;
    this.#line = null;
    this.#reader = null;
    this.counts.leave();
    this.#calls.leave();
  }

  /** What becomes of commands that this process's own writer has not answered when its term ended. */
  heirOf(epoch: number): Pick<WriterOptions, "onUndecided" | "onUnknown"> {
    return {
      // A term may end because PostgreSQL was silent, and what waited for it has waited enough.
      onUndecided: (batch, reason) =>
        this.#options.monotonic() - batch.begunAt >= waitMaxMs
          ? batch.refuse(nobodyLeads())
          : this.#adopt(batch, reason),
      onUnknown: (batch, last, reason) => {
        const handOver = (left: PendingBatch): void => this.#adopt(left, reason);
        const options = { ...this.#options, giveUpMs, handOver };
        void settleUnknown({ batch, epoch, last }, options);
      },
    };
  }

  /** They wait with the rest. @param reason why the term has ended */
  #adopt(batch: PendingBatch, reason: Error): void {
    const ask = (command: Command): Promise<Outcome> =>
      this.#ask(command as LinkedCommand, same, batch.begunAt) as Promise<Outcome>;
    void batch.handOver(ask, new UnavailableError(reason.message));
  }

  #ask(
    command: LinkedCommand,
    use: (outcome: never) => unknown,
    cameAt = this.#options.monotonic(),
  ): Promise<unknown> {
    if (this.#pending.size >= queueCommandsMax) {
      return Promise.reject(new OverloadedError("too many requests are waiting"));
    }
    const number = this.#nextNumber();
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const pending = { number, command, use, resolve, reject, cameAt, sinceSeq: null };
    this.#pending.set(number, pending);
    this.#unsent.push(pending);
    this.#flushSoon();
    this.#lookForOld();
    return promise;
  }

  #nextNumber(): number {
    this.#number = (this.#number + 1) % numbersMax;
    return this.#number;
  }

  /** What comes within a turn of the event loop goes together. */
  #flushSoon(): void {
    if (this.#isFlushing || this.#line === null) return;
    this.#isFlushing = true;
    this.#options.nextTurn(() => {
      this.#isFlushing = false;
      if (this.#line !== null) this.#flush(this.#line);
    });
  }

  #flush(line: LeaderLine): void {
    const unsent = this.#unsent.filter(({ number }) => this.#pending.has(number));
    this.#unsent = [];
    for (const pending of unsent) pending.sinceSeq = this.#seq;
    this.#send(line, unsent, false);
  }

  /** To a leader that may have decided some of it, or whose predecessor may have. */
  #askAgain(): void {
    const line = this.#line;
    if (line === null) return;
    const sent = [...this.#pending.values()].filter(({ sinceSeq }) => sinceSeq !== null);
    this.#send(line, sent, true);
    this.#flush(line);
  }

  #send(line: LeaderLine, pending: readonly Pending[], isAgain: boolean): void {
    const now = this.#options.monotonic();
    for (let from = 0; from < pending.length; from += commandsPerFrameMax) {
      const page = pending.slice(from, from + commandsPerFrameMax);
      const asked: Asked = {
        isAgain,
        sinceSeq: page.reduce((least, { sinceSeq }) => Math.min(least, sinceSeq ?? 0), Infinity),
        patienceMs: (page[0]?.cameAt ?? now) + decideWithinMs - now,
        numbers: page.map(({ number }) => number),
        commands: page.map(({ command }) => command),
      };
      line.ask(asked);
    }
  }

  #answered(number: number, answer: LinkedOutcome | Undecided): void {
    const pending = this.#pending.get(number);
    // Nobody waits for it any more.
    if (pending === undefined) return;
    this.#pending.delete(number);
    if (isUndecided(answer)) {
      pending.reject(undecided(answer.word));
      return;
    }
    try {
      pending.resolve(pending.use(answer as never));
    } catch (error) {
      pending.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Gives up what has waited too long, for as long as anything waits. */
  #lookForOld(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    void this.#lookWhileWaiting();
  }

  async #lookWhileWaiting(): Promise<void> {
    while (this.#pending.size + this.#calls.count > 0) {
      await this.#options.sleep(lookEveryMs);
      this.#giveUpOld(this.#options.monotonic());
    }
    this.#isLooking = false;
  }

  #giveUpOld(now: number): void {
    this.#calls.giveUpOld(now);
    for (const { number, cameAt, sinceSeq, reject } of this.#pending.values()) {
      const age = now - cameAt;
      if (age < waitMaxMs) continue;
      if (sinceSeq === null) reject(nobodyLeads());
      else if (age >= giveUpMs) reject(unknown());
      else continue;
      this.#pending.delete(number);
    }
    // Nobody may lead for hours, in which nothing is sent.
    const isWaiting = ({ number }: Pending): boolean => this.#pending.has(number);
    if (this.#unsent.length > this.#pending.size) this.#unsent = this.#unsent.filter(isWaiting);
  }

  /** What `find` finds, once it finds something; null: nothing by then. @param dueAt monotonic, ms */
  async #when<T>(
    find: () => T | null,
    dueAt = this.#options.monotonic() + waitMaxMs,
  ): Promise<T | null> {
    const { monotonic, sleep } = this.#options;
    for (;;) {
      const found = find();
      if (found !== null || monotonic() >= dueAt) return found;
      // oxlint-disable-next-line no-await-in-loop
      await Promise.race([this.#changed.promise, sleep(lookEveryMs)]);
    }
  }

  #announce(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

const isUndecided = (answer: LinkedOutcome | Undecided): answer is Undecided =>
  answer.word === "overdue" || answer.word === "overloaded" || answer.word === "unavailable";

function undecided(word: Undecided["word"]): Error {
  switch (word) {
    case "overdue":
      return new UnavailableError("nobody has decided it in time");
    case "overloaded":
      return new OverloadedError("too many requests are waiting");
    case "unavailable":
      return new UnavailableError("the records do not answer");
    default:
      return word satisfies never;
  }
}

/**
 * What goes over the link, as its two ends see it, whatever carries it: a socket in life, the
 * simulator's in tests.
 *
 * A command has an id: which process asks, and a number that it gives each of them. With it, one
 * that was sent and not answered can be sent again, to the next leader too, and is decided once: the
 * id is stored with its attempt.
 */
import type { LedgerChange } from "../ledger/changes.ts";
import type { LeaderRecord } from "../store/records.ts";
import type { Counts } from "./counts.ts";
import type { LinkedOutcome } from "./outcomes.ts";
import type { LinkedCommand } from "./words.ts";

/** Commands that go at once. */
export const commandsPerFrameMax = 1_024;

/** What is asked of the leader at once. */
export type Asked = {
  /** They were sent before, and may be decided already: the records are asked first. */
  readonly isAgain: boolean;
  /** None of them was decided by this attempt. */
  readonly sinceSeq: number;
  /** What is not decided within so long, ms, is not to be decided any more. */
  readonly patienceMs: number;
  readonly numbers: readonly number[];
  readonly commands: readonly LinkedCommand[];
};

/** It was not decided, and is not going to be: nobody waits any more, or there is no room. */
export const undecidedWords = ["overdue", "overloaded", "unavailable"] as const;

export type Undecided = { readonly word: (typeof undecidedWords)[number] };

/** Why a call came to nothing. */
export const callFailures = ["unavailable", "overloaded", "failed"] as const;

export type Reply =
  | { readonly ok: true; readonly body: unknown }
  | { readonly ok: false; readonly word: (typeof callFailures)[number] };

/** The leader, as a process that stands by has it. */
export type LeaderLine = {
  ask(asked: Asked): void;
  /** Asks for something that is no command of the ledger. */
  call(number: number, body: unknown): void;
  /** Tells what clients have used up here, for all other processes. */
  counts(counts: Counts): void;
  close(reason: Error): void;
};

/** What a process that stands by is told. */
export type LeaderEvents = {
  /** What has happened to the ledger: of each batch before its answers. */
  readonly onChange: (change: LedgerChange) => void;
  readonly onAnswer: (number: number, answer: LinkedOutcome | Undecided) => void;
  readonly onReply: (number: number, reply: Reply) => void;
  /** What clients have used up at another process. */
  readonly onCounts: (counts: Counts) => void;
  /** Once, with the reason. */
  readonly onClose: (reason: Error) => void;
};

/** A process that stands by, as the leader has it. */
export type FollowerLine = {
  /** Which process it is. */
  readonly instance: string;
  /** What comes over a line that is closed is not decided any more. */
  readonly isOpen: boolean;
  /** Tells the outcomes of commands; a null one is told later. */
  answer(
    numbers: readonly number[],
    commands: readonly LinkedCommand[],
    outcomes: readonly (LinkedOutcome | null)[],
  ): void;
  refuse(numbers: readonly number[], because: Undecided["word"]): void;
  reply(number: number, reply: Reply): void;
  change(change: LedgerChange): void;
  counts(counts: Counts): void;
  close(reason: Error): void;
};

/** What a leader does with what comes over lines. */
export type LeaderEnd = {
  /** Returns what is to be done when it is closed. */
  readonly onLine: (line: FollowerLine) => () => void;
  readonly onAsked: (line: FollowerLine, asked: Asked) => void;
  readonly onCall: (line: FollowerLine, number: number, body: unknown) => void;
  readonly onCounts: (line: FollowerLine, counts: Counts) => void;
};

/** The way to leaders, and to those who follow. */
export type Link = {
  /** Connects to a leader. @throws Error when it is not found */
  readonly dial: (leader: LeaderRecord, events: LeaderEvents) => Promise<LeaderLine>;
  /** From now on others may connect; null: no more, and those who have are told to go. */
  readonly serve: (leading: { readonly epoch: number; readonly end: LeaderEnd } | null) => void;
  /** Whether anybody is connected. */
  readonly isFollowed: () => boolean;
};

/** Numbers count up to here, and begin again. */
export const numbersMax = 2 ** 32;

/**
 * The id of a command, as it is stored: a whole number that is exact. 21 bits say which process
 * asked. That two of them have the same there is one in two million, and matters only if they ask
 * under the same number within the same moment, and are asked for it again.
 */
export const askedId = (instance: string, number: number): number =>
  (Number.parseInt(instance.slice(0, 8), 16) >>> 11) * numbersMax + number;

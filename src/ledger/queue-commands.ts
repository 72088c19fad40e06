/** What can be asked of a queue, and what it answers: see `commands.ts`, by which others have it. */
import type { Buyer } from "./buyers.ts";
import type { Actor } from "./commands.ts";
import type { Rate } from "./queue.ts";

/**
 * Joins the queue of a sale. `ticket` is the one that whoever joins anew is given, drawn at random by
 * whoever asks, as a UUID is written; a refusal never looks at it.
 */
export type Join = {
  readonly kind: "join";
  readonly buyer: Buyer;
  /** `"unknown"`: an id that no sale can have. */
  readonly sale: number | "unknown";
  readonly ticket: string;
  readonly key: string | null;
};

/** Let in a second, at most. */
export const admitPerSecondMax = 100_000;
/** Changes of one queue. */
export const rateChangesMax = 10_000;

/** Sets how fast a sale's queue is let in; null: as it is. */
export type ChangeQueue = {
  readonly kind: "change_queue";
  readonly saleId: number;
  /** From 1 to `admitPerSecondMax`. */
  readonly admitPerSecond: number | null;
  readonly paused: boolean | null;
  readonly by: Actor;
};

/** It is not, or not any more, the turn of whoever asks. */
export type NotAdmitted = {
  readonly word: "not_admitted";
  readonly saleId: number;
  /** How many are before them; null where nobody knows, or for who shows no ticket of their own. */
  readonly ahead: number | null;
  /** It may be their turn after so long, ms. */
  readonly retryMs: number;
};

/** Where a ticket stands. */
export type TicketState = {
  readonly ticket: string;
  /** In the order of joining, from 1. */
  readonly number: number;
  readonly buyer: Buyer;
  readonly state: "waiting" | "admitted" | "passed" | "closed";
  /** Null before the draw. */
  readonly rank: number | null;
  /** How many are let in before; null where it does not matter any more, or yet. */
  readonly ahead: number | null;
  /** After so long it is let in, by the rate as it is, ms; null as above, and while it is paused. */
  readonly etaMs: number | null;
  /** When its pass ends, ms; null where it has none, or while a reservation lives. */
  readonly expiresAt: number | null;
};

export type JoinOutcome =
  | {
      readonly word: "joined";
      readonly saleId: number;
      readonly ticket: TicketState;
      /** The number of the ticket that the same buyer had before; null for the first. */
      readonly supersedes: number | null;
    }
  | { readonly word: "joined_again"; readonly saleId: number; readonly ticket: TicketState }
  | { readonly word: "sale_not_open"; readonly saleId: number; readonly opensAt: null }
  | {
      readonly word:
        | "sale_not_found"
        | "unauthenticated"
        | "no_queue"
        | "already_joined"
        | "sold_out"
        | "queue_full";
      readonly saleId: number | null;
    };

export type ChangeQueueOutcome =
  | {
      readonly word: "queue_changed";
      readonly saleId: number;
      readonly admitPerSecond: number;
      readonly paused: boolean;
      readonly before: Rate;
    }
  | {
      readonly word: "sale_not_found" | "sale_ended" | "no_queue" | "too_many_changes";
      readonly saleId: number;
    };

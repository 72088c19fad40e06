/** What can be asked of a waiting list, and what it answers: see `commands.ts`. */
import type { Buyer } from "./buyers.ts";
import type { NotAdmitted, Unit } from "./commands.ts";

/** Waits for a unit of an item, or of any, that cannot be had now. */
export type WaitlistJoin = {
  readonly kind: "waitlist_join";
  /** One who has proven who they are. */
  readonly buyer: Buyer;
  /** `"unknown"`: an id that no sale can have. */
  readonly sale: number | "unknown";
  readonly item: number | "any";
};

/** Leaves all lines of a buyer in a sale; what is offered to them stays theirs. */
export type WaitlistLeave = {
  readonly kind: "waitlist_leave";
  readonly buyer: Buyer;
  readonly sale: number | "unknown";
};

/**
 * Does the next thing that is due in the waiting list of a sale: a line whose offer has lapsed goes to
 * the end, or a unit that is free is reserved for the first in line. Nobody asks for it but the
 * writer, and only where something is due.
 */
export type Offer = {
  readonly kind: "offer";
  readonly saleId: number;
  /** What a reservation will carry. */
  readonly code: string;
};

export type WaitlistJoinOutcome =
  | { readonly word: "waiting"; readonly saleId: number }
  | { readonly word: "waiting_again"; readonly saleId: number }
  | { readonly word: "sale_not_open"; readonly saleId: number; readonly opensAt: number | null }
  /** By purchases: what is only reserved may lapse. */
  | { readonly word: "user_limit_reached"; readonly saleId: number; readonly retryAt: null }
  | NotAdmitted
  | {
      readonly word:
        | "sale_not_found"
        | "unauthenticated"
        | "item_not_found"
        | "available"
        | "too_many_lines"
        | "waitlist_full";
      readonly saleId: number | null;
    };

export type WaitlistLeaveOutcome =
  | { readonly word: "left" | "not_waiting"; readonly saleId: number }
  | { readonly word: "sale_not_found"; readonly saleId: number | null };

export type OfferOutcome =
  | {
      readonly word: "reserved";
      readonly reservation: Unit;
      /** The attempt that joined the line, and how often it has been offered something by now. */
      readonly joinedBy: number;
      readonly ordinal: number;
    }
  | {
      readonly word: "offer_lapsed";
      readonly of: Pick<Unit, "code" | "saleId" | "itemId" | "buyer">;
    };

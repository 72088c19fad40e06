/**
 * What can be asked of the ledger, and every word it can answer with.
 *
 * Times are milliseconds since the Unix epoch. Refusals are values of these unions,
 * never exceptions; the words are stored in the journal and must not change their meaning.
 */
import type { ClaimMade, Coupon } from "./coupons.ts";
import type { Reservation } from "./state.ts";

/**
 * Asks for one unit of an item. `code` is the code that a new reservation will carry; a refusal
 * never looks at it, so it may be made when it is asked for.
 */
export type Checkout = {
  readonly kind: "checkout";
  readonly userId: string;
  /** Number of the item in its sale, from 1; `"any"` for the lowest free one. */
  readonly item: number | "any";
  /** `"current"`: the hourly sale that is open. `"unknown"`: an id that no sale can have. */
  readonly sale: number | "current" | "unknown";
  readonly code: string;
  readonly key: string | null;
};

/** Sells the unit that a code holds. */
export type Purchase = {
  readonly kind: "purchase";
  readonly code: string;
  readonly archived: ArchivedCode | null;
};

/** Gives back the unit that a code holds. */
export type Release = {
  readonly kind: "release";
  readonly code: string;
  readonly archived: ArchivedCode | null;
};

/** Reserves and sells `quantity` units of an item in one decision. */
export type Buy = {
  readonly kind: "buy";
  readonly userId: string;
  readonly saleId: number;
  readonly itemId: number;
  readonly quantity: number;
  /** Code of the first unit; the others' follow from it, see `unitCode`. */
  readonly code: string;
};

/** Moves the end of a sale that is coming or open. */
export type ChangeSale = {
  readonly kind: "change_sale";
  readonly saleId: number;
  /** ms; `"now"` closes it. */
  readonly endsAt: number | "now";
};

/** Makes a coupon of which `amount` users may have one each. */
export type CreateCoupon = {
  readonly kind: "create_coupon";
  readonly coupon: string;
  readonly amount: number;
};

/** Gives a user one of a coupon. The coupon's claims must have been loaded. */
export type Claim = {
  readonly kind: "claim";
  readonly coupon: string;
  readonly userId: string;
  readonly key: string | null;
};

export type Command = Checkout | Purchase | Release | Buy | ChangeSale | CreateCoupon | Claim;

/** What the records say of a code that the ledger no longer holds in memory. */
export type ArchivedCode = {
  readonly code: string;
  readonly saleId: number;
  readonly itemId: number;
  readonly userId: string;
  /** Set when the code was sold: number of the attempt that sold it, and when. */
  readonly sold: { readonly seq: number; readonly at: number } | null;
};

export type CheckoutOutcome =
  | { readonly word: "reserved" | "reserved_again"; readonly reservation: Reservation }
  | { readonly word: "item_reserved"; readonly saleId: number; readonly retryAt: number }
  | {
      readonly word: "sale_not_open";
      readonly saleId: number | null;
      /** When it will open; null when it is over, or nobody knows. */
      readonly opensAt: number | null;
    }
  | {
      readonly word:
        | "sale_not_found"
        | "item_not_found"
        | "item_sold_out"
        | "sold_out"
        | "user_limit_reached"
        | "idempotency_key_reused";
      readonly saleId: number | null;
    };

/** What a code leads to: a reservation in memory, or what the records say of it. */
export type KnownCode = Reservation | ArchivedCode;

export type PurchaseOutcome =
  | { readonly word: "purchased"; readonly of: Reservation }
  | { readonly word: "purchased_again" | "code_expired" | "sale_ended"; readonly of: KnownCode }
  | { readonly word: "code_not_found"; readonly of: null };

export type ReleaseOutcome =
  | {
      readonly word: "released" | "released_again" | "already_purchased";
      readonly of: KnownCode;
    }
  | { readonly word: "code_not_found"; readonly of: null };

export type BuyOutcome =
  | { readonly word: "purchased"; readonly units: readonly Reservation[] }
  | Exclude<CheckoutOutcome, { readonly reservation: Reservation }>;

export type ChangeSaleOutcome =
  | { readonly word: "sale_changed"; readonly saleId: number; readonly endsAt: number }
  | {
      readonly word: "sale_not_found" | "sale_not_open" | "sale_ended" | "end_not_later";
      readonly saleId: number;
    };

export type CreateCouponOutcome = {
  readonly word: "coupon_created" | "coupon_exists";
  readonly coupon: Coupon;
};

export type ClaimOutcome =
  | { readonly word: "claimed" | "claimed_again"; readonly claim: ClaimMade }
  | { readonly word: "already_claimed"; readonly coupon: Coupon; readonly claimedAt: number }
  | { readonly word: "coupon_sold_out"; readonly coupon: Coupon }
  | { readonly word: "coupon_not_found" | "idempotency_key_reused" };

type Outcomes = {
  readonly checkout: CheckoutOutcome;
  readonly purchase: PurchaseOutcome;
  readonly release: ReleaseOutcome;
  readonly buy: BuyOutcome;
  readonly change_sale: ChangeSaleOutcome;
  readonly create_coupon: CreateCouponOutcome;
  readonly claim: ClaimOutcome;
};

export type OutcomeOf<C extends Command> = Outcomes[C["kind"]];

export type Outcome = Outcomes[Command["kind"]];

/** Every outcome word, as the journal stores it. */
export type OutcomeWord = Outcome["word"];

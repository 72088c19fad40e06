/**
 * What can be asked of the ledger, and every word it can answer with.
 *
 * Times are milliseconds since the Unix epoch. Refusals are values of these unions,
 * never exceptions; the words are stored in the journal and must not change their meaning.
 */
import type { Buyer } from "./buyers.ts";
import type { ClaimMade, CouponFigures } from "./coupons.ts";
import type { Reservation } from "./state.ts";

/**
 * Asks for one unit of an item. `code` is the code that a new reservation will carry; a refusal
 * never looks at it, so it may be made when it is asked for.
 */
export type Checkout = {
  readonly kind: "checkout";
  readonly buyer: Buyer;
  /** Number of the item in its sale, from 1; `"any"` for the lowest free one. */
  readonly item: number | "any";
  /** `"current"`: the hourly sale that is open. `"unknown"`: an id that no sale can have. */
  readonly sale: number | "current" | "unknown";
  readonly code: string;
  readonly key: string | null;
  /** What the buyer believes the price to be; null: whatever it is. */
  readonly expectedPriceCents: number | null;
};

/** Who shows a code: a proven buyer, the merchant for whichever of them, or nobody. */
export type CodeUser = Buyer | "merchant" | null;

/** Sells the unit that a code holds. */
export type Purchase = {
  readonly kind: "purchase";
  readonly code: string;
  /** Who asks; null for somebody who has proven nothing. */
  readonly by: CodeUser;
  readonly expectedPriceCents: number | null;
  readonly lookup: CodeLookup | null;
};

/** Gives back the unit that a code holds. */
export type Release = {
  readonly kind: "release";
  readonly code: string;
  /** The sale that it is said to be of; null: whichever it is. */
  readonly saleId: number | null;
  readonly by: CodeUser;
  readonly lookup: CodeLookup | null;
};

/** Longest that a merchant may hold a unit from the moment of asking. */
export const extensionMsMax = 15 * 60_000;

/** Holds the unit of a code for longer: asked by the merchant alone, while a payment is under way. */
export type Extend = {
  readonly kind: "extend";
  readonly code: string;
  /** From now on, ms, at most `extensionMsMax`. */
  readonly ms: number;
  readonly lookup: CodeLookup | null;
};

/**
 * What the records say of a code that the ledger does not hold, and up to which attempt they were
 * complete when they were asked.
 */
export type CodeLookup = { readonly upTo: number; readonly found: ArchivedCode | null };

/** Sells `quantity` units of an item in one decision, those that the buyer has reserved first. */
export type Buy = {
  readonly kind: "buy";
  readonly buyer: Buyer;
  /** `"unknown"`: an id that no sale can have, or a product that the sale has not. */
  readonly saleId: number | "unknown";
  readonly itemId: number | "unknown";
  readonly quantity: number;
  /** Code of the first unit that was not reserved before; the others' follow: see `unitCode`. */
  readonly code: string;
  readonly key: string | null;
  readonly expectedPriceCents: number | null;
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

/** Gives a buyer one of a coupon. */
export type Claim = {
  readonly kind: "claim";
  readonly coupon: string;
  readonly buyer: Buyer;
  readonly key: string | null;
};

export type Command =
  Checkout | Purchase | Release | Extend | Buy | ChangeSale | CreateCoupon | Claim;

/** What the records say of a code. */
export type ArchivedCode = {
  /** Number of the attempt that made the reservation. */
  readonly seq: number;
  readonly code: string;
  readonly saleId: number;
  readonly itemId: number;
  readonly buyer: Buyer;
  readonly reservedAt: number;
  readonly key: string | null;
  readonly request: string | null;
  readonly released: boolean;
  /** Set when the code was sold: number of the attempt that sold it, and when. */
  readonly sold: { readonly seq: number; readonly at: number } | null;
};

/** A unit that somebody has, or had: what an answer says of it. */
export type Unit = Pick<Reservation, "code" | "itemId" | "buyer"> & {
  readonly saleId: number;
  /** When it runs out, if it is not sold. */
  readonly expiresAt: number;
  readonly sold: { readonly seq: number; readonly at: number } | null;
};

/** A unit that was sold, as the records keep it. */
export type SoldUnit = Unit & {
  readonly unit: number;
  readonly userOrdinal: number;
  readonly itemStock: number;
  readonly userLimit: number;
  readonly key: string | null;
  readonly request: string | null;
};

export type CheckoutOutcome =
  | { readonly word: "reserved" | "reserved_again"; readonly reservation: Unit }
  | {
      readonly word: "item_reserved";
      readonly saleId: number;
      /** When a unit may come free, and when that was said. */
      readonly retryAt: number;
      readonly at: number;
    }
  | {
      readonly word: "sale_not_open";
      readonly saleId: number | null;
      /** When it will open; null when it is over, or nobody knows. */
      readonly opensAt: number | null;
    }
  | {
      readonly word: "user_limit_reached";
      readonly saleId: number;
      /** When a reservation of theirs ends that fills the limit; null when purchases do. */
      readonly retryAt: number | null;
    }
  | {
      readonly word:
        | "sale_not_found"
        | "item_not_found"
        | "item_sold_out"
        | "sold_out"
        | "price_changed"
        | "unauthenticated"
        | "idempotency_key_reused";
      readonly saleId: number | null;
    };

/** The ledger does not hold what was asked for: look it up in the records, and ask again. */
export type RecordsNeeded = { readonly word: "look_up" };

type RefusedPurchase = "sale_ended" | "price_changed" | "code_expired";

export type PurchaseOutcome =
  | { readonly word: "purchased"; readonly of: SoldUnit }
  | { readonly word: "purchased_again" | RefusedPurchase; readonly of: Unit }
  | { readonly word: "code_not_found"; readonly of: null }
  | RecordsNeeded;

export type ReleaseOutcome =
  | {
      readonly word: "released" | "released_again" | "already_purchased";
      readonly of: Unit;
    }
  | { readonly word: "code_not_found"; readonly of: null }
  | RecordsNeeded;

export type ExtendOutcome =
  | {
      readonly word: "extended";
      readonly of: Unit;
      /** When it runs out now, if its sale does not end before. */
      readonly due: number;
    }
  | { readonly word: "already_purchased" | "sale_ended" | "code_expired"; readonly of: Unit }
  | { readonly word: "code_not_found"; readonly of: null }
  | RecordsNeeded;

export type BuyOutcome =
  | { readonly word: "purchased"; readonly units: readonly SoldUnit[] }
  | { readonly word: "purchased_again"; readonly of: Unit }
  | Exclude<CheckoutOutcome, { readonly reservation: Unit }>;

export type ChangeSaleOutcome =
  | {
      readonly word: "sale_changed";
      readonly saleId: number;
      readonly endsAt: number;
      /** Ended by hand. */
      readonly closed: boolean;
    }
  | {
      readonly word: "sale_not_found" | "sale_not_open" | "sale_ended" | "end_not_later";
      readonly saleId: number;
    };

export type CreateCouponOutcome = {
  readonly word: "coupon_created" | "coupon_exists";
  readonly coupon: CouponFigures;
};

export type ClaimOutcome =
  | { readonly word: "claimed" | "claimed_again"; readonly claim: ClaimMade }
  | { readonly word: "already_claimed"; readonly coupon: CouponFigures; readonly claimedAt: number }
  | { readonly word: "coupon_sold_out"; readonly coupon: CouponFigures }
  | { readonly word: "coupon_not_found" | "idempotency_key_reused" }
  | RecordsNeeded;

type Outcomes = {
  readonly checkout: CheckoutOutcome;
  readonly purchase: PurchaseOutcome;
  readonly release: ReleaseOutcome;
  readonly extend: ExtendOutcome;
  readonly buy: BuyOutcome;
  readonly change_sale: ChangeSaleOutcome;
  readonly create_coupon: CreateCouponOutcome;
  readonly claim: ClaimOutcome;
};

export type OutcomeOf<C extends Command> = Outcomes[C["kind"]];

export type Outcome = Outcomes[Command["kind"]];

/** Every outcome word that the journal stores. */
export type OutcomeWord = Exclude<Outcome, RecordsNeeded>["word"];

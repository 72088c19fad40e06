/** What can be asked of coupons, and what it answers: see `commands.ts`, by which others have it. */
import type { Buyer } from "./buyers.ts";
import type { Actor, KeyLookup, RecordsNeeded } from "./commands.ts";
import type { ClaimMade, CouponFigures, StoredCoupon } from "./coupons.ts";

/** When a coupon can be claimed. */
export type CouponLife = {
  /** From then on, ms; null: from its making on. */
  readonly startsAt: number | null;
  /** From then on no more, ms; null: always. */
  readonly endsAt: number | null;
  /** Whatever the time is, it cannot be claimed. */
  readonly disabled: boolean;
};

/** Of a coupon that nobody has changed. */
export const wholeLife: CouponLife = { startsAt: null, endsAt: null, disabled: false };

/** Makes a coupon of which `amount` users may have one each. */
export type CreateCoupon = {
  readonly kind: "create_coupon";
  readonly coupon: string;
  readonly amount: number;
  /** Who administers; without, whoever may. */
  readonly by?: Actor | null;
};

/** Changes how many may claim a coupon, and when. */
export type ChangeCoupon = {
  readonly kind: "change_coupon";
  readonly coupon: string;
  /** Null: as it is. */
  readonly amount: number | null;
  /** From when on it can be claimed, ms; null: from its making on. */
  readonly startsAt: number | null | "kept";
  /** From when on it cannot any more, ms; null: never. */
  readonly endsAt: number | null | "kept";
  /** Null: as it is. */
  readonly disabled: boolean | null;
  readonly by: Actor;
};

/** Takes away a coupon that nobody has. */
export type RemoveCoupon = {
  readonly kind: "remove_coupon";
  readonly coupon: string;
  readonly by: Actor;
};

/** Gives a buyer one of a coupon. */
export type Claim = {
  readonly kind: "claim";
  readonly coupon: string;
  readonly buyer: Buyer;
  readonly key: string | null;
  /** Of its key; without, nothing was looked up. */
  readonly lookup?: KeyLookup;
};

export type CreateCouponOutcome = {
  readonly word: "coupon_created" | "coupon_exists";
  readonly coupon: CouponFigures;
};

export type ChangeCouponOutcome =
  | {
      readonly word: "coupon_changed";
      readonly coupon: StoredCoupon;
      /** As it was; null where that is not told any more. */
      readonly before: StoredCoupon | null;
    }
  | { readonly word: "coupon_not_found" | "amount_too_small" | "end_not_later" };

export type RemoveCouponOutcome =
  | {
      readonly word: "coupon_removed";
      /** As it was; null as above. */
      readonly before: StoredCoupon | null;
    }
  | { readonly word: "coupon_not_found" | "coupon_claimed" };

export type ClaimOutcome =
  | { readonly word: "claimed" | "claimed_again"; readonly claim: ClaimMade }
  | { readonly word: "already_claimed"; readonly coupon: CouponFigures; readonly claimedAt: number }
  | {
      readonly word: "coupon_not_active";
      readonly coupon: CouponFigures;
      /** When it can be claimed; null when it cannot any more, or nobody knows. */
      readonly opensAt: number | null;
    }
  | { readonly word: "coupon_sold_out"; readonly coupon: CouponFigures }
  | { readonly word: "coupon_not_found" | "idempotency_key_reused" }
  | RecordsNeeded;

/** Coupons as they are read back of the records, or told by a leader. */
import type { Effect } from "./changes.ts";
import { wholeLife, type CouponLife } from "./commands.ts";
import { addCoupon, rememberClaim, type CouponFigures, type StoredCoupon } from "./coupons.ts";
import type { KeyedClaims } from "./recorded.ts";
import type { LedgerState } from "./state.ts";

type CouponEffect = Extract<
  Effect,
  { readonly word: "coupon_created" | "coupon_changed" | "coupon_removed" | "claimed" }
>;

export function applyToCoupon(state: LedgerState, effect: CouponEffect): void {
  switch (effect.word) {
    case "coupon_created":
      return put(state, effect.coupon, wholeLife);
    case "coupon_changed":
      return putCoupons(state, [effect.coupon]);
    case "coupon_removed":
      state.coupons.delete(effect.coupon);
      return;
    case "claimed": {
      const { coupon } = effect.claim;
      // A claim changes nothing of when there may be others.
      put(state, coupon, state.coupons.get(coupon.name)?.life ?? wholeLife);
      if (effect.key !== null) rememberClaim(state, effect.key, effect.claim);
      return;
    }
    default:
      effect satisfies never;
  }
}

export function putCoupons(state: LedgerState, coupons: readonly StoredCoupon[]): void {
  for (const { startsAt, endsAt, disabled, ...figures } of coupons) {
    put(state, figures, { startsAt, endsAt, disabled });
  }
}

export function rememberClaims(state: LedgerState, claims: KeyedClaims): void {
  for (const { key, claim } of claims) rememberClaim(state, key, claim);
}

/** Who has claimed it is loaded when somebody wants to. */
const put = (state: LedgerState, figures: CouponFigures, life: CouponLife): void =>
  addCoupon(state, { ...figures, life, usedAt: 0, claims: null });

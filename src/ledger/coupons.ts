/**
 * Coupons: their state, and the rules of making and claiming one.
 *
 * Every coupon's figures are in memory; who has claimed it is loaded when somebody wants to
 * claim it, and may be dropped again while nobody does, so that memory is bounded by what is
 * claimed now and not by all that ever was.
 */
import { buyerId, type Buyer } from "./buyers.ts";
import type { Claim, ClaimOutcome, CreateCoupon, CreateCouponOutcome } from "./commands.ts";
import { rememberedBy } from "./decide.ts";
import { keyOf, type LedgerState } from "./state.ts";

/** A coupon's figures, at a moment. */
export type CouponFigures = {
  readonly id: number;
  readonly name: string;
  readonly amount: number;
  readonly createdAt: number;
  readonly remaining: number;
};

/** Part of the state: it goes on changing. */
export type Coupon = Omit<CouponFigures, "remaining"> & {
  remaining: number;
  /** When it was last claimed, or its claims were loaded (ms); 0 while neither was. */
  usedAt: number;
  /** When each buyer claimed it (ms), by `buyerId`, in that order; null while not loaded. */
  claims: Map<string, number> | null;
};

/** A claim that was made. `ordinal` counts the coupon's claims from 1. */
export type ClaimMade = {
  readonly coupon: CouponFigures;
  readonly buyer: Buyer;
  readonly ordinal: number;
  readonly at: number;
};

export const figuresOf = ({ id, name, amount, createdAt, remaining }: Coupon): CouponFigures => ({
  id,
  name,
  amount,
  createdAt,
  remaining,
});

/** Keys of claims that are remembered; beyond that the oldest are forgotten. */
export const claimKeysMax = 200_000;

export function addCoupon(state: LedgerState, coupon: Coupon): void {
  state.coupons.set(coupon.name, coupon);
  state.lastCouponId = Math.max(state.lastCouponId, coupon.id);
}

/** Claims kept in memory while nobody is claiming those coupons. */
export const claimsHeldMax = 1_000_000;

/** A coupon is idle when nobody has claimed it for this long. */
const claimsIdleMs = 10_000;

/**
 * Puts a coupon's claims, which were read in the order of their ordinals, into memory. While they
 * are not there nobody can claim it, so what was read stays true.
 * @param claims by `buyerId`
 */
export function holdClaims(
  state: LedgerState,
  name: string,
  claims: ReadonlyMap<string, number>,
): void {
  const coupon = state.coupons.get(name);
  if (coupon === undefined || coupon.claims !== null) return;
  if (claims.size !== coupon.amount - coupon.remaining) {
    throw new Error(
      `coupon ${coupon.id}: ${claims.size} claims are stored, ` +
        `${coupon.amount - coupon.remaining} are gone`,
    );
  }
  coupon.claims = new Map(claims);
  coupon.usedAt = state.now;
  state.claimsHeld += claims.size;
}

/** Drops the claims of coupons that nobody is claiming, until the bound is kept. */
export function dropIdleClaims(state: LedgerState): void {
  for (const coupon of state.coupons.values()) {
    if (state.claimsHeld <= claimsHeldMax) return;
    if (coupon.claims === null) continue;
    if (state.now - coupon.usedAt < claimsIdleMs) continue;
    state.claimsHeld -= coupon.claims.size;
    coupon.claims = null;
  }
}

/** Remembers what a key was used for, and forgets the oldest beyond the bound. */
export function rememberClaim(state: LedgerState, key: string, made: ClaimMade): void {
  const { claimKeys } = state;
  claimKeys.set(keyOf(made.buyer, key), made);
  if (claimKeys.size <= claimKeysMax) return;
  for (const oldest of claimKeys.keys()) {
    claimKeys.delete(oldest);
    return;
  }
}

export function decideCreateCoupon(
  state: LedgerState,
  { coupon: name, amount }: CreateCoupon,
  now: number,
): CreateCouponOutcome {
  const existing = state.coupons.get(name);
  if (existing !== undefined) return { word: "coupon_exists", coupon: figuresOf(existing) };

  // From here on nothing can be refused.
  const id = state.lastCouponId + 1;
  const claims = new Map<string, number>();
  const coupon: Coupon = {
    id,
    name,
    amount,
    createdAt: now,
    remaining: amount,
    usedAt: now,
    claims,
  };
  addCoupon(state, coupon);
  return { word: "coupon_created", coupon: figuresOf(coupon) };
}

export function decideClaim(state: LedgerState, command: Claim, now: number): ClaimOutcome {
  const { coupon: name, buyer, key } = command;
  if (key !== null) {
    const made = state.claimKeys.get(keyOf(buyer, key));
    if (made !== undefined) {
      return made.coupon.name === name
        ? { word: "claimed_again", claim: made }
        : { word: "idempotency_key_reused" };
    }
    if (rememberedBy(state, buyer, key, now) !== null) return { word: "idempotency_key_reused" };
  }
  const coupon = state.coupons.get(name);
  if (coupon === undefined) return { word: "coupon_not_found" };
  if (coupon.claims === null) return { word: "look_up" };
  coupon.usedAt = now;
  const claimedAt = coupon.claims.get(buyerId(buyer));
  if (claimedAt !== undefined) {
    return { word: "already_claimed", coupon: figuresOf(coupon), claimedAt };
  }
  if (coupon.remaining === 0) return { word: "coupon_sold_out", coupon: figuresOf(coupon) };

  // From here on nothing can be refused.
  coupon.claims.set(buyerId(buyer), now);
  coupon.remaining -= 1;
  state.claimsHeld += 1;
  const ordinal = coupon.amount - coupon.remaining;
  const claim = { coupon: figuresOf(coupon), buyer, ordinal, at: now };
  if (key !== null) rememberClaim(state, key, claim);
  return { word: "claimed", claim };
}

/** Every invariant of the coupons that does not hold, a sentence each. */
export function checkCoupons(state: LedgerState): string[] {
  const complaints: string[] = [];
  let held = 0;
  for (const [name, coupon] of state.coupons) {
    const { id, amount, remaining, claims } = coupon;
    held += claims?.size ?? 0;
    if (coupon.name !== name) complaints.push(`coupon ${id} is filed under another name`);
    if (remaining < 0 || remaining > amount) {
      complaints.push(`coupon ${id}: ${remaining} of ${amount} remain`);
    }
    if (claims !== null && claims.size + remaining !== amount) {
      complaints.push(`coupon ${id}: ${claims.size} claimed + ${remaining} left ≠ ${amount}`);
    }
  }
  if (held !== state.claimsHeld) complaints.push(`${state.claimsHeld} claims held, found ${held}`);
  return complaints;
}

/**
 * Coupons: their state, and the rules of making, changing and claiming one.
 *
 * Every coupon's figures are in memory; who has claimed it is loaded when somebody wants to
 * claim it, and may be dropped again while nobody does, so that memory is bounded by what is
 * claimed now and not by all that ever was.
 */
import { buyerId, type Buyer } from "./buyers.ts";
import {
  wholeLife,
  type ChangeCoupon,
  type ChangeCouponOutcome,
  type Claim,
  type ClaimOutcome,
  type CouponLife,
  type CreateCoupon,
  type CreateCouponOutcome,
  type RemoveCoupon,
  type RemoveCouponOutcome,
} from "./commands.ts";
import { recall } from "./keys.ts";
import { keyOf, type LedgerState } from "./state.ts";

/** A coupon's figures, at a moment. */
export type CouponFigures = {
  readonly id: number;
  readonly name: string;
  readonly amount: number;
  readonly createdAt: number;
  readonly remaining: number;
};

/** A coupon as the records have it. */
export type StoredCoupon = CouponFigures & CouponLife;

/** Part of the state: it goes on changing. */
export type Coupon = Omit<CouponFigures, "amount" | "remaining"> & {
  amount: number;
  remaining: number;
  life: CouponLife;
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

const figuresOf = ({ id, name, amount, createdAt, remaining }: Coupon): CouponFigures => ({
  id,
  name,
  amount,
  createdAt,
  remaining,
});

export const storedOf = (coupon: Coupon): StoredCoupon =>
  Object.assign(figuresOf(coupon), coupon.life);

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
    life: wholeLife,
    usedAt: now,
    claims,
  };
  addCoupon(state, coupon);
  return { word: "coupon_created", coupon: figuresOf(coupon) };
}

export function decideChangeCoupon(state: LedgerState, command: ChangeCoupon): ChangeCouponOutcome {
  const coupon = state.coupons.get(command.coupon);
  if (coupon === undefined) return { word: "coupon_not_found" };
  const before = storedOf(coupon);
  const claimed = before.amount - before.remaining;
  const amount = command.amount ?? before.amount;
  if (amount < claimed) return { word: "amount_too_small" };
  const startsAt = command.startsAt === "kept" ? before.startsAt : command.startsAt;
  const endsAt = command.endsAt === "kept" ? before.endsAt : command.endsAt;
  if (startsAt !== null && endsAt !== null && endsAt <= startsAt) return { word: "end_not_later" };

  // From here on nothing can be refused.
  coupon.amount = amount;
  coupon.remaining = amount - claimed;
  coupon.life = { startsAt, endsAt, disabled: command.disabled ?? before.disabled };
  return { word: "coupon_changed", coupon: storedOf(coupon), before };
}

export function decideRemoveCoupon(
  state: LedgerState,
  { coupon: name }: RemoveCoupon,
): RemoveCouponOutcome {
  const coupon = state.coupons.get(name);
  if (coupon === undefined) return { word: "coupon_not_found" };
  if (coupon.remaining < coupon.amount) return { word: "coupon_claimed" };

  // From here on nothing can be refused.
  state.coupons.delete(name);
  return { word: "coupon_removed", before: storedOf(coupon) };
}

const isActive = ({ startsAt, endsAt, disabled }: CouponLife, now: number): boolean =>
  !disabled && (startsAt === null || startsAt <= now) && (endsAt === null || now < endsAt);

/** When a coupon that is not active will be; null for never, or when nobody knows. */
const opensAtOf = ({ startsAt, disabled }: CouponLife, now: number): number | null =>
  !disabled && startsAt !== null && now < startsAt ? startsAt : null;

export function decideClaim(state: LedgerState, command: Claim, now: number): ClaimOutcome {
  const { coupon: name, buyer, key } = command;
  if (key !== null) {
    const made = state.claimKeys.get(keyOf(buyer, key));
    if (made !== undefined) {
      return made.coupon.name === name
        ? { word: "claimed_again", claim: made }
        : { word: "idempotency_key_reused" };
    }
    const remembered = recall(state, command, now);
    if (remembered === "look_up") return { word: "look_up" };
    if (remembered !== null) return { word: "idempotency_key_reused" };
  }
  const coupon = state.coupons.get(name);
  if (coupon === undefined) return { word: "coupon_not_found" };
  if (coupon.claims === null) return { word: "look_up", what: "claims" };
  coupon.usedAt = now;
  const claimedAt = coupon.claims.get(buyerId(buyer));
  if (claimedAt !== undefined) {
    return { word: "already_claimed", coupon: figuresOf(coupon), claimedAt };
  }
  if (!isActive(coupon.life, now)) {
    const opensAt = opensAtOf(coupon.life, now);
    return { word: "coupon_not_active", coupon: figuresOf(coupon), opensAt };
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
    const { id, amount, remaining, life, claims } = coupon;
    held += claims?.size ?? 0;
    if (coupon.name !== name) complaints.push(`coupon ${id} is filed under another name`);
    if (life.startsAt !== null && life.endsAt !== null && life.endsAt <= life.startsAt) {
      complaints.push(`coupon ${id} ends before it begins`);
    }
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

/**
 * The independent auditor of the coupons: says what the contract wants answered to every
 * making and every claim, and what every figure must be then.
 *
 * Written from the contract (section 2, and what it says of keys) and not from the code, and
 * as naive as can be: a list of what was made, a list of what was claimed, and everything
 * else is found by looking through them again. It forgets nothing and loads nothing.
 */
import { sameBuyer, type Buyer } from "../../src/ledger/buyers.ts";
import type {
  Claim,
  ClaimOutcome,
  CreateCoupon,
  CreateCouponOutcome,
  RecordsNeeded,
  Outcome,
} from "../../src/ledger/commands.ts";

export type CouponCommand = CreateCoupon | Claim;

export type ModelCoupon = {
  readonly id: number;
  readonly name: string;
  readonly amount: number;
  readonly at: number;
};

export type ModelClaim = {
  readonly coupon: string;
  readonly buyer: Buyer;
  readonly key: string | null;
  readonly at: number;
};

/** What the ledger has to answer. */
export type CouponVerdict =
  | { readonly word: "coupon_created" | "coupon_exists"; readonly coupon: ModelCoupon }
  | {
      readonly word: "claimed" | "claimed_again";
      readonly coupon: string;
      readonly buyer: Buyer;
      readonly at: number;
      /** The how manieth of its coupon it is, from 1. */
      readonly ordinal: number;
    }
  | { readonly word: "already_claimed"; readonly claimedAt: number }
  | { readonly word: "coupon_sold_out" | "coupon_not_found" | "idempotency_key_reused" };

export const couponWords: Readonly<Record<CouponVerdict["word"], true>> = {
  coupon_created: true,
  coupon_exists: true,
  claimed: true,
  claimed_again: true,
  already_claimed: true,
  coupon_sold_out: true,
  coupon_not_found: true,
  idempotency_key_reused: true,
};

export class CouponModel {
  readonly made: ModelCoupon[] = [];
  readonly claims: ModelClaim[] = [];
  /** Attempts so far; every one takes a number, the refused ones too. */
  seq = 0;
  now = 0;

  /** Time never runs backwards. */
  decide(command: CouponCommand, now: number): CouponVerdict {
    this.seq += 1;
    this.now = Math.max(this.now, now);
    return command.kind === "claim" ? this.#claim(command) : this.#create(command);
  }

  claimsOf(coupon: string): ModelClaim[] {
    return this.claims.filter((claim) => claim.coupon === coupon);
  }

  remainingOf({ name, amount }: ModelCoupon): number {
    return amount - this.claimsOf(name).length;
  }

  #create({ coupon: name, amount }: CreateCoupon): CouponVerdict {
    const there = this.made.find((coupon) => coupon.name === name);
    if (there !== undefined) return { word: "coupon_exists", coupon: there };
    const coupon = { id: this.made.length + 1, name, amount, at: this.now };
    this.made.push(coupon);
    return { word: "coupon_created", coupon };
  }

  #claim({ coupon: name, buyer, key }: Claim): CouponVerdict {
    // A key is looked up before anything is refused.
    const keyed = this.claims.find((claim) => {
      return key !== null && claim.key === key && sameBuyer(claim.buyer, buyer);
    });
    if (keyed !== undefined) {
      return keyed.coupon === name
        ? this.#told("claimed_again", keyed)
        : { word: "idempotency_key_reused" };
    }
    const coupon = this.made.find((made) => made.name === name);
    if (coupon === undefined) return { word: "coupon_not_found" };
    const own = this.claimsOf(name).find((claim) => sameBuyer(claim.buyer, buyer));
    // Who has claimed is told so even when nothing is left.
    if (own !== undefined) return { word: "already_claimed", claimedAt: own.at };
    if (this.remainingOf(coupon) === 0) return { word: "coupon_sold_out" };
    const claim = { coupon: name, buyer, key, at: this.now };
    this.claims.push(claim);
    return this.#told("claimed", claim);
  }

  #told(word: "claimed" | "claimed_again", claim: ModelClaim): CouponVerdict {
    const { coupon, buyer, at } = claim;
    return { word, coupon, buyer, at, ordinal: this.claimsOf(coupon).indexOf(claim) + 1 };
  }
}

export type CouponOutcome = Exclude<ClaimOutcome | CreateCouponOutcome, RecordsNeeded>;

/** What an answer of the ledger tells, in the words of the model. */
export function told(outcome: CouponOutcome): CouponVerdict {
  switch (outcome.word) {
    case "coupon_created":
    case "coupon_exists": {
      const { id, name, amount, createdAt } = outcome.coupon;
      return { word: outcome.word, coupon: { id, name, amount, at: createdAt } };
    }
    case "claimed":
    case "claimed_again": {
      const { coupon, buyer, ordinal, at } = outcome.claim;
      return { word: outcome.word, coupon: coupon.name, buyer, at, ordinal };
    }
    case "already_claimed":
      return { word: outcome.word, claimedAt: outcome.claimedAt };
    case "coupon_sold_out":
    case "coupon_not_found":
    case "idempotency_key_reused":
      return { word: outcome.word };
    default:
      return outcome satisfies never;
  }
}

export const isCouponOutcome = (outcome: Outcome): outcome is CouponOutcome =>
  outcome.word in couponWords;

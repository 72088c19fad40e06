/**
 * The independent auditor of the coupons: says what the contract wants answered to every
 * making, change and claim, and what every figure must be then.
 *
 * Written from the contract (sections 2 and 3, and what it says of keys) and not from the code, and
 * as naive as can be: a list of what was made, a list of what was claimed, and everything
 * else is found by looking through them again. It forgets nothing and loads nothing.
 */
import { sameBuyer, type Buyer } from "../../src/ledger/buyers.ts";
import type {
  ChangeCoupon,
  ChangeCouponOutcome,
  Claim,
  ClaimOutcome,
  CreateCoupon,
  CreateCouponOutcome,
  RecordsNeeded,
  RemoveCoupon,
  RemoveCouponOutcome,
  Outcome,
} from "../../src/ledger/commands.ts";
import type { Random } from "../support/random.ts";

export type CouponCommand = CreateCoupon | ChangeCoupon | RemoveCoupon | Claim;

export type ModelCoupon = {
  readonly id: number;
  readonly name: string;
  readonly amount: number;
  readonly at: number;
  /** When it can be claimed; null on a side without a bound. */
  readonly from: number | null;
  readonly until: number | null;
  readonly disabled: boolean;
};

export type ModelClaim = {
  readonly coupon: string;
  readonly buyer: Buyer;
  readonly key: string | null;
  readonly at: number;
};

/** What the ledger has to answer. */
export type CouponVerdict =
  | {
      readonly word: "coupon_created" | "coupon_exists";
      readonly coupon: Pick<ModelCoupon, "id" | "name" | "amount" | "at">;
    }
  | { readonly word: "coupon_changed"; readonly coupon: ModelCoupon }
  | { readonly word: "coupon_not_active"; readonly opensAt: number | null }
  | {
      readonly word: "claimed" | "claimed_again";
      readonly coupon: string;
      readonly buyer: Buyer;
      readonly at: number;
      /** The how manieth of its coupon it is, from 1. */
      readonly ordinal: number;
    }
  | { readonly word: "already_claimed"; readonly claimedAt: number }
  | {
      readonly word:
        | "coupon_sold_out"
        | "coupon_not_found"
        | "idempotency_key_reused"
        | "amount_too_small"
        | "end_not_later"
        | "coupon_removed"
        | "coupon_claimed";
    };

export const couponWords: Readonly<Record<CouponVerdict["word"], true>> = {
  coupon_created: true,
  coupon_exists: true,
  coupon_changed: true,
  coupon_removed: true,
  coupon_claimed: true,
  coupon_not_active: true,
  amount_too_small: true,
  end_not_later: true,
  claimed: true,
  claimed_again: true,
  already_claimed: true,
  coupon_sold_out: true,
  coupon_not_found: true,
  idempotency_key_reused: true,
};

export class CouponModel {
  made: ModelCoupon[] = [];
  readonly claims: ModelClaim[] = [];
  /** Attempts so far; every one takes a number, the refused ones too. */
  seq = 0;
  now = 0;
  #lastId = 0;

  /** Numbers that nobody has any more may be given again after a restart. */
  restart(): void {
    this.#lastId = Math.max(0, ...this.made.map(({ id }) => id));
  }

  /** Time never runs backwards. */
  decide(command: CouponCommand, now: number): CouponVerdict {
    this.seq += 1;
    this.now = Math.max(this.now, now);
    switch (command.kind) {
      case "create_coupon":
        return this.#create(command);
      case "change_coupon":
        return this.#change(command);
      case "remove_coupon":
        return this.#remove(command);
      case "claim":
        return this.#claim(command);
      default:
        return command satisfies never;
    }
  }

  claimsOf(coupon: string): ModelClaim[] {
    return this.claims.filter((claim) => claim.coupon === coupon);
  }

  remainingOf({ name, amount }: ModelCoupon): number {
    return amount - this.claimsOf(name).length;
  }

  #create({ coupon: name, amount }: CreateCoupon): CouponVerdict {
    const there = this.made.find((coupon) => coupon.name === name);
    if (there !== undefined) return { word: "coupon_exists", coupon: shown(there) };
    this.#lastId += 1;
    const always = { from: null, until: null, disabled: false };
    const coupon = { id: this.#lastId, name, amount, at: this.now, ...always };
    this.made.push(coupon);
    return { word: "coupon_created", coupon: shown(coupon) };
  }

  #change({ coupon: name, amount, startsAt, endsAt, disabled }: ChangeCoupon): CouponVerdict {
    const index = this.made.findIndex((coupon) => coupon.name === name);
    const before = this.made[index];
    if (before === undefined) return { word: "coupon_not_found" };
    const after: ModelCoupon = {
      ...before,
      ...(amount === null ? {} : { amount }),
      ...(startsAt === "kept" ? {} : { from: startsAt }),
      ...(endsAt === "kept" ? {} : { until: endsAt }),
      ...(disabled === null ? {} : { disabled }),
    };
    if (this.claimsOf(name).length > after.amount) return { word: "amount_too_small" };
    if (after.from !== null && after.until !== null && after.until <= after.from) {
      return { word: "end_not_later" };
    }
    this.made[index] = after;
    return { word: "coupon_changed", coupon: after };
  }

  #remove({ coupon: name }: RemoveCoupon): CouponVerdict {
    if (this.made.every((coupon) => coupon.name !== name)) return { word: "coupon_not_found" };
    if (this.claimsOf(name).length > 0) return { word: "coupon_claimed" };
    this.made = this.made.filter((coupon) => coupon.name !== name);
    return { word: "coupon_removed" };
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
    const { from, until, disabled } = coupon;
    const isEarly = from !== null && this.now < from;
    if (disabled || isEarly || (until !== null && this.now >= until)) {
      return { word: "coupon_not_active", opensAt: isEarly && !disabled ? from : null };
    }
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

const shown = ({ id, name, amount, at }: ModelCoupon) => ({ id, name, amount, at });

export type CouponOutcome = Exclude<
  ClaimOutcome | CreateCouponOutcome | ChangeCouponOutcome | RemoveCouponOutcome,
  RecordsNeeded
>;

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
    case "coupon_changed": {
      const { startsAt: from, endsAt: until, disabled, ...figures } = outcome.coupon;
      const { id, name, amount, createdAt: at } = figures;
      return { word: outcome.word, coupon: { id, name, amount, at, from, until, disabled } };
    }
    case "already_claimed":
      return { word: outcome.word, claimedAt: outcome.claimedAt };
    case "coupon_not_active":
      return { word: outcome.word, opensAt: outcome.opensAt };
    case "amount_too_small":
    case "end_not_later":
    case "coupon_removed":
    case "coupon_claimed":
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

/** A change of a coupon, drawn around a moment. */
export function drawChange(random: Random, coupon: string, now: number): ChangeCoupon {
  const time = (): number | null | "kept" =>
    random.pick(["kept", "kept", null, null, now + random.between(-40, 40)]) ?? null;
  return {
    kind: "change_coupon",
    coupon,
    amount: random.chance(0.5) ? random.between(1, 12) : null,
    startsAt: time(),
    endsAt: time(),
    disabled: random.pick([null, false, false, true]) ?? null,
    by: { kind: "account", name: 'the "boss"' },
  };
}

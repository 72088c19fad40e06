/** What may be answered of a coupon: that it is made, changed and removed, and that it is claimed. */
import { sameBuyer } from "../../src/ledger/buyers.ts";
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
} from "../../src/ledger/commands.ts";
import type { History, ModelClaim } from "./history.ts";
import { keyName, wordIs } from "./maybe.ts";

export function judgeCreatedCoupon(
  history: History,
  { coupon, amount }: CreateCoupon,
  outcome: CreateCouponOutcome,
): string | null {
  const there = history.coupons.get(coupon);
  if (there !== undefined) {
    return wordIs(outcome, ["coupon_exists"]) ?? sameCoupon(history, coupon, outcome.coupon);
  }
  const { id } = outcome.coupon;
  history.coupons.set(coupon, {
    id,
    amount,
    createdAt: history.at,
    from: null,
    until: null,
    disabled: false,
    claims: [],
  });
  return wordIs(outcome, ["coupon_created"]) ?? sameCoupon(history, coupon, outcome.coupon);
}

function sameCoupon(
  history: History,
  name: string,
  told: CreateCouponOutcome["coupon"],
): string | null {
  const coupon = history.coupons.get(name);
  if (coupon === undefined) return "there is no such coupon";
  const wanted = {
    id: coupon.id,
    name,
    amount: coupon.amount,
    createdAt: coupon.createdAt,
    remaining: coupon.amount - coupon.claims.length,
  };
  return Bun.deepEquals(wanted, told) ? null : `the coupon is ${JSON.stringify(wanted)}`;
}

export function judgeChangedCoupon(
  history: History,
  asked: ChangeCoupon,
  outcome: ChangeCouponOutcome,
): string | null {
  const coupon = history.coupons.get(asked.coupon);
  if (coupon === undefined) return wordIs(outcome, ["coupon_not_found"]);
  const amount = asked.amount ?? coupon.amount;
  if (amount < coupon.claims.length) return wordIs(outcome, ["amount_too_small"]);
  const from = asked.startsAt === "kept" ? coupon.from : asked.startsAt;
  const until = asked.endsAt === "kept" ? coupon.until : asked.endsAt;
  if (from !== null && until !== null && from >= until) return wordIs(outcome, ["end_not_later"]);
  if (outcome.word !== "coupon_changed") return "right would be coupon_changed";
  Object.assign(coupon, { amount, from, until, disabled: asked.disabled ?? coupon.disabled });
  const { startsAt, endsAt, disabled, ...figures } = outcome.coupon;
  if (startsAt !== from || endsAt !== until || disabled !== coupon.disabled) {
    return "it can be claimed at other times";
  }
  return sameCoupon(history, asked.coupon, figures);
}

export function judgeRemovedCoupon(
  history: History,
  { coupon: name }: RemoveCoupon,
  outcome: RemoveCouponOutcome,
): string | null {
  const coupon = history.coupons.get(name);
  if (coupon === undefined) return wordIs(outcome, ["coupon_not_found"]);
  if (coupon.claims.length > 0) return wordIs(outcome, ["coupon_claimed"]);
  history.coupons.delete(name);
  return wordIs(outcome, ["coupon_removed"]);
}

/** A key that was a claim's tells of that claim again. */
function againWrong(
  keyed: ModelClaim,
  coupon: string,
  outcome: Exclude<ClaimOutcome, RecordsNeeded>,
): string | null {
  if (keyed.coupon !== coupon) return wordIs(outcome, ["idempotency_key_reused"]);
  if (outcome.word !== "claimed_again") return "right would be claimed_again";
  return outcome.claim.ordinal === keyed.ordinal ? null : "it is another claim";
}

export function judgeClaim(
  history: History,
  command: Claim,
  outcome: Exclude<ClaimOutcome, RecordsNeeded>,
): string | null {
  const { coupon: name, buyer, key } = command;
  const keyed = key === null ? undefined : history.claimKeys.get(keyName(buyer, key));
  if (keyed !== undefined) {
    const wrong = againWrong(keyed, name, outcome);
    if (wrong === null || !history.isClaim(keyName(buyer, key ?? "")).includes(false)) return wrong;
  }
  const { codes, sure } = history.remembered(buyer, key);
  if (sure.length > 0) return wordIs(outcome, ["idempotency_key_reused"]);
  if (codes.length > 0 && outcome.word === "idempotency_key_reused") return null;
  const coupon = history.coupons.get(name);
  if (coupon === undefined) return wordIs(outcome, ["coupon_not_found"]);
  const mine = coupon.claims.find((claim) => sameBuyer(claim.buyer, buyer));
  if (mine !== undefined) {
    if (outcome.word !== "already_claimed") return "right would be already_claimed";
    if (outcome.claimedAt !== mine.at) return "it was claimed at another time";
    return sameCoupon(history, name, outcome.coupon);
  }
  const { from, until, disabled } = coupon;
  const isEarly = from !== null && history.at < from;
  if (disabled || isEarly || (until !== null && history.at >= until)) {
    if (outcome.word !== "coupon_not_active") return "right would be coupon_not_active";
    const opensAt = isEarly && !disabled ? from : null;
    if (outcome.opensAt !== opensAt) return `it can be claimed from ${opensAt} on`;
    return sameCoupon(history, name, outcome.coupon);
  }
  if (coupon.claims.length === coupon.amount) return wordIs(outcome, ["coupon_sold_out"]);
  if (outcome.word !== "claimed") return "right would be claimed";
  coupon.claims.push({ buyer, at: history.at });
  const ordinal = coupon.claims.length;
  if (outcome.claim.ordinal !== ordinal) return `right would be claim ${ordinal}`;
  if (key !== null) {
    history.claimKeys.set(keyName(buyer, key), { coupon: name, ordinal, at: history.at });
  }
  return sameCoupon(history, name, outcome.claim.coupon);
}

/** Coupons, claims of them, and what of both is asked and answered, as they go over the link. */
import type {
  ChangeCoupon,
  ChangeCouponOutcome,
  ClaimOutcome,
  CouponLife,
  Decided,
  OutcomeWord,
  RemoveCouponOutcome,
} from "../ledger/commands.ts";
import type { ClaimMade, CouponFigures, StoredCoupon } from "../ledger/coupons.ts";
import { FrameError, type ByteReader, type ByteWriter } from "./bytes.ts";
import { readActor, readBuyer, writeActor, writeBuyer } from "./people.ts";

export function writeCoupon(
  to: ByteWriter,
  { id, name, amount, createdAt, remaining }: CouponFigures,
): void {
  to.number(id);
  to.text(name);
  to.number(amount);
  to.number(createdAt);
  to.number(remaining);
}

export const readCoupon = (from: ByteReader): CouponFigures => ({
  id: from.number(),
  name: from.text(),
  amount: from.number(),
  createdAt: from.number(),
  remaining: from.number(),
});

export function writeClaim(to: ByteWriter, { coupon, buyer, ordinal, at }: ClaimMade): void {
  writeCoupon(to, coupon);
  writeBuyer(to, buyer);
  to.number(ordinal);
  to.number(at);
}

export const readClaim = (from: ByteReader): ClaimMade => ({
  coupon: readCoupon(from),
  buyer: readBuyer(from),
  ordinal: from.number(),
  at: from.number(),
});

export function writeStoredCoupon(to: ByteWriter, coupon: StoredCoupon): void {
  writeCoupon(to, coupon);
  to.nullable(coupon.startsAt);
  to.nullable(coupon.endsAt);
  to.boolean(coupon.disabled);
}

const readLife = (from: ByteReader): CouponLife => ({
  startsAt: from.nullable(),
  endsAt: from.nullable(),
  disabled: from.boolean(),
});

export const readStoredCoupon = (from: ByteReader): StoredCoupon =>
  Object.assign(readCoupon(from), readLife(from));

const amountMax = 2_147_483_647;

/** @throws FrameError */
export const readAmount = (from: ByteReader): number => from.whole(1, amountMax);

export function writeChangeCoupon(to: ByteWriter, command: ChangeCoupon): void {
  to.text(command.coupon);
  writeKept(to, command.amount, (amount) => to.number(amount));
  for (const time of [command.startsAt, command.endsAt]) {
    writeKept(to, time === "kept" ? null : { time }, (set) => to.nullable(set.time));
  }
  writeKept(to, command.disabled, (disabled) => to.boolean(disabled));
  writeActor(to, command.by);
}

function writeKept<T>(to: ByteWriter, value: T | null, write: (value: T) => void): void {
  to.boolean(value !== null);
  if (value !== null) write(value);
}

export const readChangeCoupon = (from: ByteReader): ChangeCoupon => ({
  kind: "change_coupon",
  coupon: from.text(),
  amount: from.boolean() ? readAmount(from) : null,
  startsAt: from.boolean() ? from.nullable() : "kept",
  endsAt: from.boolean() ? from.nullable() : "kept",
  disabled: from.boolean() ? from.boolean() : null,
  by: readActor(from),
});

const strange = (kind: string, word: string): FrameError =>
  new FrameError(`no ${kind} is answered with ${word}`);

/** As it was before it is not told. */
export function readChangeCouponOutcome(from: ByteReader, word: OutcomeWord): ChangeCouponOutcome {
  switch (word) {
    case "coupon_changed":
      return { word, coupon: readStoredCoupon(from), before: null };
    case "coupon_not_found":
    case "amount_too_small":
    case "end_not_later":
      return { word };
    default:
      throw strange("change_coupon", word);
  }
}

/** As above. */
export function readRemoveCouponOutcome(word: OutcomeWord): RemoveCouponOutcome {
  switch (word) {
    case "coupon_removed":
      return { word, before: null };
    case "coupon_not_found":
    case "coupon_claimed":
      return { word };
    default:
      throw strange("remove_coupon", word);
  }
}

export function writeClaimOutcome(to: ByteWriter, outcome: Decided<ClaimOutcome>): void {
  switch (outcome.word) {
    case "claimed":
    case "claimed_again":
      return writeClaim(to, outcome.claim);
    case "already_claimed":
      writeCoupon(to, outcome.coupon);
      to.number(outcome.claimedAt);
      return;
    case "coupon_not_active":
      writeCoupon(to, outcome.coupon);
      to.nullable(outcome.opensAt);
      return;
    case "coupon_sold_out":
      return writeCoupon(to, outcome.coupon);
    case "coupon_not_found":
    case "idempotency_key_reused":
      return;
    default:
      outcome satisfies never;
  }
}

export function readClaimOutcome(from: ByteReader, word: OutcomeWord): Decided<ClaimOutcome> {
  switch (word) {
    case "claimed":
    case "claimed_again":
      return { word, claim: readClaim(from) };
    case "already_claimed":
      return { word, coupon: readCoupon(from), claimedAt: from.number() };
    case "coupon_not_active":
      return { word, coupon: readCoupon(from), opensAt: from.nullable() };
    case "coupon_sold_out":
      return { word, coupon: readCoupon(from) };
    case "coupon_not_found":
    case "idempotency_key_reused":
      return { word };
    default:
      throw strange("claim", word);
  }
}

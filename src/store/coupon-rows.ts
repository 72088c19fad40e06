/** What is written of coupons that are made, changed, removed and claimed. */
import {
  wholeLife,
  type ChangeCoupon,
  type ChangeCouponOutcome,
  type Claim,
  type ClaimOutcome,
  type CreateCoupon,
  type CreateCouponOutcome,
  type Decided,
  type RemoveCoupon,
  type RemoveCouponOutcome,
} from "../ledger/commands.ts";
import type { ClaimMade, CouponFigures, StoredCoupon } from "../ledger/coupons.ts";
import { isoTime } from "../time.ts";
import { activityRow } from "./activity-rows.ts";
import * as kinds from "./journal-rows.ts";
import { none, nullable, quote, Rows, type Element, type RowOf } from "./rows.ts";

export type CouponCommand = CreateCoupon | ChangeCoupon | RemoveCoupon;
export type CouponOutcome = CreateCouponOutcome | ChangeCouponOutcome | RemoveCouponOutcome;

export const couponAttempt = (
  nth: number,
  { kind, coupon }: CouponCommand,
  { word }: CouponOutcome,
): RowOf<typeof kinds.couponAttempt> => ({
  nth,
  kind,
  outcome: word,
  buyer: none,
  user_id: none,
  coupon_name: quote(coupon),
  idempotency_key: none,
});

export const claimAttempt = (
  nth: number,
  { buyer, coupon, key }: Claim,
  outcome: Decided<ClaimOutcome>,
): RowOf<typeof kinds.couponAttempt> => ({
  nth,
  kind: "claim",
  outcome: outcome.word,
  buyer: buyer.kind,
  user_id: quote(buyer.userId),
  coupon_name: quote(coupon),
  idempotency_key: nullable(key),
});

export const claimRow = (
  nth: number,
  { buyer, coupon, key }: Claim,
  { ordinal, coupon: of }: ClaimMade,
): RowOf<typeof kinds.claim> => ({
  nth,
  buyer: buyer.kind,
  user_id: quote(buyer.userId),
  coupon_name: quote(coupon),
  ordinal,
  coupon_amount: of.amount,
  idempotency_key: nullable(key),
});

const timeOf = (ms: number | null): string | null => (ms === null ? null : isoTime(ms));

const instant = (ms: number | null): Element => (ms === null ? none : `"${isoTime(ms)}"`);

/** Who has made a coupon; null where anybody may. */
const createActivity = (
  nth: number,
  { by = null }: CreateCoupon,
  { name, amount }: CouponFigures,
): RowOf<typeof kinds.activity> | null =>
  by === null
    ? null
    : activityRow(nth, by, { what: "coupon.made", before: null, after: { name, amount } });

/** Who has changed what of a coupon. */
function changeActivity(
  nth: number,
  { by, coupon: name, ...asked }: ChangeCoupon,
  before: StoredCoupon,
  after: StoredCoupon,
): RowOf<typeof kinds.activity> {
  const told = ({ amount, startsAt, endsAt, disabled }: StoredCoupon): object => ({
    name,
    ...(asked.amount === null ? {} : { amount }),
    ...(asked.startsAt === "kept" ? {} : { starts_at: timeOf(startsAt) }),
    ...(asked.endsAt === "kept" ? {} : { ends_at: timeOf(endsAt) }),
    ...(asked.disabled === null ? {} : { disabled }),
  });
  return activityRow(nth, by, {
    what: "coupon.changed",
    before: told(before),
    after: told(after),
  });
}

const removeActivity = (
  nth: number,
  { by }: RemoveCoupon,
  { name, amount }: StoredCoupon,
): RowOf<typeof kinds.activity> =>
  activityRow(nth, by, { what: "coupon.removed", before: { name, amount }, after: null });

/** What becomes of a coupon in a batch. */
type Touched = {
  /** The attempt that makes it; null for one that was there. */
  readonly madeBy: number | null;
  /** As it is at the end; null where nothing but what is left was changed. */
  terms: (StoredCoupon & { readonly changedSeq: number | null }) | null;
  remaining: number;
};

/** The coupons of a batch: a row gets what it has at the end of the batch, once a batch. */
export class BatchCoupons {
  readonly rows = {
    /** Another one may be made of the same name in the same batch. */
    removedCoupons: new Rows(kinds.removedCoupon),
    coupons: new Rows(kinds.coupon),
    couponTerms: new Rows(kinds.couponTerms),
    couponFigures: new Rows(kinds.couponFigure),
  };
  /** By their ids. */
  readonly #touched = new Map<number, Touched>();

  /**
   * An attempt that is decided.
   * @returns who has changed something by it; null where it was refused, or anybody may
   */
  take(
    nth: number,
    seq: number,
    command: CouponCommand,
    outcome: CouponOutcome,
  ): RowOf<typeof kinds.activity> | null {
    if (command.kind === "create_coupon" && outcome.word === "coupon_created") {
      this.#made(nth, outcome.coupon);
      return createActivity(nth, command, outcome.coupon);
    }
    if (!("before" in outcome) || outcome.before === null) return null;
    if (command.kind === "change_coupon" && outcome.word === "coupon_changed") {
      this.#changed(seq, outcome.coupon);
      return changeActivity(nth, command, outcome.before, outcome.coupon);
    }
    if (command.kind !== "remove_coupon") return null;
    this.#removed(outcome.before);
    return removeActivity(nth, command, outcome.before);
  }

  claimed({ id, remaining }: CouponFigures): void {
    const { madeBy = null, terms = null } = this.#touched.get(id) ?? {};
    this.#touched.set(id, { madeBy, terms, remaining });
  }

  #made(nth: number, { remaining, ...figures }: CouponFigures): void {
    const terms = { ...figures, remaining, ...wholeLife, changedSeq: null };
    this.#touched.set(figures.id, { madeBy: nth, terms, remaining });
  }

  #changed(seq: number, coupon: StoredCoupon): void {
    const madeBy = this.#touched.get(coupon.id)?.madeBy ?? null;
    const terms = { ...coupon, changedSeq: seq };
    this.#touched.set(coupon.id, { madeBy, terms, remaining: coupon.remaining });
  }

  #removed({ id }: StoredCoupon): void {
    const touched = this.#touched.get(id);
    this.#touched.delete(id);
    if (touched === undefined || touched.madeBy === null) this.rows.removedCoupons.add({ id });
  }

  /** Adds the rows of the batch that ends. */
  end(): void {
    for (const [id, { madeBy, terms, remaining: remaining_amount }] of this.#touched) {
      if (terms === null) {
        this.rows.couponFigures.add({ id, remaining_amount });
        continue;
      }
      const row = {
        id,
        amount: terms.amount,
        remaining_amount,
        starts_at: instant(terms.startsAt),
        ends_at: instant(terms.endsAt),
        disabled: String(terms.disabled),
        changed_seq: terms.changedSeq ?? none,
      };
      // An update in the statement that makes the row would not see it.
      if (madeBy === null) this.rows.couponTerms.add(row);
      else this.rows.coupons.add({ ...row, nth: madeBy, name: quote(terms.name) });
    }
    this.#touched.clear();
  }
}

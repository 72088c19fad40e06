/**
 * The outcome of a command that was decided before, and perhaps never answered, made of what the
 * records have of it. It says what the first answer said; how long to wait is told as of now.
 */
import { buyerId, type Buyer } from "../ledger/buyers.ts";
import {
  orderStatus,
  wholeLife,
  type BuyOutcome,
  type ChangeCoupon,
  type ChangeCouponOutcome,
  type CheckoutOutcome,
  type ClaimOutcome,
  type CreateCoupon,
  type CreateCouponOutcome,
  type Decided,
  type ExtendOutcome,
  type JoinOutcome,
  type PurchaseOutcome,
  type RecordsNeeded,
  type RefundOutcome,
  type ReleaseOutcome,
  type RemoveCouponOutcome,
  type Sold,
  type SoldUnit,
  type Unit,
  type WaitlistJoinOutcome,
  type WaitlistLeaveOutcome,
} from "../ledger/commands.ts";
import type { StoredCoupon } from "../ledger/coupons.ts";
import type { LedgerView } from "../ledger/view.ts";
import type { LinkedOutcome } from "../link/outcomes.ts";
import type { LinkedCommand } from "../link/words.ts";
import type { AskedAttempt } from "../store/records.ts";

/** When a unit may come free the records do not say; what they do not say is told as this. */
const retryMs = 1_000;

/** @throws Error where the records have something else under the command's id */
export function outcomeOf(
  command: LinkedCommand,
  attempt: AskedAttempt,
  view: LedgerView,
): LinkedOutcome {
  switch (command.kind) {
    case "checkout":
      return checkoutOf(attempt, command.buyer, view);
    case "purchase":
      return purchaseOf(attempt, view);
    case "release":
      return releaseOf(attempt, view);
    case "extend":
      return extendOf(attempt, view);
    case "buy":
      return buyOf(attempt, command.buyer, view);
    case "refund":
      return refundOf(attempt);
    case "join":
      return joinOf(attempt, command.buyer, view);
    case "waitlist_join":
      return waitlistJoinOf(attempt, view);
    case "waitlist_leave":
      return waitlistLeaveOf(attempt);
    case "create_coupon":
      return createCouponOf(attempt, command, view);
    case "change_coupon":
      return changeCouponOf(attempt, command, view);
    case "remove_coupon":
      return removeCouponOf(attempt);
    case "claim":
      return claimOf(attempt, command.coupon, command.buyer, view);
    default:
      return command satisfies never;
  }
}

const strange = ({ seq, word }: AskedAttempt): Error =>
  new Error(`attempt ${seq} has the id of another command: ${word}`);

type Refused = Exclude<Decided<CheckoutOutcome>, { readonly reservation: Unit }>;

function checkoutOf(
  attempt: AskedAttempt,
  buyer: Buyer,
  view: LedgerView,
): Decided<CheckoutOutcome> {
  const { word } = attempt;
  return word === "reserved" || word === "reserved_again"
    ? { word, reservation: unitOf(attempt, view) }
    : refusalOf(attempt, buyer, view);
}

function refusalOf(attempt: AskedAttempt, buyer: Buyer, view: LedgerView): Refused {
  const { word, saleId, at } = attempt;
  switch (word) {
    case "item_reserved":
      return { word, saleId: saleId ?? 0, retryAt: at + retryMs, at };
    case "user_limit_reached": {
      const ends = view
        .reservationsOf(buyer)
        .filter((one) => one.saleId === saleId)
        .map(({ expiresAt }) => expiresAt);
      return { word, saleId: saleId ?? 0, retryAt: ends.length === 0 ? null : Math.min(...ends) };
    }
    case "sale_not_open":
      return { word, saleId, opensAt: openingOf(saleId, view) };
    case "not_admitted":
      return { word, saleId: saleId ?? 0, ahead: null, retryMs };
    case "sale_not_found":
    case "item_not_found":
    case "item_sold_out":
    case "sold_out":
    case "price_changed":
    case "unauthenticated":
    case "idempotency_key_reused":
      return { word, saleId };
    default:
      throw strange(attempt);
  }
}

/** When a sale that has not opened will; without an id, the next of the schedule. */
function openingOf(saleId: number | null, view: LedgerView): number | null {
  const coming = view
    .sales()
    .filter(({ id, kind }) => (saleId === null ? kind === "hourly" : id === saleId))
    .filter(({ startsAt, closed }) => !closed && startsAt > view.now)
    .map(({ startsAt }) => startsAt);
  return coming.length === 0 ? null : Math.min(...coming);
}

function purchaseOf(
  attempt: AskedAttempt,
  view: LedgerView,
): Exclude<PurchaseOutcome, RecordsNeeded> {
  const { word } = attempt;
  switch (word) {
    case "purchased": {
      const [of] = soldOf(attempt, view);
      if (of === undefined) throw strange(attempt);
      return { word, of };
    }
    case "code_not_found":
      return { word, of: null };
    case "purchased_again":
    case "sale_ended":
    case "price_changed":
    case "code_expired":
      return { word, of: unitOf(attempt, view) };
    default:
      throw strange(attempt);
  }
}

function releaseOf(
  attempt: AskedAttempt,
  view: LedgerView,
): Exclude<ReleaseOutcome, RecordsNeeded> {
  const { word } = attempt;
  switch (word) {
    case "code_not_found":
      return { word, of: null };
    case "released":
    case "released_again":
    case "already_purchased":
      return { word, of: unitOf(attempt, view) };
    default:
      throw strange(attempt);
  }
}

function extendOf(attempt: AskedAttempt, view: LedgerView): Exclude<ExtendOutcome, RecordsNeeded> {
  const { word, due } = attempt;
  switch (word) {
    case "code_not_found":
      return { word, of: null };
    case "extended": {
      if (due === null) throw strange(attempt);
      const of = unitOf(attempt, view);
      const endsAt = view.sale(of.saleId)?.endsAt ?? Infinity;
      return { word, of: { ...of, expiresAt: Math.min(due, endsAt) }, due };
    }
    case "already_purchased":
    case "sale_ended":
    case "code_expired":
      return { word, of: unitOf(attempt, view) };
    default:
      throw strange(attempt);
  }
}

function buyOf(attempt: AskedAttempt, buyer: Buyer, view: LedgerView): Decided<BuyOutcome> {
  const { word } = attempt;
  if (word === "purchased") return { word, units: soldOf(attempt, view) };
  if (word === "purchased_again") return { word, of: unitOf(attempt, view) };
  return refusalOf(attempt, buyer, view);
}

function refundOf(attempt: AskedAttempt): Decided<RefundOutcome> {
  const { word, seq, saleId, itemId, buyer, refund } = attempt;
  switch (word) {
    case "refunded": {
      if (refund === null || saleId === null || itemId === null || buyer === null) {
        throw strange(attempt);
      }
      const { restocked, units } = refund;
      const isLeftAfter = (upTo: number): number =>
        units.filter(({ refundedBy }) => refundedBy === null || refundedBy > upTo).length;
      const codes = units.filter(({ refundedBy }) => refundedBy === seq).map(({ code }) => code);
      const before = orderStatus(units.length, isLeftAfter(seq - 1));
      const after = orderStatus(units.length, isLeftAfter(seq));
      return { word, refund: { saleId, itemId, buyer, codes, restocked, before, after } };
    }
    case "refunded_again":
    case "already_refunded":
    case "too_many_units":
      if (saleId === null) throw strange(attempt);
      return { word, saleId };
    case "order_not_found":
    case "idempotency_key_reused":
      return { word, saleId: null };
    default:
      throw strange(attempt);
  }
}

/** The ticket stands where it stands now; with a sale that is over or was withdrawn it is gone. */
function joinOf(attempt: AskedAttempt, buyer: Buyer, view: LedgerView): JoinOutcome {
  const { word, saleId } = attempt;
  switch (word) {
    case "joined":
    case "joined_again": {
      if (saleId === null) throw strange(attempt);
      const own = view.ticketOf(saleId, buyer);
      if (own === null) return { word: "sale_not_open", saleId, opensAt: null };
      const { key: _key, ...ticket } = own;
      return word === "joined"
        ? { word, saleId, ticket, supersedes: null }
        : { word, saleId, ticket };
    }
    case "sale_not_open":
      return { word, saleId: saleId ?? 0, opensAt: null };
    case "sale_not_found":
    case "unauthenticated":
    case "no_queue":
    case "already_joined":
    case "sold_out":
    case "queue_full":
      return { word, saleId };
    default:
      throw strange(attempt);
  }
}

function waitlistJoinOf(attempt: AskedAttempt, view: LedgerView): WaitlistJoinOutcome {
  const { word, saleId } = attempt;
  switch (word) {
    case "waiting":
    case "waiting_again":
      return { word, saleId: saleId ?? 0 };
    case "sale_not_open":
      return { word, saleId: saleId ?? 0, opensAt: openingOf(saleId, view) };
    case "user_limit_reached":
      return { word, saleId: saleId ?? 0, retryAt: null };
    case "not_admitted":
      return { word, saleId: saleId ?? 0, ahead: null, retryMs };
    case "sale_not_found":
    case "unauthenticated":
    case "item_not_found":
    case "available":
    case "too_many_lines":
    case "waitlist_full":
      return { word, saleId };
    default:
      throw strange(attempt);
  }
}

function waitlistLeaveOf(attempt: AskedAttempt): WaitlistLeaveOutcome {
  const { word, saleId } = attempt;
  switch (word) {
    case "left":
    case "not_waiting":
      return { word, saleId: saleId ?? 0 };
    case "sale_not_found":
      return { word, saleId };
    default:
      throw strange(attempt);
  }
}

function createCouponOf(
  attempt: AskedAttempt,
  { coupon, amount }: CreateCoupon,
  view: LedgerView,
): CreateCouponOutcome {
  const { word } = attempt;
  if (word !== "coupon_created" && word !== "coupon_exists") throw strange(attempt);
  return { word, coupon: couponOf(coupon, view, { at: attempt.at, amount }) };
}

function changeCouponOf(
  attempt: AskedAttempt,
  { coupon, amount }: ChangeCoupon,
  view: LedgerView,
): ChangeCouponOutcome {
  const { word } = attempt;
  switch (word) {
    case "coupon_changed": {
      const made = { at: attempt.at, amount: amount ?? 0 };
      return { word, coupon: couponOf(coupon, view, made), before: null };
    }
    case "coupon_not_found":
    case "amount_too_small":
    case "end_not_later":
      return { word };
    default:
      throw strange(attempt);
  }
}

function removeCouponOf(attempt: AskedAttempt): RemoveCouponOutcome {
  const { word } = attempt;
  switch (word) {
    case "coupon_removed":
      return { word, before: null };
    case "coupon_not_found":
    case "coupon_claimed":
      return { word };
    default:
      throw strange(attempt);
  }
}

function claimOf(
  attempt: AskedAttempt,
  name: string,
  buyer: Buyer,
  view: LedgerView,
): Exclude<ClaimOutcome, RecordsNeeded> {
  const { word, claim } = attempt;
  switch (word) {
    case "claimed":
    case "claimed_again":
      if (claim === null) throw strange(attempt);
      return { word, claim: { coupon: couponOf(name, view), buyer, ...claim } };
    case "already_claimed":
      if (claim === null) throw strange(attempt);
      return { word, coupon: couponOf(name, view), claimedAt: claim.at };
    case "coupon_not_active": {
      const opensAt = view.coupon(name)?.startsAt ?? null;
      const isToCome = opensAt !== null && opensAt > view.now;
      return { word, coupon: couponOf(name, view), opensAt: isToCome ? opensAt : null };
    }
    case "coupon_sold_out":
      return { word, coupon: couponOf(name, view) };
    case "coupon_not_found":
    case "idempotency_key_reused":
      return { word };
    default:
      throw strange(attempt);
  }
}

/**
 * A coupon as it is now. One that was removed since, which nobody had, is told as it may have been
 * when it was asked for; what number it had nobody knows any more.
 */
const couponOf = (
  name: string,
  view: LedgerView,
  { at, amount }: { readonly at: number; readonly amount: number } = { at: 0, amount: 0 },
): StoredCoupon =>
  view.coupon(name) ?? { id: 0, name, amount, createdAt: at, remaining: amount, ...wholeLife };

/** What was reserved, or had been, under an attempt's code. */
function unitOf(attempt: AskedAttempt, view: LedgerView): Unit {
  const { code, saleId, itemId, buyer } = attempt;
  if (code === null || saleId === null || itemId === null || buyer === null) throw strange(attempt);
  // What was sold after it is none of its answer.
  const sold = attempt.units.map((unit) => unit.sold).find((by) => (by?.seq ?? 0) <= attempt.seq);
  const expiresAt = endOf(attempt, code, buyer, view);
  return { code, saleId, itemId, buyer, expiresAt, sold: soldAsOf(attempt, sold ?? null) };
}

/** Nor is what was taken back after it. */
const soldAsOf = ({ seq }: AskedAttempt, sold: Sold | null): Sold | null =>
  sold !== null && (sold.refundedBy ?? 0) > seq ? { ...sold, refundedBy: null } : sold;

/** When a reservation ends, as far as the ledger holds it still; else when it would have. */
function endOf({ at, saleId }: AskedAttempt, code: string, buyer: Buyer, view: LedgerView): number {
  const held = view.reservationsOf(buyer).find((one) => one.code === code);
  if (held !== undefined) return held.expiresAt;
  const sale = saleId === null ? null : view.sale(saleId);
  return sale === null ? at : Math.min(at + sale.reservationTtlMs, sale.endsAt);
}

/** The units that an attempt sold. */
function soldOf(attempt: AskedAttempt, view: LedgerView): SoldUnit[] {
  const { seq, saleId, buyer } = attempt;
  if (saleId === null || buyer === null) throw strange(attempt);
  return attempt.units.flatMap((unit) => {
    if (unit.sold?.seq !== seq) return [];
    const expiresAt = endOf(attempt, unit.code, buyer, view);
    return [{ ...unit, sold: soldAsOf(attempt, unit.sold), saleId, buyer, expiresAt }];
  });
}

/** Whether an attempt can be the command's: it is of the same buyer, where it says of whom. */
export const isOf = (command: LinkedCommand, { buyer }: AskedAttempt): boolean =>
  !("buyer" in command) || buyer === null || buyerId(command.buyer) === buyerId(buyer);

/** Outcomes as they go over the link: the word, and what an answer says beside it. */
import type {
  BuyOutcome,
  ChangeCouponOutcome,
  CheckoutOutcome,
  ClaimOutcome,
  CreateCouponOutcome,
  ExtendOutcome,
  OutcomeOf,
  JoinOutcome,
  PurchaseOutcome,
  Decided,
  RefundOutcome,
  ReleaseOutcome,
  SoldUnit,
  Unit,
  WaitlistJoinOutcome,
  WaitlistLeaveOutcome,
} from "../ledger/commands.ts";
import { FrameError, type ByteReader, type ByteWriter } from "./bytes.ts";
import { readBuyer, writeBuyer } from "./people.ts";
import {
  readChangeCouponOutcome,
  readClaimOutcome,
  readCoupon,
  readRemoveCouponOutcome,
  writeClaimOutcome,
  writeCoupon,
  writeStoredCoupon,
} from "./coupon-outcomes.ts";
import { readJoinOutcome, writeJoinOutcome } from "./queue-outcomes.ts";
import {
  readWaitlistJoinOutcome,
  readWaitlistLeaveOutcome,
  writeWaitlistJoinOutcome,
} from "./waitlist-outcomes.ts";
import {
  orderStatuses,
  orderStatusNumbers,
  outcomeNumbers,
  outcomeWords,
  type LinkedCommand,
} from "./words.ts";

/** Units of one order. */
const unitsMax = 1_000_000;
const codeBytes = 16;

/** What comes back over the link: never that something has to be looked up. */
export type LinkedOutcome = Decided<OutcomeOf<LinkedCommand>>;

/** An outcome for who speaks a version that may lack its word: what is next to it is told then. */
export const inWordsOf = (version: number, outcome: LinkedOutcome): LinkedOutcome =>
  outcome.word === "coupon_not_active" && version < 4
    ? { word: "coupon_sold_out", coupon: outcome.coupon }
    : outcome;

export function writeOutcome(
  to: ByteWriter,
  kind: LinkedCommand["kind"],
  outcome: LinkedOutcome,
): void {
  to.u8(outcomeNumbers[outcome.word]);
  // A command is answered with one of its own outcomes.
  switch (kind) {
    case "checkout":
      return writeCheckout(to, outcome as Decided<CheckoutOutcome>);
    case "purchase":
      return writePurchase(to, outcome as Decided<PurchaseOutcome>);
    case "release":
    case "extend":
      return writeCode(to, outcome as Decided<ReleaseOutcome | ExtendOutcome>);
    case "buy":
      return writeBuy(to, outcome as Decided<BuyOutcome>);
    case "refund":
      return writeRefund(to, outcome as Decided<RefundOutcome>);
    case "join":
      return writeJoinOutcome(to, outcome as JoinOutcome);
    case "waitlist_join":
      return writeWaitlistJoinOutcome(to, outcome as WaitlistJoinOutcome);
    case "waitlist_leave":
      return to.nullable((outcome as WaitlistLeaveOutcome).saleId);
    case "create_coupon":
      return writeCoupon(to, (outcome as CreateCouponOutcome).coupon);
    case "change_coupon": {
      const changed = outcome as ChangeCouponOutcome;
      if (changed.word === "coupon_changed") writeStoredCoupon(to, changed.coupon);
      return;
    }
    case "remove_coupon":
      return;
    case "claim":
      return writeClaimOutcome(to, outcome as Decided<ClaimOutcome>);
    default:
      kind satisfies never;
  }
}

/** @throws FrameError for what no such command is answered with */
export function readOutcome(from: ByteReader, kind: LinkedCommand["kind"]): LinkedOutcome {
  const word = from.oneOf(outcomeWords);
  switch (kind) {
    case "checkout":
      return readCheckout(from, word);
    case "purchase":
      return readPurchase(from, word);
    case "release":
      return readRelease(from, word);
    case "extend":
      return readExtend(from, word);
    case "buy":
      return readBuy(from, word);
    case "refund":
      return readRefund(from, word);
    case "join":
      return readJoinOutcome(from, word);
    case "waitlist_join":
      return readWaitlistJoinOutcome(from, word);
    case "waitlist_leave":
      return readWaitlistLeaveOutcome(from, word);
    case "create_coupon":
      if (word !== "coupon_created" && word !== "coupon_exists") throw strange(kind, word);
      return { word, coupon: readCoupon(from) };
    case "change_coupon":
      return readChangeCouponOutcome(from, word);
    case "remove_coupon":
      return readRemoveCouponOutcome(word);
    case "claim":
      return readClaimOutcome(from, word);
    default:
      return kind satisfies never;
  }
}

type Word = LinkedOutcome["word"] | (typeof outcomeWords)[number];

const strange = (kind: LinkedCommand["kind"], word: Word): FrameError =>
  new FrameError(`no ${kind} is answered with ${word}`);

function writeCheckout(to: ByteWriter, outcome: Decided<CheckoutOutcome>): void {
  if ("reservation" in outcome) return writeUnit(to, outcome.reservation);
  writeRefusedCheckout(to, outcome);
}

type RefusedCheckout = Exclude<Decided<CheckoutOutcome>, { readonly reservation: Unit }>;

function writeRefusedCheckout(to: ByteWriter, outcome: RefusedCheckout): void {
  to.nullable(outcome.saleId);
  switch (outcome.word) {
    case "item_reserved":
      to.number(outcome.retryAt);
      to.number(outcome.at);
      return;
    case "sale_not_open":
      to.nullable(outcome.opensAt);
      return;
    case "user_limit_reached":
      to.nullable(outcome.retryAt);
      return;
    case "not_admitted":
      to.nullable(outcome.ahead);
      to.number(outcome.retryMs);
      return;
    case "sale_not_found":
    case "item_not_found":
    case "item_sold_out":
    case "sold_out":
    case "price_changed":
    case "unauthenticated":
    case "idempotency_key_reused":
      return;
    default:
      outcome satisfies never;
  }
}

function readCheckout(from: ByteReader, word: Word): Decided<CheckoutOutcome> {
  if (word === "reserved" || word === "reserved_again") {
    return { word, reservation: readUnit(from) };
  }
  return readRefusedCheckout(from, word, "checkout");
}

function readRefusedCheckout(
  from: ByteReader,
  word: Word,
  kind: "checkout" | "buy",
): RefusedCheckout {
  switch (word) {
    case "item_reserved":
      return { word, saleId: from.number(), retryAt: from.number(), at: from.number() };
    case "sale_not_open":
      return { word, saleId: from.nullable(), opensAt: from.nullable() };
    case "user_limit_reached":
      return { word, saleId: from.number(), retryAt: from.nullable() };
    case "not_admitted":
      return { word, saleId: from.number(), ahead: from.nullable(), retryMs: from.number() };
    case "sale_not_found":
    case "item_not_found":
    case "item_sold_out":
    case "sold_out":
    case "price_changed":
    case "unauthenticated":
    case "idempotency_key_reused":
      return { word, saleId: from.nullable() };
    default:
      throw strange(kind, word);
  }
}

function writePurchase(to: ByteWriter, outcome: Decided<PurchaseOutcome>): void {
  switch (outcome.word) {
    case "purchased":
      return writeSoldUnit(to, outcome.of);
    case "code_not_found":
      return;
    case "purchased_again":
    case "sale_ended":
    case "price_changed":
    case "code_expired":
      return writeUnit(to, outcome.of);
    default:
      outcome satisfies never;
  }
}

function readPurchase(from: ByteReader, word: Word): Decided<PurchaseOutcome> {
  switch (word) {
    case "purchased":
      return { word, of: readSoldUnit(from) };
    case "code_not_found":
      return { word, of: null };
    case "purchased_again":
    case "sale_ended":
    case "price_changed":
    case "code_expired":
      return { word, of: readUnit(from) };
    default:
      throw strange("purchase", word);
  }
}

function writeCode(to: ByteWriter, outcome: Decided<ReleaseOutcome | ExtendOutcome>): void {
  if (outcome.of !== null) writeUnit(to, outcome.of);
  if (outcome.word === "extended") to.number(outcome.due);
}

function readRelease(from: ByteReader, word: Word): Decided<ReleaseOutcome> {
  switch (word) {
    case "code_not_found":
      return { word, of: null };
    case "released":
    case "released_again":
    case "already_purchased":
      return { word, of: readUnit(from) };
    default:
      throw strange("release", word);
  }
}

function readExtend(from: ByteReader, word: Word): Decided<ExtendOutcome> {
  switch (word) {
    case "code_not_found":
      return { word, of: null };
    case "extended":
      return { word, of: readUnit(from), due: from.number() };
    case "already_purchased":
    case "sale_ended":
    case "code_expired":
      return { word, of: readUnit(from) };
    default:
      throw strange("extend", word);
  }
}

function writeBuy(to: ByteWriter, outcome: Decided<BuyOutcome>): void {
  switch (outcome.word) {
    case "purchased":
      to.u32(outcome.units.length);
      for (const unit of outcome.units) writeSoldUnit(to, unit);
      return;
    case "purchased_again":
      return writeUnit(to, outcome.of);
    default:
      writeRefusedCheckout(to, outcome);
  }
}

function readBuy(from: ByteReader, word: Word): Decided<BuyOutcome> {
  if (word === "purchased") {
    const count = from.count(unitsMax, soldUnitBytesMin);
    return { word, units: Array.from({ length: count }, () => readSoldUnit(from)) };
  }
  return word === "purchased_again"
    ? { word, of: readUnit(from) }
    : readRefusedCheckout(from, word, "buy");
}

function writeRefund(to: ByteWriter, outcome: Decided<RefundOutcome>): void {
  if (outcome.word !== "refunded") return to.nullable(outcome.saleId);
  const { saleId, itemId, buyer, codes, restocked, before, after } = outcome.refund;
  to.number(saleId);
  to.number(itemId);
  writeBuyer(to, buyer);
  writeCodes(to, codes);
  to.boolean(restocked);
  to.u8(orderStatusNumbers[before]);
  to.u8(orderStatusNumbers[after]);
}

function readRefund(from: ByteReader, word: Word): Decided<RefundOutcome> {
  switch (word) {
    case "refunded": {
      const refund = {
        saleId: from.number(),
        itemId: from.number(),
        buyer: readBuyer(from),
        codes: readCodes(from),
        restocked: from.boolean(),
        before: from.oneOf(orderStatuses),
        after: from.oneOf(orderStatuses),
      };
      return { word, refund };
    }
    case "refunded_again":
    case "already_refunded":
    case "too_many_units": {
      const saleId = from.nullable();
      if (saleId === null) throw strange("refund", word);
      return { word, saleId };
    }
    case "order_not_found":
    case "idempotency_key_reused":
      if (from.nullable() !== null) throw strange("refund", word);
      return { word, saleId: null };
    default:
      throw strange("refund", word);
  }
}

export function writeCodes(to: ByteWriter, codes: readonly string[]): void {
  to.u32(codes.length);
  for (const code of codes) to.code(code);
}

export const readCodes = (from: ByteReader): string[] =>
  Array.from({ length: from.count(unitsMax, codeBytes) }, () => from.code());

function writeUnit(to: ByteWriter, { code, saleId, itemId, buyer, expiresAt, sold }: Unit): void {
  to.code(code);
  to.number(saleId);
  to.number(itemId);
  writeBuyer(to, buyer);
  to.number(expiresAt);
  to.nullable(sold === null ? null : sold.seq);
  if (sold === null) return;
  to.number(sold.at);
  to.nullable(sold.refundedBy);
}

function readUnit(from: ByteReader): Unit {
  const code = from.code();
  const saleId = from.number();
  const itemId = from.number();
  const buyer = readBuyer(from);
  const expiresAt = from.number();
  const seq = from.nullable();
  return {
    code,
    saleId,
    itemId,
    buyer,
    expiresAt,
    sold: seq === null ? null : { seq, at: from.number(), refundedBy: from.nullable() },
  };
}

const soldUnitBytesMin = 80;

function writeSoldUnit(to: ByteWriter, sold: SoldUnit): void {
  writeUnit(to, sold);
  to.number(sold.unit);
  to.number(sold.userOrdinal);
  to.number(sold.itemStock);
  to.number(sold.userLimit);
  to.number(sold.reservedSeq);
  to.nullableText(sold.key);
  to.nullableText(sold.request);
}

const readSoldUnit = (from: ByteReader): SoldUnit =>
  Object.assign(readUnit(from), {
    unit: from.number(),
    userOrdinal: from.number(),
    itemStock: from.number(),
    userLimit: from.number(),
    reservedSeq: from.number(),
    key: from.nullableText(),
    request: from.nullableText(),
  });

/**
 * The kinds of rows that a batch can have. Their parts of a statement stand in this order, and the
 * last of them is the statement itself.
 */
import type { BatchCoupons } from "./coupon-rows.ts";
import { joined, queueRate, ticket } from "./journal-queues.ts";
import * as kinds from "./journal-rows.ts";
import { milestone } from "./milestones.ts";
import { Rows } from "./rows.ts";
import { offer } from "./waiting-rows.ts";

/** @param coupons the kinds of their rows */
export const newKinds = (coupons: BatchCoupons["rows"]) => ({
  refusals: new Rows(kinds.refusal),
  buyerRefusals: new Rows(kinds.buyerRefusal),
  joined: new Rows(joined),
  attempts: new Rows(kinds.attempt),
  bulks: new Rows(kinds.bulk),
  askedRefusals: new Rows(kinds.askedRefusal),
  askedBuyerRefusals: new Rows(kinds.askedBuyerRefusal),
  askedAttempts: new Rows(kinds.askedAttempt),
  askedBulks: new Rows(kinds.askedBulk),
  askedCouponAttempts: new Rows(kinds.askedCouponAttempt),
  takenBack: new Rows(kinds.takenBack),
  purchases: new Rows(kinds.purchase),
  refunds: new Rows(kinds.refund),
  activities: new Rows(kinds.activity),
  extensions: new Rows(kinds.extension),
  milestones: new Rows(milestone),
  offers: new Rows(offer),
  saleChanges: new Rows(kinds.changedSale),
  itemChanges: new Rows(kinds.restockedItem),
  withdrawnExtensions: new Rows(kinds.withdrawnExtensions),
  withdrawnSales: new Rows(kinds.withdrawnSale),
  tickets: new Rows(ticket),
  queueRates: new Rows(queueRate),
  couponAttempts: new Rows(kinds.couponAttempt),
  ...coupons,
  claims: new Rows(kinds.claim),
});

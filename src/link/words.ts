/**
 * The numbers that words travel as. A word may be added at the end of a list, and the protocol's
 * version goes up with it: who speaks the one before must not be sent it.
 */
import type { BuyerKind } from "../ledger/buyers.ts";
import type { Actor, Command, OrderStatus, OutcomeWord } from "../ledger/commands.ts";

/** A list in which each word of a union is exactly once: who adds a word to it has to add it here. */
function listOf<W extends string>(numbers: Readonly<Record<W, number>>): readonly W[] {
  const words = (Object.keys(numbers) as W[]).toSorted((a, b) => numbers[a] - numbers[b]);
  words.forEach((word, index) => {
    if (numbers[word] !== index) throw new Error(`${word} is not number ${index}`);
  });
  return words;
}

export const buyerNumbers: Readonly<Record<BuyerKind, number>> = {
  guest: 0,
  account: 1,
  customer: 2,
};
export const buyerKinds = listOf(buyerNumbers);

/**
 * What goes over the link: what an administrator changes of a sale goes as a call, and milestones and
 * offers the leader alone comes by.
 */
export type LinkedCommand = Exclude<
  Command,
  { readonly kind: "change_sale" | "withdraw" | "restock" | "change_queue" | "milestone" | "offer" }
>;

export const commandNumbers: Readonly<Record<LinkedCommand["kind"], number>> = {
  checkout: 0,
  purchase: 1,
  release: 2,
  extend: 3,
  buy: 4,
  create_coupon: 5,
  claim: 6,
  refund: 7,
  join: 8,
  change_coupon: 9,
  remove_coupon: 10,
  waitlist_join: 11,
  waitlist_leave: 12,
};
/** A coupon that is made by somebody who administers: who speaks version 3 does not say by whom. */
export const createCouponByNumber = 255;
export const actorNumbers: Readonly<Record<Actor["kind"], number>> = { account: 0, key: 1 };
export const actorKinds = listOf(actorNumbers);

export const orderStatusNumbers: Readonly<Record<OrderStatus, number>> = {
  paid: 0,
  partly_refunded: 1,
  refunded: 2,
};
export const orderStatuses = listOf(orderStatusNumbers);

export const commandKinds = listOf(commandNumbers);

export const outcomeNumbers: Readonly<Record<OutcomeWord, number>> = {
  reserved: 0,
  reserved_again: 1,
  sale_not_found: 2,
  item_not_found: 3,
  sale_not_open: 4,
  item_sold_out: 5,
  sold_out: 6,
  item_reserved: 7,
  user_limit_reached: 8,
  idempotency_key_reused: 9,
  purchased: 10,
  purchased_again: 11,
  code_not_found: 12,
  code_expired: 13,
  sale_ended: 14,
  released: 15,
  released_again: 16,
  already_purchased: 17,
  coupon_created: 18,
  coupon_exists: 19,
  coupon_not_found: 20,
  claimed: 21,
  claimed_again: 22,
  already_claimed: 23,
  coupon_sold_out: 24,
  sale_changed: 25,
  end_not_later: 26,
  unauthenticated: 27,
  price_changed: 28,
  extended: 29,
  refunded: 30,
  refunded_again: 31,
  already_refunded: 32,
  too_many_units: 33,
  order_not_found: 34,
  not_admitted: 35,
  joined: 36,
  joined_again: 37,
  already_joined: 38,
  no_queue: 39,
  queue_full: 40,
  queue_changed: 41,
  too_many_changes: 42,
  withdrawn: 43,
  sale_opened: 44,
  restocked: 45,
  coupon_changed: 46,
  coupon_removed: 47,
  coupon_claimed: 48,
  coupon_not_active: 49,
  amount_too_small: 50,
  waiting: 51,
  waiting_again: 52,
  available: 53,
  too_many_lines: 54,
  waitlist_full: 55,
  left: 56,
  not_waiting: 57,
  offer_lapsed: 58,
};
export const outcomeWords = listOf(outcomeNumbers);

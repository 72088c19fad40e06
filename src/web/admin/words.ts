/** What was tried and what came of it, in words for administrators; every command and outcome of the ledger has some. */
import type { Command, OutcomeWord } from "../../ledger/commands.ts";

type Tone = "plain" | "good" | "held" | "bad";

export const outcomes: {
  readonly [word in OutcomeWord]: { readonly words: string; readonly tone: Tone };
} = {
  reserved: { words: "Reserved", tone: "held" },
  reserved_again: { words: "Reserved, told again", tone: "plain" },
  purchased: { words: "Bought", tone: "good" },
  purchased_again: { words: "Bought, told again", tone: "plain" },
  extended: { words: "Held for longer", tone: "held" },
  released: { words: "Given back", tone: "plain" },
  released_again: { words: "Given back, told again", tone: "plain" },
  item_sold_out: { words: "Item sold out", tone: "bad" },
  sold_out: { words: "Sale sold out", tone: "bad" },
  item_reserved: { words: "Held by somebody", tone: "bad" },
  user_limit_reached: { words: "Limit reached", tone: "bad" },
  sale_not_open: { words: "Sale not open", tone: "bad" },
  sale_not_found: { words: "No such sale", tone: "bad" },
  item_not_found: { words: "No such item", tone: "bad" },
  idempotency_key_reused: { words: "Key used for another request", tone: "bad" },
  code_not_found: { words: "No such code", tone: "bad" },
  code_expired: { words: "Code ran out", tone: "bad" },
  sale_ended: { words: "Sale ended", tone: "bad" },
  already_purchased: { words: "Bought already", tone: "bad" },
  coupon_created: { words: "Coupon made", tone: "plain" },
  coupon_changed: { words: "Coupon changed", tone: "plain" },
  coupon_removed: { words: "Coupon removed", tone: "plain" },
  coupon_claimed: { words: "Coupon in use", tone: "bad" },
  coupon_not_active: { words: "Coupon not active", tone: "bad" },
  amount_too_small: { words: "Fewer than claimed", tone: "bad" },
  coupon_exists: { words: "Coupon exists", tone: "bad" },
  coupon_not_found: { words: "No such coupon", tone: "bad" },
  claimed: { words: "Claimed", tone: "good" },
  claimed_again: { words: "Claimed, told again", tone: "plain" },
  already_claimed: { words: "Claimed already", tone: "bad" },
  coupon_sold_out: { words: "Coupon all claimed", tone: "bad" },
  sale_changed: { words: "Sale changed", tone: "plain" },
  unauthenticated: { words: "Not logged in", tone: "bad" },
  price_changed: { words: "Price changed", tone: "bad" },
  refunded: { words: "Refunded", tone: "plain" },
  refunded_again: { words: "Refunded, told again", tone: "plain" },
  already_refunded: { words: "Refunded already", tone: "bad" },
  too_many_units: { words: "More than is left", tone: "bad" },
  order_not_found: { words: "No such order", tone: "bad" },
  not_admitted: { words: "Not their turn", tone: "bad" },
  joined: { words: "Joined the queue", tone: "plain" },
  joined_again: { words: "Joined, told again", tone: "plain" },
  already_joined: { words: "Joined already", tone: "bad" },
  no_queue: { words: "Sale has no queue", tone: "bad" },
  queue_full: { words: "Queue is full", tone: "bad" },
  queue_changed: { words: "Queue changed", tone: "plain" },
  too_many_changes: { words: "Queue changed too often", tone: "bad" },
  restocked: { words: "Units added", tone: "plain" },
  withdrawn: { words: "Withdrawn", tone: "plain" },
  sale_opened: { words: "Sale has opened", tone: "bad" },
  waiting: { words: "Waits for it", tone: "held" },
  waiting_again: { words: "Waits, told again", tone: "plain" },
  available: { words: "Can be had now", tone: "bad" },
  too_many_lines: { words: "In too many lines", tone: "bad" },
  waitlist_full: { words: "Waiting list is full", tone: "bad" },
  left: { words: "Waits no more", tone: "plain" },
  not_waiting: { words: "Did not wait", tone: "plain" },
  offer_lapsed: { words: "Offer ran out", tone: "plain" },
  end_not_later: { words: "End not to come", tone: "bad" },
};

const kinds: { readonly [kind in Command["kind"]]: string } = {
  checkout: "Reserve",
  purchase: "Buy by code",
  buy: "Buy at once",
  extend: "Hold longer",
  release: "Give back",
  refund: "Refund",
  withdraw: "Withdraw the sale",
  restock: "Add units",
  change_sale: "Change the sale",
  milestone: "Life of the sale",
  join: "Join the queue",
  change_queue: "Change the queue",
  waitlist_join: "Wait for it",
  waitlist_leave: "Wait no more",
  offer: "Offer",
  create_coupon: "Make a coupon",
  change_coupon: "Change a coupon",
  remove_coupon: "Remove a coupon",
  claim: "Claim",
};
const knownKinds = new Map<string, string>(Object.entries(kinds));
export const kindOf = (word: string): string => knownKinds.get(word) ?? word.replaceAll("_", " ");

const known = new Map<string, { readonly words: string; readonly tone: Tone }>(
  Object.entries(outcomes),
);

/** A newer server may know words that this page does not. */
export function outcomeOf(
  word: string,
  kind?: string,
): { readonly words: string; readonly tone: Tone } {
  const { words, tone } = known.get(word) ?? { words: word.replaceAll("_", " "), tone: "plain" };
  // What happens to a sale is no refusal, though it may be the reason of some.
  return { words, tone: kind === "milestone" ? "plain" : tone };
}

/** What happened to an attempt, in words for administrators; every outcome of the ledger has some. */
import type { OutcomeWord } from "../../ledger/commands.ts";

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
  coupon_exists: { words: "Coupon exists", tone: "bad" },
  coupon_not_found: { words: "No such coupon", tone: "bad" },
  claimed: { words: "Claimed", tone: "good" },
  claimed_again: { words: "Claimed, told again", tone: "plain" },
  already_claimed: { words: "Claimed already", tone: "bad" },
  coupon_sold_out: { words: "Coupon all claimed", tone: "bad" },
  sale_changed: { words: "Sale changed", tone: "plain" },
  unauthenticated: { words: "Not logged in", tone: "bad" },
  price_changed: { words: "Price changed", tone: "bad" },
  end_not_later: { words: "End not later", tone: "bad" },
};

const known = new Map<string, { readonly words: string; readonly tone: Tone }>(
  Object.entries(outcomes),
);

/** A newer server may know words that this page does not. */
export const outcomeOf = (word: string): { readonly words: string; readonly tone: Tone } =>
  known.get(word) ?? { words: word.replaceAll("_", " "), tone: "plain" };

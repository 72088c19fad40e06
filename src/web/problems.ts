/**
 * Refusals, and answers that never came, as an error with a code; and each code as a sentence for a
 * person who wants to buy something, not for one who reads the API.
 */

/** `code` is a word of the contract, or `lost` when no answer came. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly retryAfterMs: number | null;
  /** The whole body: some refusals say more, such as `claimed_at`. */
  readonly body: Readonly<Record<string, unknown>>;

  constructor(status: number, body: Readonly<Record<string, unknown>>) {
    super(typeof body["detail"] === "string" ? body["detail"] : "");
    this.status = status;
    this.code = typeof body["code"] === "string" ? body["code"] : "internal";
    const wait = body["retry_after_ms"];
    this.retryAfterMs = typeof wait === "number" ? wait : null;
    this.body = body;
  }
}

export const lost = (): Problem => new Problem(0, { code: "lost" });

const sentences: Readonly<Record<string, string>> = {
  lost: "No answer from the server. Nothing is lost: try again in a moment.",
  unavailable: "The counter is closed for a few seconds. Nothing is lost: try again.",
  overloaded: "A stampede at the counter. Try again in a moment.",
  internal: "Something is wrong on our side. Try again; if it stays, tell us.",
  not_found: "There is nothing here.",
  item_not_found: "There is no such item in this sale.",
  sale_not_found: "There is no such sale.",
  sale_not_open: "This sale is not open at the moment.",
  item_sold_out: "Too late: this one is sold.",
  sold_out: "Sold out: every one is gone.",
  item_reserved: "Somebody is holding this one. It may come free in a moment.",
  user_limit_reached: "You have as many as one person may have in this sale.",
  idempotency_key_reused:
    "This was already asked for in another way. Reload the page and try again.",
  code_not_found: "This reservation is not known.",
  code_expired: "Your reservation ran out, and somebody else was quicker.",
  sale_ended: "The sale ended before this was bought.",
  already_purchased: "This is bought already; it is yours.",
  already_claimed: "You have claimed this coupon already.",
  coupon_not_found: "There is no coupon of this name.",
  coupon_exists: "There is a coupon of this name already.",
  invalid_credentials: "That user name and password do not go together.",
  unauthenticated: "Log in first.",
  user_mismatch: "You are logged in as somebody else. Reload the page.",
  price_changed: "The price has changed. Look at it again before you buy.",
  forbidden: "Your account may not do this.",
  user_exists: "This user name is taken.",
  username_taken: "This user name is taken.",
  payload_too_large: "That is too long.",
};

/** Codes whose own detail says more than any sentence made in advance. */
const detailed = new Set(["invalid_request"]);

export function sentenceOf(error: unknown): string {
  if (!(error instanceof Problem)) return sentences["internal"] ?? "";
  if (detailed.has(error.code) && error.message !== "") return error.message;
  return sentences[error.code] ?? (error.message || (sentences["internal"] ?? ""));
}

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

  /** Nobody is logged in, or not any more. */
  get isUnauthenticated(): boolean {
    return this.status === 401 && !aboutCredentials.has(this.code);
  }

  /** Whether the request may have been carried out all the same: no answer says that it was not. */
  get isOpen(): boolean {
    return this.code === "lost" || this.status >= 500;
  }

  /** Whether it says nothing of what was asked about: no answer, or one that it was asked too often. */
  get isSilent(): boolean {
    return this.isOpen || this.status === 429;
  }
}

/** Of what somebody has typed, whether or not they are logged in. */
const aboutCredentials: ReadonlySet<string> = new Set([
  "invalid_credentials",
  "second_factor_required",
  "invalid_second_factor",
]);

export const lost = (): Problem => new Problem(0, { code: "lost" });

const sentences: Readonly<Record<string, string>> = {
  lost: "No answer from the server. Try again in a moment.",
  unavailable: "The counter is closed for a few seconds. Try again in a moment.",
  overloaded: "A stampede at the counter. Try again in a moment.",
  internal: "Something is wrong on our side. Try again; if it stays, tell us.",
  not_found: "There is nothing here.",
  item_not_found: "There is no such item in this sale.",
  sale_not_found: "There is no such sale.",
  sale_not_open: "This sale is not open at the moment.",
  item_sold_out: "Too late: this one is sold.",
  sold_out: "Sold out: every one is gone.",
  item_reserved: "Somebody is holding this one. It may come free in a moment.",
  user_limit_reached: "You hold or have bought as many as one person may have in this sale.",
  idempotency_key_reused:
    "This was already asked for in another way. Reload the page and try again.",
  code_not_found: "This reservation is not known.",
  code_expired: "Your reservation ran out, and somebody else was quicker.",
  sale_ended: "The sale ended before this was bought.",
  already_purchased: "This is bought already; it is yours.",
  already_claimed: "You have claimed this coupon already.",
  coupon_not_found: "There is no coupon of this name.",
  webhook_not_found: "There is no such webhook any more.",
  available: "One can be had now: there is no need to wait.",
  too_many_lines: "You wait for as much as one person may in this sale.",
  waitlist_full: "So many wait already that no more are taken.",
  amount_too_small: "More than that are claimed already.",
  coupon_claimed: "Somebody has claimed it: it can be stopped, and not deleted.",
  coupon_exists: "There is a coupon of this name already.",
  invalid_credentials: "That user name and password do not go together.",
  second_factor_required: "This account has a second factor: type its code too.",
  invalid_second_factor: "This code is wrong, has run out, or was used before.",
  second_factor_demanded: "Administrators need a second factor here: set one up on your own page.",
  second_factor_on: "The second factor is on already. Reload the page.",
  second_factor_off: "There is no second factor to use. Reload the page.",
  key_exists: "There is a key of this name already, or there are as many as there may be.",
  key_not_found: "This key was revoked already.",
  unauthenticated: "Log in first.",
  forbidden: "Your account may not do this.",
  order_not_found: "There is no such order, or it is somebody else’s.",
  already_refunded: "All of this order was taken back already. Reload the page.",
  user_exists: "This user name is taken.",
  user_mismatch: "Somebody has logged in here meanwhile. Look who it is, and try again.",
  price_changed: "The price has changed. Look at it again before you take it.",
  not_admitted: "It is not your turn yet: wait until you are let in.",
  no_queue: "Nobody has to wait for this sale.",
  already_joined: "Somebody waits under this name already.",
  queue_full: "The waiting room is full. Try again in a moment.",
  challenge_required: "Your browser could not show that it is no robot. Try again.",
  ticket_not_found: "This place in the line is not known.",
  product_not_found: "There is no such product in the shop.",
  rate_limited: "That was too often.",
  too_many_attempts: "That was too often.",
  coupon_not_active: "This coupon cannot be claimed at this time.",
  payload_too_large: "That is too long.",
};

/** Codes whose own detail says more than any sentence made in advance. */
const detailed = new Set(["invalid_request"]);

/** What the API calls a field, and what a person does. */
const fields: Readonly<Record<string, string>> = {
  starts_at: "The opening",
  ends_at: "The end",
  per_user_limit: "The limit a person",
  price_cents: "The price",
  product_id: "The product",
  user_id: "The name",
  coupon_name: "The coupon",
  username: "The user name",
};

/** "starts_at is more than a minute ago" as a person would say it. */
function worded(detail: string): string {
  const [, field = "", rest = ""] = /^([\w.[\]]+)(?=\s)([\s\S]*)$/.exec(detail) ?? [];
  const [, line, last = field] = /^items[.[](\d+)\]?\.(\w+)$/.exec(field) ?? [];
  const known =
    fields[last] ?? (/^[a-z_]+$/.test(last) ? capital(last.replaceAll("_", " ")) : last);
  const words = Object.entries(fields).reduce(
    (text, [name, said]) => text.replaceAll(name, said.toLowerCase()),
    rest,
  );
  if (field === "") return detail;
  return `${line === undefined ? known : `Line ${Number(line) + 1}: ${known.toLowerCase()}`}${words}${words.endsWith(".") ? "" : "."}`;
}
const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** A refusal in a sentence or two: what is wrong, and when it may be otherwise. */
export function sentenceOf(error: unknown): string {
  if (!(error instanceof Problem)) return sentences["internal"] ?? "";
  if (detailed.has(error.code) && error.message !== "") return worded(error.message);
  const said = sentences[error.code] ?? (error.message || (sentences["internal"] ?? ""));
  const { retryAfterMs } = error;
  if (error.status !== 429 || retryAfterMs === null) return said;
  return `${said} Try again in ${waitText(retryAfterMs)}.`;
}

/** "45 seconds", "3 minutes". */
function waitText(ms: number): string {
  const seconds = Math.max(1, Math.ceil(ms / 1000));
  if (seconds < 120) return seconds === 1 ? "a second" : `${seconds} seconds`;
  return `${Math.ceil(seconds / 60)} minutes`;
}

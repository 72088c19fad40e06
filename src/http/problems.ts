/**
 * Refusals: `application/problem+json` after RFC 9457, one entry for every code that the
 * contract knows. What can be rendered once is; a flood is mostly refusals.
 */

type Problem = { readonly status: number; readonly title: string; readonly detail: string };

export const problems = {
  invalid_request: { status: 400, title: "Invalid request", detail: "The request is not valid." },
  not_found: { status: 404, title: "Not found", detail: "There is nothing at this path." },
  method_not_allowed: {
    status: 405,
    title: "Method not allowed",
    detail: "This path does not answer that method; the Allow header lists those it does.",
  },
  payload_too_large: {
    status: 413,
    title: "Body too large",
    detail: "A body may have 65,536 bytes at most.",
  },
  item_not_found: { status: 404, title: "No such item", detail: "The sale has no such item." },
  sale_not_found: { status: 404, title: "No such sale", detail: "There is no such sale." },
  sale_not_open: { status: 409, title: "Sale not open", detail: "The sale is not open." },
  product_not_found: {
    status: 404,
    title: "No such product",
    detail: "There is no such product in the shop.",
  },
  product_in_sale: {
    status: 409,
    title: "Product in a sale",
    detail: "A sale that is coming or open has this product; it can go when that is over.",
  },
  sale_has_opened: {
    status: 409,
    title: "Sale has opened",
    detail: "A sale that has opened takes a new title and another end, and nothing else.",
  },
  sale_opened: {
    status: 409,
    title: "Sale has opened",
    detail: "The sale has opened: it can be closed, and neither be opened again nor withdrawn.",
  },
  end_not_later: {
    status: 409,
    title: "End not to come",
    detail: "A sale can end at a later time than now alone, and after its beginning.",
  },
  too_many_sales: {
    status: 409,
    title: "Too many sales",
    detail: "As many product sales are coming or open as there may be at a time.",
  },
  item_sold_out: {
    status: 409,
    title: "Item sold out",
    detail: "Every unit of this item is sold or taken out.",
  },
  not_admitted: {
    status: 409,
    title: "Not admitted",
    detail:
      "This sale lets people in one after another, and it takes a ticket whose turn has come.",
  },
  already_joined: {
    status: 409,
    title: "Already joined",
    detail: "Somebody has joined the queue under this name; the same Idempotency-Key tells again.",
  },
  no_queue: {
    status: 404,
    title: "No queue",
    detail: "This sale has no queue: everybody gets in at once.",
  },
  queue_full: {
    status: 409,
    title: "Queue is full",
    detail: "As many have joined this queue as can.",
  },
  ticket_not_found: {
    status: 404,
    title: "No such ticket",
    detail: "This sale has given no such ticket.",
  },
  available: {
    status: 409,
    title: "Available",
    detail: "Nobody waits for what can be had now, or is held already: reserve it.",
  },
  too_many_lines: {
    status: 409,
    title: "Too many lines",
    detail: "This user waits for as much of this sale as one user may.",
  },
  waitlist_full: {
    status: 409,
    title: "Waiting list is full",
    detail: "As many wait for something of this sale as can.",
  },
  challenge_required: {
    status: 403,
    title: "Challenge required",
    detail: "A guest joins with a solution of GET /challenge that was not used before.",
  },
  too_many_changes: {
    status: 409,
    title: "Too many changes",
    detail: "This queue was changed as often as it can be.",
  },
  price_changed: {
    status: 409,
    title: "Price changed",
    detail: "The item's price is not the one that was expected; look at it again.",
  },
  sold_out: {
    status: 409,
    title: "Sold out",
    detail: "Every unit of this sale is sold or taken out.",
  },
  order_not_found: {
    status: 404,
    title: "No such order",
    detail: "There is no such order, or it is none of whoever asks.",
  },
  already_refunded: {
    status: 409,
    title: "Already refunded",
    detail: "Every unit of this order was taken back before.",
  },
  too_many_units: {
    status: 409,
    title: "Too many units",
    detail: "More units than are left of this order cannot be taken back.",
  },
  item_reserved: {
    status: 409,
    title: "Reserved by others",
    detail: "Every unsold unit is reserved by somebody; one may come free.",
  },
  user_limit_reached: {
    status: 409,
    title: "Limit reached",
    detail: "This user holds or has bought as many items as one user may in this sale.",
  },
  idempotency_key_reused: {
    status: 422,
    title: "Idempotency key reused",
    detail: "This Idempotency-Key was used for another request.",
  },
  coupon_not_found: {
    status: 404,
    title: "No such coupon",
    detail: "There is no coupon of this name.",
  },
  coupon_exists: {
    status: 409,
    title: "Coupon exists",
    detail: "There is a coupon of this name already.",
  },
  coupon_claimed: {
    status: 409,
    title: "Coupon is claimed",
    detail: "Somebody has one of this coupon: it can be disabled, and not removed.",
  },
  coupon_not_active: {
    status: 409,
    title: "Coupon not active",
    detail: "This coupon cannot be claimed at this time.",
  },
  amount_too_small: {
    status: 409,
    title: "Amount too small",
    detail: "More of this coupon are claimed than that.",
  },
  already_claimed: {
    status: 409,
    title: "Already claimed",
    detail: "This user has claimed this coupon already.",
  },
  unsupported_media_type: {
    status: 415,
    title: "Unsupported media type",
    detail: "The body has to be JSON; send Content-Type: application/json.",
  },
  code_not_found: { status: 404, title: "No such code", detail: "This code was never given." },
  code_expired: {
    status: 410,
    title: "Code expired",
    detail: "The reservation has ended and cannot be bought any more.",
  },
  sale_ended: {
    status: 410,
    title: "Sale ended",
    detail: "The sale ended before this code was bought.",
  },
  already_purchased: {
    status: 409,
    title: "Already purchased",
    detail: "This code was bought already.",
  },
  unauthenticated: {
    status: 401,
    title: "Not authenticated",
    detail: "Nobody is known by this request; a token or key that has ended does not count.",
  },
  user_mismatch: {
    status: 403,
    title: "Another user",
    detail: "The user_id is not the one that this request proves; leave it out.",
  },
  invalid_credentials: {
    status: 401,
    title: "Invalid credentials",
    detail: "There is no account with this name and password.",
  },
  second_factor_required: {
    status: 401,
    title: "Second factor required",
    detail: "This account has a second factor; send its code as otp too.",
  },
  invalid_second_factor: {
    status: 401,
    title: "Invalid second factor",
    detail: "This code is wrong, has run out, or was used before.",
  },
  second_factor_demanded: {
    status: 403,
    title: "Second factor demanded",
    detail:
      "The operator demands a second factor of administrators; switch one on for this account.",
  },
  second_factor_on: {
    status: 409,
    title: "Second factor is on",
    detail: "This account has a second factor; switch it off before another one is set up.",
  },
  second_factor_off: {
    status: 409,
    title: "No second factor",
    detail: "This account has no second factor, nor one that waits for its first code.",
  },
  forbidden: {
    status: 403,
    title: "Forbidden",
    detail: "Whoever sends this may not do it: it takes an administrator, or a key with the scope.",
  },
  cross_site: {
    status: 403,
    title: "Cross-site request",
    detail: "A page of another site cannot do this in somebody's name.",
  },
  user_exists: {
    status: 409,
    title: "User exists",
    detail: "There is an account of this name already; upper and lower case count as the same.",
  },
  user_not_found: { status: 404, title: "No such user", detail: "There is no such user." },
  key_exists: {
    status: 409,
    title: "Key exists",
    detail: "There is a key of this name already, or there are as many as there may be.",
  },
  key_not_found: {
    status: 404,
    title: "No such key",
    detail: "There is no such key, or it was revoked.",
  },
  too_many_webhooks: {
    status: 409,
    title: "Too many webhooks",
    detail: "There are as many webhooks as there may be; remove one first.",
  },
  webhook_not_found: { status: 404, title: "No such webhook", detail: "There is no such webhook." },
  own_account: {
    status: 409,
    title: "Own account",
    detail:
      "Administrators cannot disable or demote themselves, nor reset their own second factor; another one can.",
  },
  last_admin: {
    status: 409,
    title: "Last administrator",
    detail: "The last administrator who is not disabled stays one.",
  },
  rate_limited: {
    status: 429,
    title: "Too many requests",
    detail: "You ask more often than one client may; try again in a moment.",
  },
  too_many_attempts: {
    status: 429,
    title: "Too many attempts",
    detail: "Too many attempts; wait before the next one.",
  },
  unavailable: {
    status: 503,
    title: "Unavailable",
    detail: "No sale can be made at this moment; the same request may be sent again.",
  },
  outcome_unknown: {
    status: 503,
    title: "Outcome unknown",
    detail:
      "The process that decides was lost while it had this request, and nobody can tell whether it " +
      "was carried out. Look before sending it again: the same Idempotency-Key, code or claim gives " +
      "the first answer; what an account has is in its reservations and purchases.",
  },
  overloaded: {
    status: 503,
    title: "Overloaded",
    detail: "Too many requests are waiting; the same request may be sent again.",
  },
  internal: {
    status: 500,
    title: "Internal error",
    detail: "Something is wrong here. The request id finds it in the log.",
  },
} as const satisfies Record<string, Problem>;

export type ProblemCode = keyof typeof problems;

/** Of every answer that does not say otherwise: it is nobody's to keep, and what it says that it is. */
const answerHeaders = { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" };
const mediaType = "application/problem+json";

type ProblemOptions = {
  /** In place of the code's own sentence. */
  readonly detail?: string;
  /** When the same request may succeed. */
  readonly retryAfterMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** In place of the code's own status. */
  readonly status?: number;
  /** Fields beside those that every problem has. */
  readonly more?: Readonly<Record<string, unknown>>;
};

/** The answer of a refusal. */
export function problem(code: ProblemCode, options: ProblemOptions = {}): Response {
  const { title } = problems[code];
  const status = options.status ?? problems[code].status;
  const detail = options.detail ?? problems[code].detail;
  const headers = new Headers({ "Content-Type": mediaType, ...answerHeaders, ...options.headers });
  // The server puts the request's own in its place, where there is one.
  if (status >= 500) headers.set("X-Request-Id", crypto.randomUUID());
  const body: Record<string, unknown> = {
    type: `urn:stampede:problem:${code}`,
    title,
    status,
    detail,
    code,
    error: detail,
    ...options.more,
  };
  if (options.retryAfterMs !== undefined) {
    const ms = Math.max(1, Math.ceil(options.retryAfterMs));
    body["retry_after_ms"] = ms;
    headers.set("Retry-After", String(Math.ceil(ms / 1000)));
  }
  return new Response(JSON.stringify(body), { status, headers });
}

/**
 * As `problem(code)`, rendered in advance. Status and headers are taken from another response,
 * which costs a fifth less than taking them from an object.
 */
export function preparedProblem(code: ProblemCode): () => Response {
  const { status, title, detail } = problems[code];
  const type = `urn:stampede:problem:${code}`;
  const body = JSON.stringify({ type, title, status, detail, code, error: detail });
  const like = new Response(null, {
    status,
    headers: { "Content-Type": mediaType, ...answerHeaders },
  });
  return () => new Response(body, like);
}

/** Whole seconds for which headers are kept ready. */
const secondsPreparedMax = 600;

/**
 * As `problem(code, { retryAfterMs })`, with all but the figures rendered in advance.
 * The answer takes, beside them, what ends the object: further fields, as JSON.
 */
export function preparedRetry(code: ProblemCode): (retryAfterMs: number, end?: string) => Response {
  const { status, title, detail } = problems[code];
  const type = `urn:stampede:problem:${code}`;
  const body = JSON.stringify({ type, title, status, detail, code, error: detail });
  const beforeMs = `${body.slice(0, -1)},"retry_after_ms":`;
  const retryIn = (seconds: number): Response => {
    const headers = {
      "Content-Type": mediaType,
      "Retry-After": String(seconds),
      ...answerHeaders,
    };
    return new Response(null, { status, headers });
  };
  const prepared: Response[] = [];
  return (retryAfterMs, end = "}") => {
    const ms = Math.max(1, Math.ceil(retryAfterMs));
    const seconds = Math.ceil(ms / 1000);
    const like = prepared[seconds] ?? retryIn(seconds);
    if (seconds <= secondsPreparedMax) prepared[seconds] = like;
    // Three parts make a string in one step; a fourth costs a fifth of the whole answer.
    return new Response(`${beforeMs}${ms}${end}`, like);
  };
}

const jsonHeaders = new Headers({ "Content-Type": "application/json", ...answerHeaders });
const jsonLike = new Response(null, { headers: jsonHeaders });

/** 200 with a body that is JSON already. */
export const jsonText = (body: string): Response => new Response(body, jsonLike);

/** 200, or another status, with a value. */
export const json = (body: unknown, status = 200): Response =>
  new Response(JSON.stringify(body), { status, headers: jsonHeaders });

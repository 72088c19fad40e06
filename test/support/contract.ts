/**
 * The answers of the HTTP contract, written from its text and not from the code: the fields
 * that must be there, with their types, and the status of every refusal.
 */
import { expect } from "bun:test";
import { z } from "zod";
import type { Answer } from "./client.ts";

/** RFC 3339 in UTC with milliseconds. */
const time = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const count = z.int().min(0);
/** Of an item of the hour, or of a product. */
const imageUrl = z
  .string()
  .regex(/^\/(?:sales\/\d+\/items\/\d+\/image\.svg|api\/products\/\d+\/image)$/);

const soldItem = z.object({
  id: z.int().min(1),
  name: z.string().min(1),
  image_url: imageUrl,
  price_cents: count,
});

const buyer = z.enum(["guest", "account", "customer"]);

export const reservation = z.object({
  code: z.string().min(1),
  user_id: z.string(),
  buyer,
  sale_id: z.int(),
  item: soldItem,
  expires_at: time,
});

export const order = z.object({
  message: z.literal("Purchase successful"),
  order_id: z.string().min(1),
  code: z.string(),
  user_id: z.string(),
  buyer,
  sale_id: z.int(),
  item: soldItem,
  purchased_at: time,
  replayed: z.boolean(),
});

export const sale = z.object({
  id: z.int(),
  title: z.string().min(1),
  kind: z.enum(["hourly", "product"]),
  status: z.enum(["upcoming", "open", "closed"]),
  starts_at: time,
  ends_at: time,
  stock: count,
  per_user_limit: z.int().min(1),
  reservation_ttl_ms: z.int().min(1),
  sold: count,
  reserved: count,
  available: count,
  attempts: count,
});

export const currentSale = z.object({
  now: time,
  current: sale.nullable(),
  next: z.object({ starts_at: time }),
});

export const item = soldItem.extend({
  colour: z.string(),
  stock: z.int().min(1),
  available: count,
});

export const itemPage = z.object({ items: z.array(item), next_after: z.int().nullable() });

export const saleList = z.object({ sales: z.array(sale), next_before: z.int().nullable() });

export const wholeCatalogue = z.strictObject({
  sale_id: z.int(),
  image_url: z.string(),
  palette: z.array(z.string().regex(/^#[0-9a-f]{6}$/)),
  names: z.array(z.string().min(1)),
  price_cents: z.array(count),
  stock: z.array(z.int().min(1)),
  colours: z.array(count),
});

export const availability = z.strictObject({
  sale_id: z.int(),
  last_event_id: z.string().nullable(),
  sold: count,
  reserved: count,
  available: count,
  free: z.array(count),
});

export const audit = z.object({
  sold: count,
  stock: count,
  max_units_one_user: count,
  oversold_items: count,
  users_over_limit: count,
  purchases_without_attempt: count,
  duplicate_codes: count,
  extensions_without_attempt: count,
  attempts_without_extension: count,
  extensions_beyond_bounds: count,
  announcement_altered: count,
  purchases_altered: count,
  ok: z.boolean(),
});

export const readiness = z.object({
  role: z.enum(["leader", "standby"]),
  epoch: z.int().min(1),
  process: z.string().nullable(),
  database: z.string(),
});

const problem = z.object({
  type: z.string().min(1),
  title: z.string().min(1),
  status: z.int(),
  detail: z.string().min(1),
  code: z.string(),
  error: z.string(),
});

export const statusOf = {
  not_admitted: 409,
  already_joined: 409,
  no_queue: 404,
  ticket_not_found: 404,
  challenge_required: 403,
  invalid_request: 400,
  not_found: 404,
  method_not_allowed: 405,
  payload_too_large: 413,
  item_not_found: 404,
  sale_not_found: 404,
  sale_not_open: 409,
  item_sold_out: 409,
  sold_out: 409,
  item_reserved: 409,
  user_limit_reached: 409,
  idempotency_key_reused: 422,
  code_not_found: 404,
  code_expired: 410,
  sale_ended: 410,
  already_purchased: 409,
  price_changed: 409,
  unauthenticated: 401,
  user_mismatch: 403,
  outcome_unknown: 503,
  unavailable: 503,
  overloaded: 503,
} as const;

export type RefusalCode = keyof typeof statusOf;

/** Reads an answer that must be 200 with a body of a shape. */
export function accepted<T>(answer: Answer, shape: z.ZodType<T>): T {
  if (answer.status !== 200) throw new Error(`${answer.status} instead of 200: ${answer.text}`);
  expect(answer.headers.get("Content-Type")).toStartWith("application/json");
  return shape.parse(answer.json());
}

/**
 * Checks that an answer is a refusal in the contract's form.
 * @param retry whether the same request can succeed later: then it must say when
 * @returns what it tells, and after how many ms to try again
 */
export function refused(answer: Answer, code: RefusalCode, retry: "retry" | "final" = "final") {
  const body = problem.safeParse(answer.json());
  if (!body.success) throw new Error(`no problem: ${answer.status} ${answer.text}`);
  const { data } = body;
  expect({ status: answer.status, code: data.code }).toEqual({ status: statusOf[code], code });
  expect(answer.headers.get("Content-Type")).toStartWith("application/problem+json");
  expect(data.status).toBe(answer.status);
  expect(data.error).toBe(data.detail);
  if (answer.status >= 500) expect(answer.headers.get("X-Request-Id")).toMatch(/^\S+$/);
  return { ...data, retryAfterMs: checkRetry(answer, retry) };
}

function checkRetry(answer: Answer, retry: "retry" | "final"): number {
  const shape = z.object({ retry_after_ms: z.int().min(1) });
  const after = answer.headers.get("Retry-After");
  if (retry === "final") {
    expect(after).toBeNull();
    expect(answer.json()).not.toHaveProperty("retry_after_ms");
    return 0;
  }
  const { retry_after_ms: ms } = shape.parse(answer.json());
  expect(after).toMatch(/^[1-9]\d*$/);
  expect(Number(after)).toBe(Math.ceil(ms / 1000));
  return ms;
}

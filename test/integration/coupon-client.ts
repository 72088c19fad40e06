/**
 * A client of the coupons' contract, and its answers, written from the text of the contract:
 * the fields that must be there, and the status of every refusal.
 */
import { expect } from "bun:test";
import { z } from "zod";
import { withQuery, type Answer } from "../support/client.ts";
import { until } from "../support/wait.ts";

/** RFC 3339 in UTC with milliseconds. */
const time = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const count = z.int().min(0);

export const couponShape = z.object({
  id: z.int().min(1),
  name: z.string().min(1),
  amount: z.int().min(1),
  remaining_amount: count,
  created_at: time,
});

export const claimShape = z.object({
  message: z.string().min(1),
  user_id: z.string().min(1),
  coupon_name: z.string().min(1),
  remaining_amount: count,
  claimed_at: time,
});

export const detailsShape = couponShape
  .pick({ name: true, amount: true, remaining_amount: true })
  .extend({ claimed_by: z.array(z.string()), next_claims_after: z.int().nullable() });

export const pageShape = z.object({
  coupons: z.array(couponShape),
  next_after: z.int().nullable(),
});

const problem = z.object({
  type: z.string().min(1),
  title: z.string().min(1),
  status: z.int(),
  detail: z.string().min(1),
  code: z.string(),
  error: z.string(),
  claimed_at: time.optional(),
});

const statusOf = {
  invalid_request: 400,
  not_found: 404,
  coupon_not_found: 404,
  method_not_allowed: 405,
  coupon_exists: 409,
  already_claimed: 409,
  sold_out: 409,
  payload_too_large: 413,
  unsupported_media_type: 415,
  idempotency_key_reused: 422,
} as const;

export type CouponRefusal = keyof typeof statusOf;

/** Reads an answer that must be a success with a body of a shape. */
export function given<T>(answer: Answer, shape: z.ZodType<T>, status = 200): T {
  if (answer.status !== status) throw new Error(`${answer.status}, not ${status}: ${answer.text}`);
  expect(answer.headers.get("Content-Type")).toStartWith("application/json");
  return shape.parse(answer.json());
}

/** Checks that an answer is a refusal in the contract's form; returns what it tells. */
export function refusedWith(answer: Answer, code: CouponRefusal, status: number = statusOf[code]) {
  const body = problem.safeParse(answer.json());
  if (!body.success) throw new Error(`no problem: ${answer.status} ${answer.text}`);
  const { data } = body;
  expect({ status: answer.status, code: data.code }).toEqual({ status, code });
  expect(answer.headers.get("Content-Type")).toStartWith("application/problem+json");
  expect(data.status).toBe(status);
  expect(data.error).toBe(data.detail);
  // None of these can succeed later by itself.
  expect(answer.headers.get("Retry-After")).toBeNull();
  return data;
}

/** The word of a claim's answer. */
export function wordOf(answer: Answer): string {
  return answer.status === 200 ? "claimed" : problem.parse(answer.json()).code;
}

export type Send = {
  readonly body?: string | Uint8Array<ArrayBuffer>;
  /** Beside `Content-Type: application/json`; null leaves that out. */
  readonly headers?: Readonly<Record<string, string>> | null;
};

const jsonHeaders = { "Content-Type": "application/json" };
const retryMaxMs = 60_000;

export class CouponClient {
  readonly #base: () => string;

  /** @param base where the server listens; a server started again may listen elsewhere */
  constructor(base: () => string) {
    this.#base = base;
  }

  async send(method: string, path: string, { body, headers = {} }: Send = {}): Promise<Answer> {
    // As bytes: a text would get a Content-Type of its own.
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
    const response = await fetch(this.#base() + path, {
      method,
      redirect: "manual",
      headers: headers === null ? {} : { ...jsonHeaders, ...headers },
      ...(bytes === undefined ? {} : { body: bytes }),
    });
    const text = await response.text();
    const { status, headers: got } = response;
    return { status, headers: got, text, json: () => JSON.parse(text) as unknown };
  }

  post(path: string, body: string | Uint8Array<ArrayBuffer>): Promise<Answer> {
    return this.send("POST", path, { body });
  }

  create(name: unknown, amount: unknown): Promise<Answer> {
    return this.post("/api/coupons", JSON.stringify({ name, amount }));
  }

  claim(user: unknown, coupon: unknown, key?: string): Promise<Answer> {
    return this.send("POST", "/api/coupons/claim", {
      body: JSON.stringify({ user_id: user, coupon_name: coupon }),
      headers: key === undefined ? {} : { "Idempotency-Key": key },
    });
  }

  read(name: string, query: Readonly<Record<string, string | number>> = {}): Promise<Answer> {
    return this.send("GET", withQuery(`/api/coupons/${encodeURIComponent(name)}`, query));
  }

  list(query: Readonly<Record<string, string | number>> = {}): Promise<Answer> {
    return this.send("GET", withQuery("/api/coupons", query));
  }

  /** Makes a coupon, or throws. */
  async make(name: string, amount: number) {
    return given(await this.create(name, amount), couponShape, 201);
  }

  /** Claims, or throws. */
  async take(user: string, coupon: string, key?: string) {
    return given(await this.claim(user, coupon, key), claimShape);
  }

  async details(name: string, query?: Readonly<Record<string, string | number>>) {
    return given(await this.read(name, query), detailsShape);
  }

  /** Everybody who claimed a coupon, page by page. */
  async claimants(name: string, pageSize = 10_000): Promise<string[]> {
    const users: string[] = [];
    let after: number | null = 0;
    while (after !== null) {
      const query = { claims_after: after, claims_limit: pageSize };
      const page: z.infer<typeof detailsShape> = await this.details(name, query);
      users.push(...page.claimed_by);
      after = page.next_claims_after;
    }
    return users;
  }

  /** Asks until there is an answer that counts, as a client does while a server starts again. */
  answered(ask: () => Promise<Answer>): Promise<Answer> {
    return until(
      "an answer",
      async () => {
        const answer = await ask().catch(() => null);
        return answer === null || answer.status === 503 ? null : answer;
      },
      retryMaxMs,
    );
  }
}

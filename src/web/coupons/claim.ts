/**
 * Claiming a coupon, and remembering that it was claimed, so that a reload knows it too.
 *
 * A claim that got no answer is sent again under the same idempotency key, by itself and by the next
 * click, and so never turns into "already claimed" by one's own hand.
 */
import { signal } from "@preact/signals";
import { send, storage } from "../api.ts";
import { intend } from "../holding/keys.ts";
import { Problem } from "../problems.ts";
import { asBuyer } from "../session.ts";

type Answer = { readonly remaining_amount: number; readonly claimed_at: string };

const keptMax = 300;
const place = "claims";
const nameOf = (coupon: string, userId: string) => JSON.stringify([coupon, userId]);

function read(): ReadonlyMap<string, string> {
  try {
    const stored: unknown = JSON.parse(storage.get(place) ?? "[]");
    return new Map(Array.isArray(stored) ? stored : []);
  } catch {
    return new Map();
  }
}
const claims = signal(read());

/** When this user claimed the coupon, as far as this browser knows. */
export const claimedAt = (coupon: string, userId: string): string | undefined =>
  claims.value.get(nameOf(coupon, userId));

function keep(coupon: string, userId: string, at: string): void {
  const next = [...claims.value].filter(([name]) => name !== nameOf(coupon, userId));
  next.push([nameOf(coupon, userId), at]);
  claims.value = new Map(next.slice(-keptMax));
  storage.set(place, JSON.stringify([...claims.value]));
}

/** Tells what is left after it, or null when the user had claimed it before. Throws a Problem. */
export async function claim(coupon: string, userId: string): Promise<Answer | null> {
  const body = { user_id: userId, coupon_name: coupon };
  try {
    const answer = await intend(`claim ${nameOf(coupon, userId)}`, (key) =>
      asBuyer(() => send<Answer>("POST", "/api/coupons/claim", { body, key })),
    );
    keep(coupon, userId, answer.claimed_at);
    return answer;
  } catch (error) {
    const before = error instanceof Problem ? error.body["claimed_at"] : undefined;
    if (typeof before !== "string") throw error;
    keep(coupon, userId, before);
    return null;
  }
}

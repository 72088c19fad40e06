/**
 * What this visitor holds and has bought: reserve, buy, give back.
 *
 * Every code is kept in localStorage from the moment the server has given it, so that no reload loses
 * one; other tabs of the browser see it too. A checkout that got no answer is asked for again under
 * the same idempotency key, by itself and then by the next click.
 */
import { computed, signal } from "@preact/signals";
import { randomWord, send, storage } from "../api.ts";
import { Problem } from "../problems.ts";
import { buyer } from "../session.ts";
import { tick } from "../time.tsx";
import { sale, setAvailable } from "./sale.ts";

type HeldItem = {
  readonly id: number;
  readonly name: string;
  readonly image_url: string;
  readonly price_cents: number;
};
export type Holding = {
  readonly code: string;
  readonly user_id: string;
  readonly sale_id: number;
  readonly item: HeldItem;
  readonly expires_at: string;
  readonly ttl_ms: number;
  /** Null until it is bought. */
  readonly purchased_at: string | null;
};
type Reserved = Omit<Holding, "ttl_ms" | "purchased_at">;

const key = "holdings";
const keptMax = 200;
const keptMs = 3_600_000;

function read(): readonly Holding[] {
  try {
    const stored: unknown = JSON.parse(storage.get(key) ?? "[]");
    if (!Array.isArray(stored)) return [];
    // What was not bought is worth nothing an hour later, whatever the sale.
    const worth = ({ code, item, purchased_at, expires_at }: Partial<Holding>) =>
      code && item && (purchased_at || Date.parse(expires_at ?? "") > Date.now() - keptMs);
    return stored.filter(worth);
  } catch {
    return [];
  }
}

const holdings = signal(read());
addEventListener("storage", () => (holdings.value = read()));

function keep(next: readonly Holding[]): void {
  holdings.value = next.slice(-keptMax);
  storage.set(key, JSON.stringify(holdings.value));
}
const change = (code: string, to: Partial<Holding>) =>
  keep(holdings.value.map((one) => (one.code === code ? { ...one, ...to } : one)));
export const drop = (code: string): void => keep(holdings.value.filter((one) => one.code !== code));

/** Of the present sale. */
export const mine = computed(() => holdings.value.filter((one) => one.sale_id === sale.value?.id));
export const earlier = computed(() =>
  holdings.value.filter((one) => one.purchased_at !== null && one.sale_id !== sale.value?.id),
);
export const lapsed = ({ purchased_at, expires_at }: Holding): boolean =>
  purchased_at === null && Date.parse(expires_at) <= tick.value;

/** By item number. */
export const mineByItem = computed(() => new Map(mine.value.map((one) => [one.item.id, one])));
export const boughtCount = computed(() => mine.value.filter((one) => one.purchased_at).length);
export const heldCount = computed(
  () => mine.value.filter((one) => !one.purchased_at && !lapsed(one)).length,
);
export const atLimit = computed(() => {
  const limit = sale.value?.per_user_limit;
  const own = mine.value.filter((one) => one.user_id === buyer.value && !lapsed(one)).length;
  return limit !== undefined && own >= limit;
});

/** Keys of checkouts that got no answer, by what was asked for. */
const keys = new Map<string, string>();

/** Throws a Problem: a refusal, or that no answer came. */
export async function reserve(id: number | "any"): Promise<Holding> {
  const open = sale.value;
  if (!open) throw new Problem(409, { code: "sale_not_open" });
  const query = new URLSearchParams({
    user_id: buyer.value,
    id: String(id),
    sale_id: String(open.id),
  });
  const asked = String(query);
  const idempotencyKey = keys.get(asked) ?? randomWord();
  keys.set(asked, idempotencyKey);
  try {
    const answer = await send<Reserved>("POST", `/checkout?${asked}`, { key: idempotencyKey });
    keys.delete(asked);
    const { code, user_id, sale_id, item, expires_at } = answer;
    const ttl_ms = open.reservation_ttl_ms;
    const held: Holding = { code, user_id, sale_id, item, expires_at, ttl_ms, purchased_at: null };
    keep([...holdings.value.filter((one) => one.code !== code), held]);
    return held;
  } catch (error) {
    // Without an answer the attempt may yet have been recorded: its key is needed again.
    if (error instanceof Problem && error.code !== "lost" && error.status < 500) keys.delete(asked);
    if (error instanceof Problem && typeof id === "number") {
      if (error.code === "item_sold_out" || error.code === "item_reserved") setAvailable(id, 0);
    }
    throw error;
  }
}

/** Refusals after which a code is worth nothing. */
const over = new Set(["code_expired", "sale_ended", "code_not_found"]);

/** The same code gives the same order again, so it may be sent until an answer comes. */
export async function buy(holding: Holding): Promise<void> {
  try {
    const path = `/purchase?code=${encodeURIComponent(holding.code)}`;
    const answer = await send<{ readonly purchased_at: string }>("POST", path, { again: true });
    change(holding.code, { purchased_at: answer.purchased_at });
  } catch (error) {
    if (error instanceof Problem && over.has(error.code)) drop(holding.code);
    throw error;
  }
}

export async function giveBack(holding: Holding): Promise<void> {
  try {
    await send("DELETE", `/checkout?code=${encodeURIComponent(holding.code)}`);
    drop(holding.code);
  } catch (error) {
    if (error instanceof Problem && error.code === "already_purchased")
      change(holding.code, { purchased_at: new Date().toISOString() });
    else if (error instanceof Problem && over.has(error.code)) drop(holding.code);
    throw error;
  }
}

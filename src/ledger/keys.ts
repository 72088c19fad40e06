/**
 * Idempotency keys: what a buyer used one for, while that lives or once it is sold. Of what was sold
 * in sales that are settled the records know.
 */
import type { Buyer } from "./buyers.ts";
import type { ArchivedKey, Buy, Checkout, Claim, Unit } from "./commands.ts";
import { expire } from "./lapses.ts";
import { keyOf, unitOf, usesOf, type KeyUse, type LedgerState, type Reservation } from "./state.ts";

/** The parameters that an idempotency key stands for, in one canonical line. */
export function requestOf(asked: Checkout | Buy): string {
  const price =
    asked.expectedPriceCents === null ? "" : `&expected_price_cents=${asked.expectedPriceCents}`;
  if (asked.kind === "buy") {
    return `id=${asked.itemId}&sale_id=${asked.saleId}&quantity=${asked.quantity}${price}`;
  }
  const sale = asked.sale === "current" ? "" : `&sale_id=${asked.sale}`;
  return `id=${asked.item}${sale}${price}`;
}

/**
 * What a key reminds a buyer of: the reservation that lives, or else the last one that was sold;
 * or a claim. It follows from what is on the books and sold alone, in whatever order it is read.
 */
function rememberedBy(
  state: LedgerState,
  buyer: Buyer,
  key: string,
  now: number,
): KeyUse | "claim" | null {
  const name = keyOf(buyer, key);
  let remembered: KeyUse | null = null;
  for (const use of usesOf(state, name)) {
    expire(use.of.sale, now);
    if (use.of.status !== "live" && use.of.status !== "sold") continue;
    if (remembered === null || precedes(use.of, remembered.of)) remembered = use;
  }
  if (remembered !== null) return remembered;
  return state.claimKeys.has(name) ? "claim" : null;
}

const precedes = (a: Reservation, b: Reservation): boolean => {
  if (a.sold === null || b.sold === null)
    return a.sold === b.sold ? a.seq > b.seq : a.sold === null;
  return a.sold.seq > b.sold.seq;
};

/** What a key stands for: a request, and what came of it. */
type Remembered = { readonly request: string; readonly unit: Unit };

/**
 * As above, also by what was sold in sales that are settled: of that the records know, and what was
 * sold last counts.
 */
export function recall(
  state: LedgerState,
  { buyer, key, lookup }: Checkout | Buy | Claim,
  now: number,
): Remembered | "claim" | "look_up" | null {
  if (key === null) return null;
  const held = rememberedBy(state, buyer, key, now);
  const use = held === "claim" ? null : held;
  if (use?.of.status !== "live" && state.settled.size > 0) {
    if (lookup === undefined || lookup.upTo < state.settledUpTo) return "look_up";
    const { found } = lookup;
    if (found !== null && found.sold.seq > (use?.of.sold?.seq ?? 0)) {
      return { request: found.request, unit: settledUnit(state, found) };
    }
  }
  if (use !== null) return { request: use.request, unit: unitOf(use.of) };
  return held === null ? null : "claim";
}

function settledUnit(state: LedgerState, found: ArchivedKey): Unit {
  const { code, saleId, itemId, buyer, reservedAt, sold } = found;
  const { reservationTtlMs = 0, endsAt = reservedAt } = state.settled.get(saleId) ?? {};
  const expiresAt = Math.min(reservedAt + reservationTtlMs, endsAt);
  return { code, saleId, itemId, buyer, expiresAt, sold };
}

/**
 * Time passes: what has run out lapses, the first to run out first, and its unit is free to others.
 * It stays on the books until somebody takes that unit.
 */
import { holderFor, isOver, putBack, take, type SaleState } from "./state.ts";

/** Lets the reservations of a sale that have run out by `now` lapse; all of them once it is over. */
export function expire(sale: SaleState, now: number): void {
  lapse(sale, isOver(sale, now) ? Infinity : now);
}

/** Lets what runs out by `time` lapse, the first to run out first. */
export function lapse(sale: SaleState, time: number): void {
  const { live } = sale;
  for (let next = live.first(); next !== undefined; next = live.first()) {
    if (next.deadline > time) return;
    live.remove(next);
    sale.lapsedUpTo = Math.max(sale.lapsedUpTo, next.deadline);
    next.status = "lapsed";
    holderFor(sale, next.buyer).live -= 1;
    putBack(sale, next.itemId);
    const lapsed = sale.lapsed.get(next.itemId);
    if (lapsed === undefined) sale.lapsed.set(next.itemId, new Set([next]));
    else lapsed.add(next);
  }
}

/** Makes live again what has not run out by `time`: for a journal whose clock was set back. */
export function revive(sale: SaleState, time: number): void {
  if (sale.lapsedUpTo <= time) return;
  sale.lapsedUpTo = time;
  for (const [itemId, lapsed] of sale.lapsed) {
    for (const reservation of lapsed) {
      if (reservation.deadline <= time) continue;
      lapsed.delete(reservation);
      take(sale, itemId);
      reservation.status = "live";
      sale.live.add(reservation);
      sale.liveUpTo = Math.max(sale.liveUpTo, reservation.deadline);
      holderFor(sale, reservation.buyer).live += 1;
    }
    if (lapsed.size === 0) sale.lapsed.delete(itemId);
  }
}

/**
 * Nobody holds a unit for longer than the TTL from `time` on: neither does who reserved it by a
 * clock that was ahead.
 */
export function holdFrom(sale: SaleState, time: number): void {
  const latest = time + sale.terms.reservationTtlMs;
  if (sale.liveUpTo <= latest) return;
  sale.liveUpTo = latest;
  for (const reservation of Array.from(sale.live)) {
    if (reservation.deadline <= latest) continue;
    sale.live.remove(reservation);
    reservation.deadline = latest;
    sale.live.add(reservation);
  }
  sale.lastDeadline.forEach((deadline, index) => {
    sale.lastDeadline[index] = Math.min(deadline, latest);
  });
}

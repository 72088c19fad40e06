/**
 * Time passes: what has run out lapses, the first to run out first, and its unit is free to others.
 * It stays on the books until somebody takes that unit.
 */
import { extensionMsMax } from "./commands.ts";
import {
  holderFor,
  isOver,
  noteActive,
  putBack,
  take,
  type Reservation,
  type SaleState,
} from "./state.ts";

/** Lets the reservations of a sale that have run out by `now` lapse; all of them once it is over. */
export function expire(sale: SaleState, now: number): void {
  lapse(sale, isOver(sale, now) ? Infinity : now);
}

/** Every decision about a sale counts as an attempt and sees no reservation that has run out. */
export function touch(sale: SaleState, now: number): void {
  sale.attempts += 1;
  expire(sale, now);
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
    noteActive(sale, next.buyer, next.deadline);
    sale.waitingList?.noteLapsed(next.code, next.buyer);
    const lapsed = sale.lapsed.get(next.itemId);
    if (lapsed === undefined) sale.lapsed.set(next.itemId, new Set([next]));
    else lapsed.add(next);
  }
}

/** Makes live again what has not run out by `time`: for a journal or a reader whose clock was set back. */
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
      holderFor(sale, reservation.buyer).live += 1;
      sale.waitingList?.noteLives(reservation.code);
    }
    if (lapsed.size === 0) sale.lapsed.delete(itemId);
  }
}

/** Until when a reservation is held in a term that begins at `time`. */
function deadlineIn(
  { terms: { reservationTtlMs: ttl } }: SaleState,
  { seq, extendedBy, due }: Reservation,
  afterSeq: number,
  time: number,
): number {
  if ((extendedBy ?? seq) > afterSeq) return due;
  return Math.min(due, time + (extendedBy === null ? ttl : Math.max(ttl, extensionMsMax)));
}

/**
 * A term begins at `time`: what has run out by its clock lapses, what has not lives. What was
 * said before it, up to the attempt `afterSeq`, holds a unit for the TTL at most, or for the longest
 * extension, also where a clock that was ahead had said more; in a later term it may be for as long
 * again as was said.
 *
 * Nothing of the sale is asked that is changed later, its end least: who reads the journal knows
 * the last one alone.
 */
export function beginTerm(sale: SaleState, afterSeq: number, time: number): void {
  revive(sale, -Infinity);
  sale.lastDeadline.fill(0);
  const moved: Reservation[] = [];
  for (const reservation of sale.live) {
    const deadline = deadlineIn(sale, reservation, afterSeq, time);
    // Of nearly all it stays, and they stay in their order.
    if (deadline !== reservation.deadline) moved.push(reservation);
    const index = reservation.itemId - 1;
    sale.lastDeadline[index] = Math.max(sale.lastDeadline[index] ?? 0, deadline);
  }
  for (const reservation of moved) {
    sale.live.remove(reservation);
    reservation.deadline = deadlineIn(sale, reservation, afterSeq, time);
    sale.live.add(reservation);
  }
  lapse(sale, time);
}

/**
 * The ledger's state and the only functions that change it.
 *
 * Nothing here awaits, reads a clock or draws a random number: the same calls in the
 * same order give the same state, which is what makes recovery from the journal exact.
 * The functions below assume that the caller has checked every rule; `decide.ts` does.
 */
import type { ClaimMade, Coupon } from "./coupons.ts";

/** A sale as it was announced. Times are milliseconds since the Unix epoch. */
export type Sale = {
  readonly id: number;
  readonly kind: "hourly" | "product";
  readonly startsAt: number;
  readonly endsAt: number;
  readonly perUserLimit: number;
  readonly reservationTtlMs: number;
  /** Units of each item; item N is at index N - 1. */
  readonly stock: Int32Array;
};

export type Reservation = {
  readonly code: string;
  readonly sale: SaleState;
  readonly saleId: number;
  readonly itemId: number;
  readonly userId: string;
  readonly reservedAt: number;
  /** The TTL after `reservedAt`, or the sale's end. */
  expiresAt: number;
  /** The idempotency key that made it, and the parameters it came with; null without one. */
  readonly key: string | null;
  readonly request: string | null;
  /** What the key made before, if that lapsed: it may still be bought late. */
  earlier: Reservation | null;
  status: "live" | "lapsed" | "released" | "sold";
  sold: SoldUnit | null;
};

/** One unit sold: `unit` counts within the item, `userOrdinal` within the user, both from 1. */
export type SoldUnit = {
  /** Number of the attempt that sold it; it is the order's number too. */
  readonly seq: number;
  readonly at: number;
  readonly unit: number;
  readonly userOrdinal: number;
};

/** What one user has in one sale. `live` never holds more than the sale's limit. */
export type Buyer = { bought: number; readonly live: Reservation[] };

export type SaleState = {
  /** As it was announced; its end may have been moved since. */
  sale: Sale;
  readonly stock: number;
  /** Units neither sold nor reserved, and units sold, by item index. */
  readonly free: Int32Array;
  readonly soldOf: Int32Array;
  /** When the youngest live reservation of an item runs out, by item index. */
  readonly lastExpiry: Float64Array;
  readonly buyers: Map<string, Buyer>;
  /** Every reservation in the order of its expiry; none before `deadlineHead` is live. */
  deadlines: Reservation[];
  deadlineHead: number;
  available: number;
  reserved: number;
  sold: number;
  /** Attempts that named this sale. */
  attempts: number;
  /** No item below this index is free. */
  freeHint: number;
  /** Items whose figures changed since somebody last took this set. At most one entry an item. */
  changed: Set<number>;
};

export type LedgerState = {
  /** Number of the last attempt decided; the next is one higher, without gaps. */
  seq: number;
  /** Time up to which things were decided or seen: it never runs backwards. */
  now: number;
  /** Sales that are coming, open, or over so recently that clients may still ask. */
  readonly sales: Map<number, SaleState>;
  /** Sales that are over and dropped from memory: sale id to number of items. */
  readonly settled: Map<number, number>;
  readonly codes: Map<string, Reservation>;
  /** Idempotency keys of reservations held in memory, by `keyOf(user, key)`. */
  readonly keys: Map<string, Reservation>;
  /** Every coupon, by name. */
  readonly coupons: Map<string, Coupon>;
  lastCouponId: number;
  /** Claims in memory, of all coupons together. */
  claimsHeld: number;
  /** Claims by idempotency key, by `keyOf(user, key)`, oldest first. */
  readonly claimKeys: Map<string, ClaimMade>;
};

/**
 * Reservations that lapsed or were given back and are kept in memory for a late purchase, a
 * sale. There may be twice as many before the oldest go; those are refused from then on.
 */
export const lapsedReservationsMax = 200_000;

export function emptyState(seq: number, now: number): LedgerState {
  return {
    seq,
    now,
    sales: new Map(),
    settled: new Map(),
    codes: new Map(),
    keys: new Map(),
    coupons: new Map(),
    lastCouponId: 0,
    claimsHeld: 0,
    claimKeys: new Map(),
  };
}

/**
 * Moves the ledger's time on to `now` (ms) and returns it; a clock that was set back does not
 * take the ledger back. Whoever lets reservations expire asks here for the time: the journal
 * must not hold an earlier one afterwards.
 */
export function advance(state: LedgerState, now: number): number {
  state.now = Math.max(now, state.now);
  return state.now;
}

/** NUL cannot occur in a user id or a key, so the pair cannot be confused with another. */
export const keyOf = (userId: string, key: string): string => `${userId}\0${key}`;

/** Adds a sale that has just been stored, or was found stored. `attempts` made so far. */
export function addSale(state: LedgerState, sale: Sale, attempts: number): SaleState {
  const stock = sale.stock.reduce((sum, units) => sum + units, 0);
  const added: SaleState = {
    sale,
    stock,
    free: Int32Array.from(sale.stock),
    soldOf: new Int32Array(sale.stock.length),
    lastExpiry: new Float64Array(sale.stock.length),
    buyers: new Map(),
    deadlines: [],
    deadlineHead: 0,
    available: stock,
    reserved: 0,
    sold: 0,
    attempts,
    freeHint: 0,
    changed: new Set(),
  };
  state.sales.set(sale.id, added);
  return added;
}

/** Forgets all of a sale but that it existed; its codes are answered from the records. */
export function settleSale(state: LedgerState, sale: SaleState): void {
  for (const reservation of sale.deadlines) forget(state, reservation);
  state.sales.delete(sale.sale.id);
  state.settled.set(sale.sale.id, sale.sale.stock.length);
}

function forget(state: LedgerState, reservation: Reservation): void {
  state.codes.delete(reservation.code);
  if (reservation.key === null) return;
  const key = keyOf(reservation.userId, reservation.key);
  const { earlier } = reservation;
  let later = state.keys.get(key);
  if (later === reservation) {
    if (earlier === null) state.keys.delete(key);
    else state.keys.set(key, earlier);
    return;
  }
  while (later !== undefined && later.earlier !== reservation) later = later.earlier ?? undefined;
  if (later !== undefined) later.earlier = earlier;
}

/** What a new reservation under a key has before it. What was given back cannot be bought. */
function earlierBy(state: LedgerState, userId: string, key: string | null): Reservation | null {
  const last = key === null ? undefined : state.keys.get(keyOf(userId, key));
  if (last === undefined) return null;
  return last.status === "released" ? last.earlier : last;
}

/** A key stands for its reservation while that lives, and for good once it is sold. */
export function rememberedBy(
  state: LedgerState,
  userId: string,
  key: string,
  now: number,
): Reservation | null {
  let reservation = state.keys.get(keyOf(userId, key)) ?? null;
  for (; reservation !== null; reservation = reservation.earlier) {
    expire(reservation.sale, now);
    if (reservation.status === "live" || reservation.status === "sold") return reservation;
  }
  return null;
}

export function buyerOf(sale: SaleState, userId: string): Buyer {
  let buyer = sale.buyers.get(userId);
  if (buyer === undefined) {
    buyer = { bought: 0, live: [] };
    sale.buyers.set(userId, buyer);
  }
  return buyer;
}

/** The lowest free item number; the sale must have a free unit. */
export function lowestFreeItem(sale: SaleState): number {
  let index = sale.freeHint;
  while (sale.free[index] === 0) index += 1;
  sale.freeHint = index;
  return index + 1;
}

/** Takes one free unit of an item out of sale until `now` plus the sale's TTL. */
export function reserve(
  state: LedgerState,
  sale: SaleState,
  made: {
    readonly code: string;
    readonly itemId: number;
    readonly userId: string;
    readonly key: string | null;
    readonly request: string | null;
  },
  now: number,
): Reservation {
  const { endsAt, reservationTtlMs } = sale.sale;
  const reservation: Reservation = {
    code: made.code,
    sale,
    saleId: sale.sale.id,
    itemId: made.itemId,
    userId: made.userId,
    reservedAt: now,
    expiresAt: Math.min(now + reservationTtlMs, endsAt),
    key: made.key,
    request: made.request,
    earlier: earlierBy(state, made.userId, made.key),
    status: "live",
    sold: null,
  };
  take(sale, reservation);
  buyerOf(sale, made.userId).live.push(reservation);
  // The TTL is one figure a sale and time does not run backwards: this keeps the order.
  sale.deadlines.push(reservation);
  sale.lastExpiry[made.itemId - 1] = reservation.expiresAt;
  state.codes.set(made.code, reservation);
  if (made.key !== null) state.keys.set(keyOf(made.userId, made.key), reservation);
  return reservation;
}

/** Sells the unit of a live reservation, or of a lapsed one whose unit is still free. */
export function sell(reservation: Reservation, seq: number, at: number): void {
  const { sale } = reservation;
  const buyer = buyerOf(sale, reservation.userId);
  if (reservation.status === "live") dropLive(buyer, reservation);
  else take(sale, reservation);
  const index = reservation.itemId - 1;
  const unit = (sale.soldOf[index] ?? 0) + 1;
  sale.soldOf[index] = unit;
  sale.reserved -= 1;
  sale.sold += 1;
  buyer.bought += 1;
  reservation.status = "sold";
  reservation.sold = { seq, at, unit, userOrdinal: buyer.bought };
  sale.changed.add(reservation.itemId);
}

/**
 * Reserves and sells units in one go, for a buyer who did not reserve before.
 * @param code of the first unit
 */
export function buy(
  state: LedgerState,
  sale: SaleState,
  made: { readonly code: string; readonly itemId: number; readonly userId: string },
  quantity: number,
  { seq, at }: { readonly seq: number; readonly at: number },
): Reservation[] {
  return Array.from({ length: quantity }, (_, index) => {
    const code = unitCode(made.code, index);
    const unit = reserve(state, sale, { ...made, code, key: null, request: null }, at);
    sell(unit, seq, at);
    return unit;
  });
}

/** The code of the unit that follows `index` others in one purchase: counted on at its end. */
export function unitCode(code: string, index: number): string {
  if (index === 0) return code;
  const digits = 12;
  const last = BigInt(`0x${code.slice(-digits)}`) + BigInt(index);
  const wrapped = BigInt.asUintN(4 * digits, last)
    .toString(16)
    .padStart(digits, "0");
  return code.slice(0, -digits) + wrapped;
}

/**
 * Moves the end of a sale that is not over. Replaying the journal with the new end gives the
 * same state: no reservation has run out by an end that had not come.
 */
export function moveEnd(sale: SaleState, endsAt: number): void {
  sale.sale = { ...sale.sale, endsAt };
  for (const reservation of sale.deadlines) {
    const { reservedAt, itemId, status } = reservation;
    reservation.expiresAt = Math.min(reservedAt + sale.sale.reservationTtlMs, endsAt);
    if (status === "live") sale.lastExpiry[itemId - 1] = reservation.expiresAt;
  }
}

/** Puts the unit of a live reservation back on sale. */
export function giveBack(reservation: Reservation, as: "lapsed" | "released"): void {
  const { sale } = reservation;
  const index = reservation.itemId - 1;
  sale.free[index] = (sale.free[index] ?? 0) + 1;
  sale.available += 1;
  sale.reserved -= 1;
  sale.freeHint = Math.min(sale.freeHint, index);
  sale.changed.add(reservation.itemId);
  const buyer = buyerOf(sale, reservation.userId);
  dropLive(buyer, reservation);
  if (buyer.live.length === 0 && buyer.bought === 0) sale.buyers.delete(reservation.userId);
  reservation.status = as;
}

/**
 * Ends every reservation of a sale that has run out by `now`. Called before each decision,
 * so that no timer has to run for an abandoned unit to be sold.
 */
export function expire(sale: SaleState, now: number): void {
  const { deadlines } = sale;
  let head = sale.deadlineHead;
  for (; head < deadlines.length; head += 1) {
    const reservation = deadlines[head];
    if (reservation?.status !== "live") continue;
    if (reservation.expiresAt > now) break;
    giveBack(reservation, "lapsed");
  }
  sale.deadlineHead = head;
}

/** When the next live reservation runs out; undefined without one. Call `expire` first. */
export const soonestExpiry = (sale: SaleState): number | undefined =>
  sale.deadlines[sale.deadlineHead]?.expiresAt;

/**
 * Keeps the past within its bound: sold reservations stay, the oldest of those that lapsed
 * or were given back go. Call it before a checkout only: a purchase or release may be about
 * one that would go. Never called while the journal is replayed, where any code may still
 * turn out sold.
 */
export function trimLapsed(state: LedgerState, sale: SaleState): void {
  const past = sale.deadlines.length - sale.reserved - sale.sold;
  if (past <= 2 * lapsedReservationsMax) return;
  let excess = past - lapsedReservationsMax;
  let gone = 0;
  const kept: Reservation[] = [];
  sale.deadlines.forEach((reservation, index) => {
    if (excess === 0 || reservation.status === "live" || reservation.status === "sold") {
      kept.push(reservation);
      return;
    }
    forget(state, reservation);
    excess -= 1;
    if (index < sale.deadlineHead) gone += 1;
  });
  sale.deadlineHead -= gone;
  sale.deadlines = kept;
}

function take(sale: SaleState, reservation: Reservation): void {
  const index = reservation.itemId - 1;
  sale.free[index] = (sale.free[index] ?? 0) - 1;
  sale.available -= 1;
  sale.reserved += 1;
  sale.changed.add(reservation.itemId);
}

function dropLive(buyer: Buyer, reservation: Reservation): void {
  buyer.live.splice(buyer.live.indexOf(reservation), 1);
}

/**
 * The ledger's state and the only functions that change it. Private to this folder: who is
 * outside asks the `Ledger`.
 *
 * Nothing here awaits, reads a clock or draws a random number: the same calls in the same order
 * give the same state. The functions assume that the caller has checked every rule.
 *
 * A reservation stays on the books until its unit is sold, it is given back, or somebody else
 * takes its unit after it ran out. Whether one that is on the books is live or has lapsed is a
 * matter of the time alone, and kept here for speed only: the journal says what happened, and
 * no clock is needed to read it. That a unit was reserved again says by itself that an earlier
 * reservation of it had lapsed, and which one: the first to run out.
 */
import { buyerId, type Buyer, type BuyerKind } from "./buyers.ts";
import type { ClaimMade, Coupon } from "./coupons.ts";
import type { ArchivedCode } from "./commands.ts";
import { Deadlines, runsOutBefore } from "./deadlines.ts";
import type { Sale } from "./sale.ts";

export type Reservation = {
  /** Number of the attempt that made it. */
  readonly seq: number;
  readonly code: string;
  readonly sale: SaleState;
  readonly itemId: number;
  readonly buyer: Buyer;
  readonly reservedAt: number;
  /** When it runs out, if the sale does not end before: see `expiresAt`. */
  deadline: number;
  /** The idempotency key that made it, and the parameters it came with; null without one. */
  readonly key: string | null;
  readonly request: string | null;
  /** `ended`: given back, or its unit was taken by somebody else after it had lapsed. */
  status: "live" | "lapsed" | "sold" | "ended";
  /** Among the deadlines of its sale, while it is live. */
  place: number;
  sold: SoldUnit | null;
};

/** One unit sold: `unit` counts within the item, `userOrdinal` within the buyer, both from 1. */
type SoldUnit = {
  /** Number of the attempt that sold it; it is the order's number too. */
  readonly seq: number;
  readonly at: number;
  readonly unit: number;
  readonly userOrdinal: number;
};

/** What one buyer has in one sale: `bought` units and `open`, of which `live` have not lapsed. */
export type Holder = { bought: number; live: number; readonly open: Set<Reservation> };

export type SaleState = {
  /** As it was announced; its end may have been moved since. */
  terms: Sale;
  readonly stock: number;
  /** Units that can be had, by item index: those of lapsed reservations too. */
  readonly free: Int32Array;
  readonly soldOf: Int32Array;
  /** When a reservation of an item runs out, the last that was made or seen: `lastDeadlineOf`. */
  readonly lastDeadline: Float64Array;
  readonly holders: Readonly<Record<BuyerKind, Map<string, Holder>>>;
  readonly live: Deadlines;
  /** Reservations that ran out and whose unit nobody took, by item, the first to run out first. */
  readonly lapsed: Map<number, Set<Reservation>>;
  /** No deadline of what lives is later. */
  liveUpTo: number;
  /** No deadline of what has lapsed is later. */
  lapsedUpTo: number;
  readonly soldUnits: Reservation[];
  available: number;
  /** Attempts that named this sale. */
  attempts: number;
  /** Attempts that changed it. */
  changes: number;
  /** No item below this index is free. */
  freeHint: number;
  /** Its terms are being replaced in the records; until that is done nothing of it is sold. */
  changing: boolean;
};

/** What is not on the books any more, for those who still ask for its code; and since when. */
type Ended = { readonly of: ArchivedCode; readonly seq: number };

/**
 * What an idempotency key was used for. It may have been used again, after what it had made had
 * lapsed, and both be sold: `rememberedBy` says which one it stands for.
 */
export type KeyUse = {
  readonly request: string;
  readonly of: Reservation;
  /** What it was used for before. */
  readonly next: KeyUse | null;
};

export type LedgerState = {
  /** Number of the last attempt decided; the next is one higher, without gaps. */
  seq: number;
  /** Time up to which things were decided or seen: within a term it never runs backwards. */
  now: number;
  /** Sales that are coming, open, or over so recently that clients may still ask. */
  readonly sales: Map<number, SaleState>;
  /** Sales that are over and dropped from memory: sale id to number of items. */
  readonly settled: Map<number, number>;
  /** What is on the books or sold, in the sales that are held. */
  readonly codes: Map<string, Reservation>;
  /** What ended lately, oldest first; the rest is in the records. */
  readonly ended: Map<string, Ended>;
  /** The last attempt whose ending was dropped from `ended`: what was read before may be stale. */
  endedUpTo: number;
  /** Idempotency keys of what is on the books or sold, by `keyOf`: the last use of each. */
  readonly keys: Map<string, KeyUse>;
  /** Every coupon, by name. */
  readonly coupons: Map<string, Coupon>;
  lastCouponId: number;
  /** Claims in memory, of all coupons together. */
  claimsHeld: number;
  /** Claims by idempotency key, by `keyOf`, oldest first. */
  readonly claimKeys: Map<string, ClaimMade>;
};

/** Reservations that ended and are kept in memory; about half a second of the fastest flood. */
const endedMax = 16_384;

export function emptyState(seq: number, now: number): LedgerState {
  return {
    seq,
    now,
    sales: new Map(),
    settled: new Map(),
    codes: new Map(),
    ended: new Map(),
    endedUpTo: seq,
    keys: new Map(),
    coupons: new Map(),
    lastCouponId: 0,
    claimsHeld: 0,
    claimKeys: new Map(),
  };
}

/** NUL cannot occur in a user id or a key, so the pair cannot be confused with another. */
export const keyOf = (buyer: Buyer, key: string): string => `${buyerId(buyer)}\0${key}`;

/** Adds a sale that has just been stored, or was found stored. `attempts` made so far. */
export function addSale(state: LedgerState, terms: Sale, attempts: number): SaleState {
  const stock = Array.from(terms.stock).reduce((sum, units) => sum + units, 0);
  const added: SaleState = {
    terms,
    stock,
    free: Int32Array.from(terms.stock),
    soldOf: new Int32Array(terms.stock.length),
    lastDeadline: new Float64Array(terms.stock.length),
    holders: { guest: new Map(), account: new Map(), customer: new Map() },
    live: new Deadlines(),
    lapsed: new Map(),
    liveUpTo: -Infinity,
    lapsedUpTo: -Infinity,
    soldUnits: [],
    available: stock,
    attempts,
    changes: 0,
    freeHint: 0,
    changing: false,
  };
  state.sales.set(terms.id, added);
  return added;
}

/** Forgets all of a sale but that it existed; its codes are answered from the records. */
export function settleSale(state: LedgerState, sale: SaleState): void {
  for (const { code } of onBooks(sale)) state.codes.delete(code);
  for (const { code } of sale.soldUnits) state.codes.delete(code);
  for (const key of state.keys.keys()) dropUses(state, key, ({ of }) => of.sale === sale);
  for (const [code, { of }] of state.ended) {
    if (of.saleId === sale.terms.id) state.ended.delete(code);
  }
  state.endedUpTo = state.seq;
  state.sales.delete(sale.terms.id);
  state.settled.set(sale.terms.id, sale.terms.stock.length);
}

/** Every reservation of a sale whose unit is neither sold nor taken by somebody else. */
export function* onBooks(sale: SaleState): Generator<Reservation> {
  yield* sale.live;
  for (const lapsed of sale.lapsed.values()) yield* lapsed;
}

function forget(state: LedgerState, reservation: Reservation): void {
  state.codes.delete(reservation.code);
  if (reservation.key === null) return;
  dropUses(state, keyOf(reservation.buyer, reservation.key), ({ of }) => of === reservation);
}

/** What a key was used for, the last use first. */
export function* usesOf(state: LedgerState, name: string): Generator<KeyUse> {
  for (let use = state.keys.get(name) ?? null; use !== null; use = use.next) yield use;
}

/** Notes that a key was used for something; once, however often it is noted. */
export function rememberUse(
  state: LedgerState,
  of: Reservation,
  key: string,
  request: string | null,
): void {
  const name = keyOf(of.buyer, key);
  const asked = request ?? "";
  for (const use of usesOf(state, name)) if (use.of === of && use.request === asked) return;
  state.keys.set(name, { request: asked, of, next: state.keys.get(name) ?? null });
}

function dropUses(state: LedgerState, name: string, isDropped: (use: KeyUse) => boolean): void {
  const uses = Array.from(usesOf(state, name));
  if (!uses.some(isDropped)) return;
  const kept = uses.filter((use) => !isDropped(use));
  const first = kept.reduceRight<KeyUse | null>((next, use) => ({ ...use, next }), null);
  if (first === null) state.keys.delete(name);
  else state.keys.set(name, first);
}

export const isOver = ({ terms }: SaleState, now: number): boolean =>
  terms.closed || now >= terms.endsAt;

export const isOpen = (sale: SaleState, now: number): boolean =>
  !sale.changing && sale.terms.startsAt <= now && !isOver(sale, now);

/** When a reservation ends: its own time, or the sale's. */
export const expiresAt = ({ deadline, sale }: Reservation): number =>
  Math.min(deadline, sale.terms.endsAt);

export const holderOf = (sale: SaleState, { kind, userId }: Buyer): Holder | undefined =>
  sale.holders[kind].get(userId);

function holderFor(sale: SaleState, { kind, userId }: Buyer): Holder {
  const holders = sale.holders[kind];
  let holder = holders.get(userId);
  if (holder === undefined) {
    holder = { bought: 0, live: 0, open: new Set() };
    holders.set(userId, holder);
  }
  return holder;
}

/** The lowest item number of which a unit can be had; there must be one. */
export function lowestFreeItem(sale: SaleState): number {
  let index = sale.freeHint;
  while (sale.free[index] === 0) index += 1;
  sale.freeHint = index;
  return index + 1;
}

/**
 * When a live reservation of an item runs out, mostly the youngest. Of what was reserved last the
 * time may be past, for it was sold late: then those that live are looked through, and it is kept.
 */
export function lastDeadlineOf(sale: SaleState, index: number, now: number): number {
  const kept = sale.lastDeadline[index] ?? now;
  if (kept > now) return kept;
  let last = now;
  for (const { itemId, deadline } of sale.live) {
    if (itemId === index + 1) last = Math.max(last, deadline);
  }
  sale.lastDeadline[index] = last;
  return last;
}

/** Units of an item that no reservation on the books has. */
const untaken = (sale: SaleState, itemId: number): number =>
  (sale.free[itemId - 1] ?? 0) - (sale.lapsed.get(itemId)?.size ?? 0);

/** What a reservation is made of. */
export type Made = Pick<
  Reservation,
  "seq" | "code" | "itemId" | "buyer" | "reservedAt" | "key" | "request"
>;

/**
 * Puts a reservation on the books. Where that takes the place of another one, of the buyer's
 * within their limit or of the item's units, that one has lapsed: the first to run out. The same
 * rule reads the journal, without asking what the time was, or what became of other sales.
 * @param deadline the TTL after its making, unless the journal says otherwise
 */
export function reserve(
  state: LedgerState,
  sale: SaleState,
  made: Made,
  deadline = made.reservedAt + sale.terms.reservationTtlMs,
): Reservation {
  const { itemId, buyer, key, request } = made;
  const holder = holderFor(sale, buyer);
  if (holder.bought + holder.open.size >= sale.terms.perUserLimit) {
    end(state, firstToRunOut(holder.open, `${made.code}: its buyer is over the limit`), false);
    // It may have been all that they had.
    return reserve(state, sale, made, deadline);
  }
  if (untaken(sale, itemId) === 0) end(state, firstOfItem(sale, made), false);
  // Ending another one of theirs may have left the buyer with nothing.
  const of = holderFor(sale, buyer);
  const reservation: Reservation = {
    ...made,
    sale,
    deadline,
    status: "live",
    place: -1,
    sold: null,
  };
  take(sale, itemId);
  of.open.add(reservation);
  of.live += 1;
  sale.live.add(reservation);
  sale.changes += 1;
  sale.liveUpTo = Math.max(sale.liveUpTo, deadline);
  sale.lastDeadline[itemId - 1] = deadline;
  state.codes.set(made.code, reservation);
  if (key !== null) rememberUse(state, reservation, key, request);
  return reservation;
}

/** The reservation of an item that ran out first, or will. */
function firstOfItem(sale: SaleState, { itemId, code }: Made): Reservation {
  const [lapsed] = sale.lapsed.get(itemId) ?? [];
  if (lapsed !== undefined) return lapsed;
  const live = Array.from(sale.live).filter((other) => other.itemId === itemId);
  return firstToRunOut(live, `${code}: no unit of item ${itemId} is left`);
}

function firstToRunOut(of: Iterable<Reservation>, complaint: string): Reservation {
  let first: Reservation | null = null;
  for (const one of of) if (first === null || runsOutBefore(one, first)) first = one;
  if (first === null) throw new Error(complaint);
  return first;
}

/**
 * Takes a reservation off the books and puts its unit back on sale.
 * @param released whether it was given back; else its unit or its place went to somebody else
 */
export function end(state: LedgerState, reservation: Reservation, released: boolean): void {
  const { sale, itemId, buyer } = reservation;
  const holder = holderFor(sale, buyer);
  if (reservation.status === "live") {
    sale.live.remove(reservation);
    putBack(sale, itemId);
    holder.live -= 1;
  } else if (!dropLapsed(reservation)) {
    throw new Error(`${reservation.code}: what is not on the books cannot end`);
  }
  holder.open.delete(reservation);
  if (holder.open.size === 0 && holder.bought === 0) sale.holders[buyer.kind].delete(buyer.userId);
  reservation.status = "ended";
  sale.changes += 1;
  forget(state, reservation);
  const { seq, code, reservedAt, key, request } = reservation;
  const made = { seq, code, itemId, buyer, reservedAt, key, request };
  rememberEnded(state, { ...made, saleId: sale.terms.id, released, sold: null });
}

function rememberEnded(state: LedgerState, of: ArchivedCode): void {
  state.ended.delete(of.code);
  state.ended.set(of.code, { of, seq: state.seq });
  if (state.ended.size <= endedMax) return;
  for (const [oldest, { seq }] of state.ended) {
    state.ended.delete(oldest);
    state.endedUpTo = seq;
    return;
  }
}

/** Notes that a code which is not on the books any more was given back: it is not sold late. */
export function release(state: LedgerState, sale: SaleState, ended: ArchivedCode): void {
  sale.changes += 1;
  rememberEnded(state, { ...ended, released: true });
}

function dropLapsed(reservation: Reservation): boolean {
  const { sale, itemId } = reservation;
  const lapsed = sale.lapsed.get(itemId);
  if (lapsed?.delete(reservation) !== true) return false;
  if (lapsed.size === 0) sale.lapsed.delete(itemId);
  return true;
}

/** Sells the unit of a reservation that is on the books. */
export function sell(reservation: Reservation, seq: number, at: number): void {
  const { sale, itemId, buyer } = reservation;
  const holder = holderFor(sale, buyer);
  if (reservation.status === "live") {
    sale.live.remove(reservation);
    holder.live -= 1;
  } else {
    if (!dropLapsed(reservation)) throw new Error(`${reservation.code} is not on the books`);
    take(sale, itemId);
  }
  holder.open.delete(reservation);
  holder.bought += 1;
  const unit = (sale.soldOf[itemId - 1] ?? 0) + 1;
  sale.soldOf[itemId - 1] = unit;
  sale.soldUnits.push(reservation);
  sale.changes += 1;
  reservation.status = "sold";
  reservation.sold = { seq, at, unit, userOrdinal: holder.bought };
}

/** A reservation that had left the books, whose unit is sold after all. */
export function sellEnded(
  state: LedgerState,
  sale: SaleState,
  made: Made,
  seq: number,
  at: number,
): Reservation {
  state.ended.delete(made.code);
  const { code, itemId, buyer, reservedAt, key, request } = made;
  const back = reserve(state, sale, {
    seq: made.seq,
    code,
    itemId,
    buyer,
    reservedAt,
    key,
    request,
  });
  sell(back, seq, at);
  return back;
}

/**
 * Sells units in one go: those that the buyer has reserved of the item first, then others.
 * @param made as of the first unit that was not reserved before
 * @param own those that were: see `ownOf`
 */
export function buy(
  state: LedgerState,
  sale: SaleState,
  made: Made,
  own: readonly Reservation[],
  quantity: number,
): readonly Reservation[] {
  const units = own.slice(0, quantity);
  const reserved = units.length;
  for (const unit of units) sell(unit, made.seq, made.reservedAt);
  for (let index = 0; index < quantity - reserved; index += 1) {
    const code = unitCode(made.code, index);
    const unit = reserve(state, sale, { ...made, code, key: null, request: null });
    sell(unit, made.seq, made.reservedAt);
    units.push(unit);
  }
  const [first] = units;
  if (first !== undefined && made.key !== null) rememberUse(state, first, made.key, made.request);
  return units;
}

/** What a buyer has on the books of an item: what lives, and then what has lapsed, oldest first. */
export function ownOf(sale: SaleState, buyer: Buyer, itemId: number): Reservation[] {
  const open = Array.from(holderOf(sale, buyer)?.open ?? []);
  const own = open.filter((reservation) => reservation.itemId === itemId);
  const live = own.filter(({ status }) => status === "live");
  return [...live, ...own.filter(({ status }) => status !== "live")];
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
 * Moves the ledger's time on to `now` (ms), and returns it; it is never taken back. Whatever has
 * run out by then is free for others.
 */
export function advance(state: LedgerState, now: number): number {
  if (now > state.now) state.now = now;
  return state.now;
}

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
    const due = next.reservedAt + sale.terms.reservationTtlMs;
    if (next.reservedAt <= time && time < due) {
      // The clock that was ahead when it was made, or behind since, is right again: see `holdFrom`.
      next.deadline = due;
      sale.liveUpTo = Math.max(sale.liveUpTo, due);
      live.add(next);
      continue;
    }
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
 * clock that was ahead. If it is this one that is behind, and is set right before, that is undone.
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

function take(sale: SaleState, itemId: number): void {
  sale.free[itemId - 1] = (sale.free[itemId - 1] ?? 0) - 1;
  sale.available -= 1;
}

function putBack(sale: SaleState, itemId: number): void {
  sale.free[itemId - 1] = (sale.free[itemId - 1] ?? 0) + 1;
  sale.available += 1;
  sale.freeHint = Math.min(sale.freeHint, itemId - 1);
}

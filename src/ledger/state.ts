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
import { Deadlines } from "./deadlines.ts";
import type { Sale } from "./sale.ts";

export type Reservation = {
  /** Number of the attempt that made it. */
  readonly seq: number;
  readonly code: string;
  readonly sale: SaleState;
  readonly itemId: number;
  readonly buyer: Buyer;
  readonly reservedAt: number;
  /** When it runs out by what was said when it was made, or extended last. */
  due: number;
  /** Number of the attempt that extended it last; null for none. */
  extendedBy: number | null;
  /** When it runs out in this term, if the sale does not end before: see `expiresAt`. */
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
type EndedReservation = { readonly of: ArchivedCode; readonly seq: number };

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
  readonly ended: Map<string, EndedReservation>;
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
export const endedMax = 16_384;

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

export function dropUses(
  state: LedgerState,
  name: string,
  isDropped: (use: KeyUse) => boolean,
): void {
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

export function holderFor(sale: SaleState, { kind, userId }: Buyer): Holder {
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
 * When a live reservation of an item runs out, mostly the youngest. Where that time is past, or was
 * forgotten, those that live are looked through for the first to run out, and it is kept.
 */
export function lastDeadlineOf(sale: SaleState, index: number, now: number): number {
  const kept = sale.lastDeadline[index] ?? now;
  if (kept > now) return kept;
  let first = Infinity;
  for (const { itemId, deadline } of sale.live) {
    if (itemId === index + 1) first = Math.min(first, deadline);
  }
  sale.lastDeadline[index] = first === Infinity ? now : first;
  return sale.lastDeadline[index];
}

/** Units of an item that no reservation on the books has. */
export const untaken = (sale: SaleState, itemId: number): number =>
  (sale.free[itemId - 1] ?? 0) - (sale.lapsed.get(itemId)?.size ?? 0);

/** What a buyer has on the books of an item: what lives, and then what has lapsed, oldest first. */
export function ownOf(sale: SaleState, buyer: Buyer, itemId: number): Reservation[] {
  const open = Array.from(holderOf(sale, buyer)?.open ?? []);
  const own = open.filter((reservation) => reservation.itemId === itemId);
  const live = own.filter(({ status }) => status === "live");
  return [...live, ...own.filter(({ status }) => status !== "live")];
}

/**
 * Moves the ledger's time on to `now` (ms), and returns it; it is never taken back. Whatever has
 * run out by then is free for others.
 */
export function advance(state: LedgerState, now: number): number {
  if (now > state.now) state.now = now;
  return state.now;
}

export function take(sale: SaleState, itemId: number): void {
  sale.free[itemId - 1] = (sale.free[itemId - 1] ?? 0) - 1;
  sale.available -= 1;
}

export function putBack(sale: SaleState, itemId: number): void {
  sale.free[itemId - 1] = (sale.free[itemId - 1] ?? 0) + 1;
  sale.available += 1;
  sale.freeHint = Math.min(sale.freeHint, itemId - 1);
}

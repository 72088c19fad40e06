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
import type { ArchivedCode, Sold, Unit } from "./commands.ts";
import { Deadlines } from "./deadlines.ts";
import { noDraws, Queue, type Draws } from "./queue.ts";
import { settled, type Sale, type SettledSale } from "./sale.ts";
import { WaitingList } from "./waitlist.ts";

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
export type SoldUnit = Sold & {
  readonly unit: number;
  readonly userOrdinal: number;
  /** It was taken back and may be sold again, under another order. */
  readonly restocked: boolean;
};

/** What one buyer has in one sale: `bought` units and `open`, of which `live` have not lapsed. */
export type Holder = {
  /** Units that they own now. */
  bought: number;
  live: number;
  readonly open: Set<Reservation>;
  /** Numbers of theirs that what was taken back has left, ascending; null where nothing was. */
  freed: number[] | null;
};

export type SaleState = {
  /** As it was announced; its end may have been moved since. */
  terms: Sale;
  stock: number;
  /** Units that can be had, by item index: those of lapsed reservations too. */
  readonly free: Int32Array;
  /** Units that somebody owns, by item index. */
  readonly soldOf: Int32Array;
  /** Units that were sold and taken back, by item index; and of these, what is not on sale again. */
  readonly refundedOf: Int32Array;
  readonly takenOutOf: Int32Array;
  /** Numbers of units that were sold and are on sale again, ascending, by item. */
  readonly freed: Map<number, number[]>;
  /** When a reservation of an item runs out, the last that was made or seen: `lastDeadlineOf`. */
  readonly lastDeadline: Float64Array;
  readonly holders: Readonly<Record<BuyerKind, Map<string, Holder>>>;
  readonly live: Deadlines;
  /** Reservations that ran out and whose unit nobody took, by item, the first to run out first. */
  readonly lapsed: Map<number, Set<Reservation>>;
  /** No deadline of what has lapsed is later. */
  lapsedUpTo: number;
  /** Every unit that was sold, in that order: those that were taken back too. */
  readonly soldUnits: Reservation[];
  /** The names in `keys` that were used for something of it. */
  readonly keys: Set<string>;
  /** How many of them were taken back, and how many of these are not on sale again. */
  refunded: number;
  takenOut: number;
  /** Null where everybody gets in at once. */
  readonly queue: Queue | null;
  /** Null where nobody has waited. */
  waitingList: WaitingList | null;
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
  /** Those of them with a waiting list. */
  readonly waited: Set<SaleState>;
  /** Sales that are over and dropped from memory. */
  readonly settled: Map<number, SettledSale>;
  /** The last attempt when one was dropped: what was read of keys before may be stale. */
  settledUpTo: number;
  /** The last attempt that took something back: what was read of orders before may be stale. */
  refundedUpTo: number;
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
  /** Who draws the queues, and knows how they were drawn. */
  readonly draws: Draws;
};

/** Reservations that ended and are kept in memory; about half a second of the fastest flood. */
export const endedMax = 16_384;

export function emptyState(seq: number, now: number, draws: Draws = noDraws): LedgerState {
  return {
    seq,
    now,
    sales: new Map(),
    waited: new Set(),
    settled: new Map(),
    settledUpTo: seq,
    refundedUpTo: seq,
    codes: new Map(),
    ended: new Map(),
    endedUpTo: seq,
    keys: new Map(),
    coupons: new Map(),
    lastCouponId: 0,
    claimsHeld: 0,
    claimKeys: new Map(),
    draws,
  };
}

/** NUL cannot occur in a user id or a key, so the pair cannot be confused with another. */
export const keyOf = (buyer: Buyer, key: string): string => `${buyerId(buyer)}\0${key}`;

/**
 * Adds a sale that has just been stored, or was found stored, or puts it in the place of one that has
 * not opened, with its queue. `attempts` made so far.
 */
export function addSale(state: LedgerState, terms: Sale, attempts: number): SaleState {
  const stock = Array.from(terms.stock).reduce((sum, units) => sum + units, 0);
  const added: SaleState = {
    terms,
    stock,
    free: Int32Array.from(terms.stock),
    soldOf: new Int32Array(terms.stock.length),
    refundedOf: new Int32Array(terms.stock.length),
    takenOutOf: new Int32Array(terms.stock.length),
    freed: new Map(),
    lastDeadline: new Float64Array(terms.stock.length),
    holders: { guest: new Map(), account: new Map(), customer: new Map() },
    live: new Deadlines(),
    lapsed: new Map(),
    lapsedUpTo: -Infinity,
    soldUnits: [],
    keys: new Set(),
    refunded: 0,
    takenOut: 0,
    queue: queueOf(state, terms),
    waitingList: null,
    available: stock,
    attempts,
    changes: 0,
    freeHint: 0,
    changing: false,
  };
  state.sales.set(terms.id, added);
  return added;
}

/** Who has joined stays, whatever is changed of a sale before it opens; it opens when that says. */
function queueOf(state: LedgerState, { id, startsAt, entry }: Sale): Queue | null {
  if (entry.kind === "open") return null;
  const queue = state.sales.get(id)?.queue;
  if (queue == null) {
    const first = { admitPerSecond: entry.admitPerSecond, paused: false };
    return new Queue(id, startsAt, first, state.draws);
  }
  queue.moveOpening(startsAt);
  return queue;
}

export function waitingListOf(state: LedgerState, sale: SaleState): WaitingList {
  if (sale.waitingList === null) {
    sale.waitingList = new WaitingList();
    state.waited.add(sale);
  }
  return sale.waitingList;
}

/** A sale opens or ends at another time than was said. */
export function setTimes(
  sale: SaleState,
  times: Pick<Sale, "startsAt" | "endsAt" | "closed">,
): void {
  sale.terms = { ...sale.terms, ...times };
  sale.queue?.moveOpening(times.startsAt);
}

/** Forgets nearly all of a sale; its codes and its keys are answered from the records. */
export function settleSale(state: LedgerState, sale: SaleState): void {
  dropSale(state, sale);
  state.endedUpTo = state.seq;
  state.settledUpTo = state.seq;
  state.settled.set(sale.terms.id, settled(sale.terms));
}

/** Forgets all of a sale. Of one that is withdrawn, too: what a clock that went back has left of it. */
export function dropSale(state: LedgerState, sale: SaleState): void {
  for (const { code } of onBooks(sale)) state.codes.delete(code);
  for (const { code } of sale.soldUnits) state.codes.delete(code);
  // Of all keys there may be a million, of other sales.
  for (const key of sale.keys) {
    if (state.keys.get(key)?.next === null) state.keys.delete(key);
    else dropUses(state, key, ({ of }) => of.sale === sale);
  }
  for (const [code, { of }] of state.ended) {
    if (of.saleId === sale.terms.id) state.ended.delete(code);
  }
  state.sales.delete(sale.terms.id);
  state.waited.delete(sale);
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
  of.sale.keys.add(name);
}

export function dropUses(
  state: LedgerState,
  name: string,
  isDropped: (use: KeyUse) => boolean,
): void {
  const uses = Array.from(usesOf(state, name));
  if (!uses.some(isDropped)) return;
  const kept = uses.filter((use) => !isDropped(use));
  for (const { of } of uses) of.sale.keys.delete(name);
  for (const { of } of kept) of.sale.keys.add(name);
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

/** What an answer says of a reservation. A copy: the reservation goes on changing. */
export function unitOf(reservation: Reservation): Unit {
  const { code, itemId, buyer, sale, sold } = reservation;
  return { code, itemId, buyer, saleId: sale.terms.id, expiresAt: expiresAt(reservation), sold };
}

/** Units of a sale that somebody owns. */
export const soldIn = (sale: SaleState): number => sale.soldUnits.length - sale.refunded;

/** Units of an item that are neither sold nor taken out. */
export const unsoldOf = (sale: SaleState, index: number): number =>
  (sale.terms.stock[index] ?? 0) - (sale.soldOf[index] ?? 0) - (sale.takenOutOf[index] ?? 0);

export const holderOf = (sale: SaleState, { kind, userId }: Buyer): Holder | undefined =>
  sale.holders[kind].get(userId);

export function holderFor(sale: SaleState, { kind, userId }: Buyer): Holder {
  const holders = sale.holders[kind];
  let holder = holders.get(userId);
  if (holder === undefined) {
    holder = { bought: 0, live: 0, open: new Set(), freed: null };
    holders.set(userId, holder);
  }
  return holder;
}

/** In a queue: notes when a buyer held or bought something; see `ticketAt`. */
export function noteActive({ queue }: SaleState, buyer: Buyer, at: number): void {
  const own = queue === null ? 0 : queue.tickets.ofBuyer(buyer);
  if (own !== 0) queue?.tickets.noteActive(own, at);
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

/** Adds units of an item that nobody had before. */
export function addUnits(sale: SaleState, itemId: number, units: number): void {
  const stock = Int32Array.from(sale.terms.stock);
  stock[itemId - 1] = (stock[itemId - 1] ?? 0) + units;
  sale.terms = { ...sale.terms, stock };
  sale.stock += units;
  sale.free[itemId - 1] = (sale.free[itemId - 1] ?? 0) + units;
  sale.available += units;
  sale.freeHint = Math.min(sale.freeHint, itemId - 1);
  sale.waitingList?.noteFreed(itemId);
  sale.changes += 1;
}

export function putBack(sale: SaleState, itemId: number): void {
  sale.free[itemId - 1] = (sale.free[itemId - 1] ?? 0) + 1;
  sale.available += 1;
  sale.freeHint = Math.min(sale.freeHint, itemId - 1);
  sale.waitingList?.noteFreed(itemId);
}

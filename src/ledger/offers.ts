/**
 * Waiting for what is sold or reserved, and being offered what comes free: the rules.
 *
 * Whatever is due is decided before a command of anybody else, at the same time: see `nextOffer`. A
 * buyer whose limit is full is passed over and keeps their place.
 */
import { barredFromWaiting } from "./admission.ts";
import { reserve } from "./books.ts";
import { isProven, type Buyer } from "./buyers.ts";
import type {
  Offer,
  OfferOutcome,
  WaitlistJoin,
  WaitlistJoinOutcome,
  WaitlistLeave,
  WaitlistLeaveOutcome,
} from "./commands.ts";
import { expire, touch } from "./lapses.ts";
import { hasItem, heldBy, isSoldOut, notOpen, youngestOf } from "./refusals.ts";
import {
  holderOf,
  isOpen,
  lowestFreeItem,
  unitOf,
  unsoldOf,
  waitingListOf,
  type LedgerState,
  type SaleState,
} from "./state.ts";
import { openLinesMax, ownLinesMax, saleLinesMax } from "./waitlist.ts";

export function decideWaitlistJoin(
  state: LedgerState,
  command: WaitlistJoin,
  now: number,
): WaitlistJoinOutcome {
  const { buyer, item } = command;
  if (command.sale === "unknown") return { word: "sale_not_found", saleId: null };
  const saleId = command.sale;
  const sale = state.sales.get(saleId);
  if (sale !== undefined) touch(sale, now);
  else if (!state.settled.has(saleId)) return { word: "sale_not_found", saleId };
  if (!isProven(buyer)) return { word: "unauthenticated", saleId };
  if (sale === undefined) return { word: "sale_not_open", saleId, opensAt: null };
  if (item !== "any" && !hasItem(sale, item - 1)) return { word: "item_not_found", saleId };
  if (!isOpen(sale, now)) return notOpen(sale, now);
  const refused = barredFromWaiting(sale, buyer, now);
  if (refused !== null) return refused;
  const own = sale.waitingList?.of(buyer) ?? [];
  if (own.some((line) => line.item === item)) return { word: "waiting_again", saleId };
  if (canBeHad(sale, buyer, item)) return { word: "available", saleId };
  if ((holderOf(sale, buyer)?.bought ?? 0) >= sale.terms.perUserLimit) {
    return { word: "user_limit_reached", saleId, retryAt: null };
  }
  if (own.length >= ownLinesMax) return { word: "too_many_lines", saleId };
  if (isFull(state, sale, now)) return { word: "waitlist_full", saleId };

  // From here on nothing can be refused.
  join(state, sale, { seq: state.seq, at: now, buyer, item });
  return { word: "waiting", saleId };
}

/** Whether a checkout would give them something: what is free, or what they hold already. */
function canBeHad(sale: SaleState, buyer: Buyer, item: number | "any"): boolean {
  if (isSoldOut(sale) || (item !== "any" && unsoldOf(sale, item - 1) === 0)) return false;
  const free = item === "any" ? sale.available : (sale.free[item - 1] ?? 0);
  return free > 0 || youngestOf(holderOf(sale, buyer), item) !== undefined;
}

function isFull(state: LedgerState, sale: SaleState, now: number): boolean {
  if ((sale.waitingList?.size ?? 0) >= saleLinesMax) return true;
  let lines = 0;
  for (const other of state.waited) if (isOpen(other, now)) lines += other.waitingList?.size ?? 0;
  return lines >= openLinesMax;
}

/** Puts somebody at the end of a line. */
export function join(
  state: LedgerState,
  sale: SaleState,
  of: {
    readonly seq: number;
    readonly at: number;
    readonly buyer: Buyer;
    readonly item: number | "any";
  },
): void {
  const { seq, at: joinedAt, buyer, item } = of;
  const line = { buyer, item, seq, joinedAt, place: seq, lapses: 0, offer: null };
  waitingListOf(state, sale).add(line);
  sale.changes += 1;
}

export function decideWaitlistLeave(
  state: LedgerState,
  { buyer, sale: saleId }: WaitlistLeave,
  now: number,
): WaitlistLeaveOutcome {
  if (saleId === "unknown") return { word: "sale_not_found", saleId: null };
  const sale = state.sales.get(saleId);
  if (sale === undefined) {
    return { word: state.settled.has(saleId) ? "not_waiting" : "sale_not_found", saleId };
  }
  touch(sale, now);
  return { word: leave(sale, buyer) ? "left" : "not_waiting", saleId };
}

/** @returns whether there was a line to leave */
export function leave(sale: SaleState, buyer: Buyer): boolean {
  sale.changes += 1;
  return sale.waitingList?.leave(buyer) ?? false;
}

const mayHave =
  (sale: SaleState) =>
  (buyer: Buyer): boolean => {
    const holder = holderOf(sale, buyer);
    return holder === undefined || heldBy(holder) < sale.terms.perUserLimit;
  };

/** A unit that is free: of an item, or where that is 0 the lowest of any. */
const freeItem =
  (sale: SaleState) =>
  (itemId: number): number | null => {
    if (itemId === 0) return sale.available > 0 ? lowestFreeItem(sale) : null;
    return (sale.free[itemId - 1] ?? 0) > 0 ? itemId : null;
  };

const nextFree = (sale: SaleState) =>
  sale.waitingList?.nextFree(freeItem(sale), mayHave(sale)) ?? null;

const nothingOwed: ReadonlyMap<number, number> = new Map();

/**
 * Units that are free at `now` (ms), by item, and can be had by who waits alone: nobody has decided yet
 * that they are offered.
 */
export function owedIn(sale: SaleState, now: number): ReadonlyMap<number, number> {
  if (sale.waitingList === null || sale.available === 0 || !isOpen(sale, now)) return nothingOwed;
  return sale.waitingList.owed(sale.free, mayHave(sale));
}

/** The sale of whose waiting list something is due at `now` (ms); null for none. */
export function saleWithOfferDue(state: LedgerState, now: number): number | null {
  for (const sale of state.waited) {
    expire(sale, now);
    if (!isOpen(sale, now)) continue;
    if (sale.waitingList?.nextLapsed() != null || nextFree(sale) !== null) return sale.terms.id;
  }
  return null;
}

/** @throws Error where nothing is due: see `saleWithOfferDue` */
export function decideOffer(
  state: LedgerState,
  { saleId, code }: Offer,
  now: number,
): OfferOutcome {
  const sale = state.sales.get(saleId);
  if (sale === undefined || sale.waitingList === null || !isOpen(sale, now)) {
    throw new Error(`nobody can be offered anything of sale ${saleId}`);
  }
  touch(sale, now);
  const lapsed = sale.waitingList.nextLapsed();
  if (lapsed?.offer != null) {
    const { offer, buyer } = lapsed;
    lapseOffer(sale, offer.code, state.seq);
    return { word: "offer_lapsed", of: { ...offer, saleId, buyer } };
  }
  const next = nextFree(sale);
  if (next === null) throw new Error(`nothing of sale ${saleId} is to be offered`);
  const { itemId } = next;
  const { buyer, seq, lapses } = next.line;
  const made = { seq: state.seq, code, itemId, buyer, reservedAt: now, key: null, request: null };
  const reservation = reserve(state, sale, made);
  sale.waitingList.offer(buyer, itemId, code);
  return {
    word: "reserved",
    reservation: unitOf(reservation),
    joinedBy: seq,
    ordinal: lapses + 1,
  };
}

export function lapseOffer(sale: SaleState, code: string, seq: number): void {
  sale.waitingList?.lapse(code, seq);
  sale.changes += 1;
}

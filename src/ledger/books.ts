/**
 * What is put on the books of a sale and taken off them: reservations made, extended, ended and sold. The
 * functions assume that the caller has checked every rule; where one reservation takes the place of
 * another, which one that is follows from the books alone.
 */
import type { ArchivedCode } from "./commands.ts";
import { runsOutBefore } from "./deadlines.ts";
import {
  dropUses,
  endedMax,
  holderFor,
  keyOf,
  noteActive,
  putBack,
  rememberUse,
  take,
  untaken,
  type Holder,
  type LedgerState,
  type Reservation,
  type SaleState,
  type SoldUnit,
} from "./state.ts";

/** What a reservation is made of. */
export type NewReservation = Pick<
  Reservation,
  "seq" | "code" | "itemId" | "buyer" | "reservedAt" | "key" | "request"
>;

/** What was said of when a reservation runs out. */
type Said = Pick<Reservation, "due" | "extendedBy">;

/**
 * Puts a reservation on the books. Where that takes the place of another one, of the buyer's
 * within their limit or of the item's units, that one has lapsed: the first to run out. The same
 * rule reads the journal, without asking what the time was, or what became of other sales.
 * @param said when it runs out: the TTL after its making, unless the records say otherwise
 */
export function reserve(
  state: LedgerState,
  sale: SaleState,
  made: NewReservation,
  said: Said = { due: made.reservedAt + sale.terms.reservationTtlMs, extendedBy: null },
): Reservation {
  const { itemId, buyer, key, request } = made;
  const holder = holderFor(sale, buyer);
  if (holder.bought + holder.open.size >= sale.terms.perUserLimit) {
    end(state, firstToRunOut(holder.open, `${made.code}: its buyer is over the limit`), null);
    // It may have been all that they had.
    return reserve(state, sale, made, said);
  }
  if (untaken(sale, itemId) === 0) end(state, firstOfItem(sale, made), null);
  // Ending another one of theirs may have left the buyer with nothing.
  const of = holderFor(sale, buyer);
  const reservation: Reservation = {
    ...made,
    sale,
    ...said,
    deadline: said.due,
    status: "live",
    place: -1,
    sold: null,
  };
  take(sale, itemId);
  of.open.add(reservation);
  of.live += 1;
  sale.live.add(reservation);
  sale.changes += 1;
  sale.lastDeadline[itemId - 1] = said.due;
  state.codes.set(made.code, reservation);
  if (key !== null) rememberUse(state, reservation, key, request);
  return reservation;
}

/** The reservation of an item that ran out first, or will. */
function firstOfItem(sale: SaleState, { itemId, code }: NewReservation): Reservation {
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
 * @param releasedAt when it was given back, ms; null: its unit or its place went to somebody else
 */
export function end(state: LedgerState, reservation: Reservation, releasedAt: number | null): void {
  const { sale, itemId, buyer } = reservation;
  const holder = holderFor(sale, buyer);
  if (reservation.status === "live") {
    sale.live.remove(reservation);
    putBack(sale, itemId);
    holder.live -= 1;
    noteActive(sale, buyer, releasedAt ?? reservation.deadline);
  } else if (!dropLapsed(reservation)) {
    throw new Error(`${reservation.code}: what is not on the books cannot end`);
  }
  holder.open.delete(reservation);
  if (holder.open.size === 0 && holder.bought === 0) sale.holders[buyer.kind].delete(buyer.userId);
  reservation.status = "ended";
  sale.changes += 1;
  if (releasedAt !== null) sale.waitingList?.close(reservation.code);
  sale.waitingList?.noteLess(buyer);
  forget(state, reservation);
  const { seq, code, reservedAt, key, request } = reservation;
  const made = { seq, code, itemId, buyer, reservedAt, key, request };
  rememberEnded(state, {
    ...made,
    saleId: sale.terms.id,
    released: releasedAt !== null,
    sold: null,
  });
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

/**
 * Notes that a code which is not on the books any more was given back: it is not sold late, and whoever
 * it was offered to does not wait for another.
 */
export function release(state: LedgerState, sale: SaleState, ended: ArchivedCode): void {
  sale.changes += 1;
  sale.waitingList?.close(ended.code);
  rememberEnded(state, { ...ended, released: true });
}

function forget(state: LedgerState, reservation: Reservation): void {
  state.codes.delete(reservation.code);
  if (reservation.key === null) return;
  dropUses(state, keyOf(reservation.buyer, reservation.key), ({ of }) => of === reservation);
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
  const unit = unitNumber(sale, itemId);
  const userOrdinal = holder.freed?.shift() ?? holder.bought + 1;
  holder.bought += 1;
  sale.soldOf[itemId - 1] = (sale.soldOf[itemId - 1] ?? 0) + 1;
  sale.soldUnits.push(reservation);
  sale.changes += 1;
  reservation.status = "sold";
  reservation.sold = { seq, at, unit, userOrdinal, refundedBy: null, restocked: false };
  sale.waitingList?.close(reservation.code);
  noteActive(sale, buyer, at);
}

/**
 * The lowest number of an item's units that nobody has. All up to the highest ever given are taken,
 * but for those that were freed.
 */
function unitNumber(sale: SaleState, itemId: number): number {
  const freed = sale.freed.size === 0 ? undefined : sale.freed.get(itemId);
  const [lowest] = freed ?? [];
  if (freed === undefined || lowest === undefined) {
    return (sale.soldOf[itemId - 1] ?? 0) + (sale.takenOutOf[itemId - 1] ?? 0) + 1;
  }
  freed.shift();
  if (freed.length === 0) sale.freed.delete(itemId);
  return lowest;
}

/** Takes back a unit that is sold. @param restocked whether it is on sale again */
export function refund(reservation: Reservation, seq: number, restocked: boolean): void {
  const { sale, itemId, buyer, sold, code } = reservation;
  if (sold === null || sold.refundedBy !== null) throw new Error(`${code} is nobody's to refund`);
  const holder = holderFor(sale, buyer);
  holder.bought -= 1;
  holder.freed = withNumber(holder.freed ?? [], sold.userOrdinal);
  if (holder.open.size === 0 && holder.bought === 0) sale.holders[buyer.kind].delete(buyer.userId);
  sale.soldOf[itemId - 1] = (sale.soldOf[itemId - 1] ?? 0) - 1;
  sale.refundedOf[itemId - 1] = (sale.refundedOf[itemId - 1] ?? 0) + 1;
  sale.refunded += 1;
  sale.changes += 1;
  reservation.sold = { ...sold, refundedBy: seq, restocked };
  sale.waitingList?.noteLess(buyer);
  if (restocked) {
    sale.freed.set(itemId, withNumber(sale.freed.get(itemId) ?? [], sold.unit));
    putBack(sale, itemId);
  } else {
    sale.takenOutOf[itemId - 1] = (sale.takenOutOf[itemId - 1] ?? 0) + 1;
    sale.takenOut += 1;
  }
}

/** The same numbers with another, ascending: its place is found by halves, for there may be many. */
function withNumber(numbers: number[], number: number): number[] {
  let [low, high] = [0, numbers.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((numbers[middle] ?? 0) < number) low = middle + 1;
    else high = middle;
  }
  if (numbers[low] !== number) numbers.splice(low, 0, number);
  return numbers;
}

/** A unit that was sold, under the numbers that it was sold under. */
export type PutUnit = NewReservation & { readonly sold: SoldUnit };

/**
 * Puts units on the books that were sold, some of which may have been taken back since.
 * @param units in the order in which they were sold
 */
export function putSold(state: LedgerState, sale: SaleState, units: readonly PutUnit[]): void {
  const refunded: [of: Reservation, sold: SoldUnit & { readonly refundedBy: number }][] = [];
  for (const { sold, ...made } of units) {
    const { itemId, buyer, code, reservedAt } = made;
    const due = reservedAt + sale.terms.reservationTtlMs;
    const ends = { due, extendedBy: null, deadline: due };
    const kept = { ...sold, refundedBy: null, restocked: false };
    const of: Reservation = { ...made, sale, ...ends, status: "sold", place: -1, sold: kept };
    take(sale, itemId);
    holderFor(sale, buyer).bought += 1;
    sale.soldOf[itemId - 1] = (sale.soldOf[itemId - 1] ?? 0) + 1;
    sale.soldUnits.push(of);
    state.codes.set(code, of);
    if (made.key !== null) rememberUse(state, of, made.key, made.request);
    const { refundedBy } = sold;
    if (refundedBy !== null) refunded.push([of, { ...sold, refundedBy }]);
  }
  for (const [of, { refundedBy, restocked }] of refunded) refund(of, refundedBy, restocked);
  if (refunded.length > 0) dropTakenNumbers(sale);
}

/** What was taken back has left its numbers, and others may have been given them since. */
function dropTakenNumbers(sale: SaleState): void {
  const units = new Map<number, Set<number>>();
  const ordinals = new Map<Holder, Set<number>>();
  for (const { itemId, buyer, sold } of sale.soldUnits) {
    if (sold === null) continue;
    if (!sold.restocked && sale.freed.has(itemId)) addTo(units, itemId, sold.unit);
    if (sold.refundedBy !== null) continue;
    const holder = holderFor(sale, buyer);
    if (holder.freed !== null) addTo(ordinals, holder, sold.userOrdinal);
  }
  for (const [itemId, taken] of units) {
    const freed = (sale.freed.get(itemId) ?? []).filter((unit) => !taken.has(unit));
    if (freed.length > 0) sale.freed.set(itemId, freed);
    else sale.freed.delete(itemId);
  }
  for (const [holder, taken] of ordinals) {
    holder.freed = (holder.freed ?? []).filter((ordinal) => !taken.has(ordinal));
  }
}

function addTo<K>(numbers: Map<K, Set<number>>, of: K, number: number): void {
  const known = numbers.get(of);
  if (known === undefined) numbers.set(of, new Set([number]));
  else known.add(number);
}

/**
 * Holds the unit of a reservation that is on the books until `due`. It has its unit, lapsed or not,
 * and its place within the buyer's limit: one that had lapsed is live again.
 */
export function extend(reservation: Reservation, seq: number, due: number): void {
  const { sale, itemId, buyer } = reservation;
  if (reservation.status === "live") sale.live.remove(reservation);
  else {
    if (!dropLapsed(reservation)) throw new Error(`${reservation.code} is not on the books`);
    take(sale, itemId);
    holderFor(sale, buyer).live += 1;
    reservation.status = "live";
  }
  reservation.due = due;
  reservation.deadline = due;
  reservation.extendedBy = seq;
  sale.live.add(reservation);
  sale.changes += 1;
  // Others of the item may run out before it: who asks looks.
  sale.lastDeadline[itemId - 1] = 0;
}

/** A reservation that had left the books, whose unit is sold after all. */
export function sellEnded(
  state: LedgerState,
  sale: SaleState,
  made: NewReservation,
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
  // By the time of its making, which a clock may have said that was ahead.
  sale.lastDeadline[itemId - 1] = 0;
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
  made: NewReservation,
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

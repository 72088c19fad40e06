/**
 * The rules. One command, the state and the time go in; one outcome comes out, and the
 * state has changed accordingly. Each function lists its refusals first, in the order in
 * which the contract wants them, and changes the state only after the last of them.
 *
 * The time is not earlier than that of the decision before, and what had run out by it has lapsed
 * in the sale that is asked for.
 */
import { barred, decideChangeQueue, decideJoin } from "./admission.ts";
import { isProven } from "./buyers.ts";
import type {
  ArchivedCode,
  Buy,
  BuyOutcome,
  Checkout,
  CheckoutOutcome,
  Command,
  Extend,
  ExtendOutcome,
  Outcome,
  Purchase,
  PurchaseOutcome,
  Release,
  ReleaseOutcome,
  SoldUnit,
} from "./commands.ts";
import { extensionMsMax } from "./commands.ts";
import { knownCode } from "./codes.ts";
import {
  decideChangeCoupon,
  decideClaim,
  decideCreateCoupon,
  decideRemoveCoupon,
} from "./coupons.ts";
import { buy, end, extend, release, reserve, sell, sellEnded } from "./books.ts";
import { recall, requestOf } from "./keys.ts";
import { touch } from "./lapses.ts";
import { decideOffer, decideWaitlistJoin, decideWaitlistLeave } from "./offers.ts";
import { decideRefund } from "./refunds.ts";
import { hasItem, heldBy, isSoldOut, notOpen, youngestOf } from "./refusals.ts";
import { decideChangeSale, decideRestock, decideWithdraw } from "./sales.ts";
import {
  advance,
  expiresAt,
  holderOf,
  isOpen,
  isOver,
  lastDeadlineOf,
  lowestFreeItem,
  ownOf,
  unitOf,
  unsoldOf,
  type Holder,
  type LedgerState,
  type Reservation,
  type SaleState,
} from "./state.ts";

/** Reservations of a buyer that are looked through for the one that ends first. */
const ownLookedAtMax = 128;

/**
 * Decides one command. Every decision takes the next sequence number, a refusal too; only one that
 * needs the records first takes none. `now` (ms) earlier than the last decision's counts as that.
 */
export function decide(state: LedgerState, command: Command, now: number): Outcome {
  const at = advance(state, now);
  state.seq += 1;
  const outcome = decideAt(state, command, at);
  if (outcome.word === "look_up") state.seq -= 1;
  return outcome;
}

function decideAt(state: LedgerState, command: Command, now: number): Outcome {
  switch (command.kind) {
    case "checkout":
      return decideCheckout(state, command, now);
    case "purchase":
      return decidePurchase(state, command, now);
    case "release":
      return decideRelease(state, command, now);
    case "extend":
      return decideExtend(state, command, now);
    case "buy":
      return decideBuy(state, command, now);
    case "refund":
      return decideRefund(state, command, now);
    case "change_sale":
      return decideChangeSale(state, command, now);
    case "join":
      return decideJoin(state, command, now);
    case "change_queue":
      return decideChangeQueue(state, command, now);
    case "withdraw":
      return decideWithdraw(state, command, now);
    case "milestone":
      return { word: command.what, saleId: command.saleId };
    case "restock":
      return decideRestock(state, command, now);
    case "waitlist_join":
      return decideWaitlistJoin(state, command, now);
    case "waitlist_leave":
      return decideWaitlistLeave(state, command, now);
    case "offer":
      return decideOffer(state, command, now);
    case "create_coupon":
      return decideCreateCoupon(state, command, now);
    case "change_coupon":
      return decideChangeCoupon(state, command);
    case "remove_coupon":
      return decideRemoveCoupon(state, command);
    case "claim":
      return decideClaim(state, command, now);
    default:
      return command satisfies never;
  }
}

/** The hourly sale that is open at `now`, if any. */
export function currentSale(state: LedgerState, now: number): SaleState | null {
  for (const sale of state.sales.values()) {
    if (sale.terms.kind === "hourly" && isOpen(sale, now)) return sale;
  }
  return null;
}

/** Whether a sale, which may be settled, is for those alone who have proven who they are. */
function isForProven(state: LedgerState, sale: SaleState | null, saleId: number | null): boolean {
  const known = sale?.terms ?? (saleId === null ? undefined : state.settled.get(saleId));
  return known?.access === "proven";
}

function decideCheckout(state: LedgerState, command: Checkout, now: number): CheckoutOutcome {
  const { buyer, item, key } = command;
  const sale = saleAskedFor(state, command, now);
  const saleId = sale?.terms.id ?? (typeof command.sale === "number" ? command.sale : null);
  const remembered = recall(state, command, now);
  if (remembered === "look_up") return { word: "look_up" };
  if (sale !== null) touch(sale, now);
  if (isForProven(state, sale, saleId) && !isProven(buyer))
    return { word: "unauthenticated", saleId };

  const request = key === null ? null : requestOf(command);
  if (remembered !== null) {
    return remembered !== "claim" && remembered.request === request
      ? { word: "reserved_again", reservation: remembered.unit }
      : { word: "idempotency_key_reused", saleId };
  }

  if (sale === null) return refuseWithoutSale(state, command, saleId, now);
  const id = sale.terms.id;
  const index = item === "any" ? -1 : item - 1;
  if (index >= 0 && !hasItem(sale, index)) return { word: "item_not_found", saleId: id };
  if (!isOpen(sale, now)) return notOpen(sale, now);
  const refused = barred(sale, buyer, command.ticket ?? null, now);
  if (refused !== null) return refused;
  if (index >= 0 && isPriceChanged(sale, index, command))
    return { word: "price_changed", saleId: id };
  if (index >= 0 && unsoldOf(sale, index) === 0) return { word: "item_sold_out", saleId: id };
  if (isSoldOut(sale)) return { word: "sold_out", saleId: id };

  const noneFree = index < 0 ? sale.available === 0 : sale.free[index] === 0;
  // Most of a flood ends here, and a guest is told the same whoever they are.
  if (noneFree && !isProven(buyer)) return reservedByOthers(sale, index, now);
  const holder = holderOf(sale, buyer);
  const isFull = holder !== undefined && heldBy(holder) >= sale.terms.perUserLimit;
  if ((noneFree || isFull) && isProven(buyer)) {
    const own = youngestOf(holder, item);
    if (own !== undefined) {
      return isPriceChanged(sale, own.itemId - 1, command)
        ? { word: "price_changed", saleId: id }
        : { word: "reserved_again", reservation: unitOf(own) };
    }
  }
  if (noneFree) return reservedByOthers(sale, index, now);
  if (isFull) return limitReached(sale, holder, 1);
  const itemId = item === "any" ? lowestFreeItem(sale) : item;
  if (isPriceChanged(sale, itemId - 1, command)) return { word: "price_changed", saleId: id };

  // From here on nothing can be refused.
  const { code } = command;
  const made = { seq: state.seq, code, itemId, buyer, reservedAt: now, key, request };
  return { word: "reserved", reservation: unitOf(reserve(state, sale, made)) };
}

function refuseWithoutSale(
  state: LedgerState,
  { item, sale }: Checkout,
  saleId: number | null,
  now: number,
): CheckoutOutcome {
  if (sale === "current") {
    return { word: "sale_not_open", saleId, opensAt: nextOpening(state, now) };
  }
  const settled = saleId === null ? undefined : state.settled.get(saleId);
  if (settled === undefined) return { word: "sale_not_found", saleId };
  if (item !== "any" && item > settled.items) return { word: "item_not_found", saleId };
  return { word: "sale_not_open", saleId, opensAt: null };
}

const isPriceChanged = (
  { terms }: SaleState,
  index: number,
  { expectedPriceCents }: Checkout | Purchase | Buy,
): boolean => expectedPriceCents !== null && expectedPriceCents !== terms.priceCents[index];

/** Says when a unit of an item, or of any, may come free: not before, and mostly then. */
function reservedByOthers(sale: SaleState, index: number, at: number) {
  const deadline = index < 0 ? sale.live.first()?.deadline : lastDeadlineOf(sale, index, at);
  const retryAt = Math.min(deadline ?? at, sale.terms.endsAt);
  return { word: "item_reserved", saleId: sale.terms.id, retryAt, at } as const;
}

function limitReached(
  sale: SaleState,
  holder: Holder | undefined,
  quantity: number,
): CheckoutOutcome & { word: "user_limit_reached" } {
  const saleId = sale.terms.id;
  if (holder === undefined || holder.bought + quantity > sale.terms.perUserLimit) {
    return { word: "user_limit_reached", saleId, retryAt: null };
  }
  let soonest = Infinity;
  let left = ownLookedAtMax;
  for (const reservation of holder.open) {
    if (reservation.status === "live") soonest = Math.min(soonest, expiresAt(reservation));
    left -= 1;
    if (left === 0) break;
  }
  return { word: "user_limit_reached", saleId, retryAt: soonest === Infinity ? null : soonest };
}

function decidePurchase(state: LedgerState, command: Purchase, now: number): PurchaseOutcome {
  const known = knownCode(state, command);
  if (known === "look_up") return { word: "look_up" };
  if (known === null) return { word: "code_not_found", of: null };
  const { sale } = known;
  if (sale !== null) touch(sale, now);
  const of = known.is === "held" ? unitOf(known.of) : known.unit;
  if (of.sold !== null) return { word: "purchased_again", of };
  if (sale === null || isOver(sale, now)) return { word: "sale_ended", of };
  if (isPriceChanged(sale, of.itemId - 1, command)) return { word: "price_changed", of };
  if (known.is === "past" && !canSellLate(sale, known.of)) return { word: "code_expired", of };

  // From here on nothing can be refused: what is on the books has its unit, lapsed or not.
  if (known.is === "held") {
    sell(known.of, state.seq, now);
    return { word: "purchased", of: soldUnitOf(known.of) };
  }
  return { word: "purchased", of: soldUnitOf(sellEnded(state, sale, known.of, state.seq, now)) };
}

function canSellLate(sale: SaleState, { released, itemId, buyer }: ArchivedCode): boolean {
  if (released) return false;
  const holder = holderOf(sale, buyer);
  const held = holder === undefined ? 0 : heldBy(holder);
  return (sale.free[itemId - 1] ?? 0) > 0 && held < sale.terms.perUserLimit;
}

function decideRelease(state: LedgerState, command: Release, now: number): ReleaseOutcome {
  const known = knownCode(state, command);
  if (known === "look_up") return { word: "look_up" };
  if (known === null) return { word: "code_not_found", of: null };
  const { sale } = known;
  if (sale !== null) touch(sale, now);
  const of = known.is === "held" ? unitOf(known.of) : known.unit;
  if (of.sold !== null) return { word: "already_purchased", of };
  if (sale === null || (known.is === "past" && known.of.released)) {
    return { word: "released_again", of };
  }

  // From here on nothing can be refused. Of what had lapsed it is noted too: it is not sold late.
  if (known.is === "held") end(state, known.of, now);
  else release(state, sale, known.of);
  return { word: "released", of };
}

function decideExtend(state: LedgerState, command: Extend, now: number): ExtendOutcome {
  const known = knownCode(state, command);
  if (known === "look_up") return { word: "look_up" };
  if (known === null) return { word: "code_not_found", of: null };
  const { sale } = known;
  if (sale !== null) touch(sale, now);
  const of = known.is === "held" ? unitOf(known.of) : known.unit;
  if (of.sold !== null) return { word: "already_purchased", of };
  if (sale === null || isOver(sale, now)) return { word: "sale_ended", of };
  if (known.is === "past") return { word: "code_expired", of };

  // From here on nothing can be refused: what is on the books has its unit, lapsed or not.
  const due = Math.max(known.of.deadline, now + Math.min(command.ms, extensionMsMax));
  extend(known.of, state.seq, due);
  return { word: "extended", of: unitOf(known.of), due };
}

function decideBuy(state: LedgerState, command: Buy, now: number): BuyOutcome {
  const { buyer, itemId, quantity, key } = command;
  if (command.saleId === "unknown") return { word: "sale_not_found", saleId: null };
  const saleId = command.saleId;
  const sale = state.sales.get(saleId);
  const remembered = recall(state, command, now);
  if (remembered === "look_up") return { word: "look_up" };
  if (sale !== undefined) touch(sale, now);
  if (isForProven(state, sale ?? null, saleId) && !isProven(buyer)) {
    return { word: "unauthenticated", saleId };
  }

  const request = key === null ? null : requestOf(command);
  if (remembered !== null) {
    return remembered !== "claim" && remembered.request === request
      ? { word: "purchased_again", of: remembered.unit }
      : { word: "idempotency_key_reused", saleId };
  }

  if (sale === undefined) {
    return state.settled.has(saleId)
      ? { word: "sale_not_open", saleId, opensAt: null }
      : { word: "sale_not_found", saleId };
  }
  if (itemId === "unknown" || !hasItem(sale, itemId - 1)) return { word: "item_not_found", saleId };
  const index = itemId - 1;
  if (!isOpen(sale, now)) return notOpen(sale, now);
  const refused = barred(sale, buyer, command.ticket ?? null, now);
  if (refused !== null) return refused;
  if (isPriceChanged(sale, index, command)) return { word: "price_changed", saleId };
  if (unsoldOf(sale, index) < quantity) return { word: "item_sold_out", saleId };

  const holder = holderOf(sale, buyer);
  const own = ownOf(sale, buyer, itemId).slice(0, quantity);
  const ownLive = own.filter(({ status }) => status === "live").length;
  // What lapsed of theirs is free to others, and they have it first.
  const free = (sale.free[index] ?? 0) + ownLive;
  if (free < quantity) return reservedByOthers(sale, index, now);
  const held = holder === undefined ? 0 : heldBy(holder) - ownLive;
  if (held + quantity > sale.terms.perUserLimit) return limitReached(sale, holder, quantity);

  // From here on nothing can be refused.
  const { code } = command;
  const made = { seq: state.seq, code, itemId, buyer, reservedAt: now, key, request };
  return { word: "purchased", units: buy(state, sale, made, own, quantity).map(soldUnitOf) };
}

function saleAskedFor(state: LedgerState, { sale }: Checkout, now: number): SaleState | null {
  if (sale === "current") return currentSale(state, now);
  if (sale === "unknown") return null;
  return state.sales.get(sale) ?? null;
}

function nextOpening(state: LedgerState, now: number): number | null {
  let next: number | null = null;
  for (const { terms } of state.sales.values()) {
    if (terms.kind !== "hourly" || terms.startsAt <= now) continue;
    if (next === null || terms.startsAt < next) next = terms.startsAt;
  }
  return next;
}

function soldUnitOf(reservation: Reservation): SoldUnit {
  const { seq: reservedSeq, itemId, key, request, sale, sold } = reservation;
  if (sold === null) throw new Error(`${reservation.code} was sold and has no order`);
  const { unit, userOrdinal } = sold;
  const itemStock = sale.terms.stock[itemId - 1] ?? 0;
  const userLimit = sale.terms.perUserLimit;
  const limits = { itemStock, userLimit };
  return { ...unitOf(reservation), unit, userOrdinal, ...limits, reservedSeq, key, request };
}

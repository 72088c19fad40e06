/**
 * The rules. One command, the state and the time go in; one outcome comes out, and the
 * state has changed accordingly. Each function lists its refusals first, in the order in
 * which the contract wants them, and changes the state only after the last of them.
 *
 * The time is not earlier than that of the decision before, and what had run out by it has lapsed
 * in the sale that is asked for.
 */
import { isProven, type Buyer } from "./buyers.ts";
import type {
  ArchivedCode,
  Buy,
  BuyOutcome,
  ChangeSale,
  ChangeSaleOutcome,
  Checkout,
  CheckoutOutcome,
  Command,
  Outcome,
  Purchase,
  PurchaseOutcome,
  Release,
  ReleaseOutcome,
  SoldUnit,
  Unit,
} from "./commands.ts";
import { knownCode } from "./codes.ts";
import { decideClaim, decideCreateCoupon } from "./coupons.ts";
import { buy, end, release, reserve, sell, sellEnded } from "./books.ts";
import { expire } from "./lapses.ts";
import {
  advance,
  expiresAt,
  holderOf,
  isOpen,
  isOver,
  keyOf,
  lastDeadlineOf,
  lowestFreeItem,
  ownOf,
  usesOf,
  type Holder,
  type KeyUse,
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
    case "buy":
      return decideBuy(state, command, now);
    case "change_sale":
      return decideChangeSale(state, command, now);
    case "create_coupon":
      return decideCreateCoupon(state, command, now);
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
export function rememberedBy(
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

function decideCheckout(state: LedgerState, command: Checkout, now: number): CheckoutOutcome {
  const { buyer, item, key } = command;
  const sale = saleAskedFor(state, command, now);
  const saleId = sale?.terms.id ?? (typeof command.sale === "number" ? command.sale : null);
  if (sale !== null) touch(sale, now);
  if (sale?.terms.access === "proven" && !isProven(buyer))
    return { word: "unauthenticated", saleId };

  const request = key === null ? null : requestOf(command);
  const remembered = key === null ? null : rememberedBy(state, buyer, key, now);
  if (remembered !== null) {
    return remembered !== "claim" && remembered.request === request
      ? { word: "reserved_again", reservation: unitOf(remembered.of) }
      : { word: "idempotency_key_reused", saleId };
  }

  if (sale === null) return refuseWithoutSale(state, command, saleId, now);
  const id = sale.terms.id;
  const index = item === "any" ? -1 : item - 1;
  if (index >= 0 && !hasItem(sale, index)) return { word: "item_not_found", saleId: id };
  if (!isOpen(sale, now)) return notOpen(sale, now);
  if (index >= 0 && isPriceChanged(sale, index, command))
    return { word: "price_changed", saleId: id };
  if (index >= 0 && sale.soldOf[index] === sale.terms.stock[index]) {
    return { word: "item_sold_out", saleId: id };
  }
  if (sale.soldUnits.length === sale.stock) return { word: "sold_out", saleId: id };

  const holder = holderOf(sale, buyer);
  const noneFree = index < 0 ? sale.available === 0 : sale.free[index] === 0;
  const isFull = holder !== undefined && heldBy(holder) >= sale.terms.perUserLimit;
  if ((noneFree || isFull) && isProven(buyer)) {
    const own = youngestOf(holder, item);
    if (own !== undefined) {
      return isPriceChanged(sale, own.itemId - 1, command)
        ? { word: "price_changed", saleId: id }
        : { word: "reserved_again", reservation: unitOf(own) };
    }
  }
  if (noneFree) {
    const retryAt = freeAgainAt(sale, index, now);
    return { word: "item_reserved", saleId: id, retryAt, at: now };
  }
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
  const items = saleId === null ? undefined : state.settled.get(saleId);
  if (items === undefined) return { word: "sale_not_found", saleId };
  if (item !== "any" && item > items) return { word: "item_not_found", saleId };
  return { word: "sale_not_open", saleId, opensAt: null };
}

const hasItem = ({ terms }: SaleState, index: number): boolean => (terms.stock[index] ?? 0) > 0;

const notOpen = (sale: SaleState, now: number): CheckoutOutcome & { word: "sale_not_open" } => {
  const opensAt = now < sale.terms.startsAt && !isOver(sale, now) ? sale.terms.startsAt : null;
  return { word: "sale_not_open", saleId: sale.terms.id, opensAt };
};

const isPriceChanged = (
  { terms }: SaleState,
  index: number,
  { expectedPriceCents }: Checkout | Purchase | Buy,
): boolean => expectedPriceCents !== null && expectedPriceCents !== terms.priceCents[index];

/** What counts against a buyer's limit. */
const heldBy = ({ bought, live }: Holder): number => bought + live;

/** The reservation that a buyer made last, of the item or of any. */
function youngestOf(holder: Holder | undefined, item: number | "any"): Reservation | undefined {
  return Array.from(holder?.open ?? []).findLast(
    ({ status, itemId }) => status === "live" && (item === "any" || item === itemId),
  );
}

/** When a unit of an item, or of any, may come free: not before, and mostly then. */
function freeAgainAt(sale: SaleState, index: number, now: number): number {
  const deadline = index < 0 ? sale.live.first()?.deadline : lastDeadlineOf(sale, index, now);
  return Math.min(deadline ?? now, sale.terms.endsAt);
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
  if (known.is === "held") end(state, known.of, true);
  else release(state, sale, known.of);
  return { word: "released", of };
}

function decideBuy(state: LedgerState, command: Buy, now: number): BuyOutcome {
  const { buyer, itemId, quantity, key } = command;
  if (command.saleId === "unknown") return { word: "sale_not_found", saleId: null };
  const saleId = command.saleId;
  const sale = state.sales.get(saleId);
  if (sale !== undefined) touch(sale, now);
  if (sale?.terms.access === "proven" && !isProven(buyer)) {
    return { word: "unauthenticated", saleId };
  }

  const request = key === null ? null : requestOf(command);
  const remembered = key === null ? null : rememberedBy(state, buyer, key, now);
  if (remembered !== null) {
    return remembered !== "claim" && remembered.request === request
      ? { word: "purchased_again", of: unitOf(remembered.of) }
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
  if (isPriceChanged(sale, index, command)) return { word: "price_changed", saleId };
  const unsold = (sale.terms.stock[index] ?? 0) - (sale.soldOf[index] ?? 0);
  if (unsold < quantity) return { word: "item_sold_out", saleId };

  const holder = holderOf(sale, buyer);
  const own = ownOf(sale, buyer, itemId).slice(0, quantity);
  const ownLive = own.filter(({ status }) => status === "live").length;
  // What lapsed of theirs is free to others, and they have it first.
  const free = (sale.free[index] ?? 0) + ownLive;
  if (free < quantity) {
    return { word: "item_reserved", saleId, retryAt: freeAgainAt(sale, index, now), at: now };
  }
  const held = holder === undefined ? 0 : heldBy(holder) - ownLive;
  if (held + quantity > sale.terms.perUserLimit) return limitReached(sale, holder, quantity);

  // From here on nothing can be refused.
  const { code } = command;
  const made = { seq: state.seq, code, itemId, buyer, reservedAt: now, key, request };
  return { word: "purchased", units: buy(state, sale, made, own, quantity).map(soldUnitOf) };
}

function decideChangeSale(state: LedgerState, command: ChangeSale, now: number): ChangeSaleOutcome {
  const { saleId } = command;
  const sale = state.sales.get(saleId);
  if (sale === undefined) {
    return { word: state.settled.has(saleId) ? "sale_ended" : "sale_not_found", saleId };
  }
  touch(sale, now);
  const { startsAt, endsAt } = sale.terms;
  if (isOver(sale, now)) return { word: "sale_ended", saleId };
  if (command.endsAt === "now" && now < startsAt) return { word: "sale_not_open", saleId };
  if (command.endsAt !== "now" && command.endsAt <= endsAt)
    return { word: "end_not_later", saleId };

  // From here on nothing can be refused. What was sold in this millisecond was in time.
  const closed = command.endsAt === "now";
  const newEnd = command.endsAt === "now" ? now + 1 : command.endsAt;
  sale.terms = { ...sale.terms, endsAt: newEnd, closed };
  expire(sale, now);
  return { word: "sale_changed", saleId, endsAt: newEnd, closed };
}

/** Every decision about a sale counts as an attempt and sees no reservation that has run out. */
function touch(sale: SaleState, now: number): void {
  sale.attempts += 1;
  expire(sale, now);
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

/** What an answer says of a reservation. A copy: the reservation goes on changing. */
export function unitOf(reservation: Reservation): Unit {
  const { code, itemId, buyer, sale, sold } = reservation;
  return { code, itemId, buyer, saleId: sale.terms.id, expiresAt: expiresAt(reservation), sold };
}

function soldUnitOf(reservation: Reservation): SoldUnit {
  const { itemId, key, request, sale, sold } = reservation;
  if (sold === null) throw new Error(`${reservation.code} was sold and has no order`);
  const { unit, userOrdinal } = sold;
  const itemStock = sale.terms.stock[itemId - 1] ?? 0;
  const userLimit = sale.terms.perUserLimit;
  return { ...unitOf(reservation), unit, userOrdinal, itemStock, userLimit, key, request };
}

/**
 * The rules. One command, the state and the time go in; one outcome comes out, and the
 * state has changed accordingly. Each function lists its refusals first, in the order in
 * which the contract wants them, and changes the state only after the last of them.
 */
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
} from "./commands.ts";
import { decideClaim, decideCreateCoupon } from "./coupons.ts";
import {
  advance,
  buy,
  expire,
  giveBack,
  keyOf,
  lowestFreeItem,
  moveEnd,
  rememberedBy,
  reserve,
  sell,
  soonestExpiry,
  trimLapsed,
  type LedgerState,
  type Reservation,
  type SaleState,
} from "./state.ts";

/**
 * Decides one command. Every decision takes the next sequence number, a refusal too.
 * `now` (ms) earlier than the last decision's counts as the last decision's.
 */
export function decide(state: LedgerState, command: Command, now: number): Outcome {
  const at = advance(state, now);
  state.seq += 1;
  switch (command.kind) {
    case "checkout":
      return decideCheckout(state, command, at);
    case "purchase":
      return decidePurchase(state, command, at);
    case "release":
      return decideRelease(state, command, at);
    case "buy":
      return decideBuy(state, command, at);
    case "change_sale":
      return decideChangeSale(state, command, at);
    case "create_coupon":
      return decideCreateCoupon(state, command, at);
    case "claim":
      return decideClaim(state, command, at);
    default:
      return command satisfies never;
  }
}

/** The hourly sale that is open at `now`, if any. */
export function currentSale(state: LedgerState, now: number): SaleState | null {
  for (const sale of state.sales.values()) {
    if (sale.sale.kind === "hourly" && isOpen(sale, now)) return sale;
  }
  return null;
}

export const isOpen = ({ sale }: SaleState, now: number): boolean =>
  sale.startsAt <= now && now < sale.endsAt;

/** The parameters that an idempotency key stands for, in one canonical line. */
export function requestOf({ item, sale }: Checkout): string {
  return sale === "current" ? `id=${item}` : `id=${item}&sale_id=${sale}`;
}

function decideCheckout(state: LedgerState, command: Checkout, now: number): CheckoutOutcome {
  const { userId, item, key } = command;
  const sale = saleAskedFor(state, command, now);
  const saleId = sale?.sale.id ?? (typeof command.sale === "number" ? command.sale : null);
  if (sale !== null) {
    touch(sale, now);
    trimLapsed(state, sale);
  }

  const request = key === null ? null : requestOf(command);
  if (key !== null) {
    const remembered = rememberedBy(state, userId, key, now);
    if (remembered !== null) {
      return remembered.request === request
        ? { word: "reserved_again", reservation: remembered }
        : { word: "idempotency_key_reused", saleId };
    }
    if (state.claimKeys.has(keyOf(userId, key))) return { word: "idempotency_key_reused", saleId };
  }

  if (sale === null) {
    const items = saleId === null ? undefined : state.settled.get(saleId);
    if (command.sale !== "current" && items === undefined) {
      return { word: "sale_not_found", saleId };
    }
    if (items !== undefined && item !== "any" && item > items) {
      return { word: "item_not_found", saleId };
    }
    const opensAt = command.sale === "current" ? nextOpening(state, now) : null;
    return { word: "sale_not_open", saleId, opensAt };
  }
  const id = sale.sale.id;
  const index = item === "any" ? -1 : item - 1;
  if (index >= sale.free.length) return { word: "item_not_found", saleId: id };
  if (now < sale.sale.startsAt) {
    return { word: "sale_not_open", saleId: id, opensAt: sale.sale.startsAt };
  }
  if (now >= sale.sale.endsAt) return { word: "sale_not_open", saleId: id, opensAt: null };
  if (index >= 0 && sale.soldOf[index] === sale.sale.stock[index]) {
    return { word: "item_sold_out", saleId: id };
  }
  if (sale.sold === sale.stock) return { word: "sold_out", saleId: id };

  const buyer = sale.buyers.get(userId);
  if (index < 0 ? sale.available === 0 : sale.free[index] === 0) {
    const own = buyer?.live.findLast((reservation) => reservation.itemId === item);
    if (own !== undefined) return { word: "reserved_again", reservation: own };
    const retryAt = index < 0 ? soonestExpiry(sale) : sale.lastExpiry[index];
    return { word: "item_reserved", saleId: id, retryAt: retryAt ?? now };
  }
  if (buyer !== undefined && buyer.bought + buyer.live.length >= sale.sale.perUserLimit) {
    return { word: "user_limit_reached", saleId: id };
  }

  // From here on nothing can be refused.
  const itemId = item === "any" ? lowestFreeItem(sale) : item;
  const made = { code: command.code, itemId, userId, key, request };
  return { word: "reserved", reservation: reserve(state, sale, made, now) };
}

function decidePurchase(state: LedgerState, command: Purchase, now: number): PurchaseOutcome {
  const reservation = state.codes.get(command.code);
  if (reservation === undefined) return decideArchivedPurchase(state, command.archived, now);
  const { sale } = reservation;
  touch(sale, now);

  if (reservation.status === "sold") return { word: "purchased_again", of: reservation };
  if (now >= sale.sale.endsAt) return { word: "sale_ended", of: reservation };
  if (reservation.status === "released") return { word: "code_expired", of: reservation };
  if (reservation.status === "lapsed" && !unitStillFree(reservation)) {
    return { word: "code_expired", of: reservation };
  }

  // From here on nothing can be refused.
  sell(reservation, state.seq, now);
  return { word: "purchased", of: reservation };
}

function decideArchivedPurchase(
  state: LedgerState,
  archived: ArchivedCode | null,
  now: number,
): PurchaseOutcome {
  if (archived === null) return { word: "code_not_found", of: null };
  countArchived(state, archived);
  if (archived.sold !== null) return { word: "purchased_again", of: archived };
  const sale = state.sales.get(archived.saleId);
  const selling = sale !== undefined && now < sale.sale.endsAt;
  return { word: selling ? "code_expired" : "sale_ended", of: archived };
}

function decideRelease(state: LedgerState, command: Release, now: number): ReleaseOutcome {
  const reservation = state.codes.get(command.code);
  if (reservation === undefined) {
    if (command.archived === null) return { word: "code_not_found", of: null };
    countArchived(state, command.archived);
    const word = command.archived.sold === null ? "released_again" : "already_purchased";
    return { word, of: command.archived };
  }
  touch(reservation.sale, now);

  if (reservation.status === "sold") return { word: "already_purchased", of: reservation };
  if (reservation.status !== "live") return { word: "released_again", of: reservation };

  // From here on nothing can be refused.
  giveBack(reservation, "released");
  return { word: "released", of: reservation };
}

function decideBuy(state: LedgerState, command: Buy, now: number): BuyOutcome {
  const { userId, saleId, itemId, quantity } = command;
  const sale = state.sales.get(saleId);
  if (sale === undefined) {
    return state.settled.has(saleId)
      ? { word: "sale_not_open", saleId, opensAt: null }
      : { word: "sale_not_found", saleId };
  }
  touch(sale, now);
  const index = itemId - 1;
  if (index >= sale.free.length) return { word: "item_not_found", saleId };
  if (now < sale.sale.startsAt) {
    return { word: "sale_not_open", saleId, opensAt: sale.sale.startsAt };
  }
  if (now >= sale.sale.endsAt) return { word: "sale_not_open", saleId, opensAt: null };
  const unsold = (sale.sale.stock[index] ?? 0) - (sale.soldOf[index] ?? 0);
  if (unsold < quantity) return { word: "item_sold_out", saleId };
  if ((sale.free[index] ?? 0) < quantity) {
    return { word: "item_reserved", saleId, retryAt: sale.lastExpiry[index] ?? now };
  }
  const buyer = sale.buyers.get(userId);
  const held = buyer === undefined ? 0 : buyer.bought + buyer.live.length;
  if (held + quantity > sale.sale.perUserLimit) return { word: "user_limit_reached", saleId };

  // From here on nothing can be refused.
  const units = buy(state, sale, command, quantity, { seq: state.seq, at: now });
  return { word: "purchased", units };
}

function decideChangeSale(state: LedgerState, command: ChangeSale, now: number): ChangeSaleOutcome {
  const { saleId } = command;
  const sale = state.sales.get(saleId);
  if (sale === undefined) {
    return { word: state.settled.has(saleId) ? "sale_ended" : "sale_not_found", saleId };
  }
  touch(sale, now);
  const { startsAt, endsAt } = sale.sale;
  if (now >= endsAt) return { word: "sale_ended", saleId };
  if (command.endsAt === "now" && now < startsAt) return { word: "sale_not_open", saleId };
  if (command.endsAt !== "now" && command.endsAt <= endsAt)
    return { word: "end_not_later", saleId };

  // From here on nothing can be refused. What was sold in this millisecond was in time.
  const newEnd = command.endsAt === "now" ? now + 1 : command.endsAt;
  moveEnd(sale, newEnd);
  return { word: "sale_changed", saleId, endsAt: newEnd };
}

/** Every decision about a sale counts as an attempt and sees no reservation that has run out. */
function touch(sale: SaleState, now: number): void {
  sale.attempts += 1;
  expire(sale, now);
}

function countArchived(state: LedgerState, { saleId }: ArchivedCode): void {
  const sale = state.sales.get(saleId);
  if (sale !== undefined) sale.attempts += 1;
}

function saleAskedFor(state: LedgerState, { sale }: Checkout, now: number): SaleState | null {
  if (sale === "current") return currentSale(state, now);
  if (sale === "unknown") return null;
  return state.sales.get(sale) ?? null;
}

function nextOpening(state: LedgerState, now: number): number | null {
  let next: number | null = null;
  for (const { sale } of state.sales.values()) {
    if (sale.kind !== "hourly" || sale.startsAt <= now) continue;
    if (next === null || sale.startsAt < next) next = sale.startsAt;
  }
  return next;
}

function unitStillFree({ sale, itemId, userId }: Reservation): boolean {
  const buyer = sale.buyers.get(userId);
  const held = buyer === undefined ? 0 : buyer.bought + buyer.live.length;
  return (sale.free[itemId - 1] ?? 0) > 0 && held < sale.sale.perUserLimit;
}

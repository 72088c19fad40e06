/** What a checkout may be answered, of what was told before. */
import { isProven, sameBuyer, type Buyer } from "../../src/ledger/buyers.ts";
import type { Checkout, CheckoutOutcome, Unit } from "../../src/ledger/commands.ts";
import type { History, Known, KnownSale } from "./history.ts";
import { turnedAwayWrong } from "./judge-queues.ts";
import { sum } from "./lists.ts";
import { between, isOfAnySale, perhaps, surely, surelyNot, type Answer } from "./maybe.ts";
import { admissionOf } from "./queues.ts";

export function judgeCheckout(
  history: History,
  command: Checkout,
  outcome: CheckoutOutcome,
): string | null {
  const now = history.at;
  const right: Answer[] = [];
  const asked = JSON.stringify([
    "checkout",
    command.item,
    command.sale,
    command.expectedPriceCents,
  ]);
  const sale = askedFor(history, command.sale);
  if (sale !== null && !isOfAnySale.has(outcome.word)) sale.isSeen = true;
  rightCheckout(history, command, asked, sale, right);
  if (sale?.previous) {
    // While it is replaced it is shut.
    right.push({ word: "sale_not_open" });
    rightCheckout(history, command, asked, sale.previous, right);
  }
  const code = "reservation" in outcome ? outcome.reservation.code : null;
  const given = outcome.word === "reserved_again" ? { word: "again", code } : outcome;
  const isRight = right.some(
    (answer) => answer.word === given.word && (answer.code === undefined || answer.code === code),
  );
  if (!isRight) return `right would be ${JSON.stringify(right)}`;
  if (!("reservation" in outcome)) return timesWrong(history, outcome, command);
  const { reservation } = outcome;
  if (outcome.word === "reserved_again") return history.sameUnit(reservation);
  const { saleId, itemId, buyer, expiresAt } = reservation;
  const of = history.sales.get(saleId);
  if (of === undefined || of !== sale) return "it is of another sale";
  if (history.codes.has(reservation.code)) return "history code was given before";
  if (reservation.code !== command.code) return "it is another code";
  if (!sameBuyer(buyer, command.buyer)) return "it is somebody else's";
  if (command.item !== "any" && itemId !== command.item) return "it is another item";
  if (command.expectedPriceCents !== null && of.prices[itemId - 1] !== command.expectedPriceCents)
    return "it has another price";
  if (history.free(of, itemId, now).max < 1) return "no unit of it was free";
  if (expiresAt !== Math.min(now + of.ttlMs, of.endsAt)) return `it ends at ${expiresAt}`;
  history.add(reservation, of, command.key, asked);
  return null;
}

function askedFor(history: History, sale: Checkout["sale"]): KnownSale | null {
  if (sale === "unknown") return null;
  return sale === "current" ? history.hourlyAt(history.at) : (history.sales.get(sale) ?? null);
}

/** The answers to a checkout that are right. */
function rightCheckout(
  history: History,
  command: Checkout,
  asked: string,
  sale: KnownSale | null,
  right: Answer[],
): void {
  const now = history.at;
  const { buyer, item, key } = command;
  const isGuest = !isProven(buyer);
  if (sale?.kind === "product" && isGuest) {
    right.push({ word: "unauthenticated" });
    if (history.isThere(sale)) return;
  }
  const byKey = history.byKey(buyer, key, asked);
  right.push(...byKey.answers);
  if (!byKey.goesOn) return;
  if (sale === null || !history.isThere(sale)) {
    right.push({ word: command.sale === "current" ? "sale_not_open" : "sale_not_found" });
    if (sale === null) return;
  }
  const index = item === "any" ? -1 : item - 1;
  if (index >= sale.stock.length || (index >= 0 && sale.stock[index] === 0)) {
    right.push({ word: "item_not_found" });
    // What is long over has only the numbers of its items.
    if (history.isForgotten(sale)) right.push({ word: "sale_not_open" });
    return;
  }
  if (!history.isOpen(sale, now)) {
    right.push({ word: "sale_not_open" });
    return;
  }
  const admission = admissionOf(history, sale, buyer, command.ticket ?? null);
  if (admission.includes(false)) right.push({ word: "not_admitted" });
  if (!admission.includes(true)) return;
  const { expectedPriceCents: price } = command;
  if (index >= 0 && price !== null && price !== sale.prices[index]) {
    right.push({ word: "price_changed" });
    return;
  }
  if (index >= 0 && history.goneOf(sale.id, index + 1) === sale.stock[index]) {
    right.push({ word: "item_sold_out" });
    return;
  }
  if (history.goneIn(sale.id).length === sum(sale.stock)) {
    right.push({ word: "sold_out" });
    return;
  }
  rightOfFree(history, command, sale, right);
}

function rightOfFree(history: History, command: Checkout, sale: KnownSale, right: Answer[]): void {
  const now = history.at;
  const { buyer, item } = command;
  const free = history.free(sale, item === "any" ? 0 : item, now);
  const held = history.held(sale, buyer, now);
  const noneFree = between(free, 0);
  const isFull = held.min >= sale.limit ? surely : held.max >= sale.limit ? perhaps : surelyNot;
  for (const none of noneFree) {
    for (const full of isFull) {
      rightWhere(history, command, sale, held.own, { none, full }, right);
    }
  }
}

function rightWhere(
  history: History,
  { buyer, item, expectedPriceCents: price }: Checkout,
  sale: KnownSale,
  own: readonly Known[],
  { none, full }: { readonly none: boolean; readonly full: boolean },
  right: Answer[],
): void {
  const now = history.at;
  if ((none || full) && isProven(buyer)) {
    const theirs = own
      .filter((known) => item === "any" || known.itemId === item)
      .filter((known) => history.isLive(known, now) !== surelyNot)
      .toSorted((a, b) => b.seq - a.seq);
    // The youngest that lives; of those younger nobody knows.
    for (const known of theirs) {
      const isAnother = price !== null && sale.prices[known.itemId - 1] !== price;
      right.push(isAnother ? { word: "price_changed" } : { word: "again", code: known.code });
      if (history.isLive(known, now) === surely) return;
    }
  }
  if (none) right.push({ word: "item_reserved" });
  else if (full) right.push({ word: "user_limit_reached" });
  else {
    right.push({ word: "reserved" });
    const isAnother = (itemId: number): boolean =>
      price !== null &&
      sale.prices[itemId - 1] !== price &&
      history.free(sale, itemId, now).max > 0;
    if (item === "any" && sale.prices.some((_, index) => isAnother(index + 1)))
      right.push({ word: "price_changed" });
  }
}

/** What a refusal says of when to come again. */
export function timesWrong(
  history: History,
  outcome: Exclude<CheckoutOutcome, { readonly reservation: Unit }>,
  asked: { readonly buyer: Buyer; readonly ticket?: string | null },
): string | null {
  const now = history.at;
  const { buyer } = asked;
  if (outcome.word === "not_admitted") return turnedAwayWrong(history, outcome, asked);
  if (outcome.word === "item_reserved" && outcome.retryAt < now) return "it is to be tried before";
  if (outcome.word === "sale_not_open" && outcome.opensAt !== null && outcome.opensAt <= now)
    return "it opens before";
  if (outcome.word !== "user_limit_reached") return null;
  const sale = history.sales.get(outcome.saleId);
  if (sale === undefined) return "it is of no sale";
  const held = history.held(sale, buyer, now);
  if (held.bought >= sale.limit && outcome.retryAt !== null) return "it may never be tried again";
  if (outcome.retryAt !== null && outcome.retryAt <= now) return "it is to be tried before";
  return null;
}

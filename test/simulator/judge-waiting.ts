/** What may be answered to whoever waits, and what has to be offered to whom. */
import { isProven, sameBuyer } from "../../src/ledger/buyers.ts";
import type {
  Offer,
  OfferOutcome,
  WaitlistJoin,
  WaitlistJoinOutcome,
  WaitlistLeave,
  WaitlistLeaveOutcome,
} from "../../src/ledger/commands.ts";
import type { History, KnownSale } from "./history.ts";
import { sum } from "./lists.ts";
import { between, surely, surelyNot, wordIs } from "./maybe.ts";
import { mayWait } from "./queues.ts";
import { ownLinesMax, type ModelLine } from "./waiting.ts";

export function judgeWaitlistJoin(
  history: History,
  command: WaitlistJoin,
  outcome: WaitlistJoinOutcome,
): string | null {
  const sale = command.sale === "unknown" ? undefined : history.sales.get(command.sale);
  const right = new Set<string>();
  if (sale === undefined || !history.isThere(sale)) right.add("sale_not_found");
  if (sale !== undefined) {
    // While it is replaced it is shut.
    if (sale.previous !== null) right.add("sale_not_open");
    for (const of of [sale, sale.previous]) {
      if (of !== null) for (const word of rightJoin(history, command, of)) right.add(word);
    }
  }
  const wrong = wordIs(outcome, [...right]);
  if (wrong !== null || outcome.word !== "waiting" || sale === undefined) return wrong;
  const { seq, at } = history;
  history.waiting.join(sale.id, { buyer: command.buyer, item: command.item, seq, at });
  return null;
}

function rightJoin(
  history: History,
  { buyer, item }: WaitlistJoin,
  sale: KnownSale,
): readonly string[] {
  const now = history.at;
  if (!isProven(buyer)) return ["unauthenticated"];
  const isLongOver = history.isForgotten(sale) ? ["sale_not_open"] : [];
  const stock = item === "any" ? sum(sale.stock) : (sale.stock[item - 1] ?? 0);
  if (stock === 0) return ["item_not_found", ...isLongOver];
  if (!history.isOpen(sale, now)) return ["sale_not_open"];
  return mayWait(history, sale, buyer).flatMap((isLetIn) =>
    isLetIn ? rightOfLetIn(history, { buyer, item }, sale) : ["not_admitted"],
  );
}

function rightOfLetIn(
  history: History,
  { buyer, item }: Pick<WaitlistJoin, "buyer" | "item">,
  sale: KnownSale,
): readonly string[] {
  const now = history.at;
  const stock = item === "any" ? sum(sale.stock) : (sale.stock[item - 1] ?? 0);
  const lines = history.waiting.of(sale.id, buyer);
  if (lines.some((line) => line.item === item)) return ["waiting_again"];
  const held = history.held(sale, buyer, now);
  const refused =
    held.bought >= sale.limit
      ? "user_limit_reached"
      : lines.length >= ownLinesMax
        ? "too_many_lines"
        : "waiting";
  const gone =
    item === "any" ? history.goneIn(sale.id).length : history.goneOf(sale.id, Number(item));
  const isSoldOut = history.goneIn(sale.id).length === sum(sale.stock);
  if (gone === stock || isSoldOut) return [refused];
  const own = history.live(
    held.own.filter((known) => item === "any" || known.itemId === item),
    now,
  );
  const noneFree = between(history.free(sale, item === "any" ? 0 : item, now), 0);
  const right: string[] = [];
  if (noneFree.includes(false) || own.max > 0) right.push("available");
  if (noneFree.includes(true) && own.min === 0) right.push(refused);
  return right;
}

export function judgeWaitlistLeave(
  history: History,
  { buyer, sale: saleId }: WaitlistLeave,
  outcome: WaitlistLeaveOutcome,
): string | null {
  const sale = saleId === "unknown" ? undefined : history.sales.get(saleId);
  if (sale === undefined) return wordIs(outcome, ["sale_not_found"]);
  const right = [history.waiting.of(sale.id, buyer).length > 0 ? "left" : "not_waiting"];
  if (history.isForgotten(sale)) right.push("not_waiting");
  if (!history.isThere(sale)) right.push("sale_not_found");
  const wrong = wordIs(outcome, right);
  // Of a sale that was over by a clock which was ahead, nothing was changed.
  if (outcome.word === "left") history.waiting.leave(sale.id, buyer);
  return wrong;
}

export function judgeOffer(history: History, command: Offer, outcome: OfferOutcome): string | null {
  const sale = history.sales.get(command.saleId);
  if (sale === undefined) return "it is of no sale";
  const now = history.at;
  if (!history.isOpen(sale, now)) return "the sale is not open";
  if (outcome.word === "offer_lapsed") return judgeLapse(history, sale, outcome.of.code);
  const { reservation, joinedBy, ordinal } = outcome;
  const { itemId, buyer, code, expiresAt, saleId } = reservation;
  if (saleId !== sale.id || code !== command.code) return "it is another one";
  if (history.codes.has(code)) return "its code was given before";
  if (history.free(sale, itemId, now).max < 1) return "no unit of it was free";
  const line = history.waiting
    .for(sale.id, itemId)
    .find((one) => history.held(sale, one.buyer, now).max < sale.limit || one.seq === joinedBy);
  if (line === undefined || line.seq !== joinedBy || !sameBuyer(line.buyer, buyer)) {
    return `the first in line is ${JSON.stringify(line)}`;
  }
  if (history.held(sale, buyer, now).min >= sale.limit) return "its buyer's limit is full";
  if (line.offers + 1 !== ordinal) return `it is offer ${line.offers + 1}`;
  if (expiresAt !== Math.min(now + sale.ttlMs, sale.endsAt)) return `it ends at ${expiresAt}`;
  history.add(reservation, sale, null, "");
  history.waiting.offer(sale.id, line, code);
  return null;
}

function judgeLapse(history: History, sale: KnownSale, code: string): string | null {
  const line = history.waiting.lines(sale.id).find(({ offer }) => offer === code);
  const known = history.codes.get(code);
  if (line === undefined || known === undefined) return "it was offered to nobody";
  if (history.isLive(known, history.at) === surely) return "it has not lapsed";
  history.waiting.lapse(sale.id, line);
  return null;
}

/**
 * What somebody waits for is theirs before anybody else is answered: what should have been offered by
 * now, or has lapsed and was not told.
 */
export function owedTo(history: History, now = history.at): string | null {
  for (const saleId of history.waiting.sales()) {
    const sale = history.sales.get(saleId);
    if (sale === undefined || sale.previous !== null || !history.isThere(sale)) continue;
    if (!history.isOpen(sale, now)) continue;
    const lapsed = history.waiting
      .lines(saleId)
      .find(({ offer }) => hasLapsed(history, offer, now));
    if (lapsed !== undefined)
      return `${lapsed.offer} of sale ${saleId} lapsed, and nobody was told`;
    for (const [index] of sale.stock.entries()) {
      const line = firstOwed(history, sale, index + 1, now);
      if (line === undefined) continue;
      return `item ${index + 1} of sale ${saleId} is free, and ${JSON.stringify(line)} waits for it`;
    }
  }
  return null;
}

function hasLapsed(history: History, offer: string | null, now: number): boolean {
  const known = offer === null ? undefined : history.codes.get(offer);
  return known !== undefined && history.isLive(known, now) === surelyNot;
}

const firstOwed = (
  history: History,
  sale: KnownSale,
  itemId: number,
  now: number,
): ModelLine | undefined =>
  history.free(sale, itemId, now).min === 0
    ? undefined
    : history.waiting
        .for(sale.id, itemId)
        .find(({ buyer }) => history.held(sale, buyer, now).max < sale.limit);

/** What a purchase in one step may be answered, and what it sells. */
import { isProven, sameBuyer } from "../../src/ledger/buyers.ts";
import type {
  Buy,
  BuyOutcome,
  RecordsNeeded,
  Refund,
  RefundOutcome,
  Unit,
} from "../../src/ledger/commands.ts";
import type { History, KnownSale } from "./history.ts";
import { timesWrong } from "./judge-checkouts.ts";
import { pushTo } from "./lists.ts";
import { isOfAnySale, keyName, surely, wordIs, type Answer } from "./maybe.ts";
import { admissionOf } from "./queues.ts";

export function judgeBuy(history: History, command: Buy, outcome: BuyOutcome): string | null {
  const asked = JSON.stringify([
    "buy",
    command.saleId,
    command.itemId,
    command.quantity,
    command.expectedPriceCents,
  ]);
  const sale = command.saleId === "unknown" ? null : (history.sales.get(command.saleId) ?? null);
  if (sale !== null && !isOfAnySale.has(outcome.word)) sale.isSeen = true;
  const right: Answer[] = [];
  rightBuy(history, command, asked, sale, right);
  if (sale?.previous) {
    right.push({ word: "sale_not_open" });
    rightBuy(history, command, asked, sale.previous, right);
  }
  const code = outcome.word === "purchased_again" ? outcome.of.code : undefined;
  const word = code === undefined ? outcome.word : "again";
  if (!right.some((one) => one.word === word && (one.code === undefined || one.code === code))) {
    return `right would be ${JSON.stringify(right)}`;
  }
  if (outcome.word === "purchased_again") return history.sameUnit(outcome.of);
  if (outcome.word !== "purchased") return timesWrong(history, outcome, command);
  if (sale === null) return "it is of no sale";
  return bought(history, command, asked, sale, outcome.units);
}

function rightBuy(
  history: History,
  command: Buy,
  asked: string,
  sale: KnownSale | null,
  right: Answer[],
): void {
  const now = history.at;
  const { buyer, key, itemId, quantity, expectedPriceCents: price } = command;
  if (sale?.kind === "product" && !isProven(buyer)) {
    right.push({ word: "unauthenticated" });
    if (history.isThere(sale)) return;
  }
  if (sale === null && command.saleId === "unknown") {
    right.push({ word: "sale_not_found" });
    return;
  }
  const byKey = history.byKey(buyer, key, asked);
  right.push(...byKey.answers);
  if (!byKey.goesOn) return;
  if (sale === null || !history.isThere(sale)) {
    right.push({ word: "sale_not_found" });
    if (sale === null) return;
  }
  const stock = itemId === "unknown" ? 0 : (sale.stock[itemId - 1] ?? 0);
  if (itemId === "unknown" || stock === 0) {
    right.push({ word: "item_not_found" });
    if (history.isForgotten(sale)) right.push({ word: "sale_not_open" });
    return;
  }
  const isOpen = history.isOpen(sale, now);
  if (!isOpen) right.push({ word: "sale_not_open" });
  const admission = admissionOf(history, sale, buyer, command.ticket ?? null);
  if (isOpen && admission.includes(false)) right.push({ word: "not_admitted" });
  if (!isOpen || !admission.includes(true)) return;
  if (price !== null && price !== sale.prices[itemId - 1]) right.push({ word: "price_changed" });
  else if (stock - history.goneOf(sale.id, itemId) < quantity)
    right.push({ word: "item_sold_out" });
  else {
    const own = history.held(sale, buyer, now).own.filter((known) => known.itemId === itemId);
    const live = history.live(own, now);
    const free = history.free(
      sale,
      itemId,
      now,
      own.filter(({ sold }) => sold === null),
    );
    const held = history.held(sale, buyer, now);
    if (free.min < quantity) right.push({ word: "item_reserved" });
    if (free.max >= quantity) {
      // What is sold of one's own counts once.
      const most = held.max - Math.min(live.min, quantity) + quantity;
      const least = held.min - Math.min(live.max, quantity) + quantity;
      if (most > sale.limit) right.push({ word: "user_limit_reached" });
      if (least <= sale.limit) right.push({ word: "purchased" });
    }
  }
}

function bought(
  history: History,
  { buyer, itemId, quantity, key, code }: Buy,
  asked: string,
  sale: KnownSale,
  units: readonly Unit[],
): string | null {
  const now = history.at;
  if (units.length !== quantity) return `${units.length} units were sold`;
  const codes = new Set(units.map((unit) => unit.code));
  if (codes.size !== quantity) return "two units have one code";
  const live = history
    .held(sale, buyer, now)
    .own.filter((known) => known.itemId === itemId && history.isLive(known, now) === surely);
  const used = live.filter((known) => codes.has(known.code)).length;
  if (used < Math.min(live.length, quantity)) return "own reservations were not sold first";
  for (const unit of units) {
    const before = history.codes.get(unit.code);
    if (before === undefined) {
      if (!unit.code.startsWith(code.slice(0, 24))) return "a unit has a code of its own";
      history.add(unit, sale, null, "");
    } else if (!sameBuyer(before.buyer, buyer) || before.sold !== null || before.released) {
      return `${unit.code} was not theirs to buy`;
    }
    const known = history.codes.get(unit.code);
    if (known === undefined) return "a unit is not known";
    if (known.itemId !== itemId || known.sale !== sale) return "it is another item";
    const wrong = history.sell(known, unit);
    if (wrong !== null) return wrong;
  }
  if (history.goneOf(sale.id, Number(itemId)) > (sale.stock[Number(itemId) - 1] ?? 0))
    return "oversold";
  if (history.held(sale, buyer, now).bought > sale.limit) return "the buyer is over the limit";
  if (key !== null) {
    pushTo(history.keys, keyName(buyer, key), { asked, codes: [...codes], order: history.seq });
  }
  return null;
}

/** What may be answered to whoever takes back units of an order. */
export function judgeRefund(
  history: History,
  command: Refund,
  outcome: Exclude<RefundOutcome, RecordsNeeded>,
): string | null {
  const { order, units, restock, reason, by, key } = command;
  const asked = JSON.stringify([order, units, restock, reason]);
  const name = JSON.stringify([by, key]);
  const used = key === null ? undefined : history.refundKeys.get(name);
  const left = history.order(order).filter(({ refundedBy }) => refundedBy === null);
  const [first] = history.order(order);
  if (first === undefined) return wordIs(outcome, ["order_not_found"]);
  if (used !== undefined && used !== asked) return wordIs(outcome, ["idempotency_key_reused"]);
  if (used !== undefined) return wordIs(outcome, ["refunded_again"]);
  if (left.length === 0) return wordIs(outcome, ["already_refunded"]);
  if ((units ?? 1) > left.length) return wordIs(outcome, ["too_many_units"]);
  const wrong = wordIs(outcome, ["refunded"]);
  if (wrong !== null || outcome.word !== "refunded") return wrong;
  const { codes, restocked, before, after } = outcome.refund;
  const count = units ?? left.length;
  if (new Set(codes).size !== count) return `${codes.length} units were taken back`;
  const taken = left.filter(({ code }) => codes.includes(code));
  if (taken.length !== count) return "it is nothing of what is left of the order";
  if (restocked !== (restock && history.isOpen(first.sale, history.at)))
    return restocked ? "it is on sale again" : "it is not on sale again";
  const isPart = left.length < history.order(order).length;
  if (before !== (isPart ? "partly_refunded" : "paid")) return `it was ${before}`;
  if (after !== (count === left.length ? "refunded" : "partly_refunded")) return `it is ${after}`;
  for (const known of taken) Object.assign(known, { refundedBy: history.seq, restocked });
  if (key !== null) history.refundKeys.set(name, asked);
  return null;
}

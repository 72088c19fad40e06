/**
 * Refunds. An order is the units that were sold by one attempt, and goes by its number.
 *
 * Orders of all times can be taken back, most of them in sales that are settled. So what an order is
 * the records say, and the ledger says whether that is still true.
 */
import {
  orderStatus,
  refundRequestOf,
  type OrderStatus,
  type Refund,
  type RefundOutcome,
} from "./commands.ts";
import { refund } from "./books.ts";
import { touch } from "./lapses.ts";
import { isOpen, type LedgerState, type SaleState } from "./state.ts";

/** What an order can become. */
const transitions: Readonly<Record<OrderStatus, readonly OrderStatus[]>> = {
  paid: ["partly_refunded", "refunded"],
  partly_refunded: ["partly_refunded", "refunded"],
  refunded: [],
};

export function decideRefund(state: LedgerState, command: Refund, now: number): RefundOutcome {
  const { lookup } = command;
  if (lookup === null || lookup.upTo < state.refundedUpTo) return { word: "look_up" };
  const { order, used } = lookup;
  // It may have been made after the records were asked.
  if (order === null && command.order > lookup.upTo && command.order < state.seq) {
    return { word: "look_up" };
  }
  // Who is to decide this has been deposed, and the records have what the next leader sold: whatever is
  // decided here is committed by nobody.
  if (order === null || command.order >= state.seq)
    return { word: "order_not_found", saleId: null };
  const isSame = used?.order === command.order && used.request === refundRequestOf(command);
  if (used !== null && !isSame) return { word: "idempotency_key_reused", saleId: null };
  const { saleId, itemId, buyer } = order;
  const sale = state.sales.get(saleId) ?? null;
  if (sale !== null) touch(sale, now);
  if (used !== null) return { word: "refunded_again", saleId };
  const left = order.units.filter(({ refundedBy }) => refundedBy === null);
  const before = orderStatus(order.units.length, left.length);
  if (transitions[before].length === 0) return { word: "already_refunded", saleId };
  const quantity = command.units ?? left.length;
  if (quantity > left.length) return { word: "too_many_units", saleId };

  // From here on nothing can be refused.
  const after = orderStatus(order.units.length, left.length - quantity);
  if (!transitions[before].includes(after)) throw new Error(`${before} cannot become ${after}`);
  const codes = left.slice(0, quantity).map(({ code }) => code);
  const restocked = command.restock && sale !== null && isOpen(sale, now);
  takeBack(state, sale, { seq: state.seq, codes, restocked });
  return { word: "refunded", refund: { saleId, itemId, buyer, codes, restocked, before, after } };
}

/** Units that are taken back together. @param sale null when it is settled: the records have them */
export function takeBack(
  state: LedgerState,
  sale: SaleState | null,
  { seq, codes, restocked }: { seq: number; codes: readonly string[]; restocked: boolean },
): void {
  state.refundedUpTo = seq;
  if (sale === null) {
    // What was read of these codes and their keys does not say so.
    state.endedUpTo = seq;
    state.settledUpTo = seq;
    return;
  }
  for (const code of codes) {
    const sold = state.codes.get(code);
    if (sold === undefined) throw new Error(`attempt ${seq} refunds ${code}, which was not sold`);
    refund(sold, seq, restocked);
  }
}

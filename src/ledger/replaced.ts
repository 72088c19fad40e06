/** Sales as they are stored now, where they may have been replaced before they opened. */
import { GapError } from "./changes.ts";
import type { Sale } from "./sale.ts";
import { addSale, type LedgerState, type SaleState } from "./state.ts";

/** Whether nothing of a sale can be replaced any more: see `shutSale`. */
export const isFixed = ({ terms, live, lapsed, soldUnits, waitingList }: SaleState): boolean =>
  terms.kind === "hourly" ||
  live.size + lapsed.size + soldUnits.length + (waitingList?.size ?? 0) > 0;

/** A sale's terms as they are stored now: before it opens they may have been replaced. */
export function replaceTerms(state: LedgerState, sale: SaleState, terms: Sale): SaleState {
  const { stock } = sale.terms;
  const isSame =
    stock.length === terms.stock.length &&
    Array.from(stock).every((units, index) => units === terms.stock[index]);
  if (!isSame) {
    if (isFixed(sale)) {
      throw new GapError(`sale ${terms.id} has other units than it had`);
    }
    return addSale(state, terms, sale.attempts);
  }
  sale.terms = terms;
  sale.queue?.moveOpening(terms.startsAt);
  return sale;
}

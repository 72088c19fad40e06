/** What several commands are refused for: see `decide.ts`. */
import { isOver, soldIn, type Holder, type Reservation, type SaleState } from "./state.ts";

/** @param index of the item: one less than its number */
export const hasItem = ({ terms }: SaleState, index: number): boolean =>
  (terms.stock[index] ?? 0) > 0;

export function notOpen(sale: SaleState, now: number) {
  const opensAt = now < sale.terms.startsAt && !isOver(sale, now) ? sale.terms.startsAt : null;
  return { word: "sale_not_open", saleId: sale.terms.id, opensAt } as const;
}

/** Whether every unit is sold or taken out. */
export const isSoldOut = (sale: SaleState): boolean => soldIn(sale) + sale.takenOut === sale.stock;

/** What counts against a buyer's limit. */
export const heldBy = ({ bought, live }: Holder): number => bought + live;

/**
 * The reservation that a buyer made last, of the item or of any. Asked of each proven buyer who is
 * refused, so nothing is copied.
 */
export function youngestOf(
  holder: Holder | undefined,
  item: number | "any",
): Reservation | undefined {
  let youngest: Reservation | undefined;
  if (holder === undefined) return youngest;
  for (const one of holder.open) {
    if ((item === "any" || item === one.itemId) && one.status === "live") youngest = one;
  }
  return youngest;
}

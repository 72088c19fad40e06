/** The life of a sale after it was announced: opened, ended and withdrawn. */
import {
  itemUnitsMax,
  type ChangeSale,
  type ChangeSaleOutcome,
  type Restock,
  type RestockOutcome,
  type Withdraw,
  type WithdrawOutcome,
} from "./commands.ts";
import { expire, touch } from "./lapses.ts";
import {
  addUnits,
  dropSale,
  isOpen,
  isOver,
  setTimes,
  type LedgerState,
  type SaleState,
} from "./state.ts";

export function decideChangeSale(
  state: LedgerState,
  command: ChangeSale,
  now: number,
): ChangeSaleOutcome {
  const { saleId, opens } = command;
  const sale = state.sales.get(saleId);
  if (sale === undefined) {
    return { word: state.settled.has(saleId) ? "sale_ended" : "sale_not_found", saleId };
  }
  touch(sale, now);
  const before = { startsAt: sale.terms.startsAt, endsAt: sale.terms.endsAt };
  if (isOver(sale, now)) return { word: "sale_ended", saleId };
  if (opens && now >= before.startsAt) return { word: "sale_opened", saleId };
  if (command.endsAt === "now" && now < before.startsAt) return { word: "sale_not_open", saleId };
  const startsAt = opens ? now : before.startsAt;
  const asked = command.endsAt ?? before.endsAt;
  if (asked !== "now" && asked <= Math.max(now, startsAt)) return { word: "end_not_later", saleId };

  // From here on nothing can be refused. What was sold in this millisecond was in time.
  const closed = asked === "now";
  const endsAt = asked === "now" ? now + 1 : asked;
  setTimes(sale, { startsAt, endsAt, closed });
  expire(sale, now);
  return { word: "sale_changed", saleId, startsAt, endsAt, closed, before };
}

/** Whether anything of a sale can have been had, also where a clock went back since. */
export const hasBegun = (sale: SaleState, now: number): boolean =>
  sale.terms.closed ||
  now >= sale.terms.startsAt ||
  sale.live.size + sale.lapsed.size + sale.soldUnits.length + (sale.waitingList?.size ?? 0) > 0;

export function decideWithdraw(
  state: LedgerState,
  { saleId }: Withdraw,
  now: number,
): WithdrawOutcome {
  const sale = state.sales.get(saleId);
  if (sale === undefined) {
    return { word: state.settled.has(saleId) ? "sale_opened" : "sale_not_found", saleId };
  }
  touch(sale, now);
  if (hasBegun(sale, now)) return { word: "sale_opened", saleId };

  // From here on nothing can be refused.
  dropSale(state, sale);
  return { word: "withdrawn", saleId };
}

export function decideRestock(
  state: LedgerState,
  { saleId, itemId, units }: Restock,
  now: number,
): RestockOutcome {
  const sale = state.sales.get(saleId);
  if (sale === undefined) {
    return { word: state.settled.has(saleId) ? "sale_ended" : "sale_not_found", saleId };
  }
  touch(sale, now);
  const before = sale.terms.stock[itemId - 1] ?? 0;
  if (before === 0) return { word: "item_not_found", saleId };
  if (isOver(sale, now)) return { word: "sale_ended", saleId };
  if (!isOpen(sale, now)) return { word: "sale_not_open", saleId };
  const after = before + units;
  if (after > itemUnitsMax) return { word: "too_many_units", saleId };

  // From here on nothing can be refused.
  addUnits(sale, itemId, units);
  return { word: "restocked", saleId, itemId, before, after };
}

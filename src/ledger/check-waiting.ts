/** The auditor of waiting lists: see `check.ts`. */
import { buyerId, isProven, sameBuyer } from "./buyers.ts";
import type { LedgerState, SaleState } from "./state.ts";

/** Who waits is proven, and what is offered to them is theirs. */
export function checkWaitingList(state: LedgerState, sale: SaleState): string[] {
  const { waitingList } = sale;
  if ((waitingList !== null) !== state.waited.has(sale)) return ["has a waiting list, or has none"];
  if (waitingList === null) return [];
  const complaints = waitingList.check();
  for (const { buyer, offer } of waitingList.all()) {
    if (!isProven(buyer)) complaints.push(`${buyerId(buyer)} waits`);
    const held = offer === null ? undefined : state.codes.get(offer.code);
    if (held === undefined) continue;
    const isOffered = held.status === "live" || held.status === "lapsed";
    if (!isOffered || held.itemId !== offer?.itemId || !sameBuyer(held.buyer, buyer)) {
      complaints.push(`${held.code} is offered to ${buyerId(buyer)}, who does not hold it`);
    }
  }
  return complaints;
}

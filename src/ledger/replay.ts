/** What was decided is done again, attempt by attempt, as the journal or the leader tells it. */
import { buy, end, extend, reserve, sell, sellEnded, type NewReservation } from "./books.ts";
import { sameBuyer } from "./buyers.ts";
import type { EffectiveAttempt, RecordedChange } from "./changes.ts";
import { lapse, revive } from "./lapses.ts";
import { join, lapseOffer, leave } from "./offers.ts";
import { takeBack } from "./refunds.ts";
import { addUnits, type LedgerState, type Reservation, type SaleState } from "./state.ts";

/**
 * @param codes of units bought in one go, those that may have been reserved
 * @throws Error for what cannot have been decided on the state
 */
export function applyToSale(
  state: LedgerState,
  attempt: RecordedChange,
  codes: readonly string[],
): void {
  const { seq, at, saleId } = attempt;
  const sale = state.sales.get(saleId);
  if (sale === undefined) throw new Error(`attempt ${seq} names a sale that is not loaded`);
  state.seq = seq;
  // As it was when this was decided: the first of what had lapsed by then is the one that goes.
  revive(sale, at);
  lapse(sale, at);
  switch (attempt.word) {
    case "refunded":
      return takeBack(state, sale, attempt);
    case "restocked":
      return addUnits(sale, attempt.itemId, attempt.units);
    case "extended": {
      const held = state.codes.get(attempt.code);
      if (held !== undefined) return extend(held, seq, attempt.due);
      throw new Error(`attempt ${seq} extends ${attempt.code}, which nobody holds`);
    }
    case "waiting":
      return join(state, sale, attempt);
    case "left":
      leave(sale, attempt.buyer);
      return;
    case "offer_lapsed":
      return lapseOffer(sale, attempt.code, seq);
    default:
      applyToUnit(state, sale, attempt, codes);
  }
}

function applyToUnit(
  state: LedgerState,
  sale: SaleState,
  attempt: EffectiveAttempt,
  codes: readonly string[],
): void {
  const { seq, at, code, itemId, buyer, key, request, quantity } = attempt;
  const held = state.codes.get(code);
  const made = { seq, code, itemId, buyer, reservedAt: at, key, request };
  switch (attempt.word) {
    case "reserved":
      reserve(state, sale, made);
      return;
    case "offered":
      reserve(state, sale, made);
      sale.waitingList?.offer(buyer, itemId, code);
      return;
    case "purchased":
      if (quantity !== null) buy(state, sale, made, ownAmong(state, made, codes), quantity);
      else if (held === undefined) sellEnded(state, sale, made, seq, at);
      else sell(held, seq, at);
      return;
    case "released":
      // What is not on the books changes nothing on them, but a line may have to hear of it.
      if (held === undefined) sale.waitingList?.close(code);
      else end(state, held, at);
      return;
    default:
      attempt.word satisfies never;
  }
}

/**
 * What a buyer had reserved of the units that were bought in one go. Which these are, the purchases
 * say: an earlier version left what the buyer had reserved, and sold other units.
 */
const ownAmong = (
  state: LedgerState,
  { itemId, buyer }: NewReservation,
  codes: readonly string[],
): Reservation[] =>
  codes.flatMap((code) => {
    const of = state.codes.get(code);
    const isOwn = of?.itemId === itemId && sameBuyer(of.buyer, buyer) && of.status !== "sold";
    return isOwn ? [of] : [];
  });

/**
 * Rebuilds the state from the journal: only attempts that changed something are needed,
 * in their order. Replaying them gives the state that was there when the last of them was
 * committed. A journal that cannot be replayed throws: the ledger must not sell from it.
 */
import {
  buy,
  expire,
  giveBack,
  reserve,
  sell,
  type LedgerState,
  type Reservation,
} from "./state.ts";

/** An attempt that changed the state, as the journal keeps it. */
export type EffectiveAttempt = {
  readonly seq: number;
  readonly at: number;
  readonly word: "reserved" | "purchased" | "released";
  readonly saleId: number;
  readonly itemId: number;
  readonly userId: string;
  readonly code: string;
  readonly key: string | null;
  readonly request: string | null;
  /** Units reserved and sold in one go; null for a purchase of a code. */
  readonly quantity: number | null;
};

export function restore(state: LedgerState, attempt: EffectiveAttempt): void {
  const sale = state.sales.get(attempt.saleId);
  if (sale === undefined) throw new Error(`attempt ${attempt.seq} names a sale that is not loaded`);
  expire(sale, attempt.at);
  switch (attempt.word) {
    case "reserved":
      reserve(state, sale, attempt, attempt.at);
      return;
    case "purchased":
      if (attempt.quantity === null) sell(reservationOf(state, attempt), attempt.seq, attempt.at);
      else buy(state, sale, attempt, attempt.quantity, attempt);
      return;
    case "released":
      giveBack(reservationOf(state, attempt), "released");
      return;
    default:
      attempt.word satisfies never;
  }
}

function reservationOf(state: LedgerState, { code, seq }: EffectiveAttempt): Reservation {
  const reservation = state.codes.get(code);
  if (reservation === undefined) throw new Error(`attempt ${seq} names a code never reserved`);
  return reservation;
}

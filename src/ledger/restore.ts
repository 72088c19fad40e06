/**
 * Rebuilds the state from the journal: only attempts that changed something are needed,
 * in their order. Replaying them gives the state that was there when the last of them was
 * committed. A journal that cannot be replayed throws: the ledger must not sell from it.
 */
import { expire, giveBack, reserve, sell, type LedgerState, type Reservation } from "./state.ts";

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
      sell(reservationOf(state, attempt), attempt.seq, attempt.at);
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

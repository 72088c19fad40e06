/**
 * A state of the ledger for tests that look at it, or break it: one open sale, a few buyers.
 * Only tests reach it.
 */
import type { Buyer } from "../../src/ledger/buyers.ts";
import type { Sale } from "../../src/ledger/sale.ts";
import { reserve } from "../../src/ledger/books.ts";
import {
  addSale,
  emptyState,
  type LedgerState,
  type Reservation,
  type SaleState,
} from "../../src/ledger/state.ts";

export const guest = (userId: string): Buyer => ({ kind: "guest", userId });

/** An hourly sale, open from 0 on, for long. */
export function openTerms(stock: readonly number[], terms: Partial<Sale> = {}): Sale {
  return {
    id: 1,
    kind: "hourly",
    access: "everyone",
    entry: { kind: "open" },
    startsAt: 0,
    endsAt: 1_000_000_000,
    closed: false,
    perUserLimit: 10,
    reservationTtlMs: 100,
    stock: Int32Array.from(stock),
    priceCents: stock.map(() => 100),
    ...terms,
  };
}

export function openState(
  stock: readonly number[],
  terms: Partial<Sale> = {},
): { readonly state: LedgerState; readonly sale: SaleState } {
  const state = emptyState(0, 0);
  return { state, sale: addSale(state, openTerms(stock, terms), 0) };
}

/** Puts a reservation on the books, by the number of the attempt that makes it. */
export function reserved(
  { state, sale }: { readonly state: LedgerState; readonly sale: SaleState },
  seq: number,
  buyer: string | Buyer,
  made: { readonly item?: number; readonly at?: number; readonly key?: string } = {},
): Reservation {
  const { item: itemId = 1, at: reservedAt = 0, key = null } = made;
  state.seq = seq;
  return reserve(state, sale, {
    seq,
    code: `c${seq}`,
    itemId,
    buyer: typeof buyer === "string" ? guest(buyer) : buyer,
    reservedAt,
    key,
    request: key === null ? null : `id=${itemId}`,
  });
}

/**
 * What a reader sees of the ledger: one moment of it, with what has run out by then lapsed.
 *
 * Numbers and copies alone: a reader holds nothing that goes on changing, and cannot change
 * anything. The view itself is good for as long as nothing else is decided, and refuses after.
 */
import type { Sale } from "./sale.ts";
import { expire } from "./lapses.ts";
import { holderOf, onBooks, type LedgerState } from "./state.ts";
import type { Reservation, SaleState } from "./state.ts";
import { figuresOf, type CouponFigures } from "./coupons.ts";
import { currentSale, unitOf } from "./decide.ts";
import type { Buyer } from "./buyers.ts";
import type { Unit } from "./commands.ts";
import type { Checkpoint } from "./restore.ts";

/** Units of a sale at one moment, and the attempts on it. */
export type SaleTotals = {
  readonly sold: number;
  readonly reserved: number;
  readonly available: number;
  readonly attempts: number;
};

/** Reservations of a buyer that are told at once; more are held only where a limit is as high. */
export const reservationsToldMax = 1_000;

/** A reservation with when it was made. */
export type LiveReservation = Unit & { readonly reservedAt: number };

const reservationTime = ({ reservedAt }: Reservation) => ({ reservedAt });

type SaleActivity = {
  readonly attempts: number;
  readonly changes: number;
  readonly open: number;
};

export class LedgerView {
  #state: LedgerState | null;

  constructor(state: LedgerState) {
    this.#state = state;
  }

  /** Makes the view unreadable: what it was a view of goes on. */
  close(): void {
    this.#state = null;
  }

  get #open(): LedgerState {
    if (this.#state === null) throw new Error("this view of the ledger is closed");
    return this.#state;
  }

  /** The moment of it, ms. */
  get now(): number {
    return this.#open.now;
  }

  /** Number of the last attempt decided. */
  get seq(): number {
    return this.#open.seq;
  }

  /** The sales that the ledger holds, as they were announced or changed since. */
  sales(): Sale[] {
    return Array.from(this.#open.sales.values(), ({ terms }) => terms);
  }

  sale(saleId: number): Sale | null {
    return this.#open.sales.get(saleId)?.terms ?? null;
  }

  /** The id of the hourly sale that is open. */
  currentSaleId(): number | null {
    return currentSale(this.#open, this.now)?.terms.id ?? null;
  }

  /** Null for a sale that the ledger does not hold. */
  totals(saleId: number): SaleTotals | null {
    const sale = this.#sale(saleId);
    if (sale === null) return null;
    const { live, soldUnits, available, attempts } = sale;
    return { sold: soldUnits.length, reserved: live.size, available, attempts };
  }

  /** Units of each item that can be had; item N is at index N - 1. */
  free(saleId: number): Int32Array | null {
    return this.#sale(saleId)?.free.slice() ?? null;
  }

  soldOf(saleId: number): Int32Array | null {
    return this.#sale(saleId)?.soldOf.slice() ?? null;
  }

  /** A buyer's live reservations, in every sale, oldest first: the youngest of very many. */
  reservationsOf(buyer: Buyer): LiveReservation[] {
    const found: Reservation[] = [];
    for (const sale of this.#open.sales.values()) {
      expire(sale, this.now);
      found.push(...(holderOf(sale, buyer)?.open ?? []));
    }
    return found
      .filter(({ status }) => status === "live")
      .toSorted((a, b) => a.seq - b.seq)
      .slice(-reservationsToldMax)
      .map((reservation) => Object.assign(unitOf(reservation), reservationTime(reservation)));
  }

  /** Live reservations of a sale that end by `by` (ms), at most `max` of them, in no order. */
  endingBy(saleId: number, by: number, max: number): Unit[] {
    const sale = this.#sale(saleId);
    if (sale === null) return [];
    const time = sale.terms.endsAt <= by ? Infinity : by;
    return Array.from(sale.live.until(time).take(max), unitOf);
  }

  coupon(name: string): CouponFigures | null {
    const coupon = this.#open.coupons.get(name);
    return coupon === undefined ? null : figuresOf(coupon);
  }

  /** Claims in memory, of all coupons together. */
  get claimsHeld(): number {
    return this.#open.claimsHeld;
  }

  /** What was done in a sale: attempts, changes since it was loaded, and what is on its books. */
  activity(saleId: number): SaleActivity | null {
    const sale = this.#open.sales.get(saleId);
    if (sale === undefined) return null;
    const { attempts, changes, stock, available, soldUnits } = sale;
    return { attempts, changes, open: stock - available - soldUnits.length };
  }

  /** What a restart has to know of a sale's reservations, so as not to read how they came to be. */
  checkpoint(saleId: number): Checkpoint | null {
    const sale = this.#open.sales.get(saleId);
    if (sale === undefined) return null;
    const open = Array.from(
      onBooks(sale),
      ({ seq, code, itemId, buyer, reservedAt, due, extendedBy, key, request }) => ({
        seq,
        code,
        itemId,
        buyer,
        reservedAt,
        due,
        extendedBy,
        key,
        request,
      }),
    );
    return { seq: this.seq, sold: sale.soldUnits.length, open };
  }

  #sale(saleId: number): SaleState | null {
    const sale = this.#open.sales.get(saleId);
    if (sale === undefined) return null;
    expire(sale, this.now);
    return sale;
  }
}

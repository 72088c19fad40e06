/**
 * What a reader sees of the ledger: one moment of it, with what has run out by then lapsed.
 *
 * Numbers and copies alone: a reader holds nothing that goes on changing, and cannot change
 * anything. The view itself is good for as long as nothing else is decided, and refuses after.
 */
import type { Sale } from "./sale.ts";
import {
  hasQueue,
  isQueueClosed,
  progressOf,
  ticketAt,
  type QueuedSale,
  type QueueProgress,
} from "./admission.ts";
import { expire } from "./lapses.ts";
import { owedIn } from "./offers.ts";
import type { Rate, RateChange } from "./queue.ts";
import { holderOf, isOpen, onBooks, soldIn, unitOf, type LedgerState } from "./state.ts";
import type { Reservation, SaleState } from "./state.ts";
import { storedOf, type StoredCoupon } from "./coupons.ts";
import { currentSale } from "./decide.ts";
import { sameBuyer, type Buyer } from "./buyers.ts";
import type { TicketState, Unit } from "./commands.ts";
import type { Checkpoint } from "./recorded.ts";
import type { Line } from "./waitlist.ts";

/** Units of a sale at one moment, and the attempts on it. */
export type SaleTotals = {
  /** Units that somebody owns. */
  readonly sold: number;
  /** Units that were sold and taken back, and how many of these are not on sale again. */
  readonly refunded: number;
  readonly takenOut: number;
  /** Those too that are about to be reserved for who waits: nobody else can have them. */
  readonly reserved: number;
  readonly available: number;
  readonly attempts: number;
};

/** A queue at one moment. */
export type QueueFigures = {
  readonly state: "gathering" | "admitting" | "closed";
  readonly joined: number;
  /** How many have joined before the opening, by now. */
  readonly gathered: number;
  /** Whether they are drawn. */
  readonly isDrawn: boolean;
  /** Those of ranks up to this are let in. */
  readonly admittedUpTo: number;
  readonly rate: Rate;
};

/** Reservations of a buyer that are told at once; more are held only where a limit is as high. */
export const reservationsToldMax = 1_000;

/** A reservation with when it was made, and by which attempt. */
export type LiveReservation = Unit &
  Pick<Reservation, "seq" | "reservedAt"> & {
    /** Whether it was offered to them while they waited, and they wait for it still. */
    readonly isOffer: boolean;
  };

/** A line of somebody who waits. */
export type WaitingLine = Pick<Line, "item" | "joinedAt"> & {
  /** How many are before them. */
  readonly ahead: number;
  /** What is reserved for them. */
  readonly offer: Unit | null;
};

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
    const { live, refunded, takenOut, attempts } = sale;
    let owed = 0;
    for (const units of owedIn(sale, this.now).values()) owed += units;
    const [reserved, available] = [live.size + owed, sale.available - owed];
    return { sold: soldIn(sale), refunded, takenOut, reserved, available, attempts };
  }

  /** Units of each item that can be had; item N is at index N - 1. */
  free(saleId: number): Int32Array | null {
    const sale = this.#sale(saleId);
    const free = sale?.free.slice() ?? null;
    if (sale === null || free === null) return free;
    for (const [itemId, units] of owedIn(sale, this.now)) {
      free[itemId - 1] = (free[itemId - 1] ?? 0) - units;
    }
    return free;
  }

  soldOf(saleId: number): Int32Array | null {
    return this.#sale(saleId)?.soldOf.slice() ?? null;
  }

  /** Units of each item that were taken back. */
  refundedOf(saleId: number): Int32Array | null {
    return this.#sale(saleId)?.refundedOf.slice() ?? null;
  }

  /** Units of each item that were taken back and are not on sale again. */
  takenOutOf(saleId: number): Int32Array | null {
    return this.#sale(saleId)?.takenOutOf.slice() ?? null;
  }

  /** The last attempt that took something back, of any sale. */
  get refundedUpTo(): number {
    return this.#open.refundedUpTo;
  }

  /**
   * A buyer's live reservations that were made after an attempt, in every sale, oldest first.
   * @param max so many of them, `reservationsToldMax` at most
   */
  reservationsOf(buyer: Buyer, afterSeq = 0, max = reservationsToldMax): LiveReservation[] {
    const found: Reservation[] = [];
    for (const sale of this.#open.sales.values()) {
      expire(sale, this.now);
      // In the order of their making.
      const open = holderOf(sale, buyer)?.open.values() ?? [];
      const live = Iterator.from(open).filter(
        ({ status, seq }) => status === "live" && seq > afterSeq,
      );
      found.push(...live.take(Math.min(max, reservationsToldMax)));
    }
    return found
      .toSorted((a, b) => a.seq - b.seq)
      .slice(0, max)
      .map((reservation) => {
        const { seq, reservedAt, code, sale } = reservation;
        const isOffer = sale.waitingList?.isOffer(code) ?? false;
        return Object.assign(unitOf(reservation), { seq, reservedAt, isOffer });
      });
  }

  /** The lines in which a buyer waits in a sale that is open, or is offered something. */
  linesOf(saleId: number, buyer: Buyer): WaitingLine[] {
    const sale = this.#sale(saleId);
    if (sale === null || sale.waitingList === null || !isOpen(sale, this.now)) return [];
    const list = sale.waitingList;
    return list.of(buyer).map((line) => {
      const offered = line.offer === null ? undefined : this.#open.codes.get(line.offer.code);
      const { item, joinedAt } = line;
      const isLive = offered?.status === "live";
      return { item, joinedAt, ahead: list.ahead(line), offer: isLive ? unitOf(offered) : null };
    });
  }

  /** The sale of a buyer's code, also of one that has run out or is sold; null where it is not known here. */
  saleOf(code: string, buyer: Buyer): number | null {
    const held = this.#open.codes.get(code);
    if (held !== undefined) return sameBuyer(held.buyer, buyer) ? held.sale.terms.id : null;
    const ended = this.#open.ended.get(code)?.of;
    return ended !== undefined && sameBuyer(ended.buyer, buyer) ? ended.saleId : null;
  }

  /** Live reservations of a sale that end by `by` (ms), at most `max` of them, in no order. */
  endingBy(saleId: number, by: number, max: number): Unit[] {
    const sale = this.#sale(saleId);
    if (sale === null) return [];
    const time = sale.terms.endsAt <= by ? Infinity : by;
    return Array.from(sale.live.until(time).take(max), unitOf);
  }

  /** Null for a sale without a queue, or that the ledger does not hold. */
  queue(saleId: number): QueueFigures | null {
    const sale = this.#queued(saleId);
    if (sale === null) return null;
    const { queue } = sale;
    const isDrawn = queue.ranks(this.now) !== null;
    const isClosed = isQueueClosed(sale, this.now);
    return {
      state: isClosed ? "closed" : isDrawn ? "admitting" : "gathering",
      joined: queue.tickets.count,
      gathered: queue.gathered,
      isDrawn,
      admittedUpTo: queue.admittedUpTo(this.now),
      rate: queue.rate,
    };
  }

  /** What has become of those who were let in; null as above. */
  queueProgress(saleId: number): QueueProgress | null {
    const sale = this.#queued(saleId);
    return sale === null ? null : progressOf(sale, this.now);
  }

  /** The rate as announced, and every change since. */
  rateChanges(saleId: number): readonly RateChange[] {
    return this.#queued(saleId)?.queue.changes.slice() ?? [];
  }

  /** Where a ticket stands; null for one that was never given. @param ticket as a UUID is written */
  ticket(saleId: number, ticket: string): TicketState | null {
    const sale = this.#queued(saleId);
    const number = sale?.queue.tickets.find(ticket) ?? 0;
    return sale === null || number === 0 ? null : ticketAt(sale, number, this.now);
  }

  /** Where the ticket stands of a buyer that counts, and the key that it was joined with. */
  ticketOf(saleId: number, buyer: Buyer): (TicketState & { readonly key: string | null }) | null {
    const sale = this.#queued(saleId);
    const number = sale?.queue.tickets.ofBuyer(buyer) ?? 0;
    if (sale === null || number === 0) return null;
    return { ...ticketAt(sale, number, this.now), key: sale.queue.tickets.keyOf(number) };
  }

  /** At most `max` tickets after the one of a number, in their order. Secrets. */
  ticketsAfter(saleId: number, after: number, max: number): string[] {
    const tickets = this.#queued(saleId)?.queue.tickets;
    const count = Math.max(0, Math.min(max, (tickets?.count ?? 0) - after));
    return Array.from({ length: count }, (_, i) => tickets?.ticketOf(after + i + 1) ?? "");
  }

  coupon(name: string): StoredCoupon | null {
    const coupon = this.#open.coupons.get(name);
    return coupon === undefined ? null : storedOf(coupon);
  }

  /** Claims in memory, of all coupons together. */
  get claimsHeld(): number {
    return this.#open.claimsHeld;
  }

  /** What was done in a sale: attempts, changes since it was loaded, and what is on its books. */
  activity(saleId: number): SaleActivity | null {
    const sale = this.#open.sales.get(saleId);
    if (sale === undefined) return null;
    const { attempts, changes, live } = sale;
    return { attempts, changes, open: live.size };
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
    const active = hasQueue(sale) ? activeIn(sale, this.now) : [];
    const waiting = (sale.waitingList?.all() ?? []).map((line) => Object.assign({}, line));
    return { seq: this.seq, sold: sale.soldUnits.length, open, active, waiting };
  }

  #queued(saleId: number): QueuedSale | null {
    const sale = this.#sale(saleId);
    return sale !== null && hasQueue(sale) ? sale : null;
  }

  #sale(saleId: number): SaleState | null {
    const sale = this.#open.sales.get(saleId);
    if (sale === undefined) return null;
    expire(sale, this.now);
    return sale;
  }
}

/** Of whom it matters still: a pass ends after a while without anything. */
function activeIn({ queue, terms }: QueuedSale, now: number): Checkpoint["active"] {
  const ttl = terms.entry.kind === "queue" ? terms.entry.passTtlMs : 0;
  return queue.tickets.activeAfter(now - ttl);
}

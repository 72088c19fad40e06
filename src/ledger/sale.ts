/** A sale as it was announced: what a ledger has to know of it to sell. */
import type { Entry } from "./queue.ts";

/** Times are milliseconds since the Unix epoch. */
export type Sale = {
  readonly id: number;
  /** Where it comes from: the schedule, or an administrator. */
  readonly kind: "hourly" | "product";
  /** Who may buy: everybody, or who has proven who they are. */
  readonly access: "everyone" | "proven";
  readonly entry: Entry;
  readonly startsAt: number;
  readonly endsAt: number;
  /** Ended by hand: whatever the time is, it is over. */
  readonly closed: boolean;
  readonly perUserLimit: number;
  readonly reservationTtlMs: number;
  /** Units of each item; item N is at index N - 1. A number without an item has none. */
  readonly stock: ArrayLike<number>;
  readonly priceCents: ArrayLike<number>;
};

/** What is still known of a sale that is over and whose codes are in the records alone. */
export type SettledSale = Pick<Sale, "access" | "endsAt" | "reservationTtlMs"> & {
  /** Numbers that its items were given. */
  readonly items: number;
};

export const settled = ({ access, endsAt, reservationTtlMs, stock }: Sale): SettledSale => ({
  access,
  endsAt,
  reservationTtlMs,
  items: stock.length,
});

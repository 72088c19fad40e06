/** A sale as it was announced: what a ledger has to know of it to sell. */

/** Times are milliseconds since the Unix epoch. */
export type Sale = {
  readonly id: number;
  /** Where it comes from: the schedule, or an administrator. */
  readonly kind: "hourly" | "product";
  /** Who may buy: everybody, or who has proven who they are. */
  readonly access: "everyone" | "proven";
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

/** What the records have for a ledger that is restored from them. */
import type { Buyer } from "./buyers.ts";
import type { NewReservation } from "./books.ts";
import type { CountedRate, RecordedChange, RecordedTicket } from "./changes.ts";
import type { ClaimMade, StoredCoupon } from "./coupons.ts";
import type { Sale, SettledSale } from "./sale.ts";
import type { Reservation } from "./state.ts";
import type { Line } from "./waitlist.ts";

/** A reservation that was on the books when a checkpoint was made. */
export type OpenReservation = NewReservation & Pick<Reservation, "due" | "extendedBy">;

/** A sale as it was on the books at one moment, without what is sold. */
export type Checkpoint = {
  /** The last attempt of which it knows. */
  readonly seq: number;
  /** Units sold by then, those that were taken back too. */
  readonly sold: number;
  readonly open: readonly OpenReservation[];
  /** When the buyers of tickets held or bought something last (ms), by the tickets' numbers. */
  readonly active: readonly (readonly [number: number, at: number])[];
  /** The lines of its waiting list, in the order of their places. */
  readonly waiting: readonly Line[];
};

/** Those who joined queues, of each sale in the order of their numbers, some at a time. */
type RecordedTickets = AsyncIterable<readonly RecordedTicket[]>;

/** A unit sold, as the records keep it. */
export type StoredPurchase = {
  readonly seq: number;
  readonly at: number;
  readonly itemId: number;
  readonly buyer: Buyer;
  readonly code: string;
  readonly unit: number;
  readonly userOrdinal: number;
  /** The attempt that took it back; null for none. */
  readonly refundedBy: number | null;
  /** Whether it has been on sale again since. */
  readonly restocked: boolean;
  /** The key of the reservation, and of the order when it was bought in one go with others. */
  readonly key: string | null;
  readonly request: string | null;
  readonly orderKey: string | null;
  readonly orderRequest: string | null;
};

/** A sale that is not settled, with all that the records have of it. */
export type RecordedSale = {
  /** With the units that there were at the checkpoint. */
  readonly terms: Sale;
  /** Attempts that named it. */
  readonly attempts: number;
  readonly checkpoint: Checkpoint;
  /** In the order of their numbers. */
  readonly purchases: readonly StoredPurchase[];
};

/** When a term began, by its own clock, and after which attempt. */
export type BegunTerm = { readonly epoch: number; readonly afterSeq: number; readonly at: number };

/** What is read back of the journal, in order, some at a time. */
type Effective = AsyncIterable<readonly RecordedChange[]>;

/** Claims with a key, oldest first. */
export type KeyedClaims = readonly { readonly key: string; readonly claim: ClaimMade }[];

/** Everything that the records have for a new term. */
export type Recorded = {
  /** The last attempt's number and time; 0 before the first. */
  readonly seq: number;
  readonly at: number;
  /** Sales that are over and settled. */
  readonly settled: ReadonlyMap<number, SettledSale>;
  readonly sales: readonly RecordedSale[];
  /** The terms since the oldest of the checkpoints, and the one in which that was made, in order. */
  readonly terms: readonly BegunTerm[];
  readonly tickets: RecordedTickets;
  /** In the order in which they were made. */
  readonly rates: readonly CountedRate[];
  /** What changed these sales after their checkpoints. */
  readonly effective: Effective;
  readonly coupons: AsyncIterable<readonly StoredCoupon[]>;
  readonly keyedClaims: KeyedClaims;
};

/** How far a state has been restored. */
export type RestoredUpTo = {
  /** The last attempt that is in it. */
  readonly seq: number;
  /** The last one up to which what is sold was compared with the purchases. */
  readonly comparedSeq: number;
  /** The last term whose beginning is in it. */
  readonly epoch: number;
  /** Sales of which all is in it but for what happened since, and when they begin and end. */
  readonly sales: ReadonlySet<number>;
  /** How many have joined the queues that are in it, by sale. */
  readonly joined: ReadonlyMap<number, number>;
};

/** When a sale begins and ends, as it is stored now. */
type SaleWindow = Pick<Sale, "id" | "startsAt" | "endsAt" | "closed">;

/** What the records have beyond what was restored before. */
export type RecordedSince = {
  readonly seq: number;
  readonly at: number;
  readonly settled: ReadonlyMap<number, SettledSale>;
  /** All that are not settled, with the purchases that were not compared and the attempts since. */
  readonly sales: readonly {
    /** Whole, with the units of then, but for those of which it is known. */
    readonly terms: Sale | SaleWindow;
    readonly attempts: number;
    readonly purchases: readonly StoredPurchase[];
  }[];
  /** Those that have begun since. */
  readonly terms: readonly BegunTerm[];
  /** Of these sales, those that are not in it. */
  readonly tickets: RecordedTickets;
  /** Those that were made since, in their order. */
  readonly rates: readonly CountedRate[];
  readonly effective: Effective;
  /** As they are now: those that were made, changed or claimed since, and maybe others. */
  readonly coupons: readonly StoredCoupon[];
  /** Names of those that were removed since, and are not there again. */
  readonly removedCoupons: readonly string[];
  readonly keyedClaims: KeyedClaims;
};

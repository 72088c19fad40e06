/**
 * The records as the engine needs them: who may write, what is written, and what is read back.
 * PostgreSQL is behind it in life; a twin in memory, which fails as it is told to, in the tests
 * and the simulator.
 */
import type { ArchivedCode, Command, Outcome } from "../ledger/commands.ts";
import type { Checkpoint, Recorded } from "../ledger/restore.ts";
import type { NewProductSale, ProductSaleChange, WrittenSale } from "./product-sales.ts";
import type { NewSale, StoredSale } from "./sales.ts";

/** A sale stays in memory this long after its end, for clients that are still asking. */
export const settleAfterMs = 10 * 60_000;

/** Where a leader listens: what other processes are told to pass their writes on to. */
export type Announcement = {
  /** Null: the address that PostgreSQL sees it at, with `port`. */
  readonly url: string | null;
  readonly port: number;
};

/** What a standby knows of the leader. */
export type LeaderRecord = { readonly epoch: number; readonly url: string };

/** The session lost the lock, or another leader has written: this state must not be used. */
export class DeposedError extends Error {}

/** The database was migrated by a newer program: this one may not lead any more. */
export class SchemaError extends Error {}

/** Decided together, and committed together: command N was answered with outcome N. */
export type Batch = {
  /** Number of the first attempt; those that ask to look something up take none. */
  readonly firstSeq: number;
  /** The time of every decision in it, ms. */
  readonly at: number;
  readonly commands: readonly Command[];
  readonly outcomes: readonly Outcome[];
};

/** The sales as they are shown, beside what the ledger needs of them. */
export type Recovered = Recorded & { readonly catalogues: readonly StoredSale[] };

/** A leader's term, from its beginning until it is lost. */
export type Term = {
  /** How many terms there have been, this one included. */
  readonly epoch: number;
  /** The time of the last attempt recorded, ms; 0 before the first. */
  readonly lastAt: number;
  /** Resolves with the reason when this term is over. */
  readonly lost: Promise<Error>;
  /** @param now the term's time, ms: what is settled by then is not loaded */
  recover(now: number): Promise<Recovered>;
  /**
   * Writes a batch, all or nothing. When it rejects, nobody knows whether it was written.
   * @throws DeposedError when somebody else leads
   */
  commit(batch: Batch): Promise<void>;
  /** Makes room for the attempts to come, and drops what is past its retention. */
  makeRoom(seq: number, now: number, neededSince: number): Promise<void>;
  /** Gives the lead back. */
  end(): Promise<void>;
};

export type Records = {
  /**
   * Waits until this process may write. Resolves to null when `signal` is aborted first.
   * @param onStandby called after each attempt that found somebody else leading
   */
  lead(
    announce: Announcement,
    signal: AbortSignal,
    onStandby: (leader: LeaderRecord | null) => void,
  ): Promise<Term | null>;
  /** What became of a code, by everything that is committed; null when it was never given. */
  findCode(code: string): Promise<ArchivedCode | null>;
  /** When each buyer claimed a coupon (ms), by `buyerId`, in the order of their claims. */
  loadClaims(coupon: string): Promise<ReadonlyMap<string, number>>;
  loadSales(ids: readonly number[]): Promise<StoredSale[]>;
  findHourly(startsAt: number): Promise<number | null>;
  /**
   * Stores an hourly sale, and returns its id; of one that is there for the same time, that one's.
   * @param seq number of the last attempt made so far: none before it can name this sale
   */
  storeSale(sale: NewSale, seq: number): Promise<number>;
  /** Notes where a sale stands, so that a restart reads no further back. */
  saveCheckpoint(
    saleId: number,
    checkpoint: Checkpoint & { readonly attempts: number; readonly settled: boolean },
  ): Promise<void>;
  /** @throws DeposedError when another leader's term has begun; nothing was stored */
  insertProductSale(epoch: number, sale: NewProductSale, seq: number): Promise<WrittenSale>;
  /** @throws DeposedError as above; what has opened by `now` is not replaced */
  replaceProductSale(
    epoch: number,
    present: StoredSale,
    change: ProductSaleChange,
    now: number,
  ): Promise<WrittenSale | "sale_has_opened">;
  /** @throws DeposedError as above */
  deleteProduct(
    epoch: number,
    id: number,
    now: number,
  ): Promise<"deleted" | "product_not_found" | "product_in_sale">;
  productSaleIds(): Promise<number[]>;
};

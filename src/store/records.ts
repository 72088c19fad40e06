/**
 * The records as the engine needs them: who may write, what is written, and what is read back.
 * PostgreSQL is behind it in life; a twin in memory, which fails as it is told to, in the tests
 * and the simulator.
 */
import type { Buyer } from "../ledger/buyers.ts";
import type {
  ArchivedCode,
  ArchivedKey,
  ArchivedOrder,
  Command,
  Outcome,
  OrderLookup,
  NotedLife,
  OutcomeWord,
  Refund,
  SoldUnit,
} from "../ledger/commands.ts";
import type {
  Checkpoint,
  Recorded,
  RecordedSince,
  RestoredUpTo,
  StoredPurchase,
} from "../ledger/recorded.ts";
import type { CalledChange, Caller } from "./activity.ts";
import type { NewProductSale, ProductSaleChange, WrittenSale } from "./product-sales.ts";
import type { NotedDraw } from "./queues.ts";
import type { NewSale, StoredSale } from "./sales.ts";

/** A sale stays in memory this long after its end, for clients that are still asking. */
export const settleAfterMs = 10 * 60_000;

/** Where a leader listens, and which process it is. */
export type Announcement = {
  /** Null: the address that PostgreSQL sees it at, with `port`. */
  readonly url: string | null;
  readonly port: number;
  /** An id that the process made when it started. */
  readonly instance: string;
  /** Where it listens for other processes: see `link/address.ts`. */
  readonly link: string;
};

/** What a standby knows of the leader; of one of an earlier release not all. */
export type LeaderRecord = {
  readonly epoch: number;
  readonly url: string;
  readonly instance: string | null;
  readonly link: string | null;
};

/** What was to be written was refused: nothing of it is written, and none of it will be. */
export class NotWrittenError extends Error {}

/** The session lost the lock, or another leader has written: this state must not be used. */
export class DeposedError extends NotWrittenError {}

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
  /** The ids of commands that came over the link, by their places; others have none. */
  readonly asked: readonly number[];
};

/** An attempt that came over the link, as the records have it: what its outcome is made of again. */
export type AskedAttempt = {
  /** The command's id. */
  readonly asked: number;
  readonly seq: number;
  readonly at: number;
  readonly word: OutcomeWord;
  readonly saleId: number | null;
  readonly itemId: number | null;
  readonly buyer: Buyer | null;
  readonly code: string | null;
  /** What it sold, or what had been sold under its code. */
  readonly units: readonly AskedUnit[];
  /** Until when it extended a reservation. */
  readonly due: number | null;
  /** What it took back: all units of the order, as they are now. */
  readonly refund: {
    readonly restocked: boolean;
    readonly units: ArchivedOrder["units"];
  } | null;
  /** What its buyer has of its coupon. */
  readonly claim: { readonly ordinal: number; readonly at: number } | null;
};

/** A unit that was sold, with all that the records have of it. */
export type AskedUnit = Omit<SoldUnit, "saleId" | "expiresAt" | "buyer">;

/** The sales as they are shown, beside what the ledger needs of them. */
export type Recovered = Recorded & { readonly catalogues: readonly StoredSale[] };
/** `catalogues`: of the sales that were read whole. */
export type RecoveredSince = RecordedSince & { readonly catalogues: readonly StoredSale[] };

/** A leader's term, from its beginning until it is lost. */
export type Term = {
  /** How many terms there have been, this one included. */
  readonly epoch: number;
  /** The time of the last attempt recorded, ms; 0 before the first. */
  readonly lastAt: number;
  /** Resolves with the reason when this term is over. */
  readonly lost: Promise<Error>;
  /**
   * Notes that the term begins, and settles what is over.
   * @param now the term's time, ms
   */
  begin(now: number): Promise<void>;
  /** What is recorded; to be asked once the term has begun. */
  recover(): Promise<Recovered>;
  /** As above, of what is not known yet. */
  recoverSince(from: RestoredUpTo): Promise<RecoveredSince>;
  /** How far the life of sales is noted, and of others of which the end is not: see `ledger/milestones.ts`. */
  notedLives(saleIds: readonly number[]): Promise<ReadonlyMap<number, NotedLife>>;
  /**
   * Writes a batch, all or nothing. When it rejects with anything else than what is named here,
   * nobody knows whether it was written.
   * @throws NotWrittenError when it was not
   * @throws DeposedError when somebody else leads
   */
  commit(batch: Batch): Promise<void>;
  /** Everything is there, and this process sells: were it silent, another would soon lead. */
  open(): Promise<void>;
  /**
   * Makes sure that nobody else leads, so that what is read is not of the past; null where that is
   * certain. @throws Error when it is not, or is not known in time
   */
  confirm(): Promise<void> | null;
  /** Makes room for the attempts to come, and drops what is past its retention. */
  makeRoom(seq: number, now: number, neededSince: number): Promise<void>;
  /** Notes the last attempt that is committed, where nothing has followed it for a while. */
  noteEnd(seq: number): Promise<void>;
  /** Gives the lead back. */
  end(): Promise<void>;
};

/** How a process stands by. */
export type Standing = {
  /** Whether it is to lead, if nobody does. */
  readonly mayLead: () => boolean;
  /** Told after each attempt who leads; the next is made when it resolves. */
  readonly onStandby: (leader: LeaderRecord | null) => Promise<void>;
  /** Told when somebody has given the lead back. */
  readonly onFreed: () => void;
};

/** An attempt, as its writer sent it. */
export type SentAttempt = { readonly seq: number; readonly at: number; readonly word: OutcomeWord };

/** An idempotency key is a buyer's own. */
export type BuyerKey = { readonly buyer: Buyer; readonly key: string };

export type Records = {
  /** Waits until this process may write. Resolves to null when `signal` is aborted first. */
  lead(announce: Announcement, signal: AbortSignal, standing: Standing): Promise<Term | null>;
  /**
   * Has what is recorded read while somebody else writes: as it was at one moment. What is given
   * to `use` is good until that has ended.
   */
  snapshot<T>(use: (recorded: Recovered) => Promise<T>): Promise<T>;
  /** As above, of what is not known yet. */
  snapshotSince<T>(from: RestoredUpTo, use: (since: RecoveredSince) => Promise<T>): Promise<T>;
  /** What was sold after an attempt and up to one, by sale, in its order. */
  purchases(
    saleIds: readonly number[],
    since: number,
    upTo: number,
  ): Promise<ReadonlyMap<number, readonly StoredPurchase[]>>;
  /** What became of a code, by everything that is committed; null when it was never given. */
  findCode(code: string): Promise<ArchivedCode | null>;
  /** The attempts after the one numbered `seq` that were made of commands with these ids. */
  findAsked(seq: number, ids: readonly number[]): Promise<AskedAttempt[]>;
  /** What was changed by the call with this id, but by an attempt; null: nothing was. */
  findChange(asked: number): Promise<CalledChange | null>;
  /**
   * Whether what was sent in a term was committed, by its last attempt; null while nobody can tell,
   * for no later term has begun.
   */
  isCommitted(epoch: number, last: SentAttempt): Promise<boolean | null>;
  /** What was sold last by each of these keys, in their order; null where nothing was. */
  findKeys(asked: readonly BuyerKey[]): Promise<readonly (ArchivedKey | null)[]>;
  /** What an order is, and what the key of who takes it back was used for. */
  findRefundable(asked: Pick<Refund, "order" | "by" | "key">): Promise<Omit<OrderLookup, "upTo">>;
  /** When each buyer claimed a coupon (ms), by `buyerId`, in the order of their claims. */
  loadClaims(coupon: string): Promise<ReadonlyMap<string, number>>;
  loadSales(ids: readonly number[]): Promise<StoredSale[]>;
  findHourly(startsAt: number): Promise<number | null>;
  /**
   * What a sale's queue is drawn by, in hex, and what came of it; null without one. The seed is to be
   * told to nobody before it opens.
   */
  findDraw(
    saleId: number,
  ): Promise<{ readonly seed: string; readonly noted: NotedDraw | null } | null>;
  /**
   * Notes what came of a draw, before anybody is told; what was noted before stays.
   * @param draw with the last attempt that is committed
   * @returns what is noted; null for a sale without a queue
   * @throws DeposedError when another leader's term has begun; nothing was noted
   */
  noteDraw(
    epoch: number,
    saleId: number,
    draw: NotedDraw & { readonly seq: number },
  ): Promise<NotedDraw | null>;
  /**
   * Stores an hourly sale, and returns its id; of one that is there for the same time, that one's.
   * @param seq number of the last attempt made so far: none before it can name this sale
   */
  storeSale(sale: NewSale, seq: number): Promise<number>;
  /**
   * Notes where a sale stands, so that a restart reads no further back.
   * @throws DeposedError when another leader's term has begun; nothing was noted
   */
  saveCheckpoint(
    epoch: number,
    saleId: number,
    checkpoint: Checkpoint & { readonly attempts: number; readonly settled: boolean },
  ): Promise<void>;
  /** @throws DeposedError when another leader's term has begun; nothing was stored */
  insertProductSale(
    epoch: number,
    sale: NewProductSale,
    seq: number,
    by: Caller,
  ): Promise<WrittenSale | "draft_changed">;
  /** @throws DeposedError as above; what has opened by `now` is not replaced */
  replaceProductSale(
    epoch: number,
    present: StoredSale,
    change: ProductSaleChange,
    now: number,
    by: Caller,
  ): Promise<WrittenSale | "sale_has_opened">;
  /** @throws DeposedError as above */
  deleteProduct(
    epoch: number,
    id: number,
    now: number,
    by: Caller,
  ): Promise<"deleted" | "product_not_found" | "product_in_sale">;
};

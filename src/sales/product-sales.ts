/**
 * Product sales in the leader: announced by an administrator, sold by the ledger. One for each
 * writer.
 *
 * - A sale is stored first and put into the ledger at a moment when all of it is committed.
 * - Before it opens it is changed by shutting it in the ledger, replacing what is stored, and
 *   putting that into its place: no checkout is ever decided on terms that are being replaced.
 * - Once it has opened only its end can move, by a command of the ledger.
 *
 * Changes are made one after another. When nobody knows whether one was stored, the writer is
 * ended: the next term loads what is there.
 */
import postgres, { type Sql } from "postgres";
import type { ChangeSaleOutcome } from "../ledger/commands.ts";
import { addSale, type LedgerState, type Reservation } from "../ledger/state.ts";
import { errorCode, messageOf } from "../postgres/client.ts";
import { DeposedError } from "../store/journal.ts";
import {
  deleteProduct,
  insertProductSale,
  productSaleIds,
  replaceProductSale,
  type AnnouncedItem,
  type MissingProduct,
  type SaleTerms,
} from "../store/product-sales.ts";
import type { StoredSale } from "../store/sales.ts";
import { UnavailableError, type Writer } from "../engine/writer.ts";
import type { Shelf } from "./catalogue.ts";

/** Product sales that are coming or open at a time. */
export const productSalesMax = 200;
/** Changes that wait for the one being made. */
const changesWaitingMax = 64;
/** How long ago a new sale may have begun: an administrator's clock may be off by as much. */
export const startedAgoMaxMs = 60_000;

export type NewProductSale = Omit<SaleTerms, "reservationTtlMs"> & {
  readonly items: readonly AnnouncedItem[];
};

/** What an administrator says differently; what is missing stays. */
export type SaleChange = { readonly [F in keyof NewProductSale]?: NewProductSale[F] | undefined };

/** Why a sale was not made or changed. */
export type Refusal =
  | { readonly word: "product_not_found"; readonly productId: number }
  | { readonly word: "invalid_request"; readonly detail: string }
  | {
      readonly word:
        | "sale_not_found"
        | "sale_has_opened"
        | "sale_not_open"
        | "sale_ended"
        | "end_not_later"
        | "too_many_sales";
    };

export type ProductSalesOptions = {
  readonly sql: Sql;
  readonly writer: Writer;
  /** The writer's. It may be ahead of the records: here it is asked for nothing else but codes. */
  readonly state: LedgerState;
  readonly shelf: Shelf;
  readonly epoch: number;
  readonly reservationTtlMs: number;
  readonly clock: () => number;
};

export class ProductSales {
  readonly #options: ProductSalesOptions;
  /** Every product sale there ever was. */
  readonly #ids: Set<number>;
  #changing: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  private constructor(options: ProductSalesOptions, ids: readonly number[]) {
    this.#options = options;
    this.#ids = new Set(ids);
  }

  static async open(options: ProductSalesOptions): Promise<ProductSales> {
    return new ProductSales(options, await productSaleIds(options.sql));
  }

  /** Whether an id is a product sale's, of one that is over too. */
  has(saleId: number): boolean {
    return this.#ids.has(saleId);
  }

  /** The reservation of a code in a product sale that the ledger holds. */
  reservation(code: string): Reservation | undefined {
    const reservation = this.#options.state.codes.get(code);
    return reservation?.sale.sale.kind === "product" ? reservation : undefined;
  }

  async create(sale: NewProductSale): Promise<StoredSale | Refusal> {
    return await this.#alone(async () => {
      const { sql, writer, epoch, reservationTtlMs, clock } = this.#options;
      const fault = faultIn(sale, clock());
      if (fault !== null) return fault;
      const { seq, count } = await writer.read((state) => ({
        seq: state.seq,
        count: unfinished(state, clock()),
      }));
      if (count >= productSalesMax) return { word: "too_many_sales" };
      const stored = await this.#store(() =>
        insertProductSale(sql, epoch, { ...sale, reservationTtlMs }, sale.items, seq),
      );
      if ("missing" in stored) return missing(stored);
      await this.#put(stored);
      return stored;
    });
  }

  /** Changes whatever may still be changed of a sale. */
  async change(saleId: number, change: SaleChange): Promise<StoredSale | Refusal> {
    return await this.#alone(async () => {
      const opened = await this.#hasOpened(saleId);
      if (typeof opened !== "boolean") return opened;
      if (!opened) return await this.#replace(saleId, change);
      const { endsAt, ...more } = change;
      if (Object.values(more).some((value) => value !== undefined)) {
        return { word: "sale_has_opened" };
      }
      return endsAt === undefined ? await this.#shown(saleId) : await this.#moveEnd(saleId, endsAt);
    });
  }

  /** Ends an open sale at once. */
  async close(saleId: number): Promise<StoredSale | Refusal> {
    return await this.#alone(async () => {
      const opened = await this.#hasOpened(saleId);
      return typeof opened === "boolean" ? await this.#moveEnd(saleId, "now") : opened;
    });
  }

  /** Takes a product out of the shop, unless a sale that is coming or open has it. */
  async deleteProduct(id: number): Promise<"deleted" | "product_not_found" | "product_in_sale"> {
    const { sql, epoch, clock } = this.#options;
    return await this.#alone(() => this.#store(() => deleteProduct(sql, epoch, id, clock())));
  }

  async #hasOpened(saleId: number): Promise<boolean | Refusal> {
    if (!this.has(saleId)) return { word: "sale_not_found" };
    const { writer, clock } = this.#options;
    return await writer.read((state) => {
      const held = state.sales.get(saleId);
      if (held === undefined) return { word: "sale_ended" };
      return held.sale.startsAt <= Math.max(clock(), state.now);
    });
  }

  async #moveEnd(saleId: number, endsAt: number | "now"): Promise<StoredSale | Refusal> {
    const { writer, shelf } = this.#options;
    const outcome: ChangeSaleOutcome = await writer.submit({
      kind: "change_sale",
      saleId,
      endsAt,
    });
    if (outcome.word !== "sale_changed") return { word: outcome.word };
    await writer.read((state) => {
      const held = state.sales.get(saleId);
      const shown = shelf.held(saleId);
      if (held !== undefined && shown !== undefined) {
        shelf.hold({ ...shown.stored, sale: held.sale });
      }
    });
    return await this.#shown(saleId);
  }

  async #replace(saleId: number, change: SaleChange): Promise<StoredSale | Refusal> {
    const { sql, epoch, clock } = this.#options;
    const present = await this.#shown(saleId);
    if ("word" in present) return present;
    const { sale, title } = present;
    const terms: SaleTerms = {
      title: change.title ?? title,
      startsAt: change.startsAt ?? sale.startsAt,
      endsAt: change.endsAt ?? sale.endsAt,
      perUserLimit: change.perUserLimit ?? sale.perUserLimit,
      reservationTtlMs: sale.reservationTtlMs,
    };
    const fault = faultIn(terms, clock());
    if (fault !== null) return fault;
    if (!(await this.#shut(saleId))) return { word: "sale_has_opened" };
    let kept = present;
    try {
      const replaced = await this.#store(() =>
        replaceProductSale(sql, epoch, present, terms, change.items ?? null, clock()),
      );
      if (replaced === "sale_has_opened") return { word: replaced };
      if ("missing" in replaced) return missing(replaced);
      kept = replaced;
      return kept;
    } finally {
      await this.#put(kept);
    }
  }

  /**
   * Leaves a sale that has not opened a window of no length: whatever the time is, it is not
   * open, and attempts on it go on being counted. False when it has opened.
   */
  async #shut(saleId: number): Promise<boolean> {
    const { writer, clock } = this.#options;
    return await writer.read((state) => {
      const held = state.sales.get(saleId);
      if (held === undefined || held.deadlines.length > 0) return false;
      if (held.sale.startsAt <= Math.max(clock(), state.now)) return false;
      held.sale = { ...held.sale, endsAt: held.sale.startsAt };
      return true;
    });
  }

  /** Puts a sale that nobody has bought in into the ledger, in the place of what was there. */
  async #put(stored: StoredSale): Promise<void> {
    const { writer, shelf } = this.#options;
    await writer.read((state) => {
      const { id } = stored.sale;
      this.#ids.add(id);
      shelf.hold(stored);
      addSale(state, stored.sale, state.sales.get(id)?.attempts ?? 0);
    });
  }

  async #shown(saleId: number): Promise<StoredSale | Refusal> {
    const shown = await this.#options.shelf.find(saleId);
    return shown === null ? { word: "sale_not_found" } : shown.stored;
  }

  /** @throws UnavailableError when it was not stored, or nobody knows: then the term is over */
  async #store<T>(store: () => Promise<T>): Promise<T> {
    try {
      return await store();
    } catch (error) {
      // A refused statement was rolled back for certain, unless PostgreSQL was going down.
      if (error instanceof postgres.PostgresError && !errorCode(error).startsWith("57"))
        throw error;
      const reason = error instanceof DeposedError ? error : new Error(messageOf(error));
      this.#options.writer.end(reason);
      throw new UnavailableError(reason.message);
    }
  }

  async #alone<T>(change: () => Promise<T>): Promise<T> {
    if (this.#waiting >= changesWaitingMax) throw new UnavailableError("too many changes wait");
    this.#waiting += 1;
    const turn = this.#changing.then(change).finally(() => {
      this.#waiting -= 1;
    });
    this.#changing = turn.catch(() => {});
    return await turn;
  }
}

/** Product sales that are not over. */
function unfinished(state: LedgerState, now: number): number {
  let count = 0;
  for (const { sale } of state.sales.values()) {
    if (sale.kind === "product" && sale.endsAt > now) count += 1;
  }
  return count;
}

/** What is wrong with a window. */
function faultIn(
  { startsAt, endsAt }: Pick<SaleTerms, "startsAt" | "endsAt">,
  now: number,
): Refusal | null {
  if (endsAt <= startsAt) return invalid("ends_at is not after starts_at");
  if (endsAt <= now) return invalid("ends_at is over already");
  if (startsAt < now - startedAgoMaxMs) return invalid("starts_at is more than a minute ago");
  return null;
}

const invalid = (detail: string): Refusal => ({ word: "invalid_request", detail });

const missing = ({ missing: productId }: MissingProduct): Refusal => ({
  word: "product_not_found",
  productId,
});

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
import type { ChangeSaleOutcome } from "../ledger/commands.ts";
import type { LedgerView } from "../ledger/view.ts";
import { UnavailableError, type Writer } from "../engine/writer.ts";
import { isRefused, messageOf } from "../postgres/client.ts";
import type { NewProductSale, SaleTerms } from "../store/product-sales.ts";
import { DeposedError, type Records } from "../store/records.ts";
import type { StoredSale } from "../store/sales.ts";
import type { Catalogue } from "./catalogue.ts";

/** Product sales that are coming or open at a time. */
const productSalesMax = 200;
/** Changes that wait for the one being made. */
const changesWaitingMax = 64;
/** How long ago a new sale may have begun: an administrator's clock may be off by as much. */
const startedAgoMaxMs = 60_000;

/** What an administrator says of a new sale. */
export type AnnouncedSale = Omit<NewProductSale, "reservationTtlMs">;

/** What an administrator says differently; what is missing stays. */
export type SaleChange = { readonly [F in keyof AnnouncedSale]?: AnnouncedSale[F] | undefined };

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

type ProductSalesOptions = {
  readonly records: Records;
  readonly writer: Writer;
  readonly catalogue: Catalogue;
  readonly epoch: number;
  readonly reservationTtlMs: number;
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
    return new ProductSales(options, await options.records.productSaleIds());
  }

  /** Whether an id is a product sale's, of one that is over too. */
  has(saleId: number): boolean {
    return this.#ids.has(saleId);
  }

  async create(sale: AnnouncedSale): Promise<StoredSale | Refusal> {
    return await this.#alone(async () => {
      const { records, writer, epoch, reservationTtlMs } = this.#options;
      const { now, seq, count } = await writer.read((view) => ({
        now: view.now,
        seq: view.seq,
        count: unfinished(view),
      }));
      const fault = faultIn(sale, now);
      if (fault !== null) return fault;
      if (count >= productSalesMax) return { word: "too_many_sales" };
      const stored = await this.#store(() =>
        records.insertProductSale(epoch, { ...sale, reservationTtlMs }, seq),
      );
      if ("missing" in stored) return missing(stored.missing);
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
    const { records, writer, epoch } = this.#options;
    return await this.#alone(async () => {
      const now = await writer.read((view) => view.now);
      return await this.#store(() => records.deleteProduct(epoch, id, now));
    });
  }

  async #hasOpened(saleId: number): Promise<boolean | Refusal> {
    if (!this.has(saleId)) return { word: "sale_not_found" };
    return await this.#options.writer.read((view) => {
      const sale = view.sale(saleId);
      return sale === null ? { word: "sale_ended" } : sale.startsAt <= view.now;
    });
  }

  async #moveEnd(saleId: number, endsAt: number | "now"): Promise<StoredSale | Refusal> {
    const { writer, catalogue } = this.#options;
    const outcome: ChangeSaleOutcome = await writer.submit({
      kind: "change_sale",
      saleId,
      endsAt,
    });
    if (outcome.word !== "sale_changed") return { word: outcome.word };
    await writer.read((view) => {
      const sale = view.sale(saleId);
      const shown = catalogue.held(saleId);
      if (sale !== null && shown !== undefined) catalogue.hold({ ...shown.stored, sale });
    });
    return await this.#shown(saleId);
  }

  async #replace(saleId: number, change: SaleChange): Promise<StoredSale | Refusal> {
    const { records, writer, epoch } = this.#options;
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
    const now = await writer.read((view) => view.now);
    const fault = faultIn(terms, now);
    if (fault !== null) return fault;
    // From here on no checkout is decided on terms that are being replaced.
    const isShut = await writer.maintain((ledger) => ledger.shutSale(saleId));
    if (!isShut) return { word: "sale_has_opened" };
    let kept = present;
    try {
      const items = change.items ?? null;
      const replaced = await this.#store(() =>
        records.replaceProductSale(epoch, present, { ...terms, items }, now),
      );
      if (replaced === "sale_has_opened") return { word: replaced };
      if ("missing" in replaced) return missing(replaced.missing);
      kept = replaced;
      return kept;
    } finally {
      await this.#put(kept);
    }
  }

  /** Puts a sale that nobody has bought in into the ledger, in the place of what was there. */
  async #put(stored: StoredSale): Promise<void> {
    const { writer, catalogue } = this.#options;
    await writer.maintain((ledger) => {
      this.#ids.add(stored.sale.id);
      catalogue.hold(stored);
      ledger.addSale(stored.sale, 0);
    });
  }

  async #shown(saleId: number): Promise<StoredSale | Refusal> {
    const shown = await this.#options.catalogue.find(saleId);
    return shown === null ? { word: "sale_not_found" } : shown.stored;
  }

  /** @throws UnavailableError when it was not stored, or nobody knows: then the term is over */
  async #store<T>(store: () => Promise<T>): Promise<T> {
    try {
      return await store();
    } catch (error) {
      if (isRefused(error)) throw error;
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
const unfinished = (view: LedgerView): number =>
  view.sales().filter(({ kind, endsAt }) => kind === "product" && endsAt > view.now).length;

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

const missing = (productId: number): Refusal => ({ word: "product_not_found", productId });

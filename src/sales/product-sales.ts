/**
 * Product sales in the leader: announced by an administrator, sold by the ledger. One for each
 * writer.
 *
 * - A sale is stored first and put into the ledger at a moment when all of it is committed.
 * - Before it opens it is changed by shutting it in the ledger, replacing what is stored, and
 *   putting that into its place: no checkout is ever decided on terms that are being replaced.
 * - Once it has opened its end and its title alone can change, by a command of the ledger.
 *
 * Changes are made one after another. When nobody knows whether one was stored, the writer is
 * ended: the next term loads what is there, and finds what was done by the id of the call that asked
 * for it.
 */
import type {
  ChangeQueue,
  ChangeQueueOutcome,
  ChangeSale,
  ChangeSaleOutcome,
  OutcomeOf,
  OutcomeWord,
  Restock,
  Withdraw,
} from "../ledger/commands.ts";
import type { LedgerView } from "../ledger/view.ts";
import { OverloadedError, UnavailableError, type Writer } from "../engine/writer.ts";
import { isRefused, messageOf } from "../postgres/client.ts";
import type { Caller } from "../store/activity.ts";
import type { DraftRef, NewProductSale, SaleTerms } from "../store/product-sales.ts";
import { DeposedError, type Records } from "../store/records.ts";
import type { StoredSale } from "../store/sales.ts";
import type { Catalogue } from "./catalogue.ts";
import type { AnnouncedQueue, NewSeed } from "./draws.ts";

/** Product sales that are coming or open at a time. */
const productSalesMax = 200;
/** Changes that wait for the one being made. */
const changesWaitingMax = 64;
/** How long ago a new sale may have begun: an administrator's clock may be off by as much. */
const startedAgoMaxMs = 60_000;

/** What an administrator says of a new sale. */
export type AnnouncedSale = Omit<NewProductSale, "reservationTtlMs" | "queue" | "draft"> & {
  /** Without, everybody gets in at once. */
  readonly queue?: AnnouncedQueue | undefined;
};

/**
 * What an administrator says differently; what is missing stays. How one gets in stays. An open sale
 * takes a title and an end.
 */
export type SaleChange = {
  readonly [F in Exclude<keyof AnnouncedSale, "queue">]?: AnnouncedSale[F] | undefined;
};

/** Why a sale was not made or changed. */
export type Refusal =
  | { readonly word: "product_not_found"; readonly productId: number }
  | { readonly word: "invalid_request"; readonly detail: string }
  | {
      readonly word:
        | "sale_not_found"
        | "sale_has_opened"
        | "sale_opened"
        | "sale_not_open"
        | "sale_ended"
        | "item_not_found"
        | "too_many_units"
        | "end_not_later"
        | "too_many_sales"
        | "draft_changed";
    };

/** What a call has led to. */
export type DoneCall = {
  readonly word: OutcomeWord | "stored";
  readonly saleId: number | null;
};

type ProductSalesOptions = {
  readonly records: Records;
  readonly writer: Writer;
  readonly catalogue: Catalogue;
  readonly epoch: number;
  readonly reservationTtlMs: number;
  readonly newSeed: NewSeed;
};

export class ProductSales {
  readonly #options: ProductSalesOptions;
  #changing: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(options: ProductSalesOptions) {
    this.#options = options;
  }

  /**
   * What was done of a call that was made before, by this leader or one of whom nobody has heard.
   * @param asked its id
   * @param since none of this and earlier attempts is its
   * @returns the word of its attempt, or `stored` where it needed none; null: nothing was done
   */
  async doneBefore(asked: number, since: number): Promise<DoneCall | null> {
    // After the call itself, if it is still being made.
    return await this.#alone(async () => {
      const { records, writer } = this.#options;
      await writer.settled();
      const [attempt] = await records.findAsked(since, [asked]);
      if (attempt !== undefined) return { word: attempt.word, saleId: attempt.saleId };
      const change = await records.findChange(asked);
      return change && { word: "stored", saleId: change.saleId };
    });
  }

  /** @param draft what is announced by it; one whose start has passed opens now */
  async create(
    announced: AnnouncedSale,
    by: Caller,
    draft: DraftRef | null = null,
  ): Promise<StoredSale | Refusal> {
    return await this.#alone(async () => {
      const { records, writer, epoch, reservationTtlMs, newSeed } = this.#options;
      const { now, seq, count } = await writer.read((view) => ({
        now: view.now,
        seq: view.seq,
        count: unfinished(view),
      }));
      const startsAt = draft === null ? announced.startsAt : Math.max(announced.startsAt, now);
      const sale = { ...announced, startsAt };
      const fault = faultIn(sale, now);
      if (fault !== null) return fault;
      if (count >= productSalesMax) return { word: "too_many_sales" };
      const queue = sale.queue && { ...sale.queue, seed: newSeed() };
      const stored = await this.#store(() =>
        records.insertProductSale(
          epoch,
          { ...sale, reservationTtlMs, queue, draft: draft ?? undefined },
          seq,
          by,
        ),
      );
      if (stored === "draft_changed") return { word: stored };
      if ("missing" in stored) return missing(stored.missing);
      await this.#put(stored);
      return stored;
    });
  }

  /** Changes whatever may still be changed of a sale; of the open hourly one as of any that is open. */
  async change(saleId: number, change: SaleChange, by: Caller): Promise<StoredSale | Refusal> {
    return await this.#alone(async () => {
      const opened = await this.#hasOpened(saleId);
      if (typeof opened !== "boolean") return opened;
      if (!opened) return await this.#replace(saleId, change, by);
      const { endsAt = null, title: to, ...more } = change;
      if (Object.values(more).some((value) => value !== undefined)) {
        return { word: "sale_has_opened" };
      }
      const present = await this.#shown(saleId);
      if ("word" in present) return present;
      const title = to === undefined ? null : { from: present.title, to };
      return await this.#decide({ saleId, opens: false, endsAt, title, by });
    });
  }

  /** Ends an open sale at once. */
  async close(saleId: number, by: Caller): Promise<StoredSale | Refusal> {
    return await this.#alone(async () => {
      const opened = await this.#hasOpened(saleId);
      if (typeof opened !== "boolean") return opened;
      return await this.#decide({ saleId, opens: false, endsAt: "now", title: null, by });
    });
  }

  /** Opens one that is coming at once. */
  async open(saleId: number, by: Caller): Promise<StoredSale | Refusal> {
    return await this.#alone(async () => {
      const opened = await this.#hasOpened(saleId);
      if (typeof opened !== "boolean") return opened;
      return await this.#decide({ saleId, opens: true, endsAt: null, title: null, by });
    });
  }

  /** Adds units of an item to one that is open. */
  async restock(
    restock: Omit<Restock, "kind" | "by"> & { readonly by: Caller },
  ): Promise<StoredSale | Refusal> {
    return await this.#alone(async () => {
      const { writer, catalogue } = this.#options;
      const { saleId, itemId } = restock;
      const present = await this.#shown(saleId);
      if ("word" in present) return present;
      const outcome = await decide(writer, { kind: "restock", ...restock });
      if (outcome.word !== "restocked") return { word: outcome.word };
      await writer.read((view) => {
        const sale = view.sale(saleId);
        const stored = catalogue.held(saleId)?.stored;
        if (sale === null) return;
        // It is being read, maybe as it was before.
        if (stored === undefined) return catalogue.changed(saleId, true);
        const items = stored.items.map((item) =>
          item.id === itemId ? Object.assign({ ...item }, { stock: outcome.after }) : item,
        );
        catalogue.hold({ ...stored, sale, items });
      });
      return await this.#shown(saleId);
    });
  }

  /** Takes back the announcement of one that has not opened. */
  async withdraw(
    saleId: number,
    by: Caller,
  ): Promise<"withdrawn" | "sale_not_found" | "sale_opened"> {
    return await this.#alone(async () => {
      const { catalogue, writer } = this.#options;
      const shown = await catalogue.find(saleId);
      if (shown?.stored.sale.kind !== "product") return "sale_not_found";
      const { word } = await decide(writer, { kind: "withdraw", saleId, by });
      if (word === "withdrawn") catalogue.changed(saleId, false);
      return word;
    });
  }

  /** Lets the queue of a sale, which may be an hourly one, in at another rate. */
  async changeQueue(
    saleId: number,
    change: Pick<ChangeQueue, "admitPerSecond" | "paused"> & { readonly by: Caller },
  ): Promise<ChangeQueueOutcome> {
    return await decide(this.#options.writer, { kind: "change_queue", saleId, ...change });
  }

  /** Takes a product out of the shop, unless a sale that is coming or open has it. */
  async deleteProduct(
    id: number,
    by: Caller,
  ): Promise<"deleted" | "product_not_found" | "product_in_sale"> {
    const { records, writer, epoch } = this.#options;
    return await this.#alone(async () => {
      const now = await writer.read((view) => view.now);
      return await this.#store(() => records.deleteProduct(epoch, id, now, by));
    });
  }

  /** Whether a sale has opened. Of the hourly ones, the schedule's are its own until they have. */
  async #hasOpened(saleId: number): Promise<boolean | Refusal> {
    const shown = await this.#options.catalogue.find(saleId);
    if (shown === null) return { word: "sale_not_found" };
    return await this.#options.writer.read((view) => {
      const sale = view.sale(saleId);
      if (sale === null) return { word: "sale_ended" };
      const hasOpened = sale.startsAt <= view.now;
      return sale.kind === "hourly" && !hasOpened ? { word: "sale_not_open" } : hasOpened;
    });
  }

  async #decide(
    change: Omit<ChangeSale, "kind" | "by"> & { readonly by: Caller },
  ): Promise<StoredSale | Refusal> {
    const { writer, catalogue } = this.#options;
    const refused = await changeSale(writer, catalogue, change);
    return refused ?? (await this.#shown(change.saleId));
  }

  async #replace(saleId: number, change: SaleChange, by: Caller): Promise<StoredSale | Refusal> {
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
        records.replaceProductSale(epoch, present, { ...terms, items }, now, by),
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
    if (this.#waiting >= changesWaitingMax) throw new OverloadedError("too many changes wait");
    this.#waiting += 1;
    const turn = this.#changing.then(change).finally(() => {
      this.#waiting -= 1;
    });
    this.#changing = turn.catch(() => {});
    return await turn;
  }
}

/** What an administrator has decided, or the term itself. */
type SaleCommand = ChangeSale | Restock | Withdraw | ChangeQueue;

/**
 * Has it decided, and its attempt stored with the id of the call, where one asks for it. It ends with
 * the term, and nobody else decides it: a call is made again, and the next term sees for itself.
 */
export async function decide<C extends SaleCommand>(
  writer: Writer,
  command: C & { readonly by: Caller | null },
): Promise<OutcomeOf<C>> {
  const asked = command.by?.asked;
  const ids = asked === undefined ? [] : [asked];
  const [outcome] = await writer.submitAll([command], ids, Infinity);
  return outcome as OutcomeOf<C>;
}

/** Has a sale changed, and shown so. @returns why it was not */
export async function changeSale(
  writer: Writer,
  catalogue: Catalogue,
  change: Omit<ChangeSale, "kind" | "by"> & { readonly by: Caller | null },
): Promise<{ readonly word: Exclude<ChangeSaleOutcome["word"], "sale_changed"> } | null> {
  const { word } = await decide(writer, { kind: "change_sale", ...change });
  if (word !== "sale_changed") return { word };
  await writer.read((view) => {
    const sale = view.sale(change.saleId);
    const stored = catalogue.held(change.saleId)?.stored;
    if (sale === null) return;
    // It is being read, maybe as it was before.
    if (stored === undefined) return catalogue.changed(change.saleId, true);
    const endByHand = stored.endByHand || (change.by !== null && change.endsAt !== null);
    catalogue.hold({ ...stored, sale, title: change.title?.to ?? stored.title, endByHand });
  });
  return null;
}

/** Product sales that are not over. */
const unfinished = (view: LedgerView): number =>
  view.sales().filter(({ kind, endsAt }) => kind === "product" && endsAt > view.now).length;

/** What is wrong with a window. */
function faultIn(
  { startsAt, endsAt }: Pick<SaleTerms, "startsAt" | "endsAt">,
  now: number,
): Refusal | null {
  if (endsAt <= now) return invalid("ends_at is over already");
  if (endsAt <= startsAt) return invalid("ends_at is not after starts_at");
  if (startsAt < now - startedAgoMaxMs) return invalid("starts_at is more than a minute ago");
  return null;
}

const invalid = (detail: string): Refusal => ({ word: "invalid_request", detail });

const missing = (productId: number): Refusal => ({ word: "product_not_found", productId });

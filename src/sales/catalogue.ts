/**
 * The sales as they are shown: titles, and each item's part of an answer, rendered once.
 * Sales that the ledger holds, or its replica, are put here and stay; others are read from the
 * records when somebody asks, and at most `othersMax` of them are kept: those of the hourly
 * schedule for good, product sales, which an administrator may change, for `productSaleMs`. They are
 * read one after another, with a pause as long as each took: ten thousand items are much to read.
 */
import { BoundedMap } from "../bounded.ts";
import type { Sale } from "../ledger/sale.ts";
import { OverloadedError } from "../engine/writer.ts";
import { itemOf, type Item, type StoredSale } from "../store/sales.ts";

const othersMax = 8;
const productSaleMs = 1_000;
/** Sales that wait to be read; more are refused. */
export const salesReadMax = 32;

type LoadSales = (ids: readonly number[]) => Promise<StoredSale[]>;

export type ShownSale = {
  readonly stored: StoredSale;
  /** Units, of all items together. */
  readonly stock: number;
  /** `{"id","name","image_url","price_cents"}` of an item of this sale, as JSON. */
  itemJson(itemId: number): string;
  /** The items whose names have a part, in lower case, in their order. */
  named(part: string): Iterable<Item>;
};

export class Catalogue {
  readonly #load: LoadSales;
  readonly #loadAsked: LoadSales;
  readonly #clock: () => number;
  readonly #held = new Map<number, ShownSale>();
  /** Those that the ledger holds; also while they are read again, whoever asked for that. */
  readonly #inLedger = new Set<number>();
  readonly #others = new BoundedMap<
    number,
    { readonly shown: ShownSale; readonly goodUntil: number }
  >(othersMax);
  /** However many ask at once, a sale is read once. */
  readonly #reading = new Map<number, Promise<ShownSale | null>>();
  #paused: Promise<void> = Promise.resolve();

  /**
   * @param load reads sales by id from the records
   * @param clock ms since the Unix epoch
   * @param loadAsked reads those that are not sold any more, for whoever asks
   */
  constructor(load: LoadSales, clock: () => number, loadAsked: LoadSales = load) {
    this.#load = load;
    this.#loadAsked = loadAsked;
    this.#clock = clock;
  }

  /** Keeps a sale for as long as the ledger holds it. */
  hold(stored: StoredSale): void {
    // What is being read may be as it was before.
    this.#reading.delete(stored.sale.id);
    this.#held.set(stored.sale.id, show(stored));
    this.#inLedger.add(stored.sale.id);
    this.#others.delete(stored.sale.id);
  }

  /** A sale has changed: it is read again, and kept if the ledger holds it. */
  changed(saleId: number, isHeld: boolean): void {
    this.#held.delete(saleId);
    this.#others.delete(saleId);
    this.#reading.delete(saleId);
    if (!isHeld) return void this.#inLedger.delete(saleId);
    this.#inLedger.add(saleId);
    // Where it cannot be read, whoever asks for it tries again.
    this.#read(saleId).catch(() => {});
  }

  /**
   * The ledger holds these, and how they changed may not have been told: they are read again, and
   * shown as they were until then.
   */
  readAgain(saleIds: Iterable<number>): void {
    for (const id of saleIds) {
      this.#inLedger.add(id);
      this.#others.delete(id);
      // Where it cannot be read, what is here stays, or whoever asks for it tries again.
      this.#read(id).catch(() => {});
    }
  }

  /** Keeps sales as the ledger has them, reading those that are not here. */
  async holdAll(sales: readonly Sale[]): Promise<void> {
    const missing = sales.map(({ id }) => id).filter((id) => !this.#held.has(id));
    for (const stored of missing.length === 0 ? [] : await this.#load(missing)) this.hold(stored);
    for (const sale of sales) {
      const held = this.#held.get(sale.id)?.stored;
      const isSame = held?.sale.endsAt === sale.endsAt && held.sale.closed === sale.closed;
      if (held !== undefined && !isSame) this.hold({ ...held, sale });
    }
  }

  /** Lets go of what the ledger does not hold any more. */
  holdOnly(saleIds: ReadonlySet<number>): void {
    for (const of of [this.#held, this.#inLedger]) {
      for (const id of of.keys()) if (!saleIds.has(id)) of.delete(id);
    }
  }

  /** A sale that the ledger holds. */
  held(saleId: number): ShownSale | undefined {
    return this.#held.get(saleId);
  }

  /** A sale that the ledger holds, or that somebody has asked for of late. */
  known(saleId: number): ShownSale | undefined {
    const held = this.#held.get(saleId);
    if (held !== undefined) return held;
    const other = this.#others.get(saleId);
    return other !== undefined && this.#clock() < other.goodUntil ? other.shown : undefined;
  }

  /**
   * Any sale, from the records if need be; null when there is none of that id.
   * @throws OverloadedError when too many wait to be read
   */
  async find(saleId: number): Promise<ShownSale | null> {
    const known = this.known(saleId) ?? this.#reading.get(saleId);
    if (known !== undefined) return await known;
    if (this.#reading.size >= salesReadMax) throw new OverloadedError("too many sales are read");
    return await this.#read(saleId);
  }

  /** As `find`, for who knows that the sale was changed. */
  async findAnew(saleId: number): Promise<ShownSale | null> {
    this.changed(saleId, this.#inLedger.has(saleId));
    return await this.find(saleId);
  }

  #read(saleId: number): Promise<ShownSale | null> {
    const isInLedger = (): boolean => this.#inLedger.has(saleId);
    const read = async (): Promise<ShownSale | null> => {
      const go = await this.#turn();
      const now = this.#clock();
      try {
        const [stored] = await (isInLedger() ? this.#load : this.#loadAsked)([saleId]);
        const shown = stored === undefined ? null : show(stored);
        // What was forgotten meanwhile may have been read before it changed.
        if (this.#reading.get(saleId) === reading) {
          if (isInLedger() && shown !== null) this.hold(shown.stored);
          else this.#keep(saleId, shown, now);
        }
        return shown;
      } finally {
        if (this.#reading.get(saleId) === reading) this.#reading.delete(saleId);
        go();
      }
    };
    const reading = read();
    this.#reading.set(saleId, reading);
    return reading;
  }

  /** Waits until nobody reads; the next begins after what is returned is called, and a pause. */
  async #turn(): Promise<() => void> {
    const before = this.#paused;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#paused = promise;
    await before;
    const from = performance.now();
    return () => void setTimeout(resolve, performance.now() - from);
  }

  #keep(saleId: number, shown: ShownSale | null, now: number): void {
    this.#others.delete(saleId);
    if (shown === null) return;
    const goodUntil = shown.stored.sale.kind === "product" ? now + productSaleMs : Infinity;
    this.#others.set(saleId, { shown, goodUntil });
  }
}

function show(stored: StoredSale): ShownSale {
  const rendered: string[] = [];
  let names: Names | null = null;
  return {
    stored,
    stock: stored.items.reduce((units, item) => units + item.stock, 0),
    itemJson(itemId) {
      let json = rendered[itemId];
      if (json === undefined) {
        const item = itemOf(stored, itemId);
        if (item === undefined) throw new Error(`sale ${stored.sale.id} has no item ${itemId}`);
        json = JSON.stringify(shownItem(stored.sale.id, item));
        rendered[itemId] = json;
      }
      return json;
    },
    named: (part) => find((names ??= namesOf(stored.items)), part),
  };
}

/** The names of items as one text, in lower case, to be looked through at once; and where each ends. */
type Names = { readonly items: readonly Item[]; readonly text: string; readonly ends: Int32Array };

/** No name has one. */
const between = "\n";

function namesOf(items: readonly Item[]): Names {
  const names = items.map(({ name }) => name.toLowerCase());
  const ends = new Int32Array(names.length);
  let end = -between.length;
  for (const [index, name] of names.entries()) {
    end += between.length + name.length;
    ends[index] = end;
  }
  return { items, text: names.join(between), ends };
}

function* find({ items, text, ends }: Names, part: string): Generator<Item> {
  if (part.includes(between)) return;
  let index = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, ends[index - 1])) {
    while ((ends[index] ?? Infinity) < at) index += 1;
    const item = items[index];
    if (item === undefined) return;
    yield item;
    index += 1;
  }
}

/** An item as the contract shows it. */
export function shownItem(saleId: number, { id, name, priceCents, productId }: Item) {
  const image_url =
    productId === undefined ? `/sales/${saleId}/items/${id}/image.svg` : productImage(productId);
  return { id, name, image_url, price_cents: priceCents };
}

/** Where a product's picture is: it has one, whatever sale it is in. */
export const productImage = (productId: number): string => `/api/products/${productId}/image`;

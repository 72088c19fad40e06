/**
 * The sales as they are shown: titles, and each item's part of an answer, rendered once.
 * Sales that the ledger holds are put here by the leader and stay; others are read from the
 * records when somebody asks, and at most `othersMax` of them are kept: those of the hourly
 * schedule for good, product sales, which an administrator may change, for `productSaleMs`.
 */
import { BoundedMap } from "../bounded.ts";
import { itemOf, type Item, type StoredSale } from "../store/sales.ts";

const othersMax = 8;
const productSaleMs = 1_000;

type LoadSales = (ids: readonly number[]) => Promise<StoredSale[]>;

export type ShownSale = {
  readonly stored: StoredSale;
  /** Units, of all items together. */
  readonly stock: number;
  /** `{"id","name","image_url","price_cents"}` of an item of this sale, as JSON. */
  itemJson(itemId: number): string;
};

export class Catalogue {
  readonly #load: LoadSales;
  readonly #clock: () => number;
  readonly #held = new Map<number, ShownSale>();
  readonly #others = new BoundedMap<
    number,
    { readonly shown: ShownSale; readonly goodUntil: number }
  >(othersMax);
  /** However many ask at once, a sale is read once. */
  readonly #reading = new Map<number, Promise<ShownSale | null>>();

  /**
   * @param load reads sales by id from the records
   * @param clock ms since the Unix epoch
   */
  constructor(load: LoadSales, clock: () => number) {
    this.#load = load;
    this.#clock = clock;
  }

  /** Keeps a sale for as long as the ledger holds it. */
  hold(stored: StoredSale): void {
    this.#held.set(stored.sale.id, show(stored));
    this.#others.delete(stored.sale.id);
  }

  /** Lets go of what the ledger does not hold any more. */
  holdOnly(saleIds: ReadonlySet<number>): void {
    for (const id of this.#held.keys()) if (!saleIds.has(id)) this.#held.delete(id);
  }

  /** A sale that the ledger holds. */
  held(saleId: number): ShownSale | undefined {
    return this.#held.get(saleId);
  }

  /** Any sale, from the records if need be; null when there is none of that id. */
  async find(saleId: number): Promise<ShownSale | null> {
    const held = this.#held.get(saleId);
    if (held !== undefined) return held;
    const known = this.#others.get(saleId);
    if (known !== undefined && this.#clock() < known.goodUntil) return known.shown;
    const reading = this.#reading.get(saleId) ?? this.#read(saleId);
    this.#reading.set(saleId, reading);
    return await reading;
  }

  async #read(saleId: number): Promise<ShownSale | null> {
    const now = this.#clock();
    try {
      const [stored] = await this.#load([saleId]);
      this.#others.delete(saleId);
      if (stored === undefined) return null;
      const shown = show(stored);
      const goodUntil = stored.sale.kind === "product" ? now + productSaleMs : Infinity;
      this.#others.set(saleId, { shown, goodUntil });
      return shown;
    } finally {
      this.#reading.delete(saleId);
    }
  }
}

function show(stored: StoredSale): ShownSale {
  const rendered: string[] = [];
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
  };
}

/** An item as the contract shows it. */
export function shownItem(saleId: number, { id, name, priceCents, productId }: Item) {
  const image_url =
    productId === undefined ? `/sales/${saleId}/items/${id}/image.svg` : productImage(productId);
  return { id, name, image_url, price_cents: priceCents };
}

/** Where a product's picture is: it has one, whatever sale it is in. */
export const productImage = (productId: number): string => `/api/products/${productId}/image.svg`;

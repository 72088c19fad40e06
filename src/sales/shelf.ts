/**
 * The sales as they are shown: titles, and each item's part of an answer, rendered once.
 * Sales that the ledger holds are put here by the leader and stay; others are read from the
 * records when somebody asks, and at most `othersMax` of them are kept.
 */
import type { Sql } from "postgres";
import { loadSales, type Item, type StoredSale } from "../store/sales.ts";

const othersMax = 8;

export type ShownSale = {
  readonly stored: StoredSale;
  /** Units, of all items together. */
  readonly stock: number;
  /** `{"id","name","image_url","price_cents"}` of an item of this sale, as JSON. */
  itemJson(itemId: number): string;
};

export class Shelf {
  readonly #sql: Sql;
  readonly #held = new Map<number, ShownSale>();
  readonly #others = new Map<number, ShownSale>();
  /** On their way from the records: a crowd that asks at once has them read once. */
  readonly #coming = new Map<number, Promise<ShownSale | null>>();

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** Keeps a sale for as long as the ledger holds it. */
  hold(stored: StoredSale): void {
    this.#held.set(stored.sale.id, show(stored));
    this.#others.delete(stored.sale.id);
  }

  letGo(saleId: number): void {
    this.#held.delete(saleId);
  }

  letGoAll(): void {
    this.#held.clear();
  }

  /** A sale that the ledger holds. */
  held(saleId: number): ShownSale | undefined {
    return this.#held.get(saleId);
  }

  /** Any sale, from the records if need be; null when there is none of that id. */
  async find(saleId: number): Promise<ShownSale | null> {
    const known = this.#held.get(saleId) ?? this.#others.get(saleId);
    if (known !== undefined) return known;
    const coming =
      this.#coming.get(saleId) ??
      this.#read(saleId).finally(() => {
        this.#coming.delete(saleId);
      });
    this.#coming.set(saleId, coming);
    return await coming;
  }

  async #read(saleId: number): Promise<ShownSale | null> {
    const [stored] = await loadSales(this.#sql, [saleId]);
    if (stored === undefined) return null;
    const shown = show(stored);
    this.#others.set(saleId, shown);
    for (const oldest of this.#others.keys()) {
      if (this.#others.size <= othersMax) break;
      this.#others.delete(oldest);
    }
    return shown;
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
        const item = stored.items[itemId - 1];
        if (item === undefined) throw new Error(`sale ${stored.sale.id} has no item ${itemId}`);
        json = JSON.stringify(shownItem(stored.sale.id, item));
        rendered[itemId] = json;
      }
      return json;
    },
  };
}

/** An item as the contract shows it. */
export function shownItem(saleId: number, { id, name, priceCents }: Item) {
  return {
    id,
    name,
    image_url: `/sales/${saleId}/items/${id}/image.svg`,
    price_cents: priceCents,
  };
}

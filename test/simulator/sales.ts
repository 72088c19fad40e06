/** The memory twin's sales and products: announced, changed before they open, and taken out. */
import type {
  NewProductSale,
  ProductSaleChange,
  WrittenSale,
} from "../../src/store/product-sales.ts";
import { entryOf, queueColumns, type NewQueue, type NotedDraw } from "../../src/store/queues.ts";
import { saleOf, type Item, type NewSale, type StoredSale } from "../../src/store/sales.ts";
import { ConstraintError } from "./constraints.ts";

export type SaleRow = {
  readonly id: number;
  readonly kind: "hourly" | "product";
  title: string;
  startsAt: number;
  endsAt: number;
  closed: boolean;
  endByHand: boolean;
  perUserLimit: number;
  reservationTtlMs: number;
  itemCount: number;
  attempts: number;
  attemptsSeq: number;
  settled: boolean;
  items: readonly Item[];
  readonly queue: NewQueue | null;
  /** What came of its draw. */
  draw: NotedDraw | null;
};

/** SHA-256 of a seed's bytes, in hex. */
export const commitmentOf = (seed: string): string =>
  new Bun.CryptoHasher("sha256").update(Uint8Array.fromHex(seed)).digest("hex");

type Product = { readonly id: number; readonly name: string; deleted: boolean };

export class SaleTable {
  readonly rows = new Map<number, SaleRow>();
  #lastId = 0;
  readonly #products = new Map<number, Product>();
  /** Told of every sale that was stored or replaced. */
  onSale: ((stored: StoredSale, seed: string | null) => void) | null = null;
  /** Told of what came of a draw, when it is noted. */
  onDraw: ((saleId: number, noted: NotedDraw) => void) | null = null;

  addProduct(id: number): void {
    this.#products.set(id, { id, name: `product ${id}`, deleted: false });
  }

  ids(): number[] {
    return [...this.rows.keys()];
  }

  productSaleIds(): number[] {
    return [...this.rows.values()].filter(({ kind }) => kind === "product").map(({ id }) => id);
  }

  get(id: number): SaleRow {
    const sale = this.rows.get(id);
    if (sale === undefined) throw new ConstraintError(`there is no sale ${id}`);
    return sale;
  }

  load(ids: readonly number[]): StoredSale[] {
    return [...this.rows.values()]
      .filter(({ id }) => ids.includes(id))
      .map((row) => {
        const { id, kind, title, startsAt, endsAt, closed, perUserLimit, reservationTtlMs } = row;
        const { items, itemCount, attempts, attemptsSeq, queue, endByHand } = row;
        const entry = entryOf(queueColumns(queue ?? undefined));
        const window = { startsAt, endsAt, closed };
        const head = { id, kind, entry, ...window, perUserLimit, reservationTtlMs };
        const commitment = queue === null ? null : commitmentOf(queue.seed);
        const sale = saleOf(head, items, itemCount);
        return { sale, title, items, endByHand, commitment, attempts, attemptsSeq };
      });
  }

  findDraw(id: number): { readonly seed: string; readonly noted: NotedDraw | null } | null {
    const row = this.rows.get(id);
    return row?.queue == null ? null : { seed: row.queue.seed, noted: row.draw };
  }

  noteDraw(id: number, { entriesDigest, drawn }: NotedDraw): NotedDraw | null {
    const row = this.rows.get(id);
    if (row?.queue == null) return null;
    if (row.draw === null) {
      row.draw = { entriesDigest, drawn };
      this.onDraw?.(id, row.draw);
    }
    return row.draw;
  }

  findHourly(startsAt: number): number | null {
    for (const sale of this.rows.values()) {
      if (sale.kind === "hourly" && sale.startsAt === startsAt) return sale.id;
    }
    return null;
  }

  store(sale: NewSale, seq: number): number {
    const there = sale.kind === "hourly" ? this.findHourly(sale.startsAt) : null;
    return there ?? this.#insertSale(sale, sale.items, seq);
  }

  #insertSale(
    sale: Omit<NewSale, "items" | "queue"> & Pick<NewProductSale, "queue" | "draft">,
    items: readonly Item[],
    attemptsSeq: number,
  ): number {
    const { kind, title, startsAt, endsAt, perUserLimit, reservationTtlMs } = sale;
    if (startsAt >= endsAt) throw new ConstraintError("sales_window");
    const { draft = null } = sale;
    if (draft === null) this.#lastId += 1;
    const id = draft?.id ?? this.#lastId;
    this.rows.set(id, {
      id,
      kind,
      title,
      startsAt,
      endsAt,
      closed: false,
      endByHand: false,
      perUserLimit,
      reservationTtlMs,
      itemCount: items.length,
      attempts: 0,
      attemptsSeq,
      settled: false,
      items,
      queue: sale.queue ?? null,
      draw: null,
    });
    this.onSale?.(this.#stored(id), sale.queue?.seed ?? null);
    return id;
  }

  insertProductSale(sale: NewProductSale, seq: number): WrittenSale {
    const missing = this.#missingIn(sale.items);
    if (missing !== null) return { missing };
    const items = this.#numbered(sale.items, [], 0);
    const id = this.#insertSale({ ...sale, kind: "product" }, items, seq);
    return this.#stored(id);
  }

  /** Adds units of an item. */
  restock(saleId: number, itemId: number, units: number): void {
    const sale = this.get(saleId);
    sale.items = sale.items.map((item) =>
      item.id === itemId ? Object.assign({ ...item }, { stock: item.stock + units }) : item,
    );
  }

  /** @param isTouched whether anything was done in it */
  replaceProductSale(
    { sale: present, items: before }: StoredSale,
    change: ProductSaleChange,
    { isTouched, now }: { readonly isTouched: boolean; readonly now: number },
  ): WrittenSale | "sale_has_opened" {
    const sale = this.get(present.id);
    const missing = this.#missingIn(change.items ?? []);
    if (missing !== null) return { missing };
    if (sale.closed || sale.startsAt <= now || isTouched) return "sale_has_opened";
    const given = present.stock.length;
    const items = change.items === null ? before : this.#numbered(change.items, before, given);
    const { title, startsAt, endsAt, perUserLimit, reservationTtlMs } = change;
    const itemCount = Math.max(given, items.at(-1)?.id ?? 0);
    const terms = { title, startsAt, endsAt, perUserLimit, reservationTtlMs, itemCount, items };
    Object.assign(sale, terms);
    const stored = this.#stored(sale.id);
    this.onSale?.(stored, sale.queue?.seed ?? null);
    return stored;
  }

  deleteProduct(id: number, now: number) {
    const product = this.#products.get(id);
    if (product === undefined || product.deleted) return "product_not_found";
    for (const { endsAt, items } of this.rows.values()) {
      if (endsAt > now && items.some(({ productId }) => productId === id)) return "product_in_sale";
    }
    product.deleted = true;
    return "deleted";
  }

  #numbered(
    announced: NewProductSale["items"],
    present: readonly Item[],
    given: number,
  ): readonly Item[] {
    const numbers = new Map(present.map(({ productId, id }) => [productId, id]));
    let next = given;
    return announced
      .map(({ productId, stock, priceCents }) => {
        const known = numbers.get(productId);
        if (known === undefined) next += 1;
        const name = this.#products.get(productId)?.name ?? "";
        const id = known ?? next;
        return { id, name, pictureSeed: `${productId}`, priceCents, stock, productId };
      })
      .toSorted((a, b) => a.id - b.id);
  }

  #missingIn(items: NewProductSale["items"]): number | null {
    const missing = items
      .map(({ productId }) => productId)
      .filter((id) => this.#products.get(id)?.deleted !== false);
    return missing.length === 0 ? null : Math.min(...missing);
  }

  #stored(id: number): StoredSale {
    const [stored] = this.load([id]);
    if (stored === undefined) throw new Error(`sale ${id} is not stored`);
    return stored;
  }
}

/**
 * What is to be seen of product sales: each with its items and its figures at a moment. The
 * figures of sales that the ledger holds are its own, at a moment when all of them are
 * committed; those of sales long over come from the records, once.
 */
import type { Sql } from "postgres";
import { z } from "zod";
import type { LedgerView, SaleTotals } from "../../ledger/view.ts";
import { productImage, type Catalogue } from "../../sales/catalogue.ts";
import { SettledFigures } from "../settled.ts";
import { soldByItem, type ItemUnits, type SaleStateWord } from "../../store/product-sales.ts";
import type { Item, StoredSale } from "../../store/sales.ts";
import type { SaleEngine } from "../../sales/selling.ts";
import type { Db } from "../../store/db.ts";
import { time, timeShape } from "../fields.ts";
import { entryFields, showEntry } from "../schemas.ts";

/** Sales long over of which the figures are kept. */
const settledMax = 64;

export type FlashSalesContext = {
  readonly engine: SaleEngine;
  readonly catalogue: Catalogue;
  readonly sql: Sql;
  readonly db: Db;
  readonly clock: () => number;
};

const count = z.int().min(0);

/** A product sale, without its items. */
export const flashSaleHead = z.object({
  id: z.int(),
  title: z.string(),
  state: z.enum(["draft", "published"]).describe("A draft is seen by administrators alone"),
  status: z.enum(["active", "upcoming", "ended"]),
  starts_at: timeShape,
  ends_at: timeShape,
  per_user_limit: z.int(),
  reservation_ttl_ms: z.int(),
  ...entryFields,
  stock: count,
  sold: count,
  refunded: count,
  taken_out: count.describe("Refunded, and not on sale again"),
  reserved: count,
  available: count,
});

const flashSaleItem = z.object({
  id: z.int().describe("Number within the sale"),
  product_id: z.int(),
  name: z.string(),
  image_url: z.string(),
  price_cents: count,
  stock: count,
  available: count,
  sold: count,
  refunded: count,
  taken_out: count,
});

export const flashSale = flashSaleHead.extend({ items: z.array(flashSaleItem) });

/** The sale that a product is in now or next. */
export const productFlashSale = flashSaleHead.omit({ reserved: true }).extend({
  item_id: z.int(),
  price_cents: count,
});

export type FlashSaleHead = z.output<typeof flashSaleHead>;
type FlashSale = z.output<typeof flashSale>;
export type ProductFlashSale = z.output<typeof productFlashSale>;

/** Units by item number. */
type UnitsGone = {
  readonly sold: (item: Item) => number;
  readonly refunded: (item: Item) => number;
  readonly takenOut: (item: Item) => number;
  readonly free: (item: Item) => number;
  readonly reserved: number;
  /** Of all items together, where they need not be added up. */
  readonly totals?: SaleTotals | null;
};

type Shown = {
  readonly stored: StoredSale;
  readonly taken: UnitsGone;
  readonly isDraft?: boolean;
};

/** A draft, of which nothing can be had. */
const asDraft = (stored: StoredSale): Shown => ({
  stored,
  taken: {
    sold: () => 0,
    refunded: () => 0,
    takenOut: () => 0,
    free: ({ stock }) => stock,
    reserved: 0,
  },
  isDraft: true,
});

export const showDraft = (stored: StoredSale): FlashSale => showSale(asDraft(stored), -Infinity);

const noDrafts: ReadonlyMap<number, StoredSale> = new Map();

export class FlashSales {
  readonly #context: FlashSalesContext;
  readonly #settled: SettledFigures<UnitsGone>;
  readonly #itemsByProduct = new WeakMap<StoredSale, ReadonlyMap<number, Item>>();

  constructor(context: FlashSalesContext) {
    this.#context = context;
    this.#settled = new SettledFigures(context.engine, settledMax);
  }

  /** A product sale with its items; null when there is none of that id. */
  async find(saleId: number): Promise<FlashSale | null> {
    const [found] = await this.list([saleId]);
    return found ?? null;
  }

  /**
   * Product sales with their items, in the order of `ids`; what is none is left out. Ends early, but
   * with one, where they would have more than `itemsMax` items together.
   * @param drafts those that are among them
   */
  async list(
    ids: readonly number[],
    itemsMax = Infinity,
    drafts: ReadonlyMap<number, StoredSale> = noDrafts,
  ): Promise<FlashSale[]> {
    const { clock } = this.#context;
    const now = clock();
    const held = await this.#held((sales) => sales.filter(({ sale }) => ids.includes(sale.id)));
    const shown: FlashSale[] = [];
    let items = 0;
    for (const id of ids) {
      const draft = drafts.get(id);
      const one =
        draft === undefined ? (held.get(id) ?? (await this.#fromRecords(id))) : asDraft(draft);
      if (one === null) continue;
      items += one.stored.items.length;
      if (shown.length > 0 && items > itemsMax) break;
      shown.push(one.isDraft ? showDraft(one.stored) : showSale(one, now));
    }
    return shown;
  }

  /**
   * What a countdown wants, without its items: of the sales that are open the one that ends first, else
   * of those that are coming the one that opens first.
   */
  async present(): Promise<FlashSaleHead | null> {
    const now = this.#context.clock();
    const first = (sales: readonly StoredSale[]): StoredSale[] => firstOf(sales, now);
    const held = await this.#held(first);
    const [found] = first([...held.values()].map(({ stored }) => stored));
    const shown = found === undefined ? undefined : held.get(found.sale.id);
    return shown === undefined ? null : showHead(shown, now);
  }

  /** The sale that each of these products is in now, or else next. */
  async ofProducts(productIds: readonly number[]): Promise<ReadonlyMap<number, ProductFlashSale>> {
    const now = this.#context.clock();
    const itemsIn = (sales: readonly StoredSale[]) => this.#itemsOf(productIds, sales, now);
    const held = await this.#held((sales) => [...itemsIn(sales).values()].map(([of]) => of));
    const found = new Map<number, ProductFlashSale>();
    for (const [productId, [of, item]] of itemsIn([...held.values()].map(({ stored }) => stored))) {
      const one = held.get(of.sale.id);
      if (one !== undefined) found.set(productId, showItemsSale(one, item, now));
    }
    return found;
  }

  /** By product, its item in the first of the sales that are not over and have it. */
  #itemsOf(
    productIds: readonly number[],
    sales: readonly StoredSale[],
    now: number,
  ): Map<number, readonly [StoredSale, Item]> {
    // What is open began before what is coming.
    const inOrder = sales
      .filter(({ sale }) => now < sale.endsAt)
      .toSorted((a, b) => a.sale.startsAt - b.sale.startsAt || a.sale.id - b.sale.id);
    const found = new Map<number, readonly [StoredSale, Item]>();
    for (const stored of inOrder) {
      const items = this.#items(stored);
      for (const productId of productIds) {
        const item = found.has(productId) ? undefined : items.get(productId);
        if (item !== undefined) found.set(productId, [stored, item]);
      }
      if (found.size === productIds.length) break;
    }
    return found;
  }

  /** A product sale as it is stored; null when there is none of that id. */
  async stored(saleId: number): Promise<StoredSale | null> {
    const stored = (await this.#context.catalogue.find(saleId))?.stored;
    return stored?.sale.kind === "product" ? stored : null;
  }

  #items(stored: StoredSale): ReadonlyMap<number, Item> {
    let items = this.#itemsByProduct.get(stored);
    if (items === undefined) {
      items = new Map(stored.items.map((item) => [item.productId ?? 0, item]));
      this.#itemsByProduct.set(stored, items);
    }
    return items;
  }

  /**
   * The product sales of the ledger that are wanted, with their figures. Those of the others are not
   * looked at: there may be hundreds of sales, each of a thousand items, and everybody asks for one.
   * @param wanted chooses by what was announced: a sale that is being changed is shut in the ledger
   */
  async #held(
    wanted: (sales: readonly StoredSale[]) => readonly StoredSale[],
  ): Promise<Map<number, Shown>> {
    const { catalogue, engine } = this.#context;
    const gone = await engine.writer.read((view) => {
      const products = view.sales().filter(({ kind }) => kind === "product");
      const here = products.flatMap(({ id }) => catalogue.held(id)?.stored ?? []);
      const missing = products.filter(({ id }) => catalogue.held(id) === undefined);
      const ids = [...wanted(here).map(({ sale }) => sale.id), ...missing.map(({ id }) => id)];
      return new Map(ids.map((id) => [id, unitsGone(view, id)]));
    });
    const shown = new Map<number, Shown>();
    for (const [id, taken] of gone) {
      const stored = (await catalogue.find(id))?.stored;
      if (stored !== undefined && wanted([stored]).length > 0) shown.set(id, { stored, taken });
    }
    return shown;
  }

  /** A sale that the ledger does not hold: nothing of it changes any more. */
  async #fromRecords(saleId: number): Promise<Shown | null> {
    const { sql } = this.#context;
    const stored = await this.stored(saleId);
    if (stored === null) return null;
    const settled = await this.#settled.known();
    let taken = settled.get(saleId);
    if (taken === undefined) {
      const units = await soldByItem(sql, saleId);
      const of = ({ id }: Item): ItemUnits =>
        units.get(id) ?? { sold: 0, refunded: 0, takenOut: 0 };
      taken = {
        sold: (item) => of(item).sold,
        refunded: (item) => of(item).refunded,
        takenOut: (item) => of(item).takenOut,
        free: (item) => item.stock - of(item).sold - of(item).takenOut,
        reserved: 0,
      };
      if (stored.sale.endsAt <= this.#context.clock()) settled.set(saleId, taken);
    }
    return { stored, taken };
  }
}

function unitsGone(view: LedgerView, saleId: number): UnitsGone {
  const free = view.free(saleId);
  const sold = view.soldOf(saleId);
  const refunded = view.refundedOf(saleId);
  const takenOut = view.takenOutOf(saleId);
  const totals = view.totals(saleId);
  return {
    totals,
    refunded: (item) => refunded?.[item.id - 1] ?? 0,
    takenOut: (item) => takenOut?.[item.id - 1] ?? 0,
    free: (item) => free?.[item.id - 1] ?? 0,
    sold: (item) => sold?.[item.id - 1] ?? 0,
    reserved: totals?.reserved ?? 0,
  };
}

/** Of sales that are open the one that ends first, else of those that are coming the one that opens first. */
function firstOf(sales: readonly StoredSale[], now: number): StoredSale[] {
  let first: StoredSale | undefined;
  for (const one of sales) {
    if (statusOf(one.sale, now) !== "ended" && (first === undefined || isBefore(one, first, now)))
      first = one;
  }
  return first === undefined ? [] : [first];
}

function isBefore({ sale: a }: StoredSale, { sale: b }: StoredSale, now: number): boolean {
  const [isOpen, isOtherOpen] = [now >= a.startsAt, now >= b.startsAt];
  if (isOpen !== isOtherOpen) return isOpen;
  const [mine, other] = isOpen ? [a.endsAt, b.endsAt] : [a.startsAt, b.startsAt];
  return mine === other ? a.id < b.id : mine < other;
}

const statusOf = ({ startsAt, endsAt, closed }: StoredSale["sale"], now: number): SaleStateWord =>
  closed || now >= endsAt ? "ended" : now < startsAt ? "upcoming" : "active";

function showHead({ stored, taken, isDraft = false }: Shown, now: number): FlashSaleHead {
  const { sale, title, items } = stored;
  const sum = (units: (item: Item) => number): number =>
    items.reduce((total, item) => total + units(item), 0);
  const { totals } = taken;
  return {
    id: sale.id,
    title,
    state: isDraft ? "draft" : "published",
    status: statusOf(sale, now),
    starts_at: time(sale.startsAt),
    ends_at: time(sale.endsAt),
    per_user_limit: sale.perUserLimit,
    reservation_ttl_ms: sale.reservationTtlMs,
    ...showEntry(sale),
    stock: sum(({ stock }) => stock),
    sold: totals?.sold ?? sum(taken.sold),
    refunded: totals?.refunded ?? sum(taken.refunded),
    taken_out: totals?.takenOut ?? sum(taken.takenOut),
    reserved: taken.reserved,
    available: totals?.available ?? sum(taken.free),
  };
}

function showSale(shown: Shown, now: number): FlashSale {
  const items = shown.stored.items.map((item) => ({
    id: item.id,
    product_id: item.productId ?? 0,
    name: item.name,
    image_url: productImage(item.productId ?? 0),
    price_cents: item.priceCents,
    stock: item.stock,
    available: shown.taken.free(item),
    sold: shown.taken.sold(item),
    refunded: shown.taken.refunded(item),
    taken_out: shown.taken.takenOut(item),
  }));
  return { ...showHead(shown, now), items };
}

/** A product's view of a sale: the figures are those of its item. */
function showItemsSale({ stored, taken }: Shown, item: Item, now: number): ProductFlashSale {
  const { sale, title } = stored;
  return {
    id: sale.id,
    title,
    state: "published",
    status: statusOf(sale, now),
    starts_at: time(sale.startsAt),
    ends_at: time(sale.endsAt),
    per_user_limit: sale.perUserLimit,
    reservation_ttl_ms: sale.reservationTtlMs,
    ...showEntry(sale),
    item_id: item.id,
    price_cents: item.priceCents,
    stock: item.stock,
    sold: taken.sold(item),
    refunded: taken.refunded(item),
    taken_out: taken.takenOut(item),
    available: taken.free(item),
  };
}

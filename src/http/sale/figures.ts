/**
 * Where a sale stands at a moment. The leader answers from its ledger, at a moment when all of
 * it is committed; everybody else, and the leader for sales that are over, from the records, at
 * most once a second a sale.
 */
import type { Sql } from "postgres";
import type { LedgerView, SaleTotals } from "../../ledger/view.ts";
import type { SaleEngine } from "../../sales/selling.ts";
import type { Catalogue, ShownSale } from "../../sales/catalogue.ts";
import { settleAfterMs } from "../../store/records.ts";
import { readTaken, type Item, type SaleHead } from "../../store/sales.ts";
import { time } from "../fields.ts";
import { Fresh } from "../fresh.ts";
import { parseSale } from "../parse.ts";

export type FiguresContext = {
  readonly engine: SaleEngine;
  readonly catalogue: Catalogue;
  readonly sql: Sql;
  /** ms since the Unix epoch */
  readonly clock: () => number;
};

/** A sale's figures at one moment. */
export type Figures = SaleTotals & {
  /** Units of an item that are neither sold nor reserved. */
  readonly availableOf: (item: Item) => number;
};

export class SaleFigures {
  readonly #context: FiguresContext;
  readonly #fresh = new Fresh<Figures>();

  constructor(context: FiguresContext) {
    this.#context = context;
  }

  /** The sale that a path names; null when there is none. */
  async find(saleId: string): Promise<ShownSale | null> {
    const sale = parseSale(saleId);
    return typeof sale === "number" ? await this.#context.catalogue.find(sale) : null;
  }

  async show(saleId: number, now: number) {
    const found = await this.#context.catalogue.find(saleId);
    return found === null ? null : showSale(found, await this.totals(found, now), now);
  }

  async of(found: ShownSale, now: number): Promise<Figures> {
    return (await this.#live(found, liveFigures)) ?? (await this.#recorded(found, now));
  }

  /** As `of`, for who does not ask for items: these are many. */
  async totals(found: ShownSale, now: number): Promise<SaleTotals> {
    return (
      (await this.#live(found, (view, id) => view.totals(id))) ?? (await this.#recorded(found, now))
    );
  }

  async #live<T>({ stored }: ShownSale, read: (view: LedgerView, saleId: number) => T | null) {
    return await this.fromLedger((view) => read(view, stored.sale.id));
  }

  async #recorded({ stored, stock }: ShownSale, now: number): Promise<Figures> {
    const { sale } = stored;
    const figures = await this.#fresh.get(sale.id, now, async () => {
      const settledAt = sale.endsAt + settleAfterMs;
      const taken = await readTaken(this.#context.sql, stored, now, settledAt);
      const sold = sum(taken.sold.values());
      const reserved = sum(taken.reserved.values());
      return {
        sold,
        reserved,
        available: stock - sold - reserved,
        attempts: taken.attempts,
        availableOf: ({ id, stock: units }: Item) =>
          units - (taken.sold.get(id) ?? 0) - (taken.reserved.get(id) ?? 0),
      };
    });
    if (figures === null) throw new Error("the records gave no figures");
    return figures;
  }

  /** What `use` finds in the ledger; null when this process does not lead. */
  async fromLedger<T>(use: (view: LedgerView) => T): Promise<T | null> {
    const { role } = this.#context.engine;
    return role.name === "leader" ? await role.writer.read(use) : null;
  }
}

/** Figures by the ledger; null of a sale that it does not hold. */
function liveFigures(view: LedgerView, saleId: number): Figures | null {
  const totals = view.totals(saleId);
  const free = view.free(saleId);
  if (totals === null || free === null) return null;
  return { ...totals, availableOf: ({ id }) => free[id - 1] ?? 0 };
}

export const showSale = ({ stored, stock }: ShownSale, figures: SaleTotals, now: number) =>
  showHead({ ...stored.sale, title: stored.title }, { ...figures, stock }, now);

/** A sale as the contract shows it. */
export function showHead(
  sale: SaleHead,
  figures: SaleTotals & { readonly stock: number },
  now: number,
) {
  return {
    id: sale.id,
    title: sale.title,
    kind: sale.kind,
    status:
      sale.closed || now >= sale.endsAt ? "closed" : now < sale.startsAt ? "upcoming" : "open",
    starts_at: time(sale.startsAt),
    ends_at: time(sale.endsAt),
    stock: figures.stock,
    per_user_limit: sale.perUserLimit,
    reservation_ttl_ms: sale.reservationTtlMs,
    sold: figures.sold,
    reserved: figures.reserved,
    available: figures.available,
    attempts: figures.attempts,
  };
}

const sum = (numbers: Iterable<number>): number => {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
};

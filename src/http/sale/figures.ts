/**
 * Where a sale stands at a moment. The leader answers from its ledger, at a moment when all of
 * it is committed; everybody else, and the leader for sales that are over, from the records, at
 * most once a second a sale.
 */
import type { Sql } from "postgres";
import type { Engine } from "../../engine/engine.ts";
import { advance, expire, type LedgerState, type SaleState } from "../../ledger/state.ts";
import type { Shelf, ShownSale } from "../../sales/catalogue.ts";
import { settleAfterMs } from "../../store/recovery.ts";
import { readTaken, type Item, type SaleHead } from "../../store/sales.ts";
import { time } from "../fields.ts";
import { Fresh } from "../fresh.ts";
import { parseSale } from "../parse.ts";

export type FiguresContext = {
  readonly engine: Engine;
  readonly shelf: Shelf;
  readonly sql: Sql;
  /** ms since the Unix epoch */
  readonly clock: () => number;
};

/** Units of a sale at one moment, and the attempts on it. */
export type Totals = {
  readonly sold: number;
  readonly reserved: number;
  readonly available: number;
  readonly attempts: number;
};

/** A sale's figures at one moment. */
export type Figures = Totals & {
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
    return typeof sale === "number" ? await this.#context.shelf.find(sale) : null;
  }

  async show(saleId: number, now: number) {
    const found = await this.#context.shelf.find(saleId);
    return found === null ? null : showSale(found, await this.totals(found, now), now);
  }

  async of(found: ShownSale, now: number): Promise<Figures> {
    return (await this.#live(found, now, liveFigures)) ?? (await this.#recorded(found, now));
  }

  /** As `of`, for who does not ask for items: these are many. */
  async totals(found: ShownSale, now: number): Promise<Totals> {
    return (await this.#live(found, now, liveTotals)) ?? (await this.#recorded(found, now));
  }

  async #live<T>({ stored }: ShownSale, now: number, read: (held: SaleState, now: number) => T) {
    return await this.fromLedger((state) => {
      const held = state.sales.get(stored.sale.id);
      return held === undefined ? null : read(held, advance(state, now));
    });
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
  async fromLedger<T>(use: (state: LedgerState) => T): Promise<T | null> {
    const { role } = this.#context.engine;
    return role.name === "leader" ? await role.writer.read(use) : null;
  }
}

/** Figures by the ledger. Expiry is decided when somebody looks, here too. */
export function liveFigures(held: SaleState, now: number): Figures {
  const totals = liveTotals(held, now);
  // A copy: the ledger goes on while the answer is being written.
  const free = held.free.slice();
  return { ...totals, availableOf: ({ id }) => free[id - 1] ?? 0 };
}

/** As `liveFigures`, without the items. */
export function liveTotals(held: SaleState, now: number): Totals {
  expire(held, now);
  const { sold, reserved, available, attempts } = held;
  return { sold, reserved, available, attempts };
}

export const showSale = ({ stored, stock }: ShownSale, figures: Totals, now: number) =>
  showHead({ ...stored.sale, title: stored.title }, { ...figures, stock }, now);

/** A sale as the contract shows it. */
export function showHead(
  sale: SaleHead,
  figures: Totals & { readonly stock: number },
  now: number,
) {
  return {
    id: sale.id,
    title: sale.title,
    kind: sale.kind,
    status: now < sale.startsAt ? "upcoming" : now < sale.endsAt ? "open" : "closed",
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

/**
 * Where a sale stands at a moment. A process answers from the ledger, its own or what it has heard of
 * the leader's, at a moment when all of it is committed; where it hears of none, and for sales that
 * are over, from the records: at most once a second a sale, and of one that was settled once, for
 * nothing of it changes any more.
 */
import type { Sql } from "postgres";
import type { LedgerView, SaleTotals } from "../../ledger/view.ts";
import type { SaleEngine } from "../../sales/selling.ts";
import type { Catalogue, ShownSale } from "../../sales/catalogue.ts";
import { settleAfterMs } from "../../store/records.ts";
import { listSales, readTaken, type Item, type SaleHead } from "../../store/sales.ts";
import { time } from "../fields.ts";
import { Fresh } from "../fresh.ts";
import { parseSale } from "../parse.ts";
import { showEntry } from "../schemas.ts";
import { SettledFigures } from "../settled.ts";

/** Settled sales that are told without their catalogue, and those of which each item's units are kept. */
const settledMax = 1_000;
const settledFiguresMax = 32;

export type FiguresContext = {
  readonly engine: SaleEngine;
  readonly catalogue: Catalogue;
  readonly sql: Sql;
  /** ms since the Unix epoch */
  readonly clock: () => number;
};

/** A sale of which nothing changes any more. */
type Settled = {
  readonly head: SaleHead;
  readonly figures: SaleTotals & { readonly stock: number };
};

/** A sale's figures at one moment. */
export type Figures = SaleTotals & {
  /** Units of an item that are neither sold nor reserved. */
  readonly availableOf: (item: Item) => number;
};

export class SaleFigures {
  readonly #context: FiguresContext;
  #fresh = new Fresh<Figures>();
  readonly #settled: SettledFigures<Figures>;
  /** What `#fresh` goes with: others since something was taken back. */
  #known: Map<number, Figures> | null = null;
  readonly #settledHeads: SettledFigures<Settled>;

  constructor(context: FiguresContext) {
    this.#context = context;
    this.#settled = new SettledFigures(context.engine, settledFiguresMax);
    this.#settledHeads = new SettledFigures(context.engine, settledMax);
  }

  /** The sale that a path names; null when there is none. */
  async find(saleId: string): Promise<ShownSale | null> {
    const sale = parseSale(saleId);
    return typeof sale === "number" ? await this.#context.catalogue.find(sale) : null;
  }

  async show(saleId: number, now: number) {
    const settled = await this.#settledSale(saleId, now);
    if (settled !== null) return showHead(settled.head, settled.figures, now);
    const found = await this.#context.catalogue.find(saleId);
    return found === null ? null : showSale(found, await this.totals(found, now), now);
  }

  /** The hourly sale that is open in the ledger; null where there is none, or no leader. */
  async open(now: number) {
    const { catalogue } = this.#context;
    return await this.fromLedger((view) => {
      const id = view.currentSaleId();
      const found = id === null ? undefined : catalogue.held(id);
      const totals = id === null ? null : view.totals(id);
      return found === undefined || totals === null ? null : showSale(found, totals, now);
    });
  }

  /** A sale that was settled, whose items nobody asks for; null for every other. */
  async #settledSale(saleId: number, now: number): Promise<Settled | null> {
    const { sql, catalogue } = this.#context;
    const settledHeads = await this.#settledHeads.known();
    const known = settledHeads.get(saleId);
    if (known !== undefined || catalogue.held(saleId) !== undefined) return known ?? null;
    const endedBy = now - settleAfterMs;
    const asked = { kind: null, before: saleId + 1, limit: 1, endedBy, known: [] };
    const [listed] = await listSales(sql, asked);
    if (listed?.head.id !== saleId || listed.counted === null) return null;
    const { head, attempts, counted } = listed;
    const available = counted.stock - counted.sold - counted.takenOut;
    const settled = { head, figures: { ...counted, reserved: 0, available, attempts } };
    settledHeads.set(saleId, settled);
    return settled;
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
    const known = await this.#settled.known();
    if (known !== this.#known) this.#fresh = new Fresh();
    this.#known = known;
    const settled = known.get(sale.id);
    if (settled !== undefined) return settled;
    return await this.#fresh.get(sale.id, now, async () => {
      const settledAt = sale.endsAt + settleAfterMs;
      const taken = await readTaken(this.#context.sql, stored, now, settledAt);
      const sold = sum(taken.sold);
      const reserved = sum(taken.reserved);
      const takenOut = sum(taken.takenOut);
      const goneOf = (index: number): number =>
        (taken.sold[index] ?? 0) + (taken.takenOut[index] ?? 0) + (taken.reserved[index] ?? 0);
      const figures = {
        sold,
        refunded: sum(taken.refunded),
        takenOut,
        reserved,
        available: stock - sold - takenOut - reserved,
        attempts: taken.attempts,
        availableOf: ({ id, stock: units }: Item) => units - goneOf(id - 1),
      };
      if (now >= settledAt) known.set(sale.id, figures);
      return figures;
    });
  }

  /** What `use` finds in the ledger; null when none can be read just now. */
  async fromLedger<T>(use: (view: LedgerView) => T): Promise<T | null> {
    const { reader } = this.#context.engine;
    return reader === null ? null : await reader.read(use);
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
    ...showEntry(sale),
    sold: figures.sold,
    refunded: figures.refunded,
    taken_out: figures.takenOut,
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

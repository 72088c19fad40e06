/**
 * The hourly sale: keeps the ledger supplied with the sale of this hour and of the next.
 * The catalogue is made and stored ahead, so that opening costs nothing on the hour: a sale
 * opens by the clock alone. Runs in the leader only; if two run for a moment, PostgreSQL's
 * unique key lets one of them store the hour, and both load the same sale.
 */
import type { Sql } from "postgres";
import { addSale, settleSale, type LedgerState, type SaleState } from "../ledger/state.ts";
import { settleAfterMs } from "../store/recovery.ts";
import {
  findHourly,
  loadSales,
  storeSale,
  tallyAttempts,
  type Item,
  type NewSale,
} from "../store/sales.ts";
import type { Writer } from "../engine/writer.ts";
import { itemNames, itemPriceCents, pictureSeed } from "../art/names.ts";
import { windowAfter, windowAt, type Schedule, type Window } from "./schedule.ts";
import type { Shelf } from "./catalogue.ts";

export type HourlySaleTerms = {
  readonly items: number;
  readonly unitsPerItem: number;
  readonly perUserLimit: number;
  readonly reservationTtlMs: number;
};

/** The next sale is made this long before it opens, or half way through a shorter one. */
const prepareAheadMs = 10 * 60_000;
/** Names made between two turns of the event loop: about a millisecond's worth. */
const namesPerTurn = 64;
/** Attempts after which their number is noted, so that recovery counts no more than these. */
const tallyEveryAttempts = 100_000;

export class HourlySales {
  readonly #sql: Sql;
  readonly #writer: Writer;
  readonly #shelf: Shelf;
  readonly #schedule: Schedule;
  readonly #terms: HourlySaleTerms;
  /** Hours known to be in the ledger, by their start. */
  readonly #known = new Set<number>();
  #talliedSeq = 0;

  constructor(
    sql: Sql,
    writer: Writer,
    shelf: Shelf,
    options: { readonly schedule: Schedule; readonly terms: HourlySaleTerms },
  ) {
    this.#sql = sql;
    this.#writer = writer;
    this.#shelf = shelf;
    this.#schedule = options.schedule;
    this.#terms = options.terms;
  }

  /** Brings everything up to date with the clock; to be called about once a second. */
  async tick(now: number): Promise<void> {
    const present = windowAt(this.#schedule, now);
    if (present !== null) await this.#ensure(present);
    const next = windowAfter(this.#schedule, now);
    if (next !== null && now >= preparesAt(next, present)) await this.#ensure(next);
    await this.#tally();
    await this.#settle(now);
  }

  async #ensure(window: Window): Promise<void> {
    if (this.#known.has(window.startsAt)) return;
    const inLedger = await this.#writer.read((state) => hourlyFrom(state, window.startsAt));
    if (inLedger === undefined) {
      const seq = await this.#writer.read((state) => state.seq);
      const id =
        (await findHourly(this.#sql, window.startsAt)) ??
        (await storeSale(this.#sql, await announce(window, this.#terms), seq));
      const [stored] = await loadSales(this.#sql, [id]);
      if (stored === undefined) throw new Error(`sale ${id} was stored and cannot be found`);
      await this.#writer.read((state) => {
        this.#shelf.hold(stored);
        addSale(state, stored.sale, stored.attempts);
      });
    }
    this.#known.add(window.startsAt);
  }

  async #tally(): Promise<void> {
    const seq = await this.#writer.read((state) => state.seq);
    if (seq - this.#talliedSeq < tallyEveryAttempts) return;
    await this.#tallyWhere(() => true, false);
    this.#talliedSeq = seq;
  }

  /** Drops sales that are long over from memory; their figures stay in the records. */
  async #settle(now: number): Promise<void> {
    const over = ({ sale }: SaleState): boolean => now >= sale.endsAt + settleAfterMs;
    const due = await this.#writer.read((state) => [...state.sales.values()].some(over));
    if (!due) return;
    await this.#tallyWhere(over, true);
    await this.#writer.read((state) => {
      for (const sale of state.sales.values()) {
        if (!over(sale)) continue;
        settleSale(state, sale);
        this.#shelf.letGo(sale.sale.id);
        this.#known.delete(sale.sale.startsAt);
      }
    });
  }

  async #tallyWhere(wanted: (sale: SaleState) => boolean, settled: boolean): Promise<void> {
    const { seq, counts } = await this.#writer.read((state) => ({
      seq: state.seq,
      counts: [...state.sales.values()]
        .filter(wanted)
        .map(({ sale, attempts }) => ({ id: sale.id, attempts })),
    }));
    for (const { id, attempts } of counts) {
      await tallyAttempts(this.#sql, id, { attempts, seq, settled });
    }
  }
}

function hourlyFrom(state: LedgerState, startsAt: number): SaleState | undefined {
  return [...state.sales.values()].find(
    ({ sale }) => sale.kind === "hourly" && sale.startsAt === startsAt,
  );
}

function preparesAt(next: Window, present: Window | null): number {
  const length = present === null ? Infinity : next.startsAt - present.startsAt;
  return next.startsAt - Math.min(prepareAheadMs, length / 2);
}

/** Makes the catalogue of the sale of a window, a little in each turn of the event loop. */
async function announce(window: Window, terms: HourlySaleTerms): Promise<NewSale> {
  // The minute is a number of the sale that every process agrees on.
  const saleSeed = Math.floor(window.startsAt / 60_000);
  const items: Item[] = [];
  for (const name of itemNames(saleSeed, terms.items)) {
    const id = items.length + 1;
    items.push({
      id,
      name,
      pictureSeed: pictureSeed(saleSeed, id),
      priceCents: itemPriceCents(saleSeed, id),
      stock: terms.unitsPerItem,
    });
    if (id % namesPerTurn === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const hour = new Date(window.startsAt).toISOString().slice(0, 16).replace("T", " ");
  return {
    kind: "hourly",
    title: `Drop of ${hour} UTC`,
    startsAt: window.startsAt,
    endsAt: window.endsAt,
    perUserLimit: terms.perUserLimit,
    reservationTtlMs: terms.reservationTtlMs,
    items,
  };
}

/**
 * The hourly sale: keeps the ledger supplied with the sale of this hour and of the next.
 * The catalogue is made and stored ahead, so that opening costs nothing on the hour: a sale
 * opens by the clock alone. Runs in the leader only; if two run for a moment, PostgreSQL's
 * unique key lets one of them store the hour, and both load the same sale.
 */
import type { Writer } from "../engine/writer.ts";
import type { Records } from "../store/records.ts";
import type { Item, NewSale } from "../store/sales.ts";
import { itemNames, itemPriceCents, pictureSeed } from "../art/names.ts";
import type { Catalogue } from "./catalogue.ts";
import { Calendar, type Schedule, type Window } from "./schedule.ts";

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

export class HourlySales {
  readonly #records: Records;
  readonly #writer: Writer;
  readonly #catalogue: Catalogue;
  readonly #calendar: Calendar;
  readonly #terms: HourlySaleTerms;

  constructor(
    records: Records,
    writer: Writer,
    catalogue: Catalogue,
    options: { readonly schedule: Schedule; readonly terms: HourlySaleTerms },
  ) {
    this.#records = records;
    this.#writer = writer;
    this.#catalogue = catalogue;
    this.#calendar = new Calendar(options.schedule);
    this.#terms = options.terms;
  }

  /** Brings everything up to date with the clock; to be called about once a second. */
  async tick(now: number): Promise<void> {
    const { present, next } = this.#calendar.at(now);
    if (present !== null) await this.#ensure(present);
    if (next !== null && now >= preparesAt(next, present)) await this.#ensure(next);
  }

  async #ensure(window: Window): Promise<void> {
    const { startsAt } = window;
    const { isHeld, seq } = await this.#writer.read((view) => ({
      isHeld: view.sales().some((sale) => sale.kind === "hourly" && sale.startsAt === startsAt),
      seq: view.seq,
    }));
    if (isHeld) return;
    const id =
      (await this.#records.findHourly(startsAt)) ??
      (await this.#records.storeSale(await announce(window, this.#terms), seq));
    const [stored] = await this.#records.loadSales([id]);
    if (stored === undefined) throw new Error(`sale ${id} was stored and cannot be found`);
    await this.#writer.maintain((ledger) => {
      this.#catalogue.hold(stored);
      ledger.addSale(stored.sale, stored.attempts);
    });
  }
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

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
import type { Sale } from "../ledger/sale.ts";
import type { Catalogue } from "./catalogue.ts";
import type { AnnouncedQueue, NewSeed } from "./draws.ts";
import { changeSale, decide } from "./product-sales.ts";
import { Calendar, type Schedule, type Window } from "./schedule.ts";

export type HourlySaleTerms = {
  readonly items: number;
  readonly unitsPerItem: number;
  readonly perUserLimit: number;
  readonly reservationTtlMs: number;
  /** Without, everybody gets in at once. */
  readonly queue?: AnnouncedQueue | undefined;
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
  readonly #made: { readonly newSeed: NewSeed; readonly timeZone: string };
  /** When the sale began that is over before its time: the ledger needs it no more, or has let it go. */
  #overSince: number | null = null;

  constructor(
    records: Records,
    writer: Writer,
    catalogue: Catalogue,
    options: {
      readonly schedule: Schedule;
      readonly terms: HourlySaleTerms;
      readonly newSeed: NewSeed;
    },
  ) {
    this.#records = records;
    this.#writer = writer;
    this.#catalogue = catalogue;
    this.#calendar = new Calendar(options.schedule);
    this.#terms = options.terms;
    this.#made = { newSeed: options.newSeed, timeZone: options.schedule.timeZone };
  }

  /**
   * Brings everything up to date with the clock; to be called about once a second.
   *
   * Whatever the schedule was when a sale was announced: what is open lasts until the next one opens,
   * unless somebody has moved its end or ended it; of those that are coming there is the next alone.
   */
  async tick(now: number): Promise<void> {
    const { present, next } = this.#calendar.at(now);
    const open = await this.#adjust(now, next);
    if (present !== null && !open) await this.#ensure(present, now);
    if (next !== null && now >= preparesAt(next, present)) await this.#ensure(next, now);
  }

  /** What is there by another schedule gets its place in this one. @returns whether one is open */
  async #adjust(now: number, next: Window | null): Promise<boolean> {
    const sales = await this.#writer.read((view) =>
      view.sales().filter(({ kind, closed }) => kind === "hourly" && !closed),
    );
    const open = sales
      .filter(({ startsAt, endsAt }) => startsAt <= now && now < endsAt)
      .toSorted((a, b) => b.startsAt - a.startsAt);
    const [current, ...others] = open;
    for (const { id } of others) await this.#change(id, "now");
    if (current !== undefined && next !== null) await this.#lastUntil(current, next.startsAt);
    for (const { id, startsAt, endsAt } of sales) {
      if (startsAt <= now) continue;
      if (startsAt !== next?.startsAt) await this.#withdraw(id);
      else if (endsAt !== next.endsAt) await this.#change(id, next.endsAt);
    }
    return current !== undefined;
  }

  async #lastUntil({ id, endsAt }: Sale, until: number): Promise<void> {
    if (endsAt === until) return;
    const isByHand = this.#catalogue.held(id)?.stored.endByHand ?? true;
    if (endsAt > until || !isByHand) await this.#change(id, until);
  }

  /** What cannot be changed stays as it is: it has been had something of. */
  async #change(saleId: number, endsAt: number | "now"): Promise<void> {
    const change = { saleId, opens: false, endsAt, title: null, by: null };
    await changeSale(this.#writer, this.#catalogue, change);
  }

  async #withdraw(saleId: number): Promise<void> {
    const { word } = await decide(this.#writer, { kind: "withdraw", saleId, by: null });
    if (word === "withdrawn") this.#catalogue.changed(saleId, false);
  }

  async #ensure(window: Window, now: number): Promise<void> {
    const { startsAt } = window;
    if (startsAt === this.#overSince) return;
    const { isHeld, seq } = await this.#writer.read((view) => ({
      isHeld: view.sales().some((sale) => sale.kind === "hourly" && sale.startsAt === startsAt),
      seq: view.seq,
    }));
    if (isHeld) return;
    const id =
      (await this.#records.findHourly(startsAt)) ??
      (await this.#records.storeSale(await announce(window, this.#terms, this.#made), seq));
    const [stored] = await this.#records.loadSales([id]);
    if (stored === undefined) throw new Error(`sale ${id} was stored and cannot be found`);
    // Somebody has ended it by hand, and it is settled: its life is noted, and nothing of it is sold.
    if (stored.sale.endsAt <= now) {
      this.#overSince = startsAt;
      return;
    }
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

/** "Drop of 2026-11-20 12:00 UTC": by the zone of the schedule. */
function titleOf(startsAt: number, timeZone: string): string {
  const written = { dateStyle: "short", timeStyle: "short", timeZone } as const;
  return `Drop of ${new Intl.DateTimeFormat("sv-SE", written).format(startsAt)} ${timeZone}`;
}

/** Makes the catalogue of the sale of a window, a little in each turn of the event loop. */
async function announce(
  window: Window,
  terms: HourlySaleTerms,
  { newSeed, timeZone }: { readonly newSeed: NewSeed; readonly timeZone: string },
): Promise<NewSale> {
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
  return {
    kind: "hourly",
    title: titleOf(window.startsAt, timeZone),
    startsAt: window.startsAt,
    endsAt: window.endsAt,
    perUserLimit: terms.perUserLimit,
    reservationTtlMs: terms.reservationTtlMs,
    ...(terms.queue === undefined ? {} : { queue: { ...terms.queue, seed: newSeed() } }),
    items,
  };
}

/** What is sold in one term: the hourly sales, the product sales, and what is asked of the records. */
import type { Engine, Opening, Selling } from "../engine/engine.ts";
import { Lookups } from "../engine/lookups.ts";
import { UnavailableError, type Writer } from "../engine/writer.ts";
import type { Records } from "../store/records.ts";
import type { Catalogue } from "./catalogue.ts";
import { HourlySales, type HourlySaleTerms } from "./hourly.ts";
import { ProductSales } from "./product-sales.ts";
import type { Schedule } from "./schedule.ts";

export class TermSales implements Selling {
  readonly lookups: Lookups;
  readonly products: ProductSales;
  readonly #hourly: HourlySales;
  readonly #writer: Writer;
  readonly #catalogue: Catalogue;

  private constructor(
    writer: Writer,
    catalogue: Catalogue,
    parts: { readonly lookups: Lookups; readonly products: ProductSales; hourly: HourlySales },
  ) {
    this.#writer = writer;
    this.#catalogue = catalogue;
    this.lookups = parts.lookups;
    this.products = parts.products;
    this.#hourly = parts.hourly;
  }

  /** Puts everything there that is sold at `now` (ms). */
  static async open(
    { epoch, writer, recovered }: Opening,
    now: number,
    options: {
      readonly records: Records;
      readonly catalogue: Catalogue;
      readonly schedule: Schedule;
      readonly terms: HourlySaleTerms;
    },
  ): Promise<TermSales> {
    const { records, catalogue, schedule, terms } = options;
    for (const stored of recovered.catalogues) catalogue.hold(stored);
    const { reservationTtlMs } = terms;
    const products = await ProductSales.open({
      records,
      writer,
      catalogue,
      epoch,
      reservationTtlMs,
    });
    const hourly = new HourlySales(records, writer, catalogue, { schedule, terms });
    const lookups = new Lookups(records, writer);
    const sales = new TermSales(writer, catalogue, { lookups, products, hourly });
    await sales.tick(now);
    return sales;
  }

  async tick(now: number): Promise<void> {
    await this.#hourly.tick(now);
    await this.#writer.maintain((ledger) => ledger.dropIdleClaims());
    await this.#writer.read((view) =>
      this.#catalogue.holdOnly(new Set(view.sales().map(({ id }) => id))),
    );
  }
}

/** The engine of a process that sells. */
export type SaleEngine = Engine<TermSales>;

/** The leader's part of an engine. @throws UnavailableError where this process does not lead */
export function leaderOf({ role }: SaleEngine) {
  if (role.name !== "leader") throw new UnavailableError("this process does not lead");
  return role;
}

/** What is sold in one term: the hourly sales and the product sales. */
import type { Engine, Opening, Selling } from "../engine/engine.ts";
import type { Nodes } from "../engine/nodes.ts";
import type { Writer } from "../engine/writer.ts";
import type { Records } from "../store/records.ts";
import type { Catalogue } from "./catalogue.ts";
import type { NewSeed } from "./draws.ts";
import { HourlySales, type HourlySaleTerms } from "./hourly.ts";
import { answerCall } from "./product-sale-changes.ts";
import { ProductSales } from "./product-sales.ts";
import type { Schedule } from "./schedule.ts";

export class TermSales implements Selling {
  readonly products: ProductSales;
  readonly #hourly: HourlySales;
  readonly #writer: Writer;
  readonly #catalogue: Catalogue;
  readonly #nodes: Pick<Nodes, "answer"> | null;

  private constructor(
    writer: Writer,
    catalogue: Catalogue,
    parts: {
      readonly products: ProductSales;
      readonly hourly: HourlySales;
      readonly nodes: Pick<Nodes, "answer"> | null;
    },
  ) {
    this.#writer = writer;
    this.#catalogue = catalogue;
    this.products = parts.products;
    this.#hourly = parts.hourly;
    this.#nodes = parts.nodes;
  }

  /** Puts everything there that is sold at `now` (ms). */
  static async open(
    { epoch, writer, catalogues }: Opening,
    now: number,
    options: {
      readonly records: Records;
      readonly catalogue: Catalogue;
      readonly schedule: Schedule;
      readonly terms: HourlySaleTerms;
      /** Null where nobody asks which processes there are. */
      readonly nodes: Pick<Nodes, "answer"> | null;
      readonly newSeed: NewSeed;
    },
  ): Promise<TermSales> {
    const { records, catalogue, schedule, terms, nodes, newSeed } = options;
    for (const stored of catalogues) catalogue.hold(stored);
    await catalogue.holdAll(await writer.read((view) => view.sales()));
    const { reservationTtlMs } = terms;
    const products = new ProductSales({
      records,
      writer,
      catalogue,
      epoch,
      reservationTtlMs,
      newSeed,
    });
    const hourly = new HourlySales(records, writer, catalogue, { schedule, terms, newSeed });
    const sales = new TermSales(writer, catalogue, { products, hourly, nodes });
    await sales.tick(now);
    return sales;
  }

  async call(body: unknown, asked: number): Promise<unknown> {
    const answer = this.#nodes?.answer(body);
    return answer === undefined ? await answerCall(this.products, body, asked) : answer;
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

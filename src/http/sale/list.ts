/**
 * The sales there are and were, newest first. One statement for a page; what the ledger holds
 * is told by the ledger, as `/sales/{id}` does, and units of sales long over are counted once.
 */
import { settleAfterMs } from "../../store/records.ts";
import { listSales, type ListedSale } from "../../store/sales.ts";
import { OverloadedError } from "../../engine/writer.ts";
import { integerMax } from "../../store/integer.ts";
import { showHead, showSale, type FiguresContext, type SaleFigures } from "./figures.ts";
import { Invalid, parseWhole, queryOf, queryValue } from "../parse.ts";
import { json, problem, problems } from "../problems.ts";
import { saleList, saleListQuery } from "../schemas.ts";
import { SettledFigures } from "../settled.ts";
import type { Route } from "../server.ts";

const salesPerPage = 20;
const salesPerPageMax = 100;
/** Who waits for a page; more are refused. */
const waitingMax = 256;
/** Sales long over of which the counted units are kept. */
const countedSalesMax = 2_000;

export function saleListRoutes(context: FiguresContext, figures: SaleFigures): Route[] {
  const list = new SaleList(context, figures);
  return [
    {
      path: "/sales",
      methods: {
        GET: {
          handle: (request) => list.answer(queryOf(request.url)),
          cost: "records",
          summary: "The sales there are and were, newest first",
          description: "Each as `/sales/{sale_id}` tells it.",
          query: saleListQuery(salesPerPageMax),
          answers: { 200: saleList },
          refusals: ["invalid_request", "overloaded"],
        },
      },
    },
  ];
}

type Counted = NonNullable<ListedSale["counted"]>;
type Wanted = Omit<Parameters<typeof listSales>[1], "known">;

class SaleList {
  readonly #context: FiguresContext;
  readonly #figures: SaleFigures;
  /** Units of sales long over. */
  readonly #counted: SettledFigures<Counted>;
  #reading: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(context: FiguresContext, figures: SaleFigures) {
    this.#context = context;
    this.#figures = figures;
    this.#counted = new SettledFigures(context.engine, countedSalesMax);
  }

  async answer(query: string): Promise<Response> {
    const kind = queryValue(query, "kind");
    if (kind instanceof Invalid) return problem("invalid_request", kind);
    if (kind !== null && kind !== "hourly" && kind !== "product") {
      return problem("invalid_request", { detail: "kind is neither hourly nor product" });
    }
    const ids = { min: 1, max: integerMax, otherwise: integerMax + 1 };
    const before = parseWhole(query, "before", ids);
    if (before instanceof Invalid) return problem("invalid_request", before);
    const sizes = { min: 1, max: salesPerPageMax, otherwise: salesPerPage };
    const limit = parseWhole(query, "limit", sizes);
    if (limit instanceof Invalid) return problem("invalid_request", limit);

    const now = this.#context.clock();
    const found = await this.#read({
      kind,
      before,
      limit: limit + 1,
      endedBy: now - settleAfterMs,
    });
    const page = found.slice(0, limit);
    return json({
      sales: await this.#show(page, now),
      next_before: found.length > limit ? (page.at(-1)?.head.id ?? null) : null,
    });
  }

  /** One at a time: a crowd that asks at once has the units counted once. */
  #read(wanted: Wanted): Promise<ListedSale[]> {
    if (this.#waiting >= waitingMax) throw new OverloadedError(problems.overloaded.detail);
    this.#waiting += 1;
    const reading = this.#reading.then(async () => {
      const counted = await this.#counted.known();
      const found = await listSales(this.#context.sql, {
        ...wanted,
        known: [...counted.keys()],
      });
      for (const listed of found) {
        if (listed.counted !== null) counted.set(listed.head.id, listed.counted);
      }
      return found;
    });
    this.#reading = reading
      .catch(() => {
        // Who asked is told; who asks next is not concerned.
      })
      .finally(() => {
        this.#waiting -= 1;
      });
    return reading;
  }

  async #show(page: readonly ListedSale[], now: number) {
    const live = await this.#figures.fromLedger(
      (view) => new Map(page.map(({ head }) => [head.id, view.totals(head.id)])),
    );
    const known = await this.#counted.known();
    const shown: object[] = [];
    for (const listed of page) {
      const { head, attempts } = listed;
      const totals = live?.get(head.id) ?? undefined;
      const held = totals === undefined ? null : await this.#context.catalogue.find(head.id);
      const counted = listed.counted ?? known.get(head.id);
      if (totals !== undefined && held !== null) shown.push(showSale(held, totals, now));
      else if (counted !== undefined) {
        const available = counted.stock - counted.sold - counted.takenOut;
        const figures = { ...counted, reserved: 0, available, attempts };
        shown.push(showHead(head, figures, now));
      } else {
        // Stored a moment ago and not in the ledger yet, or nobody leads just now.
        const one = await this.#figures.show(head.id, now);
        if (one !== null) shown.push(one);
      }
    }
    return shown;
  }
}

/**
 * A whole sale at once, for whoever draws all of it, as the page of the drop does: what never
 * changes as one answer, which is made once, and what changes as another, a few bytes an item.
 *
 * What is free in the open sale is told as of the last event of `/events`, to the letter: who
 * listens first and asks then, or asks first and listens from `last_event_id` on, misses
 * nothing. So it is the leader that answers, from whom the events come; others pass it on.
 */
import { itemColour } from "../../art/pictures.ts";
import type { ShownSale } from "../../sales/catalogue.ts";
import { itemOf } from "../../store/sales.ts";
import { compressed, sendCompressed, type Compressed } from "../compressed.ts";
import type { Events, SaidUnits } from "./events.ts";
import type { FiguresContext, SaleFigures } from "./figures.ts";
import { Fresh } from "../fresh.ts";
import { queryOf, queryValue } from "../parse.ts";
import { problem } from "../problems.ts";
import {
  availabilityShape,
  saleParam,
  wholeCatalogueQuery,
  wholeCatalogueShape,
} from "../schemas.ts";
import type { Route } from "../server.ts";

/** Items looked at between two turns of the event loop: about half a millisecond's worth. */
const itemsPerTurn = 512;
/** Of a number without an item. */
const noColour = "#000000";

type CatalogueContext = FiguresContext & { readonly events: Events };

export function wholeCatalogueRoutes(context: CatalogueContext, figures: SaleFigures): Route[] {
  const catalogues = new Catalogues(figures);
  const availability = new Availability(context, figures);
  return [
    {
      path: "/sales/:sale_id/catalogue",
      methods: {
        GET: {
          handle: (r) => catalogues.answer(r, r.params["sale_id"] ?? ""),
          cost: "large",
          summary: "A sale's whole catalogue, in columns",
          description:
            "Every list is in the order of the items: the first entry is item 1's. Of an hourly " +
            "sale only the stock can change, by units that are added while it is open: asked for " +
            "by that it may be kept for ever. Sent as gzip to who takes it.",
          path: saleParam,
          query: wholeCatalogueQuery,
          answers: { 200: wholeCatalogueShape, 304: null },
          refusals: ["sale_not_found"],
        },
      },
    },
    {
      path: "/sales/:sale_id/availability",
      methods: {
        GET: {
          handle: (r) => availability.answer(r, r.params["sale_id"] ?? ""),
          summary: "What is free of every item of a sale",
          description:
            "In the order of the items. Of the open hourly sale: as of the last event of " +
            "`/events`, which goes on from there when it is asked with `Last-Event-ID`. Of other " +
            "sales: at most a second old. Sent as gzip to who takes it.",
          path: saleParam,
          answers: { 200: availabilityShape },
          refusals: ["sale_not_found"],
        },
      },
    },
  ];
}

/** Catalogues as they are sent. */
class Catalogues {
  readonly #figures: SaleFigures;
  /** Kept as long as the catalogue keeps the sale, which is their bound. */
  readonly #made = new WeakMap<ShownSale, Promise<Compressed>>();

  constructor(figures: SaleFigures) {
    this.#figures = figures;
  }

  async answer(request: Request, saleId: string): Promise<Response> {
    const found = await this.#figures.find(saleId);
    if (found === null) return problem("sale_not_found");
    const made = this.#made.get(found) ?? makeCatalogue(found);
    this.#made.set(found, made);
    // The items of a product sale that has not opened may yet be other ones. An hourly one may get
    // units while it is open, so that it is named by those that it has.
    const { sale } = found.stored;
    const named = queryValue(queryOf(request.url), "of");
    const isFinal = sale.kind === "hourly" && named === `${sale.startsAt}-${found.stock}`;
    const caching = isFinal ? "public, max-age=31536000, immutable" : "no-cache";
    return sendCompressed(request, await made, caching);
  }
}

async function makeCatalogue({ stored }: ShownSale): Promise<Compressed> {
  const { sale } = stored;
  // By number: one that was taken out leaves a gap.
  const items = Array.from({ length: sale.stock.length }, (_, index) => itemOf(stored, index + 1));
  const palette = new Map<string, number>();
  const colours: number[] = [];
  for (const item of items) {
    const colour = item === undefined ? noColour : itemColour(item.pictureSeed);
    const index = palette.get(colour) ?? palette.size;
    palette.set(colour, index);
    colours.push(index);
    if (colours.length % itemsPerTurn === 0) await new Promise((next) => setImmediate(next));
  }
  const catalogue = {
    sale_id: sale.id,
    image_url: `/sales/${sale.id}/items/{id}/image.svg`,
    palette: [...palette.keys()],
    names: items.map((item) => item?.name ?? ""),
    price_cents: items.map((item) => item?.priceCents ?? 0),
    stock: items.map((item) => item?.stock ?? 0),
    colours,
  };
  return await compressed(catalogue, "best");
}

/** What is free, made once an event for everybody. */
class Availability {
  readonly #context: CatalogueContext;
  readonly #figures: SaleFigures;
  /** Of sales that the events do not speak of. */
  readonly #others = new Fresh<Compressed>();
  #said: { readonly of: SaidUnits; readonly made: Promise<Compressed> } | null = null;

  constructor(context: CatalogueContext, figures: SaleFigures) {
    this.#context = context;
    this.#figures = figures;
  }

  async answer(request: Request, saleId: string): Promise<Response> {
    const found = await this.#figures.find(saleId);
    if (found === null) return problem("sale_not_found");
    const { events } = this.#context;
    const said = events.saidOf(found.stored.sale.id);
    const made = said === null ? this.#other(found) : this.#open(found, said);
    return sendCompressed(request, await made, "no-store");
  }

  #open({ stored }: ShownSale, of: SaidUnits): Promise<Compressed> {
    if (this.#said?.of === of) return this.#said.made;
    const { eventId, free, ...figures } = of;
    const made = makeAvailability(stored.sale.id, eventId, figures, Array.from(free));
    this.#said = { of, made };
    return made;
  }

  async #other(found: ShownSale): Promise<Compressed> {
    const now = this.#context.clock();
    const { sale } = found.stored;
    const made = await this.#others.get(sale.id, now, async () => {
      const { availableOf, ...figures } = await this.#figures.of(found, now);
      const free = Array.from(sale.stock, (_, index) => {
        const item = itemOf(found.stored, index + 1);
        return item === undefined ? 0 : availableOf(item);
      });
      return await makeAvailability(sale.id, null, figures, free);
    });
    if (made === null) throw new Error("nothing was made");
    return made;
  }
}

const makeAvailability = (
  saleId: number,
  lastEventId: string | null,
  { sold, reserved, available }: Pick<SaidUnits, "sold" | "reserved" | "available">,
  free: readonly number[],
): Promise<Compressed> =>
  compressed(
    { sale_id: saleId, last_event_id: lastEventId, sold, reserved, available, free },
    "fast",
  );

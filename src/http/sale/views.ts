/**
 * What is to be seen of sales: figures, catalogue, pictures, audit. Of when the figures are,
 * `figures.ts` tells.
 */
import { z } from "zod";
import { BoundedMap } from "../../bounded.ts";
import { itemColour, itemPicture } from "../../art/pictures.ts";
import { Calendar, type Schedule, type Window } from "../../sales/schedule.ts";
import { shownItem, type ShownSale } from "../../sales/catalogue.ts";
import { auditPatiently, type auditSale } from "../../store/audit.ts";
import { integerMax } from "../../store/integer.ts";
import { findHourly, itemOf, type Item } from "../../store/sales.ts";
import { calendarOf } from "./calendar.ts";
import { wholeCatalogueRoutes } from "./catalogue.ts";
import { takesGzip } from "../compressed.ts";
import type { Events } from "./events.ts";
import { time } from "../fields.ts";
import { SaleFigures, type Figures, type FiguresContext } from "./figures.ts";
import { Fresh } from "../fresh.ts";
import { Invalid, originOf, parseSale, parseWhole, queryOf, queryValue } from "../parse.ts";
import { json, problem } from "../problems.ts";
import type { Reads } from "../reads.ts";
import { saleListRoutes } from "./list.ts";
import {
  auditShape,
  catalogueQuery,
  currentShape,
  itemPage,
  itemParam,
  itemShape,
  saleParam,
  saleShape,
} from "../schemas.ts";
import type { Route } from "../server.ts";

const itemsPerPageMax = 500;
const itemsPerPage = 100;
/** Pictures kept rendered and compressed, 0.8 KB each: those of a sale, which all are looked at. */
const picturesMax = 10_000;

type ViewContext = FiguresContext & {
  readonly reads: Pick<Reads, "becameLarge">;
  readonly schedule: Schedule;
  readonly events: Events;
};

export function viewRoutes(context: ViewContext): Route[] {
  const figures = new SaleFigures(context);
  const views = new Views(context, figures);
  return [
    {
      path: "/sale",
      methods: {
        GET: {
          handle: () => views.current(),
          summary: "The open hourly sale, and when the next one opens",
          answers: { 200: currentShape },
          refusals: [],
        },
      },
    },
    {
      path: "/sales/:sale_id",
      methods: {
        GET: {
          handle: (r) => views.sale(param(r, "sale_id")),
          summary: "One sale with its figures",
          path: saleParam,
          answers: { 200: saleShape },
          refusals: ["sale_not_found"],
        },
      },
    },
    {
      path: "/sales/:sale_id/calendar.ics",
      methods: {
        GET: {
          handle: (r) => views.calendar(r, param(r, "sale_id")),
          summary: "A sale as an event for a calendar (RFC 5545)",
          path: saleParam,
          answers: { 200: z.string() },
          mediaType: "text/calendar",
          refusals: ["sale_not_found"],
        },
      },
    },
    {
      path: "/sales/:sale_id/audit",
      methods: {
        GET: {
          handle: (r) => views.audit(param(r, "sale_id")),
          cost: "costly",
          summary: "The live proof of a sale",
          description: "Asked of PostgreSQL, not of memory; made anew at most once a second.",
          path: saleParam,
          answers: { 200: auditShape },
          refusals: ["sale_not_found"],
        },
      },
    },
    ...saleListRoutes(context, figures),
    ...catalogueRoutes(views),
    ...wholeCatalogueRoutes(context, figures),
  ];
}

function catalogueRoutes(views: Views): Route[] {
  return [
    {
      path: "/sales/:sale_id/items",
      methods: {
        GET: {
          handle: (r) => views.items(param(r, "sale_id"), queryOf(r.url)),
          cost: "large",
          summary: "A page of a sale's catalogue",
          description: "In the order of the items.",
          path: saleParam,
          query: catalogueQuery(itemsPerPageMax),
          answers: { 200: itemPage },
          refusals: ["invalid_request", "sale_not_found"],
        },
      },
    },
    {
      path: "/sales/:sale_id/items/:id",
      methods: {
        GET: {
          handle: (r) => views.item(param(r, "sale_id"), param(r, "id")),
          summary: "One item of a sale",
          path: itemParam,
          answers: { 200: itemShape },
          refusals: ["sale_not_found", "item_not_found"],
        },
      },
    },
    {
      path: "/sales/:sale_id/items/:id/image.svg",
      methods: {
        GET: {
          handle: (r) => views.picture(r, param(r, "sale_id"), param(r, "id")),
          summary: "An item's picture",
          description: "Never changes.",
          path: itemParam,
          answers: { 200: z.string() },
          mediaType: "image/svg+xml",
          refusals: ["sale_not_found", "item_not_found"],
        },
      },
    },
  ];
}

const param = (request: { readonly params: Record<string, string> }, name: string): string =>
  request.params[name] ?? "";

class Views {
  readonly #context: ViewContext;
  readonly #figures: SaleFigures;
  readonly #calendar: Calendar;
  readonly #audits = new Fresh<Awaited<ReturnType<typeof auditSale>>>();
  readonly #pictures = new BoundedMap<string, Uint8Array<ArrayBuffer>>(picturesMax);

  constructor(context: ViewContext, figures: SaleFigures) {
    this.#context = context;
    this.#figures = figures;
    this.#calendar = new Calendar(context.schedule);
  }

  async current(): Promise<Response> {
    const now = this.#context.clock();
    const { present, next } = this.#calendar.at(now);
    const current = (await this.#figures.open(now)) ?? (await this.#recorded(present, now));
    return json({
      now: time(now),
      current,
      next: await this.#next(next),
    });
  }

  /** The next sale; of one that is not made yet only when it opens. */
  async #next(window: Window | null) {
    if (window === null) return { starts_at: null, id: null, entry: null };
    const { startsAt } = window;
    const sale = await this.#figures.fromLedger((view) =>
      view.sales().find((one) => one.kind === "hourly" && one.startsAt === startsAt),
    );
    const { id = null, entry = null } = sale ?? {};
    return { starts_at: time(startsAt), id, entry: entry?.kind ?? null };
  }

  /** The hourly sale of a window, from the records; null without one. */
  async #recorded(present: Window | null, now: number) {
    const { sql } = this.#context;
    const id = present === null ? null : await findHourly(sql, present.startsAt);
    return id === null ? null : await this.#figures.show(id, now);
  }

  async sale(saleId: string): Promise<Response> {
    const sale = parseSale(saleId);
    const shown =
      typeof sale === "number" ? await this.#figures.show(sale, this.#context.clock()) : null;
    return shown === null ? problem("sale_not_found") : json(shown);
  }

  async calendar(request: Request, saleId: string): Promise<Response> {
    const [sale, now] = [parseSale(saleId), this.#context.clock()];
    const shown = typeof sale === "number" ? await this.#figures.show(sale, now) : null;
    if (shown === null) return problem("sale_not_found");
    const headers = {
      "Content-Type": "text/calendar; charset=utf-8",
      "Content-Disposition": `attachment; filename="sale-${shown.id}.ics"`,
      "X-Content-Type-Options": "nosniff",
      "Cache-Control": "no-cache",
    };
    return new Response(calendarOf(shown, originOf(request), now), { headers });
  }

  async items(saleId: string, query: string): Promise<Response> {
    const after = parseWhole(query, "after", { min: 0, max: integerMax, otherwise: 0 });
    if (after instanceof Invalid) return problem("invalid_request", after);
    const bounds = { min: 1, max: itemsPerPageMax, otherwise: itemsPerPage };
    const limit = parseWhole(query, "limit", bounds);
    if (limit instanceof Invalid) return problem("invalid_request", limit);
    const search = queryValue(query, "q") ?? "";
    if (search instanceof Invalid) return problem("invalid_request", search);
    const only = queryValue(query, "available") ?? "false";
    if (only !== "true" && only !== "false") {
      return problem("invalid_request", { detail: "available is neither true nor false" });
    }
    const found = await this.#figures.find(saleId);
    if (found === null) return problem("sale_not_found");

    const wanted = search.toLowerCase();
    const asked = wanted === "" ? found.stored.items : found.named(wanted);
    const figures = await this.#figures.of(found, this.#context.clock());
    const page: Item[] = [];
    let more = false;
    for (const item of asked) {
      if (item.id <= after) continue;
      if (only === "true" && figures.availableOf(item) === 0) continue;
      more = page.length === limit;
      if (more) break;
      page.push(item);
    }
    return json({
      items: page.map((item) => showItem(found, item, figures)),
      next_after: more ? (page.at(-1)?.id ?? null) : null,
    });
  }

  async item(saleId: string, itemId: string): Promise<Response> {
    const found = await this.#figures.find(saleId);
    if (found === null) return problem("sale_not_found");
    const item = itemIn(found, itemId);
    if (item === undefined) return problem("item_not_found");
    return json(showItem(found, item, await this.#figures.of(found, this.#context.clock())));
  }

  async picture(request: Request, saleId: string, itemId: string): Promise<Response> {
    const found = await this.#figures.find(saleId);
    if (found === null) return problem("sale_not_found");
    const item = itemIn(found, itemId);
    if (item === undefined) return problem("item_not_found");
    const packed = this.#pictureOf(item);
    const headers = new Headers({
      "Content-Type": "image/svg+xml",
      "Cache-Control": "public, max-age=31536000, immutable",
      "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
      "X-Content-Type-Options": "nosniff",
      Vary: "Accept-Encoding",
    });
    const isPacked = takesGzip(request.headers.get("Accept-Encoding"));
    if (isPacked) headers.set("Content-Encoding", "gzip");
    return new Response(isPacked ? packed : Bun.gunzipSync(packed), { headers });
  }

  #pictureOf({ pictureSeed, name }: Item): Uint8Array<ArrayBuffer> {
    // A product has one seed in every sale, and may have had another name in an earlier one.
    const key = `${pictureSeed}\0${name}`;
    const known = this.#pictures.get(key);
    if (known !== undefined) return known;
    this.#context.reads.becameLarge();
    const packed = Bun.gzipSync(itemPicture(pictureSeed, name), { level: 6 });
    this.#pictures.set(key, packed);
    return packed;
  }

  async audit(saleId: string): Promise<Response> {
    const sale = parseSale(saleId);
    if (typeof sale !== "number") return problem("sale_not_found");
    const { sql, clock } = this.#context;
    const audit = await this.#audits.get(sale, clock(), () => auditPatiently(sql, sale));
    return audit === null ? problem("sale_not_found") : json(audit);
  }
}

function showItem({ stored }: ShownSale, item: Item, figures: Figures) {
  const available = figures.availableOf(item);
  const colour = itemColour(item.pictureSeed);
  return { ...shownItem(stored.sale.id, item), colour, stock: item.stock, available };
}

function itemIn({ stored }: ShownSale, itemId: string): Item | undefined {
  const number = parseSale(itemId);
  return typeof number === "number" ? itemOf(stored, number) : undefined;
}

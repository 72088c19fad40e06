/**
 * What is to be seen of sales: figures, catalogue, pictures, audit. The leader answers from
 * its ledger, at a moment when all of it is committed; everybody else, and the leader for
 * sales that are over, from the records, at most once a second a sale.
 */
import type { Sql } from "postgres";
import { z } from "zod";
import type { Engine } from "../engine.ts";
import { currentSale } from "../ledger/decide.ts";
import { advance, expire, type LedgerState, type SaleState } from "../ledger/state.ts";
import { itemColour, itemPicture } from "../sales/pictures.ts";
import { nextOpening, windowAt, type Schedule } from "../sales/schedule.ts";
import { shownItem, type Shelf, type ShownSale } from "../sales/shelf.ts";
import { auditSale } from "../store/audit.ts";
import { settleAfterMs } from "../store/recovery.ts";
import { findHourly, readTaken, type Item } from "../store/sales.ts";
import { Fresh } from "./fresh.ts";
import { Invalid, parseSale, parseWhole, queryOf, queryValue } from "./parse.ts";
import { json, problem } from "./problems.ts";
import {
  auditShape,
  catalogueQuery,
  currentShape,
  itemPage,
  itemParam,
  itemShape,
  saleParam,
  saleShape,
} from "./schemas.ts";
import type { Route } from "./server.ts";

const itemsPerPageMax = 500;
const itemsPerPage = 100;
/** Pictures kept rendered. */
const picturesMax = 2_000;

export type ViewContext = {
  readonly engine: Engine;
  readonly shelf: Shelf;
  readonly sql: Sql;
  readonly schedule: Schedule;
  readonly clock: () => number;
};

/** A sale's figures at one moment. */
export type Figures = {
  readonly sold: number;
  readonly reserved: number;
  readonly available: number;
  readonly attempts: number;
  /** Units of an item that are neither sold nor reserved. */
  readonly availableOf: (item: Item) => number;
};

export function viewRoutes(context: ViewContext): Route[] {
  const views = new Views(context);
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
      path: "/sales/:sale_id/audit",
      methods: {
        GET: {
          handle: (r) => views.audit(param(r, "sale_id")),
          summary: "The live proof of a sale",
          description: "Asked of PostgreSQL, not of memory; made anew at most once a second.",
          path: saleParam,
          answers: { 200: auditShape },
          refusals: ["sale_not_found"],
        },
      },
    },
    ...catalogueRoutes(views),
  ];
}

function catalogueRoutes(views: Views): Route[] {
  return [
    {
      path: "/sales/:sale_id/items",
      methods: {
        GET: {
          handle: (r) => views.items(param(r, "sale_id"), queryOf(r.url)),
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
          handle: (r) => views.picture(param(r, "sale_id"), param(r, "id")),
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
  readonly #figures = new Fresh<Figures>();
  readonly #audits = new Fresh<Awaited<ReturnType<typeof auditSale>>>();
  readonly #pictures = new Map<string, string>();

  constructor(context: ViewContext) {
    this.#context = context;
  }

  async current(): Promise<Response> {
    const { sql, schedule, clock } = this.#context;
    const now = clock();
    const window = windowAt(schedule, now);
    const id =
      (await this.#fromLedger((state) => currentSale(state, now)?.sale.id ?? null)) ??
      (window === null ? null : await findHourly(sql, window.startsAt));
    const current = id === null ? null : await this.#show(id, now);
    const next = nextOpening(schedule, now);
    return json({
      now: time(now),
      current,
      next: { starts_at: next === null ? null : time(next) },
    });
  }

  async sale(saleId: string): Promise<Response> {
    const sale = parseSale(saleId);
    const shown = typeof sale === "number" ? await this.#show(sale, this.#context.clock()) : null;
    return shown === null ? problem("sale_not_found") : json(shown);
  }

  async items(saleId: string, query: string): Promise<Response> {
    const after = parseWhole(query, "after", { min: 0, max: 2 ** 31 - 1, otherwise: 0 });
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
    const found = await this.#find(saleId);
    if (found === null) return problem("sale_not_found");

    const wanted = search.toLowerCase();
    const figures = await this.#figuresOf(found, this.#context.clock());
    const page: Item[] = [];
    let more = false;
    for (const item of found.stored.items.slice(after)) {
      if (wanted !== "" && !item.name.toLowerCase().includes(wanted)) continue;
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
    const found = await this.#find(saleId);
    if (found === null) return problem("sale_not_found");
    const item = itemOf(found, itemId);
    if (item === undefined) return problem("item_not_found");
    return json(showItem(found, item, await this.#figuresOf(found, this.#context.clock())));
  }

  async picture(saleId: string, itemId: string): Promise<Response> {
    const found = await this.#find(saleId);
    if (found === null) return problem("sale_not_found");
    const item = itemOf(found, itemId);
    if (item === undefined) return problem("item_not_found");
    let svg = this.#pictures.get(item.pictureSeed);
    if (svg === undefined) {
      svg = itemPicture(item.pictureSeed, item.name);
      this.#pictures.set(item.pictureSeed, svg);
      const oldest = this.#pictures.keys().next().value;
      if (this.#pictures.size > picturesMax && oldest !== undefined) this.#pictures.delete(oldest);
    }
    return new Response(svg, {
      headers: {
        "Content-Type": "image/svg+xml",
        "Cache-Control": "public, max-age=31536000, immutable",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
        "X-Content-Type-Options": "nosniff",
      },
    });
  }

  async audit(saleId: string): Promise<Response> {
    const sale = parseSale(saleId);
    if (typeof sale !== "number") return problem("sale_not_found");
    const { sql, clock } = this.#context;
    const audit = await this.#audits.get(sale, clock(), () => auditSale(sql, sale));
    return audit === null ? problem("sale_not_found") : json(audit);
  }

  async #find(saleId: string): Promise<ShownSale | null> {
    const sale = parseSale(saleId);
    return typeof sale === "number" ? await this.#context.shelf.find(sale) : null;
  }

  async #show(saleId: number, now: number) {
    const found = await this.#context.shelf.find(saleId);
    return found === null ? null : showSale(found, await this.#figuresOf(found, now), now);
  }

  async #figuresOf(found: ShownSale, now: number): Promise<Figures> {
    const { sale, items } = found.stored;
    const live = await this.#fromLedger((state) => {
      const held = state.sales.get(sale.id);
      return held === undefined ? null : liveFigures(held, advance(state, now));
    });
    if (live !== null) return live;
    const figures = await this.#figures.get(sale.id, now, async () => {
      const taken = await readTaken(
        this.#context.sql,
        found.stored,
        now,
        sale.endsAt + settleAfterMs,
      );
      const sold = sum(taken.sold.values());
      const reserved = sum(taken.reserved.values());
      return {
        sold,
        reserved,
        available: sum(items.map((item) => item.stock)) - sold - reserved,
        attempts: taken.attempts,
        availableOf: ({ id, stock }: Item) =>
          stock - (taken.sold.get(id) ?? 0) - (taken.reserved.get(id) ?? 0),
      };
    });
    if (figures === null) throw new Error("the records gave no figures");
    return figures;
  }

  /** What `use` finds in the ledger; null when this process does not lead. */
  async #fromLedger<T>(use: (state: LedgerState) => T): Promise<T | null> {
    const { role } = this.#context.engine;
    return role.name === "leader" ? await role.writer.read(use) : null;
  }
}

/** Figures by the ledger. Expiry is decided when somebody looks, here too. */
export function liveFigures(held: SaleState, now: number): Figures {
  expire(held, now);
  const { sold, reserved, available, attempts } = held;
  // A copy: the ledger goes on while the answer is being written.
  const free = held.free.slice();
  return { sold, reserved, available, attempts, availableOf: ({ id }) => free[id - 1] ?? 0 };
}

export function showSale({ stored }: ShownSale, figures: Figures, now: number) {
  const { sale, title, items } = stored;
  return {
    id: sale.id,
    title,
    kind: sale.kind,
    status: now < sale.startsAt ? "upcoming" : now < sale.endsAt ? "open" : "closed",
    starts_at: time(sale.startsAt),
    ends_at: time(sale.endsAt),
    stock: sum(items.map((item) => item.stock)),
    per_user_limit: sale.perUserLimit,
    reservation_ttl_ms: sale.reservationTtlMs,
    sold: figures.sold,
    reserved: figures.reserved,
    available: figures.available,
    attempts: figures.attempts,
  };
}

function showItem({ stored }: ShownSale, item: Item, figures: Figures) {
  const available = figures.availableOf(item);
  const colour = itemColour(item.pictureSeed);
  return { ...shownItem(stored.sale.id, item), colour, stock: item.stock, available };
}

function itemOf({ stored }: ShownSale, itemId: string): Item | undefined {
  const number = parseSale(itemId);
  return typeof number === "number" ? stored.items[number - 1] : undefined;
}

/** RFC 3339 in UTC with milliseconds. */
const time = (ms: number): string => new Date(ms).toISOString();

const sum = (numbers: Iterable<number>): number => {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
};

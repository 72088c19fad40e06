/**
 * What sales brought in, and each item of one: for administrators, from the records, so that it is the
 * same for everybody who looks and whenever. Of sales that are settled it is counted once.
 */
import type { BunRequest } from "bun";
import { z } from "zod";
import type { Accounts } from "../../access/accounts.ts";
import type { LedgerView } from "../../ledger/view.ts";
import { productImage, type ShownSale } from "../../sales/catalogue.ts";
import {
  attemptsOverTime,
  moneyOf,
  salesSince,
  settledSales,
  stepsOf,
  type SaleMoney,
} from "../../store/money.ts";
import { soldByItem } from "../../store/product-sales.ts";
import { integerMax } from "../../store/integer.ts";
import type { Item } from "../../store/sales.ts";
import { withScope } from "../callers.ts";
import { idIn, idParam, pageOf, pageParams, time, timeShape } from "../fields.ts";
import { Fresh } from "../fresh.ts";
import { Invalid, parseWhole, queryOf } from "../parse.ts";
import { json, problem } from "../problems.ts";
import type { Route } from "../server.ts";
import { SettledFigures } from "../settled.ts";
import { SaleFigures } from "../sale/figures.ts";
import type { FlashSalesContext } from "../shop/flash-sales.ts";

const itemsPerPage = 100;
const itemsPerPageMax = 500;
const daysUsual = 1;
const daysMax = 7;
/** Sales that are counted together. */
export const salesMax = 2_000;
/** Those settled of which the money is kept: of a week in which one opens each minute, and others. */
const settledMax = 16_384;
const dayMs = 86_400_000;
/** How attempts came over the last hour: so many samples, in so many parts. */
const paceMs = 3_600_000;
const paceSamplesMax = 600;
const paceParts = 60;

const count = z.int().min(0);
const money = {
  orders: count,
  buyers: count.describe("Of each sale: who bought in two is counted twice"),
  units: count.describe("Sold, those taken back left out"),
  refunded_units: count,
  paid_cents: count,
  refunded_cents: count,
  revenue_cents: count.describe("Paid, less what was taken back"),
  average_order_cents: count.nullable().describe("Paid, an order"),
  stock: count,
  sell_through: z.number().nullable().describe("Of the stock, the share that is sold: 0 to 1"),
  tries: count.describe("To reserve, or to buy at once"),
  conversion: z.number().nullable().describe("Orders, a try: 0 to 1"),
};
const saleMoney = z.object({ sale_id: z.int(), ...money });
const allMoney = z.object({
  from: timeShape,
  to: timeShape,
  sales: count.describe("Sales that were open in this time"),
  ...money,
  pace: z
    .array(z.object({ at: timeShape, per_second: z.number() }))
    .describe("Attempts a second over the last hour, a minute each, by its end"),
});

const saleItem = z.object({
  id: z.int().describe("Number within the sale"),
  product_id: z.int().nullable(),
  name: z.string(),
  image_url: z.string(),
  price_cents: count,
  stock: count,
  available: count,
  reserved: count,
  sold: count,
  refunded: count,
  taken_out: count,
  revenue_cents: count,
});
const itemPage = z.object({ items: z.array(saleItem), next_after: z.int().nullable() });

const guarded = ["unauthenticated", "forbidden"] as const;

export function moneyRoutes(accounts: Accounts, context: FlashSalesContext): Route[] {
  const figures = new MoneyFigures(context);
  return [
    {
      path: "/api/admin/money",
      methods: {
        GET: {
          cost: "costly",
          handle: withScope(accounts, "read", (request) => figures.all(queryOf(request.url))),
          summary: "What the sales of the last days brought in",
          auth: "admin",
          query: z.object({
            days: z.int().min(1).max(daysMax).optional().meta({ example: daysUsual }),
          }),
          answers: { 200: allMoney },
          refusals: ["invalid_request", ...guarded],
        },
      },
    },
    {
      path: "/api/admin/sales/:id/money",
      methods: {
        GET: {
          cost: "costly",
          handle: withScope(accounts, "read", (request) => figures.one(request)),
          summary: "What a sale brought in",
          auth: "admin",
          path: idParam("The sale, of either kind"),
          answers: { 200: saleMoney },
          refusals: ["sale_not_found", ...guarded],
        },
      },
    },
    {
      path: "/api/admin/sales/:id/items",
      methods: {
        GET: {
          cost: "records",
          handle: withScope(accounts, "read", (request) => itemsOf(request, context)),
          summary: "Each item of a sale: stock, held, sold, refunded, and what it brought in",
          auth: "admin",
          path: idParam("The sale, of either kind"),
          query: z.object(pageParams("item", itemsPerPageMax)),
          answers: { 200: itemPage },
          refusals: ["invalid_request", "sale_not_found", ...guarded],
        },
      },
    },
  ];
}

/** A sale's money, and what it is measured against. */
type Counted = Omit<SaleMoney, "saleId"> & { readonly stock: number; readonly tries: number };

const nothing: Counted = {
  orders: 0,
  buyers: 0,
  units: 0,
  refundedUnits: 0,
  paidCents: 0,
  refundedCents: 0,
  stock: 0,
  tries: 0,
};

class MoneyFigures {
  readonly #context: FlashSalesContext;
  readonly #figures: SaleFigures;
  readonly #settled: SettledFigures<Counted>;
  readonly #fresh = new Fresh<object>();

  constructor(context: FlashSalesContext) {
    this.#context = context;
    this.#figures = new SaleFigures(context);
    this.#settled = new SettledFigures(context.engine, settledMax);
  }

  async one(request: BunRequest): Promise<Response> {
    const id = idIn(request, "id");
    if (id === null) return problem("sale_not_found");
    const [counted] = (await this.#count([id])).values();
    return counted === undefined
      ? problem("sale_not_found")
      : json({ sale_id: id, ...showMoney(counted) });
  }

  async all(query: string): Promise<Response> {
    const bounds = { min: 1, max: daysMax, otherwise: daysUsual };
    const days = parseWhole(query, "days", bounds);
    if (days instanceof Invalid) return problem("invalid_request", days);
    const now = this.#context.clock();
    return json(await this.#fresh.get(days, now, () => this.#since(now - days * dayMs, now)));
  }

  async #since(from: number, now: number): Promise<object> {
    const { sql } = this.#context;
    let total = nothing;
    let sales = 0;
    for (let before = integerMax + 1; ;) {
      // oxlint-disable-next-line no-await-in-loop
      const ids = await salesSince(sql, { from, now, before, max: salesMax });
      // oxlint-disable-next-line no-await-in-loop
      const counted = await this.#count(ids);
      total = [...counted.values()].reduce(sumOf, total);
      sales += counted.size;
      const last = ids.at(-1);
      if (last === undefined || ids.length < salesMax) break;
      before = last;
    }
    const samples = await attemptsOverTime(sql, now - paceMs, paceSamplesMax);
    return {
      from: time(from),
      to: time(now),
      sales,
      ...showMoney(total),
      pace: paceOf(samples, now),
    };
  }

  /** By sale, in no order; what is no sale is left out. */
  async #count(ids: readonly number[]): Promise<Map<number, Counted>> {
    const { sql, clock } = this.#context;
    const now = clock();
    const known = await this.#settled.known();
    const asked = ids.filter((id) => !known.has(id));
    const [sums, steps, settled] = await Promise.all([
      moneyOf(sql, asked).then((rows) => new Map(rows.map((row) => [row.saleId, row]))),
      stepsOf(sql, asked),
      settledSales(sql, asked),
    ]);
    const found = new Map<number, Counted>();
    for (const id of ids) {
      const before = known.get(id);
      if (before !== undefined) {
        found.set(id, before);
        continue;
      }
      // oxlint-disable-next-line no-await-in-loop
      const head = settled.get(id) ?? (await this.#figures.show(id, now));
      if (head === null) continue;
      const { stock, attempts } = head;
      const tries = Math.max(0, attempts - (steps.get(id) ?? 0));
      const counted = { ...(sums.get(id) ?? nothing), stock, tries };
      found.set(id, counted);
      if (settled.has(id)) known.set(id, counted);
    }
    return found;
  }
}

const sumOf = (one: Counted, other: Counted): Counted => ({
  orders: one.orders + other.orders,
  buyers: one.buyers + other.buyers,
  units: one.units + other.units,
  refundedUnits: one.refundedUnits + other.refundedUnits,
  paidCents: one.paidCents + other.paidCents,
  refundedCents: one.refundedCents + other.refundedCents,
  stock: one.stock + other.stock,
  tries: one.tries + other.tries,
});

function showMoney(of: Counted) {
  const { orders, buyers, units, refundedUnits, paidCents, refundedCents, stock, tries } = of;
  const owned = units - refundedUnits;
  return {
    orders,
    buyers,
    units: owned,
    refunded_units: refundedUnits,
    paid_cents: paidCents,
    refunded_cents: refundedCents,
    revenue_cents: paidCents - refundedCents,
    average_order_cents: orders === 0 ? null : Math.round(paidCents / orders),
    stock,
    sell_through: stock === 0 ? null : owned / stock,
    tries,
    conversion: tries === 0 ? null : Math.min(1, orders / tries),
  };
}

/** How many there had been by a moment, between two samples as if they came evenly. */
function countedBy(samples: Awaited<ReturnType<typeof attemptsOverTime>>, at: number): number {
  const next = samples.findIndex((one) => one.at > at);
  if (next < 0) return samples.at(-1)?.seq ?? 0;
  const [before, after] = [samples[next - 1], samples[next]];
  if (after === undefined || before === undefined) return (after?.seq ?? 1) - 1;
  const share = (at - before.at) / (after.at - before.at);
  return before.seq + share * (after.seq - before.seq);
}

function paceOf(samples: Awaited<ReturnType<typeof attemptsOverTime>>, now: number) {
  const partMs = paceMs / paceParts;
  return Array.from({ length: paceParts }, (_, i) => {
    const end = now - (paceParts - 1 - i) * partMs;
    const many = countedBy(samples, end) - countedBy(samples, end - partMs);
    return { at: time(end), per_second: Math.round((many / (partMs / 1000)) * 1000) / 1000 };
  });
}

type Units = Record<"sold" | "refunded" | "takenOut" | "available", (item: Item) => number>;

async function itemsOf(request: BunRequest, context: FlashSalesContext): Promise<Response> {
  const bounds = { limit: itemsPerPage, limitMax: itemsPerPageMax };
  const page = pageOf(queryOf(request.url), bounds);
  if (page instanceof Invalid) return problem("invalid_request", page);
  const id = idIn(request, "id");
  const shown = id === null ? null : await context.catalogue.find(id);
  if (id === null || shown === null) return problem("sale_not_found");
  const { after, limit } = page;
  const units = (await liveUnits(context, id)) ?? (await recordedUnits(context, id));
  const rest = shown.stored.items.filter((item) => item.id > after);
  const listed = rest.slice(0, limit);
  return json({
    items: listed.map((item) => showItem(shown, item, units)),
    next_after: rest.length > limit ? (listed.at(-1)?.id ?? null) : null,
  });
}

function showItem({ stored }: ShownSale, item: Item, units: Units) {
  const [sold, takenOut] = [units.sold(item), units.takenOut(item)];
  const available = units.available(item);
  const { id, productId, name, priceCents, stock } = item;
  return {
    id,
    product_id: productId ?? null,
    name,
    image_url:
      productId === undefined
        ? `/sales/${stored.sale.id}/items/${id}/image.svg`
        : productImage(productId),
    price_cents: priceCents,
    stock,
    available,
    reserved: Math.max(0, stock - sold - takenOut - available),
    sold,
    refunded: units.refunded(item),
    taken_out: takenOut,
    revenue_cents: sold * priceCents,
  };
}

const of =
  (numbers: Int32Array | null) =>
  (item: Item): number =>
    numbers?.[item.id - 1] ?? 0;

async function liveUnits({ engine }: FlashSalesContext, id: number): Promise<Units | null> {
  const read = (view: LedgerView): Units | null =>
    view.sale(id) === null
      ? null
      : {
          sold: of(view.soldOf(id)),
          refunded: of(view.refundedOf(id)),
          takenOut: of(view.takenOutOf(id)),
          available: of(view.free(id)),
        };
  return await engine.writer.read(read);
}

/** Of a sale that the ledger does not hold: nothing of it is reserved. */
async function recordedUnits({ sql }: FlashSalesContext, id: number): Promise<Units> {
  const counted = await soldByItem(sql, id);
  const gone = ({ id: item }: Item) => counted.get(item) ?? { sold: 0, refunded: 0, takenOut: 0 };
  return {
    sold: (item) => gone(item).sold,
    refunded: (item) => gone(item).refunded,
    takenOut: (item) => gone(item).takenOut,
    available: (item) => item.stock - gone(item).sold - gone(item).takenOut,
  };
}

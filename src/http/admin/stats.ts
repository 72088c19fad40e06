/** The live figures that an administrator watches: made when asked for, from counters alone. */
import type { BunRequest } from "bun";
import { z } from "zod";
import type { Accounts } from "../../access/accounts.ts";
import type { LedgerView } from "../../ledger/view.ts";
import { withScope } from "../callers.ts";
import { ping } from "../../store/db.ts";
import { soldOverTime, type SoldBy } from "../../store/sales.ts";
import { idIn, idParam, time, timeShape } from "../fields.ts";
import { showSale } from "../sale/figures.ts";
import type { FlashSalesContext } from "../shop/flash-sales.ts";
import { Fresh } from "../fresh.ts";
import { json, problem } from "../problems.ts";
import { buyerShape } from "../schemas.ts";
import type { Route } from "../server.ts";

/** Reservations that run out within this time are about to expire. */
const soonMs = 10_000;
/** Reservations that are counted, a sale: a millisecond's worth; and those that are told one by one. */
const soonMax = 2_000;
const nextMax = 20;
const databaseWaitMaxMs = 2_000;
const curvePointsMax = 200;

const count = z.int().min(0);
const stats = z.object({
  now: timeShape,
  role: z.string(),
  epoch: z.int(),
  attempts: z.object({
    total: count.describe("The last attempt's number"),
    per_second: z.object({ last_1s: z.number(), last_10s: z.number(), last_60s: z.number() }),
    by_outcome: z.record(z.string(), count).describe("Since this process started"),
  }),
  waiting: count.describe("Commands that wait to be decided"),
  database: z.object({ state: z.enum(["up", "down"]), latency_ms: z.number().nullable() }),
  sales: z.array(z.looseObject({ id: z.int(), kind: z.string(), status: z.string() })),
  reservations: z.object({
    live: count,
    expiring_within_ms: z.int(),
    expiring: count.describe(`At most ${soonMax} of each sale are counted`),
    next: z.array(
      z.object({
        sale_id: z.int(),
        item_id: z.int(),
        user_id: z.string(),
        buyer: buyerShape,
        expires_at: timeShape,
      }),
    ),
  }),
  memory_bytes: count,
});

const curve = z.object({
  sale_id: z.int(),
  starts_at: timeShape,
  points: z
    .array(z.object({ at: timeShape, sold: count }))
    .describe("Units sold by a time, from the first purchase to the last"),
});

export function statsRoutes(accounts: Accounts, context: FlashSalesContext): Route[] {
  const curves = new Fresh<readonly SoldBy[]>();
  return [
    {
      path: "/api/admin/stats",
      methods: {
        GET: {
          handle: withScope(accounts, "read", () => figures(context)),
          cost: "records",
          summary: "Live figures",
          auth: "admin",
          answers: { 200: stats },
          refusals: ["unauthenticated", "forbidden", "unavailable"],
        },
      },
    },
    {
      path: "/api/admin/sales/:id/curve",
      methods: {
        GET: {
          cost: "costly",
          handle: withScope(accounts, "read", (request) => curveOf(request, curves, context)),
          summary: "How a sale sold over time",
          description: `About ${curvePointsMax} points, closer where it sold faster.`,
          auth: "admin",
          path: idParam("The sale, of either kind"),
          answers: { 200: curve },
          refusals: ["sale_not_found", "unauthenticated", "forbidden"],
        },
      },
    },
  ];
}

async function curveOf(
  request: BunRequest,
  curves: Fresh<readonly SoldBy[]>,
  { sql, catalogue, clock }: FlashSalesContext,
): Promise<Response> {
  const id = idIn(request, "id");
  const shown = id === null ? null : await catalogue.find(id);
  if (id === null || shown === null) return problem("sale_not_found");
  const points = await curves.get(id, clock(), () => soldOverTime(sql, id, curvePointsMax));
  return json({
    sale_id: id,
    starts_at: time(shown.stored.sale.startsAt),
    points: (points ?? []).map(({ at, sold }) => ({ at: time(at), sold })),
  });
}

async function figures(context: FlashSalesContext): Promise<Response> {
  const { engine, catalogue, clock } = context;
  const { role, writer, counters } = engine;
  const database = await askDatabase(context);
  const now = clock();
  const live = await writer.read((view) => ({
    total: view.seq,
    sales: view.sales().map(({ id }) => ({ id, figures: view.totals(id) })),
    reservations: reservationsIn(view),
  }));
  const shown: object[] = [];
  for (const { id, figures: of } of live.sales) {
    const sale = await catalogue.find(id);
    if (sale !== null && of !== null) shown.push(showSale(sale, of, now));
  }
  return json({
    now: time(now),
    role: role.name,
    epoch: role.epoch ?? 0,
    attempts: {
      total: live.total,
      per_second: {
        last_1s: counters.rate(1, now),
        last_10s: counters.rate(10, now),
        last_60s: counters.rate(60, now),
      },
      by_outcome: counters.byOutcome(),
    },
    waiting: role.name === "leader" ? role.writer.queueLength : writer.pendingCount,
    database,
    sales: shown,
    reservations: live.reservations,
    memory_bytes: process.memoryUsage.rss(),
  });
}

async function askDatabase({ db }: FlashSalesContext) {
  const startedAt = performance.now();
  const late = Promise.withResolvers<"down">();
  const timer = setTimeout(() => late.resolve("down"), databaseWaitMaxMs);
  const asked = ping(db).then(
    () => "up" as const,
    () => "down" as const,
  );
  const state = await Promise.race([asked, late.promise]);
  clearTimeout(timer);
  const ms = Math.round((performance.now() - startedAt) * 100) / 100;
  return { state, latency_ms: state === "up" ? ms : null };
}

function reservationsIn(view: LedgerView) {
  const sales = view.sales();
  const soon = sales.flatMap(({ id }) => view.endingBy(id, view.now + soonMs, soonMax));
  const next = soon.toSorted((a, b) => a.expiresAt - b.expiresAt).slice(0, nextMax);
  return {
    live: sales.reduce((sum, { id }) => sum + (view.totals(id)?.reserved ?? 0), 0),
    expiring_within_ms: soonMs,
    expiring: soon.length,
    next: next.map(({ saleId, itemId, buyer, expiresAt }) => ({
      sale_id: saleId,
      item_id: itemId,
      user_id: buyer.userId,
      buyer: buyer.kind,
      expires_at: time(expiresAt),
    })),
  };
}

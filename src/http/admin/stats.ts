/** The live figures that an administrator watches: made when asked for, from counters alone. */
import type { BunRequest } from "bun";
import { z } from "zod";
import type { Accounts } from "../../access/accounts.ts";
import { expire, type LedgerState, type SaleState } from "../../ledger/state.ts";
import { withScope } from "../shop/accounts.ts";
import { soldOverTime, type SoldBy } from "../../store/sales.ts";
import { idIn, idParam, time, timeShape } from "../fields.ts";
import { liveTotals, showSale } from "../sale/figures.ts";
import type { FlashSales, FlashSalesContext } from "../shop/flash-sales.ts";
import { Fresh } from "../fresh.ts";
import { json, problem } from "../problems.ts";
import type { Route } from "../server.ts";

/** Reservations that run out within this time are about to expire. */
const soonMs = 10_000;
/** Reservations looked at, a sale, and those that are told one by one. */
const deadlinesMax = 20_000;
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
    expiring: count,
    next: z.array(
      z.object({
        sale_id: z.int(),
        item_id: z.int(),
        user_id: z.string(),
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

export function statsRoutes(
  sales: FlashSales,
  accounts: Accounts,
  context: FlashSalesContext,
): Route[] {
  const curves = new Fresh<readonly SoldBy[]>();
  return [
    {
      path: "/api/admin/stats",
      leaderOnly: true,
      methods: {
        GET: {
          handle: withScope(accounts, "read", () => figures(sales, context)),
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
  { sql, shelf, clock }: FlashSalesContext,
): Promise<Response> {
  const id = idIn(request, "id");
  const shown = id === null ? null : await shelf.find(id);
  if (id === null || shown === null) return problem("sale_not_found");
  const points = await curves.get(id, clock(), () => soldOverTime(sql, id, curvePointsMax));
  return json({
    sale_id: id,
    starts_at: time(shown.stored.sale.startsAt),
    points: (points ?? []).map(({ at, sold }) => ({ at: time(at), sold })),
  });
}

async function figures(sales: FlashSales, context: FlashSalesContext): Promise<Response> {
  const { engine, shelf, clock } = context;
  const { epoch, writer } = sales.leader;
  const { counters } = engine;
  const database = await askDatabase(context);
  const now = clock();
  const live = await writer.read((state, waiting) => ({
    total: state.seq,
    waiting: [...waiting].length,
    sales: [...state.sales.values()].map((held) => ({
      id: held.sale.id,
      figures: liveTotals(held, now),
    })),
    reservations: reservationsIn(state, now),
  }));
  return json({
    now: time(now),
    role: "leader",
    epoch,
    attempts: {
      total: live.total,
      per_second: {
        last_1s: counters.rate(1, now),
        last_10s: counters.rate(10, now),
        last_60s: counters.rate(60, now),
      },
      by_outcome: counters.byOutcome(),
    },
    waiting: live.waiting,
    database,
    sales: live.sales.flatMap(({ id, figures: of }) => {
      const shown = shelf.held(id);
      return shown === undefined ? [] : [showSale(shown, of, now)];
    }),
    reservations: live.reservations,
    memory_bytes: process.memoryUsage.rss(),
  });
}

async function askDatabase({ sql }: FlashSalesContext) {
  const startedAt = performance.now();
  const late = Promise.withResolvers<"down">();
  const timer = setTimeout(() => late.resolve("down"), databaseWaitMaxMs);
  const asked = sql`select 1`.then(
    () => "up" as const,
    () => "down" as const,
  );
  const state = await Promise.race([asked, late.promise]);
  clearTimeout(timer);
  const ms = Math.round((performance.now() - startedAt) * 100) / 100;
  return { state, latency_ms: state === "up" ? ms : null };
}

type Expiring = { sale_id: number; item_id: number; user_id: string; expires_at: number };

function reservationsIn(state: LedgerState, now: number) {
  let live = 0;
  const soon: Expiring[] = [];
  for (const held of state.sales.values()) {
    expire(held, now);
    live += held.reserved;
    soon.push(...expiringOf(held, now + soonMs));
  }
  const next = soon.toSorted((a, b) => a.expires_at - b.expires_at).slice(0, nextMax);
  return {
    live,
    expiring_within_ms: soonMs,
    expiring: soon.length,
    next: next.map(({ sale_id, item_id, user_id, expires_at }) => ({
      sale_id,
      item_id,
      user_id,
      expires_at: time(expires_at),
    })),
  };
}

/** The live reservations that run out by a time; they are kept in the order of their expiry. */
function expiringOf({ deadlines, deadlineHead }: SaleState, by: number): Expiring[] {
  const found: Expiring[] = [];
  const end = Math.min(deadlines.length, deadlineHead + deadlinesMax);
  for (let i = deadlineHead; i < end; i += 1) {
    const reservation = deadlines[i];
    if (reservation?.status !== "live") continue;
    const { saleId, itemId, userId, expiresAt } = reservation;
    if (expiresAt > by) break;
    found.push({ sale_id: saleId, item_id: itemId, user_id: userId, expires_at: expiresAt });
  }
  return found;
}

/** One buyer, for administrators: what they have bought, and what they hold now. */
import { z } from "zod";
import type { Accounts } from "../../access/accounts.ts";
import type { Buyer } from "../../ledger/buyers.ts";
import type { LiveReservation } from "../../ledger/view.ts";
import { listOrders, totalsOf } from "../../store/orders.ts";
import { buyerKind } from "../../store/schema.ts";
import { itemOf } from "../../store/sales.ts";
import { withScope } from "../callers.ts";
import { pageOf, pageParams, time, timeShape } from "../fields.ts";
import { showOrder } from "../orders.ts";
import { Invalid, parseText, queryOf, queryValue } from "../parse.ts";
import { json, problem } from "../problems.ts";
import { buyerShape, ownOrderShape } from "../schemas.ts";
import type { Route } from "../server.ts";
import type { FlashSalesContext } from "../shop/flash-sales.ts";

const ordersPerPage = 20;
const ordersPerPageMax = 100;
/** Reservations that are told; more are held only where a limit is as high. */
const reservationsMax = 100;

const count = z.int().min(0);
const buyer = z.object({
  buyer: buyerShape,
  user_id: z.string(),
  totals: z.object({
    orders: count,
    units: count.describe("Bought, those taken back left out"),
    paid_cents: count,
    refunded_cents: count,
  }),
  reservations: z.array(
    z.object({
      sale_id: z.int(),
      sale_title: z.string(),
      item_id: z.int(),
      item_name: z.string(),
      price_cents: count,
      reserved_at: timeShape,
      expires_at: timeShape,
    }),
  ),
  orders: z.array(ownOrderShape),
  next_after: z.int().nullable(),
});

export const buyerRoutes = (accounts: Accounts, context: FlashSalesContext): Route[] => [
  {
    path: "/api/admin/buyer",
    methods: {
      GET: {
        cost: "records",
        handle: withScope(accounts, "manage", (request) => show(context, queryOf(request.url))),
        summary: "What a buyer has bought, and holds now",
        description: "Of a name that nobody has used there is nothing, and no refusal.",
        auth: "admin",
        query: z.object({
          buyer: z.enum(buyerKind.enumValues),
          user_id: z.string().meta({ example: "anna" }),
          ...pageParams("order, which is older", ordersPerPageMax),
        }),
        answers: { 200: buyer },
        refusals: ["invalid_request", "unauthenticated", "forbidden"],
      },
    },
  },
];

function buyerIn(query: string): Buyer | Invalid {
  const word = queryValue(query, "buyer");
  const kind = buyerKind.enumValues.find((known) => known === word);
  if (kind === undefined) return new Invalid("buyer", "is none of guest, account and customer");
  const userId = parseText(queryValue(query, "user_id"), "user_id");
  return userId instanceof Invalid ? userId : { kind, userId };
}

async function show(context: FlashSalesContext, query: string): Promise<Response> {
  const of = buyerIn(query);
  if (of instanceof Invalid) return problem("invalid_request", of);
  const bounds = {
    limit: ordersPerPage,
    limitMax: ordersPerPageMax,
    after: Number.MAX_SAFE_INTEGER,
  };
  const page = pageOf(query, bounds);
  if (page instanceof Invalid) return problem("invalid_request", page);
  const { after: before, limit } = page;
  const { db, sql, engine } = context;
  const [orders, totals, live] = await Promise.all([
    listOrders(db, of, { before, limit: limit + 1 }),
    totalsOf(sql, of),
    engine.writer.read((view) => view.reservationsOf(of, 0, reservationsMax)),
  ]);
  const shown = orders.slice(0, limit);
  return json({
    buyer: of.kind,
    user_id: of.userId,
    totals: {
      orders: totals.orders,
      units: totals.units,
      paid_cents: totals.paidCents,
      refunded_cents: totals.refundedCents,
    },
    reservations: await Promise.all(live.map((one) => showReservation(context, one))),
    orders: shown.map(showOrder),
    next_after: orders.length > limit ? (shown.at(-1)?.seq ?? null) : null,
  });
}

/** Its code is its owner's secret. */
async function showReservation(
  { catalogue }: FlashSalesContext,
  { saleId, itemId, reservedAt, expiresAt }: LiveReservation,
) {
  const stored = (await catalogue.find(saleId))?.stored;
  const item = stored === undefined ? undefined : itemOf(stored, itemId);
  return {
    sale_id: saleId,
    sale_title: stored?.title ?? "",
    item_id: itemId,
    item_name: item?.name ?? "",
    price_cents: item?.priceCents ?? 0,
    reserved_at: time(reservedAt),
    expires_at: time(expiresAt),
  };
}

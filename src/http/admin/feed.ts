/** `GET /api/admin/feed`: what happened, in order, for programs that are to know of it. */
import type { BunRequest, Server } from "bun";
import type { Sql } from "postgres";
import { z } from "zod";
import type { Accounts } from "../../access/accounts.ts";
import { Arrivals } from "../../engine/arrivals.ts";
import type { SaleEngine } from "../../sales/selling.ts";
import { eventTypes, lastEvent, readFeed } from "../../store/feed.ts";
import { buyerKind } from "../../store/schema.ts";
import { eventOf } from "../../webhooks/events.ts";
import { withScope } from "../callers.ts";
import { pageOf, pageParams, timeShape } from "../fields.ts";
import { Invalid, parseWhole, queryOf } from "../parse.ts";
import { json, problem } from "../problems.ts";
import type { Route } from "../server.ts";
import { fresh } from "../shop/accounts.ts";

const eventsPerPage = 100;
const eventsPerPageMax = 500;
const waitMsMax = 30_000;
/** What a connection may take beyond the wait before it is closed. */
const spareSeconds = 15;

const eventShape = z.object({
  seq: z.int().describe("The attempt's number: it grows, and is this event's alone"),
  type: z.enum(eventTypes),
  at: timeShape,
  data: z.object({
    order_id: z.string().optional(),
    sale_id: z.int().optional(),
    item_id: z.int().optional(),
    code: z.uuid().optional().describe("Of several units, the first one's"),
    user_id: z.string().optional(),
    buyer: z.enum(buyerKind.enumValues).optional(),
    coupon_name: z.string().optional(),
    quantity: z.int().optional().describe("Units"),
  }),
});
const feedPage = z.object({
  events: z.array(eventShape),
  next_after: z.int().describe("What to ask with next, also where there is nothing more yet"),
});

export function feedRoutes(
  accounts: Accounts,
  { sql, engine }: { readonly sql: Sql; readonly engine: SaleEngine },
): Route[] {
  const arrivals = new Arrivals(
    () => engine.reader,
    () => lastEvent(sql),
    (ms) => Bun.sleep(ms),
  );
  return [
    {
      path: "/api/admin/feed",
      methods: {
        GET: {
          handle: withScope(accounts, "read", (request, server) =>
            answer(request, server, sql, arrivals),
          ),
          cost: "records",
          summary: "What happened, in order, from the journal: for programs that are to know of it",
          description:
            "Ask with `after=0` first, and with `next_after` from then on: nothing is skipped, and " +
            "nothing told twice. With `wait_ms` an answer that would be empty is held until there is " +
            "something. A reservation that lapses is no event.",
          auth: "admin",
          query: z.object({
            ...pageParams("event's seq", eventsPerPageMax),
            wait_ms: z.int().min(0).max(waitMsMax).optional().describe("How long to wait for one"),
          }),
          answers: { 200: feedPage },
          refusals: ["invalid_request", "unauthenticated", "forbidden", "overloaded"],
        },
      },
    },
  ];
}

async function answer(
  request: BunRequest,
  server: Server<undefined>,
  sql: Sql,
  arrivals: Arrivals,
): Promise<Response> {
  const query = queryOf(request.url);
  const page = pageOf(query, { limit: eventsPerPage, limitMax: eventsPerPageMax });
  if (page instanceof Invalid) return problem("invalid_request", page);
  const waitMs = parseWhole(query, "wait_ms", { min: 0, max: waitMsMax, otherwise: 0 });
  if (waitMs instanceof Invalid) return problem("invalid_request", waitMs);
  let found = await readFeed(sql, page);
  if (found.upTo === page.after && waitMs > 0) {
    if (arrivals.isFull) return problem("overloaded", { retryAfterMs: 1_000 });
    server.timeout(request, Math.ceil(waitMs / 1000) + spareSeconds);
    await arrivals.next(page.after, waitEnds(request, waitMs));
    found = await readFeed(sql, page);
  }
  return fresh(json({ events: found.events.map(eventOf), next_after: found.upTo }));
}

/** When it is time to answer, or nobody is there any more. */
async function waitEnds({ signal }: Request, waitMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, waitMs);
  const gone = (): void => resolve();
  signal.addEventListener("abort", gone);
  await promise;
  clearTimeout(timer);
  signal.removeEventListener("abort", gone);
}

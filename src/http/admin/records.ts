/** The records for administrators: attempts searched, and a sale's records as CSV. */
import type { BunRequest, Server } from "bun";
import { z } from "zod";
import type { Accounts } from "../../access/accounts.ts";
import { isTooSlow } from "../../postgres/client.ts";
import { buyerKind, outcomeWord } from "../../store/schema.ts";
import {
  attemptsCsv,
  attemptsOfCode,
  claimsCsv,
  purchasesCsv,
  searchAttempts,
  type FoundAttempt,
  type Search,
} from "../../store/exports.ts";
import { withScope } from "../callers.ts";
import { idIn, idParam, instant, nameIn, pageOf, pageParams, time, timeShape } from "../fields.ts";
import type { FlashSalesContext } from "../shop/flash-sales.ts";
import type { Reads } from "../reads.ts";
import { Invalid, parseCode, parseSale, parseText, queryOf, queryValue } from "../parse.ts";
import { json, problem } from "../problems.ts";
import { couponParam } from "../schemas.ts";
import type { Route } from "../server.ts";
import { streamOf } from "../streams.ts";

const attemptsPerPage = 50;
const attemptsPerPageMax = 500;
/** Exports at a time; each part of them is a costly read of its own. */
const exportsMax = 2;
/** An export whose client reads nothing for so long is ended. */
const exportIdleSeconds = 240;

export const attemptShape = z.object({
  seq: z.int(),
  at: timeShape,
  kind: z.string(),
  outcome: z.string(),
  sale_id: z.int().nullable(),
  item_id: z.int().nullable(),
  buyer: z.enum(buyerKind.enumValues).nullable(),
  user_id: z.string().nullable(),
  code: z.uuid().nullable(),
  coupon_name: z.string().nullable(),
  quantity: z.int().nullable(),
});
const attemptPage = z.object({
  attempts: z.array(attemptShape),
  scanned: z
    .object({ from_seq: z.int(), to_seq: z.int() })
    .nullable()
    .describe("The attempts that were looked at for this page; null where an index was asked"),
  next_after: z.int().nullable(),
});

const searchQuery = z.object({
  user: z.string().optional().describe("A user, whole or its beginning"),
  code: z.uuid().optional().describe("Alone: what this code went through"),
  outcome: z.enum(outcomeWord.enumValues).optional(),
  sale_id: z.int().min(1).optional(),
  from: timeShape.optional(),
  to: timeShape.optional().describe("Up to, but not including"),
  ...pageParams("attempt, which is older", attemptsPerPageMax),
});

const guarded = ["unauthenticated", "forbidden", "overloaded"] as const;

export type RecordsContext = FlashSalesContext & { readonly reads: Pick<Reads, "inTurn"> };

export function recordRoutes(accounts: Accounts, context: RecordsContext): Route[] {
  const records = new Records(context);
  const exported = (which: "attempts" | "purchases", summary: string): Route => ({
    path: `/api/admin/sales/:id/${which}.csv`,
    methods: {
      GET: {
        cost: "costly",
        handle: withScope(accounts, "read", (request, server) =>
          records.csv(request, server, which),
        ),
        summary,
        auth: "admin",
        path: idParam("The sale, of either kind"),
        answers: { 200: z.string() },
        mediaType: "text/csv",
        refusals: ["sale_not_found", ...guarded],
      },
    },
  });
  return [
    {
      path: "/api/admin/attempts",
      methods: {
        GET: {
          cost: "costly",
          handle: withScope(accounts, "read", (request) => records.search(queryOf(request.url))),
          summary:
            "Attempts, newest first. A page looks at a million attempts at most, by their " +
            "numbers, and may be empty: go on with next_after. Times narrow what is looked at",
          auth: "admin",
          query: searchQuery,
          answers: { 200: attemptPage },
          refusals: ["invalid_request", ...guarded],
        },
      },
    },
    claimsRoute(records, accounts),
    exported("attempts", "Every attempt that named a sale, as CSV"),
    exported("purchases", "Every unit of a sale that was sold, as CSV"),
  ];
}

const claimsRoute = (records: Records, accounts: Accounts): Route => ({
  path: "/api/coupons/:name/claims.csv",
  methods: {
    GET: {
      cost: "costly",
      // An export like the others, of what is managed by others than sales.
      handle: withScope(accounts, ["read", "manage"], (request, server) =>
        records.claims(request, server),
      ),
      summary: "Who has claimed a coupon, in the order of their claims, as CSV",
      auth: "admin",
      path: couponParam,
      answers: { 200: z.string() },
      mediaType: "text/csv",
      refusals: ["invalid_request", "coupon_not_found", ...guarded],
    },
  },
});

class Records {
  readonly #context: RecordsContext;
  #exports = 0;

  constructor(context: RecordsContext) {
    this.#context = context;
  }

  async search(query: string): Promise<Response> {
    const asked = searchOf(query);
    if (asked instanceof Invalid) return problem("invalid_request", asked);
    try {
      if (typeof asked === "string") {
        const attempts = await attemptsOfCode(this.#context.sql, asked);
        return json({ attempts: attempts.map(showAttempt), scanned: null, next_after: null });
      }
      const { attempts, scanned, nextBefore } = await searchAttempts(this.#context.sql, asked);
      return json({
        attempts: attempts.map(showAttempt),
        scanned: scanned === null ? null : { from_seq: scanned.from, to_seq: scanned.to },
        next_after: nextBefore,
      });
    } catch (error) {
      if (!isTooSlow(error)) throw error;
      const detail = "This took too long to look for; narrow the search, by times for instance.";
      return problem("overloaded", { detail, retryAfterMs: 1_000 });
    }
  }

  async csv(
    request: BunRequest,
    server: Server<undefined>,
    which: "attempts" | "purchases",
  ): Promise<Response> {
    const { sql, catalogue } = this.#context;
    const id = idIn(request, "id");
    const sale = id === null ? undefined : (await catalogue.find(id))?.stored.sale;
    if (sale === undefined) return problem("sale_not_found");
    const parts = which === "attempts" ? attemptsCsv(sql, sale.id) : purchasesCsv(sql, sale.id);
    return this.#stream(request, server, `sale-${sale.id}-${which}.csv`, parts);
  }

  async claims(request: BunRequest, server: Server<undefined>): Promise<Response> {
    // The last part but one.
    const name = nameIn(request, -2);
    if (name instanceof Invalid) return problem("invalid_request", name);
    const { engine, sql } = this.#context;
    const coupon = await engine.writer.read((view) => view.coupon(name));
    if (coupon === null) return problem("coupon_not_found");
    return this.#stream(request, server, `coupon-${coupon.id}-claims.csv`, claimsCsv(sql, name));
  }

  #stream(
    request: BunRequest,
    server: Server<undefined>,
    name: string,
    parts: AsyncGenerator<string, void>,
  ): Response {
    const headers = {
      "Content-Type": "text/csv; charset=utf-8; header=present",
      "Content-Disposition": `attachment; filename="${name}"`,
      "Cache-Control": "no-store",
      "X-Content-Type-Options": "nosniff",
    };
    if (request.method === "HEAD") return new Response(null, { headers });
    if (this.#exports >= exportsMax) return problem("overloaded", { retryAfterMs: 5_000 });
    this.#exports += 1;
    server.timeout(request, exportIdleSeconds);
    const { reads } = this.#context;
    const next = () => reads.inTurn(() => parts.next(), "administrators");
    const inTurn = { next, return: () => parts.return() };
    const body = streamOf(inTurn, () => {
      this.#exports -= 1;
    });
    return new Response(body, { headers });
  }
}

/** A code alone, or everything else that can be searched by. */
function searchOf(query: string): Search | string | Invalid {
  const given = queryValue(query, "code");
  if (given !== null) return parseCode(given);
  const page = pageOf(query, {
    limit: attemptsPerPage,
    limitMax: attemptsPerPageMax,
    after: Number.MAX_SAFE_INTEGER,
  });
  if (page instanceof Invalid) return page;
  const user = queryValue(query, "user");
  const userId = user === null || user instanceof Invalid ? user : parseText(user, "user");
  if (userId instanceof Invalid) return userId;
  const word = queryValue(query, "outcome");
  const outcome = outcomeWord.enumValues.find((known) => known === word) ?? null;
  if (word !== null && outcome === null) return new Invalid("outcome", "is no outcome");
  const sale = queryValue(query, "sale_id");
  const saleId = sale === null || sale instanceof Invalid ? null : parseSale(sale);
  if (sale !== null && typeof saleId !== "number") {
    return new Invalid("sale_id", "is not the number of a sale");
  }
  const from = instantOf(query, "from");
  if (from instanceof Invalid) return from;
  const to = instantOf(query, "to");
  if (to instanceof Invalid) return to;
  return {
    user: userId,
    outcome,
    saleId: typeof saleId === "number" ? saleId : null,
    from,
    to,
    before: page.after,
    limit: page.limit,
  };
}

function instantOf(query: string, name: string): number | null | Invalid {
  const text = queryValue(query, name);
  if (text === null || text instanceof Invalid) return text;
  const parsed = instant.safeParse(text);
  if (parsed.success) return parsed.data;
  return new Invalid(name, parsed.error.issues[0]?.message ?? "is not a time");
}

export const showAttempt = ({ at, ...attempted }: FoundAttempt) => ({
  ...attempted,
  at: time(at.getTime()),
});

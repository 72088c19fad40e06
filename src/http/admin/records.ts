/** The records for administrators: attempts searched, and a sale's records as CSV. */
import type { BunRequest, Server } from "bun";
import { z } from "zod";
import type { Accounts } from "../../access/accounts.ts";
import { buyerKind, outcomeWord } from "../../store/schema.ts";
import {
  attemptsCsv,
  attemptsOfCode,
  purchasesCsv,
  searchAttempts,
  TooSlowError,
  type FoundAttempt,
  type Search,
} from "../../store/exports.ts";
import { withScope } from "../callers.ts";
import { idIn, idParam, instant, pageOf, pageParams, time, timeShape } from "../fields.ts";
import type { FlashSalesContext } from "../shop/flash-sales.ts";
import { Invalid, parseCode, parseSale, parseText, queryOf, queryValue } from "../parse.ts";
import { json, problem } from "../problems.ts";
import type { Route } from "../server.ts";

const attemptsPerPage = 50;
const attemptsPerPageMax = 500;
/** Searches and exports at a time: they share the pool with everybody's reads. */
const searchesMax = 2;
const exportsMax = 2;
/** An export whose client reads nothing for so long is ended. */
const exportIdleSeconds = 240;

const attempt = z.object({
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
  attempts: z.array(attempt),
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

export function recordRoutes(accounts: Accounts, context: FlashSalesContext): Route[] {
  const records = new Records(context);
  const exported = (which: "attempts" | "purchases", summary: string): Route => ({
    path: `/api/admin/sales/:id/${which}.csv`,
    leaderOnly: true,
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
      leaderOnly: true,
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
    exported("attempts", "Every attempt that named a sale, as CSV"),
    exported("purchases", "Every unit of a sale that was sold, as CSV"),
  ];
}

class Records {
  readonly #context: FlashSalesContext;
  #searches = 0;
  #exports = 0;

  constructor(context: FlashSalesContext) {
    this.#context = context;
  }

  async search(query: string): Promise<Response> {
    const asked = searchOf(query);
    if (asked instanceof Invalid) return problem("invalid_request", asked);
    if (this.#searches >= searchesMax) return problem("overloaded", { retryAfterMs: 1_000 });
    this.#searches += 1;
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
      if (!(error instanceof TooSlowError)) throw error;
      const detail = "This took too long to look for; narrow the search, by times for instance.";
      return problem("overloaded", { detail, retryAfterMs: 1_000 });
    } finally {
      this.#searches -= 1;
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
    const headers = {
      "Content-Type": "text/csv; charset=utf-8; header=present",
      "Content-Disposition": `attachment; filename="sale-${sale.id}-${which}.csv"`,
      "Cache-Control": "no-store",
      "X-Content-Type-Options": "nosniff",
    };
    if (request.method === "HEAD") return new Response(null, { headers });
    if (this.#exports >= exportsMax) return problem("overloaded", { retryAfterMs: 5_000 });
    this.#exports += 1;
    server.timeout(request, exportIdleSeconds);
    const parts = which === "attempts" ? attemptsCsv(sql, sale.id) : purchasesCsv(sql, sale.id);
    const body = streamOf(parts, () => {
      this.#exports -= 1;
    });
    return new Response(body, { headers });
  }
}

/**
 * A body that asks for its next part when the client has taken the last one.
 * @param ended called once, when there is no more, something failed, or the client is gone
 */
export function streamOf(
  parts: AsyncGenerator<string, void>,
  ended: () => void,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let isOver = false;
  const end = (): void => {
    if (!isOver) ended();
    isOver = true;
  };
  return new ReadableStream<Uint8Array>(
    {
      pull: async (stream) => {
        try {
          const { done, value } = await parts.next();
          if (done !== true) stream.enqueue(encoder.encode(value));
          else {
            end();
            stream.close();
          }
        } catch (error) {
          end();
          // The connection is cut: the client must not take a part for the whole.
          stream.error(error);
        }
      },
      cancel: async () => {
        end();
        await parts.return();
      },
    },
    { highWaterMark: 1 },
  );
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

const showAttempt = ({ at, ...attempted }: FoundAttempt) => ({
  ...attempted,
  at: time(at.getTime()),
});

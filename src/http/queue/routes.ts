/** The routes of the waiting room: joining a queue, where it and a ticket stand, and the draw. */
import type { BunRequest, Server } from "bun";
import { z } from "zod";
import type { Challenges } from "../../access/challenges.ts";
import type { Buyer } from "../../ledger/buyers.ts";
import type { JoinOutcome } from "../../ledger/commands.ts";
import type { SaleEngine } from "../../sales/selling.ts";
import { otherSale, type Buyers } from "../buyers.ts";
import { timeShape } from "../fields.ts";
import {
  Invalid,
  parseIdempotencyKey,
  parseSale,
  parseText,
  parseTicket,
  queryOf,
  queryValue,
} from "../parse.ts";
import { json, problem } from "../problems.ts";
import { buyerShape, idempotencyHeader, saleParam, ticketHeader, ticketQuery } from "../schemas.ts";
import { patient, type Route } from "../server.ts";
import { queueFigures } from "../queue-shapes.ts";
import { streamOf } from "../streams.ts";
import { drawLines, type Queues } from "./queues.ts";

type QueueRoutesContext = {
  readonly engine: SaleEngine;
  readonly queues: Queues;
  readonly buyers: Buyers;
  /** What guests solve before they join; null: nothing. */
  readonly challenges: Challenges | null;
};

const count = z.int().min(0);

const ticketShape = z
  .object({
    ticket: z.uuid().describe("A secret: whoever has it is let in under this name"),
    entry: z.string().describe("SHA-256 of the ticket's text in hex: its name in the draw"),
    number: count.describe("In the order of joining, from 1"),
    state: z.enum(["waiting", "admitted", "passed", "closed"]),
    rank: count.nullable().describe("Null before the opening, and while it is drawn"),
    ahead: count.nullable(),
    eta_ms: z.number().nullable().describe("By the rate as it is; null while it is paused"),
    sale_id: z.int(),
    user_id: z.string(),
    buyer: buyerShape,
    expires_at: timeShape
      .nullable()
      .describe("When the pass ends if nothing is reserved; null while a reservation lives"),
    pass_ttl_ms: z.int().nullable(),
  })
  .meta({ id: "Ticket" });

const queueShape = queueFigures
  .extend({
    commitment: z.string().nullable().describe("SHA-256 of the seed's bytes, in hex"),
    seed: z.string().nullable().describe("Null until the opening"),
    entries_digest: z.string().nullable(),
    drawn: count.nullable().describe("How many joined before the opening, and were drawn"),
    opens_at: timeShape,
    now: timeShape,
  })
  .meta({ id: "Queue" });

const joinQuery = z.object({
  user_id: z
    .string()
    .optional()
    .describe("Guests and `sell` keys name the buyer")
    .meta({ example: "ann" }),
  altcha: z
    .string()
    .optional()
    .describe("A solution of GET /challenge, as the widget has it, where guests need one")
    .meta({ example: "eyJjaGFsbGVuZ2UiOnt9LCJzb2x1dGlvbiI6e319" }),
});

export function queueRoutes(context: QueueRoutesContext): Route[] {
  const { queues } = context;
  return [
    joinRoute(context),
    {
      path: "/sales/:sale_id/queue/me",
      methods: {
        GET: {
          handle: (request, server) => ticket(context, request, server),
          summary: "Where a ticket stands",
          description:
            "Without a ticket: where that of a proven buyer stands, on whatever device they ask.",
          path: saleParam,
          headers: ticketHeader,
          query: ticketQuery,
          answers: { 200: ticketShape },
          refusals: [
            "invalid_request",
            "unauthenticated",
            "forbidden",
            "sale_not_found",
            "ticket_not_found",
            "unavailable",
            "overloaded",
          ],
        },
      },
    },
    drawRoute(queues),
    challengeRoute(context),
  ];
}

function joinRoute(context: QueueRoutesContext): Route {
  const { queues } = context;
  return {
    path: "/sales/:sale_id/queue",
    methods: {
      POST: {
        handle: (request, server) => join(context, request, server),
        admitsItself: true,
        summary: "Join the queue of a sale",
        description:
          "Who joins before the opening is drawn, not first come. Again by the same proven buyer, " +
          "or with the same Idempotency-Key: the same ticket.",
        path: saleParam,
        query: joinQuery,
        headers: idempotencyHeader,
        answers: { 201: ticketShape, 200: ticketShape },
        refusals: [
          "invalid_request",
          "unauthenticated",
          "forbidden",
          "user_mismatch",
          "cross_site",
          "rate_limited",
          "challenge_required",
          "sale_not_found",
          "no_queue",
          "already_joined",
          "sale_not_open",
          "sold_out",
          "queue_full",
          "unavailable",
          "overloaded",
        ],
      },
      GET: {
        handle: (request) => {
          const sale = saleIn(request);
          return sale === null ? problem("sale_not_found") : queues.state(sale);
        },
        summary: "The queue of a sale, as everybody may see it",
        description: "May be cached for a second, by whatever stands in front.",
        path: saleParam,
        answers: { 200: queueShape },
        refusals: ["sale_not_found", "no_queue", "unavailable"],
      },
    },
  };
}

function drawRoute(queues: Queues): Route {
  return {
    path: "/sales/:sale_id/draw.csv",
    methods: {
      GET: {
        handle: (request, server) => patient(request, server, () => draw(queues, request)),
        cost: "costly",
        summary: "The draw: everybody who joined before the opening, with their ranks",
        path: saleParam,
        answers: { 200: z.string() },
        mediaType: "text/csv",
        refusals: ["sale_not_found", "no_queue", "sale_not_open", "unavailable"],
      },
    },
  };
}

function challengeRoute({ challenges }: QueueRoutesContext): Route {
  return {
    path: "/challenge",
    methods: {
      GET: {
        handle: async () =>
          challenges === null ? problem("not_found") : json(await challenges.make()),
        summary: "What a guest's browser solves before it joins a queue",
        description: "ALTCHA. Where CHALLENGE is off there is none.",
        answers: { 200: z.looseObject({ parameters: z.looseObject({}), signature: z.string() }) },
        refusals: ["not_found"],
      },
    },
  };
}

function saleIn(request: BunRequest): number | null {
  const sale = parseSale(request.params["sale_id"] ?? null);
  return typeof sale === "number" ? sale : null;
}

const invalid = ({ detail }: Invalid): Response => problem("invalid_request", { detail });

function join(
  context: QueueRoutesContext,
  request: BunRequest,
  server: Server<undefined>,
): Response | Promise<Response> {
  const given = queryValue(queryOf(request.url), "user_id");
  const userId = given === null || given instanceof Invalid ? given : parseText(given, "user_id");
  if (userId instanceof Invalid) return invalid(userId);
  const key = parseIdempotencyKey(request.headers.get("Idempotency-Key"));
  if (key instanceof Invalid) return invalid(key);
  const sale = saleIn(request);
  const { engine, queues, buyers, challenges } = context;
  return buyers.asBuyer(request, server, userId, ({ buyer, onlySaleId }) => {
    if (onlySaleId !== null && sale !== onlySaleId) return otherSale();
    const submit = (): Promise<Response> =>
      engine.writer.submit(
        { kind: "join", buyer, sale: sale ?? "unknown", ticket: crypto.randomUUID(), key },
        (outcome) => answer(queues, outcome),
      );
    if (challenges === null || buyer.kind !== "guest" || sale === null) return submit();
    return challenged(context, challenges, request, { buyer, sale, key }).then(
      (refused) => refused ?? submit(),
    );
  });
}

/** Takes a guest's solution; null when they may join. Who asks again for a ticket needs none. */
async function challenged(
  { engine }: QueueRoutesContext,
  challenges: Challenges,
  request: BunRequest,
  asked: { readonly buyer: Buyer; readonly sale: number; readonly key: string | null },
): Promise<Response | null> {
  const { buyer, sale, key } = asked;
  const own = await engine.writer.read((view) => view.ticketOf(sale, buyer));
  if (key !== null && own?.key === key) return null;
  const solution = queryValue(queryOf(request.url), "altcha");
  if (solution instanceof Invalid) return invalid(solution);
  if (solution === null) return problem("challenge_required");
  const fault = await challenges.spend(solution);
  return fault === null ? null : problem("challenge_required", { detail: `altcha ${fault}.` });
}

function answer(queues: Queues, outcome: JoinOutcome): Response {
  switch (outcome.word) {
    case "joined":
      return json(queues.show(outcome.saleId, outcome.ticket), 201);
    case "joined_again":
      return json(queues.show(outcome.saleId, outcome.ticket));
    default:
      return problem(outcome.word);
  }
}

function ticket(
  context: QueueRoutesContext,
  request: BunRequest,
  server: Server<undefined>,
): Response | Promise<Response> {
  const { queues } = context;
  const sale = saleIn(request);
  const shown = parseTicket(request);
  const isShown =
    request.headers.has("Queue-Ticket") || queryValue(queryOf(request.url), "ticket") !== null;
  const isKnown = request.headers.has("Authorization") || request.headers.has("Cookie");
  if (!isShown && !isKnown) {
    return problem("invalid_request", { detail: "Queue-Ticket is missing" });
  }
  if (sale === null) return problem("sale_not_found");
  if (!isShown) return ownTicket(context, request, server, sale);
  return shown === null ? problem("ticket_not_found") : queues.ticket(sale, shown);
}

/** That of a proven buyer who shows none: another device of theirs has it. */
function ownTicket(
  { queues, buyers }: QueueRoutesContext,
  request: BunRequest,
  server: Server<undefined>,
  sale: number,
): Response | Promise<Response> {
  return buyers.asProven(request, server, null, ({ buyer, onlySaleId }) =>
    onlySaleId === null || onlySaleId === sale ? queues.ticketOf(sale, buyer) : otherSale(),
  );
}

async function draw(queues: Queues, request: BunRequest): Promise<Response> {
  const sale = saleIn(request);
  if (sale === null) return problem("sale_not_found");
  const state = await queues.state(sale);
  if (!state.ok) return state;
  const drawn = await queues.draw(sale);
  if (drawn === null) {
    return problem("sale_not_open", { detail: "It is drawn when the sale opens." });
  }
  const headers = {
    "Content-Type": "text/csv; charset=utf-8; header=present",
    "Cache-Control": "public, max-age=60",
    "Access-Control-Allow-Origin": "*",
  };
  if (request.method === "HEAD") return new Response(null, { headers });
  const lines = drawLines(drawn);
  return new Response(
    streamOf(lines, () => {}),
    { headers },
  );
}

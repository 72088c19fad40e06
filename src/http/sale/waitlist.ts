/**
 * The routes of waiting lists: to wait for what cannot be had now, to wait no more, and where one
 * stands. What is offered is a reservation like any other, and is bought and given back as such.
 */
import type { BunRequest, Server } from "bun";
import { z } from "zod";
import { madeAs } from "../../engine/made.ts";
import type { Buyer } from "../../ledger/buyers.ts";
import type { WaitlistJoinOutcome } from "../../ledger/commands.ts";
import type { WaitingLine } from "../../ledger/view.ts";
import type { Catalogue } from "../../sales/catalogue.ts";
import type { SaleEngine } from "../../sales/selling.ts";
import { endsConnection, readBody } from "../body.ts";
import { otherSale, type Asker, type Buyers } from "../buyers.ts";
import { idIn, itemOrAny, time, timeShape } from "../fields.ts";
import { Invalid, parseText, queryOf, queryValue } from "../parse.ts";
import { json, preparedRetry, problem } from "../problems.ts";
import { buyerShape, saleParam } from "../schemas.ts";
import type { Route } from "../server.ts";

type WaitlistContext = {
  readonly engine: SaleEngine;
  readonly catalogue: Catalogue;
  readonly buyers: Buyers;
  /** ms since the Unix epoch */
  readonly clock: () => number;
};

const userName = z
  .string()
  .optional()
  .describe("A key with the scope `sell` names the customer; others may leave it out");
const waitBody = z
  .object({
    item_id: itemOrAny.describe("Number of the item in its sale; `any`: whichever"),
    user_id: userName,
  })
  .meta({ example: { item_id: "any" } });
const waiterQuery = z.object({ user_id: userName.meta({ example: "ann" }) });

const waitingShape = z
  .object({
    sale_id: z.int(),
    user_id: z.string(),
    buyer: buyerShape,
    lines: z.array(
      z.object({
        item_id: itemOrAny,
        joined_at: timeShape,
        ahead: z.int().min(0).describe("How many wait before them for the same"),
        offer: z
          .object({ code: z.uuid(), item_id: z.int(), expires_at: timeShape })
          .nullable()
          .describe("What is reserved for them, to be bought by its code like any reservation"),
      }),
    ),
  })
  .meta({ id: "Waiting" });

const whoever = ["invalid_request", "unauthenticated", "forbidden", "user_mismatch"] as const;
const writing = [...whoever, "cross_site", "rate_limited", "sale_not_found"] as const;
const decided = ["unavailable", "overloaded"] as const;

export function waitlistRoutes(context: WaitlistContext): Route[] {
  return [
    {
      path: "/sales/:sale_id/waitlist",
      methods: {
        POST: {
          handle: (request, server) => wait(context, request, server),
          summary: "Wait for what cannot be had now",
          description:
            "For proven buyers. What comes free is reserved for the first in line, for the sale's " +
            "time, before anybody else can have it: `GET /reservations` shows it, and so does " +
            "`…/waitlist/me`. Who lets an offer lapse goes to the end, however often; who gives one " +
            "back leaves that line. While a buyer holds as much as they may, they are passed over, " +
            "and keep their place. Where the sale has a queue, their turn has to have come. Again: " +
            "the same line.",
          auth: "user",
          path: saleParam,
          query: waiterQuery,
          body: waitBody,
          answers: { 201: waitingShape, 200: waitingShape },
          refusals: [
            ...writing,
            "item_not_found",
            "sale_not_open",
            "not_admitted",
            "available",
            "user_limit_reached",
            "too_many_lines",
            "waitlist_full",
            ...decided,
          ],
        },
        DELETE: {
          handle: (request, server) => leave(context, request, server),
          summary: "Wait no more",
          description: "Leaves all lines in the sale. What is offered already stays reserved.",
          auth: "user",
          path: saleParam,
          query: waiterQuery,
          answers: { 204: null },
          refusals: [...writing, ...decided],
        },
      },
    },
    {
      path: "/sales/:sale_id/waitlist/me",
      methods: {
        GET: {
          handle: (request, server) => lines(context, request, server),
          cost: "large",
          summary: "What a proven buyer waits for, and is offered",
          auth: "user",
          path: saleParam,
          query: waiterQuery,
          answers: { 200: waitingShape },
          refusals: [...whoever, "sale_not_found", "unavailable"],
        },
      },
    },
  ];
}

const invalid = ({ detail }: Invalid): Response => problem("invalid_request", { detail });
const notAdmitted = preparedRetry("not_admitted");

async function wait(
  context: WaitlistContext,
  request: BunRequest,
  server: Server<undefined>,
): Promise<Response> {
  const { engine, clock } = context;
  const body = await readBody(request, waitBody);
  if (body instanceof Response) {
    if (endsConnection(body)) return body;
    // Who may not ask is told that first. That nobody is named is not: the body may have the name.
    const asked = { request, server, named: null };
    const told = await asWaiter(context, asked, () => Promise.resolve(body));
    return told.status === 400 ? body : told;
  }
  const named = body.user_id === undefined ? null : parseText(body.user_id, "user_id");
  if (named instanceof Invalid) return invalid(named);
  const asked = { request, server, named };
  return await asWaiter(context, asked, async ({ buyer }, saleId) => {
    const outcome = await engine.writer.submit({
      kind: "waitlist_join",
      buyer,
      sale: saleId ?? "unknown",
      item: body.item_id,
    });
    return outcome.word === "waiting" || outcome.word === "waiting_again"
      ? await madeAs(() =>
          show(context, outcome.saleId, buyer, outcome.word === "waiting" ? 201 : 200),
        )
      : refusal(outcome, clock());
  });
}

type Refused = Exclude<WaitlistJoinOutcome, { readonly word: "waiting" | "waiting_again" }>;

function refusal(outcome: Refused, now: number): Response {
  switch (outcome.word) {
    case "not_admitted":
      return notAdmitted(outcome.retryMs, `,"ahead":${outcome.ahead}}`);
    case "sale_not_open":
      return outcome.opensAt === null
        ? problem(outcome.word)
        : problem(outcome.word, { retryAfterMs: outcome.opensAt - now });
    default:
      return problem(outcome.word);
  }
}

async function leave(
  context: WaitlistContext,
  request: BunRequest,
  server: Server<undefined>,
): Promise<Response> {
  return await asWaiter(context, { request, server, named: null }, async ({ buyer }, saleId) => {
    const { word } = await context.engine.writer.submit({
      kind: "waitlist_leave",
      buyer,
      sale: saleId ?? "unknown",
    });
    return word === "sale_not_found" ? problem(word) : new Response(null, { status: 204 });
  });
}

async function lines(
  context: WaitlistContext,
  request: BunRequest,
  server: Server<undefined>,
): Promise<Response> {
  return await asWaiter(context, { request, server, named: null }, async ({ buyer }, saleId) => {
    const isThere = saleId !== null && (await context.catalogue.find(saleId)) !== null;
    return isThere ? await show(context, saleId, buyer, 200) : problem("sale_not_found");
  });
}

type WaiterAsked = {
  readonly request: BunRequest;
  readonly server: Server<undefined>;
  /** Whom the body names. */
  readonly named: string | null;
};

/** Goes on with who waits, and the sale of the path; null for what can be none. */
async function asWaiter(
  { buyers }: WaitlistContext,
  { request, server, named }: WaiterAsked,
  go: (asker: Asker, saleId: number | null) => Promise<Response>,
): Promise<Response> {
  const given = named ?? queryValue(queryOf(request.url), "user_id");
  const userId = given === null || given instanceof Invalid ? given : parseText(given, "user_id");
  if (userId instanceof Invalid) return invalid(userId);
  const saleId = idIn(request, "sale_id");
  return await buyers.asProven(request, server, userId, (asker) =>
    asker.onlySaleId === null || asker.onlySaleId === saleId ? go(asker, saleId) : otherSale(),
  );
}

async function show(
  { engine }: WaitlistContext,
  saleId: number,
  buyer: Buyer,
  status: number,
): Promise<Response> {
  const found = await engine.writer.read((view) => view.linesOf(saleId, buyer));
  const { userId: user_id, kind } = buyer;
  return json({ sale_id: saleId, user_id, buyer: kind, lines: found.map(showLine) }, status);
}

const showLine = ({ item: item_id, joinedAt, ahead, offer }: WaitingLine) => ({
  item_id,
  joined_at: time(joinedAt),
  ahead,
  offer:
    offer === null
      ? null
      : { code: offer.code, item_id: offer.itemId, expires_at: time(offer.expiresAt) },
});

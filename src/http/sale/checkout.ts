/** The routes of the two steps, reserve and buy; of giving back, and of what one holds. */
import type { BunRequest, Server } from "bun";
import type { Buyer } from "../../ledger/buyers.ts";
import type { Hoarding } from "../../access/hoarding.ts";
import type { Checkout, CheckoutOutcome } from "../../ledger/commands.ts";
import { leaderOf } from "../../sales/selling.ts";
import {
  type CheckoutAsked,
  Invalid,
  parseCheckout,
  parseCode,
  parseExpectedPrice,
  parseIdempotencyKey,
  parseText,
  queryOf,
  queryValue,
} from "../parse.ts";
import { problem } from "../problems.ts";
import {
  checkoutQuery,
  codeQuery,
  idempotencyHeader,
  orderShape,
  purchaseQuery,
  reservationList,
  reservationShape,
  reservationsQuery,
} from "../schemas.ts";
import type { Route } from "../server.ts";
import type { Buyers, CodeAsker } from "../buyers.ts";
import { Buying, type BuyingContext } from "./buying.ts";

type CheckoutContext = BuyingContext & {
  readonly buyers: Buyers;
  readonly hoarding: Hoarding;
};

const whoever = [
  "unauthenticated",
  "forbidden",
  "cross_site",
  "rate_limited",
  "unavailable",
  "overloaded",
] as const;

export function checkoutRoutes(context: CheckoutContext): Route[] {
  const buying = new Buying(context);
  return [...reservingRoutes(context, buying), ...purchaseRoutes(context, buying)];
}

function reservingRoutes(context: CheckoutContext, buying: Buying): Route[] {
  return [
    {
      path: "/checkout",
      leaderOnly: true,
      methods: {
        POST: {
          handle: (request, server) => checkout(context, buying, request, server),
          admitsItself: true,
          summary: "Reserve one unit of an item",
          description:
            "The first step. A guest names a `user_id`, as does a key with the scope `sell`, which " +
            "buys for that customer. A session or login token proves an account, a user token a " +
            "customer: both may leave it out, and are told the code of what they hold again.",
          query: checkoutQuery,
          headers: idempotencyHeader,
          answers: { 200: reservationShape },
          refusals: [
            "invalid_request",
            "user_mismatch",
            "sale_not_found",
            "item_not_found",
            "sale_not_open",
            "price_changed",
            "item_sold_out",
            "sold_out",
            "item_reserved",
            "user_limit_reached",
            "idempotency_key_reused",
            ...whoever,
          ],
        },
        DELETE: {
          handle: (request, server) =>
            aboutCode(context, request, server, async (code, { by, onlySaleId }) => {
              const answer = await buying.release(code, by, onlySaleId);
              if (answer.status === 204) context.hoarding.released(code, context.clock());
              return answer;
            }),
          admitsItself: true,
          summary: "Give a reservation back",
          description: "May be sent again; after a purchase it is refused.",
          query: codeQuery,
          answers: { 204: null },
          refusals: ["invalid_request", "code_not_found", "already_purchased", ...whoever],
        },
      },
    },
    {
      path: "/reservations",
      leaderOnly: true,
      methods: {
        GET: {
          handle: (request, server) => reservations(context, buying, request, server),
          summary: "What a proven buyer holds, in every sale",
          description: "A key with the scope `sell` names the customer.",
          auth: "user",
          query: reservationsQuery,
          answers: { 200: reservationList },
          refusals: ["invalid_request", "unauthenticated", "forbidden", "user_mismatch"],
        },
      },
    },
  ];
}

function purchaseRoutes(context: CheckoutContext, buying: Buying): Route[] {
  return [
    {
      path: "/purchase",
      leaderOnly: true,
      methods: {
        POST: {
          handle: (request, server) => purchase(context, buying, request, server),
          admitsItself: true,
          summary: "Buy what a code has reserved",
          description:
            "The second step. The same code again: the same order, `replayed`. A code past its " +
            "time still sells when its unit is free and the sale open. An account's code is " +
            "bought by that account alone.",
          query: purchaseQuery,
          answers: { 200: orderShape },
          refusals: [
            "invalid_request",
            "code_not_found",
            "code_expired",
            "sale_ended",
            "price_changed",
            ...whoever,
          ],
        },
      },
    },
  ];
}

const invalid = ({ detail }: Invalid): Response => problem("invalid_request", { detail });

/** Most checkouts of a flood are refused, and what is not reserved needs no code. */
class AskedCheckout implements Checkout {
  readonly kind = "checkout";
  readonly buyer: Buyer;
  readonly item: Checkout["item"];
  readonly sale: Checkout["sale"];
  readonly key: string | null;
  readonly expectedPriceCents: number | null;
  #code: string | null = null;

  constructor({ item, sale, expectedPriceCents }: CheckoutAsked, buyer: Buyer, key: string | null) {
    this.buyer = buyer;
    this.item = item;
    this.sale = sale;
    this.key = key;
    this.expectedPriceCents = expectedPriceCents;
  }

  get code(): string {
    return (this.#code ??= Bun.randomUUIDv7());
  }
}

function checkout(
  context: CheckoutContext,
  buying: Buying,
  request: Request,
  server: Server<undefined>,
): Response | Promise<Response> {
  const asked = parseCheckout(request.url);
  if (asked instanceof Invalid) return invalid(asked);
  const key = parseIdempotencyKey(request.headers.get("Idempotency-Key"));
  if (key instanceof Invalid) return invalid(key);
  const { engine, buyers, hoarding, clock } = context;
  return buyers.asBuyer(request, server, asked.userId, ({ buyer, onlySaleId }, network) => {
    const waitMs = network === null ? 0 : hoarding.waitMs(network, buyer, asked, clock());
    if (waitMs > 0) return holdsTooMuch(waitMs);
    const command = new AskedCheckout(asked, buyer, key);
    const render =
      network === null ? buying.renderCheckout : counting(context, buying, network, asked);
    const { writer } = leaderOf(engine);
    return onlySaleId === null
      ? writer.submit(command, render)
      : writer
          .read((view) => (asked.sale === "current" ? view.currentSaleId() : asked.sale))
          .then((saleId) =>
            saleId === onlySaleId || saleId === null ? writer.submit(command, render) : otherSale(),
          );
  });
}

/** Renders an outcome, and counts what a network has reserved by it. */
const counting =
  ({ hoarding }: CheckoutContext, buying: Buying, network: string, asked: CheckoutAsked) =>
  (outcome: CheckoutOutcome): Response => {
    if (outcome.word === "reserved") hoarding.reserved(network, outcome.reservation, asked);
    return buying.renderCheckout(outcome);
  };

const holdsTooMuch = (waitMs: number): Response =>
  problem("rate_limited", {
    detail: "Too much is reserved from here, or this item too often, and not bought.",
    retryAfterMs: waitMs,
  });

const otherSale = (): Response =>
  problem("forbidden", { detail: "This token is for another sale." });

/** Does something with the code of a request, in the name of whom it proves, or of nobody. */
function aboutCode(
  { buyers }: CheckoutContext,
  request: BunRequest,
  server: Server<undefined>,
  use: (code: string, asker: CodeAsker) => Promise<Response>,
): Response | Promise<Response> {
  const code = parseCode(queryValue(queryOf(request.url), "code"));
  if (code instanceof Invalid) return invalid(code);
  return buyers.withCode(request, server, (asker) => use(code, asker));
}

function purchase(
  context: CheckoutContext,
  buying: Buying,
  request: BunRequest,
  server: Server<undefined>,
): Response | Promise<Response> {
  const expected = parseExpectedPrice(queryOf(request.url));
  if (expected instanceof Invalid) return invalid(expected);
  return aboutCode(context, request, server, async (code, { by, onlySaleId }) => {
    if (onlySaleId !== null && by !== null && by !== "merchant") {
      const saleId = await buying.saleOf(code, by);
      if (saleId !== null && saleId !== onlySaleId) return otherSale();
    }
    const answer = await buying.purchase(code, by, expected);
    if (answer.status === 200) context.hoarding.bought(code);
    return answer;
  });
}

function reservations(
  { buyers }: CheckoutContext,
  buying: Buying,
  request: BunRequest,
  server: Server<undefined>,
): Response | Promise<Response> {
  const given = queryValue(queryOf(request.url), "user_id");
  const userId = given === null || given instanceof Invalid ? given : parseText(given, "user_id");
  if (userId instanceof Invalid) return invalid(userId);
  return buyers.asProven(request, server, userId, ({ buyer }) => buying.reservations(buyer));
}

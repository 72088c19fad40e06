/** The routes of the two steps, reserve and buy; of holding, giving back, and of what one holds. */
import type { BunRequest, Server } from "bun";
import type { Buyer } from "../../ledger/buyers.ts";
import type { Accounts } from "../../access/accounts.ts";
import type { Checkout } from "../../ledger/commands.ts";
import {
  type CheckoutAsked,
  Invalid,
  parseCheckout,
  parseCode,
  parseExpectedPrice,
  parseIdempotencyKey,
  parseText,
  ticketInHeader,
  queryOf,
  queryValue,
} from "../parse.ts";
import { readBody } from "../body.ts";
import { pageOf } from "../fields.ts";
import { withScope } from "../callers.ts";
import { problem } from "../problems.ts";
import {
  checkoutQuery,
  codeParam,
  codeQuery,
  extensionBody,
  extensionShape,
  idempotencyHeader,
  orderShape,
  purchaseQuery,
  reservationList,
  reservationShape,
  reservationsPerPageMax,
  reservationsQuery,
  ticketHeader,
} from "../schemas.ts";
import type { Route } from "../server.ts";
import { otherSale, type Buyers, type CodeAsker } from "../buyers.ts";
import { Buying, holdsTooMuch, type BuyingContext } from "./buying.ts";

type CheckoutContext = BuyingContext & {
  readonly accounts: Accounts;
  readonly buyers: Buyers;
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
  return [
    ...reservingRoutes(context, buying),
    reservationsRoute(context, buying),
    extendingRoute(context, buying),
    ...purchaseRoutes(context, buying),
  ];
}

function reservingRoutes(context: CheckoutContext, buying: Buying): Route[] {
  return [
    {
      path: "/checkout",
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
          headers: idempotencyHeader.extend(ticketHeader.shape),
          answers: { 200: reservationShape },
          refusals: [
            "invalid_request",
            "user_mismatch",
            "sale_not_found",
            "item_not_found",
            "sale_not_open",
            "not_admitted",
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
            aboutCode(context, request, server, (code, { by, onlySaleId }) =>
              buying.release(code, by, onlySaleId),
            ),
          admitsItself: true,
          summary: "Give a reservation back",
          description: "May be sent again; after a purchase it is refused.",
          query: codeQuery,
          answers: { 204: null },
          refusals: ["invalid_request", "code_not_found", "already_purchased", ...whoever],
        },
      },
    },
  ];
}

function reservationsRoute(context: CheckoutContext, buying: Buying): Route {
  return {
    path: "/reservations",
    methods: {
      GET: {
        handle: (request, server) => reservations(context, buying, request, server),
        cost: "large",
        summary: "What a proven buyer holds, in every sale",
        description:
          "Oldest first. A key with the scope `sell` names the customer. Where there are more " +
          "than fit on a page, `next_after` is what the next one begins after.",
        auth: "user",
        query: reservationsQuery,
        answers: { 200: reservationList },
        refusals: ["invalid_request", "unauthenticated", "forbidden", "user_mismatch"],
      },
    },
  };
}

function extendingRoute(context: CheckoutContext, buying: Buying): Route {
  return {
    path: "/reservations/:code/extend",
    methods: {
      POST: {
        handle: withScope(context.accounts, "sell", (r) => extend(buying, r)),
        summary: "Hold a unit while a payment is under way",
        description:
          "For a key with the scope `sell` alone. The reservation ends at the later of its " +
          "present end and `ms` from now, which is a quarter of an hour at most, and never after " +
          "the sale's end. One that has run out is held again if nobody has had its unit since.",
        auth: "merchant",
        path: codeParam,
        body: extensionBody,
        answers: { 200: extensionShape },
        refusals: [
          "invalid_request",
          "code_not_found",
          "already_purchased",
          "sale_ended",
          "code_expired",
          "cross_site",
          "overloaded",
        ],
      },
    },
  };
}

function purchaseRoutes(context: CheckoutContext, buying: Buying): Route[] {
  return [
    {
      path: "/purchase",
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
  readonly ticket: string | null;
  #code: string | null = null;

  constructor(
    { item, sale, expectedPriceCents }: CheckoutAsked,
    buyer: Buyer,
    key: string | null,
    ticket: string | null,
  ) {
    this.buyer = buyer;
    this.item = item;
    this.sale = sale;
    this.key = key;
    this.expectedPriceCents = expectedPriceCents;
    this.ticket = ticket;
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
    const ticket = asked.ticket ?? ticketInHeader(request);
    const command = new AskedCheckout(asked, buyer, key, ticket);
    const render = network === null ? buying.renderCheckout : buying.counting(network, asked);
    const { writer } = engine;
    return onlySaleId === null
      ? writer.submit(command, render)
      : writer
          .read((view) => (asked.sale === "current" ? view.currentSaleId() : asked.sale))
          .then((sale) => {
            if (sale === null) return writer.submit(command, render);
            if (sale !== onlySaleId) return otherSale();
            // By its number: when it is decided the hour may have turned, and another be the open one.
            return writer.submit(new AskedCheckout({ ...asked, sale }, buyer, key, ticket), render);
          });
  });
}

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
  return aboutCode(context, request, server, (code, { by, onlySaleId }) => {
    if (onlySaleId === null || by === null || by === "merchant") {
      return buying.purchase(code, by, expected);
    }
    return buying.purchaseIn(onlySaleId, code, by, expected);
  });
}

async function extend(buying: Buying, request: BunRequest): Promise<Response> {
  const code = parseCode(request.params["code"] ?? null);
  if (code instanceof Invalid) return invalid(code);
  const body = await readBody(request, extensionBody);
  if (body instanceof Response) return body;
  return await buying.extend(code, body.ms);
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
  const sizes = { limit: reservationsPerPageMax, limitMax: reservationsPerPageMax };
  const page = pageOf(queryOf(request.url), sizes);
  if (page instanceof Invalid) return invalid(page);
  return buyers.asProven(request, server, userId, ({ buyer }) => buying.reservations(buyer, page));
}

/** The routes of the two steps, reserve and buy; of giving back, and of what one holds. */
import type { BunRequest, Server } from "bun";
import { tokenCookie, type Account, type Accounts } from "../../access/accounts.ts";
import type { Buyer } from "../../ledger/buyers.ts";
import type { Checkout } from "../../ledger/commands.ts";
import { leaderOf } from "../../sales/selling.ts";
import {
  type CheckoutAsked,
  Invalid,
  parseCheckout,
  parseCode,
  parseExpectedPrice,
  parseIdempotencyKey,
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
} from "../schemas.ts";
import type { Route } from "../server.ts";
import { isCrossSite, withUser } from "../shop/accounts.ts";
import { Buying, type BuyingContext } from "./buying.ts";

type CheckoutContext = BuyingContext & { readonly accounts: Accounts };

const whoever = ["unauthenticated", "cross_site", "unavailable", "overloaded"] as const;

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
          summary: "Reserve one unit of an item",
          description:
            "The first step. A guest names a `user_id`; a session or login token proves an " +
            "account, which may leave it out, and is told the code of what it holds again.",
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
            aboutCode(context, request, server, (code, by) => buying.release(code, by, null)),
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
          handle: withUser(context.accounts, (_request, _server, account) =>
            buying.reservations(buyerOf(account)),
          ),
          summary: "What one holds, in every sale",
          auth: "user",
          answers: { 200: reservationList },
          refusals: ["unauthenticated"],
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

/** An account as a buyer: it goes by its name. */
export const buyerOf = ({ username }: Account): Buyer => ({ kind: "account", userId: username });

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
  { engine, accounts }: CheckoutContext,
  buying: Buying,
  request: Request,
  server: Server<undefined>,
): Response | Promise<Response> {
  const asked = parseCheckout(request.url);
  if (asked instanceof Invalid) return invalid(asked);
  const key = parseIdempotencyKey(request.headers.get("Idempotency-Key"));
  if (key instanceof Invalid) return invalid(key);

  const reserve = (buyer: Buyer): Promise<Response> =>
    leaderOf(engine).writer.submit(new AskedCheckout(asked, buyer, key), buying.renderCheckout);
  if (isProving(request)) {
    return withProven(accounts, request, server, (buyer) =>
      asked.userId !== null && asked.userId !== buyer.userId
        ? problem("user_mismatch")
        : reserve(buyer),
    );
  }
  if (asked.userId === null) return invalid(new Invalid("user_id", "is missing"));
  return reserve({ kind: "guest", userId: asked.userId });
}

/** Whether a request carries something that is meant to prove who sends it. */
export const isProving = ({ headers }: Request): boolean =>
  headers.get("Authorization") !== null ||
  headers.get("Cookie")?.includes(`${tokenCookie}=`) === true;

/** Goes on with whom a request proves; what it carries and does not count is nobody's. */
export async function withProven(
  accounts: Accounts,
  request: Request,
  server: Server<undefined>,
  go: (buyer: Buyer) => Response | Promise<Response>,
): Promise<Response> {
  const account = await accounts.authenticate(request);
  if (account === null) return problem("unauthenticated");
  if (isCrossSite(accounts, request, server)) return problem("cross_site");
  return await go(buyerOf(account));
}

/** Does something with the code of a request, in the name of whom it proves, or of nobody. */
async function aboutCode(
  { accounts }: CheckoutContext,
  request: BunRequest,
  server: Server<undefined>,
  use: (code: string, by: Buyer | null) => Promise<Response>,
): Promise<Response> {
  const code = parseCode(queryValue(queryOf(request.url), "code"));
  if (code instanceof Invalid) return invalid(code);
  if (!isProving(request)) return await use(code, null);
  return await withProven(accounts, request, server, (buyer) => use(code, buyer));
}

async function purchase(
  context: CheckoutContext,
  buying: Buying,
  request: BunRequest,
  server: Server<undefined>,
): Promise<Response> {
  const expected = parseExpectedPrice(queryOf(request.url));
  if (expected instanceof Invalid) return invalid(expected);
  return await aboutCode(context, request, server, (code, by) =>
    buying.purchase(code, by, expected),
  );
}

/**
 * The two steps of a sale: reserve and buy, and giving back. This is the path that a million
 * requests take within seconds; what can be rendered in advance is.
 */
import type {
  ArchivedCode,
  Checkout,
  CheckoutOutcome,
  KnownCode,
  Purchase,
  PurchaseOutcome,
  Release,
  ReleaseOutcome,
} from "../../ledger/commands.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Shelf, ShownSale } from "../../sales/catalogue.ts";
import { OverloadedError, UnavailableError, type Writer } from "../../engine/writer.ts";
import {
  type CheckoutAsked,
  Invalid,
  parseCheckout,
  parseCode,
  parseIdempotencyKey,
  queryOf,
  queryValue,
} from "../parse.ts";
import { jsonText, preparedProblem, preparedRetry, problem, problems } from "../problems.ts";
import {
  checkoutQuery,
  codeQuery,
  idempotencyHeader,
  orderShape,
  reservationShape,
} from "../schemas.ts";
import type { Route } from "../server.ts";

/**
 * Stands for the code of a product sale that somebody shows who need not be its account: to
 * the ledger it is one that was never given, and the records do not tell it on.
 */
export const noCode = "00000000-0000-0000-0000-000000000000";

/** Codes looked up in the records at a time; a flood of invented codes is refused. */
const lookupsMax = 64;

const refuse = {
  sale_not_found: preparedProblem("sale_not_found"),
  item_not_found: preparedProblem("item_not_found"),
  item_sold_out: preparedProblem("item_sold_out"),
  sold_out: preparedProblem("sold_out"),
  user_limit_reached: preparedProblem("user_limit_reached"),
  idempotency_key_reused: preparedProblem("idempotency_key_reused"),
  code_not_found: preparedProblem("code_not_found"),
  code_expired: preparedProblem("code_expired"),
  sale_ended: preparedProblem("sale_ended"),
  already_purchased: preparedProblem("already_purchased"),
};
const itemReserved = preparedRetry("item_reserved");

export type CheckoutContext = {
  readonly engine: Engine;
  readonly shelf: Shelf;
  readonly findCode: (code: string) => Promise<ArchivedCode | null>;
  readonly clock: () => number;
};

export function checkoutRoutes(context: CheckoutContext): Route[] {
  const codes = new Codes(context);
  const render = (outcome: CheckoutOutcome): Response => renderCheckout(context, outcome);
  return [
    {
      path: "/checkout",
      leaderOnly: true,
      methods: {
        POST: {
          handle: (request) => checkout(context, request, render),
          summary: "Reserve one unit of an item",
          description:
            "The first step. Who already holds the last free unit of the item gets the same " +
            "code again.",
          query: checkoutQuery,
          headers: idempotencyHeader,
          answers: { 200: reservationShape },
          refusals: [
            "invalid_request",
            "sale_not_found",
            "item_not_found",
            "sale_not_open",
            "item_sold_out",
            "sold_out",
            "item_reserved",
            "user_limit_reached",
            "idempotency_key_reused",
            "overloaded",
          ],
        },
        DELETE: {
          handle: (request) => release(context, codes, request),
          summary: "Give a reservation back",
          description: "May be sent again; after a purchase it is refused.",
          query: codeQuery,
          answers: { 204: null },
          refusals: ["invalid_request", "code_not_found", "already_purchased", "overloaded"],
        },
      },
    },
    {
      path: "/purchase",
      leaderOnly: true,
      methods: {
        POST: {
          handle: (request) => purchase(context, codes, request),
          summary: "Buy what a code has reserved",
          description:
            "The second step. The same code again: the same order, `replayed`. A code past its " +
            "time still sells when its unit is free and the sale open.",
          query: codeQuery,
          answers: { 200: orderShape },
          refusals: [
            "invalid_request",
            "code_not_found",
            "code_expired",
            "sale_ended",
            "overloaded",
          ],
        },
      },
    },
  ];
}

const invalid = ({ detail }: Invalid): Response => problem("invalid_request", { detail });

function leaderOf(engine: Engine) {
  const { role } = engine;
  if (role.name !== "leader") throw new UnavailableError("this process does not lead");
  return role;
}

/** Most checkouts of a flood are refused, and what is not reserved needs no code. */
class AskedCheckout implements Checkout {
  readonly kind = "checkout";
  readonly userId: string;
  readonly item: Checkout["item"];
  readonly sale: Checkout["sale"];
  readonly key: string | null;
  #code: string | null = null;

  constructor({ userId, item }: CheckoutAsked, sale: Checkout["sale"], key: string | null) {
    this.userId = userId;
    this.item = item;
    this.sale = sale;
    this.key = key;
  }

  get code(): string {
    return (this.#code ??= Bun.randomUUIDv7());
  }
}

function checkout(
  { engine }: CheckoutContext,
  request: Request,
  render: (outcome: CheckoutOutcome) => Response,
): Response | Promise<Response> {
  const asked = parseCheckout(request.url);
  if (asked instanceof Invalid) return invalid(asked);
  const key = parseIdempotencyKey(request.headers.get("Idempotency-Key"));
  if (key instanceof Invalid) return invalid(key);

  const { writer, productSales } = leaderOf(engine);
  // A product sale is for accounts: here there is no such sale.
  const hidden = typeof asked.sale === "number" && productSales.has(asked.sale);
  return writer.submit(new AskedCheckout(asked, hidden ? "unknown" : asked.sale, key), render);
}

function renderCheckout({ shelf, clock }: CheckoutContext, outcome: CheckoutOutcome): Response {
  switch (outcome.word) {
    case "reserved":
    case "reserved_again": {
      const { code, userId, saleId, itemId, expiresAt } = outcome.reservation;
      const item = shelf.held(saleId)?.itemJson(itemId) ?? "null";
      const user = JSON.stringify(userId);
      const expires = new Date(expiresAt).toISOString();
      return jsonText(
        `{"code":"${code}","user_id":${user},"sale_id":${saleId},"item":${item},"expires_at":"${expires}"}`,
      );
    }
    case "item_reserved":
      return itemReserved(outcome.retryAt - clock());
    case "sale_not_open":
      return outcome.opensAt === null
        ? problem("sale_not_open")
        : problem("sale_not_open", { retryAfterMs: outcome.opensAt - clock() });
    default:
      return refuse[outcome.word]();
  }
}

async function purchase(
  context: CheckoutContext,
  codes: Codes,
  request: Request,
): Promise<Response> {
  const code = parseCode(queryValue(queryOf(request.url), "code"));
  if (code instanceof Invalid) return invalid(code);
  const { writer, productSales } = leaderOf(context.engine);
  const hidden = productSales.reservation(code) !== undefined;
  const archived = hidden ? null : await codes.archived(writer, code);
  const command: Purchase = { kind: "purchase", code: hidden ? noCode : code, archived };
  return await renderPurchase(context, await writer.submit(command));
}

async function renderPurchase(
  { shelf }: CheckoutContext,
  outcome: PurchaseOutcome,
): Promise<Response> {
  switch (outcome.word) {
    case "purchased":
    case "purchased_again": {
      const { of } = outcome;
      const shown = shelf.held(of.saleId) ?? (await shelf.find(of.saleId));
      return jsonText(orderJson(of, shown, outcome.word === "purchased_again"));
    }
    default:
      return refuse[outcome.word]();
  }
}

function orderJson(of: KnownCode, shown: ShownSale | null, replayed: boolean): string {
  const { code, userId, saleId, itemId, sold } = of;
  if (sold === null || shown === null) throw new Error(`code ${code} is sold without an order`);
  const user = JSON.stringify(userId);
  const at = new Date(sold.at).toISOString();
  return (
    `{"message":"Purchase successful","order_id":"${sold.seq}","code":"${code}","user_id":${user},` +
    `"sale_id":${saleId},"item":${shown.itemJson(itemId)},"purchased_at":"${at}","replayed":${replayed}}`
  );
}

async function release(
  context: CheckoutContext,
  codes: Codes,
  request: Request,
): Promise<Response> {
  const code = parseCode(queryValue(queryOf(request.url), "code"));
  if (code instanceof Invalid) return invalid(code);
  const { writer, productSales } = leaderOf(context.engine);
  const hidden = productSales.reservation(code) !== undefined;
  const archived = hidden ? null : await codes.archived(writer, code);
  const command: Release = { kind: "release", code: hidden ? noCode : code, archived };
  return renderRelease(await writer.submit(command));
}

function renderRelease({ word }: ReleaseOutcome): Response {
  switch (word) {
    case "released":
    case "released_again":
      return new Response(null, { status: 204 });
    default:
      return refuse[word]();
  }
}

/** Asks the records for codes that the ledger does not hold in memory, a few at a time. */
export class Codes {
  readonly #find: CheckoutContext["findCode"];
  #lookups = 0;

  constructor({ findCode }: Pick<CheckoutContext, "findCode">) {
    this.#find = findCode;
  }

  async archived(writer: Writer, code: string): Promise<ArchivedCode | null> {
    if (writer.knows(code)) return null;
    if (this.#lookups >= lookupsMax) throw new OverloadedError(problems.overloaded.detail);
    this.#lookups += 1;
    try {
      return await this.#find(code);
    } finally {
      this.#lookups -= 1;
    }
  }
}

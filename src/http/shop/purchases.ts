/**
 * Buying in product sales: for accounts, in two steps or in one; and what an account has bought,
 * in every sale.
 */
import type { BunRequest } from "bun";
import { z } from "zod";
import type { Accounts } from "../../access/accounts.ts";
import type { Buy } from "../../ledger/commands.ts";
import { integerMax } from "../../store/integer.ts";
import { boughtOf, listOrders } from "../../store/orders.ts";
import { findProduct } from "../../store/products.ts";
import { parseBody, readBody } from "../body.ts";
import { idIn, idParam, itemOrAny, pageOf, pageParams, time, timeShape, whole } from "../fields.ts";
import {
  Invalid,
  parseCode,
  parseIdempotencyKey,
  parseTicket,
  queryOf,
  queryValue,
} from "../parse.ts";
import { json, problem, type ProblemCode } from "../problems.ts";
import { showOrder } from "../orders.ts";
import { Buying, holdsTooMuch, type BuyingContext } from "../sale/buying.ts";
import { otherSale, withBuyer, type Asker, type Buyers } from "../buyers.ts";
import {
  idempotencyHeader,
  ownOrderShape,
  reservationShape,
  ticketHeader,
  ticketQuery,
} from "../schemas.ts";
import type { Route } from "../server.ts";
import type { FlashSales } from "./flash-sales.ts";

const ordersPerPage = 20;
const ordersPerPageMax = 100;
/** Units of one order; a sale's limit may be lower. */
export const orderUnitsMax = 100;

const expectedPrice = {
  expected_price_cents: whole(0, integerMax)
    .optional()
    .describe("What a unit is believed to cost; where it costs something else, nothing is done"),
};
const checkoutBody = z.object({
  item_id: itemOrAny.describe("Number of the item within the sale").meta({ example: 1 }),
  ...expectedPrice,
});
const codeBody = z.object({
  code: z.string().describe("The second step: a checkout's code"),
  ...expectedPrice,
});
const buyBody = z.object({
  flash_sale_id: whole(1, integerMax),
  product_id: whole(1, integerMax),
  quantity: whole(1, orderUnitsMax).describe("At most the sale's per_user_limit"),
  ...expectedPrice,
});
/** Which of the two it is decides `code`, so that a complaint names the right field. */
const purchaseBody = z.union([codeBody, buyBody]);

const purchaseShape = z.looseObject({
  message: z.string(),
  replayed: z.boolean(),
  order_id: z.string(),
  code: z.uuid(),
});
const orderPage = z.object({ purchases: z.array(ownOrderShape), next_after: z.int().nullable() });
const checkShape = z.object({
  product_id: z.int(),
  purchased: z.boolean(),
  quantity: z.int(),
  last_order_id: z.string().nullable(),
  last_purchased_at: timeShape.nullable(),
});

const notSold = [
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
] as const satisfies readonly ProblemCode[];

const everyone = [
  "unauthenticated",
  "forbidden",
  "cross_site",
  "unavailable",
  "overloaded",
] as const;

export type PurchasesContext = BuyingContext & { readonly buyers: Buyers };

export function purchaseRoutes(
  sales: FlashSales,
  accounts: Accounts,
  context: PurchasesContext,
): Route[] {
  const purchases = new Purchases(sales, context);
  return [
    ...stepRoutes(purchases, accounts, context.buyers),
    ...historyRoutes(purchases, accounts),
  ];
}

function stepRoutes(purchases: Purchases, accounts: Accounts, buyers: Buyers): Route[] {
  return [
    {
      path: "/api/flash-sales/:id/checkout",
      methods: {
        POST: {
          handle: (request, server) =>
            buyers.asProvenBuyer(request, server, (asker, network) =>
              purchases.checkout(request, asker, network),
            ),
          admitsItself: true,
          summary: "The first step: reserve one unit of an item",
          auth: "user",
          path: idParam("The sale"),
          headers: idempotencyHeader.extend(ticketHeader.shape),
          query: ticketQuery,
          body: checkoutBody,
          answers: { 200: reservationShape },
          refusals: ["invalid_request", "rate_limited", ...notSold, ...everyone],
        },
        DELETE: {
          handle: withBuyer(accounts, (request, _, asker) => purchases.release(request, asker)),
          summary: "Give a reservation back",
          auth: "user",
          path: idParam("The sale"),
          query: z.object({ code: z.uuid() }),
          answers: { 204: null },
          refusals: ["invalid_request", "code_not_found", "already_purchased", ...everyone],
        },
      },
    },
    {
      path: "/api/purchases",
      methods: {
        POST: {
          handle: withBuyer(accounts, (request, _, asker) => purchases.purchase(request, asker)),
          summary: "Buy: the second step with a code, or both steps in one",
          description:
            "In one step, what the account has reserved of the product is sold first. The same " +
            "Idempotency-Key again: the same order, `replayed`.",
          auth: "user",
          headers: idempotencyHeader.extend(ticketHeader.shape),
          query: ticketQuery,
          body: purchaseBody,
          answers: { 200: purchaseShape },
          refusals: [
            "invalid_request",
            ...notSold,
            "code_not_found",
            "code_expired",
            "sale_ended",
            ...everyone,
          ],
        },
      },
    },
  ];
}

function historyRoutes(purchases: Purchases, accounts: Accounts): Route[] {
  return [
    {
      path: "/api/purchases/my-purchases",
      methods: {
        GET: {
          handle: withBuyer(accounts, (request, _, asker) => purchases.orders(request, asker)),
          cost: "records",
          summary: "What this account has bought, in every sale, newest first",
          auth: "user",
          query: z.object(pageParams("order", ordersPerPageMax)),
          answers: { 200: orderPage },
          refusals: ["invalid_request", "unauthenticated"],
        },
      },
    },
    {
      path: "/api/purchases/check-product/:product",
      methods: {
        GET: {
          handle: withBuyer(accounts, (request, _, asker) => purchases.check(request, asker)),
          cost: "records",
          summary: "Whether this account has bought a product",
          auth: "user",
          path: idParam("The product", "product"),
          answers: { 200: checkShape },
          refusals: ["product_not_found", "unauthenticated"],
        },
      },
    },
  ];
}

/** Whether a token is for another sale. */
const isForAnother = ({ onlySaleId }: Asker, saleId: number | null): boolean =>
  onlySaleId !== null && onlySaleId !== saleId;

class Purchases {
  readonly #sales: FlashSales;
  readonly #context: PurchasesContext;
  readonly #buying: Buying;

  constructor(sales: FlashSales, context: PurchasesContext) {
    this.#sales = sales;
    this.#context = context;
    this.#buying = new Buying(context);
  }

  /** @param network that is counted for what is reserved; null for none */
  async checkout(request: BunRequest, asker: Asker, network: string | null): Promise<Response> {
    const key = parseIdempotencyKey(request.headers.get("Idempotency-Key"));
    if (key instanceof Invalid) return problem("invalid_request", key);
    const body = await readBody(request, checkoutBody);
    if (body instanceof Response) return body;
    const { engine, hoarding, clock } = this.#context;
    const saleId = idIn(request, "id");
    if (isForAnother(asker, saleId)) return otherSale();
    // An hourly sale is none here.
    const stored = saleId === null ? null : await this.#sales.stored(saleId);
    const asked = { sale: stored?.sale.id ?? "unknown", item: body.item_id } as const;
    const { buyer } = asker;
    const waitMs = network === null ? 0 : hoarding.waitMs(network, buyer, asked, clock());
    if (waitMs > 0) return holdsTooMuch(waitMs);
    const expectedPriceCents = body.expected_price_cents ?? null;
    const code = Bun.randomUUIDv7();
    return await engine.writer.submit(
      {
        kind: "checkout",
        buyer,
        ...asked,
        code,
        key,
        expectedPriceCents,
        ticket: parseTicket(request),
      },
      network === null ? this.#buying.renderCheckout : this.#buying.counting(network, asked),
    );
  }

  async release(request: BunRequest, asker: Asker): Promise<Response> {
    const code = parseCode(queryValue(queryOf(request.url), "code"));
    if (code instanceof Invalid) return problem("invalid_request", code);
    const saleId = idIn(request, "id");
    if (isForAnother(asker, saleId)) return otherSale();
    // What no sale can have for its number has no codes.
    if (saleId === null) return problem("code_not_found");
    return await this.#buying.release(code, asker.buyer, saleId);
  }

  async purchase(request: BunRequest, asker: Asker): Promise<Response> {
    const key = parseIdempotencyKey(request.headers.get("Idempotency-Key"));
    if (key instanceof Invalid) return problem("invalid_request", key);
    const body = await readBody(request, z.looseObject({}));
    if (body instanceof Response) return body;
    return "code" in body
      ? await this.#secondStep(body, asker)
      : await this.#oneStep(body, asker, { key, ticket: parseTicket(request) });
  }

  async #secondStep(given: unknown, asker: Asker): Promise<Response> {
    const body = parseBody(given, codeBody);
    if (body instanceof Response) return body;
    const code = parseCode(body.code);
    if (code instanceof Invalid) return problem("invalid_request", code);
    const expected = body.expected_price_cents ?? null;
    const { buyer, onlySaleId } = asker;
    return onlySaleId === null
      ? await this.#buying.purchase(code, buyer, expected)
      : await this.#buying.purchaseIn(onlySaleId, code, buyer, expected);
  }

  async #oneStep(
    given: unknown,
    asker: Asker,
    shown: Pick<Buy, "key"> & { readonly ticket: string | null },
  ): Promise<Response> {
    const body = parseBody(given, buyBody);
    if (body instanceof Response) return body;
    const { flash_sale_id: saleId, product_id: productId, quantity } = body;
    if (isForAnother(asker, saleId)) return otherSale();
    const stored = await this.#sales.stored(saleId);
    if (stored !== null && quantity > stored.sale.perUserLimit) {
      const detail = `quantity is not an integer from 1 to ${stored.sale.perUserLimit}`;
      return problem("invalid_request", { detail });
    }
    const item = stored?.items.find((one) => one.productId === productId);
    return await this.#buying.buy({
      buyer: asker.buyer,
      saleId: stored === null ? "unknown" : saleId,
      itemId: item?.id ?? "unknown",
      quantity,
      ...shown,
      expectedPriceCents: body.expected_price_cents ?? null,
    });
  }

  async orders(request: BunRequest, asker: Asker): Promise<Response> {
    const page = pageOf(queryOf(request.url), {
      limit: ordersPerPage,
      limitMax: ordersPerPageMax,
      after: Number.MAX_SAFE_INTEGER,
    });
    if (page instanceof Invalid) return problem("invalid_request", page);
    const { after: before, limit } = page;
    const asked = { before, limit: limit + 1 };
    const found = await listOrders(this.#context.db, asker.buyer, asked);
    const shown = found.slice(0, limit);
    return json({
      purchases: shown.map(showOrder),
      next_after: found.length > limit ? (shown.at(-1)?.seq ?? null) : null,
    });
  }

  async check(request: BunRequest, asker: Asker): Promise<Response> {
    const { db } = this.#context;
    const id = idIn(request, "product");
    const product = id === null ? null : await findProduct(db, id);
    if (product === null) return problem("product_not_found");
    const { units, last } = await boughtOf(db, asker.buyer, product.id);
    return json({
      product_id: product.id,
      purchased: units > 0,
      quantity: units,
      last_order_id: last === null ? null : String(last.seq),
      last_purchased_at: last === null ? null : time(last.at),
    });
  }
}

/** Orders: for administrators all of them, with refunds; and the receipt of one, for whoever has it. */
import type { BunRequest } from "bun";
import { z } from "zod";
import type { Accounts } from "../../access/accounts.ts";
import { mayDo, type Identity } from "../../access/identity.ts";
import { madeAs } from "../../engine/made.ts";
import type { Actor } from "../../ledger/commands.ts";
import { actorKind } from "../../store/schema.ts";
import {
  findAnyOrder,
  refundsOfOrder,
  searchOrders,
  storyOfOrder,
  unitsOfOrder,
  type OrderRefund,
  type OrderSearch,
  type OrderUnit,
} from "../../store/order-search.ts";
import { parseBody, readBody, textField } from "../body.ts";
import { unauthenticated, withScope } from "../callers.ts";
import { pageOf, pageParams, searchOf, time, timeShape, whole } from "../fields.ts";
import {
  Invalid,
  parseCode,
  parseIdempotencyKey,
  parseSale,
  queryOf,
  queryValue,
} from "../parse.ts";
import { json, problem } from "../problems.ts";
import { showOrder } from "../orders.ts";
import { idempotencyHeader, orderStatusShape, ownOrderShape } from "../schemas.ts";
import type { Route } from "../server.ts";
import type { FlashSalesContext } from "../shop/flash-sales.ts";
import { attemptShape, showAttempt } from "./records.ts";

const ordersPerPage = 50;
const ordersPerPageMax = 200;
const unitsMax = 1_000_000;

const orderParam = z.object({
  order_id: z.string().describe("The order's number").meta({ example: "1" }),
});

const orderQuery = z.object({
  q: z.string().optional().describe("An order's number, a code or a user, whole or its beginning"),
  sale_id: z.int().min(1).optional(),
  status: orderStatusShape.optional(),
  ...pageParams("order, which is older", ordersPerPageMax),
});

const orderPage = z.object({ orders: z.array(ownOrderShape), next_after: z.int().nullable() });

const unitShape = z.object({
  code: z.uuid(),
  refunded_at: timeShape.nullable(),
  restocked: z.boolean().describe("Whether it was put on sale again"),
});
const receiptShape = ownOrderShape.extend({ units: z.array(unitShape) });

const refundShape = z.object({
  seq: z.int(),
  at: timeShape,
  units: z.int(),
  restocked: z.boolean(),
  by: z.enum(actorKind.enumValues).nullable(),
  who: z.string().nullable(),
  reason: z.string().nullable(),
});
const wholeOrder = receiptShape.extend({
  refunds: z.array(refundShape),
  attempts: z.array(attemptShape).describe("All that was tried about it, in order"),
});

const refundBody = z.object({
  units: whole(1, unitsMax).nullish().describe("Without it: all that are left"),
  restock: z
    .boolean("is neither true nor false")
    .default(false)
    .describe("Whether they are sold again, while the sale is open"),
  reason: textField.nullish().meta({ example: "Arrived broken" }),
});

const guarded = ["unauthenticated", "forbidden"] as const;

export function orderRoutes(accounts: Accounts, context: FlashSalesContext): Route[] {
  const orders = new Orders(accounts, context);
  return [
    listRoute(orders, accounts),
    oneRoute(orders, accounts),
    refundRoute(orders, accounts),
    receiptRoute(orders),
  ];
}

const listRoute = (orders: Orders, accounts: Accounts): Route => ({
  path: "/api/admin/orders",
  methods: {
    GET: {
      cost: "costly",
      handle: withScope(accounts, "manage", (request) => orders.list(queryOf(request.url))),
      summary: "Orders of every sale, newest first",
      auth: "admin",
      query: orderQuery,
      answers: { 200: orderPage },
      refusals: ["invalid_request", ...guarded],
    },
  },
});

const oneRoute = (orders: Orders, accounts: Accounts): Route => ({
  path: "/api/admin/orders/:order_id",
  methods: {
    GET: {
      cost: "records",
      handle: withScope(accounts, "manage", (request) => orders.one(request)),
      summary: "An order with its units, its refunds and all that was tried about it",
      auth: "admin",
      path: orderParam,
      answers: { 200: wholeOrder },
      refusals: ["order_not_found", ...guarded],
    },
  },
});

const refundRoute = (orders: Orders, accounts: Accounts): Route => ({
  path: "/api/admin/orders/:order_id/refund",
  methods: {
    POST: {
      handle: withScope(accounts, "manage", (request, _, by) => orders.refund(request, by)),
      summary: "Take units of an order back",
      description:
        "Marks them; money moves elsewhere. They count no more for their buyer's limit, nor as " +
        "sold; with `restock` they are on sale again while the sale is open. The same " +
        "Idempotency-Key again takes nothing back, and answers with the order, `replayed`.",
      auth: "admin",
      path: orderParam,
      headers: idempotencyHeader,
      body: refundBody,
      answers: { 200: wholeOrder.extend({ replayed: z.boolean() }) },
      refusals: [
        "invalid_request",
        "order_not_found",
        "already_refunded",
        "too_many_units",
        "idempotency_key_reused",
        "cross_site",
        "unavailable",
        "overloaded",
        ...guarded,
      ],
    },
  },
});

const receiptRoute = (orders: Orders): Route => ({
  path: "/api/orders/:order_id",
  methods: {
    GET: {
      cost: "records",
      handle: (request) => orders.receipt(request),
      summary: "An order's receipt, for whoever has a code of it and for its owner",
      path: orderParam,
      query: z.object({ code: z.uuid().optional().describe("A code of the order") }),
      answers: { 200: receiptShape },
      refusals: ["invalid_request", "order_not_found", "unauthenticated"],
    },
  },
});

class Orders {
  readonly #accounts: Accounts;
  readonly #context: FlashSalesContext;

  constructor(accounts: Accounts, context: FlashSalesContext) {
    this.#accounts = accounts;
    this.#context = context;
  }

  async list(query: string): Promise<Response> {
    const search = orderSearch(query);
    if (search instanceof Invalid) return problem("invalid_request", search);
    const { limit } = search;
    const found = await searchOrders(this.#context.sql, { ...search, limit: limit + 1 });
    const shown = found.slice(0, limit);
    return json({
      orders: shown.map(showOrder),
      next_after: found.length > limit ? (shown.at(-1)?.seq ?? null) : null,
    });
  }

  async one(request: BunRequest): Promise<Response> {
    const seq = orderIn(request);
    const order = seq === null ? null : await this.#show(seq);
    return order === null ? problem("order_not_found") : json(order);
  }

  async #show(seq: number) {
    const { sql } = this.#context;
    const order = await findAnyOrder(sql, seq);
    if (order === null) return null;
    const [units, refunds, attempts] = await Promise.all([
      unitsOfOrder(sql, seq),
      refundsOfOrder(sql, seq),
      storyOfOrder(sql, order),
    ]);
    return {
      ...showOrder(order),
      units: units.map(showUnit),
      refunds: refunds.map(showRefund),
      attempts: attempts.map(showAttempt),
    };
  }

  async refund(request: BunRequest, by: Actor): Promise<Response> {
    const key = parseIdempotencyKey(request.headers.get("Idempotency-Key"));
    if (key instanceof Invalid) return problem("invalid_request", key);
    // All of the body may be left out.
    const isEmpty = request.headers.get("Content-Length") === "0" || request.body === null;
    const body = isEmpty ? parseBody({}, refundBody) : await readBody(request, refundBody);
    if (body instanceof Response) return body;
    const order = orderIn(request);
    if (order === null) return problem("order_not_found");
    const { units = null, restock, reason = null } = body;
    const { word } = await this.#context.engine.writer.submit({
      kind: "refund",
      order,
      units,
      restock,
      reason,
      by,
      key,
      lookup: null,
    });
    if (word !== "refunded" && word !== "refunded_again") return problem(word);
    const shown = await madeAs(() => this.#show(order));
    return json({ ...shown, replayed: word === "refunded_again" });
  }

  async receipt(request: BunRequest): Promise<Response> {
    const given = queryValue(queryOf(request.url), "code");
    const code = given === null ? null : parseCode(given);
    if (code instanceof Invalid) return problem("invalid_request", code);
    const who = await this.#accounts.identify(request);
    if (who === "unauthenticated") return unauthenticated("unauthenticated");
    const seq = orderIn(request);
    const order = seq === null ? null : await findAnyOrder(this.#context.sql, seq);
    if (order === null) return problem("order_not_found");
    const isTheirs = owns(who, order) || (code !== null && order.codes.includes(code));
    if (!isTheirs) return problem("order_not_found");
    const units = await unitsOfOrder(this.#context.sql, order.seq);
    return json({ ...showOrder(order), units: units.map(showUnit) });
  }
}

/** Whether an order is of who asks, or they may see whichever it is. */
function owns(
  who: Identity,
  { buyer, userId }: { readonly buyer: string; readonly userId: string },
): boolean {
  switch (who.kind) {
    case "guest":
      return false;
    case "account":
      return (buyer === who.kind && userId === who.account.username) || mayDo(who, "manage");
    case "customer":
      return buyer === who.kind && userId === who.customer.userId;
    case "key":
      return mayDo(who, "manage") || (buyer === "customer" && mayDo(who, "sell"));
    default:
      return who satisfies never;
  }
}

/** The number of an order in a path; null for what no order can have. */
function orderIn({ params }: BunRequest): number | null {
  const text = (params as Readonly<Record<string, string>>)["order_id"] ?? "";
  const seq = /^[1-9][0-9]{0,15}$/.test(text) ? Number(text) : 0;
  return seq > 0 && seq <= Number.MAX_SAFE_INTEGER ? seq : null;
}

function orderSearch(query: string): OrderSearch | Invalid {
  const page = pageOf(query, {
    limit: ordersPerPage,
    limitMax: ordersPerPageMax,
    after: Number.MAX_SAFE_INTEGER,
  });
  if (page instanceof Invalid) return page;
  const text = searchOf(query);
  if (text instanceof Invalid) return text;
  const sale = queryValue(query, "sale_id");
  const saleId = sale === null || sale instanceof Invalid ? null : parseSale(sale);
  if (sale !== null && typeof saleId !== "number") {
    return new Invalid("sale_id", "is not the number of a sale");
  }
  const word = queryValue(query, "status");
  const status = orderStatusShape.options.find((known) => known === word) ?? null;
  if (word !== null && status === null) {
    return new Invalid("status", "is none of paid, partly_refunded and refunded");
  }
  const { after: before, limit } = page;
  return { text, saleId: typeof saleId === "number" ? saleId : null, status, before, limit };
}

const showRefund = ({ seq, at, units, restocked, by, who, reason }: OrderRefund) => ({
  seq,
  at: time(at.getTime()),
  units,
  restocked,
  by,
  who,
  reason,
});

const showUnit = ({ code, refundedAt, restocked }: OrderUnit) => ({
  code,
  refunded_at: refundedAt === null ? null : time(refundedAt.getTime()),
  restocked,
});

/**
 * Serves buying in product sales. To the ledger an account is its username. A code counts for
 * the account that it was given to; to everybody else it was never given.
 */
import type { BunRequest } from "bun";
import { z } from "zod";
import type { Account } from "../../access/accounts.ts";
import type { BuyOutcome, CheckoutOutcome, PurchaseOutcome } from "../../ledger/commands.ts";
import type { Reservation } from "../../ledger/state.ts";
import { integerMax } from "../../store/integer.ts";
import { boughtOf, findOrder, listOrders, type Order } from "../../store/orders.ts";
import { findProduct } from "../../store/products.ts";
import { findProductCode } from "../../store/product-sales.ts";
import { readBody } from "../body.ts";
import { Codes, noCode } from "../sale/checkout.ts";
import { idIn, pageOf, time, whole } from "../fields.ts";
import { productImage, type FlashSales, type FlashSalesContext } from "./flash-sales.ts";
import { Invalid, parseCode, parseIdempotencyKey, queryOf, queryValue } from "../parse.ts";
import { json, problem } from "../problems.ts";

const ordersPerPage = 20;
export const ordersPerPageMax = 100;
/** More than any sale's limit; the sale's own is checked when the sale is known. */
const quantityMax = 1_000_000;

export const checkoutBody = z.object({
  item_id: z
    .union([z.literal("any"), z.int().min(1)], "is neither a positive integer nor any")
    .describe("Number of the item within the sale")
    .meta({ example: 1 }),
});

const codeBody = z.object({ code: z.string().describe("The second step: a checkout's code") });
const buyBody = z.object({
  flash_sale_id: whole(1, integerMax),
  product_id: whole(1, integerMax),
  quantity: whole(1, quantityMax).describe("At most the sale's per_user_limit"),
});
/** Which of the two it is decides `code`, so that a complaint names the right field. */
export const purchaseBody = z.union([codeBody, buyBody]);

export class Till {
  readonly #sales: FlashSales;
  readonly #context: FlashSalesContext;
  readonly #codes: Codes;

  constructor(sales: FlashSales, context: FlashSalesContext) {
    this.#sales = sales;
    this.#context = context;
    this.#codes = new Codes({ findCode: (code) => findProductCode(context.sql, code) });
  }

  async checkout(request: BunRequest, { username }: Account): Promise<Response> {
    const key = parseIdempotencyKey(request.headers.get("Idempotency-Key"));
    if (key instanceof Invalid) return problem("invalid_request", key);
    const body = await readBody(request, checkoutBody);
    if (body instanceof Response) return body;
    const { writer, productSales } = this.#sales.leader;
    const saleId = idIn(request, "id");
    // An hourly sale is none here.
    const sale = saleId !== null && productSales.has(saleId) ? saleId : "unknown";
    const outcome = await writer.submit({
      kind: "checkout",
      userId: username,
      item: body.item_id,
      sale,
      code: Bun.randomUUIDv7(),
      key,
    });
    return await this.#renderCheckout(outcome);
  }

  async #renderCheckout(outcome: CheckoutOutcome): Promise<Response> {
    if (!("reservation" in outcome)) return this.#refuse(outcome);
    const { code, userId, saleId, itemId, expiresAt } = outcome.reservation;
    const { productId = 0, name, priceCents } = (await this.#item(saleId, itemId)).item;
    return json({
      code,
      user_id: userId,
      sale_id: saleId,
      flash_sale_id: saleId,
      product_id: productId,
      item: { id: itemId, name, image_url: productImage(productId), price_cents: priceCents },
      expires_at: time(expiresAt),
    });
  }

  async release(request: BunRequest, account: Account): Promise<Response> {
    const code = parseCode(queryValue(queryOf(request.url), "code"));
    if (code instanceof Invalid) return problem("invalid_request", code);
    const known = await this.#known(code, account, idIn(request, "id"));
    const { writer } = this.#sales.leader;
    const { word } = await writer.submit({ kind: "release", ...known });
    return word === "released" || word === "released_again"
      ? new Response(null, { status: 204 })
      : problem(word);
  }

  async purchase(request: BunRequest, account: Account): Promise<Response> {
    const body = await readBody(request, z.looseObject({}));
    if (body instanceof Response) return body;
    return "code" in body
      ? await this.#secondStep(body["code"], account)
      : await this.#oneStep(body, account);
  }

  async #secondStep(given: unknown, account: Account): Promise<Response> {
    const code =
      typeof given === "string" ? parseCode(given) : new Invalid("code", "is not a text");
    if (code instanceof Invalid) return problem("invalid_request", code);
    const known = await this.#known(code, account, null);
    const { writer } = this.#sales.leader;
    const outcome = await writer.submit({ kind: "purchase", ...known });
    return await this.#renderPurchase(outcome, account);
  }

  async #renderPurchase(outcome: PurchaseOutcome, { username }: Account): Promise<Response> {
    switch (outcome.word) {
      case "purchased":
        return await this.#answerSold(username, [outcome.of]);
      case "purchased_again": {
        // It may have been bought with others in one step, and by another process.
        const seq = outcome.of.sold?.seq ?? 0;
        const order = await findOrder(this.#context.db, username, seq);
        if (order === null) throw new Error(`order ${seq} was sold and is not in the records`);
        return answerOrder(username, order, true);
      }
      default:
        return problem(outcome.word);
    }
  }

  /** What the ledger is to be asked of a code: of one that is not this account's, nothing. */
  async #known(code: string, { username }: Account, saleId: number | null) {
    const { writer, productSales } = this.#sales.leader;
    const held = productSales.reservation(code);
    if (held === undefined && writer.knows(code)) return { code: noCode, archived: null };
    const archived = held === undefined ? await this.#codes.archived(writer, code) : null;
    const of = held ?? archived;
    const isTheirs = of?.userId === username && (saleId === null || of.saleId === saleId);
    // One that nobody has is told to the ledger as it is; somebody else's is not.
    if (of !== null && !isTheirs) return { code: noCode, archived: null };
    return { code, archived };
  }

  async #oneStep(given: unknown, { username }: Account): Promise<Response> {
    const parsed = buyBody.safeParse(given);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      const detail = `${issue?.path.join(".")} ${issue?.message}`;
      return problem("invalid_request", { detail });
    }
    const { flash_sale_id: saleId, product_id: productId, quantity } = parsed.data;
    const found = await this.#sales.itemOf(saleId, productId);
    if (found !== null && quantity > found.stored.sale.perUserLimit) {
      const { perUserLimit } = found.stored.sale;
      const detail = `quantity is not an integer from 1 to ${perUserLimit}`;
      return problem("invalid_request", { detail });
    }
    const outcome = await this.#sales.leader.writer.submit({
      kind: "buy",
      userId: username,
      // No sale has the number 0, and no item this one.
      saleId: found === null ? 0 : saleId,
      itemId: found?.item?.id ?? Number.MAX_SAFE_INTEGER,
      quantity,
      code: Bun.randomUUIDv7(),
    });
    if (outcome.word !== "purchased") return this.#refuse(outcome);
    return await this.#answerSold(username, outcome.units);
  }

  /** The order of units that have just been sold together. */
  async #answerSold(username: string, units: readonly Reservation[]): Promise<Response> {
    const [first] = units;
    if (first?.sold == null) throw new Error("a purchase sold nothing");
    const { saleId, itemId, sold } = first;
    const { stored, item } = await this.#item(saleId, itemId);
    const order: Order = {
      seq: sold.seq,
      saleId,
      saleTitle: stored.title,
      itemId,
      productId: item.productId ?? 0,
      name: item.name,
      priceCents: item.priceCents,
      codes: units.map(({ code }) => code),
      purchasedAt: sold.at,
    };
    return answerOrder(username, order, false);
  }

  async #item(saleId: number, itemId: number) {
    const stored = (await this.#context.shelf.find(saleId))?.stored;
    const item = stored?.items[itemId - 1];
    if (stored === undefined || item === undefined) {
      throw new Error(`sale ${saleId} has no item ${itemId}`);
    }
    return { stored, item };
  }

  #refuse(outcome: Exclude<BuyOutcome | CheckoutOutcome, { word: Accepted }>): Response {
    const { clock } = this.#context;
    switch (outcome.word) {
      case "item_reserved":
        return problem(outcome.word, { retryAfterMs: outcome.retryAt - clock() });
      case "sale_not_open":
        return outcome.opensAt === null
          ? problem(outcome.word)
          : problem(outcome.word, { retryAfterMs: outcome.opensAt - clock() });
      default:
        return problem(outcome.word);
    }
  }

  async orders(request: BunRequest, { username }: Account): Promise<Response> {
    const page = pageOf(queryOf(request.url), {
      limit: ordersPerPage,
      limitMax: ordersPerPageMax,
      after: Number.MAX_SAFE_INTEGER,
    });
    if (page instanceof Invalid) return problem("invalid_request", page);
    const { after: before, limit } = page;
    const found = await listOrders(this.#context.db, username, { before, limit: limit + 1 });
    const shown = found.slice(0, limit);
    return json({
      purchases: shown.map((order) => showOrder(username, order)),
      next_after: found.length > limit ? (shown.at(-1)?.seq ?? null) : null,
    });
  }

  async check(request: BunRequest, { username }: Account): Promise<Response> {
    const { db } = this.#context;
    const id = idIn(request, "product");
    const product = id === null ? null : await findProduct(db, id);
    if (product === null) return problem("product_not_found");
    const { units, last } = await boughtOf(db, username, product.id);
    return json({
      product_id: product.id,
      purchased: units > 0,
      quantity: units,
      last_order_id: last === null ? null : String(last.seq),
      last_purchased_at: last === null ? null : time(last.at),
    });
  }
}

const answerOrder = (username: string, order: Order, replayed: boolean): Response =>
  json({ message: "Purchase successful", ...showOrder(username, order), replayed });

type Accepted = "reserved" | "reserved_again" | "purchased";

function showOrder(username: string, order: Order) {
  const { seq, saleId, saleTitle, itemId, productId, name, priceCents, codes } = order;
  return {
    order_id: String(seq),
    code: codes[0] ?? "",
    codes,
    user_id: username,
    sale_id: saleId,
    flash_sale_id: saleId,
    flash_sale_title: saleTitle,
    product_id: productId,
    item: { id: itemId, name, image_url: productImage(productId), price_cents: priceCents },
    quantity: codes.length,
    total_cents: codes.length * priceCents,
    purchased_at: time(order.purchasedAt),
  };
}

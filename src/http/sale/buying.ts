/**
 * Reserving, buying and giving back, in every kind of sale: what both the paths of the hourly sale
 * and those of the shop do. What can be rendered in advance is: a million requests take this path
 * within seconds, and most of them are refused.
 */
import type { Buyer } from "../../ledger/buyers.ts";
import type {
  Buy,
  BuyOutcome,
  CodeUser,
  CheckoutOutcome,
  PurchaseOutcome,
  RecordsNeeded,
  Unit,
} from "../../ledger/commands.ts";
import type { LiveReservation } from "../../ledger/view.ts";
import type { Catalogue, ShownSale } from "../../sales/catalogue.ts";
import { leaderOf, type SaleEngine } from "../../sales/selling.ts";
import type { Db } from "../../store/db.ts";
import { findOrder, type Order } from "../../store/orders.ts";
import { itemOf, type Item } from "../../store/sales.ts";
import { time } from "../fields.ts";
import { json, jsonText, preparedProblem, preparedRetry, problem } from "../problems.ts";
import { productImage, shownItem } from "../../sales/catalogue.ts";

export type BuyingContext = {
  readonly engine: SaleEngine;
  readonly catalogue: Catalogue;
  readonly db: Db;
  /** ms since the Unix epoch */
  readonly clock: () => number;
};

const refuse = {
  sale_not_found: preparedProblem("sale_not_found"),
  item_not_found: preparedProblem("item_not_found"),
  item_sold_out: preparedProblem("item_sold_out"),
  sold_out: preparedProblem("sold_out"),
  price_changed: preparedProblem("price_changed"),
  unauthenticated: preparedProblem("unauthenticated"),
  idempotency_key_reused: preparedProblem("idempotency_key_reused"),
  code_not_found: preparedProblem("code_not_found"),
  code_expired: preparedProblem("code_expired"),
  sale_ended: preparedProblem("sale_ended"),
  already_purchased: preparedProblem("already_purchased"),
};
const limitReached = preparedProblem("user_limit_reached");
const limitReachedFor = preparedRetry("user_limit_reached");
const itemReserved = preparedRetry("item_reserved");

type Refused = Exclude<BuyOutcome | CheckoutOutcome, { readonly word: Accepted }>;
type Accepted = "reserved" | "reserved_again" | "purchased" | "purchased_again";

export class Buying {
  readonly #context: BuyingContext;

  constructor(context: BuyingContext) {
    this.#context = context;
  }

  /** The answer to a checkout. */
  readonly renderCheckout = (outcome: CheckoutOutcome): Response => {
    if (!("reservation" in outcome)) return this.#refusal(outcome);
    const { code, buyer, saleId, itemId, expiresAt } = outcome.reservation;
    const { shown, item } = this.#held(saleId, itemId);
    const user = JSON.stringify(buyer.userId);
    return jsonText(
      `{"code":"${code}","user_id":${user},"buyer":"${buyer.kind}","sale_id":${saleId},` +
        `"item":${shown.itemJson(itemId)},"expires_at":"${time(expiresAt)}"${shopFields(saleId, item)}}`,
    );
  };

  async purchase(code: string, by: CodeUser, expectedPriceCents: number | null): Promise<Response> {
    const { lookups } = leaderOf(this.#context.engine).selling;
    const asked = { kind: "purchase", code, by, expectedPriceCents, lookup: null } as const;
    return await this.#renderPurchase(await lookups.purchase(asked));
  }

  async #renderPurchase(outcome: Exclude<PurchaseOutcome, RecordsNeeded>): Promise<Response> {
    switch (outcome.word) {
      case "purchased":
        return await this.#answerSold([outcome.of]);
      case "purchased_again":
        return await this.#answerAgain(outcome.of);
      default:
        return refuse[outcome.word]();
    }
  }

  /** @param saleId null: whichever sale the code is of */
  async release(code: string, by: CodeUser, saleId: number | null): Promise<Response> {
    const { lookups } = leaderOf(this.#context.engine).selling;
    const { word } = await lookups.release({
      kind: "release",
      code,
      saleId,
      by,
      lookup: null,
    });
    return word === "released" || word === "released_again"
      ? new Response(null, { status: 204 })
      : refuse[word]();
  }

  /** @param onExtended told when it ends now, ms */
  async extend(
    code: string,
    ms: number,
    onExtended: (expiresAt: number) => void,
  ): Promise<Response> {
    const { lookups } = leaderOf(this.#context.engine).selling;
    const outcome = await lookups.extend({ kind: "extend", code, ms, lookup: null });
    if (outcome.word !== "extended") return refuse[outcome.word]();
    const { expiresAt } = outcome.of;
    onExtended(expiresAt);
    return json({ code, expires_at: time(expiresAt) });
  }

  async buy(command: Omit<Buy, "kind" | "code">): Promise<Response> {
    const { writer } = leaderOf(this.#context.engine);
    const outcome = await writer.submit({ kind: "buy", code: Bun.randomUUIDv7(), ...command });
    switch (outcome.word) {
      case "purchased":
        return await this.#answerSold(outcome.units);
      case "purchased_again":
        return await this.#answerAgain(outcome.of);
      default:
        return this.#refusal(outcome);
    }
  }

  /** The sale in which a buyer holds a code now; null when they do not hold it. */
  async saleOf(code: string, buyer: Buyer): Promise<number | null> {
    const { writer } = leaderOf(this.#context.engine);
    const live = await writer.read((view) => view.reservationsOf(buyer));
    return live.find((reservation) => reservation.code === code)?.saleId ?? null;
  }

  /** What a buyer holds, in every sale. */
  async reservations(buyer: Buyer): Promise<Response> {
    const { writer } = leaderOf(this.#context.engine);
    const live = await writer.read((view) => view.reservationsOf(buyer));
    return json({ reservations: live.map((reservation) => this.#showReservation(reservation)) });
  }

  #showReservation({ code, saleId, itemId, buyer, reservedAt, expiresAt }: LiveReservation) {
    const { item } = this.#held(saleId, itemId);
    return {
      code,
      user_id: buyer.userId,
      buyer: buyer.kind,
      sale_id: saleId,
      item: shownItem(saleId, item),
      ...(item.productId === undefined
        ? {}
        : { flash_sale_id: saleId, product_id: item.productId }),
      reserved_at: time(reservedAt),
      expires_at: time(expiresAt),
    };
  }

  /** The order of units that have just been sold together. */
  async #answerSold(units: readonly Unit[]): Promise<Response> {
    const [first] = units;
    if (first?.sold == null) throw new Error("a purchase sold nothing");
    const { buyer, saleId, itemId, sold } = first;
    const { shown, item } = await this.#find(saleId, itemId);
    if (item.productId === undefined) return this.#answerHourly(first, shown, false);
    const order: Order = {
      seq: sold.seq,
      buyer: buyer.kind,
      userId: buyer.userId,
      saleId,
      saleTitle: shown.stored.title,
      itemId,
      productId: item.productId,
      name: item.name,
      priceCents: item.priceCents,
      codes: units.map(({ code }) => code),
      purchasedAt: sold.at,
    };
    return answerOrder(order, false);
  }

  /** The order of a unit that was sold before; it may have been bought with others in one step. */
  async #answerAgain(unit: Unit): Promise<Response> {
    const { saleId, itemId, sold } = unit;
    if (sold === null) throw new Error(`${unit.code} was bought again, and never before`);
    const { shown, item } = await this.#find(saleId, itemId);
    if (item.productId === undefined) return this.#answerHourly(unit, shown, true);
    const order = await findOrder(this.#context.db, unit.buyer, sold.seq);
    if (order === null) throw new Error(`order ${sold.seq} was sold and is not in the records`);
    return answerOrder(order, true);
  }

  #answerHourly(unit: Unit, shown: ShownSale, replayed: boolean): Response {
    const { code, buyer, saleId, itemId, sold } = unit;
    const user = JSON.stringify(buyer.userId);
    return jsonText(
      `{"message":"Purchase successful","order_id":"${sold?.seq}","code":"${code}",` +
        `"user_id":${user},"buyer":"${buyer.kind}","sale_id":${saleId},` +
        `"item":${shown.itemJson(itemId)},"purchased_at":"${time(sold?.at ?? 0)}",` +
        `"replayed":${replayed}}`,
    );
  }

  #refusal(outcome: Refused): Response {
    const { clock } = this.#context;
    switch (outcome.word) {
      case "item_reserved":
        // A flood is mostly this, and to ask the time costs a hundredth of a request.
        return itemReserved(outcome.retryAt - outcome.at);
      case "user_limit_reached":
        return outcome.retryAt === null
          ? limitReached()
          : limitReachedFor(outcome.retryAt - clock());
      case "sale_not_open":
        return outcome.opensAt === null
          ? problem("sale_not_open")
          : problem("sale_not_open", { retryAfterMs: outcome.opensAt - clock() });
      default:
        return refuse[outcome.word]();
    }
  }

  /** A sale that the ledger holds, and so has something reserved in. */
  #held(saleId: number, itemId: number): { readonly shown: ShownSale; readonly item: Item } {
    const shown = this.#context.catalogue.held(saleId);
    const item = shown === undefined ? undefined : itemOf(shown.stored, itemId);
    if (shown === undefined || item === undefined) throw missing(saleId, itemId);
    return { shown, item };
  }

  async #find(saleId: number, itemId: number) {
    const shown = await this.#context.catalogue.find(saleId);
    const item = shown === null ? undefined : itemOf(shown.stored, itemId);
    if (shown === null || item === undefined) throw missing(saleId, itemId);
    return { shown, item };
  }
}

const missing = (saleId: number, itemId: number): Error =>
  new Error(`sale ${saleId} has no item ${itemId}, and something of it was sold`);

const shopFields = (saleId: number, { productId }: Item): string =>
  productId === undefined ? "" : `,"flash_sale_id":${saleId},"product_id":${productId}`;

const answerOrder = (order: Order, replayed: boolean): Response =>
  json({ message: "Purchase successful", ...showOrder(order), replayed });

/** An order as its buyer sees it. */
export function showOrder(order: Order) {
  const { seq, buyer, userId, saleId, saleTitle, itemId, productId, name, priceCents, codes } =
    order;
  const image =
    productId === null ? `/sales/${saleId}/items/${itemId}/image.svg` : productImage(productId);
  return {
    order_id: String(seq),
    code: codes[0] ?? "",
    codes,
    user_id: userId,
    buyer,
    sale_id: saleId,
    sale_title: saleTitle,
    flash_sale_id: productId === null ? null : saleId,
    flash_sale_title: productId === null ? null : saleTitle,
    product_id: productId,
    item: { id: itemId, name, image_url: image, price_cents: priceCents },
    quantity: codes.length,
    total_cents: codes.length * priceCents,
    purchased_at: time(order.purchasedAt),
  };
}

/**
 * Reserving, buying and giving back, in every kind of sale: what both the paths of the hourly sale
 * and those of the shop do. What can be rendered in advance is: a million requests take this path
 * within seconds, and most of them are refused.
 */
import type { Hoarding } from "../../access/hoarding.ts";
import { madeAs } from "../../engine/made.ts";
import type { Buyer } from "../../ledger/buyers.ts";
import type {
  Buy,
  BuyOutcome,
  Checkout,
  CodeUser,
  CheckoutOutcome,
  Decided,
  PurchaseOutcome,
  Unit,
} from "../../ledger/commands.ts";
import type { LiveReservation } from "../../ledger/view.ts";
import type { Catalogue, ShownSale } from "../../sales/catalogue.ts";
import type { SaleEngine } from "../../sales/selling.ts";
import type { Db } from "../../store/db.ts";
import { findOrder, type Order } from "../../store/orders.ts";
import { itemOf, type Item } from "../../store/sales.ts";
import { otherSale } from "../buyers.ts";
import { time } from "../fields.ts";
import { json, jsonText, preparedProblem, preparedRetry, problem } from "../problems.ts";
import { shownItem } from "../../sales/catalogue.ts";
import { showOrder } from "../orders.ts";

export type BuyingContext = {
  readonly engine: SaleEngine;
  readonly catalogue: Catalogue;
  readonly db: Db;
  readonly hoarding: Hoarding;
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
const notAdmitted = preparedRetry("not_admitted");

type Refused = Exclude<Decided<BuyOutcome | CheckoutOutcome>, { readonly word: Accepted }>;
type Accepted = "reserved" | "reserved_again" | "purchased" | "purchased_again";

/** What was sold or reserved, as it is shown. */
type Found = { readonly shown: ShownSale; readonly item: Item };

export class Buying {
  readonly #context: BuyingContext;

  constructor(context: BuyingContext) {
    this.#context = context;
  }

  /** The answer to a checkout; of what a key stands for in a sale long over once that is found. */
  readonly renderCheckout = (outcome: Decided<CheckoutOutcome>): Response | Promise<Response> => {
    if (!("reservation" in outcome)) return this.#refusal(outcome);
    const { reservation } = outcome;
    const { saleId, itemId } = reservation;
    const known = this.#context.catalogue.known(saleId);
    // Who leads holds what is sold; others may have to read it first.
    return known === undefined
      ? madeAs(() => this.#find(saleId, itemId)).then((found) => showReserved(reservation, found))
      : showReserved(reservation, foundIn(known, saleId, itemId));
  };

  /** As `renderCheckout`, and counts what a network has reserved by it. */
  counting(network: string, asked: Pick<Checkout, "sale" | "item">) {
    const { hoarding } = this.#context;
    return (outcome: Decided<CheckoutOutcome>): Response | Promise<Response> => {
      if (outcome.word === "reserved") hoarding.reserved(network, outcome.reservation, asked);
      return this.renderCheckout(outcome);
    };
  }

  async purchase(code: string, by: CodeUser, expectedPriceCents: number | null): Promise<Response> {
    const { writer } = this.#context.engine;
    const asked = { kind: "purchase", code, by, expectedPriceCents, lookup: null } as const;
    const made = await writer.submit(asked, this.#renderPurchase);
    return made instanceof Response ? made : await this.#answerAgain(made);
  }

  /** The answer to a purchase; of what was sold before the unit, as its order is read once that is committed. */
  readonly #renderPurchase = (
    outcome: Decided<PurchaseOutcome>,
  ): Response | Promise<Response> | Unit => {
    switch (outcome.word) {
      case "purchased":
        this.#context.hoarding.bought(outcome.of.code);
        return this.#answerSold([outcome.of]);
      case "purchased_again":
        return outcome.of;
      default:
        return refuse[outcome.word]();
    }
  };

  /** @param saleId null: whichever sale the code is of */
  async release(code: string, by: CodeUser, saleId: number | null): Promise<Response> {
    const { word } = await this.#context.engine.writer.submit({
      kind: "release",
      code,
      saleId,
      by,
      lookup: null,
    });
    if (word !== "released" && word !== "released_again") return refuse[word]();
    this.#context.hoarding.released(code, this.#context.clock());
    return new Response(null, { status: 204 });
  }

  async extend(code: string, ms: number): Promise<Response> {
    const { writer } = this.#context.engine;
    const outcome = await writer.submit({ kind: "extend", code, ms, lookup: null });
    if (outcome.word !== "extended") return refuse[outcome.word]();
    const { expiresAt } = outcome.of;
    this.#context.hoarding.extended(code, expiresAt);
    return json({ code, expires_at: time(expiresAt) });
  }

  async buy(command: Omit<Buy, "kind" | "code">): Promise<Response> {
    const { writer } = this.#context.engine;
    const outcome = await writer.submit({ kind: "buy", code: Bun.randomUUIDv7(), ...command });
    switch (outcome.word) {
      case "purchased":
        for (const { code } of outcome.units) this.#context.hoarding.bought(code);
        return await this.#answerSold(outcome.units);
      case "purchased_again":
        return await this.#answerAgain(outcome.of);
      default:
        return this.#refusal(outcome);
    }
  }

  /** As `purchase`, for a buyer whose token is for one sale: a code of another is not bought by it. */
  async purchaseIn(
    onlySaleId: number,
    code: string,
    by: Buyer,
    expectedPriceCents: number | null,
  ): Promise<Response> {
    const { writer } = this.#context.engine;
    const saleId = await writer.read((view) => view.saleOf(code, by));
    return saleId !== null && saleId !== onlySaleId
      ? otherSale()
      : await this.purchase(code, by, expectedPriceCents);
  }

  /** A page of what a buyer holds, in every sale, oldest first. */
  async reservations(
    buyer: Buyer,
    { after, limit }: { readonly after: number; readonly limit: number },
  ): Promise<Response> {
    const { writer } = this.#context.engine;
    const live = await writer.read((view) => view.reservationsOf(buyer, after, limit + 1));
    const told = live.slice(0, limit);
    const shown: object[] = [];
    for (const reservation of told) shown.push(await this.#showReservation(reservation));
    return json({
      reservations: shown,
      next_after: live.length > limit ? (told.at(-1)?.seq ?? null) : null,
    });
  }

  async #showReservation(reservation: LiveReservation): Promise<object> {
    const { code, saleId, itemId, buyer, reservedAt, expiresAt, isOffer } = reservation;
    const { item } = await this.#find(saleId, itemId);
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
      offered: isOffer,
    };
  }

  /** The order of units that have just been sold together. */
  #answerSold(units: readonly Unit[]): Response | Promise<Response> {
    const [first] = units;
    if (first === undefined) throw new Error("a purchase sold nothing");
    const { saleId, itemId } = first;
    const known = this.#context.catalogue.known(saleId);
    return known === undefined
      ? madeAs(() => this.#find(saleId, itemId)).then((found) => showSold(first, units, found))
      : showSold(first, units, foundIn(known, saleId, itemId));
  }

  /** The order of a unit that was sold before; it may have been bought with others in one step. */
  async #answerAgain(unit: Unit): Promise<Response> {
    const { saleId, itemId, sold } = unit;
    if (sold === null) throw new Error(`${unit.code} was bought again, and never before`);
    const { shown, item } = await this.#find(saleId, itemId);
    if (item.productId === undefined) return answerHourly(unit, shown, true);
    const order = await findOrder(this.#context.db, unit.buyer, sold.seq);
    if (order === null) throw new Error(`order ${sold.seq} was sold and is not in the records`);
    return answerOrder(order, true, sold.refundedBy !== null);
  }

  #refusal(outcome: Refused): Response {
    const { clock } = this.#context;
    switch (outcome.word) {
      case "item_reserved":
        // A flood is mostly this, and to ask the time costs a hundredth of a request.
        return itemReserved(outcome.retryAt - outcome.at);
      case "not_admitted":
        return notAdmitted(outcome.retryMs, `,"ahead":${outcome.ahead}}`);
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

  async #find(saleId: number, itemId: number): Promise<Found> {
    return foundIn(await this.#context.catalogue.find(saleId), saleId, itemId);
  }
}

function foundIn(shown: ShownSale | null, saleId: number, itemId: number): Found {
  const item = shown === null ? undefined : itemOf(shown.stored, itemId);
  if (shown === null || item === undefined) throw missing(saleId, itemId);
  return { shown, item };
}

/** The answer to whoever holds, or has let go, as much as one may. */
export const holdsTooMuch = (waitMs: number): Response =>
  problem("rate_limited", {
    detail: "Too much is reserved from here, or this item too often, and not bought.",
    retryAfterMs: waitMs,
  });

const missing = (saleId: number, itemId: number): Error =>
  new Error(`sale ${saleId} has no item ${itemId}, and something of it was sold`);

function showReserved({ code, buyer, saleId, itemId, expiresAt }: Unit, { shown, item }: Found) {
  const user = JSON.stringify(buyer.userId);
  return jsonText(
    `{"code":"${code}","user_id":${user},"buyer":"${buyer.kind}","sale_id":${saleId},` +
      `"item":${shown.itemJson(itemId)},"expires_at":"${time(expiresAt)}"${shopFields(saleId, item)}}`,
  );
}

function showSold(first: Unit, units: readonly Unit[], { shown, item }: Found): Response {
  const { buyer, saleId, itemId, sold } = first;
  if (item.productId === undefined) return answerHourly(first, shown, false);
  if (sold === null) throw new Error("a purchase sold nothing");
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
    refunded: 0,
    purchasedAt: sold.at,
  };
  return answerOrder(order, false);
}

function answerHourly(unit: Unit, shown: ShownSale, replayed: boolean): Response {
  const { code, buyer, saleId, itemId, sold } = unit;
  const user = JSON.stringify(buyer.userId);
  return jsonText(
    `{"message":"Purchase successful","order_id":"${sold?.seq}","code":"${code}",` +
      `"user_id":${user},"buyer":"${buyer.kind}","sale_id":${saleId},` +
      `"item":${shown.itemJson(itemId)},"purchased_at":"${time(sold?.at ?? 0)}",` +
      `"replayed":${replayed}${sold?.refundedBy == null ? "" : ',"refunded":true'}}`,
  );
}

const shopFields = (saleId: number, { productId }: Item): string =>
  productId === undefined ? "" : `,"flash_sale_id":${saleId},"product_id":${productId}`;

/** @param refunded whether the unit that was asked for is taken back */
const answerOrder = (order: Order, replayed: boolean, refunded = false): Response =>
  json({
    message: "Purchase successful",
    ...showOrder(order),
    replayed,
    ...(refunded ? { refunded } : {}),
  });

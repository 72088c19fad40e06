/**
 * The journal: turns decided commands into rows, and commits a batch of them as one
 * statement, which is one transaction and one flush of PostgreSQL's log.
 *
 * The rows travel as array literals written here by hand: the driver's own encoding of
 * arrays cost three times as much. Each kind of row has its own insert from those arrays,
 * and a batch's statement joins those that it needs, so that a flood of refusals pays for
 * five columns and not for ten. Measured on one core, in processor time of PostgreSQL a row,
 * batches of 128: five arrays 4.1 µs, nine 4.2–5, json_to_recordset 5.5; in the client 1.0,
 * 1.4 and 1.5 µs. The arrays are expanded in a select list: with `from unnest(…)`, which
 * keeps its rows in a tuplestore before anybody reads them, it is 8% more. COPY of the same
 * rows, in binary, would be 6% less, and a second way to write.
 */
import type { Sql } from "postgres";
import type {
  Buy,
  BuyOutcome,
  ChangeSale,
  ChangeSaleOutcome,
  Checkout,
  CheckoutOutcome,
  Claim,
  ClaimOutcome,
  CodeUser,
  Command,
  CreateCoupon,
  CreateCouponOutcome,
  Extend,
  ExtendOutcome,
  RecordsNeeded,
  Outcome,
  Purchase,
  PurchaseOutcome,
  Release,
  ReleaseOutcome,
  SoldUnit,
} from "../ledger/commands.ts";
import { requestOf } from "../ledger/decide.ts";
import { isoTime } from "../time.ts";
import { integerMax } from "./integer.ts";
import {
  refusal,
  attempt,
  bulk,
  couponAttempt,
  purchase,
  extension,
  coupon,
  claim,
  saleEnd,
  couponFigure,
} from "./journal-rows.ts";
import { DeposedError, type Batch } from "./records.ts";
import { Rows, quote, type Element } from "./rows.ts";

/** The session that holds the leader's lock; nothing is written by any other. */
export type WriterSession = { readonly sql: Sql; readonly backendPid: number };

const none = "NULL";

export class Journal {
  readonly #session: WriterSession;
  /** By the kinds of rows in a batch. */
  readonly #statements = new Map<string, string>();
  readonly #refusals = new Rows(refusal);
  readonly #attempts = new Rows(attempt);
  readonly #bulks = new Rows(bulk);
  readonly #purchases = new Rows(purchase);
  readonly #extensions = new Rows(extension);
  readonly #saleEnds = new Rows(saleEnd);
  readonly #couponAttempts = new Rows(couponAttempt);
  readonly #coupons = new Rows(coupon);
  readonly #couponFigures = new Rows(couponFigure);
  readonly #claims = new Rows(claim);
  readonly #kinds = {
    refusals: this.#refusals,
    attempts: this.#attempts,
    bulks: this.#bulks,
    purchases: this.#purchases,
    extensions: this.#extensions,
    saleEnds: this.#saleEnds,
    couponAttempts: this.#couponAttempts,
    coupons: this.#coupons,
    couponFigures: this.#couponFigures,
    claims: this.#claims,
  };
  /** Coupons made in this batch, and what is left of those claimed in it, by their ids. */
  readonly #made = new Map<
    number,
    { readonly nth: number; readonly outcome: CreateCouponOutcome }
  >();
  readonly #remaining = new Map<number, number>();
  /** Ends that were moved in this batch, by the ids of the sales. */
  readonly #ends = new Map<number, { readonly endsAt: number; readonly closed: boolean }>();

  constructor(session: WriterSession) {
    this.#session = session;
  }

  /**
   * Commits a batch. When it rejects, nobody knows whether the rows are there.
   * @throws DeposedError when this session does not hold the leader's lock any more
   */
  async commit({ firstSeq, at, commands, outcomes }: Batch): Promise<void> {
    let nth = 0;
    commands.forEach((command, index) => {
      const outcome = outcomes[index];
      if (outcome === undefined || outcome.word === "look_up") return;
      this.#add(nth, command, outcome);
      nth += 1;
    });
    this.#addSaleEnds();
    this.#addCouponFigures();
    const names: string[] = [];
    const arrays: string[] = [];
    let lastRows = 0;
    for (const [name, rows] of Object.entries(this.#kinds)) {
      if (rows.count === 0) continue;
      names.push(name);
      lastRows = rows.count;
      arrays.push(...rows.take());
    }
    const { sql, backendPid } = this.#session;
    const parameters = [String(firstSeq), isoTime(at), String(backendPid), ...arrays];
    const { count } = await sql.unsafe(this.#statement(names.join()), parameters, {
      prepare: true,
    });
    if (count !== lastRows) {
      throw new DeposedError("the connection that holds the leader's lock was replaced");
    }
  }

  /**
   * The statement for a batch of these kinds of rows: the last kind's, and the others' beside it.
   * A flood is of one kind, and then it is a plain insert.
   */
  #statement(names: string): string {
    let statement = this.#statements.get(names);
    if (statement === undefined) {
      let first = 4;
      const parts = Object.entries(this.#kinds).flatMap(([name, rows]) => {
        if (!names.split(",").includes(name)) return [];
        const part = rows.statement(first);
        first += rows.width;
        return [part];
      });
      const beside = parts.slice(0, -1).map((part, i) => `w${i} as (${part})`);
      const start = beside.length === 0 ? "" : `with ${beside.join(", ")} `;
      statement = start + (parts.at(-1) ?? "");
      this.#statements.set(names, statement);
    }
    return statement;
  }

  #add(nth: number, command: Command, outcome: Exclude<Outcome, RecordsNeeded>): void {
    // The ledger answers a command with one of its own outcomes.
    switch (command.kind) {
      case "checkout":
        return this.#addCheckout(nth, command, outcome as CheckoutOutcome);
      case "purchase":
      case "release":
        return this.#addCode(nth, command, command.by, outcome as CodeOutcome);
      case "extend":
        return this.#addExtend(nth, command, outcome as Exclude<ExtendOutcome, RecordsNeeded>);
      case "buy":
        return this.#addBuy(nth, command, outcome as BuyOutcome);
      case "change_sale":
        return this.#addChangeSale(nth, command, outcome as ChangeSaleOutcome);
      case "create_coupon":
        return this.#addCreateCoupon(nth, command, outcome as CreateCouponOutcome);
      case "claim":
        return this.#addClaim(nth, command, outcome as Exclude<ClaimOutcome, RecordsNeeded>);
      default:
        return command satisfies never;
    }
  }

  #addCheckout(nth: number, command: Checkout, outcome: CheckoutOutcome): void {
    const { item, key, buyer } = command;
    const user_id = quote(buyer.userId);
    if ("reservation" in outcome) {
      const { saleId, itemId, code } = outcome.reservation;
      this.#attempts.add({
        nth,
        kind: "checkout",
        outcome: outcome.word,
        sale_id: saleId,
        item_id: itemId,
        buyer: buyer.kind,
        user_id,
        code,
        idempotency_key: nullable(key),
        request: key === null ? none : quote(requestOf(command)),
      });
      return;
    }
    const { word, saleId } = outcome;
    const sale_id = saleId ?? none;
    const item_id = item === "any" ? none : storableItem(item);
    if (buyer.kind === "guest") {
      this.#refusals.add({ nth, outcome: word, sale_id, item_id, user_id });
      return;
    }
    this.#attempts.add({
      ...nothing,
      nth,
      kind: "checkout",
      outcome: word,
      sale_id,
      item_id,
      buyer: buyer.kind,
      user_id,
    });
  }

  /** Under the code that was asked for, whatever it led to, and who it is of, or who asked. */
  #addCode(
    nth: number,
    { kind, code }: Purchase | Release | Extend,
    by: CodeUser,
    outcome: CodeOutcome | Exclude<ExtendOutcome, RecordsNeeded>,
  ): void {
    const { word, of } = outcome;
    // Of a merchant who asks there is no more to say than for whom.
    const buyer = of?.buyer ?? (by === "merchant" ? null : by);
    this.#attempts.add({
      ...nothing,
      nth,
      kind,
      outcome: word,
      sale_id: of?.saleId ?? none,
      item_id: of?.itemId ?? none,
      buyer: buyer?.kind ?? none,
      user_id: buyer === null ? none : quote(buyer.userId),
      code,
    });
    if (word === "purchased") this.#addSold(nth, of, null);
  }

  #addExtend(nth: number, command: Extend, outcome: Exclude<ExtendOutcome, RecordsNeeded>): void {
    this.#addCode(nth, command, "merchant", outcome);
    if (outcome.word !== "extended") return;
    const { saleId, code } = outcome.of;
    this.#extensions.add({ nth, sale_id: saleId, code, due: `"${isoTime(outcome.due)}"` });
  }

  #addSold(
    nth: number,
    sold: SoldUnit,
    order: { readonly key: string; readonly request: string } | null,
  ): void {
    this.#purchases.add({
      nth,
      sale_id: sold.saleId,
      item_id: sold.itemId,
      unit: sold.unit,
      item_stock: sold.itemStock,
      buyer: sold.buyer.kind,
      user_id: quote(sold.buyer.userId),
      user_ordinal: sold.userOrdinal,
      user_limit: sold.userLimit,
      code: sold.code,
      idempotency_key: nullable(sold.key),
      request: nullable(sold.request),
      order_key: nullable(order?.key ?? null),
      order_request: nullable(order?.request ?? null),
    });
  }

  #addBuy(nth: number, command: Buy, outcome: BuyOutcome): void {
    const { saleId, itemId, buyer, code, quantity, key } = command;
    const isSold = outcome.word === "purchased";
    const request = key === null ? null : requestOf(command);
    this.#bulks.add({
      nth,
      kind: "buy",
      outcome: outcome.word,
      sale_id: saleId === "unknown" ? none : saleId,
      item_id: itemId === "unknown" ? none : storableItem(itemId),
      buyer: buyer.kind,
      user_id: quote(buyer.userId),
      code: isSold ? code : none,
      idempotency_key: nullable(key),
      request: nullable(request),
      quantity,
    });
    if (!isSold) return;
    outcome.units.forEach((unit, index) => {
      const isFirst = index === 0 && key !== null && request !== null;
      this.#addSold(nth, unit, isFirst ? { key, request } : null);
    });
  }

  #addChangeSale(nth: number, { saleId }: ChangeSale, outcome: ChangeSaleOutcome): void {
    this.#attempts.add({
      ...nothing,
      nth,
      kind: "change_sale",
      outcome: outcome.word,
      sale_id: saleId,
    });
    if (outcome.word !== "sale_changed") return;
    this.#ends.set(saleId, outcome);
  }

  /** A sale's row gets the end that it has at the end of the batch, once a batch. */
  #addSaleEnds(): void {
    for (const [id, { endsAt, closed }] of this.#ends) {
      this.#saleEnds.add({ id, ends_at: `"${isoTime(endsAt)}"`, closed: String(closed) });
    }
    this.#ends.clear();
  }

  #addCreateCoupon(nth: number, command: CreateCoupon, outcome: CreateCouponOutcome): void {
    this.#couponAttempts.add({
      nth,
      kind: "create_coupon",
      outcome: outcome.word,
      buyer: none,
      user_id: none,
      coupon_name: quote(command.coupon),
      idempotency_key: none,
    });
    if (outcome.word !== "coupon_created") return;
    this.#made.set(outcome.coupon.id, { nth, outcome });
    this.#remaining.set(outcome.coupon.id, outcome.coupon.remaining);
  }

  #addClaim(nth: number, command: Claim, outcome: Exclude<ClaimOutcome, RecordsNeeded>): void {
    const { buyer, key } = command;
    const user_id = quote(buyer.userId);
    const coupon_name = quote(command.coupon);
    const idempotency_key = nullable(key);
    this.#couponAttempts.add({
      nth,
      kind: "claim",
      outcome: outcome.word,
      buyer: buyer.kind,
      user_id,
      coupon_name,
      idempotency_key,
    });
    if (outcome.word !== "claimed") return;
    const { ordinal, coupon: of } = outcome.claim;
    this.#claims.add({
      nth,
      buyer: buyer.kind,
      user_id,
      coupon_name,
      ordinal,
      coupon_amount: of.amount,
      idempotency_key,
    });
    this.#remaining.set(of.id, of.remaining);
  }

  /** A coupon's row gets the figure that it has at the end of the batch, once a batch. */
  #addCouponFigures(): void {
    for (const [id, remaining_amount] of this.#remaining) {
      const made = this.#made.get(id);
      // An update in the statement that makes the row would not see it.
      if (made === undefined) this.#couponFigures.add({ id, remaining_amount });
      else {
        const { name, amount } = made.outcome.coupon;
        this.#coupons.add({ nth: made.nth, id, name: quote(name), amount, remaining_amount });
      }
    }
    this.#made.clear();
    this.#remaining.clear();
  }
}

type CodeOutcome = Exclude<PurchaseOutcome | ReleaseOutcome, RecordsNeeded>;

/** What an attempt may lack. */
const nothing = {
  item_id: none,
  buyer: none,
  user_id: none,
  code: none,
  idempotency_key: none,
  request: none,
} satisfies Record<string, Element>;

const nullable = (text: string | null): string => (text === null ? none : quote(text));

/** An item number that no sale can have is not storable; the attempt is, without it. */
const storableItem = (item: number): Element => (item > integerMax ? none : item);

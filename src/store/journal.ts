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
  ChangeQueue,
  ChangeQueueOutcome,
  ChangeSale,
  ChangeSaleOutcome,
  Checkout,
  CheckoutOutcome,
  Claim,
  ClaimOutcome,
  CodeUser,
  Command,
  Decided,
  Extend,
  ExtendOutcome,
  Join,
  JoinOutcome,
  Offer,
  OfferOutcome,
  Outcome,
  Purchase,
  PurchaseOutcome,
  Refund,
  RefundOutcome,
  Release,
  ReleaseOutcome,
  Restock,
  RestockOutcome,
  WaitlistJoinOutcome,
  WaitlistLeaveOutcome,
  Withdraw,
  WithdrawOutcome,
} from "../ledger/commands.ts";
import { requestOf } from "../ledger/keys.ts";
import { isoTime } from "../time.ts";
import { newKinds } from "./journal-kinds.ts";
import * as kinds from "./journal-rows.ts";
import {
  BatchCoupons,
  claimAttempt,
  claimRow,
  couponAttempt,
  type CouponCommand,
  type CouponOutcome,
} from "./coupon-rows.ts";
import { milestoneAttempt, milestoneRow } from "./milestones.ts";
import { refundAttempt, refundRows } from "./refund-rows.ts";
import { joinAttempt, rateActivity, rateRow, ticketRow } from "./journal-queues.ts";
import { buyAttempt, soldRow } from "./sold-rows.ts";
import {
  changeActivity,
  changedSaleRow,
  restockActivity,
  restockAttempt,
  saleAttempt,
  withdrawActivity,
} from "./sale-rows.ts";
import { DeposedError, type Batch } from "./records.ts";
import { none, nullable, quote, type RowOf } from "./rows.ts";
import { Statements } from "./statements.ts";
import { offerAttempt, waitAttempt } from "./waiting-rows.ts";

/** The session that holds the leader's lock; nothing is written by any other. */
export type WriterSession = { readonly sql: Sql; readonly backendPid: number };

export class Journal {
  readonly #session: WriterSession;
  /** By the kinds of rows in a batch. */
  readonly #statements = new Statements((names) => this.#statement(names.split(",")));
  readonly #coupons = new BatchCoupons();
  readonly #kinds = newKinds(this.#coupons.rows);
  /** Sales that were changed in this batch, by their ids. */
  readonly #changedSales = new Map<number, RowOf<typeof kinds.changedSale>>();
  readonly #restocked = new Map<string, RowOf<typeof kinds.restockedItem>>();

  /** Of the command that is turned into rows, if it came over the link. */
  #asked: number | undefined;
  #firstSeq = 0;
  #hasWithdrawn = false;

  constructor(session: WriterSession) {
    this.#session = session;
  }

  /** Whether the last batch took back the announcement of a sale. */
  get hasWithdrawn(): boolean {
    return this.#hasWithdrawn;
  }

  /**
   * Commits a batch. When it rejects, nobody knows whether the rows are there.
   * @throws DeposedError when this session does not hold the leader's lock any more
   */
  async commit({ firstSeq, at, commands, outcomes, asked }: Batch): Promise<void> {
    let nth = 0;
    this.#firstSeq = firstSeq;
    this.#hasWithdrawn = false;
    commands.forEach((command, index) => {
      const outcome = outcomes[index];
      if (outcome === undefined || outcome.word === "look_up") return;
      this.#asked = asked[index];
      this.#add(nth, command, outcome);
      nth += 1;
    });
    this.#addChangedSales();
    this.#coupons.end();
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
    const { text, isPrepared: prepare } = this.#statements.of(names.join());
    const { count } = await sql.unsafe(text, parameters, { prepare });
    if (count !== lastRows) {
      throw new DeposedError("the connection that holds the leader's lock was replaced");
    }
  }

  /**
   * The statement for a batch of these kinds of rows: the last kind's, and the others' beside it.
   * A flood is of one kind, and then it is a plain insert.
   */
  #statement(wanted: readonly string[]): string {
    let first = 4;
    const parts = Object.entries(this.#kinds).flatMap(([name, rows]) => {
      if (!wanted.includes(name)) return [];
      const before = wanted.indexOf(follows[name] ?? "");
      const part = rows.statement(first, before < 0 ? null : `w${before}`);
      first += rows.width;
      return [part];
    });
    const beside = parts.slice(0, -1).map((part, i) => `w${i} as (${part})`);
    const start = beside.length === 0 ? "" : `with ${beside.join(", ")} `;
    return start + (parts.at(-1) ?? "");
  }

  #add(nth: number, command: Command, outcome: Decided<Outcome>): void {
    // The ledger answers a command with one of its own outcomes.
    switch (command.kind) {
      case "checkout":
        return this.#addCheckout(nth, command, outcome as Decided<CheckoutOutcome>);
      case "purchase":
      case "release":
        return this.#addCode(nth, command, command.by, outcome as CodeOutcome);
      case "extend":
        return this.#addExtend(nth, command, outcome as Decided<ExtendOutcome>);
      case "buy":
        return this.#addBuy(nth, command, outcome as Decided<BuyOutcome>);
      case "refund":
        return this.#addRefund(nth, command, outcome as Decided<RefundOutcome>);
      case "change_sale":
        return this.#addChangeSale(nth, command, outcome as ChangeSaleOutcome);
      case "join":
        return this.#addJoin(nth, command, outcome as JoinOutcome);
      case "change_queue":
        return this.#addChangeQueue(nth, command, outcome as ChangeQueueOutcome);
      case "withdraw":
        return this.#addWithdraw(nth, command, outcome as WithdrawOutcome);
      case "milestone":
        this.#kinds.attempts.add(milestoneAttempt(nth, command));
        this.#kinds.milestones.add(milestoneRow(nth, command));
        return;
      case "restock":
        return this.#addRestock(nth, command, outcome as RestockOutcome);
      case "waitlist_join":
      case "waitlist_leave":
        return this.#addAttempt(waitAttempt(nth, command, outcome as WaitOutcome));
      case "offer":
        return this.#addOffer(nth, command, outcome as OfferOutcome);
      case "create_coupon":
      case "change_coupon":
      case "remove_coupon":
        return this.#addCoupon(nth, command, outcome as CouponOutcome);
      case "claim":
        return this.#addClaim(nth, command, outcome as Decided<ClaimOutcome>);
      default:
        return command satisfies never;
    }
  }

  #addAttempt(row: RowOf<typeof kinds.attempt>): void {
    if (this.#asked === undefined) this.#kinds.attempts.add(row);
    else this.#kinds.askedAttempts.add({ ...row, asked: this.#asked });
  }

  #addCouponAttempt(row: RowOf<typeof kinds.couponAttempt>): void {
    if (this.#asked === undefined) this.#kinds.couponAttempts.add(row);
    else this.#kinds.askedCouponAttempts.add({ ...row, asked: this.#asked });
  }

  #addCheckout(nth: number, command: Checkout, outcome: Decided<CheckoutOutcome>): void {
    const { item, key, buyer } = command;
    const user_id = quote(buyer.userId);
    if ("reservation" in outcome) {
      const { saleId, itemId, code } = outcome.reservation;
      this.#addAttempt({
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
    const item_id = item === "any" ? none : kinds.storableItem(item);
    const row = { nth, outcome: word, sale_id, item_id, user_id };
    if (buyer.kind === "guest") {
      if (this.#asked === undefined) this.#kinds.refusals.add(row);
      else this.#kinds.askedRefusals.add({ ...row, asked: this.#asked });
      return;
    }
    const known = { ...row, buyer: buyer.kind };
    if (this.#asked === undefined) this.#kinds.buyerRefusals.add(known);
    else this.#kinds.askedBuyerRefusals.add({ ...known, asked: this.#asked });
  }

  /** Under the code that was asked for, whatever it led to, and who it is of, or who asked. */
  #addCode(
    nth: number,
    { kind, code }: Purchase | Release | Extend,
    by: CodeUser,
    outcome: CodeOutcome | Decided<ExtendOutcome>,
  ): void {
    const { word, of } = outcome;
    // Of a merchant who asks there is no more to say than for whom.
    const buyer = of?.buyer ?? (by === "merchant" ? null : by);
    this.#addAttempt({
      ...kinds.nothing,
      nth,
      kind,
      outcome: word,
      sale_id: of?.saleId ?? none,
      item_id: of?.itemId ?? none,
      buyer: buyer?.kind ?? none,
      user_id: buyer === null ? none : quote(buyer.userId),
      code,
    });
    if (word === "purchased") this.#kinds.purchases.add(soldRow(nth, of, null));
  }

  #addExtend(nth: number, command: Extend, outcome: Decided<ExtendOutcome>): void {
    this.#addCode(nth, command, "merchant", outcome);
    if (outcome.word !== "extended") return;
    const { saleId, code } = outcome.of;
    this.#kinds.extensions.add({ nth, sale_id: saleId, code, due: `"${isoTime(outcome.due)}"` });
  }

  #addBuy(nth: number, command: Buy, outcome: Decided<BuyOutcome>): void {
    const { key } = command;
    const request = key === null ? null : requestOf(command);
    const row = buyAttempt(nth, command, request, outcome);
    if (this.#asked === undefined) this.#kinds.bulks.add(row);
    else this.#kinds.askedBulks.add({ ...row, asked: this.#asked });
    if (outcome.word !== "purchased") return;
    const order = key === null || request === null ? null : { key, request };
    outcome.units.forEach((unit, index) => {
      this.#kinds.purchases.add(soldRow(nth, unit, index === 0 ? order : null));
    });
  }

  #addRefund(nth: number, command: Refund, outcome: Decided<RefundOutcome>): void {
    const row = refundAttempt(nth, command, outcome);
    if (this.#asked === undefined) this.#kinds.bulks.add(row);
    else this.#kinds.askedBulks.add({ ...row, asked: this.#asked });
    if (outcome.word !== "refunded") return;
    const rows = refundRows(nth, this.#firstSeq + nth, command, outcome.refund);
    for (const unit of rows.units) this.#kinds.takenBack.add(unit);
    this.#kinds.refunds.add(rows.refund);
    this.#kinds.activities.add(rows.activity);
  }

  #addChangeSale(nth: number, command: ChangeSale, outcome: ChangeSaleOutcome): void {
    this.#addAttempt(saleAttempt(nth, command, outcome));
    if (outcome.word !== "sale_changed") return;
    const before = this.#changedSales.get(command.saleId);
    this.#changedSales.set(command.saleId, changedSaleRow(command, outcome, before));
    this.#note(changeActivity(nth, command, outcome));
  }

  #addJoin(nth: number, command: Join, outcome: JoinOutcome): void {
    if (outcome.word !== "joined") {
      this.#addAttempt({ ...kinds.nothing, ...joinAttempt(nth, command, outcome) });
      return;
    }
    const row = ticketRow(nth, command, outcome);
    this.#kinds.tickets.add(row);
    // Each column of the attempt is one of its ticket's.
    if (this.#asked === undefined) this.#kinds.joined.add(row);
    else this.#addAttempt({ ...kinds.nothing, ...joinAttempt(nth, command, outcome) });
  }

  #addChangeQueue(nth: number, command: ChangeQueue, outcome: ChangeQueueOutcome): void {
    this.#addAttempt(saleAttempt(nth, command, outcome));
    if (outcome.word !== "queue_changed") return;
    this.#kinds.queueRates.add(rateRow(nth, outcome));
    this.#kinds.activities.add(rateActivity(nth, command, outcome));
  }

  #addWithdraw(nth: number, command: Withdraw, outcome: WithdrawOutcome): void {
    this.#addAttempt(saleAttempt(nth, command, outcome));
    if (outcome.word !== "withdrawn") return;
    const { saleId } = command;
    this.#changedSales.delete(saleId);
    // Who has joined its queue in this batch, too.
    for (const rows of [this.#kinds.tickets, this.#kinds.queueRates]) {
      rows.remove(({ sale_id: of }) => of === saleId);
    }
    this.#kinds.withdrawnExtensions.add({ sale_id: saleId });
    this.#kinds.withdrawnSales.add({ id: saleId });
    this.#hasWithdrawn = true;
    this.#note(withdrawActivity(nth, command));
  }

  #addRestock(nth: number, command: Restock, outcome: RestockOutcome): void {
    const row = restockAttempt(nth, command, outcome);
    if (this.#asked === undefined) this.#kinds.bulks.add(row);
    else this.#kinds.askedBulks.add({ ...row, asked: this.#asked });
    if (outcome.word !== "restocked") return;
    const { saleId, itemId, after } = outcome;
    this.#restocked.set(`${saleId} ${itemId}`, { id: itemId, sale_id: saleId, stock: after });
    this.#kinds.activities.add(restockActivity(nth, command, outcome));
  }

  #addOffer(nth: number, command: Offer, outcome: OfferOutcome): void {
    this.#addAttempt(offerAttempt(nth, command, outcome));
    if (outcome.word !== "reserved") return;
    const { reservation, joinedBy, ordinal } = outcome;
    this.#kinds.offers.add({ nth, sale_id: reservation.saleId, joined_seq: joinedBy, ordinal });
  }

  /** A sale's row gets what it has at the end of the batch, once a batch. */
  #addChangedSales(): void {
    for (const row of this.#changedSales.values()) this.#kinds.saleChanges.add(row);
    for (const row of this.#restocked.values()) this.#kinds.itemChanges.add(row);
    this.#changedSales.clear();
    this.#restocked.clear();
  }

  #addCoupon(nth: number, command: CouponCommand, outcome: CouponOutcome): void {
    this.#addCouponAttempt(couponAttempt(nth, command, outcome));
    this.#note(this.#coupons.take(nth, this.#firstSeq + nth, command, outcome));
  }

  #addClaim(nth: number, command: Claim, outcome: Decided<ClaimOutcome>): void {
    this.#addCouponAttempt(claimAttempt(nth, command, outcome));
    if (outcome.word !== "claimed") return;
    this.#kinds.claims.add(claimRow(nth, command, outcome.claim));
    this.#coupons.claimed(outcome.claim.coupon);
  }

  #note(row: RowOf<typeof kinds.activity> | null): void {
    if (row !== null) this.#kinds.activities.add(row);
  }
}

/** Kinds of rows that others of the same batch may be in conflict with until they are gone. */
const follows: Readonly<Record<string, string>> = {
  purchases: "takenBack",
  coupons: "removedCoupons",
};

type WaitOutcome = WaitlistJoinOutcome | WaitlistLeaveOutcome;
type CodeOutcome = Decided<PurchaseOutcome | ReleaseOutcome>;

/**
 * Builds the state from the records: the sales that are not settled, what was on the books when a
 * checkpoint was made, what is sold, and of the journal what changed something since; and keeps it
 * current with what is committed after, for a process that stands by.
 *
 * No clock is asked: the times in the journal may run backwards, as the clocks of its writers did,
 * and the state is the same, for the records say when each term began. At the end the time of the
 * new one is told. Records that contradict themselves throw: the ledger must not sell from them.
 */
import { settled, type Sale, type SettledSale } from "./sale.ts";
import { compare, disagreement, soldBy } from "./compare.ts";
import { putSold, reserve, type PutUnit } from "./books.ts";
import { GapError, type Effect, type LedgerChange } from "./changes.ts";
import { beginTerm, expire, revive } from "./lapses.ts";
import type { Draws } from "./queue.ts";
import { takeBack } from "./refunds.ts";
import { applyToSale } from "./replay.ts";
import { isFixed, replaceTerms } from "./replaced.ts";
import { noteActiveAgain, rejoin, resetRate } from "./rejoining.ts";
import { applyToCoupon, putCoupons, rememberClaims } from "./restored-coupons.ts";
import {
  addSale,
  dropSale,
  emptyState,
  setTimes,
  settleSale,
  waitingListOf,
  type LedgerState,
} from "./state.ts";
import type {
  BegunTerm,
  Recorded,
  RecordedSale,
  RecordedSince,
  RestoredUpTo,
  StoredPurchase,
} from "./recorded.ts";
import { LedgerView } from "./view.ts";

/**
 * A state that is read back, and kept current with what is committed after: from the records, or
 * as the leader tells it, attempt by attempt in the same way.
 */
export class Restoration {
  readonly #state: LedgerState;
  /** Units sold that were found among the purchases, by sale. */
  readonly #compared = new Map<number, number>();
  #comparedSeq = 0;
  #epoch = 0;

  private constructor(state: LedgerState) {
    this.#state = state;
  }

  /** @throws Error when the records contradict themselves */
  static async from(recorded: Recorded, draws: Draws): Promise<Restoration> {
    const { seq, at, sales, effective, terms } = recorded;
    const state = emptyState(seq, at, draws);
    for (const [id, sale] of recorded.settled) state.settled.set(id, sale);
    for (const sale of sales) openBooks(state, sale);
    const restoration = new Restoration(state);
    await restoration.#fillQueues(recorded);
    for (const { terms: of, checkpoint } of sales) noteActiveAgain(state, of.id, checkpoint.active);
    await restoration.#read(seq, { sales, effective, terms });
    for await (const coupons of recorded.coupons) putCoupons(state, coupons);
    rememberClaims(state, recorded.keyedClaims);
    return restoration;
  }

  get upTo(): RestoredUpTo {
    const { seq, sales } = this.#state;
    const known = [...sales.values()].filter(isFixed).map(({ terms }) => terms.id);
    const joined = new Map<number, number>();
    for (const [id, { queue }] of sales) if (queue !== null) joined.set(id, queue.tickets.count);
    const [comparedSeq, epoch] = [this.#comparedSeq, this.#epoch];
    return { seq, comparedSeq, epoch, sales: new Set(known), joined };
  }

  /**
   * Reads what was committed since, by other leaders too.
   * @throws GapError when a sale is on sale again that had been settled, or attempts are gone: a
   *   PostgreSQL that fails over to a replica which had not heard of them forgets them
   * @throws Error when the records contradict themselves, or what was restored
   */
  async catchUp(since: RecordedSince): Promise<void> {
    const state = this.#state;
    const forgot = since.terms.find(({ afterSeq }) => afterSeq < state.seq);
    if (forgot !== undefined) {
      throw new GapError(`term ${forgot.epoch} does not know of attempts up to ${state.seq}`);
    }
    for (const { terms, attempts } of since.sales) {
      const held = state.sales.get(terms.id);
      if (state.settled.has(terms.id)) throw new GapError(`sale ${terms.id} is on sale again`);
      if (!("stock" in terms)) {
        if (held === undefined) throw new GapError(`sale ${terms.id} is not known`);
        setTimes(held, terms);
        held.attempts += attempts;
      } else if (held === undefined) addSale(state, terms, attempts);
      else replaceTerms(state, held, terms).attempts += attempts;
    }
    for (const [id, sale] of since.settled) this.#settle(id, sale);
    // What is stored no more was withdrawn.
    const stored = new Set(since.sales.map(({ terms }) => terms.id));
    for (const id of state.sales.keys()) if (!stored.has(id)) this.#forget(id);
    await this.#fillQueues(since);
    await this.#read(since.seq, since);
    for (const name of since.removedCoupons) state.coupons.delete(name);
    putCoupons(state, since.coupons);
    rememberClaims(state, since.keyedClaims);
  }

  /**
   * Does what the leader has done. What is in the state already is not done again.
   * @throws GapError when something in between is missing
   */
  apply(change: LedgerChange): void {
    const state = this.#state;
    // What was stored before the records were read is in them.
    if (change.seq < state.seq) return;
    switch (change.kind) {
      case "batch":
        this.#applyBatch(change);
        return;
      case "sale":
        addSale(state, change.terms, change.attempts);
        this.#compared.delete(change.terms.id);
        return;
      case "settled": {
        const sale = state.sales.get(change.saleId);
        if (sale !== undefined) this.#settle(change.saleId, settled(sale.terms));
        return;
      }
      case "time":
        if (change.seq > state.seq) throw new GapError(`attempt ${change.seq} was not told`);
        return;
      default:
        change satisfies never;
    }
  }

  /**
   * Compares what is sold with the purchases.
   * @param purchases by sale, in their order: those after `comparedSeq`, up to the attempt `upTo`
   * @throws Error when they contradict each other
   */
  compare(purchases: ReadonlyMap<number, readonly StoredPurchase[]>, upTo: number): void {
    for (const [id, sale] of this.#state.sales) {
      const before = this.#compared.get(id) ?? 0;
      const counted = { before, sold: soldBy(sale, before, upTo), upTo };
      this.#compared.set(id, compare(this.#state, id, purchases.get(id) ?? [], counted));
    }
    this.#comparedSeq = upTo;
  }

  /** What is there at `now` (ms), which may be before what was seen last. */
  view(now: number): LedgerView {
    const state = this.#state;
    // What had run out by the time of an earlier reader lives for this one.
    if (now < state.now) for (const sale of state.sales.values()) revive(sale, now);
    state.now = now;
    return new LedgerView(state);
  }

  /**
   * The state of a term that begins, with which this ends.
   * @param now the time of the term, ms
   */
  begin(now: number): LedgerState {
    const state = this.#state;
    state.now = now;
    state.ended.clear();
    state.endedUpTo = state.seq;
    state.settledUpTo = state.seq;
    state.refundedUpTo = state.seq;
    for (const sale of state.sales.values()) {
      beginTerm(sale, state.seq, now);
      expire(sale, now);
      sale.changes = 0;
      sale.waitingList?.noteAll((code) => state.codes.get(code)?.status === "live");
    }
    return state;
  }

  async #read(
    seq: number,
    recorded: Pick<RecordedSince, "effective" | "terms"> & {
      readonly sales: readonly {
        readonly terms: Pick<Sale, "id">;
        readonly purchases: readonly StoredPurchase[];
      }[];
    },
  ): Promise<void> {
    const state = this.#state;
    const own = codesBySeq(recorded.sales.flatMap(({ purchases }) => purchases));
    const terms = recorded.terms.values();
    let next = terms.next().value;
    const beginBefore = (attempt: number): void => {
      for (; next !== undefined && next.afterSeq < attempt; next = terms.next().value) {
        this.#beginTerm(next);
      }
    };
    for await (const attempts of recorded.effective) {
      for (const attempt of attempts) {
        beginBefore(attempt.seq);
        applyToSale(state, attempt, own.get(attempt.seq) ?? []);
      }
    }
    beginBefore(Infinity);
    if (state.seq > seq) {
      throw new Error(`attempt ${state.seq} was written while the records were read: not alone`);
    }
    state.seq = seq;
    for (const {
      terms: { id },
      purchases,
    } of recorded.sales) {
      const sold = state.sales.get(id)?.soldUnits.length ?? 0;
      const before = this.#compared.get(id) ?? 0;
      this.#compared.set(id, compare(state, id, purchases, { before, sold, upTo: seq }));
    }
    this.#comparedSeq = seq;
  }

  /** Begins a term of the past again, after the attempts that came before it. */
  #beginTerm({ epoch, afterSeq, at }: BegunTerm): void {
    this.#epoch = epoch;
    for (const sale of this.#state.sales.values()) beginTerm(sale, afterSeq, at);
  }

  #applyBatch({ firstSeq, seq, effects, attempts }: LedgerChange & { readonly kind: "batch" }) {
    const state = this.#state;
    if (seq === state.seq) return;
    if (firstSeq !== state.seq + 1) {
      throw new GapError(`attempt ${firstSeq} was told after attempt ${state.seq}`);
    }
    for (const effect of effects) this.#applyEffect(effect);
    for (const [id, made] of attempts) {
      const sale = state.sales.get(id);
      if (sale !== undefined) sale.attempts = made;
    }
    state.seq = seq;
  }

  #applyEffect(effect: Effect): void {
    const state = this.#state;
    switch (effect.word) {
      case "reserved":
      case "offered":
      case "purchased":
      case "released":
        // Of a sale that is settled in the records, and was not yet where this comes from.
        if (state.settled.has(effect.saleId)) return;
        return applyToSale(state, effect, effect.own);
      case "extended":
      case "restocked":
      case "waiting":
      case "left":
      case "offer_lapsed":
        if (state.settled.has(effect.saleId)) return;
        return applyToSale(state, effect, []);
      case "refunded":
        if (state.settled.has(effect.saleId)) return takeBack(state, null, effect);
        return applyToSale(state, effect, []);
      case "sale_changed": {
        const { saleId, startsAt, endsAt, closed } = effect;
        const sale = state.sales.get(saleId);
        if (sale !== undefined) setTimes(sale, { startsAt, endsAt, closed });
        return;
      }
      case "joined":
        if (!state.settled.has(effect.saleId)) rejoin(state, effect);
        return;
      case "queue_changed":
        if (!state.settled.has(effect.saleId)) resetRate(state, effect);
        return;
      case "withdrawn":
        this.#forget(effect.saleId);
        return;
      case "coupon_created":
      case "coupon_changed":
      case "coupon_removed":
      case "claimed":
        return applyToCoupon(state, effect);
      default:
        effect satisfies never;
    }
  }

  async #fillQueues({ tickets, rates }: Pick<Recorded, "tickets" | "rates">): Promise<void> {
    for await (const page of tickets) for (const ticket of page) rejoin(this.#state, ticket);
    for (const rate of rates) resetRate(this.#state, rate);
  }

  #settle(id: number, settledAs: SettledSale): void {
    const state = this.#state;
    const sale = state.sales.get(id);
    if (sale !== undefined) settleSale(state, sale);
    state.settled.set(id, settledAs);
    this.#compared.delete(id);
  }

  /** A sale that was withdrawn; what had lapsed in it where that was decided may be on the books here. */
  #forget(id: number): void {
    const sale = this.#state.sales.get(id);
    if (sale !== undefined) dropSale(this.#state, sale);
    this.#compared.delete(id);
  }
}

/** The codes that each attempt sold, in their order. */
function codesBySeq(purchases: readonly StoredPurchase[]): ReadonlyMap<number, readonly string[]> {
  const found = new Map<number, string[]>();
  for (const { code, seq } of purchases) {
    const codes = found.get(seq);
    if (codes === undefined) found.set(seq, [code]);
    else codes.push(code);
  }
  return found;
}

/** What was on the books at the checkpoint, and what was sold by then. */
function openBooks(state: LedgerState, { terms, attempts, checkpoint, purchases }: RecordedSale) {
  const sale = addSale(state, terms, attempts);
  const sold = purchases.filter(({ seq }) => seq <= checkpoint.seq);
  if (sold.length !== checkpoint.sold) {
    throw disagreement(terms.id, sold.length, checkpoint.sold);
  }
  const units = sold.map((purchase) => soldAsOf(purchase, checkpoint.seq));
  putSold(state, sale, units);
  // In the order of their making: of a buyer's the oldest is sold first, and the youngest told again.
  for (const { due, extendedBy, ...made } of checkpoint.open.toSorted((a, b) => a.seq - b.seq)) {
    reserve(state, sale, made, { due, extendedBy });
  }
  if (sale.live.size !== checkpoint.open.length) {
    throw new Error(`sale ${terms.id}: its checkpoint has more reservations than there may be`);
  }
  for (const line of checkpoint.waiting) waitingListOf(state, sale).add({ ...line });
}

/** A unit sold, as it was at an attempt: what was taken back since is read again. */
function soldAsOf(purchase: StoredPurchase, upTo: number): PutUnit {
  const { itemId, buyer, code, key, request, seq, at, unit, userOrdinal } = purchase;
  const isBack = purchase.refundedBy !== null && purchase.refundedBy <= upTo;
  const refundedBy = isBack ? purchase.refundedBy : null;
  const restocked = isBack && purchase.restocked;
  const sold = { seq, at, unit, userOrdinal, refundedBy, restocked };
  return { seq, code, itemId, buyer, reservedAt: at, key, request, sold };
}

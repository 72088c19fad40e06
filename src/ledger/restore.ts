/**
 * Builds the state from the records: the sales that are not settled, what was on the books when a
 * checkpoint was made, what is sold, and of the journal what changed something since.
 *
 * No clock is asked: the times in the journal may run backwards, as the clocks of its writers did,
 * and the state is the same, for the records say when each term began. At the end the time of the
 * new one is told. Records that contradict themselves throw: the ledger must not sell from them.
 */
import type { Sale } from "./sale.ts";
import { sameBuyer, type Buyer } from "./buyers.ts";
import { addCoupon, rememberClaim, type ClaimMade, type CouponFigures } from "./coupons.ts";
import { buy, end, extend, reserve, sell, sellEnded, type NewReservation } from "./books.ts";
import { beginTerm, expire, lapse, revive } from "./lapses.ts";
import {
  addSale,
  emptyState,
  rememberUse,
  type LedgerState,
  type Reservation,
  type SaleState,
} from "./state.ts";

/** An attempt that changed the state of a sale, as the journal keeps it. */
export type EffectiveAttempt = {
  readonly seq: number;
  readonly at: number;
  readonly word: "reserved" | "purchased" | "released";
  readonly saleId: number;
  readonly itemId: number;
  readonly buyer: Buyer;
  readonly code: string;
  readonly key: string | null;
  readonly request: string | null;
  /** Units bought in one go; null for a purchase of a code. */
  readonly quantity: number | null;
};

/** A reservation that was made to end at `due`, as the records keep it beside the journal. */
export type RecordedExtension = {
  readonly seq: number;
  readonly at: number;
  readonly word: "extended";
  readonly saleId: number;
  readonly code: string;
  readonly due: number;
};

/** A reservation that was on the books when a checkpoint was made. */
export type OpenReservation = NewReservation & Pick<Reservation, "due" | "extendedBy">;

/** A sale as it was on the books at one moment, without what is sold. */
export type Checkpoint = {
  /** The last attempt of which it knows. */
  readonly seq: number;
  /** Units sold by then. */
  readonly sold: number;
  readonly open: readonly OpenReservation[];
};

/** A unit sold, as the records keep it. */
export type StoredPurchase = {
  readonly seq: number;
  readonly at: number;
  readonly itemId: number;
  readonly buyer: Buyer;
  readonly code: string;
  readonly unit: number;
  readonly userOrdinal: number;
  /** The key of the reservation, and of the order when it was bought in one go with others. */
  readonly key: string | null;
  readonly request: string | null;
  readonly orderKey: string | null;
  readonly orderRequest: string | null;
};

/** A sale that is not settled, with all that the records have of it. */
export type RecordedSale = {
  readonly terms: Sale;
  /** Attempts that named it. */
  readonly attempts: number;
  readonly checkpoint: Checkpoint;
  /** In the order of their numbers. */
  readonly purchases: readonly StoredPurchase[];
};

/** When a term began, by its own clock, and after which attempt. */
export type BegunTerm = { readonly afterSeq: number; readonly at: number };

/** Everything that the records have for a new term. */
export type Recorded = {
  /** The last attempt's number and time; 0 before the first. */
  readonly seq: number;
  readonly at: number;
  /** Sales that are over and settled: id to number of items. */
  readonly settled: ReadonlyMap<number, number>;
  readonly sales: readonly RecordedSale[];
  /** The terms since the oldest of the checkpoints, and the one in which that was made, in order. */
  readonly terms: readonly BegunTerm[];
  /** What changed these sales after their checkpoints, in order, some at a time. */
  readonly effective: AsyncIterable<readonly (EffectiveAttempt | RecordedExtension)[]>;
  readonly coupons: AsyncIterable<readonly CouponFigures[]>;
  /** Claims with a key, oldest first. */
  readonly keyedClaims: readonly { readonly key: string; readonly claim: ClaimMade }[];
};

/**
 * @param now the time of the term that begins, ms
 * @throws Error when the records contradict themselves
 */
export async function restore(recorded: Recorded, now: number): Promise<LedgerState> {
  const state = emptyState(recorded.seq, now);
  for (const [id, items] of recorded.settled) state.settled.set(id, items);
  for (const sale of recorded.sales) openBooks(state, sale);
  const soldBy = new Map<number, string[]>();
  for (const { code, seq } of recorded.sales.flatMap(({ purchases }) => purchases)) {
    const codes = soldBy.get(seq);
    if (codes === undefined) soldBy.set(seq, [code]);
    else codes.push(code);
  }
  const terms = new BegunTerms(state, recorded);
  for await (const attempts of recorded.effective) {
    for (const attempt of attempts) {
      terms.beginBefore(attempt.seq);
      apply(state, attempt, soldBy);
    }
  }
  terms.beginBefore(Infinity);
  for (const sale of recorded.sales) compareWithPurchases(state, sale);
  if (state.seq > recorded.seq) {
    throw new Error(`attempt ${state.seq} was written while the records were read: not alone`);
  }
  for await (const coupons of recorded.coupons) {
    for (const coupon of coupons) addCoupon(state, { ...coupon, usedAt: 0, claims: null });
  }
  for (const { key, claim } of recorded.keyedClaims) rememberClaim(state, key, claim);
  state.seq = recorded.seq;
  state.ended.clear();
  state.endedUpTo = recorded.seq;
  for (const sale of state.sales.values()) {
    beginTerm(sale, recorded.seq, now);
    expire(sale, now);
    sale.changes = 0;
  }
  return state;
}

/** Begins the terms of the past again, each after the attempts that came before it. */
class BegunTerms {
  readonly #sales: ReadonlyMap<number, SaleState>;
  readonly #terms: readonly BegunTerm[];
  #begun = 0;

  constructor({ sales }: LedgerState, { terms }: Recorded) {
    this.#sales = sales;
    this.#terms = terms;
  }

  beginBefore(seq: number): void {
    for (;;) {
      const term = this.#terms[this.#begun];
      if (term === undefined || term.afterSeq >= seq) return;
      this.#begun += 1;
      for (const sale of this.#sales.values()) beginTerm(sale, term.afterSeq, term.at);
    }
  }
}

/** What was on the books at the checkpoint, and what was sold by then. */
function openBooks(state: LedgerState, { terms, attempts, checkpoint, purchases }: RecordedSale) {
  const sale = addSale(state, terms, attempts);
  const sold = purchases.filter(({ seq }) => seq <= checkpoint.seq);
  if (sold.length !== checkpoint.sold) {
    throw disagreement(terms.id, sold.length, checkpoint.sold);
  }
  for (const purchase of sold) {
    const { itemId, buyer, code, key, request, seq, at } = purchase;
    const made = { seq, code, itemId, buyer, reservedAt: at, key, request };
    sell(reserve(state, sale, made), seq, at);
  }
  // In the order of their making: of a buyer's the oldest is sold first, and the youngest told again.
  for (const { due, extendedBy, ...made } of checkpoint.open.toSorted((a, b) => a.seq - b.seq)) {
    reserve(state, sale, made, { due, extendedBy });
  }
  if (sale.live.size !== checkpoint.open.length) {
    throw new Error(`sale ${terms.id}: its checkpoint has more reservations than there may be`);
  }
}

/** @param soldBy the codes that each attempt sold, as the purchases say, in their order */
function apply(
  state: LedgerState,
  attempt: EffectiveAttempt | RecordedExtension,
  soldBy: ReadonlyMap<number, readonly string[]>,
): void {
  const { seq, at, saleId, code } = attempt;
  const sale = state.sales.get(saleId);
  if (sale === undefined) throw new Error(`attempt ${seq} names a sale that is not loaded`);
  state.seq = seq;
  // As it was when this was decided: the first of what had lapsed by then is the one that goes.
  revive(sale, at);
  lapse(sale, at);
  const held = state.codes.get(code);
  if (attempt.word === "extended") {
    if (held === undefined) throw new Error(`attempt ${seq} extends ${code}, which nobody holds`);
    extend(held, seq, attempt.due);
    return;
  }
  const { itemId, buyer, key, request, quantity } = attempt;
  const made = { seq, code, itemId, buyer, reservedAt: at, key, request };
  switch (attempt.word) {
    case "reserved":
      reserve(state, sale, made);
      return;
    case "purchased":
      if (quantity !== null) {
        const own = ownAmong(state, made, soldBy.get(seq) ?? []);
        buy(state, sale, made, own, quantity);
      } else if (held === undefined) sellEnded(state, sale, made, seq, at);
      else sell(held, seq, at);
      return;
    case "released":
      // What is not on the books changes nothing on them.
      if (held !== undefined) end(state, held, true);
      return;
    default:
      attempt satisfies never;
  }
}

/**
 * What a buyer had reserved of the units that were bought in one go. Which these are, the purchases
 * say: an earlier version left what the buyer had reserved, and sold other units.
 */
const ownAmong = (
  state: LedgerState,
  { itemId, buyer }: NewReservation,
  codes: readonly string[],
): Reservation[] =>
  codes.flatMap((code) => {
    const of = state.codes.get(code);
    const isOwn = of?.itemId === itemId && sameBuyer(of.buyer, buyer) && of.status !== "sold";
    return isOwn ? [of] : [];
  });

/** The journal and the purchases are written together; they must agree on what is sold. */
function compareWithPurchases(state: LedgerState, { terms, purchases }: RecordedSale): void {
  const sale = state.sales.get(terms.id);
  if (sale === undefined) throw new Error(`sale ${terms.id} is not loaded`);
  if (purchases.length !== sale.soldUnits.length) {
    throw disagreement(terms.id, purchases.length, sale.soldUnits.length);
  }
  for (const purchase of purchases) {
    const unit = state.codes.get(purchase.code);
    if (unit === undefined || !isSameSale(unit, purchase)) {
      throw new Error(
        `sale ${terms.id}: the journal does not say that order ${purchase.seq} sold unit ` +
          `${purchase.unit} of item ${purchase.itemId}. ${advice}`,
      );
    }
    rememberKeys(state, purchase, unit);
  }
}

const isSameSale = ({ itemId, buyer, sold }: Reservation, purchase: StoredPurchase): boolean =>
  sold !== null &&
  sold.seq === purchase.seq &&
  sold.unit === purchase.unit &&
  sold.userOrdinal === purchase.userOrdinal &&
  itemId === purchase.itemId &&
  sameBuyer(buyer, purchase.buyer);

/** Keys of what is sold stand for it for good. */
function rememberKeys(state: LedgerState, purchase: StoredPurchase, of: Reservation): void {
  const { key, request, orderKey, orderRequest } = purchase;
  const uses = [
    [key, request],
    [orderKey, orderRequest],
  ] as const;
  for (const [name, asked] of uses) if (name !== null) rememberUse(state, of, name, asked);
}

const advice = "Run `stampede verify`, and do not sell before the records are mended";

const disagreement = (saleId: number, stored: number, journalled: number): Error =>
  new Error(
    `sale ${saleId}: ${stored} purchases are stored, the journal says ${journalled}. ${advice}`,
  );

/** What PostgreSQL's constraints refuse, of a batch that is about to be added. */
import { buyerId, sameBuyer } from "../../src/ledger/buyers.ts";
import { DeposedError } from "../../src/store/records.ts";
import type {
  AttemptRow,
  ClaimRow,
  CouponRow,
  CouponStep,
  MilestoneRow,
  OfferRow,
  PurchaseRow,
  RefundRow,
  Staged,
  TicketRow,
} from "./rows.ts";
import type { SaleRow } from "./sales.ts";

/** PostgreSQL would have refused this: a bug in the program. */
export class ConstraintError extends Error {
  override name = "ConstraintError";
}

/** The longest that something may be held from the moment of asking, ms. */
const extensionMsMax = 15 * 60_000;

/** What is stored, as far as rows are compared with it. */
type Tables = {
  readonly attempts: ReadonlyMap<number, AttemptRow>;
  readonly sales: ReadonlyMap<number, SaleRow>;
  readonly purchases: ReadonlyMap<string, PurchaseRow>;
  readonly purchasesOf: ReadonlyMap<number, readonly PurchaseRow[]>;
  readonly refunds: readonly RefundRow[];
  readonly coupons: ReadonlyMap<string, CouponRow>;
  readonly claims: ReadonlyMap<string, readonly ClaimRow[]>;
  readonly tickets: ReadonlyMap<number, readonly TicketRow[]>;
  readonly milestones: readonly MilestoneRow[];
  readonly offers: readonly OfferRow[];
};

/** @throws ConstraintError for what PostgreSQL would refuse, and DeposedError for a number twice */
export function checkStaged(tables: Tables, staged: Staged): void {
  checkAttempts(tables, staged);
  checkPurchases(tables, staged);
  checkRefunds(tables, staged);
  checkReserved(tables, staged);
  checkCoupons(tables, staged);
  checkExtensions(tables, staged);
  checkTickets(tables, staged);
  checkJoined(tables, staged);
  checkMilestones(tables, staged);
  checkOffers(tables, staged);
  for (const id of staged.withdrawn) {
    if ((tables.purchasesOf.get(id) ?? []).length > 0)
      throw new ConstraintError("purchases_item_stock");
  }
}

/** A sale that is stored opens once and is over once. */
function checkMilestones(tables: Tables, { milestones }: Staged): void {
  const noted = new Set(tables.milestones.map(({ saleId, word }) => `${saleId} ${word}`));
  for (const { saleId, word } of milestones) {
    if (!tables.sales.has(saleId)) throw new ConstraintError("milestones_sale_id_sales_id_fk");
    if (word === "sold_out") continue;
    if (noted.has(`${saleId} ${word}`)) throw new ConstraintError("milestones_once");
    noted.add(`${saleId} ${word}`);
  }
}

/** The tickets of a sale are numbered without gaps, and a buyer has one, and one after another. */
function checkTickets(tables: Tables, { tickets }: Staged): void {
  const made = new Map<number, TicketRow[]>();
  for (const row of tickets) {
    const { saleId, number, buyer, supersedes } = row;
    if (tables.sales.get(saleId)?.queue == null) throw new ConstraintError("tickets_follow");
    const there = [...(tables.tickets.get(saleId) ?? []), ...(made.get(saleId) ?? [])];
    if (number !== there.length + 1) throw new ConstraintError("tickets_follow");
    const own = there.filter((other) => sameBuyer(other.buyer, buyer));
    if (own.some((other) => other.supersedes === supersedes)) {
      throw new ConstraintError("tickets_one_a_buyer");
    }
    if (supersedes !== null && !own.some((other) => other.number === supersedes)) {
      throw new ConstraintError("tickets_same_buyer");
    }
    made.set(saleId, [...(made.get(saleId) ?? []), row]);
  }
}

/** In a sale with a queue nobody buys who has not joined it. */
function checkJoined(tables: Tables, { purchases, tickets }: Staged): void {
  for (const { saleId, buyer, seq } of purchases) {
    if (tables.sales.get(saleId)?.queue == null) continue;
    const all = [...(tables.tickets.get(saleId) ?? []), ...tickets];
    const has = all.some(
      (of) => of.saleId === saleId && sameBuyer(of.buyer, buyer) && of.seq < seq,
    );
    if (!has) throw new ConstraintError("purchases_joined");
  }
}

/** What is offered is for whoever joined the line, of what they wait for; thrice at most. */
function checkOffers(tables: Tables, { attempts, offers }: Staged): void {
  const news = new Map(attempts.map((row) => [row.seq, row]));
  const names = [...tables.offers, ...offers].map((of) => `${of.joinedBy} ${of.ordinal}`);
  if (new Set(names).size < names.length) throw new ConstraintError("offers_one_after_another");
  for (const { seq, saleId, joinedBy, ordinal } of offers) {
    if (ordinal < 1) throw new ConstraintError("offers_in_bounds");
    if (seq <= joinedBy) throw new ConstraintError("offers_after_joining");
    if (!tables.sales.has(saleId)) throw new ConstraintError("offers_sale_id_sales_id_fk");
    const made = news.get(seq);
    const joined = news.get(joinedBy) ?? tables.attempts.get(joinedBy);
    const isOffer = made?.kind === "offer" && made.outcome === "reserved";
    const isJoined = joined?.kind === "waitlist_join" && joined.outcome === "waiting";
    const isSame = made?.saleId === saleId && joined?.saleId === saleId;
    const isOfItem = joined?.itemId == null || joined.itemId === made?.itemId;
    const [buyer, waits] = [made?.buyer, joined?.buyer];
    const isBuyer = buyer != null && waits != null && sameBuyer(buyer, waits);
    if (!isOffer || !isJoined || !isSame || !isOfItem || !isBuyer || buyer.kind === "guest") {
      throw new ConstraintError("offers_waited_for");
    }
  }
}

function checkAttempts(tables: Tables, { attempts }: Staged): void {
  for (const { seq } of attempts) {
    if (tables.attempts.has(seq)) throw new DeposedError(`attempt ${seq} is there already`);
  }
}

function checkRefunds(tables: Tables, { refunds }: Staged): void {
  const codes = new Set<string>();
  for (const { seq, order, codes: taken } of refunds) {
    for (const code of taken) {
      const row = tables.purchases.get(code);
      if (codes.has(code) || (row?.refundedBy ?? null) !== null) {
        throw new ConstraintError("purchases_refunded_once");
      }
      if (row !== undefined && row.seq >= seq)
        throw new ConstraintError("purchases_refunded_after");
      codes.add(code);
    }
    if (taken.length === 0) throw new ConstraintError("refunds_units_positive");
    if (order >= seq) throw new ConstraintError("refunds_after_order");
  }
  const keyed = [...tables.refunds, ...refunds].filter(({ key }) => key !== null);
  const names = keyed.map(({ by, key }) => JSON.stringify([by.kind, by.name, key]));
  if (new Set(names).size < names.length) throw new ConstraintError("activity_key_once");
}

function checkPurchases(tables: Tables, { purchases, refunds, restocks }: Staged): void {
  const added = (saleId: number, itemId: number): number =>
    restocks
      .filter((of) => of.saleId === saleId && of.itemId === itemId)
      .reduce((sum, { units }) => sum + units, 0);
  // What is taken back in the same batch has left its numbers.
  const back = new Map(refunds.flatMap((of) => of.codes.map((code) => [code, of] as const)));
  const isOwned = ({ code, refundedBy }: PurchaseRow) => refundedBy === null && !back.has(code);
  const isFreed = ({ code, restocked }: PurchaseRow) => back.get(code)?.restocked ?? restocked;
  const units = new Set<string>();
  const ordinals = new Set<string>();
  const codes = new Set<string>();
  for (const row of purchases) {
    const { saleId, itemId, unit, userOrdinal, buyer, code } = row;
    const sale = tables.sales.get(saleId);
    const before = sale?.items.find(({ id }) => id === itemId)?.stock;
    const stock = (before ?? 0) + added(saleId, itemId);
    if (sale === undefined || before === undefined || row.itemStock > stock) {
      throw new ConstraintError("purchases_item_stock");
    }
    if (row.userLimit !== sale.perUserLimit) throw new ConstraintError("purchases_sale_limit");
    if (unit < 1 || unit > row.itemStock) throw new ConstraintError("purchases_unit_in_stock");
    if (userOrdinal < 1 || userOrdinal > sale.perUserLimit) {
      throw new ConstraintError("purchases_user_in_limit");
    }
    const stored = tables.purchasesOf.get(saleId) ?? [];
    const isUnit = (other: PurchaseRow) =>
      other.itemId === itemId && other.unit === unit && !isFreed(other);
    if (stored.some(isUnit)) throw new ConstraintError("purchases_unit_once");
    const isOrdinal = (other: PurchaseRow) =>
      other.userOrdinal === userOrdinal && sameBuyer(other.buyer, buyer) && isOwned(other);
    if (stored.some(isOrdinal)) throw new ConstraintError("purchases_buyer_ordinal_once");
    if (tables.purchases.has(code)) throw new ConstraintError("purchases_code_once");
    units.add(`${saleId} ${itemId} ${unit}`);
    ordinals.add(`${saleId} ${userOrdinal} ${buyerId(buyer)}`);
    codes.add(code);
  }
  if (units.size < purchases.length) throw new ConstraintError("purchases_unit_once");
  if (ordinals.size < purchases.length) {
    throw new ConstraintError("purchases_buyer_ordinal_once");
  }
  if (codes.size < purchases.length) throw new ConstraintError("purchases_code_once");
}

/** What is sold is what was reserved, of the same item, by the same buyer and under the same code. */
function checkReserved(tables: Tables, { attempts, purchases }: Staged): void {
  const news = new Map(attempts.map((row) => [row.seq, row]));
  for (const { saleId, itemId, buyer, code, seq, reservedSeq } of purchases) {
    const of = news.get(reservedSeq) ?? tables.attempts.get(reservedSeq);
    const isReserved =
      of?.outcome === "reserved"
        ? of.code === code
        : of?.outcome === "purchased" && of.kind === "buy" && of.seq === seq;
    const isSame = of?.saleId === saleId && of.itemId === itemId;
    if (!isReserved || !isSame || of.buyer === null || !sameBuyer(of.buyer, buyer)) {
      throw new ConstraintError("purchases_reserved");
    }
  }
}

/** The coupons as they are after a batch. @throws ConstraintError */
export function couponsAfter(
  before: ReadonlyMap<string, CouponRow>,
  steps: readonly CouponStep[],
): Map<string, CouponRow> {
  const after = new Map(before);
  for (const step of steps) {
    if (step.is === "made") {
      if (after.has(step.row.name)) throw new ConstraintError("coupons_name_once");
      if (after.values().some(({ id }) => id === step.row.id))
        throw new ConstraintError("coupons_pkey");
      after.set(step.row.name, step.row);
    } else if (step.is === "removed") after.delete(step.name);
    else {
      const row = after.get(step.name);
      if (row !== undefined) after.set(step.name, { ...row, ...step.to });
    }
  }
  return after;
}

function checkCoupons(tables: Tables, { coupons, claims }: Staged): void {
  const after = couponsAfter(tables.coupons, coupons);
  for (const { name, amount, remaining, startsAt, endsAt } of after.values()) {
    if (remaining < 0 || remaining > amount) throw new ConstraintError("coupons_remaining");
    if (startsAt !== null && endsAt !== null && startsAt >= endsAt) {
      throw new ConstraintError("coupons_window");
    }
    const stored = tables.claims.get(name) ?? [];
    if (stored.some(({ ordinal }) => ordinal > amount)) {
      throw new ConstraintError("coupons_amount_claimed");
    }
  }
  for (const [name, stored] of tables.claims) {
    if (stored.length > 0 && !after.has(name)) throw new ConstraintError("claims_coupon");
  }
  const seen = new Set<string>();
  for (const { coupon, ordinal, buyer, seq, at } of claims) {
    const of = after.get(coupon);
    if (of === undefined) throw new ConstraintError("claims_coupon");
    if (ordinal < 1 || ordinal > of.amount) throw new ConstraintError("claims_in_amount");
    const isOut = of.disabled || at < (of.startsAt ?? at) || at >= (of.endsAt ?? Infinity);
    if (isOut && seq > (of.changedSeq ?? Infinity)) {
      throw new ConstraintError("claims_while_active");
    }
    const stored = tables.claims.get(coupon) ?? [];
    if (stored.some((other) => other.ordinal === ordinal)) throw new ConstraintError("claims_pkey");
    if (stored.some((other) => sameBuyer(other.buyer, buyer))) {
      throw new ConstraintError("claims_one_a_buyer");
    }
    for (const name of [`${ordinal} of ${coupon}`, `${buyerId(buyer)} has ${coupon}`]) {
      if (seen.has(name)) throw new ConstraintError("claims_pkey or claims_one_a_buyer");
      seen.add(name);
    }
  }
}

function checkExtensions(tables: Tables, { extensions }: Staged): void {
  for (const { saleId, at, due } of extensions) {
    const sale = tables.sales.get(saleId);
    if (sale === undefined) throw new ConstraintError("extensions_sale_ttl");
    const longest = Math.max(extensionMsMax, sale.reservationTtlMs);
    if (due <= at || due - at > longest) throw new ConstraintError("extensions_in_bounds");
  }
}

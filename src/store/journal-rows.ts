/**
 * What each kind of row in a batch is made of: a statement and its values come from one description,
 * column by column.
 */
import { integerMax } from "./integer.ts";
import { none, type Element } from "./rows.ts";

/** Of the batch, in every kind of row: its first number is $1, its time $2, its session $3. */
export const ofAttempt = { seq: "$1::bigint + nth", at: "$2::timestamptz" };

/** Refused checkouts of guests: most rows of a flood. */
export const refusal = {
  into: "attempts",
  columns: { nth: "int", outcome: "outcome_word", sale_id: "int", item_id: "int", user_id: "text" },
  derived: { ...ofAttempt, kind: "'checkout'", buyer: "'guest'" },
} as const;
/** Refused checkouts of those who are known. */
export const buyerRefusal = {
  into: "attempts",
  columns: { ...refusal.columns, buyer: "buyer_kind" },
  derived: { ...ofAttempt, kind: "'checkout'" },
} as const;
/** Attempts that have to do with a code. */
export const attempt = {
  into: "attempts",
  columns: {
    nth: "int",
    kind: "attempt_kind",
    outcome: "outcome_word",
    sale_id: "int",
    item_id: "int",
    buyer: "buyer_kind",
    user_id: "text",
    code: "uuid",
    idempotency_key: "text",
    request: "text",
  },
  derived: ofAttempt,
} as const;
/** Attempts of which the number of units is part. */
export const bulk = {
  into: "attempts",
  columns: { ...attempt.columns, quantity: "int" },
  derived: ofAttempt,
} as const;
/** Attempts that have to do with a coupon. */
export const couponAttempt = {
  into: "attempts",
  columns: {
    nth: "int",
    kind: "attempt_kind",
    outcome: "outcome_word",
    buyer: "buyer_kind",
    user_id: "text",
    coupon_name: "text",
    idempotency_key: "text",
  },
  derived: ofAttempt,
} as const;
/**
 * The same of commands that came over the link, with the ids that they had on it: who asks without
 * it pays nothing for them.
 */
export const askedRefusal = {
  ...refusal,
  columns: { ...refusal.columns, asked: "bigint" },
} as const;
export const askedBuyerRefusal = {
  ...buyerRefusal,
  columns: { ...buyerRefusal.columns, asked: "bigint" },
} as const;
export const askedAttempt = {
  ...attempt,
  columns: { ...attempt.columns, asked: "bigint" },
} as const;
export const askedBulk = { ...bulk, columns: { ...bulk.columns, asked: "bigint" } } as const;
export const askedCouponAttempt = {
  ...couponAttempt,
  columns: { ...couponAttempt.columns, asked: "bigint" },
} as const;
/** Units that are taken back. Others may be sold under their numbers in the same batch. */
export const takenBack = {
  update: "purchases",
  key: "code",
  columns: { code: "uuid", refunded_seq: "bigint", freed_seq: "bigint" },
} as const;
export const purchase = {
  into: "purchases",
  columns: {
    nth: "int",
    sale_id: "int",
    item_id: "int",
    unit: "int",
    item_stock: "int",
    buyer: "buyer_kind",
    user_id: "text",
    user_ordinal: "int",
    user_limit: "int",
    code: "uuid",
    reserved_seq: "bigint",
    idempotency_key: "text",
    request: "text",
    order_key: "text",
    order_request: "text",
  },
  derived: { seq: ofAttempt.seq, purchased_at: ofAttempt.at },
} as const;
export const extension = {
  into: "extensions",
  columns: { nth: "int", sale_id: "int", code: "uuid", due: "timestamptz" },
  derived: {
    seq: ofAttempt.seq,
    extended_at: ofAttempt.at,
    reservation_ttl_ms: "(select reservation_ttl_ms from sales where sales.id = given.sale_id)",
  },
} as const;
export const refund = {
  into: "refunds",
  columns: { nth: "int", order_seq: "bigint", sale_id: "int", units: "int", restocked: "boolean" },
  derived: { seq: ofAttempt.seq, refunded_at: ofAttempt.at },
} as const;
/** Who has changed something. */
export const activity = {
  into: "activity",
  columns: {
    nth: "int",
    actor: "actor_kind",
    who: "text",
    what: "text",
    before: "text",
    after: "text",
    idempotency_key: "text",
    request: "text",
  },
  derived: { attempt: ofAttempt.seq, at: ofAttempt.at },
} as const;
/** What of a coupon can change. */
const couponColumns = {
  id: "int",
  amount: "int",
  remaining_amount: "int",
  starts_at: "timestamptz",
  ends_at: "timestamptz",
  disabled: "boolean",
  changed_seq: "bigint",
} as const;
export const coupon = {
  into: "coupons",
  columns: { nth: "int", name: "text", ...couponColumns },
  derived: { seq: ofAttempt.seq, created_at: ofAttempt.at },
} as const;
export const claim = {
  into: "claims",
  columns: {
    nth: "int",
    buyer: "buyer_kind",
    user_id: "text",
    coupon_name: "text",
    ordinal: "int",
    coupon_amount: "int",
    idempotency_key: "text",
  },
  derived: { seq: ofAttempt.seq, claimed_at: ofAttempt.at },
} as const;
export const changedSale = {
  update: "sales",
  key: "id",
  columns: {
    id: "int",
    starts_at: "timestamptz",
    ends_at: "timestamptz",
    closed: "boolean",
    title: "text",
    end_by_hand: "boolean",
  },
  becomes: {
    title: "coalesce(given.title, sales.title)",
    end_by_hand: "sales.end_by_hand or given.end_by_hand",
  },
} as const;
/** An item as it is at the end of the batch. */
export const restockedItem = {
  update: "items",
  key: "id",
  columns: { id: "int", sale_id: "int", stock: "int" },
  also: "items.sale_id = given.sale_id",
} as const;
/**
 * Those of a sale that is withdrawn: a clock that was ahead may have opened it, and been set back since.
 * They refer to the sale, and go in the same statement.
 */
export const withdrawnExtensions = {
  delete: "extensions",
  key: "sale_id",
  columns: { sale_id: "int" },
} as const;
/** With its items and how its queue is drawn, by PostgreSQL; of its tickets, see `stray-tickets.ts`. */
export const withdrawnSale = { delete: "sales", key: "id", columns: { id: "int" } } as const;
/** One that was changed, as it is at the end of the batch. */
export const couponTerms = { update: "coupons", key: "id", columns: couponColumns } as const;
export const removedCoupon = { delete: "coupons", key: "id", columns: { id: "int" } } as const;
/** One that was claimed, and nothing else. */
export const couponFigure = {
  update: "coupons",
  key: "id",
  columns: { id: "int", remaining_amount: "int" },
} as const;

/** What an attempt may lack. */
export const nothing = {
  item_id: none,
  buyer: none,
  user_id: none,
  code: none,
  idempotency_key: none,
  request: none,
} satisfies Record<string, Element>;

/** An item number that no sale can have is not storable; the attempt is, without it. */
export const storableItem = (item: number): Element => (item > integerMax ? none : item);

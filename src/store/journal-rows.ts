/**
 * What each kind of row in a batch is made of: a statement and its values come from one description,
 * column by column.
 */

/** Of the batch, in every kind of row: its first number is $1, its time $2, its session $3. */
const ofAttempt = { seq: "$1::bigint + nth", at: "$2::timestamptz" };

/** Refused checkouts of guests: most rows of a flood. */
export const refusal = {
  into: "attempts",
  columns: { nth: "int", outcome: "outcome_word", sale_id: "int", item_id: "int", user_id: "text" },
  derived: { ...ofAttempt, kind: "'checkout'", buyer: "'guest'" },
} as const;
/** Attempts that have to do with a code, or with a buyer who is none of the guests. */
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
  derived: { seq: ofAttempt.seq, extended_at: ofAttempt.at },
} as const;
export const coupon = {
  into: "coupons",
  columns: { nth: "int", id: "int", name: "text", amount: "int", remaining_amount: "int" },
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
export const saleEnd = {
  update: "sales",
  key: "id",
  columns: { id: "int", ends_at: "timestamptz", closed: "boolean" },
} as const;
export const couponFigure = {
  update: "coupons",
  key: "id",
  columns: { id: "int", remaining_amount: "int" },
} as const;

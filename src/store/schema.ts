/**
 * The records. The constraints here are the second net below the ledger: PostgreSQL itself
 * refuses a unit sold twice, a unit beyond the stock, a code used twice and a purchase
 * beyond a user's limit. `attempts` is partitioned by sequence range, which drizzle cannot
 * say; the migration does.
 */
import { sql } from "drizzle-orm";
import {
  type AnyPgColumn,
  bigint,
  boolean,
  check,
  foreignKey,
  index,
  integer,
  pgEnum,
  pgTable,
  primaryKey,
  text,
  unique,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";
import { products, time } from "./schema-shop.ts";
import { attemptKinds, outcomeWords } from "./words.ts";

export const saleKind = pgEnum("sale_kind", ["hourly", "product"]);
export const saleEntry = pgEnum("sale_entry", ["open", "queue"]);

/** The kinds of `ledger/buyers.ts`. */
export const buyerKind = pgEnum("buyer_kind", ["guest", "account", "customer"]);

export const attemptKind = pgEnum("attempt_kind", attemptKinds);
export const outcomeWord = pgEnum("outcome_word", outcomeWords);

/** Which process leads, for how many-eth time somebody does, and where it is reached. One row. */
export const leader = pgTable(
  "leader",
  {
    id: integer("id").primaryKey().default(1),
    epoch: bigint("epoch", { mode: "number" }).notNull(),
    url: text("url").notNull(),
    since: time("since").notNull(),
    /** Which process it is, and where it listens for others. */
    instance: text("instance"),
    link: text("link"),
    /** The last attempt that there was when the journal rested: the audit misses it where it is gone. */
    lastSeq: bigint("last_seq", { mode: "number" }),
  },
  (t) => [check("leader_is_one_row", sql`${t.id} = 1`)],
);

/** When each term began, by its leader's clock, and after which attempt; the next may be earlier. */
export const terms = pgTable("terms", {
  epoch: bigint("epoch", { mode: "number" }).primaryKey(),
  afterSeq: bigint("after_seq", { mode: "number" }).notNull(),
  beganAt: time("began_at").notNull(),
});

/**
 * When a name was taken out of the records, and by what it was replaced; not which it was. What
 * processes keep in memory from before the term is of no use any more.
 */
export const erasures = pgTable("erasures", {
  epoch: bigint("epoch", { mode: "number" }).primaryKey(),
  pseudonym: text("pseudonym").notNull(),
  erasedAt: time("erased_at").notNull().defaultNow(),
});

export const sales = pgTable(
  "sales",
  {
    id: integer("id").primaryKey().generatedAlwaysAsIdentity(),
    kind: saleKind("kind").notNull(),
    title: text("title").notNull(),
    startsAt: time("starts_at").notNull(),
    endsAt: time("ends_at").notNull(),
    /** Ended by hand: it is over whatever a clock says. */
    closed: boolean("closed").notNull().default(false),
    /** Somebody has moved its end: the schedule leaves it where it is. */
    endByHand: boolean("end_by_hand").notNull().default(false),
    perUserLimit: integer("per_user_limit").notNull(),
    reservationTtlMs: integer("reservation_ttl_ms").notNull(),
    entry: saleEntry("entry").notNull().default("open"),
    admitPerSecond: integer("admit_per_second"),
    passTtlMs: integer("pass_ttl_ms"),
    /** SHA-256 of the seed that its queue is drawn by, in hex, as it was told to everybody. */
    commitment: text("commitment"),
    /**
     * SHA-256 of what was announced, in hex: see `announced.ts`. What differs from it an attempt after
     * `announcedAfterSeq` says. Null for sales that were over before anybody noted it.
     */
    announced: text("announced"),
    announcedAfterSeq: bigint("announced_after_seq", { mode: "number" }),
    /** Item numbers given so far; one that was taken out again stays without an item. */
    itemCount: integer("item_count").notNull(),
    /** The last attempt that was made before this sale was stored: none up to it is on this sale. */
    storedAfterSeq: bigint("stored_after_seq", { mode: "number" }).notNull().default(0),
    /** Attempts that named this sale, counted up to the attempt numbered `attempts_seq`. */
    attempts: bigint("attempts", { mode: "number" }).notNull().default(0),
    attemptsSeq: bigint("attempts_seq", { mode: "number" }).notNull().default(0),
    /** Over for good, and its attempts counted for the last time. */
    settled: boolean("settled").notNull().default(false),
  },
  (t) => [
    uniqueIndex("sales_one_an_hour")
      .on(t.kind, t.startsAt)
      .where(sql`${t.kind} = 'hourly'`),
    index("sales_by_end").on(t.endsAt),
    unique("sales_limit").on(t.id, t.perUserLimit),
    unique("sales_ttl").on(t.id, t.reservationTtlMs),
    unique("sales_commitment").on(t.id, t.commitment),
    check("sales_window", sql`${t.startsAt} < ${t.endsAt}`),
    check("sales_limit_positive", sql`${t.perUserLimit} > 0`),
    check("sales_queue_rate", sql`(${t.entry} = 'queue') = (coalesce(${t.admitPerSecond}, 0) > 0)`),
    check("sales_queue_pass", sql`(${t.entry} = 'queue') = (coalesce(${t.passTtlMs}, 0) > 0)`),
  ],
);

export const items = pgTable(
  "items",
  {
    // A sale that is withdrawn takes its items along, unless something of them was sold.
    saleId: integer("sale_id")
      .notNull()
      .references(() => sales.id, { onDelete: "cascade" }),
    /** Number within the sale, from 1. */
    id: integer("id").notNull(),
    /** What is sold, in a product sale; the rest is as it was when the sale was announced. */
    productId: integer("product_id").references((): AnyPgColumn => products.id),
    name: text("name").notNull(),
    pictureSeed: text("picture_seed").notNull(),
    priceCents: integer("price_cents").notNull(),
    stock: integer("stock").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.saleId, t.id] }),
    check("items_number", sql`${t.id} > 0`),
    check("items_price", sql`${t.priceCents} >= 0`),
    check("items_stock_positive", sql`${t.stock} > 0`),
  ],
);

/** The journal: one row for everything that was tried, in order, with its outcome. */
export const attempts = pgTable(
  "attempts",
  {
    seq: bigint("seq", { mode: "number" }).primaryKey(),
    at: time("at").notNull(),
    kind: attemptKind("kind").notNull(),
    outcome: outcomeWord("outcome").notNull(),
    saleId: integer("sale_id"),
    itemId: integer("item_id"),
    buyer: buyerKind("buyer"),
    userId: text("user_id"),
    code: uuid("code"),
    idempotencyKey: text("idempotency_key"),
    /** The parameters that the idempotency key stands for. */
    request: text("request"),
    couponName: text("coupon_name"),
    /** Units bought in one step, with consecutive codes from `code` on. */
    quantity: integer("quantity"),
    /** The id that it had on the link, if it came over that: see `link/line.ts`. */
    asked: bigint("asked", { mode: "number" }),
  },
  (t) => [
    check("attempts_buyer", sql`(${t.buyer} is null) = (${t.userId} is null)`),
    // What recovery replays, and the audit counts. Refusals, which are most rows of a flood, are not in it.
    index("attempts_effective")
      .on(t.saleId, t.seq)
      .where(sql`${t.outcome} in ('reserved', 'purchased', 'released', 'extended')`),
    // What else was tried with a code, for the story of an order.
    index("attempts_about_code")
      .on(t.code)
      .where(
        sql`${t.outcome} in ('purchased_again', 'already_purchased', 'code_expired', 'extended')`,
      ),
    // What recovery replays of waiting lists; offers are reservations.
    index("attempts_waiting")
      .on(t.saleId, t.seq)
      .where(sql`${t.outcome} in ('waiting', 'left', 'offer_lapsed')`),
    // What was done to a sale after it was announced.
    index("attempts_after_sale")
      .on(t.saleId, t.seq)
      .where(sql`${t.kind} in ('refund', 'restock', 'change_sale', 'change_queue')`),
    // What others are told of, in order: the rest of that is few, and has tables of its own.
    index("attempts_in_feed")
      .on(t.seq)
      .where(sql`${t.outcome} in ('reserved', 'purchased', 'released', 'claimed')`),
    // What became of a code that the ledger does not hold.
    index("attempts_by_code")
      .on(t.code)
      .where(sql`${t.outcome} in ('reserved', 'released')`),
  ],
);

/**
 * What was sold: one row a unit. A row is never changed, but for being taken back, once: a trigger
 * sees to it. What was taken back and is on sale again leaves its unit's number to the next, and its
 * buyer's number in any case; so nothing is owned twice, and nobody owns more than they may.
 */
export const purchases = pgTable(
  "purchases",
  {
    saleId: integer("sale_id").notNull(),
    itemId: integer("item_id").notNull(),
    /** Number of the unit within its item, from 1 to the item's stock. */
    unit: integer("unit").notNull(),
    itemStock: integer("item_stock").notNull(),
    buyer: buyerKind("buyer").notNull(),
    userId: text("user_id").notNull(),
    /** Number of this purchase within the buyer's in this sale, from 1 to the limit. */
    userOrdinal: integer("user_ordinal").notNull(),
    userLimit: integer("user_limit").notNull(),
    code: uuid("code").notNull(),
    /** The attempt that sold it; it is the order's number. */
    seq: bigint("seq", { mode: "number" }).notNull(),
    /**
     * The attempt that reserved it, which is of the same buyer, item and code: a trigger sees to
     * it. Earlier versions wrote none.
     */
    reservedSeq: bigint("reserved_seq", { mode: "number" }),
    purchasedAt: time("purchased_at").notNull(),
    /** The key of the reservation, and of an order that was bought in one step. */
    idempotencyKey: text("idempotency_key"),
    request: text("request"),
    orderKey: text("order_key"),
    orderRequest: text("order_request"),
    /** The attempt that took it back; null while its buyer owns it. */
    refundedSeq: bigint("refunded_seq", { mode: "number" }),
    /** The same where the unit is on sale again. */
    freedSeq: bigint("freed_seq", { mode: "number" }),
  },
  (t) => [
    // A user, whole or its beginning.
    index("purchases_by_user").on(t.userId.op("text_pattern_ops"), t.seq),
    index("purchases_by_order").on(t.seq),
    // Orders of which something was taken back.
    index("purchases_refunded")
      .on(t.seq)
      .where(sql`${t.refundedSeq} is not null`),
    // What keys stand for once their sale is settled.
    index("purchases_by_key")
      .on(t.userId, t.idempotencyKey)
      .where(sql`${t.idempotencyKey} is not null`),
    index("purchases_by_order_key")
      .on(t.userId, t.orderKey)
      .where(sql`${t.orderKey} is not null`),
    primaryKey({ name: "purchases_code_once", columns: [t.code] }),
    unique("purchases_unit_once").on(t.saleId, t.itemId, t.unit, t.freedSeq).nullsNotDistinct(),
    uniqueIndex("purchases_buyer_ordinal_once")
      .on(t.saleId, t.buyer, t.userId, t.userOrdinal)
      .where(sql`${t.refundedSeq} is null`),
    check("purchases_refunded_after", sql`${t.refundedSeq} > ${t.seq}`),
    check(
      "purchases_freed_by_refund",
      sql`${t.freedSeq} is null or ${t.freedSeq} = ${t.refundedSeq}`,
    ),
    check("purchases_unit_in_stock", sql`${t.unit} between 1 and ${t.itemStock}`),
    check("purchases_user_in_limit", sql`${t.userOrdinal} between 1 and ${t.userLimit}`),
    // That its item has, or had, so many units, a trigger sees to: units may be added.
    foreignKey({
      name: "purchases_item",
      columns: [t.saleId, t.itemId],
      foreignColumns: [items.saleId, items.id],
    }),
    foreignKey({
      name: "purchases_sale_limit",
      columns: [t.saleId, t.userLimit],
      foreignColumns: [sales.id, sales.perUserLimit],
    }),
  ],
);

/**
 * What was held for longer than it was reserved for: one row an extension, written with its attempt.
 * Recovery reads it here, for the journal has no column for an end.
 */
export const extensions = pgTable(
  "extensions",
  {
    /** The attempt that extended it. */
    seq: bigint("seq", { mode: "number" }).primaryKey(),
    saleId: integer("sale_id").notNull(),
    reservationTtlMs: integer("reservation_ttl_ms").notNull(),
    code: uuid("code").notNull(),
    extendedAt: time("extended_at").notNull(),
    /** When it runs out, if its sale does not end before. */
    due: time("due").notNull(),
  },
  (t) => [
    index("extensions_by_sale").on(t.saleId, t.seq),
    foreignKey({
      name: "extensions_sale_ttl",
      columns: [t.saleId, t.reservationTtlMs],
      foreignColumns: [sales.id, sales.reservationTtlMs],
    }),
    // A quarter of an hour from the moment of asking; what had longer from its making keeps it.
    check(
      "extensions_in_bounds",
      sql`${t.due} > ${t.extendedAt} and ${t.due} - ${t.extendedAt}
        <= greatest(interval '15 minutes', ${t.reservationTtlMs} * interval '1 millisecond')`,
    ),
  ],
);

/** What was taken back of an order: one row a refund, written with its attempt. */
export const refunds = pgTable(
  "refunds",
  {
    /** The attempt that took it back. */
    seq: bigint("seq", { mode: "number" }).primaryKey(),
    refundedAt: time("refunded_at").notNull(),
    orderSeq: bigint("order_seq", { mode: "number" }).notNull(),
    saleId: integer("sale_id")
      .notNull()
      .references(() => sales.id),
    units: integer("units").notNull(),
    /** Whether these units are on sale again. */
    restocked: boolean("restocked").notNull(),
  },
  (t) => [
    index("refunds_by_order").on(t.orderSeq),
    index("refunds_by_sale").on(t.saleId, t.seq),
    check("refunds_units_positive", sql`${t.units} > 0`),
    check("refunds_after_order", sql`${t.seq} > ${t.orderSeq}`),
  ],
);

export const coupons = pgTable(
  "coupons",
  {
    id: integer("id").primaryKey(),
    name: text("name").notNull().unique("coupons_name_once"),
    amount: integer("amount").notNull(),
    remainingAmount: integer("remaining_amount").notNull(),
    createdAt: time("created_at").notNull(),
    /** The attempt that made it. */
    seq: bigint("seq", { mode: "number" }).notNull(),
    /** When it can be claimed; without, from its making on, and always. */
    startsAt: time("starts_at"),
    endsAt: time("ends_at"),
    disabled: boolean("disabled").notNull().default(false),
    /** The attempt that changed it last. What is claimed after that is held against it: a trigger sees to it. */
    changedSeq: bigint("changed_seq", { mode: "number" }),
  },
  (t) => [
    check("coupons_window", sql`${t.startsAt} < ${t.endsAt}`),
    check("coupons_amount_positive", sql`${t.amount} > 0`),
    check("coupons_remaining", sql`${t.remainingAmount} between 0 and ${t.amount}`),
    check("coupons_name_length", sql`char_length(${t.name}) between 1 and 255`),
  ],
);

/** Who has claimed what: one row a claim. */
export const claims = pgTable(
  "claims",
  {
    buyer: buyerKind("buyer").notNull(),
    userId: text("user_id").notNull(),
    couponName: text("coupon_name").notNull(),
    /**
     * Number of the claim within its coupon's, from 1 to the amount of then; that it is within the
     * amount of now a trigger sees to.
     */
    ordinal: integer("ordinal").notNull(),
    couponAmount: integer("coupon_amount").notNull(),
    idempotencyKey: text("idempotency_key"),
    seq: bigint("seq", { mode: "number" }).notNull(),
    claimedAt: time("claimed_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.couponName, t.ordinal] }),
    unique("claims_one_a_buyer").on(t.couponName, t.buyer, t.userId),
    foreignKey({
      name: "claims_coupon",
      columns: [t.couponName],
      foreignColumns: [coupons.name],
    }),
    check("claims_in_amount", sql`${t.ordinal} between 1 and ${t.couponAmount}`),
    index("claims_recent_key")
      .on(t.claimedAt)
      .where(sql`${t.idempotencyKey} is not null`),
  ],
);

export * from "./schema-shop.ts";

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
  timestamp,
  unique,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";

const time = (name: string) => timestamp(name, { withTimezone: true, precision: 3 });

export const saleKind = pgEnum("sale_kind", ["hourly", "product"]);

/** The kinds of `ledger/buyers.ts`. */
export const buyerKind = pgEnum("buyer_kind", ["guest", "account", "customer"]);

export const attemptKind = pgEnum("attempt_kind", [
  "checkout",
  "purchase",
  "release",
  "create_coupon",
  "claim",
  "buy",
  "change_sale",
]);

/** The words of `ledger/commands.ts`. */
export const outcomeWord = pgEnum("outcome_word", [
  "reserved",
  "reserved_again",
  "sale_not_found",
  "item_not_found",
  "sale_not_open",
  "item_sold_out",
  "sold_out",
  "item_reserved",
  "user_limit_reached",
  "idempotency_key_reused",
  "purchased",
  "purchased_again",
  "code_not_found",
  "code_expired",
  "sale_ended",
  "released",
  "released_again",
  "already_purchased",
  "coupon_created",
  "coupon_exists",
  "coupon_not_found",
  "claimed",
  "claimed_again",
  "already_claimed",
  "coupon_sold_out",
  "sale_changed",
  "end_not_later",
  "unauthenticated",
  "price_changed",
]);

/** Which process leads, for how many-eth time somebody does, and where it listens. One row. */
export const leader = pgTable(
  "leader",
  {
    id: integer("id").primaryKey().default(1),
    epoch: bigint("epoch", { mode: "number" }).notNull(),
    url: text("url").notNull(),
    since: time("since").notNull(),
  },
  (t) => [check("leader_is_one_row", sql`${t.id} = 1`)],
);

/**
 * When each term began, by the clock of its leader, and after which attempt. Time does not run
 * backwards within a term, but may from one to the next.
 */
export const terms = pgTable("terms", {
  epoch: bigint("epoch", { mode: "number" }).primaryKey(),
  afterSeq: bigint("after_seq", { mode: "number" }).notNull(),
  beganAt: time("began_at").notNull(),
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
    perUserLimit: integer("per_user_limit").notNull(),
    reservationTtlMs: integer("reservation_ttl_ms").notNull(),
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
    check("sales_window", sql`${t.startsAt} < ${t.endsAt}`),
    check("sales_limit_positive", sql`${t.perUserLimit} > 0`),
  ],
);

export const items = pgTable(
  "items",
  {
    saleId: integer("sale_id")
      .notNull()
      .references(() => sales.id),
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
    unique("items_stock").on(t.saleId, t.id, t.stock),
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
  },
  (t) => [
    // What recovery replays. Refusals, which are most rows of a flood, are not in it.
    index("attempts_effective")
      .on(t.saleId, t.seq)
      .where(sql`${t.outcome} in ('reserved', 'purchased', 'released')`),
    // What became of a code that the ledger does not hold.
    index("attempts_by_code")
      .on(t.code)
      .where(sql`${t.outcome} in ('reserved', 'released')`),
  ],
);

/**
 * What a restart has to know of a sale's reservations up to an attempt, so as not to read how they
 * came to be. It follows from the journal, and may be deleted.
 */
export const checkpoints = pgTable("checkpoints", {
  saleId: integer("sale_id")
    .primaryKey()
    .references(() => sales.id),
  /** The last attempt of which it knows. */
  seq: bigint("seq", { mode: "number" }).notNull(),
  /** Units sold by then. */
  sold: integer("sold").notNull(),
  /** What was on the books then, as JSON: see `store/checkpoints.ts`. */
  open: text("open").notNull(),
});

/** What was sold: one row a unit. */
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
    purchasedAt: time("purchased_at").notNull(),
    /** The key of the reservation, and of an order that was bought in one step. */
    idempotencyKey: text("idempotency_key"),
    request: text("request"),
    orderKey: text("order_key"),
    orderRequest: text("order_request"),
  },
  (t) => [
    index("purchases_by_user").on(t.userId, t.seq),
    primaryKey({ columns: [t.saleId, t.itemId, t.unit] }),
    unique("purchases_code_once").on(t.code),
    unique("purchases_buyer_ordinal_once").on(t.saleId, t.buyer, t.userId, t.userOrdinal),
    check("purchases_unit_in_stock", sql`${t.unit} between 1 and ${t.itemStock}`),
    check("purchases_user_in_limit", sql`${t.userOrdinal} between 1 and ${t.userLimit}`),
    foreignKey({
      name: "purchases_item_stock",
      columns: [t.saleId, t.itemId, t.itemStock],
      foreignColumns: [items.saleId, items.id, items.stock],
    }),
    foreignKey({
      name: "purchases_sale_limit",
      columns: [t.saleId, t.userLimit],
      foreignColumns: [sales.id, sales.perUserLimit],
    }),
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
  },
  (t) => [
    unique("coupons_amount").on(t.name, t.amount),
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
    /** Number of the claim within its coupon's, from 1 to the amount. */
    ordinal: integer("ordinal").notNull(),
    couponAmount: integer("coupon_amount").notNull(),
    idempotencyKey: text("idempotency_key"),
    seq: bigint("seq", { mode: "number" }).notNull(),
    claimedAt: time("claimed_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.couponName, t.ordinal] }),
    unique("claims_one_a_buyer").on(t.couponName, t.buyer, t.userId),
    check("claims_in_amount", sql`${t.ordinal} between 1 and ${t.couponAmount}`),
    foreignKey({
      name: "claims_coupon_amount",
      columns: [t.couponName, t.couponAmount],
      foreignColumns: [coupons.name, coupons.amount],
    }),
    index("claims_recent_key")
      .on(t.claimedAt)
      .where(sql`${t.idempotencyKey} is not null`),
  ],
);

export const userRole = pgEnum("user_role", ["user", "admin"]);

export const users = pgTable(
  "users",
  {
    id: integer("id").primaryKey().generatedAlwaysAsIdentity(),
    username: text("username").notNull(),
    /** argon2id, with its parameters and salt. */
    passwordHash: text("password_hash").notNull(),
    /** Goes up with every change of the password. */
    passwordVersion: integer("password_version").notNull().default(1),
    role: userRole("role").notNull().default("user"),
    disabled: boolean("disabled").notNull().default(false),
    createdAt: time("created_at").notNull().defaultNow(),
  },
  // As `sameName` of users.ts has it, whatever the database's locale.
  (t) => [uniqueIndex("users_name_once").on(sql`lower(${t.username} collate "C")`)],
);

/**
 * Logins that count: a token names its row here, and counts as long as the row is there and the
 * password that it began with is its user's.
 */
export const sessions = pgTable(
  "sessions",
  {
    id: uuid("id").primaryKey(),
    userId: integer("user_id")
      .notNull()
      .references(() => users.id, { onDelete: "cascade" }),
    passwordVersion: integer("password_version").notNull().default(1),
    expiresAt: time("expires_at").notNull(),
  },
  (t) => [
    index("sessions_by_user").on(t.userId, t.expiresAt),
    index("sessions_by_end").on(t.expiresAt),
  ],
);

export const products = pgTable(
  "products",
  {
    id: integer("id").primaryKey().generatedAlwaysAsIdentity(),
    name: text("name").notNull(),
    description: text("description").notNull().default(""),
    pictureSeed: text("picture_seed").notNull(),
    priceCents: integer("price_cents").notNull(),
    /** Taken out of the shop; sales and purchases of it stay what they were. */
    deleted: boolean("deleted").notNull().default(false),
    createdAt: time("created_at").notNull().defaultNow(),
  },
  (t) => [check("products_price", sql`${t.priceCents} >= 0`)],
);

/** Keys of merchants' servers, by the hash of their text: see `access/keys.ts`. */
export const apiKeys = pgTable(
  "api_keys",
  {
    id: integer("id").primaryKey().generatedAlwaysAsIdentity(),
    name: text("name").notNull(),
    /** SHA-256 of the text, in hex. */
    hash: text("hash").notNull().unique(),
    /** Words of `scopes` in `store/keys.ts`, with a space between them. */
    scopes: text("scopes").notNull(),
    createdAt: time("created_at").notNull().defaultNow(),
    expiresAt: time("expires_at"),
    lastUsedAt: time("last_used_at"),
    revokedAt: time("revoked_at"),
  },
  (t) => [
    uniqueIndex("api_keys_name_once")
      .on(t.name)
      .where(sql`${t.revokedAt} is null`),
  ],
);

/** What failed logins have used up: see `access/limits.ts`. */
export const loginLimits = pgTable("login_limits", {
  /** What is counted, hashed. */
  key: text("key").primaryKey(),
  fullAt: time("full_at").notNull(),
});

/** Secrets that the program makes for itself once, such as the key of its tokens. */
export const secrets = pgTable("secrets", {
  name: text("name").primaryKey(),
  value: text("value").notNull(),
});

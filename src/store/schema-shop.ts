/**
 * The records of the shop: its accounts, products and keys, who has changed what, and what the program
 * keeps for itself.
 */
import { sql } from "drizzle-orm";
import {
  type AnyPgColumn,
  bigint,
  boolean,
  check,
  customType,
  index,
  integer,
  pgEnum,
  pgTable,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";
import { actorKinds } from "./words.ts";

export const time = (name: string) => timestamp(name, { withTimezone: true, precision: 3 });

/** Drizzle has none of its own. */
const bytea = customType<{ data: Uint8Array<ArrayBuffer> }>({ dataType: () => "bytea" });

export const actorKind = pgEnum("actor_kind", actorKinds);

/** What a shop calls itself and looks like, as far as somebody has set it. One row. */
export const settings = pgTable(
  "settings",
  {
    id: integer("id").primaryKey().default(1),
    name: text("name"),
    currency: text("currency"),
    locale: text("locale"),
    accent: text("accent"),
    logo: text("logo").references((): AnyPgColumn => pictures.digest),
  },
  (t) => [check("settings_is_one_row", sql`${t.id} = 1`)],
);

/** Product sales that nobody has announced. */
export const drafts = pgTable(
  "drafts",
  {
    /** Of the numbers of `sales`: it keeps it when it is announced. */
    id: integer("id").primaryKey(),
    /** Goes up with each change. */
    version: integer("version").notNull().default(1),
    title: text("title").notNull(),
    startsAt: time("starts_at").notNull(),
    endsAt: time("ends_at").notNull(),
    perUserLimit: integer("per_user_limit").notNull(),
    /** Of a queue; null where everybody is to get in at once. */
    admitPerSecond: integer("admit_per_second"),
    passTtlMs: integer("pass_ttl_ms"),
    /** As JSON: see `store/drafts.ts`. */
    items: text("items").notNull(),
  },
  (t) => [
    check("drafts_window", sql`${t.startsAt} < ${t.endsAt}`),
    check("drafts_queue", sql`(${t.admitPerSecond} is null) = (${t.passTtlMs} is null)`),
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
    /** Goes up with every change that ends sessions: of the password, or of the second factor. */
    passwordVersion: integer("password_version").notNull().default(1),
    /** The secret of the second factor, sealed: see `access/second-factor.ts`. Null: it is off. */
    factorSecret: text("factor_secret"),
    /** One that was shown, and has not been confirmed by a code. */
    factorPending: text("factor_pending"),
    /** The time step of the last code that was taken: neither it nor an earlier one is again. */
    factorStep: bigint("factor_step", { mode: "number" }).notNull().default(0),
    /** SHA-256 of the recovery codes that are left, in hex. */
    recoveryHashes: text("recovery_hashes").array().notNull().default([]),
    role: userRole("role").notNull().default("user"),
    disabled: boolean("disabled").notNull().default(false),
    createdAt: time("created_at").notNull().defaultNow(),
  },
  // As `sameName` of users.ts has it, whatever the database's locale.
  (t) => [uniqueIndex("users_name_once").on(sql`lower(${t.username} collate "C")`)],
);

/**
 * Logins that count: a token names its row here, and counts as long as the row is there and its
 * version is its user's.
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

/** Pictures that were given of products, made anew: see `art/photo.ts`. */
export const pictures = pgTable("pictures", {
  /** SHA-256 of the bytes, in hex. */
  digest: text("digest").primaryKey(),
  /** WebP. */
  bytes: bytea("bytes").notNull(),
});

export const products = pgTable(
  "products",
  {
    id: integer("id").primaryKey().generatedAlwaysAsIdentity(),
    name: text("name").notNull(),
    description: text("description").notNull().default(""),
    pictureSeed: text("picture_seed").notNull(),
    /** The picture that was given of it; null: it has the one that is drawn. */
    picture: text("picture").references((): AnyPgColumn => pictures.digest),
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

/** Who has changed what, in the transaction that changed it: one row a change. */
export const activity = pgTable(
  "activity",
  {
    seq: bigint("seq", { mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
    at: time("at").notNull(),
    actor: actorKind("actor").notNull(),
    /** Name of the account, or of the key. */
    who: text("who").notNull(),
    what: text("what").notNull(),
    /** JSON, of what was changed alone; null for what was made, or is gone. */
    before: text("before"),
    after: text("after"),
    /** The attempt that changed it, where one did. */
    attempt: bigint("attempt", { mode: "number" }),
    /** The id of the call that asked for it, where that was no command: see `link/line.ts`. */
    asked: bigint("asked", { mode: "number" }),
    /** The key of the request, and the parameters that it stands for. */
    idempotencyKey: text("idempotency_key"),
    request: text("request"),
  },
  (t) => [
    uniqueIndex("activity_key_once")
      .on(t.actor, t.who, t.idempotencyKey)
      .where(sql`${t.idempotencyKey} is not null`),
    // Nothing that was called for is done twice.
    uniqueIndex("activity_asked_once")
      .on(t.asked)
      .where(sql`${t.asked} is not null`),
    uniqueIndex("activity_by_attempt")
      .on(t.attempt)
      .where(sql`${t.attempt} is not null`),
  ],
);

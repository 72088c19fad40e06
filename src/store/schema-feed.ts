/** The records of what others are told of: see `feed.ts`. What happened is in the journal. */
import { sql } from "drizzle-orm";
import { bigint, check, index, integer, pgTable, text, uniqueIndex } from "drizzle-orm/pg-core";
import { time } from "./schema-shop.ts";
import { outcomeWord, sales } from "./schema.ts";

/**
 * Which sale a milestone is one of: one row for each attempt of that kind. It is not the attempt's own
 * sale, for nobody has tried anything there.
 */
export const milestones = pgTable(
  "milestones",
  {
    /** The attempt. */
    seq: bigint("seq", { mode: "number" }).primaryKey(),
    saleId: integer("sale_id")
      .notNull()
      .references(() => sales.id, { onDelete: "cascade" }),
    word: outcomeWord("word").notNull(),
  },
  (t) => [
    // A sale opens once, and is over once; its last unit may be sold more than once.
    uniqueIndex("milestones_once")
      .on(t.saleId, t.word)
      .where(sql`${t.word} <> 'sold_out'`),
  ],
);

/** Where events are sent to, and up to which one that is done: one cursor an endpoint. */
export const webhooks = pgTable(
  "webhooks",
  {
    id: integer("id").primaryKey().generatedAlwaysAsIdentity(),
    url: text("url").notNull(),
    types: text("types").array().notNull(),
    /** What its deliveries are signed with, sealed: see `access/seals.ts`. */
    secret: text("secret").notNull(),
    /** Null while it is on. */
    offWhy: text("off_why"),
    /** Every event up to this one was answered, or is of no type that it wants. */
    cursor: bigint("cursor", { mode: "number" }).notNull(),
    /** Goes up with every change that somebody makes: what was read before is of no use then. */
    version: integer("version").notNull().default(1),
    /** Of the event after the cursor, those that failed, since when, and when the next one is due. */
    tries: integer("tries").notNull().default(0),
    failingSince: time("failing_since"),
    nextTryAt: time("next_try_at"),
    createdAt: time("created_at").notNull(),
  },
  (t) => [
    check("webhooks_cursor", sql`${t.cursor} >= 0`),
    check("webhooks_types", sql`cardinality(${t.types}) > 0`),
    check("webhooks_failing", sql`(${t.failingSince} is null) = (${t.tries} = 0)`),
  ],
);

/** The last tries of each endpoint. */
export const webhookDeliveries = pgTable(
  "webhook_deliveries",
  {
    id: bigint("id", { mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
    webhookId: integer("webhook_id")
      .notNull()
      .references(() => webhooks.id, { onDelete: "cascade" }),
    /** The event. */
    seq: bigint("seq", { mode: "number" }).notNull(),
    type: text("type").notNull(),
    at: time("at").notNull(),
    /** Null where nobody answered; then `error` says why. */
    status: integer("status"),
    ms: integer("ms").notNull(),
    error: text("error"),
  },
  (t) => [index("webhook_deliveries_by_webhook").on(t.webhookId, t.id)],
);

/**
 * The records of queues: who has joined, how they are drawn and at what rate they are let in. As in
 * `schema.ts`, what must not be PostgreSQL itself refuses.
 */
import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  check,
  foreignKey,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  unique,
  uuid,
} from "drizzle-orm/pg-core";
import { time } from "./schema-shop.ts";
import { buyerKind, sales } from "./schema.ts";

/**
 * How a queue is drawn: 32 random bytes, made when the sale is announced, which nobody is told
 * before it opens, and the hash of them, which everybody is and which the sale has, too. What came of
 * it is noted before anybody is told: how many were drawn, and the digest of their entries. Triggers
 * see to it that none of this is ever another, or gone before its sale.
 */
export const draws = pgTable(
  "draws",
  {
    saleId: integer("sale_id")
      .primaryKey()
      .references(() => sales.id, { onDelete: "cascade" }),
    /** In hex. */
    seed: text("seed").notNull(),
    /** SHA-256 of the bytes, in hex. */
    commitment: text("commitment").notNull(),
    /** Null until it is drawn. SHA-256 of all entries, each followed by a newline, in hex. */
    entriesDigest: text("entries_digest"),
    /** Those of these numbers, from 1, were drawn. */
    drawn: integer("drawn"),
    /** The last attempt that was committed by then. */
    drawnSeq: bigint("drawn_seq", { mode: "number" }),
  },
  (t) => [
    foreignKey({
      name: "draws_promised",
      columns: [t.saleId, t.commitment],
      foreignColumns: [sales.id, sales.commitment],
    }).onDelete("cascade"),
    check("draws_digest", sql`${t.entriesDigest} ~ '^[0-9a-f]{64}$'`),
    check("draws_drawn", sql`num_nulls(${t.entriesDigest}, ${t.drawn}, ${t.drawnSeq}) in (0, 3)`),
    check("draws_seed", sql`${t.seed} ~ '^[0-9a-f]{64}$'`),
    check(
      "draws_committed",
      sql`${t.commitment} = encode(sha256(decode(${t.seed}, 'hex')), 'hex')`,
    ),
  ],
);

/**
 * Who has joined a queue. Whoever joins again, after a pass has ended, has a further one. That the
 * numbers of a sale follow each other, that it has a queue, and that a ticket supersedes one of the
 * same buyer, a trigger sees to: once a statement, for a million may come within a minute.
 */
export const tickets = pgTable(
  "tickets",
  {
    saleId: integer("sale_id").notNull(),
    /** In the order of joining, from 1. */
    number: integer("number").notNull(),
    buyer: buyerKind("buyer").notNull(),
    userId: text("user_id").notNull(),
    /** A secret: whoever has it is let in under that name. */
    ticket: uuid("ticket").notNull(),
    /** The number of the buyer's ticket before it; null for their first. */
    supersedes: integer("supersedes"),
    idempotencyKey: text("idempotency_key"),
    /** The attempt that made it. */
    seq: bigint("seq", { mode: "number" }).notNull(),
    joinedAt: time("joined_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.saleId, t.number] }),
    // By the user first: that decides nearly every comparison.
    unique("tickets_one_a_buyer").on(t.userId, t.saleId, t.buyer, t.supersedes).nullsNotDistinct(),
    check("tickets_number", sql`${t.number} > 0`),
    check("tickets_supersede_earlier", sql`${t.supersedes} < ${t.number}`),
  ],
);

/** How fast a queue is let in from then on, in place of what was announced. */
export const queueRates = pgTable(
  "queue_rates",
  {
    /** The attempt that changed it. */
    seq: bigint("seq", { mode: "number" }).primaryKey(),
    saleId: integer("sale_id")
      .notNull()
      .references(() => sales.id, { onDelete: "cascade" }),
    changedAt: time("changed_at").notNull(),
    admitPerSecond: integer("admit_per_second").notNull(),
    paused: boolean("paused").notNull(),
  },
  (t) => [
    index("queue_rates_by_sale").on(t.saleId, t.seq),
    check("queue_rates_positive", sql`${t.admitPerSecond} > 0`),
  ],
);

/** Challenges that were solved and used: each is good once, whichever process is asked. */
export const spentChallenges = pgTable(
  "spent_challenges",
  {
    challenge: text("challenge").primaryKey(),
    expiresAt: time("expires_at").notNull(),
  },
  (t) => [index("spent_challenges_by_end").on(t.expiresAt)],
);

/**
 * The records of waiting lists. Who waits the journal says; here is what was offered, for PostgreSQL
 * to refuse what must not be: see `schema.ts`.
 */
import { sql } from "drizzle-orm";
import { bigint, check, index, integer, pgTable, unique } from "drizzle-orm/pg-core";
import { sales } from "./schema.ts";

/**
 * A unit that was reserved for somebody who waited: one row an offer, written with its attempt. That
 * it is for whoever joined that line, and of an item that they wait for, a trigger sees to.
 */
export const offers = pgTable(
  "offers",
  {
    /** The attempt that made it. */
    seq: bigint("seq", { mode: "number" }).primaryKey(),
    saleId: integer("sale_id")
      .notNull()
      .references(() => sales.id, { onDelete: "cascade" }),
    /** The attempt that joined the line. */
    joinedSeq: bigint("joined_seq", { mode: "number" }).notNull(),
    /** How often the line had been offered something by then, from 1. */
    ordinal: integer("ordinal").notNull(),
  },
  (t) => [
    index("offers_by_sale").on(t.saleId, t.seq),
    unique("offers_one_after_another").on(t.joinedSeq, t.ordinal),
    check("offers_in_bounds", sql`${t.ordinal} > 0`),
    check("offers_after_joining", sql`${t.seq} > ${t.joinedSeq}`),
  ],
);

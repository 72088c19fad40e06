/** Where sales stood: what a restart begins with. See `schema.ts`. */
import { bigint, integer, pgTable, text } from "drizzle-orm/pg-core";
import { sales } from "./schema.ts";

/**
 * What a restart has to know of a sale up to an attempt: its reservations, when buyers with tickets
 * were active last, and who waits. It follows from the journal, and may be deleted.
 */
export const checkpoints = pgTable("checkpoints", {
  saleId: integer("sale_id")
    .primaryKey()
    .references(() => sales.id, { onDelete: "cascade" }),
  /** The last attempt of which it knows. */
  seq: bigint("seq", { mode: "number" }).notNull(),
  /** Units sold by then. */
  sold: integer("sold").notNull(),
  /** What was on the books then, as JSON: see `store/checkpoints.ts`. */
  open: text("open").notNull(),
  active: text("active").notNull().default("[]"),
  waiting: text("waiting").notNull().default("[]"),
});

/** What can be asked of the life of a sale, and what it answers: see `commands.ts`. */
import type { Actor } from "./commands.ts";

/** Opens a sale that is coming, moves the end of one that is coming or open, or names it anew. */
export type ChangeSale = {
  readonly kind: "change_sale";
  readonly saleId: number;
  /** Whether it opens now. */
  readonly opens: boolean;
  /** ms; `"now"` closes it, null leaves its end where it is. */
  readonly endsAt: number | "now" | null;
  /** What it is called, and was: the ledger knows no titles. Null: it keeps the one it has. */
  readonly title: { readonly from: string; readonly to: string } | null;
  /** Null: the schedule. */
  readonly by: Actor | null;
};

/** Takes back the announcement of a sale that has not opened. */
export type Withdraw = {
  readonly kind: "withdraw";
  readonly saleId: number;
  /** Null: the schedule. */
  readonly by: Actor | null;
};

/** Of an item. */
export const itemUnitsMax = 1_000_000;

/** Adds units of an item to a sale that is open. */
export type Restock = {
  readonly kind: "restock";
  readonly saleId: number;
  readonly itemId: number;
  readonly units: number;
  readonly by: Actor;
};

export type ChangeSaleOutcome =
  | {
      readonly word: "sale_changed";
      readonly saleId: number;
      readonly startsAt: number;
      readonly endsAt: number;
      /** Ended by hand. */
      readonly closed: boolean;
      /** When it was to begin and to end before. */
      readonly before: { readonly startsAt: number; readonly endsAt: number };
    }
  | {
      readonly word:
        "sale_not_found" | "sale_opened" | "sale_not_open" | "sale_ended" | "end_not_later";
      readonly saleId: number;
    };

export type WithdrawOutcome = {
  readonly word: "withdrawn" | "sale_not_found" | "sale_opened";
  readonly saleId: number;
};

export type RestockOutcome =
  | {
      readonly word: "restocked";
      readonly saleId: number;
      readonly itemId: number;
      /** Units of it, before and now. */
      readonly before: number;
      readonly after: number;
    }
  | {
      readonly word:
        "sale_not_found" | "item_not_found" | "sale_not_open" | "sale_ended" | "too_many_units";
      readonly saleId: number;
    };

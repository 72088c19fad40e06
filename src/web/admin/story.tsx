/** Attempts as rows of a table: when, what, and what came of it. */
import { Moment } from "../time.tsx";
import { Badge, type Column, count } from "../ui.tsx";
import { kindOf, outcomeOf } from "./words.ts";

export type Attempt = {
  readonly seq: number;
  readonly at: string;
  readonly kind: string;
  readonly outcome: string;
  readonly sale_id: number | null;
  readonly item_id: number | null;
  readonly user_id: string | null;
  readonly code: string | null;
  readonly coupon_name: string | null;
  readonly quantity: number | null;
};

export const attemptColumns: readonly Column<Attempt>[] = [
  { title: "Number", of: (row) => count(row.seq), figures: true },
  { title: "When", of: (row) => <Moment at={row.at} form="exact" /> },
  { title: "What", of: (row) => kindOf(row.kind) },
  {
    title: "Outcome",
    of: (row) => {
      const { words, tone } = outcomeOf(row.outcome, row.kind);
      return <Badge tone={tone}>{words}</Badge>;
    },
  },
];

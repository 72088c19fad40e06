/** Attempts as rows of a table: when, what, and what came of it. */
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

const exact = new Intl.DateTimeFormat("en", {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "numeric",
  minute: "2-digit",
  second: "2-digit",
  timeZoneName: "short",
});

/** A moment to the second, with its zone. */
export const exactText = (at: string): string => exact.format(new Date(at));
export const Exactly = ({ at }: { readonly at: string }) => (
  <time dateTime={at}>{exactText(at)}</time>
);

export const attemptColumns: readonly Column<Attempt>[] = [
  { title: "Number", of: (row) => count(row.seq), figures: true },
  { title: "When", of: (row) => <Exactly at={row.at} /> },
  { title: "What", of: (row) => kindOf(row.kind) },
  {
    title: "Outcome",
    of: (row) => {
      const { words, tone } = outcomeOf(row.outcome);
      return <Badge tone={tone}>{words}</Badge>;
    },
  },
];

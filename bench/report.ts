/** Figures as a person reads them: medians, tables, targets. */
import type { Verdict } from "./scenario.ts";

/** NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** The value below which `share` (0 to 1) of them lie; NaN of nothing. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export type Target = { readonly is: "≥" | "≤" | "<"; readonly bound: number };

export function meets(value: number, { is, bound }: Target): boolean {
  switch (is) {
    case "≥":
      return value >= bound;
    case "≤":
      return value <= bound;
    case "<":
      return value < bound;
    default:
      return is satisfies never;
  }
}

/** A measure, its unit and what it should be, if that is settled. */
export type Measure = {
  readonly what: string;
  readonly value: number;
  readonly digits: number;
  readonly unit: string;
  readonly target?: Target;
};

/** One line a measure: what, value, target, whether it is met. */
export function measureTable(measures: readonly Measure[]): string[] {
  return table(
    ["", "measured", "target", ""],
    measures.map(({ what, value, digits, unit, target }) => {
      const measured = `${number(value, digits)} ${unit}`.trim();
      if (target === undefined) return [what, measured, "", ""];
      const wanted = `${target.is} ${target.bound} ${unit}`.trim();
      return [what, measured, wanted, word(meets(value, target))];
    }),
  );
}

export function verdictsOf(measures: readonly Measure[]): Verdict[] {
  return measures.flatMap(({ what, value, target }) =>
    target === undefined ? [] : [{ what, met: meets(value, target) }],
  );
}

export const word = (met: boolean): string => (met ? "met" : "MISSED");

/** Columns aligned: the first to the left, the others to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => width(row[column] ?? ""))));
  return all.map((row) =>
    widths
      .map((wide, column) => {
        const text = row[column] ?? "";
        const space = " ".repeat(wide - width(text));
        return column === 0 ? text + space : space + text;
      })
      .join("   ")
      .trimEnd(),
  );
}

const width = (text: string): number => Bun.stringWidth(text);

/** The median, and between which the others lie, if they differ: `41,300 (39,800–42,100)`. */
export function withSpread(values: readonly number[], digits = 0): string {
  const middle = number(median(values), digits);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return least === most ? middle : `${middle} (${number(least, digits)}–${number(most, digits)})`;
}

/** With thousands apart; "–" for what was not measured. */
export function number(value: number, digits = 0): string {
  if (!Number.isFinite(value)) return "–";
  return value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

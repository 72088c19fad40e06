/** Rows of a table as lines for a terminal, each column as wide as its widest cell. */
export function tableLines(rows: readonly (readonly string[])[]): string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, i) =>
    Math.max(...rows.map((row) => row[i]?.length ?? 0)),
  );
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

/** A moment to the minute, in UTC; `otherwise` for none. */
export const minuteOf = (date: Date | null, otherwise: string): string =>
  date === null ? otherwise : date.toISOString().slice(0, 16).replace("T", " ");

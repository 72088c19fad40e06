/**
 * How long answers took, as counts in cells that are 2 % wide: of a million answers as small as of
 * ten, and exact enough for any percentile. The slowest is kept as it is.
 */
import { z } from "zod";

/** Cells for each doubling; the first one is of a microsecond. */
const cellsPerDoubling = 32;

export const latenciesSchema = z.object({
  count: z.int(),
  maxMs: z.number(),
  /** A cell and how many are in it, in order. */
  cells: z.array(z.tuple([z.int(), z.int()])),
});
export type Latencies = z.output<typeof latenciesSchema>;

const cellOf = (ms: number): number =>
  Math.max(0, Math.round(Math.log2(ms * 1000) * cellsPerDoubling));
const msOf = (cell: number): number => 2 ** (cell / cellsPerDoubling) / 1000;

export class LatencyCounts {
  readonly #counts: number[] = [];
  #count = 0;
  #maxMs = 0;

  note(ms: number): void {
    const cell = cellOf(ms);
    this.#counts[cell] = (this.#counts[cell] ?? 0) + 1;
    this.#count += 1;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  report(): Latencies {
    const cells: [number, number][] = [];
    // A hole is passed over.
    // oxlint-disable-next-line unicorn/no-array-for-each
    this.#counts.forEach((count, cell) => cells.push([cell, count]));
    return { count: this.#count, maxMs: this.#maxMs, cells };
  }
}

/**
 * @param share of the answers, 0 to 1, that took no longer
 * @returns ms; NaN of nothing
 */
export function percentile({ count, maxMs, cells }: Latencies, share: number): number {
  if (count === 0) return Number.NaN;
  const wanted = share * count;
  let seen = 0;
  for (const [cell, n] of cells) {
    seen += n;
    if (seen >= wanted) return Math.min(msOf(cell), maxMs);
  }
  return maxMs;
}

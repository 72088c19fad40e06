/**
 * Judges what is noted of sales by itself: that each opens once, before anybody has something of it,
 * and is over once, after that; and that its last unit was sold, each time, in the batch that did it.
 */
import type { Milestone, Outcome } from "../../src/ledger/commands.ts";
import type { History } from "./history.ts";
import { sum } from "./lists.ts";

type Word = Milestone["what"];

export class NotedLives {
  readonly #noted = new Map<number, Set<Word>>();
  /** Sales whose last unit was sold in this batch. */
  #soldOut: number[] = [];

  /** A milestone, by itself. */
  judge(history: History, { saleId, what }: Milestone): string | null {
    const sale = history.sales.get(saleId);
    if (sale === undefined) return "there is no such sale";
    if (what === "sold_out") {
      if (this.#soldOut.shift() !== saleId) return "its last unit was not sold in this batch";
      return null;
    }
    const noted = this.#noted.get(saleId) ?? new Set();
    this.#noted.set(saleId, noted);
    if (noted.has(what)) return "it is noted twice";
    noted.add(what);
    if (what === "sale_ended" && !noted.has("sale_opened")) return "it has not opened";
    if (history.isStale) return null;
    const now = history.at;
    if (what === "sale_ended") return history.isOver(sale, now) ? null : "it is not over";
    return sale.closed || now >= sale.startsAt ? null : "it does not open yet";
  }

  /** Told of every attempt after it was judged. */
  take(history: History, outcome: Outcome): string | null {
    const unit =
      outcome.word === "reserved"
        ? outcome.reservation
        : outcome.word !== "purchased"
          ? undefined
          : "units" in outcome
            ? outcome.units[0]
            : outcome.of;
    if (unit === undefined) return null;
    const { saleId } = unit;
    const sale = history.sales.get(saleId);
    if (sale === undefined) return null;
    const isLast = history.goneIn(saleId).length === sum(sale.stock);
    if (outcome.word === "purchased" && isLast) this.#soldOut.push(saleId);
    return this.#noted.get(saleId)?.has("sale_opened") === true
      ? null
      : "somebody has something of a sale before it is noted that it has opened";
  }

  /** What has happened to a sale by a time, and nobody has noted. */
  owed(history: History, now: number): string | null {
    for (const sale of history.sales.values()) {
      if (!history.isThere(sale) || sale.previous !== null || now < sale.startsAt) continue;
      const noted = this.#noted.get(sale.id);
      // Nobody was there while it was open.
      if (noted === undefined && history.isForgotten(sale)) continue;
      const wanted: Word = history.isOver(sale, now) ? "sale_ended" : "sale_opened";
      if (noted?.has(wanted) !== true) return `it is not noted of sale ${sale.id}: ${wanted}`;
    }
    return null;
  }

  endOfBatch(): string | null {
    const [missing] = this.#soldOut.splice(0);
    return missing === undefined ? null : `it is not noted that sale ${missing} is sold out`;
  }
}

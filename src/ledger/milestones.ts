/**
 * What happens to a sale by itself, and somebody may want to know of: it opens, it is over, every unit
 * of it is sold. Each is an attempt of its own, which the writer makes and nobody asks for: so it has
 * a number in the journal, after what has brought it about and before whatever follows.
 */
import type { Outcome } from "./commands.ts";
import { isOver, soldIn, type LedgerState } from "./state.ts";

export type Milestone = {
  readonly kind: "milestone";
  readonly saleId: number;
  readonly what: MilestoneOutcome["word"];
};

export type MilestoneOutcome = {
  readonly word: "sale_opened" | "sale_ended" | "sold_out";
  readonly saleId: number;
};

/** How far the journal has noted a sale's life. */
export type NotedLife = "opened" | "ended";

const none: readonly Milestone[] = [];

/** Those of a term: which are noted, and which are due. */
export class Milestones {
  readonly #noted: Map<number, NotedLife>;
  /** Sales whose last unit was sold, and of which that is not noted. */
  #soldOut: number[] = [];
  /** Sales that were over before anybody who led could note it. */
  #past: readonly number[];
  /** Before this time nothing opens or ends, ms. */
  #quietUntil = -Infinity;

  /** @param noted by the journal, of the sales that are held, and of others of which the end is not */
  constructor(noted: ReadonlyMap<number, NotedLife>, { settled }: LedgerState) {
    this.#noted = new Map(noted);
    this.#past = Array.from(noted.keys()).filter(
      (saleId) => settled.has(saleId) && noted.get(saleId) === "opened",
    );
  }

  /** Told of each decision. */
  decided(state: LedgerState, outcome: Outcome): void {
    if (outcome.word === "sale_changed") this.changed();
    if (outcome.word !== "purchased") return;
    const saleId = "units" in outcome ? outcome.units[0]?.saleId : outcome.of.saleId;
    const sale = saleId === undefined ? undefined : state.sales.get(saleId);
    if (sale !== undefined && soldIn(sale) + sale.takenOut === sale.stock) {
      this.#soldOut.push(sale.terms.id);
    }
  }

  /** A sale came, or is at another time. */
  changed(): void {
    this.#quietUntil = -Infinity;
  }

  forget(saleId: number): void {
    this.#noted.delete(saleId);
  }

  /** What is to be noted now; it is due once. */
  due(state: LedgerState): readonly Milestone[] {
    if (state.now < this.#quietUntil && this.#soldOut.length === 0) return none;
    const due = [
      ...this.#past.map((saleId) => milestone(saleId, "sale_ended")),
      ...this.#soldOut.map((saleId) => milestone(saleId, "sold_out")),
    ];
    this.#past = [];
    this.#soldOut = [];
    this.#quietUntil = Infinity;
    for (const [saleId, sale] of state.sales) {
      const { startsAt, endsAt } = sale.terms;
      const isDone = isOver(sale, state.now);
      const hasOpened = isDone || (startsAt <= state.now && !sale.changing);
      const noted = this.#noted.get(saleId);
      if (noted === undefined && hasOpened) due.push(milestone(saleId, "sale_opened"));
      if (noted !== "ended" && isDone) due.push(milestone(saleId, "sale_ended"));
      // A clock that went back has it open once more: that it is over is noted once.
      if (isDone) this.#noted.set(saleId, "ended");
      else if (hasOpened && noted === undefined) this.#noted.set(saleId, "opened");
      const next = isDone ? Infinity : hasOpened ? endsAt : startsAt;
      this.#quietUntil = Math.min(this.#quietUntil, next);
    }
    return due;
  }
}

const milestone = (saleId: number, what: Milestone["what"]): Milestone => ({
  kind: "milestone",
  saleId,
  what,
});

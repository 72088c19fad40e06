/**
 * The ledger as the rest of the program has it: a state that nobody else can reach.
 *
 * - `decide` is the only way to buy, and to change anything that was sold.
 * - `view` gives a reader a moment of it: what can be read is copied, and nothing can be changed.
 * - The few other changes say what was stored, or drop what the records have too: they sell
 *   nothing, and nothing of them is in the journal.
 */
import type { Sale } from "./sale.ts";
import { check } from "./check.ts";
import { dropIdleClaims, holdClaims } from "./coupons.ts";
import type { Command, Outcome } from "./commands.ts";
import { decide } from "./decide.ts";
import { restore, type Recorded } from "./restore.ts";
import { addSale, advance, isOver, onBooks, settleSale, type LedgerState } from "./state.ts";
import { LedgerView } from "./view.ts";

/** What may be done to the ledger beside deciding. */
export type LedgerUpkeep = {
  /** Puts a sale that was stored into the ledger, or in the place of one that was being changed. */
  addSale(terms: Sale, attempts: number): void;
  /** Keeps a sale that has not opened shut while it is replaced; false when it has opened. */
  shutSale(saleId: number): boolean;
  /** Drops a sale that is over; its codes are answered from the records from now on. */
  settleSale(saleId: number): void;
  /** Puts a coupon's claims into memory, in the order of their making. */
  holdClaims(coupon: string, claims: ReadonlyMap<string, number>): void;
  /** Keeps the claims in memory within their bound. */
  dropIdleClaims(): void;
};

export class Ledger implements LedgerUpkeep {
  readonly #state: LedgerState;

  private constructor(state: LedgerState) {
    this.#state = state;
  }

  /**
   * The ledger of a new term.
   * @param now the term's time, ms
   * @throws Error when the records contradict themselves: nothing may be sold from them
   */
  static async restore(recorded: Recorded, now: number): Promise<Ledger> {
    const state = await restore(recorded, now);
    const complaints = check(state);
    if (complaints.length > 0) {
      throw new Error(`the journal does not add up: ${complaints.slice(0, 5).join("; ")}`);
    }
    return new Ledger(state);
  }

  /** Number of the last attempt decided. */
  get seq(): number {
    return this.#state.seq;
  }

  /** @param now ms; an earlier time than was seen before counts as that */
  decide(command: Command, now: number): Outcome {
    return decide(this.#state, command, now);
  }

  /** Moves the time on to `now` (ms), and returns it; it never runs backwards. */
  moveOn(now: number): number {
    return advance(this.#state, now);
  }

  /** What is there at `now` (ms). Good until the next decision. */
  view(now: number): LedgerView {
    this.moveOn(now);
    return new LedgerView(this.#state);
  }

  addSale(terms: Sale, attempts: number): void {
    const before = this.#state.sales.get(terms.id);
    if (before === undefined) addSale(this.#state, terms, attempts);
    else if (before.changing) addSale(this.#state, terms, before.attempts);
  }

  shutSale(saleId: number): boolean {
    const sale = this.#state.sales.get(saleId);
    // What was ended by hand had opened, also where a clock that went back says that it has not.
    if (sale === undefined || sale.terms.closed || this.#state.now >= sale.terms.startsAt) {
      return false;
    }
    if (sale.live.size + sale.lapsed.size + sale.soldUnits.length > 0) return false;
    sale.changing = true;
    return true;
  }

  settleSale(saleId: number): void {
    const sale = this.#state.sales.get(saleId);
    if (sale === undefined) return;
    if (!isOver(sale, this.#state.now)) throw new Error(`sale ${saleId} is not over`);
    settleSale(this.#state, sale);
  }

  holdClaims(coupon: string, claims: ReadonlyMap<string, number>): void {
    holdClaims(this.#state, coupon, claims);
  }

  dropIdleClaims(): void {
    dropIdleClaims(this.#state);
  }

  /** Every invariant that does not hold, a sentence each. */
  check(): string[] {
    return check(this.#state);
  }

  /** Reservations on the books of a sale, for the tests that count them. */
  openIn(saleId: number): number {
    const sale = this.#state.sales.get(saleId);
    return sale === undefined ? 0 : [...onBooks(sale)].length;
  }
}

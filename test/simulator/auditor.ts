/**
 * Hears all that is asked, recorded, answered and read in a world, and says what must not be.
 *
 * - What is recorded is judged one attempt after another by the contract: `history.ts`.
 * - What is answered must have been recorded before, in these words.
 * - What is read must be what is recorded, no more, at the time that it names; and so must what a new
 *   ledger makes of the records, with their checkpoints and without.
 */
import type { Buyer } from "../../src/ledger/buyers.ts";
import type { Command, Outcome } from "../../src/ledger/commands.ts";
import { Ledger } from "../../src/ledger/ledger.ts";
import type { Sale } from "../../src/ledger/sale.ts";
import type { LedgerView } from "../../src/ledger/view.ts";
import { settleAfterMs, type Batch } from "../../src/store/records.ts";
import { History, sum, type KnownSale } from "./history.ts";
import type { MemoryRecords } from "./records.ts";

/** What callers ask has a number of its own, which goes through all that is made of it. */
export type Numbered = { readonly op: number };

export const opOf = (command: Command): number | null =>
  "op" in command && typeof command.op === "number" ? command.op : null;

export class Auditor {
  readonly history: History;
  /** The first thing that was wrong. */
  complaint: string | null = null;
  /** Answers by word, for those who want to know what was tried at all. */
  readonly seen = new Map<string, number>();
  readonly #records: MemoryRecords;
  readonly #recorded = new Map<number, Outcome>();

  constructor(records: MemoryRecords) {
    this.#records = records;
    this.history = new History((what) => this.complain(what));
    records.onSale = (stored) => this.history.addSale(stored);
    records.onRecover = (now) => this.history.tell(now);
    records.onCommit = (batch) => this.#committed(batch);
  }

  complain(what: string): void {
    this.complaint ??= what;
  }

  count(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }

  #committed({ firstSeq, at, commands, outcomes }: Batch): void {
    let seq = firstSeq;
    this.history.isStale = this.#records.isStale;
    commands.forEach((command, index) => {
      const outcome = outcomes[index];
      if (outcome === undefined || outcome.word === "look_up") return;
      this.history.take(seq, at, command, outcome);
      const op = opOf(command);
      if (op !== null) this.#recorded.set(op, outcome);
      seq += 1;
    });
  }

  /** Somebody was given an answer. */
  answered(op: number, kind: string, answer: Outcome): void {
    this.count(`${kind}: ${answer.word}`);
    const recorded = this.#recorded.get(op);
    if (recorded === undefined) this.complain(`${kind} ${op} was answered, and is not recorded`);
    else if (!Bun.deepEquals(recorded, answer)) {
      this.complain(
        `${kind} ${op} was recorded as ${JSON.stringify(recorded)}, ` +
          `and answered with ${JSON.stringify(answer)}`,
      );
    }
  }

  /**
   * Somebody reads.
   * @param leads whether the reader's process is the one that may write
   */
  read(view: LedgerView, buyers: readonly Buyer[], leads: boolean): void {
    this.count("read");
    if (view.seq > this.#records.lastSeq) {
      this.complain(`attempt ${view.seq} is shown, and ${this.#records.lastSeq} is recorded`);
    }
    if (!leads || view.seq < this.history.seq) return this.#conserved(view);
    this.history.tell(view.now);
    for (const { id } of view.sales()) {
      const sale = this.history.sales.get(id);
      if (sale !== undefined) sale.isSeen = true;
    }
    const wrong = this.#wrongIn(view, buyers);
    if (wrong !== null) this.complain(`read at ${view.now}: ${wrong}`);
  }

  /** Whoever shows it: every unit is free, reserved or sold. */
  #conserved(view: LedgerView): void {
    for (const { id, stock } of view.sales()) {
      const totals = view.totals(id);
      if (totals === null) continue;
      const { sold, reserved, available } = totals;
      if (sold + reserved + available !== sum(Array.from(stock))) {
        this.complain(`sale ${id}: ${sold} sold + ${reserved} reserved + ${available} available`);
      }
    }
  }

  #wrongIn(view: LedgerView, buyers: readonly Buyer[]): string | null {
    this.#conserved(view);
    const { history } = this;
    for (const { id } of view.sales()) {
      const sale = history.sales.get(id);
      if (sale === undefined) return `sale ${id} is in no record`;
      const wrong = this.#wrongInSale(view, sale);
      if (wrong !== null) return `sale ${id}: ${wrong}`;
    }
    const current = history.hourlyAt(view.now)?.id ?? null;
    // One that was stored a moment ago is not sold yet.
    const isThere = current === null || view.sale(current) !== null;
    if (isThere && view.currentSaleId() !== current) {
      return `the open sale is ${current}, shown is ${view.currentSaleId()}`;
    }
    for (const buyer of buyers) {
      const wrong = this.#wrongOfBuyer(view, buyer);
      if (wrong !== null) return `${buyer.kind} ${buyer.userId}: ${wrong}`;
    }
    for (const [name, { amount, claims }] of history.coupons) {
      const shown = view.coupon(name);
      if (shown?.remaining !== amount - claims.length) {
        return `coupon ${name}: ${shown?.remaining} remain, of ${amount} ${claims.length} are gone`;
      }
    }
    return null;
  }

  #wrongInSale(view: LedgerView, sale: KnownSale): string | null {
    const { history } = this;
    const shown = view.sale(sale.id);
    if (shown === null) return "it is not shown";
    if (!isShownAs(shown, sale)) {
      const isAsBefore = sale.previous !== null && isShownAs(shown, sale.previous);
      return isAsBefore ? null : "it is shown with other terms";
    }
    const totals = view.totals(sale.id);
    const free = view.free(sale.id);
    const soldOf = view.soldOf(sale.id);
    if (totals === null || free === null || soldOf === null) return "its figures are not shown";
    const sold = history.soldIn(sale.id);
    if (totals.sold !== sold.length) return `${totals.sold} sold, recorded ${sold.length}`;
    if (sum([...free]) !== totals.available) return "what is free of items is not what is free";
    for (const [index] of sale.stock.entries()) {
      const right = history.free(sale, index + 1, view.now);
      const shownFree = free[index] ?? 0;
      if (shownFree < right.min || shownFree > right.max) {
        return `item ${index + 1}: ${shownFree} free, right is ${JSON.stringify(right)}`;
      }
      if (soldOf[index] !== history.soldOf(sale.id, index + 1)) {
        return `item ${index + 1}: ${soldOf[index]} sold`;
      }
    }
    return null;
  }

  #wrongOfBuyer(view: LedgerView, buyer: Buyer): string | null {
    const { history } = this;
    const shown = new Set(view.reservationsOf(buyer).map(({ code }) => code));
    const held = new Set(view.sales().map(({ id }) => id));
    for (const known of history.codes.values()) {
      const isTheirs = known.buyer.kind === buyer.kind && known.buyer.userId === buyer.userId;
      const isShown = shown.delete(known.code);
      if (isShown && !isTheirs) return `${known.code} is not theirs`;
      if (!isTheirs || !held.has(known.sale.id)) continue;
      if (!history.isLive(known, view.now).includes(isShown)) {
        return `${known.code} is ${isShown ? "" : "not "}among their reservations`;
      }
    }
    return shown.size === 0 ? null : `they have codes that nobody gave`;
  }

  /**
   * What new ledgers make of the records, with their checkpoints and without: the same, and what is
   * recorded. To be waited for.
   */
  async restored(now: number, buyers: readonly Buyer[]): Promise<void> {
    const records = this.#records;
    this.count("restored");
    const { last } = records;
    const sales = records.loadSales(records.saleIds()).map(({ sale }) => sale);
    const isLoaded = ({ endsAt }: { endsAt: number }): boolean => endsAt > now - settleAfterMs;
    const ids = sales.filter(isLoaded).map(({ id }) => id);
    const settled = new Map(
      sales.filter((sale) => !isLoaded(sale)).map(({ id, stock }) => [id, stock.length]),
    );
    const { seq } = this.history;
    // What is read at one moment, before anybody else does something.
    const both = [true, false].map((isShort) => records.recorded(ids, settled, last, isShort));
    const dumps: Map<number, unknown>[] = [];
    for (const recorded of both) {
      try {
        const ledger = await Ledger.restore(recorded, now);
        if (this.history.seq !== seq) return;
        const view = ledger.view(now);
        const isBack = now < this.history.at;
        const wrong = isBack ? null : this.#wrongIn(view, buyers);
        if (wrong !== null) this.complain(`restored at ${now}: ${wrong}`);
        dumps.push(new Map(ids.map((id) => [id, [view.totals(id), booksOf(view, id)]])));
      } catch (error) {
        this.complain(`the records are refused: ${String(error)}`);
        return;
      }
    }
    const [short, long] = dumps;
    for (const id of ids) {
      // What a clock that was ahead has made runs out by what each term made of it.
      if (this.history.of(id).some(({ isInDoubt }) => isInDoubt)) continue;
      const found = [short?.get(id), long?.get(id)];
      if (Bun.deepEquals(found[0], found[1])) continue;
      const [a, b] = found.map((one) => JSON.stringify(one));
      this.complain(`sale ${id} with its checkpoint is\n  ${a}, and without\n  ${b}`);
    }
  }
}

const isShownAs = (shown: Sale, sale: KnownSale): boolean =>
  shown.startsAt === sale.startsAt &&
  shown.endsAt === sale.endsAt &&
  shown.closed === sale.closed &&
  shown.perUserLimit === sale.limit &&
  Bun.deepEquals(Array.from(shown.stock), sale.stock) &&
  Bun.deepEquals(Array.from(shown.priceCents), sale.prices);

/** What is on the books of a sale. */
export const booksOf = (view: LedgerView, saleId: number) =>
  (view.checkpoint(saleId)?.open ?? []).map(({ code, due }) => `${code} ${due}`).toSorted();

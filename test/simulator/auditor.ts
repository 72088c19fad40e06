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
import { settled as settledOf, type Sale } from "../../src/ledger/sale.ts";
import type { LedgerView } from "../../src/ledger/view.ts";
import { settleAfterMs, type Batch } from "../../src/store/records.ts";
import { saysTheSame } from "../support/outcomes.ts";
import { couponNames } from "./draws.ts";
import { History, type KnownSale } from "./history.ts";
import { rateOf } from "./judge-queues.ts";
import { sum } from "./lists.ts";
import { admittedUpTo, ticketWrong } from "./queues.ts";
import { surelyNot } from "./maybe.ts";
import type { MemoryRecords } from "./records.ts";
import { recordedOf } from "./recovered.ts";

/** What callers ask has a number of its own, which goes through all that is made of it. */
export type Numbered = { readonly op: number };

export const opOf = (command: Command): number | null =>
  "op" in command && typeof command.op === "number" ? command.op : null;

export class Auditor {
  readonly history: History;
  /** The first thing that was wrong. */
  complaint: string | null = null;
  /** Told of what was offered to somebody. */
  onOffer: ((outcome: Outcome) => void) | null = null;
  /** Answers by word, for those who want to know what was tried at all. */
  readonly seen = new Map<string, number>();
  readonly #records: MemoryRecords;
  readonly #recorded = new Map<number, Outcome>();

  constructor(records: MemoryRecords) {
    this.#records = records;
    this.history = new History((what) => this.complain(what));
    records.sales.onSale = (stored, seed) => this.history.addSale(stored, seed);
    records.sales.onDraw = (saleId, noted) => {
      this.count(`drawn: ${noted.drawn === 0 ? "nobody" : "somebody"}`);
      this.history.noteDraw(saleId, noted);
    };
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
      if (op !== null && this.#recorded.has(op))
        this.complain(`${command.kind} ${op} was decided twice`);
      if (op !== null) this.#recorded.set(op, outcome);
      this.count(`recorded: ${outcome.word}`);
      if (command.kind === "offer") {
        this.count(`offer: ${outcome.word}`);
        this.onOffer?.(outcome);
      }
      seq += 1;
    });
    const missing = this.history.lives.endOfBatch();
    if (missing !== null) this.complain(missing);
  }

  /** Somebody was given an answer. */
  answered(op: number, kind: string, answer: Outcome): void {
    this.count(`${kind}: ${answer.word}`);
    const recorded = this.#recorded.get(op);
    if (recorded === undefined) this.complain(`${kind} ${op} was answered, and is not recorded`);
    else if (!Bun.deepEquals(recorded, answer) && !saysTheSame(recorded, answer)) {
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

  /** Somebody reads of a process that stands by: what the leader would have said, at some moment. */
  readReplica(view: LedgerView, buyers: readonly Buyer[]): void {
    const isUpToDate = view.seq === this.history.seq;
    this.count(`read of a replica: ${isUpToDate ? "up to date" : "behind"}`);
    if (view.seq > this.#records.lastSeq) {
      this.complain(`attempt ${view.seq} is shown, and ${this.#records.lastSeq} is recorded`);
    }
    const wrong = isUpToDate ? this.#wrongIn(view, buyers, ({ earlier }) => earlier) : null;
    if (wrong !== null) this.complain(`a replica at ${view.now}: ${wrong}`);
    this.#conserved(view);
  }

  /** Whoever shows it: every unit is free, reserved, sold or taken out. */
  #conserved(view: LedgerView): void {
    for (const { id, stock } of view.sales()) {
      const totals = view.totals(id);
      if (totals === null) continue;
      const { sold, takenOut, reserved, available } = totals;
      if (sold + takenOut + reserved + available !== sum(Array.from(stock))) {
        this.complain(
          `sale ${id}: ${sold} sold + ${takenOut} taken out + ${reserved} reserved + ` +
            `${available} available`,
        );
      }
    }
  }

  /** @param before as what a sale may still be shown, and as what that may */
  #wrongIn(
    view: LedgerView,
    buyers: readonly Buyer[],
    before: (sale: KnownSale) => KnownSale | null = ({ previous }) => previous,
  ): string | null {
    this.#conserved(view);
    const { history } = this;
    for (const { id } of view.sales()) {
      const sale = history.sales.get(id);
      if (sale === undefined) return `sale ${id} is in no record`;
      const wrong = this.#wrongInSale(view, sale, before);
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
    return couponNames.map((name) => this.#wrongOfCoupon(view, name)).find(Boolean) ?? null;
  }

  #wrongOfCoupon(view: LedgerView, name: string): string | null {
    const known = this.history.coupons.get(name);
    const shown = view.coupon(name);
    if (known === undefined || shown === null) {
      return known === undefined && shown === null ? null : `coupon ${name} is there, or is not`;
    }
    const { id, amount, claims, createdAt, from: startsAt, until: endsAt, disabled } = known;
    const remaining = amount - claims.length;
    const right = { id, name, amount, createdAt, remaining, startsAt, endsAt, disabled };
    if (Bun.deepEquals(shown, right)) return null;
    return `coupon ${name} is ${JSON.stringify(shown)}, recorded ${JSON.stringify(right)}`;
  }

  #wrongInSale(
    view: LedgerView,
    sale: KnownSale,
    before: (sale: KnownSale) => KnownSale | null,
  ): string | null {
    const { history } = this;
    const shown = view.sale(sale.id);
    if (shown === null) return "it is not shown";
    if (!isShownAs(shown, sale)) {
      for (let one = before(sale); one !== null; one = before(one)) {
        if (isShownAs(shown, one)) return null;
      }
      return "it is shown with other terms";
    }
    const totals = view.totals(sale.id);
    const free = view.free(sale.id);
    const soldOf = view.soldOf(sale.id);
    if (totals === null || free === null || soldOf === null) return "its figures are not shown";
    const sold = history.soldIn(sale.id);
    if (totals.sold !== sold.length) return `${totals.sold} sold, recorded ${sold.length}`;
    const refunded = history.of(sale.id).filter(({ refundedBy }) => refundedBy !== null);
    if (totals.refunded !== refunded.length) {
      return `${totals.refunded} refunded, recorded ${refunded.length}`;
    }
    const wrongInQueue = this.#wrongInQueue(view, sale);
    if (wrongInQueue !== null) return wrongInQueue;
    if (sum([...free]) !== totals.available) return "what is free of items is not what is free";
    for (const [index] of sale.stock.entries()) {
      const right = history.free(sale, index + 1, view.now);
      const shownFree = free[index] ?? 0;
      // What is due to who waits, and was not offered yet, is nobody else's.
      const waiting = history.waiting
        .lines(sale.id)
        .filter(({ item }) => item === "any" || item === index + 1).length;
      if (shownFree < right.min - waiting || shownFree > right.max) {
        return `item ${index + 1}: ${shownFree} free, right is ${JSON.stringify(right)}`;
      }
      if (soldOf[index] !== history.soldOf(sale.id, index + 1)) {
        return `item ${index + 1}: ${soldOf[index]} sold`;
      }
    }
    return null;
  }

  #wrongInQueue(view: LedgerView, sale: KnownSale): string | null {
    const { queue } = sale;
    const shown = view.queue(sale.id);
    if (queue === null || shown === null)
      return queue === null && shown === null ? null : "it has a queue, or has none";
    if (shown.joined !== queue.tickets.length) return `${shown.joined} have joined`;
    if (!Bun.deepEquals(shown.rate, rateOf(queue))) return "its rate is another one";
    const admitted = shown.isDrawn ? admittedUpTo(queue, sale.startsAt, view.now) : 0;
    if (shown.admittedUpTo !== admitted)
      return `${shown.admittedUpTo} are let in, right would be ${admitted}`;
    for (const { ticket } of queue.tickets) {
      const told = view.ticket(sale.id, ticket);
      if (told === null) return `ticket ${ticket} is not there`;
      const wrong = ticketWrong(this.history, sale, told, view.now);
      if (wrong !== null) return wrong;
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
    if (shown.size > 0) return "they have codes that nobody gave";
    for (const sale of history.sales.values()) {
      if (!held.has(sale.id) || sale.previous !== null || sale.earlier !== null) continue;
      if (!history.isOpen(sale, view.now)) continue;
      const wrong = this.#wrongOfLines(view, sale, buyer);
      if (wrong !== null) return `sale ${sale.id}: ${wrong}`;
    }
    return null;
  }

  /** What somebody waits for, and what is offered to them. */
  #wrongOfLines(view: LedgerView, sale: KnownSale, buyer: Buyer): string | null {
    const { waiting, codes } = this.history;
    const shown = view.linesOf(sale.id, buyer);
    const lines = waiting.of(sale.id, buyer);
    if (shown.length !== lines.length) return `${shown.length} lines of ${lines.length} are shown`;
    for (const line of lines) {
      const own = shown.find(({ item }) => item === line.item);
      if (own === undefined || own.joinedAt !== line.at) return `line ${line.seq} is not shown`;
      const known = line.offer === null ? undefined : codes.get(line.offer);
      const isLive = known === undefined ? surelyNot : this.history.isLive(known, view.now);
      if (!isLive.includes(own.offer !== null)) return `an offer is shown, or is not`;
      if (own.offer !== null && own.offer.code !== line.offer) return "another offer is shown";
      const ahead = waiting.ahead(sale.id, line);
      if (own.ahead !== ahead) return `${own.ahead} are before line ${line.seq}, and not ${ahead}`;
    }
    return null;
  }

  /** Where everybody stands who has joined. */
  #linesOf(view: LedgerView, saleId: number) {
    const tickets = this.history.sales.get(saleId)?.queue?.tickets ?? [];
    return tickets.map(({ ticket }) => view.ticket(saleId, ticket));
  }

  /**
   * What new ledgers make of the records, with their checkpoints and without: the same, and what is
   * recorded. To be waited for.
   */
  async restored(now: number, buyers: readonly Buyer[]): Promise<void> {
    const records = this.#records;
    this.count("restored");
    const { last } = records;
    const sales = records.sales.load(records.sales.ids()).map(({ sale }) => sale);
    const isLoaded = ({ endsAt }: { endsAt: number }): boolean => endsAt > now - settleAfterMs;
    const ids = sales.filter(isLoaded).map(({ id }) => id);
    const settled = new Map(
      sales.filter((sale) => !isLoaded(sale)).map((sale) => [sale.id, settledOf(sale)]),
    );
    const { seq } = this.history;
    // What is read at one moment, before anybody else does something.
    const both = [true, false].map((isShort) => recordedOf(records, ids, settled, last, isShort));
    const dumps: Map<number, unknown>[] = [];
    for (const recorded of both) {
      try {
        const ledger = await Ledger.restore(recorded, now, {
          ranks: (id) => this.history.sales.get(id)?.queue?.ranks ?? null,
        });
        if (this.history.seq !== seq) return;
        const view = ledger.view(now);
        const isBack = now < this.history.at;
        const wrong = isBack ? null : this.#wrongIn(view, buyers);
        if (wrong !== null) this.complain(`restored at ${now}: ${wrong}`);
        // A pass that had ended when a checkpoint was made is not in it; by an earlier time it may live.
        const isEarlier = now < this.history.latest;
        const linesOf = (id: number) => (isEarlier ? [] : this.#linesOf(view, id));
        const dumpOf = (id: number) => [view.totals(id), booksOf(view, id), linesOf(id)];
        dumps.push(new Map(ids.map((id) => [id, dumpOf(id)])));
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
export function booksOf(view: LedgerView, saleId: number) {
  const { open, waiting } = view.checkpoint(saleId) ?? { open: [], waiting: [] };
  const lines = waiting.map((line) => JSON.stringify(line));
  return [...open.map(({ code, due }) => `${code} ${due}`).toSorted(), ...lines];
}

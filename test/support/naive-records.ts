/**
 * The records of a ledger as lists: what the journal and the purchases would have kept of each
 * answer, and what a new term is told of it. Nothing is stored, and nothing can fail.
 */
import { sameBuyer, type Buyer } from "../../src/ledger/buyers.ts";
import type {
  ArchivedCode,
  ArchivedKey,
  Command,
  OfferOutcome,
  Outcome,
  SoldUnit,
} from "../../src/ledger/commands.ts";
import { requestOf } from "../../src/ledger/keys.ts";
import type {
  EffectiveAttempt,
  RecordedChange,
  CountedRate,
  RecordedTicket,
} from "../../src/ledger/changes.ts";
import type {
  BegunTerm,
  Checkpoint,
  Recorded,
  RecordedSince,
  RestoredUpTo,
  StoredPurchase,
} from "../../src/ledger/recorded.ts";
import { settled, type Sale, type SettledSale } from "../../src/ledger/sale.ts";
import type { LedgerView } from "../../src/ledger/view.ts";

/** Attempts in one page of those that are read back: few, so that there are several pages. */
const pageRows = 7;

type KeptPurchase = StoredPurchase & { readonly saleId: number; readonly reservedSeq: number };

export class NaiveRecords {
  readonly #terms = new Map<number, Sale>();
  readonly #attempts: Exclude<RecordedChange, { readonly word: "refunded" | "restocked" }>[] = [];
  readonly #tickets: (RecordedTicket & { readonly seq: number })[] = [];
  readonly #rates: (CountedRate & { readonly seq: number })[] = [];
  readonly #purchases: KeptPurchase[] = [];
  readonly #checkpoints = new Map<number, Checkpoint>();
  readonly #begun: BegunTerm[] = [];
  readonly #settled = new Set<number>();
  #seq: number;
  #at: number;

  constructor(seq: number, at: number) {
    this.#seq = seq;
    this.#at = at;
  }

  addSale(terms: Sale): void {
    this.#terms.set(terms.id, terms);
  }

  /** @param at by the clock of the leader that begins */
  beginTerm(at: number): void {
    this.#begun.push({ epoch: this.#begun.length + 1, afterSeq: this.#seq, at });
  }

  /** @param at the time of the decision */
  note(command: Command, outcome: Outcome, seq: number, at: number): void {
    this.#seq = seq;
    this.#at = at;
    if (outcome.word === "sale_changed") {
      const { saleId, startsAt, endsAt, closed } = outcome;
      const terms = this.#terms.get(saleId);
      if (terms !== undefined) this.#terms.set(saleId, { ...terms, startsAt, endsAt, closed });
    } else if (outcome.word === "reserved" && command.kind === "checkout") {
      const { key } = command;
      const request = key === null ? null : requestOf(command);
      this.#attempts.push({
        seq,
        at,
        word: outcome.word,
        ...pick(outcome.reservation),
        key,
        request,
        quantity: null,
      });
    } else if (outcome.word === "joined" && command.kind === "join") {
      const { saleId, ticket: of } = outcome;
      const { number, buyer, ticket } = of;
      this.#tickets.push({ seq, saleId, number, at, buyer, ticket, key: command.key });
    } else if (outcome.word === "queue_changed") {
      const { saleId, admitPerSecond, paused } = outcome;
      const count = this.#tickets.filter((one) => one.saleId === saleId).length;
      const joined = paused ? count : null;
      this.#rates.push({ seq, at, saleId, admitPerSecond, paused, joined });
    } else if (outcome.word === "extended") {
      const { saleId, code } = outcome.of;
      this.#attempts.push({ seq, at, word: outcome.word, saleId, code, due: outcome.due });
    } else if (command.kind === "offer") this.#noteOffer(outcome as OfferOutcome, seq, at);
    else if (outcome.word === "waiting" && command.kind === "waitlist_join") {
      const { buyer, item } = command;
      this.#attempts.push({ seq, at, word: outcome.word, saleId: outcome.saleId, buyer, item });
    } else if (outcome.word === "left" && command.kind === "waitlist_leave") {
      const { saleId } = outcome;
      this.#attempts.push({ seq, at, word: outcome.word, saleId, buyer: command.buyer });
    } else if (outcome.word === "purchased") this.#noteSold(command, outcome, seq, at);
    else if (outcome.word === "released") {
      const nothing = { key: null, request: null, quantity: null };
      this.#attempts.push({ seq, at, word: outcome.word, ...pick(outcome.of), ...nothing });
    }
  }

  #noteOffer(outcome: OfferOutcome, seq: number, at: number): void {
    if (outcome.word === "offer_lapsed") {
      const { saleId, code } = outcome.of;
      this.#attempts.push({ seq, at, word: outcome.word, saleId, code });
      return;
    }
    const nothing = { key: null, request: null, quantity: null };
    this.#attempts.push({ seq, at, word: "offered", ...pick(outcome.reservation), ...nothing });
  }

  #noteSold(
    command: Command,
    outcome: Extract<Outcome, { readonly word: "purchased" }>,
    seq: number,
    at: number,
  ): void {
    if (command.kind !== "buy" || "of" in outcome) {
      if (!("of" in outcome)) throw new Error("units that nobody bought");
      const nothing = { key: null, request: null, quantity: null };
      this.#attempts.push({ seq, at, word: "purchased", ...pick(outcome.of), ...nothing });
      this.#keep(outcome.of, seq, at, null, null);
      return;
    }
    const { buyer, itemId, saleId, code, quantity, key } = command;
    if (itemId === "unknown" || saleId === "unknown") throw new Error("a unit of nothing");
    const request = key === null ? null : requestOf(command);
    const made = { saleId, itemId, buyer, code, key, request, quantity };
    this.#attempts.push({ seq, at, word: "purchased", ...made });
    outcome.units.forEach((unit, index) => {
      this.#keep(unit, seq, at, index === 0 ? key : null, index === 0 ? request : null);
    });
  }

  #keep(
    unit: SoldUnit,
    seq: number,
    at: number,
    orderKey: string | null,
    orderRequest: string | null,
  ): void {
    const { key, request, unit: number, userOrdinal, reservedSeq } = unit;
    const keys = { key, request, orderKey, orderRequest, reservedSeq };
    const kept = { refundedBy: null, restocked: false, ...keys };
    this.#purchases.push({ seq, at, ...pick(unit), unit: number, userOrdinal, ...kept });
  }

  /** Notes where the sales stand, as the program does now and then. */
  saveCheckpoint(saleId: number, view: LedgerView): void {
    const checkpoint = view.checkpoint(saleId);
    // As it is written and read: with nothing of the ledger's own in it.
    if (checkpoint !== null) this.#checkpoints.set(saleId, structuredClone(checkpoint));
  }

  /** What became of a code. */
  findCode(code: string): ArchivedCode | null {
    const made = this.#attempts.find(
      (attempt): attempt is EffectiveAttempt =>
        (attempt.word === "reserved" || attempt.word === "offered") && attempt.code === code,
    );
    const released = this.#attempts.some(
      (attempt) => attempt.word === "released" && attempt.code === code,
    );
    const bought = this.#purchases.find((purchase) => purchase.code === code);
    const of = made ?? bought;
    if (of === undefined) return null;
    const { seq, saleId, itemId, buyer, at: reservedAt, key, request } = of;
    const sold = bought === undefined ? null : { seq: bought.seq, at: bought.at, refundedBy: null };
    return { seq, code, saleId, itemId, buyer, reservedAt, key, request, released, sold };
  }

  settleSale(saleId: number): void {
    this.#settled.add(saleId);
  }

  /** Settles the sales that were over by a time, and no others. */
  settleBefore(time: number): void {
    this.#settled.clear();
    for (const { id, endsAt } of this.#terms.values()) if (endsAt <= time) this.#settled.add(id);
  }

  /** What a buyer's key stands for that was sold. */
  findKey(buyer: Buyer, key: string): ArchivedKey | null {
    const [last] = this.#purchases
      .filter((one) => sameBuyer(one.buyer, buyer) && (one.key === key || one.orderKey === key))
      .toSorted(
        (a, b) =>
          b.seq - a.seq ||
          Number(b.orderKey === key) - Number(a.orderKey === key) ||
          b.reservedSeq - a.reservedSeq,
      );
    if (last === undefined) return null;
    const { orderKey, request, orderRequest, seq, at, code } = last;
    const reservedAt = this.findCode(code)?.reservedAt ?? at;
    const asked = (orderKey === key ? orderRequest : request) ?? "";
    return { ...pick(last), request: asked, reservedAt, sold: { seq, at, refundedBy: null } };
  }

  /** @param checkpoints whether there are any */
  recorded(checkpoints = true): Recorded {
    const sales = this.#sales().map((terms) => {
      const none = { seq: 0, sold: 0, open: [], active: [], waiting: [] };
      const checkpoint = (checkpoints ? this.#checkpoints.get(terms.id) : null) ?? none;
      return { terms, attempts: 0, checkpoint, purchases: this.#purchasesOf(terms.id, 0) };
    });
    const since = new Map(sales.map((sale) => [sale.terms.id, sale.checkpoint.seq]));
    return {
      seq: this.#seq,
      at: this.#at,
      settled: this.#settledItems(),
      sales,
      terms: this.#begun,
      ...this.#queues(() => 0, 0),
      effective: this.#effective((saleId) => since.get(saleId) ?? Infinity),
      coupons: inPages([]),
      keyedClaims: [],
    };
  }

  recordedSince({ seq, comparedSeq, epoch, sales: known, joined }: RestoredUpTo): RecordedSince {
    const held = new Set(this.#sales().map(({ id }) => id));
    return {
      seq: this.#seq,
      at: this.#at,
      settled: this.#settledItems(),
      sales: this.#sales().map((sale) => {
        const { id, startsAt, endsAt, closed } = sale;
        const terms = known.has(id) ? { id, startsAt, endsAt, closed } : sale;
        return { terms, attempts: 0, purchases: this.#purchasesOf(id, comparedSeq) };
      }),
      terms: this.#begun.filter((term) => term.epoch > epoch),
      ...this.#queues((saleId) => joined.get(saleId) ?? 0, seq),
      effective: this.#effective((saleId) => (held.has(saleId) ? seq : Infinity)),
      coupons: [],
      removedCoupons: [],
      keyedClaims: [],
    };
  }

  #sales(): Sale[] {
    return [...this.#terms.values()].filter(({ id }) => !this.#settled.has(id));
  }

  #settledItems(): ReadonlyMap<number, SettledSale> {
    const over = [...this.#terms.values()].filter(({ id }) => this.#settled.has(id));
    return new Map(over.map((sale) => [sale.id, settled(sale)]));
  }

  purchases(since: number): ReadonlyMap<number, readonly StoredPurchase[]> {
    return new Map(this.#sales().map(({ id }) => [id, this.#purchasesOf(id, since)]));
  }

  #purchasesOf(saleId: number, since: number): StoredPurchase[] {
    return this.#purchases.filter((of) => of.saleId === saleId && of.seq > since);
  }

  /** @param after the ticket of a sale after which they are read */
  #queues(after: (saleId: number) => number, since: number) {
    const isHeld = ({ saleId }: { readonly saleId: number }): boolean =>
      this.#terms.has(saleId) && !this.#settled.has(saleId);
    const tickets = this.#tickets
      .filter(isHeld)
      .filter(({ saleId, number }) => number > after(saleId))
      .toSorted((a, b) => a.saleId - b.saleId || a.number - b.number);
    const rates = this.#rates.filter(isHeld).filter(({ seq }) => seq > since);
    return { tickets: inPages(tickets), rates };
  }

  #effective(since: (saleId: number) => number): Recorded["effective"] {
    return inPages(this.#attempts.filter(({ saleId, seq }) => seq > since(saleId)));
  }
}

function pick<T extends Pick<KeptPurchase, "saleId" | "itemId" | "buyer" | "code">>(of: T) {
  const { saleId, itemId, buyer, code } = of;
  return { saleId, itemId, buyer, code };
}

export async function* inPages<T>(rows: readonly T[]): AsyncGenerator<readonly T[]> {
  for (let from = 0; from < rows.length; from += pageRows) {
    yield rows.slice(from, from + pageRows);
  }
}

/** The records of before the first attempt, or of after so many that did nothing. */
export const nothingRecorded = (seq = 0, at = 0): Recorded => new NaiveRecords(seq, at).recorded();

/**
 * The records of a ledger as lists: what the journal and the purchases would have kept of each
 * answer, and what a new term is told of it. Nothing is stored, and nothing can fail.
 */
import type { ArchivedCode, Command, Outcome, SoldUnit } from "../../src/ledger/commands.ts";
import { requestOf } from "../../src/ledger/decide.ts";
import type {
  BegunTerm,
  Checkpoint,
  EffectiveAttempt,
  Recorded,
  RecordedExtension,
  StoredPurchase,
} from "../../src/ledger/restore.ts";
import type { Sale } from "../../src/ledger/sale.ts";
import type { LedgerView } from "../../src/ledger/view.ts";

/** Attempts in one page of those that are read back: few, so that there are several pages. */
const pageRows = 7;

type KeptPurchase = StoredPurchase & { readonly saleId: number };

export class NaiveRecords {
  readonly #terms = new Map<number, Sale>();
  readonly #attempts: (EffectiveAttempt | RecordedExtension)[] = [];
  readonly #purchases: KeptPurchase[] = [];
  readonly #checkpoints = new Map<number, Checkpoint>();
  readonly #begun: BegunTerm[] = [];
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
    this.#begun.push({ afterSeq: this.#seq, at });
  }

  /** @param at the time of the decision */
  note(command: Command, outcome: Outcome, seq: number, at: number): void {
    this.#seq = seq;
    this.#at = at;
    if (outcome.word === "sale_changed") {
      const { saleId, endsAt, closed } = outcome;
      const terms = this.#terms.get(saleId);
      if (terms !== undefined) this.#terms.set(saleId, { ...terms, endsAt, closed });
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
    } else if (outcome.word === "extended") {
      const { saleId, code } = outcome.of;
      this.#attempts.push({ seq, at, word: outcome.word, saleId, code, due: outcome.due });
    } else if (outcome.word === "purchased") this.#noteSold(command, outcome, seq, at);
    else if (outcome.word === "released") {
      const nothing = { key: null, request: null, quantity: null };
      this.#attempts.push({ seq, at, word: outcome.word, ...pick(outcome.of), ...nothing });
    }
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
    const { key, request, unit: number, userOrdinal } = unit;
    const keys = { key, request, orderKey, orderRequest };
    this.#purchases.push({ seq, at, ...pick(unit), unit: number, userOrdinal, ...keys });
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
        attempt.code === code && attempt.word === "reserved",
    );
    const released = this.#attempts.some(
      (attempt) => attempt.code === code && attempt.word === "released",
    );
    const bought = this.#purchases.find((purchase) => purchase.code === code);
    const of = made ?? bought;
    if (of === undefined) return null;
    const { seq, saleId, itemId, buyer, at: reservedAt, key, request } = of;
    const sold = bought === undefined ? null : { seq: bought.seq, at: bought.at };
    return { seq, code, saleId, itemId, buyer, reservedAt, key, request, released, sold };
  }

  /**
   * @param settledBefore sales that were over by then are not read
   * @param checkpoints whether there are any
   */
  recorded(settledBefore: number, checkpoints = true): Recorded {
    const isSettled = ({ endsAt }: Sale): boolean => endsAt <= settledBefore;
    const terms = [...this.#terms.values()];
    const sales = terms
      .filter((sale) => !isSettled(sale))
      .map((sale) => {
        const none = { seq: 0, sold: 0, open: [] };
        const checkpoint = (checkpoints ? this.#checkpoints.get(sale.id) : null) ?? none;
        const purchases = this.#purchases.filter(({ saleId }) => saleId === sale.id);
        return { terms: sale, attempts: 0, checkpoint, purchases };
      });
    const since = new Map(sales.map((sale) => [sale.terms.id, sale.checkpoint.seq]));
    const attempts = this.#attempts.filter(
      ({ saleId, seq }) => seq > (since.get(saleId) ?? Infinity),
    );
    return {
      seq: this.#seq,
      at: this.#at,
      settled: new Map(terms.filter(isSettled).map(({ id, stock }) => [id, stock.length])),
      sales,
      terms: this.#begun,
      effective: inPages(attempts),
      coupons: inPages([]),
      keyedClaims: [],
    };
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
export const nothingRecorded = (seq = 0, at = 0): Recorded => new NaiveRecords(seq, at).recorded(0);

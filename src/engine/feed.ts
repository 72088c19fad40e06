/**
 * What a leader tells of its ledger, as it happens and in order, to those who keep a replica: each
 * batch once it is committed and before anybody in it is answered, what upkeep did, and the time
 * while nothing else happens. It costs nothing while nobody listens.
 */
import { effectsOf, type LedgerChange } from "../ledger/changes.ts";
import type { Ledger, LedgerUpkeep } from "../ledger/ledger.ts";
import type { Batch } from "../store/records.ts";

/** How often the time is told. */
export const feedTimeMs = 250;

type Listener = (change: LedgerChange) => void;

export class Feed {
  readonly #listeners = new Set<Listener>();
  /** The last attempt that is committed. */
  #seq: number;
  #at: number;

  /**
   * @param seq the last attempt so far
   * @param at the term's time, ms
   */
  constructor(seq: number, at: number) {
    this.#seq = seq;
    this.#at = at;
  }

  /**
   * Calls `listener` for each change from now on: at once for where this begins, and then as they
   * happen. It must neither wait nor throw.
   * @returns ends it
   */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    listener({ kind: "time", seq: this.#seq, at: this.#at });
    return () => void this.#listeners.delete(listener);
  }

  /** Tells of a batch that is committed. @param ledger as it is after it */
  tellBatch({ firstSeq, at, commands, outcomes }: Batch, ledger: Ledger): void {
    this.#seq = ledger.seq;
    this.#at = at;
    if (this.#listeners.size === 0) return;
    const effects = effectsOf(firstSeq, at, commands, outcomes);
    this.#tell({
      kind: "batch",
      firstSeq,
      seq: ledger.seq,
      at,
      effects,
      attempts: ledger.attemptsSince(),
    });
  }

  /** Tells the time, ms. */
  tellTime(at: number): void {
    this.#at = at;
    this.#tell({ kind: "time", seq: this.#seq, at });
  }

  /** The same upkeep, of which is told. */
  upkeepOf(ledger: Ledger): LedgerUpkeep {
    return {
      addSale: (terms, attempts) => this.#tell(ledger.addSale(terms, attempts)),
      shutSale: (saleId) => ledger.shutSale(saleId),
      settleSale: (saleId) => this.#tell(ledger.settleSale(saleId)),
      holdClaims: (coupon, claims) => ledger.holdClaims(coupon, claims),
      dropIdleClaims: () => ledger.dropIdleClaims(),
    };
  }

  #tell(change: LedgerChange | null): void {
    if (change !== null) for (const listener of this.#listeners) listener(change);
  }
}

/** A writer on a journal whose commits are held back until the test lets them through. */
import type { Sale } from "../../src/ledger/sale.ts";
import { Ledger } from "../../src/ledger/ledger.ts";
import type { Batch } from "../../src/store/records.ts";
import { BatchWriter, type WriterOptions } from "../../src/engine/writer.ts";
import { nothingRecorded } from "./naive-records.ts";
import { until } from "./wait.ts";

/** Commits nothing, and says so when it is told to. */
export class HeldJournal {
  readonly batches: Batch[] = [];
  readonly commits: PromiseWithResolvers<void>[] = [];
  onCommit = (): void => {};

  commit(batch: Batch): Promise<void> {
    const held = Promise.withResolvers<void>();
    this.batches.push(batch);
    this.commits.push(held);
    this.onCommit();
    return held.promise;
  }

  /** Waits until a batch was sent, counted from 1, and returns what lets it through. */
  async sent(batch: number): Promise<PromiseWithResolvers<void>> {
    return await until(`batch ${batch}`, () => this.commits[batch - 1]);
  }
}

/** @param terms a sale that is there from the beginning */
export async function openWriter(terms?: Sale, seq = 0, options: WriterOptions = {}) {
  const journal = new HeldJournal();
  const ledger = await Ledger.restore(nothingRecorded(seq), 0);
  if (terms !== undefined) ledger.addSale(terms, 0);
  const time = { now: 0 };
  const writer = new BatchWriter(
    ledger,
    (batch) => journal.commit(batch),
    () => time.now,
    options,
  );
  return { journal, ledger, writer, time };
}

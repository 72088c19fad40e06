/** A ledger and its records side by side, told by a test what to decide and when. */
import type { Command, Outcome, OutcomeOf } from "../../src/ledger/commands.ts";
import { Ledger } from "../../src/ledger/ledger.ts";
import type { Sale } from "../../src/ledger/sale.ts";
import { NaiveRecords, nothingRecorded } from "./naive-records.ts";

export class ToldLedger {
  readonly ledger: Ledger;
  readonly records: NaiveRecords;

  private constructor(ledger: Ledger, records: NaiveRecords) {
    this.ledger = ledger;
    this.records = records;
  }

  static async with(...sales: readonly Sale[]): Promise<ToldLedger> {
    const ledger = await Ledger.restore(nothingRecorded(), 0);
    const told = new ToldLedger(ledger, new NaiveRecords(0, 0));
    for (const terms of sales) {
      told.ledger.addSale(terms, 0);
      told.records.addSale(terms);
    }
    return told;
  }

  /** Another ledger, on the same records. */
  goingOnWith(ledger: Ledger): ToldLedger {
    return new ToldLedger(ledger, this.records);
  }

  decide<C extends Command>(command: C, at: number): OutcomeOf<C> {
    const now = this.ledger.moveOn(at);
    const outcome: Outcome = this.ledger.decide(command, now);
    if (outcome.word !== "look_up") this.records.note(command, outcome, this.ledger.seq, now);
    return outcome as OutcomeOf<C>;
  }
}

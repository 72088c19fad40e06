/**
 * Asks the records for what the ledger does not hold: codes of long ago, and who has claimed a
 * coupon that nobody claimed of late. The ledger says when it needs to know; then it is looked up,
 * and asked again. One for each term.
 */
import type {
  Claim,
  ClaimOutcome,
  Extend,
  ExtendOutcome,
  CodeLookup,
  RecordsNeeded,
  Purchase,
  PurchaseOutcome,
  Release,
  ReleaseOutcome,
} from "../ledger/commands.ts";
import type { Records } from "../store/records.ts";
import { OverloadedError, type Writer } from "./writer.ts";

/** Codes looked up at a time; a flood of invented codes is refused. */
export const codeLookupsMax = 64;
/** How often something is looked up for one command before it is given up. */
const roundsMax = 8;

type Decided<O> = Exclude<O, RecordsNeeded>;

const isDecided = <O extends { readonly word: string }>(outcome: O): outcome is Decided<O> =>
  outcome.word !== "look_up";

export class Lookups {
  readonly #records: Records;
  readonly #writer: Writer;
  #codeLookups = 0;
  /** However many claim a coupon at once, its claims are read once. */
  readonly #loading = new Map<string, Promise<void>>();

  constructor(records: Records, writer: Writer) {
    this.#records = records;
    this.#writer = writer;
  }

  purchase(command: Purchase): Promise<Decided<PurchaseOutcome>> {
    return this.#ask(command, (lookup) => this.#writer.submit({ ...command, lookup }));
  }

  release(command: Release): Promise<Decided<ReleaseOutcome>> {
    return this.#ask(command, (lookup) => this.#writer.submit({ ...command, lookup }));
  }

  extend(command: Extend): Promise<Decided<ExtendOutcome>> {
    return this.#ask(command, (lookup) => this.#writer.submit({ ...command, lookup }));
  }

  async #ask<O extends { readonly word: string }>(
    asked: Purchase | Release | Extend,
    submit: (lookup: CodeLookup | null) => Promise<O>,
  ): Promise<Decided<O>> {
    let { lookup } = asked;
    for (let round = 0; round < roundsMax; round += 1) {
      const outcome = await submit(lookup);
      if (isDecided(outcome)) return outcome;
      lookup = await this.#lookUp(asked.code);
    }
    throw new OverloadedError("the records change faster than they are read");
  }

  async claim(command: Claim): Promise<Decided<ClaimOutcome>> {
    for (let round = 0; round < roundsMax; round += 1) {
      const outcome = await this.#writer.submit(command);
      if (outcome.word !== "look_up") return outcome;
      await this.#load(command.coupon);
    }
    throw new OverloadedError("more coupons are claimed at once than there is room for");
  }

  async #lookUp(code: string) {
    if (this.#codeLookups >= codeLookupsMax)
      throw new OverloadedError("too many codes are looked up");
    this.#codeLookups += 1;
    try {
      // Committed before the records are asked: they know it.
      const upTo = this.#writer.committedSeq;
      return { upTo, found: await this.#records.findCode(code) };
    } finally {
      this.#codeLookups -= 1;
    }
  }

  async #load(coupon: string): Promise<void> {
    let loading = this.#loading.get(coupon);
    if (loading === undefined) {
      loading = this.#readClaims(coupon).finally(() => this.#loading.delete(coupon));
      this.#loading.set(coupon, loading);
    }
    await loading;
  }

  async #readClaims(coupon: string): Promise<void> {
    const claims = await this.#records.loadClaims(coupon);
    await this.#writer.maintain((ledger) => ledger.holdClaims(coupon, claims));
  }
}

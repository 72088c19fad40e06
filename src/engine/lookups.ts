/**
 * Asks the records for what the ledger does not hold: codes of long ago, what keys stand for in sales
 * that are settled, and who has claimed a coupon that nobody claimed of late. The ledger says when it
 * needs to know; then it is looked up, and asked again. One for each term.
 */
import type {
  Buy,
  Checkout,
  Claim,
  Command,
  Decided,
  Extend,
  KeyLookup,
  OutcomeOf,
  Purchase,
  RecordsNeeded,
  Refund,
  Release,
} from "../ledger/commands.ts";
import type { BuyerKey, Records } from "../store/records.ts";
import { OverloadedError, type Writer } from "./writer.ts";

/** Codes looked up at a time; a flood of invented codes is refused. */
export const codeLookupsMax = 64;
/** Keys looked up in one statement; who asks meanwhile is in the next. */
export const keysPerLookupMax = 1_024;
/** Keys that wait for it; more are refused. */
export const keyLookupsMax = 8_192;
/** Refunds that wait for the one that is looked up and decided; more are refused. */
export const refundsWaitingMax = 64;
/** How often something is looked up for one command before it is given up. */
const roundsMax = 8;

/** Commands that may need the records. */
export type Lookup = Checkout | Buy | Purchase | Release | Extend | Refund | Claim;

/** Whether the ledger may not hold what is asked for; what has no key is in nobody's memory. */
export function mayNeedRecords(command: Command): command is Lookup {
  switch (command.kind) {
    case "checkout":
    case "buy":
      return command.key !== null;
    case "purchase":
    case "release":
    case "extend":
    case "refund":
    case "claim":
      return true;
    case "change_sale":
    case "join":
    case "change_queue":
    case "withdraw":
    case "restock":
    case "milestone":
    case "waitlist_join":
    case "waitlist_leave":
    case "offer":
    case "create_coupon":
    case "change_coupon":
    case "remove_coupon":
      return false;
    default:
      return command satisfies never;
  }
}

type LookedUp = Pick<Records, "findCode" | "findKeys" | "findRefundable" | "loadClaims">;

const isDecided = <O extends { readonly word: string }>(outcome: O): outcome is Decided<O> =>
  outcome.word !== "look_up";

/** What an outcome that is not decided says it needs. */
const neededBy = (outcome: { readonly word: string }): RecordsNeeded["what"] =>
  "what" in outcome && outcome.what === "claims" ? "claims" : undefined;

const same = (outcome: unknown): unknown => outcome;

/** What the ledger said that needs the records, as it comes through the writer. */
class Undecided<O> {
  readonly outcome: O;

  constructor(outcome: O) {
    this.outcome = outcome;
  }
}

export class Lookups {
  readonly #records: LookedUp;
  readonly #writer: Writer;
  readonly #keys: KeyLookups;
  #codeLookups = 0;
  #refunding: Promise<unknown> = Promise.resolve();
  #refundsWaiting = 0;
  /** However many claim a coupon at once, its claims are read once. */
  readonly #loading = new Map<string, Promise<void>>();

  constructor(records: LookedUp, writer: Writer) {
    this.#records = records;
    this.#writer = writer;
    this.#keys = new KeyLookups(records, writer);
  }

  /** Has a command decided, with what it needs of the records. */
  decide<C extends Lookup>(command: C): Promise<Decided<OutcomeOf<C>>>;
  /** As above, and gives what `use` makes of the outcome: see `Writer.submit`. */
  decide<C extends Lookup, T>(
    command: C,
    use: (outcome: Decided<OutcomeOf<C>>) => T | Promise<T>,
  ): Promise<T>;
  async decide<C extends Lookup>(
    command: C,
    use: (outcome: Decided<OutcomeOf<C>>) => unknown = same,
  ): Promise<unknown> {
    // Nearly always the ledger knows. Where it does not, nothing is looked up before the commit.
    const made = await this.#writer.submit(command, (outcome) =>
      isDecided(outcome) ? use(outcome) : new Undecided(outcome),
    );
    if (!(made instanceof Undecided)) return made;
    const { outcome } = made as Undecided<OutcomeOf<C>>;
    return await use(await this.lookUp(command, outcome, (asked) => this.#writer.submit(asked)));
  }

  /**
   * Goes on with an outcome: while it needs the records, what it needs is looked up, and asked again.
   * @throws OverloadedError when there is no end to it, or too much is looked up at once
   */
  async lookUp<C extends Lookup>(
    command: C,
    outcome: OutcomeOf<C>,
    submit: (command: C) => Promise<OutcomeOf<C>>,
  ): Promise<Decided<OutcomeOf<C>>> {
    const goOn = (): Promise<Decided<OutcomeOf<C>>> => this.#goOn(command, outcome, submit);
    return command.kind === "refund" ? await this.#alone(goOn) : await goOn();
  }

  /** Each refund changes what is known of orders: they are looked up and decided one by one. */
  async #alone<T>(refund: () => Promise<T>): Promise<T> {
    if (this.#refundsWaiting >= refundsWaitingMax) {
      throw new OverloadedError("too many refunds are under way");
    }
    this.#refundsWaiting += 1;
    const turn = this.#refunding.then(refund).finally(() => {
      this.#refundsWaiting -= 1;
    });
    this.#refunding = turn.catch(() => {});
    return await turn;
  }

  async #goOn<C extends Lookup>(
    command: C,
    outcome: OutcomeOf<C>,
    submit: (command: C) => Promise<OutcomeOf<C>>,
  ): Promise<Decided<OutcomeOf<C>>> {
    let asked = command;
    let said = outcome;
    for (let round = 1; round < roundsMax; round += 1) {
      if (isDecided(said)) return said;
      asked = await this.#looked(asked, neededBy(said));
      said = await submit(asked);
    }
    if (isDecided(said)) return said;
    throw new OverloadedError("the records change faster than they are read");
  }

  /** The command with what the records say, or once the ledger knows that. */
  async #looked<C extends Lookup>(command: C, what: RecordsNeeded["what"]): Promise<C> {
    switch (command.kind) {
      case "checkout":
      case "buy":
        // A code may be made when it is asked for: it is no field that is copied.
        return { ...command, code: command.code, lookup: await this.#lookUpKey(command) };
      case "claim":
        if (what !== "claims") return { ...command, lookup: await this.#lookUpKey(command) };
        await this.#load(command.coupon);
        return command;
      case "refund": {
        // Committed before the records are asked: they know it.
        const upTo = this.#writer.committedSeq;
        return { ...command, lookup: { upTo, ...(await this.#records.findRefundable(command)) } };
      }
      default:
        return { ...command, lookup: await this.#lookUp(command.code) };
    }
  }

  #lookUpKey({ buyer, key }: Checkout | Buy | Claim): Promise<KeyLookup> {
    return this.#keys.lookUp({ buyer, key: key ?? "" });
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

type AskedKey = {
  readonly asked: BuyerKey;
  readonly tell: (lookup: KeyLookup) => void;
  readonly fail: (error: unknown) => void;
};

/** Looks keys up together: one statement at a time, of all that are asked for by then. */
class KeyLookups {
  readonly #records: LookedUp;
  readonly #writer: Writer;
  #waiting: AskedKey[] = [];
  #isReading = false;

  constructor(records: LookedUp, writer: Writer) {
    this.#records = records;
    this.#writer = writer;
  }

  lookUp(asked: BuyerKey): Promise<KeyLookup> {
    if (this.#waiting.length >= keyLookupsMax) {
      throw new OverloadedError("too many idempotency keys are looked up");
    }
    const { promise, resolve: tell, reject: fail } = Promise.withResolvers<KeyLookup>();
    this.#waiting.push({ asked, tell, fail });
    if (!this.#isReading) void this.#read();
    return promise;
  }

  async #read(): Promise<void> {
    this.#isReading = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, keysPerLookupMax);
      // Committed before the records are asked: they know it.
      const upTo = this.#writer.committedSeq;
      try {
        const found = await this.#records.findKeys(batch.map(({ asked }) => asked));
        batch.forEach(({ tell }, index) => tell({ upTo, found: found[index] ?? null }));
      } catch (error) {
        for (const { fail } of batch) fail(error);
      }
    }
    this.#isReading = false;
  }
}

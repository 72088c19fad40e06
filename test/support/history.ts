/**
 * Random histories of a shop: drawn from a seed, run on the ledger and on the model side by
 * side, and cut down to the few steps that matter when the two disagree.
 *
 * A step is plain data, so that a history can be replayed without its seed and with steps
 * left out.
 */
import { buyerId, type Buyer } from "../../src/ledger/buyers.ts";
import { effectsOf, GapError, type LedgerChange } from "../../src/ledger/changes.ts";
import type { Buy, Checkout, CodeLookup, KeyLookup, Outcome } from "../../src/ledger/commands.ts";
import { Ledger, Replica } from "../../src/ledger/ledger.ts";
import type { Sale } from "../../src/ledger/sale.ts";
import type { LedgerView } from "../../src/ledger/view.ts";
import { Model } from "../unit/model.ts";
import type { SaleCommand, SaleOutcome, SalePlan } from "../unit/model-books.ts";
import { differ, disagreement, dumpOf, figuresOf, isSaleOutcome } from "./compare.ts";
import { NaiveRecords, nothingRecorded } from "./naive-records.ts";

export type Step =
  /** `stale`: with what was read of the code at some time before. */
  | {
      readonly do: "decide";
      readonly at: number;
      readonly command: SaleCommand;
      readonly stale?: boolean;
    }
  | { readonly do: "add"; readonly sale: SalePlan }
  | { readonly do: "settle"; readonly saleId: number }
  /** Compares every figure of every sale. */
  | { readonly do: "look"; readonly at: number }
  /** Notes where a sale stands. */
  | { readonly do: "checkpoint"; readonly at: number; readonly saleId: number }
  /** Goes on with a ledger that is restored from the records, by a clock that says `at`. */
  | { readonly do: "crash"; readonly at: number };

/** How often something was answered. */
export type Seen = Map<string, number>;

/** Where a history begins. */
export const epoch = { seq: 41, now: 1_000 };

/** After a crash, sales that were over for this long are left to the records. */
const settleAfterMs = 400;

/** Decisions between two audits of the whole state. */
const auditEvery = 5;

/** One ledger, its records, and the model, all told the same. */
export class Run {
  readonly model = new Model(epoch.seq, epoch.now);
  readonly records = new NaiveRecords(epoch.seq, epoch.now);
  ledger: Ledger;
  /** How often each word was answered, and how many purchases came late. */
  readonly seen: Seen = new Map();
  /** What was answered last. */
  told: SaleOutcome | null = null;
  readonly #buyers = new Map<string, Buyer>();
  /** What was read of a code when it was last looked up. */
  readonly #read = new Map<string, CodeLookup>();
  /** Told of all that happens, and one that reads of it in the records, now and then. */
  #fed: Replica;
  #reading: Replica;
  /** What happened since the term began. */
  #changes: LedgerChange[] = [];
  readonly #readKeys = new Map<string, KeyLookup>();

  private constructor(ledger: Ledger, fed: Replica, reading: Replica) {
    this.ledger = ledger;
    this.#fed = fed;
    this.#reading = reading;
  }

  static async begin(): Promise<Run> {
    const { seq, now } = epoch;
    const nothing = nothingRecorded(seq, now);
    const replicas = [await Replica.restore(nothing), await Replica.restore(nothing)] as const;
    return new Run(await Ledger.restore(nothing, now), ...replicas);
  }

  /** Takes one step; returns what is wrong after it, or null. */
  take(step: Step): string | null | Promise<string | null> {
    switch (step.do) {
      case "decide":
        return this.#decide(step.command, step.at, step.stale === true);
      case "add":
        return this.#add(step.sale);
      case "settle":
        return this.#settle(step.saleId);
      case "look":
        return this.#look(step.at);
      case "checkpoint":
        this.#tick(step.at);
        this.records.saveCheckpoint(step.saleId, this.ledger.view(step.at));
        return this.#join();
      case "crash":
        return this.#crash(step.at);
      default:
        return step satisfies never;
    }
  }

  #add(plan: SalePlan): null {
    const terms: Sale = { ...plan, stock: Int32Array.from(plan.stock) };
    this.model.addSale(plan);
    this.records.addSale(terms);
    this.#tell(this.ledger.addSale(terms, 0));
    return null;
  }

  #tell(change: LedgerChange | null): void {
    if (change === null) return;
    this.#changes.push(change);
    this.#fed.apply(change);
  }

  /** Of a sale that is over; with steps left out it may not be. */
  #settle(saleId: number): string | null {
    if (!this.model.books.some((book) => book.plan.id === saleId && this.model.isOver(book))) {
      return null;
    }
    this.model.settleSale(saleId);
    this.records.settleSale(saleId);
    this.#tell(this.ledger.settleSale(saleId));
    return this.#audit();
  }

  #decide(command: SaleCommand, at: number, stale: boolean): string | null {
    const { seq } = this.ledger;
    const outcome = this.#ask(command, at, stale);
    if (typeof outcome === "string") return outcome;
    this.told = outcome;
    const isAboutCode = command.kind === "purchase" || command.kind === "extend";
    const wasLive = isAboutCode && this.#isLive(command.code, at);
    const wanted = this.model.decide(command, at);
    const plan = this.model.books.find((book) => book.plan.id === wanted.saleId)?.plan;
    const complaint = disagreement(outcome, wanted, plan);
    if (complaint !== null) return complaint;
    if (this.ledger.seq !== seq + 1) return differ("seq", this.ledger.seq, seq + 1);
    const { now } = this.ledger.view(0);
    if (now !== this.model.now) return differ("now", now, this.model.now);
    this.records.note(command, outcome, this.ledger.seq, now);
    const effects = effectsOf(this.ledger.seq, now, [command], [outcome]);
    const attempts = this.ledger.attemptsSince();
    const { seq: firstSeq } = this.ledger;
    this.#tell({ kind: "batch", firstSeq, seq: firstSeq, at: now, effects, attempts });
    this.#count(outcome.word);
    if (outcome.word === "purchased" && command.kind === "purchase" && !wasLive) {
      this.#count("late purchase");
    }
    if (outcome.word === "extended" && !wasLive) this.#count("late extension");
    const buyer = "buyer" in command ? command.buyer : null;
    if (buyer !== null) this.#buyers.set(buyerId(buyer), buyer);
    const saleId = wanted.saleId ?? wanted.of?.book.plan.id ?? null;
    const off = this.#compareBuyer(buyer) ?? this.#compareSale(saleId);
    // What is off stays off, so all of it is looked at every few steps only.
    return off ?? (this.ledger.seq % auditEvery === 0 ? this.#audit() : null);
  }

  /** Asks, and when the ledger wants to be told what the records say, tells it and asks again. */
  #ask(command: SaleCommand, at: number, stale: boolean): SaleOutcome | string {
    const { seq } = this.ledger;
    const first = this.ledger.decide(stale ? this.#withStale(command) : command, at);
    if (first.word !== "look_up") return saleOutcome(first);
    if (this.ledger.seq !== seq) return "asking for the records took a number";
    this.#count("look_up");
    return saleOutcome(this.ledger.decide(this.#withLookup(command), at));
  }

  /** With what was read of it at some time before. */
  #withStale(command: SaleCommand): SaleCommand {
    if (command.kind === "change_sale") return command;
    if (command.kind === "checkout" || command.kind === "buy") {
      const lookup = this.#readKeys.get(keyNameOf(command));
      if (lookup === undefined) return command;
      this.#count("stale key");
      return { ...command, lookup };
    }
    const lookup = this.#read.get(command.code) ?? null;
    if (lookup !== null) this.#count("stale lookup");
    return { ...command, lookup };
  }

  #withLookup(command: SaleCommand): SaleCommand {
    if (command.kind === "change_sale") return command;
    if (command.kind === "checkout" || command.kind === "buy") {
      const found = this.records.findKey(command.buyer, command.key ?? "");
      const lookup = { upTo: this.ledger.seq, found };
      this.#readKeys.set(keyNameOf(command), lookup);
      this.#count(found === null ? "unknown key" : "settled key");
      return { ...command, lookup };
    }
    return { ...command, lookup: this.#readCode(command.code) };
  }

  #readCode(code: string): CodeLookup {
    const lookup = { upTo: this.ledger.seq, found: this.records.findCode(code) };
    this.#read.set(code, lookup);
    return lookup;
  }

  #isLive(code: string, at: number): boolean {
    const now = Math.max(at, this.model.now);
    const entry = this.model.entryOf(code);
    return entry !== null && !entry.displaced && entry.deadline > now;
  }

  #count(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }

  #compareSale(saleId: number | null): string | null {
    if (saleId === null) return null;
    const figures = figuresOf(this.ledger.view(0), saleId);
    if (figures === null) return null;
    const wanted = this.model.figures(saleId);
    return Bun.deepEquals(figures, wanted) ? null : differ(`sale ${saleId}`, figures, wanted);
  }

  #compareBuyer(buyer: Buyer | null): string | null {
    if (buyer === null) return null;
    const holds = reservationsOf(this.ledger.view(0), buyer);
    const wanted = this.model.reservationsOf(buyer);
    return Bun.deepEquals(holds, wanted) ? null : differ(JSON.stringify(buyer), holds, wanted);
  }

  #audit(): string | null {
    const complaints = this.ledger.check();
    return complaints.length === 0 ? this.#compareReplica(this.#fed) : complaints.join("; ");
  }

  #compareReplica(replica: Replica): string | null {
    const { now } = this.ledger.view(0);
    const says = dumpOf(replica.view(now));
    const wanted = dumpOf(this.ledger.view(0));
    return Bun.deepEquals(says, wanted) ? null : differ("a replica", says, wanted);
  }

  /** Another replica begins in the middle of a term, and one catches up by what is recorded. */
  async #join(): Promise<string | null> {
    const joining = await Replica.restore(this.records.recorded());
    this.#count("replica joined");
    for (const change of this.#changes) joining.apply(change);
    this.#reading = await this.#catchUp(this.#reading);
    // Some is compared long before it takes over.
    this.#fed.compare(this.records.purchases(this.#fed.upTo.comparedSeq), this.ledger.seq);
    return this.#compareReplica(joining) ?? this.#compareReplica(this.#reading) ?? this.#audit();
  }

  async #catchUp(replica: Replica): Promise<Replica> {
    try {
      await replica.catchUp(this.records.recordedSince(replica.upTo));
      this.#count("replica caught up");
      return replica;
    } catch (error) {
      if (!(error instanceof GapError)) throw error;
      return await Replica.restore(this.records.recorded());
    }
  }

  #look(at: number): string | null {
    this.#tick(at);
    for (const { plan } of this.model.books) {
      const complaint = this.#compareSale(plan.id);
      if (complaint !== null) return complaint;
    }
    for (const buyer of this.#buyers.values()) {
      const complaint = this.#compareBuyer(buyer);
      if (complaint !== null) return complaint;
    }
    return this.#audit();
  }

  /** Lets time pass as a command would. */
  #tick(at: number): void {
    this.model.now = Math.max(this.model.now, at);
    this.ledger.moveOn(at);
  }

  /**
   * With and without checkpoints the same must come out, and what the model says; and from a
   * replica that takes over. One of them goes on, in turns.
   */
  async #crash(at: number): Promise<string | null> {
    const settledBefore = at - settleAfterMs;
    this.model.restart(at, settledBefore);
    this.records.settleBefore(settledBefore);
    const fed = await this.#catchUp(this.#fed);
    this.records.beginTerm(at);
    const restored = await Ledger.restore(this.records.recorded(), at);
    const whole = await Ledger.restore(this.records.recorded(false), at);
    const promoted = fed.promote(at);
    this.#reading = await this.#catchUp(this.#reading);
    const dumps = [restored, whole, promoted, this.#reading].map((one) => dumpOf(one.view(at)));
    for (const dump of dumps) {
      if (!Bun.deepEquals(dump, dumps[0])) return differ("recovered", dump, dumps[0]);
    }
    this.ledger = this.ledger.seq % 2 === 0 ? restored : promoted;
    this.#fed = this.#reading;
    this.#reading = await Replica.restore(this.records.recorded());
    this.#changes = [];
    return this.#look(at);
  }
}

function saleOutcome(outcome: Outcome): SaleOutcome | string {
  return isSaleOutcome(outcome) ? outcome : `${outcome.word} is no answer of a sale`;
}

const keyNameOf = ({ buyer, key }: Checkout | Buy): string => `${buyerId(buyer)} ${key}`;

const reservationsOf = (view: LedgerView, buyer: Buyer) =>
  view.reservationsOf(buyer).map(({ code, expiresAt }) => ({ code, expiresAt }));

/** What is wrong after these steps, and after how many; null when nothing is. */
export async function replay(
  steps: readonly Step[],
): Promise<{ complaint: string; at: number } | null> {
  const run = await Run.begin();
  for (const [index, step] of steps.entries()) {
    // oxlint-disable-next-line no-await-in-loop
    const complaint = await take(run, step);
    if (complaint !== null) return { complaint, at: index + 1 };
  }
  return null;
}

/** An exception is as wrong as a wrong answer. */
export async function take(run: Run, step: Step): Promise<string | null> {
  try {
    return await run.take(step);
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}

/** The fewest of these failing steps that still fail, found by leaving out ever smaller parts. */
export async function shrink(failing: readonly Step[]): Promise<readonly Step[]> {
  let steps = failing;
  for (let size = steps.length >> 1; size >= 1; size >>= 1) {
    for (let from = 0; from < steps.length;) {
      const fewer = [...steps.slice(0, from), ...steps.slice(from + size)];
      // oxlint-disable-next-line no-await-in-loop
      const failure = await replay(fewer);
      if (failure === null) from += size;
      else steps = fewer.slice(0, failure.at);
    }
  }
  return steps;
}

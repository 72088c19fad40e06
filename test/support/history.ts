/**
 * Random histories of a shop: drawn from a seed, run on the ledger and on the model side by
 * side, and cut down to the few steps that matter when the two disagree.
 *
 * A step is plain data, so that a history can be replayed without its seed and with steps
 * left out.
 */
import { check } from "../../src/ledger/check.ts";
import { decide } from "../../src/ledger/decide.ts";
import { restore, type EffectiveAttempt } from "../../src/ledger/restore.ts";
import {
  addSale,
  emptyState,
  expire,
  settleSale,
  type LedgerState,
} from "../../src/ledger/state.ts";
import { Model, type SaleCommand, type SaleOutcome, type SalePlan } from "../unit/model.ts";
import { differ, disagreement, dumpOf, factsOf, figuresOf, isSaleOutcome } from "./compare.ts";

export type Step =
  /** The records of a code are looked up when the step is run. */
  | { readonly do: "decide"; readonly at: number; readonly command: SaleCommand }
  | { readonly do: "add"; readonly sale: SalePlan }
  | { readonly do: "settle"; readonly saleId: number }
  /** Compares every figure of every sale. */
  | { readonly do: "look"; readonly at: number }
  /** Goes on with a state rebuilt from the journal; the old one goes on beside it. */
  | { readonly do: "crash"; readonly at: number };

/** How often something was answered. */
export type Seen = Map<string, number>;

/** Where a history begins. */
export const epoch = { seq: 41, now: 1_000 };

/** One ledger, the model, and after a crash the ledger as it was, all asked the same. */
export class Run {
  readonly model = new Model(epoch.seq, epoch.now);
  state: LedgerState = emptyState(epoch.seq, epoch.now);
  /** How often each word was answered, and how many purchases came late. */
  readonly seen: Seen = new Map();
  /** What was answered last. */
  told: SaleOutcome | null = null;
  #twin: LedgerState | null = null;
  readonly #journal: EffectiveAttempt[] = [];

  /** Takes one step; returns what is wrong after it, or null. */
  take(step: Step): string | null {
    switch (step.do) {
      case "decide":
        return this.#decide(step.command, step.at) ?? this.#audit();
      case "add":
        this.model.addSale(step.sale);
        for (const state of this.#states()) addPlan(state, step.sale);
        return null;
      case "settle":
        return this.#settle(step.saleId);
      case "look":
        return this.#look(step.at);
      case "crash":
        return this.#crash(step.at);
      default:
        return step satisfies never;
    }
  }

  #decide(asked: SaleCommand, at: number): string | null {
    const { state } = this;
    const command = this.#withRecord(asked);
    const outcome = decideSale(state, command, at);
    this.told = outcome;
    const complaint = disagreement(outcome, this.model.decide(command, at));
    if (complaint !== null) return complaint;
    if (state.seq !== this.model.seq) return differ("seq", state.seq, this.model.seq);
    if (state.now !== this.model.now) return differ("now", state.now, this.model.now);
    this.#record(outcome);
    if (this.#twin !== null) {
      const facts = factsOf(outcome);
      const twins = factsOf(decideSale(this.#twin, command, at));
      if (!Bun.deepEquals(facts, twins)) return differ("after recovery", facts, twins);
    }
    const saleId = factsOf(outcome)["saleId"];
    return typeof saleId === "number" ? this.#compareFigures(saleId) : null;
  }

  /** A caller looks a code up in the records when the ledger does not know it. */
  #withRecord(command: SaleCommand): SaleCommand {
    if (command.kind === "checkout" || this.state.codes.has(command.code)) return command;
    return { ...command, archived: this.model.recordOf(command.code) };
  }

  #record(outcome: SaleOutcome): void {
    const { word } = outcome;
    this.#count(word);
    if (word !== "reserved" && word !== "purchased" && word !== "released") return;
    const changed = "reservation" in outcome ? outcome.reservation : outcome.of;
    if (!("request" in changed)) throw new Error(`${word} of a code that only the records have`);
    const { saleId, itemId, userId, code, key, request } = changed;
    const { seq, now: at } = this.state;
    if (word === "purchased" && changed.expiresAt <= at) this.#count("late purchase");
    this.#journal.push({
      seq,
      at,
      word,
      saleId,
      itemId,
      userId,
      code,
      key,
      request,
      quantity: null,
    });
  }

  #count(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }

  #compareFigures(saleId: number): string | null {
    const sale = this.state.sales.get(saleId);
    if (sale === undefined) return null;
    const figures = figuresOf(sale);
    const wanted = this.model.figures(saleId);
    return Bun.deepEquals(figures, wanted) ? null : differ(`sale ${saleId}`, figures, wanted);
  }

  #audit(): string | null {
    const complaints = this.#states().flatMap((state) => check(state));
    return complaints.length === 0 ? null : complaints.join("; ");
  }

  #settle(saleId: number): string | null {
    this.model.settleSale(saleId);
    for (const state of this.#states()) {
      const sale = state.sales.get(saleId);
      if (sale !== undefined) settleSale(state, sale);
    }
    return this.#audit();
  }

  #look(at: number): string | null {
    this.#tick(at);
    for (const [saleId, sale] of this.state.sales) {
      expire(sale, this.state.now);
      const complaint = this.#compareFigures(saleId);
      if (complaint !== null) return complaint;
    }
    return this.#audit();
  }

  /** Lets time pass as a command would. */
  #tick(at: number): void {
    this.model.now = Math.max(this.model.now, at);
    for (const state of this.#states()) state.now = this.model.now;
  }

  #crash(at: number): string | null {
    this.#tick(at);
    const old = this.state;
    const rebuilt = emptyState(old.seq, old.now);
    for (const [id, items] of old.settled) rebuilt.settled.set(id, items);
    for (const { sale } of old.sales.values()) addSale(rebuilt, sale, 0);
    for (const attempt of this.#journal) {
      if (rebuilt.sales.has(attempt.saleId)) restore(rebuilt, attempt);
    }
    const dumps = [dumpOf(rebuilt, old.now), dumpOf(old, old.now)] as const;
    this.state = rebuilt;
    this.#twin = old;
    return Bun.deepEquals(dumps[0], dumps[1]) ? this.#audit() : differ("recovered", ...dumps);
  }

  #states(): LedgerState[] {
    return this.#twin === null ? [this.state] : [this.state, this.#twin];
  }
}

function decideSale(state: LedgerState, command: SaleCommand, at: number): SaleOutcome {
  const outcome = decide(state, command, at);
  if (!isSaleOutcome(outcome)) throw new Error(`${outcome.word} is no answer to ${command.kind}`);
  return outcome;
}

function addPlan(state: LedgerState, plan: SalePlan): void {
  addSale(state, { ...plan, stock: Int32Array.from(plan.stock) }, 0);
}

/** What is wrong after these steps, and after how many; null when nothing is. */
export function replay(steps: readonly Step[]): { complaint: string; at: number } | null {
  const run = new Run();
  for (const [index, step] of steps.entries()) {
    const complaint = take(run, step);
    if (complaint !== null) return { complaint, at: index + 1 };
  }
  return null;
}

/** An exception is as wrong as a wrong answer. */
export function take(run: Run, step: Step): string | null {
  try {
    return run.take(step);
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}

/** The fewest of these failing steps that still fail, found by leaving out ever smaller parts. */
export function shrink(failing: readonly Step[]): readonly Step[] {
  let steps = failing;
  for (let size = steps.length >> 1; size >= 1; size >>= 1) {
    for (let from = 0; from < steps.length;) {
      const fewer = [...steps.slice(0, from), ...steps.slice(from + size)];
      const failure = replay(fewer);
      if (failure === null) from += size;
      else steps = fewer.slice(0, failure.at);
    }
  }
  return steps;
}

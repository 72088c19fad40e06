/**
 * What the ledger says and holds, in words that can be compared: its answers with the model's,
 * its figures with the model's, all of it with that of another ledger.
 */
import { buyerId } from "../../src/ledger/buyers.ts";
import type { Outcome, SoldUnit, Unit } from "../../src/ledger/commands.ts";
import type { Sale } from "../../src/ledger/sale.ts";
import type { LedgerView } from "../../src/ledger/view.ts";
import {
  expiresAt,
  type Entry,
  type Figures,
  type SaleOutcome,
  type Verdict,
} from "../unit/model-books.ts";

type Facts = Readonly<Record<string, unknown>>;

/** When a sale begins and ends, by the model. */
type Planned = Pick<Sale, "startsAt" | "endsAt" | "closed">;

/** Every word about a sale; total, so that a new one cannot be left out. */
export const saleWords: Readonly<Record<SaleOutcome["word"], true>> = {
  reserved: true,
  reserved_again: true,
  item_reserved: true,
  not_admitted: true,
  sale_not_open: true,
  sale_not_found: true,
  item_not_found: true,
  item_sold_out: true,
  sold_out: true,
  price_changed: true,
  unauthenticated: true,
  user_limit_reached: true,
  idempotency_key_reused: true,
  purchased: true,
  purchased_again: true,
  code_expired: true,
  sale_ended: true,
  code_not_found: true,
  released: true,
  released_again: true,
  already_purchased: true,
  extended: true,
  sale_changed: true,
  end_not_later: true,
  sale_opened: true,
};

/** Whether an answer is one that a command about a sale can get. */
export const isSaleOutcome = (outcome: Outcome): outcome is SaleOutcome =>
  outcome.word in saleWords;

/** What an answer tells, as plain facts; when an item may come free is compared apart. */
export function factsOf(outcome: SaleOutcome): Facts {
  const { word } = outcome;
  if ("reservation" in outcome) {
    const { reservation } = outcome;
    // Of what is sold it does not matter any more when it would have run out.
    const end = reservation.sold === null ? { expiresAt: reservation.expiresAt } : {};
    return { word, ...unitFacts(reservation), ...end };
  }
  if ("units" in outcome) return { word, units: outcome.units.map(soldFacts) };
  if ("of" in outcome) {
    if (outcome.of === null) return { word };
    const of = outcome.word === "purchased" ? soldFacts(outcome.of) : unitFacts(outcome.of);
    if (outcome.word !== "extended") return { word, ...of };
    return { word, ...of, expiresAt: outcome.of.expiresAt, due: outcome.due };
  }
  if (outcome.word === "sale_changed") {
    const { saleId, startsAt, endsAt, closed } = outcome;
    return { word, saleId, startsAt, endsAt, closed };
  }
  // When it was said, the time of the decision is.
  const { retryAt, at: _at, ...told } = { retryAt: null, at: 0, ...outcome };
  return outcome.word === "user_limit_reached" ? { ...told, retryAt } : told;
}

function unitFacts({ code, saleId, itemId, buyer, sold }: Unit): Facts {
  const order = { order: sold?.seq ?? null, soldAt: sold?.at ?? null };
  return { code, saleId, itemId, buyer: buyerId(buyer), ...order };
}

function soldFacts(sold: SoldUnit): Facts {
  const { unit, userOrdinal, itemStock, userLimit } = sold;
  return { ...unitFacts(sold), unit, userOrdinal, itemStock, userLimit };
}

function entryFacts({ code, book, itemId, buyer, sold }: Entry): Facts {
  const order = { order: sold?.order ?? null, soldAt: sold?.at ?? null };
  return { code, saleId: book.plan.id, itemId, buyer: buyerId(buyer), ...order };
}

function soldEntryFacts(entry: Entry): Facts {
  const { stock, perUserLimit: userLimit } = entry.book.plan;
  const { unit, ordinal: userOrdinal } = entry.sold ?? {};
  return {
    ...entryFacts(entry),
    unit,
    userOrdinal,
    itemStock: stock[entry.itemId - 1],
    userLimit,
  };
}

function verdictFacts(wanted: Verdict, plan: Planned | undefined): Facts {
  const { word, of, units, saleId } = wanted;
  if (units !== null) return { word, units: units.map(soldEntryFacts) };
  if (of !== null) {
    if (word === "purchased") return { word, ...soldEntryFacts(of) };
    if (word === "extended")
      return { word, ...entryFacts(of), expiresAt: expiresAt(of), due: of.due };
    const isLive = word === "reserved" || (word === "reserved_again" && of.sold === null);
    return { word, ...entryFacts(of), ...(isLive ? { expiresAt: expiresAt(of) } : {}) };
  }
  if (word === "code_not_found") return { word };
  if (word === "user_limit_reached") return { word, saleId, retryAt: wanted.retryAt };
  if (word === "sale_changed" && plan !== undefined) {
    const { startsAt, endsAt, closed } = plan;
    return { word, saleId, startsAt, endsAt, closed };
  }
  return { word, saleId, opensAt: wanted.opensAt };
}

/** In what an answer is not what the contract wants; null when it is. */
export function disagreement(
  outcome: SaleOutcome,
  wanted: Verdict,
  plan: Planned | undefined,
): string | null {
  const facts = { opensAt: null, ...factsOf(outcome) };
  const wantedFacts = { opensAt: null, ...verdictFacts(wanted, plan) };
  if (!Bun.deepEquals(facts, wantedFacts)) return differ("answered", facts, wantedFacts);
  if (outcome.word !== "item_reserved" || wanted.retry === null) return null;
  const { soonest, latest } = wanted.retry;
  if (soonest <= outcome.retryAt && outcome.retryAt <= latest) return null;
  return differ("retryAt", outcome.retryAt, wanted.retry);
}

export function differ(what: string, is: unknown, wanted: unknown): string {
  return `${what}: ${JSON.stringify(is)}\n  wanted: ${JSON.stringify(wanted)}`;
}

/** The figures of a sale that a ledger holds. */
export function figuresOf(view: LedgerView, saleId: number): Figures | null {
  const totals = view.totals(saleId);
  const free = view.free(saleId);
  const soldOf = view.soldOf(saleId);
  if (totals === null || free === null || soldOf === null) return null;
  const { sold, reserved, available } = totals;
  return { sold, reserved, available, free: [...free], soldOf: [...soldOf] };
}

/** Everything of a ledger that can make a difference to a client, in an order of its own. */
export function dumpOf(view: LedgerView): unknown {
  const sales = view.sales().map(({ id, endsAt, closed }) => {
    const books = view.checkpoint(id);
    const inOrder = books?.open.toSorted((a, b) => a.seq - b.seq);
    // Of what was closed by hand nothing can be had any more, whoever lost what to whom.
    const open = closed ? null : inOrder;
    return { id, endsAt, closed, figures: figuresOf(view, id), sold: books?.sold, open };
  });
  return { seq: view.seq, now: view.now, sales };
}

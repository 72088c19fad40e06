/**
 * What the ledger says and holds, in words that can be compared: its answers with the
 * model's, its figures with the model's, its whole state with that of another ledger.
 */
import type { KnownCode, Outcome } from "../../src/ledger/commands.ts";
import { expire, type LedgerState, type SaleState } from "../../src/ledger/state.ts";
import type { Entry, Figures, SaleOutcome, Verdict } from "../unit/model.ts";

type Facts = Readonly<Record<string, string | number | null>>;

/** Every word about a sale; total, so that a new one cannot be left out. */
export const saleWords: Readonly<Record<SaleOutcome["word"], true>> = {
  reserved: true,
  reserved_again: true,
  item_reserved: true,
  sale_not_open: true,
  sale_not_found: true,
  item_not_found: true,
  item_sold_out: true,
  sold_out: true,
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
};

/** Whether an answer is one that a command about a sale can get. */
export const isSaleOutcome = (outcome: Outcome): outcome is SaleOutcome =>
  outcome.word in saleWords;

/** What an answer tells, as plain facts; when to try again is compared apart. */
export function factsOf(outcome: SaleOutcome): Facts {
  const { word } = outcome;
  if ("reservation" in outcome) return { word, ...codeFacts(outcome.reservation) };
  if ("of" in outcome) return outcome.of === null ? { word } : { word, ...codeFacts(outcome.of) };
  if ("opensAt" in outcome) return { word, saleId: outcome.saleId, opensAt: outcome.opensAt };
  return { word, saleId: outcome.saleId };
}

function codeFacts(known: KnownCode): Facts {
  const { code, saleId, itemId, userId, sold } = known;
  const facts = {
    code,
    saleId,
    itemId,
    userId,
    order: sold?.seq ?? null,
    soldAt: sold?.at ?? null,
  };
  if (!("expiresAt" in known)) return facts;
  const { expiresAt, sold: unit } = known;
  return { ...facts, expiresAt, unit: unit?.unit ?? null, ordinal: unit?.userOrdinal ?? null };
}

function entryFacts(entry: Entry, archived: boolean): Facts {
  const { code, book, itemId, userId, expiresAt, sold } = entry;
  const order = { order: sold?.order ?? null, soldAt: sold?.at ?? null };
  const facts = { code, saleId: book.plan.id, itemId, userId, ...order };
  if (archived) return facts;
  return { ...facts, expiresAt, unit: sold?.unit ?? null, ordinal: sold?.ordinal ?? null };
}

/** In what an answer is not what the contract wants; null when it is. */
export function disagreement(outcome: SaleOutcome, wanted: Verdict): string | null {
  const facts = factsOf(outcome);
  const wantedFacts = verdictFacts(wanted, !("expiresAt" in facts));
  if (!Bun.deepEquals(facts, wantedFacts)) return differ("answered", facts, wantedFacts);
  if (outcome.word !== "item_reserved" || wanted.retry === null) return null;
  const { soonest, latest } = wanted.retry;
  if (soonest <= outcome.retryAt && outcome.retryAt <= latest) return null;
  return differ("retryAt", outcome.retryAt, wanted.retry);
}

function verdictFacts({ word, of, saleId, opensAt }: Verdict, archived: boolean): Facts {
  if (of !== null) return { word, ...entryFacts(of, archived) };
  if (word === "code_not_found") return { word };
  return word === "sale_not_open" ? { word, saleId, opensAt } : { word, saleId };
}

export function differ(what: string, is: unknown, wanted: unknown): string {
  return `${what}: ${JSON.stringify(is)}\n  wanted: ${JSON.stringify(wanted)}`;
}

/** The figures that the ledger keeps of a sale; run out reservations must have been ended. */
export function figuresOf(sale: SaleState): Figures {
  const users = [...sale.buyers].map(([id, { bought, live }]) => {
    return [id, { bought, live: live.map(({ code }) => code) }] as const;
  });
  return {
    sold: sale.sold,
    reserved: sale.reserved,
    available: sale.available,
    items: Array.from(sale.free, (free, index) => ({ free, sold: sale.soldOf[index] ?? 0 })),
    users: Object.fromEntries(users),
  };
}

/**
 * Everything in a state that can make a difference to a client, in an order of its own, with
 * all that has run out by `now` ended.
 */
export function dumpOf(state: LedgerState, now: number): unknown {
  for (const sale of state.sales.values()) expire(sale, now);
  const codes = [...state.codes].map(([code, reservation]) => {
    const { saleId, itemId, userId, expiresAt, key, request, status, sold } = reservation;
    return [code, { saleId, itemId, userId, expiresAt, key, request, status, sold }] as const;
  });
  // A key whose reservation lapsed or was given back stands for nothing.
  const keys = [...state.keys]
    .filter(([, { status }]) => status === "live" || status === "sold")
    .map(([key, { code }]) => [key, code] as const);
  const sales = [...state.sales].map(([id, sale]) => {
    const live = sale.deadlines.filter(({ status }) => status === "live");
    const ahead = new Set(sale.deadlines.slice(sale.deadlineHead));
    const deadlines = live.map(({ code }) => code);
    const unseen = live.filter((reservation) => !ahead.has(reservation)).length;
    return [id, { ...figuresOf(sale), stock: sale.stock, deadlines, unseen }] as const;
  });
  return {
    seq: state.seq,
    sales: Object.fromEntries(sales),
    settled: Object.fromEntries(state.settled),
    codes: Object.fromEntries(codes),
    keys: Object.fromEntries(keys),
  };
}

/** The rows of queues: an attempt to join, the ticket that came of it, and a rate that was set. */
import type { ChangeQueue, ChangeQueueOutcome, Join, JoinOutcome } from "../ledger/commands.ts";
import type { Rate } from "../ledger/queue.ts";
import { activityRow } from "./activity-rows.ts";
import { ofAttempt, type activity } from "./journal-rows.ts";
import { none, nullable, quote, type RowOf } from "./rows.ts";

/** The attempts of which tickets come: most rows of those who come before an opening. */
export const joined = {
  into: "attempts",
  columns: {
    nth: "int",
    sale_id: "int",
    buyer: "buyer_kind",
    user_id: "text",
    idempotency_key: "text",
  },
  derived: { ...ofAttempt, kind: "'join'", outcome: "'joined'" },
} as const;
export const ticket = {
  into: "tickets",
  columns: {
    nth: "int",
    sale_id: "int",
    number: "int",
    buyer: "buyer_kind",
    user_id: "text",
    ticket: "uuid",
    supersedes: "int",
    idempotency_key: "text",
  },
  derived: { seq: ofAttempt.seq, joined_at: ofAttempt.at },
} as const;
export const queueRate = {
  into: "queue_rates",
  columns: { nth: "int", sale_id: "int", admit_per_second: "int", paused: "boolean" },
  derived: { seq: ofAttempt.seq, changed_at: ofAttempt.at },
} as const;
/** The ticket is in its own table alone. */
export const joinAttempt = (nth: number, { buyer, key }: Join, { word, saleId }: JoinOutcome) => ({
  nth,
  kind: "join",
  outcome: word,
  sale_id: saleId ?? none,
  buyer: buyer.kind,
  user_id: quote(buyer.userId),
  idempotency_key: nullable(key),
});

export const ticketRow = (
  nth: number,
  { buyer, key }: Join,
  { saleId, ticket: of, supersedes }: JoinOutcome & { readonly word: "joined" },
): RowOf<typeof ticket> => ({
  nth,
  sale_id: saleId,
  number: of.number,
  buyer: buyer.kind,
  user_id: quote(buyer.userId),
  ticket: of.ticket,
  supersedes: supersedes ?? none,
  idempotency_key: nullable(key),
});

type RateSet = ChangeQueueOutcome & { readonly word: "queue_changed" };

export const rateRow = (
  nth: number,
  { saleId, admitPerSecond, paused }: RateSet,
): RowOf<typeof queueRate> => ({
  nth,
  sale_id: saleId,
  admit_per_second: admitPerSecond,
  paused: String(paused),
});

export function rateActivity(
  nth: number,
  { by, saleId }: ChangeQueue,
  { before, ...after }: RateSet,
): RowOf<typeof activity> {
  const noted = ({ admitPerSecond, paused }: Rate) => ({
    sale_id: saleId,
    admit_per_second: admitPerSecond,
    paused,
  });
  return activityRow(nth, by, {
    what: "queue.changed",
    before: noted(before),
    after: noted(after),
  });
}

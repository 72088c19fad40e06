/** What a refund writes beside its attempt: the units that it takes back, itself, and who did it. */
import {
  refundRequestOf,
  type Decided,
  type Refund,
  type Refunded,
  type RefundOutcome,
} from "../ledger/commands.ts";
import { activityRow } from "./activity-rows.ts";
import type { activity, bulk, refund, takenBack } from "./journal-rows.ts";
import { none, quote, type RowOf } from "./rows.ts";

/** How an attempt names the order that it is about. */
export const orderText = (order: number): string => `order_id=${order}`;

export function refundAttempt(
  nth: number,
  { order }: Refund,
  outcome: Decided<RefundOutcome>,
): RowOf<typeof bulk> {
  const of = outcome.word === "refunded" ? outcome.refund : null;
  const saleId = outcome.word === "refunded" ? outcome.refund.saleId : outcome.saleId;
  return {
    nth,
    kind: "refund",
    outcome: outcome.word,
    sale_id: saleId ?? none,
    item_id: of?.itemId ?? none,
    buyer: of?.buyer.kind ?? none,
    user_id: of === null ? none : quote(of.buyer.userId),
    code: none,
    idempotency_key: none,
    request: orderText(order),
    quantity: of?.codes.length ?? none,
  };
}

export function refundRows(
  nth: number,
  seq: number,
  { order, by, key, reason, ...asked }: Refund,
  { saleId, codes, restocked, before, after }: Refunded,
): {
  readonly units: readonly RowOf<typeof takenBack>[];
  readonly refund: RowOf<typeof refund>;
  readonly activity: RowOf<typeof activity>;
} {
  const units = codes.length;
  const is = { status: after, order_id: String(order), units, restocked, reason };
  const note = { what: "order.refunded", before: { status: before }, after: is };
  const request = refundRequestOf({ order, by, key, reason, ...asked });
  return {
    units: codes.map((code) => ({ code, refunded_seq: seq, freed_seq: restocked ? seq : none })),
    refund: { nth, order_seq: order, sale_id: saleId, units, restocked: String(restocked) },
    activity: activityRow(nth, by, note, key === null ? null : { key, request }),
  };
}

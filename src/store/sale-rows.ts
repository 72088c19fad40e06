/** What is written of sales that are changed and withdrawn: the attempt, the sale's row, and who did it. */
import type {
  ChangeQueue,
  ChangeQueueOutcome,
  ChangeSale,
  ChangeSaleOutcome,
  Restock,
  RestockOutcome,
  Withdraw,
  WithdrawOutcome,
} from "../ledger/commands.ts";
import { isoTime } from "../time.ts";
import { activityRow } from "./activity-rows.ts";
import { integerMax } from "./integer.ts";
import type { activity, attempt, bulk, changedSale } from "./journal-rows.ts";
import { none, quote, type RowOf } from "./rows.ts";

export const saleAttempt = (
  nth: number,
  { kind, saleId }: ChangeSale | Withdraw | ChangeQueue,
  outcome: ChangeSaleOutcome | WithdrawOutcome | ChangeQueueOutcome,
): RowOf<typeof attempt> => ({
  nth,
  kind,
  outcome: outcome.word,
  sale_id: saleId,
  item_id: none,
  buyer: none,
  user_id: none,
  code: none,
  idempotency_key: none,
  request: outcome.word === "sale_changed" ? quote(movedText(outcome)) : none,
});

type Changed = Extract<ChangeSaleOutcome, { readonly word: "sale_changed" }>;

/**
 * From when to when a sale was to be, and is now, in ms: what the row of the sale is held against, by
 * this text, by the audit (`announced-audit.ts`) and by a trigger.
 */
const movedText = ({ before, startsAt, endsAt, closed }: Changed): string =>
  JSON.stringify({ before: [before.startsAt, before.endsAt], after: [startsAt, endsAt], closed });

/** @param before what the same batch has changed of the sale */
export const changedSaleRow = (
  { title, endsAt, by }: ChangeSale,
  outcome: Changed,
  before: RowOf<typeof changedSale> | undefined,
): RowOf<typeof changedSale> => ({
  id: outcome.saleId,
  starts_at: `"${isoTime(outcome.startsAt)}"`,
  ends_at: `"${isoTime(outcome.endsAt)}"`,
  closed: String(outcome.closed),
  title: title === null ? (before?.title ?? none) : quote(title.to),
  end_by_hand: String(before?.end_by_hand === "true" || (by !== null && endsAt !== null)),
});

/** Who has changed what; null where it was the schedule. */
export function changeActivity(
  nth: number,
  { by, opens, endsAt, title }: ChangeSale,
  { saleId, before, ...after }: Changed,
): RowOf<typeof activity> | null {
  if (by === null) return null;
  const was = {
    sale_id: saleId,
    ...(opens ? { starts_at: isoTime(before.startsAt) } : {}),
    ...(endsAt === null ? {} : { ends_at: isoTime(before.endsAt) }),
    ...(title === null ? {} : { title: title.from }),
  };
  const is = {
    sale_id: saleId,
    ...(opens ? { starts_at: isoTime(after.startsAt) } : {}),
    ...(endsAt === null ? {} : { ends_at: isoTime(after.endsAt) }),
    ...(title === null ? {} : { title: title.to }),
  };
  const what = opens ? "sale.opened" : endsAt === "now" ? "sale.closed" : "sale.changed";
  return activityRow(nth, by, { what, before: was, after: is });
}

export const withdrawActivity = (
  nth: number,
  { by, saleId }: Withdraw,
): RowOf<typeof activity> | null =>
  by === null
    ? null
    : activityRow(nth, by, { what: "sale.withdrawn", before: { sale_id: saleId }, after: null });

export const restockAttempt = (
  nth: number,
  { saleId, itemId, units }: Restock,
  { word }: RestockOutcome,
): RowOf<typeof bulk> => ({
  nth,
  kind: "restock",
  outcome: word,
  sale_id: saleId,
  item_id: itemId > integerMax ? none : itemId,
  buyer: none,
  user_id: none,
  code: none,
  idempotency_key: none,
  request: none,
  quantity: units,
});

export const restockActivity = (
  nth: number,
  { by, saleId, itemId }: Restock,
  { before, after }: Extract<RestockOutcome, { readonly word: "restocked" }>,
): RowOf<typeof activity> =>
  activityRow(nth, by, {
    what: "sale.restocked",
    before: { sale_id: saleId, item_id: itemId, stock: before },
    after: { sale_id: saleId, item_id: itemId, stock: after },
  });

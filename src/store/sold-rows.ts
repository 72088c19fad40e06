/** What is written of what is bought in one step, and of each unit that is sold. */
import type { Buy, BuyOutcome, Decided, SoldUnit } from "../ledger/commands.ts";
import { storableItem, type bulk, type purchase } from "./journal-rows.ts";
import { none, nullable, quote, type RowOf } from "./rows.ts";

/** @param request what its key stands for; null without one */
export function buyAttempt(
  nth: number,
  { saleId, itemId, buyer, code, quantity, key }: Buy,
  request: string | null,
  outcome: Decided<BuyOutcome>,
): RowOf<typeof bulk> {
  const isSold = outcome.word === "purchased";
  return {
    nth,
    kind: "buy",
    outcome: outcome.word,
    sale_id: saleId === "unknown" ? none : saleId,
    item_id: itemId === "unknown" ? none : storableItem(itemId),
    buyer: buyer.kind,
    user_id: quote(buyer.userId),
    code: isSold ? code : outcome.word === "purchased_again" ? outcome.of.code : none,
    idempotency_key: nullable(key),
    request: nullable(request),
    quantity,
  };
}

/** @param order the key of the order, where it was bought in one step with one */
export const soldRow = (
  nth: number,
  sold: SoldUnit,
  order: { readonly key: string; readonly request: string } | null,
): RowOf<typeof purchase> => ({
  nth,
  sale_id: sold.saleId,
  item_id: sold.itemId,
  unit: sold.unit,
  item_stock: sold.itemStock,
  buyer: sold.buyer.kind,
  user_id: quote(sold.buyer.userId),
  user_ordinal: sold.userOrdinal,
  user_limit: sold.userLimit,
  code: sold.code,
  reserved_seq: sold.reservedSeq,
  idempotency_key: nullable(sold.key),
  request: nullable(sold.request),
  order_key: nullable(order?.key ?? null),
  order_request: nullable(order?.request ?? null),
});

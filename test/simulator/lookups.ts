/** What is looked up in the records in memory: a code, a key, who has claimed, what was asked over the link. */
import { buyerId, sameBuyer } from "../../src/ledger/buyers.ts";
import type {
  ArchivedCode,
  ArchivedKey,
  ArchivedOrder,
  OrderLookup,
  Refund,
} from "../../src/ledger/commands.ts";
import type { AskedAttempt, BuyerKey } from "../../src/store/records.ts";
import type { MemoryRecords } from "./records.ts";
import type { PurchaseRow, RefundRow } from "./rows.ts";

export function findCode(records: MemoryRecords, code: string): ArchivedCode | null {
  const given = records.given.get(code);
  const sold = records.purchases.get(code);
  const of = given?.of ?? sold;
  if (of === undefined || of.itemId === null || of.saleId === null || of.buyer === null) {
    return null;
  }
  return {
    seq: of.seq,
    code,
    saleId: of.saleId,
    itemId: of.itemId,
    buyer: of.buyer,
    reservedAt: of.at,
    key: given?.of.key ?? null,
    request: given?.of.request ?? null,
    released: given?.released ?? false,
    sold: sold === undefined ? null : soldOf(sold),
  };
}

export function findAsked(
  records: MemoryRecords,
  seq: number,
  ids: readonly number[],
): AskedAttempt[] {
  const found = [...records.attempts.values()].filter(
    (row) => row.seq > seq && row.asked !== null && ids.includes(row.asked),
  );
  return found.map((row) => {
    const { saleId, itemId, buyer, code, at } = row;
    const units = [...records.purchases.values()]
      .filter((one) => one.seq === row.seq || (code !== null && one.code === code))
      .toSorted((a, b) => a.unit - b.unit)
      .map((one) => ({
        code: one.code,
        itemId: one.itemId,
        sold: soldOf(one),
        unit: one.unit,
        userOrdinal: one.userOrdinal,
        itemStock: one.itemStock,
        userLimit: one.userLimit,
        reservedSeq: one.reservedSeq,
        key: one.key,
        request: one.request,
      }));
    const extension = (records.effectiveOf.get(saleId ?? 0) ?? []).find(
      (one) => one.seq === row.seq && one.word === "extended",
    );
    const claim = (records.claims.get(row.coupon ?? "") ?? []).find(
      (one) => buyer !== null && sameBuyer(one.buyer, buyer),
    );
    return {
      asked: row.asked ?? 0,
      seq: row.seq,
      at,
      word: row.outcome,
      saleId,
      itemId,
      buyer,
      code,
      units,
      due: extension?.word === "extended" ? extension.due : null,
      refund: refundOf(records, row.seq),
      claim: claim === undefined ? null : { ordinal: claim.ordinal, at: claim.at },
    };
  });
}

export function findKey(records: MemoryRecords, { buyer, key }: BuyerKey): ArchivedKey | null {
  const isOrder = ({ orderKey }: PurchaseRow): boolean => orderKey === key;
  let last: PurchaseRow | undefined;
  for (const row of records.purchases.values()) {
    if (!sameBuyer(row.buyer, buyer) || (row.key !== key && !isOrder(row))) continue;
    if (last === undefined || row.seq > last.seq || (row.seq === last.seq && isOrder(row))) {
      last = row;
    }
  }
  if (last === undefined) return null;
  const { code, saleId, itemId, at } = last;
  const request = (isOrder(last) ? last.orderRequest : last.request) ?? "";
  const reservedAt = records.attempts.get(last.reservedSeq)?.at ?? at;
  return { code, saleId, itemId, buyer, request, reservedAt, sold: soldOf(last) };
}

export function loadClaims(records: MemoryRecords, coupon: string): ReadonlyMap<string, number> {
  const claims = (records.claims.get(coupon) ?? []).toSorted((a, b) => a.ordinal - b.ordinal);
  return new Map(claims.map(({ buyer, at }) => [buyerId(buyer), at]));
}

const soldOf = ({ seq, at, refundedBy }: PurchaseRow) => ({ seq, at, refundedBy });

/** The units of an order, in the order of their numbers. */
const orderOf = (records: MemoryRecords, seq: number): PurchaseRow[] =>
  [...records.purchases.values()]
    .filter((row) => row.seq === seq)
    .toSorted((a, b) => a.unit - b.unit);

const unitsOf = (rows: readonly PurchaseRow[]): ArchivedOrder["units"] =>
  rows.map(({ code, refundedBy }) => ({ code, refundedBy }));

function refundOf(records: MemoryRecords, seq: number): AskedAttempt["refund"] {
  const refund = records.refunds.find((row) => row.seq === seq);
  if (refund === undefined) return null;
  return { restocked: refund.restocked, units: unitsOf(orderOf(records, refund.order)) };
}

export function findRefundable(
  records: MemoryRecords,
  { order, by, key }: Pick<Refund, "order" | "by" | "key">,
): Omit<OrderLookup, "upTo"> {
  const rows = orderOf(records, order);
  const [first] = rows;
  const isBy = (row: RefundRow): boolean => row.by.kind === by.kind && row.by.name === by.name;
  const use = records.refunds.find((row) => key !== null && row.key === key && isBy(row));
  const used = use === undefined ? null : { order: use.order, request: use.request };
  if (first === undefined) return { order: null, used };
  const { saleId, itemId, buyer } = first;
  return { order: { saleId, itemId, buyer, units: unitsOf(rows) }, used };
}

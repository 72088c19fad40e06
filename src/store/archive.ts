/**
 * What the records say of codes and of idempotency keys, for those who ask about what the ledger does
 * not hold any more.
 */
import type { Sql } from "postgres";
import type { BuyerKind } from "../ledger/buyers.ts";
import type { ArchivedCode, ArchivedKey, OrderLookup, Refund } from "../ledger/commands.ts";
import type { BuyerKey } from "./records.ts";
import { quote } from "./rows.ts";

type CodeRow = {
  seq: number;
  at: number;
  sale_id: number;
  item_id: number;
  buyer: BuyerKind;
  user_id: string;
  idempotency_key: string | null;
  request: string | null;
  released: boolean;
  sold_seq: number | null;
  sold_at: number | null;
  refunded_seq: number | null;
};

/**
 * What became of a code, by all that is committed; null when it was never given. A code of a unit
 * bought in one step has no reservation of its own: its purchase is all there is.
 */
export async function findCode(sql: Sql, code: string): Promise<ArchivedCode | null> {
  const [row] = await sql<CodeRow[]>`
    with given as (
      select a.seq, a.at, a.sale_id, a.item_id, a.buyer, a.user_id, a.idempotency_key, a.request,
             a.outcome
      from attempts a where a.code = ${code} and a.outcome in ('reserved', 'released')),
    sold as (select * from purchases where code = ${code})
    select coalesce(g.seq, p.seq)::float8 as seq,
           (extract(epoch from coalesce(g.at, p.purchased_at)) * 1000)::float8 as at,
           coalesce(p.sale_id, g.sale_id) as sale_id, coalesce(p.item_id, g.item_id) as item_id,
           coalesce(p.buyer, g.buyer) as buyer, coalesce(p.user_id, g.user_id) as user_id,
           g.idempotency_key, g.request,
           exists (select from given where outcome = 'released') as released,
           p.seq::float8 as sold_seq, p.refunded_seq::float8 as refunded_seq,
           (extract(epoch from p.purchased_at) * 1000)::float8 as sold_at
    from (select * from given where outcome = 'reserved') g full join sold p on true
    limit 1`;
  if (row === undefined) return null;
  const { seq, at, sale_id: saleId, item_id: itemId, buyer: kind, user_id: userId } = row;
  const sold =
    row.sold_seq === null || row.sold_at === null
      ? null
      : { seq: row.sold_seq, at: Math.round(row.sold_at), refundedBy: row.refunded_seq };
  return {
    seq,
    code,
    saleId,
    itemId,
    buyer: { kind, userId },
    reservedAt: Math.round(at),
    key: row.idempotency_key,
    request: row.request,
    released: row.released,
    sold,
  };
}

type KeyRow = {
  nth: number;
  code: string;
  sale_id: number;
  item_id: number;
  request: string | null;
  reserved_at: number;
  seq: number;
  at: number;
  refunded_seq: number | null;
};

/**
 * What was sold last by each of these keys, in their order; null where nothing was. A key was the
 * reservation's, or the order's when that was one step. One look into each of two indexes a key.
 */
export async function findKeys(
  sql: Sql,
  asked: readonly BuyerKey[],
): Promise<readonly (ArchivedKey | null)[]> {
  const [kinds, users, keys] = [
    asked.map(({ buyer }) => buyer.kind),
    asked.map(({ buyer }) => quote(buyer.userId)),
    asked.map(({ key }) => quote(key)),
  ].map((elements) => `{${elements.join(",")}}`);
  const rows = await sql<KeyRow[]>`
    select asked.nth::int as nth, found.code, found.sale_id, found.item_id,
           found.asked_for as request,
           (extract(epoch from coalesce(made.at, found.purchased_at)) * 1000)::float8 as reserved_at,
           found.seq::float8 as seq, (extract(epoch from found.purchased_at) * 1000)::float8 as at,
           found.refunded_seq::float8 as refunded_seq
    from unnest(${kinds ?? ""}::buyer_kind[], ${users ?? ""}::text[], ${keys ?? ""}::text[])
           with ordinality as asked (buyer, user_id, key, nth)
      cross join lateral (
        select p.*, 0 as by_order, request as asked_for from purchases p
        where p.user_id = asked.user_id and p.idempotency_key = asked.key and p.buyer = asked.buyer
        union all
        select p.*, 1, order_request from purchases p
        where p.user_id = asked.user_id and p.order_key = asked.key and p.buyer = asked.buyer
        order by seq desc, by_order desc, reserved_seq desc limit 1) as found
      left join attempts made on made.seq = found.reserved_seq`;
  const found = new Map(rows.map((row) => [row.nth, row]));
  return asked.map(({ buyer }, index) => {
    const row = found.get(index + 1);
    return row === undefined ? null : { ...keyOf(row), buyer };
  });
}

const keyOf = (row: KeyRow): Omit<ArchivedKey, "buyer"> => ({
  code: row.code,
  saleId: row.sale_id,
  itemId: row.item_id,
  request: row.request ?? "",
  reservedAt: Math.round(row.reserved_at),
  sold: { seq: row.seq, at: Math.round(row.at), refundedBy: row.refunded_seq },
});

type OrderRow = {
  sale_id: number;
  item_id: number;
  buyer: BuyerKind;
  user_id: string;
  code: string;
  refunded_seq: number | null;
};

/** What an order is by all that is committed, and what the key of who takes it back was used for. */
export async function findRefundable(
  sql: Sql,
  { order, by, key }: Pick<Refund, "order" | "by" | "key">,
): Promise<Omit<OrderLookup, "upTo">> {
  const [rows, [used]] = await Promise.all([
    sql<OrderRow[]>`
      select sale_id, item_id, buyer, user_id, code, refunded_seq::float8 as refunded_seq
      from purchases where seq = ${order} order by unit`,
    key === null
      ? []
      : sql<{ order: number; request: string }[]>`
          select r.order_seq::float8 as order, a.request
          from activity a join refunds r on r.seq = a.attempt
          where a.actor = ${by.kind} and a.who = ${by.name} and a.idempotency_key = ${key}`,
  ]);
  const [first] = rows;
  if (first === undefined) return { order: null, used: used ?? null };
  const { sale_id: saleId, item_id: itemId, buyer: kind, user_id: userId } = first;
  const units = rows.map(({ code, refunded_seq: refundedBy }) => ({ code, refundedBy }));
  return { order: { saleId, itemId, buyer: { kind, userId }, units }, used: used ?? null };
}

/**
 * What a sale was announced as, as one digest: it is stored with the sale, and again where one that has
 * not opened is replaced. Whatever is another after that, an attempt has changed: its times
 * (`change_sale`), the units of an item (`restock`). The audit takes these back and reckons it anew.
 *
 * The first line are the terms, then each item has one, in the order of their numbers, as PostgreSQL
 * writes them as JSON. A migration reckons it in the same way, and so it is never another.
 */
import type { Fragment, ISql } from "postgres";
import type { Sale } from "../ledger/sale.ts";
import { commitmentOf, queueColumns, type NewQueue } from "./queues.ts";

/** The terms that go into it. @param times in ms */
type AnnouncedTerms = Readonly<
  Record<
    | "kind"
    | "entry"
    | "perUserLimit"
    | "reservationTtlMs"
    | "admitPerSecond"
    | "passTtlMs"
    | "commitment"
    | "startsAt"
    | "endsAt"
    | "closed",
    Fragment
  >
>;

/** @param items what has the columns of `items`, as it stands behind a `from` */
export const announcedDigest = (sql: ISql, terms: AnnouncedTerms, items: Fragment): Fragment => sql`
  encode(sha256(convert_to(
    json_build_array(${terms.kind}, ${terms.entry}, ${terms.perUserLimit}, ${terms.reservationTtlMs},
      ${terms.admitPerSecond}, ${terms.passTtlMs}, ${terms.commitment},
      ${terms.startsAt}, ${terms.endsAt}, ${terms.closed})::text || chr(10) || (
      select coalesce(string_agg(
        json_build_array(id, product_id, name, picture_seed, price_cents, stock)::text,
        chr(10) order by id), '')
      from ${items}), 'UTF8')), 'hex')`;

type SaleTerms = Pick<Sale, "startsAt" | "endsAt" | "perUserLimit" | "reservationTtlMs">;

const given = (sql: ISql, terms: SaleTerms) => ({
  perUserLimit: sql`${terms.perUserLimit}::int`,
  reservationTtlMs: sql`${terms.reservationTtlMs}::int`,
  startsAt: sql`${terms.startsAt}::bigint`,
  endsAt: sql`${terms.endsAt}::bigint`,
  closed: sql`false`,
});

/** Of a sale that is about to be stored. */
export function newDigest(
  sql: ISql,
  kind: Sale["kind"],
  terms: SaleTerms & { readonly queue?: NewQueue | undefined },
  items: Fragment,
): Fragment {
  const { entry, admitPerSecond, passTtlMs, seed } = queueColumns(terms.queue);
  const queue = {
    entry: sql`${entry}::text`,
    admitPerSecond: sql`${admitPerSecond}::int`,
    passTtlMs: sql`${passTtlMs}::int`,
    commitment: commitmentOf(sql, seed),
  };
  return announcedDigest(sql, { kind: sql`${kind}::text`, ...queue, ...given(sql, terms) }, items);
}

/** Of one that is replaced, in the statement that does it: its queue stays. */
export const replacedDigest = (sql: ISql, terms: SaleTerms, items: Fragment): Fragment =>
  announcedDigest(
    sql,
    {
      kind: sql`sales.kind`,
      entry: sql`sales.entry`,
      admitPerSecond: sql`sales.admit_per_second`,
      passTtlMs: sql`sales.pass_ttl_ms`,
      commitment: sql`sales.commitment`,
      ...given(sql, terms),
    },
    items,
  );

/** A time in ms, as it goes into the digest and into what attempts say. */
export const msOf = (sql: ISql, time: Fragment): Fragment =>
  sql`(extract(epoch from ${time}) * 1000)::bigint`;

/** Coupons and claims as they are stored. */
import type { ISql, Sql } from "postgres";
import { buyerId, type Buyer, type BuyerKind } from "../ledger/buyers.ts";
import { claimKeysMax, type ClaimMade, type CouponFigures } from "../ledger/coupons.ts";

/** How long the idempotency key of a claim is remembered over a restart. */
const claimKeyAgeMaxMs = 24 * 3_600_000;
/** Rows read at a time. */
const pageRows = 10_000;

/** Every coupon, in the order of their making, some at a time. */
export async function* couponPages(sql: ISql): AsyncGenerator<CouponFigures[]> {
  const rows = sql<CouponRow[]>`
    select id, name, amount, remaining_amount, created_at from coupons order by id`;
  for await (const page of rows.cursor(pageRows)) yield page.map(storedCoupon);
}

type KeyedRow = CouponRow & {
  buyer: BuyerKind;
  user_id: string;
  key: string;
  ordinal: number;
  claimed_at: Date;
};

/** The claims with a key of the day before `now` (ms), oldest first. */
export async function keyedClaims(
  sql: ISql,
  now: number,
): Promise<{ key: string; claim: ClaimMade }[]> {
  const since = new Date(now - claimKeyAgeMaxMs).toISOString();
  const keyed = await sql<KeyedRow[]>`
    select k.buyer, k.user_id, k.idempotency_key as key, k.ordinal, k.claimed_at,
           c.id, c.name, c.amount, c.remaining_amount, c.created_at
    from claims k join coupons c on c.name = k.coupon_name
    where k.idempotency_key is not null and k.claimed_at > ${since}
    order by k.claimed_at desc, k.seq desc limit ${claimKeysMax}`;
  return keyed.toReversed().map((row) => {
    const coupon = storedCoupon(row);
    const buyer = { kind: row.buyer, userId: row.user_id };
    const claim = { coupon, buyer, ordinal: row.ordinal, at: row.claimed_at.getTime() };
    return { key: row.key, claim };
  });
}

/** When each buyer claimed a coupon (ms), by `buyerId`, in the order of their claims. */
export async function loadClaims(sql: Sql, name: string): Promise<ReadonlyMap<string, number>> {
  const claims = new Map<string, number>();
  const rows = sql<{ buyer: BuyerKind; user_id: string; at: number }[]>`
    select buyer, user_id, (extract(epoch from claimed_at) * 1000)::float8 as at
    from claims where coupon_name = ${name} order by ordinal`;
  for await (const page of rows.cursor(pageRows)) {
    for (const { buyer: kind, user_id: userId, at } of page) {
      claims.set(buyerId({ kind, userId }), Math.round(at));
    }
  }
  return claims;
}

/** Coupons in the order of their making, after the one with the id `after`. */
export async function listCoupons(
  sql: Sql,
  after: number,
  limit: number,
): Promise<CouponFigures[]> {
  const rows = await sql<CouponRow[]>`
    select id, name, amount, remaining_amount, created_at from coupons
    where id > ${after} order by id limit ${limit}`;
  return rows.map(storedCoupon);
}

type CouponRow = {
  id: number;
  name: string;
  amount: number;
  remaining_amount: number;
  created_at: Date;
};

const storedCoupon = ({ id, name, amount, remaining_amount, created_at }: CouponRow) => ({
  id,
  name,
  amount,
  remaining: remaining_amount,
  createdAt: created_at.getTime(),
});

export type Claimants = {
  /** A JSON array of their user ids: made by PostgreSQL, for ten thousand of them take a while. */
  readonly json: string;
  readonly count: number;
};

/** Who claimed a coupon, in order: the claims numbered `after + 1` to `upTo`, `limit` at most. */
export async function listClaimants(
  sql: Sql,
  name: string,
  { after, upTo, limit }: { readonly after: number; readonly upTo: number; readonly limit: number },
): Promise<Claimants> {
  const [row] = await sql<Claimants[]>`
    select coalesce(json_agg(user_id order by ordinal), '[]')::text as json, count(*)::int as count
    from (
      select user_id, ordinal from claims
      where coupon_name = ${name} and ordinal > ${after} and ordinal <= ${upTo}
      order by ordinal limit ${limit}
    ) as page`;
  return row ?? { json: "[]", count: 0 };
}

/** When a buyer claimed a coupon (ms); null when they did not. */
export async function findClaim(sql: Sql, name: string, buyer: Buyer): Promise<number | null> {
  const [row] = await sql<{ claimed_at: Date }[]>`
    select claimed_at from claims
    where coupon_name = ${name} and buyer = ${buyer.kind} and user_id = ${buyer.userId}`;
  return row?.claimed_at.getTime() ?? null;
}

/** Coupons and claims as they are stored. */
import { and, asc, eq, gt, lte } from "drizzle-orm";
import type { Sql } from "postgres";
import { addCoupon, claimKeysMax, rememberClaim, type Coupon } from "../ledger/coupons.ts";
import type { LedgerState } from "../ledger/state.ts";
import type { Db } from "./db.ts";
import { claims as claimsTable, coupons as couponsTable } from "./schema.ts";

/** How long the idempotency key of a claim is remembered over a restart. */
const claimKeyAgeMaxMs = 24 * 3_600_000;
/** Rows read at a time. */
const pageRows = 10_000;

/** Loads every coupon's figures, and the keys of the last day's claims; no claims. */
export async function recoverCoupons(sql: Sql, state: LedgerState): Promise<void> {
  const coupons = sql<CouponRow[]>`
    select id, name, amount, remaining_amount, created_at from coupons order by id`;
  for await (const page of coupons.cursor(pageRows)) {
    for (const row of page) addCoupon(state, { ...storedCoupon(row), usedAt: 0, claims: null });
  }
  const since = new Date(state.now - claimKeyAgeMaxMs).toISOString();
  const keyed = await sql<
    { user_id: string; coupon_name: string; key: string; ordinal: number; claimed_at: Date }[]
  >`
    select user_id, coupon_name, idempotency_key as key, ordinal, claimed_at
    from claims where idempotency_key is not null and claimed_at > ${since}
    order by claimed_at desc, seq desc limit ${claimKeysMax}`;
  for (const row of keyed.toReversed()) {
    const coupon = state.coupons.get(row.coupon_name);
    if (coupon === undefined) continue;
    const { user_id: userId, ordinal, claimed_at } = row;
    rememberClaim(state, row.key, { coupon, userId, ordinal, at: claimed_at.getTime() });
  }
}

/** When each user claimed a coupon (ms), in the order of their claims. */
export async function loadClaims(sql: Sql, name: string): Promise<Map<string, number>> {
  const claims = new Map<string, number>();
  const rows = sql<{ user_id: string; at: number }[]>`
    select user_id, (extract(epoch from claimed_at) * 1000)::float8 as at
    from claims where coupon_name = ${name} order by ordinal`;
  for await (const page of rows.cursor(pageRows)) {
    for (const { user_id, at } of page) claims.set(user_id, Math.round(at));
  }
  return claims;
}

export type StoredCoupon = Omit<Coupon, "usedAt" | "claims">;

/** Coupons in the order of their making, after the one with the id `after`. */
export async function listCoupons(db: Db, after: number, limit: number): Promise<StoredCoupon[]> {
  const found = await db
    .select()
    .from(couponsTable)
    .where(gt(couponsTable.id, after))
    .orderBy(asc(couponsTable.id))
    .limit(limit);
  return found.map(({ id, name, amount, remainingAmount, createdAt }) => ({
    id,
    name,
    amount,
    remaining: remainingAmount,
    createdAt: createdAt.getTime(),
  }));
}

/** Who claimed a coupon, in order: the claims numbered `after + 1` to `upTo`, `limit` at most. */
export async function listClaimants(
  db: Db,
  name: string,
  { after, upTo, limit }: { after: number; upTo: number; limit: number },
): Promise<string[]> {
  const claimants = await db
    .select({ userId: claimsTable.userId })
    .from(claimsTable)
    .where(
      and(
        eq(claimsTable.couponName, name),
        gt(claimsTable.ordinal, after),
        lte(claimsTable.ordinal, upTo),
      ),
    )
    .orderBy(asc(claimsTable.ordinal))
    .limit(limit);
  return claimants.map(({ userId }) => userId);
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

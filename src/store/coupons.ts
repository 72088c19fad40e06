/** Coupons and claims as they are stored. */
import { and, asc, count, eq, gt, lte, sql as fragment } from "drizzle-orm";
import type { ISql, Sql } from "postgres";
import { buyerId, type Buyer, type BuyerKind } from "../ledger/buyers.ts";
import { claimKeysMax, type ClaimMade, type StoredCoupon } from "../ledger/coupons.ts";
import { isoTime } from "../time.ts";
import { prepared, type Db } from "./db.ts";
import { claims as claimsTable, coupons as couponsTable } from "./schema.ts";

/** How long the idempotency key of a claim is remembered over a restart. */
const claimKeyAgeMaxMs = 24 * 3_600_000;
/** Rows read at a time. */
const pageRows = 10_000;

/** Every coupon, in the order of their making, some at a time. */
export async function* couponPages(sql: ISql): AsyncGenerator<StoredCoupon[]> {
  const rows = sql<CouponRow[]>`
    select id, name, amount, remaining_amount, created_at, starts_at, ends_at, disabled
    from coupons order by id`;
  for await (const page of rows.cursor(pageRows)) yield page.map(storedCoupon);
}

type KeyedRow = FiguresRow & {
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
  const since = isoTime(now - claimKeyAgeMaxMs);
  const keyed = await sql<KeyedRow[]>`
    select k.buyer, k.user_id, k.idempotency_key as key, k.ordinal, k.claimed_at,
           c.id, c.name, c.amount, c.remaining_amount, c.created_at
    from claims k join coupons c on c.name = k.coupon_name
    where k.idempotency_key is not null and k.claimed_at > ${since}
    order by k.claimed_at desc, k.seq desc limit ${claimKeysMax}`;
  return keyed.toReversed().map(keyedClaim);
}

function keyedClaim(row: KeyedRow): { key: string; claim: ClaimMade } {
  const coupon = figures(row);
  const buyer = { kind: row.buyer, userId: row.user_id };
  const claim = { coupon, buyer, ordinal: row.ordinal, at: row.claimed_at.getTime() };
  return { key: row.key, claim };
}

/**
 * The coupons that were made, changed or claimed by attempts after `since`, and those claims with a
 * key; and the names of those that were removed.
 */
export async function couponsSince(sql: ISql, since: number, upTo: number) {
  // By the numbers of the attempts, which are the journal's primary key.
  const coupons = await sql<CouponRow[]>`
    select id, name, amount, remaining_amount, created_at, starts_at, ends_at, disabled
    from coupons
    where name in (
      select coupon_name from attempts
      where seq > ${since} and seq <= ${upTo}
        and outcome in ('coupon_created', 'coupon_changed', 'claimed'))
    order by id`;
  const removed = await sql<{ name: string }[]>`
    select distinct coupon_name as name from attempts a
    where seq > ${since} and seq <= ${upTo} and outcome = 'coupon_removed'
      and not exists (select from coupons c where c.name = a.coupon_name)
    order by name`;
  const keyed = await sql<KeyedRow[]>`
    select k.buyer, k.user_id, k.idempotency_key as key, k.ordinal, k.claimed_at,
           c.id, c.name, c.amount, c.remaining_amount, c.created_at
    from attempts a
      join claims k on k.coupon_name = a.coupon_name and k.buyer = a.buyer and k.user_id = a.user_id
      join coupons c on c.name = k.coupon_name
    where a.seq > ${since} and a.seq <= ${upTo} and a.outcome = 'claimed'
      and k.idempotency_key is not null
    order by k.claimed_at, k.seq`;
  return {
    coupons: coupons.map(storedCoupon),
    removedCoupons: removed.map(({ name }) => name),
    keyedClaims: keyed.map(keyedClaim),
  };
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
export async function listCoupons(db: Db, after: number, limit: number): Promise<StoredCoupon[]> {
  const found = await pageOfCoupons(db).execute({ after, limit });
  return found.map(
    ({ id, name, amount, remainingAmount, createdAt, startsAt, endsAt, disabled }) => ({
      id,
      name,
      amount,
      remaining: remainingAmount,
      createdAt: createdAt.getTime(),
      startsAt: startsAt?.getTime() ?? null,
      endsAt: endsAt?.getTime() ?? null,
      disabled,
    }),
  );
}

const pageOfCoupons = prepared((db) =>
  db
    .select()
    .from(couponsTable)
    .where(gt(couponsTable.id, fragment.placeholder("after")))
    .orderBy(asc(couponsTable.id))
    .limit(fragment.placeholder("limit"))
    .prepare("page_of_coupons"),
);

type Claimants = {
  /** A JSON array of their user ids: made by PostgreSQL, for ten thousand of them take a while. */
  readonly json: string;
  readonly count: number;
};

/** Who claimed a coupon, in order: the claims numbered `after + 1` to `upTo`, `limit` at most. */
export async function listClaimants(
  db: Db,
  name: string,
  { after, upTo, limit }: { readonly after: number; readonly upTo: number; readonly limit: number },
): Promise<Claimants> {
  const page = db
    .select({ userId: claimsTable.userId, ordinal: claimsTable.ordinal })
    .from(claimsTable)
    .where(
      and(
        eq(claimsTable.couponName, name),
        gt(claimsTable.ordinal, after),
        lte(claimsTable.ordinal, upTo),
      ),
    )
    .orderBy(asc(claimsTable.ordinal))
    .limit(limit)
    .as("page");
  const [row] = await db
    .select({
      json: fragment<string>`coalesce(json_agg(${page.userId} order by ${page.ordinal}), '[]')::text`,
      count: count(),
    })
    .from(page);
  return row ?? { json: "[]", count: 0 };
}

/** When a buyer claimed a coupon (ms); null when they did not. */
export async function findClaim(db: Db, name: string, buyer: Buyer): Promise<number | null> {
  const [row] = await db
    .select({ at: claimsTable.claimedAt })
    .from(claimsTable)
    .where(
      and(
        eq(claimsTable.couponName, name),
        eq(claimsTable.buyer, buyer.kind),
        eq(claimsTable.userId, buyer.userId),
      ),
    );
  return row?.at.getTime() ?? null;
}

type FiguresRow = {
  id: number;
  name: string;
  amount: number;
  remaining_amount: number;
  created_at: Date;
};

type CouponRow = FiguresRow & { starts_at: Date | null; ends_at: Date | null; disabled: boolean };

const figures = ({ id, name, amount, remaining_amount, created_at }: FiguresRow) => ({
  id,
  name,
  amount,
  remaining: remaining_amount,
  createdAt: created_at.getTime(),
});

const storedCoupon = (row: CouponRow): StoredCoupon => ({
  ...figures(row),
  startsAt: row.starts_at?.getTime() ?? null,
  endsAt: row.ends_at?.getTime() ?? null,
  disabled: row.disabled,
});

/** What a new term, and whoever stands by, reads of the records in memory. */
import type { StoredCoupon } from "../../src/ledger/coupons.ts";
import type { NotedLife } from "../../src/ledger/commands.ts";
import type { BegunTerm, RestoredUpTo, StoredPurchase } from "../../src/ledger/recorded.ts";
import type { Sale, SettledSale } from "../../src/ledger/sale.ts";
import type { Recovered, RecoveredSince } from "../../src/store/records.ts";
import type { MemoryRecords } from "./records.ts";
import type { AttemptRow, ClaimRow, PurchaseRow } from "./rows.ts";
import type { SaleRow } from "./sales.ts";

const claimKeyAgeMaxMs = 24 * 3_600_000;

/** What a new term reads. */
export function recover(records: MemoryRecords, last = records.last): Recovered {
  return recordedOf(records, unsettled(records), settledSales(records), last, true);
}

/** As above, of what is not known yet. */
export function recoverSince(
  records: MemoryRecords,
  from: RestoredUpTo,
  last = records.last,
): RecoveredSince {
  const { seq, comparedSeq, epoch } = from;
  const [known, unknown] = [true, false].map((isKnown) =>
    unsettled(records).filter((id) => from.sales.has(id) === isKnown),
  );
  const catalogues = records.sales.load(unknown ?? []);
  const ends = (known ?? []).map((id) => {
    const { startsAt, endsAt, closed } = records.sales.get(id);
    return { id, startsAt, endsAt, closed };
  });
  const all = [...ends, ...catalogues.map(({ sale }) => asOf(records, sale, seq))];
  const made = [...records.attempts.values()].filter((of) => of.seq > seq && of.seq <= last.seq);
  const namedBy = (...words: readonly AttemptRow["outcome"][]) =>
    new Set(made.flatMap(({ outcome, coupon }) => (words.includes(outcome) ? [coupon ?? ""] : [])));
  const changed = namedBy("coupon_created", "coupon_changed", "claimed");
  const removed = [...namedBy("coupon_removed")].filter((name) => !records.coupons.has(name));
  return {
    ...last,
    settled: settledSales(records),
    sales: all.map((terms) => ({
      terms,
      attempts: made.filter(({ saleId }) => saleId === terms.id).length,
      purchases: purchasesSince(records, terms.id, comparedSeq, last.seq),
    })),
    catalogues,
    terms: records.terms.filter((term) => term.epoch > epoch),
    ...queuesSince(
      records,
      all.map(({ id }) => [id, from.joined.get(id) ?? 0]),
      { since: seq, upTo: last.seq },
    ),
    effective: inPages(
      effectiveSince(
        records,
        all.map(({ id }) => [id, seq]),
      ),
    ),
    coupons: storedCoupons(records).filter(({ name }) => changed.has(name)),
    removedCoupons: removed.toSorted(),
    keyedClaims: keyedClaims(records, (claim) => claim.seq > seq),
  };
}

/** How far the life is noted of sales, and of others of which the end is not. */
export function notedLives(
  records: MemoryRecords,
  saleIds: readonly number[],
): ReadonlyMap<number, NotedLife> {
  const noted = new Map<number, NotedLife>();
  for (const { saleId, word } of records.milestones) {
    if (word === "sold_out") continue;
    if (word === "sale_ended") noted.set(saleId, "ended");
    else if (!noted.has(saleId)) noted.set(saleId, "opened");
  }
  for (const [saleId, life] of noted) {
    if (life === "ended" && !saleIds.includes(saleId)) noted.delete(saleId);
  }
  return noted;
}

/** The records of some sales, with or without their checkpoints; nothing is noted. */
export function recordedOf(
  records: MemoryRecords,
  ids: readonly number[],
  settled: Recovered["settled"],
  last: { readonly seq: number; readonly at: number },
  withCheckpoints: boolean,
): Recovered {
  const catalogues = records.sales.load(ids);
  const sales = catalogues.map(({ sale }) => {
    const row = records.sales.get(sale.id);
    const checkpoint = withCheckpoints ? records.checkpoints.get(sale.id) : undefined;
    return {
      terms: asOf(records, sale, checkpoint?.seq ?? 0),
      attempts: row.attempts + countAttempts(records, row, last.seq),
      checkpoint: checkpoint ?? { seq: 0, sold: 0, open: [], active: [], waiting: [] },
      purchases: purchasesSince(records, sale.id, 0, last.seq),
    };
  });
  return {
    ...last,
    settled,
    sales,
    catalogues,
    ...queuesSince(
      records,
      ids.map((id) => [id, 0]),
      { since: 0, upTo: last.seq },
    ),
    terms: termsSince(records, Math.min(...sales.map(({ checkpoint }) => checkpoint.seq))),
    effective: inPages(
      effectiveSince(
        records,
        sales.map(({ terms, checkpoint }) => [terms.id, checkpoint.seq]),
      ),
    ),
    coupons: inPages(storedCoupons(records)),
    keyedClaims: keyedClaims(records, (claim) => claim.at > last.at - claimKeyAgeMaxMs),
  };
}

/** A sale with the units that there were at an attempt. */
function asOf(records: MemoryRecords, sale: Sale, upTo: number): Sale {
  const stock = Int32Array.from(sale.stock);
  for (const one of records.effectiveOf.get(sale.id) ?? []) {
    if (one.word !== "restocked" || one.seq <= upTo) continue;
    stock[one.itemId - 1] = (stock[one.itemId - 1] ?? 0) - one.units;
  }
  return { ...sale, stock };
}

export function purchasesSince(
  records: MemoryRecords,
  saleId: number,
  since: number,
  upTo: number,
): StoredPurchase[] {
  return records
    .purchasesOf(saleId)
    .filter(({ seq }) => seq > since && seq <= upTo)
    .toSorted((a, b) => a.seq - b.seq || a.unit - b.unit)
    .map(storedPurchase);
}

export function countAttempts(
  records: MemoryRecords,
  { id, attemptsSeq }: SaleRow,
  upTo: number,
): number {
  let count = 0;
  for (let seq = attemptsSeq + 1; seq <= upTo; seq += 1) {
    if (records.attempts.get(seq)?.saleId === id) count += 1;
  }
  return count;
}

function unsettled(records: MemoryRecords): number[] {
  return [...records.sales.rows.values()].filter(({ settled }) => !settled).map(({ id }) => id);
}

function settledSales(records: MemoryRecords): ReadonlyMap<number, SettledSale> {
  const settled = [...records.sales.rows.values()].filter((sale) => sale.settled);
  return new Map(settled.map((sale) => [sale.id, settledOf(sale)]));
}

function storedCoupons(records: MemoryRecords): StoredCoupon[] {
  return [...records.coupons.values()]
    .map(({ seq: _seq, changedSeq: _changed, ...coupon }) => coupon)
    .toSorted((a, b) => a.id - b.id);
}

/** Who joined these sales after a ticket, and at what rates they were let in after an attempt. */
function queuesSince(
  records: MemoryRecords,
  sales: readonly (readonly [saleId: number, after: number])[],
  { since, upTo }: { readonly since: number; readonly upTo: number },
): Pick<Recovered, "tickets" | "rates"> {
  const tickets = sales.flatMap(([id, after]) =>
    (records.tickets.get(id) ?? []).filter(({ number, seq }) => number > after && seq <= upTo),
  );
  const ids = new Set(sales.map(([id]) => id));
  return {
    tickets: inPages(tickets.map(({ seq: _seq, supersedes: _before, ...ticket }) => ticket)),
    rates: records.rates
      .filter(({ saleId, seq }) => ids.has(saleId) && seq > since)
      .map(({ seq, at, saleId, admitPerSecond, paused }) => {
        const before = (records.tickets.get(saleId) ?? []).filter((one) => one.seq < seq);
        return { at, saleId, admitPerSecond, paused, joined: paused ? before.length : null };
      }),
  };
}

function effectiveSince(
  records: MemoryRecords,
  sales: readonly (readonly [saleId: number, since: number])[],
) {
  return sales
    .flatMap(([id, since]) => (records.effectiveOf.get(id) ?? []).filter(({ seq }) => seq > since))
    .toSorted((a, b) => a.seq - b.seq);
}

/** The terms that have begun since an attempt, and the one before. */
function termsSince(records: MemoryRecords, seq: number): readonly BegunTerm[] {
  if (seq === Infinity) return [];
  const first = records.terms.findLastIndex(({ afterSeq }) => afterSeq < seq);
  return records.terms.slice(Math.max(first, 0));
}

function keyedClaims(
  records: MemoryRecords,
  isWanted: (claim: ClaimRow) => boolean,
): Recovered["keyedClaims"] {
  const found: { key: string; claim: ClaimRow }[] = [];
  for (const claim of [...records.claims.values()].flat()) {
    if (claim.key !== null && isWanted(claim)) found.push({ key: claim.key, claim });
  }
  return found
    .toSorted((a, b) => a.claim.at - b.claim.at || a.claim.seq - b.claim.seq)
    .map(({ key, claim }) => {
      const stored = records.coupons.get(claim.coupon);
      if (stored === undefined) throw new Error("a claim of no coupon");
      const { id, name, amount, remaining, createdAt } = stored;
      const coupon = { id, name, amount, remaining, createdAt };
      const { buyer, ordinal, at } = claim;
      return { key, claim: { coupon, buyer, ordinal, at } };
    });
}

const settledOf = (sale: SaleRow): SettledSale => ({
  access: sale.kind === "product" ? "proven" : "everyone",
  endsAt: sale.endsAt,
  reservationTtlMs: sale.reservationTtlMs,
  items: sale.itemCount,
});

const storedPurchase = ({
  saleId: _sale,
  itemStock: _stock,
  userLimit: _limit,
  reservedSeq: _reserved,
  ...purchase
}: PurchaseRow): StoredPurchase => ({ ...purchase });

// oxlint-disable-next-line require-await
async function* inPages<T>(rows: readonly T[]): AsyncGenerator<readonly T[]> {
  const pageRows = 64;
  for (let from = 0; from < rows.length; from += pageRows) yield rows.slice(from, from + pageRows);
}

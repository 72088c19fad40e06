/** `stampede verify`: the audit of every sale, or of one, and of the coupons, for a person. */
import type { Sql } from "postgres";
import { Ledger } from "../ledger/ledger.ts";
import { messageOf } from "../postgres/client.ts";
import {
  auditCoupons,
  auditJournal,
  auditSale,
  saleIds,
  type CouponAudit,
  type SaleAudit,
} from "../store/audit.ts";
import { lastAttempt, recover } from "../store/recovery.ts";

type Column = { readonly title: string; readonly of: (audit: SaleAudit) => string };

const columns: readonly Column[] = [
  { title: "sale", of: (audit) => String(audit.sale_id) },
  { title: "title", of: (audit) => audit.title },
  { title: "stock", of: (audit) => String(audit.stock) },
  { title: "sold", of: (audit) => String(audit.sold) },
  { title: "most by one user", of: (a) => `${a.max_units_one_user} of ${a.per_user_limit}` },
  { title: "verdict", of: (audit) => saleVerdict(audit) },
];

/** What is off, in words; "ok" when nothing is. */
function verdict(faults: readonly (readonly [count: number, what: string])[]): string {
  const found = faults.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return found.join("; ") || "ok";
}

const saleVerdict = (audit: SaleAudit): string =>
  verdict([
    [audit.sold - audit.stock, "sold beyond the stock"],
    [audit.oversold_items, "items oversold"],
    [audit.users_over_limit, "users over the limit"],
    [audit.purchases_without_attempt, "purchases without an attempt"],
    [audit.purchases_without_reservation, "purchases without a reservation"],
    [audit.purchases_outside_window, "purchases outside the sale's window"],
    [audit.attempts_without_purchase, "acknowledged purchases missing"],
    [audit.duplicate_codes, "codes given twice"],
    [audit.extensions_without_attempt, "extensions without an attempt"],
    [audit.extensions_beyond_bounds, "extensions beyond their bounds"],
  ]);

const couponVerdict = (audit: CouponAudit): string =>
  verdict([
    [audit.overclaimed_coupons, "coupons claimed beyond their amount"],
    [audit.miscounted_coupons, "coupons whose figures do not fit their claims"],
    [audit.double_claims, "claims by users who had one"],
    [audit.claims_out_of_order, "claims out of order"],
    [audit.claims_without_attempt, "claims without an attempt"],
    [audit.attempts_without_claim, "acknowledged claims missing"],
  ]);

/**
 * @param saleId one sale alone; undefined: all of them, and the journal as a whole
 * @returns whether every promise holds
 */
export async function verify(
  sql: Sql,
  saleId: number | undefined,
  say: (line: string) => void,
): Promise<boolean> {
  const audits: SaleAudit[] = [];
  for (const id of saleId === undefined ? await saleIds(sql) : [saleId]) {
    // One at a time: the audit must not crowd out those who sell.
    const audit = await auditSale(sql, id);
    if (audit !== null) audits.push(audit);
  }
  if (saleId !== undefined && audits.length === 0) {
    say(`There is no sale ${saleId}.`);
    return false;
  }
  for (const line of table(audits)) say(line);
  if (saleId !== undefined) return audits.every(({ ok }) => ok);

  const coupons = await auditCoupons(sql);
  say("");
  say(`Coupons: ${coupons.coupons}, claims: ${coupons.claims}, ${couponVerdict(coupons)}`);
  const journal = await auditJournal(sql);
  say(
    journal.ok
      ? `Journal: ${journal.attempts} attempts, none missing${setBack(journal.clock_set_back)}.`
      : `Journal: ${journal.attempts} attempts, ${journal.missing} MISSING, ` +
          `${journal.extensions_missing} extensions LOST.`,
  );
  const refusal = await refusalOf(sql);
  say(
    refusal === null
      ? "Ledger: rebuilt from the journal, and it adds up."
      : `Ledger: CANNOT BE REBUILT from the journal: ${refusal}`,
  );
  return refusal === null && journal.ok && coupons.ok && audits.every(({ ok }) => ok);
}

const setBack = (times: number): string =>
  times === 0 ? "" : `; a clock was set back ${times === 1 ? "once" : `${times} times`}`;

/** Why the next term could not begin with these records; null when it can. */
async function refusalOf(sql: Sql): Promise<string | null> {
  const now = Date.now();
  try {
    // At one moment of the records: the server may be selling.
    await sql.begin("isolation level repeatable read read only", async (moment) => {
      const recorded = await recover(moment, now, await lastAttempt(moment));
      await Ledger.restore(recorded, now);
    });
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

function table(audits: readonly SaleAudit[]): string[] {
  const rows = [
    columns.map(({ title }) => title),
    ...audits.map((audit) => columns.map(({ of }) => of(audit))),
  ];
  const widths = columns.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

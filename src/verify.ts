/** `stampede verify`: the audit of every sale, or of one, as a table for a person. */
import type { Sql } from "postgres";
import { auditJournal, auditSale, saleIds, type SaleAudit } from "./store/audit.ts";

type Column = { readonly title: string; readonly of: (audit: SaleAudit) => string };

const columns: readonly Column[] = [
  { title: "sale", of: (audit) => String(audit.sale_id) },
  { title: "title", of: (audit) => audit.title },
  { title: "stock", of: (audit) => String(audit.stock) },
  { title: "sold", of: (audit) => String(audit.sold) },
  { title: "most by one user", of: (a) => `${a.max_units_one_user} of ${a.per_user_limit}` },
  { title: "verdict", of: (audit) => complaints(audit).join("; ") || "ok" },
];

/** What is off, in words. */
function complaints(audit: SaleAudit): string[] {
  const found: string[] = [];
  const complain = (count: number, what: string): void => {
    if (count > 0) found.push(`${count} ${what}`);
  };
  complain(audit.sold - audit.stock, "sold beyond the stock");
  complain(audit.oversold_items, "items oversold");
  complain(audit.users_over_limit, "users over the limit");
  complain(audit.purchases_without_attempt, "purchases without an attempt");
  complain(audit.purchases_without_reservation, "purchases without a reservation");
  complain(audit.purchases_outside_window, "purchases outside the sale's window");
  complain(audit.attempts_without_purchase, "acknowledged purchases missing");
  complain(audit.duplicate_codes, "codes given twice");
  return found;
}

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
    // oxlint-disable-next-line no-await-in-loop
    const audit = await auditSale(sql, id);
    if (audit !== null) audits.push(audit);
  }
  if (saleId !== undefined && audits.length === 0) {
    say(`There is no sale ${saleId}.`);
    return false;
  }
  for (const line of table(audits)) say(line);
  if (saleId !== undefined) return audits.every(({ ok }) => ok);

  const journal = await auditJournal(sql);
  say("");
  say(
    journal.ok
      ? `Journal: ${journal.attempts} attempts, in order, none missing.`
      : `Journal: ${journal.attempts} attempts, ${journal.missing} MISSING, ${journal.out_of_order} OUT OF ORDER.`,
  );
  return journal.ok && audits.every(({ ok }) => ok);
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

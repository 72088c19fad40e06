/** `stampede verify`: the audit of every sale, or of one, and of the coupons, for a person. */
import type { Sql } from "postgres";
import { Ledger } from "../ledger/ledger.ts";
import { messageOf } from "../postgres/client.ts";
import {
  auditCoupons,
  auditSale,
  saleIds,
  type CouponAudit,
  type SaleAudit,
} from "../store/audit.ts";
import { auditJournal, type JournalAudit } from "../store/journal-audit.ts";
import type { QueueAudit } from "../store/queue-audit.ts";
import { lastAttempt, recover } from "../store/recovery.ts";
import { tableLines } from "./table.ts";

type Column = { readonly title: string; readonly of: (audit: SaleAudit) => string };

const columns: readonly Column[] = [
  { title: "sale", of: (audit) => String(audit.sale_id) },
  { title: "title", of: (audit) => audit.title },
  { title: "stock", of: (audit) => String(audit.stock) },
  { title: "sold", of: (audit) => String(audit.sold) },
  { title: "refunded", of: (audit) => String(audit.refunded) },
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
    [audit.units_owned_twice, "units sold again while somebody had them"],
    [audit.refunds_without_attempt, "refunds without an attempt"],
    [audit.attempts_without_refund, "acknowledged refunds missing"],
    [audit.refunds_miscounted, "refunds of other units than they say"],
    [audit.extensions_without_attempt, "extensions without an attempt"],
    [audit.attempts_without_extension, "acknowledged extensions missing"],
    [audit.extensions_beyond_bounds, "extensions beyond their bounds"],
    [audit.offers_without_attempt, "offers without an attempt"],
    [audit.attempts_without_offer, "acknowledged offers missing"],
    [audit.offers_out_of_line, "offers to somebody who did not wait"],
    [audit.announcement_altered, "announcement that no attempt has changed so"],
    [audit.purchases_altered, "figures of purchases that the journal has otherwise"],
  ]);

const couponVerdict = (audit: CouponAudit): string =>
  verdict([
    [audit.overclaimed_coupons, "coupons claimed beyond their amount"],
    [audit.miscounted_coupons, "coupons whose figures do not fit their claims"],
    [audit.double_claims, "claims by users who had one"],
    [audit.claims_out_of_order, "claims out of order"],
    [audit.claims_altered, "times and amounts of claims that the journal has otherwise"],
    [audit.claims_while_inactive, "claims while it could not be claimed"],
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
  for (const { sale_id: id, queue } of audits) {
    if (queue === null) continue;
    const { joined, drawn } = queue;
    say(`Queue of sale ${id}: ${joined} joined, ${drawn} drawn, ${queueVerdict(queue)}`);
  }
  if (saleId !== undefined) return audits.every(({ ok }) => ok);

  const coupons = await auditCoupons(sql);
  say("");
  say(`Coupons: ${coupons.coupons}, claims: ${coupons.claims}, ${couponVerdict(coupons)}`);
  const journal = await auditJournal(sql);
  say(journalLine(journal));
  const refusal = await refusalOf(sql);
  say(
    refusal === null
      ? "Ledger: rebuilt from the journal, and it adds up."
      : `Ledger: CANNOT BE REBUILT from the journal: ${refusal}`,
  );
  const isKept = refusal === null && journal.ok && coupons.ok;
  return isKept && audits.every(({ ok }) => ok);
}

const journalLine = (journal: JournalAudit): string =>
  journal.ok
    ? `Journal: ${journal.attempts} attempts, none missing${setBack(journal.clock_set_back)}.`
    : `Journal: ${journal.attempts} attempts, ${journal.missing} MISSING, ` +
      `${journal.milestones_without_attempt} milestones WITHOUT AN ATTEMPT, ` +
      `${journal.attempts_without_milestone} milestones MISSING, ` +
      `${journal.terms_out_of_order} terms OUT OF ORDER.`;

const queueVerdict = (audit: QueueAudit): string =>
  verdict([
    [audit.broken_commitments, "seeds that are not what was promised"],
    [audit.broken_draws, "draws of other entries than there are"],
    [audit.left_out_of_draw, "tickets left out of the draw"],
    [audit.missing_tickets, "tickets missing"],
    [audit.tickets_without_attempt, "tickets without an attempt"],
    [audit.attempts_without_ticket, "acknowledged tickets missing"],
    [audit.rates_without_attempt, "rates that nobody has set so"],
    [audit.attempts_without_rate, "acknowledged rates missing"],
    [audit.reserved_without_ticket, "reservations by who had not joined"],
    [audit.reserved_before_turn, "reservations before their turn"],
    [audit.reserved_after_pass, "reservations by a pass that had ended"],
  ]);

const setBack = (times: number): string =>
  times === 0 ? "" : `; a clock was set back ${times === 1 ? "once" : `${times} times`}`;

/** Why the next term could not begin with these records; null when it can. */
async function refusalOf(sql: Sql): Promise<string | null> {
  const now = Date.now();
  try {
    // At one moment of the records: the server may be selling.
    await sql.begin("isolation level repeatable read read only", async (moment) => {
      const recorded = await recover(moment, await lastAttempt(moment));
      await Ledger.restore(recorded, now);
    });
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

function table(audits: readonly SaleAudit[]): string[] {
  const rows = audits.map((audit) => columns.map(({ of }) => of(audit)));
  return tableLines([columns.map(({ title }) => title), ...rows]);
}

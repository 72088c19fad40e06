/** What is sold by the journal, beside what is sold by the purchases. */
import { sameBuyer } from "./buyers.ts";
import type { StoredPurchase } from "./recorded.ts";
import { rememberUse, type LedgerState, type Reservation, type SaleState } from "./state.ts";

/**
 * The journal and the purchases are written together; they must agree on what is sold.
 * @param purchases those that were not compared before
 * @param before units that were
 * @param sold units that have to be among both together
 * @param upTo what was taken back after this attempt may not be there yet
 * @returns how many have been now
 */
export function compare(
  state: LedgerState,
  saleId: number,
  purchases: readonly StoredPurchase[],
  { before, sold, upTo }: { readonly before: number; readonly sold: number; readonly upTo: number },
): number {
  if (before + purchases.length !== sold) {
    throw disagreement(saleId, before + purchases.length, sold);
  }
  for (const purchase of purchases) {
    const unit = state.codes.get(purchase.code);
    if (unit === undefined || !isSameSale(unit, purchase, upTo)) {
      throw new Error(
        `sale ${saleId}: the journal does not say that order ${purchase.seq} sold unit ` +
          `${purchase.unit} of item ${purchase.itemId}. ${advice}`,
      );
    }
    rememberKeys(state, purchase, unit);
  }
  return sold;
}

/** Units of a sale that were sold up to an attempt. @param from how many of them are known */
export function soldBy({ soldUnits }: SaleState, from: number, upTo: number): number {
  let sold = from;
  while ((soldUnits[sold]?.sold?.seq ?? Infinity) <= upTo) sold += 1;
  return sold;
}

/** The attempt by which something was taken back, if that was by an attempt. */
const refundedUpTo = (refundedBy: number | null, upTo: number): number | null =>
  refundedBy !== null && refundedBy <= upTo ? refundedBy : null;

const isSameSale = (
  { itemId, buyer, sold }: Reservation,
  purchase: StoredPurchase,
  upTo: number,
): boolean =>
  sold !== null &&
  refundedUpTo(sold.refundedBy, upTo) === refundedUpTo(purchase.refundedBy, upTo) &&
  sold.seq === purchase.seq &&
  sold.unit === purchase.unit &&
  sold.userOrdinal === purchase.userOrdinal &&
  itemId === purchase.itemId &&
  sameBuyer(buyer, purchase.buyer);

/** Keys of what is sold stand for it for good. */
function rememberKeys(state: LedgerState, purchase: StoredPurchase, of: Reservation): void {
  const { key, request, orderKey, orderRequest } = purchase;
  const uses = [
    [key, request],
    [orderKey, orderRequest],
  ] as const;
  for (const [name, asked] of uses) if (name !== null) rememberUse(state, of, name, asked);
}

const advice = "Run `stampede verify`, and do not sell before the records are mended";

/** Counts of one sale that should be the same. */
export const disagreement = (saleId: number, stored: number, journalled: number): Error =>
  new Error(
    `sale ${saleId}: ${stored} purchases are stored, the journal says ${journalled}. ${advice}`,
  );

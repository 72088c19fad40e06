/**
 * The auditor of the state: everything that must hold between two decisions. It is run
 * after every recovery and in the tests; a complaint means a bug, and nothing may be sold.
 */
import { checkCoupons } from "./coupons.ts";
import { keyOf, type LedgerState, type SaleState } from "./state.ts";

/** Every invariant that does not hold, a sentence each; empty when all is well. */
export function check(state: LedgerState): string[] {
  const complaints: string[] = [];
  for (const sale of state.sales.values()) {
    const prefix = `sale ${sale.sale.id}: `;
    complaints.push(...[...checkItems(sale), ...checkBuyers(sale)].map((line) => prefix + line));
  }
  for (const [code, reservation] of state.codes) {
    if (reservation.code !== code) complaints.push(`code ${code} leads to another reservation`);
  }
  for (const [key, reservation] of state.keys) {
    if (reservation.key === null || keyOf(reservation.userId, reservation.key) !== key) {
      complaints.push("an idempotency key leads to another reservation");
    }
  }
  complaints.push(...checkCoupons(state));
  return complaints;
}

function checkItems(sale: SaleState): string[] {
  const complaints: string[] = [];
  const live = new Int32Array(sale.free.length);
  const sold = new Int32Array(sale.free.length);
  for (const { status, itemId } of sale.deadlines) {
    const of = status === "live" ? live : status === "sold" ? sold : null;
    if (of !== null) of[itemId - 1] = (of[itemId - 1] ?? 0) + 1;
  }
  let available = 0;
  sale.sale.stock.forEach((stock, index) => {
    const free = sale.free[index] ?? 0;
    const item = `item ${index + 1}: `;
    available += free;
    if (free < 0) complaints.push(`${item}${free} free`);
    if (free + (live[index] ?? 0) + (sold[index] ?? 0) !== stock) {
      complaints.push(
        `${item}${free} free + ${live[index]} reserved + ${sold[index]} sold ≠ ${stock}`,
      );
    }
    if (sold[index] !== sale.soldOf[index])
      complaints.push(`${item}counted ${sale.soldOf[index]} sold`);
    if (free > 0 && index < sale.freeHint) complaints.push(`${item}free, but below the hint`);
  });
  if (available !== sale.available)
    complaints.push(`${sale.available} available, found ${available}`);
  const total = sale.available + sale.reserved + sale.sold;
  if (total !== sale.stock)
    complaints.push(`available + reserved + sold = ${total} ≠ ${sale.stock}`);
  return complaints;
}

function checkBuyers(sale: SaleState): string[] {
  const complaints: string[] = [];
  let live = 0;
  let bought = 0;
  for (const [userId, buyer] of sale.buyers) {
    live += buyer.live.length;
    bought += buyer.bought;
    if (buyer.live.length + buyer.bought > sale.sale.perUserLimit) {
      complaints.push(`user ${userId} is over the limit`);
    }
    for (const reservation of buyer.live) {
      if (reservation.status !== "live" || reservation.userId !== userId) {
        complaints.push(`user ${userId} holds a reservation that is not theirs or not live`);
      }
    }
  }
  if (live !== sale.reserved) complaints.push(`${sale.reserved} reserved, users hold ${live}`);
  if (bought !== sale.sold) complaints.push(`${sale.sold} sold, users bought ${bought}`);
  return complaints;
}

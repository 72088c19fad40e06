/**
 * The auditor of the state: everything that must hold between two decisions. It is run
 * after every recovery and in the tests; a complaint means a bug, and nothing may be sold.
 */
import { buyerId, sameBuyer, type Buyer, type BuyerKind } from "./buyers.ts";
import { checkCoupons } from "./coupons.ts";
import {
  holderOf,
  isOver,
  keyOf,
  onBooks,
  soldIn,
  usesOf,
  type Holder,
  type LedgerState,
  type Reservation,
  type SaleState,
} from "./state.ts";
import { checkWaitingList } from "./check-waiting.ts";

/** Every invariant that does not hold, a sentence each; empty when all is well. */
export function check(state: LedgerState): string[] {
  const complaints: string[] = [];
  for (const sale of state.sales.values()) {
    const found = [
      ...checkItems(sale),
      ...checkReservations(state, sale),
      ...checkHolders(sale),
      ...checkDeadlines(state, sale),
      ...checkQueue(sale),
      ...checkWaitingList(state, sale),
    ];
    complaints.push(...found.map((line) => `sale ${sale.terms.id}: ${line}`));
  }
  const known = [...state.sales.values()].reduce(
    (sum, sale) => sum + sale.live.size + lapsedIn(sale) + sale.soldUnits.length,
    0,
  );
  if (known !== state.codes.size) {
    complaints.push(`${state.codes.size} codes lead to ${known} reservations`);
  }
  for (const name of state.keys.keys()) {
    for (const { of } of usesOf(state, name)) {
      if (of.status === "ended" || !name.startsWith(`${buyerId(of.buyer)}\0`)) {
        complaints.push("an idempotency key leads to what its buyer does not have");
      } else if (!of.sale.keys.has(name))
        complaints.push("a sale does not know of a key that is used in it");
    }
  }
  for (const sale of state.sales.values()) {
    for (const name of sale.keys) {
      const isUsed = Array.from(usesOf(state, name)).some(({ of }) => of.sale === sale);
      if (!isUsed) complaints.push(`sale ${sale.terms.id}: a key is not used in it any more`);
    }
  }
  for (const [code, { of }] of state.ended) {
    if (of.code !== code || state.codes.has(code)) complaints.push(`code ${code} has not ended`);
  }
  complaints.push(...checkCoupons(state));
  return complaints;
}

const lapsedIn = (sale: SaleState): number => {
  let lapsed = 0;
  for (const of of sale.lapsed.values()) lapsed += of.size;
  return lapsed;
};

/** Conservation: each unit is free, reserved, sold or taken out, and is counted once. */
function checkItems(sale: SaleState): string[] {
  const complaints: string[] = [];
  const { terms } = sale;
  const live = unitsOf(sale.live, terms.stock.length);
  const sold = unitsOf(sale.soldUnits.filter(isOwned), terms.stock.length);
  const takenOut = unitsOf(sale.soldUnits.filter(isTakenOut), terms.stock.length);
  const refunded = unitsOf(sale.soldUnits.filter(isRefunded), terms.stock.length);
  let available = 0;
  Array.from(terms.stock).forEach((stock, index) => {
    const free = sale.free[index] ?? 0;
    const lapsed = sale.lapsed.get(index + 1)?.size ?? 0;
    const item = `item ${index + 1}: `;
    available += free;
    if (free < lapsed) complaints.push(`${item}${free} free, of which ${lapsed} have lapsed`);
    const out = takenOut[index] ?? 0;
    if (free + (live[index] ?? 0) + (sold[index] ?? 0) + out !== stock) {
      complaints.push(
        `${item}${free} free + ${live[index]} reserved + ${sold[index]} sold + ` +
          `${out} taken out ≠ ${stock}`,
      );
    }
    if (sold[index] !== sale.soldOf[index]) {
      complaints.push(`${item}counted ${sale.soldOf[index]} sold, found ${sold[index]}`);
    }
    if (refunded[index] !== sale.refundedOf[index]) {
      complaints.push(
        `${item}counted ${sale.refundedOf[index]} refunded, found ${refunded[index]}`,
      );
    }
    if (out !== sale.takenOutOf[index]) {
      complaints.push(`${item}counted ${sale.takenOutOf[index]} taken out, found ${out}`);
    }
    if (free > 0 && index < sale.freeHint) complaints.push(`${item}free, but below the hint`);
  });
  if (available !== sale.available) {
    complaints.push(`${sale.available} available, found ${available}`);
  }
  if (sale.available + sale.live.size + soldIn(sale) + sale.takenOut !== sale.stock) {
    complaints.push(
      `${sale.available} available + ${sale.live.size} reserved + ${soldIn(sale)} sold + ` +
        `${sale.takenOut} taken out ≠ ${sale.stock}`,
    );
  }
  complaints.push(...checkUnits(sale));
  return complaints;
}

function unitsOf(reservations: Iterable<Reservation>, items: number): Int32Array {
  const units = new Int32Array(items);
  for (const { itemId } of reservations) units[itemId - 1] = (units[itemId - 1] ?? 0) + 1;
  return units;
}

const isRefunded = ({ sold }: Reservation): boolean => sold !== null && sold.refundedBy !== null;

const isOwned = ({ sold }: Reservation): boolean => sold?.refundedBy === null;

/** Nobody has its unit, and nobody can. */
const isTakenOut = ({ sold }: Reservation): boolean =>
  sold !== null && sold.refundedBy !== null && !sold.restocked;

/**
 * Units are numbered from 1 without gaps, within an item and within a buyer: a number is taken, or
 * has been freed by what was taken back. Nobody has a number that somebody else has.
 */
function checkUnits(sale: SaleState): string[] {
  const complaints: string[] = [];
  const units = new Pairs();
  const ordinals = new Pairs();
  const freed = new Freed();
  /** Buyers are numbered as they are met: to make a text of each unit takes longer than all the rest. */
  const numbers = new Map<Holder | undefined, number>();
  let owned = 0;
  let refunded = 0;
  let placed = 0;
  for (const { code, itemId, buyer, sold } of sale.soldUnits) {
    if (sold === null) {
      complaints.push(`${code} is sold and has no order`);
      continue;
    }
    const { unit, userOrdinal, refundedBy, restocked } = sold;
    if (refundedBy !== null) refunded += 1;
    if (refundedBy === null) {
      const holder = holderOf(sale, buyer);
      const last = (holder?.bought ?? 0) + (holder?.freed?.length ?? 0);
      if (userOrdinal < 1 || userOrdinal > last || freed.has(holder?.freed, userOrdinal)) {
        complaints.push(`buyer ${buyerId(buyer)} has a purchase numbered ${userOrdinal}`);
      }
      const number = numbers.get(holder) ?? numbers.size;
      numbers.set(holder, number);
      owned += 1;
      ordinals.add(number, userOrdinal);
    }
    if (refundedBy !== null && restocked) continue;
    const again = sale.freed.get(itemId);
    const taken = (sale.soldOf[itemId - 1] ?? 0) + (sale.takenOutOf[itemId - 1] ?? 0);
    if (unit < 1 || unit > taken + (again?.length ?? 0) || freed.has(again, unit)) {
      complaints.push(`item ${itemId}: unit ${unit} is sold`);
    }
    placed += 1;
    units.add(itemId, unit);
  }
  if (refunded !== sale.refunded) {
    complaints.push(`counted ${sale.refunded} refunded, found ${refunded}`);
  }
  if (units.size !== placed) complaints.push("a unit is sold twice");
  if (ordinals.size !== owned) complaints.push("two purchases have one number");
  return complaints;
}

/** Pairs of whole numbers, the second below 2³¹, each counted once. */
class Pairs {
  readonly #known = new Set<number>();

  get size(): number {
    return this.#known.size;
  }

  add(first: number, second: number): void {
    this.#known.add(first * 2 ** 31 + second);
  }
}

/** Lists of numbers that are free again, looked into for each unit: there may be as many as that. */
class Freed {
  readonly #sets = new Map<readonly number[], ReadonlySet<number>>();

  has(numbers: readonly number[] | null | undefined, number: number): boolean {
    if (numbers == null) return false;
    const known = this.#sets.get(numbers) ?? new Set(numbers);
    this.#sets.set(numbers, known);
    return known.has(number);
  }
}

/** Each reservation is where its status says, and its code and its key lead to it. */
function checkReservations(state: LedgerState, sale: SaleState): string[] {
  const complaints: string[] = [];
  const places: [Reservation["status"], Iterable<Reservation>][] = [["live", sale.live]];
  for (const lapsed of sale.lapsed.values()) places.push(["lapsed", lapsed]);
  places.push(["sold", sale.soldUnits]);
  for (const [status, reservations] of places) {
    for (const reservation of reservations) {
      const { code, key, buyer } = reservation;
      if (reservation.status !== status) complaints.push(`${code} is not ${status}`);
      if (reservation.sale !== sale) complaints.push(`${code} is of another sale`);
      if (state.codes.get(code) !== reservation) {
        complaints.push(`code ${code} leads to another reservation`);
      }
      if (key !== null && !usesOf(state, keyOf(buyer, key)).some(({ of }) => of === reservation)) {
        complaints.push(`the idempotency key of ${code} is forgotten`);
      }
    }
  }
  return complaints;
}

function checkHolders(sale: SaleState): string[] {
  const complaints: string[] = [];
  let open = 0;
  let bought = 0;
  for (const kind of Object.keys(sale.holders) as BuyerKind[]) {
    for (const [userId, holder] of sale.holders[kind]) {
      open += holder.open.size;
      bought += holder.bought;
      checkHolder(sale, holder, { kind, userId }, complaints);
    }
  }
  const books = sale.live.size + lapsedIn(sale);
  if (open !== books)
    complaints.push(`${books} reservations are on the books, buyers have ${open}`);
  if (bought !== soldIn(sale)) {
    complaints.push(`${soldIn(sale)} sold, buyers bought ${bought}`);
  }
  return complaints;
}

function checkHolder(
  sale: SaleState,
  { bought, live, open }: Holder,
  of: Buyer,
  complaints: string[],
): void {
  if (bought + open.size > sale.terms.perUserLimit)
    complaints.push(`buyer ${buyerId(of)} is over the limit`);
  if (bought + open.size === 0) complaints.push(`buyer ${buyerId(of)} has nothing`);
  let living = 0;
  for (const { code, buyer, status } of open) {
    if (status === "live") living += 1;
    if (!sameBuyer(buyer, of) || (status !== "live" && status !== "lapsed")) {
      complaints.push(`buyer ${buyerId(of)} has ${code}, which is not theirs or not on the books`);
    }
  }
  if (living !== live) complaints.push(`buyer ${buyerId(of)} holds ${living}, counted ${live}`);
}

/** Whoever has something has joined; a million others who have are not looked through. */
function checkQueue(sale: SaleState): string[] {
  const { queue, terms } = sale;
  if ((queue !== null) !== (terms.entry.kind === "queue")) return ["has a queue, or has none"];
  if (queue === null) return [];
  const complaints: string[] = [];
  for (const kind of Object.keys(sale.holders) as BuyerKind[]) {
    for (const userId of sale.holders[kind].keys()) {
      if (queue.tickets.ofBuyer({ kind, userId }) === 0) {
        complaints.push(`buyer ${buyerId({ kind, userId })} has something, and has not joined`);
      }
    }
  }
  return complaints;
}

/** What lives has not run out, what lapsed has, each in the order of its end, as it was said. */
function checkDeadlines(state: LedgerState, sale: SaleState): string[] {
  const complaints: string[] = [];
  if (!sale.live.isOrdered()) complaints.push("the deadlines are out of order");
  for (const [itemId, lapsed] of sale.lapsed) {
    const deadlines = Array.from(lapsed, ({ deadline }) => deadline);
    if (deadlines.some((deadline, index) => deadline < (deadlines[index - 1] ?? -Infinity))) {
      complaints.push(`item ${itemId}: what lapsed is out of order`);
    }
    const early = deadlines.some((deadline) => deadline > state.now) && !isOver(sale, state.now);
    if (early) complaints.push(`item ${itemId}: a reservation has lapsed before its time`);
    if ([...lapsed].some((reservation) => reservation.itemId !== itemId)) {
      complaints.push(`item ${itemId}: a reservation of another item has lapsed here`);
    }
  }
  for (const { code, seq, due, deadline, extendedBy } of onBooks(sale)) {
    if (deadline > due) complaints.push(`${code} is held for longer than was said`);
    if (extendedBy !== null && (extendedBy <= seq || extendedBy > state.seq)) {
      complaints.push(`${code} was extended by attempt ${extendedBy}, which could not`);
    }
  }
  return complaints;
}

/**
 * The auditor of the state, invariant by invariant: each test breaks one thing in a sound state, and
 * the auditor must say that and nothing else, so that none of its checks can be left out unseen.
 */
import { describe, expect, test } from "bun:test";
import { check } from "../../src/ledger/check.ts";
import { addCoupon, type Coupon } from "../../src/ledger/coupons.ts";
import { end, sell } from "../../src/ledger/books.ts";
import { lapse } from "../../src/ledger/lapses.ts";
import {
  addSale,
  keyOf,
  type Holder,
  type LedgerState,
  type Reservation,
  type SaleState,
} from "../../src/ledger/state.ts";
import { guest, openState, openTerms, reserved } from "../support/state.ts";

/** What a test may break. */
type Scene = {
  readonly state: LedgerState;
  readonly sale: SaleState;
  /** Ann's: two that live, of items 1 and 2. */
  readonly live: readonly [Reservation, Reservation];
  /** Bob's: two of item 1 that have lapsed, the first to run out first. */
  readonly lapsed: readonly [Reservation, Reservation];
  /** Of item 3: cyd's two, and dan's, who has no other. */
  readonly sold: readonly [Reservation, Reservation, Reservation];
  readonly coupon: Coupon;
};

const lapsesAt = 150;

/** Three items: of each some units are free. */
function scene(): Scene {
  const { state, sale } = openState([9, 9, 9]);
  const books = { state, sale };
  const lapsed = [reserved(books, 1, "bob"), reserved(books, 2, "bob", { at: 20 })] as const;
  lapse(sale, lapsesAt);
  state.now = lapsesAt;
  const late = { at: lapsesAt };
  const live = [
    reserved(books, 3, "ann", { ...late, key: "k" }),
    reserved(books, 4, "ann", { at: lapsesAt + 1, item: 2 }),
  ] as const;
  const sold = [
    reserved(books, 5, "cyd", { ...late, item: 3 }),
    reserved(books, 6, "cyd", { ...late, item: 3 }),
    reserved(books, 7, "dan", { ...late, item: 3 }),
  ] as const;
  sold.forEach((unit, index) => sell(unit, 8 + index, lapsesAt));
  state.seq = 10;
  const life = { startsAt: null, endsAt: null, disabled: false };
  const figures = { id: 1, name: "A", amount: 3, createdAt: 0, remaining: 2, usedAt: 0 };
  const coupon: Coupon = { ...figures, life, claims: new Map([["guest:ann", 0]]) };
  addCoupon(state, coupon);
  state.claimsHeld = 1;
  return { state, sale, live, lapsed, sold, coupon };
}

function holderOf(sale: SaleState, name: string): Holder {
  const holder = sale.holders.guest.get(name);
  if (holder === undefined) throw new Error(`${name} has nothing`);
  return holder;
}

function isSold({ sold }: Reservation): NonNullable<Reservation["sold"]> {
  if (sold === null) throw new Error("it is not sold");
  return sold;
}

/** Adds to a figure by its item's index. */
function add(figures: Int32Array, index: number, by: number): void {
  figures[index] = (figures[index] ?? 0) + by;
}

/** Sets what nobody may set. */
const force = <T extends object>(of: T, to: Partial<T>): T => Object.assign(of, to);

type Break = readonly [what: string, breaks: (scene: Scene) => unknown, complaints: string[]];

const breaks: readonly Break[] = [
  [
    "something is held for longer than was said",
    ({ live }) => force(live[0], { due: live[0].deadline - 1 }),
    ["sale 1: c3 is held for longer than was said"],
  ],
  [
    "what was extended before it was made, or is yet to be",
    ({ live }) => [force(live[0], { extendedBy: 3 }), force(live[1], { extendedBy: 11 })],
    ["3 was extended by attempt 3", "4 was extended by attempt 11"].map(
      (what) => `sale 1: c${what}, which could not`,
    ),
  ],
  [
    "a code leads to a reservation that goes by another",
    ({ state, live }) => state.codes.set("c99", live[0]),
    ["8 codes lead to 7 reservations"],
  ],
  [
    "a key leads to what has ended",
    ({ state, sale }) => {
      const gone = reserved({ state, sale }, 11, "eve");
      end(state, gone, 1);
      state.keys.set(keyOf(gone.buyer, "k"), { request: "", of: gone, next: null });
    },
    ["an idempotency key leads to what its buyer does not have"],
  ],
  [
    "a key leads to what is somebody else's",
    ({ state, live }) => {
      state.keys.set(keyOf(guest("eve"), "k"), { request: "", of: live[0], next: null });
    },
    ["an idempotency key leads to what its buyer does not have"],
  ],
  [
    "the use of a key before the last leads to what is somebody else's",
    ({ state, live, lapsed }) => {
      const name = keyOf(guest("ann"), "k");
      const next = { request: "", of: lapsed[0], next: null };
      state.keys.set(name, { request: "", of: live[0], next });
    },
    ["an idempotency key leads to what its buyer does not have"],
  ],
  [
    "what ended is filed under another code",
    ({ state, sale }) => {
      end(state, reserved({ state, sale }, 11, "eve"), 1);
      const of = state.ended.get("c11");
      if (of === undefined) throw new Error("it has not ended");
      state.ended.delete("c11");
      state.ended.set("c12", of);
    },
    ["code c12 has not ended"],
  ],
  [
    "what ended is on the books",
    ({ state, sale, live }) => {
      end(state, reserved({ state, sale }, 11, "eve"), 1);
      state.codes.set("c11", live[0]);
      state.codes.delete("c3");
      force(live[0], { code: "c11" });
    },
    ["code c11 has not ended"],
  ],
  [
    "more has lapsed than is free",
    ({ sale }) => {
      const stock = Int32Array.of(2, 9, 9);
      force(sale, { terms: { ...sale.terms, stock }, stock: 20 });
      sale.free[0] = 1;
      sale.available -= 7;
    },
    ["sale 1: item 1: 1 free, of which 2 have lapsed"],
  ],
  [
    "a unit is another item's",
    ({ sale }) => {
      add(sale.free, 0, -1);
      add(sale.free, 1, 1);
    },
    [
      "sale 1: item 1: 7 free + 1 reserved + 0 sold + 0 taken out ≠ 9",
      "sale 1: item 2: 9 free + 1 reserved + 0 sold + 0 taken out ≠ 9",
    ],
  ],
  [
    "an item's count of what is sold is off",
    ({ sale }) => add(sale.soldOf, 2, 1),
    ["sale 1: item 3: counted 4 sold, found 3"],
  ],
  [
    "an item is free below the hint",
    ({ sale }) => (sale.freeHint = 1),
    ["sale 1: item 1: free, but below the hint"],
  ],
  [
    "what is available is not what is free",
    ({ sale }) => {
      sale.available += 1;
      force(sale, { stock: sale.stock + 1 });
    },
    ["sale 1: 23 available, found 22"],
  ],
  [
    "the whole is not the sum of its parts",
    ({ sale }) => force(sale, { stock: sale.stock + 1 }),
    ["sale 1: 22 available + 2 reserved + 3 sold + 0 taken out ≠ 28"],
  ],
  [
    "what is sold has no order",
    ({ sold }) => (sold[2].sold = null),
    [
      "sale 1: item 3: 6 free + 0 reserved + 2 sold + 0 taken out ≠ 9",
      "sale 1: item 3: counted 3 sold, found 2",
      "sale 1: c7 is sold and has no order",
    ],
  ],
  [
    "a unit is sold that is none",
    ({ sold }) => (sold[2].sold = { ...isSold(sold[2]), unit: 4 }),
    ["sale 1: item 3: unit 4 is sold"],
  ],
  [
    "a unit before the first is sold",
    ({ sold }) => (sold[2].sold = { ...isSold(sold[2]), unit: 0 }),
    ["sale 1: item 3: unit 0 is sold"],
  ],
  [
    "a purchase's number is over its buyer's",
    ({ sold }) => (sold[2].sold = { ...isSold(sold[2]), userOrdinal: 2 }),
    ["sale 1: buyer guest:dan has a purchase numbered 2"],
  ],
  [
    "a purchase's number is before the first",
    ({ sold }) => (sold[2].sold = { ...isSold(sold[2]), userOrdinal: 0 }),
    ["sale 1: buyer guest:dan has a purchase numbered 0"],
  ],
  [
    "a unit is sold twice",
    ({ sold }) => (sold[2].sold = { ...isSold(sold[2]), unit: 1 }),
    ["sale 1: a unit is sold twice"],
  ],
  [
    "two purchases of a buyer have one number",
    ({ sold }) => (sold[1].sold = { ...isSold(sold[1]), userOrdinal: 1 }),
    ["sale 1: two purchases have one number"],
  ],
  [
    "what is sold says that it lives",
    ({ sold }) => (sold[0].status = "live"),
    ["sale 1: c5 is not sold"],
  ],
  [
    "what lives says that it lapsed",
    ({ sale, live }) => {
      live[1].status = "lapsed";
      holderOf(sale, "ann").live -= 1;
    },
    ["sale 1: c4 is not live"],
  ],
  [
    "what lapsed says that it lives",
    ({ sale, lapsed }) => {
      lapsed[0].status = "live";
      holderOf(sale, "bob").live += 1;
    },
    ["sale 1: c1 is not lapsed"],
  ],
  [
    "a reservation says that it is of another sale",
    ({ state, live }) => {
      force(live[1], { sale: addSale(state, openTerms([1], { id: 2 }), 0) });
    },
    ["sale 1: c4 is of another sale"],
  ],
  [
    "a code leads to another reservation",
    ({ state, live }) => state.codes.set("c3", live[1]),
    ["sale 1: code c3 leads to another reservation"],
  ],
  [
    "a reservation's key is forgotten",
    ({ state, sale }) => [state.keys, sale.keys].forEach((keys) => keys.clear()),
    ["sale 1: the idempotency key of c3 is forgotten"],
  ],
  [
    "a reservation's key stands for others alone",
    ({ state, live }) => {
      state.keys.set(keyOf(guest("ann"), "k"), { request: "", of: live[1], next: null });
    },
    ["sale 1: the idempotency key of c3 is forgotten"],
  ],
  [
    "a reservation is on the books and its buyer has it not",
    ({ sale, live }) => {
      const holder = holderOf(sale, "ann");
      holder.open.delete(live[1]);
      holder.live -= 1;
    },
    ["sale 1: 4 reservations are on the books, buyers have 3"],
  ],
  [
    "a buyer has bought more than is sold",
    ({ sale }) => (holderOf(sale, "dan").bought += 1),
    ["sale 1: 3 sold, buyers bought 4"],
  ],
  [
    "buyers are over the limit, with what they bought and what is on the books",
    ({ sale }) => (sale.terms = { ...sale.terms, perUserLimit: 1 }),
    ["bob", "ann", "cyd"].map((name) => `sale 1: buyer guest:${name} is over the limit`),
  ],
  [
    "a buyer is kept who has nothing",
    ({ sale }) =>
      sale.holders.account.set("eve", { bought: 0, live: 0, open: new Set(), freed: null }),
    ["sale 1: buyer account:eve has nothing"],
  ],
  [
    "a buyer's count of what lives is off",
    ({ sale }) => (holderOf(sale, "ann").live += 1),
    ["sale 1: buyer guest:ann holds 2, counted 3"],
  ],
  [
    "a buyer has what is another's",
    ({ sale, live }) => {
      const [ann, dan] = [holderOf(sale, "ann"), holderOf(sale, "dan")];
      ann.open.delete(live[1]);
      ann.live -= 1;
      dan.open.add(live[1]);
      dan.live += 1;
    },
    ["sale 1: buyer guest:dan has c4, which is not theirs or not on the books"],
  ],
  [
    "a buyer has what is another kind's of that name",
    ({ sale }) => {
      const { guest: guests, account: accounts } = sale.holders;
      accounts.set("ann", holderOf(sale, "ann"));
      guests.delete("ann");
    },
    ["c3", "c4"].map(
      (code) => `sale 1: buyer account:ann has ${code}, which is not theirs or not on the books`,
    ),
  ],
  [
    "a buyer has what is not on the books",
    ({ sale, lapsed, sold }) => {
      const holder = holderOf(sale, "bob");
      holder.open.delete(lapsed[0]);
      holder.open.add(force(sold[0], { buyer: guest("bob") }));
      // The rest adds up.
      sold[0].sold = { ...isSold(sold[0]), userOrdinal: 1 };
      sold[1].sold = { ...isSold(sold[1]), userOrdinal: 1 };
      holder.bought += 1;
      holderOf(sale, "cyd").bought -= 1;
    },
    ["sale 1: buyer guest:bob has c5, which is not theirs or not on the books"],
  ],
  [
    "the deadlines are out of order",
    ({ live }) => force(live[0], { due: 10_000, deadline: 10_000 }),
    ["sale 1: the deadlines are out of order"],
  ],
  [
    "what lives does not know its place",
    ({ live }) => (live[1].place = 0),
    ["sale 1: the deadlines are out of order"],
  ],
  [
    "what lapsed is out of order",
    ({ lapsed }) => force(lapsed[0], { due: lapsesAt, deadline: lapsesAt }),
    ["sale 1: item 1: what lapsed is out of order"],
  ],
  [
    "something has lapsed before its time",
    ({ state }) => (state.now = 119),
    ["sale 1: item 1: a reservation has lapsed before its time"],
  ],
  [
    "what lapsed is filed under another item",
    ({ sale, lapsed }) => {
      sale.lapsed.get(1)?.delete(lapsed[0]);
      sale.lapsed.set(2, new Set([lapsed[0]]));
    },
    ["sale 1: item 2: a reservation of another item has lapsed here"],
  ],
  [
    "a coupon is filed under another name",
    ({ state, coupon }) => {
      state.coupons.delete("A");
      state.coupons.set("B", coupon);
    },
    ["coupon 1 is filed under another name"],
  ],
  [
    "more remains of a coupon than there was",
    ({ state, coupon }) => {
      state.claimsHeld = 0;
      force(coupon, { claims: null, remaining: 4 });
    },
    ["coupon 1: 4 of 3 remain"],
  ],
  [
    "less than nothing remains of a coupon",
    ({ state, coupon }) => {
      state.claimsHeld = 0;
      force(coupon, { claims: null, remaining: -1 });
    },
    ["coupon 1: -1 of 3 remain"],
  ],
  [
    "a coupon's claims are not what is gone of it",
    ({ coupon }) => (coupon.remaining = 3),
    ["coupon 1: 1 claimed + 3 left ≠ 3"],
  ],
  [
    "the count of claims in memory is off",
    ({ state }) => (state.claimsHeld += 1),
    ["2 claims held, found 1"],
  ],
];

describe("the auditor of the state", () => {
  test("finds nothing where all is well, in a sale that is over neither", () => {
    const { state, sale } = scene();
    const open = check(state);
    sale.terms = { ...sale.terms, closed: true };
    lapse(sale, Infinity);
    // After its end what has not run out has lapsed too.
    expect([open, check(state)]).toEqual([[], []]);
  });

  test.each(breaks)("says that %s", (_, breakIt, complaints) => {
    const broken = scene();
    breakIt(broken);
    expect(check(broken.state)).toEqual(complaints);
  });
});

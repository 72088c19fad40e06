/**
 * What callers and the administrator ask for: mostly something that is there, sometimes of long ago,
 * of another sale or of nobody. Each draws from the dice that it is given.
 */
import { sameBuyer, type Buyer } from "../../src/ledger/buyers.ts";
import type {
  Buy,
  ChangeCoupon,
  Checkout,
  ChangeQueue,
  Claim,
  Extend,
  Join,
  Outcome,
  Purchase,
  Refund,
  Release,
  WaitlistJoin,
  WaitlistLeave,
} from "../../src/ledger/commands.ts";
import type { SaleChange } from "../../src/sales/product-sales.ts";
import type { Random } from "../support/random.ts";
import type { History, KnownSale } from "./history.ts";

export const products = [1, 2, 3, 4];
export const couponNames = ["TEN", "FREE"];
export const dayMs = 86_400_000;

export type Asked =
  | Checkout
  | Purchase
  | Release
  | Extend
  | Buy
  | Refund
  | Claim
  | Join
  | WaitlistJoin
  | WaitlistLeave;

export class Draws {
  /** Codes that somebody has, the youngest last. */
  readonly codes: { readonly code: string; readonly buyer: Buyer; readonly saleId: number }[] = [];
  readonly #history: History;
  readonly #buyers: readonly Buyer[];
  readonly #now: () => number;
  /** Each announcement has a title of its own. */
  #announced = 0;

  constructor(history: History, buyers: readonly Buyer[], now: () => number) {
    this.#history = history;
    this.#buyers = buyers;
    this.#now = now;
  }

  remember(outcome: Outcome): void {
    const units =
      "reservation" in outcome ? [outcome.reservation] : "units" in outcome ? outcome.units : [];
    for (const { code, buyer, saleId } of units) this.codes.push({ code, buyer, saleId });
  }

  /** A sale that somebody may ask for, mostly one that is open. */
  sale(dice: Random): KnownSale | null {
    const now = this.#now();
    const history = this.#history;
    const sales = [...history.sales.values()];
    const open = sales.filter((sale) => history.isOpen(sale, now));
    return dice.pick(dice.chance(0.85) && open.length > 0 ? open : sales) ?? null;
  }

  #buyer(dice: Random, sale: KnownSale | null): Buyer {
    const isProductSale = sale?.kind === "product" && dice.chance(0.9);
    const among = this.#buyers.filter(({ kind }) => !isProductSale || kind !== "guest");
    return dice.pick(among) ?? { kind: "guest", userId: "ann" };
  }

  /** That of a buyer, mostly; sometimes an old one, somebody else's, or none. */
  #ticket(dice: Random, sale: KnownSale | null, buyer: Buyer): string | null {
    const tickets = sale?.queue?.tickets ?? [];
    const own = tickets.filter((one) => sameBuyer(one.buyer, buyer));
    if (dice.chance(0.9)) return own.at(-1)?.ticket ?? null;
    return dice.pick(dice.chance(0.5) ? own : tickets)?.ticket ?? null;
  }

  /** Mostly of a sale that has a queue, and often before it opens. */
  join(dice: Random): Join {
    const known = [...this.#history.sales.values()];
    const queued = known.filter(({ queue, closed }) => queue !== null && !closed);
    const coming = queued.filter(({ endsAt }) => endsAt > this.#now());
    const sale = dice.pick(dice.chance(0.8) ? coming : queued) ?? this.sale(dice);
    return {
      kind: "join",
      buyer: this.#buyer(dice, sale),
      sale: dice.chance(0.02) ? "unknown" : (sale?.id ?? 1),
      ticket: codeFrom(dice),
      key: this.#key(dice),
    };
  }

  changeQueue(dice: Random): Omit<ChangeQueue, "kind" | "by"> {
    const queued = [...this.#history.sales.values()].filter(({ queue }) => queue !== null);
    const sale = dice.pick(queued) ?? this.sale(dice);
    return {
      saleId: sale?.id ?? 1,
      admitPerSecond: dice.chance(0.6) ? (dice.pick([1, 3, 50]) ?? 1) : null,
      paused: dice.chance(0.5) ? dice.chance(0.3) : null,
    };
  }

  #key(dice: Random): string | null {
    return dice.chance(0.35) ? `key ${dice.between(1, 3)}` : null;
  }

  #price(dice: Random, sale: KnownSale | null, item: number): number | null {
    if (!dice.chance(0.25)) return null;
    return dice.chance(0.7) ? (sale?.prices[item - 1] ?? 100) : 1;
  }

  #item(dice: Random, sale: KnownSale | null): number {
    return dice.chance(0.03) ? 99 : dice.between(1, Math.max(1, sale?.stock.length ?? 1));
  }

  checkout(dice: Random): Checkout {
    const sale = this.sale(dice);
    const item = this.#item(dice, sale);
    const isCurrent = sale?.kind === "hourly" && dice.chance(0.5);
    const saleId = dice.chance(0.02) ? "unknown" : (sale?.id ?? 1);
    const buyer = this.#buyer(dice, sale);
    return {
      kind: "checkout",
      buyer,
      ticket: this.#ticket(dice, sale, buyer),
      item: dice.chance(0.3) ? "any" : item,
      sale: isCurrent ? "current" : saleId,
      code: codeFrom(dice),
      key: this.#key(dice),
      expectedPriceCents: this.#price(dice, sale, item),
    };
  }

  /** A code, mostly of lately, sometimes of long ago or of nobody; and who asks with it. */
  #code(dice: Random) {
    const known = dice.chance(0.7) ? this.codes.at(-dice.between(1, 6)) : dice.pick(this.codes);
    if (known === undefined || dice.chance(0.03)) {
      return { code: codeFrom(dice), by: null, saleId: 1 };
    }
    if (dice.chance(0.05))
      return { code: known.code, by: "merchant" as const, saleId: known.saleId };
    const isOwner = dice.chance(0.9);
    if (!isOwner && dice.chance(0.3)) {
      return { code: known.code, by: "merchant" as const, saleId: known.saleId };
    }
    const by = isOwner ? known.buyer : (dice.pick([null, ...this.#buyers]) ?? null);
    return { code: known.code, by: by?.kind === "guest" ? null : by, saleId: known.saleId };
  }

  purchase(dice: Random): Purchase {
    const { code, by, saleId } = this.#code(dice);
    const sale = this.#history.sales.get(saleId) ?? null;
    const item = this.#history.codes.get(code)?.itemId ?? 1;
    const expectedPriceCents = this.#price(dice, sale, item);
    return { kind: "purchase", code, by, expectedPriceCents, lookup: null };
  }

  release(dice: Random): Release {
    const { code, by, saleId } = this.#code(dice);
    const said = dice.chance(0.6) ? null : dice.chance(0.7) ? saleId : dice.between(1, 4);
    return { kind: "release", code, by, saleId: said, lookup: null };
  }

  /** A merchant's server, while a payment is under way: for a moment, or for as long as may be. */
  extend(dice: Random): Extend {
    const { code } = this.#code(dice);
    const max = dice.pick([1_000, 10_000, 120_000, 900_000]) ?? 10_000;
    return { kind: "extend", code, ms: dice.between(1, max), lookup: null };
  }

  buy(dice: Random): Buy {
    const history = this.#history;
    const open = [...history.sales.values()].filter(
      (sale) => sale.kind === "product" && history.isOpen(sale, this.#now()),
    );
    const sale = dice.pick(open) ?? this.sale(dice);
    const itemId = this.#item(dice, sale);
    const buyer = this.#buyer(dice, sale);
    return {
      kind: "buy",
      buyer,
      ticket: this.#ticket(dice, sale, buyer),
      saleId: dice.chance(0.03) ? "unknown" : (sale?.id ?? 1),
      itemId: dice.chance(0.03) ? "unknown" : itemId,
      quantity: dice.between(1, 2),
      code: codeFrom(dice),
      key: this.#key(dice),
      expectedPriceCents: this.#price(dice, sale, itemId),
    };
  }

  /** Somebody waits, mostly for what somebody else has; now and then who has proven nothing. */
  wait(dice: Random): WaitlistJoin {
    const sale = this.sale(dice);
    const item = dice.chance(0.3) ? "any" : this.#item(dice, sale);
    const isProven = dice.chance(0.9);
    const among = this.#buyers.filter(({ kind }) => !isProven || kind !== "guest");
    return {
      kind: "waitlist_join",
      buyer: dice.pick(among) ?? { kind: "account", userId: "ann" },
      sale: dice.chance(0.02) ? "unknown" : (sale?.id ?? 1),
      item,
    };
  }

  leave(dice: Random): WaitlistLeave {
    const sale = this.sale(dice);
    const waits = sale === null ? undefined : dice.pick(this.#history.waiting.lines(sale.id));
    const buyer = waits?.buyer ?? dice.pick(this.#buyers) ?? { kind: "account", userId: "ann" };
    return { kind: "waitlist_leave", buyer, sale: sale?.id ?? "unknown" };
  }

  /** An order of lately or of long ago, sometimes of nobody, and several times. */
  refund(dice: Random): Refund {
    const sold = [...this.#history.codes.values()].flatMap((known) => known.sold ?? []);
    const last = dice.chance(0.5) ? sold.at(-dice.between(1, 4)) : dice.pick(sold);
    const name = dice.pick(["ada", "shop"]) ?? "ada";
    return {
      kind: "refund",
      order: dice.chance(0.05) ? 1 : (last?.seq ?? 1),
      units: dice.chance(0.6) ? null : dice.between(1, 2),
      restock: dice.chance(0.6),
      reason: dice.chance(0.3) ? "broken" : null,
      by: { kind: dice.chance(0.5) ? "account" : "key", name },
      key: this.#key(dice),
      lookup: null,
    };
  }

  claim(dice: Random): Claim {
    const buyer = this.#buyer(dice, null);
    const coupon = dice.pick([...couponNames, "NONE"]) ?? "NONE";
    return { kind: "claim", coupon, buyer, key: this.#key(dice) };
  }

  /** Mostly for a moment: it is claimed again after. */
  couponChange(dice: Random): ChangeCoupon {
    const coupon = dice.pick([...couponNames, "NONE"]) ?? "NONE";
    const time = (): number | null | "kept" =>
      dice.pick(["kept", null, null, this.#now() + dice.between(-30_000, 30_000)]) ?? null;
    return {
      kind: "change_coupon",
      coupon,
      amount: dice.chance(0.5) ? dice.between(1, 9) : null,
      startsAt: time(),
      endsAt: time(),
      disabled: dice.pick([null, false, false, true]) ?? null,
      by: { kind: "account", name: "boss" },
    };
  }

  #items(dice: Random) {
    return products
      .filter(() => dice.chance(0.6))
      .map((productId) => {
        const stock = dice.between(1, 4);
        return { productId, stock, priceCents: dice.between(1, 3) * 100 };
      });
  }

  announcement(dice: Random) {
    const startsAt = this.#now() + dice.between(-20_000, 60_000);
    const items = this.#items(dice);
    const passTtlMs = dice.pick([1_000, 10_000, 60_000, 600_000]) ?? 10_000;
    const admitPerSecond = dice.pick([1, 2, 20]) ?? 1;
    return {
      title: `drop ${(this.#announced += 1)}`,
      queue: dice.chance(0.5) ? { passTtlMs, admitPerSecond } : undefined,
      startsAt,
      // Some are still open when a clock that is hours ahead is set right.
      endsAt: startsAt + dice.between(1_000, dice.chance(0.75) ? 400_000 : dayMs),
      perUserLimit: dice.between(1, 4),
      items: items.length === 0 ? [{ productId: 1, stock: 2, priceCents: 100 }] : items,
    };
  }

  change(dice: Random): SaleChange {
    const { title, startsAt, endsAt, perUserLimit, items } = this.announcement(dice);
    const one = <T>(value: T): T | undefined => (dice.chance(0.5) ? value : undefined);
    if (dice.chance(0.4)) return { endsAt };
    return {
      title: one(title),
      startsAt: one(startsAt),
      endsAt,
      perUserLimit: one(perUserLimit),
      items: one(items),
    };
  }
}

/** Each time that something is asked a new code is made for it. */
export const withNewCode = (command: Asked, dice: Random): Asked =>
  command.kind === "checkout" || command.kind === "buy"
    ? { ...command, code: codeFrom(dice) }
    : command.kind === "join"
      ? { ...command, ticket: codeFrom(dice) }
      : command;

/** A code that is not given twice. */
export function codeFrom(dice: Random): string {
  const digits = Array.from({ length: 32 }, () => dice.between(0, 15).toString(16)).join("");
  const parts = [8, 12, 16, 20].map((end, index) => digits.slice([0, 8, 12, 16][index], end));
  return [...parts, digits.slice(20)].join("-");
}

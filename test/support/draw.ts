/**
 * Draws the steps of a random history: a small shop with few units, few buyers and short
 * times, so that every rule gets in the way of every other one.
 */
import type { Buyer, BuyerKind } from "../../src/ledger/buyers.ts";
import type { Buy, ChangeSale, Checkout, Extend } from "../../src/ledger/commands.ts";
import { momentsAhead, type SaleCommand, type SalePlan } from "../unit/model-books.ts";
import { epoch, type Run, type Step } from "./history.ts";
import type { Random } from "./random.ts";

const unknownSale = 999;
/** Units bought in one step. */
const quantityMax = 4;

/** What one history is like; drawn once for each seed. */
type Shop = {
  readonly buyers: readonly Buyer[];
  readonly hourMs: number;
  readonly ttlMs: number;
  readonly limit: number;
  readonly items: number;
  readonly unitsMax: number;
  readonly crashes: boolean;
};

type Keyed = Checkout | Buy;

/** The code of a step; units bought at once count on from it. */
export const codeOf = (step: number): string =>
  `00000000-0000-7000-8000-${(step * 16).toString(16).padStart(12, "0")}`;

export class Draw {
  readonly #random: Random;
  readonly #run: Run;
  readonly #shop: Shop;
  readonly #asked: Keyed[] = [];
  #steps = 0;
  #sales = 0;
  #nextHour = epoch.now + 20;

  constructor(random: Random, run: Run, crashes: boolean) {
    this.#random = random;
    this.#run = run;
    const kinds: readonly BuyerKind[] = ["guest", "account", "customer"];
    // The same few names in every kind.
    const names = ["ann", "bob", "cyd"].slice(0, random.between(1, 3));
    const buyers = names.flatMap((userId) => kinds.map((kind) => ({ kind, userId })));
    this.#shop = {
      buyers: buyers.filter(() => random.chance(0.7)),
      hourMs: random.between(100, 500),
      ttlMs: random.between(1, 60),
      limit: random.between(1, 4),
      items: random.between(1, 4),
      unitsMax: random.between(1, 4),
      crashes,
    };
  }

  next(): Step {
    this.#steps += 1;
    const random = this.#random;
    const upkeep = this.#upkeep();
    if (upkeep !== null) return upkeep;
    if (this.#shop.crashes && random.chance(0.01)) return { do: "crash", at: this.#otherClock() };
    const at = this.#moment();
    if (random.chance(0.02)) return { do: "look", at };
    if (this.#shop.crashes && random.chance(0.015)) {
      const saleId = random.between(Math.max(1, this.#sales - 3), Math.max(1, this.#sales));
      return { do: "checkpoint", at, saleId };
    }
    return { do: "decide", at, command: this.#command(), stale: random.chance(0.5) };
  }

  /** Sales are announced ahead of their time, and settled some time after their end. */
  #upkeep(): Step | null {
    const { model } = this.#run;
    const { now, books } = model;
    const ahead = this.#random.chance(0.1) ? 0 : this.#shop.hourMs;
    if (this.#nextHour - ahead <= now) return this.#addHourly();
    const settleable = books.filter((book) => !book.settled && model.isOver(book));
    const book = this.#random.pick(settleable);
    if (book !== undefined && this.#random.chance(0.05)) {
      return { do: "settle", saleId: book.plan.id };
    }
    const products = books.filter(({ plan }) => plan.kind === "product" && plan.endsAt > now);
    if (products.length > 0 || this.#random.chance(0.9)) return null;
    const startsAt = now + this.#random.between(0, this.#shop.hourMs);
    const endsAt = startsAt + this.#random.between(1, 2 * this.#shop.hourMs);
    return this.#add("product", startsAt, endsAt);
  }

  /** Hourly sales are back to back; once in a while an hour was slept through. */
  #addHourly(): Step {
    const { hourMs } = this.#shop;
    while (this.#nextHour + hourMs <= this.#run.model.now) this.#nextHour += hourMs;
    if (this.#random.chance(0.1)) this.#nextHour += hourMs;
    const startsAt = this.#nextHour;
    this.#nextHour += hourMs;
    return this.#add("hourly", startsAt, startsAt + hourMs);
  }

  #add(kind: SalePlan["kind"], startsAt: number, endsAt: number): Step {
    const random = this.#random;
    const { items, unitsMax, limit, ttlMs } = this.#shop;
    this.#sales += 1;
    // A number may have been taken out: no number has its item then, but the last and the first.
    const stock = Array.from({ length: items }, (_, index) => {
      const isOut = index > 0 && index < items - 1 && random.chance(0.2);
      return isOut ? 0 : random.between(1, unitsMax);
    });
    const priceCents = stock.map((_, index) => 100 * (index + 1));
    const access = kind === "product" && random.chance(0.6) ? "proven" : "everyone";
    const window = { startsAt, endsAt, closed: false };
    const terms = { perUserLimit: limit, reservationTtlMs: ttlMs, stock, priceCents };
    return {
      do: "add",
      sale: { id: this.#sales, kind, access, entry: { kind: "open" }, ...window, ...terms },
    };
  }

  /** Mostly now or soon; often exactly when something changes; sometimes earlier than now. */
  #moment(): number {
    const { model } = this.#run;
    const die = this.#random.next();
    if (die < 0.62) return model.now;
    if (die < 0.85) return model.now + this.#random.between(1, 2);
    if (die < 0.88) return model.now - this.#random.between(1, 50);
    if (die < 0.885) return model.now + this.#random.between(1, this.#shop.hourMs);
    const moments = momentsAhead(model.books, model.now).toSorted((a, b) => a - b);
    const moment = this.#random.pick(moments.slice(0, 2)) ?? model.now;
    return moment - (this.#random.chance(0.4) ? 1 : 0);
  }

  /** What the clock of the next term says: the same, or later, or earlier by little or much. */
  #otherClock(): number {
    const { now } = this.#run.model;
    const die = this.#random.next();
    if (die < 0.4) return now + this.#random.between(0, 3);
    if (die < 0.6) return now + this.#random.between(0, 2 * this.#shop.ttlMs);
    if (die < 0.8) return now - this.#random.between(1, 2 * this.#shop.ttlMs);
    return now - this.#random.between(1, this.#shop.hourMs);
  }

  #command(): SaleCommand {
    const die = this.#random.next();
    if (die < 0.43) return this.#checkout();
    if (die < 0.58) return this.#buy();
    if (die < 0.605) return this.#changeSale();
    const code = this.#code();
    if (die < 0.66) return this.#extend(code);
    const by = this.#by(code);
    if (die < 0.89) {
      const expectedPriceCents = this.#expectedPrice(this.#run.model.entryOf(code)?.itemId ?? 1);
      return { kind: "purchase", code, by, expectedPriceCents, lookup: null };
    }
    return { kind: "release", code, by, saleId: this.#releasedOf(code), lookup: null };
  }

  #checkout(): Checkout {
    const random = this.#random;
    const code = codeOf(this.#steps);
    const again = this.#again("checkout");
    if (again?.kind === "checkout") return this.#note({ ...again, code });
    const item = random.chance(0.3) ? "any" : this.#item();
    return this.#note({
      kind: "checkout",
      buyer: this.#buyer(),
      item,
      sale: this.#sale(),
      code,
      key: this.#key(),
      expectedPriceCents: this.#expectedPrice(item === "any" ? 1 : item),
    });
  }

  #buy(): Buy {
    const random = this.#random;
    const code = codeOf(this.#steps);
    const again = this.#again("buy");
    if (again?.kind === "buy") return this.#note({ ...again, code });
    const sale = this.#sale();
    const itemId = random.chance(0.02) ? "unknown" : this.#item();
    return this.#note({
      kind: "buy",
      buyer: this.#buyer(),
      saleId: sale === "current" ? this.#openSale() : sale,
      itemId,
      quantity: random.chance(0.5) ? 1 : random.between(1, quantityMax),
      code,
      key: this.#key(),
      expectedPriceCents: this.#expectedPrice(itemId === "unknown" ? 1 : itemId),
    });
  }

  /** For a moment, for as long as a reservation or a few, or for as long as may be. */
  #extend(code: string): Extend {
    const random = this.#random;
    const ms = random.chance(0.05) ? 900_000 : random.between(1, 3 * this.#shop.ttlMs);
    return { kind: "extend", code, ms, lookup: null };
  }

  /** Later by some, sometimes earlier, and seldom at once; or opened. */
  #changeSale(): ChangeSale {
    const random = this.#random;
    const saleId = random.chance(0.05) ? unknownSale : this.#openSale();
    const plan = this.#run.model.books.find((book) => book.plan.id === saleId)?.plan;
    const by = random.chance(0.4) ? random.between(-20, 0) : random.between(1, this.#shop.hourMs);
    const early = random.chance(0.3) ? this.#run.model.now : null;
    const later = early ?? (plan?.endsAt ?? epoch.now) + by;
    const opens = random.chance(0.2);
    const endsAt = opens ? null : random.chance(0.2) ? "now" : later;
    return { kind: "change_sale", saleId, opens, endsAt, title: null, by: null };
  }

  /** What was asked lately, asked again. */
  #again(kind: Keyed["kind"]): Keyed | null {
    if (!this.#random.chance(0.15)) return null;
    const lately = this.#asked.filter((command) => command.kind === kind).slice(-12);
    return this.#random.pick(lately) ?? null;
  }

  #note<C extends Keyed>(command: C): C {
    this.#asked.push(command);
    return command;
  }

  #buyer(): Buyer {
    return this.#random.pick(this.#shop.buyers) ?? { kind: "guest", userId: "ann" };
  }

  #key(): string | null {
    return this.#random.chance(0.3) ? `k${this.#random.between(1, 3)}` : null;
  }

  #item(): number {
    return this.#random.between(1, this.#shop.items + (this.#random.chance(0.1) ? 1 : 0));
  }

  /** Of the first numbers `100 * number` is right. */
  #expectedPrice(item: number): number | null {
    const die = this.#random.next();
    if (die < 0.85) return null;
    return die < 0.97 ? 100 * item : 1;
  }

  #openSale(): number {
    const { model } = this.#run;
    const open = model.books.filter((book) => !book.settled && model.isOpen(book));
    return this.#random.pick(open)?.plan.id ?? Math.max(1, this.#sales);
  }

  #sale(): Checkout["sale"] {
    const die = this.#random.next();
    if (die < 0.5) return "current";
    if (die < 0.52) return "unknown";
    if (die < 0.54) return unknownSale;
    if (die < 0.85) return this.#openSale();
    const lately = Math.max(1, this.#sales - (this.#random.chance(0.1) ? 20 : 3));
    return this.#random.between(lately, Math.max(lately, this.#sales));
  }

  /** Mostly who may, sometimes somebody else, sometimes nobody. */
  #by(code: string): Buyer | null {
    const die = this.#random.next();
    if (die < 0.85) return this.#run.model.entryOf(code)?.buyer ?? null;
    return die < 0.93 ? this.#buyer() : null;
  }

  #releasedOf(code: string): number | null {
    const die = this.#random.next();
    if (die < 0.6) return null;
    if (die < 0.95) return this.#run.model.entryOf(code)?.book.plan.id ?? null;
    return this.#random.between(1, Math.max(1, this.#sales));
  }

  /** A code of late in a sale that sells, or of any sale, or of any attempt, or of none. */
  #code(): string {
    const random = this.#random;
    const never = codeOf(0);
    const { books, now } = this.#run.model;
    const die = random.next();
    if (die < 0.03) return never;
    if (die < 0.08) return random.pick(this.#asked)?.code ?? never;
    const selling = books.filter(({ plan }) => plan.endsAt > now);
    const from = die < 0.2 || selling.length === 0 ? books : selling;
    return random.pick(from.flatMap(({ made }) => made.slice(-6)))?.code ?? never;
  }
}

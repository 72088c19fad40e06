/**
 * Draws the steps of a random history: a small shop with few units, few users and short
 * times, so that every rule gets in the way of every other one.
 */
import type { Checkout } from "../../src/ledger/commands.ts";
import type { SaleCommand, SalePlan } from "../unit/model.ts";
import { epoch, type Run, type Step } from "./history.ts";
import type { Random } from "./random.ts";

const unknownSale = 999;

/** What one history is like; drawn once for each seed. */
type Shop = {
  readonly users: readonly string[];
  readonly hourMs: number;
  readonly ttlMs: number;
  readonly limit: number;
  readonly items: number;
  readonly unitsMax: number;
  readonly crashes: boolean;
};

export class Draw {
  readonly #random: Random;
  readonly #run: Run;
  readonly #shop: Shop;
  readonly #checkouts: Checkout[] = [];
  #steps = 0;
  #sales = 0;
  #nextHour = epoch.now + 20;

  constructor(random: Random, run: Run, crashes: boolean) {
    this.#random = random;
    this.#run = run;
    this.#shop = {
      users: ["ann", "bob", "cyd", "dan", "eve"].slice(0, random.between(1, 5)),
      hourMs: random.between(100, 500),
      ttlMs: random.between(1, 60),
      limit: random.between(1, 3),
      items: random.between(1, 4),
      unitsMax: random.between(1, 3),
      crashes,
    };
  }

  next(): Step {
    this.#steps += 1;
    const upkeep = this.#upkeep();
    if (upkeep !== null) return upkeep;
    const at = this.#moment();
    if (this.#random.chance(0.02)) return { do: "look", at };
    if (this.#shop.crashes && this.#random.chance(0.01)) return { do: "crash", at };
    return { do: "decide", at, command: this.#command() };
  }

  /** Sales are announced ahead of their time, and settled some time after their end. */
  #upkeep(): Step | null {
    const { now, books } = this.#run.model;
    const ahead = this.#random.chance(0.1) ? 0 : this.#shop.hourMs;
    if (this.#nextHour - ahead <= now) return this.#addHourly();
    const settleable = books.filter(({ plan, settled }) => !settled && plan.endsAt <= now);
    const book = this.#random.pick(settleable);
    if (book !== undefined && this.#random.chance(0.05)) {
      return { do: "settle", saleId: book.plan.id };
    }
    const products = books.filter(({ plan }) => plan.kind === "product" && plan.endsAt > now);
    if (products.length > 0 || this.#random.chance(0.9)) return null;
    const startsAt = now + this.#random.between(0, this.#shop.hourMs);
    return this.#add(
      "product",
      startsAt,
      startsAt + this.#random.between(1, 2 * this.#shop.hourMs),
    );
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
    const { items, unitsMax, limit, ttlMs } = this.#shop;
    this.#sales += 1;
    const stock = Array.from({ length: items }, () => this.#random.between(1, unitsMax));
    const terms = { perUserLimit: limit, reservationTtlMs: ttlMs, stock };
    return { do: "add", sale: { id: this.#sales, kind, startsAt, endsAt, ...terms } };
  }

  /** Mostly now or soon; often exactly when something changes; sometimes earlier than now. */
  #moment(): number {
    const { model } = this.#run;
    const die = this.#random.next();
    if (die < 0.62) return model.now;
    if (die < 0.85) return model.now + this.#random.between(1, 2);
    if (die < 0.88) return model.now - this.#random.between(1, 50);
    if (die < 0.885) return model.now + this.#random.between(1, this.#shop.hourMs);
    const moments = model.momentsAhead().toSorted((a, b) => a - b);
    const moment = this.#random.pick(moments.slice(0, 2)) ?? model.now;
    return moment - (this.#random.chance(0.4) ? 1 : 0);
  }

  #command(): SaleCommand {
    const die = this.#random.next();
    if (die < 0.55) return this.#checkout();
    const kind = die < 0.88 ? "purchase" : "release";
    return { kind, code: this.#code(), archived: null };
  }

  #checkout(): Checkout {
    const code = `c${this.#steps}`;
    const again = this.#random.pick(this.#checkouts.slice(-12));
    const retried = again !== undefined && this.#random.chance(0.15);
    const command = retried ? { ...again, code } : this.#freshCheckout(code);
    this.#checkouts.push(command);
    return command;
  }

  #freshCheckout(code: string): Checkout {
    const random = this.#random;
    const { items, users } = this.#shop;
    const item = random.chance(0.3)
      ? "any"
      : random.between(1, items + (random.chance(0.1) ? 1 : 0));
    const key = random.chance(0.3) ? `k${random.between(1, 3)}` : null;
    const userId = random.pick(users) ?? "ann";
    return { kind: "checkout", userId, item, sale: this.#sale(), code, key };
  }

  #sale(): Checkout["sale"] {
    const die = this.#random.next();
    if (die < 0.55) return "current";
    if (die < 0.57) return "unknown";
    if (die < 0.59) return unknownSale;
    const { books, now } = this.#run.model;
    const open = books.find(({ plan }) => plan.startsAt <= now && now < plan.endsAt);
    if (die < 0.8 && open !== undefined) return open.plan.id;
    const lately = Math.max(1, this.#sales - (this.#random.chance(0.1) ? 20 : 3));
    return this.#random.between(lately, Math.max(lately, this.#sales));
  }

  /** A code of late in a sale that sells, or of any sale, or of any checkout, or of none. */
  #code(): string {
    const random = this.#random;
    const { books, now } = this.#run.model;
    const die = random.next();
    if (die < 0.03) return "never";
    if (die < 0.08) return random.pick(this.#checkouts)?.code ?? "never";
    const selling = books.filter(({ plan }) => plan.endsAt > now);
    const from = die < 0.2 || selling.length === 0 ? books : selling;
    return random.pick(from.flatMap(({ made }) => made.slice(-6)))?.code ?? "never";
  }
}

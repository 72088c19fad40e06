/**
 * What the contract says of a history of attempts, one after another: sections 1 to 3 of the HTTP
 * contract as a model. Nothing here is taken from the ledger: what is live, free and sold is counted
 * anew from a list each time somebody asks.
 *
 * Time may be set back between two attempts, by another writer's clock. What had run out before that
 * and would live again by the new time may do either; so may what was reserved in a future that is
 * not to be. Where it makes a difference both answers are right.
 */
import { isProven, sameBuyer, type Buyer } from "../../src/ledger/buyers.ts";
import type {
  Buy,
  BuyOutcome,
  ChangeSale,
  ChangeSaleOutcome,
  Checkout,
  CodeUser,
  CheckoutOutcome,
  Claim,
  ClaimOutcome,
  Command,
  CreateCoupon,
  CreateCouponOutcome,
  Extend,
  ExtendOutcome,
  RecordsNeeded,
  Outcome,
  Purchase,
  PurchaseOutcome,
  Release,
  ReleaseOutcome,
  Unit,
} from "../../src/ledger/commands.ts";
import type { StoredSale } from "../../src/store/sales.ts";

/** A sale is answered from the records alone when it is over for this long. */
const forgottenAfterMs = 10 * 60_000;
/** Keys of claims are remembered over a restart for this long, and may be for longer. */
const claimKeyAgeMs = 24 * 3_600_000;

/** The longest extension, ms. */
const quarter = 15 * 60_000;

export type KnownSale = {
  readonly id: number;
  readonly kind: "hourly" | "product";
  readonly startsAt: number;
  endsAt: number;
  closed: boolean;
  readonly limit: number;
  readonly ttlMs: number;
  readonly stock: readonly number[];
  readonly prices: readonly number[];
  readonly products: readonly number[];
  /** Somebody was told of it. */
  isSeen: boolean;
  /** When a sale of it was made last. */
  lastSaleAt: number;
  /** As it was before it was replaced, until whoever changed it is told. */
  previous: KnownSale | null;
};

export type Known = {
  readonly seq: number;
  readonly code: string;
  readonly sale: KnownSale;
  readonly itemId: number;
  readonly buyer: Buyer;
  /** When it runs out, if its sale does not end before; and when that was said. */
  due: number;
  saidAt: number;
  readonly key: string | null;
  readonly asked: string;
  released: boolean;
  /** Time was set back after it had run out, or to before it was made: it may live or not. */
  isInDoubt: boolean;
  sold: { readonly seq: number; readonly at: number } | null;
};

/** Surely not, surely, or perhaps: the answers that may be right. */
type Maybe = readonly boolean[];
const surely: Maybe = [true];
const surelyNot: Maybe = [false];
const perhaps: Maybe = [true, false];

type KeyUse = { readonly asked: string; readonly codes: readonly string[]; readonly order: number };

type ModelCoupon = {
  readonly id: number;
  readonly amount: number;
  readonly createdAt: number;
  readonly claims: { readonly buyer: Buyer; readonly at: number }[];
};

type ModelClaim = { readonly coupon: string; readonly ordinal: number; readonly at: number };

export class History {
  readonly sales = new Map<number, KnownSale>();
  readonly codes = new Map<string, Known>();
  readonly coupons = new Map<string, ModelCoupon>();
  readonly #ofSale = new Map<number, Known[]>();
  /** What was reserved and bought with a key, by buyer and key. */
  readonly #keys = new Map<string, KeyUse[]>();
  readonly #claimKeys = new Map<string, ModelClaim>();
  readonly #complain: (what: string) => void;
  /** Whether another one has the lock, and whoever decides has not noticed. */
  isStale = false;
  #seq = 0;
  #at = 0;
  /** The time that was told last, and the latest ever. */
  #told = 0;
  #latest = 0;

  constructor(complain: (what: string) => void) {
    this.#complain = complain;
  }

  get seq(): number {
    return this.#seq;
  }

  get at(): number {
    return this.#at;
  }

  /** A sale was stored, or replaced before its opening. */
  addSale({ sale, items }: StoredSale): void {
    const { id, kind, startsAt, endsAt, closed, perUserLimit, reservationTtlMs } = sale;
    // Numbers that were given once, and are taken out, have no units.
    const stock: number[] = Array.from(sale.stock, () => 0);
    const prices = stock.slice();
    for (const item of items) {
      stock[item.id - 1] = item.stock;
      prices[item.id - 1] = item.priceCents;
    }
    const before = this.sales.get(id);
    if (before !== undefined && this.of(id).length > 0) this.#complain(`sale ${id} was replaced`);
    this.sales.set(id, {
      id,
      kind,
      startsAt,
      endsAt,
      closed,
      limit: perUserLimit,
      ttlMs: reservationTtlMs,
      stock,
      prices,
      products: items.flatMap(({ productId }) => productId ?? []),
      isSeen: before?.isSeen ?? false,
      lastSaleAt: 0,
      previous: before ?? null,
    });
  }

  /** Somebody was told that a sale is what it is now. */
  settle(saleId: number): void {
    const sale = this.sales.get(saleId);
    if (sale !== undefined) sale.previous = null;
  }

  /** Every code that was given in a sale. */
  of(saleId: number): readonly Known[] {
    return this.#ofSale.get(saleId) ?? [];
  }

  soldIn(saleId: number): readonly Known[] {
    return this.of(saleId).filter(({ sold }) => sold !== null);
  }

  /** Somebody was told this time. */
  tell(now: number): void {
    if (now < this.#told) {
      for (const known of this.codes.values()) {
        if (this.#endOf(known) <= this.#told || known.saidAt > now) known.isInDoubt = true;
      }
    }
    this.#told = now;
    this.#latest = Math.max(this.#latest, now);
  }

  /** An attempt that was recorded. */
  take(seq: number, at: number, command: Command, outcome: Exclude<Outcome, RecordsNeeded>): void {
    if (seq !== this.#seq + 1) this.#complain(`attempt ${seq} follows ${this.#seq}`);
    this.#seq = seq;
    this.#at = at;
    this.tell(at);
    const wrong = this.#judge(command, outcome);
    if (wrong !== null) {
      this.#complain(
        `attempt ${seq}, ${command.kind} at ${at}: ${wrong}\n  asked ${JSON.stringify(command)}` +
          `\n  answered ${JSON.stringify(outcome)}`,
      );
    }
  }

  #judge(command: Command, outcome: Exclude<Outcome, RecordsNeeded>): string | null {
    // The ledger answers a command with one of its own outcomes.
    switch (command.kind) {
      case "checkout":
        return this.#checkout(command, outcome as CheckoutOutcome);
      case "purchase":
        return this.#purchase(command, outcome as Exclude<PurchaseOutcome, RecordsNeeded>);
      case "release":
        return this.#release(command, outcome as Exclude<ReleaseOutcome, RecordsNeeded>);
      case "extend":
        return this.#extend(command, outcome as Exclude<ExtendOutcome, RecordsNeeded>);
      case "buy":
        return this.#buy(command, outcome as BuyOutcome);
      case "change_sale":
        return this.#changeSale(command, outcome as ChangeSaleOutcome);
      case "create_coupon":
        return this.#createCoupon(command, outcome as CreateCouponOutcome);
      case "claim":
        return this.#claim(command, outcome as Exclude<ClaimOutcome, RecordsNeeded>);
      default:
        return command satisfies never;
    }
  }

  isOver(sale: KnownSale, now: number): boolean {
    return sale.closed || now >= sale.endsAt;
  }

  isOpen(sale: KnownSale, now: number): boolean {
    return now >= sale.startsAt && !this.isOver(sale, now);
  }

  /** The hourly sale of a moment, of those that somebody was told of. */
  hourlyAt(now: number): KnownSale | null {
    for (const sale of this.sales.values()) {
      if (sale.kind === "hourly" && this.isOpen(sale, now)) return sale;
    }
    return null;
  }

  #endOf({ due, sale }: Known): number {
    return Math.min(due, sale.endsAt);
  }

  /** Whether a reservation holds its unit. */
  isLive(known: Known, now: number): Maybe {
    if (known.released || known.sold !== null || this.isOver(known.sale, now)) return surelyNot;
    if (this.#endOf(known) <= now) return surelyNot;
    return known.isInDoubt ? perhaps : surely;
  }

  /** How many of them live: at least, and at most. */
  live(of: readonly Known[], now: number): { readonly min: number; readonly max: number } {
    let min = 0;
    let max = 0;
    for (const known of of) {
      const live = this.isLive(known, now);
      if (live === surely) min += 1;
      if (live !== surelyNot) max += 1;
    }
    return { min, max };
  }

  soldOf(saleId: number, itemId: number): number {
    return this.soldIn(saleId).filter((known) => known.itemId === itemId).length;
  }

  /** Units that nobody holds: at least, and at most. Of item 0: of the sale. */
  free(sale: KnownSale, itemId: number, now: number, without: readonly Known[] = []) {
    const of = this.of(sale.id).filter(
      (known) => (itemId === 0 || known.itemId === itemId) && !without.includes(known),
    );
    const stock = itemId === 0 ? sum(sale.stock) : (sale.stock[itemId - 1] ?? 0);
    const sold = of.filter((known) => known.sold !== null).length;
    const live = this.live(of, now);
    const left = stock - sold;
    return { min: Math.max(0, left - live.max), max: left - Math.min(live.min, left) };
  }

  /** What a buyer has in a sale: bought and live. */
  held(sale: KnownSale, buyer: Buyer, now: number, without: readonly Known[] = []) {
    const own = this.of(sale.id).filter(
      (known) => sameBuyer(known.buyer, buyer) && !without.includes(known),
    );
    const bought = own.filter(({ sold }) => sold !== null).length;
    const live = this.live(own, now);
    const max = Math.min(bought + live.max, sale.limit);
    return { own, bought, min: bought + live.min, max };
  }

  /** Whether whoever decides has to know of it. */
  #isThere(sale: KnownSale): boolean {
    return sale.isSeen && !this.isStale;
  }

  #isForgotten(sale: KnownSale): boolean {
    return this.#latest >= sale.endsAt + forgottenAfterMs;
  }

  // What a key stands for, and whether it does.
  #remembered(buyer: Buyer, key: string | null) {
    if (key === null) return { codes: [] as Known[], sure: [] as Known[], isClaim: surelyNot };
    const name = keyName(buyer, key);
    const codes = (this.#keys.get(name) ?? [])
      .flatMap((use) => use.codes.map((code) => this.codes.get(code)))
      .filter((known) => known !== undefined);
    const may = codes.filter(
      (known) => known.sold !== null || this.isLive(known, this.#at) !== surelyNot,
    );
    const sure = may.filter(
      (known) =>
        (known.sold !== null || this.isLive(known, this.#at) === surely) &&
        !this.#isForgotten(known.sale),
    );
    return { codes: may, sure, isClaim: this.#isClaim(name) };
  }

  /** Whether a key was a claim's. */
  #isClaim(name: string): Maybe {
    const claim = this.#claimKeys.get(name);
    if (claim === undefined) return surelyNot;
    return this.#latest < claim.at + claimKeyAgeMs ? surely : perhaps;
  }

  /** What is right to answer because of a key; `goesOn`: whether it may not be because of it. */
  #byKey(
    buyer: Buyer,
    key: string | null,
    asked: string,
  ): { readonly answers: readonly Answer[]; readonly goesOn: boolean } {
    const { codes, sure, isClaim } = this.#remembered(buyer, key);
    const answers: Answer[] = [];
    const uses = key === null ? [] : (this.#keys.get(keyName(buyer, key)) ?? []);
    for (const known of codes) {
      for (const use of uses.filter((one) => one.codes.includes(known.code))) {
        if (use.asked === asked) answers.push({ word: "again", code: known.code });
        else answers.push({ word: "idempotency_key_reused" });
      }
    }
    if (isClaim.includes(true)) answers.push({ word: "idempotency_key_reused" });
    return { answers, goesOn: sure.length === 0 && isClaim.includes(false) };
  }

  #checkout(command: Checkout, outcome: CheckoutOutcome): string | null {
    const now = this.#at;
    const right: Answer[] = [];
    const asked = JSON.stringify([
      "checkout",
      command.item,
      command.sale,
      command.expectedPriceCents,
    ]);
    const sale = this.#askedFor(command.sale);
    if (sale !== null && !isOfAnySale.has(outcome.word)) sale.isSeen = true;
    this.#rightCheckout(command, asked, sale, right);
    if (sale?.previous) {
      // While it is replaced it is shut.
      right.push({ word: "sale_not_open" });
      this.#rightCheckout(command, asked, sale.previous, right);
    }
    const code = "reservation" in outcome ? outcome.reservation.code : null;
    const given = outcome.word === "reserved_again" ? { word: "again", code } : outcome;
    const isRight = right.some(
      (answer) => answer.word === given.word && (answer.code === undefined || answer.code === code),
    );
    if (!isRight) return `right would be ${JSON.stringify(right)}`;
    if (!("reservation" in outcome)) return this.#timesOf(outcome, command);
    const { reservation } = outcome;
    if (outcome.word === "reserved_again") return this.#sameUnit(reservation);
    const { saleId, itemId, buyer, expiresAt } = reservation;
    const of = this.sales.get(saleId);
    if (of === undefined || of !== sale) return "it is of another sale";
    if (this.codes.has(reservation.code)) return "this code was given before";
    if (reservation.code !== command.code) return "it is another code";
    if (!sameBuyer(buyer, command.buyer)) return "it is somebody else's";
    if (command.item !== "any" && itemId !== command.item) return "it is another item";
    if (command.expectedPriceCents !== null && of.prices[itemId - 1] !== command.expectedPriceCents)
      return "it has another price";
    if (this.free(of, itemId, now).max < 1) return "no unit of it was free";
    if (expiresAt !== Math.min(now + of.ttlMs, of.endsAt)) return `it ends at ${expiresAt}`;
    this.#add(reservation, of, command.key, asked);
    return null;
  }

  #askedFor(sale: Checkout["sale"]): KnownSale | null {
    if (sale === "unknown") return null;
    return sale === "current" ? this.hourlyAt(this.#at) : (this.sales.get(sale) ?? null);
  }

  /** The answers to a checkout that are right. */
  #rightCheckout(command: Checkout, asked: string, sale: KnownSale | null, right: Answer[]): void {
    const now = this.#at;
    const { buyer, item, key } = command;
    const isGuest = !isProven(buyer);
    if (sale?.kind === "product" && isGuest) {
      right.push({ word: "unauthenticated" });
      if (this.#isThere(sale) && !this.#isForgotten(sale)) return;
    }
    const byKey = this.#byKey(buyer, key, asked);
    right.push(...byKey.answers);
    if (!byKey.goesOn) return;
    if (sale === null || !this.#isThere(sale)) {
      right.push({ word: command.sale === "current" ? "sale_not_open" : "sale_not_found" });
      if (sale === null) return;
    }
    const index = item === "any" ? -1 : item - 1;
    if (index >= sale.stock.length || (index >= 0 && sale.stock[index] === 0)) {
      right.push({ word: "item_not_found" });
      // What is long over has only the numbers of its items.
      if (this.#isForgotten(sale)) right.push({ word: "sale_not_open" });
      return;
    }
    if (!this.isOpen(sale, now)) {
      right.push({ word: "sale_not_open" });
      return;
    }
    const { expectedPriceCents: price } = command;
    if (index >= 0 && price !== null && price !== sale.prices[index]) {
      right.push({ word: "price_changed" });
      return;
    }
    if (index >= 0 && this.soldOf(sale.id, index + 1) === sale.stock[index]) {
      right.push({ word: "item_sold_out" });
      return;
    }
    if (this.soldIn(sale.id).length === sum(sale.stock)) {
      right.push({ word: "sold_out" });
      return;
    }
    this.#rightOfFree(command, sale, right);
  }

  #rightOfFree(command: Checkout, sale: KnownSale, right: Answer[]): void {
    const now = this.#at;
    const { buyer, item } = command;
    const free = this.free(sale, item === "any" ? 0 : item, now);
    const held = this.held(sale, buyer, now);
    const noneFree = between(free, 0);
    const isFull = held.min >= sale.limit ? surely : held.max >= sale.limit ? perhaps : surelyNot;
    for (const none of noneFree) {
      for (const full of isFull) {
        this.#rightWhere(command, sale, held.own, { none, full }, right);
      }
    }
  }

  #rightWhere(
    { buyer, item, expectedPriceCents: price }: Checkout,
    sale: KnownSale,
    own: readonly Known[],
    { none, full }: { readonly none: boolean; readonly full: boolean },
    right: Answer[],
  ): void {
    const now = this.#at;
    if ((none || full) && isProven(buyer)) {
      const theirs = own
        .filter((known) => item === "any" || known.itemId === item)
        .filter((known) => this.isLive(known, now) !== surelyNot)
        .toSorted((a, b) => b.seq - a.seq);
      // The youngest that lives; of those younger nobody knows.
      for (const known of theirs) {
        const isAnother = price !== null && sale.prices[known.itemId - 1] !== price;
        right.push(isAnother ? { word: "price_changed" } : { word: "again", code: known.code });
        if (this.isLive(known, now) === surely) return;
      }
    }
    if (none) right.push({ word: "item_reserved" });
    else if (full) right.push({ word: "user_limit_reached" });
    else {
      right.push({ word: "reserved" });
      const isAnother = (itemId: number): boolean =>
        price !== null && sale.prices[itemId - 1] !== price && this.free(sale, itemId, now).max > 0;
      if (item === "any" && sale.prices.some((_, index) => isAnother(index + 1)))
        right.push({ word: "price_changed" });
    }
  }

  /** What a refusal says of when to come again. */
  #timesOf(
    outcome: Exclude<CheckoutOutcome, { readonly reservation: Unit }>,
    { buyer }: { readonly buyer: Buyer },
  ): string | null {
    const now = this.#at;
    if (outcome.word === "item_reserved" && outcome.retryAt < now)
      return "it is to be tried before";
    if (outcome.word === "sale_not_open" && outcome.opensAt !== null && outcome.opensAt <= now)
      return "it opens before";
    if (outcome.word !== "user_limit_reached") return null;
    const sale = this.sales.get(outcome.saleId);
    if (sale === undefined) return "it is of no sale";
    const held = this.held(sale, buyer, now);
    if (held.bought >= sale.limit && outcome.retryAt !== null) return "it may never be tried again";
    if (outcome.retryAt !== null && outcome.retryAt <= now) return "it is to be tried before";
    return null;
  }

  #purchase(command: Purchase, outcome: Exclude<PurchaseOutcome, RecordsNeeded>): string | null {
    const now = this.#at;
    const known = this.codes.get(command.code);
    if (known === undefined || !this.#mayUse(known, command.by)) {
      return wordIs(outcome, ["code_not_found"]);
    }
    const { sale, itemId, buyer } = known;
    if (known.sold !== null) {
      return wordIs(outcome, ["purchased_again"]) ?? this.#sameUnit(outcome.of);
    }
    if (this.isOver(sale, now)) return wordIs(outcome, ["sale_ended"]);
    const price = command.expectedPriceCents;
    if (price !== null && price !== sale.prices[itemId - 1]) {
      return wordIs(outcome, ["price_changed"]);
    }
    const right = new Set<string>();
    for (const isLive of this.isLive(known, now)) {
      if (isLive) right.add("purchased");
      else if (known.released) right.add("code_expired");
      else {
        const free = this.free(sale, itemId, now, [known]);
        const held = this.held(sale, buyer, now, [known]);
        if (free.max > 0 && held.min < sale.limit) right.add("purchased");
        if (free.min < 1 || held.max >= sale.limit) right.add("code_expired");
      }
    }
    const wrong = wordIs(outcome, [...right]) ?? this.#sameUnit(outcome.of, true);
    if (wrong !== null || outcome.word !== "purchased") return wrong;
    if (known.sale.stock[itemId - 1] === this.soldOf(sale.id, itemId)) return "none is left";
    return this.#sell(known, outcome.of);
  }

  #release(command: Release, outcome: Exclude<ReleaseOutcome, RecordsNeeded>): string | null {
    const known = this.codes.get(command.code);
    if (
      known === undefined ||
      !this.#mayUse(known, command.by) ||
      (command.saleId !== null && command.saleId !== known.sale.id)
    ) {
      return wordIs(outcome, ["code_not_found"]);
    }
    if (known.sold !== null) return wordIs(outcome, ["already_purchased"]);
    if (known.released) return wordIs(outcome, ["released_again"]);
    const right = this.#isForgotten(known.sale) ? ["released", "released_again"] : ["released"];
    const wrong = wordIs(outcome, right);
    if (wrong === null && outcome.word === "released") known.released = true;
    return wrong;
  }

  #extend({ code, ms }: Extend, outcome: Exclude<ExtendOutcome, RecordsNeeded>): string | null {
    const now = this.#at;
    const known = this.codes.get(code);
    if (known === undefined) return wordIs(outcome, ["code_not_found"]);
    if (known.sold !== null) return wordIs(outcome, ["already_purchased"]);
    if (this.isOver(known.sale, now)) return wordIs(outcome, ["sale_ended"]);
    if (known.released) return wordIs(outcome, ["code_expired"]);
    const live = this.isLive(known, now);
    const right: string[] = [];
    const isFree = this.free(known.sale, known.itemId, now, [known]).max > 0;
    const isUnder = this.held(known.sale, known.buyer, now, [known]).min < known.sale.limit;
    if (live !== surelyNot || (isFree && isUnder)) right.push("extended");
    // What has run out is gone when somebody has had its unit since, or its buyer its place.
    if (live !== surely && this.#wasFollowed(known)) right.push("code_expired");
    const wrong = wordIs(outcome, right) ?? this.#sameUnit(outcome.of);
    if (wrong !== null || outcome.word !== "extended") return wrong;
    const before = live === surelyNot ? now : known.due;
    const soonest = Math.min(
      live === surely ? Math.max(before, now + ms) : now + ms,
      now + quarter,
    );
    const latest = Math.min(Math.max(before, now + ms), now + quarter);
    if (outcome.due < soonest || outcome.due > latest) return `it is due at ${outcome.due}`;
    if (outcome.of.expiresAt !== Math.min(outcome.due, known.sale.endsAt))
      return `it ends at ${outcome.of.expiresAt}`;
    known.due = outcome.due;
    known.saidAt = now;
    known.isInDoubt = false;
    return null;
  }

  /** Whether anything was given or sold since to its buyer, or of its item. */
  #wasFollowed({ seq, sale, itemId, buyer }: Known): boolean {
    return this.of(sale.id)
      .filter((other) => other.itemId === itemId || sameBuyer(other.buyer, buyer))
      .some((other) => other.seq > seq || (other.sold !== null && other.sold.seq > seq));
  }

  #mayUse({ buyer }: Known, by: CodeUser): boolean {
    if (by === "merchant") return true;
    return !isProven(buyer) || (by !== null && sameBuyer(buyer, by));
  }

  #buy(command: Buy, outcome: BuyOutcome): string | null {
    const asked = JSON.stringify([
      "buy",
      command.saleId,
      command.itemId,
      command.quantity,
      command.expectedPriceCents,
    ]);
    const sale = command.saleId === "unknown" ? null : (this.sales.get(command.saleId) ?? null);
    if (sale !== null && !isOfAnySale.has(outcome.word)) sale.isSeen = true;
    const right: Answer[] = [];
    this.#rightBuy(command, asked, sale, right);
    if (sale?.previous) {
      right.push({ word: "sale_not_open" });
      this.#rightBuy(command, asked, sale.previous, right);
    }
    const code = outcome.word === "purchased_again" ? outcome.of.code : undefined;
    const word = code === undefined ? outcome.word : "again";
    if (!right.some((one) => one.word === word && (one.code === undefined || one.code === code))) {
      return `right would be ${JSON.stringify(right)}`;
    }
    if (outcome.word === "purchased_again") return this.#sameUnit(outcome.of);
    if (outcome.word !== "purchased") return this.#timesOf(outcome, command);
    if (sale === null) return "it is of no sale";
    return this.#bought(command, asked, sale, outcome.units);
  }

  #rightBuy(command: Buy, asked: string, sale: KnownSale | null, right: Answer[]): void {
    const now = this.#at;
    const { buyer, key, itemId, quantity, expectedPriceCents: price } = command;
    if (sale?.kind === "product" && !isProven(buyer)) {
      right.push({ word: "unauthenticated" });
      if (this.#isThere(sale) && !this.#isForgotten(sale)) return;
    }
    if (sale === null && command.saleId === "unknown") {
      right.push({ word: "sale_not_found" });
      return;
    }
    const byKey = this.#byKey(buyer, key, asked);
    right.push(...byKey.answers);
    if (!byKey.goesOn) return;
    if (sale === null || !this.#isThere(sale)) {
      right.push({ word: "sale_not_found" });
      if (sale === null) return;
    }
    const stock = itemId === "unknown" ? 0 : (sale.stock[itemId - 1] ?? 0);
    if (itemId === "unknown" || stock === 0) {
      right.push({ word: "item_not_found" });
      if (this.#isForgotten(sale)) right.push({ word: "sale_not_open" });
      return;
    }
    if (!this.isOpen(sale, now)) right.push({ word: "sale_not_open" });
    else if (price !== null && price !== sale.prices[itemId - 1])
      right.push({ word: "price_changed" });
    else if (stock - this.soldOf(sale.id, itemId) < quantity) right.push({ word: "item_sold_out" });
    else {
      const own = this.held(sale, buyer, now).own.filter((known) => known.itemId === itemId);
      const live = this.live(own, now);
      const free = this.free(
        sale,
        itemId,
        now,
        own.filter(({ sold }) => sold === null),
      );
      const held = this.held(sale, buyer, now);
      if (free.min < quantity) right.push({ word: "item_reserved" });
      if (free.max >= quantity) {
        // What is sold of one's own counts once.
        const most = held.max - Math.min(live.min, quantity) + quantity;
        const least = held.min - Math.min(live.max, quantity) + quantity;
        if (most > sale.limit) right.push({ word: "user_limit_reached" });
        if (least <= sale.limit) right.push({ word: "purchased" });
      }
    }
  }

  #bought(
    { buyer, itemId, quantity, key, code }: Buy,
    asked: string,
    sale: KnownSale,
    units: readonly Unit[],
  ): string | null {
    const now = this.#at;
    if (units.length !== quantity) return `${units.length} units were sold`;
    const codes = new Set(units.map((unit) => unit.code));
    if (codes.size !== quantity) return "two units have one code";
    const live = this.held(sale, buyer, now).own.filter(
      (known) => known.itemId === itemId && this.isLive(known, now) === surely,
    );
    const used = live.filter((known) => codes.has(known.code)).length;
    if (used < Math.min(live.length, quantity)) return "own reservations were not sold first";
    for (const unit of units) {
      const before = this.codes.get(unit.code);
      if (before === undefined) {
        if (!unit.code.startsWith(code.slice(0, 24))) return "a unit has a code of its own";
        this.#add(unit, sale, null, "");
      } else if (!sameBuyer(before.buyer, buyer) || before.sold !== null || before.released) {
        return `${unit.code} was not theirs to buy`;
      }
      const known = this.codes.get(unit.code);
      if (known === undefined) return "a unit is not known";
      if (known.itemId !== itemId || known.sale !== sale) return "it is another item";
      const wrong = this.#sell(known, unit);
      if (wrong !== null) return wrong;
    }
    if (this.soldOf(sale.id, Number(itemId)) > (sale.stock[Number(itemId) - 1] ?? 0))
      return "oversold";
    if (this.held(sale, buyer, now).bought > sale.limit) return "the buyer is over the limit";
    if (key !== null) {
      pushTo(this.#keys, keyName(buyer, key), { asked, codes: [...codes], order: this.#seq });
    }
    return null;
  }

  #sell(known: Known, unit: Unit): string | null {
    if (unit.sold?.seq !== this.#seq || unit.sold.at !== this.#at)
      return "the order is another one";
    known.sold = unit.sold;
    known.sale.lastSaleAt = Math.max(known.sale.lastSaleAt, this.#at);
    return null;
  }

  #add(unit: Unit, sale: KnownSale, key: string | null, asked: string): void {
    const { code, itemId, buyer } = unit;
    const known: Known = {
      seq: this.#seq,
      code,
      sale,
      itemId,
      buyer,
      due: this.#at + sale.ttlMs,
      saidAt: this.#at,
      key,
      asked,
      released: false,
      isInDoubt: false,
      sold: null,
    };
    this.codes.set(code, known);
    pushTo(this.#ofSale, sale.id, known);
    if (key !== null) {
      pushTo(this.#keys, keyName(buyer, key), { asked, codes: [code], order: this.#seq });
    }
  }

  /** An answer about a code says of it what others said. */
  #sameUnit(unit: Unit | null, isBefore = false): string | null {
    if (unit === null) return null;
    const known = this.codes.get(unit.code);
    if (known === undefined) return "the code was never given";
    if (known.itemId !== unit.itemId || known.sale.id !== unit.saleId) return "it is another unit";
    if (!sameBuyer(known.buyer, unit.buyer)) return "it is somebody else's";
    if (!isBefore && known.sold?.seq !== unit.sold?.seq) return "it is another order";
    if (!isBefore && known.sold?.at !== unit.sold?.at) return "the order is of another time";
    return null;
  }

  #changeSale({ saleId, endsAt }: ChangeSale, outcome: ChangeSaleOutcome): string | null {
    const now = this.#at;
    const sale = this.sales.get(saleId);
    if (sale === undefined) return wordIs(outcome, ["sale_not_found"]);
    if (this.isOver(sale, now)) return wordIs(outcome, ["sale_ended"]);
    if (endsAt === "now" && now < sale.startsAt) return wordIs(outcome, ["sale_not_open"]);
    if (endsAt !== "now" && endsAt <= sale.endsAt) return wordIs(outcome, ["end_not_later"]);
    const wrong = wordIs(outcome, ["sale_changed"]);
    if (wrong !== null || outcome.word !== "sale_changed") return wrong;
    if (outcome.closed !== (endsAt === "now")) return "it was closed, or was not";
    if (endsAt !== "now" && outcome.endsAt !== endsAt) return "it ends at another time";
    // Before the time was set back it may have been.
    if (sale.lastSaleAt >= outcome.endsAt && sale.lastSaleAt <= now) {
      return "something was sold after its end";
    }
    sale.endsAt = outcome.endsAt;
    sale.closed = outcome.closed;
    return null;
  }

  #createCoupon({ coupon, amount }: CreateCoupon, outcome: CreateCouponOutcome): string | null {
    const there = this.coupons.get(coupon);
    if (there !== undefined) {
      return wordIs(outcome, ["coupon_exists"]) ?? this.#sameCoupon(coupon, outcome.coupon);
    }
    const { id } = outcome.coupon;
    this.coupons.set(coupon, { id, amount, createdAt: this.#at, claims: [] });
    return wordIs(outcome, ["coupon_created"]) ?? this.#sameCoupon(coupon, outcome.coupon);
  }

  #sameCoupon(name: string, told: CreateCouponOutcome["coupon"]): string | null {
    const coupon = this.coupons.get(name);
    if (coupon === undefined) return "there is no such coupon";
    const wanted = {
      id: coupon.id,
      name,
      amount: coupon.amount,
      createdAt: coupon.createdAt,
      remaining: coupon.amount - coupon.claims.length,
    };
    return Bun.deepEquals(wanted, told) ? null : `the coupon is ${JSON.stringify(wanted)}`;
  }

  /** A key that was a claim's tells of that claim again. */
  #againWrong(
    keyed: ModelClaim,
    coupon: string,
    outcome: Exclude<ClaimOutcome, RecordsNeeded>,
  ): string | null {
    if (keyed.coupon !== coupon) return wordIs(outcome, ["idempotency_key_reused"]);
    if (outcome.word !== "claimed_again") return "right would be claimed_again";
    return outcome.claim.ordinal === keyed.ordinal ? null : "it is another claim";
  }

  #claim(command: Claim, outcome: Exclude<ClaimOutcome, RecordsNeeded>): string | null {
    const { coupon: name, buyer, key } = command;
    const keyed = key === null ? undefined : this.#claimKeys.get(keyName(buyer, key));
    if (keyed !== undefined) {
      const wrong = this.#againWrong(keyed, name, outcome);
      if (wrong === null || !this.#isClaim(keyName(buyer, key ?? "")).includes(false)) return wrong;
    }
    const { codes, sure } = this.#remembered(buyer, key);
    if (sure.length > 0) return wordIs(outcome, ["idempotency_key_reused"]);
    if (codes.length > 0 && outcome.word === "idempotency_key_reused") return null;
    const coupon = this.coupons.get(name);
    if (coupon === undefined) return wordIs(outcome, ["coupon_not_found"]);
    const mine = coupon.claims.find((claim) => sameBuyer(claim.buyer, buyer));
    if (mine !== undefined) {
      if (outcome.word !== "already_claimed") return "right would be already_claimed";
      if (outcome.claimedAt !== mine.at) return "it was claimed at another time";
      return this.#sameCoupon(name, outcome.coupon);
    }
    if (coupon.claims.length === coupon.amount) return wordIs(outcome, ["coupon_sold_out"]);
    if (outcome.word !== "claimed") return "right would be claimed";
    coupon.claims.push({ buyer, at: this.#at });
    const ordinal = coupon.claims.length;
    if (outcome.claim.ordinal !== ordinal) return `right would be claim ${ordinal}`;
    if (key !== null) {
      this.#claimKeys.set(keyName(buyer, key), { coupon: name, ordinal, at: this.#at });
    }
    return this.#sameCoupon(name, outcome.claim.coupon);
  }
}

/** An answer that is right; of `again` the code too. */
type Answer = { readonly word: string; readonly code?: string };

/** Words that say nothing of whether there is such a sale. */
const isOfAnySale = new Set(["sale_not_found", "idempotency_key_reused", "reserved_again"]);

const wordIs = ({ word }: { readonly word: string }, right: readonly string[]): string | null =>
  right.includes(word) ? null : `right would be ${right.join(" or ")}`;

/** Whether a figure is `value`. */
const between = (
  { min, max }: { readonly min: number; readonly max: number },
  value: number,
): Maybe => (max <= value ? surely : min <= value ? perhaps : surelyNot);

const keyName = ({ kind, userId }: Buyer, key: string): string =>
  JSON.stringify([kind, userId, key]);

export const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

function pushTo<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const there = map.get(key);
  if (there === undefined) map.set(key, [value]);
  else there.push(value);
}

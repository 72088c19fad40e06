/**
 * What the contract says of a history of attempts (sections 1 to 3), as a model. Nothing here is from
 * the ledger: what is live, free and sold is counted anew from a list each time somebody asks.
 *
 * Time may be set back between two attempts, by another writer's clock. What had run out and would
 * live again may do either; so may what was reserved in a future that is not to be.
 */
import { sameBuyer, type Buyer } from "../../src/ledger/buyers.ts";
import type { Command, Outcome, RecordsNeeded, Unit } from "../../src/ledger/commands.ts";
import type { StoredSale } from "../../src/store/sales.ts";
import type { NotedDraw } from "../../src/store/queues.ts";
import { judge } from "./judge.ts";
import { isGone, isOwned } from "./known.ts";
import { NotedLives } from "./judge-milestones.ts";
import { pushTo, sum } from "./lists.ts";
import { queueOf, takeDraw, type KnownQueue } from "./queues.ts";
import { keyName, perhaps, surely, surelyNot, type Answer, type Maybe } from "./maybe.ts";
import { Waiting } from "./waiting.ts";

/** A sale is answered from the records alone when it is over for this long. */
const forgottenAfterMs = 10 * 60_000;
/** Keys of claims are remembered over a restart for this long, and may be for longer. */
const claimKeyAgeMs = 24 * 3_600_000;

export type KnownSale = {
  readonly id: number;
  readonly kind: "hourly" | "product";
  startsAt: number;
  endsAt: number;
  closed: boolean;
  readonly limit: number;
  readonly ttlMs: number;
  stock: readonly number[];
  readonly prices: readonly number[];
  readonly products: readonly number[];
  /** Null: everybody gets in at once. */
  readonly queue: KnownQueue | null;
  /** Somebody was told of it. */
  isSeen: boolean;
  /** When a sale of it was made last. */
  lastSaleAt: number;
  /** As it was before it was replaced, until whoever changed it is told. */
  previous: KnownSale | null;
  /** As it was before that, whoever was told: another process hears of it a moment later. */
  readonly earlier: KnownSale | null;
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
  /** When it was given back, while it lived. */
  releasedAt: number | null;
  /** Time was set back after it had run out, or to before it was made: it may live or not. */
  isInDoubt: boolean;
  /** … and was extended since: until when it kept its buyer's pass before nobody can tell. */
  wasInDoubt: boolean;
  sold: { readonly seq: number; readonly at: number } | null;
  /** The attempt that took it back, and whether its unit was put on sale again by that. */
  refundedBy: number | null;
  restocked: boolean;
};

type KeyUse = { readonly asked: string; readonly codes: readonly string[]; readonly order: number };

type ModelCoupon = {
  readonly id: number;
  amount: number;
  readonly createdAt: number;
  /** When it can be claimed. */
  from: number | null;
  until: number | null;
  disabled: boolean;
  readonly claims: { readonly buyer: Buyer; readonly at: number }[];
};

export type ModelClaim = { readonly coupon: string; readonly ordinal: number; readonly at: number };

export class History {
  readonly sales = new Map<number, KnownSale>();
  /** Titles of the product sales that were announced. */
  readonly #announced = new Set<string>();
  readonly codes = new Map<string, Known>();
  readonly coupons = new Map<string, ModelCoupon>();
  readonly #ofSale = new Map<number, Known[]>();
  /** Codes of sales that were withdrawn. */
  readonly #worthless = new Set<string>();
  /** What was reserved and bought with a key, by buyer and key. */
  readonly keys = new Map<string, KeyUse[]>();
  readonly claimKeys = new Map<string, ModelClaim>();
  /** What administrators' keys were used for. */
  readonly refundKeys = new Map<string, string>();
  readonly lives = new NotedLives();
  readonly waiting = new Waiting();
  readonly #complain: (what: string) => void;
  /** Whether another one has the lock, and whoever decides has not noticed. */
  isStale = false;
  /** Whether a time that was told was followed by an earlier one. */
  hasGoneBack = false;
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

  get latest(): number {
    return this.#latest;
  }

  /**
   * A sale was stored, or replaced before its opening.
   * @param seed what its queue is drawn by
   */
  addSale({ sale, title, items }: StoredSale, seed: string | null): void {
    const { id, kind, startsAt, endsAt, closed, perUserLimit, reservationTtlMs } = sale;
    // Numbers that were given once, and are taken out, have no units.
    const stock: number[] = Array.from(sale.stock, () => 0);
    const prices = stock.slice();
    for (const item of items) {
      stock[item.id - 1] = item.stock;
      prices[item.id - 1] = item.priceCents;
    }
    const before = this.sales.get(id);
    if (before === undefined && kind === "product") {
      if (this.#announced.has(title)) this.#complain(`${title} was announced twice`);
      this.#announced.add(title);
    }
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
      queue: before === undefined ? queueOf(sale.entry, seed) : before.queue,
      isSeen: before?.isSeen ?? false,
      lastSaleAt: 0,
      previous: before ?? null,
      earlier: before ?? null,
    });
  }

  /** It was noted what came of a draw. */
  noteDraw(saleId: number, noted: NotedDraw): void {
    const sale = this.sales.get(saleId);
    const wrong = sale === undefined ? "there is none" : takeDraw(this, sale, noted);
    if (wrong !== null) this.#complain(`the draw of sale ${saleId}: ${wrong}`);
  }

  /** Somebody was told that a sale is what it is now. */
  settle(saleId: number): void {
    const sale = this.sales.get(saleId);
    if (sale !== undefined) sale.previous = null;
  }

  /** It is no sale any more; what was given of it is worth nothing. */
  withdraw(saleId: number): void {
    this.sales.delete(saleId);
    for (const { code } of this.of(saleId)) {
      this.codes.delete(code);
      this.#worthless.add(code);
    }
    this.#ofSale.delete(saleId);
    this.waiting.forget(saleId);
  }

  /**
   * What may be said of a code that is worth nothing: that it was never given or, where it was and its
   * sale has been withdrawn since, which takes a clock that went back before the opening, this word.
   */
  unknown(code: string, ofWithdrawn: string): string[] {
    return this.#worthless.has(code) ? ["code_not_found", ofWithdrawn] : ["code_not_found"];
  }

  /** Every code that was given in a sale. */
  of(saleId: number): readonly Known[] {
    return this.#ofSale.get(saleId) ?? [];
  }

  /** Units that somebody owns. */
  soldIn(saleId: number): readonly Known[] {
    return this.of(saleId).filter(isOwned);
  }

  /** Units that nobody can have any more: those that are owned, and those that were taken out. */
  goneIn(saleId: number): readonly Known[] {
    return this.of(saleId).filter(isGone);
  }

  /** Units of an order, by the number of the attempt that sold it. */
  order(seq: number): readonly Known[] {
    return [...this.codes.values()].filter(({ sold }) => sold?.seq === seq);
  }

  /** Somebody was told this time. */
  tell(now: number): void {
    if (now < this.#told) {
      this.hasGoneBack = true;
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
    const wrong = judge(this, command, outcome) ?? this.lives.take(this, outcome);
    if (wrong !== null) {
      this.#complain(
        `attempt ${seq}, ${command.kind} at ${at}: ${wrong}\n  asked ${JSON.stringify(command)}` +
          `\n  answered ${JSON.stringify(outcome)}`,
      );
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

  /** Until when it kept its buyer's pass: it was sold, given back, or ran out. */
  activeUntil(known: Known): number {
    return known.sold?.at ?? known.releasedAt ?? this.#endOf(known);
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

  goneOf(saleId: number, itemId: number): number {
    return this.goneIn(saleId).filter((known) => known.itemId === itemId).length;
  }

  /** Units that nobody holds: at least, and at most. Of item 0: of the sale. */
  free(sale: KnownSale, itemId: number, now: number, without: readonly Known[] = []) {
    const of = this.of(sale.id).filter(
      (known) => (itemId === 0 || known.itemId === itemId) && !without.includes(known),
    );
    const stock = itemId === 0 ? sum(sale.stock) : (sale.stock[itemId - 1] ?? 0);
    const live = this.live(of, now);
    const left = stock - of.filter(isGone).length;
    return { min: Math.max(0, left - live.max), max: left - Math.min(live.min, left) };
  }

  /** What a buyer has in a sale: bought and live. */
  held(sale: KnownSale, buyer: Buyer, now: number, without: readonly Known[] = []) {
    const own = this.of(sale.id).filter(
      (known) => sameBuyer(known.buyer, buyer) && !without.includes(known),
    );
    const bought = own.filter(isOwned).length;
    const live = this.live(own, now);
    const max = Math.min(bought + live.max, sale.limit);
    return { own, bought, min: bought + live.min, max };
  }

  /** Whether whoever decides has to know of it. */
  isThere(sale: KnownSale): boolean {
    return sale.isSeen && !this.isStale;
  }

  isForgotten(sale: KnownSale): boolean {
    return this.#latest >= sale.endsAt + forgottenAfterMs;
  }

  // What a key stands for, and whether it does.
  remembered(buyer: Buyer, key: string | null) {
    if (key === null) return { codes: [] as Known[], sure: [] as Known[], isClaim: surelyNot };
    const name = keyName(buyer, key);
    const codes = (this.keys.get(name) ?? [])
      .flatMap((use) => use.codes.map((code) => this.codes.get(code)))
      .filter((known) => known !== undefined);
    const may = codes.filter(
      (known) => known.sold !== null || this.isLive(known, this.#at) !== surelyNot,
    );
    const sure = may.filter(
      (known) => known.sold !== null || this.isLive(known, this.#at) === surely,
    );
    return { codes: may, sure, isClaim: this.isClaim(name) };
  }

  /** Whether a key was a claim's. */
  isClaim(name: string): Maybe {
    const claim = this.claimKeys.get(name);
    if (claim === undefined) return surelyNot;
    return this.#latest < claim.at + claimKeyAgeMs ? surely : perhaps;
  }

  /** What is right to answer because of a key; `goesOn`: whether it may not be because of it. */
  byKey(
    buyer: Buyer,
    key: string | null,
    asked: string,
  ): { readonly answers: readonly Answer[]; readonly goesOn: boolean } {
    const { codes, sure, isClaim } = this.remembered(buyer, key);
    const answers: Answer[] = [];
    const uses = key === null ? [] : (this.keys.get(keyName(buyer, key)) ?? []);
    for (const known of codes) {
      for (const use of uses.filter((one) => one.codes.includes(known.code))) {
        if (use.asked === asked) answers.push({ word: "again", code: known.code });
        else answers.push({ word: "idempotency_key_reused" });
      }
    }
    if (isClaim.includes(true)) answers.push({ word: "idempotency_key_reused" });
    return { answers, goesOn: sure.length === 0 && isClaim.includes(false) };
  }

  sell(known: Known, unit: Unit): string | null {
    if (unit.sold?.seq !== this.#seq || unit.sold.at !== this.#at)
      return "the order is another one";
    known.sold = unit.sold;
    this.waiting.close(known.sale.id, known.code);
    known.sale.lastSaleAt = Math.max(known.sale.lastSaleAt, this.#at);
    return null;
  }

  add(unit: Unit, sale: KnownSale, key: string | null, asked: string): void {
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
      releasedAt: null,
      isInDoubt: false,
      wasInDoubt: false,
      sold: null,
      refundedBy: null,
      restocked: false,
    };
    this.codes.set(code, known);
    pushTo(this.#ofSale, sale.id, known);
    if (key !== null) {
      pushTo(this.keys, keyName(buyer, key), { asked, codes: [code], order: this.#seq });
    }
  }

  /** An answer about a code says of it what others said. */
  sameUnit(unit: Unit | null, isBefore = false): string | null {
    if (unit === null) return null;
    const known = this.codes.get(unit.code);
    if (known === undefined) return "the code was never given";
    if (known.itemId !== unit.itemId || known.sale.id !== unit.saleId) return "it is another unit";
    if (!sameBuyer(known.buyer, unit.buyer)) return "it is somebody else's";
    if (!isBefore && known.sold?.seq !== unit.sold?.seq) return "it is another order";
    if (!isBefore && known.sold?.at !== unit.sold?.at) return "the order is of another time";
    if (known.refundedBy !== (unit.sold?.refundedBy ?? null)) return "it was refunded, or was not";
    return null;
  }
}

/**
 * What one client may hold without buying: a guest is anybody, so what guests hold is counted by
 * their address; and whoever reserves one item again and again, and lets it go each time, waits.
 *
 * It is a process's memory of what came through it, and of what others tell (`takeNews`, `hear`),
 * within a moment and in no order: what becomes of a code may be told before the code is. A process
 * that has just started knows of nothing, and what it does not know of, it does not hold against
 * anybody. Bounded: past `reservationsMax` what was reserved first is no longer counted.
 */
import { BoundedMap } from "../bounded.ts";
import { buyerId, type Buyer } from "../ledger/buyers.ts";
import type { Checkout } from "../ledger/commands.ts";
import { holdingsPerFrameMax, type Holding } from "../link/counts.ts";

/** A guest's address may hold as many times what one user may. */
const usersPerAddress = 10;
/** Of so many times that, the oldest is forgotten: it has run out, for nobody gets so many at once. */
const heldTimesMax = 4;
/** How often one item may be reserved and let go. */
const letGoMax = 3;
export const reservationsMax = 100_000;
/** What was not told yet; past it half of it, the oldest, never is. */
const newsMax = 16_384;
/** Codes of which the end was told, and not the beginning. */
const endedMax = 20_000;

/** A reservation of a client that is counted. */
type Counted = {
  readonly network: string;
  readonly isGuest: boolean;
  /** Buyer, sale and item. */
  readonly wish: string;
  expiresAt: number;
};

/** A wish that was not bought so far. */
type Unbought = { times: number; endsAt: number };

/** What a checkout asks for. */
type Asked = Pick<Checkout, "sale" | "item">;

type Reserved = {
  readonly code: string;
  readonly buyer: Buyer;
  readonly saleId: number;
  readonly itemId: number;
  /** ms since the Unix epoch */
  readonly expiresAt: number;
};

export class Hoarding {
  /** The hourly sale in which something was reserved last. */
  #currentSaleId = 0;
  readonly #guestsMax: number;
  readonly #restMs: number;
  readonly #counted = new BoundedMap<string, Counted>(reservationsMax);
  readonly #unbought = new BoundedMap<string, Unbought>(reservationsMax);
  /** Items that somebody has reserved as often as may be, in whichever sale. */
  readonly #letGo = new BoundedMap<number, true>(reservationsMax);
  /** Codes that guests of an address hold. */
  readonly #guests = new BoundedMap<string, BoundedMap<string, true>>(reservationsMax);
  /** When codes were given back that are not counted so far, ms; null for those that were bought. */
  readonly #ended = new BoundedMap<string, number | null>(endedMax);
  #news: Holding[] = [];

  constructor(terms: { readonly perUserLimit: number; readonly reservationTtlMs: number }) {
    this.#guestsMax = usersPerAddress * terms.perUserLimit;
    this.#restMs = terms.reservationTtlMs;
  }

  /**
   * In how many ms a client may reserve; 0: now.
   * @param now ms since the Unix epoch
   */
  waitMs(network: string, buyer: Buyer, { sale, item }: Asked, now: number): number {
    const held = buyer.kind === "guest" ? this.#guestWaitMs(network, now) : 0;
    // Nobody's wish for nearly every item has to wait.
    if (held > 0 || item === "any" || !this.#letGo.has(item)) return held;
    const saleId = sale === "current" ? this.#currentSaleId : sale;
    return this.#wishWaitMs(wishOf(buyer, saleId, item), now);
  }

  reserved(network: string, reservation: Reserved, { sale }: Asked): void {
    const { code, buyer, saleId, itemId, expiresAt } = reservation;
    const isCurrent = sale === "current";
    this.#note({ word: "reserved", network, code, buyer, saleId, itemId, expiresAt, isCurrent });
  }

  /** @param expiresAt ms since the Unix epoch */
  extended(code: string, expiresAt: number): void {
    this.#note({ word: "extended", code, expiresAt });
  }

  bought(code: string): void {
    this.#note({ word: "bought", code });
  }

  /** @param at ms since the Unix epoch */
  released(code: string, at: number): void {
    this.#note({ word: "released", code, at });
  }

  /** What other processes have to know, the oldest first: as much as can be told at once. */
  takeNews(): Holding[] {
    return this.#news.splice(0, holdingsPerFrameMax);
  }

  /** What another process tells. */
  hear(holdings: readonly Holding[]): void {
    for (const holding of holdings) this.#apply(holding);
  }

  #note(holding: Holding): void {
    this.#apply(holding);
    if (this.#news.push(holding) > newsMax) this.#news.splice(0, newsMax / 2);
  }

  #apply(holding: Holding): void {
    switch (holding.word) {
      case "reserved":
        return this.#count(holding);
      case "extended":
        return this.#extend(holding);
      case "bought": {
        const counted = this.#forget(holding.code);
        if (counted === null) this.#ended.set(holding.code, null);
        else this.#unbought.delete(counted.wish);
        return;
      }
      case "released": {
        const counted = this.#forget(holding.code);
        if (counted === null) this.#ended.set(holding.code, holding.at);
        else this.#letGoAt(counted.wish, holding.at);
        return;
      }
      default:
        return holding satisfies never;
    }
  }

  #count(holding: Extract<Holding, { readonly word: "reserved" }>): void {
    const { network, code, buyer, saleId, itemId, expiresAt } = holding;
    if (holding.isCurrent) this.#currentSaleId = Math.max(saleId, this.#currentSaleId);
    const isGuest = buyer.kind === "guest";
    const wish = wishOf(buyer, saleId, itemId);
    const endedAt = this.#ended.get(code);
    this.#ended.delete(code);
    if (endedAt === null) {
      this.#unbought.delete(wish);
      return;
    }
    const unbought = this.#unbought.get(wish) ?? { times: 0, endsAt: 0 };
    const times = unbought.times + 1;
    this.#unbought.set(wish, { times, endsAt: Math.max(unbought.endsAt, expiresAt) });
    if (times >= letGoMax) this.#letGo.set(itemId, true);
    if (endedAt !== undefined) return this.#letGoAt(wish, endedAt);
    this.#counted.set(code, { network, isGuest, wish, expiresAt });
    if (!isGuest) return;
    const codes =
      this.#guests.get(network) ?? new BoundedMap<string, true>(heldTimesMax * this.#guestsMax);
    codes.set(code, true);
    this.#guests.set(network, codes);
  }

  #extend({ code, expiresAt }: Extract<Holding, { readonly word: "extended" }>): void {
    const counted = this.#counted.get(code);
    if (counted === undefined) return;
    counted.expiresAt = expiresAt;
    const unbought = this.#unbought.get(counted.wish);
    if (unbought !== undefined) unbought.endsAt = Math.max(unbought.endsAt, expiresAt);
  }

  #letGoAt(wish: string, at: number): void {
    const unbought = this.#unbought.get(wish);
    if (unbought !== undefined) unbought.endsAt = Math.min(unbought.endsAt, at);
  }

  #forget(code: string): Counted | null {
    const counted = this.#counted.get(code);
    if (counted === undefined) return null;
    this.#counted.delete(code);
    const codes = this.#guests.get(counted.network);
    codes?.delete(code);
    if (codes?.size === 0) this.#guests.delete(counted.network);
    return counted;
  }

  /** Until the first of what the guests of an address hold runs out, if they hold too much. */
  #guestWaitMs(network: string, now: number): number {
    const codes = this.#guests.size === 0 ? undefined : this.#guests.get(network);
    if (codes === undefined || codes.size < this.#guestsMax) return 0;
    let first = Infinity;
    for (const code of codes.keys()) {
      const expiresAt = this.#counted.get(code)?.expiresAt ?? 0;
      if (expiresAt > now) first = Math.min(first, expiresAt);
      else codes.delete(code);
    }
    return codes.size < this.#guestsMax ? 0 : first - now;
  }

  /** Until one TTL after the last of them ended. While one lives, the ledger says what may be. */
  #wishWaitMs(wish: string, now: number): number {
    const unbought = this.#unbought.get(wish);
    if (unbought === undefined || unbought.times < letGoMax || now < unbought.endsAt) return 0;
    const mayAt = unbought.endsAt + this.#restMs;
    if (now < mayAt) return mayAt - now;
    this.#unbought.delete(wish);
    return 0;
  }
}

const wishOf = (buyer: Buyer, saleId: number | "unknown", itemId: number): string =>
  `${saleId}:${itemId}:${buyerId(buyer)}`;

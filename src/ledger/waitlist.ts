/**
 * The waiting list of a sale: lines for an item or for any, each in the order of its coming.
 *
 *   waiting ──► offered ──► gone         bought, or given back
 *      ▲           │
 *      └── lapsed ─┘                     to the end
 *
 * Every step is an attempt, so the list follows from the journal without a clock. What is due, which
 * the times of reservations decide, is only noted here: who decides asks for it before anything else,
 * and after whatever frees a unit. So what somebody waits for is never free when others ask.
 */
import { buyerId, sameBuyer, type Buyer } from "./buyers.ts";

/** Lines of one buyer in a sale. */
export const ownLinesMax = 10;
/** Lines of a sale. */
export const saleLinesMax = 10_000;
/** Lines of all sales that are open. */
export const openLinesMax = 20_000;

/** A place in a line. */
export type Line = {
  readonly buyer: Buyer;
  readonly item: number | "any";
  /** The attempt that joined it. */
  readonly seq: number;
  /** When it was joined, ms. */
  readonly joinedAt: number;
  /** The attempt that put it where it is. */
  place: number;
  /** Offers that have lapsed. */
  lapses: number;
  /** What is reserved for it; null while it waits. */
  offer: { readonly code: string; readonly itemId: number } | null;
};

type LineState = "waiting" | "offered" | "gone";

const transitions: Readonly<Record<LineState, readonly LineState[]>> = {
  waiting: ["offered", "gone"],
  offered: ["waiting", "gone"],
  gone: [],
};

/** The line for whatever item. */
const anyItem = 0;
const numberOf = ({ item }: Pick<Line, "item">): number => (item === "any" ? anyItem : item);

export class WaitingList {
  /** Those who wait, by item, first in line first. */
  readonly #waiting = new Map<number, Set<Line>>();
  readonly #of = new Map<string, Line[]>();
  readonly #offered = new Map<string, Line>();
  /** Items that somebody may have to be offered, as far as is known. */
  readonly #freed = new Set<number>();
  /** Offers that have lapsed, and whose lines have not been told. */
  readonly #lapsed = new Set<string>();
  #size = 0;

  /** Lines, those with an offer too. */
  get size(): number {
    return this.#size;
  }

  /** Those of a buyer. */
  of(buyer: Buyer): readonly Line[] {
    return this.#of.get(buyerId(buyer)) ?? [];
  }

  /** Whether a code is offered to somebody. */
  isOffer(code: string): boolean {
    return this.#offered.has(code);
  }

  /** In the order of their places. */
  all(): Line[] {
    return Array.from(this.#of.values())
      .flat()
      .toSorted((a, b) => a.place - b.place);
  }

  /** How many wait before a line for what it waits for. */
  ahead(line: Line): number {
    if (line.offer !== null) return 0;
    const lines =
      line.item === "any"
        ? Array.from(this.#waiting.values())
        : [this.#waiting.get(anyItem), this.#waiting.get(line.item)];
    let before = 0;
    for (const others of lines) {
      for (const other of others ?? []) {
        if (other.place >= line.place) break;
        before += 1;
      }
    }
    return before;
  }

  /** Puts a line at the end, or back where it was. */
  add(line: Line): void {
    const name = buyerId(line.buyer);
    const own = this.#of.get(name);
    if (own === undefined) this.#of.set(name, [line]);
    else own.push(line);
    this.#size += 1;
    if (line.offer === null) this.#wait(line);
    else this.#offered.set(line.offer.code, line);
  }

  /** @returns whether there was any */
  leave(buyer: Buyer): boolean {
    const own = this.of(buyer);
    for (const line of own.slice()) this.#become("gone", line);
    return own.length > 0;
  }

  /** Reserves a unit of an item for the first line of a buyer that waits for it. */
  offer(buyer: Buyer, itemId: number, code: string): void {
    const line = this.of(buyer)
      .filter(({ item, offer }) => offer === null && (item === "any" || item === itemId))
      .reduce<Line | null>((a, b) => (a !== null && a.place < b.place ? a : b), null);
    if (line === null) throw new Error(`${code} is offered to somebody who does not wait for it`);
    this.#become("offered", line, { code, itemId });
  }

  /** The line of an offer that was bought or given back. */
  close(code: string): void {
    const line = this.#offered.get(code);
    if (line !== undefined) this.#become("gone", line);
  }

  /** An offer has lapsed: its line goes to the end. */
  lapse(code: string, seq: number): void {
    this.#lapsed.delete(code);
    const line = this.#offered.get(code);
    // It was left meanwhile.
    if (line === undefined) return;
    line.lapses += 1;
    line.place = seq;
    this.#become("waiting", line);
    this.#freed.add(numberOf(line));
  }

  /** The first who waits for an item, of those who may have it. */
  first(itemId: number, mayHave: (buyer: Buyer) => boolean): Line | null {
    let first: Line | null = null;
    for (const number of [itemId, anyItem]) {
      for (const line of this.#waiting.get(number) ?? []) {
        if (first !== null && first.place < line.place) break;
        if (!mayHave(line.buyer)) continue;
        first = line;
        break;
      }
    }
    return first;
  }

  // What is due.

  /** A unit of an item has come free. */
  noteFreed(itemId: number): void {
    this.#freed.add(itemId);
  }

  /** A buyer has less than before: whom the limit kept from a unit that is free may have it now. */
  noteLess(buyer: Buyer): void {
    for (const line of this.of(buyer)) this.#freed.add(numberOf(line));
  }

  /** A reservation has run out. */
  noteLapsed(code: string, buyer: Buyer): void {
    if (this.#offered.has(code)) this.#lapsed.add(code);
    this.noteLess(buyer);
  }

  /** One that had run out has not, by an earlier time. */
  noteLives(code: string): void {
    this.#lapsed.delete(code);
  }

  /** Whatever may be due. @param lives whether a code holds its unit */
  noteAll(lives: (code: string) => boolean): void {
    this.#freed.clear();
    this.#lapsed.clear();
    for (const item of this.#waiting.keys()) this.#freed.add(item);
    for (const [code, { offer }] of this.#offered) {
      if (lives(code)) continue;
      this.#lapsed.add(code);
      if (offer !== null) this.#freed.add(offer.itemId);
    }
  }

  /** A line whose offer has lapsed. */
  nextLapsed(): Line | null {
    for (const code of this.#lapsed) {
      const line = this.#offered.get(code);
      if (line !== undefined) return line;
      this.#lapsed.delete(code);
    }
    return null;
  }

  /**
   * The first line that is to be offered something, and of which item.
   * @param freeItem a unit that is free: of an item, or of any where that is 0; null for none
   */
  nextFree(
    freeItem: (itemId: number) => number | null,
    mayHave: (buyer: Buyer) => boolean,
  ): { readonly line: Line; readonly itemId: number } | null {
    for (const number of this.#freed) {
      const itemId = freeItem(number);
      const line = itemId === null ? null : this.first(itemId, mayHave);
      if (itemId !== null && line !== null) return { line, itemId };
      this.#freed.delete(number);
    }
    return null;
  }

  /**
   * How many units of which items are free and due to who waits. Of a buyer whose limit is less than
   * the lines that something is due to, it may be more than they are offered in the end.
   * @param free units that are free, item N at index N - 1
   */
  owed(free: ArrayLike<number>, mayHave: (buyer: Buyer) => boolean): ReadonlyMap<number, number> {
    const owed = new Map<number, number>();
    if (this.#freed.size === 0) return owed;
    const anybody = this.#countDue(anyItem, mayHave);
    let forAny = anybody;
    for (const itemId of this.#freed) {
      if (itemId === anyItem) continue;
      const units = free[itemId - 1] ?? 0;
      const own = units === 0 ? 0 : Math.min(units, this.#countDue(itemId, mayHave));
      const others = Math.min(units - own, forAny);
      forAny -= others;
      if (own + others > 0) owed.set(itemId, own + others);
      else if (units === 0 || anybody === 0) this.#freed.delete(itemId);
    }
    // Somebody may have something again, who waits for whatever there is.
    for (let index = 0; this.#freed.has(anyItem) && forAny > 0 && index < free.length; index += 1) {
      const had = owed.get(index + 1) ?? 0;
      const units = Math.min((free[index] ?? 0) - had, forAny);
      forAny -= units;
      if (units > 0) owed.set(index + 1, had + units);
    }
    return owed;
  }

  /** Lines of an item, or of any, that wait, or will again once the lapse of their offer is noted. */
  #countDue(number: number, mayHave: (buyer: Buyer) => boolean): number {
    const isDue = (line: Line): boolean => mayHave(line.buyer);
    let due = Iterator.from(this.#waiting.get(number) ?? [])
      .filter(isDue)
      .toArray().length;
    for (const code of this.#lapsed) {
      const line = this.#offered.get(code);
      if (line !== undefined && numberOf(line) === number && isDue(line)) due += 1;
    }
    return due;
  }

  /** Every invariant that does not hold, a sentence each. */
  check(): string[] {
    const complaints: string[] = [];
    let waiting = 0;
    for (const [number, lines] of this.#waiting) {
      let place = 0;
      for (const line of lines) {
        waiting += 1;
        if (line.place <= place) complaints.push(`the line for item ${number} is out of order`);
        place = line.place;
        if (numberOf(line) !== number || line.offer !== null) {
          complaints.push(`${buyerId(line.buyer)} does not wait for item ${number}`);
        }
        if (!this.of(line.buyer).includes(line)) {
          complaints.push(`a line of ${buyerId(line.buyer)} is not theirs`);
        }
      }
    }
    for (const [code, { offer }] of this.#offered) {
      if (offer?.code !== code) complaints.push(`${code} is offered to nobody`);
    }
    const own = Array.from(this.#of.values());
    const lines = own.reduce((sum, { length }) => sum + length, 0);
    if (lines !== this.#size || waiting + this.#offered.size !== this.#size) {
      complaints.push(`${lines} lines, ${waiting} waiting, counted ${this.#size}`);
    }
    for (const of of own) {
      const [first] = of;
      const items = new Set(of.map(({ item }) => item));
      if (first === undefined || items.size < of.length || of.length > ownLinesMax) {
        complaints.push("a buyer has two lines for one item, or none, or too many");
      }
      if (first !== undefined && of.some(({ buyer }) => !sameBuyer(buyer, first.buyer))) {
        complaints.push(`a line is not of ${buyerId(first.buyer)}`);
      }
    }
    return complaints;
  }

  #become(to: LineState, line: Line, offer: Line["offer"] = null): void {
    const from = line.offer === null ? "waiting" : "offered";
    if (!transitions[from].includes(to)) throw new Error(`${from} cannot become ${to}`);
    if (line.offer === null) this.#stopWaiting(line);
    else this.#offered.delete(line.offer.code);
    line.offer = offer;
    if (to === "gone") this.#forget(line);
    else if (offer === null) this.#wait(line);
    else this.#offered.set(offer.code, line);
  }

  #wait(line: Line): void {
    const number = numberOf(line);
    const others = this.#waiting.get(number);
    if (others === undefined) this.#waiting.set(number, new Set([line]));
    else others.add(line);
  }

  #forget(line: Line): void {
    const name = buyerId(line.buyer);
    const left = this.of(line.buyer).filter((other) => other !== line);
    if (left.length === 0) this.#of.delete(name);
    else this.#of.set(name, left);
    this.#size -= 1;
  }

  #stopWaiting(line: Line): void {
    const number = numberOf(line);
    const others = this.#waiting.get(number);
    others?.delete(line);
    if (others?.size === 0) this.#waiting.delete(number);
  }
}

/**
 * The independent auditor of the ledger: says what the contract wants answered to every
 * command at every time, and what every figure of a sale must be then.
 *
 * Written from the contract (section 1, and what section 3 says of buying in one step) and not
 * from the code, and as naive as can be: a sale is the list of the reservations ever made in it,
 * and everything else is found by looking through that list again. No counters, no queue of
 * deadlines, no index of keys: nothing that is kept up to date and could be kept wrong. Where the
 * contract is silent it follows what was decided for it; the comment at the place says so.
 */
import { isProven, type Buyer } from "../../src/ledger/buyers.ts";
import type {
  Buy,
  ChangeSale,
  Checkout,
  Extend,
  Purchase,
  Release,
} from "../../src/ledger/commands.ts";
import {
  asked,
  changeTimes,
  countedOn,
  expiresAt,
  hasItem,
  hold,
  isOver,
  isPriceChanged,
  longestHold,
  makeRoom,
  mayUse,
  ofBuyer,
  ofItem,
  rememberedBy,
  statusOf,
  sum,
  verdict,
  withStatus,
  type Book,
  type Entry,
  type Figures,
  type SaleCommand,
  type SalePlan,
  type Status,
  type Verdict,
} from "./model-books.ts";

export class Model {
  readonly books: Book[] = [];
  seq: number;
  now: number;

  constructor(seq: number, now: number) {
    this.seq = seq;
    this.now = now;
  }

  addSale(plan: SalePlan): void {
    this.books.push({ plan, made: [], settled: false });
  }

  /** From now on clients are told only what the records say. */
  settleSale(id: number): void {
    const book = this.#book(id);
    if (book !== null) book.settled = true;
  }

  /**
   * Begins a term: with whatever its clock says, which may be earlier. Of sales that were over for
   * long only the records are asked.
   */
  restart(now: number, settledBefore: number): void {
    this.now = now;
    for (const book of this.books) {
      book.settled = book.plan.endsAt <= settledBefore;
      // Nobody holds a unit for longer than may be said now, by whatever clock it was said.
      if (this.isOver(book)) continue;
      for (const entry of book.made) {
        entry.deadline = Math.min(entry.due, now + longestHold(entry));
      }
    }
  }

  /** Every command takes a number, and within a term time never runs backwards. */
  decide(command: SaleCommand, now: number): Verdict {
    this.seq += 1;
    this.now = Math.max(this.now, now);
    switch (command.kind) {
      case "checkout":
        return this.#checkout(command);
      case "purchase":
        return this.#purchase(command);
      case "release":
        return this.#release(command);
      case "extend":
        return this.#extend(command);
      case "buy":
        return this.#buy(command);
      case "change_sale":
        return this.#changeSale(command);
      default:
        return command satisfies never;
    }
  }

  figures(id: number): Figures | null {
    const book = this.#book(id);
    if (book === null) return null;
    const sold = this.#with(book, "sold");
    const live = this.#with(book, "live");
    const soldOf = book.plan.stock.map((_, index) => ofItem(sold, index + 1).length);
    const free = book.plan.stock.map((stock, index) => {
      return stock - ofItem(sold, index + 1).length - ofItem(live, index + 1).length;
    });
    return { sold: sold.length, reserved: live.length, available: sum(free), free, soldOf };
  }

  entryOf(code: string): Entry | null {
    for (const { made } of this.books) {
      const entry = made.find((candidate) => candidate.code === code);
      if (entry !== undefined) return entry;
    }
    return null;
  }

  /** What a buyer holds, in the order of its making: codes and when they end. */
  reservationsOf(buyer: Buyer): { readonly code: string; readonly expiresAt: number }[] {
    return this.#held()
      .flatMap((book) => ofBuyer(this.#with(book, "live"), buyer))
      .toSorted((a, b) => a.madeBy - b.madeBy)
      .map((entry) => ({ code: entry.code, expiresAt: expiresAt(entry) }));
  }

  isOver(book: Book): boolean {
    return isOver(book, this.now);
  }

  isOpen(book: Book): boolean {
    return book.plan.startsAt <= this.now && !this.isOver(book);
  }

  /** The refusals of a checkout, in the order of the contract's table. */
  #checkout(command: Checkout): Verdict {
    const { buyer, key } = command;
    const book = this.#bookAskedFor(command.sale);
    const saleId = book?.plan.id ?? (typeof command.sale === "number" ? command.sale : null);
    if (this.#isForOthers(book, buyer)) return { ...verdict("unauthenticated"), saleId };
    // Decided: a key is looked up before anything else is refused.
    const remembered = key === null ? null : rememberedBy(this.books, buyer, key, this.now);
    if (remembered !== null) {
      return remembered.asked === asked(command)
        ? { ...verdict("reserved_again"), of: remembered.of }
        : { ...verdict("idempotency_key_reused"), saleId };
    }
    if (book === null && command.sale !== "current") {
      return { ...verdict("sale_not_found"), saleId };
    }
    if (book === null) return { ...verdict("sale_not_open"), opensAt: this.#nextHourly() };
    const refused = this.#refused(book, command);
    if (refused !== null) return refused;
    const itemId = command.item === "any" ? Math.min(...this.#freeItems(book)) : command.item;
    // Decided: with `any` it is known last of all which price it would be.
    if (isPriceChanged(book, itemId, command)) return { ...verdict("price_changed"), saleId };
    return { ...verdict("reserved"), of: this.#reserve(book, command, itemId) };
  }

  #refused(book: Book, command: Checkout): Verdict | null {
    const { item, buyer } = command;
    const { plan } = book;
    const saleId = plan.id;
    if (book.settled) {
      // Decided: of a sale that is settled no more is known than how many numbers it had.
      const isNone = item !== "any" && item > plan.stock.length;
      return { ...verdict(isNone ? "item_not_found" : "sale_not_open"), saleId };
    }
    if (item !== "any" && !hasItem(book, item)) return { ...verdict("item_not_found"), saleId };
    if (!this.isOpen(book)) return this.#notOpen(book);
    if (item !== "any" && isPriceChanged(book, item, command)) {
      return { ...verdict("price_changed"), saleId };
    }
    const sold = this.#with(book, "sold");
    if (item !== "any" && ofItem(sold, item).length === plan.stock[item - 1]) {
      return { ...verdict("item_sold_out"), saleId };
    }
    if (sold.length === sum(plan.stock)) return { ...verdict("sold_out"), saleId };
    const noneFree = !this.#freeItems(book).some((free) => item === "any" || free === item);
    const isFull = this.#heldBy(book, buyer) >= plan.perUserLimit;
    // Only who has proven to be its owner is told a code again.
    const own = isProven(buyer)
      ? ofBuyer(this.#with(book, "live"), buyer).findLast(
          ({ itemId }) => item === "any" || item === itemId,
        )
      : undefined;
    if (own !== undefined && (noneFree || isFull)) {
      return isPriceChanged(book, own.itemId, command)
        ? { ...verdict("price_changed"), saleId }
        : { ...verdict("reserved_again"), of: own };
    }
    if (noneFree) {
      return { ...verdict("item_reserved"), saleId, retry: this.#retry(book, item) };
    }
    return isFull ? this.#limitReached(book, buyer, 1) : null;
  }

  #notOpen(book: Book): Verdict {
    const { id, startsAt } = book.plan;
    const opensAt = startsAt > this.now && !this.isOver(book) ? startsAt : null;
    return { ...verdict("sale_not_open"), saleId: id, opensAt };
  }

  /** It is worth asking again when one of the reservations ends that fill the limit. */
  #limitReached(book: Book, buyer: Buyer, quantity: number): Verdict {
    const bought = ofBuyer(this.#with(book, "sold"), buyer).length;
    const live = ofBuyer(this.#with(book, "live"), buyer);
    const never = bought + quantity > book.plan.perUserLimit;
    const retryAt = never ? null : Math.min(...live.map(expiresAt));
    return { ...verdict("user_limit_reached"), saleId: book.plan.id, retryAt };
  }

  /**
   * With `any`, or one unit of the item, the soonest expiry is the time at which a unit may
   * come free. With several units of an item the ledger may name another one of theirs, and after
   * a clock was set back one of a reservation that ended.
   */
  #retry(book: Book, item: number | "any"): NonNullable<Verdict["retry"]> {
    const { plan, made } = book;
    const live = this.#with(book, "live");
    const soonest = Math.min(...(item === "any" ? live : ofItem(live, item)).map(expiresAt));
    if (item === "any" || plan.stock[item - 1] === 1) return { soonest, latest: soonest };
    // In whatever way a unit was had: by a reservation, or late, or in one step.
    const had = made.flatMap(({ deadline, sold }) => [
      deadline,
      (sold?.at ?? this.now) + plan.reservationTtlMs,
    ]);
    return { soonest: this.now + 1, latest: Math.min(plan.endsAt, Math.max(...had)) };
  }

  #reserve(book: Book, command: Checkout, itemId: number): Entry {
    const { buyer, code, key } = command;
    makeRoom(book, buyer, itemId, this.now);
    const keys = key === null ? [] : [{ key, asked: asked(command), since: this.seq }];
    return this.#put(book, { code, itemId, buyer, keys });
  }

  #put(book: Book, made: Pick<Entry, "code" | "itemId" | "buyer" | "keys">): Entry {
    const entry: Entry = {
      ...made,
      book,
      madeBy: this.seq,
      due: this.now + book.plan.reservationTtlMs,
      deadline: this.now + book.plan.reservationTtlMs,
      extended: false,
      givenBack: false,
      displaced: false,
      sold: null,
    };
    book.made.push(entry);
    return entry;
  }

  #purchase(command: Purchase): Verdict {
    const of = this.#usable(command.code, command.by);
    if (of === null) return verdict("code_not_found");
    const { book, buyer, itemId } = of;
    if (of.sold !== null) return { ...verdict("purchased_again"), of };
    if (book.settled || this.isOver(book)) return { ...verdict("sale_ended"), of };
    if (isPriceChanged(book, itemId, command)) return { ...verdict("price_changed"), of };
    // Decided: what was given back cannot be bought, even if its unit is free.
    if (of.givenBack) return { ...verdict("code_expired"), of };
    const late = statusOf(of, this.now) !== "live";
    const unitIsFree = this.#freeItems(book).includes(itemId);
    const underLimit = this.#heldBy(book, buyer) < book.plan.perUserLimit;
    if (late && !(unitIsFree && underLimit)) return { ...verdict("code_expired"), of };
    if (of.displaced) makeRoom(book, buyer, itemId, this.now);
    this.#sell(of);
    return { ...verdict("purchased"), of };
  }

  #sell(of: Entry): void {
    const sold = this.#with(of.book, "sold");
    of.displaced = false;
    of.sold = {
      order: this.seq,
      at: this.now,
      unit: ofItem(sold, of.itemId).length + 1,
      ordinal: ofBuyer(sold, of.buyer).length + 1,
    };
  }

  #release({ code, by, saleId }: Release): Verdict {
    const of = this.#usable(code, by);
    if (of === null || (saleId !== null && saleId !== of.book.plan.id)) {
      return verdict("code_not_found");
    }
    if (of.sold !== null) return { ...verdict("already_purchased"), of };
    if (of.givenBack || of.book.settled) return { ...verdict("released_again"), of };
    of.givenBack = true;
    return { ...verdict("released"), of };
  }

  #extend({ code, ms }: Extend): Verdict {
    const of = this.entryOf(code);
    if (of === null) return verdict("code_not_found");
    if (of.sold !== null) return { ...verdict("already_purchased"), of };
    if (of.book.settled || this.isOver(of.book)) return { ...verdict("sale_ended"), of };
    if (of.givenBack || of.displaced) return { ...verdict("code_expired"), of };
    hold(of, ms, this.now);
    return { ...verdict("extended"), of };
  }

  /** The refusals of a purchase in one step, in the order of the contract's table. */
  #buy(command: Buy): Verdict {
    const { buyer, itemId, quantity, key, saleId } = command;
    // Decided: an id that no sale can have is refused before a key is looked up.
    if (saleId === "unknown") return verdict("sale_not_found");
    const book = this.#book(saleId);
    if (this.#isForOthers(book, buyer)) return { ...verdict("unauthenticated"), saleId };
    const remembered = key === null ? null : rememberedBy(this.books, buyer, key, this.now);
    if (remembered !== null) {
      return remembered.asked === asked(command)
        ? { ...verdict("purchased_again"), of: remembered.of }
        : { ...verdict("idempotency_key_reused"), saleId };
    }
    if (book === null) return { ...verdict("sale_not_found"), saleId };
    if (book.settled) return { ...verdict("sale_not_open"), saleId };
    if (itemId === "unknown" || !hasItem(book, itemId)) {
      return { ...verdict("item_not_found"), saleId };
    }
    if (!this.isOpen(book)) return this.#notOpen(book);
    if (isPriceChanged(book, itemId, command)) return { ...verdict("price_changed"), saleId };
    const stock = book.plan.stock[itemId - 1] ?? 0;
    const sold = ofItem(this.#with(book, "sold"), itemId).length;
    if (stock - sold < quantity) return { ...verdict("item_sold_out"), saleId };

    const live = ofItem(this.#with(book, "live"), itemId);
    const own = ofBuyer(live, buyer).slice(0, quantity);
    if (stock - sold - live.length + own.length < quantity) {
      return { ...verdict("item_reserved"), saleId, retry: this.#retry(book, itemId) };
    }
    if (this.#heldBy(book, buyer) - own.length + quantity > book.plan.perUserLimit) {
      return this.#limitReached(book, buyer, quantity);
    }
    return { ...verdict("purchased"), units: this.#buyUnits(book, command, itemId) };
  }

  /** First what the buyer holds, then, decided, what lapsed of theirs and nobody has taken. */
  #buyUnits(book: Book, command: Buy, itemId: number): readonly Entry[] {
    const { buyer, quantity, key, code } = command;
    const own = (status: Status) => ofBuyer(ofItem(this.#with(book, status), itemId), buyer);
    const units = [...own("live"), ...own("lapsed")].slice(0, quantity);
    for (const unit of units) this.#sell(unit);
    for (let index = 0; units.length < quantity; index += 1) {
      makeRoom(book, buyer, itemId, this.now);
      const unit = this.#put(book, { code: countedOn(code, index), itemId, buyer, keys: [] });
      this.#sell(unit);
      units.push(unit);
    }
    if (key !== null) units[0]?.keys.push({ key, asked: asked(command), since: this.seq });
    return units;
  }

  #changeSale(command: ChangeSale): Verdict {
    const { saleId } = command;
    const book = this.#book(saleId);
    if (book === null) return { ...verdict("sale_not_found"), saleId };
    if (book.settled || this.isOver(book)) return { ...verdict("sale_ended"), saleId };
    return { ...verdict(changeTimes(book, command, this.now)), saleId };
  }

  #with(book: Book, status: Status): Entry[] {
    return withStatus(book, status, this.now);
  }

  /** Numbers of the items that have a unit neither sold nor reserved. */
  #freeItems(book: Book): number[] {
    const taken = [...this.#with(book, "sold"), ...this.#with(book, "live")];
    return book.plan.stock.flatMap((stock, index) => {
      return ofItem(taken, index + 1).length < stock ? [index + 1] : [];
    });
  }

  /** What counts against a buyer's limit. */
  #heldBy(book: Book, buyer: Buyer): number {
    return ofBuyer([...this.#with(book, "sold"), ...this.#with(book, "live")], buyer).length;
  }

  #isForOthers(book: Book | null, buyer: Buyer): boolean {
    return book !== null && book.plan.access === "proven" && !isProven(buyer);
  }

  #usable(code: string, by: Purchase["by"]): Entry | null {
    const entry = this.entryOf(code);
    return entry !== null && mayUse(entry, by) ? entry : null;
  }

  #bookAskedFor(sale: Checkout["sale"]): Book | null {
    if (sale === "unknown") return null;
    if (sale !== "current") return this.#book(sale);
    const held = this.#held();
    return held.find((book) => book.plan.kind === "hourly" && this.isOpen(book)) ?? null;
  }

  #nextHourly(): number | null {
    const openings = this.#held()
      .filter(({ plan }) => plan.kind === "hourly" && plan.startsAt > this.now)
      .map(({ plan }) => plan.startsAt);
    return openings.length === 0 ? null : Math.min(...openings);
  }

  #held(): Book[] {
    return this.books.filter(({ settled }) => !settled);
  }

  #book(id: number): Book | null {
    return this.books.find(({ plan }) => plan.id === id) ?? null;
  }
}

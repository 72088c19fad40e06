/**
 * The independent auditor of the ledger: says what the contract wants answered to every
 * command at every time, and what every figure of a sale must be then.
 *
 * Written from the contract (section 1) and not from the code, and as naive as can be: a
 * sale is the list of the reservations ever made in it, and everything else is found by
 * looking through that list again. No counters, no queue of deadlines, nothing that is
 * kept up to date and could be kept wrong. Where the contract is silent it follows what
 * was decided for it; the comment at the place says so.
 */
import type {
  ArchivedCode,
  Checkout,
  OutcomeOf,
  Purchase,
  Release,
} from "../../src/ledger/commands.ts";
import type { Sale } from "../../src/ledger/state.ts";

/** What the model knows of: everything that is asked of sales. */
export type SaleCommand = Checkout | Purchase | Release;
export type SaleOutcome = OutcomeOf<SaleCommand>;
type Word = SaleOutcome["word"];

/** A sale as plain data. Times are milliseconds. */
export type SalePlan = Omit<Sale, "stock"> & { readonly stock: readonly number[] };

/** A sale and every reservation ever made in it, in order. */
export type Book = { readonly plan: SalePlan; readonly made: Entry[]; settled: boolean };

/** A reservation as the model remembers it, for ever. */
export type Entry = {
  readonly code: string;
  readonly book: Book;
  /** Number of the attempt that made it. */
  readonly madeBy: number;
  readonly itemId: number;
  readonly userId: string;
  readonly expiresAt: number;
  readonly key: string | null;
  /** The item and the sale in the words of the request. */
  readonly asked: string;
  givenBack: boolean;
  sold: { readonly order: number; readonly at: number; unit: number; ordinal: number } | null;
};

/** What the ledger has to answer. */
export type Verdict = {
  readonly word: Word;
  /** The reservation that the answer is about. */
  readonly of: Entry | null;
  /** The sale of a refused checkout. */
  readonly saleId: number | null;
  /** With `sale_not_open`: when it opens. */
  readonly opensAt: number | null;
  /** With `item_reserved`: the answer must name a time between these two. */
  readonly retry: { readonly soonest: number; readonly latest: number } | null;
};

/** What a sale amounts to at one moment. */
export type Figures = {
  readonly sold: number;
  readonly reserved: number;
  readonly available: number;
  /** By item index. */
  readonly items: readonly { readonly free: number; readonly sold: number }[];
  /** Everybody who has bought something or holds something. */
  readonly users: Readonly<Record<string, { readonly bought: number; readonly live: string[] }>>;
};

type Status = "live" | "lapsed" | "released" | "sold";

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

  /** From now on clients are told only what the records say; keys are not remembered. */
  settleSale(id: number): void {
    const book = this.#book(id);
    if (book !== null) book.settled = true;
  }

  /** Every command takes a number, and time never runs backwards. */
  decide(command: SaleCommand, now: number): Verdict {
    this.seq += 1;
    this.now = Math.max(this.now, now);
    switch (command.kind) {
      case "checkout":
        return this.#checkout(command);
      case "purchase":
        return this.#purchase(command.code);
      case "release":
        return this.#release(command.code);
      default:
        return command satisfies never;
    }
  }

  /** What the records say of a code; null when there is no such code. */
  recordOf(code: string): ArchivedCode | null {
    const entry = this.#entry(code);
    if (entry === null) return null;
    const { book, itemId, userId, sold } = entry;
    const record = sold === null ? null : { seq: sold.order, at: sold.at };
    return { code, saleId: book.plan.id, itemId, userId, sold: record };
  }

  figures(id: number): Figures | null {
    const book = this.#book(id);
    if (book === null) return null;
    const sold = this.#with(book, "sold");
    const live = this.#with(book, "live");
    const items = book.plan.stock.map((stock, index) => {
      const soldOf = sold.filter(({ itemId }) => itemId === index + 1).length;
      const liveOf = live.filter(({ itemId }) => itemId === index + 1).length;
      return { free: stock - soldOf - liveOf, sold: soldOf };
    });
    const users: Record<string, { bought: number; live: string[] }> = {};
    for (const { userId: user } of [...sold, ...live]) {
      const bought = sold.filter(({ userId }) => userId === user).length;
      const codes = live.filter(({ userId }) => userId === user).map(({ code }) => code);
      users[user] = { bought, live: codes };
    }
    return {
      sold: sold.length,
      reserved: live.length,
      available: sum(book.plan.stock) - sold.length - live.length,
      items,
      users,
    };
  }

  /** Moments at which the answers change: worth arriving exactly at, and just before. */
  momentsAhead(): number[] {
    const held = this.books.filter(({ settled }) => !settled);
    const expiries = held.flatMap((book) => this.#with(book, "live"));
    const moments = [
      ...held.flatMap(({ plan }) => [plan.startsAt, plan.endsAt]),
      ...expiries.map(({ expiresAt }) => expiresAt),
    ];
    return moments.filter((moment) => moment > this.now);
  }

  /** The refusals of a checkout, in the order of the contract's table. */
  #checkout(command: Checkout): Verdict {
    const book = this.#bookAskedFor(command.sale);
    const saleId = book?.plan.id ?? (typeof command.sale === "number" ? command.sale : null);
    // Decided: a key is looked up before anything is refused.
    const remembered = this.#rememberedBy(command);
    if (remembered !== null) {
      return remembered.asked === asked(command)
        ? { ...verdict("reserved_again"), of: remembered }
        : { ...verdict("idempotency_key_reused"), saleId };
    }
    if (book === null && command.sale !== "current") {
      return { ...verdict("sale_not_found"), saleId };
    }
    if (book === null) return { ...verdict("sale_not_open"), opensAt: this.#nextHourly() };
    const refused = this.#refused(book, command);
    return refused === null ? this.#reserve(book, command) : { ...refused, saleId };
  }

  #refused(book: Book, { item, userId }: Checkout): Verdict | null {
    const { plan } = book;
    if (item !== "any" && plan.stock[item - 1] === undefined) return verdict("item_not_found");
    if (!isOpen(plan, this.now)) {
      const opensAt = plan.startsAt > this.now ? plan.startsAt : null;
      return { ...verdict("sale_not_open"), opensAt };
    }
    const sold = this.#with(book, "sold");
    if (
      item !== "any" &&
      sold.filter(({ itemId }) => itemId === item).length === plan.stock[item - 1]
    )
      return verdict("item_sold_out");
    if (sold.length === sum(plan.stock)) return verdict("sold_out");
    const live = this.#with(book, "live");
    if (this.#freeItems(book).filter((free) => item === "any" || free === item).length === 0) {
      // Decided: `any` is never answered with a reservation that one has already.
      const own = live.findLast((entry) => entry.itemId === item && entry.userId === userId);
      if (own !== undefined) return { ...verdict("reserved_again"), of: own };
      return { ...verdict("item_reserved"), retry: this.#retry(book, item, live) };
    }
    return this.#heldBy(book, userId) >= plan.perUserLimit ? verdict("user_limit_reached") : null;
  }

  /**
   * With `any`, or one unit of the item, the soonest expiry is the time at which a unit may
   * come free. With several units of an item the ledger may name a later one of theirs.
   */
  #retry({ plan }: Book, item: number | "any", live: Entry[]): NonNullable<Verdict["retry"]> {
    const holding = live.filter(({ itemId }) => item === "any" || itemId === item);
    const soonest = Math.min(...holding.map(({ expiresAt }) => expiresAt));
    const exact = item === "any" || plan.stock[item - 1] === 1;
    return { soonest, latest: exact ? soonest : this.#expiry(plan) };
  }

  #reserve(book: Book, command: Checkout): Verdict {
    const { code, userId, key } = command;
    const itemId = command.item === "any" ? Math.min(...this.#freeItems(book)) : command.item;
    const of: Entry = {
      code,
      book,
      madeBy: this.seq,
      itemId,
      userId,
      expiresAt: this.#expiry(book.plan),
      key,
      asked: asked(command),
      givenBack: false,
      sold: null,
    };
    book.made.push(of);
    return { ...verdict("reserved"), of };
  }

  #purchase(code: string): Verdict {
    const of = this.#entry(code);
    if (of === null) return verdict("code_not_found");
    const { book } = of;
    if (of.sold !== null) return { ...verdict("purchased_again"), of };
    if (this.now >= book.plan.endsAt) return { ...verdict("sale_ended"), of };
    // Decided: what was given back cannot be bought, even if its unit is free.
    if (of.givenBack) return { ...verdict("code_expired"), of };
    const late = this.now >= of.expiresAt;
    const unitIsFree = this.#freeItems(book).includes(of.itemId);
    const underLimit = this.#heldBy(book, of.userId) < book.plan.perUserLimit;
    if (late && !(unitIsFree && underLimit)) return { ...verdict("code_expired"), of };
    const sold = this.#with(book, "sold");
    of.sold = {
      order: this.seq,
      at: this.now,
      unit: sold.filter(({ itemId }) => itemId === of.itemId).length + 1,
      ordinal: sold.filter(({ userId }) => userId === of.userId).length + 1,
    };
    return { ...verdict("purchased"), of };
  }

  #release(code: string): Verdict {
    const of = this.#entry(code);
    if (of === null) return verdict("code_not_found");
    const status = this.#status(of);
    if (status === "sold") return { ...verdict("already_purchased"), of };
    if (status !== "live") return { ...verdict("released_again"), of };
    of.givenBack = true;
    return { ...verdict("released"), of };
  }

  #status(entry: Entry): Status {
    if (entry.sold !== null) return "sold";
    if (entry.givenBack) return "released";
    return this.now >= entry.expiresAt ? "lapsed" : "live";
  }

  #with(book: Book, status: Status): Entry[] {
    return book.made.filter((entry) => this.#status(entry) === status);
  }

  /** Numbers of the items that have a unit neither sold nor reserved. */
  #freeItems(book: Book): number[] {
    const taken = [...this.#with(book, "sold"), ...this.#with(book, "live")];
    return book.plan.stock.flatMap((stock, index) => {
      const takenOf = taken.filter(({ itemId }) => itemId === index + 1).length;
      return takenOf < stock ? [index + 1] : [];
    });
  }

  /** What counts against a user's limit. */
  #heldBy(book: Book, user: string): number {
    const held = [...this.#with(book, "sold"), ...this.#with(book, "live")];
    return held.filter(({ userId }) => userId === user).length;
  }

  /**
   * The reservation that a key stands for: it lives or is sold. A key whose reservation
   * lapsed may have made a second; if the first was then bought late, the second is meant.
   */
  #rememberedBy({ userId, key }: Checkout): Entry | null {
    if (key === null) return null;
    const found = this.books
      .filter(({ settled }) => !settled)
      .flatMap(({ made }) => made.filter((entry) => entry.key === key && entry.userId === userId))
      .filter((entry) => ["live", "sold"].includes(this.#status(entry)));
    return found.toSorted((a, b) => a.madeBy - b.madeBy).at(-1) ?? null;
  }

  #bookAskedFor(sale: Checkout["sale"]): Book | null {
    if (sale === "unknown") return null;
    if (sale !== "current") return this.#book(sale);
    return this.books.find(({ plan }) => plan.kind === "hourly" && isOpen(plan, this.now)) ?? null;
  }

  #nextHourly(): number | null {
    const openings = this.books
      .filter(({ plan }) => plan.kind === "hourly" && plan.startsAt > this.now)
      .map(({ plan }) => plan.startsAt);
    return openings.length === 0 ? null : Math.min(...openings);
  }

  #book(id: number): Book | null {
    return this.books.find(({ plan }) => plan.id === id) ?? null;
  }

  #entry(code: string): Entry | null {
    for (const { made } of this.books) {
      const entry = made.find((candidate) => candidate.code === code);
      if (entry !== undefined) return entry;
    }
    return null;
  }

  #expiry({ endsAt, reservationTtlMs }: SalePlan): number {
    return Math.min(this.now + reservationTtlMs, endsAt);
  }
}

const isOpen = ({ startsAt, endsAt }: SalePlan, now: number): boolean =>
  startsAt <= now && now < endsAt;

const asked = ({ item, sale }: Checkout): string => JSON.stringify([item, sale]);

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

const verdict = (word: Word): Verdict => {
  return { word, of: null, saleId: null, opensAt: null, retry: null };
};

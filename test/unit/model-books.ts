/**
 * What the model of the ledger keeps and says: sales, the reservations ever made in them, and
 * verdicts. Data, and what can be read off it.
 */
import { isProven, sameBuyer, type Buyer } from "../../src/ledger/buyers.ts";
import type {
  Buy,
  ChangeSale,
  Checkout,
  Extend,
  RecordsNeeded,
  OutcomeOf,
  Purchase,
  Release,
} from "../../src/ledger/commands.ts";
import type { Sale } from "../../src/ledger/sale.ts";

/** What the model knows of: everything that is asked of sales. */
export type SaleCommand = Checkout | Purchase | Release | Extend | Buy | ChangeSale;
export type SaleOutcome = Exclude<OutcomeOf<SaleCommand>, RecordsNeeded>;
type Word = SaleOutcome["word"];

/** A sale as plain data. Times are milliseconds. */
export type SalePlan = Omit<Sale, "stock" | "priceCents"> & {
  readonly stock: readonly number[];
  readonly priceCents: readonly number[];
};

/** A sale and every reservation ever made in it, in order. */
export type Book = { plan: SalePlan; readonly made: Entry[]; settled: boolean };

/** A reservation as the model remembers it, for ever; a unit bought at once is one too. */
export type Entry = {
  readonly code: string;
  readonly book: Book;
  /** Number of the attempt that made it. */
  readonly madeBy: number;
  readonly itemId: number;
  readonly buyer: Buyer;
  /** When it runs out, if its sale does not end before. */
  deadline: number;
  /** The same by what was said when it was made, or extended. */
  due: number;
  /** A merchant has held it for longer. */
  extended: boolean;
  /** The keys that it goes by, each with what was asked in the words of the request. */
  readonly keys: { readonly key: string; readonly asked: string; readonly since: number }[];
  givenBack: boolean;
  /** Somebody else has had its unit since it lapsed, or its buyer its place within the limit. */
  displaced: boolean;
  sold: { readonly order: number; readonly at: number; unit: number; ordinal: number } | null;
};

/** What the ledger has to answer. */
export type Verdict = {
  readonly word: Word;
  /** The reservation that the answer is about. */
  readonly of: Entry | null;
  /** What was bought in one step. */
  readonly units: readonly Entry[] | null;
  /** The sale of an answer that is about no reservation. */
  readonly saleId: number | null;
  /** With `sale_not_open`: when it opens. */
  readonly opensAt: number | null;
  /** With `item_reserved`: the answer must name a time between these two. */
  readonly retry: { readonly soonest: number; readonly latest: number } | null;
  /** With `user_limit_reached`: when it is worth while to ask again. */
  readonly retryAt: number | null;
};

/** What a sale amounts to at one moment. */
export type Figures = {
  readonly sold: number;
  readonly reserved: number;
  readonly available: number;
  /** By item index. */
  readonly free: readonly number[];
  readonly soldOf: readonly number[];
};

/** When a reservation ends: at its own time, or at the sale's. */
export const expiresAt = ({ deadline, book }: Entry): number =>
  Math.min(deadline, book.plan.endsAt);

export const hasItem = ({ plan }: Book, item: number): boolean => (plan.stock[item - 1] ?? 0) > 0;

export const isPriceChanged = (
  { plan }: Book,
  item: number,
  { expectedPriceCents }: Checkout | Purchase | Buy,
): boolean => expectedPriceCents !== null && expectedPriceCents !== plan.priceCents[item - 1];

export const ofItem = (entries: readonly Entry[], item: number): Entry[] =>
  entries.filter(({ itemId }) => itemId === item);

export const ofBuyer = (entries: readonly Entry[], buyer: Buyer): Entry[] =>
  entries.filter((entry) => sameBuyer(entry.buyer, buyer));

const orderOf = ({ sold }: Entry): number => sold?.order ?? 0;

export const asked = (command: Checkout | Buy): string => {
  const { expectedPriceCents: price } = command;
  return command.kind === "buy"
    ? JSON.stringify([command.itemId, command.saleId, command.quantity, price])
    : JSON.stringify([command.item, command.sale, price]);
};

/** Codes of units bought together are counted on in their last digits. */
export const countedOn = (code: string, by: number): string => {
  const digits = code.slice(-12);
  const next = (Number.parseInt(digits, 16) + by) % 16 ** 12;
  return by === 0 ? code : code.slice(0, -12) + next.toString(16).padStart(12, "0");
};

export const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

export const verdict = (word: Word): Verdict => {
  const none = { of: null, units: null, saleId: null, opensAt: null, retry: null, retryAt: null };
  return { word, ...none };
};

/** What an entry is at a time. */
export type Status = "live" | "lapsed" | "displaced" | "released" | "sold";

export const isOver = ({ plan }: Book, now: number): boolean => plan.closed || now >= plan.endsAt;

export function statusOf(entry: Entry, now: number): Status {
  if (entry.sold !== null) return "sold";
  if (entry.givenBack) return "released";
  if (entry.displaced) return "displaced";
  return now >= entry.deadline || isOver(entry.book, now) ? "lapsed" : "live";
}

export const withStatus = (book: Book, status: Status, now: number): Entry[] =>
  book.made.filter((entry) => statusOf(entry, now) === status);

/** A code of somebody proven is nobody else's; that of a guest is whoever's has it. */
export const mayUse = ({ buyer }: Entry, by: Purchase["by"]): boolean =>
  by === "merchant" || !isProven(buyer) || (by !== null && sameBuyer(buyer, by));

const quarterOfAnHour = 900_000;

/** How long it may be held from one moment on. */
export const longestHold = ({ extended, book }: Entry): number =>
  Math.max(extended ? quarterOfAnHour : 0, book.plan.reservationTtlMs);

/** Decided: where the end of its sale is moved, what was cut short by it lasts as was asked. */
export function hold(entry: Entry, ms: number, now: number): void {
  entry.due = Math.max(entry.deadline, Math.min(now + ms, now + quarterOfAnHour));
  entry.deadline = entry.due;
  entry.extended = true;
}

/**
 * What a key stands for: a reservation that lives, or else what was sold. A key whose
 * reservation lapsed may make a second; where both are bought, the last one bought is meant.
 */
export function rememberedBy(
  books: readonly Book[],
  buyer: Buyer,
  key: string,
  now: number,
): { readonly asked: string; readonly of: Entry } | null {
  const uses = books
    .flatMap(({ made }) => ofBuyer(made, buyer))
    .flatMap((of) =>
      of.keys
        .filter((use) => use.key === key)
        .map(({ asked: before, since }) => ({ asked: before, of, since })),
    );
  const live = uses.filter(({ of }) => statusOf(of, now) === "live");
  const sold = uses.filter(({ of }) => statusOf(of, now) === "sold");
  return (
    live.toSorted((a, b) => a.of.madeBy - b.of.madeBy).at(-1) ??
    sold.toSorted((a, b) => orderOf(a.of) - orderOf(b.of) || a.since - b.since).at(-1) ??
    null
  );
}

/** Moments at which the answers change: worth arriving exactly at, and just before. */
export function momentsAhead(books: readonly Book[], now: number): number[] {
  const held = books.filter(({ settled }) => !settled);
  const expiries = held.flatMap((book) => withStatus(book, "live", now));
  const moments = [
    ...held.flatMap(({ plan }) => [plan.startsAt, plan.endsAt]),
    ...expiries.map(expiresAt),
  ];
  return moments.filter((moment) => moment > now);
}

/**
 * Decided: what lapsed keeps its unit and its place within the limit until somebody takes them,
 * and the first to run out loses them first. It shows when a clock is set back: what is displaced
 * does not come to life again.
 */
export function makeRoom(book: Book, buyer: Buyer, itemId: number, now: number): void {
  const open = (): Entry[] => [
    ...withStatus(book, "live", now),
    ...withStatus(book, "lapsed", now),
  ];
  const sold = withStatus(book, "sold", now);
  const { stock, perUserLimit } = book.plan;
  while (ofBuyer([...open(), ...sold], buyer).length >= perUserLimit) {
    displace(ofBuyer(open(), buyer), now);
  }
  if (ofItem([...open(), ...sold], itemId).length >= (stock[itemId - 1] ?? 0)) {
    displace(ofItem(open(), itemId), now);
  }
}

function displace(entries: readonly Entry[], now: number): void {
  const [first] = entries.toSorted((a, b) => a.deadline - b.deadline || a.madeBy - b.madeBy);
  if (first === undefined || statusOf(first, now) !== "lapsed") {
    throw new Error("the model: nothing that lapsed makes room");
  }
  first.displaced = true;
}

/** Opens a sale, or moves its end. */
export function changeTimes(book: Book, { opens, endsAt }: ChangeSale, now: number): Word {
  const { plan } = book;
  if (opens && now >= plan.startsAt) return "sale_opened";
  const isNow = endsAt === "now";
  if (isNow && now < plan.startsAt) return "sale_not_open";
  const startsAt = opens ? now : plan.startsAt;
  // What was sold in this millisecond was sold before the end.
  const end = isNow ? now + 1 : (endsAt ?? plan.endsAt);
  if (!isNow && end <= Math.max(now, startsAt)) return "end_not_later";
  book.plan = { ...plan, startsAt, endsAt: end, closed: isNow };
  return "sale_changed";
}

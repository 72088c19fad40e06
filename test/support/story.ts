/**
 * Stories: a few requests to the ledger and what must be answered to each. The model and
 * the auditor look on, as they do in the random histories.
 */
import { expect, test } from "bun:test";
import type { Buyer, BuyerKind } from "../../src/ledger/buyers.ts";
import type {
  Buy,
  ChangeSale,
  Checkout,
  Extend,
  Purchase,
  Release,
} from "../../src/ledger/commands.ts";
import type { SaleCommand, SaleOutcome, SalePlan } from "../unit/model-books.ts";
import { factsOf } from "./compare.ts";
import { epoch, Run, type Step } from "./history.ts";

/** The first hour opens, and ends; every sale lasts as long. */
export const opens = 2_000;
export const ends = 3_000;
const reservationTtlMs = 100;

type Terms = {
  readonly stock?: readonly number[];
  readonly limit?: number;
  readonly access?: SalePlan["access"];
};

/** What an item costs. */
export const priceOf = (item: number): number => 100 * item;

export function sale(
  id: number,
  kind: SalePlan["kind"],
  startsAt: number,
  { stock = [1], limit = 10, access = "everyone" }: Terms = {},
): SalePlan {
  const window = { startsAt, endsAt: startsAt + ends - opens, closed: false };
  const priceCents = stock.map((_, index) => priceOf(index + 1));
  return {
    id,
    kind,
    access,
    entry: { kind: "open" },
    ...window,
    perUserLimit: limit,
    reservationTtlMs,
    stock,
    priceCents,
  };
}

export const hour = (terms: Terms = {}): SalePlan => sale(1, "hourly", opens, terms);
export const nextHour = (terms: Terms = {}): SalePlan => sale(2, "hourly", ends, terms);
/** A product sale beside the first hour. */
export const product = (terms: Terms = {}): SalePlan => sale(3, "product", opens, terms);

/** `ann` is a guest; `account:ann` and `customer:ann` are who they say. */
export function who(name: string): Buyer {
  const [kind, userId] = name.split(":");
  return kind !== undefined && userId !== undefined && isKind(kind)
    ? { kind, userId }
    : { kind: "guest", userId: name };
}

const isKind = (kind: string): kind is BuyerKind =>
  kind === "guest" || kind === "account" || kind === "customer";

/** The letter that stands for a code in a story, as a code; and units after it. */
export const codeOf = (letter: string): string =>
  `00000000-0000-7000-8000-${((letter.codePointAt(0) ?? 0) * 16).toString(16).padStart(12, "0")}`;

type Asked = {
  readonly key?: string;
  /** What the item is believed to cost. */
  readonly price?: number;
};

/** A checkout, of the current sale unless another is named; `code` is the code it may get. */
export function take(
  code: string,
  name: string,
  item: Checkout["item"],
  asked: Asked & { readonly sale?: Checkout["sale"] } = {},
): Checkout {
  const { sale: named = "current", key = null, price: expectedPriceCents = null } = asked;
  const buyer = who(name);
  return {
    kind: "checkout",
    buyer,
    item,
    sale: named,
    code: codeOf(code),
    key,
    expectedPriceCents,
  };
}

/** A purchase in one step, of the first hour unless another sale is named. */
export function buyNow(
  code: string,
  name: string,
  itemId: Buy["itemId"],
  asked: Asked & { readonly sale?: Buy["saleId"]; readonly units?: number } = {},
): Buy {
  const { sale: saleId = 1, key = null, units: quantity = 1, price = null } = asked;
  const buyer = who(name);
  const of = { itemId, saleId, quantity, key, expectedPriceCents: price };
  return { kind: "buy", buyer, code: codeOf(code), ...of };
}

/** @param by who asks; whoever has the code, without */
export const buy = (code: string, by?: string, price: number | null = null): Purchase => ({
  kind: "purchase",
  code: codeOf(code),
  by: by === undefined ? null : who(by),
  expectedPriceCents: price,
  lookup: null,
});

export const drop = (code: string, by?: string, saleId: number | null = null): Release => ({
  kind: "release",
  code: codeOf(code),
  by: by === undefined ? null : who(by),
  saleId,
  lookup: null,
});

export const hold = (code: string, ms: number): Extend => ({
  kind: "extend",
  code: codeOf(code),
  ms,
  lookup: null,
});

export const endAt = (saleId: number, endsAt: number | "now"): ChangeSale => ({
  kind: "change_sale",
  saleId,
  opens: false,
  endsAt,
  title: null,
  by: null,
});

type Word = SaleOutcome["word"];

type Facts = Readonly<Record<string, unknown>> & { readonly word: Word };

/**
 * When, what, and the word or more of what must be answered; or a sale is settled, or its place
 * noted, or another term begins by a clock of its own.
 */
export type Line =
  | readonly [at: number, command: SaleCommand, told: Word | Facts]
  | readonly ["settle", saleId: number]
  | readonly ["checkpoint", saleId: number]
  | readonly ["crash", at: number];

/** Makes a story a test. */
export function tell(name: string, sales: readonly SalePlan[], lines: readonly Line[]): void {
  test(name, async () => {
    const run = await Run.begin();
    const told: unknown[] = [];
    const perform = async (step: Step): Promise<void> => {
      const complaint = await run.take(step);
      if (complaint !== null) throw new Error(`${JSON.stringify(step)}: ${complaint}`);
    };
    // oxlint-disable-next-line no-await-in-loop
    for (const plan of sales) await perform({ do: "add", sale: plan });
    for (const line of lines) {
      await perform(stepOf(line, run.model.now));
      if (typeof line[0] === "number") told.push(lastTold(run));
    }
    await perform({ do: "look", at: epoch.now });
    const wanted = lines.flatMap((line) => (typeof line[0] === "number" ? [line[2]] : []));
    expect(told).toMatchObject(
      wanted.map((one) => (typeof one === "string" ? { word: one } : withCode(one))),
    );
  });
}

function stepOf(line: Line, at: number): Step {
  switch (line[0]) {
    case "settle":
      return { do: "settle", saleId: line[1] };
    case "checkpoint":
      return { do: "checkpoint", at, saleId: line[1] };
    case "crash":
      return { do: "crash", at: line[1] };
    default:
      return { do: "decide", at: line[0], command: line[1] };
  }
}

/** A story names a code by its letter. */
const withCode = (facts: Facts): Facts =>
  typeof facts["code"] === "string" ? { ...facts, code: codeOf(facts["code"]) } : facts;

function lastTold({ told }: Run): Facts {
  if (told === null) throw new Error("nothing was answered");
  const retryAt = "retryAt" in told ? told.retryAt : null;
  return { ...factsOf(told), word: told.word, retryAt };
}

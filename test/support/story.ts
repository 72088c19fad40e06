/**
 * Stories: a few requests to the ledger and what must be answered to each. The model and
 * the auditor look on, as they do in the random histories.
 */
import { expect, test } from "bun:test";
import type { Checkout } from "../../src/ledger/commands.ts";
import type { SaleCommand, SaleOutcome, SalePlan } from "../unit/model.ts";
import { factsOf } from "./compare.ts";
import { epoch, Run, type Step } from "./history.ts";

/** The first hour opens, and ends; every sale lasts as long. */
export const opens = 2_000;
export const ends = 3_000;
const reservationTtlMs = 100;

type Terms = { readonly stock?: readonly number[]; readonly limit?: number };

export function sale(
  id: number,
  kind: SalePlan["kind"],
  startsAt: number,
  { stock = [1], limit = 10 }: Terms = {},
): SalePlan {
  const endsAt = startsAt + ends - opens;
  return { id, kind, startsAt, endsAt, perUserLimit: limit, reservationTtlMs, stock };
}

export const hour = (terms: Terms = {}): SalePlan => sale(1, "hourly", opens, terms);
export const nextHour = (terms: Terms = {}): SalePlan => sale(2, "hourly", ends, terms);
/** A product sale beside the first hour. */
export const product = (terms: Terms = {}): SalePlan => sale(3, "product", opens, terms);

/** A checkout, of the current sale unless another is named; `code` is the code it may get. */
export function take(
  code: string,
  userId: string,
  item: Checkout["item"],
  asked: { readonly sale?: Checkout["sale"]; readonly key?: string } = {},
): Checkout {
  const { sale: named = "current", key = null } = asked;
  return { kind: "checkout", userId, item, sale: named, code, key };
}

export const buy = (code: string): SaleCommand => ({ kind: "purchase", code, archived: null });

export const drop = (code: string): SaleCommand => ({ kind: "release", code, archived: null });

type Word = SaleOutcome["word"];

type Facts = Readonly<Record<string, string | number | null>> & { readonly word: Word };

/** When, what, and the word or more of what must be answered; or a sale is settled. */
export type Line =
  | readonly [at: number, command: SaleCommand, told: Word | Facts]
  | readonly ["settle", saleId: number];

/** Makes a story a test. */
export function tell(name: string, sales: readonly SalePlan[], lines: readonly Line[]): void {
  test(name, () => {
    const run = new Run();
    const step = (next: Step): void => expect(run.take(next)).toBeNull();
    for (const plan of sales) step({ do: "add", sale: plan });
    for (const line of lines) {
      if (line[0] === "settle") {
        step({ do: "settle", saleId: line[1] });
        continue;
      }
      const [at, command, told] = line;
      step({ do: "decide", at, command });
      expect(lastTold(run)).toMatchObject(typeof told === "string" ? { word: told } : told);
    }
    step({ do: "look", at: epoch.now });
  });
}

function lastTold({ told }: Run): Facts {
  if (told === null) throw new Error("nothing was answered");
  const retryAt = "retryAt" in told ? told.retryAt : null;
  return { ...factsOf(told), word: told.word, retryAt };
}

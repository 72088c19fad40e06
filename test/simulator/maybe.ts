/** Answers of which more than one may be right, and figures between two bounds. */
import type { Buyer } from "../../src/ledger/buyers.ts";

/** Surely not, surely, or perhaps: the answers that may be right. */
export type Maybe = readonly boolean[];
export const surely: Maybe = [true];
export const surelyNot: Maybe = [false];
export const perhaps: Maybe = [true, false];

/** An answer that is right; of `again` the code too. */
export type Answer = { readonly word: string; readonly code?: string };

/** Words that say nothing of whether there is such a sale. */
export const isOfAnySale = new Set(["sale_not_found", "idempotency_key_reused", "reserved_again"]);

export const wordIs = (
  { word }: { readonly word: string },
  right: readonly string[],
): string | null => (right.includes(word) ? null : `right would be ${right.join(" or ")}`);

/** Whether a figure is `value`. */
export const between = (
  { min, max }: { readonly min: number; readonly max: number },
  value: number,
): Maybe => (max <= value ? surely : min <= value ? perhaps : surelyNot);

export const keyName = ({ kind, userId }: Buyer, key: string): string =>
  JSON.stringify([kind, userId, key]);

/**
 * What a code is for whoever asks: a reservation on the books, something of the past, or nothing. A
 * code that somebody proven was given is nobody else's; to others it was never given.
 */
import { isProven, sameBuyer, type Buyer } from "./buyers.ts";
import type {
  ArchivedCode,
  CodeUser,
  Extend,
  CodeLookup,
  Purchase,
  Release,
  Unit,
} from "./commands.ts";
import type { LedgerState, Reservation, SaleState } from "./state.ts";

/** A code as the ledger or the records know it. */
type Known =
  /** On the books, or sold. */
  | { readonly is: "held"; readonly of: Reservation; readonly sale: SaleState }
  /** Not on the books any more. `sale`: null when it is settled. */
  | {
      readonly is: "past";
      readonly of: ArchivedCode;
      readonly sale: SaleState | null;
      readonly unit: Unit;
    };

type Asked = Purchase | Release | Extend;

/** What a code is for whoever asks; `null` for none, `look_up` when the records have to be asked. */
export function knownCode(state: LedgerState, asked: Asked): Known | "look_up" | null {
  const { code, lookup } = asked;
  const by = asked.kind === "extend" ? "merchant" : asked.by;
  const held = state.codes.get(code);
  if (held !== undefined) {
    if (!mayUse(held.buyer, by) || !isOf(held.sale.terms.id, asked)) return null;
    return { is: "held", of: held, sale: held.sale };
  }
  const found = pastCode(state, code, lookup);
  if (found === "look_up" || found === null) return found;
  if (!mayUse(found.buyer, by) || !isOf(found.saleId, asked)) return null;
  const sale = state.sales.get(found.saleId) ?? null;
  const { saleId, itemId, buyer, reservedAt, sold } = found;
  return {
    is: "past",
    of: found,
    sale,
    unit: { code, saleId, itemId, buyer, expiresAt: reservedAt, sold },
  };
}

/** A code that was proven is its owner's; one that a guest was given is whoever's has it. */
const mayUse = (buyer: Buyer, by: CodeUser): boolean =>
  by === "merchant" || !isProven(buyer) || (by !== null && sameBuyer(buyer, by));

/** A code is looked for in the sale that it is said to be of. */
const isOf = (saleId: number, asked: Asked): boolean =>
  asked.kind !== "release" || asked.saleId === null || asked.saleId === saleId;

function pastCode(
  state: LedgerState,
  code: string,
  lookup: CodeLookup | null,
): ArchivedCode | "look_up" | null {
  const ended = state.ended.get(code);
  if (ended !== undefined) return ended.of;
  // What was read before something was forgotten here may not say how it ended.
  return lookup === null || lookup.upTo < state.endedUpTo ? "look_up" : lookup.found;
}

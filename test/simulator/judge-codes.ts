/** What may be answered to somebody who has a code: a purchase, a release, an extension. */
import { isProven, sameBuyer } from "../../src/ledger/buyers.ts";
import type {
  CodeUser,
  Extend,
  ExtendOutcome,
  Purchase,
  PurchaseOutcome,
  RecordsNeeded,
  Release,
  ReleaseOutcome,
} from "../../src/ledger/commands.ts";
import type { History, Known } from "./history.ts";
import { surely, surelyNot, wordIs } from "./maybe.ts";

/** The longest extension, ms. */
const quarter = 15 * 60_000;

export function judgePurchase(
  history: History,
  command: Purchase,
  outcome: Exclude<PurchaseOutcome, RecordsNeeded>,
): string | null {
  const now = history.at;
  const known = history.codes.get(command.code);
  if (known === undefined || !mayUse(known, command.by)) {
    return wordIs(outcome, history.unknown(command.code, "sale_ended"));
  }
  const { sale, itemId, buyer } = known;
  if (known.sold !== null) {
    return wordIs(outcome, ["purchased_again"]) ?? history.sameUnit(outcome.of);
  }
  if (history.isOver(sale, now)) return wordIs(outcome, ["sale_ended"]);
  const price = command.expectedPriceCents;
  if (price !== null && price !== sale.prices[itemId - 1]) {
    return wordIs(outcome, ["price_changed"]);
  }
  const right = new Set<string>();
  for (const isLive of history.isLive(known, now)) {
    if (isLive) right.add("purchased");
    else if (known.released) right.add("code_expired");
    else {
      const free = history.free(sale, itemId, now, [known]);
      const held = history.held(sale, buyer, now, [known]);
      if (free.max > 0 && held.min < sale.limit) right.add("purchased");
      if (free.min < 1 || held.max >= sale.limit) right.add("code_expired");
    }
  }
  const wrong = wordIs(outcome, [...right]) ?? history.sameUnit(outcome.of, true);
  if (wrong !== null || outcome.word !== "purchased") return wrong;
  if (known.sale.stock[itemId - 1] === history.goneOf(sale.id, itemId)) return "none is left";
  return history.sell(known, outcome.of);
}

export function judgeRelease(
  history: History,
  command: Release,
  outcome: Exclude<ReleaseOutcome, RecordsNeeded>,
): string | null {
  const known = history.codes.get(command.code);
  if (
    known === undefined ||
    !mayUse(known, command.by) ||
    (command.saleId !== null && command.saleId !== known.sale.id)
  ) {
    return wordIs(outcome, history.unknown(command.code, "released_again"));
  }
  if (known.sold !== null) return wordIs(outcome, ["already_purchased"]);
  if (known.released) return wordIs(outcome, ["released_again"]);
  const right = history.isForgotten(known.sale) ? ["released", "released_again"] : ["released"];
  const wrong = wordIs(outcome, right);
  if (wrong !== null || outcome.word !== "released") return wrong;
  if (history.isLive(known, history.at) !== surelyNot) known.releasedAt = history.at;
  known.released = true;
  history.waiting.close(known.sale.id, known.code);
  return null;
}

export function judgeExtend(
  history: History,
  { code, ms }: Extend,
  outcome: Exclude<ExtendOutcome, RecordsNeeded>,
): string | null {
  const now = history.at;
  const known = history.codes.get(code);
  if (known === undefined) return wordIs(outcome, history.unknown(code, "sale_ended"));
  if (known.sold !== null) return wordIs(outcome, ["already_purchased"]);
  if (history.isOver(known.sale, now)) return wordIs(outcome, ["sale_ended"]);
  if (known.released) return wordIs(outcome, ["code_expired"]);
  const live = history.isLive(known, now);
  const right: string[] = [];
  const isFree = history.free(known.sale, known.itemId, now, [known]).max > 0;
  const isUnder = history.held(known.sale, known.buyer, now, [known]).min < known.sale.limit;
  if (live !== surelyNot || (isFree && isUnder)) right.push("extended");
  // What has run out is gone when somebody has had its unit since, or its buyer its place.
  if (live !== surely && wasFollowed(history, known)) right.push("code_expired");
  const wrong = wordIs(outcome, right) ?? history.sameUnit(outcome.of);
  if (wrong !== null || outcome.word !== "extended") return wrong;
  const before = live === surelyNot ? now : known.due;
  const asked = now + Math.min(ms, quarter);
  const latest = Math.max(before, asked);
  const soonest = live === surely ? latest : asked;
  if (outcome.due < soonest || outcome.due > latest) return `it is due at ${outcome.due}`;
  if (outcome.of.expiresAt !== Math.min(outcome.due, known.sale.endsAt))
    return `it ends at ${outcome.of.expiresAt}`;
  known.due = outcome.due;
  known.saidAt = now;
  known.wasInDoubt ||= known.isInDoubt;
  known.isInDoubt = false;
  return null;
}

/** Whether anything was given or sold since to its buyer, or of its item. */
function wasFollowed(history: History, { seq, sale, itemId, buyer }: Known): boolean {
  return history
    .of(sale.id)
    .filter((other) => other.itemId === itemId || sameBuyer(other.buyer, buyer))
    .some((other) => other.seq > seq || (other.sold !== null && other.sold.seq > seq));
}

function mayUse({ buyer }: Known, by: CodeUser): boolean {
  if (by === "merchant") return true;
  return !isProven(buyer) || (by !== null && sameBuyer(buyer, by));
}

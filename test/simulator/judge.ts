/** Judges an attempt by the contract: each command by the module of its subject. */
import type {
  BuyOutcome,
  ChangeCouponOutcome,
  ChangeQueueOutcome,
  ChangeSale,
  ChangeSaleOutcome,
  CheckoutOutcome,
  ClaimOutcome,
  Command,
  CreateCouponOutcome,
  ExtendOutcome,
  JoinOutcome,
  OfferOutcome,
  Outcome,
  PurchaseOutcome,
  RecordsNeeded,
  RefundOutcome,
  ReleaseOutcome,
  RemoveCouponOutcome,
  Restock,
  RestockOutcome,
  WaitlistJoinOutcome,
  WaitlistLeaveOutcome,
  Withdraw,
  WithdrawOutcome,
} from "../../src/ledger/commands.ts";
import type { History } from "./history.ts";
import { judgeCheckout } from "./judge-checkouts.ts";
import { judgeExtend, judgePurchase, judgeRelease } from "./judge-codes.ts";
import {
  judgeChangedCoupon,
  judgeClaim,
  judgeCreatedCoupon,
  judgeRemovedCoupon,
} from "./judge-coupons.ts";
import { judgeBuy, judgeRefund } from "./judge-orders.ts";
import { judgeChangedQueue, judgeJoin } from "./judge-queues.ts";
import { judgeOffer, judgeWaitlistJoin, judgeWaitlistLeave, owedTo } from "./judge-waiting.ts";
import { wordIs } from "./maybe.ts";

export function judge(
  history: History,
  command: Command,
  outcome: Exclude<Outcome, RecordsNeeded>,
): string | null {
  // What is noted of a sale takes nothing from who waits.
  const isUnasked = command.kind === "offer" || command.kind === "milestone";
  const owed = isUnasked ? null : owedTo(history);
  if (owed !== null) return owed;
  // The ledger answers a command with one of its own outcomes.
  switch (command.kind) {
    case "checkout":
      return judgeCheckout(history, command, outcome as CheckoutOutcome);
    case "purchase":
      return judgePurchase(history, command, outcome as Exclude<PurchaseOutcome, RecordsNeeded>);
    case "release":
      return judgeRelease(history, command, outcome as Exclude<ReleaseOutcome, RecordsNeeded>);
    case "extend":
      return judgeExtend(history, command, outcome as Exclude<ExtendOutcome, RecordsNeeded>);
    case "buy":
      return judgeBuy(history, command, outcome as BuyOutcome);
    case "refund":
      return judgeRefund(history, command, outcome as Exclude<RefundOutcome, RecordsNeeded>);
    case "change_sale":
      return judgeChangedSale(history, command, outcome as ChangeSaleOutcome);
    case "join":
      return judgeJoin(history, command, outcome as JoinOutcome);
    case "change_queue":
      return judgeChangedQueue(history, command, outcome as ChangeQueueOutcome);
    case "restock":
      return judgeRestocked(history, command, outcome as RestockOutcome);
    case "withdraw":
      return judgeWithdrawn(history, command, outcome as WithdrawOutcome);
    case "milestone":
      return history.lives.judge(history, command);
    case "waitlist_join":
      return judgeWaitlistJoin(history, command, outcome as WaitlistJoinOutcome);
    case "waitlist_leave":
      return judgeWaitlistLeave(history, command, outcome as WaitlistLeaveOutcome);
    case "offer":
      return judgeOffer(history, command, outcome as OfferOutcome);
    case "create_coupon":
      return judgeCreatedCoupon(history, command, outcome as CreateCouponOutcome);
    case "change_coupon":
      return judgeChangedCoupon(history, command, outcome as ChangeCouponOutcome);
    case "remove_coupon":
      return judgeRemovedCoupon(history, command, outcome as RemoveCouponOutcome);
    case "claim":
      return judgeClaim(history, command, outcome as Exclude<ClaimOutcome, RecordsNeeded>);
    default:
      return command satisfies never;
  }
}

function judgeChangedSale(
  history: History,
  { saleId, opens, endsAt }: ChangeSale,
  outcome: ChangeSaleOutcome,
): string | null {
  const now = history.at;
  const sale = history.sales.get(saleId);
  if (sale === undefined) return wordIs(outcome, ["sale_not_found"]);
  if (history.isOver(sale, now)) return wordIs(outcome, ["sale_ended"]);
  if (opens && now >= sale.startsAt) return wordIs(outcome, ["sale_opened"]);
  if (endsAt === "now" && now < sale.startsAt) return wordIs(outcome, ["sale_not_open"]);
  const startsAt = opens ? now : sale.startsAt;
  const wanted = endsAt ?? sale.endsAt;
  if (wanted !== "now" && wanted <= Math.max(now, startsAt))
    return wordIs(outcome, ["end_not_later"]);
  const wrong = wordIs(outcome, ["sale_changed"]);
  if (wrong !== null || outcome.word !== "sale_changed") return wrong;
  if (outcome.startsAt !== startsAt) return "it begins at another time";
  if (outcome.closed !== (wanted === "now")) return "it was closed, or was not";
  if (wanted !== "now" && outcome.endsAt !== wanted) return "it ends at another time";
  // Before the time was set back it may have been.
  if (sale.lastSaleAt >= outcome.endsAt && sale.lastSaleAt <= now) {
    return "something was sold after its end";
  }
  Object.assign(sale, { startsAt, endsAt: outcome.endsAt, closed: outcome.closed });
  return null;
}

function judgeWithdrawn(
  history: History,
  { saleId }: Withdraw,
  outcome: WithdrawOutcome,
): string | null {
  const now = history.at;
  const sale = history.sales.get(saleId);
  if (sale === undefined) return wordIs(outcome, ["sale_not_found"]);
  const hasOpened = sale.closed || now >= sale.startsAt;
  // Where the clock went back somebody may have had something of it, and have it still.
  const mayHave = history.of(saleId).length + history.waiting.lines(saleId).length > 0;
  const right = [
    ...(hasOpened ? [] : ["withdrawn"]),
    ...(hasOpened || mayHave ? ["sale_opened"] : []),
  ];
  if (!history.isThere(sale)) right.push("sale_not_found");
  const wrong = wordIs(outcome, right);
  if (wrong !== null || outcome.word !== "withdrawn") return wrong;
  if (history.soldIn(saleId).length > 0) return "something of it is sold";
  history.withdraw(saleId);
  return null;
}

function judgeRestocked(
  history: History,
  { saleId, itemId, units }: Restock,
  outcome: RestockOutcome,
): string | null {
  const now = history.at;
  const sale = history.sales.get(saleId);
  if (sale === undefined) return wordIs(outcome, ["sale_not_found"]);
  const before = sale.stock[itemId - 1] ?? 0;
  if (before === 0) {
    // What is long over has no items any more.
    return wordIs(outcome, [
      "item_not_found",
      ...(history.isForgotten(sale) ? ["sale_ended"] : []),
    ]);
  }
  if (history.isOver(sale, now)) return wordIs(outcome, ["sale_ended"]);
  if (!history.isOpen(sale, now)) return wordIs(outcome, ["sale_not_open"]);
  const wrong = wordIs(outcome, ["restocked"]);
  if (wrong !== null || outcome.word !== "restocked") return wrong;
  if (outcome.before !== before || outcome.after !== before + units) return "it has other units";
  sale.stock = sale.stock.with(itemId - 1, before + units);
  return null;
}

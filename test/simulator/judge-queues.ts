/** What may be answered to somebody who joins a queue, and to an administrator who sets its rate. */
import { isProven } from "../../src/ledger/buyers.ts";
import type {
  ChangeQueue,
  ChangeQueueOutcome,
  Join,
  JoinOutcome,
  NotAdmitted,
} from "../../src/ledger/commands.ts";
import type { History, KnownSale } from "./history.ts";
import { wordIs } from "./maybe.ts";
import {
  admittedUpTo,
  isSoldOut,
  latestOf,
  standingsOf,
  ticketWrong,
  type KnownQueue,
} from "./queues.ts";

export function judgeJoin(history: History, command: Join, outcome: JoinOutcome): string | null {
  const { sale: saleId, buyer, ticket, key } = command;
  const sale = saleId === "unknown" ? undefined : history.sales.get(saleId);
  if (sale === undefined) return wordIs(outcome, ["sale_not_found"]);
  if (outcome.word !== "sale_not_found") sale.isSeen = true;
  const wrong = wordIs(outcome, [...new Set(rightJoins(history, command, sale))]);
  if (wrong !== null || sale.queue === null) return wrong;
  if (outcome.word !== "joined" && outcome.word !== "joined_again") return null;
  const { tickets } = sale.queue;
  const own = latestOf(sale.queue, buyer);
  if (outcome.word === "joined") {
    if (outcome.ticket.ticket !== ticket) return "it is another ticket";
    if (outcome.supersedes !== (own === 0 ? null : own)) return "it supersedes another one";
    tickets.push({ ticket, buyer, key, joinedAt: history.at });
    if (outcome.ticket.number !== tickets.length) return `it has number ${outcome.ticket.number}`;
  } else if (outcome.ticket.number !== own) return "it is not the buyer's last";
  return ticketWrong(history, sale, outcome.ticket, history.at);
}

function rightJoins(history: History, { buyer, key }: Join, sale: KnownSale): string[] {
  const now = history.at;
  const right = history.isThere(sale) ? [] : ["sale_not_found"];
  if (sale.kind === "product" && !isProven(buyer)) return [...right, "unauthenticated"];
  // What is long over has no queue any more.
  if (history.isForgotten(sale)) right.push("sale_not_open");
  const { queue } = sale;
  if (queue === null) return [...right, "no_queue"];
  const own = latestOf(queue, buyer);
  const isSame = key !== null && own > 0 && queue.tickets[own - 1]?.key === key;
  if (isSame) return [...right, "joined_again"];
  const standings = own === 0 ? [] : standingsOf(history, sale, own, now);
  if (standings.some(({ state }) => state !== "passed"))
    right.push(isProven(buyer) ? "joined_again" : "already_joined");
  if (own > 0 && !standings.some(({ state }) => state === "passed")) return right;
  if (history.isOver(sale, now)) return [...right, "sale_not_open"];
  return [...right, isSoldOut(history, sale) ? "sold_out" : "joined"];
}

export function judgeChangedQueue(
  history: History,
  { saleId, admitPerSecond, paused }: ChangeQueue,
  outcome: ChangeQueueOutcome,
): string | null {
  const sale = history.sales.get(saleId);
  if (sale === undefined) return wordIs(outcome, ["sale_not_found"]);
  const right = history.isThere(sale) ? [] : ["sale_not_found"];
  if (history.isForgotten(sale)) right.push("sale_ended");
  const { queue } = sale;
  if (queue === null) return wordIs(outcome, [...right, "no_queue"]);
  const isOver = history.isOver(sale, history.at);
  const wrong = wordIs(outcome, [...right, isOver ? "sale_ended" : "queue_changed"]);
  if (wrong !== null || outcome.word !== "queue_changed") return wrong;
  const before = rateOf(queue);
  if (!Bun.deepEquals(outcome.before, before)) return "the rate before was another one";
  const after = {
    admitPerSecond: admitPerSecond ?? before.admitPerSecond,
    paused: paused ?? before.paused,
  };
  const { admitPerSecond: perSecond, paused: isPaused } = outcome;
  if (perSecond !== after.admitPerSecond || isPaused !== after.paused) return "it is another rate";
  const joined = queue.tickets.length;
  queue.rates.push({ at: history.at, perSecond, paused: isPaused, joined });
  return null;
}

export function rateOf({ rates }: KnownQueue) {
  const last = rates.at(-1);
  return { admitPerSecond: last?.perSecond ?? 0, paused: last?.paused ?? false };
}

/** What is wrong with how somebody is turned away. */
export function turnedAwayWrong(
  history: History,
  { saleId, ahead, retryMs }: NotAdmitted,
  asked: { readonly buyer: Join["buyer"]; readonly ticket?: string | null },
): string | null {
  const sale = history.sales.get(saleId);
  if (sale?.queue == null) return "it is of no queue";
  if (retryMs < 1) return "it is to be tried before";
  const { queue } = sale;
  const now = history.at;
  const own = latestOf(queue, asked.buyer);
  if (own === 0 || queue.tickets[own - 1]?.ticket !== asked.ticket)
    return ahead === null ? null : "it says how many are before somebody else";
  const right = standingsOf(history, sale, own, now).map((standing) =>
    standing.state === "passed"
      ? queue.tickets.length - admittedUpTo(queue, sale.startsAt, now)
      : standing.ahead,
  );
  return right.includes(ahead) ? null : `${ahead} are ahead, right would be ${right.join(" or ")}`;
}

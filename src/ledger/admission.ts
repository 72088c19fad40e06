/**
 * Who may reserve in a sale with a queue: the rules of joining it, of a ticket's life, and of who is
 * turned away.
 *
 *   waiting ──► admitted ──► passed        closed: the sale is sold out, or over
 *
 * A ticket is let in when its turn has come. Its pass ends after the sale's time without a live
 * reservation or a purchase, or when its buyer has bought the limit. All of it follows from what is
 * on the books and from the time.
 */
import { isProven, type Buyer } from "./buyers.ts";
import type {
  ChangeQueue,
  ChangeQueueOutcome,
  Join,
  JoinOutcome,
  NotAdmitted,
  TicketState,
} from "./commands.ts";
import { expire } from "./lapses.ts";
import { ticketsMax, type Queue } from "./queue.ts";
import { rateChangesMax } from "./queue-commands.ts";
import { isSoldOut } from "./refusals.ts";
import { holderOf, isOver, type LedgerState, type SaleState } from "./state.ts";

/** A sale with a queue. */
export type QueuedSale = SaleState & { readonly queue: Queue };

export const hasQueue = (sale: SaleState): sale is QueuedSale => sale.queue !== null;

/** Nobody is to wait for it any more. */
export const isQueueClosed = (sale: SaleState, now: number): boolean =>
  isOver(sale, now) || isSoldOut(sale);

/** Who waits for what nobody can tell asks again after so long, ms. */
const askAgainMs = 1_000;
/** … and after so long while nobody is let in. */
const pausedAskAgainMs = 5_000;

export function decideJoin(state: LedgerState, command: Join, now: number): JoinOutcome {
  const { buyer, key } = command;
  if (command.sale === "unknown") return { word: "sale_not_found", saleId: null };
  const saleId = command.sale;
  const sale = state.sales.get(saleId);
  const settled = state.settled.get(saleId);
  if (sale === undefined && settled === undefined) return { word: "sale_not_found", saleId };
  if (sale !== undefined) {
    sale.attempts += 1;
    expire(sale, now);
  }
  const access = sale?.terms.access ?? settled?.access;
  if (access === "proven" && !isProven(buyer)) return { word: "unauthenticated", saleId };
  if (sale === undefined) return { word: "sale_not_open", saleId, opensAt: null };
  if (!hasQueue(sale)) return { word: "no_queue", saleId };
  const { tickets } = sale.queue;
  const own = tickets.ofBuyer(buyer);
  if (own !== 0) {
    const isSame = key !== null && tickets.keyOf(own) === key;
    const ticket = ticketAt(sale, own, now);
    if (isSame || (isProven(buyer) && ticket.state !== "passed")) {
      return { word: "joined_again", saleId, ticket };
    }
    if (ticket.state !== "passed") return { word: "already_joined", saleId };
  }
  if (isOver(sale, now)) return { word: "sale_not_open", saleId, opensAt: null };
  if (isSoldOut(sale)) return { word: "sold_out", saleId };
  if (tickets.count >= ticketsMax) return { word: "queue_full", saleId };

  // From here on nothing can be refused.
  const number = sale.queue.join(command, now);
  sale.changes += 1;
  const supersedes = own === 0 ? null : own;
  const { ticket } = command;
  return {
    word: "joined",
    saleId,
    ticket: standing(sale, number, { ticket, buyer }, now),
    supersedes,
  };
}

export function decideChangeQueue(
  state: LedgerState,
  { saleId, ...change }: ChangeQueue,
  now: number,
): ChangeQueueOutcome {
  const sale = state.sales.get(saleId);
  if (sale === undefined) {
    return { word: state.settled.has(saleId) ? "sale_ended" : "sale_not_found", saleId };
  }
  sale.attempts += 1;
  expire(sale, now);
  if (!hasQueue(sale)) return { word: "no_queue", saleId };
  if (isOver(sale, now)) return { word: "sale_ended", saleId };
  const { queue } = sale;
  if (queue.changes.length >= rateChangesMax) return { word: "too_many_changes", saleId };

  // From here on nothing can be refused.
  const before = queue.rate;
  const admitPerSecond = change.admitPerSecond ?? before.admitPerSecond;
  const paused = change.paused ?? before.paused;
  queue.change({ admitPerSecond, paused }, now);
  sale.changes += 1;
  return { word: "queue_changed", saleId, admitPerSecond, paused, before };
}

/** Why a buyer may not reserve in a sale that is open; null when they may. */
export function barred(
  sale: SaleState,
  buyer: Buyer,
  ticket: string | null,
  now: number,
): NotAdmitted | null {
  if (!hasQueue(sale)) return null;
  const { queue } = sale;
  const saleId = sale.terms.id;
  const own = ticket === null ? 0 : queue.tickets.ofBuyer(buyer);
  if (own === 0 || queue.tickets.ticketOf(own) !== ticket) {
    return {
      word: "not_admitted",
      saleId,
      ahead: null,
      retryMs: waitOf(queue, joinedOf(queue) + 1, now),
    };
  }
  const { state, rank, ahead } = ticketAt(sale, own, now);
  if (state === "admitted") return null;
  // Whoever has let a pass end may join again, behind everybody.
  const next = state === "passed" ? joinedOf(queue) + 1 : rank;
  const before = state === "passed" ? joinedOf(queue) - queue.admittedUpTo(now) : ahead;
  return { word: "not_admitted", saleId, ahead: before, retryMs: waitOf(queue, next, now) };
}

/**
 * Why a buyer may not wait for what comes free; null when they may. Whose turn has come once may,
 * whatever became of their pass: who waits is not in the way of who is let in.
 */
export function barredFromWaiting(sale: SaleState, buyer: Buyer, now: number): NotAdmitted | null {
  if (!hasQueue(sale)) return null;
  const { queue } = sale;
  const own = queue.tickets.ofBuyer(buyer);
  const ranks = queue.ranks(now);
  const rank = own === 0 || ranks === null ? null : (ranks[own - 1] ?? own);
  const admitted = queue.admittedUpTo(now);
  if (rank !== null && rank <= admitted) return null;
  const ahead = rank === null ? null : rank - 1 - admitted;
  return {
    word: "not_admitted",
    saleId: sale.terms.id,
    ahead,
    retryMs: waitOf(queue, rank, now),
  };
}

const joinedOf = ({ tickets }: Queue): number => tickets.count;

function waitOf(queue: Queue, rank: number | null, now: number): number {
  if (rank === null || queue.ranks(now) === null) return askAgainMs;
  const at = queue.roomFor(rank);
  return at === null ? pausedAskAgainMs : Math.max(askAgainMs, at - now);
}

/** Where the ticket of a number stands. */
export function ticketAt(sale: QueuedSale, number: number, now: number): TicketState {
  const { tickets } = sale.queue;
  return standing(
    sale,
    number,
    { ticket: tickets.ticketOf(number), buyer: tickets.buyerOf(number) },
    now,
  );
}

function standing(
  sale: QueuedSale,
  number: number,
  { ticket, buyer }: Pick<TicketState, "ticket" | "buyer">,
  now: number,
): TicketState {
  const ranks = sale.queue.ranks(now);
  const rank = ranks === null ? null : (ranks[number - 1] ?? number);
  const of = { ticket, number, buyer, rank };
  const nowhere = { ahead: null, etaMs: null, expiresAt: null };
  // The sale may be closed before it opens.
  if (isQueueClosed(sale, now)) return { ...of, ...nowhere, state: "closed" };
  if (rank === null) return { ...of, ...nowhere, state: "waiting" };
  const admitted = sale.queue.admittedUpTo(now);
  const room = sale.queue.roomFor(rank);
  if (rank > admitted) {
    const etaMs = room === null ? null : Math.max(0, room - now);
    return { ...of, state: "waiting", ahead: rank - 1 - admitted, etaMs, expiresAt: null };
  }
  const expiresAt = passEndOf(sale, number, buyer, room ?? now);
  if (expiresAt !== null && expiresAt <= now) return { ...of, ...nowhere, state: "passed" };
  return { ...of, state: "admitted", ahead: 0, etaMs: 0, expiresAt };
}

/** When the pass of a ticket ends, or has; null while a reservation lives. */
function passEndOf(sale: QueuedSale, number: number, buyer: Buyer, letInAt: number): number | null {
  const { tickets } = sale.queue;
  // Who has joined again has another one.
  if (tickets.ofBuyer(buyer) !== number) return 0;
  const holder = holderOf(sale, buyer);
  if (holder !== undefined && holder.bought >= sale.terms.perUserLimit) return 0;
  if (holder !== undefined && holder.live > 0) return null;
  const { entry } = sale.terms;
  const ttl = entry.kind === "queue" ? entry.passTtlMs : 0;
  return Math.max(letInAt, tickets.joinedAt(number), tickets.activeAt(number)) + ttl;
}

/** What has become of those who were let in. */
export type QueueProgress = {
  /** Buyers who own something. */
  readonly bought: number;
  /** … and others who hold something. */
  readonly holding: number;
  /** Tickets of which the pass has ended without a purchase. */
  readonly givenUp: number;
};

/** In proportion to those who have something. */
export function progressOf(sale: QueuedSale, now: number): QueueProgress {
  const { queue, terms } = sale;
  const { tickets } = queue;
  const ttl = terms.entry.kind === "queue" ? terms.entry.passTtlMs : 0;
  const ranks = queue.ranks(now);
  if (ranks === null) return { bought: 0, holding: 0, givenUp: 0 };
  // Of these the pass has ended, but for those who have used it since.
  const ended = queue.letInBy(now - ttl);
  const isKept = (number: number): boolean =>
    number > 0 && (ranks[number - 1] ?? number) <= ended && tickets.joinedAt(number) <= now - ttl;
  let [bought, holding, kept] = [0, 0, 0];
  const having = new Set<number>();
  for (const kind of ["guest", "account", "customer"] as const) {
    for (const [userId, holder] of sale.holders[kind]) {
      if (holder.bought > 0) bought += 1;
      else if (holder.live > 0) holding += 1;
      else continue;
      const own = tickets.ofBuyer({ kind, userId });
      having.add(own);
      if (isKept(own)) kept += 1;
    }
  }
  for (const [number] of tickets.activeAfter(now - ttl)) {
    const isLast = tickets.ofBuyer(tickets.buyerOf(number)) === number;
    if (isLast && !having.has(number) && isKept(number)) kept += 1;
  }
  return { bought, holding, givenUp: ended - kept };
}

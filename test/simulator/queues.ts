/**
 * What the contract says of a queue (section 8), as a model: who has joined, how they are drawn, how
 * far it is let in, and where a ticket stands. All of it is reckoned anew each time somebody asks.
 */
import { sameBuyer, type Buyer } from "../../src/ledger/buyers.ts";
import type { TicketState } from "../../src/ledger/commands.ts";
import type { Entry } from "../../src/ledger/queue.ts";
import type { NotedDraw } from "../../src/store/queues.ts";
import type { History, KnownSale } from "./history.ts";
import { sum } from "./lists.ts";

type KnownTicket = {
  readonly ticket: string;
  readonly buyer: Buyer;
  readonly key: string | null;
  readonly joinedAt: number;
};

type KnownRate = {
  readonly at: number;
  readonly perSecond: number;
  readonly paused: boolean;
  /** How many had joined when it was set. */
  readonly joined: number;
};

export type KnownQueue = {
  readonly passTtlMs: number;
  readonly seed: string;
  /** In the order of joining. */
  readonly tickets: KnownTicket[];
  readonly rates: KnownRate[];
  /** Of those who were drawn, once it is noted what came of it. */
  ranks: readonly number[] | null;
};

/** @param seed what it is drawn by; null: it has none */
export function queueOf(entry: Entry, seed: string | null): KnownQueue | null {
  if (entry.kind === "open" || seed === null) return null;
  const { admitPerSecond: perSecond, passTtlMs } = entry;
  const rates = [{ at: -Infinity, perSecond, paused: false, joined: 0 }];
  return { passTtlMs, seed, tickets: [], rates, ranks: null };
}

const sha256 = (text: string): string => new Bun.CryptoHasher("sha256").update(text).digest("hex");

/** How many joined before the opening. */
export function gatheredIn({ tickets }: KnownQueue, startsAt: number): number {
  const late = tickets.findIndex(({ joinedAt }) => joinedAt >= startsAt);
  return late < 0 ? tickets.length : late;
}

/** The draw of the first tickets, as a stranger reckons it. */
export function drawOf({ seed, tickets }: KnownQueue, count: number) {
  const entries = tickets.slice(0, count).map(({ ticket }) => sha256(ticket));
  const entriesDigest = sha256(entries.map((entry) => `${entry}\n`).join(""));
  const keys = entries.map((entry) => sha256(`${seed}:${entriesDigest}:${entry}`));
  const sorted = keys.toSorted();
  return { entriesDigest, ranks: keys.map((key) => sorted.indexOf(key) + 1) };
}

/** What is wrong with a draw that was noted; from then on it holds. */
export function takeDraw(history: History, sale: KnownSale, noted: NotedDraw): string | null {
  const { queue } = sale;
  if (queue === null) return "a sale without a queue was drawn";
  const gathered = gatheredIn(queue, sale.startsAt);
  const { entriesDigest, ranks } = drawOf(queue, noted.drawn);
  queue.ranks = ranks;
  if (noted.entriesDigest !== entriesDigest) return "it was drawn from other entries";
  // A clock may have gone back to before the opening, and some have joined since.
  const isRight = noted.drawn === gathered || (history.hasGoneBack && noted.drawn < gathered);
  return isRight ? null : `${noted.drawn} were drawn, and ${gathered} had joined`;
}

/** From the opening on, so many thousandths have been let in at each of these times, and since. */
function rooms({ rates }: KnownQueue, startsAt: number, until: number) {
  let room = 0;
  // What was set by a clock that was ahead holds when its time has come, unless it was set anew before.
  const held = rates.filter(
    ({ at }, i) => at <= until && rates.slice(i + 1).every((later) => later.at >= at),
  );
  return held.map(({ at, perSecond, paused, joined }, index) => {
    const from = Math.max(at, startsAt);
    // It stands: nobody who comes then is let in by what others have left.
    if (paused) room = Math.min(room, joined * 1_000);
    const before = room;
    const gain = paused ? 0 : perSecond;
    room += Math.max(0, Math.min(held[index + 1]?.at ?? until, until) - from) * gain;
    return { from, before, gain, after: room };
  });
}

export function admittedUpTo(queue: KnownQueue, startsAt: number, now: number): number {
  const room = rooms(queue, startsAt, now).at(-1)?.after ?? 0;
  return Math.min(queue.tickets.length, Math.floor(room / 1_000));
}

/** When there is room for a rank; null where nobody can tell, for it is paused. */
function turnOf(queue: KnownQueue, startsAt: number, rank: number): number | null {
  const needed = rank * 1_000;
  const stretch = rooms(queue, startsAt, Infinity).findLast(({ before }) => before < needed);
  if (stretch === undefined || stretch.gain === 0) return null;
  return stretch.from + Math.ceil((needed - stretch.before) / stretch.gain);
}

export const latestOf = (queue: KnownQueue, buyer: Buyer): number =>
  queue.tickets.findLastIndex((one) => sameBuyer(one.buyer, buyer)) + 1;

export const isSoldOut = (history: History, sale: KnownSale): boolean =>
  history.goneIn(sale.id).length === sum(sale.stock);

type Standing = Omit<TicketState, "ticket" | "number" | "buyer" | "expiresAt"> & {
  /** `any`: a clock that went back has made it uncertain. */
  readonly expiresAt: number | null | "any";
};

const nowhere = { ahead: null, etaMs: null, expiresAt: null } as const;

/** Where a ticket may stand, by what is known. */
export function standingsOf(
  history: History,
  sale: KnownSale,
  number: number,
  now: number,
): Standing[] {
  const { queue } = sale;
  if (queue === null) return [];
  return ranksOf(queue, sale.startsAt, number, now).flatMap((rank): Standing[] => {
    if (history.isOver(sale, now) || isSoldOut(history, sale))
      return [{ ...nowhere, state: "closed", rank }];
    if (rank === null) return [{ ...nowhere, state: "waiting", rank }];
    const admitted = admittedUpTo(queue, sale.startsAt, now);
    const turn = turnOf(queue, sale.startsAt, rank);
    if (rank <= admitted) return passesOf(history, sale, queue, { number, rank, turn, now });
    const etaMs = turn === null ? null : Math.max(0, turn - now);
    return [{ state: "waiting", rank, ahead: rank - 1 - admitted, etaMs, expiresAt: null }];
  });
}

/** Null is right until whoever is asked has drawn. */
function ranksOf(
  queue: KnownQueue,
  startsAt: number,
  number: number,
  now: number,
): (number | null)[] {
  if (now < startsAt) return [null];
  return queue.ranks === null ? [null] : [queue.ranks[number - 1] ?? number, null];
}

type LetIn = {
  readonly number: number;
  readonly rank: number;
  readonly turn: number | null;
  readonly now: number;
};

/** Of a ticket that was let in: whether its pass has ended. */
function passesOf(
  history: History,
  sale: KnownSale,
  queue: KnownQueue,
  { number, rank, turn, now }: LetIn,
): Standing[] {
  const of = queue.tickets[number - 1];
  const passed: Standing = { ...nowhere, state: "passed", rank };
  if (of === undefined || latestOf(queue, of.buyer) !== number) return [passed];
  const { own, bought } = history.held(sale, of.buyer, now);
  if (bought >= sale.limit) return [passed];
  const admitted = (expiresAt: Standing["expiresAt"]): Standing => ({
    state: "admitted",
    rank,
    ahead: 0,
    etaMs: 0,
    expiresAt,
  });
  const live = history.live(own, now);
  if (live.min > 0) return [admitted(null)];
  const active = own.map((known) => history.activeUntil(known));
  const isUncertain =
    live.max > 0 ||
    own.some(({ isInDoubt, wasInDoubt }) => isInDoubt || wasInDoubt) ||
    active.some((at) => at > now);
  if (isUncertain) return [admitted("any"), passed];
  const end = Math.max(turn ?? now, of.joinedAt, ...active) + queue.passTtlMs;
  if (end <= now) return [passed];
  // By a time that was told before it had ended, and a checkpoint may have been made then.
  return history.latest >= end ? [admitted("any"), passed] : [admitted(end)];
}

/** Whether a buyer may reserve, with the ticket that they show. */
export function admissionOf(
  history: History,
  sale: KnownSale,
  buyer: Buyer,
  ticket: string | null,
): readonly boolean[] {
  const { queue } = sale;
  if (queue === null) return [true];
  const own = latestOf(queue, buyer);
  if (own === 0 || queue.tickets[own - 1]?.ticket !== ticket) return [false];
  return standingsOf(history, sale, own, history.at).map(({ state }) => state === "admitted");
}

/** Whether a buyer may wait for what comes free: whose turn has come once, whatever became of their pass. */
export function mayWait(history: History, sale: KnownSale, buyer: Buyer): readonly boolean[] {
  const { queue, startsAt } = sale;
  if (queue === null) return [true];
  const own = latestOf(queue, buyer);
  if (own === 0) return [false];
  const admitted = admittedUpTo(queue, startsAt, history.at);
  return ranksOf(queue, startsAt, own, history.at).map((rank) => rank !== null && rank <= admitted);
}

/** What is wrong with what is said of a ticket; null when nothing is. */
export function ticketWrong(
  history: History,
  sale: KnownSale,
  said: TicketState,
  now: number,
): string | null {
  const of = sale.queue?.tickets[said.number - 1];
  if (of === undefined) return `nobody has ticket ${said.number}`;
  if (of.ticket !== said.ticket) return `ticket ${said.number} is another one`;
  if (!sameBuyer(of.buyer, said.buyer)) return `ticket ${said.number} is somebody else's`;
  const right = (sale.previous === null ? [sale] : [sale, sale.previous]).flatMap((as) =>
    standingsOf(history, as, said.number, now),
  );
  const { ticket: _ticket, number: _number, buyer: _buyer, ...standing } = said;
  const isRight = right.some(({ expiresAt, ...rest }) => {
    const { expiresAt: saidUntil, ...others } = standing;
    const isAsLong = expiresAt === "any" || expiresAt === saidUntil;
    return isAsLong && Bun.deepEquals(rest, others);
  });
  return isRight ? null : `it is ${JSON.stringify(standing)}, right is ${JSON.stringify(right)}`;
}

/** Queues as they are stored: who has joined, and how fast they are let in. */
import type { ISql } from "postgres";
import type { Buyer, BuyerKind } from "../ledger/buyers.ts";
import type { Entry } from "../ledger/queue.ts";
import type { CountedRate, RecordedTicket } from "../ledger/changes.ts";
import { DeposedError } from "./records.ts";

/** The queue of a sale to be stored. */
export type NewQueue = Omit<Entry & { readonly kind: "queue" }, "kind"> & {
  /** What it is drawn by: 32 random bytes, in hex. */
  readonly seed: string;
};

/** What is stored of a queue, or that there is none. */
export const queueColumns = (queue: NewQueue | undefined) =>
  queue === undefined
    ? ({ entry: "open", admitPerSecond: null, passTtlMs: null, seed: null } as const)
    : ({ entry: "queue", ...queue } as const);

/** SHA-256 of a seed's bytes, in hex. */
export const commitmentOf = (sql: ISql, seed: string | null) =>
  sql`encode(sha256(decode(${seed}::text, 'hex')), 'hex')`;

export const entryOf = (stored: {
  readonly entry: Entry["kind"];
  readonly admitPerSecond: number | null;
  readonly passTtlMs: number | null;
}): Entry => {
  const { entry: kind, admitPerSecond, passTtlMs } = stored;
  return kind === "open"
    ? { kind }
    : { kind, admitPerSecond: admitPerSecond ?? 0, passTtlMs: passTtlMs ?? 0 };
};

/** Tickets read at a time. */
const ticketRowsMax = 10_000;

type TicketRow = {
  sale_id: number;
  number: number;
  at: number;
  buyer: BuyerKind;
  user_id: string;
  ticket: string;
  idempotency_key: string | null;
};

/**
 * Who joined, up to an attempt: of each sale in the order of their numbers.
 * @param sales each with the ticket after which they are read
 */
export async function* joinedSince(
  sql: ISql,
  sales: readonly { readonly id: number; readonly after: number }[],
  upTo: number,
): AsyncGenerator<readonly RecordedTicket[]> {
  if (sales.length === 0) return;
  const ids = `{${sales.map(({ id }) => id).join(",")}}`;
  const after = `{${sales.map((sale) => sale.after).join(",")}}`;
  const rows = sql<TicketRow[]>`
    select t.sale_id, number, (extract(epoch from joined_at) * 1000)::float8 as at, buyer, user_id,
           ticket, idempotency_key
    from unnest(${ids}::int[], ${after}::int[]) as s (sale_id, after)
      join tickets t on t.sale_id = s.sale_id and t.number > s.after
    where t.seq <= ${upTo}::bigint
    order by t.sale_id, t.number`.cursor(ticketRowsMax);
  for await (const page of rows) {
    yield page.map((row) => ({
      saleId: row.sale_id,
      number: row.number,
      at: Math.round(row.at),
      buyer: { kind: row.buyer, userId: row.user_id },
      ticket: row.ticket,
      key: row.idempotency_key,
    }));
  }
}

/** The rates that were set after an attempt, in their order. */
export async function ratesSince(
  sql: ISql,
  ids: readonly number[],
  since: number,
): Promise<CountedRate[]> {
  const rows = await sql<
    {
      sale_id: number;
      at: number;
      admit_per_second: number;
      paused: boolean;
      joined: number | null;
    }[]
  >`
    select sale_id, (extract(epoch from changed_at) * 1000)::float8 as at, admit_per_second, paused,
           -- From the last one back, for it is a pause alone that asks for it.
           case when paused then coalesce((
             select number from tickets t
             where t.sale_id = queue_rates.sale_id and t.seq < queue_rates.seq
             order by number desc limit 1), 0) end as joined
    from queue_rates where sale_id = any(${`{${ids.join(",")}}`}::int[]) and seq > ${since}::bigint
    order by queue_rates.seq`;
  return rows.map(({ sale_id: saleId, at, admit_per_second: admitPerSecond, paused, joined }) => ({
    saleId,
    at: Math.round(at),
    admitPerSecond,
    paused,
    joined,
  }));
}

/** What came of a draw. */
export type NotedDraw = {
  /** In hex. */
  readonly entriesDigest: string;
  /** Those of these numbers, from 1. */
  readonly drawn: number;
};

type DrawRow = { seed: string; entries_digest: string | null; drawn: number | null };

/**
 * What a sale's queue is drawn by, and what came of it, if it was drawn; null without a queue. The
 * seed is to be told to nobody before it opens.
 */
export async function findDraw(
  sql: ISql,
  saleId: number,
): Promise<{ readonly seed: string; readonly noted: NotedDraw | null } | null> {
  const [row] = await sql<DrawRow[]>`
    select seed, entries_digest, drawn from draws where sale_id = ${saleId}`;
  return row === undefined ? null : { seed: row.seed, noted: notedDraw(row) };
}

const notedDraw = ({ entries_digest: entriesDigest, drawn }: Omit<DrawRow, "seed">) =>
  entriesDigest === null ? null : { entriesDigest, drawn: drawn ?? 0 };

/**
 * Notes what came of a draw, once.
 * @param seq the last attempt that is committed
 * @returns what is noted, by now or since before; null for a sale without a queue
 * @throws DeposedError when another leader's term has begun; nothing was noted
 */
export async function noteDraw(
  sql: ISql,
  epoch: number,
  saleId: number,
  { entriesDigest, drawn, seq }: NotedDraw & { readonly seq: number },
): Promise<NotedDraw | null> {
  const [row] = await sql<(Omit<DrawRow, "seed"> & { led: boolean })[]>`
    with term as materialized (
      select id from leader where id = 1 and epoch = ${epoch} for share
    ), noted as (
      update draws
      set entries_digest = ${entriesDigest}, drawn = ${drawn}::int, drawn_seq = ${seq}::bigint
      from term where sale_id = ${saleId} and entries_digest is null
      returning entries_digest, draws.drawn)
    select exists (select from term) as led, coalesce(n.entries_digest, d.entries_digest) as entries_digest,
           coalesce(n.drawn, d.drawn) as drawn
    from (select) as one left join draws d on d.sale_id = ${saleId} left join noted n on true`;
  if (row?.led !== true) throw new DeposedError("another leader has begun its term");
  return notedDraw(row);
}

/** Those who were drawn, in the order of their numbers. */
export async function* drawnTickets(
  sql: ISql,
  saleId: number,
  { drawn }: NotedDraw,
): AsyncGenerator<readonly string[]> {
  const rows = sql<{ ticket: string }[]>`
    select ticket from tickets where sale_id = ${saleId} and number <= ${drawn}
    order by number`.cursor(ticketRowsMax);
  for await (const page of rows) yield page.map(({ ticket }) => ticket);
}

/** How many joined a sale's queue, and at what rate it was let in last. */
export async function queueTotals(
  sql: ISql,
  saleId: number,
): Promise<{ joined: number; rate: { admitPerSecond: number; paused: boolean } | null }> {
  const [joined] = await sql<{ joined: number }[]>`
    select coalesce(max(number), 0)::int as joined from tickets where sale_id = ${saleId}`;
  const [rate] = await sql<{ admit_per_second: number; paused: boolean }[]>`
    select admit_per_second, paused from queue_rates
    where sale_id = ${saleId} order by queue_rates.seq desc limit 1`;
  return {
    joined: joined?.joined ?? 0,
    rate:
      rate === undefined ? null : { admitPerSecond: rate.admit_per_second, paused: rate.paused },
  };
}

/** Who has a ticket, and which: of a sale that nobody keeps in memory any more. */
export type PastTicket = Pick<RecordedTicket, "number" | "buyer" | "ticket">;

/**
 * A ticket as it was given; null where the sale has given none like it. No index has tickets, for
 * whoever joins would pay for it: all of the sale's are looked through.
 * @param ticket as a UUID is written
 */
export async function findTicket(
  sql: ISql,
  saleId: number,
  ticket: string,
): Promise<PastTicket | null> {
  const [row] = await sql<TicketRow[]>`
    select number, buyer, user_id, ticket from tickets
    where sale_id = ${saleId} and ticket = ${ticket}::uuid`;
  return row === undefined ? null : pastTicket(row);
}

/** The last ticket of a buyer in a sale; null for none. */
export async function lastTicketOf(
  sql: ISql,
  saleId: number,
  { kind, userId }: Buyer,
): Promise<PastTicket | null> {
  const [row] = await sql<TicketRow[]>`
    select number, buyer, user_id, ticket from tickets
    where user_id = ${userId} and sale_id = ${saleId} and buyer = ${kind}::buyer_kind
    order by number desc limit 1`;
  return row === undefined ? null : pastTicket(row);
}

const pastTicket = ({ number, buyer, user_id, ticket }: TicketRow): PastTicket => ({
  number,
  buyer: { kind: buyer, userId: user_id },
  ticket,
});

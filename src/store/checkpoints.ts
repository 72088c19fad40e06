/**
 * Checkpoints: where a sale stands, so that a restart need not read how it came there. What a
 * checkpoint says follows from the journal; without one, a restart reads the sale from its start.
 */
import type { Sql } from "postgres";
import { z } from "zod";
import type { Checkpoint, OpenReservation } from "../ledger/recorded.ts";
import { DeposedError } from "./records.ts";

/** Reservations written between two turns of the event loop. */
const reservationsPerTurn = 2_000;

/** A reservation as it is written: short, for there may be as many as a sale has units. */
const stored = z.tuple([
  z.int(),
  z.string(),
  z.int(),
  z.enum(["guest", "account", "customer"]),
  z.string(),
  z.int(),
  z.int(),
  z.string().nullable(),
  z.string().nullable(),
  // The attempt that extended it; earlier versions wrote none.
  z.int().nullable().optional(),
]);
const storedList = z.array(stored);

async function writeOpen(open: readonly OpenReservation[]): Promise<string> {
  const lines: string[] = [];
  for (const { seq, code, itemId, buyer, reservedAt, due, extendedBy, key, request } of open) {
    const row: z.input<typeof stored> = [
      seq,
      code,
      itemId,
      buyer.kind,
      buyer.userId,
      reservedAt,
      due,
      key,
      request,
      extendedBy,
    ];
    lines.push(JSON.stringify(row));
    if (lines.length % reservationsPerTurn === 0) await new Promise((next) => setImmediate(next));
  }
  return `[${lines.join(",")}]`;
}

const storedActive = z.array(z.tuple([z.int(), z.number()]));

/** @throws Error when it is no list of tickets and times */
export const parseActive = (text: string): Checkpoint["active"] =>
  storedActive.parse(JSON.parse(text));

/** A line of a waiting list; item 0 is any. */
const storedLine = z.tuple([
  z.enum(["account", "customer"]),
  z.string(),
  z.int(),
  z.int(),
  z.int(),
  z.int(),
  z.int(),
  z.tuple([z.string(), z.int()]).nullable(),
]);

const writeWaiting = (lines: Checkpoint["waiting"]): string =>
  JSON.stringify(
    lines.map(({ buyer, item, seq, joinedAt, place, lapses, offer }) => [
      buyer.kind,
      buyer.userId,
      item === "any" ? 0 : item,
      seq,
      joinedAt,
      place,
      lapses,
      offer === null ? null : [offer.code, offer.itemId],
    ]),
  );

/** @throws Error when it is no list of those who wait */
export const parseWaiting = (text: string): Checkpoint["waiting"] =>
  z
    .array(storedLine)
    .parse(JSON.parse(text))
    .map(([kind, userId, item, seq, joinedAt, place, lapses, offer]) => ({
      buyer: { kind, userId },
      item: item === 0 ? "any" : item,
      seq,
      joinedAt,
      place,
      lapses,
      offer: offer === null ? null : { code: offer[0], itemId: offer[1] },
    }));

/** @throws Error when it is no list of reservations */
export const parseOpen = (text: string): OpenReservation[] =>
  storedList
    .parse(JSON.parse(text))
    .map(([seq, code, itemId, kind, userId, reservedAt, due, key, request, extendedBy = null]) => ({
      seq,
      code,
      itemId,
      buyer: { kind, userId },
      reservedAt,
      due,
      extendedBy,
      key,
      request,
    }));

/**
 * Stores a checkpoint, and how many attempts have named the sale up to it. A leader that was deposed
 * meanwhile stores nothing: a name may have been erased since.
 * @param settled whether this was the last time
 * @throws DeposedError when another leader's term has begun
 */
export async function saveCheckpoint(
  sql: Sql,
  epoch: number,
  saleId: number,
  checkpoint: Checkpoint & { readonly attempts: number; readonly settled: boolean },
): Promise<void> {
  const { seq, sold, attempts, settled } = checkpoint;
  const open = await writeOpen(checkpoint.open);
  const active = JSON.stringify(checkpoint.active);
  const waiting = writeWaiting(checkpoint.waiting);
  const [row] = await sql<{ led: boolean }[]>`
    with term as materialized (
      select id from leader where id = 1 and epoch = ${epoch} for share
    ), tallied as (
      update sales set attempts = ${attempts}, attempts_seq = ${seq}, settled = ${settled}
      from term where sales.id = ${saleId} and attempts_seq <= ${seq} and not settled
      returning sales.id
    ), noted as (
      insert into checkpoints (sale_id, seq, sold, open, active, waiting)
      select id, ${seq}::bigint, ${sold}::int, ${open}::text, ${active}::text, ${waiting}::text
      from tallied
      on conflict (sale_id) do update
        set seq = excluded.seq, sold = excluded.sold, open = excluded.open,
            active = excluded.active, waiting = excluded.waiting)
    select exists (select from term) as led`;
  if (row?.led !== true) throw new DeposedError("another leader has begun its term");
}

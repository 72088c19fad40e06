/**
 * Queues as they are shown: their public state, the same bytes for everybody who asks within a second,
 * where a ticket stands, and the draw as a file.
 *
 * A sale that the ledger holds is told from there; one that is long over from the records, once.
 */
import type { Sql } from "postgres";
import { BoundedMap } from "../../bounded.ts";
import type { Buyer } from "../../ledger/buyers.ts";
import type { TicketState } from "../../ledger/commands.ts";
import type { LedgerView, QueueFigures } from "../../ledger/view.ts";
import type { Catalogue, ShownSale } from "../../sales/catalogue.ts";
import { entryBytes, type Drawn } from "../../sales/draw.ts";
import { entryOf, type Draws } from "../../sales/draws.ts";
import { drawRecorded } from "../../sales/recorded-draw.ts";
import { OverloadedError } from "../../engine/writer.ts";
import type { SaleEngine } from "../../sales/selling.ts";
import {
  drawnTickets,
  findDraw,
  findTicket,
  lastTicketOf,
  queueTotals,
  type PastTicket,
} from "../../store/queues.ts";
import { time } from "../fields.ts";
import { Fresh } from "../fresh.ts";
import { json, problem } from "../problems.ts";
import type { Reads } from "../reads.ts";

type QueuesContext = {
  readonly engine: SaleEngine;
  readonly catalogue: Catalogue;
  readonly draws: Draws;
  readonly sql: Sql;
  readonly reads: Pick<Reads, "inTurn">;
  /** ms since the Unix epoch */
  readonly clock: () => number;
};

/** Sales long over of which the draw is kept, 36 bytes a ticket. */
const pastMax = 2;
/** Who waits to hear of a ticket of a sale that is long over: each looks through all of its tickets. */
export const pastTicketsMax = 8;
/** Lines of the draw's file in one piece. */
const linesPerPart = 2_048;

const publicHeaders = {
  "Content-Type": "application/json",
  "Cache-Control": "public, max-age=1",
  "Access-Control-Allow-Origin": "*",
  "X-Content-Type-Options": "nosniff",
};

/** A queue's state, and what it was drawn by, and how many; null before that. */
type Found = {
  readonly figures: QueueFigures;
  readonly drawn: (Pick<Drawn, "seed" | "entriesDigest"> & { readonly count: number }) | null;
};

type Progress = ReturnType<typeof showQueue> & {
  readonly bought: number | null;
  readonly holding: number | null;
  readonly given_up: number | null;
};

export class Queues {
  readonly #context: QueuesContext;
  readonly #fresh = new Fresh<string | null>();
  readonly #progress = new Fresh<Progress | null>();
  #pastTickets = 0;
  readonly #pastDraws = new BoundedMap<number, Promise<Drawn | null>>(pastMax);

  constructor(context: QueuesContext) {
    this.#context = context;
  }

  /** The public state of a queue. */
  async state(saleId: number): Promise<Response> {
    const { catalogue, clock } = this.#context;
    const shown = await catalogue.find(saleId);
    if (shown === null) return problem("sale_not_found");
    if (shown.stored.sale.entry.kind === "open") return problem("no_queue");
    const text = await this.#fresh.get(saleId, clock(), () => this.#stateOf(shown));
    return text === null ? problem("no_queue") : new Response(text, { headers: publicHeaders });
  }

  /** As above, and what has become of those who were let in; that is null of one long over. */
  async progress(saleId: number): Promise<Response> {
    const { catalogue, clock } = this.#context;
    const shown = await catalogue.find(saleId);
    if (shown === null) return problem("sale_not_found");
    const progress = await this.#progress.get(saleId, clock(), () => this.#progressOf(shown));
    return progress === null ? problem("no_queue") : json(progress);
  }

  async #progressOf(shown: ShownSale): Promise<Progress | null> {
    const found = await this.#find(shown);
    if (found === null) return null;
    const { id } = shown.stored.sale;
    const { writer } = this.#context.engine;
    const progress = await writer.read((view: LedgerView) => view.queueProgress(id));
    return {
      ...showQueue(id, found.figures),
      bought: progress?.bought ?? null,
      holding: progress?.holding ?? null,
      given_up: progress?.givenUp ?? null,
    };
  }

  /** Where a ticket stands. */
  async ticket(saleId: number, ticket: string): Promise<Response> {
    const { engine, sql } = this.#context;
    const found = await engine.writer.read((view) => view.ticket(saleId, ticket));
    if (found !== null) return json(this.show(saleId, found));
    return await this.#past(saleId, () => findTicket(sql, saleId, ticket));
  }

  /** Where the last ticket of a buyer stands. */
  async ticketOf(saleId: number, buyer: Buyer): Promise<Response> {
    const { engine, sql } = this.#context;
    const found = await engine.writer.read((view) => view.ticketOf(saleId, buyer));
    if (found !== null) return json(this.show(saleId, found));
    return await this.#past(saleId, () => lastTicketOf(sql, saleId, buyer));
  }

  /** Where a ticket stands that the ledger does not know: it may be of a sale that is long over. */
  async #past(saleId: number, find: () => Promise<PastTicket | null>): Promise<Response> {
    const { engine, catalogue, reads } = this.#context;
    const shown = await catalogue.find(saleId);
    if (shown === null) return problem("sale_not_found");
    const isHeld = await engine.writer.read((view) => view.queue(saleId) !== null);
    if (isHeld || !this.#isPast(shown)) return problem("ticket_not_found");
    if (this.#pastTickets >= pastTicketsMax) {
      throw new OverloadedError(`${pastTicketsMax} look for tickets of sales that are over`);
    }
    this.#pastTickets += 1;
    try {
      return await reads.inTurn(() => this.#pastTicket(saleId, find));
    } finally {
      this.#pastTickets -= 1;
    }
  }

  async #pastTicket(saleId: number, find: () => Promise<PastTicket | null>): Promise<Response> {
    const found = await find();
    if (found === null) return problem("ticket_not_found");
    const drawn = await this.#pastDraw(saleId);
    const rank = drawn === null ? null : (drawn.ranks[found.number - 1] ?? found.number);
    const nowhere = { ahead: null, etaMs: null, expiresAt: null };
    return json(this.show(saleId, { ...found, ...nowhere, rank, state: "closed" }));
  }

  /** A ticket, for whoever has it. */
  show(saleId: number, of: TicketState) {
    const { ticket, number, state, rank, ahead, etaMs, buyer, expiresAt } = of;
    const entry = this.#context.catalogue.known(saleId)?.stored.sale.entry;
    return {
      ticket,
      entry: entryOf(ticket),
      number,
      state,
      rank,
      ahead,
      eta_ms: etaMs,
      sale_id: saleId,
      user_id: buyer.userId,
      buyer: buyer.kind,
      expires_at: expiresAt === null ? null : time(expiresAt),
      pass_ttl_ms: entry?.kind === "queue" ? entry.passTtlMs : null,
    };
  }

  /**
   * The draw, a line for everybody who was drawn; null before it, and without one. Of a sale that is
   * long over it is made again, which takes long.
   */
  async draw(saleId: number): Promise<Drawn | null> {
    const { catalogue, engine, draws } = this.#context;
    const shown = await catalogue.find(saleId);
    const figures = await engine.writer.read((view: LedgerView) => view.queue(saleId));
    if (figures !== null) return figures.isDrawn ? draws.of(saleId) : null;
    return shown !== null && this.#isPast(shown) ? await this.#pastDraw(saleId) : null;
  }

  async #stateOf(shown: ShownSale): Promise<string | null> {
    const found = await this.#find(shown);
    if (found === null) return null;
    const { figures, drawn } = found;
    const { sale, commitment } = shown.stored;
    return JSON.stringify({
      ...showQueue(sale.id, figures),
      commitment,
      seed: drawn?.seed ?? null,
      entries_digest: drawn?.entriesDigest ?? null,
      drawn: drawn?.count ?? null,
      opens_at: time(sale.startsAt),
      now: time(this.#context.clock()),
    });
  }

  async #find(shown: ShownSale): Promise<Found | null> {
    const { engine, draws } = this.#context;
    const { id } = shown.stored.sale;
    const figures = await engine.writer.read((view: LedgerView) => view.queue(id));
    if (figures === null) return await this.#findPast(shown);
    const drawn = figures.isDrawn ? draws.of(id) : null;
    return { figures, drawn: drawn && { ...drawn, count: drawn.ranks.length } };
  }

  /** Whether a sale that the ledger does not hold had a queue, and is over. */
  #isPast({ stored: { sale } }: ShownSale): boolean {
    return sale.entry.kind === "queue" && (this.#context.clock() >= sale.endsAt || sale.closed);
  }

  /** By what was noted of its draw: nothing is drawn again for who looks. */
  async #findPast(shown: ShownSale): Promise<Found | null> {
    const { sql } = this.#context;
    const { id, entry } = shown.stored.sale;
    if (entry.kind === "open" || !this.#isPast(shown)) return null;
    const { joined, rate } = await queueTotals(sql, id);
    const draw = await findDraw(sql, id);
    const { admitPerSecond } = entry;
    return {
      figures: {
        state: "closed",
        joined,
        gathered: draw?.noted?.drawn ?? 0,
        isDrawn: draw?.noted != null,
        admittedUpTo: joined,
        rate: rate ?? { admitPerSecond, paused: false },
      },
      // One that ended before its opening was not drawn.
      drawn: draw?.noted
        ? { seed: draw.seed, entriesDigest: draw.noted.entriesDigest, count: draw.noted.drawn }
        : null,
    };
  }

  #pastDraw(saleId: number): Promise<Drawn | null> {
    const known = this.#pastDraws.get(saleId);
    if (known !== undefined) return known;
    const { sql } = this.#context;
    // One that ended before its opening was not drawn.
    const drawn = findDraw(sql, saleId).then((draw) =>
      draw?.noted == null
        ? null
        : drawRecorded(draw.seed, drawnTickets(sql, saleId, draw.noted), nextTurn),
    );
    this.#pastDraws.set(saleId, drawn);
    drawn.catch(() => this.#pastDraws.delete(saleId));
    return drawn;
  }
}

/** What is said of a queue to everybody, at once and as it changes. */
export const showQueue = (saleId: number, { state, joined, admittedUpTo, rate }: QueueFigures) => ({
  sale_id: saleId,
  state,
  joined,
  admitted_up_to: admittedUpTo,
  admit_per_second: rate.admitPerSecond,
  paused: rate.paused,
});

/** The lines of a draw, some at a time. */
export function* drawLines({ entries, ranks }: Drawn): Generator<string, void> {
  yield "number,entry,rank\n";
  for (let from = 0; from < ranks.length; from += linesPerPart) {
    let part = "";
    for (let index = from; index < Math.min(from + linesPerPart, ranks.length); index += 1) {
      const entry = entries.subarray(index * entryBytes, (index + 1) * entryBytes).toHex();
      part += `${index + 1},${entry},${ranks[index]}\n`;
    }
    yield part;
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

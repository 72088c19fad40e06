/**
 * `GET /events`: what happens in the open sale, as server-sent events.
 *
 * - `sale` when the open sale changes: `{"sale": {id,title,starts_at,ends_at,stock} | null}`
 * - `stock` at most four times a second: `{sale_id,sold,reserved,available,items:[[id,available]…]}`
 *
 * Events carry committed figures alone. The last ones are kept, so that a client that comes
 * back with `Last-Event-ID` misses nothing; one that was away for longer gets the figures as
 * they are. A client that does not read is dropped, not buffered for.
 */
import { z } from "zod";
import type { Engine } from "../engine.ts";
import { currentSale } from "../ledger/decide.ts";
import { advance, expire, type SaleState } from "../ledger/state.ts";
import type { Shelf } from "../sales/shelf.ts";
import { problem } from "./problems.ts";
import { eventsHeader } from "./schemas.ts";
import type { Route } from "./server.ts";

const publishEveryMs = 250;
/** Events kept for clients that come back: a minute's worth at full rate. */
const keptEventsMax = 240;
export const streamsMax = 20_000;
/** Bytes that may wait for one client before it is dropped. */
const streamBytesMax = 256 * 1024;
/** A comment this often keeps connections and proxies from falling asleep. */
const keepAliveMs = 15_000;

const streamHeaders = {
  "Content-Type": "text/event-stream",
  "Cache-Control": "no-store",
  "X-Accel-Buffering": "no",
};

type Kept = { readonly id: string; readonly bytes: Uint8Array };
type Stream = ReadableStreamDefaultController<Uint8Array>;

/** The open sale exactly as the events up to this one have told it. */
export type SaidUnits = {
  readonly eventId: string;
  readonly sold: number;
  readonly reserved: number;
  readonly available: number;
  /** Free units of each item; item N is at index N - 1. */
  readonly free: Int32Array;
};

export class Events {
  readonly #engine: Engine;
  readonly #shelf: Shelf;
  readonly #clock: () => number;
  readonly #streams = new Set<Stream>();
  readonly #kept: Kept[] = [];
  readonly #encoder = new TextEncoder();
  #number = 0;
  #saleId: number | null = null;
  /** Of the open sale, as last said; null before anything was. */
  #figures: { sold: number; reserved: number; available: number } | null = null;
  #said: SaidUnits | null = null;
  #timer: Timer | null = null;
  #saidAt = 0;

  constructor(engine: Engine, shelf: Shelf, clock: () => number) {
    this.#engine = engine;
    this.#shelf = shelf;
    this.#clock = clock;
  }

  get routes(): Route[] {
    return [
      {
        path: "/events",
        leaderOnly: true,
        methods: {
          GET: {
            handle: (request, server) => {
              server.timeout(request, 0);
              return this.#open(request);
            },
            summary: "What happens, as server-sent events",
            description:
              "`sale` when the open sale changes: `{sale: {id,title,starts_at,ends_at,stock}}`, " +
              "or null. `stock` at most four times a second: `{sale_id,sold,reserved,available," +
              "items}`, with `[id, available]` of each item that changed.",
            headers: eventsHeader,
            answers: { 200: z.string() },
            mediaType: "text/event-stream",
            refusals: ["overloaded"],
          },
        },
      },
    ];
  }

  /** How many clients listen. */
  get streamCount(): number {
    return this.#streams.size;
  }

  /** What has been said of a sale; null unless it is open, and its figures were said. */
  saidOf(saleId: number): SaidUnits | null {
    return saleId === this.#saleId ? this.#said : null;
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#publish().catch(() => {
        // The term ended while the figures were being read; the next one publishes again.
      });
    }, publishEveryMs);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    for (const stream of this.#streams) close(stream);
    this.#streams.clear();
  }

  #open(request: Request): Response {
    if (request.method === "HEAD") return new Response(null, { headers: streamHeaders });
    if (this.#streams.size >= streamsMax) return problem("overloaded", { retryAfterMs: 5_000 });
    const missed = this.#missedSince(request.headers.get("Last-Event-ID"));
    let mine: Stream | null = null;
    const body = new ReadableStream<Uint8Array>(
      {
        start: (stream) => {
          mine = stream;
          this.#streams.add(stream);
          stream.enqueue(this.#encoder.encode(": welcome\n\n"));
          for (const { bytes } of missed) stream.enqueue(bytes);
        },
        cancel: () => {
          if (mine !== null) this.#streams.delete(mine);
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: streamBytesMax }),
    );
    return new Response(body, { headers: streamHeaders });
  }

  /** What a client that last saw `lastId` has missed; the present figures when nobody knows. */
  #missedSince(lastId: string | null): readonly Kept[] {
    const seen = this.#kept.findIndex(({ id }) => id === lastId);
    return seen >= 0 ? this.#kept.slice(seen + 1) : this.#present();
  }

  #present(): Kept[] {
    const { role } = this.#engine;
    const last = this.#kept.at(-1);
    if (role.name !== "leader" || this.#saleId === null || last === undefined) return [];
    const stock = { sale_id: this.#saleId, ...this.#figures, items: [] };
    return [
      this.#event(last.id, "sale", { sale: this.#announcement(this.#saleId) }),
      this.#event(last.id, "stock", stock),
    ];
  }

  async #publish(): Promise<void> {
    const { role } = this.#engine;
    if (role.name !== "leader") return;
    const now = this.#clock();
    const news = await role.writer.read((state) => {
      const at = advance(state, now);
      const sale = currentSale(state, at);
      if (sale === null) return null;
      expire(sale, at);
      return takeNews(sale);
    });
    const saleId = news?.saleId ?? null;
    if (saleId !== this.#saleId) {
      this.#saleId = saleId;
      this.#figures = null;
      this.#said = null;
      const sale = saleId === null ? null : this.#announcement(saleId);
      this.#say(role.epoch, "sale", { sale });
    }
    if (news !== null && (news.items.length > 0 || this.#figures === null)) {
      const { sold, reserved, available, free } = news;
      this.#figures = { sold, reserved, available };
      const stock = { sale_id: saleId, ...this.#figures, items: news.items };
      const eventId = this.#say(role.epoch, "stock", stock);
      this.#said = { eventId, ...this.#figures, free };
    }
    if (now - this.#saidAt >= keepAliveMs)
      this.#send(this.#encoder.encode(": still here\n\n"), now);
  }

  #announcement(saleId: number) {
    const stored = this.#shelf.held(saleId)?.stored;
    if (stored === undefined) return null;
    const { sale, title } = stored;
    return {
      id: sale.id,
      title,
      status: "open",
      starts_at: new Date(sale.startsAt).toISOString(),
      ends_at: new Date(sale.endsAt).toISOString(),
      stock: sale.stock.reduce((total, units) => total + units, 0),
    };
  }

  #event(id: string, name: string, data: object): Kept {
    const text = `id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
    return { id, bytes: this.#encoder.encode(text) };
  }

  /** Returns the event's id. */
  #say(epoch: number, name: string, data: object): string {
    this.#number += 1;
    const event = this.#event(`${epoch}-${this.#number}`, name, data);
    this.#kept.push(event);
    if (this.#kept.length > keptEventsMax) this.#kept.shift();
    this.#send(event.bytes, this.#clock());
    return event.id;
  }

  #send(bytes: Uint8Array, now: number): void {
    this.#saidAt = now;
    for (const stream of this.#streams) {
      if ((stream.desiredSize ?? 0) < bytes.byteLength) {
        close(stream);
        this.#streams.delete(stream);
      } else stream.enqueue(bytes);
    }
  }
}

/** The sale's figures, its free units, and the items that changed since this was last asked. */
function takeNews(sale: SaleState) {
  const items = Array.from(sale.changed, (id) => [id, sale.free[id - 1] ?? 0]);
  sale.changed.clear();
  const { sold, reserved, available } = sale;
  // A copy: the ledger goes on. Ten thousand numbers take microseconds, four times a second.
  const free = sale.free.slice();
  return { saleId: sale.sale.id, sold, reserved, available, items, free };
}

function close(stream: Stream): void {
  try {
    stream.close();
  } catch {
    // The client closed it first.
  }
}

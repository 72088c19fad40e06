/**
 * `GET /events`: what happens in the open sale, as server-sent events.
 *
 * - `sale` when the open sale changes: `{"sale": {id,title,starts_at,ends_at,stock} | null}`
 * - `stock` at most four times a second: `{sale_id,sold,reserved,available,items:[[id,available]…]}`
 *
 * Every process publishes by itself, from the ledger or from what it hears of it.
 *
 * Events carry committed figures alone. The last ones are kept, so that a client that comes
 * back with `Last-Event-ID` misses nothing, also at another process; one that was away for longer
 * gets the figures as they are. A client that does not read is dropped, not buffered for.
 *
 * Ten thousand writes take a tenth of a second, so they are spread over turns of the event loop, in
 * which others buy. An event goes out when the one before it has: where there is no time for four a
 * second, there are fewer, and each says more.
 */
import type { BunRequest, Server } from "bun";
import { z } from "zod";
import type { LedgerView } from "../../ledger/view.ts";
import type { SaleEngine } from "../../sales/selling.ts";
import type { Catalogue } from "../../sales/catalogue.ts";
import { time } from "../fields.ts";
import { QueueNews } from "../queue/news.ts";
import type { StreamPlaces } from "../connections.ts";
import { problem } from "../problems.ts";
import { eventsHeader } from "../schemas.ts";
import type { Route } from "../server.ts";

/** Events kept for clients that come back: a minute's worth at full rate. */
const keptEventsMax = 240;
/**
 * Streams that are written to in one turn of the event loop, about 10 µs each. Measured on two busy
 * cores, as noisy as that is: 64 connections that buy keep 0.54 to 0.71 of their checkouts a second
 * beside 10,000 streams; 0.24 to 0.44 when all are written to at once, and hardly more with 512.
 * The last stream hears about 100 ms later for it.
 */
const streamsPerTurn = 32;
/** What is left to a client that was dropped to take what it was sent; then its connection ends. */
const dropSeconds = 4;
/** A comment this often keeps connections and proxies from falling asleep. */
const keepAliveMs = 15_000;
/** Who has not taken anything for this long is gone, or does not read. */
const silenceMaxSeconds = 40;

/** The attempt's number, which process said it, and its own number there. */
const idOfEvent = /^(\d{1,15})-[0-9a-f]{8}-\d+$/;

const welcome = Buffer.from(": welcome\n\n");
const stillHere = Buffer.from(": still here\n\n");

const streamHeaders = {
  "Content-Type": "text/event-stream",
  "Cache-Control": "no-store",
  "X-Accel-Buffering": "no",
};

export type EventBounds = {
  readonly streamsMax: number;
  /**
   * Bytes that may wait for one client before it is dropped, and that one which comes back is
   * sent at most. A single event may be larger.
   */
  readonly streamBytesMax: number;
  readonly publishEveryMs: number;
};

const usualBounds: EventBounds = {
  streamsMax: 20_000,
  streamBytesMax: 256 * 1024,
  publishEveryMs: 250,
};

type Kept = {
  readonly id: string;
  /** The last attempt that it tells of. */
  readonly seq: number;
  readonly bytes: Uint8Array;
};
type Stream = {
  readonly body: ReadableStreamDirectController;
  /** Bytes that the client has not taken, beyond what its connection holds. */
  waiting: number;
  /** Ends the connection, even when nobody reads what is on it. */
  readonly hangUp: () => void;
  /** Gives its place among the connections back. */
  readonly leave: () => void;
};

/** What there is to say of the open sale. */
type News = {
  readonly saleId: number;
  readonly sold: number;
  readonly reserved: number;
  readonly available: number;
  readonly free: Int32Array;
  readonly items: [number, number][];
  readonly isNew: boolean;
};

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
  readonly #engine: SaleEngine;
  readonly #catalogue: Catalogue;
  readonly #clock: () => number;
  readonly #streams = new Set<Stream>();
  readonly #kept: Kept[] = [];
  readonly #encoder = new TextEncoder();
  /** What this process says has ids that no other's has, and that tell of which attempt it knew. */
  readonly #series = crypto.randomUUID().slice(0, 8);
  #number = 0;
  #saleId: number | null = null;
  /** Of the open sale, as last said; null before anything was. */
  #figures: { sold: number; reserved: number; available: number } | null = null;
  #said: SaidUnits | null = null;
  /** The open sale, as it was announced. */
  #announced: object | null = null;
  readonly #queues = new QueueNews();
  readonly #bounds: EventBounds;
  readonly #places: StreamPlaces;
  #timer: Timer | null = null;
  #publishing = false;
  #saidAt = 0;

  constructor(
    engine: SaleEngine,
    catalogue: Catalogue,
    clock: () => number,
    bounds: Partial<EventBounds> = {},
    places: StreamPlaces = () => () => {},
  ) {
    this.#places = places;
    this.#engine = engine;
    this.#catalogue = catalogue;
    this.#clock = clock;
    this.#bounds = { ...usualBounds, ...bounds };
  }

  get routes(): Route[] {
    return [
      {
        path: "/events",
        methods: {
          GET: {
            handle: (request, server) => this.#open(request, server),
            streams: true,
            summary: "What happens, as server-sent events",
            description:
              "`sale` when the open sale changes: `{sale: {id,title,starts_at,ends_at,stock}}`, " +
              "or null. `stock` at most four times a second: `{sale_id,sold,reserved,available," +
              "items}`, with `[id, available]` of each item that changed. `queue` as often, of each sale " +
              "that lets people in one after another: `{sale_id,state,joined,admitted_up_to," +
              "admit_per_second,paused}`.",
            headers: eventsHeader,
            answers: { 200: z.string() },
            mediaType: "text/event-stream",
            refusals: ["overloaded", "rate_limited"],
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
      if (this.#publishing) return;
      this.#publishing = true;
      this.#publish()
        .catch(() => {
          // Nobody led while the figures were being read; once somebody does, they are published.
        })
        .finally(() => {
          this.#publishing = false;
        });
    }, this.#bounds.publishEveryMs);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    for (const stream of this.#streams) this.#end(stream);
  }

  #open(request: BunRequest, server: Server<undefined>): Response {
    if (request.method === "HEAD") return new Response(null, { headers: streamHeaders });
    const { streamsMax } = this.#bounds;
    if (this.#streams.size >= streamsMax) return problem("overloaded", { retryAfterMs: 5_000 });
    let opened: Stream | null = null;
    const end = (): void => {
      if (opened !== null) this.#drop(opened);
    };
    const leave = this.#places(request, server, end);
    if (leave instanceof Response) return leave;
    server.timeout(request, silenceMaxSeconds);
    const missed = this.#missedSince(request.headers.get("Last-Event-ID"));
    // Written to directly, a stream takes half the memory of one with a queue of its own.
    const source: Bun.DirectUnderlyingSource = {
      type: "direct",
      pull: (body) => {
        opened = { body, waiting: 0, hangUp: () => server.timeout(request, dropSeconds), leave };
        this.#streams.add(opened);
        body.write(Buffer.concat([welcome, ...missed.map(({ bytes }) => bytes)]));
        body.flush();
      },
      cancel: () => {
        if (opened !== null) this.#streams.delete(opened);
        leave();
      },
    };
    // The browsers' types, which hold here too, know of no such source.
    const stream: ReadableStream = Reflect.construct(ReadableStream, [source]);
    return new Response(stream, { headers: streamHeaders });
  }

  /** What a client that last saw `lastId` has missed; the present figures when it is too much. */
  #missedSince(lastId: string | null): readonly Kept[] {
    const seen = this.#kept.findIndex(({ id }) => id === lastId);
    const missed = seen < 0 ? this.#keptSince(lastId) : this.#kept.slice(seen + 1);
    if (missed === null) return this.#present();
    const bytes = missed.reduce((sum, event) => sum + event.bytes.byteLength, 0);
    return bytes <= this.#bounds.streamBytesMax ? missed : this.#present();
  }

  /** What follows an event of another process; null where that may be more than is kept. */
  #keptSince(lastId: string | null): readonly Kept[] | null {
    const seq = Number(idOfEvent.exec(lastId ?? "")?.[1] ?? Number.NaN);
    const [first] = this.#kept;
    if (first === undefined || !(first.seq <= seq)) return null;
    // Of the same attempt the other may have told sooner, before something lapsed.
    return this.#kept.filter((event) => event.seq >= seq);
  }

  #present(): Kept[] {
    const last = this.#kept.at(-1);
    if (last === undefined) return [];
    const queues = this.#queues.all().map((queue) => this.#event(last, "queue", queue));
    const sale = this.#event(last, "sale", { sale: this.#announced });
    // That none is open any more may be what was missed.
    if (this.#saleId === null) return [sale, ...queues];
    const stock = { sale_id: this.#saleId, ...this.#figures, items: [] };
    return [sale, this.#event(last, "stock", stock), ...queues];
  }

  async #publish(): Promise<void> {
    const now = this.#clock();
    const said: Uint8Array[] = [];
    const { reader } = this.#engine;
    if (reader !== null) {
      const [seq, news, queues] = await reader.read(
        (view) => [view.seq, this.#newsIn(view), this.#queues.since(view)] as const,
      );
      // A sale that cannot be read now is told of once it can; what is known goes out, for it counts as said.
      said.push(...(await this.#say(seq, news).catch(() => [])));
      for (const queue of queues) said.push(this.#keep(seq, "queue", queue).bytes);
    }
    if (said.length === 0 && now - this.#saidAt >= keepAliveMs) said.push(stillHere);
    if (said.length === 0) return;
    this.#saidAt = now;
    await this.#send(Buffer.concat(said));
  }

  /** What there is to say of what was found. */
  async #say(seq: number, news: News | null): Promise<Uint8Array[]> {
    const saleId = news?.saleId ?? null;
    const said: Uint8Array[] = [];
    if (saleId !== this.#saleId) {
      const sale = saleId === null ? null : await this.#announcement(saleId);
      this.#saleId = saleId;
      this.#announced = sale;
      this.#figures = null;
      this.#said = null;
      said.push(this.#keep(seq, "sale", { sale }).bytes);
    }
    if (news !== null && (news.isNew || this.#figures === null)) {
      const { sold, reserved, available, free } = news;
      this.#figures = { sold, reserved, available };
      const stock = { sale_id: saleId, ...this.#figures, items: news.items };
      const { id: eventId, bytes } = this.#keep(seq, "stock", stock);
      said.push(bytes);
      this.#said = { eventId, ...this.#figures, free };
    }
    return said;
  }

  /** The open sale's figures, its free units, and the items that changed since they were said. */
  #newsIn(view: LedgerView): News | null {
    const saleId = view.currentSaleId();
    if (saleId === null) return null;
    const totals = view.totals(saleId);
    const free = view.free(saleId);
    if (totals === null || free === null) return null;
    const said = this.#said !== null && saleId === this.#saleId ? this.#said.free : null;
    const items: [number, number][] = [];
    free.forEach((units, index) => {
      if (units !== said?.[index]) items.push([index + 1, units]);
    });
    const { sold, reserved, available } = totals;
    const isNew =
      items.length > 0 || sold !== this.#figures?.sold || reserved !== this.#figures.reserved;
    // A client that comes now has the whole catalogue to ask for: only changes are told.
    return { saleId, sold, reserved, available, free, items: said === null ? [] : items, isNew };
  }

  async #announcement(saleId: number): Promise<object | null> {
    const stored = (await this.#catalogue.find(saleId))?.stored;
    if (stored === undefined) return null;
    const { sale, title } = stored;
    return {
      id: sale.id,
      title,
      status: "open",
      starts_at: time(sale.startsAt),
      ends_at: time(sale.endsAt),
      stock: Array.from(sale.stock).reduce((total, units) => total + units, 0),
    };
  }

  #event({ id, seq }: Omit<Kept, "bytes">, name: string, data: object): Kept {
    const text = `id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
    return { id, seq, bytes: this.#encoder.encode(text) };
  }

  /** From now on, those who come are told of it; those who are here have to be sent it. */
  #keep(seq: number, name: string, data: object): Kept {
    this.#number += 1;
    const id = `${seq}-${this.#series}-${this.#number}`;
    const event = this.#event({ id, seq }, name, data);
    this.#kept.push(event);
    if (this.#kept.length > keptEventsMax) this.#kept.shift();
    return event;
  }

  /** To those who are here now, the same bytes to each. */
  async #send(bytes: Uint8Array): Promise<void> {
    let turn = 0;
    for (const stream of Array.from(this.#streams)) {
      turn += 1;
      // oxlint-disable-next-line no-await-in-loop
      if (turn % streamsPerTurn === 0) await nextTurn();
      if (this.#streams.has(stream)) this.#sendTo(stream, bytes);
    }
  }

  #sendTo(stream: Stream, bytes: Uint8Array): void {
    // One who has read everything can take whatever there is to say.
    const isFull = stream.waiting + bytes.byteLength > this.#bounds.streamBytesMax;
    if (stream.waiting > 0 && isFull) {
      this.#drop(stream);
      return;
    }
    // A number where the connection took what was written before.
    const taken: unknown = stream.body.write(bytes);
    stream.body.flush();
    if (!(taken instanceof Promise)) return;
    const isFirst = stream.waiting === 0;
    stream.waiting += bytes.byteLength;
    const emptied = (): void => {
      stream.waiting = 0;
    };
    if (isFirst) taken.then(emptied, emptied);
  }

  #drop(stream: Stream): void {
    this.#end(stream);
    stream.hangUp();
  }

  #end(stream: Stream): void {
    this.#streams.delete(stream);
    stream.body.end();
    stream.leave();
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * A program of its own: everybody who watches a sale by `GET /events`. It opens streams, reads
 * them and remembers of every event when it came first and last and to how many; some it opens
 * and never reads. It is told what to do by lines on its standard input, answers each with one,
 * and ends with it. `bun bench/watchers.ts PORT`; `Watchers` starts one.
 *
 * Over plain sockets, and an event that comes to everybody is parsed once: what the watchers take
 * of a small machine is missing to the server that is being measured.
 */
import { dlopen, ptr } from "bun:ffi";
import type { Socket } from "bun";
import { z } from "zod";
import type { Child, Owned } from "./owned.ts";
import { BenchError, within } from "./scenario.ts";

const commandSchema = z.discriminatedUnion("do", [
  /** Streams that are read. */
  z.object({ do: z.literal("watch"), streams: z.number().int() }),
  /** Streams that are not. */
  z.object({ do: z.literal("ignore"), streams: z.number().int() }),
  /** What has come since the last report. */
  z.object({ do: z.literal("report") }),
  /** Streams that are read end; what there was to say of them is forgotten. */
  z.object({ do: z.literal("leave") }),
]);
type Command = z.output<typeof commandSchema>;

const figuresSchema = z.object({ sold: z.number().int(), reserved: z.number().int() });
export type Figures = z.output<typeof figuresSchema>;

const eventSchema = z.object({
  number: z.number().int(),
  /** Bytes, without the chunk around it. */
  bytes: z.number().int(),
  /** To how many streams it came, and when to the first and the last; ms since the epoch. */
  streams: z.number().int(),
  firstAt: z.number(),
  lastAt: z.number(),
  /** Items that changed, by number. */
  items: z.array(z.number().int()),
});

const reportSchema = z.object({
  /** Streams that are open, by what their last `stock` said. */
  standing: z.array(figuresSchema.extend({ streams: z.number().int() })),
  /** In order; one that comes to some before a report and to some after it is in both. */
  events: z.array(eventSchema),
  wrong: z.array(z.string()),
});
export type WatchReport = z.output<typeof reportSchema>;
export type HeardEvent = z.output<typeof eventSchema>;

const wrongMax = 10;
const openingAtOnce = 64;
const answerSecondsMax = 60;

/** The program, as the bench sees it. */
export class Watchers {
  readonly #child: Child;
  readonly #answers: AsyncIterator<string>;

  constructor(owned: Owned, port: number) {
    this.#child = owned.spawn([process.execPath, import.meta.path, String(port)]);
    this.#answers = lines(this.#child.stdout);
  }

  /** Returns when each has the figures; ms. */
  async watch(streams: number): Promise<number> {
    return z.number().parse(await this.#ask({ do: "watch", streams }));
  }

  async ignore(streams: number): Promise<void> {
    await this.#ask({ do: "ignore", streams });
  }

  async report(): Promise<WatchReport> {
    return reportSchema.parse(await this.#ask({ do: "report" }));
  }

  async leave(): Promise<void> {
    await this.#ask({ do: "leave" });
  }

  async end(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  async #ask(command: Command): Promise<unknown> {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    this.#child.stdin.flush();
    const answer = await within(answerSecondsMax, `to ${command.do}`, this.#answers.next());
    if (answer.done === true) throw new BenchError("the watchers ended");
    return JSON.parse(answer.value);
  }
}

async function* lines(source: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of source) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}

type Said = HeardEvent & {
  readonly epoch: string;
  readonly text: string;
  /** Of a `stock`; null of a `sale`. */
  readonly figures: Figures | null;
};

/** What was read at once, and the events in it. */
type Read = { readonly bytes: Buffer; readonly said: readonly Said[] };

const wallClock = (): number => performance.timeOrigin + performance.now();
const stockSchema = figuresSchema.extend({ items: z.array(z.tuple([z.number(), z.number()])) });
const chunkEnd = "\r\n";

class Watching {
  readonly #port: number;
  readonly #streams = new Set<Stream>();
  /** Since the last report, by id; what a stream begins with is in none. */
  readonly #said = new Map<string, Said>();
  readonly #wrong: string[] = [];
  /** Nearly every stream gets the very bytes that the one before it got. */
  #lastRead: Read = { bytes: Buffer.alloc(0), said: [] };

  constructor(port: number) {
    this.#port = port;
  }

  async do(command: Command): Promise<unknown> {
    switch (command.do) {
      case "watch":
        return await this.#watch(command.streams);
      case "ignore":
        return neverRead(this.#port, command.streams);
      case "report":
        return this.#report();
      case "leave":
        return this.#leave();
      default:
        return command satisfies never;
    }
  }

  async #watch(streams: number): Promise<number> {
    const from = performance.now();
    let left = streams;
    const openOnAndOn = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        // oxlint-disable-next-line no-await-in-loop
        await this.#open();
      }
    };
    await Promise.all(Array.from({ length: openingAtOnce }, openOnAndOn));
    return performance.now() - from;
  }

  async #open(): Promise<void> {
    const begun = Promise.withResolvers<void>();
    const stream = new Stream(begun.resolve);
    stream.socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: this.#port,
      socket: {
        data: (_, bytes) => this.#take(stream, bytes),
        close: () => {
          if (this.#streams.delete(stream)) this.#complain("a stream that is read was closed");
          begun.resolve();
        },
        error: (_, error) => this.#complain(String(error)),
      },
    });
    this.#streams.add(stream);
    stream.socket.write(requestOf(this.#port));
    await begun.promise;
  }

  #take(stream: Stream, bytes: Buffer): void {
    const at = wallClock();
    if (!stream.isBetweenChunks || !bytes.equals(this.#lastRead.bytes)) {
      const whole = stream.isBetweenChunks;
      const said = stream.read(bytes).flatMap((text) => this.#parse(text, at));
      if (stream.isBetweenChunks && whole) this.#lastRead = { bytes: Buffer.from(bytes), said };
      for (const event of said) this.#hear(stream, event, at);
      return;
    }
    for (const event of this.#lastRead.said) this.#hear(stream, event, at);
  }

  #hear(stream: Stream, event: Said, at: number): void {
    const { last } = stream;
    // It begins with the sale and its figures as they are, under the id of the last event.
    if (last === null || stream.figures === null || event.number === last.number)
      stream.begin(event);
    else {
      if (event.epoch !== last.epoch || event.number !== last.number + 1) {
        this.#complain(`event ${last.number} was followed by ${event.number}`);
      }
      event.streams += 1;
      event.lastAt = at;
      stream.go(event);
    }
  }

  #parse(text: string, at: number): Said[] {
    if (text.startsWith(":")) return [];
    const [, epoch = "", number = "", name = "", data = ""] =
      /^id: \d+-(\w+)-(\d+)\nevent: (\w+)\ndata: (.*)$/.exec(text) ?? [];
    const key = `${epoch}-${number}-${name}`;
    const known = this.#said.get(key);
    if (known?.text === text) return [known];
    const stock = name === "stock" ? stockSchema.parse(JSON.parse(data)) : null;
    const said: Said = {
      epoch,
      number: Number(number),
      text,
      bytes: text.length + 2,
      streams: 0,
      firstAt: at,
      lastAt: at,
      items: stock?.items.map(([id]) => id) ?? [],
      figures: stock === null ? null : { sold: stock.sold, reserved: stock.reserved },
    };
    // The figures that a stream begins with name no items; those that changed come as an event.
    if (name === "sale" || said.items.length > 0) {
      if (known !== undefined && known.streams > 0) this.#complain(`two events have the id ${key}`);
      this.#said.set(key, said);
    }
    return [said];
  }

  #complain(text: string): void {
    if (this.#wrong.length < wrongMax && !this.#wrong.includes(text)) this.#wrong.push(text);
  }

  #report(): WatchReport {
    const standing = new Map<string, WatchReport["standing"][number]>();
    for (const { figures } of this.#streams) {
      if (figures === null) continue;
      const key = `${figures.sold} ${figures.reserved}`;
      const same = standing.get(key) ?? { ...figures, streams: 0 };
      same.streams += 1;
      standing.set(key, same);
    }
    const events = [...this.#said.values()]
      .filter(({ streams }) => streams > 0)
      .map((said) => eventSchema.parse(said));
    // Those that some have and others not yet are told of again, with everybody in them.
    for (const [key, { streams }] of this.#said) {
      if (streams >= this.#streams.size) this.#said.delete(key);
    }
    return { standing: [...standing.values()], events, wrong: this.#wrong.splice(0) };
  }

  #leave(): null {
    const left = [...this.#streams];
    this.#streams.clear();
    this.#said.clear();
    for (const { socket } of left) socket?.terminate();
    return null;
  }
}

/** One that is read: its chunks, and what it last said. */
class Stream {
  socket: Socket | null = null;
  last: Said | null = null;
  figures: Figures | null = null;
  readonly #onBegun: () => void;
  #headIsRead = false;
  /** Bytes of a chunk, or of the head, that has not come as a whole. */
  #rest: Buffer | null = null;
  /** An event's beginning. */
  #text = "";

  constructor(onBegun: () => void) {
    this.#onBegun = onBegun;
  }

  get isBetweenChunks(): boolean {
    return this.#headIsRead && this.#rest === null && this.#text === "";
  }

  begin(said: Said): void {
    this.last = said;
    if (said.figures === null) return;
    this.figures = said.figures;
    this.#onBegun();
  }

  go(said: Said): void {
    this.last = said;
    this.figures = said.figures ?? this.figures;
  }

  /** Events and comments that are now whole. */
  read(bytes: Buffer): string[] {
    const received = this.#rest === null ? bytes : Buffer.concat([this.#rest, bytes]);
    let at = 0;
    if (!this.#headIsRead) {
      const end = received.indexOf("\r\n\r\n");
      this.#headIsRead = end >= 0;
      at = this.#headIsRead ? end + 4 : 0;
    }
    while (this.#headIsRead) {
      const sizeEnd = received.indexOf(chunkEnd, at);
      if (sizeEnd < 0) break;
      const from = sizeEnd + chunkEnd.length;
      const to = from + Number.parseInt(received.toString("latin1", at, sizeEnd), 16);
      if (received.length < to + chunkEnd.length) break;
      this.#text += received.toString("utf8", from, to);
      at = to + chunkEnd.length;
    }
    this.#rest = at === received.length ? null : Buffer.from(received.subarray(at));
    const parts = this.#text.split("\n\n");
    this.#text = parts.pop() ?? "";
    return parts;
  }
}

const requestOf = (port: number): string =>
  `GET /events HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;

/**
 * Connections as over a real network, with small segments and a small window. Between two
 * ordinary sockets of one machine four megabytes lie before anybody notices that nobody reads,
 * and Bun offers no way to set that. Values of Linux; they end with this process.
 */
function neverRead(port: number, streams: number): null {
  const [inet, stream, socketLevel, receiveBuffer, tcp, segment] = [2, 1, 1, 8, 6, 2] as const;
  const { symbols: c } = dlopen("libc.so.6", {
    socket: { args: ["int", "int", "int"], returns: "int" },
    setsockopt: { args: ["int", "int", "int", "ptr", "u32"], returns: "int" },
    connect: { args: ["int", "ptr", "u32"], returns: "int" },
    write: { args: ["int", "ptr", "u64"], returns: "i64" },
  });
  const request = Buffer.from(requestOf(port));
  const address = Buffer.alloc(16);
  address.writeUInt16LE(inet, 0);
  address.writeUInt16BE(port, 2);
  address.set([127, 0, 0, 1], 4);
  const [windowBytes, segmentBytes] = [new Int32Array([4_096]), new Int32Array([536])];
  for (let i = 0; i < streams; i += 1) {
    const socket = c.socket(inet, stream, 0);
    c.setsockopt(socket, socketLevel, receiveBuffer, ptr(windowBytes), 4);
    c.setsockopt(socket, tcp, segment, ptr(segmentBytes), 4);
    if (c.connect(socket, ptr(address), address.length) !== 0) throw new Error("cannot connect");
    c.write(socket, ptr(request), request.length);
  }
  return null;
}

if (import.meta.main) {
  const watching = new Watching(Number(process.argv[2]));
  for await (const line of lines(Bun.stdin.stream())) {
    const answer = await watching.do(commandSchema.parse(JSON.parse(line)));
    await Bun.write(Bun.stdout, `${JSON.stringify(answer)}\n`);
  }
  process.exit(1);
}

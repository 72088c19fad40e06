/** Reads `GET /events` as a browser's EventSource does. */
import { z } from "zod";
import { waitMaxMs, within } from "./wait.ts";

export type SentEvent = { readonly id: string; readonly event: string; readonly data: unknown };

export const stockNews = z.object({
  sale_id: z.int(),
  sold: z.int(),
  reserved: z.int(),
  available: z.int(),
});

export class EventStream {
  readonly #stopping = new AbortController();
  readonly #blocks: AsyncGenerator<string>;
  readonly contentType: string | null;

  private constructor(response: Response, stopping: AbortController) {
    this.#stopping = stopping;
    this.contentType = response.headers.get("Content-Type");
    if (response.body === null) throw new Error(`events answered ${response.status}`);
    this.#blocks = blocks(response.body);
  }

  static async open(url: string, lastEventId?: string): Promise<EventStream> {
    const stopping = new AbortController();
    const response = await fetch(`${url}/events`, {
      headers: lastEventId === undefined ? {} : { "Last-Event-ID": lastEventId },
      signal: stopping.signal,
    });
    return new EventStream(response, stopping);
  }

  /** The next event, comments left out. */
  async next(boundMs = waitMaxMs): Promise<SentEvent> {
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop
      const { value, done } = await within("an event", boundMs, this.#blocks.next());
      if (done === true) throw new Error("the stream of events ended");
      const event = parse(value);
      if (event !== null) return event;
    }
  }

  /** Waits for a comment, with which a stream says that it is still there; no event may come. */
  async comment(boundMs: number): Promise<void> {
    const { value, done } = await within("a comment", boundMs, this.#blocks.next());
    if (done === true || !value.startsWith(":")) throw new Error(`no comment, but ${value}`);
  }

  /** The next event that is wanted, and those before it. */
  async upTo(wanted: (event: SentEvent) => boolean): Promise<SentEvent[]> {
    const seen: SentEvent[] = [];
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop
      const event = await this.next();
      seen.push(event);
      if (wanted(event)) return seen;
    }
  }

  close(): void {
    this.#stopping.abort();
  }
}

async function* blocks(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of body) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split("\n\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}

function parse(block: string): SentEvent | null {
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
  const data = field("data");
  if (data === undefined) return null;
  return { id: field("id") ?? "", event: field("event") ?? "message", data: JSON.parse(data) };
}

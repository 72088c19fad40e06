/** Who is sent webhooks: keeps what came, and answers as it is told. */
import { z } from "zod";
import { atEnd } from "./leftovers.ts";

export const sentShape = z.strictObject({
  type: z.string(),
  timestamp: z.iso.datetime(),
  seq: z.int(),
  data: z.record(z.string(), z.unknown()),
});

export type Received = {
  readonly id: string;
  readonly headers: Headers;
  readonly text: string;
  readonly sent: z.output<typeof sentShape>;
};

type Answering = (received: Received) => Response | Promise<Response>;

export class Receiver {
  readonly received: Received[] = [];
  answering: Answering = () => new Response(null, { status: 204 });
  readonly #server: ReturnType<typeof Bun.serve>;

  constructor() {
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      // One that is to wait does.
      idleTimeout: 0,
      fetch: async (request) => {
        const text = await request.text();
        const id = request.headers.get("webhook-id") ?? "";
        const sent = sentShape.parse(JSON.parse(text));
        const one = { id, headers: request.headers, text, sent };
        this.received.push(one);
        return await this.answering(one);
      },
    });
    atEnd(() => this.stop());
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}/hook`;
  }

  get port(): number {
    return this.#server.port ?? 0;
  }

  get seqs(): number[] {
    return this.received.map(({ sent }) => sent.seq);
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }
}

/** Each number once, as it came first. */
export const firsts = (numbers: readonly number[]): number[] => [...new Set(numbers)];

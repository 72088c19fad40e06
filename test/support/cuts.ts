/**
 * A way to PostgreSQL that breaks where a test says: at the nth statement from now on, before it has
 * gone there or after it was carried out and before its answer. The connection of a leader's journal
 * is left alone.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { atEnd } from "./leftovers.ts";

/** Where a connection breaks: on a statement's way there, or its answer's way back. */
export type Cut = "there" | "back";

/** Types of messages: what has a statement carried out, and what ends the answer to it. */
const [query, execute, ready] = Array.from("QEZ", (letter) => letter.charCodeAt(0));
/** Of the messages after a connection's first one: a type, and a length that counts itself. */
const headBytes = 5;

/** Takes a stream of messages apart. */
class Messages {
  #rest = Buffer.alloc(0);
  /** The first that a client sends has no type. */
  #isFirst: boolean;

  constructor(isFirst: boolean) {
    this.#isFirst = isFirst;
  }

  *of(bytes: Uint8Array): Generator<Buffer> {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    for (;;) {
      const at = this.#isFirst ? 0 : 1;
      if (this.#rest.length < headBytes) return;
      const length = at + this.#rest.readInt32BE(at);
      if (this.#rest.length < length) return;
      this.#isFirst = false;
      yield this.#rest.subarray(0, length);
      this.#rest = this.#rest.subarray(length);
    }
  }
}

type Line = {
  readonly client: Socket;
  readonly server: Socket;
  readonly there: Messages;
  readonly back: Messages;
  isJournal: boolean;
  /** It breaks as soon as the statement is carried out. */
  isDoomed: boolean;
};

export class CutWay {
  readonly #to: URL;
  readonly #listener: Server;
  #left = 0;
  #cut: Cut = "there";
  #isCut = false;

  private constructor(url: string) {
    this.#to = new URL(url);
    this.#listener = createServer((client) => this.#open(client));
    atEnd(() => void this.#listener.close());
  }

  /** @param url of a database on a server of this machine */
  static async to(url: string): Promise<CutWay> {
    const way = new CutWay(url);
    await new Promise<void>((resolve) => way.#listener.listen(0, "127.0.0.1", resolve));
    return way;
  }

  /** The same database, by this way. */
  get url(): string {
    const at = this.#listener.address();
    if (at === null || typeof at === "string") throw new Error("it does not listen");
    const url = new URL(this.#to);
    url.port = String(at.port);
    return url.href;
  }

  /** Breaks at the nth statement from now on. */
  cutAt(nth: number, cut: Cut): void {
    this.#left = nth;
    this.#cut = cut;
    this.#isCut = false;
  }

  /** Breaks no more. @returns whether it has */
  heal(): boolean {
    this.#left = 0;
    return this.#isCut;
  }

  #open(client: Socket): void {
    const server = connect({ host: this.#to.hostname, port: Number(this.#to.port) });
    const [there, back] = [new Messages(true), new Messages(false)];
    const line = { client, server, there, back, isJournal: false, isDoomed: false };
    client.on("data", (bytes: Buffer) => this.#asked(line, bytes));
    server.on("data", (bytes: Buffer) => this.#answered(line, bytes));
    client.on("close", () => server.destroy()).on("error", () => {});
    server.on("close", () => client.destroy()).on("error", () => {});
  }

  #asked(line: Line, bytes: Buffer): void {
    for (const message of line.there.of(bytes)) {
      if (message.includes("stampede writer")) line.isJournal = true;
      if (this.#isHit(line, message[0])) {
        if (this.#cut === "there") return this.#break(line);
        line.isDoomed = true;
      }
      line.server.write(message);
    }
  }

  #isHit(line: Line, type: number | undefined): boolean {
    if (line.isJournal || (type !== query && type !== execute) || this.#left === 0) return false;
    this.#left -= 1;
    return this.#left === 0;
  }

  #answered(line: Line, bytes: Buffer): void {
    const messages = Array.from(line.back.of(bytes));
    if (!line.isDoomed) line.client.write(bytes);
    else if (messages.some(([type]) => type === ready)) this.#break(line);
  }

  #break({ client, server }: Line): void {
    this.#isCut = true;
    client.destroy();
    server.destroy();
  }
}

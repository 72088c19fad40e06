/**
 * A keep-alive HTTP/1.1 connection, as little of it as a crowd needs: one request at a time, answers
 * with a Content-Length or without a body. It exists because `fetch` takes several times the processor time, which on
 * a small machine it takes from the server that is being measured.
 */
import type { Socket } from "bun";

export type Answer = { readonly status: number; readonly body: string };

type Waiting = {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
};

const noContent = 204;
const headEnd = "\r\n\r\n";
const lengthHeader = /\r\ncontent-length: *(\d+)/i;

export class HttpConnection {
  readonly #host: string;
  #socket: Socket | null = null;
  #waiting: Waiting | null = null;
  /** An answer of which only a part has come. */
  #begun: Buffer | null = null;

  private constructor(host: string) {
    this.#host = host;
  }

  static async open(hostname: string, port: number): Promise<HttpConnection> {
    const connection = new HttpConnection(`${hostname}:${port}`);
    connection.#socket = await Bun.connect({
      hostname,
      port,
      socket: {
        data: (_, chunk) => connection.#take(chunk),
        close: () => connection.#fail(new Error("the server closed the connection")),
        error: (_, error) => connection.#fail(error),
      },
    });
    return connection;
  }

  /**
   * Rejects when the connection breaks. Not to be called before the last answer has come.
   * @param json a body, in ASCII; none by default
   */
  post(path: string, json = ""): Promise<Answer> {
    return this.#send("POST", path, json);
  }

  /** As `post`. */
  delete(path: string): Promise<Answer> {
    return this.#send("DELETE", path, "");
  }

  #send(method: string, path: string, json: string): Promise<Answer> {
    const type = json === "" ? "" : "Content-Type: application/json\r\n";
    const head = `${method} ${path} HTTP/1.1\r\nHost: ${this.#host}\r\n${type}Content-Length: ${json.length}`;
    const request = head + headEnd + json;
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      // A request is far smaller than a socket's buffer, which is empty between requests.
      if (this.#socket?.write(request) !== request.length) {
        this.#fail(new Error("a request could not be sent"));
      }
    });
  }

  close(): void {
    this.#socket?.end();
  }

  #take(chunk: Buffer): void {
    const received = this.#begun === null ? chunk : Buffer.concat([this.#begun, chunk]);
    const end = received.indexOf(headEnd);
    if (end < 0) {
      this.#begun = Buffer.from(received);
      return;
    }
    const head = received.toString("latin1", 0, end);
    const status = Number(head.slice(9, 12));
    const length = status === noContent ? "0" : lengthHeader.exec(head)?.[1];
    if (length === undefined) {
      this.#fail(new Error(`an answer without a length: ${head}`));
      return;
    }
    const from = end + headEnd.length;
    const to = from + Number(length);
    if (received.length < to) {
      this.#begun = Buffer.from(received);
      return;
    }
    const answer = {
      status,
      body: received.toString("utf8", from, to),
    };
    this.#begun = null;
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.resolve(answer);
  }

  #fail(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.reject(error);
  }
}

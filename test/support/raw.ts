/** Sends bytes as they are, which a proper HTTP client would not, and returns what came back. */
import { waitMaxMs, within } from "./wait.ts";

export type RawAnswer = { readonly status: number; readonly text: string };

/** @param request the whole request; it should ask for `Connection: close` */
export async function sendRaw(url: string, request: string | Uint8Array): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  const closed = Promise.withResolvers<void>();
  const parts: Uint8Array[] = [];
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      data: (_, bytes) => {
        parts.push(Uint8Array.from(bytes));
      },
      close: () => closed.resolve(),
      error: (_, error) => closed.reject(error),
    },
  });
  socket.write(request);
  await within("an answer", waitMaxMs, closed.promise);
  const text = Buffer.concat(parts).toString();
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0), text };
}

/** The lines of a request without a body. */
export const rawRequest = (line: string, ...headers: string[]): string =>
  [`${line} HTTP/1.1`, "Host: localhost", "Connection: close", ...headers, "", ""].join("\r\n");

/** A connection that is open until one end closes it. */
export class RawConnection {
  readonly closed: Promise<void>;
  text = "";
  readonly #socket: Bun.Socket;

  private constructor(socket: Bun.Socket, closed: Promise<void>) {
    this.#socket = socket;
    this.closed = closed;
  }

  static async open(url: string): Promise<RawConnection> {
    const { hostname, port } = new URL(url);
    const closed = Promise.withResolvers<void>();
    const parts: string[] = [];
    const socket = await Bun.connect({
      hostname,
      port: Number(port),
      socket: {
        data: (_, bytes) => {
          parts.push(Buffer.from(bytes).toString("latin1"));
          connection.text = parts.join("");
        },
        close: () => closed.resolve(),
        error: () => closed.resolve(),
      },
    });
    const connection = new RawConnection(socket, closed.promise);
    return connection;
  }

  send(bytes: string | Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Says that nothing more will come, in the middle of whatever it is. */
  finish(): void {
    this.#socket.shutdown();
  }

  /** Sends something again and again, for as long as the connection is open. */
  trickle(bytes: string, everyMs: number): void {
    const timer = setInterval(() => this.send(bytes), everyMs);
    void this.closed.then(() => clearInterval(timer));
  }

  end(): void {
    this.#socket.terminate();
  }
}

/**
 * Deadlines of what is asked of PostgreSQL, on this side: a server that has vanished closes no
 * connection, and its packets are waited for by the system for minutes.
 *
 * The driver knows of none. So a query that is not answered in time fails here, and all connections
 * of its pool are thrown away with it: each may be as dead, and what is asked next must not be put
 * behind it. Of one that is read page by page each page has its own deadline.
 */
import { Socket } from "node:net";
import type { ISql } from "postgres";
import type { Place } from "./servers.ts";

/** What the driver asks for a connection's socket. */
type Address = {
  readonly host: readonly string[];
  readonly port: readonly number[];
  readonly path?: string | false;
};

/** The sockets of a pool. */
export class Sockets {
  readonly #open = new Set<Socket>();
  readonly #locate: (() => Promise<Place>) | null;

  /** @param locate says where the server is just now; null: where the driver is told that it is */
  constructor(locate: (() => Promise<Place>) | null = null) {
    this.#locate = locate;
  }

  /** One that is being connected. */
  readonly open = ({ host, port, path }: Address): Socket | Promise<Socket> => {
    const socket = this.#tracked();
    if (this.#locate !== null) return connectTo(socket, this.#locate);
    if (typeof path === "string" && path !== "") return socket.connect(path);
    const at = { host: host[0] ?? "", port: port[0] ?? 0 };
    return Object.assign(socket.connect(at), at);
  };

  /** Throws all connections away: what was asked on them fails. */
  drop(reason: Error): void {
    for (const socket of this.#open) socket.destroy(reason);
  }

  #tracked(): Socket {
    const socket = new Socket();
    this.#open.add(socket);
    const emit = socket.emit.bind(socket);
    // The driver removes all listeners of a connection that it encrypts.
    socket.emit = (event: string | symbol, ...more: unknown[]): boolean => {
      if (event === "close") this.#open.delete(socket);
      return emit(event, ...more);
    };
    return socket;
  }
}

async function connectTo(socket: Socket, locate: () => Promise<Place>): Promise<Socket> {
  try {
    const at = await locate();
    return Object.assign(socket.connect(at), at);
  } catch (error) {
    const reason = error instanceof Error ? error : new Error(String(error));
    // The driver hears of it by a socket alone, and listens to that when it has it.
    setImmediate(() => socket.destroy(reason));
    return socket;
  }
}

const silent = "CONNECTION_SILENT";

/** What is not answered: `isAway` knows it. */
export const silence = (ms: number): Error =>
  Object.assign(new Error(`PostgreSQL has not answered for ${ms} ms`), { code: silent });

export const isSilence = (error: Error): boolean => "code" in error && error.code === silent;

/** As much of the driver's query as is needed to know when it is asked and answered. */
type Query = Promise<unknown> & {
  handle(): Promise<void>;
  resolve(rows: unknown): void;
  reject(error: Error): void;
  cursor(rows: number): AsyncIterable<unknown>;
};

const isQuery = (value: unknown): value is Query =>
  value instanceof Promise && "handle" in value && "cursor" in value;

/** The same client, whose queries have `ms` for an answer. */
export function withDeadline<S extends ISql>(sql: S, ms: number, sockets: Sockets): S {
  const watch = (made: unknown): unknown => (isQuery(made) ? watched(made, ms, sockets) : made);
  return new Proxy(sql, {
    apply: (target, self, given) => watch(Reflect.apply(target, self, given)),
    get: (target, name) => {
      if (name !== "unsafe") return Reflect.get(target, name);
      return (...given: Parameters<ISql["unsafe"]>) => watch(target.unsafe(...given));
    },
  });
}

function watched(query: Query, ms: number, sockets: Sockets): Query {
  const { resolve, reject } = query;
  const handle = query.handle.bind(query);
  const cursor = query.cursor.bind(query);
  let deadline: ReturnType<typeof setTimeout> | null = null;
  const answered = (): void => {
    if (deadline !== null) clearTimeout(deadline);
  };
  query.handle = () => {
    deadline ??= setTimeout(() => {
      query.reject(silence(ms));
      sockets.drop(silence(ms));
    }, ms);
    return handle();
  };
  query.resolve = (rows) => {
    answered();
    resolve(rows);
  };
  query.reject = (error) => {
    answered();
    reject(error);
  };
  query.cursor = (rows) => {
    query.handle = handle;
    return pagesOf(cursor(rows), ms, sockets);
  };
  return query;
}

/** The pages of a query, each of which has `ms`. */
async function* pagesOf(
  pages: AsyncIterable<unknown>,
  ms: number,
  sockets: Sockets,
): AsyncGenerator<unknown> {
  const iterator = pages[Symbol.asyncIterator]();
  try {
    for (;;) {
      const deadline = setTimeout(() => sockets.drop(silence(ms)), ms);
      const page = await Promise.resolve(iterator.next()).finally(() => clearTimeout(deadline));
      if (page.done === true) return;
      yield page.value;
    }
  } finally {
    await iterator.return?.();
  }
}

/**
 * Serves the table of routes: finds the path, checks the method and the body's size, carries
 * the request's id into the answer, and turns whatever goes wrong into a problem.
 *
 * Where this process does not lead, requests that need the leader are passed on to it.
 */
import type { BunRequest, Server } from "bun";
import type { z } from "zod";
import { forwardedHeader, type Clients } from "../access/clients.ts";
import { OverloadedError, UnavailableError } from "../engine/writer.ts";
import type { Engine, Log } from "../engine/engine.ts";
import { isAway } from "../postgres/client.ts";
import { problem, type ProblemCode } from "./problems.ts";

export type Handler = (
  request: BunRequest,
  server: Server<undefined>,
) => Response | Promise<Response>;

/** One method of a path: what serves it, and what /openapi.json says of it. */
export type Operation = {
  readonly handle: Handler;
  readonly summary: string;
  /** What more there is to know than fits a line. */
  readonly description?: string;
  /** Who may call it; without it, everybody. The handler checks, by `accounts`. */
  readonly auth?: "user" | "admin";
  /** Parameters, each with `.describe()` and an example in `.meta()`. */
  readonly path?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly headers?: z.ZodObject;
  /** The schema that the handler reads the body by. */
  readonly body?: z.ZodType;
  /** Bodies of answers by status; null for an answer without one. JSON unless `mediaType`. */
  readonly answers: { readonly [status: number]: z.ZodType | null };
  readonly mediaType?: string;
  /** Headers that every success carries, for whoever calls. */
  readonly sends?: readonly ("Location" | "Set-Cookie")[];
  /** Its own; what every operation of its kind may answer is added in the document. */
  readonly refusals: readonly ProblemCode[];
  /** In place of a refusal's own status. */
  readonly statuses?: { readonly [code in ProblemCode]?: number };
};

/** What people look at: answered to GET and HEAD, and no part of the document. */
export type PageRoute = { readonly path: string; readonly handle: Handler };

export type Route = {
  /** As in `Bun.serve`: segments that begin with a colon are parameters. */
  readonly path: string;
  readonly methods: { readonly [method: string]: Operation };
  /** Answered by the leader alone; others pass it on. */
  readonly leaderOnly?: true;
};

/** Bytes of a request's body. */
export const bodyBytesMax = 65_536;
/** Bun's own bound, above which its answer is empty; a body that nobody reads takes no memory. */
const bodyBytesSentMax = 1024 ** 3;
/** These belong to one connection, not to what it carries. */
const hopByHopHeaders = ["Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade"];
const forwardTimeoutMs = 5_000;

export function serve(options: {
  readonly routes: readonly Route[];
  readonly pages?: readonly PageRoute[];
  /** For people who are lost; without it, and for programs, a problem. */
  readonly missingPage?: (request: Request) => Response;
  readonly engine: Engine;
  readonly host: string;
  readonly port: number;
  readonly log: Log;
  /** Tells the leader whose request is passed on; without it, that one was. */
  readonly clients?: Clients;
}): Server<undefined> {
  const { engine, log, clients } = options;
  const table: Record<string, Handler> = {};
  for (const { path, methods, leaderOnly } of options.routes) {
    const handlers = Object.entries(methods).map(([method, { handle }]) => [method, handle]);
    const served = { handlers: Object.fromEntries(handlers), leaderOnly: leaderOnly === true };
    table[path] = dispatcher(served, engine, log, clients);
  }
  for (const { path, handle } of options.pages ?? []) {
    const served = { handlers: { GET: handle }, leaderOnly: false };
    table[path] = dispatcher(served, engine, log, clients);
  }
  return Bun.serve({
    hostname: options.host,
    port: options.port,
    development: false,
    // Bun's default would let a second program share the port, and half of the requests.
    reusePort: false,
    maxRequestBodySize: bodyBytesSentMax,
    routes: table,
    fetch: (request) => withRequestId(request, missing(request, options.missingPage)),
    error: (error) => failure(error, crypto.randomUUID(), log),
  });
}

/** Each operation of a table, in its order; HEAD is part of GET. */
export function operationsOf(
  routes: readonly Route[],
): { readonly path: string; readonly method: string; readonly operation: Operation }[] {
  return routes.flatMap(({ path, methods }) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
}

type Served = {
  readonly handlers: { readonly [method: string]: Handler };
  readonly leaderOnly: boolean;
};

function dispatcher(served: Served, engine: Engine, log: Log, clients?: Clients): Handler {
  const methods: Record<string, Handler> = { ...served.handlers };
  if (methods["GET"] !== undefined) methods["HEAD"] = methods["GET"];
  const allow = Object.keys(methods).join(", ");
  const answer = (request: BunRequest, server: Server<undefined>): Response | Promise<Response> => {
    const handler = methods[request.method];
    if (handler === undefined) return problem("method_not_allowed", { headers: { Allow: allow } });
    // Most requests have no body, and each look at a header costs them.
    const length = request.body === null ? "0" : request.headers.get("Content-Length");
    if (length !== null && Number(length) > bodyBytesMax) return problem("payload_too_large");
    if (served.leaderOnly && engine.role.name === "standby") {
      // How long it may take is for the leader to say, and for `forward`.
      server.timeout(request, 0);
      return forward(request, engine.role.url, clients?.seal(request, server) ?? "1");
    }
    if (length === null) return measured(request, handler, server);
    return handler(request, server);
  };
  return (request, server) => {
    const id = sane(request.headers.get("X-Request-Id"));
    let answered: Response | Promise<Response>;
    try {
      answered = answer(request, server);
    } catch (error) {
      return failure(error, id ?? crypto.randomUUID(), log);
    }
    if (answered instanceof Response) {
      if (id === null && answered.status < 500) return answered;
      return withId(answered, id ?? crypto.randomUUID());
    }
    // Without an id to carry, a rejection may as well go to the server's own `error`.
    if (id === null) return answered;
    return answered
      .catch((error: unknown) => failure(error, id, log))
      .then((response) => withId(response, id));
  };
}

/** Answers a request that does not say how long its body is, after counting. */
async function measured(
  request: BunRequest,
  handler: Handler,
  server: Server<undefined>,
): Promise<Response> {
  let bytes = 0;
  for await (const chunk of request.clone().body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > bodyBytesMax) return problem("payload_too_large");
  }
  return await handler(request, server);
}

/** The answer to a handler that threw. */
function failure(error: unknown, requestId: string, log: Log): Response {
  if (error instanceof UnavailableError || isAway(error)) {
    return withId(problem("unavailable", { retryAfterMs: 1000 }), requestId);
  }
  if (error instanceof OverloadedError) {
    return withId(problem("overloaded", { retryAfterMs: 1000 }), requestId);
  }
  log.error({ requestId, error: error instanceof Error ? error.stack : String(error) }, "failed");
  return withId(problem("internal"), requestId);
}

const saneId = /^[\x21-\x7e]{1,128}$/;

const sane = (id: string | null): string | null => (id !== null && saneId.test(id) ? id : null);

function withId(response: Response, id: string): Response {
  response.headers.set("X-Request-Id", id);
  return response;
}

function withRequestId(request: Request, response: Response): Response {
  const id = sane(request.headers.get("X-Request-Id"));
  return id === null ? response : withId(response, id);
}

function missing(request: Request, page?: (request: Request) => Response): Response {
  const looks = request.method === "GET" || request.method === "HEAD";
  // A browser asks for text/html by name; programs take anything, or JSON.
  const wantsPage = looks && /\btext\/html\b/.test(request.headers.get("Accept") ?? "");
  return wantsPage && page !== undefined ? page(request) : problem("not_found");
}

/** Has the leader answer. The answer streams through, whatever its length. */
async function forward(request: Request, leaderUrl: string, seal: string): Promise<Response> {
  if (request.headers.has(forwardedHeader)) {
    throw new UnavailableError("the leader is changing");
  }
  const { pathname, search } = new URL(request.url);
  const headers = new Headers(request.headers);
  headers.set(forwardedHeader, seal);
  headers.delete("Host");
  const stopWaiting = new AbortController();
  const timer = setTimeout(() => stopWaiting.abort(), forwardTimeoutMs);
  try {
    const answer = await fetch(leaderUrl + pathname + search, {
      method: request.method,
      headers,
      body: request.method === "GET" || request.method === "HEAD" ? null : await request.bytes(),
      redirect: "manual",
      decompress: false,
      signal: stopWaiting.signal,
    });
    const passedOn = new Headers(answer.headers);
    for (const name of hopByHopHeaders) passedOn.delete(name);
    return new Response(answer.body, { status: answer.status, headers: passedOn });
  } catch (error) {
    throw new UnavailableError(`the leader at ${leaderUrl} does not answer: ${String(error)}`);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Serves the table of routes: finds the path, checks the method and the body's size, asks the gate
 * who may pass, carries the request's id into the answer, and turns whatever goes wrong into a
 * problem.
 *
 * Where this process does not lead, requests that need the leader are passed on to it.
 *
 * Slow senders end by Bun's idle time of 10 s, which only whole requests begin anew; `body.ts` ends
 * the rest.
 */
import type { BunRequest, Server } from "bun";
import type { z } from "zod";
import type { Clients } from "../access/clients.ts";
import { Forwarding } from "./forward.ts";
import { OverloadedError, UnavailableError } from "../engine/writer.ts";
import type { Engine, Log } from "../engine/engine.ts";
import { isAway } from "../postgres/client.ts";
import type { Gate, Gated } from "./gate.ts";
import type { StreamPlaces } from "./connections.ts";
import { bodyBytesMax, readBytes, tooLarge, unread } from "./body.ts";
import { queryOf, unknownParameter } from "./parse.ts";
import { problem, type ProblemCode } from "./problems.ts";

export type Handler = (
  request: BunRequest,
  server: Server<undefined>,
) => Response | Promise<Response>;

/** One method of a path: what serves it, and what /openapi.json says of it. */
export type Operation = Gated & {
  readonly handle: Handler;
  readonly summary: string;
  /** What more there is to know than fits a line. */
  readonly description?: string;
  /** Who may call it; without it, everybody. The handler checks, by `accounts`. */
  readonly auth?: "user" | "admin" | "merchant";
  /** Parameters, each with `.describe()` and an example in `.meta()`. */
  readonly path?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly headers?: z.ZodObject;
  /** The schema that the handler reads the body by. */
  readonly body?: z.ZodType;
  /** Bytes that its body may have, where it is not `bodyBytesMax`. */
  readonly bodyBytesMax?: number;
  /** Bodies of answers by status; null for an answer without one. JSON unless `mediaType`. */
  readonly answers: { readonly [status: number]: z.ZodType | null };
  readonly mediaType?: string;
  /** Headers that every success carries, for whoever calls. */
  readonly sends?: readonly ("Location" | "Set-Cookie")[];
  /** It goes on for as long as the client listens. */
  readonly streams?: true;
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

/** Bun's own bound, above which its answer is empty; a body that nobody reads takes no memory. */
const bodyBytesSentMax = 1024 ** 3;

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
  /** Where streams that are passed on have their places. */
  readonly places?: StreamPlaces;
  /** What requests pass before their handlers; without it, they all do. */
  readonly gate?: Gate;
}): Server<undefined> {
  const { engine, log, clients, gate, places = () => () => {} } = options;
  const passOn = new Forwarding(places, clients);
  const table: Record<string, Handler> = {};
  for (const { path, methods, leaderOnly } of options.routes) {
    // Who has an account the leader alone can tell.
    const asksWho = Object.values(methods).some(({ auth }) => auth !== undefined);
    const checked = path.startsWith("/api/admin/") ? withKnownQueries(methods) : methods;
    const served = { path, methods: checked, leaderOnly: leaderOnly === true || asksWho };
    table[path] = dispatcher(served, { engine, log, passOn, gate });
  }
  for (const { path, handle } of options.pages ?? []) {
    const served = { path, methods: { GET: { handle } }, leaderOnly: false };
    table[path] = dispatcher(served, { engine, log, passOn, gate });
  }
  return Bun.serve({
    hostname: options.host,
    port: options.port,
    development: false,
    // Bun's default would let a second program share the port, and half of the requests.
    reusePort: false,
    maxRequestBodySize: bodyBytesSentMax,
    routes: table,
    fetch: (request) =>
      withRequestId(request, unread(request, missing(request, options.missingPage))),
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

type ServedMethod = Gated & Pick<Operation, "handle" | "body" | "bodyBytesMax" | "streams">;

type Served = {
  readonly path: string;
  readonly methods: { readonly [method: string]: ServedMethod };
  readonly leaderOnly: boolean;
};

/** Refuses parameters that an operation does not have: they would be dropped in silence. */
function withKnownQueries(methods: Route["methods"]): Route["methods"] {
  const checked = Object.entries(methods).map(([method, operation]) => {
    const known = new Set(Object.keys(operation.query?.shape ?? {}));
    const handle: Handler = (request, server) => {
      const unknown = unknownParameter(queryOf(request.url), known);
      return unknown === null
        ? operation.handle(request, server)
        : problem("invalid_request", {
            detail: `${unknown.slice(0, 100)} is not a parameter of this path`,
          });
    };
    return [method, { ...operation, handle }] as const;
  });
  return Object.fromEntries(checked);
}

type Dispatching = {
  readonly engine: Engine;
  readonly log: Log;
  readonly passOn: Forwarding;
  readonly gate: Gate | undefined;
};

function dispatcher(served: Served, { engine, log, passOn, gate }: Dispatching): Handler {
  const methods = new Map(Object.entries(served.methods));
  const get = methods.get("GET");
  if (get !== undefined) methods.set("HEAD", get);
  const allow = Array.from(methods.keys()).join(", ");
  const answer = (request: BunRequest, server: Server<undefined>): Response | Promise<Response> => {
    const method = methods.get(request.method);
    if (method === undefined) {
      const preflight = request.method === "OPTIONS" ? gate?.preflight(request, allow) : null;
      if (preflight != null) return preflight;
      return unread(request, problem("method_not_allowed", { headers: { Allow: allow } }));
    }
    if (served.leaderOnly && engine.role.name === "standby") {
      const to = { leaderUrl: engine.role.url, streams: method.streams === true };
      return passOn.forward(request, server, served.path, to);
    }
    const refused = gate?.check(request, server, method) ?? null;
    if (refused === null) return handled(request, server, method);
    if (refused instanceof Response) return unread(request, refused);
    return refused.then((refusal) =>
      refusal === null ? handled(request, server, method) : unread(request, refusal),
    );
  };
  return carryingId(gate === undefined ? answer : sharing(gate, answer), log);
}

/** Most requests have no body, and each look at a header costs them. */
const handled = (
  request: BunRequest,
  server: Server<undefined>,
  method: ServedMethod,
): Response | Promise<Response> =>
  request.body === null ? method.handle(request, server) : withBody(request, server, method);

/** Has every answer read by those pages of other sites that may. */
function sharing(gate: Gate, answer: Handler): Handler {
  if (!gate.isShared) return answer;
  return async (request, server) => gate.shared(request, await answer(request, server));
}

/** Carries the request's id into the answer, and turns what is thrown into one. */
function carryingId(answer: Handler, log: Log): Handler {
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

/** A body that the handler does not read is not to be larger either. */
function withBody(
  request: BunRequest,
  server: Server<undefined>,
  { handle, body, bodyBytesMax: bytesMax = bodyBytesMax }: ServedMethod,
): Response | Promise<Response> {
  const length = request.headers.get("Content-Length");
  if (length !== null && Number(length) > bytesMax) return tooLarge();
  if (length !== null) return handle(request, server);
  if (body !== undefined) return answeredWhole(request, handle(request, server));
  return readBytes(request).then((bytes) =>
    bytes instanceof Response ? bytes : handle(request, server),
  );
}

/** Of a body that the handler left unread nobody knows the end. */
async function answeredWhole(
  request: BunRequest,
  answered: Response | Promise<Response>,
): Promise<Response> {
  const answer = await answered;
  return request.bodyUsed ? answer : unread(request, answer);
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

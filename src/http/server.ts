/**
 * Serves the table of routes: finds the path, checks the method and the body's size, asks the gate
 * who may pass, carries the request's id into the answer, and turns whatever goes wrong into a
 * problem.
 *
 * Slow senders end by Bun's idle time of 10 s, which only whole requests begin anew; `body.ts` ends
 * the rest.
 */
import type { BunRequest, Server } from "bun";
import type { z } from "zod";
import { floodedWeight, Latencies, type Latency } from "../engine/latencies.ts";
import type { Tracer } from "../engine/traces.ts";
import { OutcomeUnknownError, OverloadedError, UnavailableError } from "../engine/writer.ts";
import type { Log } from "../engine/engine.ts";
import { isAway, isTooSlow } from "../postgres/client.ts";
import { CommitUnknownError } from "../store/db.ts";
import { timing, traced } from "./timing.ts";
import type { Gate, Gated } from "./gate.ts";
import { nobodyBuys, Reads, type Lane, type ReadCost } from "./reads.ts";
import {
  bodyBytesMax,
  readBytes,
  refuseFields,
  refuseLargeBody,
  tooLarge,
  unread,
} from "./body.ts";
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
  /** The media types of a body that is no JSON; the handler reads it by itself. */
  readonly bodyTypes?: readonly string[];
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
export type PageRoute = {
  readonly path: string;
  readonly handle: Handler;
  readonly cost?: ReadCost;
};

export type Route = {
  /** As in `Bun.serve`: segments that begin with a colon are parameters. */
  readonly path: string;
  readonly methods: { readonly [method: string]: Operation };
};

/** Bun's own bound, above which its answer is empty; a body that nobody reads takes no memory. */
const bodyBytesSentMax = 1024 ** 3;

export type Pages = {
  readonly pages?: readonly PageRoute[];
  /** For people who are lost; without it, and for programs, a problem. */
  readonly missingPage?: (request: Request) => Response;
};

export function serve(
  options: Pages & {
    readonly routes: readonly Route[];
    readonly host: string;
    readonly port: number;
    /** Others of this program listen there too, each for a part of the clients. */
    readonly isShared?: boolean;
    readonly log: Log;
    /** What requests pass before their handlers; without it, they all do. */
    readonly gate?: Gate;
    /** Whether the program is about to end: then clients are told to connect anew. */
    readonly isDeparting?: () => boolean;
    /** What reads pass; without it, nobody else has bounds in common with them. */
    readonly reads?: Reads;
    /** Where it is noted how long requests take; without a tracer nothing is traced. */
    readonly metrics?: { readonly latencies: Latencies; readonly tracer: Tracer | null };
  },
): Server<undefined> {
  const { log, gate, isDeparting = () => false, reads = new Reads(nobodyBuys) } = options;
  const { latencies, tracer } = options.metrics ?? { latencies: new Latencies(), tracer: null };
  const passing = { log, gate, reads, latencies, tracer };
  const table: Record<string, Handler> = {};
  for (const { path, methods } of options.routes) {
    const checked = path.startsWith("/api/admin/") ? withKnownQueries(methods) : methods;
    table[path] = parting(dispatcher(path, checked, passing), isDeparting, log);
  }
  for (const { path, ...page } of options.pages ?? []) {
    table[path] = parting(dispatcher("page", { GET: page }, passing), isDeparting, log);
  }
  const nothing = (request: Request): Response | Promise<Response> =>
    reads.answer(request, undefined, () =>
      withRequestId(request, unread(request, missing(request, options.missingPage))),
    );
  return Bun.serve({
    hostname: options.host,
    port: options.port,
    development: false,
    // Unasked it would let a second program share the port, and half of the requests.
    reusePort: options.isShared ?? false,
    maxRequestBodySize: bodyBytesSentMax,
    routes: table,
    fetch: parting(sharing(gate, nothing, log), isDeparting, log),
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

type ServedMethod = Gated &
  Pick<Operation, "handle" | "body" | "bodyTypes" | "bodyBytesMax" | "mediaType">;

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

type Passing = {
  readonly log: Log;
  readonly gate: Gate | undefined;
  readonly reads: Reads;
  readonly latencies: Latencies;
  readonly tracer: Tracer | null;
};

function dispatcher(
  path: string,
  served: { readonly [method: string]: ServedMethod },
  { log, gate, reads, latencies, tracer }: Passing,
): Handler {
  const timed = Object.entries(served).map(
    ([name, method]) =>
      [name, { ...method, latency: latencyOf(latencies, path, name, method) }] as const,
  );
  const methods = new Map(timed);
  const get = methods.get("GET");
  if (get !== undefined) methods.set("HEAD", get);
  const allow = Array.from(methods.keys()).join(", ");
  const handled: MethodHandler = (request, server, method) => {
    if (method !== get) return answered(request, server, method);
    const refused = refuseLargeBody(request);
    if (refused !== null) return refused;
    const read = (lane?: Lane) =>
      reads.answer(request, method.cost, () => answered(request, server, method), lane);
    if (method.cost !== "costly") return read();
    const inLane = async () => read(await gate?.laneOf(request));
    if (method.mediaType === undefined) return patient(request, server, inLane);
    // What is sent as it is made sees to itself once it is its turn.
    server.timeout(request, costlySeconds);
    return inLane();
  };
  const admitted: MethodHandler = (request, server, method) => {
    const refused = gate?.check(request, server, method) ?? null;
    if (refused === null) return handled(request, server, method);
    if (refused instanceof Response) return unread(request, refused);
    return refused.then((refusal) =>
      refusal === null ? handled(request, server, method) : unread(request, refusal),
    );
  };
  const answer = (request: BunRequest, server: Server<undefined>): Response | Promise<Response> => {
    const method = methods.get(request.method);
    if (method === undefined) {
      const preflight = request.method === "OPTIONS" ? gate?.preflight(request, allow) : null;
      if (preflight != null) return unread(request, preflight);
      return unread(request, problem("method_not_allowed", { headers: { Allow: allow } }));
    }
    return method.latency.isDue()
      ? timing(method.latency, () => admitted(request, server, method))
      : admitted(request, server, method);
  };
  const whole = carryingId(sharing(gate, answer, log), log);
  return tracer === null ? whole : traced(tracer, path, whole);
}

/** Where buyers come in floods, each path by its name; of the rest, what costs alike is together. */
function latencyOf(
  latencies: Latencies,
  path: string,
  method: string,
  { admitsItself, cost }: ServedMethod,
): Latency {
  if (admitsItself === true) return latencies.of(`${method} ${path}`, floodedWeight);
  if (path === "page") return latencies.of("pages");
  return latencies.of(method === "GET" ? `reads, ${cost ?? "small"}` : "other writes");
}

/** Bun's own, for a connection on which nothing is said. */
const idleSeconds = 10;
/** Of one that waits for what takes PostgreSQL long, and perhaps for others before it. */
const costlySeconds = 90;

/** The answer to what may take longer than others; what is sent as it is made sees to itself. */
export async function patient(
  request: BunRequest,
  server: Server<undefined>,
  answer: () => Response | Promise<Response>,
  seconds = costlySeconds,
): Promise<Response> {
  server.timeout(request, seconds);
  try {
    return await answer();
  } finally {
    server.timeout(request, idleSeconds);
  }
}

type MethodHandler = (
  request: BunRequest,
  server: Server<undefined>,
  method: ServedMethod,
) => Response | Promise<Response>;

/** Most requests have no body, and each look at a header costs them. */
const answered: MethodHandler = (request, server, method) =>
  request.body === null ? method.handle(request, server) : withBody(request, server, method);

type Answering<R extends Request> = (
  request: R,
  server: Server<undefined>,
) => Response | Promise<Response>;

/** Has every answer read by those pages of other sites that may, one to what went wrong too. */
function sharing<R extends Request>(
  gate: Gate | undefined,
  answer: Answering<R>,
  log: Log,
): Answering<R> {
  if (gate?.isShared !== true) return answer;
  return async (request, server) =>
    gate.shared(request, await caught(request, () => answer(request, server), log));
}

/** Has each client's connection end with its next answer, once the program is about to. */
const parting =
  <R extends Request>(answer: Answering<R>, isDeparting: () => boolean, log: Log): Answering<R> =>
  (request, server) =>
    isDeparting()
      ? caught(request, () => answer(request, server), log).then(withClose)
      : answer(request, server);

/** The answer of a handler that may throw: `error` of `Bun.serve` does not know to whom it answers. */
async function caught(
  request: Request,
  answer: () => Response | Promise<Response>,
  log: Log,
): Promise<Response> {
  try {
    return await answer();
  } catch (error) {
    return failure(error, sane(request.headers.get("X-Request-Id")) ?? crypto.randomUUID(), log);
  }
}

function withClose(response: Response): Response {
  response.headers.set("Connection", "close");
  return response;
}

/** Carries the request's id into the answer, and turns what is thrown into one. */
function carryingId(answer: Handler, log: Log): Handler {
  return (request, server) => {
    const id = sane(request.headers.get("X-Request-Id"));
    let given: Response | Promise<Response>;
    try {
      given = answer(request, server);
    } catch (error) {
      return failure(error, id ?? crypto.randomUUID(), log);
    }
    if (given instanceof Response) {
      if (id === null && given.status < 500) return given;
      return withId(given, id ?? crypto.randomUUID());
    }
    // Without an id to carry, a rejection may as well go to the server's own `error`.
    if (id === null) return given;
    return given
      .catch((error: unknown) => failure(error, id, log))
      .then((response) => withId(response, id));
  };
}

/** A body that the handler does not read is not to be larger either. */
function withBody(
  request: BunRequest,
  server: Server<undefined>,
  { handle, body, bodyTypes, bodyBytesMax: bytesMax = bodyBytesMax, admitsItself }: ServedMethod,
): Response | Promise<Response> {
  const length = request.headers.get("Content-Length");
  if (length !== null && Number(length) > bytesMax) return tooLarge(bytesMax);
  const takesBody = (body ?? bodyTypes) !== undefined;
  // In a flood nobody looks at what is not read.
  if (length !== null && (takesBody || admitsItself === true)) return handle(request, server);
  if (takesBody) return answeredWhole(request, handle(request, server));
  return readBytes(request).then((bytes) =>
    bytes instanceof Response ? bytes : (refuseFields(bytes) ?? handle(request, server)),
  );
}

/** Of a body that the handler left unread nobody knows the end. */
async function answeredWhole(
  request: BunRequest,
  given: Response | Promise<Response>,
): Promise<Response> {
  const answer = await given;
  return request.bodyUsed ? answer : unread(request, answer);
}

const commitUnknown =
  "PostgreSQL was lost while it had this request, and nobody can tell whether it was carried out. " +
  "Look before sending it again.";

/** The answer to a handler that threw. */
function failure(error: unknown, requestId: string, log: Log): Response {
  if (error instanceof UnavailableError || isAway(error)) {
    return withId(problem("unavailable", { retryAfterMs: 1000 }), requestId);
  }
  if (error instanceof OutcomeUnknownError) return withId(problem("outcome_unknown"), requestId);
  if (error instanceof CommitUnknownError) {
    return withId(problem("outcome_unknown", { detail: commitUnknown }), requestId);
  }
  if (error instanceof OverloadedError) {
    return withId(problem("overloaded", { retryAfterMs: 1000 }), requestId);
  }
  if (isTooSlow(error)) {
    const detail = "PostgreSQL took too long to read this, and stopped; ask for less, or later.";
    return withId(problem("overloaded", { detail, retryAfterMs: 5_000 }), requestId);
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

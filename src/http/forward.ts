/**
 * How a process that stands by has the leader answer. The answer streams through, whatever its
 * length; a leader that does not begin one within `forwardTimeoutMs` is no leader any more.
 *
 * Only a path that is its route's to the letter is passed on: dots and backslashes are taken out of
 * paths on the way here, and on the way there, so that one which matched here may have become
 * another.
 */
import type { BunRequest, Server } from "bun";
import { forwardedHeader, type Clients } from "../access/clients.ts";
import { UnavailableError } from "../engine/writer.ts";
import { readBytes, unread } from "./body.ts";
import { pathOf, queryOf } from "./parse.ts";
import { problem } from "./problems.ts";
import type { StreamPlaces } from "./connections.ts";

const forwardTimeoutMs = 5_000;
/** What a stream may pause for; it says something more often. */
const silenceMaxSeconds = 40;
/** Bun asks for 256 things at a time, a stream among them for as long as it goes on. */
const streamsMax = 128;
/** These belong to one connection, not to what it carries. */
const hopByHopHeaders = ["Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade"];

type ForwardTo = { readonly leaderUrl: string; readonly streams: boolean };

export class Forwarding {
  readonly #places: StreamPlaces;
  readonly #clients: Clients | undefined;
  #streams = 0;

  /** @param clients tells the leader who asks; without it, that a request was passed on */
  constructor(places: StreamPlaces, clients: Clients | undefined) {
    this.#places = places;
    this.#clients = clients;
  }

  /** @throws UnavailableError when no leader answers */
  async forward(
    request: BunRequest,
    server: Server<undefined>,
    route: string,
    { leaderUrl, streams }: ForwardTo,
  ): Promise<Response> {
    if (request.headers.has(forwardedHeader)) throw new UnavailableError("the leader is changing");
    const address = addressAt(leaderUrl, request.url, route);
    if (address === null) return unread(request, problem("not_found"));
    const body = await readBytes(request);
    if (body instanceof Response) return body;
    const leave = streams ? this.#placeFor(request, server) : null;
    if (leave instanceof Response) return leave;
    // Beyond the request it would keep the connection open for as long when that is idle.
    if (leave !== null) server.timeout(request, silenceMaxSeconds);
    const headers = new Headers(request.headers);
    headers.set(forwardedHeader, this.#clients?.seal(request, server) ?? "1");
    for (const name of ["Host", ...hopByHopHeaders]) headers.delete(name);
    try {
      const { method } = request;
      const sent = { method, headers, body: request.body === null ? null : body };
      const answer = await answerOf(address, sent);
      const passedOn = new Headers(answer.headers);
      for (const name of hopByHopHeaders) passedOn.delete(name);
      const stream = leave === null ? answer.body : endingWith(answer.body, leave);
      return new Response(stream, { status: answer.status, headers: passedOn });
    } catch (error) {
      leave?.();
      throw error;
    }
  }

  #placeFor(request: BunRequest, server: Server<undefined>): (() => void) | Response {
    if (this.#streams >= streamsMax) return problem("overloaded", { retryAfterMs: 5_000 });
    const leave = this.#places(request, server);
    if (leave instanceof Response) return leave;
    this.#streams += 1;
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      this.#streams -= 1;
      leave();
    };
  }
}

async function answerOf(
  address: string,
  { method, headers, body }: { method: string; headers: Headers; body: BodyInit | null },
): Promise<Response> {
  const stopWaiting = new AbortController();
  const timer = setTimeout(() => stopWaiting.abort(), forwardTimeoutMs);
  try {
    const { signal } = stopWaiting;
    const how = { redirect: "manual", decompress: false } as const;
    return await fetch(address, { method, headers, body, signal, ...how });
  } catch (error) {
    throw new UnavailableError(`the leader does not answer ${address}: ${String(error)}`);
  } finally {
    clearTimeout(timer);
  }
}

/** A body that tells when it is over, whoever ends it. */
function endingWith(body: ReadableStream<Uint8Array> | null, leave: () => void) {
  if (body === null) {
    leave();
    return null;
  }
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        leave();
        controller.close();
      } catch (error) {
        leave();
        controller.error(error);
      }
    },
    cancel(reason) {
      leave();
      void reader.cancel(reason).catch(() => {});
    },
  });
}

/** Where the leader answers a request; null for a path that would be another there. */
function addressAt(leaderUrl: string, url: string, route: string): string | null {
  const path = pathOf(url);
  const query = queryOf(url);
  const address = `${leaderUrl}${path}${query === "" ? "" : `?${query}`}`;
  const isSame = URL.canParse(address) && new URL(address).pathname === path;
  return isSame && isOfRoute(path, route) ? address : null;
}

/** Whether a path is one of a route's, segment by segment. */
function isOfRoute(path: string, route: string): boolean {
  const segments = path.split("/");
  const pattern = route.split("/");
  return (
    segments.length === pattern.length &&
    pattern.every((part, i) => part.startsWith(":") || part === segments[i])
  );
}

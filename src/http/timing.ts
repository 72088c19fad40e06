/** Looks at answers as they come: how long one takes, and what it is traced as. */
import type { Latency } from "../engine/latencies.ts";
import type { Tracer } from "../engine/traces.ts";
import type { Handler } from "./server.ts";

type Answer = Response | Promise<Response>;

/** Has the requests of a route traced that are to be. */
export const traced =
  (tracer: Tracer, route: string, answer: Handler): Handler =>
  (request, server) => {
    const end = tracer.begin(request.method, route, request.headers.get("traceparent"));
    return end === null ? answer(request, server) : noted(end, () => answer(request, server));
  };

/** Notes how long an answer takes. */
export function timing(latency: Latency, answer: () => Answer): Answer {
  const begin = performance.now();
  return noted((status) => latency.note((performance.now() - begin) / 1000, status), answer);
}

/** Tells the status of an answer when it is there; one that fails is a 500 to whoever asked. */
function noted(note: (status: number) => void, answer: () => Answer): Answer {
  const fail = (error: unknown): never => {
    note(500);
    throw error;
  };
  let given: Answer;
  try {
    given = answer();
  } catch (error) {
    return fail(error);
  }
  if (given instanceof Promise) {
    return given.then((response) => {
      note(response.status);
      return response;
    }, fail);
  }
  note(given.status);
  return given;
}

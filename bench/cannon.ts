/**
 * A program of its own: loads a server by autocannon and prints one line of JSON (`Load`).
 * `bun bench/cannon.ts OF ORIGIN CONNECTIONS SECONDS ANSWER_SECONDS_MAX`, where OF is JSON: the name
 * of a flood, or a read.
 */
import autocannon from "autocannon";
import { z } from "zod";
import { floods, isFloodName } from "./floods.ts";

const [text = "", url = "", connections, duration, timeout] = process.argv.slice(2);
const readSchema = z.object({ path: z.string(), headers: z.record(z.string(), z.string()) });
const of = z.union([z.string().refine(isFloodName), readSchema]).parse(JSON.parse(text));
const request =
  typeof of === "string" ? floods[of].request : () => ({ method: "GET" as const, ...of });

/** What its types leave out. */
const countsSchema = z.object({
  statusCodeStats: z.record(z.string(), z.object({ count: z.number().int() })),
});

const { promise, resolve, reject } = Promise.withResolvers<autocannon.Result>();
const running = autocannon(
  {
    url,
    connections: Number(connections),
    duration: Number(duration),
    timeout: Number(timeout),
    requests: [{ setupRequest: (defaults) => Object.assign(defaults, request()) }],
  },
  (error: unknown, done) => {
    if (done === undefined) reject(error instanceof Error ? error : new Error(String(error)));
    else resolve(done);
  },
);
process.once("SIGINT", () => running.stop());
const result = await promise;
const { statusCodeStats } = countsSchema.parse(result);
const statuses = Object.fromEntries(
  Object.entries(statusCodeStats).map(([status, { count }]) => [status, count]),
);
const report = {
  seconds: result.duration,
  p50Ms: result.latency.p50,
  p99Ms: result.latency.p99,
  socketErrors: result.errors,
  statuses,
};
process.stdout.write(`${JSON.stringify(report)}\n`);
process.exit(0);

/**
 * A program of its own: loads a server by autocannon and prints one line of JSON (`Load`).
 * `bun bench/cannon.ts FLOOD ORIGIN CONNECTIONS SECONDS ANSWER_SECONDS_MAX`
 */
import autocannon from "autocannon";
import { z } from "zod";
import { floods, isFloodName } from "./floods.ts";

const [name = "", url = "", connections, duration, timeout] = process.argv.slice(2);
if (!isFloodName(name)) throw new Error(`there is no flood ${JSON.stringify(name)}`);
const { request } = floods[name];

/** What its types leave out. */
const countsSchema = z.object({
  statusCodeStats: z.record(z.string(), z.object({ count: z.number().int() })),
});

const result = await autocannon({
  url,
  connections: Number(connections),
  duration: Number(duration),
  timeout: Number(timeout),
  requests: [{ setupRequest: (defaults) => Object.assign(defaults, request()) }],
});
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

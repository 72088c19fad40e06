/**
 * A flood on a deployment of yours, by autocannon:
 *
 *   npx bun bench/yours.ts https://shop.example [--connections 64] [--seconds 10] [--key sk_…]
 *
 * Each connection reserves the next free item for a user of its own, one after another, as fast as it
 * is answered. Then the audit is asked. It reserves: point it at a sale in which that may be; what it
 * has reserved comes free by itself. Exit 1 when there were faults, or the audit does not hold.
 */
import { parseArgs } from "node:util";
import autocannon from "autocannon";
import { z } from "zod";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    connections: { type: "string", default: "64" },
    seconds: { type: "string", default: "10" },
    key: { type: "string" },
  },
});
const [url = "http://localhost:8080"] = positionals;
const headers: Record<string, string> =
  values.key === undefined ? {} : { Authorization: `Bearer ${values.key}` };
const run = crypto.randomUUID().slice(0, 8);
let nth = 0;

const result = await autocannon({
  url,
  connections: Number(values.connections),
  duration: Number(values.seconds),
  requests: [
    {
      method: "POST",
      headers,
      setupRequest: (request) => {
        nth += 1;
        return { ...request, path: `/checkout?id=any&user_id=flood-${run}-${nth}` };
      },
    },
  ],
});

const { latency, requests, statusCodeStats = {} } = result;
const saleShape = z.object({ current: z.object({ id: z.int() }).nullable() });
const { current } = saleShape.parse(await (await fetch(new URL("/sale", url))).json());
const auditShape = z.object({ ok: z.boolean(), sold: z.int() });
const audit =
  current === null
    ? null
    : auditShape.parse(await (await fetch(new URL(`/sales/${current.id}/audit`, url))).json());

const lines = [
  `${requests.average} checkouts a second, on ${values.connections} connections`,
  `latency  half ${latency.p50} ms, 99 % ${latency.p99} ms, the slowest ${latency.max} ms`,
  `answers  ${Object.entries(statusCodeStats)
    .map(([status, { count }]) => `${status}: ${count}`)
    .join(", ")}`,
  `faults   ${result.errors} errors, ${result.timeouts} without an answer, ${result["5xx"]} of 5xx`,
  `audit    ${audit === null ? "no sale is open" : audit.ok ? "holds" : "DOES NOT HOLD"}`,
];
process.stdout.write(`${lines.join("\n")}\n`);
const isWell = result.errors + result.timeouts + result["5xx"] === 0 && audit?.ok !== false;
process.exit(isWell ? 0 : 1);

/**
 * A flood on a deployment of yours, by autocannon:
 *
 *   npx bun bench/yours.ts https://shop.example [--connections 64] [--seconds 10] [--key sk_…]
 *
 * Each connection reserves the next free item for a user of its own, one after another, as fast as it
 * is answered. Then the audit is asked. It reserves: point it at a sale in which that may be; what it
 * has reserved comes free by itself.
 *
 * What is counted as a checkout is a reservation; refusals are told beside it, and what they mean. Exit
 * 1 when there were faults, when nothing was reserved, or the audit does not hold; 2 for what it cannot
 * begin with.
 */
import { parseArgs } from "node:util";
import autocannon from "autocannon";
import { z } from "zod";

const usage =
  "npx bun bench/yours.ts https://shop.example [--connections 64] [--seconds 10] [--key sk_…]";

const say = (...lines: readonly string[]): void => {
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
};
function stop(why: string): never {
  process.stderr.write(`${why}\n\n${usage}\n`);
  process.exit(2);
}

/** A whole number of at least one. */
function many(name: string, text: string): number {
  const found = /^[1-9]\d{0,5}$/.test(text) ? Number(text) : null;
  return found ?? stop(`--${name} is ${text}; it takes a whole number from 1 to 999999.`);
}

function readOptions() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        connections: { type: "string", default: "64" },
        seconds: { type: "string", default: "10" },
        key: { type: "string" },
      },
    });
    return { ...values, url: positionals[0] ?? "http://localhost:8080" };
  } catch (error) {
    return stop(error instanceof Error ? error.message : String(error));
  }
}

const options = readOptions();
const [connections, seconds] = [
  many("connections", options.connections),
  many("seconds", options.seconds),
];
if (!/^https?:\/\//.test(options.url) || !URL.canParse(options.url))
  stop(`${options.url} is no address: it begins with http:// or https://.`);
const { origin: url } = new URL(options.url);
const headers: Record<string, string> =
  options.key === undefined ? {} : { Authorization: `Bearer ${options.key}` };

const saleShape = z.object({ current: z.object({ id: z.int() }).nullable() });
const auditShape = z.object({ ok: z.boolean() });
/** The answer to a question; a text that says why there is none. */
async function ask<T>(path: string, shape: z.ZodType<T>): Promise<T | string> {
  try {
    const answer = await fetch(url + path, { headers });
    const body = shape.safeParse(await answer.json().catch(() => null));
    return body.success ? body.data : `${path} is answered ${answer.status}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const open = await ask("/sale", saleShape);
if (typeof open === "string") stop(`There is no Stampede at ${url}: ${open}`);
const saleId = open.current?.id;
if (saleId === undefined) stop(`No sale is open at ${url}.`);

const run = crypto.randomUUID().slice(0, 8);
let nth = 0;
const result = await autocannon({
  url,
  connections,
  duration: seconds,
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

/** What refusals say of the figures. */
const meanings: Readonly<Record<string, string>> = {
  401: "it sells to nobody whom it does not know: give a key of the scope sell (--key)",
  403: "the key may not sell: it needs the scope sell",
  404: "there is no such path: is it a Stampede?",
  409: "nothing was free any more, or whoever buys has to wait in a queue",
  429: "this machine was told to come less often (RATE_LIMITS): this measures the limit, not the shop",
};

const { latency, errors, timeouts, duration, statusCodeStats = {} } = result;
const counts = Object.entries(statusCodeStats).map(([status, { count = 0 }]) => ({
  status,
  count,
}));
const countOf = (wanted: (status: string) => boolean): number =>
  counts.reduce((sum, { status, count }) => sum + (wanted(status) ? count : 0), 0);
const reserved = countOf((status) => status === "200");
const faults = countOf((status) => !["200", "409", "429"].includes(status));
const audit = await ask(`/sales/${saleId}/audit`, auditShape);
const holds = typeof audit !== "string" && audit.ok;

say(
  `${Math.round(reserved / duration)} checkouts a second, on ${connections} connections`,
  `latency  of all answers: half ${latency.p50} ms, 99 % ${latency.p99} ms, the slowest ${latency.max} ms`,
  `answers  ${counts.map(({ status, count }) => `${status}: ${count}`).join(", ") || "none"}`,
  ...counts.flatMap(({ status }) => {
    const meaning = meanings[status];
    return meaning === undefined ? [] : [`         ${status}: ${meaning}`];
  }),
  `faults   ${errors} errors, ${timeouts} without an answer, ${faults} of a status that is none of a sale's`,
  `audit    ${typeof audit === "string" ? audit : audit.ok ? "holds" : "DOES NOT HOLD"}`,
  ...(reserved === 0
    ? ["Nothing was reserved: these figures say nothing of how fast it sells."]
    : []),
);
process.exit(errors + timeouts + faults === 0 && reserved > 0 && holds ? 0 : 1);

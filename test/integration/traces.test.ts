/** Traces of requests, as a collector gets them. */
import { expect, test } from "bun:test";
import { z } from "zod";
import { spansMax, Tracer } from "../../src/engine/traces.ts";
import { atEnd } from "../support/leftovers.ts";
import { usePostgres } from "../support/postgres.ts";
import { startServer } from "../support/server.ts";
import { until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const attribute = z.object({
  key: z.string(),
  value: z.object({ stringValue: z.string().optional(), intValue: z.string().optional() }),
});
const body = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes: z.array(attribute) }),
      scopeSpans: z.array(
        z.object({
          spans: z.array(
            z.object({
              traceId: z.string().regex(/^[0-9a-f]{32}$/),
              spanId: z.string().regex(/^[0-9a-f]{16}$/),
              parentSpanId: z.string().optional(),
              name: z.string(),
              startTimeUnixNano: z.string().regex(/^\d{19}$/),
              endTimeUnixNano: z.string().regex(/^\d{19}$/),
              attributes: z.array(attribute),
            }),
          ),
        }),
      ),
    }),
  ),
});
type Span = z.output<typeof body>["resourceSpans"][number]["scopeSpans"][number]["spans"][number];

/** A collector on a port of its own, and what it has been sent. */
function collecting(status = 200) {
  const spans: Span[] = [];
  const texts: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      const text = await request.text();
      texts.push(`${new URL(request.url).pathname} ${text}`);
      for (const { scopeSpans } of body.parse(JSON.parse(text)).resourceSpans) {
        spans.push(...scopeSpans.flatMap((scope) => scope.spans));
      }
      return new Response("{}", { status });
    },
  });
  atEnd(() => server.stop(true));
  return { server, spans, texts };
}

const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
const parent = "00f067aa0ba902b7";

test("a request with a sampled trace is told to the collector, without who asks", async () => {
  const { server, spans, texts } = collecting();
  await using stampede = await startServer({
    DATABASE_URL: await postgres.newRecords(),
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${server.port}/`,
    OTEL_TRACES_SAMPLER_ARG: "0",
  });
  const checkout = `${stampede.url}/checkout?user_id=secretive&id=3`;
  const asked = (flags: string) => ({
    method: "POST",
    headers: { traceparent: `00-${trace}-${parent}-${flags}` },
  });
  await fetch(checkout, asked("00"));
  await fetch(`${stampede.url}/health`);
  const answer = await fetch(checkout.replace("id=3", "id=4"), asked("01"));
  expect(answer.status).toBe(200);
  await until("a span", () => spans.length > 0 || undefined);
  expect(spans).toHaveLength(1);
  expect(spans[0]).toMatchObject({ traceId: trace, parentSpanId: parent, name: "POST /checkout" });
  const [{ startTimeUnixNano = "", endTimeUnixNano = "" } = {}] = spans;
  expect(BigInt(endTimeUnixNano)).toBeGreaterThan(BigInt(startTimeUnixNano));
  const statuses = spans[0]?.attributes.filter(({ key }) => key === "http.response.status_code");
  expect(statuses).toEqual([{ key: "http.response.status_code", value: { intValue: "200" } }]);
  expect(texts[0]).toStartWith("/v1/traces ");
  expect(texts.join()).not.toContain("secretive");
});

test("a share of the others is traced, as many as are kept, and a collector that fails is told of once", async () => {
  const { server, spans } = collecting(500);
  const warnings: string[] = [];
  const log = {
    info() {},
    error() {},
    warn: (_: object, text: string) => void warnings.push(text),
  };
  const tracing = { endpoint: `http://127.0.0.1:${server.port}`, share: 1, version: "1.2.3" };
  const tracer = new Tracer(tracing, log);
  for (const _ of upTo(spansMax + 1)) tracer.begin("GET", "/sale", null)?.(200);
  await tracer.flush();
  expect(spans).toHaveLength(spansMax);
  tracer.begin("GET", "/sale", "nonsense")?.(503);
  await tracer.flush();
  expect(spans).toHaveLength(spansMax + 1);
  expect(warnings).toEqual(["traces are not taken"]);
  const none = new Tracer({ ...tracing, share: 0 }, log);
  expect(none.begin("GET", "/sale", null)).toBeNull();
});

test("what is under way at a stop is sent before the program ends", async () => {
  const { server, spans } = collecting();
  const stampede = await startServer({
    DATABASE_URL: await postgres.newRecords(),
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${server.port}`,
    OTEL_TRACES_SAMPLER_ARG: "0",
  });
  const headers = { traceparent: `00-${trace}-${parent}-01` };
  await (await fetch(`${stampede.url}/sale`, { headers })).text();
  expect(await stampede.stop()).toBe(0);
  expect(spans.map(({ name, traceId }) => [name, traceId])).toEqual([["GET /sale", trace]]);
});

test("a stop does not wait long for a collector that says nothing", async () => {
  const asked = Promise.withResolvers<void>();
  const silent = Promise.withResolvers<Response>();
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch() {
      asked.resolve();
      return silent.promise;
    },
  });
  atEnd(() => server.stop(true));
  const tracing = { endpoint: `http://127.0.0.1:${server.port}`, share: 1, version: "1.2.3" };
  const warnings: string[] = [];
  const warn = (_: object, text: string) => void warnings.push(text);
  const tracer = new Tracer(tracing, { info() {}, warn, error() {} });
  tracer.begin("GET", "/sale", null)?.(200);
  const stopped = tracer.stop();
  await asked.promise;
  await stopped;
  // It is over before the sending is given up, which is told.
  expect(warnings).toEqual([]);
  silent.resolve(new Response());
});

/** The figures for Prometheus, of a program that sells, and of the parts that make them. */
import { expect, test } from "bun:test";
import { Counters } from "../../src/engine/counters.ts";
import { DiskWatch } from "../../src/engine/disk-watch.ts";
import { floodedWeight, Latencies } from "../../src/engine/latencies.ts";
import { Metrics } from "../../src/engine/metrics.ts";
import { idleEngine } from "../support/accounts.ts";
import type { Answer } from "../support/client.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { startServer } from "../support/server.ts";
import { upTo } from "../support/wait.ts";

const postgres = usePostgres();

const quiet = { info() {}, warn() {}, error() {} };

/** Figures by name and labels, as they are written; every line must be one, or a comment. */
function figures(text: string): ReadonlyMap<string, number> {
  const line = /^([a-z_:][\w:]*(?:\{[^}]*\})?) (-?[\d.e+-]+|NaN|[+-]Inf)$/i;
  const lines = text.split("\n").filter((one) => one !== "" && !one.startsWith("#"));
  return new Map(
    lines.map((one): [string, number] => {
      const [, name = "", value] = line.exec(one) ?? [];
      expect([one, name]).not.toEqual([one, ""]);
      return [name, Number(value)];
    }),
  );
}

test("a program that sells tells what it has done", async () => {
  await using server = await startServer({ DATABASE_URL: await postgres.newRecords() });
  const { client } = server;
  const { id } = await client.openSale();
  await client.reserveAndBuy("ann", 1);
  await client.reserve("bert", 2);
  await client.checkout("carl", 1);
  await client.checkout("dora", 999_999);
  const stream = await fetch(`${server.url}/events`);

  const answer: Answer = await client.get("/metrics");
  expect(answer.status).toBe(200);
  expect(answer.headers.get("Content-Type")).toStartWith("text/plain; version=0.0.4");
  const told = figures(answer.text);
  const expected = {
    'stampede_attempts_total{kind="checkout",outcome="reserved"}': 2,
    'stampede_attempts_total{kind="checkout",outcome="item_sold_out"}': 1,
    'stampede_attempts_total{kind="checkout",outcome="item_not_found"}': 1,
    'stampede_attempts_total{kind="purchase",outcome="purchased"}': 1,
    stampede_batch_rows_sum: 5,
    stampede_batch_rows_count: 5,
    'stampede_batch_rows_bucket{le="1"}': 5,
    stampede_commit_duration_seconds_count: 5,
    stampede_queue_length: 0,
    stampede_terms_total: 1,
    [`stampede_sale_waiting{sale_id="${id}"}`]: 0,
    'stampede_request_duration_seconds_count{route="POST /checkout",status="2xx"}': 32,
    'stampede_request_duration_seconds_count{route="POST /purchase",status="2xx"}': 32,
    'stampede_role{role="leader"}': 1,
    'stampede_role{role="standby"}': 0,
    stampede_epoch: 1,
    stampede_link_connected: 1,
    stampede_link_behind_seconds: 0,
    [`stampede_sale_sold_units{sale_id="${id}"}`]: 1,
    [`stampede_sale_reserved_units{sale_id="${id}"}`]: 1,
    [`stampede_sale_available_units{sale_id="${id}"}`]: 18,
    stampede_event_streams: 1,
  };
  const shown = Object.fromEntries(Object.keys(expected).map((name) => [name, told.get(name)]));
  expect(shown).toEqual(expected);
  expect(told.has("stampede_archive_failing")).toBe(false);
  expect(told.get("stampede_commit_duration_seconds_sum")).toBeGreaterThan(0);
  expect(told.get("process_resident_memory_bytes")).toBeGreaterThan(1e6);
  await stream.body?.cancel();
});

test("one that does not lead tells so, and nothing of sales", async () => {
  const url = await postgres.newRecords();
  const engine = idleEngine(lookInto(url), url);
  const metrics = new Metrics({
    engine,
    streams: () => 7,
    descriptors: () => 12,
    descriptorsMax: 1_024,
    disk: new DiskWatch({ folder: "/", log: quiet, free: () => 5 }),
    webhooks: {
      figures: {
        endpoints: { answering: 2, failing: 1 },
        lagMs: 1_500,
        tries: { delivered: 9, failed: 4 },
      },
    },
    database: { archiveTrouble: () => "no room" },
    version: "1.2.3",
    process: null,
  });
  const text = await metrics.text();
  const told = figures(text);
  expect(told.get('stampede_role{role="starting"}')).toBe(1);
  expect(told.get("stampede_epoch")).toBe(0);
  expect(told.get("stampede_event_streams")).toBe(7);
  expect(told.get("process_max_fds")).toBe(1_024);
  expect(told.get("stampede_disk_free_bytes")).toBe(5);
  expect(told.get('stampede_webhook_endpoints{state="failing"}')).toBe(1);
  expect(told.get('stampede_webhook_tries_total{result="delivered"}')).toBe(9);
  expect(told.get("stampede_webhook_lag_seconds")).toBe(1.5);
  expect(told.get("stampede_disk_reserve_bytes")).toBe(1e9);
  expect(told.get("stampede_archive_failing")).toBe(1);
  expect(told.get("stampede_link_connected")).toBe(0);
  expect(text).toContain("\nstampede_link_behind_seconds +Inf\n");
  expect(told.get('stampede_build_info{version="1.2.3"}')).toBe(1);
  expect([...told.keys()].filter((name) => name.startsWith("stampede_sale_"))).toEqual([]);
});

test("how long answers take is told by route and kind of answer, buyers' from a sample", async () => {
  const latencies = new Latencies();
  const flooded = latencies.of("POST /checkout", floodedWeight);
  const due = upTo(2 * floodedWeight + 1).filter(() => flooded.isDue());
  // The first, and then one of so many.
  expect(due).toEqual([1, floodedWeight + 1, 2 * floodedWeight + 1]);
  flooded.note(0.0005, 200);
  flooded.note(0.0006, 409);
  flooded.note(99, 200);
  latencies.of("pages").note(0.004, 304);
  expect(latencies.of("pages").isDue() && latencies.of("pages").isDue()).toBe(true);
  const told = figures(latencies.text("main"));
  const of = (suffix: string, labels: string) =>
    told.get(`stampede_request_duration_seconds_${suffix}{${labels}}`);
  const sold = 'route="POST /checkout",process="main",status="2xx"';
  expect(of("bucket", `${sold},le="0.0005"`)).toBe(floodedWeight);
  expect(of("bucket", `${sold},le="2.5"`)).toBe(floodedWeight);
  expect(of("bucket", `${sold},le="+Inf"`)).toBe(2 * floodedWeight);
  expect(of("count", sold)).toBe(2 * floodedWeight);
  expect(of("sum", sold)).toBeCloseTo(99.0005 * floodedWeight);
  const refused = 'route="POST /checkout",process="main",status="4xx"';
  expect(of("bucket", `${refused},le="0.0005"`)).toBe(0);
  expect(of("bucket", `${refused},le="0.001"`)).toBe(floodedWeight);
  expect(of("count", 'route="pages",process="main",status="3xx"')).toBe(1);
});

test("what a batch holds is counted once, by kind and outcome", () => {
  const counters = new Counters();
  const batches: object[] = [];
  counters.onCommit = (batch) => batches.push(batch);
  const buyer = { kind: "guest", userId: "ann" } as const;
  const asked = { buyer, code: "c", key: null, expectedPriceCents: null };
  const checkout = { kind: "checkout", item: 1, sale: 7, ...asked } as const;
  const buy = { kind: "buy", saleId: 7, itemId: 1, quantity: 1, ...asked } as const;
  const refused = { word: "sale_not_found", saleId: 7 } as const;
  const purchase = { kind: "purchase", code: "c", by: null, lookup: null } as const;
  const unknown = { ...purchase, expectedPriceCents: null };
  // What has to be looked up is no attempt.
  const first = [checkout, buy, checkout, buy, unknown, checkout, buy];
  const outcomes = first.map(({ kind }) =>
    kind === "purchase" ? ({ word: "look_up" } as const) : refused,
  );
  counters.add({ firstSeq: 1, at: 5_000, commands: first, outcomes, asked: [] }, 0.01);
  const second = upTo(3).map(() => checkout);
  counters.add(
    { firstSeq: 7, at: 5_500, commands: second, outcomes: second.map(() => refused), asked: [] },
    0.02,
  );
  expect(batches).toEqual([
    { rows: 6, seconds: 0.01 },
    { rows: 3, seconds: 0.02 },
  ]);
  expect([...counters.attempts()]).toEqual([
    { kind: "checkout", outcome: "sale_not_found", count: 6 },
    { kind: "buy", outcome: "sale_not_found", count: 3 },
  ]);
  expect(counters.byOutcome()).toEqual({ sale_not_found: 9 });
  expect(counters.rate(1, 6_000)).toBe(9);
});

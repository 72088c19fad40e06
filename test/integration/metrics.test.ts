/** The figures for Prometheus, of a program that sells, and of the parts that make them. */
import { expect, test } from "bun:test";
import { Counters } from "../../src/engine/counters.ts";
import { Metrics } from "../../src/engine/metrics.ts";
import { idleEngine } from "../support/accounts.ts";
import type { Answer } from "../support/client.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { startServer } from "../support/server.ts";

const postgres = usePostgres();

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
  await using server = await startServer({ DATABASE_URL: await postgres.newDatabase() });
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
    'stampede_role{role="leader"}': 1,
    'stampede_role{role="standby"}': 0,
    stampede_epoch: 1,
    [`stampede_sale_sold_units{sale_id="${id}"}`]: 1,
    [`stampede_sale_reserved_units{sale_id="${id}"}`]: 1,
    [`stampede_sale_available_units{sale_id="${id}"}`]: 18,
    stampede_event_streams: 1,
  };
  const shown = Object.fromEntries(Object.keys(expected).map((name) => [name, told.get(name)]));
  expect(shown).toEqual(expected);
  expect(told.get("stampede_commit_duration_seconds_sum")).toBeGreaterThan(0);
  expect(told.get("process_resident_memory_bytes")).toBeGreaterThan(1e6);
  await stream.body?.cancel();
});

test("one that does not lead tells so, and nothing of sales", async () => {
  const url = await postgres.newRecords();
  const engine = idleEngine(lookInto(url), url, () => 0);
  const metrics = new Metrics({
    engine,
    streams: () => 7,
    descriptors: () => 12,
    version: "1.2.3",
    clock: () => 0,
  });
  const text = await metrics.text();
  const told = figures(text);
  expect(told.get('stampede_role{role="starting"}')).toBe(1);
  expect(told.get("stampede_epoch")).toBe(0);
  expect(told.get("stampede_event_streams")).toBe(7);
  expect(told.get('stampede_build_info{version="1.2.3"}')).toBe(1);
  expect([...told.keys()].filter((name) => name.startsWith("stampede_sale_"))).toEqual([]);
});

test("what a batch holds is counted once, by kind and outcome", () => {
  const counters = new Counters();
  const batches: object[] = [];
  counters.onCommit = (batch) => batches.push(batch);
  const refused = new Map([["sale_not_found", 3] as const]);
  counters.add(new Map([["checkout", refused] as const, ["buy", refused] as const]), 5_000, 0.01);
  counters.add(new Map([["checkout", refused] as const]), 5_500, 0.02);
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

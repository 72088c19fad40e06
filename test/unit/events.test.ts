/** What is published where something that is asked for it fails, seen by one who listens. */
import { expect, test } from "bun:test";
import { Events } from "../../src/http/sale/events.ts";
import type { LedgerView } from "../../src/ledger/view.ts";
import type { Catalogue } from "../../src/sales/catalogue.ts";
import type { SaleEngine } from "../../src/sales/selling.ts";
import { EventStream } from "../support/sse.ts";

/** A sale that has just opened, and beside it a queue that has just closed its doors for good. */
function newView() {
  const queue = { state: "gathering" as "gathering" | "closed" };
  const view = {
    seq: 7,
    currentSaleId: () => 1,
    totals: () => ({ sold: 0, reserved: 0, available: 1 }),
    free: () => Int32Array.of(1),
    sales: () => [{ id: 2 }],
    queue: () => ({
      ...queue,
      joined: 3,
      admittedUpTo: 0,
      rate: { admitPerSecond: 1, paused: false },
    }),
  };
  return { queue, view: view as unknown as LedgerView };
}

test("news of a queue are told though the sale that has opened cannot be read", async () => {
  const { queue, view } = newView();
  let isAway = true;
  let asked = 0;
  const catalogue = {
    find: async () => {
      asked += 1;
      if (isAway) throw new Error("PostgreSQL is away");
      const sale = { id: 1, startsAt: 0, endsAt: 1, stock: Int32Array.of(1) };
      return { stored: { sale, title: "Drop" } };
    },
  };
  const engine = { reader: { read: async <T>(use: (of: LedgerView) => T) => use(view) } };
  const events = new Events(
    engine as unknown as SaleEngine,
    catalogue as unknown as Catalogue,
    () => Date.now(),
    { publishEveryMs: 5 },
  );
  const route = events.routes[0]?.methods["GET"];
  if (route === undefined) throw new Error("there is no route");
  await using server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    routes: { "/events": (request, of) => route.handle(request, of as never) },
  });
  const stream = await EventStream.open(server.url.origin);
  events.start();
  const first = await stream.upTo(({ event }) => event === "queue");
  expect(first.at(-1)?.data).toMatchObject({ sale_id: 2, state: "gathering" });
  expect(asked).toBeGreaterThan(0);
  queue.state = "closed";
  const next = await stream.upTo(({ event }) => event === "queue");
  expect(next.at(-1)?.data).toMatchObject({ sale_id: 2, state: "closed" });
  isAway = false;
  const last = await stream.upTo(({ event }) => event === "stock");
  expect(last.map(({ event }) => event)).toEqual(["sale", "stock"]);
  events.stop();
  stream.close();
});

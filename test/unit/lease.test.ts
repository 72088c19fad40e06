/** For how long a leader may speak for the records, by clocks of the test's own. */
import { expect, test } from "bun:test";
import { BatchWriter, UnavailableError } from "../../src/engine/writer.ts";
import { Ledger } from "../../src/ledger/ledger.ts";
import { Lease } from "../../src/store/lease.ts";
import { nothingRecorded } from "../support/naive-records.ts";

const ms = 2_500;

function aLease() {
  const now = { monotonic: 10_000, wall: 50_000 };
  const lease = new Lease(ms, () => ({ ...now }));
  const pass = (passed: number): void => {
    now.monotonic += passed;
    now.wall += passed;
  };
  return { lease, now, pass };
}

test("a lease is not held before anything was answered", () => {
  expect(aLease().lease.isHeld).toBe(false);
});

test("a lease is counted from when what was answered was sent, not from its answer", () => {
  const { lease, now, pass } = aLease();
  const sentAt = { ...now };
  pass(ms - 1);
  lease.renew(sentAt);
  expect(lease.isHeld).toBe(true);
  pass(1);
  expect(lease.isHeld).toBe(false);
});

test("an answer to what was sent before adds nothing", () => {
  const { lease, now, pass } = aLease();
  const first = { ...now };
  pass(1_000);
  lease.renew({ ...now });
  lease.renew(first);
  pass(ms - 1);
  expect(lease.isHeld).toBe(true);
});

test.each([
  ["monotonic", "that a wall clock was set back"],
  ["wall", "that a monotonic one stood still, as in a machine that was suspended"],
] as const)("a lease ends by the %s clock alone, so %s does not keep it", (clock) => {
  const { lease, now } = aLease();
  lease.renew({ ...now });
  now[clock] += ms;
  if (clock === "monotonic") now.wall -= 3_600_000;
  expect(lease.isHeld).toBe(false);
});

/** A writer that is not sure to lead. */
async function unsure(confirm: () => Promise<void>): Promise<BatchWriter> {
  const ledger = await Ledger.restore(nothingRecorded(), 0);
  return new BatchWriter(
    ledger,
    () => Promise.resolve(),
    () => 0,
    { confirm },
  );
}

test("a read of a leader that is not sure waits until it is", async () => {
  const gate = Promise.withResolvers<void>();
  const order: string[] = [];
  const writer = await unsure(() => gate.promise);
  const read = writer.read(() => order.push("read"));
  order.push("confirmed");
  gate.resolve();
  await read;
  expect(order).toEqual(["confirmed", "read"]);
});

test("a read of one that leads no more is refused", async () => {
  const writer = await unsure(() => Promise.reject(new Error("another leads")));
  await expect(writer.read((view) => view.now)).rejects.toThrow(UnavailableError);
});

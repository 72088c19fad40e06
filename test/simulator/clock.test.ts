/** Clocks that are set at a moment that worlds of chance seldom meet. Times are ms. */
import { expect, test } from "bun:test";
import { Random } from "../support/random.ts";
import { Auditor } from "./auditor.ts";
import { Loop } from "./loop.ts";
import { Machine } from "./machine.ts";
import { MemoryRecords } from "./records.ts";

const hour = 3_600_000;
const begunAt = Date.UTC(2030, 0, 1);
const settings = {
  schedule: { cron: "0 * * * *", timeZone: "UTC" },
  hourlySale: { items: 2, unitsPerItem: 1, perUserLimit: 1, reservationTtlMs: 120_000 },
};

/** Two machines, of which the first leads. */
function twoMachines() {
  const loop = new Loop(new Random(1));
  const records = new MemoryRecords();
  const auditor = new Auditor(records);
  const machines: Machine[] = [];
  const machineOf = (name: string): Machine => {
    // Each draws what it is known by.
    const random = new Random(2 + machines.length);
    const options = { name, loop, random, records, auditor, settings, begunAt, latencyMs: 0 };
    const machine = new Machine({ ...options, peers: () => machines });
    machines.push(machine);
    machine.start();
    loop.run(1_000);
    return machine;
  };
  return { loop, auditor, north: machineOf("north"), south: machineOf("south") };
}

/** The ledger's time as a reader is told it, once it is. */
function timeOf(machine: Machine, loop: Loop): number {
  let now = Number.NaN;
  void machine.leader?.writer.read((view) => {
    now = view.now;
  });
  loop.run(0);
  return now;
}

test.each([-3 * hour, 3 * hour])(
  "a clock that is set by %d for good is followed, also where that is found while a term loads",
  (setBy) => {
    const { loop, auditor, north, south } = twoMachines();
    expect([north.leads, south.run?.engine.role.name]).toEqual([true, "standby"]);
    south.setWallAhead(setBy);
    // Not for long enough yet; it will be while the records are read.
    loop.run(50_000);
    south.mishaps.push({ at: "read", how: "hang", ms: 20_000 });
    north.kill();
    loop.run(5_000);
    expect(south.leader).toBeNull();
    loop.run(30_000);
    expect(south.leads).toBe(true);
    const before = timeOf(south, loop);
    loop.run(10_000);
    expect(timeOf(south, loop) - before).toBe(10_000);
    expect(Math.abs(timeOf(south, loop) - south.wall)).toBeLessThan(1_000);
    expect(auditor.complaint).toBeNull();
  },
);

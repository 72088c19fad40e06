/** The machine's own clocks: what is suspended does nothing, and time goes on. Times are ms. */
import { describe, expect, test } from "bun:test";
import { LedgerClock } from "../../src/engine/clock.ts";
import { MachineTime, systemTime } from "../../src/engine/machine-time.ts";

const begin = 1_900_000_000_000;
const hour = 3_600_000;

/** A machine that runs, and is suspended. */
class Machine {
  #awake = 0;
  #slept = 0;
  #setBy = 0;
  /** Passes while the time since the start is read. */
  readingTakesMs = 0;
  readonly time: MachineTime;
  readonly clock: LedgerClock;

  /** @param says whether it says when it was started */
  constructor(says = true) {
    this.time = new MachineTime({
      wall: () => begin + this.#awake + this.#slept + this.#setBy,
      monotonic: () => 17 + this.#awake,
      sinceStart: () => {
        const said = this.#awake + this.#slept + 5_000;
        this.#awake += this.readingTakesMs;
        // In hundredths of a second.
        return says ? Math.floor(said / 10) * 10 : null;
      },
    });
    this.clock = new LedgerClock(this.time);
  }

  /** Runs, and looks at its clocks as the program does. */
  run(ms: number): void {
    for (let left = ms; left > 0; left -= 500) {
      this.#awake += Math.min(left, 500);
      this.clock.look();
    }
  }

  suspend(ms: number): void {
    this.#slept += ms;
  }

  set(ms: number): void {
    this.#setBy += ms;
  }

  get ahead(): number {
    return this.clock.now() - begin - this.#awake - this.#slept;
  }
}

describe("a machine that was suspended", () => {
  test("goes by the right time within half a second of its waking, in the same term", () => {
    const machine = new Machine();
    machine.run(10_000);
    machine.suspend(hour);
    machine.run(500);
    expect(Math.abs(machine.ahead)).toBeLessThan(20);
    // The wall clock is not waited for, nor does it look as if it had been set.
    expect([Math.abs(machine.clock.differenceMs) < 20, machine.clock.isFarOff]).toEqual([
      true,
      false,
    ]);
    machine.suspend(24 * hour);
    machine.run(120_000);
    expect(Math.abs(machine.ahead)).toBeLessThan(40);
  });

  test("and whose wall clock was set besides is wrong by that, as any other", () => {
    const machine = new Machine();
    machine.suspend(hour);
    machine.set(3 * hour);
    machine.run(1_000);
    expect(Math.abs(machine.clock.differenceMs - 3 * hour)).toBeLessThan(20);
  });

  test("where nobody says for how long follows its wall clock a minute later", () => {
    const machine = new Machine(false);
    machine.run(1_000);
    machine.suspend(hour);
    machine.run(30_000);
    expect([machine.ahead, machine.clock.isFarOff]).toEqual([-hour, false]);
    machine.run(40_000);
    expect(machine.clock.isFarOff).toBe(true);
  });
});

describe("a machine that was not", () => {
  test("has not slept, however long it takes to read its clocks, or to look at them", () => {
    const machine = new Machine();
    machine.readingTakesMs = 3_000;
    machine.run(20_000);
    machine.readingTakesMs = 0;
    machine.run(20_000);
    expect(machine.ahead).toBe(0);
    machine.set(hour);
    machine.run(10_000);
    expect(machine.ahead).toBe(0);
  });

  test("is this one", () => {
    const time = systemTime();
    const [monotonic, wall] = [time.monotonic(), time.wall()];
    expect(time.monotonic()).toBeGreaterThanOrEqual(monotonic);
    expect(Math.abs(wall - Date.now())).toBeLessThan(60_000);
  });
});

/**
 * The ledger's clock, on a machine whose clocks a test sets: what goes unnoticed, what is
 * followed, how, and from when on. Times are ms.
 */
import { describe, expect, test } from "bun:test";
import { LedgerClock, smallMaxMs } from "../../src/engine/clock.ts";
import { Random, seeds } from "../support/random.ts";

const begin = 1_900_000_000_000;
const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const year = 365 * 24 * hour;
/** As the program looks: a few times a second. */
const lookEveryMs = 250;

/** Two clocks: time passes on both, and hands set the one on the wall. */
class Machine {
  #wall = begin;
  #passed = 0;
  readonly clock = new LedgerClock({ wall: () => this.#wall, monotonic: () => this.#passed + 7 });
  /** What the ledger's time was corrected by, each time that it was. */
  readonly corrections: number[] = [];
  /** The least and most that a look moved the ledger's time on. */
  slowest = Infinity;
  fastest = 0;
  /** The most that time ran backwards between two who asked. */
  back = 0;
  #last = this.clock.now();

  /** Lets time pass, in which the program looks at its clock. */
  pass(ms: number, everyMs = lookEveryMs): void {
    for (let left = ms; left > 0; left -= everyMs) {
      const step = Math.min(left, everyMs);
      this.#passed += step;
      this.#wall += step;
      const seen = this.clock.now();
      const by = this.clock.look();
      if (by !== 0) this.corrections.push(by);
      const now = this.clock.now();
      this.back = Math.max(this.back, seen - now);
      this.slowest = Math.min(this.slowest, now - this.#last);
      this.fastest = Math.max(this.fastest, now - this.#last);
      this.#last = now;
    }
  }

  set(ms: number): void {
    this.#wall += ms;
  }

  /** How much the ledger's time is ahead of what has passed since the beginning. */
  get ahead(): number {
    return this.clock.now() - begin - this.#passed;
  }

  get wall(): number {
    return this.#wall;
  }
}

/** How far clocks go wrong. */
const steps = [50, 5 * second, 3 * hour, 2 * year].flatMap((ms) => [ms, -ms]);

describe("a clock that is wrong for less than a minute", () => {
  test.each(steps)("by %d ms goes unnoticed", (ms) => {
    const machine = new Machine();
    machine.pass(second);
    machine.set(ms);
    machine.pass(minute - second);
    machine.set(-ms);
    machine.pass(5 * minute);
    const { corrections, ahead, slowest, fastest } = machine;
    expect({ corrections, ahead, slowest, fastest }).toEqual({
      corrections: [],
      ahead: 0,
      slowest: lookEveryMs,
      fastest: lookEveryMs,
    });
  });

  test("goes unnoticed again and again, back and forth", () => {
    const machine = new Machine();
    for (const ms of [...steps, ...steps.toReversed()]) {
      machine.set(ms);
      machine.pass(minute - second);
      machine.set(-ms);
      machine.pass(second);
    }
    expect([machine.corrections, machine.ahead]).toEqual([[], 0]);
  });

  test("another difference begins another minute", () => {
    const machine = new Machine();
    const step = smallMaxMs / 2;
    machine.set(step);
    machine.pass(minute - second);
    machine.set(step);
    machine.pass(minute - second);
    expect([machine.corrections, machine.ahead]).toEqual([[], 0]);
    machine.pass(2 * second);
    expect([machine.corrections, machine.ahead]).toEqual([[2 * step], 2 * step]);
  });
});

describe("a clock that stays", () => {
  test.each([50, 5 * second, smallMaxMs])("ahead by %d ms is followed at once", (ms) => {
    const machine = new Machine();
    machine.set(ms);
    machine.pass(minute);
    const before = [machine.corrections.length, machine.ahead, machine.clock.differenceMs];
    machine.pass(lookEveryMs);
    const { corrections, ahead, clock } = machine;
    expect([...before, corrections, ahead, clock.differenceMs, clock.isFarOff]).toEqual([
      0,
      0,
      ms,
      [ms],
      ms,
      0,
      false,
    ]);
  });

  test.each([50, 5 * second, smallMaxMs])(
    "behind by %d ms is waited for, at half the pace and never backwards",
    (ms) => {
      const machine = new Machine();
      machine.set(-ms);
      machine.pass(minute + lookEveryMs);
      machine.pass(Math.ceil((2 * ms) / second) * second + second);
      const { corrections, ahead, slowest, fastest, clock } = machine;
      expect({ corrections, ahead, fastest }).toEqual({
        corrections: [-ms],
        ahead: -ms,
        fastest: lookEveryMs,
      });
      expect(slowest).toBeGreaterThanOrEqual(lookEveryMs / 2 - 1);
      expect([clock.now(), clock.isFarOff, machine.back]).toEqual([machine.wall, false, 0]);
    },
  );

  const far = [smallMaxMs + 1, 3 * hour, 2 * year];
  test.each([...far, ...far.map((ms) => -ms)])(
    "off by %d ms is followed by the next term alone",
    (ms) => {
      const machine = new Machine();
      machine.set(ms);
      machine.pass(minute);
      const before = machine.clock.isFarOff;
      machine.pass(lookEveryMs);
      const { corrections, ahead, clock } = machine;
      // In this term time goes on as it did.
      expect([before, clock.isFarOff, corrections, ahead]).toEqual([false, true, [], 0]);
      const at = clock.now();
      expect(clock.begin(at)).toBe(machine.wall);
      expect([clock.differenceMs, clock.isFarOff]).toEqual([0, false]);
      machine.pass(5 * minute);
      expect([clock.now(), machine.corrections]).toEqual([machine.wall, []]);
    },
  );

  test("differs by next to nothing is left alone", () => {
    const machine = new Machine();
    machine.set(19);
    machine.pass(10 * minute);
    expect([machine.corrections, machine.ahead]).toEqual([[], 0]);
  });

  test("drifts a little meanwhile counts as one that stays", () => {
    const machine = new Machine();
    machine.set(10 * second);
    for (let passed = 0; passed < minute; passed += second) {
      machine.pass(second);
      machine.set(1);
    }
    machine.pass(second);
    expect(machine.corrections.length).toBe(1);
    expect(Math.abs(machine.clock.differenceMs)).toBeLessThan(20);
  });
});

describe("a term", () => {
  test("begins with the wall clock, and where the records end when they are ahead a little", () => {
    const begins = (lead: number): number => new Machine().clock.begin(begin + lead) - begin;
    const leads = [-year, 0, 1, smallMaxMs, smallMaxMs + 1, year];
    expect(leads.map(begins)).toEqual([0, 0, 1, smallMaxMs, 0, 0]);
    expect(new Machine().clock.begin(0)).toBe(begin);
  });

  test("that began ahead of the wall clock waits for it", () => {
    const machine = new Machine();
    machine.clock.begin(begin + 30 * second);
    machine.pass(minute + lookEveryMs);
    machine.pass(minute + second);
    expect([machine.clock.now(), machine.slowest >= 0]).toEqual([machine.wall, true]);
  });

  test("that begins while the clock waits goes on waiting", () => {
    const machine = new Machine();
    machine.set(-30 * second);
    machine.pass(minute + 10 * second);
    machine.clock.begin(machine.clock.now());
    machine.pass(2 * minute);
    expect(machine.clock.now()).toBe(machine.wall);
  });
});

test("within a term time never runs backwards, whatever is done to the clock", () => {
  const wrong = seeds(60).flatMap((seed) => {
    const random = new Random(seed);
    const machine = new Machine();
    for (let step = 0; step < 200; step += 1) {
      const size = random.pick([5, 100, 10 * second, 5 * minute, hour, year]) ?? 0;
      if (random.chance(0.4)) machine.set(random.between(-size, size));
      machine.pass(random.between(1, 20 * second), random.between(100, 2_000));
    }
    machine.pass(10 * minute);
    const { slowest, back, clock } = machine;
    // In the end it agrees with the wall clock, or says that it cannot within this term.
    const agrees = Math.abs(clock.differenceMs) < 20 || clock.isFarOff;
    return slowest >= 0 && back === 0 && agrees
      ? []
      : [`SEED=${seed}: ${slowest}, ${clock.differenceMs}`];
  });
  expect(wrong).toEqual([]);
});

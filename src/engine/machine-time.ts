/**
 * The clocks of the machine. A machine that is suspended does nothing, and its monotonic clock stands
 * meanwhile; time does not. Linux has the time since it was started beside it, suspended or not, and
 * that says when both have come apart. Elsewhere the wall clock is all there is to go by.
 */
import { readFileSync } from "node:fs";

/** What time is read from. */
export type TimeSource = {
  /** ms since the Unix epoch; it may be set, to anything. */
  wall(): number;
  /** ms since some moment; it only goes forwards, as fast as time does. */
  monotonic(): number;
};

/** What a machine says, in ms. */
type Readings = TimeSource & {
  /** Since the machine was started, suspended or not; null where nobody knows. */
  sinceStart(): number | null;
};

/** Less than this is no sleep: the time since the start is read in hundredths of a second. */
const sleptMinMs = 1_000;
/** Between two looks whether the machine has slept. */
const lookEveryMs = 250;

export class MachineTime implements TimeSource {
  readonly #readings: Readings;
  /** What the monotonic clock has missed. */
  #sleptMs = 0;
  /** Both clocks when they were looked at last. */
  #seen: { readonly monotonic: number; readonly sinceStart: number } | null;

  constructor(readings: Readings) {
    this.#readings = readings;
    this.#seen = this.#look();
  }

  readonly wall = (): number => this.#readings.wall();

  readonly monotonic = (): number => {
    const now = this.#readings.monotonic();
    if (this.#seen !== null && now - this.#seen.monotonic >= lookEveryMs) this.#noticeSleep();
    return now + this.#sleptMs;
  };

  #look() {
    const { monotonic, sinceStart } = this.#readings;
    const before = monotonic();
    const since = sinceStart();
    return since === null ? null : { monotonic: before, sinceStart: since };
  }

  #noticeSleep(): void {
    const seen = this.#seen;
    const now = this.#look();
    if (seen !== null && now !== null) {
      // The monotonic clock after the other: whoever waits between the two has not slept.
      const awake = this.#readings.monotonic() - seen.monotonic;
      const slept = now.sinceStart - seen.sinceStart - awake;
      if (slept >= sleptMinMs) this.#sleptMs += slept;
    }
    this.#seen = now;
  }
}

export const systemTime = (): TimeSource =>
  new MachineTime({
    wall: () => Date.now(),
    monotonic: () => performance.now(),
    sinceStart: process.platform === "linux" ? uptimeMs : () => null,
  });

function uptimeMs(): number | null {
  try {
    const seconds = Number.parseFloat(readFileSync("/proc/uptime", "utf8"));
    return Number.isFinite(seconds) ? seconds * 1000 : null;
  } catch {
    return null;
  }
}

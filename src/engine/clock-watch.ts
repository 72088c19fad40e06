/** Says what becomes of the machine's clock where it differs from the ledger's. */
import { noticedMs, type LedgerClock } from "./clock.ts";
import type { Log } from "./engine.ts";

export class ClockWatch {
  readonly #clock: LedgerClock;
  readonly #log: Log;
  #isOff = false;

  constructor({ clock, log }: { readonly clock: LedgerClock; readonly log: Log }) {
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Follows a wall clock that has stayed wrong; to be called a few times a second.
   * @returns whether it has stayed so far off that only a new term can follow it
   */
  look(): boolean {
    const corrected = this.#clock.look();
    const { differenceMs, isFarOff } = this.#clock;
    if (Math.abs(corrected) >= noticedMs) {
      this.#log.warn(
        { differenceMs: corrected },
        "the machine's clock has stayed where it is; following",
      );
    }
    const isOff = Math.abs(differenceMs) >= noticedMs;
    if (isOff && !this.#isOff) {
      this.#log.warn({ differenceMs }, "the machine's clock was set; waiting whether it stays so");
    }
    this.#isOff = isOff;
    if (isFarOff) {
      this.#log.warn(
        { differenceMs },
        "the machine's clock has stayed far off; beginning anew with it",
      );
    }
    return isFarOff;
  }
}

/**
 * What a scenario is. To add one: a file that exports a `Scenario`, and its name in the list of
 * `run.ts`. It starts what it needs through `owned`, shows where it is through `progress`, and
 * returns what it found; a slow server is a finding, a wrong one is `wrong`.
 */
import type { Chapter } from "./chapters/chapter.ts";
import type { LoadGenerator } from "./load.ts";
import type { Owned } from "./owned.ts";
import type { Progress } from "./progress.ts";

/** How much is measured. */
export type Plan = {
  readonly rounds: number;
  readonly roundSeconds: number;
  readonly warmUpSeconds: number;
  /** Sales sold out from the first item to the last, one after another. */
  readonly soldOutRuns: number;
  /** Coupons that are claimed to the last, one after another, of each server. */
  readonly couponRounds: number;
  /** What the slower servers' coupons are made small enough to take, about. */
  readonly couponSeconds: number;
  /** Attempts in the sale that is recovered; memory is read here and at twice as many. */
  readonly attempts: number;
  /** Reservations that are made and given back in one sale. */
  readonly abandoned: number;
  /** How many join a queue, which is drawn then. */
  readonly joined: number;
  /** Turns without anybody who watches the sale, and with many. */
  readonly streamRounds: number;
  /** Turns with and without four who read, for each thing that can be read; and how long each is. */
  readonly besideRounds: number;
  readonly besideSeconds: number;
  /** Turns more of what missed its target in those. */
  readonly besideTurnsMore: number;
  /** Turns of a flood with webhooks and without. */
  readonly webhookRounds: number;
  /** Turns of everything in the report, and how long each is. */
  readonly reportTurns: number;
  readonly reportSeconds: number;
  /** The run is given up after this. */
  readonly wholeSecondsMax: number;
};

export type Bench = {
  readonly plan: Plan;
  readonly owned: Owned;
  readonly progress: Progress;
  readonly generator: LoadGenerator;
  /** Path of the program that is measured. */
  readonly executable: string;
};

export type Found = {
  /** What the records were kept in: `embedded PostgreSQL 18.4`. Null when it did not come to that. */
  readonly database: string | null;
  /** Printed as they are. */
  readonly lines: readonly string[];
  /** Targets, each met or missed. */
  readonly verdicts: readonly Verdict[];
  /** What is incorrect, not slow: any makes the run fail. */
  readonly wrong: readonly string[];
  /** Of the report, where the scenario is for it. */
  readonly chapters?: readonly Chapter[];
  /** What it was measured with, for the same page: a name and a value each. */
  readonly facts?: readonly (readonly [name: string, value: string])[];
};

export type Verdict = { readonly what: string; readonly met: boolean };

export type Scenario = {
  readonly name: string;
  /** What it takes, about, for the progress bar; seconds. */
  readonly seconds: (plan: Plan) => number;
  readonly run: (bench: Bench) => Promise<Found>;
};

/** What a person can read, without a stack. */
export class BenchError extends Error {}

/** @throws BenchError when `work` takes longer than `seconds` */
export async function within<T>(seconds: number, what: string, work: Promise<T>): Promise<T> {
  let timer: Timer | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new BenchError(`${what} took longer than ${seconds} s`)),
      seconds * 1000,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * `bun run simulate [--minutes M]`: worlds of consecutive seeds, until the time is over or one of them
 * fails; `--from S`: beginning with that one; `--seed S`: that one world again. What failed is told at once
 * with its seed, and made smaller then.
 */
import { parseArgs } from "node:util";
import {
  array,
  check,
  constant,
  nat,
  noShrink,
  oneof,
  property,
  record,
  sample,
  type Arbitrary,
} from "fast-check";
import type { Auditor } from "./auditor.ts";
import { stepWeights, type Step, type StepKind } from "./steps.ts";
import { World } from "./world.ts";

/** Steps of a world at most. */
const stepsMax = 400;
/** How long a failing history is made smaller, ms. */
const shrinkMaxMs = 60_000;

const kinds = Object.entries(stepWeights).map(([kind, weight]) => ({
  weight,
  // The keys of an object that was written with these.
  arbitrary: constant(kind as StepKind),
}));

const step: Arbitrary<Step> = record({
  waitMs: oneof(
    { weight: 6, arbitrary: nat(20) },
    { weight: 5, arbitrary: nat(2_000) },
    { weight: 2, arbitrary: nat(40_000) },
  ),
  kind: noShrink(oneof(...kinds)),
  dice: noShrink(nat()),
});

const history = array(step, { minLength: 0, maxLength: stepsMax, size: "max" });

export type Failure = { readonly complaint: string; readonly step: number; readonly steps: number };

export type Tally = {
  worlds: number;
  sales: number;
  steps: number;
  readonly seen: Map<string, number>;
};

export const newTally = (): Tally => ({ worlds: 0, sales: 0, steps: 0, seen: new Map() });

/** What a world is found at fault for, beside what its auditor says. */
type Wrong = (auditor: Auditor) => boolean;

/** What is wrong in a world of these steps; null when nothing is. */
function runWorld(
  seed: number,
  steps: readonly Step[],
  tally: Tally | null,
  isWrong: Wrong | null = null,
): Failure | null {
  const world = new World(seed);
  let complaint: string | null = null;
  let taken = 0;
  for (const one of steps) {
    taken += 1;
    complaint = world.take(one);
    if (isWrong?.(world.auditor) === true) complaint ??= "as was wanted";
    if (complaint !== null) break;
  }
  complaint ??= world.finish();
  if (tally !== null) {
    tally.worlds += 1;
    tally.sales += world.saleCount;
    tally.steps += taken;
    for (const [what, count] of world.auditor.seen) {
      tally.seen.set(what, (tally.seen.get(what) ?? 0) + count);
    }
  }
  return complaint === null ? null : { complaint, step: taken, steps: steps.length };
}

const stepsOf = (seed: number): Step[] =>
  sample(history, { seed, numRuns: 1, unbiased: true })[0] ?? [];

/** The world of a seed. */
export const simulate = (seed: number, tally: Tally | null = null): Failure | null =>
  runWorld(seed, stepsOf(seed), tally);

/** What is referred to weakly is let go of between two tasks alone: 12 MB a world. */
export const betweenWorlds = async (): Promise<void> =>
  await new Promise((resolve) => setImmediate(resolve));

/** The fewest steps of a failing world that still fail, as far as they are found in the time. */
export function shrink(
  seed: number,
  boundMs = shrinkMaxMs,
  isWrong: Wrong | null = null,
): { readonly steps: readonly Step[]; readonly failure: Failure } | null {
  const holds = property(history, (steps) => runWorld(seed, steps, null, isWrong) === null);
  const result = check(holds, {
    seed,
    numRuns: 1,
    unbiased: true,
    interruptAfterTimeLimit: boundMs,
    markInterruptAsFailure: true,
  });
  const [steps] = result.counterexample ?? [];
  if (steps === undefined) return null;
  const failure = runWorld(seed, steps, null, isWrong);
  return failure === null ? null : { steps: steps.slice(0, failure.step), failure };
}

const line = ({ waitMs, kind, dice }: Step): string => `  +${waitMs} ms ${kind} (dice ${dice})`;

export const told = (seed: number, { complaint, step: at, steps }: Failure): string =>
  `seed ${seed}, step ${at} of ${steps}: ${complaint}`;

/** A number that was given on the command line. */
function numberOf(name: string, text: string): number {
  const number = Number(text);
  if (text.trim() !== "" && Number.isFinite(number) && number >= 0) return number;
  say(`--${name} is "${text}"; it takes a number from 0.`);
  process.exit(2);
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      from: { type: "string" },
      minutes: { type: "string", default: "1" },
      verbose: { type: "boolean", default: false },
      /** Makes nothing smaller. */
      quick: { type: "boolean", default: false },
    },
  });
  const asked = values.seed ?? process.env["SEED"];
  const first =
    asked === undefined
      ? numberOf("from", values.from ?? String(Date.now() % 1_000_000_000))
      : numberOf("seed", asked);
  const startedAt = performance.now();
  const boundMs = numberOf("minutes", values.minutes) * 60_000;
  const tally = newTally();
  const isOne = asked !== undefined;
  for (let seed = first; performance.now() - startedAt < boundMs; seed += 1) {
    const failure = simulate(seed, tally);
    if (failure !== null) {
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
      say(
        `${told(seed, failure)}\nfound after ${seconds} s; again: bun run simulate --seed ${seed}`,
      );
      const smaller = values.quick ? null : shrink(seed);
      if (smaller !== null) {
        say(`made smaller: ${smaller.failure.complaint}\n${smaller.steps.map(line).join("\n")}`);
      }
      process.exitCode = 1;
      break;
    }
    if (isOne) break;
    // oxlint-disable-next-line no-await-in-loop
    await betweenWorlds();
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const rate = (count: number): string => `${count} (${(count / seconds).toFixed(1)}/s)`;
  const { worlds, sales, steps, seen } = tally;
  say(`${rate(worlds)} worlds, ${rate(sales)} sales, ${rate(steps)} steps from seed ${first}`);
  if (values.verbose) {
    for (const [what, count] of [...seen].toSorted(([a], [b]) => a.localeCompare(b))) {
      say(`${String(count).padStart(9)} ${what}`);
    }
  }
}

if (import.meta.main) await main();

/**
 * The ledger as a whole: against the model in random histories, with terms that end and begin
 * again by clocks that differ, at its true size, and at the bounds of what it keeps.
 *
 * A failing history prints its seed and the fewest steps that still fail; `SEED=` replays
 * it. The rules one by one are in `ledger.checkout.test.ts` and `ledger.codes.test.ts`.
 */
import { describe, expect, test } from "bun:test";
import { saleWords } from "../support/compare.ts";
import { Draw } from "../support/draw.ts";
import { replay, Run, shrink, take, type Seen, type Step } from "../support/history.ts";
import { Random, seeds } from "../support/random.ts";

const historySteps = 500;
/** Generous: the machine may be busy with something else. */
const timeoutMs = 120_000;

describe("random histories", () => {
  test(
    "are answered and counted as the model says",
    async () => expectAllSeen(await runHistories(60, { crashes: false })),
    timeoutMs,
  );

  test(
    "go on after a recovery as if nothing had happened, whatever its clock says",
    async () => expectAllSeen(await runHistories(100, { crashes: true })),
    timeoutMs,
  );
});

/** Runs many histories; on a disagreement throws its seed and the steps that lead to it. */
async function runHistories(
  count: number,
  { crashes }: { readonly crashes: boolean },
): Promise<Seen> {
  const seen: Seen = new Map();
  for (const seed of seeds(count)) {
    // oxlint-disable-next-line no-await-in-loop
    const run = await runHistory(seed, crashes);
    for (const [word, times] of run.seen) seen.set(word, (seen.get(word) ?? 0) + times);
  }
  return seen;
}

async function runHistory(seed: number, crashes: boolean): Promise<Run> {
  const run = await Run.begin();
  const draw = new Draw(new Random(seed), run, crashes);
  const steps: Step[] = [];
  while (steps.length < historySteps) {
    const step = draw.next();
    steps.push(step);
    // oxlint-disable-next-line no-await-in-loop
    if ((await take(run, step)) !== null) throw new Error(await report(seed, steps));
  }
  return run;
}

async function report(seed: number, failing: readonly Step[]): Promise<string> {
  const steps = await shrink(failing);
  const lines = steps.map((step) => `  ${JSON.stringify(step)}`);
  return `SEED=${seed}\n${lines.join("\n")}\n${(await replay(steps))?.complaint}`;
}

/** Histories that never come to some answer prove nothing about it. One seed may miss some. */
function expectAllSeen(seen: Seen): void {
  if (process.env["SEED"] !== undefined) return;
  const wanted = [...Object.keys(saleWords), "late purchase", "look_up", "stale lookup"];
  const rare = wanted.filter((word) => (seen.get(word) ?? 0) < 20);
  expect(rare).toEqual([]);
}

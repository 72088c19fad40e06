/**
 * The ledger against the model, and against itself after a recovery, in random histories.
 *
 * A failure prints the seed and the fewest steps that still fail; `SEED=` replays it. What
 * single rules say is in `ledger.cases.test.ts`.
 */
import { describe, expect, test } from "bun:test";
import { Draw } from "./support/draw.ts";
import { replay, Run, shrink, take, type Step } from "./support/history.ts";
import { Random, seeds } from "./support/random.ts";

/** Steps of one history. */
const historySteps = 2_000;

/** Runs one history; on a disagreement throws its seed and the steps that lead to it. */
function runHistory(seed: number, crashes: boolean, words: Map<string, number>): void {
  const run = new Run();
  const draw = new Draw(new Random(seed), run, crashes);
  const steps: Step[] = [];
  while (steps.length < historySteps) {
    const step = draw.next();
    steps.push(step);
    if (take(run, step) !== null) throw new Error(report(seed, shrink(steps)));
  }
  for (const [word, count] of run.words) words.set(word, (words.get(word) ?? 0) + count);
}

function report(seed: number, steps: readonly Step[]): string {
  const lines = steps.map((step) => `  ${JSON.stringify(step)}`);
  return `SEED=${seed}\n${lines.join("\n")}\n${replay(steps)?.complaint}`;
}
describe("random histories", () => {
  test("x", () => {
    const words = new Map<string, number>();
    const t = performance.now();
    for (const seed of seeds(100)) runHistory(seed, false, words);
    console.log(words, performance.now() - t);
  }, 60_000);
  test("crash", () => {
    const words = new Map<string, number>();
    for (const seed of seeds(100)) runHistory(seed, true, words);
    expect(1).toBe(1);
  });
});

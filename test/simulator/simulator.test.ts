/**
 * Worlds of seeds that nobody has seen before, for about three quarters of a minute, or as many
 * minutes as `SIMULATE_MINUTES` says; with `SEED=` that one. And: the simulator finds what it is for.
 */
import { expect, test } from "bun:test";
import { newTally, shrink, simulate, told } from "./simulate.ts";

const boundMs = Number(process.env["SIMULATE_MINUTES"] ?? 0.75) * 60_000;
const asked = process.env["SEED"];

test(
  "no world sells what there is not, or says what is not so",
  () => {
    const tally = newTally();
    const first = asked === undefined ? Date.now() % 1_000_000_000 : Number(asked);
    const startedAt = performance.now();
    for (let seed = first; performance.now() - startedAt < boundMs; seed += 1) {
      const failure = simulate(seed, tally);
      if (failure !== null) throw new Error(`${told(seed, failure)}\nagain: SEED=${seed}`);
      if (asked !== undefined) return;
    }
    // What was tried at all.
    const words = [
      "checkout: reserved",
      "checkout: reserved_again",
      "checkout: item_reserved",
      "checkout: user_limit_reached",
      "purchase: purchased",
      "purchase: purchased_again",
      "purchase: code_expired",
      "release: released",
      "buy: purchased",
      "claim: claimed",
      "change: changed",
      "mishap: commit unknown",
      "mishap: commit deposed",
      "sold out",
    ];
    expect(words.filter((word) => !tally.seen.has(word))).toEqual([]);
  },
  boundMs + 120_000,
);

test("the same seed gives the same world", () => {
  const [one, other] = [newTally(), newTally()];
  const seed = 7;
  expect(simulate(seed, one)).toEqual(simulate(seed, other));
  expect([...one.seen]).toEqual([...other.seen]);
});

test("a world that fails is made smaller, to steps that fail", () => {
  const seed = 7;
  const failing = shrink(seed, 20_000, ({ seen }) => (seen.get("purchase: purchased") ?? 0) > 0);
  expect(failing?.steps.length).toBeLessThan(20);
  expect(failing?.failure.complaint).toBe("as was wanted");
});

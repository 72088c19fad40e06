/** The draw, beside one that is written from the contract's words and cares for nothing else. */
import { expect, test } from "bun:test";
import { drawing, type Drawn } from "../../src/sales/draw.ts";
import { entryOf, Entries } from "../../src/sales/draws.ts";
import { Random, seeds } from "../support/random.ts";
import { upTo } from "../support/wait.ts";

const sha256 = (text: string): string => new Bun.CryptoHasher("sha256").update(text).digest("hex");

function end(steps: Generator<void, Drawn>): Drawn {
  let step = steps.next();
  while (step.done !== true) step = steps.next();
  return step.value;
}

/** Everybody's rank, from 1: as a stranger would reckon it. */
function ranksOf(seed: string, entries: readonly string[]): readonly number[] {
  const digest = sha256(entries.map((entry) => `${entry}\n`).join(""));
  const keys = entries.map((entry) => sha256(`${seed}:${digest}:${entry}`));
  const order = keys.toSorted();
  return keys.map((key) => order.indexOf(key) + 1);
}

test.each([0, 1, 2, 7, 8, 9, 1_000])("%d who joined are drawn as was promised", (count) => {
  const [seed = 0] = seeds(1);
  const random = new Random(seed);
  const bytes = Uint8Array.from({ length: 32 }, () => random.between(0, 255)).toHex();
  const tickets = upTo(count).map(() => crypto.randomUUID());
  const entries = new Entries();
  for (let from = 0; from < count; from += 300) entries.add(tickets.slice(from, from + 300));
  const drawn = end(drawing(bytes, entries.first(count)));
  const names = tickets.map(entryOf);
  expect(drawn.entriesDigest).toBe(sha256(names.map((name) => `${name}\n`).join("")));
  expect([...drawn.ranks]).toEqual([...ranksOf(bytes, names)]);
  expect(drawn.seed).toBe(bytes);
});

test("many are drawn in slices, and each has a rank of its own", () => {
  const count = 50_000;
  const entries = new Uint8Array(32 * count);
  for (const index of upTo(count)) {
    Bun.SHA256.hash(String(index), entries.subarray(32 * (index - 1), 32 * index));
  }
  const steps = drawing("00".repeat(32), entries);
  let slices = 0;
  let step = steps.next();
  for (; step.done !== true; step = steps.next()) slices += 1;
  expect(slices).toBeGreaterThan(20);
  expect(step.value.ranks.toSorted()).toEqual(Uint32Array.from(upTo(count)));
});

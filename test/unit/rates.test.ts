/** Buckets of requests: what they allow, and what they never take. */
import { expect, test } from "bun:test";
import { bucketsMax, parseRates, Rates, usualRates } from "../../src/access/rates.ts";
import { upTo } from "../support/wait.ts";

function open() {
  let now = 1_000;
  const rates = new Rates(usualRates, () => now);
  return { rates, pass: (ms: number) => (now += ms) };
}

const refused = (rates: Rates, times: number, network: string): number =>
  upTo(times).filter(() => rates.takeGuest("writes", network) !== null).length;

test("so many fit at once, and come back evenly", () => {
  const { rates, pass } = open();
  expect(refused(rates, 61, "a")).toBe(1);
  expect(rates.takeGuest("writes", "a")).toMatchObject({ retryAfterMs: 50, of: "address" });
  expect(refused(rates, 60, "b")).toBe(0);
  expect(rates.takeGuest("reads", "a")).toBeNull();
  pass(50);
  expect(refused(rates, 2, "a")).toBe(1);
  pass(1_000);
  expect(refused(rates, 21, "a")).toBe(1);
  pass(60_000);
  expect(refused(rates, 61, "a")).toBe(1);
});

test("a proven buyer has a quarter of the writes, and an address ten times as many", () => {
  const { rates } = open();
  const take = (buyer: string) => rates.takeProven("writes", "a", buyer);
  const passed = upTo(16).filter(() => take("anna") === null).length;
  expect(passed).toBe(15);
  expect(take("anna")).toMatchObject({ of: "user", retryAfterMs: 200 });
  const crowd = upTo(600).filter((i) => take(`buyer${i}`) === null).length;
  expect(crowd).toBe(585);
  expect(take("another")).toMatchObject({ of: "address" });
  // Guests of the address have a bucket of their own.
  expect(refused(rates, 60, "a")).toBe(0);
});

test("a million addresses take a fixed space, and the busy one is not forgotten", () => {
  const { rates } = open();
  expect(refused(rates, 61, "busy")).toBe(1);
  Bun.gc(true);
  const before = process.memoryUsage.rss();
  for (let i = 0; i < bucketsMax; i += 1) {
    rates.takeGuest("reads", `10.${i >> 16}.${i & 65_535}`);
    // The texts of the addresses themselves are nobody's memory.
    if (i % 50_000 === 0) Bun.gc(true);
  }
  expect((process.memoryUsage.rss() - before) / 2 ** 20).toBeLessThan(64);
  expect(rates.takeGuest("writes", "busy")).not.toBeNull();
});

test("rates are read as they are written", () => {
  expect(parseRates("on")).toEqual(usualRates);
  expect(parseRates("off")).toBeNull();
  const writes = { perSecond: 1, atOnce: 2 };
  expect(parseRates("writes=1/2")).toEqual({ ...usualRates, writes });
  expect(parseRates("writes=1/2, costly=3/4")).toMatchObject({ writes });
  for (const junk of ["", "yes", "writes", "writes=0/1", "writes=1/2/3", "writes=1/2,writes=1/2"]) {
    expect(parseRates(junk)).toBeUndefined();
  }
});

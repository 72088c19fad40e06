/** Buckets of requests: what they allow, and what they never take. */
import { expect, test } from "bun:test";
import { bucketsMax, parseRates, Rates, usualRates } from "../../src/access/rates.ts";
import { bucketsPerFrameMax } from "../../src/link/counts.ts";
import { upTo } from "../support/wait.ts";

function open(secret = "a secret") {
  let now = 1_000;
  const rates = new Rates(usualRates, secret, () => now);
  rates.isShared = true;
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
  const take = (buyer: string) => rates.takeProven("writes", "a", "account", buyer);
  const passed = upTo(16).filter(() => take("anna") === null).length;
  expect(passed).toBe(15);
  expect(take("anna")).toMatchObject({ of: "user", retryAfterMs: 200 });
  const crowd = upTo(600).filter((i) => take(`buyer${i}`) === null).length;
  expect(crowd).toBe(585);
  expect(take("another")).toMatchObject({ of: "address" });
  // Guests of the address have a bucket of their own.
  expect(refused(rates, 60, "a")).toBe(0);
});

test("a customer and an account of one name have a bucket each, and a key has none", () => {
  const { rates } = open();
  const passed = (buyer: "account" | "customer" | null) =>
    upTo(20).filter(() => rates.takeProven("writes", "a", buyer, "anna") === null).length;
  expect([passed("account"), passed("customer"), passed(null)]).toEqual([15, 15, 20]);
});

test("what was used at one process is taken out at the other, once", () => {
  const [one, other] = [open(), open()];
  expect(refused(one.rates, 60, "a")).toBe(0);
  for (const _ of upTo(3)) one.rates.takeGuest("costly", "a");
  other.rates.useUp(one.rates.takeUsed());
  expect(refused(other.rates, 1, "a")).toBe(1);
  expect(upTo(8).map(() => other.rates.takeGuest("costly", "a") !== null)).toEqual([
    ...upTo(7).map(() => false),
    true,
  ]);
  expect(refused(other.rates, 61, "b")).toBe(1);
  // What it was told of is not its own to tell, and what was refused was not used.
  expect(other.rates.takeUsed().map(({ ms }) => ms)).toEqual([7 * 500, 60 * 50]);
  expect(one.rates.takeUsed()).toEqual([]);
  other.pass(50);
  expect(refused(other.rates, 2, "a")).toBe(1);
  expect(other.rates.takeUsed()).toMatchObject([{ kind: 0, ms: 50 }]);
});

test("both give the whole of a bucket in the same moment: then it takes as much longer", () => {
  const [one, other] = [open(), open()];
  expect(refused(one.rates, 60, "a") + refused(other.rates, 60, "a")).toBe(0);
  const [used, usedThere] = [one.rates.takeUsed(), other.rates.takeUsed()];
  one.rates.useUp(usedThere);
  other.rates.useUp(used);
  for (const { rates, pass } of [one, other]) {
    expect(rates.takeGuest("writes", "a")).toMatchObject({ retryAfterMs: 60 * 50 + 50 });
    pass(60 * 50);
    expect(refused(rates, 1, "a")).toBe(1);
    pass(50);
    expect(refused(rates, 2, "a")).toBe(1);
  }
});

test("of many buckets the most used are told, and with another secret none is anybody's", () => {
  const [one, other, stranger] = [open(), open(), open("another")];
  for (const i of upTo(bucketsPerFrameMax)) one.rates.takeGuest("writes", `10.${i}`);
  refused(one.rates, 60, "busy");
  const used = one.rates.takeUsed();
  expect(used).toHaveLength(bucketsPerFrameMax);
  other.rates.useUp(used);
  expect(refused(other.rates, 1, "busy")).toBe(1);
  stranger.rates.useUp(used);
  expect(refused(stranger.rates, 60, "busy")).toBe(0);
  expect(one.rates.takeUsed()).toEqual([]);
});

test("what is used while nobody hears of it is not told later", () => {
  const { rates } = open();
  rates.isShared = false;
  refused(rates, 60, "a");
  rates.isShared = true;
  refused(rates, 1, "b");
  expect(rates.takeUsed()).toMatchObject([{ kind: 0, ms: 50 }]);
  expect(refused(rates, 1, "a")).toBe(1);
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

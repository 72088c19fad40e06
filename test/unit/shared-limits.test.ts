/** When what clients use up is told: from the moment on at which somebody hears it. */
import { expect, test } from "bun:test";
import { Hoarding } from "../../src/access/hoarding.ts";
import { Rates, usualRates } from "../../src/access/rates.ts";
import { SharedLimits } from "../../src/access/shared-limits.ts";
import { StreamCounts } from "../../src/access/stream-counts.ts";
import { SharedCounts } from "../../src/engine/shared-counts.ts";
import type { Counts } from "../../src/link/counts.ts";
import { upTo } from "../support/wait.ts";

const writeMs = 1_000 / usualRates.writes.perSecond;

function open() {
  const counts = new SharedCounts();
  const rates = new Rates(usualRates, "a secret", () => 1_000);
  const hoarding = new Hoarding({ perUserLimit: 1, reservationTtlMs: 120_000 });
  const streams = new StreamCounts();
  const limits = new SharedLimits(counts, { rates, hoarding, streams }, "one");
  const told: Counts[] = [];
  const line = { counts: (news: Counts) => void told.push(news) };
  const use = (times: number) => upTo(times).forEach(() => rates.takeGuest("writes", "a"));
  /** What of the buckets was told since it was asked last, ms. */
  const heard = (): number[] => {
    limits.tell();
    return told.splice(0).flatMap(({ buckets }) => buckets.map(({ ms }) => ms));
  };
  return { counts, line, limits, streams, told, use, heard };
}

test("what is used as soon as a leader is followed is told it", () => {
  const { counts, line, use, heard } = open();
  use(1);
  expect(heard()).toEqual([]);
  use(1);
  counts.follow(line);
  use(3);
  expect(heard()).toEqual([3 * writeMs]);
  expect(heard()).toEqual([]);
  counts.leave();
  use(1);
  counts.follow(line);
  expect(heard()).toEqual([]);
});

test("and so is what is used as soon as somebody follows", () => {
  const { counts, line, use, heard } = open();
  const leave = counts.followedBy(line);
  use(2);
  expect(heard()).toEqual([2 * writeMs]);
  leave();
  use(2);
  expect(heard()).toEqual([]);
});

test("of streams that come and go while nobody hears it nothing is kept", () => {
  const { counts, line, limits, streams, told } = open();
  for (const network of upTo(3).map(String)) {
    const close = streams.open(network, () => {});
    if (network !== "2") close();
  }
  limits.tell();
  counts.follow(line);
  // What is open is told in rounds.
  upTo(2).forEach(() => limits.tell());
  expect(told.map((news) => news.streams?.networks)).toEqual([[{ network: "2", count: 1 }]]);
});

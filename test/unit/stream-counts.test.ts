import { expect, test } from "bun:test";
import { networksMax, StreamCounts } from "../../src/access/stream-counts.ts";
import { streamsPerFrameMax } from "../../src/link/counts.ts";
import { upTo } from "../support/wait.ts";

const [here, there] = [
  "00000000-0000-4000-8000-000000000001",
  "00000000-0000-4000-8000-000000000002",
];

/** Two processes, whose clock the test moves on; what one tells the other hears. */
function newPair() {
  const time = { now: 0 };
  const [one, other] = [new StreamCounts(() => time.now), new StreamCounts(() => time.now)];
  const tell = (): void => {
    const news = one.takeNews(here);
    if (news !== null) other.hear(news);
  };
  return { time, one, other, tell };
}

test("streams of an address count at every process, and no more once they are closed", () => {
  const { one, other, tell } = newPair();
  upTo(3).forEach(() => one.opened("a"));
  other.opened("a");
  expect([one.of("a"), other.of("a")]).toEqual([3, 1]);
  tell();
  expect([other.of("a"), other.of("b")]).toEqual([4, 0]);
  one.closed("a");
  tell();
  expect(other.of("a")).toBe(3);
  one.closed("a");
  one.closed("a");
  tell();
  expect([one.of("a"), other.of("a")]).toEqual([0, 1]);
  expect(one.takeNews(here)).toBeNull();
});

test("of a process that is silent nothing counts, and again once it is heard", () => {
  const { time, one, other, tell } = newPair();
  one.opened("a");
  one.opened("b");
  tell();
  time.now += 2_000;
  expect(other.of("a")).toBe(0);
  tell();
  expect(other.of("a")).toBe(1);
});

test("who hears it for the first time soon knows all that is open, and what was lost is put right", () => {
  const { time, one, tell, other } = newPair();
  const networks = upTo(5_000).map(String);
  networks.forEach((network) => one.opened(network));
  // Nobody hears it.
  while ((one.takeNews(here)?.networks.length ?? 0) > 256);
  for (let told = 0; told < 25; told += 1) {
    time.now += 250;
    tell();
  }
  expect(networks.every((network) => other.of(network) === 1)).toBe(true);
  // That it is closed is lost on the way, and not told again.
  one.closed("1");
  one.takeNews(here);
  for (let told = 0; told < 480; told += 1) {
    time.now += 250;
    tell();
  }
  expect([other.of("1"), other.of("2")]).toEqual([0, 1]);
});

test("so many are told at once, and so many are kept of another", () => {
  const { one, other } = newPair();
  upTo(streamsPerFrameMax + 1).forEach((n) => one.opened(`${n}`));
  expect(one.takeNews(here)?.networks).toHaveLength(streamsPerFrameMax);
  other.hear({
    instance: there,
    networks: upTo(networksMax + 1).map((n) => ({ network: `${n}`, count: 1 })),
  });
  expect([other.of("1"), other.of("2")]).toEqual([0, 1]);
});

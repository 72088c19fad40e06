import { expect, test } from "bun:test";
import { networksMax, StreamCounts, streamsPerAddressMax } from "../../src/access/stream-counts.ts";
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
    if (news !== null) other.hear(news, there);
  };
  return { time, one, other, tell };
}

const stays = (): void => {
  throw new Error("a stream was ended");
};

test("streams of an address count at every process, and no more once they are closed", () => {
  const { one, other, tell } = newPair();
  const closings = upTo(3).map(() => one.open("a", stays));
  other.open("a", stays);
  expect([one.of("a"), other.of("a")]).toEqual([3, 1]);
  tell();
  expect([other.of("a"), other.of("b")]).toEqual([4, 0]);
  closings[0]?.();
  closings[0]?.();
  tell();
  expect(other.of("a")).toBe(3);
  closings.forEach((close) => close());
  tell();
  expect([one.of("a"), other.of("a")]).toEqual([0, 1]);
  expect(one.takeNews(here)).toBeNull();
});

test("of a process that is silent nothing counts, and again once it is heard", () => {
  const { time, one, other, tell } = newPair();
  one.open("a", stays);
  one.open("b", stays);
  tell();
  time.now += 2_000;
  expect(other.of("a")).toBe(0);
  tell();
  expect(other.of("a")).toBe(1);
});

test("who hears it for the first time soon knows all that is open, and what was lost is put right", () => {
  const { time, one, tell, other } = newPair();
  const networks = upTo(5_000).map(String);
  const closings = networks.map((network) => one.open(network, stays));
  // Nobody hears it.
  while ((one.takeNews(here)?.networks.length ?? 0) > 256);
  for (let told = 0; told < 25; told += 1) {
    time.now += 250;
    tell();
  }
  expect(networks.every((network) => other.of(network) === 1)).toBe(true);
  // That it is closed is lost on the way, and not told again.
  closings[0]?.();
  one.takeNews(here);
  for (let told = 0; told < 480; told += 1) {
    time.now += 250;
    tell();
  }
  expect([other.of("1"), other.of("2")]).toEqual([0, 1]);
});

test("so many are told at once, and so many are kept of another", () => {
  const { one, other } = newPair();
  upTo(streamsPerFrameMax + 1).forEach((n) => one.open(`${n}`, stays));
  expect(one.takeNews(here)?.networks).toHaveLength(streamsPerFrameMax);
  const networks = upTo(networksMax + 1).map((n) => ({ network: `${n}`, count: 1 }));
  other.hear({ instance: there, networks }, here);
  expect([other.of("1"), other.of("2")]).toEqual([0, 1]);
});

test("what was opened at all of them in one moment is ended down to what an address may have", () => {
  const processes = upTo(3).map((n) => {
    const counts = new StreamCounts(() => 0);
    const instance = `00000000-0000-4000-8000-00000000000${n}`;
    const open = new Set<() => void>();
    const listen = (): void => {
      const close = counts.open("a", () => {
        open.delete(close);
        close();
      });
      open.add(close);
    };
    upTo(15).forEach(listen);
    return { counts, instance, open, first: [...open][0] };
  });
  upTo(3).forEach(() => {
    for (const teller of processes) {
      const news = teller.counts.takeNews(teller.instance);
      for (const hearer of processes) {
        if (news !== null && hearer !== teller) hearer.counts.hear(news, hearer.instance);
      }
    }
  });
  const sizes = processes.map(({ open }) => open.size);
  expect(sizes).toEqual([15, 5, 0]);
  expect(processes.map(({ counts }) => counts.of("a"))).toEqual(
    Array(3).fill(streamsPerAddressMax),
  );
  // The oldest stay.
  const [, second] = processes;
  expect(second?.open.has(second.first ?? (() => {}))).toBe(true);
});

/**
 * The replica of a process that stands by, with a leader that says what the test wants: when it can
 * be read, when it is restored again, and the bounds of what is kept.
 */
import { describe, expect, test } from "bun:test";
import { Feed } from "../../src/engine/feed.ts";
import {
  uncomparedMax,
  Follower,
  queuedEffectsMax,
  readsWaitingMax,
} from "../../src/engine/follower.ts";
import { BatchWriter } from "../../src/engine/writer.ts";
import type { LedgerChange } from "../../src/ledger/changes.ts";
import type { Command } from "../../src/ledger/commands.ts";
import { Ledger } from "../../src/ledger/ledger.ts";
import type { Records } from "../../src/store/records.ts";
import { soundLine } from "../simulator/line.ts";
import { MemoryRecords } from "../simulator/records.ts";
import { recover } from "../simulator/recovered.ts";
import { quietLog } from "../support/shop.ts";
import { buy, buyNow, take } from "../support/story.ts";
import { until, upTo } from "../support/wait.ts";

const begunAt = Date.UTC(2030, 0, 1);
const items = upTo(3).map((id) => {
  return { id, name: `item ${id}`, pictureSeed: "", priceCents: 100, stock: 2_000 };
});
const sale = {
  kind: "hourly",
  title: "Drop",
  startsAt: begunAt,
  endsAt: begunAt + 3_600_000,
  perUserLimit: 5_000,
  reservationTtlMs: 60_000,
  items,
} as const;

const announcement = { url: "here", port: 0, instance: "", link: "" };

/** A leader, and one who follows it by a source that the test holds. */
async function aPair(changed: Partial<Records> = {}) {
  const memory = new MemoryRecords();
  const records: Records = { ...memory.over(soundLine), ...changed };
  const signal = new AbortController();
  const term = await records.lead(announcement, signal.signal, {
    mayLead: () => true,
    onStandby: () => Promise.resolve(),
    onFreed: () => {},
  });
  if (term === null) throw new Error("nobody leads");
  await term.begin(begunAt);
  memory.sales.store(sale, 0);
  const ledger = await Ledger.restore(await term.recover(), begunAt);
  const time = { now: begunAt, monotonic: 0 };
  const feed = new Feed(0, begunAt);
  const writer = new BatchWriter(
    ledger,
    (batch) => term.commit(batch),
    () => time.now,
    { nextTurn: setImmediate, feed },
  );
  const sleeping: (() => void)[] = [];
  const source: { listener: (change: LedgerChange) => void; end: (reason: Error) => void } = {
    listener: () => {},
    end: () => {},
  };
  const seen: string[] = [];
  const follower = new Follower({
    records,
    draws: { ranks: () => null },
    source: {
      follow: (_, listener, stop) => {
        const over = Promise.withResolvers<Error>();
        Object.assign(source, { listener, end: over.resolve });
        const leave = feed.subscribe((change) => source.listener(change));
        stop.addEventListener("abort", () => over.resolve(new Error("stopped")));
        return over.promise.finally(leave);
      },
    },
    timers: {
      sleep: () => new Promise((resolve) => sleeping.push(resolve)),
      nextTurn: setImmediate,
      monotonic: () => time.monotonic,
    },
    log: { ...quietLog, warn: (_, message) => seen.push(message) },
    shown: { hold: () => {}, changed: () => {}, readAgain: () => {} },
  });
  const start = (): void => {
    void follower.run({ ...announcement, epoch: term.epoch, url: "here" }, signal.signal);
  };
  const current = (): Promise<unknown> => until("a replica", () => follower.isCurrent);
  const ask = (command: Command) => writer.submit(command);
  return { memory, feed, follower, source, time, seen, ask, start, current, sleeping };
}

const soldIn = (follower: Follower) => follower.read((view) => view.totals(1)?.sold);

describe("a replica that follows", () => {
  test("has what was answered, at once", async () => {
    const { follower, ask, start, current } = await aPair();
    start();
    await current();
    await ask(take("A", "ann", 1));
    await ask(buy("A"));
    expect([follower.seq, await soldIn(follower)]).toEqual([2, 1]);
  });

  test("has what was committed while it read the records", async () => {
    const gate = Promise.withResolvers<void>();
    const reading = Promise.withResolvers<void>();
    const pair = await aPair({
      snapshot: async (use) => {
        reading.resolve();
        await gate.promise;
        return await use(recover(pair.memory));
      },
    });
    pair.start();
    await reading.promise;
    await pair.ask(buyNow("A", "ann", 1));
    gate.resolve();
    await pair.current();
    await pair.ask(buyNow("B", "bob", 1));
    expect(await soldIn(pair.follower)).toBe(2);
  });

  test("tells the leader's time, and takes none of it back", async () => {
    const { follower, feed, start, current, time } = await aPair();
    start();
    await current();
    const now = () => follower.read((view) => view.now - begunAt);
    feed.tellTime(begunAt + 500);
    time.monotonic = 100;
    expect(await now()).toBe(600);
    feed.tellTime(begunAt + 550);
    expect(await now()).toBe(600);
    time.monotonic = 200;
    expect(await now()).toBe(650);
  });

  test("is not read while the leader is silent, and is once it is heard", async () => {
    const { follower, feed, start, current, time } = await aPair();
    start();
    await current();
    time.monotonic = 1_001;
    const read = soldIn(follower);
    expect(follower.isCurrent).toBe(false);
    feed.tellTime(begunAt + 1_001);
    expect(await read).toBe(0);
  });

  test("is restored again after something was not told", async () => {
    const { follower, source, ask, start, current, seen } = await aPair();
    start();
    await current();
    const { listener } = source;
    source.listener = () => {};
    await ask(buyNow("A", "ann", 1));
    source.listener = listener;
    await ask(buyNow("B", "bob", 1));
    await current();
    expect(await soldIn(follower)).toBe(2);
    expect(seen).toEqual(["the replica is thrown away"]);
  });

  test("goes on with the next leader from where it was", async () => {
    const { follower, source, ask, start, current, sleeping } = await aPair();
    start();
    await current();
    source.end(new Error("the leader is gone"));
    await until("its waiting", () => sleeping.length > 0);
    await ask(buyNow("A", "ann", 1));
    for (const wake of sleeping.splice(0)) wake();
    await current();
    expect([follower.seq, await soldIn(follower)]).toEqual([1, 1]);
  });
});

describe("of what is kept", () => {
  test("there are at most so many effects while the records are read, and then they are read again", async () => {
    const snapshots: PromiseWithResolvers<void>[] = [];
    const pair = await aPair({
      snapshot: async (use) => {
        const gate = Promise.withResolvers<void>();
        snapshots.push(gate);
        await gate.promise;
        return await use(recover(pair.memory));
      },
    });
    const { source, start, current, sleeping, follower } = pair;
    start();
    await until("its reading", () => snapshots.length === 1);
    const coupon = { id: 1, name: "TEN", amount: 1, createdAt: 0, remaining: 1 };
    const effect = { seq: 0, at: begunAt, word: "coupon_created", coupon } as const;
    const effects = Array.from({ length: queuedEffectsMax }, () => effect);
    source.listener({ kind: "batch", firstSeq: 0, seq: 0, at: begunAt, effects, attempts: [] });
    snapshots[0]?.resolve();
    await until("its giving up", () => sleeping.length > 0);
    expect(follower.isCurrent).toBe(false);
    sleeping.shift()?.();
    await until("its reading again", () => snapshots.length === 2);
    snapshots[1]?.resolve();
    await current();
  });

  test("there are at most so many reads that wait", async () => {
    const { follower, sleeping } = await aPair();
    const reads = upTo(readsWaitingMax).map(() => soldIn(follower));
    await expect(soldIn(follower)).rejects.toThrow("not heard of");
    expect(sleeping.length).toBe(readsWaitingMax);
    for (const wake of sleeping) wake();
    const ends = await Promise.allSettled(reads);
    expect(ends.every(({ status }) => status === "rejected")).toBe(true);
  });

  test("what is sold is compared with the records after so many purchases", async () => {
    const asked: number[] = [];
    const pair = await aPair({
      purchases: (_, since, last) => {
        asked.push(since, last);
        return Promise.resolve(new Map([[1, pair.memory.purchasesOf(1)]]));
      },
    });
    pair.start();
    await pair.current();
    const codes = upTo(uncomparedMax - 1);
    await Promise.all(codes.map((n) => pair.ask({ ...buyNow("A", "ann", 1), code: `${n}` })));
    expect(asked).toEqual([]);
    await pair.ask(buyNow("B", "bob", 2));
    await until("its comparing", () => asked.length > 0);
    await pair.current();
    expect([asked, pair.seen]).toEqual([[0, uncomparedMax], []]);
  });

  test("what was sold otherwise than the records say is not kept", async () => {
    const pair = await aPair({ purchases: () => Promise.resolve(new Map()) });
    pair.start();
    await pair.current();
    const codes = upTo(uncomparedMax);
    await Promise.all(codes.map((n) => pair.ask({ ...buyNow("A", "ann", 1), code: `${n}` })));
    await until("its being thrown away", () => pair.seen.length > 0);
    expect(pair.seen).toEqual(["the replica is thrown away"]);
  });
});

test("a batch is told before anybody in it is answered, and not when it is not committed", async () => {
  const { ask, feed, memory } = await aPair();
  const order: string[] = [];
  const leave = feed.subscribe(({ kind, seq }) => order.push(`${kind} ${seq}`));
  await ask(buyNow("A", "ann", 1)).then(() => order.push("answered"));
  expect(order).toEqual(["time 0", "batch 1", "answered"]);
  memory.holder?.lose(new Error("the lock is lost"));
  await expect(ask(buyNow("B", "bob", 1))).rejects.toThrow("closed");
  leave();
  expect(order.length).toBe(3);
});

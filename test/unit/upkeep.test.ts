/** What a term has done beside selling: when it notes where sales stand. */
import { expect, test } from "bun:test";
import { LedgerClock } from "../../src/engine/clock.ts";
import type { Timers } from "../../src/engine/engine.ts";
import type { Feed } from "../../src/engine/feed.ts";
import { checkpointRows, tellTime, Upkeep } from "../../src/engine/upkeep.ts";
import type { Writer } from "../../src/engine/writer.ts";
import type { Records, Term } from "../../src/store/records.ts";
import { soundLine } from "../simulator/line.ts";
import { MemoryRecords } from "../simulator/records.ts";
import { openWriter } from "../support/held-writer.ts";
import { alone, nowhere } from "../support/link.ts";
import { quietLog } from "../support/shop.ts";
import { openTerms } from "../support/state.ts";

/** The sales, and ends of the journal, that are noted in some ticks of a term in which nothing is done. */
async function kept(seq: number, ticksMax: number) {
  const { writer } = await openWriter(openTerms([1]), seq);
  const memory = new MemoryRecords().over(soundLine);
  const led: Term | null = await memory.lead(nowhere, new AbortController().signal, alone);
  if (led === null) throw new Error("nobody leads");
  const ends: number[] = [];
  const noteEnd = (end: number) => Promise.resolve(void ends.push(end));
  const term: Term = { ...led, noteEnd };
  const noted: number[] = [];
  const records: Records = {
    ...memory,
    saveCheckpoint: (_, saleId) => {
      noted.push(saleId);
      return Promise.resolve();
    },
  };
  let ticks = 0;
  const timers = {
    sleep: () => Promise.resolve(),
    nextTurn: setImmediate,
    monotonic: () => 0,
  };
  const upkeep = new Upkeep(term, writer, {
    records,
    clock: new LedgerClock(),
    timers,
    log: quietLog,
  });
  await upkeep.run({
    tick: () => {
      ticks += 1;
      // The tick that it ends in is not one of them.
      if (ticks > ticksMax) writer.end(new Error("enough"));
      return Promise.resolve();
    },
    call: () => Promise.reject(new Error("nobody calls")),
  });
  return { noted, ends };
}

const notedAt = async (seq: number): Promise<readonly number[]> => (await kept(seq, 2)).noted;

test("a quiet sale is noted once for so many attempts on others, and not for fewer", async () => {
  expect(await notedAt(checkpointRows - 1)).toEqual([]);
  expect(await notedAt(checkpointRows)).toEqual([1]);
});

test("the last attempt is noted once, at the second tick that finds nothing after it", async () => {
  expect((await kept(7, 1)).ends).toEqual([]);
  expect((await kept(7, 2)).ends).toEqual([7]);
  expect((await kept(7, 5)).ends).toEqual([7]);
});

test("four times a second it is seen to that what came free by itself is offered", async () => {
  const { promise: lost, resolve: end } = Promise.withResolvers<Error>();
  let [offers, told, sleeps] = [0, 0, 0];
  const sleep = (ms: number): Promise<void> => {
    expect(ms).toBe(250);
    sleeps += 1;
    if (sleeps === 3) end(new Error("enough"));
    return Promise.resolve();
  };
  await tellTime(
    { confirm: () => null } as unknown as Term,
    { tellTime: () => void (told += 1) } as unknown as Feed,
    { lost, offerDue: () => void (offers += 1) } as unknown as Writer,
    { clock: { now: () => 7 } as unknown as LedgerClock, timers: { sleep } as unknown as Timers },
  );
  expect([offers, told]).toEqual([2, 2]);
});

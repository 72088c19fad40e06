/**
 * The writer that a process sells by, with a clock that the test turns and lines that it holds: what
 * waits, what is sent again and how, and what is given up with which words.
 */
import { describe, expect, test } from "bun:test";
import {
  CurrentWriter,
  decideWithinMs,
  giveUpMs,
  waitMaxMs,
} from "../../src/engine/current-writer.ts";
import { callsMax } from "../../src/engine/calls.ts";
import { LinkedCommands } from "../../src/engine/linked-commands.ts";
import { Lookups } from "../../src/engine/lookups.ts";
import {
  OutcomeUnknownError,
  OverdueError,
  OverloadedError,
  queueCommandsMax,
  UnavailableError,
  type WriterOptions,
} from "../../src/engine/writer.ts";
import type { Claim } from "../../src/ledger/commands.ts";
import { askedId, type Asked, type LeaderLine } from "../../src/link/line.ts";
import type { AskedAttempt } from "../../src/store/records.ts";
import { openWriter } from "../support/held-writer.ts";
import { until, upTo } from "../support/wait.ts";

const instance = "0123abcd-0000-4000-8000-000000000000";
const claim = (coupon: string): Claim => ({
  kind: "claim",
  coupon,
  buyer: { kind: "guest", userId: "ann" },
  key: null,
});
const noReader = { read: () => Promise.reject(new Error("nobody reads here")) };

/** Time that passes when the test says so. */
class Time {
  now = 0;
  #sleepers: { readonly at: number; readonly wake: () => void }[] = [];

  readonly sleep = (ms: number): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#sleepers.push({ at: this.now + ms, wake: resolve });
    return promise;
  };

  /** Step by step, for who sleeps again and again. */
  async pass(ms: number): Promise<void> {
    for (const end = this.now + ms; this.now < end;) {
      this.now = Math.min(end, this.now + 50);
      const due = this.#sleepers.filter(({ at }) => at <= this.now);
      this.#sleepers = this.#sleepers.filter(({ at }) => at > this.now);
      for (const { wake } of due) wake();
      // Whoever was woken goes on.
      // oxlint-disable-next-line no-await-in-loop
      await turn();
    }
  }
}

const turn = (): Promise<void> => new Promise((next) => setImmediate(next));

function newWriter() {
  const time = new Time();
  /** Whether what was under way is committed, once the next term has begun. */
  const next = { isCommitted: null as boolean | null };
  const writer = new CurrentWriter({
    instance,
    records: { isCommitted: () => Promise.resolve(next.isCommitted) },
    sleep: time.sleep,
    nextTurn: setImmediate,
    monotonic: () => time.now,
  });
  return { time, writer, next };
}

/** A line that keeps what it is asked. */
class Line implements LeaderLine {
  readonly asked: Asked[] = [];
  readonly calls: [number, unknown][] = [];
  ask(asked: Asked): void {
    this.asked.push(asked);
  }
  call(number: number, body: unknown): void {
    this.calls.push([number, body]);
  }
  counts(): void {}
  close(): void {}
}

const reasonOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => value,
    (error: unknown) => error,
  );

describe("while nobody leads", () => {
  test("commands wait for whoever leads next, and go together", async () => {
    const { writer } = newWriter();
    const answers = ["A", "B"].map((coupon) => writer.submit(claim(coupon)));
    const line = new Line();
    writer.heard(41);
    writer.follow(line, noReader);
    await until("their being sent", () => line.asked.length > 0);
    const fresh = line.asked.find(({ isAgain }) => !isAgain);
    expect(fresh).toMatchObject({ sinceSeq: 41, commands: [claim("A"), claim("B")] });
    for (const number of fresh?.numbers ?? []) {
      writer.events.onAnswer(number, { word: "coupon_not_found" });
    }
    expect(await Promise.all(answers)).toEqual([
      { word: "coupon_not_found" },
      { word: "coupon_not_found" },
    ]);
  });

  test("they do not wait for longer than may be: then nothing was done", async () => {
    const { writer, time } = newWriter();
    const [command, read, call] = [
      reasonOf(writer.submit(claim("A"))),
      reasonOf(writer.read((view) => view.seq)),
      reasonOf(writer.call({})),
    ];
    await time.pass(waitMaxMs - 100);
    expect(writer.pendingCount).toBe(1);
    await time.pass(300);
    for (const told of [command, read, call]) {
      expect(await told).toBeInstanceOf(UnavailableError);
    }
  });

  test("of what is given up nothing is kept, for however long nobody leads", async () => {
    const { writer, time } = newWriter();
    const asked = upTo(1_000).map((n) => {
      const command = claim(`${n}`);
      void reasonOf(writer.submit(command));
      return new WeakRef(command);
    });
    await time.pass(waitMaxMs + 100);
    expect(writer.pendingCount).toBe(0);
    Bun.gc(true);
    await turn();
    Bun.gc(true);
    // What looks like an address on the stack keeps one or the other.
    expect(asked.filter((command) => command.deref() !== undefined).length).toBeLessThan(100);
  });

  test("so many wait, and the next is refused", async () => {
    const { writer } = newWriter();
    for (const n of upTo(queueCommandsMax)) void reasonOf(writer.submit(claim(`${n}`)));
    expect(await reasonOf(writer.submit(claim("next")))).toBeInstanceOf(OverloadedError);
  });
});

describe("a line that is gone", () => {
  test("has what was sent on it asked again, with what was committed when it was sent", async () => {
    const { writer, time } = newWriter();
    const [first, second] = [new Line(), new Line()];
    writer.heard(10);
    writer.follow(first, noReader);
    const answered = writer.submit(claim("A"));
    await until("its being sent", () => first.asked.some(({ commands }) => commands.length > 0));
    writer.heard(25);
    writer.leave();
    await time.pass(1_000);
    const late = reasonOf(writer.submit(claim("B")));
    writer.follow(second, noReader);
    const [again, fresh] = second.asked;
    expect(again).toMatchObject({
      isAgain: true,
      sinceSeq: 10,
      patienceMs: decideWithinMs - 1_000,
      commands: [claim("A")],
    });
    expect(fresh).toMatchObject({ isAgain: false, sinceSeq: 25, commands: [claim("B")] });
    writer.events.onAnswer(again?.numbers[0] ?? 0, { word: "coupon_not_found" });
    expect(await answered).toEqual({ word: "coupon_not_found" });
    // Whatever is told of it once more concerns nobody.
    writer.events.onAnswer(again?.numbers[0] ?? 0, { word: "coupon_not_found" });
    writer.events.onAnswer(fresh?.numbers[0] ?? 0, { word: "overdue" });
    expect(await late).toBeInstanceOf(UnavailableError);
  });

  test("leaves unknown what was sent on it, once no leader would decide it any more", async () => {
    const { writer, time } = newWriter();
    const line = new Line();
    writer.follow(line, noReader);
    const told = reasonOf(writer.submit(claim("A")));
    await until("its being sent", () => line.asked.some(({ commands }) => commands.length > 0));
    writer.leave();
    await time.pass(giveUpMs - 100);
    expect(writer.pendingCount).toBe(1);
    await time.pass(300);
    expect(await told).toBeInstanceOf(OutcomeUnknownError);
  });

  test("has what was called on it called again, of the next leader, under its number", async () => {
    const { writer, time } = newWriter();
    const [first, second] = [new Line(), new Line()];
    writer.heard(7);
    writer.follow(first, noReader);
    const made = writer.call({ call: "create" });
    await until("its being called", () => first.calls.length > 0);
    writer.leave();
    writer.heard(9);
    writer.follow(second, noReader);
    await time.pass(200);
    const [number] = first.calls[0] ?? [];
    expect(first.calls).toEqual([[number ?? 0, { call: "create" }]]);
    // Of the attempts since, one may be its.
    expect(second.calls).toEqual([[number ?? 0, { call: "create", again: 7 }]]);
    writer.events.onReply(number ?? 0, { ok: true, body: "made" });
    expect(await made).toBe("made");
  });

  test("leaves unknown what was called on it, where nobody else leads in time; so many are under way", async () => {
    const { writer, time } = newWriter();
    writer.follow(new Line(), noReader);
    const calls = upTo(callsMax).map(() => reasonOf(writer.call({})));
    await turn();
    expect(await reasonOf(writer.call({}))).toBeInstanceOf(OverloadedError);
    writer.leave();
    await time.pass(giveUpMs + 300);
    expect(await calls[0]).toBeInstanceOf(OutcomeUnknownError);
  });
});

/** As a term has it, over a journal whose commits are held back. */
async function openTerm(decided: readonly AskedAttempt[] = [], options: WriterOptions = {}) {
  const held = await openWriter(undefined, 0, options);
  const records = {
    findCode: () => Promise.resolve(null),
    findKeys: () => Promise.resolve([]),
    findRefundable: () => Promise.resolve({ order: null, used: null }),
    loadClaims: () => Promise.resolve(new Map()),
    findAsked: () => Promise.resolve([...decided]),
  };
  const lookups = new Lookups(records, held.writer);
  const linked = new LinkedCommands(held.writer, lookups, records);
  const own = { writer: held.writer, lookups, linked, call: () => Promise.resolve("called") };
  return { ...held, own };
}

describe("a process that comes to lead", () => {
  test("decides what waited, finds what was decided before, and then has no detour", async () => {
    const { writer } = newWriter();
    const line = new Line();
    writer.follow(line, noReader);
    const sent = writer.submit(claim("A"));
    await until("its being sent", () => line.asked.some(({ commands }) => commands.length > 0));
    writer.leave();
    const waiting = writer.submit(claim("B"));
    const [number = 0] = line.asked.find(({ commands }) => commands.length > 0)?.numbers ?? [];
    const attempt: AskedAttempt = {
      asked: askedId(instance, number),
      seq: 1,
      at: 5,
      word: "idempotency_key_reused",
      saleId: null,
      itemId: null,
      buyer: claim("A").buyer,
      code: null,
      units: [],
      due: null,
      refund: null,
      claim: null,
    };
    const { own, journal } = await openTerm([attempt]);
    writer.lead(own);
    (await journal.sent(1)).resolve();
    expect(await sent).toEqual({ word: "idempotency_key_reused" });
    expect(await waiting).toEqual({ word: "coupon_not_found" });
    const straight = writer.submit(claim("C"));
    (await journal.sent(2)).resolve();
    expect(await straight).toEqual({ word: "coupon_not_found" });
    // What came over a line is stored with its id, what came here is not.
    const ids = journal.batches.map(({ asked }) => asked.length);
    expect(ids).toEqual([1, 0]);
  });

  test("and loses it has what it had not decided go to the next", async () => {
    const { writer, time } = newWriter();
    const {
      own,
      journal,
      writer: batches,
    } = await openTerm([], {
      ...writer.heirOf(1),
      monotonic: () => time.now,
    });
    writer.lead(own);
    const inFlight = reasonOf(writer.submit(claim("A")));
    await journal.sent(1);
    const queued = writer.submit(claim("B"));
    const ofOthers = reasonOf(batches.submitAll([claim("C")], [7], decideWithinMs));
    batches.end(new Error("deposed"));
    writer.leave();
    const line = new Line();
    writer.follow(line, noReader);
    const fresh = await until("its being sent", () => line.asked.find((asked) => !asked.isAgain));
    expect(fresh.commands).toEqual([claim("B")]);
    writer.events.onAnswer(fresh.numbers[0] ?? 0, { word: "coupon_not_found" });
    expect(await queued).toEqual({ word: "coupon_not_found" });
    // Who has sent it is not told that it is too late: it asks the next leader again.
    const told = await ofOthers;
    expect(told).toBeInstanceOf(UnavailableError);
    expect(told).not.toBeInstanceOf(OverdueError);
    // Nobody can tell of the batch that was under way, while no other term has begun.
    await time.pass(giveUpMs + 100);
    expect(await inFlight).toBeInstanceOf(OutcomeUnknownError);
  });

  test("and loses it answers what was committed, once the next term says so", async () => {
    const { writer, time, next } = newWriter();
    const {
      own,
      journal,
      writer: batches,
    } = await openTerm([], {
      ...writer.heirOf(1),
      monotonic: () => time.now,
    });
    writer.lead(own);
    const inFlight = ["A", "B"].map((coupon) => writer.submit(claim(coupon)));
    await journal.sent(1);
    batches.end(new Error("deposed"));
    writer.leave();
    const line = new Line();
    writer.follow(line, noReader);
    next.isCommitted = true;
    await time.pass(200);
    expect(await Promise.all(inFlight)).toEqual([
      { word: "coupon_not_found" },
      { word: "coupon_not_found" },
    ]);
    expect(line.asked.flatMap(({ commands }) => commands)).toEqual([]);
  });

  test("and loses it has what was not committed decided by the next, for the first time", async () => {
    const { writer, time, next } = newWriter();
    const {
      own,
      journal,
      writer: batches,
    } = await openTerm([], {
      ...writer.heirOf(1),
      monotonic: () => time.now,
    });
    writer.lead(own);
    const inFlight = ["A", "B"].map((coupon) => writer.submit(claim(coupon)));
    await journal.sent(1);
    batches.end(new Error("deposed"));
    writer.leave();
    const line = new Line();
    writer.follow(line, noReader);
    next.isCommitted = false;
    await time.pass(200);
    const asked = await until("its being sent", () =>
      line.asked.find(({ commands }) => commands.length > 0),
    );
    expect(asked).toMatchObject({ isAgain: false, commands: [claim("A"), claim("B")] });
    for (const number of asked.numbers) {
      writer.events.onAnswer(number, { word: "idempotency_key_reused" });
    }
    expect(await Promise.all(inFlight)).toEqual([
      { word: "idempotency_key_reused" },
      { word: "idempotency_key_reused" },
    ]);
  });
});

test("what has waited long enough for a term that ends waits for no other", async () => {
  const { time, writer } = newWriter();
  const options = { ...writer.heirOf(1), monotonic: () => time.now };
  const { own, journal, writer: batches } = await openTerm([], options);
  writer.lead(own);
  const inFlight = reasonOf(writer.submit(claim("A")));
  await journal.sent(1);
  const queued = reasonOf(writer.submit(claim("B")));
  time.now += waitMaxMs;
  batches.end(new Error("PostgreSQL is silent"));
  writer.leave();
  expect(await queued).toBeInstanceOf(UnavailableError);
  expect(writer.pendingCount).toBe(0);
  await time.pass(giveUpMs + 100);
  expect(await inFlight).toBeInstanceOf(OutcomeUnknownError);
});

test.each(["what nobody asked for", "somebody who has waited long enough"])(
  "what has just come to a process that stood still goes to the next leader, behind %s",
  async (before) => {
    const { time, writer } = newWriter();
    const options = { ...writer.heirOf(1), monotonic: () => time.now };
    const { own, journal, writer: batches } = await openTerm([], options);
    writer.lead(own);
    const inFlight = reasonOf(writer.submit(claim("A")));
    await journal.sent(1);
    const old = before.startsWith("what") ? null : reasonOf(writer.submit(claim("B")));
    if (old === null) batches.noteMilestones();
    time.now += waitMaxMs;
    const fresh = writer.submit(claim("C"));
    batches.end(new Error("deposed"));
    writer.leave();
    if (old !== null) expect(await old).toBeInstanceOf(UnavailableError);
    const line = new Line();
    writer.follow(line, noReader);
    const asked = await until("its being sent", () =>
      line.asked.find(({ commands }) => commands.length > 0),
    );
    expect(asked.commands).toEqual([claim("C")]);
    writer.events.onAnswer(asked.numbers[0] ?? 0, { word: "coupon_not_found" });
    expect(await fresh).toEqual({ word: "coupon_not_found" });
    await time.pass(giveUpMs + 100);
    expect(await inFlight).toBeInstanceOf(OutcomeUnknownError);
  },
);

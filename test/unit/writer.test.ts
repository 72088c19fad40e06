/**
 * The writer by itself, on a journal whose commits are held back until the test lets them
 * through: what it does while PostgreSQL is busy, and what it gives out when.
 */
import { describe, expect, spyOn, test } from "bun:test";
import {
  commandsWorthSending,
  OutcomeUnknownError,
  OverdueError,
  OverloadedError,
  queueCommandsMax,
  UnavailableError,
} from "../../src/engine/writer.ts";
import { batchRowsMax, type PendingBatch } from "../../src/engine/pending-batch.ts";
import type { Claim } from "../../src/ledger/commands.ts";
import { DeposedError, NotWrittenError } from "../../src/store/records.ts";
import { openWriter } from "../support/held-writer.ts";
import { openTerms } from "../support/state.ts";
import { buy, drop, take } from "../support/story.ts";
import { until, upTo } from "../support/wait.ts";

const claim = (coupon: string): Claim => ({
  kind: "claim",
  coupon,
  buyer: { kind: "guest", userId: "ann" },
  key: null,
});
const attempt = (name: string) => take("A", name, 1, { sale: 7 });

describe("the writer", () => {
  test("makes an answer while PostgreSQL commits, once, and gives it after", async () => {
    const { journal, writer } = await openWriter();
    let made = 0;
    let given = false;
    const answered = writer
      .submit(attempt("ann"), ({ word }) => {
        made += 1;
        return `answer: ${word}`;
      })
      .finally(() => {
        given = true;
      });
    const commit = await journal.sent(1);
    await until("its being made", () => made === 1);
    expect(given).toBe(false);
    commit.resolve();
    expect(await answered).toBe("answer: sale_not_found");
    expect(made).toBe(1);
  });

  test("gives everybody else's answer when one cannot be made", async () => {
    const { journal, writer } = await openWriter();
    const broken = writer.submit(attempt("ann"), () => {
      throw new Error("no such picture");
    });
    const sound = writer.submit(attempt("bob"), ({ word }) => word);
    (await journal.sent(1)).resolve();
    await expect(broken).rejects.toThrow("no such picture");
    expect(await sound).toBe("sale_not_found");
  });

  test("gives no answer that was made for a commit that failed", async () => {
    const { journal, writer } = await openWriter();
    let made = 0;
    const answers = ["ann", "bob"].map((user) =>
      writer.submit(attempt(user), () => {
        made += 1;
      }),
    );
    const commit = await journal.sent(1);
    await until("their being made", () => made === 2);
    const late = writer.submit(attempt("cid"));
    const outcomes = Promise.allSettled([...answers, late]);
    commit.reject(new Error("the server closed the connection"));
    const reasons = (await outcomes).map((one) => (one.status === "rejected" ? one.reason : null));
    // Of what was not decided it is known that it was not.
    expect(reasons).toEqual([
      expect.any(OutcomeUnknownError),
      expect.any(OutcomeUnknownError),
      expect.any(UnavailableError),
    ]);
    expect((await writer.lost).message).toBe("the server closed the connection");
  });

  test("is told to try again where it is known that nothing was written", async () => {
    const { journal, writer } = await openWriter(openTerms([1]));
    const asked = writer.submit(attempt("ann"));
    const commit = await journal.sent(1);
    commit.reject(new NotWrittenError("no space left on device"));
    await expect(asked).rejects.toBeInstanceOf(UnavailableError);
    expect((await writer.lost).message).toBe("no space left on device");
  });

  test.each([0, 1])(
    "is told to try again where it could not be decided, after %i batches",
    async (before) => {
      const { journal, ledger, writer } = await openWriter(openTerms([1]));
      const first = upTo(before).map(() => writer.submit(attempt("ann")));
      if (before > 0) (await journal.sent(1)).resolve();
      await Promise.all(first);
      spyOn(ledger, "decide").mockImplementation(() => {
        throw new Error("no such state");
      });
      await expect(writer.submit(attempt("bob"))).rejects.toBeInstanceOf(UnavailableError);
      expect((await writer.lost).message).toBe("no such state");
    },
  );

  test("is left to whoever leads where another does", async () => {
    const left: PendingBatch[] = [];
    const onUndecided = (batch: PendingBatch) => void left.push(batch);
    const { journal, writer } = await openWriter(openTerms([1]), 0, { onUndecided });
    const asked = writer.submit(attempt("ann"));
    const commit = await journal.sent(1);
    commit.reject(new DeposedError("the connection that holds the leader's lock was replaced"));
    await writer.lost;
    expect(left.map(({ commands }) => commands.length)).toEqual([1]);
    const decided = { word: "sale_not_found", saleId: null } as const;
    await left[0]?.handOver(() => Promise.resolve(decided), new Error("unused"));
    expect(await asked).toEqual(decided);
  });

  test("sends a long queue before it gives the answers of the batch before", async () => {
    const { journal, writer } = await openWriter();
    const first = writer.submit(attempt("first"));
    const commit = await journal.sent(1);
    const queued = upTo(commandsWorthSending).map((n) => writer.submit(attempt(`user ${n}`)));
    const sentWhenAnswered = first.then(() => journal.commits.length);
    commit.resolve();
    expect(await sentWhenAnswered).toBe(2);
    (await journal.sent(2)).resolve();
    expect((await Promise.all(queued)).length).toBe(commandsWorthSending);
  });

  test("that ends right after a commit still gives its answers", async () => {
    const { journal, writer } = await openWriter();
    const first = writer.submit(attempt("first"));
    const commit = await journal.sent(1);
    const queued = upTo(commandsWorthSending).map((n) => writer.submit(attempt(`user ${n}`)));
    const outcomes = Promise.allSettled(queued);
    journal.onCommit = () => writer.end(new Error("deposed"));
    commit.resolve();
    expect(await first).toMatchObject({ word: "sale_not_found" });
    expect(new Set((await outcomes).map(({ status }) => status))).toEqual(new Set(["rejected"]));
  });

  test("takes so many commands at a time, and so many to wait, and refuses the next", async () => {
    const { journal, writer } = await openWriter();
    const taken = upTo(queueCommandsMax).map((n) => writer.submit(attempt(`user ${n}`)));
    await expect(writer.submit(attempt("one more"))).rejects.toBeInstanceOf(OverloadedError);
    expect(writer.queueLength).toBe(queueCommandsMax);
    (await journal.sent(1)).resolve();
    await journal.sent(2);
    expect(journal.batches.map(({ commands }) => commands.length)).toEqual([
      batchRowsMax,
      batchRowsMax,
    ]);
    const outcomes = Promise.allSettled(taken);
    writer.end(new Error("enough"));
    const fulfilled = (await outcomes).filter(({ status }) => status === "fulfilled");
    expect(fulfilled.length).toBe(batchRowsMax);
  });
});

describe("a read", () => {
  test("waits for the commit that is under way, and sees nothing before", async () => {
    const { journal, writer } = await openWriter(openTerms([1]));
    const idle = await writer.read((view) => view.totals(1)?.reserved);
    const bought = writer.submit(take("A", "ann", 1));
    const commit = await journal.sent(1);
    let told: unknown = "nothing yet";
    const read = writer.read((view) => {
      told = [view.totals(1)?.reserved, view.seq, writer.committedSeq];
    });
    const change = writer.maintain((ledger) => ledger.shutSale(1));
    await until("some turns", turns(5));
    expect([idle, told, writer.committedSeq]).toEqual([0, "nothing yet", 0]);
    commit.resolve();
    await Promise.all([bought, read, change]);
    expect(told).toEqual([1, 1, 1]);
  });

  test("is of the moment when it is made, and its view is closed after it", async () => {
    const { writer, time } = await openWriter(openTerms([1]));
    time.now = 77;
    const kept = await writer.read((view) => ({ view, now: view.now }));
    expect(kept.now).toBe(77);
    expect(() => kept.view.now).toThrow("closed");
    await expect(
      writer.read(() => {
        throw new Error("cannot read");
      }),
    ).rejects.toThrow("cannot read");
  });

  test("that waits when the writer ends is told so, and so is every later one", async () => {
    const { journal, writer } = await openWriter(openTerms([1]));
    const asked = writer.submit(take("A", "ann", 1));
    await journal.sent(1);
    const waiting = [
      asked.catch((error: unknown) => {
        expect(error).toBeInstanceOf(OutcomeUnknownError);
        throw new UnavailableError("as told");
      }),
      writer.read((view) => view.seq),
      writer.maintain((ledger) => ledger.shutSale(1)),
    ];
    const outcomes = Promise.allSettled(waiting);
    writer.end(new Error("deposed"));
    const later = Promise.allSettled([
      writer.read((view) => view.seq),
      writer.maintain((ledger) => ledger.shutSale(1)),
      writer.submit(take("B", "bob", 1)),
    ]);
    for (const outcome of [...(await outcomes), ...(await later)]) {
      expect(outcome).toMatchObject({ status: "rejected", reason: expect.any(UnavailableError) });
    }
  });

  test("that waits on a commit that fails sees nothing of it", async () => {
    const { journal, writer } = await openWriter(openTerms([1]));
    const asked = Promise.allSettled([writer.submit(take("A", "ann", 1))]);
    const commit = await journal.sent(1);
    const read = Promise.allSettled([writer.read((view) => view.totals(1))]);
    commit.reject(new Error("gone"));
    expect([await read, await asked].flat().map(({ status }) => status)).toEqual([
      "rejected",
      "rejected",
    ]);
    expect((await writer.lost).message).toBe("gone");
  });
});

describe("a writer that stops", () => {
  test("takes nothing more, answers what it has taken, and then has ended", async () => {
    const { journal, writer } = await openWriter(openTerms([9]));
    const first = writer.submit(take("A", "ann", 1));
    await journal.sent(1);
    const second = writer.submit(take("B", "bob", 1));
    const drained = writer.drain();
    await expect(writer.submit(take("C", "cyd", 1))).rejects.toBeInstanceOf(UnavailableError);
    (await journal.sent(1)).resolve();
    (await journal.sent(2)).resolve();
    const words = [(await first).word, (await second).word];
    await drained;
    expect([...words, journal.batches.length]).toEqual(["reserved", "reserved", 2]);
    expect((await writer.lost).message).toBe("the program is stopping");
    await expect(writer.read((view) => view.seq)).rejects.toBeInstanceOf(UnavailableError);
    // Once more changes nothing.
    await writer.drain();
  });

  test("with nothing to do has ended at once, and commits nothing", async () => {
    const { journal, writer } = await openWriter();
    await writer.drain();
    expect(journal.batches).toEqual([]);
  });
});

describe("a batch", () => {
  test("of what has to be looked up alone commits nothing, and is answered", async () => {
    const { journal, writer, ledger } = await openWriter(openTerms([1]), 41);
    const asked = [writer.submit(buy("A")), writer.submit(drop("B"))];
    expect((await Promise.all(asked)).map(({ word }) => word)).toEqual(["look_up", "look_up"]);
    expect([journal.batches.length, ledger.seq, writer.committedSeq]).toEqual([0, 41, 41]);
    const next = writer.submit(take("A", "ann", 1));
    (await journal.sent(1)).resolve();
    expect((await next).word).toBe("reserved");
  });

  test("counts only what took a number", async () => {
    const { journal, writer, time } = await openWriter(openTerms([1]), 41);
    time.now = 5;
    const asked = [
      writer.submit(buy("Z")),
      writer.submit(take("A", "ann", 1)),
      writer.submit(drop("Y")),
      writer.submit(buy("A")),
    ];
    (await journal.sent(1)).resolve();
    const words = (await Promise.all(asked)).map(({ word }) => word);
    const [batch] = journal.batches;
    expect([batch?.firstSeq, batch?.at, batch?.outcomes.map(({ word }) => word)]).toEqual([
      42,
      5,
      words,
    ]);
    expect([words, writer.committedSeq]).toEqual([
      ["look_up", "reserved", "look_up", "purchased"],
      43,
    ]);
  });

  test("is decided at one time, and never at an earlier one than the last", async () => {
    const { journal, writer, time } = await openWriter(openTerms([9]));
    time.now = 50;
    const first = writer.submit(take("A", "ann", 1));
    (await journal.sent(1)).resolve();
    await first;
    time.now = 20;
    const second = writer.submit(take("B", "ann", 1));
    (await journal.sent(2)).resolve();
    await second;
    expect(journal.batches.map(({ at }) => at)).toEqual([50, 50]);
  });
});

describe("what nobody asks for", () => {
  test("is seen to after the commit that is under way, though nobody asks for anything then", async () => {
    const { journal, ledger, writer, time } = await openWriter(openTerms([1], { endsAt: 10 }));
    ledger.noteMilestones(new Map([[1, "opened"]]));
    const asked = writer.submit(take("A", "ann", 1));
    const commit = await journal.sent(1);
    time.now = 10;
    writer.noteMilestones();
    commit.resolve();
    await asked;
    (await journal.sent(2)).resolve();
    await writer.settled();
    expect(journal.batches[1]?.outcomes).toEqual([{ word: "sale_ended", saleId: 1 }]);
  });
});

/** Met after so many turns of the event loop. */
function turns(count: number): () => boolean {
  let left = count;
  return () => {
    left -= 1;
    return left < 0;
  };
}

describe("what came together over a line", () => {
  test("and was not decided in time is not decided any more", async () => {
    const time = { now: 0 };
    const { journal, writer } = await openWriter(undefined, 0, { monotonic: () => time.now });
    const first = writer.submit(claim("A"));
    const commit = await journal.sent(1);
    const late = writer.submitAll([claim("B"), claim("C")], [7, 8], 1_000);
    const inTime = writer.submitAll([claim("D")], [9], 2_000);
    time.now = 1_001;
    commit.resolve();
    await first;
    (await journal.sent(2)).resolve();
    await expect(late).rejects.toBeInstanceOf(OverdueError);
    expect(await inTime).toEqual([{ word: "coupon_not_found" }]);
    const { commands, outcomes, asked } = journal.batches[1] ?? {};
    expect(commands?.map((command, n) => [outcomes?.[n]?.word, asked?.[n], command])).toEqual([
      ["look_up", 7, claim("B")],
      ["look_up", 8, claim("C")],
      ["coupon_not_found", 9, claim("D")],
    ]);
  });
});

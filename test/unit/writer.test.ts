/**
 * The writer by itself, on a journal whose commits are held back until the test lets them
 * through: what it does while PostgreSQL is busy, and what it gives out when.
 */
import { describe, expect, test } from "bun:test";
import { emptyState } from "../../src/ledger/state.ts";
import { connect } from "../../src/postgres/client.ts";
import { Journal } from "../../src/store/journal.ts";
import { commandsWorthSending, UnavailableError, Writer } from "../../src/engine/writer.ts";
import { useLeftovers } from "../support/leftovers.ts";
import { until, upTo } from "../support/wait.ts";

useLeftovers();

/** Commits nothing, and says so when it is told to. */
class HeldJournal extends Journal {
  readonly commits: PromiseWithResolvers<void>[] = [];
  onCommit = (): void => {};

  constructor() {
    // Nothing is ever asked of it, so it never connects.
    super({ sql: connect({ url: "postgres://nobody@127.0.0.1:1/nothing" }), backendPid: 0 });
  }

  override commit(): Promise<void> {
    const held = Promise.withResolvers<void>();
    this.commits.push(held);
    this.onCommit();
    return held.promise;
  }

  /** Waits until a batch was sent, counted from 1, and returns what lets it through. */
  async sent(batch: number): Promise<PromiseWithResolvers<void>> {
    return await until(`batch ${batch}`, () => this.commits[batch - 1]);
  }
}

function openWriter() {
  const journal = new HeldJournal();
  return { journal, writer: new Writer(emptyState(0, 0), journal, () => 0) };
}

const attempt = (userId: string) =>
  ({ kind: "checkout", userId, item: 1, sale: 7, code: crypto.randomUUID(), key: null }) as const;

describe("the writer", () => {
  test("makes an answer while PostgreSQL commits, once, and gives it after", async () => {
    const { journal, writer } = openWriter();
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
    const { journal, writer } = openWriter();
    const broken = writer.submit(attempt("ann"), () => {
      throw new Error("no such picture");
    });
    const sound = writer.submit(attempt("bob"), ({ word }) => word);
    (await journal.sent(1)).resolve();
    await expect(broken).rejects.toThrow("no such picture");
    expect(await sound).toBe("sale_not_found");
  });

  test("gives no answer that was made for a commit that failed", async () => {
    const { journal, writer } = openWriter();
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
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: "rejected", reason: expect.any(UnavailableError) });
    }
    expect((await writer.lost).message).toBe("the server closed the connection");
  });

  test("sends a long queue before it gives the answers of the batch before", async () => {
    const { journal, writer } = openWriter();
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
    const { journal, writer } = openWriter();
    const first = writer.submit(attempt("first"));
    const commit = await journal.sent(1);
    const queued = upTo(commandsWorthSending).map((n) => writer.submit(attempt(`user ${n}`)));
    const outcomes = Promise.allSettled(queued);
    journal.onCommit = () => writer.end(new Error("deposed"));
    commit.resolve();
    expect(await first).toMatchObject({ word: "sale_not_found" });
    expect(new Set((await outcomes).map(({ status }) => status))).toEqual(new Set(["rejected"]));
  });
});

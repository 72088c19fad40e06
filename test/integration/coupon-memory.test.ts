/**
 * Claims in memory: loaded when somebody wants to claim, once for all who wait, dropped while
 * nobody does, and never at a moment that hurts. And what a claim costs there.
 */
import { describe, expect, test } from "bun:test";
import { heapStats } from "bun:jsc";
import { claimKeysMax, claimsHeldMax } from "../../src/ledger/coupons.ts";
import { decide } from "../../src/ledger/decide.ts";
import { emptyState } from "../../src/ledger/state.ts";
import { openBooks, type Books } from "../support/books.ts";
import { usePostgres } from "../support/postgres.ts";
import { until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const begin = 1_900_000_000_000;
let now = begin;
const clock = (): number => now;
const users = upTo(20).map((number) => `user ${number}`);

/**
 * Books recovered from records with the coupon `A` of 30, of which `users` have 20; and with one,
 * `FULL`, of `full` claims, of which there are no records, and `left` more.
 */
async function recoveredBooks(full = 0, left = 0): Promise<Books> {
  const url = await postgres.newRecords();
  const before = await openBooks(url, clock);
  await before.writer.submit({ kind: "create_coupon", coupon: "A", amount: 30 });
  await Promise.all(users.map((user) => before.claim(user, "A")));
  if (full > 0) {
    await before.sql`
      insert into coupons (id, name, amount, remaining_amount, created_at, seq)
      values (2, 'FULL', ${full + left}, ${left}, now(), 1)`;
  }
  return await openBooks(url, clock);
}

/** Puts the claims of `FULL` into memory, from nowhere. */
const holdFull = ({ writer }: Books, full: number): Promise<void> =>
  writer.maintain((ledger) => {
    ledger.holdClaims("FULL", new Map(upTo(full).map((number) => [`guest:u${number}`, begin])));
  });

/** Claims in memory, of all coupons together. */
const held = ({ ledger }: Books): number => ledger.view(now).claimsHeld;

const leftOf = ({ ledger }: Books, name: string): number | undefined =>
  ledger.view(now).coupon(name)?.remaining;

/** An hour passes, in which nobody claims anything. */
async function anHourPasses({ writer }: Books): Promise<void> {
  now += 3_600_000;
  await writer.submit({ kind: "create_coupon", coupon: `made at ${now}`, amount: 1 });
}

describe("claims after a restart", () => {
  test("are not in memory, and are read once for all who claim at once", async () => {
    const books = await recoveredBooks();
    expect([held(books), leftOf(books, "A")]).toEqual([0, 10]);
    const recent = upTo(12).map((number) => `new ${number}`);
    const asked = [...users, ...recent, "new 1"];
    const outcomes = await Promise.all(asked.map((user) => books.claim(user, "A")));
    const words = outcomes.map(({ word }) => word);
    expect(books.loads()).toBe(1);
    expect(words.slice(0, 20)).toEqual(users.map(() => "already_claimed"));
    expect(words.slice(20, 30)).toEqual(recent.slice(0, 10).map(() => "claimed"));
    expect(words.slice(30)).toEqual(["coupon_sold_out", "coupon_sold_out", "already_claimed"]);
    expect([held(books), leftOf(books, "A")]).toEqual([30, 0]);
    const stored = await books.sql<{ user_id: string }[]>`
      select user_id from claims order by ordinal`;
    expect(stored.map((row) => row.user_id)).toEqual([...users, ...recent.slice(0, 10)]);
    expect(books.ledger.check()).toEqual([]);
  });

  test("that do not fit the coupon's figures are not claimed from, until they do", async () => {
    const books = await recoveredBooks();
    const [lost] = await books.sql`delete from claims where ordinal = 20 returning *`;
    const failed = await books.claim("new", "A").catch((error: unknown) => String(error));
    expect(failed).toContain("19 claims are stored, 20 are gone");
    expect(held(books)).toBe(0);
    await books.sql`insert into claims ${books.sql(lost ?? {})}`;
    expect((await books.claim("new", "A")).word).toBe("claimed");
  });

  test("cannot be claimed from while the records cannot be read, and can be then", async () => {
    const books = await recoveredBooks();
    await books.sql`alter table claims rename to mislaid`;
    const failed = await books.claim("new", "A").catch((error: unknown) => String(error));
    expect(failed).toContain("claims");
    await books.sql`alter table mislaid rename to claims`;
    expect((await books.claim("new", "A")).word).toBe("claimed");
    // The writer has not been ended by it.
    expect(await books.writer.read((view) => view.seq)).toBe(22);
    expect(books.ledger.check()).toEqual([]);
  });
});

describe("tidying", () => {
  test("drops claims beyond the bound; they are loaded again when somebody claims", async () => {
    const books = await recoveredBooks(claimsHeldMax);
    await books.claim("new 1", "A");
    await holdFull(books, claimsHeldMax);
    await anHourPasses(books);
    await books.tidy();
    expect(held(books)).toBeLessThanOrEqual(claimsHeldMax);
    const words = [await books.claim("new 1", "A"), await books.claim("new 2", "A")];
    expect(words.map(({ word }) => word)).toEqual(["already_claimed", "claimed"]);
    expect(books.loads()).toBe(2);
    expect(books.ledger.check()).toEqual([]);
  });

  test("spares the claims that a waiting command is about to need", async () => {
    const books = await recoveredBooks(claimsHeldMax);
    await books.claim("new 1", "A");
    await holdFull(books, claimsHeldMax);
    await anHourPasses(books);
    const open = books.shut();
    const sent = books.sent();
    const first = books.claim("new 2", "A");
    // Not before it is being committed, so that the next one waits behind it.
    await until("a decision", () => books.sent() > sent);
    const second = books.claim("new 3", "A");
    const tidied = books.tidy();
    open();
    await tidied;
    // Of A they are still there, of FULL not.
    expect(held(books)).toBeGreaterThanOrEqual(22);
    expect(held(books)).toBeLessThan(30);
    expect([(await first).word, (await second).word]).toEqual(["claimed", "claimed"]);
    expect(books.loads()).toBe(1);
  });

  test("in the same moment as a load does not take away what was loaded", async () => {
    const books = await recoveredBooks(claimsHeldMax);
    await holdFull(books, claimsHeldMax);
    const open = books.shut();
    const sent = books.sent();
    const made = books.writer.submit({ kind: "create_coupon", coupon: "B", amount: 1 });
    await until("a decision", () => books.sent() > sent);
    // What is loaded waits for the commit, and the tidying behind it.
    const claimed = books.claim("new", "A");
    const tidied = books.tidy();
    open();
    await tidied;
    expect([(await made).word, (await claimed).word]).toEqual(["coupon_created", "claimed"]);
  });

  test("leaves a coupon alone that is being claimed, however many claims it has", async () => {
    const books = await recoveredBooks(claimsHeldMax + 1, 100);
    await holdFull(books, claimsHeldMax + 1);
    for (const number of upTo(5)) {
      // One client after another: between two claims nobody waits, and yet it is not idle.
      expect((await books.claim(`new ${number}`, "FULL")).word).toBe("claimed");
      await books.tidy();
      expect(held(books)).toBe(claimsHeldMax + 1 + number);
    }
    expect(books.loads()).toBe(0);
  });
});

/** Bytes on the heap, after everything that can be collected was. */
function heapBytes(): number {
  Bun.gc(true);
  const { heapSize, extraMemorySize } = heapStats();
  return heapSize + extraMemorySize;
}

describe("what a claim costs in memory", () => {
  const claims = 200_000;
  const bytesMax = 300;

  test.each([
    ["without a key", false],
    ["with a key of 36 characters", true],
  ])("%s: below the bound", (title, keyed) => {
    const state = emptyState(0, begin);
    decide(state, { kind: "create_coupon", coupon: "A", amount: claims }, begin);
    const before = heapBytes();
    for (const number of upTo(claims)) {
      // As they arrive: texts out of a body, none of them shared with another.
      const body = `{"user_id":"user_${100_000_000 + number}","key":"${crypto.randomUUID()}"}`;
      const { user_id: userId, key } = JSON.parse(body) as { user_id: string; key: string };
      decide(
        state,
        { kind: "claim", coupon: "A", buyer: { kind: "guest", userId }, key: keyed ? key : null },
        begin + number,
      );
    }
    const bytes = (heapBytes() - before) / claims;
    process.stderr.write(`a claim ${title}: ${bytes.toFixed(1)} bytes\n`);
    expect(state.claimsHeld).toBe(claims);
    expect(state.claimKeys.size).toBe(keyed ? claimKeysMax : 0);
    // Keys are bounded by their number, and bigger.
    expect(bytes).toBeLessThan(keyed ? 2 * bytesMax : bytesMax);
  });
});

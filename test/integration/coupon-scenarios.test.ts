/**
 * What the seeds promise, against the real process: the flash sale, the double dip and a
 * flood of claims, in peace and with `kill -9` in the middle while the clients try again.
 * Afterwards everything that was acknowledged is there, every figure is exact, and
 * `stampede verify` finds nothing.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import type { Sql } from "postgres";
import { claimShape, CouponClient, refusedWith, wordOf } from "./coupon-client.ts";
import type { Answer } from "../support/client.ts";
import { freePort } from "../support/leftovers.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { Random, seeds } from "../support/random.ts";
import { runProgram, startServer, type Environment, type TestServer } from "../support/server.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const timeoutMs = 120_000;
let environment: Environment;
let server: TestServer;
let client: CouponClient;
let sql: Sql;

beforeAll(async () => {
  environment = { DATABASE_URL: await postgres.newRecords(), PORT: String(freePort()) };
  server = await startServer(environment);
  client = new CouponClient(() => server.url);
  sql = lookInto(environment["DATABASE_URL"] ?? "");
});

/** Ends the process as `kill -9` does, and starts another in its place. */
async function crash(): Promise<void> {
  await server.kill();
  server = await startServer(environment);
}

/** Claims as a client does that gets no answer: again, with the same key. */
const claimSurely = (user: string, coupon: string, key: string): Promise<Answer> =>
  client.answered(() => client.claim(user, coupon, key));

/** How many answers there are of each word. */
function tally(answers: readonly Answer[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const word of answers.map(wordOf)) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}

const usersOf = (answers: readonly Answer[]): string[] =>
  answers
    .filter(({ status }) => status === 200)
    .map((answer) => claimShape.parse(answer.json()).user_id)
    .toSorted();

/** Claims a coupon for everybody at once; the process is killed in the middle, or is not. */
async function rush(users: readonly string[], coupon: string, killed: boolean): Promise<Answer[]> {
  if (!killed) return await Promise.all(users.map((user) => client.claim(user, coupon)));
  let arrived = 0;
  const answers = users.map(async (user, index) => {
    const answer = await claimSurely(user, coupon, `${coupon} ${index}`);
    arrived += 1;
    return answer;
  });
  // Some rounds die before the first answer, some after.
  if (new Random(users.length + coupon.length).chance(0.5)) {
    await until("an answer", () => arrived > 0);
  }
  await crash();
  return await Promise.all(answers);
}

async function expectVerified(): Promise<void> {
  const { exitCode, output } = await runProgram(["verify"], environment);
  expect({ exitCode, output }).toEqual({ exitCode: 0, output: expect.stringMatching(/, ok$/m) });
}

describe.each([false, true])("with kill -9 in the middle: %p", (killed) => {
  const rounds = killed ? 4 : 10;

  test(
    "50 at once for 5: exactly 5 win, 45 are refused, none is left",
    async () => {
      await inTurn(upTo(rounds), async (round) => {
        const coupon = `FLASH_SALE_${killed}_${"I".repeat(round)}`;
        await client.make(coupon, 5);
        const answers = await rush(
          upTo(50).map((n) => `user_${n}`),
          coupon,
          killed,
        );
        expect(tally(answers)).toEqual({ claimed: 5, sold_out: 45 });
        const { remaining_amount: left, claimed_by: by } = await client.details(coupon);
        expect(left).toBe(0);
        expect(by.toSorted()).toEqual(usersOf(answers));
        await expectGone(answers, coupon);
      });
      await expectVerified();
    },
    timeoutMs,
  );

  test(
    "10 at once by one user: one wins, 9 are told that they have it",
    async () => {
      await inTurn(upTo(rounds), async (round) => {
        const coupon = `DOUBLE_DIP_${killed}_${"I".repeat(round)}`;
        await client.make(coupon, 100);
        const answers = await rush(
          upTo(10).map(() => "user_1"),
          coupon,
          killed,
        );
        expect(tally(answers)).toEqual({ claimed: 1, already_claimed: 9 });
        const winner = answers.find(({ status }) => status === 200);
        const { claimed_at: at } = claimShape.parse(winner?.json());
        for (const answer of answers) {
          if (answer === winner) continue;
          expect(refusedWith(answer, "already_claimed").claimed_at).toBe(at);
        }
        const details = await client.details(coupon);
        expect(details).toMatchObject({ remaining_amount: 99, claimed_by: ["user_1"] });
      });
      await expectVerified();
    },
    timeoutMs,
  );
});

/** Everybody asks again: who has one is told since when, the others that it is gone. */
async function expectGone(answers: readonly Answer[], coupon: string): Promise<void> {
  const winners = answers
    .filter(({ status }) => status === 200)
    .map((answer) => claimShape.parse(answer.json()));
  await Promise.all(
    winners.map(async ({ user_id: user, claimed_at: at }) => {
      const again = refusedWith(await client.claim(user, coupon), "already_claimed");
      expect(again.claimed_at).toBe(at);
    }),
  );
  refusedWith(await client.claim("somebody else", coupon), "sold_out");
}

describe("coupons over kill -9", () => {
  test("20 that make the same at once: one 201, and it is there after the crash", async () => {
    const made = await Promise.all(upTo(20).map((amount) => client.create("CRASH RACE", amount)));
    await crash();
    expect(made.filter(({ status }) => status === 201)).toHaveLength(1);
    const winner = made.find(({ status }) => status === 201)?.json();
    refusedWith(await client.create("CRASH RACE", 1), "coupon_exists");
    const { amount, remaining_amount: left } = await client.details("CRASH RACE");
    expect(winner).toMatchObject({ amount, remaining_amount: left });
  });

  test("what is made while the process dies is there once, or can be made", async () => {
    await inTurn(upTo(4), async (round) => {
      const names = upTo(20).map((number) => `DYING ${round} ${number}`);
      const answers = names.map((name) => client.answered(() => client.create(name, round)));
      await crash();
      const settled = await Promise.all(answers);
      // Without an answer to the first, the second finds the coupon there.
      for (const answer of settled) {
        if (answer.status !== 201) refusedWith(answer, "coupon_exists");
      }
      await Promise.all(
        names.map(async (name) => {
          expect(await client.details(name)).toMatchObject({ amount: round, claimed_by: [] });
          await client.take("ann", name);
        }),
      );
    });
    await expectVerified();
  });

  test("a claim is remembered: by user, by key, and who claimed what with which key", async () => {
    await client.make("KEPT", 3);
    await client.make("KEPT TOO", 3);
    const first = await client.claim("ann", "KEPT", "k");
    await client.take("bob", "KEPT");
    const { code } = await server.client.reserve("ann", "any", { key: "reserved" });
    await crash();
    const again = await client.claim("ann", "KEPT", "k");
    expect({ status: again.status, text: again.text }).toEqual({ status: 200, text: first.text });
    const { claimed_at: at } = refusedWith(await client.claim("ann", "KEPT"), "already_claimed");
    expect(at).toBe(claimShape.parse(first.json()).claimed_at);
    refusedWith(await client.claim("ann", "KEPT TOO", "k"), "idempotency_key_reused");
    refusedWith(await client.claim("ann", "KEPT TOO", "reserved"), "idempotency_key_reused");
    const checkout = await server.client.checkout("ann", "any", { key: "k" });
    refusedWith(checkout, "idempotency_key_reused");
    expect((await server.client.reserve("ann", "any", { key: "reserved" })).code).toBe(code);
    await client.take("bob", "KEPT TOO", "k");
    expect((await client.details("KEPT")).claimed_by).toEqual(["ann", "bob"]);
  });

  test("those who claim at once right after a start, before any claim is loaded", async () => {
    await client.make("WAKING", 30);
    await inTurn(upTo(20), (number) => client.take(`old ${number}`, "WAKING"));
    await crash();
    const old = upTo(20).map((number) => `old ${number}`);
    const recent = upTo(30).map((number) => `new ${number}`);
    const users = [...old, ...recent, ...recent.slice(0, 5)];
    const answers = await Promise.all(users.map((user) => client.claim(user, "WAKING")));
    expect(answers.slice(0, 20).map(wordOf)).toEqual(old.map(() => "already_claimed"));
    expect(tally(answers)["claimed"]).toBe(10);
    const { claimed_by: by, remaining_amount: left } = await client.details("WAKING");
    expect({ left, old: by.slice(0, 20) }).toEqual({ left: 0, old });
    expect(by.slice(20).toSorted()).toEqual(usersOf(answers));
  });
});

/** Every fifth coupon has more than enough; the others sell out. */
const amountOf = (coupon: number): number => (coupon % 5 === 0 ? 1_200 : 600 + coupon);

/** Every claim that was tried is an attempt in the journal, the refused ones too. */
async function expectTried(prefix: string, total: number, winners: number): Promise<void> {
  const rows = await sql<{ outcome: string; count: number }[]>`
    select outcome, count(*)::int from attempts
    where kind = 'claim' and user_id like ${`${prefix} %`} group by outcome`;
  const counts = new Map(rows.map(({ outcome, count }) => [outcome, count]));
  expect(counts.get("claimed")).toBe(winners);
  expect([...counts.values()].reduce((sum, n) => sum + n, 0)).toBe(total);
}

describe("20,000 claims on 20 coupons from 200 connections", () => {
  const connections = 200;
  const coupons = 20;
  const claimsEach = 1_000;

  type Wish = { readonly user: string; readonly coupon: number };

  /** Everybody's wishes in a random order; one in ten is somebody's second. */
  function wishes(prefix: string, random: Random): Wish[] {
    const all = upTo(coupons).flatMap((coupon) =>
      upTo(claimsEach).map((number) => ({
        user: `${prefix} ${number <= claimsEach / 10 ? number * 2 : number}`,
        coupon,
      })),
    );
    return all
      .map((wish) => ({ wish, place: random.next() }))
      .toSorted((a, b) => a.place - b.place)
      .map(({ wish }) => wish);
  }

  const usersEach = new Set(wishes("", new Random(0)).map(({ user }) => user)).size;
  const winnersOf = (coupon: number): number => Math.min(amountOf(coupon), usersEach);

  test.each([
    [false, 0],
    [true, 2],
  ])(
    "with kill -9 in the middle: %p: all figures are exact",
    async (killed, crashes) => {
      const [seed = 0] = seeds(1);
      const prefix = `FLOOD ${killed}`;
      await Promise.all(upTo(coupons).map((n) => client.make(`${prefix} ${n}`, amountOf(n))));
      const left = wishes(prefix, new Random(seed));
      const total = left.length;
      const claimed = new Map(upTo(coupons).map((n) => [n, new Set<string>()]));
      const refused: Record<string, number> = {};
      let answered = 0;
      const connection = async (): Promise<void> => {
        for (let wish = left.pop(); wish !== undefined; wish = left.pop()) {
          const { user, coupon } = wish;
          const name = `${prefix} ${coupon}`;
          const key = killed ? `key ${left.length}` : undefined;
          const answer = killed
            ? await client.answered(() => client.claim(user, name, key))
            : await client.claim(user, name);
          answered += 1;
          const word = wordOf(answer);
          if (word !== "claimed") {
            refused[word] = (refused[word] ?? 0) + 1;
            continue;
          }
          const users = claimed.get(coupon);
          if (users === undefined || users.has(user)) throw new Error(`${user} won twice, ${seed}`);
          users.add(user);
        }
      };
      const all = Promise.all(upTo(connections).map(connection));
      await inTurn(upTo(crashes), async (nth) => {
        await until("answers", () => answered >= (total * nth) / (crashes + 1), timeoutMs);
        await crash();
      });
      await all;
      const won = upTo(coupons).map((n) => claimed.get(n)?.size);
      expect({ seed, won }).toEqual({ seed, won: upTo(coupons).map(winnersOf) });
      const winners = upTo(coupons).reduce((sum, n) => sum + winnersOf(n), 0);
      expect(Object.keys(refused).toSorted()).toEqual(["already_claimed", "sold_out"]);
      expect((refused["already_claimed"] ?? 0) + (refused["sold_out"] ?? 0)).toBe(total - winners);
      await inTurn(claimed, async ([n, users]) => {
        const name = `${prefix} ${n}`;
        const { remaining_amount: remaining } = await client.details(name, { claims_limit: 0 });
        expect(remaining).toBe(amountOf(n) - winnersOf(n));
        const listed = await client.claimants(name, 1_000);
        expect(listed.length).toBe(users.size);
        expect(listed.every((user) => users.has(user))).toBe(true);
      });
      if (!killed) await expectTried(prefix, total, winners);
      await expectVerified();
    },
    timeoutMs,
  );
});

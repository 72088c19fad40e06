/**
 * The coupons' contract over HTTP, as a client of the seeds sees it: every path, its fields,
 * every refusal with its status and its word, and what the journal keeps of each attempt.
 * Hostile input is in `coupon-input.test.ts`.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import type { Sql } from "postgres";
import {
  claimShape,
  CouponClient,
  couponShape,
  given,
  pageShape,
  refusedWith,
  wordOf,
} from "./coupon-client.ts";
import { accepted, reservation } from "../support/contract.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { inTurn, upTo } from "../support/wait.ts";

const postgres = usePostgres();
/** Claims of a coupon that was there before the server started. */
const oldClaims = 25_000;
const pageMax = 10_000;
let server: TestServer;
let client: CouponClient;
let sql: Sql;

beforeAll(async () => {
  const url = await postgres.newRecords();
  sql = lookInto(url);
  await makeOldCoupon();
  server = await startServer({ DATABASE_URL: url, SALE_PER_USER_LIMIT: "20" });
  client = new CouponClient(() => server.url);
});

/** `OLD`, claimed by `user 1`, `user 2`, … in the order of their numbers, two left. */
async function makeOldCoupon(): Promise<void> {
  await sql`
    insert into attempts (seq, at, kind, outcome, coupon_name)
    values (1, '2020-01-01T10:00Z', 'create_coupon', 'coupon_created', 'OLD')`;
  await sql`
    insert into coupons (id, name, amount, remaining_amount, created_at, seq)
    values (1, 'OLD', ${oldClaims + 2}, 2, '2020-01-01T10:00Z', 1)`;
  await sql`
    insert into attempts (seq, at, kind, outcome, buyer, user_id, coupon_name)
    select n + 1, '2020-01-01T10:00Z', 'claim', 'claimed', 'guest', 'user ' || n, 'OLD'
    from generate_series(1, ${oldClaims}::int) n`;
  await sql`
    insert into claims (buyer, user_id, coupon_name, ordinal, coupon_amount, seq, claimed_at)
    select 'guest', user_id, coupon_name, seq - 1, ${oldClaims + 2}, seq, at from attempts where seq > 1`;
}

/** Attempts about a coupon, in order: kind, outcome, user. */
const journalOf = async (coupon: string) =>
  [
    ...(await sql<{ row: string }[]>`
      select concat_ws(' ', kind, outcome, user_id) as row from attempts
      where coupon_name = ${coupon} order by seq`),
  ].map(({ row }) => row);

describe("making a coupon", () => {
  test("answers 201 with all of it, and where it is", async () => {
    const before = Date.now();
    const answer = await client.create("PROMO_SUPER", 100);
    const made = given(answer, couponShape, 201);
    expect(made).toMatchObject({ name: "PROMO_SUPER", amount: 100, remaining_amount: 100 });
    expect(answer.headers.get("Location")).toBe("/api/coupons/PROMO_SUPER");
    expect(await client.details("PROMO_SUPER")).toMatchObject({ amount: 100, claimed_by: [] });
    expect(Date.parse(made.created_at)).toBeWithin(before, Date.now() + 1);
  });

  test("of a name that is taken is 409 coupon_exists, and changes nothing", async () => {
    const first = await client.make("TWICE", 3);
    await client.take("ann", "TWICE");
    refusedWith(await client.create("TWICE", 9), "coupon_exists");
    refusedWith(await client.create("TWICE", 3), "coupon_exists");
    const details = await client.details("TWICE");
    expect(details).toMatchObject({ amount: 3, remaining_amount: 2, claimed_by: ["ann"] });
    const next = await client.make("TWICE 2", 1);
    expect(next.id).toBe(first.id + 1);
    expect(await journalOf("TWICE")).toEqual([
      "create_coupon coupon_created",
      "claim claimed ann",
      "create_coupon coupon_exists",
      "create_coupon coupon_exists",
    ]);
  });

  test.each([2, 20])("%i at once of the same name: exactly one is made", async (many) => {
    const name = `RACE ${many}`;
    const answers = await Promise.all(upTo(many).map((amount) => client.create(name, amount)));
    const made = answers.filter(({ status }) => status === 201);
    expect(made).toHaveLength(1);
    for (const answer of answers) if (answer.status !== 201) refusedWith(answer, "coupon_exists");
    const winner = couponShape.parse(made[0]?.json());
    expect(await client.details(name)).toMatchObject({ amount: winner.amount });
    const stored = await sql`select amount from coupons where name = ${name}`;
    expect([...stored]).toEqual([{ amount: winner.amount }]);
  });

  test("it can be claimed the moment its 201 is there", async () => {
    await Promise.all(
      upTo(30).map(async (number) => {
        const { name } = await client.make(`FRESH ${number}`, 1);
        const claim = await client.take("ann", name);
        expect(claim).toMatchObject({ coupon_name: name, remaining_amount: 0 });
      }),
    );
  });

  test("claims that arrive with it find it, or do not, and are counted", async () => {
    const [made, ...claims] = await Promise.all([
      client.create("TOGETHER", 5),
      ...upTo(20).map((number) => client.claim(`user ${number}`, "TOGETHER")),
    ]);
    expect(made?.status).toBe(201);
    const claimed = claims.filter((answer) => wordOf(answer) === "claimed").length;
    for (const answer of claims) {
      expect(["claimed", "coupon_not_found", "sold_out"]).toContain(wordOf(answer));
    }
    expect((await client.details("TOGETHER")).remaining_amount).toBe(5 - claimed);
  });
});

describe("claiming a coupon", () => {
  test("answers with what was claimed, when, and what is left", async () => {
    await client.make("THREE", 3);
    const claims = await inTurn(["ann", "bob", "eve"], (user) => client.take(user, "THREE"));
    expect(claims.map(({ user_id }) => user_id)).toEqual(["ann", "bob", "eve"]);
    expect(claims.map(({ remaining_amount: left }) => left)).toEqual([2, 1, 0]);
    expect(claims.every(({ coupon_name }) => coupon_name === "THREE")).toBe(true);
  });

  test("of a name that nobody made is 404 coupon_not_found", async () => {
    refusedWith(await client.claim("ann", "NO SUCH"), "coupon_not_found");
    refusedWith(await client.claim("ann", "three"), "coupon_not_found");
    expect(await journalOf("NO SUCH")).toEqual(["claim coupon_not_found ann"]);
  });

  test("twice is 409 already_claimed with the time of the first, sold out or not", async () => {
    await client.make("ONCE", 2);
    const first = await client.take("ann", "ONCE");
    const again = refusedWith(await client.claim("ann", "ONCE"), "already_claimed");
    expect(again.claimed_at).toBe(first.claimed_at);
    await client.take("bob", "ONCE");
    const late = refusedWith(await client.claim("ann", "ONCE"), "already_claimed");
    expect(late.claimed_at).toBe(first.claimed_at);
    expect(await client.claimants("ONCE")).toEqual(["ann", "bob"]);
  });

  test("of one that is gone is 409 sold_out", async () => {
    await client.make("GONE", 1);
    await client.take("ann", "GONE");
    const { claimed_at } = refusedWith(await client.claim("bob", "GONE"), "sold_out");
    expect(claimed_at).toBeUndefined();
    expect(await client.details("GONE")).toMatchObject({ remaining_amount: 0 });
  });

  test("COUPON_SOLD_OUT_STATUS=400 gives that status, and nothing else another", async () => {
    const env = { DATABASE_URL: await postgres.newRecords(), COUPON_SOLD_OUT_STATUS: "400" };
    await using other = await startServer(env);
    const its = new CouponClient(() => other.url);
    await its.make("FLASH", 1);
    await its.take("ann", "FLASH");
    refusedWith(await its.claim("bob", "FLASH"), "sold_out", 400);
    refusedWith(await its.claim("ann", "FLASH"), "already_claimed");
    refusedWith(await its.create("FLASH", 1), "coupon_exists");
  });

  test("one user may have one of each coupon", async () => {
    await Promise.all(upTo(5).map((number) => client.make(`EACH ${number}`, 1)));
    const claims = await Promise.all(
      upTo(5).map((number) => client.claim("ann", `EACH ${number}`)),
    );
    expect(claims.map(wordOf)).toEqual(upTo(5).map(() => "claimed"));
  });

  test("every attempt is in the journal with its word, and answered after it is there", async () => {
    await client.make("NOTED", 1);
    const asked: [user: string, word: string][] = [
      ["ann", "claimed"],
      ["ann", "already_claimed"],
      ["bob", "coupon_sold_out"],
      ["ann", "already_claimed"],
    ];
    await inTurn(asked, async ([user], index) => {
      await client.claim(user, "NOTED");
      expect((await journalOf("NOTED")).length).toBe(index + 2);
    });
    expect(await journalOf("NOTED")).toEqual([
      "create_coupon coupon_created",
      ...asked.map(([user, word]) => `claim ${word} ${user}`),
    ]);
  });
});

describe("reading a coupon", () => {
  test("tells who claimed it, in the order of their claims", async () => {
    await client.make("ORDER", 10);
    const users = ["zoe", "ann", "10", "9", "Ann"];
    await inTurn(users, (user) => client.take(user, "ORDER"));
    expect(await client.details("ORDER")).toEqual({
      name: "ORDER",
      amount: 10,
      remaining_amount: 5,
      claimed_by: users,
      next_claims_after: null,
    });
  });

  test("that nobody made is 404", async () => {
    refusedWith(await client.read("NO SUCH"), "coupon_not_found");
  });

  test("pages through a long list, 10,000 at most", async () => {
    const users = upTo(oldClaims).map((number) => `user ${number}`);
    const unasked = await client.details("OLD");
    expect(unasked.claimed_by).toEqual(users.slice(0, 1_000));
    expect(unasked).toMatchObject({ remaining_amount: 2, next_claims_after: 1_000 });
    const first = await client.details("OLD", { claims_limit: pageMax });
    expect(first.claimed_by).toEqual(users.slice(0, pageMax));
    expect(first).toMatchObject({ remaining_amount: 2, next_claims_after: pageMax });
    expect(await client.claimants("OLD")).toEqual(users);
    const some = await client.details("OLD", { claims_after: oldClaims - 3, claims_limit: 2 });
    expect(some.claimed_by).toEqual(users.slice(-3, -1));
    expect(some.next_claims_after).toBe(oldClaims - 1);
    const last = await client.details("OLD", { claims_after: oldClaims - 1, claims_limit: 1 });
    expect(last).toMatchObject({ claimed_by: users.slice(-1), next_claims_after: null });
    const none = await client.details("OLD", { claims_after: oldClaims });
    expect(none).toMatchObject({ claimed_by: [], next_claims_after: null });
  });

  test("its figures alone do not touch the claims", async () => {
    const answer = await sql.begin(async (tx) => {
      // Whoever reads a claim now waits for the end of this transaction.
      await tx`lock table claims in access exclusive mode`;
      return await client.read("OLD", { claims_limit: 0 });
    });
    const figures = { amount: oldClaims + 2, remaining_amount: 2, claimed_by: [] };
    expect(answer.json()).toMatchObject(figures);
  });

  test.each([
    ["claims_limit", pageMax + 1],
    ["claims_limit", -1],
    ["claims_limit", "many"],
    ["claims_after", -1],
    ["claims_after", 1.5],
    ["claims_after", 2_147_483_648],
  ])("%s=%p is 400", async (name, value) => {
    const { detail } = refusedWith(await client.read("OLD", { [name]: value }), "invalid_request");
    expect(detail).toStartWith(name);
  });
});

describe("the list of coupons", () => {
  test("is paged, in the order of their making, without claimed_by", async () => {
    const made = await inTurn(upTo(7), (number) => client.make(`LIST ${number}`, number));
    await client.take("ann", "LIST 3");
    const after = (made[0]?.id ?? 0) - 1;
    const page = given(await client.list({ after, limit: 3 }), pageShape);
    const figures = page.coupons.map(({ name, remaining_amount: left }) => [name, left]);
    expect(figures).toEqual([
      ["LIST 1", 1],
      ["LIST 2", 2],
      ["LIST 3", 2],
    ]);
    expect(page.next_after).toBe(made[2]?.id ?? 0);
    const rest = given(await client.list({ after: page.next_after ?? 0, limit: 4 }), pageShape);
    expect(rest).toEqual({ coupons: made.slice(3), next_after: null });
    expect((await client.list()).text).not.toContain("claimed_by");
    expect(given(await client.list({ limit: 1 }), pageShape).coupons[0]?.name).toBe("OLD");
  });

  test.each([
    ["limit", 0],
    ["limit", 501],
    ["limit", "x"],
    ["after", -1],
  ])("%s=%p is 400", async (name, value) => {
    const { detail } = refusedWith(await client.list({ [name]: value }), "invalid_request");
    expect(detail).toStartWith(name);
  });
});

describe("an Idempotency-Key", () => {
  test("gives the first answer again, for the same coupon", async () => {
    await client.make("KEYED", 3);
    const first = await client.claim("ann", "KEYED", "k1");
    await client.take("bob", "KEYED", "k1");
    const again = await client.claim("ann", "KEYED", "k1");
    expect({ status: again.status, text: again.text }).toEqual({ status: 200, text: first.text });
    given(again, claimShape);
    refusedWith(await client.claim("ann", "KEYED", "k2"), "already_claimed");
    refusedWith(await client.claim("ann", "KEYED"), "already_claimed");
    expect((await client.details("KEYED")).claimed_by).toEqual(["ann", "bob"]);
    expect((await journalOf("KEYED")).slice(1)).toEqual([
      "claim claimed ann",
      "claim claimed bob",
      "claim claimed_again ann",
      "claim already_claimed ann",
      "claim already_claimed ann",
    ]);
  });

  test("ten times at once: ten times the same answer", async () => {
    await client.make("RETRIED", 3);
    const answers = await Promise.all(upTo(10).map(() => client.claim("ann", "RETRIED", "k")));
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect((await client.details("RETRIED")).claimed_by).toEqual(["ann"]);
  });

  test("with another coupon is 422, whether that is there or not", async () => {
    await client.make("OTHER 1", 3);
    await client.make("OTHER 2", 3);
    await client.take("ann", "OTHER 1", "reused");
    refusedWith(await client.claim("ann", "OTHER 2", "reused"), "idempotency_key_reused");
    refusedWith(await client.claim("ann", "OTHER 3", "reused"), "idempotency_key_reused");
    expect((await client.details("OTHER 2")).claimed_by).toEqual([]);
    await client.take("bob", "OTHER 2", "reused");
  });

  test("whose claim was refused may try afresh", async () => {
    refusedWith(await client.claim("ann", "LATER", "fresh"), "coupon_not_found");
    await client.make("LATER", 1);
    await client.take("ann", "LATER", "fresh");
    refusedWith(await client.claim("bob", "LATER", "fresh"), "sold_out");
    await client.make("LATER 2", 1);
    await client.take("bob", "LATER 2", "fresh");
  });

  test("of a checkout cannot be used for a claim, nor the other way round", async () => {
    await client.make("MIXED", 5);
    const shop = server.client;
    accepted(await shop.checkout("ann", "any", { key: "mixed 1" }), reservation);
    const detail = refusedWith(
      await client.claim("ann", "MIXED", "mixed 1"),
      "idempotency_key_reused",
    );
    expect(detail.detail).not.toContain("for a checkout with other parameters");
    await client.take("ann", "MIXED", "mixed 2");
    refusedWith(await shop.checkout("ann", "any", { key: "mixed 2" }), "idempotency_key_reused");
    accepted(await shop.checkout("bob", "any", { key: "mixed 2" }), reservation);
  });

  test("whose reservation was given back may try afresh, with a claim too", async () => {
    await client.make("AFRESH", 5);
    const { code } = await server.client.reserve("cid", "any", { key: "given back" });
    expect((await server.client.release(code)).status).toBe(204);
    await client.take("cid", "AFRESH", "given back");
  });

  test("has 128 bytes at most", async () => {
    await client.make("LONG KEY", 5);
    await client.take("ann", "LONG KEY", "k".repeat(128));
    const { detail } = refusedWith(
      await client.claim("bob", "LONG KEY", "k".repeat(129)),
      "invalid_request",
    );
    expect(detail).toStartWith("Idempotency-Key");
  });
});

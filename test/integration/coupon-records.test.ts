/**
 * What is stored of coupons: PostgreSQL refuses what would break a promise, whoever asks; what
 * is recovered is what was; and the audit, and `stampede verify`, notice what somebody changed.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import type { Sql } from "postgres";
import { buyerId } from "../../src/ledger/buyers.ts";
import { Ledger } from "../../src/ledger/ledger.ts";
import { listCoupons, loadClaims } from "../../src/store/coupons.ts";
import { openDb } from "../../src/store/db.ts";
import { lastAttempt, recover } from "../../src/store/recovery.ts";
import { verify } from "../../src/cli/verify.ts";
import { openBooks } from "../support/books.ts";
import { CouponModel, drawChange, type CouponCommand } from "../unit/coupon-model.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { Random, seeds } from "../support/random.ts";
import { runProgram } from "../support/server.ts";
import { inTurn, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const begin = 1_900_000_000_000;

/** The name of the constraint that refuses a query; "stored" when none does. */
async function refusalOf(sql: Sql, query: string): Promise<string> {
  const undo = new Error("undo");
  try {
    await sql.begin(async (tx) => {
      await tx.unsafe(query);
      throw undo;
    });
  } catch (error) {
    if (error === undo) return "stored";
    if (error instanceof Error && "constraint_name" in error) return String(error.constraint_name);
    throw error;
  }
  throw new Error("the transaction was not undone");
}

/** @param row user, coupon, ordinal, the coupon's amount */
const claimed = (row: string, buyer = "guest"): string =>
  `insert into claims (buyer, user_id, coupon_name, ordinal, coupon_amount, seq, claimed_at)
   values ('${buyer}', ${row}, 3, now())`;

/** A claim, by attempt 3, of a coupon that was changed by another one. */
const changed = (set: string, by = 2): string =>
  `update coupons set ${set}, changed_seq = ${by} where name = 'A';
   ${claimed("'bob', 'A', 2, 2")}`;

/** @param row id, name, amount, remaining */
const making = (row: string): string =>
  `insert into coupons (id, name, amount, remaining_amount, created_at, seq)
   values (${row}, now(), 4)`;

describe("PostgreSQL refuses", () => {
  let sql: Sql;

  /** Coupon A of 2, of which ann has the first; coupon B of 1. */
  beforeAll(async () => {
    sql = lookInto(await postgres.newRecords());
    await sql`
      insert into coupons (id, name, amount, remaining_amount, created_at, seq)
      values (1, 'A', 2, 1, now(), 1), (2, 'B', 1, 1, now(), 2)`;
    await sql.unsafe(claimed("'ann', 'A', 1, 2"));
  });

  const cases: [what: string, query: string, constraint: string][] = [
    ["nothing of a claim that is right", claimed("'bob', 'A', 2, 2"), "stored"],
    ["nothing of the same user's other coupon", claimed("'ann', 'B', 1, 1"), "stored"],
    ["claim amount + 1", claimed("'bob', 'A', 3, 2"), "claims_in_amount"],
    ["claim 0", claimed("'bob', 'A', 0, 2"), "claims_in_amount"],
    ["a claim of a negative number", claimed("'bob', 'A', -1, 2"), "claims_in_amount"],
    ["a number twice", claimed("'bob', 'A', 1, 2"), "claims_coupon_name_ordinal_pk"],
    ["a user twice", claimed("'ann', 'A', 2, 2"), "claims_one_a_buyer"],
    [
      "nothing of a buyer of the same name and another kind",
      claimed("'ann', 'A', 2, 2", "account"),
      "stored",
    ],
    ["an amount that is not the coupon's", claimed("'bob', 'A', 3, 3"), "claims_coupon_amount"],
    ["a claim of an unknown coupon", claimed("'bob', 'C', 1, 1"), "claims_coupon"],
    ["a claim while it is disabled", changed("disabled = true"), "claims_while_active"],
    ["a claim before it begins", changed("starts_at = now() + '1 h'"), "claims_while_active"],
    ["a claim after its end", changed("ends_at = now()"), "claims_while_active"],
    [
      "nothing of a claim in between",
      changed("starts_at = now(), ends_at = now() + '1 h'"),
      "stored",
    ],
    ["nothing of a claim before it was disabled", changed("disabled = true", 3), "stored"],
    [
      "an end before the beginning",
      "update coupons set starts_at = now(), ends_at = now()",
      "coupons_window",
    ],
    ["less than nothing left", "update coupons set remaining_amount = -1", "coupons_remaining"],
    ["more left than there were", making("3, 'C', 2, 3"), "coupons_remaining"],
    ["more left again", "update coupons set remaining_amount = 3", "coupons_remaining"],
    ["nothing of another amount", "update coupons set amount = 3 where id = 1", "stored"],
    [
      "an amount below what is claimed",
      `${claimed("'bob', 'A', 2, 2")};
       update coupons set amount = 1, remaining_amount = 0 where id = 1`,
      "coupons_amount_claimed",
    ],
    ["another name", "update coupons set name = 'C' where id = 1", "claims_coupon"],
    ["the end of a claimed coupon", "delete from coupons where id = 1", "claims_coupon"],
    ["nothing of the end of another", "delete from coupons where id = 2", "stored"],
    ["a name twice", making("3, 'A', 1, 1"), "coupons_name_once"],
    ["an id twice", making("2, 'C', 1, 1"), "coupons_pkey"],
    ["an amount of 0", making("3, 'C', 0, 0"), "coupons_amount_positive"],
    ["a name of no characters", making("3, '', 1, 1"), "coupons_name_length"],
    ["a name of 256 emoji", making(`3, '${"🎟".repeat(256)}', 1, 1`), "coupons_name_length"],
    ["nothing of a name of 255 emoji", making(`3, '${"🎟".repeat(255)}', 1, 1`), "stored"],
  ];

  test.each(cases)("%s", async (_what, query, constraint) => {
    expect(await refusalOf(sql, query)).toBe(constraint);
  });
});

const commandNames = ["A", "B", 'say "{NULL}"', "NULL", "券\\"];

/** Random makings, changes and claims. */
function drawCommand(random: Random, now: number): CouponCommand {
  const coupon = random.pick(commandNames) ?? "A";
  if (random.chance(0.1)) {
    const by = { kind: "key", name: "shop" } as const;
    const amount = random.between(1, 12);
    return { kind: "create_coupon", coupon, amount, by: random.chance(0.5) ? by : null };
  }
  if (random.chance(0.1)) return drawChange(random, coupon, now);
  if (random.chance(0.05)) {
    return { kind: "remove_coupon", coupon, by: { kind: "account", name: "boss" } };
  }
  const userId = `user ${random.between(1, 25)}`;
  const kind = random.pick(["guest", "guest", "account", "customer"] as const) ?? "guest";
  return {
    kind: "claim",
    coupon,
    buyer: { kind, userId },
    key: random.chance(0.5) ? `k${random.between(1, 9)}` : null,
  };
}

test("batches of makings and claims are stored, and recovered, as the model has them", async () => {
  await inTurn(seeds(4), async (seed) => {
    const random = new Random(seed);
    const url = await postgres.newRecords();
    const model = new CouponModel();
    let now = begin;
    await inTurn(upTo(3), async () => {
      // As a term begins: not before what is recorded.
      now = Math.max(now, model.now);
      model.now = now;
      model.restart();
      const books = await openBooks(url, () => now);
      await inTurn(upTo(12), async () => {
        now += random.between(-5, 20);
        const commands = upTo(random.between(1, 30)).map(() => drawCommand(random, now));
        await books.loadAll();
        // Submitted in one go they are one batch, made and claimed in one statement.
        const outcomes = Promise.all(
          commands.map((command) => books.writer.submit<CouponCommand>(command)),
        );
        const wanted = commands.map((command) => model.decide(command, now).word);
        const words = (await outcomes).map(({ word }) => word);
        expect({ seed, words }).toEqual({ seed, words: wanted });
      });
      await books.writer.drain();
      await expectStored(url, model, now);
    });
  });
}, 120_000);

/** The records, and what is recovered from them, are what the model has. */
async function expectStored(url: string, model: CouponModel, now: number): Promise<void> {
  const sql = lookInto(url);
  const last = await lastAttempt(sql);
  expect([last.seq, last.at]).toEqual([model.seq, model.now]);
  const recorded = await recover(sql, last);
  const remembered = recorded.keyedClaims.map(({ key, claim }) => {
    const { coupon, buyer, ordinal, at } = claim;
    return { key, coupon: coupon.name, buyer, ordinal, at };
  });
  const ledger = await Ledger.restore(recorded, now);
  expect(ledger.check()).toEqual([]);
  const wanted = model.made.map((made) => {
    const { id, name, amount, at: createdAt, from: startsAt, until: endsAt, disabled } = made;
    const remaining = model.remainingOf(made);
    return { id, name, amount, createdAt, remaining, startsAt, endsAt, disabled };
  });
  const view = ledger.view(now);
  expect(model.made.map(({ name }) => view.coupon(name))).toEqual(wanted);
  expect(await listCoupons(openDb(sql), 0, 100)).toEqual(wanted.toSorted((a, b) => a.id - b.id));
  await inTurn(model.made, async ({ name }) => {
    const claims = model.claimsOf(name).map(({ buyer, at }) => [buyerId(buyer), at]);
    expect(Array.from(await loadClaims(sql, name))).toEqual(claims as [string, number][]);
  });
  const keyed = model.claims.filter(({ key }) => key !== null);
  expect(remembered).toEqual(
    keyed.map(({ coupon, buyer, key, at }) => {
      const buyers = model.claimsOf(coupon).map((claim) => buyerId(claim.buyer));
      return { key: key ?? "", coupon, buyer, ordinal: buyers.indexOf(buyerId(buyer)) + 1, at };
    }),
  );
  expect(await verify(sql, undefined, () => {})).toBe(true);
}

test("a key older than a day is not recovered, a younger one is", async () => {
  const url = await postgres.newRecords();
  let now = begin;
  const books = await openBooks(url, () => now);
  await books.writer.submit({ kind: "create_coupon", coupon: "A", amount: 9 });
  await books.claim("ann", "A", "old");
  now += 1;
  await books.claim("bob", "A", "young");
  now += 86_400_000 - 1;
  await books.claim("eve", "A");
  const { keyedClaims } = await recover(books.sql, await lastAttempt(books.sql));
  expect(keyedClaims.map(({ key, claim }) => [claim.buyer.userId, key])).toEqual([
    ["bob", "young"],
  ]);
});

/** Coupons A of 3, sold out to ann, bob and eve with refusals between them, and B of 2. */
async function records(): Promise<{ url: string; sql: Sql }> {
  const url = await postgres.newRecords();
  const books = await openBooks(url, () => begin);
  await books.writer.submit({ kind: "create_coupon", coupon: "A", amount: 3 });
  await books.writer.submit({ kind: "create_coupon", coupon: "B", amount: 2 });
  const users = ["ann", "ann", "bob", "eve", "zoe"];
  await inTurn(users, (user) => books.claim(user, "A"));
  await books.claim("ann", "B");
  return { url, sql: books.sql };
}

const report = async (sql: Sql) => {
  const lines: string[] = [];
  const isSound = await verify(sql, undefined, (line) => lines.push(line));
  return { isSound, said: lines.find((line) => line.startsWith("Coupons:")) ?? "" };
};

describe("the audit notices", () => {
  test("nothing in records that are right", async () => {
    const { url, sql } = await records();
    const said = "Coupons: 2, claims: 4, ok";
    expect(await report(sql)).toEqual({ isSound: true, said });
    const { exitCode, output } = await runProgram(["verify"], { DATABASE_URL: url });
    expect({ exitCode, output }).toEqual({ exitCode: 0, output: expect.stringContaining(said) });
  });

  const withoutNets = `
    alter table claims drop constraint claims_in_amount, drop constraint claims_one_a_buyer,
      drop constraint claims_coupon_name_ordinal_pk;
    drop trigger claims_allowed on claims;
    alter table coupons drop constraint coupons_remaining;`;
  const tampers: [what: string, query: string, said: RegExp][] = [
    [
      "a claim that is gone",
      "delete from claims where coupon_name = 'A' and ordinal = 2",
      /1 coupons whose figures do not fit their claims;.* 1 acknowledged claims missing/,
    ],
    [
      "a claim that is gone, with the figure mended",
      `delete from claims where coupon_name = 'A' and ordinal = 3;
       update coupons set remaining_amount = 1 where name = 'A'`,
      /1 acknowledged claims missing/,
    ],
    [
      "a figure that is too high",
      "update coupons set remaining_amount = 1 where name = 'A'",
      /1 coupons whose figures do not fit/,
    ],
    [
      "a figure that is too low",
      "update coupons set remaining_amount = 0 where name = 'B'",
      /1 coupons whose figures do not fit/,
    ],
    [
      "a claim that nobody made",
      `insert into claims (buyer, user_id, coupon_name, ordinal, coupon_amount, seq, claimed_at)
       values ('guest', 'mallory', 'B', 2, 2, 99, now());
       update coupons set remaining_amount = 0 where name = 'B'`,
      /1 claims without an attempt/,
    ],
    [
      "a claim in another's name",
      "update claims set user_id = 'mallory' where coupon_name = 'A' and ordinal = 1",
      /1 claims without an attempt; 1 acknowledged claims missing/,
    ],
    [
      "an attempt in another's name",
      "update attempts set user_id = 'mallory' where coupon_name = 'B' and outcome = 'claimed'",
      /1 claims without an attempt; 1 acknowledged claims missing/,
    ],
    [
      "a refusal turned into a claim",
      "update attempts set outcome = 'claimed' where user_id = 'zoe'",
      /1 acknowledged claims missing/,
    ],
    [
      "a user with two, once the constraints are gone",
      `${withoutNets}
       insert into claims (buyer, user_id, coupon_name, ordinal, coupon_amount, seq, claimed_at)
       select buyer, user_id, coupon_name, 2, coupon_amount, seq, claimed_at from claims
       where coupon_name = 'B';
       update coupons set remaining_amount = 0 where name = 'B'`,
      /1 claims by users who had one/,
    ],
    [
      "more claims than there were, once the constraints are gone",
      `${withoutNets}
       insert into claims (buyer, user_id, coupon_name, ordinal, coupon_amount, seq, claimed_at)
       values ('guest', 'zoe', 'A', 4, 4, 7, now());
       update attempts set outcome = 'claimed' where user_id = 'zoe';
       update coupons set remaining_amount = -1 where name = 'A'`,
      /1 coupons claimed beyond their amount/,
    ],
    [
      "claims that are numbered in another order than they were made",
      `${withoutNets}
       update claims set ordinal = 4 - ordinal where coupon_name = 'A'`,
      /claims out of order/,
    ],
    [
      "a claim of what could not be claimed any more",
      "update coupons set disabled = true, changed_seq = 1 where name = 'B'",
      /1 claims while it could not be claimed/,
    ],
    [
      "a claim of another time",
      `alter table claims disable trigger user;
       update claims set claimed_at = claimed_at + interval '1 ms' where coupon_name = 'B'`,
      /1 times and amounts of claims/,
    ],
    [
      "a claim of another amount",
      `alter table claims disable trigger user;
       update claims set coupon_amount = 3 where coupon_name = 'B'`,
      /1 times and amounts of claims/,
    ],
    [
      "an amount that nobody has changed",
      "update coupons set amount = 3, remaining_amount = 2 where name = 'B'",
      /1 times and amounts of claims/,
    ],
    [
      "a number that is left out, once the constraints are gone",
      `${withoutNets}
       update claims set ordinal = 2 where coupon_name = 'B'`,
      /1 claims out of order/,
    ],
  ];

  test.each(tampers)("%s", async (_what, query, said) => {
    const { sql } = await records();
    await sql.unsafe(query).simple();
    const found = await report(sql);
    expect(found.said).toMatch(said);
    expect(found.said).not.toContain(", ok");
    expect(found.isSound).toBe(false);
  });

  test("what a claim says of itself PostgreSQL lets nobody change", async () => {
    const { sql } = await records();
    const changes = ["claimed_at = now()", "coupon_amount = 9", "seq = 1"];
    for (const change of changes) {
      // oxlint-disable-next-line no-await-in-loop
      await expect(sql.unsafe(`update claims set ${change}`).execute()).rejects.toThrow(
        "what is stored in claims is what it is",
      );
    }
  });

  test("and the command ends with 1", async () => {
    const { url, sql } = await records();
    await sql`delete from claims where user_id = 'bob'`;
    const { exitCode, output } = await runProgram(["verify"], { DATABASE_URL: url });
    expect(exitCode).toBe(1);
    expect(output).toContain("acknowledged claims missing");
  });

  test("nothing amiss where the journal's oldest part was dropped by retention", async () => {
    const { sql } = await records();
    await sql`delete from attempts where seq <= 4`;
    expect((await report(sql)).isSound).toBe(true);
  });
});

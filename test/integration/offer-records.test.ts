/**
 * What is recorded of offers: PostgreSQL refuses what must not be by itself, and `stampede verify`
 * finds each thing that is off alone.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { verify } from "../../src/cli/verify.ts";
import { connect } from "../../src/postgres/client.ts";
import { auditSale } from "../../src/store/audit.ts";
import { usePostgres } from "../support/postgres.ts";
import { Clock, openShop } from "../support/shop.ts";
import { newPerson, read } from "../support/storefront.ts";
import { until } from "../support/wait.ts";
import { linesOf, offerOf, wait } from "../support/waitlist.ts";

const postgres = usePostgres();
const begun = Date.parse("2030-05-05T11:10:00Z");
const ttlMs = 60_000;
const sale = 1;
let sound: string;

/**
 * The one unit is given back: ann is offered it and lets it lapse, bob after her gives it back, and ann
 * buys it at last; carl has waited, and left.
 */
beforeAll(async () => {
  sound = await postgres.newRecords();
  const clock = new Clock(begun);
  const terms = { items: 1, reservationTtlMs: ttlMs };
  const { client, sql, stop } = await openShop(sound, { clock, terms });
  const [ann, bob, carl] = [
    await newPerson(sql, client, "ann"),
    await newPerson(sql, client, "bob"),
    await newPerson(sql, client, "carl"),
  ];
  const { code } = await client.reserve("guest", 1);
  for (const of of [ann, bob, carl]) await wait(of, sale, 1);
  await carl.ask("DELETE", `/sales/${sale}/waitlist`);
  await client.release(code);
  clock.now += ttlMs;
  const { code: bobs } = await until("bob's offer", () => offerOf(bob, sale));
  expect((await bob.ask("DELETE", `/checkout?code=${bobs}`)).status).toBe(204);
  const { code: anns } = await until("ann's offer", () => offerOf(ann, sale));
  read(await ann.ask("POST", `/purchase?code=${anns}`), z.object({ order_id: z.string() }));
  expect(await linesOf(ann, sale)).toEqual([]);
  await stop();
});

/** What is said of records with which something was done. */
async function told(change: string) {
  const sql = connect({ url: await postgres.copyOf(sound) });
  const lines: string[] = [];
  try {
    await sql.unsafe(change).simple();
    const holds = await verify(sql, sale, (line) => lines.push(line));
    return { said: lines.join("\n"), holds, audit: await auditSale(sql, sale) };
  } finally {
    await sql.end();
  }
}

test("offers as they were made are sound", async () => {
  expect(await told("select 1")).toMatchObject({ holds: true, audit: { ok: true } });
});

const noNet = "alter table offers disable trigger offers_waited_for;";
const first = "(select min(seq) from offers)";

describe("verify finds", () => {
  test.each([
    [
      "an offer that nobody made",
      `${noNet} update attempts set outcome = 'reserved_again' where seq = ${first}`,
      { offers_without_attempt: 1 },
    ],
    [
      "an offer that was made and is gone",
      `delete from offers where seq = ${first}`,
      { attempts_without_offer: 1, offers_out_of_line: 1 },
    ],
    [
      "an offer to who never waited",
      "update attempts set outcome = 'available' where kind = 'waitlist_join' and user_id = 'bob'",
      { offers_out_of_line: 1 },
    ],
    [
      "an offer to who waited for something else",
      "update attempts set item_id = 2 where kind = 'waitlist_join' and user_id = 'bob'",
      { offers_out_of_line: 1 },
    ],
    [
      "an offer to who had left",
      "update attempts set buyer = 'account', user_id = 'bob' where outcome = 'left'",
      { offers_out_of_line: 1 },
    ],
    [
      "an offer to whom something was offered still",
      "update attempts set outcome = 'not_waiting' where outcome = 'offer_lapsed'",
      { offers_out_of_line: 1 },
    ],
  ] as const)("%s", async (_what, change, faults) => {
    const { holds, said, audit } = await told(change);
    expect(audit).toMatchObject({ ...faults, ok: false });
    expect(holds).toBe(false);
    expect(said).toContain("offers");
  });
});

const joined = (user: string): string =>
  `(select seq from attempts where outcome = 'waiting' and user_id = '${user}')`;

describe("PostgreSQL refuses", () => {
  const next = "(select max(seq) + 1 from attempts)";
  const offer = (user: string, to: string, { ordinal = 2, item = 1, kind = "offer" } = {}) => `
    insert into attempts (seq, at, kind, outcome, sale_id, item_id, buyer, user_id, code)
    select ${next}, max(at), '${kind}', 'reserved', ${sale}, ${item}, 'account', '${to}',
           gen_random_uuid() from attempts;
    insert into offers (seq, sale_id, joined_seq, ordinal)
    values ((select max(seq) from attempts), ${sale}, ${joined(user)}, ${ordinal});`;

  test.each([
    ["an offer to another one", offer("bob", "eve"), "offers_waited_for"],
    ["an offer of another item", offer("bob", "bob", { item: 2 }), "offers_waited_for"],
    ["a reservation that is none", offer("bob", "bob", { kind: "checkout" }), "offers_waited_for"],
    [
      "an offer without an attempt",
      `insert into offers values (99, ${sale}, ${joined("bob")}, 2)`,
      "offers_waited_for",
    ],
    ["an offer that was made before", offer("bob", "bob", { ordinal: 1 }), "one_after_another"],
    ["an offer before the first", offer("ann", "ann", { ordinal: 0 }), "offers_in_bounds"],
  ] as const)("%s", async (_what, change, constraint) => {
    const sql = connect({ url: await postgres.copyOf(sound) });
    try {
      await expect(sql.unsafe(change).simple()).rejects.toMatchObject({
        constraint_name: expect.stringContaining(constraint) as string,
      });
    } finally {
      await sql.end();
    }
  });

  test("none that is as it should be", async () => {
    expect(await told(offer("bob", "bob"))).toMatchObject({
      // It never lapsed: he gave it back.
      audit: { offers_without_attempt: 0, attempts_without_offer: 0, offers_out_of_line: 1 },
    });
  });
});

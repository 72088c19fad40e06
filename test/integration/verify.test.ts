/**
 * The third net: the audit finds every broken promise in the records alone. A sound database
 * is tampered with by SQL, each promise in turn, its constraints taken away where they are
 * in the way; then `stampede verify` ends with 1 and names it, and so does the audit over HTTP. What
 * it says is asked for in the test's own process, how it ends of a few that are started.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { verify as verifyIn } from "../../src/cli/verify.ts";
import { connect } from "../../src/postgres/client.ts";
import { accepted, audit } from "../support/contract.ts";
import { usePostgres } from "../support/postgres.ts";
import { runProgram, startServer } from "../support/server.ts";
import { Clock, openShop } from "../support/shop.ts";
import { inTurn } from "../support/wait.ts";

const postgres = usePostgres();
const now = Date.parse("2030-05-05T10:15:00Z");
const terms = { items: 6, perUserLimit: 2 };
const saleId = 1;
let sound: string;

/** Items 1 and 2 are bought by ann, 3 by bob; 4 was given back, 5 is reserved, 6 refused to ann. */
beforeAll(async () => {
  sound = await postgres.newRecords();
  const clock = new Clock(now);
  const { client, stop } = await openShop(sound, { clock, terms });
  expect((await client.openSale()).id).toBe(saleId);
  await inTurn([["ann", 1] as const, ["ann", 2] as const, ["bob", 3] as const], ([user, item]) => {
    clock.now += 1_000;
    return client.reserveAndBuy(user, item);
  });
  const { code } = await client.reserve("bob", 4);
  await client.release(code);
  clock.now += 1_000;
  await client.reserve("carl", 5);
  await client.checkout("ann", 6);
  await stop();
});

const verify = (url: string, ...args: string[]) =>
  runProgram(["verify", ...args], { DATABASE_URL: url });

async function change(url: string, ...statements: readonly string[]): Promise<void> {
  const sql = connect({ url }, { max: 1 });
  const noNets = ["attempts", "purchases", "sales", "milestones", "terms"].map(
    (table) => `alter table ${table} disable trigger user`,
  );
  await inTurn([...noNets, ...statements], (statement) => sql.unsafe(statement));
  await sql.end();
}

/** A purchase of item 6 that nobody made, but for what is given: SQL expressions by column. */
function forged(given: Readonly<Record<string, string>>): string {
  const row = {
    sale_id: "1",
    item_id: "6",
    unit: "1",
    item_stock: "1",
    buyer: "'guest'",
    user_id: "'thief'",
    user_ordinal: "1",
    user_limit: "2",
    code: "gen_random_uuid()",
    seq: "(select max(seq) from attempts)",
    purchased_at: "(select max(at) from attempts)",
    ...given,
  };
  const columns = Object.keys(row).join(", ");
  return `insert into purchases (${columns}) select ${Object.values(row).join(", ")}`;
}

const drop = (constraint: string) => `alter table purchases drop constraint ${constraint}`;
const codeOf = (item: number) => `(select code from purchases where item_id = ${item})`;

describe("verify, on sound records,", () => {
  test("shows each sale in a table, and ends with 0", async () => {
    const { exitCode, output, log } = await verify(sound);
    expect({ exitCode, log }).toEqual({ exitCode: 0, log: "" });
    expect(output).toMatch(/^sale +title +stock +sold/m);
    expect(output).toMatch(/^1 +Drop of 2030-05-05 10:00 UTC +6 +3 +0 +2 of 2 +ok$/m);
    expect(output).toMatch(/^Journal: 11 attempts, none missing\.$/m);
  });

  test("takes one sale, and knows when there is none", async () => {
    expect(await verify(sound, "--sale", "1")).toMatchObject({ exitCode: 0 });
    const tampered = await postgres.copyOf(sound);
    await change(tampered, "delete from purchases where item_id = 3");
    expect(await verify(tampered, "--sale", "1")).toMatchObject({ exitCode: 1 });
    expect(await verify(tampered)).toMatchObject({ exitCode: 1 });
    const none = await verify(sound, "--sale", "99");
    expect(none.exitCode).toBe(1);
    expect(none.output).toContain("no sale 99");
  });

  test("is content with a database in which nothing has happened", async () => {
    expect(await verify(await postgres.newDatabase())).toMatchObject({ exitCode: 0 });
  });

  test("runs beside a server that sells", async () => {
    const url = await postgres.newRecords();
    await using server = await startServer({ DATABASE_URL: url });
    await server.client.reserveAndBuy("ann");
    expect(await verify(url)).toMatchObject({ exitCode: 0 });
    await server.client.reserveAndBuy("ann");
    expect(await server.stop()).toBe(0);
  });
});

describe("verify finds", () => {
  type Tampering = {
    readonly what: string;
    readonly by: readonly string[];
    /** What the table says. */
    readonly names: RegExp;
    /** The field of the audit over HTTP that tells, where one does. */
    readonly field?: keyof ReturnType<typeof audit.parse>;
    /** It is no single sale's: only the audit of them all can tell. */
    readonly inJournal?: true;
  };

  const tamperings: readonly Tampering[] = [
    {
      what: "an item sold twice",
      by: [drop("purchases_unit_in_stock"), forged({ item_id: "1", unit: "2" })],
      names: /1 items? oversold/,
      field: "oversold_items",
    },
    {
      what: "more sold than there is",
      by: [
        drop("purchases_unit_in_stock"),
        ...[2, 3, 4, 5].map((unit) => forged({ unit: String(unit), user_id: `'thief ${unit}'` })),
      ],
      names: /1 sold beyond the stock/,
      field: "oversold_items",
    },
    {
      what: "a user over the limit",
      by: [drop("purchases_user_in_limit"), forged({ user_id: "'ann'", user_ordinal: "3" })],
      names: /1 users? over the limit/,
      field: "users_over_limit",
    },
    {
      what: "a purchase without an attempt",
      by: [forged({})],
      names: /1 purchases? without an attempt/,
      field: "purchases_without_attempt",
    },
    {
      what: "a purchase that was passed on to somebody else",
      by: ["update purchases set user_id = 'thief' where item_id = 3"],
      names: /1 purchases? without an attempt/,
      field: "purchases_without_attempt",
    },
    {
      what: "a purchase of another item than was reserved",
      by: ["update purchases set item_id = 6 where item_id = 3"],
      names: /1 purchases? without an attempt/,
      field: "purchases_without_attempt",
    },
    {
      what: "a purchase that nobody had reserved",
      by: [`delete from attempts where outcome = 'reserved' and code = ${codeOf(3)}`],
      names: /1 purchases? without a reservation/,
    },
    {
      what: "a code bought twice",
      by: [drop("purchases_code_once"), forged({ code: codeOf(3) })],
      names: /1 codes? given twice/,
      field: "duplicate_codes",
    },
    {
      what: "a code given twice",
      by: [
        `insert into attempts (seq, at, kind, outcome, sale_id, item_id, buyer, user_id, code)
         select (select max(seq) + 1 from attempts), (select max(at) from attempts), kind, outcome,
                sale_id, 6, 'guest', 'thief', code from attempts where code = ${codeOf(3)} and outcome = 'reserved'`,
      ],
      names: /1 codes? given twice/,
      field: "duplicate_codes",
    },
    {
      what: "a purchase after the sale's end",
      by: [
        "update purchases set purchased_at = (select ends_at from sales where id = 1) where item_id = 3",
      ],
      names: /1 purchases? outside the sale's window/,
    },
    {
      what: "a purchase before the sale's opening",
      by: [
        `update purchases set purchased_at = (select starts_at - interval '1 ms' from sales where id = 1)
         where item_id = 3`,
      ],
      names: /1 purchases? outside the sale's window/,
    },
    {
      what: "an acknowledged purchase that is gone",
      by: ["delete from purchases where item_id = 3"],
      names: /1 acknowledged purchases? missing/,
    },
    {
      what: "an attempt that is gone",
      by: ["delete from attempts where outcome = 'released'"],
      names: /1 missing/i,
      inJournal: true,
    },
    {
      what: "a milestone that no attempt says",
      by: ["update milestones set word = 'sale_ended' where word = 'sale_opened'"],
      names: /0 MISSING, 1 milestones WITHOUT AN ATTEMPT/,
      inJournal: true,
    },
    {
      what: "a milestone that is gone",
      by: ["delete from milestones where word = 'sale_opened'"],
      names: /0 milestones WITHOUT AN ATTEMPT, 1 milestones MISSING/,
      inJournal: true,
    },
    {
      what: "a milestone of another sale",
      by: [
        "alter table milestones drop constraint milestones_sale_id_sales_id_fk",
        "update milestones set sale_id = 99 where word = 'sale_opened'",
      ],
      names: /1 milestones WITHOUT AN ATTEMPT, 0 milestones MISSING/,
      inJournal: true,
    },
    {
      what: "a last attempt that is gone",
      by: [
        "update terms set after_seq = 11 where epoch = (select max(epoch) from terms)",
        "delete from attempts where seq = (select max(seq) from attempts)",
      ],
      names: /1 MISSING/,
      inJournal: true,
    },
    {
      what: "a term that began after what was decided in it",
      by: ["update terms set began_at = began_at + interval '1 hour' where after_seq = 0"],
      names: /1 terms OUT OF ORDER/,
      inJournal: true,
    },
    {
      what: "a term that began before the ones before",
      by: ["update terms set after_seq = -1 where epoch = (select max(epoch) from terms)"],
      names: /1 terms OUT OF ORDER/,
      inJournal: true,
    },
    {
      what: "an attempt that is no sale's milestone",
      by: [
        `insert into attempts (seq, at, kind, outcome, request)
         select max(seq) + 1, max(at), 'milestone', 'sold_out', '{"sale_id":1}' from attempts`,
      ],
      names: /1 milestones MISSING/,
      inJournal: true,
    },
  ];

  test.each(tamperings.map((tampering) => [tampering.what, tampering] as const))(
    "%s, and so does the audit over HTTP",
    async (_, { by, names, field, inJournal }) => {
      const url = await postgres.copyOf(sound);
      const clock = new Clock(now + 60_000);
      const { client, sql, stop } = await openShop(url, { clock, terms });
      const audited = async () => accepted(await client.get(`/sales/${saleId}/audit`), audit);
      expect(await audited()).toMatchObject({ ok: true, sold: 3 });
      await change(url, ...by);
      // The audit is taken anew after a second, and not before.
      clock.now += 999;
      expect((await audited()).ok).toBe(true);
      clock.now += 1;
      const found = await audited();
      expect(found.ok).toBe(inJournal === true);
      if (field !== undefined) expect(found[field]).toBe(1);
      const lines: string[] = [];
      expect(await verifyIn(sql, undefined, (line) => lines.push(line))).toBe(false);
      expect(lines.join("\n")).toMatch(names);
      await stop();
    },
  );
});

test("a sale of more units than 32 bits can count is audited, too", async () => {
  const url = await postgres.newRecords();
  const huge = { items: 2_200, unitsPerItem: 1_000_000 };
  const { client, stop } = await openShop(url, { clock: new Clock(now), terms: huge });
  await client.reserveAndBuy("ann");
  const proof = accepted(await client.get(`/sales/${saleId}/audit`), audit);
  expect(proof).toMatchObject({ sold: 1, stock: 2_200_000_000, ok: true });
  await stop();
  expect(await verify(url)).toMatchObject({ exitCode: 0 });
});

test("what was sold by a clock that was ahead is sound, though the sale was ended by an earlier time since", async () => {
  const url = await postgres.copyOf(sound);
  await change(
    url,
    "update sales set closed = true, ends_at = starts_at + interval '1 ms' where id = 1",
    `insert into attempts (seq, at, kind, outcome, sale_id)
     select (select max(seq) + 1 from attempts), starts_at, 'change_sale', 'sale_changed', id
     from sales where id = 1`,
  );
  const sql = connect({ url });
  const lines: string[] = [];
  const isSound = () => verifyIn(sql, saleId, (line) => lines.push(line));
  expect(await isSound()).toBe(true);
  // As if that had come before.
  await sql`update attempts set sale_id = 2 where kind = 'change_sale'`;
  expect(await isSound()).toBe(false);
  expect(lines.at(-1)).toMatch(/3 purchases outside the sale's window/);
  await sql.end();
});

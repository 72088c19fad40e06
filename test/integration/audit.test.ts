/**
 * Each single condition of the audit's verdict, and each kind of row that it is about: records of
 * every way to buy are tampered with so that one thing is off, and nothing else. The command and
 * the path that ask for the audit are in `verify.test.ts`.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import type { Sql } from "postgres";
import { z } from "zod";
import { verify } from "../../src/cli/verify.ts";
import { connect } from "../../src/postgres/client.ts";
import { auditSale, type SaleAudit } from "../../src/store/audit.ts";
import { withQuery } from "../support/client.ts";
import { usePostgres } from "../support/postgres.ts";
import { Clock, openShop } from "../support/shop.ts";
import { newKey, newPerson, newProduct, newSale, orderShape, read } from "../support/storefront.ts";

const postgres = usePostgres();
const now = Date.parse("2030-05-05T10:15:00Z");
const terms = { items: 8, perUserLimit: 2 };
const hourly = 1;
/** A product sale of three items of five units, four a buyer. */
let shop: number;
let sound: string;

/**
 * Of the hour, the guest ann has items 1 and 2, the account ann 3 and 4, and the guest bob 5; item
 * 6 was given back, 7 is reserved, 8 is free. In the shop the account ann has bought one unit of
 * item 1 in two steps, two of item 2 in one, and three of item 3, of which one was reserved before.
 */
beforeAll(async () => {
  sound = await postgres.newRecords();
  const clock = new Clock(now);
  const { client, sql, stop } = await openShop(sound, { clock, terms });
  const ann = await newPerson(sql, client, "ann");
  const boss = await newPerson(sql, client, "boss", "admin");
  const code = z.object({ code: z.string() });
  await client.reserveAndBuy("ann", 1);
  await client.reserveAndBuy("ann", 2);
  for (const id of [3, 4]) {
    const held = read(await ann.ask("POST", `/checkout?id=${id}`), code);
    read(await ann.ask("POST", withQuery("/purchase", { code: held.code })), code);
  }
  await client.reserveAndBuy("bob", 5);
  await client.release((await client.reserve("bob", 6)).code);
  const { code: carls } = await client.reserve("carl", 7);
  read(await client.extend(carls, { ms: 300_000 }, await newKey(boss, "sell")), code);
  const products = [];
  for (const name of ["Lamp", "Chair", "Table"]) products.push(await newProduct(boss, name));
  const [lamp = 0, chair = 0, table = 0] = products;
  const items = products.map((product) => ({ product, stock: 5 }));
  const sale = await newSale(boss, { startsAt: now, endsAt: now + 3_600_000, limit: 6, items });
  shop = sale.id;
  read(await ann.purchase(read(await ann.reserve(shop, 1), code).code), orderShape);
  read(await ann.buy(shop, chair, 2), orderShape);
  await ann.reserve(shop, 3);
  read(await ann.buy(shop, table, 3), orderShape);
  expect(lamp).toBeGreaterThan(0);
  await stop();
});

/** Changes a copy of the sound records, and looks at what has become of them. */
async function tampered<T>(statements: string, look: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = connect({ url: await postgres.copyOf(sound) }, { max: 2 });
  try {
    await sql.unsafe(statements).simple();
    return await look(sql);
  } finally {
    await sql.end();
  }
}

async function report(sql: Sql): Promise<{ isSound: boolean; said: string }> {
  const lines: string[] = [];
  const all = await verify(sql, undefined, (line) => lines.push(line));
  return { isSound: all, said: lines.join("\n") };
}

const audited = async (sql: Sql, sale: number): Promise<SaleAudit> => {
  const audit = await auditSale(sql, sale);
  if (audit === null) throw new Error(`there is no sale ${sale}`);
  return audit;
};

/** Fields that count what must not be. */
type Fault = Exclude<
  keyof SaleAudit,
  | "sale_id"
  | "title"
  | "stock"
  | "sold"
  | "refunded"
  | "per_user_limit"
  | "max_units_one_user"
  | "queue"
  | "ok"
>;

const noNets = `
  alter table purchases drop constraint purchases_unit_in_stock,
    drop constraint purchases_user_in_limit, drop constraint purchases_code_once;
  drop index purchases_buyer_ordinal_once;`;

/** A unit sold with all that there has to be of it: a reservation, an attempt, a purchase. */
function sell(item: number, unit: number, buyer: string, user: string, ordinal: number): string {
  const row = `1, ${item}, '${buyer}', '${user}'`;
  return `
    with last as (select max(seq) as seq, max(at) as at from attempts),
    code as materialized (select gen_random_uuid() as code),
    reserved as (
      insert into attempts (seq, at, kind, outcome, sale_id, item_id, buyer, user_id, code)
      select seq + 1, at, 'checkout', 'reserved', ${row}, code from last, code),
    bought as (
      insert into attempts (seq, at, kind, outcome, sale_id, item_id, buyer, user_id, code)
      select seq + 2, at, 'purchase', 'purchased', ${row}, code from last, code)
    insert into purchases (sale_id, item_id, buyer, user_id, code, seq, reserved_seq, purchased_at,
                           unit, item_stock, user_ordinal, user_limit)
    select ${row}, code, seq + 2, seq + 1, at, ${unit}, 1, ${ordinal}, 2 from last, code;`;
}

const codeOf = (item: number) =>
  `(select code from purchases where sale_id = 1 and item_id = ${item})`;

/** Has bob have bought item 5 at another time, by the journal, too. */
const movedTo = (time: string) => `alter table purchases disable trigger user;
  update attempts set at = ${time} where outcome = 'purchased' and code = ${codeOf(5)};
  update purchases set purchased_at = ${time} where item_id = 5 and sale_id = 1`;

/** A refund of what ann or bob bought of an item, with all that there has to be of it, or not. */
function refund(
  item: number,
  { attempt = true, row = true, unit = true, units = 1, order = "seq" } = {},
): string {
  const of = `from purchases where sale_id = 1 and item_id = ${item} and user_id <> 'eve'`;
  const next = "(select max(seq) + 1 from attempts)";
  const parts = [
    row &&
      `insert into refunds (seq, refunded_at, order_seq, sale_id, units, restocked)
       select ${next}, purchased_at, ${order}, 1, ${units}, true ${of};`,
    unit &&
      `update purchases set refunded_seq = ${next}, freed_seq = ${next}
       where code = (select code ${of});`,
    attempt &&
      `insert into attempts (seq, at, kind, outcome, sale_id, item_id, buyer, user_id, quantity)
       select ${next}, purchased_at, 'refund', 'refunded', 1, ${item}, buyer, user_id, ${units} ${of};`,
  ];
  return parts.filter((part) => part !== false).join("\n");
}

describe("the records as they are", () => {
  test("are sound, whatever way was bought and by whom", async () => {
    const { faults, hour, product } = await tampered("select 1", async (sql) => ({
      faults: await report(sql),
      hour: await audited(sql, hourly),
      product: await audited(sql, shop),
    }));
    expect(faults).toEqual({ isSound: true, said: faults.said });
    expect(hour).toMatchObject({ sold: 5, stock: 8, max_units_one_user: 2, ok: true });
    const back = await tampered(refund(5), async (sql) => await audited(sql, hourly));
    expect(back).toMatchObject({ sold: 4, refunded: 1, ok: true });
    expect(product).toMatchObject({ sold: 6, stock: 15, max_units_one_user: 6, ok: true });
  });
});

describe("one thing that is off in the hour's sale", () => {
  const cases: readonly (readonly [what: string, statements: string, fault: Fault])[] = [
    ["a unit more than an item has", noNets + sell(1, 2, "guest", "eve", 1), "oversold_items"],
    [
      "a unit more than a guest may have",
      noNets + sell(8, 1, "guest", "ann", 3),
      "users_over_limit",
    ],
    [
      "a unit more than an account may have",
      noNets + sell(8, 1, "account", "ann", 3),
      "users_over_limit",
    ],
    [
      "a purchase whose attempt says something else",
      `update attempts set outcome = 'code_expired' where outcome = 'purchased' and code = ${codeOf(5)}`,
      "purchases_without_attempt",
    ],
    [
      "a purchase whose reservation says something else",
      `update attempts set outcome = 'reserved_again' where outcome = 'reserved' and code = ${codeOf(5)}`,
      "purchases_without_reservation",
    ],
    [
      "a purchase in the last millisecond that there is none",
      movedTo("(select ends_at from sales where id = 1)"),
      "purchases_outside_window",
    ],
    [
      "a purchase before the opening",
      movedTo("(select starts_at from sales where id = 1) - interval '1 ms'"),
      "purchases_outside_window",
    ],
    [
      "a purchase that was told and is gone",
      "delete from purchases where sale_id = 1 and item_id = 5",
      "attempts_without_purchase",
    ],
    [
      "a code that was given to two",
      `insert into attempts (seq, at, kind, outcome, sale_id, item_id, buyer, user_id, code)
       select (select max(seq) + 1 from attempts), at, kind, outcome, 1, 8, 'guest', 'eve', code
       from attempts where outcome = 'reserved' and code = ${codeOf(5)}`,
      "duplicate_codes",
    ],
    [
      "a unit that was sold again before it was taken back",
      `alter table purchases drop constraint purchases_unit_once;
       ${sell(5, 1, "guest", "eve", 1)} ${refund(5)}`,
      "units_owned_twice",
    ],
    ["a refund that nobody asked for", refund(5, { attempt: false }), "refunds_without_attempt"],
    [
      "a refund that was told and is gone",
      refund(5, { row: false, unit: false }),
      "attempts_without_refund",
    ],
    ["a refund of nothing", refund(5, { unit: false }), "refunds_miscounted"],
    ["a refund of more units than it says", refund(5, { units: 2 }), "refunds_miscounted"],
    ["a refund of another order", refund(5, { order: "seq - 1" }), "refunds_miscounted"],
    [
      "a unit that is said to be taken back",
      refund(5, { attempt: false, row: false }),
      "refunds_miscounted",
    ],
    [
      "an extension that nobody asked for",
      `insert into extensions (seq, sale_id, reservation_ttl_ms, code, extended_at, due)
       select seq - 1, sale_id, reservation_ttl_ms, code, extended_at, due from extensions`,
      "extensions_without_attempt",
    ],
    [
      "an extension of another code",
      "update extensions set code = gen_random_uuid()",
      "extensions_without_attempt",
    ],
    [
      "an extension that was told and is gone",
      "delete from extensions",
      "attempts_without_extension",
    ],
    [
      "an extension of what was bought before",
      `update attempts set code = ${codeOf(5)} where outcome = 'extended';
       update extensions set code = ${codeOf(5)}`,
      "extensions_beyond_bounds",
    ],
    [
      "an extension for longer than may be",
      `alter table extensions drop constraint extensions_in_bounds;
       update extensions set due = extended_at + interval '15 minutes 1 millisecond'`,
      "extensions_beyond_bounds",
    ],
    [
      "an extension to a time that was past",
      `alter table extensions drop constraint extensions_in_bounds;
       update extensions set due = extended_at`,
      "extensions_beyond_bounds",
    ],
  ];

  test.each(cases)("%s", async (_what, statements, fault) => {
    const { other, after, said } = await tampered(statements, async (sql) => ({
      other: await audited(sql, shop),
      after: await audited(sql, hourly),
      said: await report(sql),
    }));
    const faults = Object.entries(countsOf(after)).filter(([, count]) => count !== 0);
    expect(faults).toEqual([[fault, 1]]);
    expect(after.ok).toBe(false);
    expect(said.isSound).toBe(false);
    // The other sale is not touched by it.
    expect(other.ok).toBe(true);
  });
});

/** The fields of an audit that must be 0. */
function countsOf(audit: SaleAudit): Record<string, number> {
  const {
    sale_id: _,
    title: _title,
    refunded: _refunded,
    stock: _stock,
    sold: _sold,
    per_user_limit: _limit,
    max_units_one_user: _most,
    queue: _queue,
    ok: _ok,
    ...counts
  } = audit;
  return counts;
}

describe("the buyer's kind is part of who bought", () => {
  const cases = [
    ["a purchase", "update purchases set buyer = 'account' where sale_id = 1 and item_id = 5"],
    ["an attempt", `update attempts set buyer = 'account' where code = ${codeOf(5)}`],
  ] as const;

  test.each(cases)("%s that was handed to the other of that name", async (_what, statements) => {
    const audit = await tampered(statements, (sql) => audited(sql, hourly));
    expect(audit).toMatchObject({
      purchases_without_attempt: 1,
      purchases_without_reservation: 1,
      ok: false,
    });
  });
});

describe("units that were bought in one step", () => {
  const buys = "kind = 'buy' and item_id";
  const cases: readonly (readonly [
    what: string,
    statements: string,
    faults: Partial<SaleAudit>,
  ])[] = [
    [
      "one of them gone",
      "delete from purchases where sale_id = $shop and item_id = 2 and unit = 2",
      { attempts_without_purchase: 1 },
    ],
    [
      "all of them gone",
      "delete from purchases where sale_id = $shop and item_id = 2",
      { attempts_without_purchase: 1 },
    ],
    [
      "another number of them",
      `update attempts set quantity = 3 where ${buys} = 2`,
      { attempts_without_purchase: 1 },
    ],
    [
      "another buyer's",
      `update attempts set user_id = 'bob' where ${buys} = 2`,
      { purchases_without_attempt: 2, purchases_without_reservation: 2 },
    ],
    [
      "of another item",
      `update attempts set item_id = 1 where ${buys} = 2`,
      { purchases_without_attempt: 2, purchases_without_reservation: 2 },
    ],
    [
      "in vain",
      `update attempts set outcome = 'item_sold_out' where ${buys} = 3`,
      { purchases_without_attempt: 3 },
    ],
  ];

  test.each(cases)("%s", async (_what, statements, faults) => {
    const { audit, all } = await tampered(
      statements.replaceAll("$shop", String(shop)),
      async (sql) => ({ audit: await audited(sql, shop), all: await report(sql) }),
    );
    expect(audit).toMatchObject({ ...faults, ok: false });
    expect(all.isSound).toBe(false);
  });
});

describe("what no count shows, the ledger notices that is rebuilt from it:", () => {
  const cases: readonly (readonly [what: string, statements: string, said: RegExp])[] = [
    [
      "another code of a unit that was bought with others",
      `update purchases set code = gen_random_uuid() where sale_id = $shop and item_id = 2 and unit = 2`,
      /does not say that order/,
    ],
    [
      "units of two buyers that have changed places",
      `update purchases set unit = 9 - unit, item_stock = item_stock
       where sale_id = $shop and item_id = 3 and unit = 1`,
      /does not say that order/,
    ],
    [
      "a checkpoint that knows of another number of purchases",
      `insert into checkpoints (sale_id, seq, sold, open)
       values (1, (select max(seq) from attempts), 4, '[]')`,
      /purchases are stored, the journal says 4/,
    ],
    [
      "a checkpoint that cannot be read",
      `insert into checkpoints (sale_id, seq, sold, open)
       values (1, (select max(seq) from attempts), 5, '[["x"]]')`,
      /CANNOT BE REBUILT/,
    ],
    [
      "a checkpoint that holds more than there is",
      `insert into checkpoints (sale_id, seq, sold, open)
       values (1, (select max(seq) from attempts), 5,
               '[[1,"00000000-0000-7000-8000-000000000001",8,"guest","x",1,2000000000000,null,null],' ||
               '[2,"00000000-0000-7000-8000-000000000002",8,"guest","y",1,2000000000000,null,null]]')`,
      /its checkpoint has more/,
    ],
  ];

  test.each(cases)("%s", async (_what, statements, said) => {
    const nets = "alter table purchases drop constraint purchases_unit_in_stock;";
    const all = await tampered(nets + statements.replaceAll("$shop", String(shop)), report);
    expect(all).toEqual({ isSound: false, said: expect.stringMatching(said) });
  });
});

describe("the journal as a whole", () => {
  test("has no gap", async () => {
    const all = await tampered("delete from attempts where outcome = 'released'", report);
    expect(all).toEqual({ isSound: false, said: expect.stringContaining("1 MISSING") });
  });

  test("may tell that a clock was set back, and is sound", async () => {
    const back = "update attempts set at = at - interval '1 hour' where outcome = 'released'";
    const all = await tampered(back, report);
    expect(all).toEqual({
      isSound: true,
      said: expect.stringContaining("a clock was set back once"),
    });
  });
});

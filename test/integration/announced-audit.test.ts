/**
 * The audit of what was announced: whatever is changed of a sale by those who may is sound, on whatever
 * way and whatever a clock did meanwhile; what is changed past them is not, nor can it be as long as
 * PostgreSQL sees to it.
 */
import { expect, test } from "bun:test";
import type { ISql, Sql } from "postgres";
import { z } from "zod";
import { verify } from "../../src/cli/verify.ts";
import { auditSale } from "../../src/store/audit.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { Clock } from "../support/shop.ts";
import { newProduct, newSale, openStorefront, read } from "../support/storefront.ts";
import { inTurn, until } from "../support/wait.ts";

const postgres = usePostgres();
const minuteMs = 60_000;
const start = Date.parse("2030-05-05T10:10:00Z");
const iso = (ms: number): string => new Date(ms).toISOString();
const code = z.looseObject({ code: z.string() });

/** A shop with two products, and somebody who administers and somebody who buys. */
async function shop() {
  const url = await postgres.newRecords();
  const clock = new Clock(start);
  const front = await openStorefront(url, clock);
  const [admin, ann] = [await front.person("boss", "admin"), await front.person("ann")];
  const [lamp, chair] = [await newProduct(admin, "Lamp"), await newProduct(admin, "Chair")];
  const announce = () =>
    newSale(admin, {
      startsAt: clock.now + minuteMs,
      endsAt: clock.now + 30 * minuteMs,
      limit: 3,
      items: [{ product: lamp, stock: 5 }],
    });
  const change = async (id: number, what: string, body: object = {}) => {
    const answer = await admin.ask(
      what === "" ? "PATCH" : "POST",
      `/api/admin/flash-sales/${id}${what}`,
      body,
    );
    expect(answer.status).toBe(200);
  };
  return { url, clock, front, admin, ann, lamp, chair, announce, change };
}

async function expectSound(sql: Sql): Promise<void> {
  const lines: string[] = [];
  const isSound = await verify(sql, undefined, (line) => lines.push(line));
  expect({ isSound, lines }).toEqual({ isSound: true, lines });
}

const alteredBy = async (sql: ISql, sale: number) => {
  const audit = await auditSale(sql, sale);
  return { announcement: audit?.announcement_altered, purchases: audit?.purchases_altered };
};

test("a sale that is replaced, opened, moved, restocked, bought from and closed is sound", async () => {
  const { url, clock, front, ann, lamp, chair, announce, change } = await shop();
  const { id } = await announce();
  await change(id, "", { title: "Another", per_user_limit: 4 });
  const items = [
    { product_id: chair, stock: 2, price_cents: 70 },
    { product_id: lamp, stock: 3, price_cents: 30 },
  ];
  await change(id, "", { items });
  await change(id, "/open");
  read(await ann.purchase(read(await ann.reserve(id, 1), code).code), code);
  await change(id, "/restock", { item_id: 1, units: 2 });
  clock.now += minuteMs;
  await change(id, "", { ends_at: iso(clock.now + 5 * minuteMs), title: 'A "third" \\ one' });
  read(await ann.buy(id, lamp, 2), code);
  await change(id, "/restock", { item_id: 1, units: 1 });
  await change(id, "", { ends_at: iso(clock.now + 2 * minuteMs) });
  await ann.reserve(id, 2);
  await change(id, "/close");
  await expectSound(front.sql);
  // And what nobody has changed so is found, each by itself.
  await front.stop();
  const sql = lookInto(url);
  const first = "sale_id = $1 and unit = 1";
  const tamperings = [
    ["update items set stock = stock + 1 where sale_id = $1 and id = 2", 1, 0],
    // It is the purchases of that item that were another number, too.
    ["update items set stock = stock + 1 where sale_id = $1 and id = 1", 1, 3],
    ["update items set price_cents = 1 where sale_id = $1 and id = 2", 1, 0],
    ["update sales set closed = false where id = $1", 1, 0],
    ["update sales set ends_at = ends_at + interval '1 ms' where id = $1", 1, 0],
    ["update sales set starts_at = starts_at - interval '1 ms' where id = $1", 1, 0],
    ["update sales set reservation_ttl_ms = 1 where id = $1", 1, 0],
    ["update items set name = 'Another' where sale_id = $1 and id = 2", 1, 0],
    ["delete from items where sale_id = $1 and id = 2", 1, 0],
    ["update sales set announced = repeat('ab', 32) where id = $1", 1, 0],
    [`update purchases set purchased_at = purchased_at + interval '1 ms' where ${first}`, 0, 1],
    [`update purchases set reserved_seq = reserved_seq - 1 where ${first}`, 0, 1],
    [`update purchases set reserved_seq = 0 where ${first}`, 0, 1],
    ["update purchases set reserved_seq = seq - 1 where sale_id = $1 and unit = 3", 0, 1],
    ["update purchases set reserved_seq = null where sale_id = $1 and unit = 3", 0, 1],
    ["update purchases set item_stock = 3 where sale_id = $1 and item_stock = 5", 0, 2],
  ] as const;
  const undo = new Error("undo");
  await inTurn(tamperings, async ([statement, announcement, purchases]) => {
    const tampering = sql.begin(async (tx) => {
      await inTurn(["sales", "items", "purchases"], (table) =>
        tx.unsafe(`alter table ${table} disable trigger user`),
      );
      await tx.unsafe(statement.replace("$1", String(id)));
      expect({ statement, ...(await alteredBy(tx, id)) }).toEqual({
        statement,
        announcement,
        purchases,
      });
      throw undo;
    });
    await tampering.catch((error: unknown) => {
      if (error !== undo) throw error;
    });
  });
  await expectSound(sql);
});

test("what was opened by a clock that was ahead may be replaced, and be withdrawn, once it is right", async () => {
  const { url, clock, front, announce } = await shop();
  const [first, second] = [await announce(), await announce()];
  await front.stop();
  clock.ahead = 5 * minuteMs;
  const ahead = await openStorefront(url, clock);
  const opened = async () => {
    const [row] = await ahead.sql<{ count: number }[]>`
      select count(*)::int as count from milestones
      where word = 'sale_opened' and sale_id in (${first.id}, ${second.id})`;
    return row?.count === 2;
  };
  await until("both to open", opened);
  await ahead.stop();
  clock.ahead = 0;
  const right = await openStorefront(url, clock);
  const boss = await right.person("boss 2", "admin");
  const path = "/api/admin/flash-sales";
  const moved = { starts_at: iso(clock.now + 2 * minuteMs), per_user_limit: 2 };
  expect((await boss.ask("PATCH", `${path}/${first.id}`, moved)).status).toBe(200);
  expect((await boss.ask("DELETE", `${path}/${second.id}`)).status).toBe(204);
  await expectSound(right.sql);
  clock.now += 3 * minuteMs;
  const ann = await right.person("ann 2");
  read(await ann.purchase(read(await ann.reserve(first.id, 1), code).code), code);
  await right.stop();
  await expectSound(lookInto(url));
});

test("what was reserved by a clock that was ahead may be bought once it is right, before the opening", async () => {
  const { url, clock, front, announce } = await shop();
  const { id } = await announce();
  await front.stop();
  clock.ahead = 5 * minuteMs;
  const ahead = await openStorefront(url, clock);
  const ann = await ahead.person("ann 3");
  const reserved = read(await ann.reserve(id, 1), code).code;
  await ahead.stop();
  clock.ahead = 0;
  const right = await openStorefront(url, clock);
  const path = `/purchase?code=${reserved}`;
  read(await right.client.ask("POST", path, { headers: ann.headers }), code);
  await expectSound(right.sql);
  await right.stop();
  // Nor is the reservation missed when retention has dropped it, and has left what was earlier by the clock.
  const sql = lookInto(url);
  await sql`delete from attempts where seq <= (select reserved_seq from purchases)`;
  await expectSound(sql);
});

test("what a clock that was ahead had sold after the end that was moved since is sound, dropped or not", async () => {
  const { url, clock, front, announce } = await shop();
  const { id } = await announce();
  await front.stop();
  clock.ahead = 20 * minuteMs;
  const ahead = await openStorefront(url, clock);
  const ann = await ahead.person("ann 5");
  read(await ann.purchase(read(await ann.reserve(id, 1), code).code), code);
  await ahead.stop();
  clock.ahead = 0;
  const right = await openStorefront(url, clock);
  const boss = await right.person("boss 5", "admin");
  clock.now += 2 * minuteMs;
  const ends = { ends_at: iso(clock.now + minuteMs) };
  expect((await boss.ask("PATCH", `/api/admin/flash-sales/${id}`, ends)).status).toBe(200);
  await expectSound(right.sql);
  await right.stop();
  const sql = lookInto(url);
  const dropped = await sql`
    delete from attempts where seq <= (select max(seq) from attempts where kind = 'change_sale')`;
  expect(dropped.count).toBeGreaterThan(0);
  await sql`insert into attempts (seq, at, kind, outcome) values (100, now(), 'claim', 'coupon_not_found')`;
  expect(await auditSale(sql, id)).toMatchObject({ purchases_outside_window: 0, ok: true });
});

test("the last attempt is missed where the journal had rested, though nothing else names it", async () => {
  const { url, front } = await shop();
  await front.client.checkout("ann", 99_999);
  const { sql } = front;
  await until("the end to be noted", async () => {
    const [row] = await sql`
      select from leader where last_seq = (select max(seq) from attempts where outcome = 'item_not_found')`;
    return row !== undefined;
  });
  await front.stop();
  await expectSound(lookInto(url));
  await lookInto(url)`delete from attempts where outcome = 'item_not_found'`;
  const lines: string[] = [];
  expect(await verify(lookInto(url), undefined, (line) => lines.push(line))).toBe(false);
  expect(lines.join("\n")).toContain("1 MISSING");
});

test("PostgreSQL refuses what nobody may change of what was sold", async () => {
  const { front, ann, announce, change } = await shop();
  const { id } = await announce();
  await change(id, "/open");
  read(await ann.purchase(read(await ann.reserve(id, 1), code).code), code);
  const refusal = async (statement: string): Promise<string> => {
    try {
      await front.sql.unsafe(statement.replace("$1", String(id)));
    } catch (error) {
      if (error instanceof Error && "constraint_name" in error)
        return String(error.constraint_name);
      throw error;
    }
    return "done";
  };
  const statements = {
    "update sales set ends_at = ends_at + interval '1 ms' where id = $1": "sales_moved_by_attempts",
    "update sales set starts_at = starts_at - interval '1 ms' where id = $1":
      "sales_moved_by_attempts",
    "update sales set closed = true where id = $1": "sales_moved_by_attempts",
    "update items set price_cents = 1 where sale_id = $1": "items_as_sold",
    "update items set name = 'Gold' where sale_id = $1": "items_as_sold",
    "update purchases set purchased_at = now() where sale_id = $1": "purchases_stay",
    "update purchases set reserved_seq = null where sale_id = $1": "purchases_stay",
    "update purchases set item_stock = 9 where sale_id = $1": "purchases_stay",
    "update purchases set seq = 1 where sale_id = $1": "purchases_stay",
    "update milestones set word = 'sale_ended' where sale_id = $1": "milestones_stay",
    "delete from milestones where sale_id = $1": "milestones_go_with_sale",
    "update terms set began_at = now()": "terms_stay",
    "delete from terms": "terms_stay",
  };
  await inTurn(Object.entries(statements), async ([statement, constraint]) => {
    expect({ statement, by: await refusal(statement) }).toEqual({ statement, by: constraint });
  });
  // What is done by those who may still is.
  await change(id, "/restock", { item_id: 1, units: 1 });
  await change(id, "/close");
  await expectSound(front.sql);
});

/**
 * Records that an earlier version wrote: what is stored of sales, purchases, claims and attempts
 * stays what it is when the schema is brought up to date, gets the kind of its buyer, and is sold
 * on from.
 */
import { expect, test } from "bun:test";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Sql } from "postgres";
import { z } from "zod";
import { verify } from "../../src/cli/verify.ts";
import { migrate } from "../../src/store/migrations.ts";
import { refused } from "../support/contract.ts";
import { newFolder } from "../support/leftovers.ts";
import { lookInto, migrationsFolder, usePostgres } from "../support/postgres.ts";
import { Clock, openShop } from "../support/shop.ts";
import { newPerson, orderShape, read, told } from "../support/storefront.ts";
import { inTurn } from "../support/wait.ts";

const postgres = usePostgres();
const tenPast = Date.parse("2030-05-05T10:10:00Z");

const journalShape = z.looseObject({ entries: z.array(z.looseObject({ idx: z.int() })) });

/** The migrations up to a number, as a program of that time had them. */
function earlierMigrations(last: number): string {
  const folder = join(newFolder(), "drizzle");
  cpSync(migrationsFolder, folder, { recursive: true });
  const path = join(folder, "meta", "_journal.json");
  const journal = journalShape.parse(JSON.parse(readFileSync(path, "utf8")));
  const entries = journal.entries.filter(({ idx }) => idx <= last);
  writeFileSync(path, JSON.stringify({ ...journal, entries }));
  return folder;
}

/** A code that can be told from others at a glance. */
const code = (number: number): string =>
  `00000000-0000-7000-8000-${String(number).padStart(12, "0")}`;
const minute = (number: number): string => new Date(tenPast + number * 60_000).toISOString();

type Attempt = {
  readonly kind: string;
  readonly outcome: string;
  readonly at?: number;
  readonly sale?: number;
  readonly item?: number;
  readonly user?: string;
  readonly code?: number;
  readonly key?: string;
  readonly quantity?: number;
  readonly coupon?: string;
};

/** The hour's sale (1) of three items of two, and one of a product (2) of six, both of 4 a user. */
async function fill(sql: Sql): Promise<void> {
  await sql`
    insert into sales (kind, title, starts_at, ends_at, per_user_limit, reservation_ttl_ms, item_count)
    values ('hourly', 'The hour', '2030-05-05T10:00Z', '2030-05-05T11:00Z', 4, 120000, 3),
           ('product', 'Lamps', '2030-05-05T10:00Z', '2030-05-05T12:00Z', 4, 120000, 1)`;
  await sql`insert into products (name, picture_seed, price_cents) values ('Lamp', 'x', 700)`;
  await sql`
    insert into items (sale_id, id, name, picture_seed, price_cents, stock, product_id)
    values (1, 1, 'one', 'a', 100, 2, null), (1, 2, 'two', 'b', 100, 2, null),
           (1, 3, 'three', 'c', 100, 2, null), (2, 1, 'Lamp', 'x', 500, 6, 1)`;
  await sql`
    insert into coupons (id, name, amount, remaining_amount, created_at, seq)
    values (1, 'TEN', 2, 1, ${minute(0)}, 13)`;
}

const attempts: readonly Attempt[] = [
  { kind: "checkout", outcome: "reserved", sale: 1, item: 1, user: "ann", code: 1, key: "k1" },
  { kind: "purchase", outcome: "purchased", sale: 1, item: 1, user: "ann", code: 1 },
  { kind: "checkout", outcome: "reserved", sale: 1, item: 1, user: "bob", code: 2, key: "k2" },
  { kind: "checkout", outcome: "item_reserved", sale: 1, item: 1, user: "eve" },
  // Of a product sale: everybody is an account there.
  { kind: "checkout", outcome: "reserved", sale: 2, item: 1, user: "ann", code: 3, key: "k3" },
  { kind: "purchase", outcome: "purchased", sale: 2, item: 1, user: "ann", code: 3 },
  // Bought in one step beside a reservation that lived on: an earlier version did not sell it.
  { kind: "checkout", outcome: "reserved", sale: 2, item: 1, user: "bob", code: 4 },
  { kind: "buy", outcome: "purchased", sale: 2, item: 1, user: "bob", code: 10, quantity: 2 },
  { kind: "checkout", outcome: "user_limit_reached", sale: 2, item: 1, user: "ann" },
  { kind: "checkout", outcome: "reserved", sale: 1, item: 3, user: "dan", code: 5 },
  { kind: "release", outcome: "released", sale: 1, item: 3, user: "dan", code: 5 },
  { kind: "purchase", outcome: "code_not_found", code: 0 },
  { kind: "create_coupon", outcome: "coupon_created", coupon: "TEN" },
  { kind: "claim", outcome: "claimed", user: "ann", coupon: "TEN", key: "kc" },
  { kind: "change_sale", outcome: "sale_changed", sale: 2 },
  // It ran out before the last attempt, and nobody has taken its unit.
  { kind: "checkout", outcome: "reserved", sale: 1, item: 2, user: "carl", code: 6, at: -5 },
];

async function fillJournal(sql: Sql): Promise<void> {
  await inTurn(attempts, async (one, index) => {
    const { kind, outcome, quantity = null, coupon = null, key = null } = one;
    const user = one.user ?? null;
    const given = one.code === undefined ? null : code(one.code);
    await sql`
      insert into attempts (seq, at, kind, outcome, sale_id, item_id, user_id, code,
                            idempotency_key, request, quantity, coupon_name)
      values (${index + 1}, ${minute(one.at ?? 0)}, ${kind}, ${outcome}, ${one.sale ?? null},
              ${one.item ?? null}, ${user}, ${given}, ${key},
              ${key === null || coupon !== null ? null : `id=${one.item}`}, ${quantity}, ${coupon})`;
  });
  await sql`
    insert into purchases (sale_id, item_id, unit, item_stock, user_id, user_ordinal, user_limit,
                           code, seq, purchased_at)
    values (1, 1, 1, 2, 'ann', 1, 4, ${code(1)}, 2, ${minute(0)}),
           (2, 1, 1, 6, 'ann', 1, 4, ${code(3)}, 6, ${minute(0)}),
           (2, 1, 2, 6, 'bob', 1, 4, ${code(10)}, 8, ${minute(0)}),
           (2, 1, 3, 6, 'bob', 2, 4, ${code(11)}, 8, ${minute(0)})`;
  await sql`
    insert into claims (user_id, coupon_name, ordinal, coupon_amount, idempotency_key, seq, claimed_at)
    values ('ann', 'TEN', 1, 2, 'kc', 14, ${minute(0)})`;
}

/** A database that the version before buyers had kinds has written. */
async function oldRecords(): Promise<string> {
  const url = await postgres.newDatabase();
  await migrate({ url }, earlierMigrations(5));
  const sql = lookInto(url);
  await fill(sql);
  await fillJournal(sql);
  return url;
}

const tables = {
  attempts: "seq",
  purchases: "code",
  claims: "seq",
  sales: "id",
  items: "sale_id, id",
  coupons: "id",
  products: "id",
} as const;
const added = new Set([
  "asked",
  "instance",
  "link",
  "buyer",
  "closed",
  "order_key",
  "order_request",
  "reserved_seq",
]);

async function contents(sql: Sql): Promise<Record<string, Record<string, unknown>[]>> {
  const all: Record<string, Record<string, unknown>[]> = {};
  await inTurn(Object.entries(tables), async ([table, order]) => {
    all[table] = Array.from(
      await sql.unsafe<Record<string, unknown>[]>(`select * from ${table} order by ${order}`),
      (row) => Object.fromEntries(Object.entries(row).filter(([name]) => !added.has(name))),
    );
  });
  return all;
}

test("are kept, each with the kind of its buyer", async () => {
  const url = await oldRecords();
  const sql = lookInto(url);
  const before = await contents(sql);
  await migrate({ url }, migrationsFolder);
  const after = await contents(sql);
  // What a key was used for is beside what it bought now.
  const keys = [
    ["k1", "id=1"],
    ["k3", "id=1"],
    [null, null],
    [null, null],
  ];
  before["purchases"] = (before["purchases"] ?? []).map((row, index) => {
    const [idempotency_key = null, request = null] = keys[index] ?? [];
    const never = { refunded_seq: null, freed_seq: null };
    return Object.assign(row, { idempotency_key, request, ...never });
  });
  before["products"] = (before["products"] ?? []).map((row) =>
    Object.assign(row, { picture: null }),
  );
  // Everybody gets in at once.
  const openToAll = { entry: "open", admit_per_second: null, pass_ttl_ms: null };
  before["sales"] = (before["sales"] ?? []).map((row) => Object.assign(row, openToAll));
  before["sales"] = (before["sales"] ?? []).map((row) =>
    Object.assign(row, {
      end_by_hand: false,
      // What it was then it is held to from then on.
      announced: expect.stringMatching(/^[0-9a-f]{64}$/),
      announced_after_seq: String(attempts.length),
      commitment: null,
    }),
  );
  const whole = { starts_at: null, ends_at: null, disabled: false, changed_seq: null };
  before["coupons"] = (before["coupons"] ?? []).map((row) => Object.assign(row, whole));
  expect(after).toEqual(before);
  const kinds = await sql<{ line: string }[]>`
    select concat_ws(' ', kind, coalesce(user_id, '-'), coalesce(buyer::text, '-')) as line
    from attempts order by seq`;
  expect(kinds.map(({ line }) => line)).toEqual(
    attempts.map(({ kind, user, sale }) => {
      const buyer = user === undefined ? "-" : sale === 2 ? "account" : "guest";
      return `${kind} ${user ?? "-"} ${buyer}`;
    }),
  );
  const bought = await sql`select sale_id, user_id, buyer from purchases order by seq, unit`;
  expect(bought.map((row) => Object.values(row).join(" "))).toEqual([
    "1 ann guest",
    "2 ann account",
    "2 bob account",
    "2 bob account",
  ]);
  expect([...(await sql`select user_id, buyer from claims`)]).toEqual([
    { user_id: "ann", buyer: "guest" },
  ]);
});

test("are sold on from: codes, keys, orders, limits and claims are what they were", async () => {
  const url = await oldRecords();
  const clock = new Clock(tenPast + 30_000);
  const shop = await openShop(url, { clock });
  const { client, sql } = shop;
  const ann = await newPerson(sql, client, "ann");
  const bob = await newPerson(sql, client, "bob");
  const guest = await client.buy(code(1));
  expect(guest).toMatchObject({ order_id: "2", user_id: "ann", buyer: "guest", replayed: true });
  const account = read(await ann.purchase(code(3)), orderShape);
  expect(account).toMatchObject({ order_id: "6", replayed: true });
  refused(await client.purchase(code(3)), "code_not_found");
  const both = read(await bob.purchase(code(11)), orderShape);
  expect(both).toMatchObject({ order_id: "8", codes: [code(10), code(11)], replayed: true });
  expect((await client.reserve("bob", 1, { key: "k2" })).code).toBe(code(2));
  refused(await client.checkout("bob", 2, { key: "k2" }), "idempotency_key_reused");
  refused(await client.checkout("eve", 1), "item_reserved", "retry");
  expect((await client.buy(code(2))).replayed).toBe(false);
  // Late, and it is free.
  expect((await client.buy(code(6))).replayed).toBe(false);
  refused(await client.purchase(code(5)), "code_expired");
  // Bob has two, and one reserved: of four he may have one more, beside that.
  expect(told(await bob.buy(2, 1, 3))).toBe("409 user_limit_reached");
  expect(read(await bob.buy(2, 1, 2), orderShape).codes[0]).toBe(code(4));
  const claim = (user: string, headers = {}) =>
    client.ask("POST", "/api/coupons/claim", {
      body: JSON.stringify({ user_id: user, coupon_name: "TEN" }),
      headers,
    });
  expect(told(await claim("ann"))).toBe("409 already_claimed");
  expect(told(await claim("ann", ann.headers))).toBe("200");
  expect(await client.sale(1)).toMatchObject({ sold: 3, reserved: 0, available: 3 });
  await shop.stop();
  const said: string[] = [];
  const sound = await verify(lookInto(url), undefined, (line) => said.push(line));
  expect({ sound, said }).toEqual({ sound: true, said });
  const again = await openShop(url, { clock });
  expect(await again.client.buy(code(1))).toEqual(guest);
  await again.stop();
});

test("what was extended has the longest that its sale may hold something beside it", async () => {
  const url = await postgres.newDatabase();
  await migrate({ url }, earlierMigrations(8));
  const sql = lookInto(url);
  await fill(sql);
  await sql`
    insert into extensions (seq, sale_id, code, extended_at, due)
    values (1, 1, ${code(1)}, ${minute(0)}, ${minute(15)})`;
  await migrate({ url }, migrationsFolder);
  expect([...(await sql`select seq::int, sale_id, reservation_ttl_ms from extensions`)]).toEqual([
    { seq: 1, sale_id: 1, reservation_ttl_ms: 120_000 },
  ]);
});

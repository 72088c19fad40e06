/**
 * Holding a unit while its buyer pays: `POST /reservations/{code}/extend`, for a merchant's key. When
 * what ends is told by the ledger's own tests; here is who may ask, what is answered, and what is
 * stored of it.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import type { Sql } from "postgres";
import { z } from "zod";
import { Hoarding } from "../../src/access/hoarding.ts";
import { auditSale } from "../../src/store/audit.ts";
import { ledgerOf, pictureOf } from "../support/books.ts";
import type { Ask } from "../support/client.ts";
import { accepted, refused } from "../support/contract.ts";
import { usePostgres } from "../support/postgres.ts";
import { Clock, openShop, type Shop } from "../support/shop.ts";
import {
  newKey,
  newPerson,
  newProduct,
  newSale,
  type Person,
  read,
  told,
} from "../support/storefront.ts";
import { inTurn, until } from "../support/wait.ts";

const postgres = usePostgres();
const minute = 60_000;
const ttlMs = 2 * minute;
const quarterOfAnHour = 15 * minute;
const opens = Date.parse("2030-05-05T10:00:00Z");
const ends = opens + 60 * minute;

let url: string;
let clock: Clock;
let shop: Shop;
let sql: Sql;
let admin: Person;
let ann: Person;
/** Of a key with the scope `sell`. */
let merchant: NonNullable<Ask["headers"]>;

beforeAll(async () => {
  url = await postgres.newRecords();
  clock = new Clock(opens + minute);
  shop = await openShop(url, { clock, terms: { items: 40 } });
  ({ sql } = shop);
  admin = await newPerson(sql, shop.client, "boss", "admin");
  ann = await newPerson(sql, shop.client, "ann");
  merchant = await newKey(admin, "sell");
});

let used = 0;
const reserve = async (user = `user ${used}`) => await shop.client.reserve(user, (used += 1));
const extension = z.strictObject({ code: z.string(), expires_at: z.string() });
const extend = async (code: string, ms: number) =>
  accepted(await shop.client.extend(code, { ms }, merchant), extension);
const time = (ms: number): string => new Date(ms).toISOString();

describe("a reservation that a merchant extends", () => {
  test("ends so long after now, and no sooner than it did", async () => {
    const { code } = await reserve();
    expect(await extend(code, 5 * minute)).toEqual({
      code,
      expires_at: time(clock.now + 5 * minute),
    });
    const { expires_at: same } = await extend(code.toUpperCase(), 1);
    expect(same).toBe(time(clock.now + 5 * minute));
    const { expires_at: most } = await extend(code, quarterOfAnHour);
    expect(most).toBe(time(clock.now + quarterOfAnHour));
  });

  test("is held from everybody else, its end told to them, and bought within it", async () => {
    const { code } = await reserve();
    await extend(code, 10 * minute);
    clock.now += 9 * minute;
    const other = await shop.client.checkout("eve", used);
    refused(other, "item_reserved", "retry");
    expect(z.object({ retry_after_ms: z.int() }).parse(other.json()).retry_after_ms).toBe(minute);
    expect(await shop.client.buy(code)).toMatchObject({ code, replayed: false });
  });

  test("after it had run out is held again where nobody has had its unit", async () => {
    const [back, gone] = [await reserve(), await reserve()];
    clock.now += ttlMs;
    await shop.client.reserve("eve", gone.item.id);
    expect((await extend(back.code, minute)).expires_at).toBe(time(clock.now + minute));
    refused(await shop.client.checkout("eve", back.item.id), "item_reserved", "retry");
    refused(await shop.client.extend(gone.code, { ms: minute }, merchant), "code_expired");
  });

  test("may be anybody's, in either kind of sale", async () => {
    const product = await newProduct(admin, "Lamp");
    const window = { startsAt: clock.now, endsAt: clock.now + 5 * minute };
    const sale = await newSale(admin, { ...window, limit: 1, items: [{ product, stock: 1 }] });
    const held = read(await ann.reserve(sale.id, 1), z.object({ code: z.string() }));
    // Never past the sale's end.
    expect((await extend(held.code, 10 * minute)).expires_at).toBe(time(window.endsAt));
    const mine = z.object({
      reservations: z.array(z.object({ code: z.string(), expires_at: z.string() })),
    });
    expect(read(await ann.get("/reservations"), mine).reservations).toContainEqual(
      expect.objectContaining({ code: held.code, expires_at: time(window.endsAt) }),
    );
  });
});

describe("it is refused", () => {
  test("to whoever has no key with the scope `sell`, before anything is looked at", async () => {
    const { code } = await reserve();
    const reader = await newKey(admin, "read", "manage");
    const ask = async (headers: NonNullable<Ask["headers"]>, body: object = { ms: minute }) =>
      told(await shop.client.extend(code, body, headers));
    expect(await ask({})).toBe("401 unauthenticated");
    expect(await ask({ Authorization: "Bearer sk_nonsense" })).toBe("401 unauthenticated");
    for (const headers of [reader, admin.headers, ann.headers]) {
      expect(await ask(headers)).toBe("403 forbidden");
    }
    expect(await ask({}, { nonsense: 1 })).toBe("401 unauthenticated");
    expect(await ask(merchant)).toBe("200");
  });

  test.each([
    [{}, "ms"],
    [{ ms: 0 }, "ms"],
    [{ ms: quarterOfAnHour + 1 }, "ms"],
    [{ ms: 1.5 }, "ms"],
    [{ ms: "60000" }, "ms"],
    [{ ms: 1, until: "tomorrow" }, "until"],
  ])("for a body like %j, and the field is named", async (body, field) => {
    const answer = await shop.client.extend(crypto.randomUUID(), body, merchant);
    refused(answer, "invalid_request");
    expect(z.object({ detail: z.string() }).parse(answer.json()).detail).toStartWith(`${field} `);
  });

  test("for a code that is none, was never given, was given back or is bought", async () => {
    const ask = (code: string) => shop.client.extend(code, { ms: minute }, merchant);
    refused(await ask("x"), "invalid_request");
    refused(await ask(crypto.randomUUID()), "code_not_found");
    const { code } = await reserve();
    await shop.client.release(code);
    refused(await ask(code), "code_expired");
    const bought = await reserve("somebody");
    await shop.client.buy(bought.code);
    refused(await ask(bought.code), "already_purchased");
  });
});

test("each is stored as an attempt, an extension as what it holds until", async () => {
  const { code, sale_id: sale } = await reserve("journalled");
  await extend(code, 3 * minute);
  await shop.client.release(code);
  await shop.client.extend(code, { ms: 1 }, merchant);
  const attempts = await sql<{ line: string }[]>`
    select concat_ws(' ', kind, outcome, buyer, user_id, sale_id) as line from attempts
    where code = ${code} order by seq`;
  expect(attempts.map(({ line }) => line)).toEqual([
    `checkout reserved guest journalled ${sale}`,
    `extend extended guest journalled ${sale}`,
    `release released guest journalled ${sale}`,
    `extend code_expired guest journalled ${sale}`,
  ]);
  const rows = await sql`
    select x.sale_id, x.due, x.extended_at, a.outcome from extensions x join attempts a using (seq)
    where x.code = ${code}`;
  const due = new Date(clock.now + 3 * minute);
  expect([...rows]).toEqual([
    { sale_id: sale, due, extended_at: new Date(clock.now), outcome: "extended" },
  ]);
  expect(await auditSale(sql, sale)).toMatchObject({ ok: true });
});

test("a process that does not lead counts what is held as the leader does", async () => {
  const standby = await openShop(url, { clock });
  const { code } = await reserve();
  const { code: short } = await reserve();
  await extend(code, 10 * minute);
  await extend(short, ttlMs + 1_000);
  const { id } = await shop.client.openSale();
  await inTurn([0, ttlMs, 2_000, 10 * minute], async (ms) => {
    clock.now += ms;
    const { reserved } = await shop.client.sale(id);
    // It goes by the leader's time, of which it hears four times a second.
    await until("its figure", async () => (await standby.client.sale(id)).reserved === reserved);
  });
  await standby.stop();
});

test("a restart reads it as it was, with what came before and after; and so it ends with the sale", async () => {
  const codes = await inTurn([1, 2, 3, 4], async () => (await reserve()).code);
  const [first = "", second = "", third = ""] = codes;
  await extend(first, 12 * minute);
  clock.now += ttlMs + 1;
  await extend(second, minute);
  await shop.client.buy(first);
  await extend(third, 4 * minute);
  const live = await shop.writer().read(pictureOf);
  const ledger = await ledgerOf(sql, clock.now);
  expect(pictureOf(ledger.view(clock.now))).toEqual(live);
  expect(ledger.check()).toEqual([]);
  await shop.stop();
  shop = await openShop(url, { clock, terms: { items: 40 } });
  clock.now += 3 * minute;
  expect((await extend(third, 2 * minute)).expires_at).toBe(time(clock.now + 2 * minute));
  clock.now = ends - minute;
  expect((await extend(third, quarterOfAnHour)).expires_at).toBe(time(ends));
  clock.now = ends;
  refused(await shop.client.extend(third, { ms: 1 }, merchant), "sale_ended");
});

test("what is extended counts for as long against what its address may hold", () => {
  const hoarding = new Hoarding({ perUserLimit: 1, reservationTtlMs: 100 });
  const asked = { sale: 1, item: 1 } as const;
  const buyer = { kind: "guest", userId: "ann" } as const;
  for (let number = 1; number <= 10; number += 1) {
    const reservation = { code: `c${number}`, buyer, saleId: 1, itemId: number, expiresAt: 100 };
    hoarding.reserved("192.0.2.1", reservation, asked);
  }
  for (let number = 1; number <= 10; number += 1) hoarding.extended(`c${number}`, 500);
  expect(hoarding.waitMs("192.0.2.1", buyer, { sale: 1, item: 11 }, 200)).toBe(300);
  expect(hoarding.waitMs("192.0.2.1", buyer, { sale: 1, item: 11 }, 500)).toBe(0);
});

/**
 * Who buys: a guest and an account of one name are two buyers, in what they may have, in what they
 * are told and in the records. And what a proven buyer is told again, on whatever device.
 */
import { beforeAll, describe, expect, spyOn, test } from "bun:test";
import { SignJWT } from "jose";
import type { Sql } from "postgres";
import { z } from "zod";
import { reservationsPerPageMax } from "../../src/http/schemas.ts";
import type { Client } from "../support/client.ts";
import { withQuery } from "../support/client.ts";
import { accepted, audit, order, refused, reservation } from "../support/contract.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { Clock, jwtSecret, openShop } from "../support/shop.ts";
import {
  newPerson,
  newProduct,
  newSale,
  orderShape,
  type Person,
  read,
  told,
} from "../support/storefront.ts";
import { inTurn, until } from "../support/wait.ts";

const postgres = usePostgres();

let url: string;
let environment: Record<string, string>;
let server: TestServer;
let sql: Sql;
let client: Client;
let admin: Person;
/** An account named Ann. */
let ann: Person;
let bob: Person;

beforeAll(async () => {
  url = await postgres.newRecords();
  environment = { DATABASE_URL: url, JWT_SECRET: jwtSecret, SALE_PER_USER_LIMIT: "2" };
  server = await startServer({ ...environment, SALE_ITEMS: "200" });
  ({ client } = server);
  sql = lookInto(url);
  admin = await newPerson(sql, client, "boss", "admin");
  ann = await newPerson(sql, client, "Ann");
  bob = await newPerson(sql, client, "Bob");
});

/** As `reservation`, with a product's picture. */
const shopReservation = z.object({ code: z.string(), product_id: z.int(), buyer: z.string() });

let used = 0;
/** An item of the hourly sale that no test has used. */
const newItem = (): number => (used += 1);

let people = 0;
const newcomer = (): Promise<Person> => newPerson(sql, client, `person-${(people += 1)}`);

const checkout = (person: Person, id: number | string, more: Record<string, string> = {}) =>
  person.ask("POST", withQuery("/checkout", { id, ...more }));
const purchase = (person: Person, code: string) =>
  person.ask("POST", withQuery("/purchase", { code }));
const release = (person: Person, code: string) =>
  person.ask("DELETE", withQuery("/checkout", { code }));

const reservations = z.object({
  reservations: z.array(reservation.extend({ reserved_at: z.iso.datetime() })),
});
const held = async (person: Person) =>
  accepted(await person.get("/reservations"), reservations).reservations;

/** A product sale that is open now, of one product a stock. */
async function openSale(stocks: readonly number[], limit: number) {
  const items = await inTurn(stocks, async (stock) => ({
    product: await newProduct(admin, "Lamp"),
    stock,
  }));
  const window = { startsAt: Date.now() - 1_000, endsAt: Date.now() + 3_600_000 };
  return await newSale(admin, { ...window, limit, items });
}

describe("a guest and an account of one name", () => {
  test("have a limit each, and purchases each", async () => {
    const items = [newItem(), newItem(), newItem(), newItem()] as const;
    const guest = await client.reserveAndBuy("Ann", items[0]);
    await client.reserve("Ann", items[1]);
    refused(await client.checkout("Ann", items[2]), "user_limit_reached", "retry");
    const first = accepted(await checkout(ann, items[2]), reservation);
    const account = accepted(await purchase(ann, first.code), order);
    const second = accepted(await checkout(ann, items[3], { user_id: "Ann" }), reservation);
    expect([guest, account].map(({ user_id, buyer }) => [user_id, buyer])).toEqual([
      ["Ann", "guest"],
      ["Ann", "account"],
    ]);
    expect(told(await checkout(ann, newItem()))).toBe("409 user_limit_reached");
    // Each is numbered by itself.
    const sold = await sql`
      select buyer, user_id, user_ordinal from purchases where user_id = 'Ann' order by seq`;
    expect([...sold]).toEqual([
      { buyer: "guest", user_id: "Ann", user_ordinal: 1 },
      { buyer: "account", user_id: "Ann", user_ordinal: 1 },
    ]);
    expect((await held(ann)).map(({ code }) => code)).toEqual([second.code]);
    const page = z.object({ purchases: z.array(z.object({ order_id: z.string() })) });
    const mine = read(await ann.get("/api/purchases/my-purchases"), page).purchases;
    expect(mine.map(({ order_id: id }) => id)).toEqual([account.order_id]);
    await release(ann, second.code);
    const proof = accepted(await client.get(`/sales/${guest.sale_id}/audit`), audit);
    expect(proof).toMatchObject({ max_units_one_user: 1, ok: true });
    const tried = await sql<{ buyer: string; outcome: string }[]>`
      select buyer, outcome from attempts where user_id = 'Ann' and kind = 'checkout' order by seq`;
    expect(tried.map(({ buyer, outcome }) => `${buyer} ${outcome}`)).toEqual([
      "guest reserved",
      "guest reserved",
      "guest user_limit_reached",
      "account reserved",
      "account reserved",
      "account user_limit_reached",
    ]);
  });

  test("have a key each", async () => {
    const item = newItem();
    const { code } = await client.reserve("Bob", item, { key: "one" });
    const keyed = { "Idempotency-Key": "one" };
    const other = await bob.ask("POST", `/checkout?id=${newItem()}`, undefined, keyed);
    const mine = accepted(other, reservation);
    expect(mine.code).not.toBe(code);
    expect((await client.reserve("Bob", item, { key: "one" })).code).toBe(code);
    await release(bob, mine.code);
  });

  test("stay two over a restart", async () => {
    const [one, two] = [newItem(), newItem()];
    const carl = await newPerson(sql, client, "Carl");
    const guest = await client.reserve("Carl", one);
    const account = accepted(await checkout(carl, two), reservation);
    await server.kill();
    server = await startServer({ ...environment, PORT: String(server.port) });
    expect((await held(carl)).map(({ code }) => code)).toEqual([account.code]);
    expect(told(await purchase(carl, guest.code))).toBe("200");
    refused(await client.purchase(account.code), "code_not_found");
    expect(accepted(await purchase(carl, account.code), order)).toMatchObject({
      user_id: "Carl",
      buyer: "account",
    });
  });

  test("may each claim a coupon", async () => {
    const made = JSON.stringify({ name: "TWO", amount: 5 });
    await client.ask("POST", "/api/coupons", { body: made });
    const body = { user_id: "Ann", coupon_name: "TWO" };
    const claim = z.object({ user_id: z.string(), buyer: z.string() });
    const claims = async (headers: Record<string, string>) =>
      await client.ask("POST", "/api/coupons/claim", { body: JSON.stringify(body), headers });
    expect(read(await claims({}), claim).buyer).toBe("guest");
    expect(read(await claims(ann.headers), claim).buyer).toBe("account");
    for (const headers of [{}, ann.headers]) {
      expect(told(await claims(headers))).toBe("409 already_claimed");
    }
    const stored = await sql`
      select buyer, user_id from claims where coupon_name = 'TWO' order by ordinal`;
    expect([...stored]).toEqual([
      { buyer: "guest", user_id: "Ann" },
      { buyer: "account", user_id: "Ann" },
    ]);
  });
});

describe("who says to be somebody", () => {
  test("and proves somebody else is refused, and a token that is none is not a guest's", async () => {
    const item = newItem();
    expect(told(await checkout(ann, item, { user_id: "Bob" }))).toBe("403 user_mismatch");
    const headers = { Authorization: "Bearer nonsense" };
    refused(await client.checkout("Ann", item, { headers }), "unauthenticated");
    refused(await client.purchase(crypto.randomUUID(), { headers }), "unauthenticated");
    refused(await client.release(crypto.randomUUID(), { headers }), "unauthenticated");
    refused(await client.get("/reservations", { headers }), "unauthenticated");
    refused(await client.get("/reservations"), "unauthenticated");
    refused(await client.ask("POST", `/checkout?id=${item}`), "invalid_request");
    // What is wrong with the request is said first.
    const wrong = await ann.ask("POST", "/checkout?user_id=Bob&id=x");
    expect(told(wrong)).toBe("400 invalid_request");
    await client.reserveAndBuy("Ann of the test", item);
  });

  test("buys and gives back what is theirs alone; a guest's code is whoever's has it", async () => {
    const mine = accepted(await checkout(ann, newItem()), reservation);
    await inTurn([purchase, release], async (act) => {
      expect(told(await act(bob, mine.code))).toBe("404 code_not_found");
    });
    refused(await client.purchase(mine.code), "code_not_found");
    refused(await client.release(mine.code), "code_not_found");
    expect((await release(ann, mine.code)).status).toBe(204);
    const anyones = await client.reserve("a guest", newItem());
    expect(accepted(await purchase(bob, anyones.code), order)).toMatchObject({
      user_id: "a guest",
      buyer: "guest",
    });
  });

  test("buys in product sales on the paths of the hour too, and a guest does not", async () => {
    const sale = await openSale([2], 2);
    refused(await client.checkout("Ann", 1, { sale: sale.id }), "unauthenticated");
    const mine = accepted(
      await checkout(ann, 1, { sale_id: String(sale.id) }),
      z.object({ code: z.string(), buyer: z.string() }),
    );
    expect(mine.buyer).toBe("account");
    refused(await client.purchase(mine.code), "code_not_found");
    const bought = read(await purchase(ann, mine.code), orderShape);
    expect(read(await ann.purchase(mine.code), orderShape)).toEqual({ ...bought, replayed: true });
    expect(told(await release(ann, mine.code))).toBe("409 already_purchased");
    const back = read(await ann.reserve(sale.id, 1), z.object({ code: z.string() }));
    expect((await release(ann, back.code)).status).toBe(204);
    // The guest's attempt is stored, too.
    const [row] = await sql`
      select buyer, user_id, item_id from attempts
      where sale_id = ${sale.id} and outcome = 'unauthenticated'`;
    expect(row).toEqual({ buyer: "guest", user_id: "Ann", item_id: 1 });
  });
});

test("a token for one sale buys in no other that opens while it is decided", async () => {
  const clock = new Clock(Date.parse("2030-05-05T10:55:00Z"));
  const secret = "a secret that the shop's server shares with us";
  const shop = await openShop(await postgres.newRecords(), {
    clock,
    environment: { USER_TOKEN_SECRET: secret },
  });
  const { id } = await shop.client.openSale();
  const hasNext = () => shop.writer().read((view) => view.sales().length === 2);
  await until("the next sale", hasNext);
  const token = await new SignJWT({ sub: "sara", sale: id, exp: clock.now / 1000 + 600 })
    .setProtectedHeader({ alg: "HS256" })
    .sign(Buffer.from(secret));
  // The hour turns between the look at which sale is open and the decision.
  const { writer } = shop.engine;
  const look = writer.read.bind(writer);
  const turning = spyOn(writer, "read").mockImplementation(async (use) => {
    const found = await look(use);
    clock.now = Date.parse("2030-05-05T11:00:00Z");
    return found;
  });
  const headers = { Authorization: `Bearer ${token}` };
  const answer = await shop.client.ask("POST", "/checkout?id=any", { headers });
  turning.mockRestore();
  expect(told(answer)).toBe("409 sale_not_open");
  await shop.stop();
});

test("a code that is asked for in vain is journalled under itself, and who asked", async () => {
  const codes = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()] as const;
  await client.purchase(codes[0]);
  await purchase(ann, codes[1]);
  await release(ann, codes[2]);
  const sale = await openSale([1], 1);
  const { code } = read(await ann.reserve(sale.id, 1), z.object({ code: z.string() }));
  await client.purchase(code);
  await purchase(bob, code);
  const asked = [...codes, code];
  const rows = await sql<{ code: string; line: string }[]>`
    select code, concat_ws(' ', kind, outcome, buyer, user_id, sale_id) as line from attempts
    where code = any(${`{${asked.join(",")}}`}::uuid[]) and outcome = 'code_not_found' order by seq`;
  expect(rows.map((row) => [row.code, row.line])).toEqual([
    [codes[0], "purchase code_not_found"],
    [codes[1], "purchase code_not_found account Ann"],
    [codes[2], "release code_not_found account Ann"],
    [code, "purchase code_not_found"],
    [code, "purchase code_not_found account Bob"],
  ]);
});

describe("what one holds", () => {
  test("is told to its owner on every device: in a list, and when it is asked for again", async () => {
    const dora = await newcomer();
    const sale = await openSale([1, 1], 1);
    const item = newItem();
    const phone = accepted(await checkout(dora, item), reservation);
    // The only unit of it is theirs.
    const laptop = accepted(await checkout(dora, item), reservation);
    expect(laptop).toEqual(phone);
    const other = read(await dora.reserve(sale.id, 2), shopReservation);
    // Their own reservation fills the limit, and "any" is any of theirs.
    expect(read(await dora.reserve(sale.id, 2), shopReservation)).toEqual(other);
    expect(read(await dora.reserve(sale.id, "any"), shopReservation)).toEqual(other);
    const full = await dora.reserve(sale.id, 1);
    expect(told(full)).toBe("409 user_limit_reached");
    expect(Number(full.headers.get("Retry-After"))).toBeGreaterThan(100);
    const list = z.object({
      reservations: z.array(
        z.object({ code: z.string(), sale_id: z.int(), item: z.object({ id: z.int() }) }),
      ),
    });
    const mine = accepted(await dora.get("/reservations"), list).reservations;
    expect(mine.map(({ code, item: { id } }) => [code, id])).toEqual([
      [phone.code, item],
      [other.code, 2],
    ]);
    expect(accepted(await purchase(dora, laptop.code), order).user_id).toBe(dora.name);
    expect(accepted(await dora.get("/reservations"), list).reservations).toHaveLength(1);
    expect(accepted(await bob.get("/reservations"), list).reservations).toEqual([]);
  });

  test("is on one page of all that is held, in every sale, oldest first", async () => {
    const person = await newcomer();
    const sales = [await openSale([3], 3), await openSale([3], 3)] as const;
    const codes = await inTurn(
      [sales[0], sales[1], sales[0], sales[1], sales[0]],
      async ({ id }) =>
        read(await person.reserve(id, "any", crypto.randomUUID()), shopReservation).code,
    );
    const list = z.object({
      reservations: z.array(z.object({ code: z.string() })),
      next_after: z.int().nullable(),
    });
    const page = async (query: string) => {
      const answer = await person.get(`/reservations${query}`);
      const { reservations: shown, next_after: after } = accepted(answer, list);
      return { shown: shown.map(({ code }) => code), after };
    };
    expect(await page("")).toEqual({ shown: codes, after: null });
    const first = await page("?limit=2");
    expect(first.shown).toEqual(codes.slice(0, 2));
    const second = await page(`?limit=2&after=${first.after}`);
    expect(second.shown).toEqual(codes.slice(2, 4));
    const last = await page(`?limit=2&after=${second.after}`);
    expect(last).toEqual({ shown: codes.slice(4), after: null });
    expect(await page("?limit=5")).toEqual({ shown: codes, after: null });
    for (const query of ["limit=0", `limit=${reservationsPerPageMax + 1}`, "after=-1"]) {
      refused(await person.get(`/reservations?${query}`), "invalid_request");
    }
  });

  test("is not told to a guest of the same name, nor to a guest at all", async () => {
    const item = newItem();
    const { code } = await client.reserve("Emil", item, { key: "mine" });
    const again = await client.checkout("Emil", item);
    refused(again, "item_reserved", "retry");
    expect(again.text).not.toContain(code);
    await client.reserve("Emil", newItem());
    const full = await client.checkout("Emil", "any");
    refused(full, "user_limit_reached", "retry");
    expect(full.text).not.toContain(code);
    expect((await client.reserve("Emil", item, { key: "mine" })).code).toBe(code);
    const emil = await newPerson(sql, client, "Emil");
    const theirs = accepted(await checkout(emil, newItem()), reservation);
    const guest = await client.checkout("Emil", theirs.item.id);
    expect(guest.text).not.toContain(theirs.code);
  });

  test("at the limit, purchases say that it stays so, and reservations until when", async () => {
    const clock = new Clock(Date.parse("2030-05-05T10:15:00Z"));
    const shop = await openShop(await postgres.newRecords(), {
      clock,
      terms: { items: 5, perUserLimit: 2, reservationTtlMs: 100_000 },
    });
    const fred = await newPerson(shop.sql, shop.client, "fred");
    accepted(await checkout(fred, 1), reservation);
    clock.now += 30_000;
    const second = accepted(await checkout(fred, 2), reservation);
    const full = await checkout(fred, 3);
    const soonest = refused(full, "user_limit_reached", "retry").retryAfterMs;
    expect(soonest).toBe(70_000);
    accepted(await purchase(fred, second.code), order);
    expect(refused(await checkout(fred, 3), "user_limit_reached", "retry").retryAfterMs).toBe(
      70_000,
    );
    // After that it is as it was said.
    clock.now += 70_000;
    const third = accepted(await checkout(fred, 3), reservation);
    accepted(await purchase(fred, third.code), order);
    refused(await checkout(fred, 4), "user_limit_reached");
    expect(await held(fred)).toEqual([]);
    await shop.stop();
  });

  test("that has lapsed is in no list, and nobody is told of it", async () => {
    const clock = new Clock(Date.parse("2030-05-05T10:15:00Z"));
    const shop = await openShop(await postgres.newRecords(), { clock, terms: { perUserLimit: 1 } });
    const gina = await newPerson(shop.sql, shop.client, "gina");
    const first = accepted(await checkout(gina, 1), reservation);
    expect((await held(gina)).map(({ expires_at: at }) => at)).toEqual([first.expires_at]);
    clock.now += 120_000;
    expect(await held(gina)).toEqual([]);
    const next = accepted(await checkout(gina, 1), reservation);
    expect(next.code).not.toBe(first.code);
    await shop.stop();
  });
});

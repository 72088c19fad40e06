/**
 * What comes back, raced for, on two real processes, the one that leads and one that stands by: each
 * request goes to the other one than the request before. Every answer is counted, and at the end the
 * records are asked for as much.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import type { Sql } from "postgres";
import { z } from "zod";
import { accepted, audit } from "../support/contract.ts";
import type { Answer } from "../support/client.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { runProgram, startServer, type TestServer } from "../support/server.ts";
import { jwtSecret } from "../support/shop.ts";
import {
  flashSaleShape,
  newPerson,
  newProduct,
  newSale,
  orderShape,
  Person,
  read,
  told,
} from "../support/storefront.ts";
import { inTurn, until, upTo } from "../support/wait.ts";
import { linesOf, offersOf, wait } from "../support/waitlist.ts";

const postgres = usePostgres();
const hourMs = 3_600_000;

let env: Readonly<Record<string, string>>;
let servers: readonly TestServer[];
let sql: Sql;
let admin: Person;
let crowd: readonly Person[];
let product: number;

beforeAll(async () => {
  const url = await postgres.newRecords();
  const ttl = { RESERVATION_TTL_MS: "1000" };
  env = { DATABASE_URL: url, JWT_SECRET: jwtSecret, SALE_ITEMS: "40", ...ttl };
  servers = [await startServer(env), await startServer(env)];
  sql = lookInto(url);
  const { client } = serverOf(0);
  admin = await newPerson(sql, client, "boss", "admin");
  crowd = await Promise.all(upTo(20).map((n) => newPerson(sql, client, `person ${n}`)));
  product = await newProduct(admin, "Wanted");
});

function serverOf(nth: number): TestServer {
  const server = servers[nth % servers.length];
  if (server === undefined) throw new Error("no server was started");
  return server;
}

/** Somebody at the process whose turn it is. */
const at = (nth: number, { name, headers }: Person): Person =>
  Object.assign(new Person(name, serverOf(nth).client, null), { headers });

/** The one of the crowd whose turn it is, there. */
function buyer(nth: number): Person {
  const of = crowd[nth % crowd.length];
  if (of === undefined) throw new Error("nobody is there");
  return at(nth, of);
}

const openSale = (stock: number, limit = 1) =>
  newSale(admin, {
    startsAt: Date.now() - 1_000,
    endsAt: Date.now() + hourMs,
    limit,
    items: [{ product, stock }],
  });

/** How often each answer was given. */
const counted = (answers: readonly Answer[]): Record<string, number> =>
  answers.map(told).reduce<Record<string, number>>((of, word) => {
    of[word] = (of[word] ?? 0) + 1;
    return of;
  }, {});

const refund = (nth: number, order: string, body: object, key?: string): Promise<Answer> =>
  at(nth, admin).post(
    `/api/admin/orders/${order}/refund`,
    body,
    key === undefined ? {} : { "Idempotency-Key": key },
  );

const shown = async (id: number) => read(await admin.get(`/api/flash-sales/${id}`), flashSaleShape);

const proofOf = async (id: number) =>
  accepted(await admin.get(`/sales/${id}/audit`), audit.extend({ refunded: z.int() }));

/** What the records have of a sale: units sold, and units taken back. */
async function recorded(id: number): Promise<object> {
  const [row] = await sql`
    select count(*)::int as bought, count(refunded_seq)::int as refunded
    from purchases where sale_id = ${id}`;
  return { ...row };
}

describe("twenty refunds of one order at once", () => {
  for (const [what, key, words] of [
    ["take it back once", undefined, { "200": 1, "409 already_refunded": 19 }],
    ["with one key are one, told twenty times", "the same", { "200": 20 }],
  ] as const) {
    test(what, async () => {
      const sale = await openSale(3, 3);
      const { order_id: order } = read(await buyer(0).buy(sale.id, product, 3), orderShape);
      const body = { restock: true, reason: "Raced for" };
      const answers = await Promise.all(upTo(20).map((nth) => refund(nth, order, body, key)));
      expect(counted(answers)).toEqual({ ...words });
      const replies = answers.filter(({ status }) => status === 200);
      const isReplayed = z.object({ replayed: z.boolean(), refunded_quantity: z.literal(3) });
      expect(replies.filter((one) => !read(one, isReplayed).replayed)).toHaveLength(1);
      expect(await recorded(sale.id)).toEqual({ bought: 3, refunded: 3 });
      expect(await shown(sale.id)).toMatchObject({ sold: 0, available: 3 });
      expect(await proofOf(sale.id)).toMatchObject({ sold: 0, refunded: 3, ok: true });
      const feed = z.object({
        events: z.array(z.looseObject({ type: z.string(), data: z.any() })),
      });
      const { events } = read(await admin.get("/api/admin/feed?limit=500"), feed);
      const taken = events.filter(
        (one) => one.type === "order.refunded" && one.data.order_id === order,
      );
      expect(taken).toHaveLength(1);
    });
  }
});

test("a refund against nineteen buyers of its unit sells it to one of them, ten times", async () => {
  const sale = await openSale(1, 50);
  let { order_id: order } = read(await buyer(0).buy(sale.id, product), orderShape);
  for (const round of upTo(10)) {
    let isBack = false;
    const back = refund(round, order, { restock: true }).finally(() => (isBack = true));
    // Over the moment at which it is taken back, and once after it.
    const rush = upTo(19).map(async (nth) => {
      const answers: Answer[] = [];
      for (let isLast = false; !isLast;) {
        isLast = isBack;
        // oxlint-disable-next-line no-await-in-loop
        answers.push(await buyer(nth).buy(sale.id, product));
      }
      return answers;
    });
    // oxlint-disable-next-line no-await-in-loop
    const [refunded, answers] = await Promise.all([back, Promise.all(rush)]);
    expect(told(refunded)).toBe("200");
    const all = answers.flat();
    expect(counted(all)).toEqual({ "200": 1, "409 item_sold_out": all.length - 1 });
    // oxlint-disable-next-line no-await-in-loop
    expect(await shown(sale.id)).toMatchObject({ sold: 1, available: 0 });
    const next = all.find(({ status }) => status === 200);
    order = read(next ?? refunded, orderShape).order_id;
  }
  expect(await recorded(sale.id)).toEqual({ bought: 11, refunded: 10 });
  expect(await proofOf(sale.id)).toMatchObject({ sold: 1, refunded: 10, ok: true });
});

test("a restock at the last unit against twenty buyers sells each unit to one", async () => {
  const sale = await openSale(1);
  const path = `/api/admin/flash-sales/${sale.id}/restock`;
  const asked = upTo(25).map((nth) =>
    nth % 5 === 0
      ? at(nth, admin).post(path, { item_id: 1, units: 2 })
      : buyer(nth - Math.floor(nth / 5)).buy(sale.id, product),
  );
  const answers = await Promise.all(asked);
  const stocked = answers.filter((_, index) => (index + 1) % 5 === 0);
  expect(counted(stocked)).toEqual({ "200": 5 });
  const {
    "200": bought = 0,
    "409 item_sold_out": refused = 0,
    ...others
  } = counted(answers.filter((_, index) => (index + 1) % 5 !== 0));
  expect(others).toEqual({});
  expect(bought + refused).toBe(20);
  expect(bought).toBeGreaterThan(0);
  // Eleven units for twenty people: who was too early comes again.
  const again = await Promise.all(crowd.map((_, nth) => buyer(nth).buy(sale.id, product)));
  expect(counted(again)["200"] ?? 0).toBe(11 - bought);
  expect(await shown(sale.id)).toMatchObject({ stock: 11, sold: 11, available: 0 });
  expect(await recorded(sale.id)).toEqual({ bought: 11, refunded: 0 });
  expect(await proofOf(sale.id)).toMatchObject({ max_units_one_user: 1, ok: true });
});

/** Who waits for an item that a guest holds, and those who want it as soon as it is free. */
async function waitedFor(item: number) {
  const { id } = await serverOf(item).client.openSale();
  const { code, expires_at: end } = await serverOf(item).client.reserve(`guest ${item}`, item);
  await wait(buyer(item), id, item);
  const rush = (wave: number) =>
    Promise.all(upTo(30).map((nth) => serverOf(nth).client.checkout(`rush ${wave} ${nth}`, item)));
  return { id, code, end, rush };
}

describe("an offer against thirty checkouts", () => {
  test("for what is given back is won by the offer, each of ten times", async () => {
    for (const item of upTo(10)) {
      // oxlint-disable-next-line no-await-in-loop
      const { id, code, rush } = await waitedFor(item);
      const back = serverOf(item + 1).client.release(code);
      // oxlint-disable-next-line no-await-in-loop
      const [released, answers] = await Promise.all([back, rush(1)]);
      expect(released.status).toBe(204);
      expect(counted(answers)).toEqual({ "409 item_reserved": 30 });
      // oxlint-disable-next-line no-await-in-loop
      const [offer] = await offersOf(buyer(item));
      // oxlint-disable-next-line no-await-in-loop
      expect(told(await buyer(item).ask("POST", `/purchase?code=${offer}`))).toBe("200");
      // oxlint-disable-next-line no-await-in-loop
      expect(await linesOf(buyer(item), id)).toEqual([]);
    }
  });

  test("for what lapses is won by the offer, whenever they come", async () => {
    const item = 11;
    const { id, end, rush } = await waitedFor(item);
    const waves: Answer[] = [];
    // Wave upon wave, over the moment at which it lapses.
    for (let wave = 1; Date.now() < Date.parse(end) + 250; wave += 1) {
      // oxlint-disable-next-line no-await-in-loop
      waves.push(...(await rush(wave)));
    }
    expect(counted(waves)).toEqual({ "409 item_reserved": waves.length });
    const offered = await until("the offer", async () => {
      const [line] = await linesOf(buyer(item), id);
      return line?.offer;
    });
    expect(told(await buyer(item).ask("POST", `/purchase?code=${offered.code}`))).toBe("200");
  });

  test("that fill the limit of who waits leaves it to the next, and no limit is passed", async () => {
    const [first, second] = [buyer(0), buyer(1)];
    const sale = await newSale(admin, {
      startsAt: Date.now() - 1_000,
      endsAt: Date.now() + hourMs,
      items: [
        { product, stock: 1 },
        { product: await newProduct(admin, "Less wanted"), stock: 30 },
      ],
    });
    const { code } = read(await buyer(2).reserve(sale.id, 1), z.looseObject({ code: z.uuid() }));
    await inTurn([first, second], (one) => wait(one, sale.id, 1));
    const asked = upTo(30).map((nth) =>
      nth === 15
        ? buyer(2).ask("DELETE", `/checkout?code=${code}`)
        : at(nth, first).reserve(sale.id, 2, `${nth}`),
    );
    const answers = await Promise.all(asked);
    const back = answers.splice(14, 1);
    expect(counted(back)).toEqual({ "204": 1 });
    const mine = await offersOf(first);
    const theirs = await until("somebody's offer", async () => {
      const found = await offersOf(second);
      return (mine.length > 0 || found.length > 0) && found;
    });
    expect(mine.length + theirs.length).toBe(1);
    // One unit at a time: what was offered, or what was reserved, told again.
    const { "409 user_limit_reached": full = 0, "200": reserved = 0, ...more } = counted(answers);
    expect(more).toEqual({});
    expect(full + reserved).toBe(29);
    const codes = answers.flatMap((one) =>
      one.status === 200 ? [read(one, z.looseObject({ code: z.uuid() })).code] : [],
    );
    expect(new Set(codes).size + mine.length).toBeLessThanOrEqual(1);
  });
});

test("all of it is sound in the records", async () => {
  for (const server of servers.toReversed()) expect(await server.stop()).toBe(0);
  expect((await runProgram(["verify"], env)).exitCode).toBe(0);
});

/**
 * Fifty people after five units, in the real process: in one step and in two, with the process
 * killed in the middle, and everything that anybody was told kept.
 */
import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { accepted, audit } from "../support/contract.ts";
import { Client } from "../support/client.ts";
import { expectSound } from "../support/crowd.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { jwtSecret } from "../support/shop.ts";
import { runProgram, startServer, type TestServer } from "../support/server.ts";
import {
  flashSaleShape,
  newPerson,
  newProduct,
  newSale,
  orderShape,
  type Person,
  read,
  told,
} from "../support/storefront.ts";
import { until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const people = 50;
const stock = 5;

type Told = { readonly person: string; readonly codes: readonly string[]; readonly order: string };

/** A process, fifty people, and a sale; the process may be killed and started again. */
async function gather(limit: number) {
  const url = await postgres.newRecords();
  const env = { DATABASE_URL: url, JWT_SECRET: jwtSecret };
  let server: TestServer = await startServer(env);
  const client = new Client(() => server.url);
  const sql = lookInto(url);
  const admin = await newPerson(sql, client, "boss", "admin");
  const crowd = await Promise.all(
    upTo(people).map((number) => newPerson(sql, client, `person-${number}`)),
  );
  const product = await newProduct(admin, "Wanted");
  const now = Date.now();
  const window = { startsAt: now - 1_000, endsAt: now + 3_600_000 };
  const sale = await newSale(admin, { ...window, limit, items: [{ product, stock }] });
  const restart = async (): Promise<void> => {
    await server.kill();
    server = await startServer(env);
  };
  return { url, client, sql, crowd, product, saleId: sale.id, restart, stop: () => server.stop() };
}

type Gathering = Awaited<ReturnType<typeof gather>>;

/** Asks until there is an answer that counts. */
const answered = async (ask: () => ReturnType<Person["get"]>) =>
  await until("an answer", async () => {
    const answer = await ask().catch(() => null);
    return answer !== null && answer.status !== 503 && answer;
  });

/** One person in two steps: told an order, or that there is nothing more. */
async function inTwoSteps(person: Person, saleId: number): Promise<Told | null> {
  const key = crypto.randomUUID();
  const held = await answered(() => person.reserve(saleId, "any", key));
  if (held.status !== 200) return null;
  const { code } = read(held, z.object({ code: z.string() }));
  const bought = await answered(() => person.purchase(code));
  if (bought.status !== 200) return null;
  const order = read(bought, orderShape);
  return { person: person.name, codes: order.codes, order: order.order_id };
}

/** One person in one step: a lost answer is asked for again, with the same key. */
async function inOneStep(person: Person, saleId: number, product: number): Promise<Told | null> {
  const body = { flash_sale_id: saleId, product_id: product, quantity: 1 };
  const keyed = { "Idempotency-Key": `of ${person.name}` };
  const bought = await answered(() => person.post("/api/purchases", body, keyed));
  if (bought.status !== 200) return null;
  const order = read(bought, orderShape);
  return { person: person.name, codes: order.codes, order: order.order_id };
}

async function expectSold({ client, sql, url, crowd, saleId, stop }: Gathering, all: Told[]) {
  const stored = await sql<{ code: string; seq: string; user_id: string }[]>`
    select code, seq, user_id from purchases where sale_id = ${saleId}`;
  const byCode = new Map(stored.map((row) => [row.code, row]));
  for (const { person, codes, order } of all) {
    for (const code of codes) {
      expect(byCode.get(code)).toEqual({ code, seq: order, user_id: person });
    }
  }
  await expectSound(sql);
  const shown = read(await client.get(`/api/flash-sales/${saleId}`), flashSaleShape);
  expect(shown.sold).toBe(stored.length);
  // Each is told the same again.
  for (const { person, codes, order } of all) {
    const buyer = crowd.find(({ name }) => name === person);
    const again = read(await answered(() => buyer!.purchase(codes[0] ?? "")), orderShape);
    expect(again).toMatchObject({ order_id: order, codes, replayed: true });
  }
  const proof = accepted(await client.get(`/sales/${saleId}/audit`), audit);
  expect(proof).toMatchObject({ stock, sold: stored.length, max_units_one_user: 1, ok: true });
  await stop();
  const verified = await runProgram(["verify"], { DATABASE_URL: url });
  expect(verified.exitCode).toBe(0);
  return stored.length;
}

describe("fifty people after five units", () => {
  test("in one step: exactly five are sold, one to a person", async () => {
    const sale = await gather(1);
    const { crowd, saleId, product } = sale;
    const all = await Promise.all(crowd.map((person) => inOneStep(person, saleId, product)));
    const orders = all.filter((one) => one !== null);
    expect(orders).toHaveLength(stock);
    expect(await expectSold(sale, orders)).toBe(stock);
  });

  test("in two steps: exactly five are sold, one to a person", async () => {
    const sale = await gather(1);
    const all = await Promise.all(sale.crowd.map((person) => inTwoSteps(person, sale.saleId)));
    const orders = all.filter((one) => one !== null);
    expect(orders).toHaveLength(stock);
    expect(await expectSold(sale, orders)).toBe(stock);
  });

  test("each buying twice at once gets one", async () => {
    const sale = await gather(1);
    const { crowd, saleId, product } = sale;
    const [greedy] = crowd;
    const answers = await Promise.all(upTo(20).map(() => greedy!.buy(saleId, product)));
    const words = answers.map(told).toSorted();
    expect(words).toEqual(["200", ...upTo(19).map(() => "409 user_limit_reached")]);
    await sale.stop();
  });
});

describe("killed in the middle", () => {
  test("in two steps nothing that was told is lost, and all five are sold", async () => {
    const sale = await gather(1);
    const { crowd, saleId, restart } = sale;
    const first = Promise.withResolvers<void>();
    const shopping = crowd.map(async (person) => {
      const one = await inTwoSteps(person, saleId);
      if (one !== null) first.resolve();
      return one;
    });
    await first.promise;
    await restart();
    const all = (await Promise.all(shopping)).filter((one) => one !== null);
    expect(await expectSold(sale, all)).toBe(stock);
    expect(all).toHaveLength(stock);
  });

  test("in one step nothing that was told is lost, and what was not told is told again", async () => {
    const sale = await gather(1);
    const { crowd, saleId, product, restart, client } = sale;
    const first = Promise.withResolvers<void>();
    const shopping = crowd.map(async (person, index) => {
      // Some come when the process is gone, and some when it is back.
      if (index >= 10) await first.promise;
      const one = await inOneStep(person, saleId, product);
      if (one !== null) first.resolve();
      return one;
    });
    await first.promise;
    await restart();
    const all = (await Promise.all(shopping)).filter((one) => one !== null);
    expect(all).toHaveLength(stock);
    // Whoever asks again is told the same.
    const again = await Promise.all(crowd.map((person) => inOneStep(person, saleId, product)));
    expect(new Set(again.filter((one) => one !== null).map(({ order }) => order))).toEqual(
      new Set(all.map(({ order }) => order)),
    );
    const shown = read(await client.get(`/api/flash-sales/${saleId}`), flashSaleShape);
    expect(shown).toMatchObject({ sold: stock, available: 0 });
    const history = z.object({ purchases: z.array(orderShape.partial()) });
    const orders = await Promise.all(
      crowd.map(
        async (person) =>
          read(await person.get("/api/purchases/my-purchases"), history).purchases.length,
      ),
    );
    expect(orders.reduce((sum, count) => sum + count, 0)).toBe(stock);
    expect(await expectSold(sale, all)).toBe(stock);
  });
});

/** `stampede user erase`: a name that is nowhere any more, while figures and promises stay. */
import { expect, test } from "bun:test";
import { AccountClient, expectRefusal } from "../support/accounts.ts";
import type { Client } from "../support/client.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { type Environment, runProgram, startServer } from "../support/server.ts";
import { inTurn, until } from "../support/wait.ts";

const postgres = usePostgres();
const password = "a good password";
const name = "Wilhelmina";

const erase = (who: string, env: Environment) => runProgram(["user", "erase", who], env);

const post = (client: Client, path: string, body: object) =>
  client.ask("POST", path, {
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });

/** Tables in which the name still stands. */
async function tablesWith(url: string, text: string): Promise<string[]> {
  const sql = lookInto(url, 1);
  const tables = await sql<{ name: string }[]>`
    select c.relname as name from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'`;
  const found = await inTurn(tables, async (table) => {
    const [row] = await sql`
      select from ${sql(table.name)} t where position(lower(${text}) in lower(t::text)) > 0 limit 1`;
    return row === undefined ? [] : [table.name];
  });
  return found.flat();
}

test("a name is taken out of records and memory on every process; figures and limits stay", async () => {
  const env = { DATABASE_URL: await postgres.newRecords(), SALE_PER_USER_LIMIT: "2" };
  await using leader = await startServer(env);
  await using standby = await startServer(env);
  const { client } = leader;
  const { id: saleId } = await client.openSale();
  const orders = [await client.reserveAndBuy(name, 1), await client.reserveAndBuy(name, 2)];
  const held = await client.reserve("somebody else", 3);
  await post(client, "/api/coupons", { name: "PROMO", amount: 3 });
  await post(client, "/api/coupons/claim", { user_id: name, coupon_name: "PROMO" });
  const accounts = new AccountClient(() => standby.url);
  await accounts.register(name, password);
  const session = await accounts.enter(name, password);
  const bought = await client.ask("POST", "/checkout?id=4", { headers: session.headers });
  expect({ status: bought.status, text: bought.text }).toMatchObject({ status: 200 });
  expect((await standby.client.get("/api/coupons/PROMO")).text).toContain(name);
  const before = await client.sale(saleId);

  // In any case of an account's letters, and whatever is around it.
  const erased = await erase(` ${name} `, env);
  expect(erased).toMatchObject({ exitCode: 0, log: "" });
  const pseudonym = /erased-[0-9a-f-]{36}/.exec(erased.output)?.[0] ?? "";
  expect(erased.output).toContain("2 of purchases");
  expect(await tablesWith(env.DATABASE_URL, name)).toEqual([]);

  await inTurn([leader, standby], async ({ client: one }) => {
    await until("its selling", async () => (await one.get("/ready")).status === 200);
    await inTurn(orders, async ({ code, order_id }) => {
      expect(await one.buy(code)).toMatchObject({ user_id: pseudonym, order_id, replayed: true });
    });
    await until("its figures", async () => {
      const coupon = await one.get("/api/coupons/PROMO");
      return coupon.text.includes(pseudonym) && !coupon.text.includes(name);
    });
    const { sold, stock } = await one.sale(saleId);
    expect({ sold, stock }).toEqual({ sold: before.sold, stock: before.stock });
  });
  expectRefusal(await accounts.login(name, password), 401, "invalid_credentials");
  expectRefusal(await accounts.me(session.headers), 401, "unauthenticated");
  // One claim a buyer, and so many units: of whoever it is that has them.
  const again = { user_id: pseudonym, coupon_name: "PROMO" };
  expect((await post(client, "/api/coupons/claim", again)).text).toContain("already_claimed");
  expect((await client.checkout(pseudonym, 5)).text).toContain("user_limit_reached");
  expect(await client.buy(held.code)).toMatchObject({ user_id: "somebody else", replayed: false });

  // Whoever leads next has not kept it either.
  await leader.kill();
  await until("the next leader", async () => {
    const ready = await standby.client.get("/ready");
    return ready.status === 200 && ready.text.includes('"leader"');
  });
  await inTurn(orders, async ({ code }) => {
    expect(await standby.client.buy(code)).toMatchObject({ user_id: pseudonym, replayed: true });
  });
  await standby.client.reserveAndBuy("somebody new", 6);
  expect(await standby.stop()).toBe(0);
  expect(await tablesWith(env.DATABASE_URL, name)).toEqual([]);
  expect(await runProgram(["verify"], env)).toMatchObject({ exitCode: 0 });
});

test("a name that nobody has, one that is none, and the last who administrates are refused", async () => {
  const env = { DATABASE_URL: await postgres.newRecords() };
  expect(await erase("nobody", env)).toMatchObject({
    exitCode: 1,
    log: "stampede: Nobody is called nobody.\n",
  });
  expect(await erase(" ", env)).toMatchObject({ exitCode: 2 });
  await runProgram(["user", "create", "root", "--role", "admin"], env, password);
  const last = await erase("ROOT", env);
  expect(last.exitCode).toBe(1);
  expect(last.log).toContain("the last who administrates");
  const sql = lookInto(env.DATABASE_URL, 1);
  const [root] = await sql`select username, disabled from users`;
  expect(root).toEqual({ username: "root", disabled: false });
});

/** `stampede seed --demo`, as a user runs it: without a server, beside one, and twice. */
import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { createAccount } from "../../src/access/accounts.ts";
import { Passwords } from "../../src/access/passwords.ts";
import { openDb } from "../../src/store/db.ts";
import { AccountClient, expectRefusal } from "../support/accounts.ts";
import type { Client } from "../support/client.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { runProgram, startServer } from "../support/server.ts";
import { flashSaleShape, Person, read, told } from "../support/storefront.ts";
import { until } from "../support/wait.ts";

const postgres = usePostgres();
const password = "Satu123";
const salePage = z.object({ flash_sales: z.array(flashSaleShape) });
const products = z.object({ products: z.array(z.object({ name: z.string() })) });
const demo = z.object({ demo: z.boolean() });

async function expectDemo(client: Client): Promise<void> {
  expect(read(await client.get("/api/meta"), demo).demo).toBe(true);
  for (const [status, sold] of [
    ["active", 0],
    ["upcoming", 0],
    ["ended", 2],
  ] as const) {
    const { flash_sales: sales } = read(
      await client.get(`/api/flash-sales?status=${status}`),
      salePage,
    );
    expect(sales).toMatchObject([{ status, sold }]);
  }
  const shown = read(await client.get("/api/products?limit=100"), products);
  expect(shown.products).toHaveLength(24);
  for (const [name, amount] of [
    ["FLASH_SALE_2024", 5],
    ["PROMO_SUPER", 100],
  ] as const) {
    expect((await client.get(`/api/coupons/${name}`)).json()).toMatchObject({ name, amount });
  }
  for (const [username, role] of [
    ["admin", "admin"],
    ["user1", "user"],
    ["user2", "user"],
  ] as const) {
    const body = JSON.stringify({ username, password });
    const answer = await client.ask("POST", "/api/auth/login", { body });
    expect(answer.json()).toMatchObject({ user: { username, role } });
  }
}

async function logIn(client: Client, username: string): Promise<Person> {
  const body = JSON.stringify({ username, password });
  const answer = await client.ask("POST", "/api/auth/login", { body });
  return new Person(username, client, read(answer, z.object({ token: z.string() })).token);
}

describe("the demo", () => {
  test("is made while no server runs, and only once", async () => {
    const env = { DATABASE_URL: await postgres.newDatabase() };
    const first = await runProgram(["seed", "--demo"], env);
    expect([first.exitCode, first.log]).toEqual([0, ""]);
    expect(first.output).toContain("24 products");
    const second = await runProgram(["seed", "--demo"], env);
    expect(second.exitCode).toBe(0);
    expect(second.output).toContain("nothing was changed");
    await using server = await startServer(env);
    await expectDemo(server.client);
    const third = await runProgram(["seed", "--demo"], env);
    expect(third.output).toContain("nothing was changed");
    await server.stop();
    const verified = await runProgram(["verify"], env);
    expect([verified.exitCode, verified.output]).toEqual([0, expect.stringContaining("ok")]);
  });

  test("is made through the server that runs, guarded or not, which sells it at once", async () => {
    const env = { DATABASE_URL: await postgres.newRecords(), ACCESS: "guarded" };
    await using server = await startServer(env);
    const { client } = server;
    expect(read(await client.get("/api/meta"), demo).demo).toBe(false);
    const made = await runProgram(["seed", "--demo"], env);
    expect([made.exitCode, made.log]).toEqual([0, ""]);
    await expectDemo(client);
    const user = await logIn(client, "user1");
    const { flash_sales: open } = read(
      await client.get("/api/flash-sales?status=active"),
      salePage,
    );
    const [sale] = open;
    expect(told(await user.buy(sale?.id ?? 0, sale?.items[0]?.product_id ?? 0, 2))).toBe("200");
    // The server led all the time.
    expect((await client.get("/ready")).json()).toMatchObject({ role: "leader", epoch: 1 });
  });

  test("leaves passwords as they are, and states none that does not work", async () => {
    const env = { DATABASE_URL: await postgres.newRecords() };
    const sql = lookInto(env.DATABASE_URL);
    const passwords = new Passwords();
    const own = { username: "user1", password: "a good password", role: "user" } as const;
    await createAccount(openDb(sql), passwords, own);
    const made = await runProgram(["seed", "--demo"], env);
    expect([made.exitCode, made.log]).toEqual([0, ""]);
    expect(made.output).toContain(`Accounts: admin, user2, password ${password}.`);
    expect(made.output).toContain(
      "Not opened by the demo's password, and left as they are: user1.",
    );
    await using server = await startServer(env);
    const client = new AccountClient(() => server.url);
    expectRefusal(await client.login("user1", password), 401, "invalid_credentials");
    await client.enter("user1", own.password);

    // The demo ends with its passwords.
    const isDemo = async () => read(await client.get("/api/meta"), demo).demo;
    expect(await isDemo()).toBe(true);
    const body = { current_password: password, new_password: "another password" };
    for (const name of ["admin", "user2"]) {
      const { headers } = await client.enter(name, password);
      const changed = await client.send("POST", "/api/auth/password", body, { headers });
      expect(changed.status).toBe(204);
    }
    await until("the demo's end", async () => !(await isDemo()));
    const again = await runProgram(["seed", "--demo"], env);
    expect([again.exitCode, again.log]).toEqual([0, ""]);
    expect(again.output).toContain("nothing was changed");
    expect(again.output).toContain("left as they are: admin, user1, user2.");
    expect(again.output).not.toContain(password);
    await client.enter("admin", "another password");
  });

  test("is not begun where somebody else is the administrator", async () => {
    const env = { DATABASE_URL: await postgres.newRecords() };
    const sql = lookInto(env.DATABASE_URL);
    const own = { username: "Admin", password: "a good password", role: "admin" } as const;
    await createAccount(openDb(sql), new Passwords(), own);
    const refused = await runProgram(["seed", "--demo"], env);
    expect([refused.exitCode, refused.output]).toEqual([1, ""]);
    expect(refused.log).toContain(
      "There is an account admin that the demo's password does not open",
    );
    expect(await sql`select 1 from products union all select 1 from coupons`).toHaveLength(0);
    expect(await sql`select 1 from users`).toHaveLength(1);
  });

  test("is refused in production", async () => {
    const env = { DATABASE_URL: await postgres.newRecords() };
    const refused = await runProgram(["seed", "--demo"], { ...env, NODE_ENV: "production" });
    expect(refused.exitCode).toBe(1);
    expect(refused.log).toContain("NODE_ENV is production");
    expect((await runProgram(["seed"], env)).exitCode).toBe(2);
    expect((await runProgram(["verify", "--demo"], env)).exitCode).toBe(2);
  });
});

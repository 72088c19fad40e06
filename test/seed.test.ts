/** `stampede seed --demo`, as a user runs it: without a server, beside one, and twice. */
import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { Client } from "./support/client.ts";
import { usePostgres } from "./support/postgres.ts";
import { runProgram, startServer } from "./support/server.ts";
import { flashSaleShape, Person, read, told } from "./support/storefront.ts";

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

  test("is made through the server that runs, which sells it at once", async () => {
    const env = { DATABASE_URL: await postgres.newDatabase() };
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

  test("is refused in production", async () => {
    const env = { DATABASE_URL: await postgres.newDatabase() };
    const refused = await runProgram(["seed", "--demo"], { ...env, NODE_ENV: "production" });
    expect(refused.exitCode).toBe(1);
    expect(refused.log).toContain("NODE_ENV is production");
    expect((await runProgram(["seed"], env)).exitCode).toBe(2);
    expect((await runProgram(["verify", "--demo"], env)).exitCode).toBe(2);
  });
});

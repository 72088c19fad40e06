/**
 * Upgrades: a database of each earlier schema, which the program that had it has made and sold from,
 * is restored as it was, brought up to date by this one, audited, and sold from.
 */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { AccountClient } from "../support/accounts.ts";
import { lookInto, migrationsFolder, usePostgres } from "../support/postgres.ts";
import { runProgram, startServer } from "../support/server.ts";
import { inTurn } from "../support/wait.ts";

const postgres = usePostgres();
const folder = join(import.meta.dir, "../fixtures");
const fixtures = readdirSync(folder).toSorted();
/** What the accounts in them were made with. */
const password = "a good password";

test("there is a fixture of each of the first thirteen schemas, and of none that is to come", () => {
  const journal = z
    .object({ entries: z.array(z.object({ idx: z.int() })) })
    .parse(JSON.parse(readFileSync(join(migrationsFolder, "meta/_journal.json"), "utf8")));
  const known = journal.entries.map(({ idx }) => `${String(idx).padStart(4, "0")}.backup`);
  expect(fixtures).toEqual(expect.arrayContaining(known.slice(0, 13)));
  expect(known).toEqual(expect.arrayContaining(fixtures));
});

test.each(fixtures)("%s is brought up to date, adds up, and sells", async (fixture) => {
  const env = { DATABASE_URL: await postgres.newDatabase() };
  const restored = await runProgram(["restore", join(folder, fixture)], env);
  expect(restored).toMatchObject({ exitCode: 0, log: "" });
  const sql = lookInto(env.DATABASE_URL, 1);
  const sold = await sql<{ code: string; order_id: string; buyer: string }[]>`
    select code, seq::text as order_id, buyer from purchases order by seq, code`;
  expect(sold.length).toBeGreaterThanOrEqual(4);

  await using server = await startServer(env);
  const { client } = server;
  await inTurn(sold, async ({ code, order_id, buyer }) => {
    if (buyer !== "guest") return;
    expect(await client.buy(code)).toMatchObject({ order_id, replayed: true });
  });
  await client.reserveAndBuy("somebody new");
  const post = (path: string, body: object) =>
    client.ask("POST", path, {
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  if (fixture >= "0001") {
    const claim = (user: string, coupon: string) =>
      post("/api/coupons/claim", { user_id: user, coupon_name: coupon });
    expect((await claim("anna", "PROMO")).text).toContain("already_claimed");
    expect((await claim("carla", "PROMO")).text).toContain("sold_out");
    expect((await claim("carla", "Zehn %")).status).toBe(200);
  }
  if (fixture >= "0002") {
    const accounts = new AccountClient(() => server.url);
    const { headers } = await accounts.enter("anna", password);
    const bought = await client.get("/api/purchases/my-purchases", { headers });
    expect(bought.text).toContain("Lamp");
    const root = await accounts.enter("root", password);
    expect((await client.get("/api/admin/users", root)).status).toBe(200);
    const made = { name: "Another", description: "", price_cents: 1 };
    const headersOfRoot = { ...root.headers, "Content-Type": "application/json" };
    const asked = { headers: headersOfRoot, body: JSON.stringify(made) };
    expect((await client.ask("POST", "/api/admin/products", asked)).status).toBe(201);
  }
  expect(await server.stop()).toBe(0);
  expect(await runProgram(["verify"], env)).toMatchObject({ exitCode: 0 });
});

/**
 * The least that has to work, on the PostgreSQL that the program brings along: each subject is
 * asked for once, and nothing is lost over a `kill -9`. For a quick answer, beside the tests of
 * test/unit; the other files leave nothing of it out.
 */
import { beforeAll, expect, test } from "bun:test";
import { AccountClient, expectRefusal } from "../support/accounts.ts";
import { accepted, audit, refused } from "../support/contract.ts";
import { newDataFolder, useLeftovers } from "../support/leftovers.ts";
import { runProgram, startServer, type TestServer } from "../support/server.ts";
import { EventStream } from "../support/sse.ts";

useLeftovers();

const environment = { STAMPEDE_DATA: newDataFolder(), SALE_ITEMS: "5" };
let server: TestServer;
let client: AccountClient;

beforeAll(async () => {
  server = await startServer(environment);
  client = new AccountClient(() => server.url);
});

test("an item is reserved, given back, reserved by another and bought", async () => {
  const { code } = await client.reserve("ann", 1);
  refused(await client.checkout("bob", 1), "item_reserved", "retry");
  expect((await client.release(code)).status).toBe(204);
  const order = await client.reserveAndBuy("bob", 1);
  expect(order).toMatchObject({ user_id: "bob", item: { id: 1 }, replayed: false });
  refused(await client.checkout("ann", 1), "item_sold_out");
});

test("who watches is told", async () => {
  const stream = await EventStream.open(server.url);
  await stream.upTo(({ event }) => event === "stock");
  await client.reserve("cyd", 2);
  expect((await stream.next()).event).toBe("stock");
  stream.close();
});

test("a coupon is claimed once by a user", async () => {
  const made = await client.send("POST", "/api/coupons", { name: "SMOKE", amount: 2 });
  expect(made.status).toBe(201);
  const claim = { user_id: "ann", coupon_name: "SMOKE" };
  expect((await client.send("POST", "/api/coupons/claim", claim)).status).toBe(200);
  expectRefusal(await client.send("POST", "/api/coupons/claim", claim), 409, "already_claimed");
});

test("an account is made, logged in, and told who it is", async () => {
  expect((await client.register("smoke", "a good password")).status).toBe(201);
  const { headers } = await client.enter("smoke", "a good password");
  expect((await client.me(headers)).json()).toMatchObject({ username: "smoke", role: "user" });
  expectRefusal(await client.get("/api/admin/users", { headers }), 403, "forbidden");
});

test("a page, a picture, the document and the figures are there", async () => {
  const { id } = await client.openSale();
  const paths = ["/", "/docs", "/openapi.json", "/metrics", `/sales/${id}/items/1/image.svg`];
  const answers = await Promise.all(paths.map((path) => client.get(path)));
  expect(answers.map(({ status }) => status)).toEqual(paths.map(() => 200));
});

test("killed and started again it says the same, and the audit finds nothing", async () => {
  const order = await client.reserveAndBuy("dan", 3);
  await server.kill();
  server = await startServer(environment);
  expect(await client.buy(order.code)).toEqual({ ...order, replayed: true });
  const { id } = await client.openSale();
  expect(accepted(await client.get(`/sales/${id}/audit`), audit)).toMatchObject({ ok: true });
  expect(await server.stop()).toBe(0);
  expect((await runProgram(["verify"], environment)).exitCode).toBe(0);
});

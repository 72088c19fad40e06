/** Erasing a name: it is nowhere any more, while figures and promises stay. */
import { beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { saveCheckpoint } from "../../src/store/checkpoints.ts";
import { DeposedError } from "../../src/store/records.ts";
import { AccountClient, expectRefusal } from "../support/accounts.ts";
import type { Answer, Client } from "../support/client.ts";
import { lookInto, tablesWith, usePostgres } from "../support/postgres.ts";
import { type Environment, runProgram, startServer, type TestServer } from "../support/server.ts";
import { inTurn, until } from "../support/wait.ts";

const postgres = usePostgres();
const password = "a good password";
const name = "Wilhelmina";

const erase = (who: string, env: Environment) => runProgram(["user", "erase", who], env);

const post = (client: Client, path: string, body: object, headers: object = {}) =>
  client.ask("POST", path, {
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  });

type Headers = { readonly Authorization: string };
const eraseAt = ({ client }: TestServer, headers: Headers, who: unknown): Promise<Answer> =>
  post(client, "/api/admin/buyer/erase", { user_id: who }, headers);

/** Makes an account that administrates, and logs it in. */
async function enterAdmin(server: TestServer, env: Environment, who = "root"): Promise<Headers> {
  await runProgram(["user", "create", who, "--role", "admin"], env, password);
  return (await new AccountClient(() => server.url).enter(who, password)).headers;
}

const erasedShape = z.object({
  pseudonym: z.string().regex(/^erased-[0-9a-f-]{36}$/),
  accounts: z.int(),
  rows: z.record(z.string(), z.int()),
});
const activityShape = z.object({
  activity: z.array(
    z.looseObject({ who: z.string(), what: z.string(), before: z.unknown(), after: z.unknown() }),
  ),
});
const newest = async ({ client }: TestServer, headers: Headers) =>
  activityShape.parse((await client.get("/api/admin/activity", { headers })).json()).activity[0];

type Way = (at: TestServer, env: Environment, who: string) => Promise<{ pseudonym: string }>;

const byCommand: Way = async (_, env, who) => {
  const erased = await erase(who, env);
  expect(erased).toMatchObject({ exitCode: 0, log: "" });
  expect(erased.output).toContain("2 of purchases");
  return { pseudonym: /erased-[0-9a-f-]{36}/.exec(erased.output)?.[0] ?? "" };
};

const byAdmin: Way = async (at, env, who) => {
  const headers = await enterAdmin(at, env);
  const answer = await eraseAt(at, headers, who);
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 200 });
  const erased = erasedShape.parse(answer.json());
  expect(erased).toMatchObject({ accounts: 1, rows: { purchases: 2 } });
  const { pseudonym } = erased;
  expect(await until("the activity", () => newest(at, headers).catch(() => null))).toMatchObject({
    who: "root",
    what: "user.erased",
    before: null,
    after: { user_id: pseudonym },
  });
  expectRefusal(await eraseAt(at, headers, who), 404, "user_not_found");
  return { pseudonym };
};

test.each([
  ["the command", byCommand],
  ["an administrator, at a process that stands by", byAdmin],
] as const)(
  "a name is taken out of records and memory on every process by %s; figures and limits stay",
  async (_, way) => {
    const env = {
      DATABASE_URL: await postgres.newRecords(),
      SALE_PER_USER_LIMIT: "2",
      LOG_LEVEL: "trace",
    };
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
    const { pseudonym } = await way(standby, env, ` ${name} `);
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
    const other = await client.buy(held.code);
    expect(other).toMatchObject({ user_id: "somebody else", replayed: false });

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
    // Nor has any of them said it.
    for (const { program } of [leader, standby]) {
      expect(program.said.toLowerCase()).not.toContain(name.toLowerCase());
    }
  },
);

test("an account is erased in any case of its letters, and who only looks like it stays", async () => {
  const env = { DATABASE_URL: await postgres.newRecords() };
  await using server = await startServer(env);
  const { client } = server;
  await new AccountClient(() => server.url).register(name, password);
  const spelled = name.toLowerCase();
  await client.reserveAndBuy(name, 1);
  await client.reserveAndBuy(spelled, 2);
  await post(client, "/api/coupons", { name: "PROMO", amount: 3 });
  await inTurn([name, spelled], (user_id) =>
    post(client, "/api/coupons/claim", { user_id, coupon_name: "PROMO" }),
  );
  const erased = await erase(spelled, env);
  expect(erased).toMatchObject({ exitCode: 0, log: "" });
  expect(erased.output).toContain("1 of purchases");
  const sql = lookInto(env.DATABASE_URL, 1);
  const names = await sql<{ name: string }[]>`
    select user_id as name from purchases where user_id not like 'erased-%'
    union all select user_id from claims where user_id not like 'erased-%'
    union all select username from users where username not like 'erased-%'`;
  expect(names.map((row) => row.name)).toEqual([name, name]);
  await until("its selling", async () => (await client.get("/ready")).status === 200);
  expect(await runProgram(["verify"], env)).toMatchObject({ exitCode: 0 });
});

test("who led while a name was erased notes no more where a sale stands, for the name is in that", async () => {
  const env = { DATABASE_URL: await postgres.newRecords() };
  await using server = await startServer(env);
  const { id: saleId } = await server.client.openSale();
  const { code } = await server.client.reserve(name, 1);
  const sql = lookInto(env.DATABASE_URL, 1);
  const [term] = await sql<{ epoch: number }[]>`select epoch::float8 as epoch from leader`;
  const [made] = await sql<{ seq: number; at: Date }[]>`
    select seq::float8 as seq, at from attempts where code = ${code} and outcome = 'reserved'`;
  const [seq, reservedAt] = [made?.seq ?? 0, made?.at.getTime() ?? 0];
  const buyer = { kind: "guest", userId: name } as const;
  const ends = { due: reservedAt + 120_000, extendedBy: null, key: null, request: null };
  const held = { seq, code, itemId: 1, buyer, reservedAt, ...ends };
  const stand = { seq, sold: 0, open: [held], active: [], waiting: [], attempts: 1 };
  expect(await erase(name, env)).toMatchObject({ exitCode: 0 });
  await expect(
    saveCheckpoint(sql, term?.epoch ?? 0, saleId, { ...stand, settled: false }),
  ).rejects.toBeInstanceOf(DeposedError);
  expect(await tablesWith(env.DATABASE_URL, name)).toEqual([]);
  await until("its selling", async () => (await server.client.get("/ready")).status === 200);
  expect(await server.client.buy(code)).toMatchObject({ replayed: false });
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

describe("an administrator", () => {
  let env: { readonly DATABASE_URL: string };
  let server: TestServer;
  let root: Headers;
  beforeAll(async () => {
    env = { DATABASE_URL: await postgres.newRecords() };
    // What leads, and a front that takes the requests.
    server = await startServer({ ...env, FRONTS: "1" });
    root = await enterAdmin(server, env);
  });

  test("erases a guest at a front, and what others are called stays, in words of the activity too", async () => {
    const product = { name: "name", price_cents: 100 };
    expect((await post(server.client, "/api/admin/products", product, root)).status).toBe(201);
    const { order_id: order } = await server.client.reserveAndBuy("name", "any");
    const erased = erasedShape.parse((await eraseAt(server, root, "name")).json());
    expect(erased).toMatchObject({ accounts: 0, rows: { attempts: 2, purchases: 1 } });
    const sql = lookInto(env.DATABASE_URL, 1);
    const [made] = await sql`select after::json ->> 'name' as name from activity
                             where what = 'product.made'`;
    expect(made?.["name"]).toBe(erased.pseudonym);
    const [bought] = await sql`select user_id from purchases where seq = ${order}::bigint`;
    expect(bought).toEqual({ user_id: erased.pseudonym });
    await until("its selling", async () => (await server.client.get("/ready")).status === 200);
    await server.client.reserveAndBuy("name", "any");
  });

  test("is told of what nobody is called, of fields that there are not, and of their own name", async () => {
    expectRefusal(await eraseAt(server, root, "nobody"), 404, "user_not_found");
    expectRefusal(await eraseAt(server, root, " "), 400, "invalid_request");
    expectRefusal(await eraseAt(server, root, 7), 400, "invalid_request");
    const more = { user_id: "nobody", buyer: "guest" };
    const path = "/api/admin/buyer/erase";
    expectRefusal(await post(server.client, path, more, root), 400, "invalid_request");
    expectRefusal(await eraseAt(server, root, "ROOT"), 409, "last_admin");
    await enterAdmin(server, env, "second");
    expectRefusal(await eraseAt(server, root, "root"), 409, "own_account");
    const sql = lookInto(env.DATABASE_URL, 1);
    expect([...(await sql`select username from users where not disabled order by 1`)]).toEqual([
      { username: "root" },
      { username: "second" },
    ]);
  });

  test("is asked for: a key may not, whatever its scopes, and is told so", async () => {
    const made = await post(
      server.client,
      "/api/admin/keys",
      { name: "all", scopes: ["sell", "manage", "read"] },
      root,
    );
    const { key } = z.object({ key: z.string() }).parse(made.json());
    const refused = await eraseAt(server, { Authorization: `Bearer ${key}` }, "anybody");
    expectRefusal(refused, 403, "forbidden");
    expect(refused.text).toContain("No key may erase a name");
  });

  test("and whoever runs the program erase the same name at once: one of them does", async () => {
    await server.client.reserveAndBuy("gemma");
    const sql = lookInto(env.DATABASE_URL);
    const waits = (query: string) => sql`
      select from pg_stat_activity where datname = current_database()
        and wait_event_type = 'Lock' and query like ${`${query}%`}`;
    const both = await sql.begin(async (tx) => {
      await tx`lock table checkpoints in access exclusive mode`;
      const asked = [eraseAt(server, root, "gemma"), erase("gemma", env)] as const;
      await until("one behind the other", async () => {
        const [first, second] = [
          await waits("delete from checkpoints"),
          await waits("lock table leader"),
        ];
        return first.length === 1 && second.length === 1;
      });
      return { asked };
    });
    const [answer, command] = await Promise.all(both.asked);
    expect([
      [200, 1],
      [404, 0],
    ]).toContainEqual([answer.status, command.exitCode]);
    const names = await sql`
      select user_id from purchases where user_id like 'erased-%' union
      select user_id from attempts where user_id like 'erased-%'`;
    const [{ count } = { count: 0 }] = await sql<{ count: number }[]>`
      select count(*)::int as count from erasures`;
    expect(names.length).toBe(count);
    expect(await runProgram(["verify"], env)).toMatchObject({ exitCode: 0 });
  });

  test("erases one after another, and is told to wait by the second", async () => {
    const accounts = new AccountClient(() => server.url);
    await inTurn(["anna", "berta"], (who) => accounts.register(who, password));
    const answers = await Promise.all(["anna", "berta"].map((who) => eraseAt(server, root, who)));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 503]);
    const late = answers.find(({ status }) => status === 503);
    expect(late?.text).toContain('"overloaded"');
    expect(Number(late?.headers.get("Retry-After"))).toBeGreaterThan(0);
    const left = answers[0] === late ? "anna" : "berta";
    expect((await eraseAt(server, root, left)).status).toBe(200);
    expect(await tablesWith(env.DATABASE_URL, "anna")).toEqual([]);
    expect(await tablesWith(env.DATABASE_URL, "berta")).toEqual([]);
  });
});

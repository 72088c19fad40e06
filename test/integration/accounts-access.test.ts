/** Accounts: what administrators do, and what requests across sites do not. */
import { beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { BlockList } from "node:net";
import { z } from "zod";
import { tokenLifeMs } from "../../src/access/tokens.ts";
import {
  type AccountClient,
  type AccountShop,
  expectRefusal,
  openAccountShop,
} from "../support/accounts.ts";
import { usePostgres } from "../support/postgres.ts";
import { Clock } from "../support/shop.ts";
import { inTurn, until } from "../support/wait.ts";

const postgres = usePostgres();
const clock = new Clock(Date.parse("2026-06-01T12:00:00Z"));
const password = "a good password";

let shop: AccountShop;
let client: AccountClient;
let count = 0;
const newName = (): string => `user.${(count += 1)}`;

beforeAll(async () => {
  const proxies = new BlockList();
  proxies.addAddress("127.0.0.1");
  shop = await openAccountShop(await postgres.newRecords(), { clock, proxies });
  ({ client } = shop);
});

beforeEach(() => {
  clock.now += 2 * tokenLifeMs;
});

async function newUser() {
  const name = newName();
  expect((await client.register(name, password)).status).toBe(201);
  return { name, ...(await client.enter(name, password)) };
}

async function newAdmin() {
  const name = newName();
  await shop.makeAdmin(name, password);
  return { name, ...(await client.enter(name, password)) };
}

type Entered = Awaited<ReturnType<typeof newUser>>;

const patch = (by: Entered, of: Entered, change: object) =>
  client.send("PATCH", `/api/admin/users/${of.user.id}`, change, by);

describe("an administrator", () => {
  test("disables an account: its tokens end at once, and no new one is given", async () => {
    const admin = await newAdmin();
    const user = await newUser();
    expect((await client.me(user.headers)).status).toBe(200);
    const disabled = await patch(admin, user, { disabled: true });
    expect(disabled.status).toBe(200);
    expect(disabled.json()).toMatchObject({ id: user.user.id, disabled: true, role: "user" });
    expectRefusal(await client.me(user.headers), 401, "unauthenticated");
    expectRefusal(await client.login(user.name, password), 401, "invalid_credentials");
    expect((await patch(admin, user, { disabled: false })).status).toBe(200);
    expectRefusal(await client.me(user.headers), 401, "unauthenticated");
    await client.enter(user.name, password);
  });

  test("gives and takes a role, which counts for tokens that are there", async () => {
    const admin = await newAdmin();
    const user = await newUser();
    expectRefusal(await client.get("/api/admin/users", user), 403, "forbidden");
    expect((await patch(admin, user, { role: "admin" })).status).toBe(200);
    expect((await client.get("/api/admin/users", user)).status).toBe(200);
    expect((await patch(admin, user, { role: "user" })).status).toBe(200);
    expectRefusal(await client.get("/api/admin/users", user), 403, "forbidden");
  });

  test("cannot shut out themselves, nor the last of all", async () => {
    const admin = await newAdmin();
    expectRefusal(await patch(admin, admin, { role: "user" }), 409, "own_account");
    expectRefusal(await patch(admin, admin, { disabled: true }), 409, "own_account");
    expect((await patch(admin, admin, { role: "admin", disabled: false })).status).toBe(200);
    await shop.sql`update users set disabled = true where role = 'admin' and id <> ${admin.user.id}`;
    expectRefusal(await patch(admin, admin, { disabled: true }), 409, "last_admin");
    expectRefusal(await patch(admin, admin, { role: "user" }), 409, "last_admin");
  });

  test("of two who demote each other at once, one stays", async () => {
    const [one, other] = [await newAdmin(), await newAdmin()];
    const ids = [one.user.id, other.user.id];
    // Both statements have begun, and seen two administrators, before either may go on.
    const answers = await shop.sql
      .begin(async (sql) => {
        await sql`select 1 from users where id in ${sql(ids)} order by id for update`;
        const asked = [patch(one, other, { role: "user" }), patch(other, one, { disabled: true })];
        await until("both to wait", async () => {
          const waiting = await shop.sql`
          select 1 from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock'`;
          return waiting.length === 2;
        });
        return asked;
      })
      .then((asked) => Promise.all(asked));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 403]);
    const rows = await shop.sql`
      select 1 from users
      where id in ${shop.sql(ids)} and role = 'admin' and not disabled`;
    expect(rows.length).toBe(1);
  });

  test("is told what is wrong with a change", async () => {
    const admin = await newAdmin();
    const wrong = [{}, { role: "root" }, { disabled: "yes" }, { disabled: null }, { name: "x" }];
    await inTurn(wrong, async (change) => {
      expectRefusal(await patch(admin, admin, change), 400, "invalid_request");
    });
    await inTurn(["0", "x", "2147483648", "999999", "1%20or%201=1"], async (id) => {
      const answer = await client.send("PATCH", `/api/admin/users/${id}`, { role: "user" }, admin);
      expectRefusal(answer, 404, "user_not_found");
    });
  });

  test("pages through the users, and searches them", async () => {
    const admin = await newAdmin();
    const page = z.object({
      users: z.array(
        z.strictObject({
          id: z.int(),
          username: z.string(),
          role: z.enum(["user", "admin"]),
          disabled: z.boolean(),
          second_factor: z.boolean(),
          created_at: z.iso.datetime(),
        }),
      ),
      next_after: z.int().nullable(),
    });
    const read = async (query: string) =>
      page.parse((await client.get(`/api/admin/users?${query}`, admin)).json());
    const names: string[] = [];
    for (let after: number | null = 0; after !== null;) {
      const got: z.infer<typeof page> = await read(`limit=3&after=${after}`);
      names.push(...got.users.map(({ username }) => username));
      after = got.next_after;
    }
    expect(new Set(names).size).toBe(names.length);
    expect(names).toEqual((await read("limit=500")).users.map(({ username }) => username));
    await client.register("Some_One%", password).then(({ status }) => expect(status).toBe(400));
    await client.register("Some_One", password);
    expect((await read("q=E_ON")).users.map(({ username }) => username)).toEqual(["Some_One"]);
    expect((await read("q=%25")).users).toEqual([]);
    await inTurn(["limit=0", "limit=501", "after=-1", "q=%ff", "q=%00"], async (query) => {
      const answer = await client.get(`/api/admin/users?${query}`, admin);
      expectRefusal(answer, 400, "invalid_request");
    });
  });
});

describe("a request from a page of another site", () => {
  const foreign: Record<string, string>[] = [
    { "Sec-Fetch-Site": "cross-site" },
    { "Sec-Fetch-Site": "same-site" },
    { Origin: "https://evil.example" },
    { Origin: "null" },
    { Origin: "https://127.0.0.1.evil.example" },
  ];
  const ours: Record<string, string>[] = [
    { "Sec-Fetch-Site": "same-origin", Origin: "https://shown.example" },
    { "Sec-Fetch-Site": "none" },
    { Origin: "http://shop.example", "X-Forwarded-Host": "shop.example" },
    { Origin: "https://shop.example", "X-Forwarded-Host": "shop.example:443" },
    {},
  ];

  test("changes nothing by a cookie", async () => {
    const admin = await newAdmin();
    const cookie = { Cookie: `stampede_token=${admin.token}` };
    const path = `/api/admin/users/${admin.user.id}`;
    const send = (headers: Record<string, string>) =>
      client.send("PATCH", path, { role: "admin" }, { headers: { ...cookie, ...headers } });
    await inTurn(foreign, async (headers) => {
      expectRefusal(await send(headers), 403, "cross_site");
      const out = await client.ask("POST", "/api/auth/logout", {
        headers: { ...cookie, ...headers },
      });
      expectRefusal(out, 403, "cross_site");
      // Reading is no harm: the other page does not get to see it.
      expect((await client.me({ ...cookie, ...headers })).status).toBe(200);
    });
    await inTurn(ours, async (headers) => expect((await send(headers)).status).toBe(200));
  });

  test("does not log in, nor register", async () => {
    const { name } = await newUser();
    await inTurn(foreign, async (headers) => {
      expectRefusal(await client.login(name, password, { headers }), 403, "cross_site");
      expectRefusal(await client.register(newName(), password, { headers }), 403, "cross_site");
    });
    await inTurn(ours, (headers) => client.enter(name, password, { headers }));
  });

  test("changes nothing by a token either, unless its origin is a shop front's", async () => {
    const admin = await newAdmin();
    await inTurn(foreign, async (headers) => {
      const answer = await client.send(
        "PATCH",
        `/api/admin/users/${admin.user.id}`,
        { role: "admin" },
        { headers: { ...admin.headers, ...headers } },
      );
      expectRefusal(answer, 403, "cross_site");
    });
  });
});

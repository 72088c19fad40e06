/** Accounts by their HTTP contract: registering, logging in and out, who may, and who sends. */
import { beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { SignJWT } from "jose";
import { cacheAgeMaxMs } from "../../src/access/cache.ts";
import { tokenLifeMs } from "../../src/access/tokens.ts";
import { allowances } from "../../src/access/limits.ts";
import { migrate } from "../../src/store/migrations.ts";
import { nobodysHash } from "../../src/access/passwords.ts";
import {
  type AccountClient,
  type AccountShop,
  cheapHash,
  CountedHashing,
  expectRefusal,
  openAccountShop,
  tokenSecret,
} from "../support/accounts.ts";
import { lookInto, migrationsFolder, usePostgres } from "../support/postgres.ts";
import { Clock } from "../support/shop.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const noon = Date.parse("2026-06-01T12:00:00Z");
const clock = new Clock(noon);
const hashing = new CountedHashing();
const password = "a good password";

let database: string;
let shop: AccountShop;
let client: AccountClient;
let count = 0;
/** A name that no test has had. */
const newName = (): string => `user.${(count += 1)}`;

beforeAll(async () => {
  database = await postgres.newRecords();
  shop = await openAccountShop(database, { clock, hashing });
  ({ client } = shop);
});

beforeEach(() => {
  // Whatever an earlier test has used up is there again.
  clock.now += 24 * 3_600_000;
});

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

async function newUser(): Promise<string> {
  const name = newName();
  expect((await client.register(name, password)).status).toBe(201);
  return name;
}

async function newAdmin() {
  const name = newName();
  await shop.makeAdmin(name, password);
  return await client.enter(name, password);
}

describe("registering", () => {
  test("makes a user, who can log in", async () => {
    const name = newName();
    const answer = await client.register(name, password);
    expect(answer.status).toBe(201);
    expect(answer.json()).toEqual({
      id: expect.any(Number),
      username: name,
      role: "user",
      second_factor: false,
      second_factor_demanded: false,
    });
    expect((await client.enter(name, password)).user).toEqual(answer.json() as never);
  });

  test("refuses a name that is taken, in whatever case, and PostgreSQL refuses it too", async () => {
    const name = await newUser();
    expectRefusal(await client.register(name.toUpperCase(), password), 409, "user_exists");
    const second = shop.sql`
      insert into users (username, password_hash) values (${name.toUpperCase()}, 'x')`;
    expect((await second.catch((error: unknown) => error)) as object).toMatchObject({
      code: "23505",
    });
  });

  test("takes A to Z alone for the same in either case, as logins and their limit do", async () => {
    const add = (username: string) =>
      shop.sql`
        insert into users (username, password_hash) values (${username}, ${cheapHash(password)})
        on conflict do nothing returning username`;
    const name = newName();
    const twice = [`${name}Ä`, `${name}ä`, `${name}İ`, `${name}i`, `${name}ß`, `${name}ẞ`];
    await inTurn(twice, async (one) => expect((await add(one)).length).toBe(1));
    await inTurn(twice, async (one) => {
      expect((await client.enter(one, password)).user.username).toBe(one);
      const cased = one.replace("user", "USER");
      expect((await add(cased)).length).toBe(0);
      expect((await client.enter(cased, password)).user.username).toBe(one);
    });
    await inTurn(upTo(allowances.loginOfAccountFromAddress.times), () =>
      client.login(`${name}İ`, "not the password"),
    );
    expectRefusal(await client.login(`${name}İ`, password), 429, "too_many_attempts");
    await client.enter(`${name}i`, password);
  });

  test("does so in a database of any locale", async () => {
    const turkish = await postgres.newDatabase(
      "template template0 locale_provider icu icu_locale 'tr'",
    );
    await migrate({ url: turkish }, migrationsFolder);
    const [row] = await lookInto(turkish)`select lower('I') as i`;
    expect(row).toEqual({ i: "ı" });
    const there = (await openAccountShop(turkish, { clock })).client;
    expect((await there.register("INGRID", password)).status).toBe(201);
    expectRefusal(await there.register("ingrid", password), 409, "user_exists");
    await there.enter("ingrid", password);
  });

  test("of many who register one name at once, one gets it", async () => {
    const name = newName();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => client.register(name, password)),
    );
    const statuses = answers.map(({ status }) => status).toSorted();
    expect(statuses).toEqual([201, ...Array.from({ length: 19 }, () => 409)]);
  });

  test.each([
    ["ab", "username"],
    ["a".repeat(65), "username"],
    ["with space", "username"],
    ["ünïcode", "username"],
    ["аdmin", "username"],
    ["", "username"],
    [7, "username"],
    [undefined, "username"],
    ["nul\0", "username"],
  ])("refuses the name %p", async (username, field) => {
    const answer = await client.send("POST", "/api/auth/register", { username, password });
    expectRefusal(answer, 400, "invalid_request");
    expect(answer.text).toContain(`"${field} `);
  });

  test.each(["s3cret!", "", "\ud800-secret-surrogate", 12_345_678, undefined, null, { s3cret: 1 }])(
    "refuses the password %p, and does not repeat it",
    async (bad) => {
      const answer = await client.send("POST", "/api/auth/register", {
        username: newName(),
        password: bad,
      });
      expectRefusal(answer, 400, "invalid_request");
      expect(answer.text).toContain('"password ');
      expect(answer.text).not.toContain("cret");
      expect(answer.text).not.toContain("12345678");
    },
  );

  test("counts characters, and takes any", async () => {
    const eight = "🔑\0 ü漢\n\t'";
    const name = newName();
    expect((await client.register(name, eight)).status).toBe(201);
    await client.enter(name, eight);
    expect((await client.register(newName(), "🔑".repeat(256))).status).toBe(201);
    expectRefusal(await client.register(newName(), "🔑".repeat(257)), 400, "invalid_request");
  });
});

describe("logging in", () => {
  test("gives a token and the same as a cookie, either of which tells who it is", async () => {
    const name = await newUser();
    const { token, user, answer, headers } = await client.enter(name.toUpperCase(), password);
    expect(user).toMatchObject({ username: name, role: "user" });
    expect(answer.headers.get("Cache-Control")).toBe("no-store");
    const cookie = answer.headers.getSetCookie()[0] ?? "";
    const [pair, ...flags] = cookie.split("; ");
    expect(pair).toBe(`stampede_token=${token}`);
    expect(flags.toSorted()).toEqual([
      "HttpOnly",
      `Max-Age=${tokenLifeMs / 1000}`,
      "Path=/",
      "SameSite=Lax",
    ]);
    expect((await client.me(headers)).json()).toEqual(user);
    const withOthers = `other=1; stampede_token=${token}; more=a=b`;
    expect((await client.me({ Cookie: withOthers })).json()).toEqual(user);
  });

  test("makes the cookie Secure when the client came over TLS", async () => {
    const name = await newUser();
    const { answer } = await client.enter(name, password, {
      headers: { "X-Forwarded-Proto": "https" },
    });
    expect(answer.headers.getSetCookie()[0]).toEndWith("; Secure");
  });

  test("a wrong name and a wrong password are told alike, after the same work", async () => {
    const name = await newUser();
    hashing.verified.length = 0;
    const wrongPassword = await client.login(name, "not the password");
    const wrongName = await client.login(newName(), password);
    expectRefusal(wrongPassword, 401, "invalid_credentials");
    expect(wrongName.text).toBe(wrongPassword.text);
    const besidesDate = ({ headers }: typeof wrongName) =>
      [...headers].filter(([header]) => header !== "date");
    expect(besidesDate(wrongName)).toEqual(besidesDate(wrongPassword));
    // A hash each: the user's, and one that stands in for it.
    expect(hashing.verified).toEqual([cheapHash(password), nobodysHash]);
  });

  test("names and passwords that nobody can have are wrong like others", async () => {
    expectRefusal(await client.login("no such name!", "short"), 401, "invalid_credentials");
    expectRefusal(await client.login("", password), 400, "invalid_request");
    expectRefusal(await client.login("somebody", ""), 400, "invalid_request");
  });
});

describe("a token", () => {
  test("ends with its logout, and no other does", async () => {
    const name = await newUser();
    const phone = await client.enter(name, password);
    const desk = await client.enter(name, password);
    expect((await client.me(phone.headers)).status).toBe(200);
    const cookie = { Cookie: `stampede_token=${phone.token}` };
    const out = await client.ask("POST", "/api/auth/logout", { headers: cookie });
    expect(out.status).toBe(204);
    expect(out.headers.getSetCookie()[0]).toStartWith("stampede_token=; Path=/; Max-Age=0;");
    expectRefusal(await client.me(phone.headers), 401, "unauthenticated");
    expectRefusal(await client.me(cookie), 401, "unauthenticated");
    expect((await client.me(desk.headers)).status).toBe(200);
    const again = await client.ask("POST", "/api/auth/logout", { headers: cookie });
    expect(again.status).toBe(204);
    expect((await client.ask("POST", "/api/auth/logout")).status).toBe(204);
  });

  test("ends with its time, also where it was just used", async () => {
    const { headers } = await client.enter(await newUser(), password);
    clock.now += tokenLifeMs - 1_000;
    expect((await client.me(headers)).status).toBe(200);
    clock.now += 1_000;
    expectRefusal(await client.me(headers), 401, "unauthenticated");
  });

  test("that was changed, or that we did not sign, is nobody's", async () => {
    const { token, user } = await client.enter(await newUser(), password);
    const [head = "", body = "", signature = ""] = token.split(".");
    const claims = JSON.parse(Buffer.from(body, "base64url").toString()) as Record<string, unknown>;
    const sign = (fields: object, secret = tokenSecret, alg = "HS256") =>
      new SignJWT({ ...claims, ...fields }).setProtectedHeader({ alg }).sign(Buffer.from(secret));
    const none = encode({ alg: "none", typ: "JWT" });
    const forged = [
      `${head}.${encode({ ...claims, sub: String(user.id + 1) })}.${signature}`,
      `${none}.${body}.`,
      `${none}.${body}.${signature}`,
      await sign({}, "another secret, as long as it has to be"),
      await sign({}, tokenSecret, "HS512"),
      await sign({ exp: undefined }),
      await sign({ iss: "others" }),
      await sign({ sub: String(user.id + 1) }),
      await sign({ jti: crypto.randomUUID() }),
      await sign({ jti: "' or true --" }),
      token.slice(0, -4),
      `${token}.x`,
      "x".repeat(5_000),
      "x",
    ];
    expect((await client.me({ Authorization: `Bearer ${await sign({})}` })).status).toBe(200);
    await inTurn(forged, async (bad) => {
      expectRefusal(await client.me({ Authorization: `Bearer ${bad}` }), 401, "unauthenticated");
    });
  });

  test("that is bad is not made good by a cookie beside it", async () => {
    const { token } = await client.enter(await newUser(), password);
    const headers = { Authorization: "Bearer x", Cookie: `stampede_token=${token}` };
    expectRefusal(await client.me(headers), 401, "unauthenticated");
  });

  test("is not read again from PostgreSQL while it is known, but for half a minute", async () => {
    const { headers, user } = await client.enter(await newUser(), password);
    expect((await client.me(headers)).status).toBe(200);
    await shop.sql`update users set disabled = true where id = ${user.id}`;
    expect((await client.me(headers)).status).toBe(200);
    clock.now += 30_000;
    expectRefusal(await client.me(headers), 401, "unauthenticated");
  });
});

describe("changing one's password", () => {
  const better = "a better password";
  const path = "/api/auth/password";
  const change = (headers: Record<string, string>, current = password, next: unknown = better) =>
    client.send("POST", path, { current_password: current, new_password: next }, { headers });

  test("ends every session but the one that it came by, also where they were just used", async () => {
    const name = await newUser();
    const [phone, desk] = [await client.enter(name, password), await client.enter(name, password)];
    const other = await client.enter(await newUser(), password);
    await inTurn([phone, desk, other], async ({ headers }) => {
      expect((await client.me(headers)).status).toBe(200);
    });
    const cookie = { Cookie: `stampede_token=${desk.token}` };
    const changed = await change({ ...cookie, "Sec-Fetch-Site": "same-origin" });
    expect([changed.status, changed.text]).toEqual([204, ""]);
    expectRefusal(await client.me(phone.headers), 401, "unauthenticated");
    expect((await client.me(cookie)).json()).toEqual(desk.user);
    expect((await client.me(other.headers)).status).toBe(200);
    expectRefusal(await client.login(name, password), 401, "invalid_credentials");
    const anew = await client.enter(name, better);
    clock.now += 60_000;
    expectRefusal(await client.me(phone.headers), 401, "unauthenticated");
    expect((await client.me(cookie)).status).toBe(200);
    expect((await client.me(anew.headers)).status).toBe(200);
  });

  test("ends a session that begins with the old one at the same time", async () => {
    const name = await newUser();
    const { headers, user } = await client.enter(name, password);
    const waiting = (wanted: number) =>
      until(`${wanted} to wait`, async () => {
        const rows = await shop.sql`
          select 1 from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock'`;
        return rows.length === wanted;
      });
    // The login is the first to go on, and has begun before the change could see its session.
    const [login, changed] = await shop.sql
      .begin(async (sql) => {
        await sql`select 1 from users where id = ${user.id} for update`;
        const entering = client.login(name, password);
        await waiting(1);
        const changing = change(headers);
        await waiting(2);
        return [entering, changing] as const;
      })
      .then((asked) => Promise.all(asked));
    expect([login.status, changed.status]).toEqual([200, 204]);
    const cookie = { Cookie: login.headers.getSetCookie()[0]?.split(";")[0] ?? "" };
    expectRefusal(await client.me(cookie), 401, "unauthenticated");
    expect((await client.me(headers)).status).toBe(200);
  });

  test("needs the current one, and a new one by the rules", async () => {
    const name = await newUser();
    const { headers, token } = await client.enter(name, password);
    const wrong = await change(headers, "not the password");
    expectRefusal(wrong, 401, "invalid_credentials");
    expect(wrong.text).toBe((await client.login(name, "not the password")).text);
    await inTurn(["s3cret!", "", 12_345_678, null, "🔑".repeat(257)], async (bad) => {
      const refused = await change(headers, password, bad);
      expectRefusal(refused, 400, "invalid_request");
      expect(refused.text).toContain('"new_password ');
      expect(refused.text).not.toContain("s3cret");
    });
    expectRefusal(await change(headers, ""), 400, "invalid_request");
    expectRefusal(await change({}), 401, "unauthenticated");
    const cookie = { Cookie: `stampede_token=${token}` };
    const fromElsewhere = await change({ ...cookie, "Sec-Fetch-Site": "cross-site" });
    expectRefusal(fromElsewhere, 403, "cross_site");
    await client.enter(name, password);
  });
});

/** What was read of a session counts for so long. */
const forget = (): void => void (clock.now += cacheAgeMaxMs);

describe("what another process changes", () => {
  let other: AccountShop;

  beforeAll(async () => {
    other = await openAccountShop(database, { clock });
  });

  test("counts here within a second: a role, a logout, a disabling, another password", async () => {
    const admin = await newAdmin();
    const { headers, user } = await client.enter(await newUser(), password);
    expect((await other.client.me(headers)).json()).toMatchObject({ role: "user" });
    const path = `/api/admin/users/${user.id}`;
    expect((await client.send("PATCH", path, { role: "admin" }, admin)).status).toBe(200);
    forget();
    expect((await other.client.me(headers)).json()).toMatchObject({ role: "admin" });
    expect((await client.ask("POST", "/api/auth/logout", { headers })).status).toBe(204);
    forget();
    expectRefusal(await other.client.me(headers), 401, "unauthenticated");
    const again = await other.client.enter(user.username, password);
    expect((await client.me(again.headers)).status).toBe(200);
    expect((await client.send("PATCH", path, { disabled: true }, admin)).status).toBe(200);
    forget();
    expectRefusal(await other.client.me(again.headers), 401, "unauthenticated");
  });

  test("and so do failed logins: guessing at both gives no more tries than at one", async () => {
    const name = await newUser();
    const { times } = allowances.loginOfAccountFromAddress;
    for (let i = 0; i < times; i += 1) {
      const at = i % 2 === 0 ? client : other.client;
      expectRefusal(await at.login(name, "a guess"), 401, "invalid_credentials");
    }
    expectRefusal(await other.client.login(name, password), 429, "too_many_attempts");
    expectRefusal(await client.login(name, password), 429, "too_many_attempts");
  });
});

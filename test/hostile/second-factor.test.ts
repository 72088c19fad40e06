/** The second factor: set up, asked for, used up, guessed at, taken away, and demanded. */
import { beforeEach, describe, expect, test } from "bun:test";
import { BlockList } from "node:net";
import { z } from "zod";
import {
  type AccountClient,
  type AccountShop,
  CountedHashing,
  expectRefusal,
  openAccountShop,
} from "../support/accounts.ts";
import { codeOf } from "../support/authenticator.ts";
import type { Answer, Ask } from "../support/client.ts";
import { usePostgres } from "../support/postgres.ts";
import { Clock } from "../support/shop.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const password = "a good password";
const path = "/api/auth/second-factor";
const stepMs = 30_000;
const proxies = new BlockList();
proxies.addAddress("127.0.0.1");

let url: string;
let clock: Clock;
let shop: AccountShop;
let client: AccountClient;

beforeEach(async () => {
  url = await postgres.newRecords();
  clock = new Clock(Date.parse("2026-06-01T12:00:10Z"));
  shop = await openAccountShop(url, { clock, proxies });
  ({ client } = shop);
  await client.register("anna", password);
});

type Entered = Awaited<ReturnType<AccountClient["enter"]>>;

const begun = z.object({ secret: z.string(), uri: z.string() });
const shownCodes = z.object({ recovery_codes: z.array(z.string()) });

const post = (to: string, body: object, by: Pick<Ask, "headers">) =>
  client.send("POST", path + to, body, by);

/** Switches it on for whoever is logged in, a step ago: the code of now is still good. */
async function enrol(by: Entered) {
  const { secret, uri } = begun.parse((await post("", { password }, by)).json());
  const answer = await post("/confirm", { otp: codeOf(secret, clock.now - stepMs) }, by);
  expect(answer.status).toBe(200);
  return { secret, uri, codes: shownCodes.parse(answer.json()).recovery_codes };
}

/** The code of this moment. */
const code = (secret: string): string => codeOf(secret, clock.now);

const logIn = (
  otp: string | undefined,
  of: Partial<{ name: string; word: string; at: string }> = {},
) =>
  client.send(
    "POST",
    "/api/auth/login",
    {
      username: of.name ?? "anna",
      password: of.word ?? password,
      ...(otp !== undefined && { otp }),
    },
    { headers: { "X-Forwarded-For": of.at ?? "192.0.2.1" } },
  );

/** A code that is none of now: the answer to it must not depend on luck. */
function wrongCode(secret: string): string {
  const good = [-1, 0, 1].map((steps) => codeOf(secret, clock.now + steps * stepMs));
  return good.includes("000000") ? "000001" : "000000";
}

const patch = (by: Entered, of: Entered, change: object) =>
  client.send("PATCH", `/api/admin/users/${of.user.id}`, change, by);

const recoveryCodesLeft = async (by: Entered): Promise<unknown> =>
  (await client.get(path, by)).json();

describe("setting it up", () => {
  test("takes the password, shows a secret, and is on with the first code of it", async () => {
    const anna = await client.enter("anna", password);
    expect(anna.answer.json()).toMatchObject({ user: { second_factor: false } });
    expectRefusal(await post("", { password: "wrong" }, anna), 401, "invalid_credentials");
    expectRefusal(await post("", {}, anna), 400, "invalid_request");
    expectRefusal(await post("/confirm", { otp: "123456" }, anna), 409, "second_factor_off");
    const shown = await post("", { password }, anna);
    expect(shown.headers.get("Cache-Control")).toBe("no-store");
    const { secret, uri } = begun.parse(shown.json());
    expect(uri).toContain(`secret=${secret}`);
    // Apps list accounts by it.
    expect(new URL(uri).searchParams.get("issuer")).toBe("Paper animals");
    expect((await client.get(path, anna)).json()).toEqual({ on: false, recovery_codes_left: 0 });
    // Not on: a login needs no code.
    await client.enter("anna", password);
    expectRefusal(
      await post("/confirm", { otp: wrongCode(secret) }, anna),
      401,
      "invalid_second_factor",
    );
    const confirmed = await post("/confirm", { otp: code(secret) }, anna);
    expect(confirmed.headers.get("Cache-Control")).toBe("no-store");
    const { recovery_codes: codes } = shownCodes.parse(confirmed.json());
    expect(new Set(codes).size).toBe(10);
    expect(await recoveryCodesLeft(anna)).toEqual({ on: true, recovery_codes_left: 10 });
    expect((await client.me(anna.headers)).json()).toMatchObject({ second_factor: true });
    expectRefusal(await post("", { password }, anna), 409, "second_factor_on");
    expectRefusal(await post("/confirm", { otp: code(secret) }, anna), 409, "second_factor_on");
  });

  test("ends every session but the one that it came by", async () => {
    const [desk, phone] = [
      await client.enter("anna", password),
      await client.enter("anna", password),
    ];
    await client.me(phone.headers);
    await enrol(desk);
    expect((await client.me(desk.headers)).status).toBe(200);
    expectRefusal(await client.me(phone.headers), 401, "unauthenticated");
  });

  test("of two secrets that were asked for, the later one counts", async () => {
    const anna = await client.enter("anna", password);
    const first = begun.parse((await post("", { password }, anna)).json());
    const second = begun.parse((await post("", { password }, anna)).json());
    const refused = await post("/confirm", { otp: code(first.secret) }, anna);
    expectRefusal(refused, 401, "invalid_second_factor");
    expect((await post("/confirm", { otp: code(second.secret) }, anna)).status).toBe(200);
  });

  test("a login that began before it does not end in a session without a code", async () => {
    const goesOn = Promise.withResolvers<void>();
    class SlowHashing extends CountedHashing {
      override async verify(given: string, hash: string): Promise<boolean> {
        const matches = await super.verify(given, hash);
        if (this.verified.length === 3) await goesOn.promise;
        return matches;
      }
    }
    const hashing = new SlowHashing();
    shop = await openAccountShop(url, { clock, proxies, hashing });
    ({ client } = shop);
    const anna = await client.enter("anna", password);
    const { secret } = begun.parse((await post("", { password }, anna)).json());
    // The password was right, and the account had no second factor.
    const late = logIn(undefined);
    await until("the login", () => hashing.verified.length === 3);
    expect((await post("/confirm", { otp: code(secret) }, anna)).status).toBe(200);
    goesOn.resolve();
    expectRefusal(await late, 401, "invalid_credentials");
  });

  test("leaves neither secret nor recovery codes in the records, nor in a copy of another row", async () => {
    const { secret, codes } = await enrol(await client.enter("anna", password));
    const rows = JSON.stringify(await shop.sql`select * from users`);
    for (const text of [secret, ...codes, ...codes.map((one) => one.replaceAll("-", ""))]) {
      expect(rows).not.toContain(text);
    }
    await client.register("bert", password);
    await shop.sql`
      update users set factor_secret = (select factor_secret from users where username = 'anna')
      where username = 'bert'`;
    expect((await logIn(code(secret), { name: "bert" })).status).toBe(500);
  });
});

describe("a login", () => {
  test("takes password and code, and says what is missing or wrong to whoever knows the password", async () => {
    const { secret } = await enrol(await client.enter("anna", password));
    expectRefusal(await logIn(undefined), 401, "second_factor_required");
    expectRefusal(await logIn(wrongCode(secret)), 401, "invalid_second_factor");
    expectRefusal(await logIn("not a code"), 401, "invalid_second_factor");
    expectRefusal(await logIn(""), 400, "invalid_request");
    const entered = await logIn(code(secret));
    expect(entered.json()).toMatchObject({ user: { username: "anna", second_factor: true } });
  });

  test("tells nobody else that there is one: the same answer, after the same work", async () => {
    const hashing = new CountedHashing();
    shop = await openAccountShop(url, { clock, proxies, hashing });
    ({ client } = shop);
    const { secret } = await enrol(await client.enter("anna", password));
    await client.register("bert", password);
    const answers: Answer[] = [];
    await inTurn(["anna", "bert", "nobody"], (name) =>
      inTurn([undefined, code(secret), wrongCode(secret)], async (otp) => {
        const before = hashing.verified.length;
        answers.push(await logIn(otp, { name, word: "wrong" }));
        expect(hashing.verified.length - before).toBe(1);
      }),
    );
    for (const answer of answers) expectRefusal(answer, 401, "invalid_credentials");
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    // What was tried with a wrong password has used up no code.
    expect((await logIn(code(secret))).status).toBe(200);
  });

  test("takes no otp for an account that has none to give", async () => {
    expect((await logIn("123456")).status).toBe(200);
    await client.register("bert", password);
    expect((await logIn(undefined, { name: "bert" })).status).toBe(200);
  });

  test("takes a code of a step before and after, once, and none before one that was taken", async () => {
    const { secret } = await enrol(await client.enter("anna", password));
    const [now, next] = [code(secret), codeOf(secret, clock.now + stepMs)];
    expect((await logIn(now)).status).toBe(200);
    expectRefusal(await logIn(now), 401, "invalid_second_factor");
    expect((await logIn(next)).status).toBe(200);
    expectRefusal(await logIn(now), 401, "invalid_second_factor");
    clock.now += stepMs;
    expectRefusal(await logIn(next), 401, "invalid_second_factor");
    clock.now += stepMs;
    expectRefusal(
      await logIn(codeOf(secret, clock.now - 2 * stepMs)),
      401,
      "invalid_second_factor",
    );
    expect((await logIn(code(secret))).status).toBe(200);
  });

  test("does not take the code that switched it on", async () => {
    const anna = await client.enter("anna", password);
    const { secret } = begun.parse((await post("", { password }, anna)).json());
    await post("/confirm", { otp: code(secret) }, anna);
    expectRefusal(await logIn(code(secret)), 401, "invalid_second_factor");
  });

  test("takes a code once also of many at a time, and through another process", async () => {
    const { secret, codes } = await enrol(await client.enter("anna", password));
    const other = await openAccountShop(url, { clock, proxies });
    const byBoth = async (otp: string): Promise<number> => {
      const body = { username: "anna", password, otp };
      const answers = await Promise.all(
        upTo(6).map((i) => (i % 2 ? client : other.client).send("POST", "/api/auth/login", body)),
      );
      return answers.filter(({ status }) => status === 200).length;
    };
    expect(await byBoth(code(secret))).toBe(1);
    expect(await byBoth(codes[3] ?? "")).toBe(1);
  });

  test("takes each recovery code once, typed in any way", async () => {
    const anna = await client.enter("anna", password);
    const { codes } = await enrol(anna);
    const [one = "", two = ""] = codes;
    expect((await logIn(one)).status).toBe(200);
    expectRefusal(await logIn(one), 401, "invalid_second_factor");
    expect((await logIn(` ${two.toLowerCase().replaceAll("-", " ")}`)).status).toBe(200);
    expect(await recoveryCodesLeft(anna)).toEqual({ on: true, recovery_codes_left: 8 });
    expectRefusal(await logIn("AAAA-AAAA-AAAA-AAAA"), 401, "invalid_second_factor");
  });
});

describe("guessing codes", () => {
  test("stops after ten, from wherever, for an hour, and a restart gives no new tries", async () => {
    const { secret } = await enrol(await client.enter("anna", password));
    await inTurn(upTo(10), async (i) => {
      const answer = await logIn(wrongCode(secret), { at: `192.0.2.${i}` });
      expectRefusal(answer, 401, "invalid_second_factor");
    });
    const stopped = await logIn(code(secret), { at: "198.51.100.1" });
    expectRefusal(stopped, 429, "too_many_attempts");
    expect(Number(stopped.headers.get("Retry-After"))).toBeGreaterThan(300);
    // Without a code it is only said that one is needed; and who does not know the password learns nothing.
    expectRefusal(await logIn(undefined, { at: "198.51.100.1" }), 401, "second_factor_required");
    const stranger = await logIn(code(secret), { at: "198.51.100.1", word: "wrong" });
    expectRefusal(stranger, 401, "invalid_credentials");
    await until("what is kept", async () => {
      const rows = await shop.sql`select 1 from login_limits where key like 'factor:%'`;
      return rows.length === 1;
    });
    const next = await openAccountShop(url, { clock, proxies });
    const body = { username: "anna", password, otp: code(secret) };
    const refused = await next.client.send("POST", "/api/auth/login", body);
    expectRefusal(refused, 429, "too_many_attempts");
    clock.now += 3_600_000;
    expect((await logIn(code(secret))).status).toBe(200);
  });

  test("counts as a failed login too, and asking for the code does not", async () => {
    const { secret } = await enrol(await client.enter("anna", password));
    await inTurn(upTo(20), async () => {
      expectRefusal(await logIn(undefined), 401, "second_factor_required");
    });
    await inTurn(upTo(5), () => logIn(wrongCode(secret)));
    await inTurn(upTo(5), () => logIn(undefined, { word: "wrong" }));
    expectRefusal(await logIn(code(secret)), 429, "too_many_attempts");
    expect((await logIn(code(secret), { at: "192.0.2.2" })).status).toBe(200);
  });

  test("is counted where it is switched off as well", async () => {
    const anna = await client.enter("anna", password);
    const { secret } = await enrol(anna);
    await inTurn(upTo(10), async () => {
      const answer = await post("/disable", { password, otp: wrongCode(secret) }, anna);
      expectRefusal(answer, 401, "invalid_second_factor");
    });
    const stopped = await post("/recovery-codes", { password, otp: code(secret) }, anna);
    expectRefusal(stopped, 429, "too_many_attempts");
  });
});

describe("switching it off, and new recovery codes", () => {
  test("take password and code", async () => {
    const anna = await client.enter("anna", password);
    const none = { password, otp: "123456" };
    expectRefusal(await post("/disable", none, anna), 409, "second_factor_off");
    expectRefusal(await post("/recovery-codes", none, anna), 409, "second_factor_off");
    const { secret, codes } = await enrol(anna);
    await inTurn(["/disable", "/recovery-codes"], async (to) => {
      expectRefusal(await post(to, { password }, anna), 400, "invalid_request");
      const wrongWord = { password: "wrong", otp: code(secret) };
      expectRefusal(await post(to, wrongWord, anna), 401, "invalid_credentials");
      const wrong = { password, otp: wrongCode(secret) };
      expectRefusal(await post(to, wrong, anna), 401, "invalid_second_factor");
    });
    const renewed = await post("/recovery-codes", { password, otp: codes[0] }, anna);
    const { recovery_codes: others } = shownCodes.parse(renewed.json());
    expect(await recoveryCodesLeft(anna)).toEqual({ on: true, recovery_codes_left: 10 });
    expectRefusal(await logIn(codes[1]), 401, "invalid_second_factor");
    const phone = await client.enter("anna", password, {}).catch((error: unknown) => String(error));
    expect(phone).toContain("second_factor_required");
    expect((await logIn(others[0])).status).toBe(200);
    expect((await post("/disable", { password, otp: code(secret) }, anna)).status).toBe(204);
    expect((await client.me(anna.headers)).json()).toMatchObject({ second_factor: false });
    expect((await logIn(undefined)).status).toBe(200);
    // Nothing is left of it: neither codes nor secret.
    const next = await enrol(anna);
    expectRefusal(await logIn(others[1]), 401, "invalid_second_factor");
    expectRefusal(await logIn(code(secret)), 401, "invalid_second_factor");
    expect((await logIn(code(next.secret))).status).toBe(200);
  });

  test("need somebody who is logged in, on this site", async () => {
    const nobody = { headers: {} };
    await inTurn(["", "/confirm", "/disable", "/recovery-codes"], async (to) => {
      expectRefusal(await post(to, {}, nobody), 401, "unauthenticated");
      const foreign = { headers: { "Sec-Fetch-Site": "cross-site" } };
      expectRefusal(await post(to, {}, foreign), 403, "cross_site");
    });
    expectRefusal(await client.get(path), 401, "unauthenticated");
  });
});

describe("an administrator", () => {
  beforeEach(() => shop.makeAdmin("root", password));

  test("takes it from somebody who has lost it, whose sessions end; not from themselves", async () => {
    const [anna, root] = [
      await client.enter("anna", password),
      await client.enter("root", password),
    ];
    await enrol(anna);
    await enrol(root);
    const { users } = z
      .object({
        users: z.array(z.looseObject({ username: z.string(), second_factor: z.boolean() })),
      })
      .parse((await client.get("/api/admin/users?q=ann", root)).json());
    expect(users).toMatchObject([{ username: "anna", second_factor: true }]);
    expectRefusal(await patch(root, anna, { second_factor: true }), 400, "invalid_request");
    expectRefusal(await patch(root, root, { second_factor: false }), 409, "own_account");
    const reset = await patch(root, anna, { second_factor: false });
    expect(reset.json()).toMatchObject({ second_factor: false, role: "user", disabled: false });
    expectRefusal(await client.me(anna.headers), 401, "unauthenticated");
    expect((await logIn(undefined)).status).toBe(200);
    // What else is changed leaves it, and the sessions.
    const again = await client.enter("anna", password);
    await enrol(again);
    const changed = await patch(root, again, { role: "admin" });
    expect(changed.json()).toMatchObject({ second_factor: true, role: "admin" });
    expect((await client.me(again.headers)).status).toBe(200);
  });

  test("of whom it is demanded can only set it up, and then administrates at once", async () => {
    shop = await openAccountShop(url, { clock, proxies, demandsFactor: true });
    ({ client } = shop);
    const root = await client.enter("root", password);
    expect(root.answer.json()).toMatchObject({ user: { second_factor_demanded: true } });
    const calls = () =>
      inTurn(
        [
          ["GET", "/api/admin/users"],
          ["GET", "/api/admin/keys"],
          ["POST", "/api/admin/keys"],
          ["DELETE", "/api/admin/keys/1"],
          ["PATCH", `/api/admin/users/${root.user.id}`],
        ] as const,
        ([method, to]) =>
          method === "GET" ? client.get(to, root) : client.send(method, to, {}, root),
      );
    for (const answer of await calls()) expectRefusal(answer, 403, "second_factor_demanded");
    const { secret } = await enrol(root);
    expect((await client.me(root.headers)).json()).toMatchObject({ second_factor_demanded: false });
    for (const { status } of await calls()) expect([200, 400, 404]).toContain(status);
    expect((await post("/disable", { password, otp: code(secret) }, root)).status).toBe(204);
    for (const answer of await calls()) expectRefusal(answer, 403, "second_factor_demanded");
    // Of others it is not.
    const anna = await client.enter("anna", password);
    expect(anna.answer.json()).toMatchObject({ user: { second_factor_demanded: false } });
    expectRefusal(await client.get("/api/admin/users", anna), 403, "forbidden");
  });

  test("who is given the role later has to set it up too", async () => {
    shop = await openAccountShop(url, { clock, proxies, demandsFactor: true });
    ({ client } = shop);
    const [anna, root] = [
      await client.enter("anna", password),
      await client.enter("root", password),
    ];
    await enrol(root);
    expect((await patch(root, anna, { role: "admin" })).status).toBe(200);
    expectRefusal(await client.get("/api/admin/users", anna), 403, "second_factor_demanded");
  });
});

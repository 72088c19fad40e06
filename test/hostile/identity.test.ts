/** Who asks: keys, user tokens, pages of other sites, and what is none of them. */
import { beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT, type JWTPayload } from "jose";
import { z } from "zod";
import { keysAgeMaxMs } from "../../src/access/keys.ts";
import { AccountClient, expectRefusal } from "../support/accounts.ts";
import { atEnd, newFolder } from "../support/leftovers.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { runProgram, startServer, type TestServer } from "../support/server.ts";
import { inTurn, until } from "../support/wait.ts";

const postgres = usePostgres();
const secret = "a secret that the shop's server shares with us";
const jwksFile = join(newFolder(), "jwks.json");
let url: string;
let leader: TestServer;
let standby: TestServer;
let admin: { readonly Authorization: string };

const setKeys = async (...keys: readonly { kid: string; key: CryptoKey; alg: string }[]) => {
  const exported = keys.map(async ({ kid, key, alg }) =>
    Object.assign(await exportJWK(key), { kid, alg }),
  );
  writeFileSync(jwksFile, JSON.stringify({ keys: await Promise.all(exported) }));
};

const ed = await generateKeyPair("EdDSA");
const ec = await generateKeyPair("ES256");
const rsa = await generateKeyPair("RS256");
const later = await generateKeyPair("EdDSA");

beforeAll(async () => {
  await setKeys(
    { kid: "ed", key: ed.publicKey, alg: "EdDSA" },
    { kid: "ec", key: ec.publicKey, alg: "ES256" },
    { kid: "rsa", key: rsa.publicKey, alg: "RS256" },
  );
  url = await postgres.newRecords();
  const environment = {
    DATABASE_URL: url,
    ACCESS: "guarded",
    USER_TOKEN_SECRET: secret,
    USER_TOKEN_JWKS: jwksFile,
    RATE_LIMITS: "off",
    CORS_ORIGINS: "https://shop.example",
    TRUSTED_PROXIES: "127.0.0.1",
  };
  leader = await startServer(environment);
  standby = await startServer(environment);
  const password = "a good password";
  await runProgram(["user", "create", "root", "--role", "admin"], { DATABASE_URL: url }, password);
  const { headers } = await new AccountClient(() => leader.url).enter("root", password);
  admin = headers;
});

const accounts = (server: TestServer) => new AccountClient(() => server.url);
/** As a client elsewhere, whom nothing exempts. */
const elsewhere = { "X-Forwarded-For": "192.0.2.1" };
const bearer = (token: string) => ({ ...elsewhere, Authorization: `Bearer ${token}` });
const made = z.object({ id: z.int(), name: z.string(), key: z.string().startsWith("sk_") });

async function newKey(name: string, scopes: readonly string[], more: object = {}) {
  const answer = await accounts(leader).send(
    "POST",
    "/api/admin/keys",
    { name, scopes, ...more },
    { headers: admin },
  );
  expect(answer.status).toBe(201);
  return made.parse(answer.json());
}

const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;

const signed = (
  claims: JWTPayload,
  by: CryptoKey | Uint8Array = Buffer.from(secret),
  header: { alg: string; kid?: string } = { alg: "HS256" },
): Promise<string> => new SignJWT(claims).setProtectedHeader(header).sign(by);

describe("a key", () => {
  test("does what its scopes allow, on every process, until it is revoked", async () => {
    const { id, key } = await newKey("figures", ["read"]);
    const ask = (server: TestServer) =>
      server.client.get("/metrics", { headers: bearer(key) }).then(({ status }) => status);
    expect(await ask(leader)).toBe(200);
    expect(await ask(standby)).toBe(200);
    const changing = await leader.client.ask("DELETE", "/api/admin/products/1", {
      headers: bearer(key),
    });
    expectRefusal(changing, 403, "forbidden");
    const makes = await accounts(leader).send(
      "POST",
      "/api/admin/keys",
      { name: "child", scopes: ["read"] },
      { headers: bearer(key) },
    );
    expectRefusal(makes, 403, "forbidden");

    const revoked = await leader.client.ask("DELETE", `/api/admin/keys/${id}`, { headers: admin });
    expect(revoked.status).toBe(204);
    expect(await ask(leader)).toBe(401);
    await until("the key's end on the standby", async () => (await ask(standby)) === 401);
    // The contract says two seconds, and this is how long it may not hear of it.
    expect(keysAgeMaxMs).toBeLessThan(2_000);
  });

  test("is told where it names a customer, on the paths where nobody is named", async () => {
    const keys = [await newKey("sells", ["sell"]), await newKey("reads", ["read"])];
    const path = "/api/flash-sales/1/checkout";
    const [selling, reading] = await inTurn(keys, ({ key }) =>
      accounts(leader).send("POST", path, { item_id: 1 }, { headers: bearer(key) }),
    );
    if (selling === undefined || reading === undefined) throw new Error("no answers");
    expectRefusal(selling, 400, "invalid_request");
    expect(selling.text).toContain("POST /checkout takes user_id, id and sale_id");
    expectRefusal(reading, 403, "forbidden");
  });

  test("is stored by its hash alone, and listed with its last use", async () => {
    const { key } = await newKey("listed", ["manage", "read"]);
    const rows = await lookInto(url)`select * from api_keys`;
    expect(JSON.stringify(rows)).not.toContain(key);
    expect((await leader.client.get("/metrics", { headers: bearer(key) })).status).toBe(200);
    const listed = async () => {
      const { text } = await leader.client.get("/api/admin/keys", { headers: admin });
      expect(text).not.toContain(key);
      return z
        .object({ keys: z.array(z.looseObject({ name: z.string(), last_used_at: z.any() })) })
        .parse(JSON.parse(text))
        .keys.find(({ name }) => name === "listed")?.last_used_at;
    };
    await until("its last use", async () => {
      await leader.client.get("/metrics", { headers: bearer(key) });
      return (await listed()) !== null;
    });
  });

  test("ends at its time", async () => {
    const { key } = await newKey("past", ["read"], { expires_at: "2020-01-01T00:00:00Z" });
    const answer = await leader.client.get("/metrics", { headers: bearer(key) });
    expectRefusal(answer, 401, "unauthenticated");
  });

  test("is made, listed and revoked by command", async () => {
    const env = { DATABASE_URL: url };
    const created = await runProgram(["key", "create", "cli", "--scope", "read,sell"], env);
    expect(created.exitCode).toBe(0);
    const key = created.output.trim();
    expect(key).toMatch(/^sk_[\w-]{43}$/);
    await until("its being known", async () => {
      const { status } = await leader.client.get("/metrics", { headers: bearer(key) });
      return status === 200;
    });
    const again = await runProgram(["key", "create", "cli", "--scope", "read"], env);
    expect(again).toMatchObject({ exitCode: 1, log: "stampede: There is a key cli already.\n" });
    const list = await runProgram(["key", "list"], env);
    expect(list.output).toMatch(/^cli +sell,read +/m);
    expect((await runProgram(["key", "revoke", "cli"], env)).exitCode).toBe(0);
    await until("its end", async () => {
      const { status } = await leader.client.get("/metrics", { headers: bearer(key) });
      return status === 401;
    });
    expect((await runProgram(["key", "revoke", "cli"], env)).exitCode).toBe(1);
    const wrong = [
      ["create"],
      ["create", "a"],
      ["create", "a", "--scope", "all"],
      ["create", "a", "--scope", "read", "--expires", "soon"],
      ["list", "a"],
      ["revoke"],
    ];
    await inTurn(wrong, async (args) => {
      expect((await runProgram(["key", ...args], env)).exitCode).toBe(2);
    });
  });
});

/** Whether anybody is proven: what is not gets 401, who is proven and may not, 403. */
const metricsBy = async (token: string) =>
  (await leader.client.get("/metrics", { headers: bearer(token) })).status;

const good = () => ({ sub: "anna", exp: inSeconds(600) });

describe("a user token", () => {
  test("counts by secret and by every kind of published key", async () => {
    const tokens = await Promise.all([
      signed(good()),
      signed({ ...good(), sale: 7 }),
      signed(good(), ed.privateKey, { alg: "EdDSA", kid: "ed" }),
      signed(good(), ec.privateKey, { alg: "ES256", kid: "ec" }),
      signed(good(), rsa.privateKey, { alg: "RS256", kid: "rsa" }),
      signed({ sub: "anna", exp: inSeconds(24 * 3600) }),
    ]);
    await inTurn(tokens, async (token) => expect(await metricsBy(token)).toBe(403));
  });

  test("that is wrong in any way makes nobody", async () => {
    const none = Buffer.from(JSON.stringify({ alg: "none" })).toString("base64url");
    const [, body = ""] = (await signed(good())).split(".");
    const spki = JSON.stringify(await exportJWK(rsa.publicKey));
    const tokens = await Promise.all([
      signed(good(), Buffer.from("another secret of thirty-two bytes")),
      signed(good(), later.privateKey, { alg: "EdDSA", kid: "ed" }),
      signed(good(), later.privateKey, { alg: "EdDSA", kid: "none" }),
      signed(good(), Buffer.from(spki), { alg: "HS256", kid: "rsa" }),
      signed({ sub: "anna" }),
      signed({ exp: inSeconds(600) }),
      signed({ sub: "anna", exp: inSeconds(-60) }),
      signed({ sub: "anna", exp: inSeconds(-1) }),
      signed({ sub: "anna", exp: inSeconds(25 * 3600) }),
      signed({ ...good(), nbf: inSeconds(300) }),
      signed({ ...good(), sub: "" }),
      signed({ ...good(), sub: "an\u200Bna" }),
      signed({ ...good(), sub: "x".repeat(256) }),
      signed({ ...good(), sale: "first" }),
      signed({ ...good(), iss: "stampede" }),
      `${none}.${body}.`,
      `${none}.${body}`,
      "x",
      `sk_${"a".repeat(43)}`,
      "a".repeat(8_000),
    ]);
    await inTurn(tokens, async (token) => expect(await metricsBy(token)).toBe(401));
    await inTurn(["Basic YTpi", "Bearer", "Bearer ", "sk_abc"], async (authorization) => {
      const headers = { ...elsewhere, Authorization: authorization };
      expect((await leader.client.get("/metrics", { headers })).status).toBe(401);
    });
  });

  test("counts by a key that was added to the file, and by the others still", async () => {
    const byLater = await signed(good(), later.privateKey, { alg: "EdDSA", kid: "later" });
    expect(await metricsBy(byLater)).toBe(401);
    await setKeys(
      { kid: "ec", key: ec.publicKey, alg: "ES256" },
      { kid: "later", key: later.publicKey, alg: "EdDSA" },
    );
    await until("the new key", async () => (await metricsBy(byLater)) === 403);
    const gone = { ...good(), sub: "bert" };
    const byGone = await signed(gone, ed.privateKey, { alg: "EdDSA", kid: "ed" });
    expect(await metricsBy(byGone)).toBe(401);
  });
});

test("keys at an address are had from there, and nobody is anybody while they are not", async () => {
  let keys: object[] = [];
  let isAway = true;
  const shop = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => (isAway ? new Response("", { status: 500 }) : Response.json({ keys })),
  });
  atEnd(() => shop.stop(true));
  keys = [{ ...(await exportJWK(ed.publicKey)), kid: "ed", alg: "EdDSA" }];
  const server = await startServer({
    DATABASE_URL: url,
    ACCESS: "guarded",
    USER_TOKEN_JWKS: `http://us:them@127.0.0.1:${shop.port}/jwks.json`,
  });
  // Whoever runs it hears so before the first customer comes.
  const unread = "the keys in USER_TOKEN_JWKS cannot be read";
  await until("word of the keys", () => server.program.log.includes(unread));
  const ask = async (sub: string) => {
    const token = await signed({ sub, exp: inSeconds(60) }, ed.privateKey, {
      alg: "EdDSA",
      kid: "ed",
    });
    return await server.client.get("/metrics", { headers: bearer(token) });
  };
  expectRefusal(await ask("first"), 503, "unavailable");
  isAway = false;
  expect((await ask("first")).status).toBe(403);
  expect(server.program.log.split(unread)).toHaveLength(2);
  expect(server.program.log).not.toContain("them@");
});

const figures = (headers: Readonly<Record<string, string>>) =>
  leader.client.get("/metrics", { headers });

test("figures are for those who may read, and for this machine", async () => {
  expect((await figures({})).status).toBe(200);
  expectRefusal(await figures(elsewhere), 401, "unauthenticated");
  expect((await figures(admin)).status).toBe(200);
});

describe("a page of another site", () => {
  const foreign = [
    { "Sec-Fetch-Site": "cross-site" },
    { "Sec-Fetch-Site": "same-site" },
    { Origin: "https://evil.example" },
    { Origin: "null" },
  ];
  const changing = [
    ["POST", "/checkout?user_id=a&id=any"],
    ["DELETE", "/checkout?code=00000000-0000-4000-8000-000000000000"],
    ["POST", "/purchase?code=00000000-0000-4000-8000-000000000000"],
    ["POST", "/api/coupons"],
    ["POST", "/api/coupons/claim"],
    ["POST", "/api/auth/login"],
    ["POST", "/api/purchases"],
    ["POST", "/api/admin/keys"],
  ] as const;

  test("changes nothing, with a cookie or without, on a leader and on a standby", async () => {
    await inTurn([leader, standby], (server) =>
      inTurn(foreign, (headers) =>
        inTurn(changing, async ([method, path]) => {
          const answer = await server.client.ask(method, path, { headers });
          expectRefusal(answer, 403, "cross_site");
          const cookie = { ...headers, Cookie: "stampede_token=x" };
          const again = await server.client.ask(method, path, { headers: cookie });
          expectRefusal(again, 403, "cross_site");
        }),
      ),
    );
  });

  test("of a shop front may, by token, and read the answer; by cookie it may not", async () => {
    const origin = { Origin: "https://shop.example", "Sec-Fetch-Site": "cross-site" };
    const token = await signed({ sub: "anna", exp: inSeconds(600) });
    const path = "/api/coupons/claim";
    const byToken = await leader.client.ask("POST", path, {
      headers: { ...origin, ...bearer(token) },
    });
    expect(byToken.status).not.toBe(403);
    expect(byToken.headers.get("Access-Control-Allow-Origin")).toBe("https://shop.example");
    const byNobody = await leader.client.ask("POST", path, { headers: origin });
    expectRefusal(byNobody, 403, "cross_site");
    const evil = { ...bearer(token), Origin: "https://evil.example" };
    const refused = await leader.client.ask("POST", path, { headers: evil });
    expectRefusal(refused, 403, "cross_site");
    expect(refused.headers.get("Access-Control-Allow-Origin")).toBeNull();

    const preflight = await leader.client.ask("OPTIONS", "/checkout", {
      headers: { ...origin, "Access-Control-Request-Method": "POST" },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("Access-Control-Allow-Methods")).toContain("POST");
    expect(preflight.headers.get("Access-Control-Allow-Credentials")).toBeNull();
    const evilFlight = await leader.client.ask("OPTIONS", "/checkout", {
      headers: { Origin: "https://evil.example", "Access-Control-Request-Method": "POST" },
    });
    expect(evilFlight.status).toBe(405);
  });
});

/** Guessing passwords: what strangers cannot keep an account from, and what a restart does not give. */
import { beforeEach, expect, test } from "bun:test";
import { BlockList } from "node:net";
import { type AccountShop, expectRefusal, openAccountShop } from "../support/accounts.ts";
import { usePostgres } from "../support/postgres.ts";
import { Clock } from "../support/shop.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const password = "a good password";
const proxies = new BlockList();
proxies.addAddress("127.0.0.1");
let url: string;
let clock: Clock;
let shop: AccountShop;

beforeEach(async () => {
  url = await postgres.newRecords();
  clock = new Clock(Date.now());
  shop = await openAccountShop(url, { clock, proxies });
  await shop.client.register("anna", password);
  await shop.client.register("bert", password);
});

const from = (address: string, cookie?: string) => ({
  headers: { "X-Forwarded-For": address, ...(cookie === undefined ? {} : { Cookie: cookie }) },
});

/** The cookie by which a browser is known. */
async function deviceOf(name: string, address: string): Promise<string> {
  const { headers } = await shop.client.login(name, password, from(address));
  const device = headers.getSetCookie().find((cookie) => cookie.startsWith("stampede_device="));
  expect(device).toContain("HttpOnly; SameSite=Lax");
  return device?.split(";")[0] ?? "";
}

/** Uses up what everybody together may try. */
const attack = () =>
  inTurn(upTo(6), (i) =>
    inTurn(upTo(10), () => shop.client.login("anna", "wrong", from(`192.0.2.${i}`))),
  );

test("strangers cannot keep a browser out that has logged in before", async () => {
  const device = await deviceOf("anna", "198.51.100.1");
  await attack();
  const elsewhere = "198.51.100.2";
  const unknown = await shop.client.login("anna", password, from(elsewhere));
  expectRefusal(unknown, 429, "too_many_attempts");
  const known = await shop.client.login("anna", password, from(elsewhere, device));
  expect(known.status).toBe(200);
  // Also where a stranger shares its address.
  const shared = await shop.client.login("anna", password, from("192.0.2.1", device));
  expect(shared.status).toBe(200);
});

test("nor an address, at any process and after a restart, for a month", async () => {
  const own = from("198.51.100.1");
  expect((await shop.client.login("anna", password, own)).status).toBe(200);
  await attack();
  const next = await openAccountShop(url, { clock, proxies });
  await inTurn([shop, next], async ({ client }) => {
    expect((await client.login("anna", password, own)).status).toBe(200);
    const stranger = await client.login("anna", password, from("198.51.100.2"));
    expectRefusal(stranger, 429, "too_many_attempts");
    // Others do not become familiar by it.
    const other = await client.login("anna", "wrong", from("198.51.100.3"));
    expectRefusal(other, 429, "too_many_attempts");
  });
  clock.now += 31 * 24 * 3_600_000;
  await attack();
  expectRefusal(await next.client.login("anna", password, own), 429, "too_many_attempts");
});

test("a browser's cookie helps its own account alone, and not to guess", async () => {
  const device = await deviceOf("bert", "198.51.100.1");
  await attack();
  const others = [device, `${device}x`, device.replace(/.$/, "A"), "stampede_device=x.1.y"];
  await inTurn(others, async (cookie) => {
    const answer = await shop.client.login("anna", password, from("198.51.100.3", cookie));
    expectRefusal(answer, 429, "too_many_attempts");
  });
  await inTurn(upTo(10), () => shop.client.login("bert", "wrong", from("198.51.100.4", device)));
  const guessed = await shop.client.login("bert", password, from("198.51.100.4", device));
  expectRefusal(guessed, 429, "too_many_attempts");
});

test("a restart gives no new tries, and names nobody in the records", async () => {
  await inTurn(upTo(10), () => shop.client.login("anna", "wrong", from("192.0.2.9")));
  await until("what is kept", async () => {
    const rows = await shop.sql<{ key: string }[]>`select key from login_limits`;
    expect(JSON.stringify(rows)).not.toMatch(/anna|192\.0\.2/);
    return rows.length >= 3;
  });
  const next = await openAccountShop(url, { clock, proxies });
  const refused = await next.client.login("anna", password, from("192.0.2.9"));
  expectRefusal(refused, 429, "too_many_attempts");
  expect((await next.client.login("anna", password, from("192.0.2.8"))).status).toBe(200);
  clock.now += 3_600_000;
  const later = await openAccountShop(url, { clock, proxies });
  expect((await later.client.login("anna", password, from("192.0.2.9"))).status).toBe(200);
});

test("over TLS, cookies are this host's alone", async () => {
  const tls = { headers: { "X-Forwarded-Proto": "https" } };
  const { headers } = await shop.client.login("anna", password, tls);
  const cookies = headers.getSetCookie();
  expect(cookies).toHaveLength(2);
  for (const cookie of cookies) {
    expect(cookie).toMatch(
      /^__Host-stampede_\w+=[^;]+; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax; Secure$/,
    );
  }
  const session = cookies[0]?.split(";")[0] ?? "";
  const me = (cookie: string) => shop.client.me({ ...tls.headers, Cookie: cookie });
  expect((await me(session)).status).toBe(200);
  // Another host of the same domain could have set one without the prefix.
  expect((await me(session.replace("__Host-", ""))).status).toBe(401);
});

/** How much one client may ask, on the process itself: as one behind a proxy, for this machine is exempt. */
import { beforeAll, describe, expect, test } from "bun:test";
import { SignJWT } from "jose";
import { z } from "zod";
import { expectRefusal } from "../support/accounts.ts";
import type { Answer } from "../support/client.ts";
import { accepted, reservation } from "../support/contract.ts";
import { usePostgres } from "../support/postgres.ts";
import { runProgram, startServer, type TestServer } from "../support/server.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
let leader: TestServer;
let standby: TestServer;

beforeAll(async () => {
  const environment = {
    DATABASE_URL: await postgres.newRecords(),
    TRUSTED_PROXIES: "127.0.0.1",
    RATE_LIMITS: "writes=1/5,reads=1/8,costly=1/2",
  };
  leader = await startServer(environment);
  standby = await startServer(environment);
});

const from = (address: string) => ({ headers: { "X-Forwarded-For": address } });
const statuses = (answers: readonly Answer[]) => answers.map(({ status }) => status);

/**
 * More requests at once than a bucket into which one a second comes back could fill up again for,
 * however busy the machine is. As many are allowed as fit, and as came back meanwhile; the rest is
 * refused.
 */
async function burst(fits: number, ask: (i: number) => Promise<Answer>) {
  const startedAt = performance.now();
  const answers = await Promise.all(upTo(fits + 60).map(ask));
  const cameBack = Math.ceil((performance.now() - startedAt) / 1_000);
  const refused = answers.find(({ status }) => status === 429);
  const allowed = answers.filter(({ status }) => status !== 429);
  expect(allowed.length).toBeWithin(fits, fits + cameBack + 1);
  if (refused === undefined) throw new Error("nothing was refused");
  return { allowed: new Set(statuses(allowed)), refused };
}

describe.each(["leader", "standby"])("through the %s", (name) => {
  const server = () => (name === "leader" ? leader : standby);
  const address = name === "leader" ? "192.0.2.10" : "192.0.2.20";

  test("an address that asks too often is told when to come again", async () => {
    const buy = (i: number) => server().client.checkout(`${name}${i}`, "any", from(address));
    const { refused } = await burst(5, buy);
    expectRefusal(refused, 429, "rate_limited");
    expect(Number(refused.headers.get("Retry-After"))).toBeGreaterThanOrEqual(1);
    expect(refused.headers.get("RateLimit-Policy")).toBe('"writes";q=5;w=5');
    expect(refused.headers.get("RateLimit")).toMatch(/^"writes";r=0;t=\d+$/);
    const other = await server().client.checkout("other", "any", from(`${address}1`));
    expect(other.status).not.toBe(429);
    // This machine is not counted.
    const own = await inTurn(upTo(10), (i) => server().client.checkout(`own${i}`, 9_999));
    expect(statuses(own)).not.toContain(429);
  });

  test("what is costly has a limit of its own, and the document says what is", async () => {
    const ask = () => server().client.get("/sales/1/audit", from(`${address}9`));
    expect((await burst(2, ask)).allowed).toEqual(new Set([200]));
    const { text } = await server().client.get("/openapi.json");
    const { paths } = z
      .object({ paths: z.record(z.string(), z.record(z.string(), z.looseObject({}))) })
      .parse(JSON.parse(text));
    expect(paths["/sales/{sale_id}/audit"]?.["get"]?.["x-cost"]).toBe("costly");
  });

  test("an IPv6 network is one address", async () => {
    const network = name === "leader" ? "2001:db8:1:1" : "2001:db8:2:2";
    const { allowed } = await burst(8, (i) =>
      server().client.get("/sale", from(`${network}::${i.toString(16)}`)),
    );
    expect(allowed).toEqual(new Set([200]));
  });
});

test("tokens that do not count are counted, and not verified for ever", async () => {
  const here = { ...from("192.0.2.77").headers, Authorization: "Bearer a.b.c" };
  const { allowed } = await burst(5, () =>
    leader.client.checkout("anybody", "any", { headers: here }),
  );
  expect(allowed).toEqual(new Set([401]));
});

test("a proxy that was not named is noticed, once", async () => {
  const server = await startServer({ DATABASE_URL: await postgres.newRecords() });
  const noticed = () => server.program.log.split("TRUSTED_PROXIES").length - 1;
  await inTurn(upTo(200), (i) => server.client.get("/health", from(`192.0.2.${i}`)));
  await until("the notice", () => noticed() > 0);
  await inTurn(upTo(200), (i) => server.client.get("/health", from(`192.0.2.${i}`)));
  expect(noticed()).toBe(1);
});

describe("whoever holds and does not buy", () => {
  /** So long that it hardly matters how long it takes to ask. */
  const ttlMs = 86_400_000;
  const waitSecondsMin = 80_000;
  const secret = "a secret that the shop's server shares with us";
  let server: TestServer;
  let url: string;

  beforeAll(async () => {
    url = await postgres.newRecords();
    server = await startServer({
      DATABASE_URL: url,
      USER_TOKEN_SECRET: secret,
      TRUSTED_PROXIES: "127.0.0.1",
      RATE_LIMITS: "writes=1000/1000",
      SALE_PER_USER_LIMIT: "1",
      SALE_ITEMS: "100",
      RESERVATION_TTL_MS: String(ttlMs),
    });
  });

  test("has ten times a user's limit for all the guests of an address", async () => {
    const here = from("198.51.100.7");
    const reserve = (i: number) => server.client.checkout(`bot${i}`, "any", here);
    const held = await inTurn(upTo(10), reserve);
    expect(statuses(held)).toEqual(upTo(10).map(() => 200));
    const refused = await reserve(11);
    expectRefusal(refused, 429, "rate_limited");
    expect(Number(refused.headers.get("Retry-After"))).toBeGreaterThan(waitSecondsMin);
    expect((await server.client.checkout("other", "any", from("198.51.100.8"))).status).toBe(200);
    const { code } = accepted(held[0] as Answer, reservation);
    expect((await server.client.purchase(code, here)).status).toBe(200);
    expect((await reserve(12)).status).toBe(200);
  });

  test("waits for an item that they have let go three times", async () => {
    const here = from("198.51.100.9");
    const cycle = async () => {
      const { code } = accepted(await server.client.checkout("cycler", 90, here), reservation);
      expect((await server.client.release(code, here)).status).toBe(204);
    };
    await inTurn(upTo(3), cycle);
    const refused = await server.client.checkout("cycler", 90, here);
    expectRefusal(refused, 429, "rate_limited");
    expect(Number(refused.headers.get("Retry-After"))).toBeGreaterThan(waitSecondsMin);
    expect((await server.client.checkout("cycler", 91, here)).status).toBe(200);
    expect((await server.client.checkout("another", 90, here)).status).toBe(200);
  });

  test("waits on the shop's own paths too, until they buy", async () => {
    const made = await runProgram(["key", "create", "manage", "--scope", "manage"], {
      DATABASE_URL: url,
    });
    const manage = { Authorization: `Bearer ${made.output.trim()}` };
    const make = async (path: string, body: object) => {
      const answer = await server.client.ask("POST", path, {
        headers: manage,
        body: JSON.stringify(body),
      });
      return z.object({ id: z.int() }).parse(answer.json()).id;
    };
    const product = await make("/api/admin/products", { name: "Lamp", price_cents: 100 });
    const sale = await make("/api/admin/flash-sales", {
      title: "Lamps",
      starts_at: new Date(Date.now() - 1_000).toISOString(),
      ends_at: new Date(Date.now() + 2 * ttlMs).toISOString(),
      per_user_limit: 5,
      items: [{ product_id: product, stock: 10, price_cents: 100 }],
    });
    const token = await new SignJWT({ sub: "cycler", exp: Math.floor(Date.now() / 1000) + 600 })
      .setProtectedHeader({ alg: "HS256" })
      .sign(Buffer.from(secret));
    const headers = { ...from("198.51.100.30").headers, Authorization: `Bearer ${token}` };
    const path = `/api/flash-sales/${sale}/checkout`;
    const reserve = () =>
      server.client.ask("POST", path, { headers, body: JSON.stringify({ item_id: 1 }) });
    const letGo = async () => {
      const { code } = accepted(await reserve(), reservation);
      const released = await server.client.ask("DELETE", `${path}?code=${code}`, { headers });
      expect(released.status).toBe(204);
    };
    await inTurn(upTo(2), letGo);
    const { code } = accepted(await reserve(), reservation);
    const body = JSON.stringify({ code });
    const bought = await server.client.ask("POST", "/api/purchases", { headers, body });
    expect(bought.status).toBe(200);
    await inTurn(upTo(3), letGo);
    const refused = await reserve();
    expectRefusal(refused, 429, "rate_limited");
    expect(Number(refused.headers.get("Retry-After"))).toBeGreaterThan(waitSecondsMin);
  });

  test("listens to twenty streams, and others to theirs", async () => {
    const stopped = new AbortController();
    // Held on to, for a stream ends when its response is collected as garbage.
    const opened: Response[] = [];
    const open = async (address: string) => {
      const ask = { ...from(address), signal: stopped.signal };
      const response = await fetch(`${server.url}/events`, ask);
      opened.push(response);
      return response.status;
    };
    const here = await inTurn(upTo(21), () => open("198.51.100.20"));
    expect(here).toEqual([...upTo(20).map(() => 200), 429]);
    expect(await open("198.51.100.21")).toBe(200);
    stopped.abort();
    await until("a place that has come free", async () => {
      const answer = await fetch(`${server.url}/events`, from("198.51.100.20"));
      await answer.body?.cancel();
      return answer.status === 200;
    });
  });
});

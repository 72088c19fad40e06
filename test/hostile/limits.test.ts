/** How much one client may ask, on the process itself: as one behind a proxy, for this machine is exempt. */
import { beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { expectRefusal } from "../support/accounts.ts";
import type { Answer } from "../support/client.ts";
import { accepted, reservation } from "../support/contract.ts";
import { usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
let leader: TestServer;
let standby: TestServer;

beforeAll(async () => {
  const environment = {
    DATABASE_URL: await postgres.newDatabase(),
    TRUSTED_PROXIES: "127.0.0.1",
    RATE_LIMITS: "writes=1/5,reads=1/8,costly=1/2",
  };
  leader = await startServer(environment);
  standby = await startServer(environment);
});

const from = (address: string) => ({ headers: { "X-Forwarded-For": address } });
const statuses = (answers: readonly Answer[]) => answers.map(({ status }) => status);

describe.each(["leader", "standby"])("through the %s", (name) => {
  const server = () => (name === "leader" ? leader : standby);
  const address = name === "leader" ? "192.0.2.10" : "192.0.2.20";

  test("an address that asks too often is told when to come again", async () => {
    const buy = (i: number) => server().client.checkout(`${name}${i}`, "any", from(address));
    const answers = await inTurn(upTo(6), buy);
    expect(statuses(answers.slice(0, 5))).not.toContain(429);
    const [last] = answers.slice(-1);
    if (last === undefined) throw new Error("there is no answer");
    expectRefusal(last, 429, "rate_limited");
    expect(Number(last.headers.get("Retry-After"))).toBeGreaterThanOrEqual(1);
    expect(last.headers.get("RateLimit-Policy")).toBe('"writes";q=5;w=5');
    expect(last.headers.get("RateLimit")).toMatch(/^"writes";r=0;t=\d+$/);
    const other = await server().client.checkout("other", "any", from(`${address}1`));
    expect(other.status).not.toBe(429);
    // This machine is not counted.
    const own = await inTurn(upTo(10), (i) => server().client.checkout(`own${i}`, 9_999));
    expect(statuses(own)).not.toContain(429);
  });

  test("what is costly has a limit of its own, and the document says what is", async () => {
    const ask = () => server().client.get("/sales/1/audit", from(`${address}9`));
    expect(statuses(await inTurn(upTo(3), ask))).toEqual([200, 200, 429]);
    const { text } = await server().client.get("/openapi.json");
    const { paths } = z
      .object({ paths: z.record(z.string(), z.record(z.string(), z.looseObject({}))) })
      .parse(JSON.parse(text));
    expect(paths["/sales/{sale_id}/audit"]?.["get"]?.["x-cost"]).toBe("costly");
  });

  test("an IPv6 network is one address", async () => {
    const network = name === "leader" ? "2001:db8:1:1" : "2001:db8:2:2";
    const answers = await inTurn(upTo(9), (i) =>
      server().client.get("/sale", from(`${network}::${i.toString(16)}`)),
    );
    expect(statuses(answers)).toEqual([...upTo(8).map(() => 200), 429]);
  });
});

test("tokens that do not count are counted, and not verified for ever", async () => {
  const here = { ...from("192.0.2.77").headers, Authorization: "Bearer a.b.c" };
  const answers = await inTurn(upTo(7), () =>
    leader.client.checkout("anybody", "any", { headers: here }),
  );
  expect(statuses(answers)).toEqual([401, 401, 401, 401, 401, 429, 429]);
});

test("a proxy that was not named is noticed, once", async () => {
  const server = await startServer({ DATABASE_URL: await postgres.newDatabase() });
  const noticed = () => server.program.log.split("TRUSTED_PROXIES").length - 1;
  await inTurn(upTo(200), (i) => server.client.get("/health", from(`192.0.2.${i}`)));
  await until("the notice", () => noticed() > 0);
  await inTurn(upTo(200), (i) => server.client.get("/health", from(`192.0.2.${i}`)));
  expect(noticed()).toBe(1);
});

describe("whoever holds and does not buy", () => {
  const ttlMs = 60_000;
  let server: TestServer;

  beforeAll(async () => {
    server = await startServer({
      DATABASE_URL: await postgres.newDatabase(),
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
    expect(Number(refused.headers.get("Retry-After"))).toBeGreaterThan(ttlMs / 1000 - 10);
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
    expect(Number(refused.headers.get("Retry-After"))).toBeGreaterThan(ttlMs / 1000 - 10);
    expect((await server.client.checkout("cycler", 91, here)).status).toBe(200);
    expect((await server.client.checkout("another", 90, here)).status).toBe(200);
  });

  test("listens to twenty streams, and others to theirs", async () => {
    const stopped = new AbortController();
    const open = async (address: string) => {
      const ask = { ...from(address), signal: stopped.signal };
      return (await fetch(`${server.url}/events`, ask)).status;
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

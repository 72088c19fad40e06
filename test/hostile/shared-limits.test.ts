/**
 * Limits of several processes together: a client that goes from one to another, or has the kernel
 * send it to either front, has what one would give, and at most what it gets within the moment that
 * it takes to tell.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { SignJWT } from "jose";
import { poll } from "../../src/postgres/poll.ts";
import { expectRefusal } from "../support/accounts.ts";
import type { Answer, Ask } from "../support/client.ts";
import { accepted, reservation } from "../support/contract.ts";
import { usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { inTurn, until, upTo, waitMaxMs } from "../support/wait.ts";

const postgres = usePostgres();
const secret = "a secret that the shop's server shares with us";
const atOnce = 300;
/** What comes back, and what fits into the moment: far less than a second process gives by itself. */
const moreMax = 150;

const settings = {
  TRUSTED_PROXIES: "127.0.0.1",
  USER_TOKEN_SECRET: secret,
  RATE_LIMITS: `writes=1/${atOnce},reads=1/${atOnce},costly=1/${atOnce}`,
  SALE_ITEMS: "100",
};

type Send = (server: TestServer, ask: Ask) => Promise<Answer>;

const reserve: Send = ({ client }, ask) => client.checkout("bot", 1, ask);
const kinds: readonly (readonly [string, Send])[] = [
  ["writes", reserve],
  ["reads", ({ client }, ask) => client.get("/sale", ask)],
  ["costly", ({ client }, ask) => client.get("/sales/1/audit", ask)],
];

/** As from an address, on a connection of its own each time. */
const from = (address: string) => ({
  headers: { "X-Forwarded-For": address, Connection: "close" },
});

const isRefused = ({ status }: Answer): boolean => status === 429;

/** Sends so many, of which none is refused. */
async function useUp(count: number, send: () => Promise<Answer>): Promise<void> {
  for (let sent = 0; sent < count; sent += 20) {
    // oxlint-disable-next-line no-await-in-loop
    const answers = await Promise.all(upTo(Math.min(20, count - sent)).map(send));
    expect(answers.filter(isRefused)).toEqual([]);
  }
}

/** How many pass before they are refused; of five at once one may have come back meanwhile. */
async function passesBefore(send: () => Promise<Answer>): Promise<number> {
  let passed = 0;
  // Slowly, for within the moment that it takes to tell all pass.
  const isRefusedAtLast = await poll({ everyMs: 100, waitMaxMs }, async () => {
    const answers = await Promise.all(upTo(5).map(send));
    const refused = answers.filter(isRefused).length;
    passed += answers.length - refused;
    return refused >= 4 || undefined;
  });
  expect(isRefusedAtLast).toBe(true);
  return passed;
}

describe("a leader and a standby", () => {
  let leader: TestServer;
  let standby: TestServer;

  beforeAll(async () => {
    const environment = { ...settings, DATABASE_URL: await postgres.newRecords() };
    leader = await startServer(environment);
    standby = await startServer(environment);
  });

  test.each(kinds)("give an address its %s once", async (kind, send) => {
    const [here, there] = [from(`192.0.2.${kind.length}`), from(`198.51.100.${kind.length}`)];
    await useUp(atOnce, () => send(leader, here));
    expect(await passesBefore(() => send(standby, here))).toBeLessThan(moreMax);
    await useUp(atOnce, () => send(standby, there));
    expect(await passesBefore(() => send(leader, there))).toBeLessThan(moreMax);
    await useUp(1, () => send(leader, from("192.0.2.99")));
  });

  test("give a proven buyer theirs once, from wherever they come", async () => {
    const token = await new SignJWT({ sub: "carl", exp: Math.floor(Date.now() / 1000) + 600 })
      .setProtectedHeader({ alg: "HS256" })
      .sign(Buffer.from(secret));
    const at = (address: string): Ask => ({
      headers: { ...from(address).headers, Authorization: `Bearer ${token}` },
    });
    const ask = (server: TestServer, address: string) =>
      server.client.ask("POST", "/checkout?id=2", at(address));
    await useUp(atOnce / 4, () => ask(standby, "203.0.113.1"));
    const passed = await passesBefore(() => ask(leader, "203.0.113.2"));
    expect(passed).toBeLessThan(moreMax / 4);
  });
});

test("two processes that stand by tell each other, through the one that leads", async () => {
  const environment = { ...settings, DATABASE_URL: await postgres.newRecords() };
  await startServer(environment);
  const standbys = await inTurn(upTo(2), () => startServer(environment));
  const [one, other] = standbys as [TestServer, TestServer];
  await useUp(atOnce, () => reserve(one, from("192.0.2.1")));
  expect(await passesBefore(() => reserve(other, from("192.0.2.1")))).toBeLessThan(moreMax);
});

test("two fronts give an address what one would, whichever the kernel chooses", async () => {
  const server = await startServer({
    ...settings,
    DATABASE_URL: await postgres.newRecords(),
    FRONTS: "2",
  });
  const here = from("192.0.2.1");
  await useUp(atOnce, () => reserve(server, here));
  expect(await passesBefore(() => reserve(server, here))).toBeLessThan(moreMax);
});

/** Held on to, for a stream ends when its response is collected as garbage. */
const heldOpen: Response[] = [];

/** Listens as from an address; null: it may not. */
async function listen(server: TestServer, address: string): Promise<AbortController | null> {
  const leaving = new AbortController();
  const response = await fetch(`${server.url}/events`, {
    headers: { "X-Forwarded-For": address },
    signal: leaving.signal,
  });
  heldOpen.push(response);
  expect([200, 429]).toContain(response.status);
  return response.status === 200 ? leaving : null;
}

/** Waits until an address may listen no more at a process, and gives up what it got until then. */
const listensNoMore = (server: TestServer, address: string) =>
  until("the address's being full", async () => {
    const leaving = await listen(server, address);
    leaving?.abort();
    return leaving === null;
  });
const mayListen = (server: TestServer, address: string) =>
  until("a place", async () => (await listen(server, address)) !== null);

describe("whoever listens", () => {
  test("has twenty streams an address at all processes, and those of one that is gone back", async () => {
    const environment = { ...settings, DATABASE_URL: await postgres.newRecords() };
    const leader = await startServer({ ...environment, RATE_LIMITS: "off" });
    const standbys = await inTurn(upTo(2), () =>
      startServer({ ...environment, RATE_LIMITS: "off" }),
    );
    const [one, other] = standbys as [TestServer, TestServer];
    const here = "198.51.100.40";
    const held = await inTurn(upTo(20), (n) => listen(n % 2 === 0 ? one : leader, here));
    expect(held).not.toContain(null);
    // Those of the one reach the other by way of the leader.
    await inTurn([one, other, leader], (server) => listensNoMore(server, here));
    expect(await listen(other, "198.51.100.41")).not.toBeNull();
    held[0]?.abort();
    await mayListen(other, here);
    await listensNoMore(leader, here);
    await one.kill();
    await mayListen(leader, here);
  });

  test("and who opens them at all processes in one moment has twenty left, and new ones again", async () => {
    const environment = { ...settings, DATABASE_URL: await postgres.newRecords() };
    const servers = await inTurn(upTo(2), () =>
      startServer({ ...environment, RATE_LIMITS: "off" }),
    );
    const here = "198.51.100.50";
    let open = 0;
    await Promise.all(
      servers.flatMap(({ url }) =>
        upTo(20).map(async () => {
          const answer = await fetch(`${url}/events`, { headers: { "X-Forwarded-For": here } });
          expect(answer.status).toBe(200);
          heldOpen.push(answer);
          open += 1;
          void answer.text().then(
            () => (open -= 1),
            () => {},
          );
        }),
      ),
    );
    await until("the others' being ended", async () => open <= 20);
    expect(open).toBe(20);
    await inTurn(servers, (server) => listensNoMore(server, here));
    expect(open).toBe(20);
  });
});

/** Waits until an address may hold no more; asking for what there is not reserves nothing. */
async function isFull({ client }: TestServer, address: Ask): Promise<void> {
  const refused = await until("the address's being full", async () => {
    const answer = await client.checkout("anybody", 9_999, address);
    return isRefused(answer) ? answer : null;
  });
  expectRefusal(refused, 429, "rate_limited");
}

describe("whoever holds and does not buy", () => {
  const ttlMs = 86_400_000;
  let servers: readonly TestServer[];
  const [leader, standby] = [0, 1].map((index) => () => servers[index] as TestServer) as [
    () => TestServer,
    () => TestServer,
  ];

  beforeAll(async () => {
    const environment = {
      ...settings,
      DATABASE_URL: await postgres.newRecords(),
      RATE_LIMITS: "writes=1000/1000",
      SALE_PER_USER_LIMIT: "1",
      RESERVATION_TTL_MS: String(ttlMs),
    };
    servers = [await startServer(environment), await startServer(environment)];
  });

  test("has ten times a user's limit for all the guests of an address, at all together", async () => {
    const here = from("198.51.100.7");
    const ask = (server: () => TestServer, name: string) =>
      server().client.checkout(name, "any", here);
    const held = await inTurn(upTo(10), (i) => ask(i % 2 === 0 ? leader : standby, `bot${i}`));
    expect(held.map(({ status }) => status)).toEqual(upTo(10).map(() => 200));
    await inTurn([leader, standby], (server) => isFull(server(), here));
    // Bought through the one, it is not held at the other.
    const { code } = accepted(held[0] as Answer, reservation);
    expect((await leader().client.purchase(code, here)).status).toBe(200);
    await until("a place", async () => {
      const answer = await ask(standby, "bot12");
      return answer.status === 200;
    });
  });

  test("waits for an item that they have let go three times, at whichever", async () => {
    const here = from("198.51.100.9");
    const cycle = async (at: () => TestServer, back: () => TestServer, name: string, id = 90) => {
      const { code } = accepted(await at().client.checkout(name, id, here), reservation);
      expect((await back().client.release(code, here)).status).toBe(204);
    };
    await cycle(leader, standby, "cycler");
    await cycle(standby, leader, "cycler");
    await cycle(leader, leader, "cycler");
    // What is told after it is heard after it.
    await inTurn([leader, standby], async (server, index) => {
      const marker = from(`198.51.100.${10 + index}`);
      await inTurn(upTo(10), (i) => server().client.checkout(`m${index}-${i}`, "any", marker));
      await isFull(index === 0 ? standby() : leader(), marker);
    });
    await inTurn([leader, standby], async (server) => {
      const refused = await server().client.checkout("cycler", 90, here);
      expectRefusal(refused, 429, "rate_limited");
      expect(Number(refused.headers.get("Retry-After"))).toBeGreaterThan(80_000);
      // Nobody else waits for it, nor they for anything else.
      await cycle(server, server, "another");
      await cycle(server, server, "cycler", 91);
    });
  });
});

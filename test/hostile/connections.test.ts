/**
 * What strangers do to connections: bodies without an end, requests that never become whole, hosts
 * and paths that are none, streams that nobody reads. On a leader and on a standby, the process
 * itself.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { accepted } from "../support/contract.ts";
import { usePostgres } from "../support/postgres.ts";
import { RawConnection, rawRequest, sendRaw } from "../support/raw.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { inTurn, until, upTo, waitMaxMs, within } from "../support/wait.ts";

const documentShape = z.object({
  paths: z.record(z.string(), z.looseObject({ get: z.looseObject({}).optional() })),
});

const postgres = usePostgres();
const servers = new Map<string, TestServer>();

beforeAll(async () => {
  const environment = { DATABASE_URL: await postgres.newRecords() };
  servers.set("the leader", await startServer(environment));
  servers.set("a standby", await startServer(environment));
});

function of(name: string): TestServer {
  const server = servers.get(name);
  if (server === undefined) throw new Error(`there is no ${name}`);
  return server;
}

const chunk = (bytes: number): string => `${bytes.toString(16)}\r\n${"a".repeat(bytes)}\r\n`;
const post = (...headers: string[]): string =>
  ["POST /api/coupons HTTP/1.1", "Host: a", ...headers, "", ""].join("\r\n");
const chunked = ["Transfer-Encoding: chunked", "Content-Type: application/json"];

const posts = [
  "/checkout?user_id=a&id=any",
  "/purchase?code=00000000-0000-4000-8000-000000000000",
  "/api/coupons",
  "/api/coupons/claim",
  "/api/auth/login",
  "/api/auth/logout",
  "/api/purchases",
  "/health",
  "/nothing",
];

const readPaths = [
  "/",
  "/sale",
  "/sales/1/items",
  "/sales/1/audit",
  "/metrics",
  "/events",
  "/openapi.json",
];

/** Some are refused before anybody looks at a body; a standby does not know who asks. */
function expectedOf(path: string): readonly number[] {
  if (path === "/nothing") return [404];
  if (path === "/health") return [405];
  return path === "/api/purchases" ? [401, 413] : [413];
}

const statusOf = (text: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]);

const reserved = (text: string): string | undefined =>
  /kind="checkout",outcome="reserved"} (\d+)/.exec(text)?.[1];

describe.each(["the leader", "a standby"])("%s", (name) => {
  test("answers chunked bodies that are too large, and closes", async () => {
    const { url } = of(name);
    await inTurn(posts, async (path) => {
      const request =
        rawRequest(`POST ${path}`, ...chunked) + chunk(100_000).repeat(3) + "0\r\n\r\n";
      const { status } = await sendRaw(url, request.replace("Connection: close\r\n", ""));
      expect(expectedOf(path)).toContain(status);
    });
  });

  test("closes after each refusal of a chunked body that is too large", async () => {
    const { url, client } = of(name);
    const { paths } = accepted(await client.get("/openapi.json"), documentShape);
    const writes = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods)
        .filter((method) => method !== "get")
        .map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{\w+\}/g, "1")}`),
    );
    expect(writes.length).toBeGreaterThan(40);
    await inTurn(writes, async (line) => {
      const request = rawRequest(line, ...chunked).replace("Connection: close\r\n", "");
      const { status, text } = await sendRaw(url, request + chunk(100_000) + "0\r\n\r\n");
      expect({ line, status, closes: /^connection: close\r$/im.test(text) }).toEqual({
        line,
        status: status === 401 ? 401 : 413,
        closes: true,
      });
    });
  });

  test("refuses bodies of reads that are too large, or do not say, and closes", async () => {
    const { url } = of(name);
    const bodies = [
      [["Content-Length: 65537"], "a".repeat(65_537)],
      [["Content-Length: 1000000000"], ""],
      [["Transfer-Encoding: chunked"], chunk(100_000) + "0\r\n\r\n"],
      [["Transfer-Encoding: chunked"], ""],
    ] as const;
    const lines = readPaths.flatMap((path) => [`GET ${path}`, `HEAD ${path}`]);
    await inTurn([...lines, "GET /nothing", "TRACE /sale", "OPTIONS /sale"], async (line) => {
      await inTurn(bodies, async ([framing, body]) => {
        const request = rawRequest(line, ...framing).replace("Connection: close\r\n", "");
        const { status } = await sendRaw(url, request + body);
        const [method, path] = line.split(" ");
        const isRead = path !== "/nothing" && (method === "GET" || method === "HEAD");
        expect({ line, status }).toEqual({ line, status: isRead ? 413 : expect.any(Number) });
      });
    });
    const small = rawRequest("GET /sale", "Content-Length: 65536") + "a".repeat(65_536);
    expect((await sendRaw(url, small)).status).toBe(200);
  });

  test("answers and closes when the chunks never end, or stop coming", async () => {
    const { url } = of(name);
    await inTurn(posts, async (path) => {
      const connection = await RawConnection.open(url);
      connection.send(
        rawRequest(`POST ${path}`, ...chunked).replace("Connection: close\r\n", "") + chunk(70_000),
      );
      await within(`an end of ${path}`, waitMaxMs, connection.closed);
      expect(expectedOf(path)).toContain(statusOf(connection.text));
    });
  });

  test("closes what is not whole, however it trickles", async () => {
    const { url } = of(name);
    const open = (start: string, more?: string) => async () => {
      const connection = await RawConnection.open(url);
      connection.send(start);
      if (more !== undefined) connection.trickle(more, 1_000);
      await within(`an end of ${JSON.stringify(start)}`, waitMaxMs, connection.closed);
    };
    const attacks = [
      open(""),
      open("POST /api/coupons HTTP/1.1\r\nHost: a\r\n"),
      open("POST /api/coupons HTTP/1.1\r\nHost: a\r\n", "X-More: a\r\n"),
      open(post("Content-Length: 100")),
      open(post("Content-Length: 1000"), "a"),
      open(post("Transfer-Encoding: chunked"), chunk(1)),
      open(rawRequest("GET /sale").replace("Connection: close\r\n", "")),
      open(rawRequest("GET /sale", "Content-Length: 10").replace("Connection: close\r\n", "")),
    ];
    await Promise.all(attacks.map((attack) => attack()));
  });

  test("a connection that one passed-on request came by ends when it is idle", async () => {
    const connection = await RawConnection.open(of(name).url);
    connection.send(
      rawRequest("POST /checkout?user_id=idle&id=any").replace("Connection: close\r\n", ""),
    );
    await within("its end", waitMaxMs, connection.closed);
    expect(connection.text).toContain("\r\n\r\n{");
  });

  test("reads requests without a host, or with one that is none", async () => {
    const { url, program, client } = of(name);
    const { paths } = accepted(await client.get("/openapi.json"), documentShape);
    // A stream has no end.
    const read = Object.entries(paths).filter(([path, { get }]) => get && path !== "/events");
    const reads = read.map(([path]) => `GET ${path.replaceAll(/\{\w+\}/g, "1")}`);
    expect(reads.length).toBeGreaterThan(40);
    await inTurn([...reads, "POST /checkout?user_id=h&id=any", "GET /"], async (line) => {
      const answers = [
        await sendRaw(url, `${line} HTTP/1.0\r\n\r\n`),
        await sendRaw(url, `${line} HTTP/1.1\r\nHost: [\r\nConnection: close\r\n\r\n`),
        await sendRaw(url, `${line} HTTP/1.1\r\nHost: a:b:c/@\r\nConnection: close\r\n\r\n`),
        await sendRaw(url, `${line} HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n`),
      ];
      for (const { status } of answers) {
        expect(status).toBeGreaterThan(0);
        expect(status).toBeLessThan(500);
      }
    });
    expect(program.log).not.toContain('"msg":"failed"');
  });

  test("answers no path but the one that was asked", async () => {
    const { url } = of(name);
    const ways = ["..\\..\\metrics", "..\\..\\..\\metrics", "x\\..\\..\\..\\metrics"];
    await inTurn(ways, async (way) => {
      const { text } = await sendRaw(url, rawRequest(`GET /api/coupons/${way}`));
      expect(text).not.toContain("stampede_");
      expect(text).toMatch(/^HTTP\/1\.1 40[04] /);
    });
  });
});

test("a page of metrics is made at most once a second", async () => {
  const { client } = of("the leader");
  const before = reserved((await client.get("/metrics")).text);
  await client.reserve("metrics");
  const after = reserved((await client.get("/metrics")).text);
  expect(after).toBe(before);
  await until(
    "the next page",
    async () => reserved((await client.get("/metrics")).text) !== before,
  );
});

describe("when descriptors run out", () => {
  const descriptors = 400;

  test.each([
    ["idle", "GET /health HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["in the middle of a header", "GET /health HTTP/1.1\r\nHost"],
    ["slow", "POST /api/coupons HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"],
    ["streaming", "GET /events HTTP/1.1\r\nHost: a\r\n\r\n"],
  ])("those that are %s give way to whoever buys", async (_, request) => {
    const environment = { DATABASE_URL: await postgres.newRecords() };
    const server = await startServer(environment, { descriptors });
    const connections = await Promise.all(
      upTo(2 * descriptors).map(async () => {
        const connection = await RawConnection.open(server.url);
        connection.send(request);
        return connection;
      }),
    );
    await inTurn(upTo(20), async (i) => {
      const bought = server.client.reserve(`buyer${i}`);
      await within("a buyer's answer", waitMaxMs, bought);
    });
    for (const connection of connections) connection.end();
    expect(server.program.log).toContain(`"descriptorsMax":${descriptors}`);
  });
});

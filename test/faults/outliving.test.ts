/**
 * A leader that goes on living when another leads: its streams go on, it lets nobody in who has logged
 * out meanwhile, and what is written through a process is seen there at once.
 */
import { expect, test } from "bun:test";
import { leaderLockKey } from "../../src/store/leadership.ts";
import { leads, standsBy } from "../support/leading.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { jwtSecret } from "../support/shop.ts";
import { EventStream, stockNews } from "../support/sse.ts";
import { newPerson, Person } from "../support/storefront.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();

const twoProcesses = async () => {
  const url = await postgres.newRecords();
  const environment = { DATABASE_URL: url, JWT_SECRET: jwtSecret, SALE_ITEMS: "100" };
  const servers = await inTurn(upTo(2), () => startServer(environment));
  return { sql: lookInto(url), servers: servers as [TestServer, TestServer] };
};

test("its streams, and those of the others, go on with whoever leads next", async () => {
  const { sql, servers } = await twoProcesses();
  const streams = await inTurn(servers, ({ url }) => EventStream.open(url));
  await inTurn(streams, (stream) => stream.upTo(({ event }) => event === "stock"));
  await inTurn(upTo(2), async (term) => {
    await sql`
      select pg_terminate_backend(pid) from pg_locks
      where locktype = 'advisory' and granted and objid = ${leaderLockKey}
        and database = (select oid from pg_database where datname = current_database())`;
    await inTurn(servers, ({ client }, n) => client.reserveAndBuy(`ann ${term} ${n}`));
    await inTurn(streams, (stream) =>
      stream.upTo(
        ({ event, data }) => event === "stock" && stockNews.parse(data).sold === 2 * term,
      ),
    );
  });
  for (const stream of streams) stream.close();
  await Promise.all(servers.map((server) => server.kill()));
});

test("it lets in nobody who has logged out while it stood still", async () => {
  const { sql, servers } = await twoProcesses();
  const [first, second] = servers;
  await standsBy(second);
  const there = await newPerson(sql, second.client, "ann");
  const here = new Person("ann", first.client, there.headers["Authorization"]?.slice(7) ?? null);
  // It has been here, and is remembered.
  expect((await here.ask("GET", "/api/auth/me")).status).toBe(200);
  first.program.signal("SIGSTOP");
  await leads(second);
  expect((await there.post("/api/auth/logout", {})).status).toBe(204);
  first.program.signal("SIGCONT");
  expect((await here.ask("GET", "/api/auth/me")).status).toBe(401);
  await Promise.all(servers.map((server) => server.kill()));
});

test("what was bought through a process is in its figures with the answer, whoever leads", async () => {
  const { servers } = await twoProcesses();
  const { id } = await servers[1].client.openSale();
  await inTurn(upTo(20), async (n) => {
    const { client } = servers[n % 2] as TestServer;
    await client.reserveAndBuy(`bob ${n}`);
    expect((await client.sale(id)).sold).toBe(n);
  });
  await Promise.all(servers.map((server) => server.kill()));
});

test("hundreds of streams at a process that stands by stop nobody who buys through it", async () => {
  const { servers } = await twoProcesses();
  const [, standby] = servers;
  const { hostname, port } = new URL(standby.url);
  let heard = 0;
  const sockets = await Promise.all(
    upTo(400).map(async () => {
      const socket = await Bun.connect({
        hostname,
        port: Number(port),
        socket: { data: () => void (heard += 1) },
      });
      socket.write(`GET /events HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`);
      return socket;
    }),
  );
  await until("all of them to hear something", () => heard >= sockets.length);
  await inTurn(upTo(20), (n) => standby.client.reserveAndBuy(`carl ${n}`));
  for (const socket of sockets) socket.terminate();
  await Promise.all(servers.map((server) => server.kill()));
});

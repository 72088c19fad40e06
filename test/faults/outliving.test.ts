/**
 * A leader that goes on living when another leads: its streams go on, it lets nobody in who has logged
 * out meanwhile, and what is written through a process is seen there at once. One that stood by and
 * stood still shows what was changed meanwhile.
 */
import { expect, test } from "bun:test";
import { z } from "zod";
import { endSession, leads, standsBy } from "../support/leading.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { startServer, type Environment, type TestServer } from "../support/server.ts";
import { jwtSecret } from "../support/shop.ts";
import { EventStream, stockNews } from "../support/sse.ts";
import { newPerson, Person, read } from "../support/storefront.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();

const twoProcesses = async (more: Environment = {}) => {
  const url = await postgres.newRecords();
  const environment = { DATABASE_URL: url, JWT_SECRET: jwtSecret, SALE_ITEMS: "100", ...more };
  const servers = await inTurn(upTo(2), () => startServer(environment));
  return { sql: lookInto(url), servers: servers as [TestServer, TestServer] };
};

test("its streams, and those of the others, go on with whoever leads next", async () => {
  const { sql, servers } = await twoProcesses();
  const streams = await inTurn(servers, ({ url }) => EventStream.open(url));
  await inTurn(streams, (stream) => stream.upTo(({ event }) => event === "stock"));
  await inTurn(upTo(2), async (term) => {
    await endSession(sql);
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

test("one that stood still, or lost its session, shows what was changed, and passes tickets on", async () => {
  const { sql, servers } = await twoProcesses({ SALE_ENTRY: "queue" });
  const [first, second] = servers;
  await standsBy(second);
  const restored = (): number => second.program.log.split("the replica is current").length - 1;
  const { id } = await second.client.openSale();
  const joined = await second.client.ask("POST", `/sales/${id}/queue?user_id=ann`);
  const { ticket } = read(joined, z.object({ ticket: z.uuid() }), 201);

  const admin = await newPerson(sql, first.client, "root", "admin");
  const titled = z.object({ title: z.string() });
  const listed = z.object({ nodes: z.array(z.unknown()) });
  const there = async (): Promise<number> =>
    listed.parse((await admin.get("/api/admin/nodes")).json()).nodes.length;
  await until("its being known", async () => (await there()) === 2);
  second.program.signal("SIGSTOP");
  await until("its being missed", async () => (await there()) === 1);
  const change = await admin.ask("PATCH", `/api/admin/flash-sales/${id}`, { title: "Late lamps" });
  expect(change.status).toBe(200);
  second.program.signal("SIGCONT");
  await until("the new title", async () => {
    const shown = titled.parse((await second.client.get(`/sales/${id}`)).json());
    return shown.title === "Late lamps";
  });

  const before = restored();
  await sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'stampede writer' and datname = current_database()
      and pid not in (select pid from pg_locks where locktype = 'advisory')`;
  await until("another replica", () => restored() > before);
  const headers = { "Queue-Ticket": ticket };
  const path = "/checkout?user_id=ann&id=any";
  expect((await second.client.ask("POST", path, { headers })).text).toContain('"code":"0');
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

/**
 * What an administrator asks of a leader that goes before it answers: the next one is asked again, and
 * finds what was done, or does it. There is one sale for each that was announced, whatever happened.
 */
import { describe, expect, test } from "bun:test";
import type { Sql } from "postgres";
import { z } from "zod";
import { endSession } from "../support/leading.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { jwtSecret } from "../support/shop.ts";
import { newPerson, read, type Person } from "../support/storefront.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();

const made = z.object({ id: z.int() });
const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();

/** Two processes, and an administrator of each. */
async function twoProcesses() {
  const url = await postgres.newRecords();
  const sql = lookInto(url);
  const environment = { DATABASE_URL: url, JWT_SECRET: jwtSecret, RATE_LIMITS: "off" };
  const servers = await inTurn(upTo(2), () => startServer(environment));
  const [leader, standby] = servers as [TestServer, TestServer];
  const people = await inTurn(servers, ({ client }, n) =>
    newPerson(sql, client, `boss ${n}`, "admin"),
  );
  const [atLeader, atStandby] = people as [Person, Person];
  const product = await atLeader.post("/api/admin/products", { name: "Lamp", price_cents: 100 });
  const productId = read(product, made, 201).id;
  const announce = (by: Person, title: string) =>
    by.post("/api/admin/flash-sales", {
      title,
      starts_at: inHours(1),
      ends_at: inHours(2),
      items: [{ product_id: productId, stock: 5, price_cents: 50 }],
    });
  return { sql, leader, standby, atLeader, atStandby, announce, productId };
}

/** Announcements, and what else is noted of changes, wait until they are let go. */
async function holdChanges(sql: Sql): Promise<() => Promise<void>> {
  const key = 4711;
  await sql.unsafe(`
    create function held() returns trigger language plpgsql as
      'begin perform pg_advisory_xact_lock(${key}); return new; end';
    create trigger held before insert on activity for each row execute function held()`);
  const holder = await sql.reserve();
  await holder`select pg_advisory_lock(${key})`;
  return async () => {
    await holder`select pg_advisory_unlock(${key})`;
    holder.release();
  };
}

/** Waits until a change is held, and gives the session that makes it. */
const heldChange = (sql: Sql): Promise<number> =>
  until("a change that is held", async () => {
    const [row] = await sql<{ pid: number }[]>`
      select pid from pg_locks where locktype = 'advisory' and not granted
        and database = (select oid from pg_database where datname = current_database())`;
    return row?.pid;
  });

const titles = async (sql: Sql): Promise<string[]> => {
  const rows = await sql<{ title: string }[]>`
    select title from sales where kind = 'product' order by title`;
  return rows.map(({ title }) => title);
};

describe("what the leader was doing when it was killed", () => {
  test("is found by the next, where it was done", async () => {
    const { sql, leader, standby, atStandby, announce } = await twoProcesses();
    const letGo = await holdChanges(sql);
    const asked = announce(atStandby, "once");
    await heldChange(sql);
    await leader.kill();
    await letGo();
    const { id } = read(await asked, made, 201);
    expect((await standby.client.sale(id)).title).toBe("once");
    expect(await titles(sql)).toEqual(["once"]);
    await standby.kill();
  });

  test("is done by the next, where it was not", async () => {
    const { sql, leader, standby, atStandby, announce, productId } = await twoProcesses();
    read(await announce(atStandby, "before"), made, 201);
    const letGo = await holdChanges(sql);
    const asked = announce(atStandby, "once");
    const pid = await heldChange(sql);
    await leader.kill();
    await sql`select pg_terminate_backend(${pid})`;
    await letGo();
    read(await asked, made, 201);
    expect(await titles(sql)).toEqual(["before", "once"]);
    const other = await atStandby.ask("DELETE", `/api/admin/products/${productId}`);
    expect(other.status).toBe(409);
    await standby.kill();
  });

  test("is answered as it was answered the first time: what is gone is not unknown", async () => {
    const { sql, leader, standby, atStandby } = await twoProcesses();
    const lamp = { name: "Second lamp", price_cents: 100 };
    const { id } = read(await atStandby.post("/api/admin/products", lamp), made, 201);
    const letGo = await holdChanges(sql);
    const asked = atStandby.ask("DELETE", `/api/admin/products/${id}`);
    await heldChange(sql);
    await leader.kill();
    await letGo();
    expect((await asked).status).toBe(204);
    await standby.kill();
  });
});

test("a leader that lives and has lost its session answers once, too", async () => {
  const { sql, leader, standby, atLeader, announce } = await twoProcesses();
  const letGo = await holdChanges(sql);
  const asked = announce(atLeader, "once");
  await heldChange(sql);
  await endSession(sql);
  await letGo();
  read(await asked, made, 201);
  expect(await titles(sql)).toEqual(["once"]);
  await Promise.all([leader.kill(), standby.kill()]);
});

test("of a change that was being committed without the leader nobody says that it was not made", async () => {
  const { sql, leader, standby, atStandby } = await twoProcesses();
  await sql.unsafe(`
    create function held() returns trigger language plpgsql as
      'begin perform pg_advisory_xact_lock(4712); return null; end';
    create constraint trigger held after insert on activity deferrable initially deferred
      for each row execute function held()`);
  const holder = await sql.reserve();
  await holder`select pg_advisory_lock(4712)`;
  const asked = atStandby.post("/api/admin/products", { name: "Lost lamp", price_cents: 100 });
  const pid = await heldChange(sql);
  await sql`select pg_terminate_backend(${pid})`;
  const answer = await asked;
  expect([answer.status, errorShape.parse(answer.json()).code]).toEqual([503, "outcome_unknown"]);
  await holder`select pg_advisory_unlock(4712)`;
  holder.release();
  await Promise.all([leader.kill(), standby.kill()]);
});

test("many that announce, open, close and restock while leaders go: once each, or nobody can tell", async () => {
  const { sql, leader, standby, atStandby, announce } = await twoProcesses();
  const wanted = upTo(40).map((n) => `sale ${100 + n}`);
  const answers = Promise.all(
    wanted.map(async (title) => {
      const answer = await announce(atStandby, title);
      if (answer.status !== 201) return { title, code: errorShape.parse(answer.json()).code };
      const path = `/api/admin/flash-sales/${read(answer, made, 201).id}`;
      const [opened, closed] = await inTurn(["open", "close"], (act) =>
        atStandby.post(`${path}/${act}`, {}),
      );
      return { title, opened: opened?.status, closed: closed?.status };
    }),
  );
  await until("some sales", async () => (await titles(sql)).length > 5);
  await leader.kill();
  const told = await answers;
  expect(told).toEqual(wanted.map((title) => ({ title, opened: 200, closed: 200 })));
  expect(await titles(sql)).toEqual(wanted);
  const noted = await sql<{ what: string; count: number }[]>`
    select what, count(*)::int as count from activity
    where what like 'sale.%' group by what order by what`;
  expect([...noted]).toEqual(
    ["sale.announced", "sale.closed", "sale.opened"].map((what) => ({ what, count: 40 })),
  );
  await standby.kill();
});

const errorShape = z.object({ code: z.string() });

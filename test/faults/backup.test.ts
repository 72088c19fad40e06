/**
 * Backups: made while crowds buy, restored into what is empty, and refused in every other case with
 * the target as it was. What was acknowledged before a backup began is in it, and it sells on.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BackupWriter, checkWhole } from "../../src/store/backup-file.ts";
import { makePartition } from "../../src/store/partitions.ts";
import { AccountClient } from "../support/accounts.ts";
import type { Client } from "../support/client.ts";
import { newDataFolder, newFolder } from "../support/leftovers.ts";
import { lookInto, newCluster, usePostgres } from "../support/postgres.ts";
import { type Environment, runProgram, startServer, TestServer } from "../support/server.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
/** More than any machine sells meanwhile. */
const stock = { SALE_ITEMS: "50", SALE_UNITS_PER_ITEM: "2000" };
const password = "a good password";

const newFile = (): string => join(newFolder(), "stampede.backup");

type Sold = { readonly code: string; readonly order_id: string };

/** Buyers who go on until they are told to stop; each order that was acknowledged, in order. */
function flood(client: Client, orders: Sold[]): () => Promise<void> {
  const state = { isOver: false };
  const shop = async (buyer: number): Promise<void> => {
    for (let turn = 0; !state.isOver; turn += 1) {
      // oxlint-disable-next-line no-await-in-loop
      const { code, order_id } = await client.reserveAndBuy(`crowd ${buyer} ${turn}`);
      orders.push({ code, order_id });
    }
  };
  const shopping = Promise.all(upTo(8).map(shop));
  return async () => {
    state.isOver = true;
    await shopping;
  };
}

const body = (value: object) => ({
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(value),
});

/** Something of everything: sales, a coupon with claims, accounts, keys, sessions. */
async function fill(server: TestServer, env: Environment) {
  const { client } = server;
  await client.ask("POST", "/api/coupons", body({ name: "Zehn % \\ \t auf\nalles", amount: 3 }));
  const claim = { user_id: "claimant\\N", coupon_name: "Zehn % \\ \t auf\nalles" };
  const accounts = new AccountClient(() => server.url);
  await accounts.register("Anna", password);
  const { headers } = await accounts.enter("anna", password);
  await runProgram(["key", "create", "till", "--scope", "sell"], env);
  const held = await client.reserve("patient");
  const released = await client.reserve("fickle");
  await client.release(released.code);
  await client.ask("POST", "/api/coupons", body({ name: "PROMO", amount: 3 }));
  const claimed = await client.ask(
    "POST",
    "/api/coupons/claim",
    body({ ...claim, coupon_name: "PROMO" }),
  );
  expect(claimed.status).toBe(200);
  return { headers, held, claim: { ...claim, coupon_name: "PROMO" } };
}

/** Starts on what was restored, and finds all that was acknowledged. */
async function findAll(
  env: Environment,
  sold: readonly Sold[],
  filled: Awaited<ReturnType<typeof fill>>,
): Promise<void> {
  await using server = await startServer(env);
  const { client } = server;
  const again = await Promise.all(sold.map(({ code }) => client.buy(code)));
  expect(again.map(({ code, order_id }) => ({ code, order_id }))).toEqual([...sold]);
  expect(again.filter(({ replayed }) => !replayed)).toEqual([]);
  expect(await client.buy(filled.held.code)).toMatchObject({ user_id: "patient", replayed: false });
  const accounts = new AccountClient(() => server.url);
  expect((await accounts.me(filled.headers)).status).toBe(200);
  const claimed = await client.ask("POST", "/api/coupons/claim", {
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(filled.claim),
  });
  expect(claimed.text).toContain("already_claimed");
  // Numbers go on where they were.
  await accounts.register("berta", password);
  await client.reserveAndBuy("somebody new");
  expect(await server.stop()).toBe(0);
  expect(await runProgram(["verify"], env)).toMatchObject({ exitCode: 0 });
}

/** The one of the two that says where the records are. */
const whereAlone = (target: Environment): Environment =>
  "DATABASE_URL" in target ? target : { ...target, DATABASE_URL: "" };

/** Backs up under a flood, restores into a target, and sells there; returns the file. */
async function roundTrip(env: Environment, target: Environment): Promise<string> {
  const file = newFile();
  const orders: Sold[] = [];
  const settings = { ...env, ...stock, RESERVATION_TTL_MS: "3600000" };
  await using server = await startServer(settings);
  const filled = await fill(server, env);
  const stop = flood(server.client, orders);
  await server.client.reserveAndBuy("first");
  const before = orders.slice();
  const made = await runProgram(["backup", file], env);
  expect({ ...made }).toMatchObject({ exitCode: 0, log: "" });
  expect(made.output).toContain("read again and whole");
  await stop();
  expect(orders.length).toBeGreaterThan(before.length);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const restored = await runProgram(["restore", file], target);
  expect(restored).toMatchObject({ exitCode: 0, log: "" });
  await findAll({ ...settings, ...whereAlone(target) }, before, filled);
  return file;
}

describe("a backup that is made under a flood", () => {
  test("of its own PostgreSQL is restored into a database", async () => {
    await roundTrip(
      { STAMPEDE_DATA: await newCluster() },
      { DATABASE_URL: await postgres.newDatabase() },
    );
  });

  test("of another is restored into a folder that is there already", async () => {
    const folder = newDataFolder();
    mkdirSync(folder, { mode: 0o755 });
    const env = { DATABASE_URL: await postgres.newRecords() };
    const file = await roundTrip(env, { STAMPEDE_DATA: folder });
    expect(readdirSync(folder).filter((name) => name.startsWith("restoring"))).toEqual([]);

    // What is there is neither overwritten nor restored into.
    const bytes = readFileSync(file);
    const again = await runProgram(["backup", file], env);
    expect(again).toMatchObject({ exitCode: 1 });
    expect(again.log).toContain("is there already");
    expect(readFileSync(file).equals(bytes)).toBe(true);
    const full = await runProgram(["restore", file], env);
    expect(full.exitCode).toBe(1);
    expect(full.log).toContain("The database is not empty");
    const fullFolder = await runProgram(["restore", file], { STAMPEDE_DATA: folder });
    expect(fullFolder.exitCode).toBe(1);
    expect(fullFolder.log).toContain("is not empty");
    expect(await runProgram(["verify"], env)).toMatchObject({ exitCode: 0 });
  });
});

test("a partition of the journal that is detached and not dropped yet is left out", async () => {
  const [url, restored] = [await postgres.newRecords(), await postgres.newDatabase()];
  await makePartition(lookInto(url), 1);
  await lookInto(url)`alter table attempts detach partition attempts_p1`;
  const file = newFile();
  expect(await runProgram(["backup", file], { DATABASE_URL: url })).toMatchObject({ exitCode: 0 });
  const { exitCode, log } = await runProgram(["restore", file], { DATABASE_URL: restored });
  expect({ exitCode, log }).toEqual({ exitCode: 0, log: "" });
});

/** What somebody finds in a database. */
const contents = async (url: string) =>
  await lookInto(url, 1)`
    select c.relname, n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    union all select typname, '' from pg_type where typnamespace = 'public'::regnamespace
    union all select proname, '' from pg_proc where pronamespace = 'public'::regnamespace`;

describe("a file that is not whole", () => {
  test("is refused whichever bit is another, and wherever it is cut", async () => {
    const file = newFile();
    const source = { DATABASE_URL: await postgres.newRecords() };
    expect(await runProgram(["backup", file], source)).toMatchObject({ exitCode: 0 });
    const whole = readFileSync(file);
    const url = await postgres.newDatabase();
    const folder = newDataFolder();
    const path = newFile();
    const expectRefused = async (bytes: Uint8Array): Promise<void> => {
      writeFileSync(path, bytes);
      await expect(checkWhole(path)).rejects.toThrow("is not a whole backup");
    };
    await inTurn(
      [...whole.keys()].filter((at) => at % 17 === 0 || at > whole.length - 50),
      (at) => {
        const bytes = Buffer.from(whole);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
        return expectRefused(bytes);
      },
    );
    await inTurn([0, 10, whole.length >> 1, whole.length - 1], (length) =>
      expectRefused(whole.subarray(0, length)),
    );
    await expectRefused(Buffer.concat([whole, Buffer.from([0])]));
    writeFileSync(path, whole.subarray(0, -1));
    await inTurn([{ DATABASE_URL: url }, { STAMPEDE_DATA: folder }], async (env) => {
      const refused = await runProgram(["restore", path], env);
      expect(refused).toMatchObject({ exitCode: 1 });
      expect(refused.log).toContain("is not a whole backup");
    });
    expect(await contents(url)).toHaveLength(0);
    expect(existsSync(folder)).toBe(false);
    const none = await runProgram(["restore", newFile()], { DATABASE_URL: url });
    expect(none.log).toContain("There is no file");
    expect(none.exitCode).toBe(1);
    expect(await runProgram(["restore", file], { DATABASE_URL: url })).toMatchObject({
      exitCode: 0,
    });
  });

  test("and one with rows that PostgreSQL refuses leaves what it was restored into empty", async () => {
    const url = await postgres.newDatabase();
    const dataDir = newFolder();
    const path = newFile();
    const [applied] = await lookInto(await postgres.newRecords(), 1)<{ at: number }[]>`
      select max(created_at)::float8 as at from drizzle.__drizzle_migrations`;
    const writer = new BackupWriter(path);
    const header = { format: 1, version: "", schema: applied?.at, madeAt: 0, lastSeq: 0 };
    await writer.block("H", JSON.stringify({ ...header, partitions: [0] }));
    await writer.block("T", JSON.stringify({ table: "secrets", columns: ["name", "value"] }));
    await writer.block("D", "one\ttwo\nonly one\n");
    await writer.block("E", JSON.stringify({ rows: { secrets: 2 }, sequences: [] }));
    await writer.end();
    const refused = await runProgram(["restore", path], { DATABASE_URL: url });
    expect(refused.exitCode).toBe(1);
    expect(refused.log).toContain('Nothing was restored: missing data for column "value"');
    expect(await contents(url)).toHaveLength(0);
    const folder = await runProgram(["restore", path], { STAMPEDE_DATA: dataDir });
    expect(folder.exitCode).toBe(1);
    expect(readdirSync(dataDir)).toEqual([]);
  });
});

test("a connection that is lost in the middle ends a backup, and leaves no file", async () => {
  const url = await postgres.newRecords();
  const file = newFile();
  const sql = lookInto(url, 1);
  const holder = lookInto(url, 1);
  await holder`begin`;
  await holder`lock table products in access exclusive mode`;
  const backup = runProgram(["backup", file], { DATABASE_URL: url });
  const waiting = await until("the backup's waiting", async () => {
    const [session] = await sql<{ pid: number }[]>`
      select pid from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and query like '%from "products"%'`;
    return session;
  });
  await sql`select pg_terminate_backend(${waiting.pid})`;
  await holder`rollback`;
  const { exitCode, log } = await backup;
  expect({ exitCode, log }).toMatchObject({ exitCode: 1 });
  expect(log).toContain("No backup was made: ");
  expect(readdirSync(join(file, ".."))).toEqual([]);
});

test("where nothing has been sold from, nothing is looked at, backed up or made", async () => {
  const file = newFile();
  const STAMPEDE_DATA = join(newDataFolder(), "none");
  const asked = [["backup", file], ["verify"], ["user", "list"], ["key", "list"]];
  for (const { exitCode, log } of await inTurn(asked, (args) =>
    runProgram(args, { STAMPEDE_DATA }),
  )) {
    expect({ exitCode, log }).toEqual({
      exitCode: 1,
      log: expect.stringContaining(`There are no records in ${STAMPEDE_DATA}: `),
    });
  }
  expect(existsSync(file) || existsSync(STAMPEDE_DATA)).toBe(false);
});

test("a database without records, and a call without a file, are refused", async () => {
  const file = newFile();
  const env = { DATABASE_URL: await postgres.newDatabase() };
  expect(await runProgram(["backup", file], env)).toMatchObject({
    exitCode: 1,
    log: "stampede: There are no records in this database yet.\n",
  });
  expect(existsSync(file)).toBe(false);
  expect(readdirSync(join(file, ".."))).toEqual([]);
  expect(await runProgram(["backup"], env)).toMatchObject({ exitCode: 2 });
  expect(await runProgram(["restore", file, "more"], env)).toMatchObject({ exitCode: 2 });
});

test("the journal's partitions and the numbers of rows are what they were", async () => {
  const url = await postgres.newRecords();
  const sql = lookInto(url, 1);
  await sql`create table attempts_p3 (like attempts including defaults including constraints)`;
  await sql`alter table attempts attach partition attempts_p3 for values from (30000001) to (40000001)`;
  await sql`
    insert into attempts (seq, at, kind, outcome, user_id, buyer)
    select n, now(), 'checkout', 'sold_out', E'a\tb\\n' || n, 'guest'
    from generate_series(30000001, 30040000) n`;
  await sql`insert into products (name, price_cents, picture_seed) values ('A', 1, 'a'), ('B', 2, 'b')`;
  await sql`delete from products where name = 'B'`;
  const file = newFile();
  const copy = await postgres.newDatabase();
  expect(await runProgram(["backup", file], { DATABASE_URL: url })).toMatchObject({ exitCode: 0 });
  const made = await runProgram(["restore", file], { DATABASE_URL: copy });
  expect(made).toMatchObject({ exitCode: 0 });
  const digest = (one: typeof sql) => one`
    select count(*), min(tableoid::regclass::text), md5(string_agg(a::text, ',' order by seq))
    from attempts a`;
  const restored = lookInto(copy, 1);
  expect(await digest(restored)).toEqual(await digest(sql));
  const [next] = await restored<{ id: number }[]>`
    insert into products (name, price_cents, picture_seed) values ('C', 3, 'c') returning id`;
  expect(next?.id).toBe(3);
  const secrets = await restored<{ name: string }[]>`select name from secrets order by name`;
  expect(secrets.map(({ name }) => name)).not.toContain("link");
});

/** The two ways to the records over one pool: drizzle's, and the client's own. */
import { expect, test } from "bun:test";
import { eq } from "drizzle-orm";
import { connect, isAway } from "../../src/postgres/client.ts";
import { openDb, ping } from "../../src/store/db.ts";
import { leader, users } from "../../src/store/schema.ts";
import { insertUser } from "../../src/store/users.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";

const postgres = usePostgres();

test("The client stays as it is: it takes dates and gives dates, and so does drizzle", async () => {
  const sql = lookInto(await postgres.newRecords());
  const db = openDb(sql);
  const since = new Date("2030-01-31T12:00:00.123Z");
  const record = { epoch: 3, url: "http://here", since, instance: null, link: null, lastSeq: null };
  await db.insert(leader).values(record);
  expect(await db.select().from(leader).where(eq(leader.since, since))).toEqual([
    { id: 1, ...record },
  ]);
  const rows =
    await sql`select since, ${sql.json({ a: 1 })} as json from leader where since = ${since}`;
  expect([...rows]).toEqual([{ since, json: { a: 1 } }]);
});

test("Every statement is a prepared one in PostgreSQL", async () => {
  const sql = lookInto(await postgres.newRecords(), 1);
  const db = openDb(sql);
  for (const id of [1, 2]) await db.select().from(users).where(eq(users.id, id));
  const statements = await sql`
    select generic_plans + custom_plans as uses from pg_prepared_statements
    where starts_with(statement, 'select "id", "username"')`;
  expect([...statements]).toEqual([{ uses: "2" }]);
});

test("An error is the driver's: with its code, and without the parameters", async () => {
  const db = openDb(lookInto(await postgres.newDatabase()));
  const refused = insertUser(db, { username: "anna", passwordHash: "a hash", role: "user" });
  const error: unknown = await refused.catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: "42P01", message: 'relation "users" does not exist' });
  expect(isAway(error)).toBe(false);
});

test("That PostgreSQL is away is told from a refusal", async () => {
  const url = await postgres.newDatabase();
  const unheard = openDb(lookInto(url.replace(/:\d+\//, ":1/")));
  expect(isAway(await ping(unheard).catch((reason: unknown) => reason))).toBe(true);
  const ended = lookInto(url)`select pg_terminate_backend(pg_backend_pid())`;
  expect(isAway(await ended.catch((reason: unknown) => reason))).toBe(true);
  expect(isAway(await lookInto(url)`select 1 / 0`.catch((reason: unknown) => reason))).toBe(false);
});

test("a session's setting of 0 counts, whatever its database says", async () => {
  const url = await postgres.newDatabase();
  await lookInto(url).unsafe(`alter database ${new URL(url).pathname.slice(1)}
    set statement_timeout = '5s'`);
  const sql = connect({ url }, { max: 1, connection: { statement_timeout: 0 } });
  expect([...(await sql`show statement_timeout`.values())]).toEqual([["0"]]);
  await sql.end();
});

test("dates are what they are, however a database writes them", async () => {
  const url = await postgres.newRecords();
  await lookInto(url).unsafe(`alter database ${new URL(url).pathname.slice(1)}
    set datestyle = 'German, DMY'; alter database ${new URL(url).pathname.slice(1)}
    set timezone = 'Pacific/Chatham'`);
  const sql = connect({ url }, { max: 1 });
  const since = new Date("2030-01-31T12:00:00.123Z");
  const [row] =
    await sql`select ${since}::timestamptz as since, ${since}::timestamptz::text as text`;
  expect(row).toEqual({ since, text: "2030-01-31 12:00:00.123+00" });
  await sql.end();
});

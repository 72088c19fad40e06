/**
 * What stands beside Stampede's coupons: the same interface with one transaction a claim, in the
 * same PostgreSQL, each way in a database of its own. Here are its tables, and how it is started.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { z } from "zod";
import { addressOf } from "./beside.ts";
import type { Owned } from "./owned.ts";
import { BenchError } from "./scenario.ts";
import type { Home } from "./stampede.ts";

const databaseSchema = z.object({
  /** Folder of the Unix socket. */
  host: z.string(),
  port: z.number().int(),
  /** The socket itself. */
  path: z.string(),
  username: z.string(),
  passwordFile: z.string(),
  database: z.string(),
});
export type DatabaseAccess = z.output<typeof databaseSchema>;

export const rowLocksSchema = z.object({
  way: z.enum(["update", "lock"]),
  connections: z.number().int(),
  database: databaseSchema,
});
export type Way = z.output<typeof rowLocksSchema>["way"];

export const ways: readonly { readonly way: Way; readonly name: string }[] = [
  { way: "update", name: "INSERT, UPDATE … > 0" },
  { way: "lock", name: "SELECT … FOR UPDATE" },
];

/** What Stampede's own database and its user are called. */
const stampedeName = "stampede";
/** For a pool of each way and Stampede's own; it comes with 50. */
const serverConnectionsMax = 150;

const tables = `
  create table coupons (
    id serial primary key,
    name varchar(255) not null unique,
    amount int not null check (amount >= 0),
    remaining_amount int not null check (remaining_amount >= 0),
    created_at timestamptz not null default current_timestamp
  );
  create table claims (
    id serial primary key,
    user_id varchar(255) not null,
    coupon_name varchar(255) not null references coupons (name),
    claimed_at timestamptz not null default current_timestamp,
    unique (user_id, coupon_name)
  );`;

/** The PostgreSQL that serves a Stampede's folder, as whoever may read the folder finds it. */
export function accessTo({ dataFolder }: Home, database = stampedeName): DatabaseAccess {
  const lines = readFileSync(join(dataFolder, "pgdata", "postmaster.pid"), "utf8").split("\n");
  const port = Number(lines[3]);
  const host = lines[4];
  if (host === undefined || !Number.isInteger(port)) {
    throw new BenchError("PostgreSQL does not say where its socket is");
  }
  const path = join(host, `.s.PGSQL.${port}`);
  const passwordFile = join(dataFolder, "password");
  return { host, port, path, username: stampedeName, passwordFile, database };
}

async function using<T>(
  { passwordFile, ...where }: DatabaseAccess,
  work: (sql: postgres.Sql) => Promise<T>,
): Promise<T> {
  const password = readFileSync(passwordFile, "utf8").trim();
  const sql = postgres({ ...where, password, max: 1, fetch_types: false, onnotice: () => {} });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** Makes the databases, and room for connections, which is there from the next start on. */
export async function prepareBaselines(home: Home): Promise<void> {
  await using(accessTo(home), async (sql) => {
    await sql.unsafe(`alter system set max_connections = ${serverConnectionsMax}`);
    for (const { way } of ways) {
      // oxlint-disable-next-line no-await-in-loop
      await sql.unsafe(`create database ${databaseOf(way)}`);
      // oxlint-disable-next-line no-await-in-loop
      await using(accessTo(home, databaseOf(way)), (own) => own.unsafe(tables));
    }
  });
}

const settings = [
  "fsync",
  "synchronous_commit",
  "full_page_writes",
  "shared_buffers",
  "wal_buffers",
  "max_wal_size",
  "checkpoint_timeout",
] as const;

/** What of PostgreSQL's settings decides how fast and how safe a commit is. */
export const readSettings = (home: Home): Promise<[string, string][]> =>
  using(accessTo(home), async (sql) => {
    const rows = await sql<{ name: string; value: string }[]>`
      select name, current_setting(name) as value
      from unnest(string_to_array(${settings.join()}, ',')) as name`;
    return rows.map(({ name, value }) => [name, value]);
  });

const databaseOf = (way: Way): string => `bench_${way}`;

/** Attempts to claim a coupon that Stampede has stored, refused ones too. */
export async function storedClaimAttempts(home: Home): Promise<number> {
  return await using(accessTo(home), async (sql) => {
    const [row] = await sql<{ attempts: number }[]>`
      select count(*)::int as attempts from attempts where kind = 'claim'`;
    return row?.attempts ?? Number.NaN;
  });
}

export type Baseline = {
  readonly port: number;
  readonly pid: number;
  readonly stop: () => Promise<void>;
};

/** @param connections of its pool */
export async function startBaseline(
  owned: Owned,
  home: Home,
  { way, connections }: { readonly way: Way; readonly connections: number },
): Promise<Baseline> {
  const told: z.input<typeof rowLocksSchema> = {
    way,
    connections,
    database: accessTo(home, databaseOf(way)),
  };
  const program = join(import.meta.dir, "rowlocks.ts");
  const child = owned.spawn([process.execPath, program, JSON.stringify(told)]);
  const origin = await addressOf(child, "the server beside Stampede");
  return {
    port: Number(new URL(origin).port),
    pid: child.pid,
    async stop() {
      child.kill("SIGTERM");
      await child.exited;
    },
  };
}

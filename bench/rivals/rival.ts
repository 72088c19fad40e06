/**
 * What stands beside Stampede in the report: the hourly sale as others make it, behind the same HTTP
 * server of the same runtime, with its records in a PostgreSQL of the same kind. Here is what such a
 * server is told, and what it keeps its sale in.
 */
import type { Sql } from "postgres";
import { z } from "zod";

export const ways = ["rowlocks", "lua"] as const;
export type Way = (typeof ways)[number];

export const rivalSchema = z.object({
  way: z.enum(ways),
  /** Of its pool. */
  connections: z.int(),
  database: z.object({
    host: z.string(),
    port: z.int(),
    path: z.string(),
    username: z.string(),
    passwordFile: z.string(),
    database: z.string(),
  }),
  /** Path of Redis's socket; none for those that have no Redis. */
  redis: z.string().nullable(),
});
export type RivalSettings = z.output<typeof rivalSchema>;

/** Items, a unit each: some are asked for in floods, the others bought before a kill. */
export const stock = 40_000;
export const perUserLimit = 10;
export const reservationMs = 120_000;

export type Refusal = "item_not_found" | "item_reserved" | "item_sold_out" | "user_limit_reached";

/** The sale of a rival: what its server asks. Each resolves when the answer may be sent. */
export type RivalSale = {
  /** @returns the code of a reservation, or why there is none */
  readonly checkout: (user: string, item: number) => Promise<{ readonly code: string } | Refusal>;
  /** @returns the order, the same again for the same code; null where there is no such code */
  readonly purchase: (
    code: string,
  ) => Promise<{ readonly order: string; readonly user: string; readonly item: number } | null>;
  /** How many attempts of both steps are stored, and how many there are of buying by these codes. */
  readonly stored: (codes: readonly string[]) => Promise<Stored>;
};

export const storedSchema = z.object({ attempts: z.int(), bought: z.int() });
export type Stored = z.output<typeof storedSchema>;

/** The same of the tables below. */
export async function storedIn(sql: Sql, codes: readonly string[]): Promise<Stored> {
  const [row] = await sql<Stored[]>`
    select count(*)::int as attempts,
           count(distinct code) filter (
             where kind = 'purchase' and code = any(${[...codes]}::text[]))::int as bought
    from attempts`;
  return row ?? { attempts: 0, bought: 0 };
}

/** What each way stores in PostgreSQL. */
export const tables = `
  create table attempts (
    seq bigserial primary key,
    kind text not null,
    user_id text,
    item int,
    code text,
    outcome text not null,
    at timestamptz not null default now()
  );
  create table items (
    id int primary key,
    held_by text,
    held_until timestamptz,
    code text unique,
    sold_to text
  );
  insert into items (id) select generate_series(1, ${stock});
  create table buyers (user_id text primary key, units int not null check (units <= ${perUserLimit}));
  create table orders (
    id bigserial primary key,
    code text not null unique,
    user_id text not null,
    item int not null unique references items (id)
  );`;

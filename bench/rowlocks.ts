/**
 * A program of its own: the coupons' HTTP interface as most are written, one transaction of
 * PostgreSQL a claim, in two ways (`Way`). The tables are those of `baseline.ts`. Prints its
 * address; ends when its standard input does.
 * `bun bench/rowlocks.ts '{"way":"update",…}'` (`RowLocks`)
 *
 * As quick as this way can be on the same runtime: bodies are parsed, and little more; statements
 * are prepared once on each connection (by the driver); nothing is waited for but the database.
 */
import postgres, { type TransactionSql } from "postgres";
import { z } from "zod";
import { rowLocksSchema } from "./baseline.ts";

const { way, connections, database } = rowLocksSchema.parse(JSON.parse(process.argv[2] ?? ""));
const { passwordFile, ...where } = database;
const sql = postgres({
  ...where,
  password: (await Bun.file(passwordFile).text()).trim(),
  max: connections,
  max_lifetime: null,
  fetch_types: false,
});

const createBody = z.object({ name: z.string(), amount: z.number().int() });
const claimBody = z.object({ user_id: z.string(), coupon_name: z.string() });

type Claim = { readonly remaining: number; readonly at: Date };

/** Rolls the transaction back. */
class SoldOut extends Error {}
class NotFound extends Error {}

/** Inserts, then takes one if there is one: what was inserted goes if there is none. */
async function insertThenUpdate(tx: TransactionSql, user: string, coupon: string): Promise<Claim> {
  const [made] = await tx<{ claimed_at: Date }[]>`
    insert into claims (user_id, coupon_name) values (${user}, ${coupon}) returning claimed_at`;
  const [left] = await tx<{ remaining_amount: number }[]>`
    update coupons set remaining_amount = remaining_amount - 1
    where name = ${coupon} and remaining_amount > 0 returning remaining_amount`;
  if (made === undefined || left === undefined) throw new SoldOut();
  return { remaining: left.remaining_amount, at: made.claimed_at };
}

/** Locks the coupon, looks whether there is one, and takes it. */
async function lockThenInsert(tx: TransactionSql, user: string, coupon: string): Promise<Claim> {
  const [found] = await tx<{ remaining_amount: number }[]>`
    select remaining_amount from coupons where name = ${coupon} for update`;
  if (found === undefined) throw new NotFound();
  if (found.remaining_amount <= 0) throw new SoldOut();
  const [made] = await tx<{ claimed_at: Date }[]>`
    insert into claims (user_id, coupon_name) values (${user}, ${coupon}) returning claimed_at`;
  await tx`update coupons set remaining_amount = remaining_amount - 1 where name = ${coupon}`;
  if (made === undefined) throw new Error("nothing was inserted");
  return { remaining: found.remaining_amount - 1, at: made.claimed_at };
}

const decide = { update: insertThenUpdate, lock: lockThenInsert }[way];

async function claim(request: Request): Promise<Response> {
  const { user_id: user, coupon_name: coupon } = claimBody.parse(await request.json());
  try {
    const { remaining, at } = await sql.begin((tx) => decide(tx, user, coupon));
    return json({
      message: "Coupon claimed",
      user_id: user,
      coupon_name: coupon,
      remaining_amount: remaining,
      claimed_at: at.toISOString(),
    });
  } catch (error) {
    if (error instanceof SoldOut) return refuse(409, "sold_out");
    if (error instanceof NotFound) return refuse(404, "coupon_not_found");
    if (error instanceof postgres.PostgresError) {
      if (error.code === "23505") return refuse(409, "already_claimed");
      if (error.code === "23503") return refuse(404, "coupon_not_found");
    }
    throw error;
  }
}

async function create(request: Request): Promise<Response> {
  const { name, amount } = createBody.parse(await request.json());
  const [made] = await sql`
    insert into coupons (name, amount, remaining_amount) values (${name}, ${amount}, ${amount})
    returning id, name, amount, remaining_amount, created_at`;
  return json(made, 201);
}

async function read(name: string): Promise<Response> {
  const [found] =
    await sql`select name, amount, remaining_amount from coupons where name = ${name}`;
  if (found === undefined) return refuse(404, "coupon_not_found");
  const claims = await sql<{ user_id: string }[]>`
    select user_id from claims where coupon_name = ${name} order by id`;
  return json({ ...found, claimed_by: claims.map(({ user_id }) => user_id) });
}

const jsonHeaders = new Headers({ "Content-Type": "application/json" });
const problemHeaders = new Headers({ "Content-Type": "application/problem+json" });

const json = (body: unknown, status = 200): Response =>
  new Response(JSON.stringify(body), { status, headers: jsonHeaders });

/** With the same fields as Stampede's refusals. */
function refuse(status: number, code: string): Response {
  const type = `urn:stampede:problem:${code}`;
  const body = { type, title: code, status, detail: code, code, error: code };
  return new Response(JSON.stringify(body), { status, headers: problemHeaders });
}

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  development: false,
  routes: {
    "/api/coupons": { POST: create },
    "/api/coupons/claim": { POST: claim },
    "/api/coupons/:name": { GET: (request) => read(request.params.name) },
  },
  error(error) {
    process.stderr.write(`${error.stack ?? error.message}\n`);
    return refuse(500, "internal");
  },
});
process.stdout.write(`${server.url.origin}\n`);
await Bun.stdin.bytes();
process.exit(0);

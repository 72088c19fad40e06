/**
 * A program of its own: the hourly sale's two steps over HTTP, as others make them. Prints its address;
 * ends when its standard input does. `bun bench/rivals/server.ts '{"way":"rowlocks",…}'` (`RivalSettings`)
 */
import postgres from "postgres";
import { z } from "zod";
import { type Refusal, type RivalSale, reservationMs, rivalSchema } from "./rival.ts";
import { saleByLua } from "./lua.ts";
import { saleByRowLocks } from "./rowlocks.ts";

const { connections, database, redis } = rivalSchema.parse(JSON.parse(process.argv[2] ?? ""));
const { passwordFile, ...where } = database;
const sql = postgres({
  ...where,
  password: (await Bun.file(passwordFile).text()).trim(),
  max: connections,
  max_lifetime: null,
});
const sale: RivalSale = redis === null ? saleByRowLocks(sql) : await saleByLua(sql, redis);

const codesSchema = z.array(z.string());
const jsonHeaders = new Headers({ "Content-Type": "application/json" });
const problemHeaders = new Headers({ "Content-Type": "application/problem+json" });

const json = (body: unknown): Response =>
  new Response(JSON.stringify(body), { headers: jsonHeaders });

/** With the same fields as Stampede's refusals. */
function refuse(status: number, code: Refusal | "code_not_found" | "internal"): Response {
  const type = `urn:stampede:problem:${code}`;
  const body = { type, title: code, status, detail: code, code, error: code };
  return new Response(JSON.stringify(body), { status, headers: problemHeaders });
}

const itemOf = (id: number) => ({
  id,
  name: `Item ${id}`,
  image_url: `/sales/1/items/${id}/image.svg`,
  price_cents: 1_000,
});

async function checkout(request: Request): Promise<Response> {
  const { searchParams } = new URL(request.url);
  const user = searchParams.get("user_id") ?? "";
  const id = Number(searchParams.get("id"));
  const made = await sale.checkout(user, id);
  if (typeof made === "string") return refuse(made === "item_not_found" ? 404 : 409, made);
  const expires = new Date(Date.now() + reservationMs).toISOString();
  return json({ code: made.code, user_id: user, item: itemOf(id), expires_at: expires });
}

async function purchase(request: Request): Promise<Response> {
  const code = new URL(request.url).searchParams.get("code") ?? "";
  const bought = await sale.purchase(code);
  if (bought === null) return refuse(404, "code_not_found");
  const { order, user, item } = bought;
  return json({ order_id: order, code, user_id: user, item: itemOf(item) });
}

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  development: false,
  routes: {
    "/checkout": { POST: checkout },
    "/purchase": { POST: purchase },
    "/stored": {
      POST: async (request) => json(await sale.stored(codesSchema.parse(await request.json()))),
    },
  },
  error(error) {
    process.stderr.write(`${error.stack ?? error.message}\n`);
    return refuse(500, "internal");
  },
});
process.stdout.write(`${server.url.origin}\n`);
await Bun.stdin.bytes();
process.exit(0);

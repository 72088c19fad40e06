/**
 * The shop as accounts see it: people who are logged in, and the whole platform inside the
 * test with a clock that the test turns. Accounts and their sessions are put into the tables:
 * a password takes its time, and the tests of accounts are elsewhere.
 */
import { z } from "zod";
import type { Sql } from "postgres";
import { Tokens } from "../../src/access/tokens.ts";
import { type Answer, Client } from "./client.ts";
import { Clock, jwtSecret, openShop } from "./shop.ts";

/** Later than any clock of the tests says it is. */
const sessionsEnd = Date.parse("2100-01-01");

/** Somebody who is logged in, or nobody. */
export class Person {
  readonly name: string;
  readonly client: Client;
  /** What a request in their name carries. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(name: string, client: Client, token: string | null) {
    this.name = name;
    this.client = client;
    this.headers = token === null ? {} : { Authorization: `Bearer ${token}` };
  }

  ask(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    return this.client.ask(method, path, {
      headers: { ...this.headers, ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  get(path: string): Promise<Answer> {
    return this.ask("GET", path);
  }

  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer> {
    return this.ask("POST", path, body, headers);
  }

  reserve(saleId: number, itemId: number | string, key?: string): Promise<Answer> {
    const keyed = key === undefined ? {} : { "Idempotency-Key": key };
    return this.post(`/api/flash-sales/${saleId}/checkout`, { item_id: itemId }, keyed);
  }

  /** The second step. */
  purchase(code: string): Promise<Answer> {
    return this.post("/api/purchases", { code });
  }

  /** Both steps in one. */
  buy(saleId: number, productId: number, quantity: unknown = 1): Promise<Answer> {
    const body = { flash_sale_id: saleId, product_id: productId, quantity };
    return this.post("/api/purchases", body);
  }
}

/** Makes an account and logs it in. */
export async function newPerson(
  sql: Sql,
  client: Client,
  name: string,
  role: "user" | "admin" = "user",
): Promise<Person> {
  const [user] = await sql<{ id: number }[]>`
    insert into users (username, password_hash, role) values (${name}, 'none', ${role})
    returning id`;
  if (user === undefined) throw new Error(`${name} was not made`);
  const session = { sessionId: crypto.randomUUID(), expiresAt: sessionsEnd };
  await sql`
    insert into sessions (id, user_id, expires_at)
    values (${session.sessionId}, ${user.id}, ${new Date(session.expiresAt).toISOString()})`;
  const tokens = new Tokens(jwtSecret);
  const token = await tokens.sign({ ...session, userId: user.id }, Date.now());
  return new Person(name, client, token);
}

/** The platform inside the test; it leads when this resolves. */
export async function openStorefront(
  url: string,
  clock: Clock,
  environment: Readonly<Record<string, string>> = {},
) {
  const shop = await openShop(url, { clock, terms: { items: 5 }, environment });
  return { ...shop, person: newPerson.bind(null, shop.sql, shop.client) };
}

/** A clock that stands so many minutes after an hour, whose sale is then none of a test's business. */
export const quietClock = (minutes = 20): Clock =>
  new Clock((Math.floor(Date.now() / 3_600_000) * 60 + minutes) * 60_000);

/** A storefront at a quiet time, with an administrator, two who buy, and somebody without an account. */
export async function openPeopledStorefront(url: string) {
  const clock = quietClock();
  const front = await openStorefront(url, clock);
  const admin = await front.person("boss", "admin");
  const [ann, bob] = [await front.person("Ann"), await front.person("bob")];
  return { clock, front, admin, ann, bob, nobody: new Person("nobody", front.client, null) };
}

export const flashSaleShape = z.object({
  id: z.int(),
  title: z.string(),
  status: z.enum(["active", "upcoming", "ended"]),
  starts_at: z.iso.datetime(),
  ends_at: z.iso.datetime(),
  per_user_limit: z.int(),
  stock: z.int(),
  sold: z.int(),
  reserved: z.int(),
  available: z.int(),
  items: z.array(
    z.object({
      id: z.int(),
      product_id: z.int(),
      name: z.string(),
      image_url: z.string(),
      price_cents: z.int(),
      stock: z.int(),
      available: z.int(),
      sold: z.int(),
    }),
  ),
});

export const orderShape = z.object({
  message: z.literal("Purchase successful"),
  order_id: z.string().regex(/^\d+$/),
  code: z.uuid(),
  codes: z.array(z.uuid()),
  user_id: z.string(),
  buyer: z.literal("account"),
  sale_id: z.int(),
  product_id: z.int(),
  item: z.object({ id: z.int(), name: z.string(), image_url: z.string(), price_cents: z.int() }),
  quantity: z.int(),
  total_cents: z.int(),
  purchased_at: z.iso.datetime(),
  replayed: z.boolean(),
});

/** Reads a body of a shape from an answer of a status. */
export function read<T>(answer: Answer, shape: z.ZodType<T>, status = 200): T {
  if (answer.status !== status) {
    throw new Error(`${answer.status} instead of ${status}: ${answer.text}`);
  }
  return shape.parse(answer.json());
}

/** The status and the code of a refusal, to be compared in one go. */
export function told(answer: Answer): string {
  if (answer.status < 400) return `${answer.status}`;
  const { code, detail, error, status } = z
    .object({ code: z.string(), detail: z.string(), error: z.string(), status: z.int() })
    .parse(answer.json());
  if (error !== detail || status !== answer.status) throw new Error(answer.text);
  return `${answer.status} ${code}`;
}

export async function newProduct(admin: Person, name: string, priceCents = 1_000): Promise<number> {
  const answer = await admin.post("/api/admin/products", { name, price_cents: priceCents });
  return read(answer, z.object({ id: z.int() }), 201).id;
}

export type SaleWish = {
  readonly startsAt: number;
  readonly endsAt: number;
  readonly limit?: number;
  readonly items: readonly { readonly product: number; readonly stock: number }[];
};

export const wishBody = ({ startsAt, endsAt, limit, items }: SaleWish) => ({
  title: "A sale",
  starts_at: new Date(startsAt).toISOString(),
  ends_at: new Date(endsAt).toISOString(),
  ...(limit === undefined ? {} : { per_user_limit: limit }),
  items: items.map(({ product, stock }) => ({ product_id: product, stock, price_cents: 500 })),
});

export async function newSale(admin: Person, wish: SaleWish) {
  const answer = await admin.post("/api/admin/flash-sales", wishBody(wish));
  return read(answer, flashSaleShape, 201);
}

/** The headers of a key with these scopes, as an administrator makes one. */
export async function newKey(admin: Person, ...scopes: readonly string[]) {
  const name = crypto.randomUUID();
  const made = read(
    await admin.ask("POST", "/api/admin/keys", { name, scopes }),
    z.object({ key: z.string() }),
    201,
  );
  return { Authorization: `Bearer ${made.key}` };
}

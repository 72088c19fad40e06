/**
 * Whatever changes something, with PostgreSQL lost at each of the statements that it takes, and on
 * either way: who is told that nothing was done finds nothing done, and of what may have been done
 * nobody is told so.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import type { Sql } from "postgres";
import { z } from "zod";
import { LedgerClock } from "../../src/engine/clock.ts";
import { operationsOf } from "../../src/http/server.ts";
import { idleRoutes } from "../../src/idle.ts";
import type { Answer } from "../support/client.ts";
import { codeOf } from "../support/authenticator.ts";
import { CutWay, type Cut } from "../support/cuts.ts";
import { everything } from "../support/everything.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { Clock, openShop, type Shop } from "../support/shop.ts";
import { newKey, newPerson, newProduct, newSale, Person, read } from "../support/storefront.ts";
import { inTurn, until } from "../support/wait.ts";

const postgres = usePostgres();
const password = "a good password";
/** More than any of them takes. */
const statementsMax = 40;
const triesMax = 5;

let clock: Clock;
let way: CutWay;
let sql: Sql;
let shop: Shop;
let admin: Person;
let nobody: Person;
let merchant: Readonly<Record<string, string>>;
let passwordHash: string;
let picture: Uint8Array<ArrayBuffer>;

beforeAll(async () => {
  const url = await postgres.newRecords();
  way = await CutWay.to(url);
  sql = lookInto(url);
  clock = new Clock(Date.now());
  const environment = { RATE_LIMITS: "off", WEBHOOK_PRIVATE: "1" };
  const terms = { items: 500, perUserLimit: 500 };
  shop = await openShop(way.url, { clock, terms, environment });
  admin = await newPerson(sql, shop.client, "boss", "admin");
  await newPerson(sql, shop.client, "second boss", "admin");
  nobody = new Person("", shop.client, null);
  merchant = await newKey(admin, "sell");
  // Most of the time would go into it otherwise.
  passwordHash = await Bun.password.hash(password, {
    algorithm: "argon2id",
    memoryCost: 8,
    timeCost: 1,
  });
  picture = await Bun.file(`${import.meta.dir}/../support/square.avif`).bytes();
});

let count = 0;
const newName = (): string => `somebody-${(count += 1)}`;
const withId = z.object({ id: z.int() });

async function someone(): Promise<Person> {
  const person = await newPerson(sql, shop.client, newName());
  await sql`update users set password_hash = ${passwordHash} where username = ${person.name}`;
  return person;
}

/** Somebody's secret of a second factor. */
async function secretOf(person: Person): Promise<string> {
  const begun = await person.post("/api/auth/second-factor", { password });
  return read(begun, z.object({ secret: z.string() })).secret;
}

/** Somebody with a second factor, and the next code of it. */
async function withFactor(): Promise<{ readonly person: Person; readonly otp: string }> {
  const person = await someone();
  const secret = await secretOf(person);
  const otp = codeOf(secret, clock.now);
  expect((await person.post("/api/auth/second-factor/confirm", { otp })).status).toBe(200);
  return { person, otp: codeOf(secret, clock.now + 30_000) };
}

const hourMs = 3_600_000;

type OneItem = { readonly id: number; readonly product: number };

/** A product sale of one item, that is open or coming. */
async function aSale(from = 0, stock = 50): Promise<OneItem> {
  const product = await newProduct(admin, newName());
  const { now } = clock;
  const items = [{ product, stock }];
  const { id } = await newSale(admin, { startsAt: now + from, endsAt: now + 9 * hourMs, items });
  return { id, product };
}

async function aDraft(): Promise<number> {
  const product = await newProduct(admin, newName());
  const made = await admin.post("/api/admin/flash-sales", {
    title: "A draft",
    state: "draft",
    starts_at: new Date(clock.now + hourMs).toISOString(),
    ends_at: new Date(clock.now + 2 * hourMs).toISOString(),
    items: [{ product_id: product, stock: 5, price_cents: 100 }],
  });
  return read(made, withId, 201).id;
}

const aKey = async (): Promise<number> =>
  read(await admin.post("/api/admin/keys", { name: newName(), scopes: ["read"] }), withId, 201).id;

const hook = () => ({ url: `http://127.0.0.1:9/${newName()}`, types: ["coupon.claimed"] });
/** In place of those before: there may be fewer than there are tries. */
async function aWebhook(): Promise<number> {
  await sql`delete from webhooks`;
  return read(await admin.post("/api/admin/webhooks", hook()), withId, 201).id;
}

async function aCoupon(): Promise<string> {
  const name = newName();
  read(await admin.post("/api/coupons", { name, amount: 5 }), withId, 201);
  return name;
}

let bought: OneItem | null = null;
/** The sale from which whatever is bought here is: there may not be so many as there are tries. */
const theSale = async (): Promise<OneItem> => (bought ??= await aSale(0, 5_000));

/** An order of a product sale. */
async function anOrder(): Promise<string> {
  const { id, product } = await theSale();
  const made = await (await someone()).buy(id, product);
  return read(made, z.object({ order_id: z.string() })).order_id;
}

const held = async (): Promise<string> => (await shop.client.reserve(newName())).code;

type Send = () => Promise<Answer>;
const removal =
  (path: string): Send =>
  () =>
    admin.ask("DELETE", path);
const sendPicture = (method: string, path: string): Send => {
  const headers = { ...admin.headers, "Content-Type": "image/avif" };
  return () => shop.client.ask(method, path, { headers, body: picture });
};

/** Each gets ready what it takes, and gives what sends the request. */
const changes: Readonly<Record<string, () => Promise<Send>>> = {
  "POST /api/auth/register": async () => {
    const username = newName();
    return () => nobody.post("/api/auth/register", { username, password });
  },
  "POST /api/auth/login": async () => {
    const { name: username } = await someone();
    return () => nobody.post("/api/auth/login", { username, password });
  },
  "POST /api/auth/login, with a code": async () => {
    const { person, otp } = await withFactor();
    return () => nobody.post("/api/auth/login", { username: person.name, password, otp });
  },
  "POST /api/auth/logout": async () => {
    const person = await someone();
    return () => person.post("/api/auth/logout", {});
  },
  "POST /api/auth/password": async () => {
    const person = await someone();
    const body = { current_password: password, new_password: `${password} too` };
    return () => person.post("/api/auth/password", body);
  },
  "POST /api/auth/second-factor": async () => {
    const person = await someone();
    return () => person.post("/api/auth/second-factor", { password });
  },
  "POST /api/auth/second-factor/confirm": async () => {
    const person = await someone();
    const otp = codeOf(await secretOf(person), clock.now);
    return () => person.post("/api/auth/second-factor/confirm", { otp });
  },
  "POST /api/auth/second-factor/recovery-codes": async () => {
    const { person, otp } = await withFactor();
    return () => person.post("/api/auth/second-factor/recovery-codes", { password, otp });
  },
  "POST /api/auth/second-factor/disable": async () => {
    const { person, otp } = await withFactor();
    return () => person.post("/api/auth/second-factor/disable", { password, otp });
  },
  "POST /api/admin/products": async () => {
    const body = { name: newName(), price_cents: 100 };
    return () => admin.post("/api/admin/products", body);
  },
  "PATCH /api/admin/products/:id": async () => {
    const id = await newProduct(admin, newName());
    return () => admin.ask("PATCH", `/api/admin/products/${id}`, { name: newName() });
  },
  "PUT /api/admin/products/:id/image": async () =>
    sendPicture("PUT", `/api/admin/products/${await newProduct(admin, newName())}/image`),
  "DELETE /api/admin/products/:id/image": async () => {
    const id = await newProduct(admin, newName());
    return () => admin.ask("DELETE", `/api/admin/products/${id}/image`);
  },
  "POST /api/admin/flash-sales": async () => {
    const product = await newProduct(admin, newName());
    const body = {
      title: newName(),
      starts_at: new Date(clock.now + hourMs).toISOString(),
      ends_at: new Date(clock.now + 2 * hourMs).toISOString(),
      items: [{ product_id: product, stock: 5, price_cents: 100 }],
    };
    return () => admin.post("/api/admin/flash-sales", body);
  },
  "PATCH /api/admin/flash-sales/:id": async () => {
    const { id } = await aSale(hourMs);
    return () => admin.ask("PATCH", `/api/admin/flash-sales/${id}`, { title: newName() });
  },
  "PATCH /api/admin/flash-sales/:id, of a draft": async () => {
    const id = await aDraft();
    const body = { title: newName(), state: "published" };
    return () => admin.ask("PATCH", `/api/admin/flash-sales/${id}`, body);
  },
  "DELETE /api/admin/flash-sales/:id": async () => {
    const { id } = await aSale(hourMs);
    return () => admin.ask("DELETE", `/api/admin/flash-sales/${id}`);
  },
  "DELETE /api/admin/flash-sales/:id, of a draft": async () =>
    removal(`/api/admin/flash-sales/${await aDraft()}`),
  "POST /api/admin/flash-sales/:id/duplicate": async () => {
    const { id } = await aSale();
    return () => admin.post(`/api/admin/flash-sales/${id}/duplicate`, {});
  },
  "POST /api/admin/flash-sales/:id/close": async () => {
    const { id } = await aSale();
    return () => admin.post(`/api/admin/flash-sales/${id}/close`, {});
  },
  "POST /api/admin/flash-sales/:id/restock": async () => {
    const { id } = await aSale();
    return () => admin.post(`/api/admin/flash-sales/${id}/restock`, { item_id: 1, units: 1 });
  },
  "POST /api/admin/flash-sales/:id/open": async () => {
    const { id } = await aSale(hourMs);
    return () => admin.post(`/api/admin/flash-sales/${id}/open`, {});
  },
  "PATCH /api/admin/settings": async () => {
    const name = newName();
    return () => admin.ask("PATCH", "/api/admin/settings", { name });
  },
  "PUT /api/admin/settings/logo": async () => sendPicture("PUT", "/api/admin/settings/logo"),
  "DELETE /api/admin/settings/logo": async () => {
    await sql`insert into settings (id) values (1) on conflict do nothing`;
    await sql`update settings set logo = (select digest from pictures limit 1)`;
    return () => admin.ask("DELETE", "/api/admin/settings/logo");
  },
  "PATCH /api/admin/users/:id": async () => {
    const { name } = await someone();
    const [user] = await sql<{ id: number }[]>`select id from users where username = ${name}`;
    return () => admin.ask("PATCH", `/api/admin/users/${user?.id}`, { disabled: true });
  },
  // An account's is disabled first, as above, and waited for: what is here is the rest.
  "POST /api/admin/buyer/erase": async () => {
    const name = newName();
    await shop.client.reserve(name);
    // Whoever loses the place again and again soon after takes it back the later.
    clock.now += 3_000;
    return () => admin.post("/api/admin/buyer/erase", { user_id: name });
  },
  "POST /api/admin/keys": async () => {
    const body = { name: newName(), scopes: ["read"] };
    return () => admin.post("/api/admin/keys", body);
  },
  "DELETE /api/admin/keys/:id": async () => removal(`/api/admin/keys/${await aKey()}`),
  "POST /api/admin/webhooks": async () => {
    await sql`delete from webhooks`;
    return () => admin.post("/api/admin/webhooks", hook());
  },
  "PATCH /api/admin/webhooks/:id": async () => {
    const id = await aWebhook();
    return () => admin.ask("PATCH", `/api/admin/webhooks/${id}`, { state: "off" });
  },
  "DELETE /api/admin/webhooks/:id": async () => removal(`/api/admin/webhooks/${await aWebhook()}`),
  "POST /api/admin/webhooks/:id/replay": async () => {
    const id = await aWebhook();
    return () => admin.post(`/api/admin/webhooks/${id}/replay`, { after: 0 });
  },
};

/** The same of what whoever leads decides, and finds again: the reads before and after can be lost. */
const decided: typeof changes = {
  "DELETE /api/admin/products/:id": async () => {
    const id = await newProduct(admin, newName());
    return () => admin.ask("DELETE", `/api/admin/products/${id}`);
  },
  "POST /checkout": async () => () => shop.client.checkout(newName(), "any"),
  "DELETE /checkout": async () => {
    const code = await held();
    return () => shop.client.release(code);
  },
  "POST /purchase": async () => {
    const code = await held();
    return () => shop.client.purchase(code);
  },
  "POST /reservations/:code/extend": async () => {
    const code = await held();
    return () => shop.client.extend(code, { ms: 300_000 }, merchant);
  },
  "POST /sales/:sale_id/waitlist": async () => {
    const person = await someone();
    const { sale_id: sale, item } = await shop.client.reserve(newName());
    return () => person.post(`/sales/${sale}/waitlist`, { item_id: item.id });
  },
  "DELETE /sales/:sale_id/waitlist": async () => {
    const person = await someone();
    const { id } = await shop.client.openSale();
    return () => person.ask("DELETE", `/sales/${id}/waitlist`);
  },
  "POST /api/coupons": async () => {
    const body = { name: newName(), amount: 5 };
    return () => admin.post("/api/coupons", body);
  },
  "POST /api/coupons/claim": async () => {
    const body = { coupon_name: await aCoupon(), user_id: newName() };
    return () => nobody.post("/api/coupons/claim", body);
  },
  "PATCH /api/coupons/:name": async () => {
    const name = await aCoupon();
    return () => admin.ask("PATCH", `/api/coupons/${name}`, { amount: 9 });
  },
  "DELETE /api/coupons/:name": async () => removal(`/api/coupons/${await aCoupon()}`),
  "POST /api/flash-sales/:id/checkout": async () => {
    const [person, { id }] = [await someone(), await aSale()];
    return () => person.reserve(id, 1);
  },
  "DELETE /api/flash-sales/:id/checkout": async () => {
    const [person, { id }] = [await someone(), await aSale()];
    const { code } = read(await person.reserve(id, 1), z.object({ code: z.string() }));
    return () => person.ask("DELETE", `/api/flash-sales/${id}/checkout?code=${code}`);
  },
  "POST /api/purchases": async () => {
    const [person, { id, product }] = [await someone(), await theSale()];
    return () => person.buy(id, product);
  },
  "POST /api/admin/orders/:order_id/refund": async () => {
    const order = await anOrder();
    return () => admin.post(`/api/admin/orders/${order}/refund`, {});
  },
};

/** By the handlers of others: `claim` is a coupon's name there. Of a queue, see `queue.test.ts`. */
const alike = [
  "POST /sales/:sale_id/queue",
  "PATCH /api/coupons/claim",
  "DELETE /api/coupons/claim",
];

const wordOf = (answer: Answer): string =>
  answer.status < 400 ? "done" : z.object({ code: z.string() }).parse(answer.json()).code;

/** Gets ready, as soon as what was cut before is there again. */
async function ready(prepare: () => Promise<Send>): Promise<Send> {
  let why: unknown = null;
  const failed = (error: unknown): null => {
    why = error;
    return null;
  };
  return await until("what it takes", () => prepare().catch(failed)).catch((cause: unknown) => {
    throw new Error(`${String(cause)}; ${String(why)}`, { cause: why });
  });
}

/** What is told of a change that is cut at each of its statements, one after another. */
async function toldOf(prepare: () => Promise<Send>, cut: Cut): Promise<string[]> {
  const words: string[] = [];
  for (let nth = 1; nth <= statementsMax; nth += 1) {
    // oxlint-disable-next-line no-await-in-loop
    const send = await ready(prepare);
    // oxlint-disable-next-line no-await-in-loop
    const before = await everything(sql);
    way.cutAt(nth, cut);
    // oxlint-disable-next-line no-await-in-loop
    const word = wordOf(await send());
    const isCut = way.heal();
    // oxlint-disable-next-line no-await-in-loop
    const isSame = (await everything(sql)) === before;
    expect(["done", "unavailable", "outcome_unknown"]).toContain(word);
    if (word === "unavailable") expect({ nth, isSame }).toEqual({ nth, isSame: true });
    if (!isCut) {
      expect(word).toBe("done");
      return words;
    }
    words.push(word);
  }
  throw new Error(`it takes more than ${statementsMax} statements`);
}

describe("a change with PostgreSQL lost in its middle", () => {
  test.each(Object.entries(changes))("%s", async (_, prepare) => {
    const words = new Set<string>();
    // What happens by itself may be cut in place of the one that counts.
    for (let tried = 0; tried < triesMax && !words.has("outcome_unknown"); tried += 1) {
      // oxlint-disable-next-line no-await-in-loop
      for (const word of await toldOf(prepare, "back")) words.add(word);
    }
    expect([...words]).toContain("outcome_unknown");
    await toldOf(prepare, "there");
  });
});

describe("what is decided once, with PostgreSQL lost before or after", () => {
  test.each(Object.entries(decided))("%s", async (_, prepare) => {
    await inTurn(["back", "there"] as const, (cut) => toldOf(prepare, cut));
  });
});

test("of every route that changes something", () => {
  const tried = new Set(
    Object.keys({ ...changes, ...decided }).map((name) => name.replace(/,.*/, "")),
  );
  const routes = operationsOf(idleRoutes("0.0.0", new LedgerClock()))
    .filter(({ method }) => method !== "GET")
    .map(({ method, path }) => `${method} ${path}`);
  expect(routes.filter((route) => !tried.has(route))).toEqual(alike);
});

/**
 * `stampede seed --demo`: a shop to look at. Makes what is missing and changes nothing that is
 * there, so that it may be run again. An account that is there keeps its password; where that
 * keeps the demo's administrator out, no sale can be made, and then nothing is.
 *
 * Accounts and products are rows that no leader keeps in memory: they are written here. Sales
 * and coupons belong to the leader, so they are asked for over HTTP, of whoever leads: a
 * server that runs, or the one that the command starts for itself for a moment.
 */
import { base, en, Faker } from "@faker-js/faker";
import { z } from "zod";
import { createAccount } from "../access/accounts.ts";
import type { Passwords } from "../access/passwords.ts";
import { itemTraits } from "../art/pictures.ts";
import { demoProducts, demoSales, demoSeedPrefix, markDemo } from "../store/demo.ts";
import type { Db } from "../store/db.ts";
import { isoTime } from "../time.ts";
import { insertProduct } from "../store/products.ts";
import { findCredentials } from "../store/users.ts";

/** That of the seed's accounts; it is published, which is why production refuses it. */
const password = "Satu123";
const accounts = [
  { username: "admin", role: "admin" },
  { username: "user1", role: "user" },
  { username: "user2", role: "user" },
] as const;
const coupons = [
  { name: "FLASH_SALE_2024", amount: 5 },
  { name: "PROMO_SUPER", amount: 100 },
] as const;
const productsMade = 24;
const hourMs = 3_600_000;

/** What the demo could not make; the message says why. */
export class SeedError extends Error {}

type SeedOptions = {
  readonly db: Db;
  readonly passwords: Passwords;
  /** A server of this program, which leads or passes on to who does. */
  readonly url: string;
  readonly clock: () => number;
  readonly say: (line: string) => void;
};

export async function seedDemo(options: SeedOptions): Promise<void> {
  const missing = await missingSales(options);
  const logins = await demoLogins(options);
  const shut = logins.flatMap(({ username, isOpen }) => (isOpen ? [] : [username]));
  if (missing.length > 0 && shut.includes("admin")) {
    throw new SeedError(
      "There is an account admin that the demo's password does not open, so the demo's sales " +
        "cannot be made; nothing was changed. Use an empty database.",
    );
  }
  const made = [
    ...(await makeAccounts(options)),
    ...(await makeProducts(options)),
    ...(await makeCoupons(options)),
    ...(await makeSales(options, missing)),
  ];
  if (made.length === 0) options.say("The demo is there already; nothing was changed.");
  else options.say(`Made ${made.join(", ")}.`);
  const names = accounts.map(({ username }) => username);
  const open = names.filter((name) => !shut.includes(name));
  if (open.length > 0) {
    const entry = `${open.join(", ")}, password ${password}`;
    options.say(`Accounts: ${entry}. Never let them near the internet.`);
  }
  if (shut.length > 0) {
    options.say(`Not opened by the demo's password, and left as they are: ${shut.join(", ")}.`);
  }
}

/** Of the demo's names those that somebody has, and whether the demo's password lets them in. */
export async function demoLogins({
  db,
  passwords,
}: Pick<SeedOptions, "db" | "passwords">): Promise<{ username: string; isOpen: boolean }[]> {
  const logins: { username: string; isOpen: boolean }[] = [];
  for (const { username } of accounts) {
    const user = await findCredentials(db, username);
    if (user === null) continue;
    const isOpen = !user.disabled && (await passwords.verify(password, user.passwordHash));
    logins.push({ username, isOpen });
  }
  return logins;
}

async function makeAccounts({ db, passwords }: SeedOptions): Promise<string[]> {
  const made: string[] = [];
  for (const { username, role } of accounts) {
    const account = await createAccount(db, passwords, { username, password, role });
    if (account === null) continue;
    await markDemo(db, username);
    made.push(`the account ${username}`);
  }
  return made;
}

async function makeProducts({ db }: SeedOptions): Promise<string[]> {
  const known = await demoProducts(db);
  let made = 0;
  for (let number = 1; number <= productsMade; number += 1) {
    const seed = `${demoSeedPrefix}${number}`;
    if (known.some(({ pictureSeed }) => pictureSeed === seed)) continue;
    await insertProduct(db, demoProduct(number, seed), seed, null);
    made += 1;
  }
  return made === 0 ? [] : [`${made} products`];
}

/** What the demo's shop makes of an animal, and what is said of it. */
const goods = [
  { word: "Print", about: "printed on heavy paper, ready for a frame" },
  { word: "Mask", about: "a mask to fold yourself, with an elastic that holds through a party" },
  { word: "Lantern", about: "a lantern of translucent paper, for a small light inside" },
  { word: "Mobile", about: "a mobile that turns in the slightest draught" },
  { word: "Postcard", about: "a postcard that stands up when it is opened" },
  { word: "Notebook", about: "a notebook of eighty pages that looks back at you" },
] as const;

/** Name and text say what its picture shows. */
function demoProduct(number: number, pictureSeed: string) {
  const faker = new Faker({ locale: [en, base], seed: number });
  const { coat, animal, ground, crowned } = itemTraits(pictureSeed);
  const { word, about } = faker.helpers.arrayElement(goods);
  const who = `${coat.toLowerCase()} ${animal.toLowerCase()}${crowned ? " with a crown" : ""}`;
  return {
    name: `${coat} ${animal} ${word}`,
    description: `${/^[aeiou]/.test(who) ? "An" : "A"} ${who} in ${ground.toLowerCase()} light: ${about}.`,
    priceCents: faker.number.int({ min: 20, max: 400 }) * 50 - 1,
  };
}

async function makeCoupons(options: SeedOptions): Promise<string[]> {
  const made: string[] = [];
  // With ACCESS=guarded nobody else may make one.
  const admin = await logIn(options, "admin");
  for (const coupon of coupons) {
    const { status } = await ask(options, "GET", `/api/coupons/${coupon.name}?claims_limit=0`);
    if (status === 200) continue;
    await made201(options, "/api/coupons", coupon, admin === null ? {} : bearer(admin));
    made.push(`the coupon ${coupon.name}`);
  }
  return made;
}

type When = "past" | "open" | "coming";

async function missingSales({ db, clock }: SeedOptions): Promise<When[]> {
  const now = clock();
  const there = new Set<When>();
  for (const { startsAt, endsAt } of await demoSales(db)) {
    there.add(endsAt.getTime() <= now ? "past" : startsAt.getTime() <= now ? "open" : "coming");
  }
  return (["past", "open", "coming"] as const).filter((when) => !there.has(when));
}

async function makeSales(options: SeedOptions, missing: readonly When[]): Promise<string[]> {
  if (missing.length === 0) return [];
  const now = options.clock();
  const admin = await logIn(options, "admin");
  if (admin === null) throw new SeedError("The demo's administrator cannot log in.");
  const made: string[] = [];
  if (missing.includes("past")) {
    await makePastSale(options, admin);
    made.push("a sale that is over");
  }
  if (missing.includes("open")) {
    const window = { startsAt: now, endsAt: now + 24 * hourMs };
    await announce(options, admin, {
      title: "Flash sale of the day",
      ...window,
      first: 4,
      count: 8,
    });
    made.push("an open sale");
  }
  if (missing.includes("coming")) {
    const window = { startsAt: now + 2 * hourMs, endsAt: now + 4 * hourMs };
    await announce(options, admin, { title: "Late show", ...window, first: 12, count: 6 });
    made.push("a sale to come");
  }
  return made;
}

/** Opens a sale, lets the demo's users buy in it, and closes it: its records are real. */
async function makePastSale(options: SeedOptions, admin: string): Promise<void> {
  const now = options.clock();
  const window = { startsAt: now - 1_000, endsAt: now + hourMs };
  const sale = { title: "Early birds", ...window, first: 0, count: 4 };
  const { id, items } = await announce(options, admin, sale);
  for (const [index, name] of ["user1", "user2"].entries()) {
    const token = await logIn(options, name);
    const product = items[index];
    if (token === null || product === undefined) continue;
    const order = { flash_sale_id: id, product_id: product.product_id, quantity: 1 };
    await ask(options, "POST", "/api/purchases", order, bearer(token));
  }
  const closed = await ask(
    options,
    "POST",
    `/api/admin/flash-sales/${id}/close`,
    {},
    bearer(admin),
  );
  if (closed.status !== 200) throw refused("a sale's end", closed.body);
}

const announced = z.object({
  id: z.int(),
  items: z.array(z.object({ product_id: z.int() })),
});

type Announcement = {
  readonly title: string;
  readonly startsAt: number;
  readonly endsAt: number;
  /** The demo's products that are in it. */
  readonly first: number;
  readonly count: number;
};

async function announce(options: SeedOptions, admin: string, sale: Announcement) {
  const products = (await demoProducts(options.db)).filter(({ deleted }) => !deleted);
  const body = {
    title: sale.title,
    starts_at: isoTime(sale.startsAt),
    ends_at: isoTime(sale.endsAt),
    per_user_limit: 2,
    items: products.slice(sale.first, sale.first + sale.count).map((product, index) => ({
      product_id: product.id,
      stock: [3, 10, 25, 50, 100][index % 5],
      // Between a third and two thirds off.
      price_cents: Math.round((product.priceCents * (35 + ((index * 7) % 30))) / 100),
    })),
  };
  return announced.parse(await made201(options, "/api/admin/flash-sales", body, bearer(admin)));
}

/** A token, or null when the account is not the demo's. */
async function logIn(options: SeedOptions, username: string): Promise<string | null> {
  const credentials = { username, password };
  const { status, body } = await ask(options, "POST", "/api/auth/login", credentials);
  return status === 200 ? z.object({ token: z.string() }).parse(body).token : null;
}

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

async function made201(options: SeedOptions, path: string, body: object, headers: object) {
  const answer = await ask(options, "POST", path, body, headers);
  if (answer.status !== 201) throw refused(path, answer.body);
  return answer.body;
}

function refused(what: string, body: unknown): SeedError {
  const told = z.looseObject({ detail: z.string() }).safeParse(body);
  return new SeedError(`${what} was refused: ${told.success ? told.data.detail : "unknown"}`);
}

/** Asks until there is an answer that counts: the leader may be changing. */
async function ask(
  { url }: SeedOptions,
  method: "GET" | "POST",
  path: string,
  body?: object,
  headers: object = {},
): Promise<{ readonly status: number; readonly body: unknown }> {
  for (let attempt = 1; ; attempt += 1) {
    const response = await fetch(url + path, {
      method,
      headers: { ...headers, "Content-Type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer: unknown = await response.json();
    if (response.status !== 503 || attempt === 20) return { status: response.status, body: answer };
    await Bun.sleep(250);
  }
}

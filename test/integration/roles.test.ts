/**
 * Who may do what, asked of the program for every path of the route table: nobody, a user,
 * another user and an administrator. What the table says of a path is held against what the
 * program answers.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { createAccount } from "../../src/access/accounts.ts";
import { Passwords } from "../../src/access/passwords.ts";
import { LedgerClock } from "../../src/engine/clock.ts";
import { operationsOf, type Operation } from "../../src/http/server.ts";
import { idleRoutes } from "../../src/idle.ts";
import { openDb } from "../../src/store/db.ts";
import { AccountClient, expectRefusal } from "../support/accounts.ts";
import type { Answer, Ask } from "../support/client.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { startServer } from "../support/server.ts";
import { inTurn } from "../support/wait.ts";

const postgres = usePostgres();
const password = "a good password";
const actors = ["nobody", "a user", "another user", "an administrator"] as const;
type Actor = (typeof actors)[number];

let client: AccountClient;
/** As the program puts it together; nothing is served from it. */
const routes = idleRoutes("0.0.0", new LedgerClock());
const headersOf = new Map<Actor, NonNullable<Ask["headers"]>>([["nobody", {}]]);

beforeAll(async () => {
  const url = await postgres.newRecords();
  const server = await startServer({ DATABASE_URL: url });
  client = new AccountClient(() => server.url);
  const passwords = new Passwords();
  const db = openDb(lookInto(url));
  await createAccount(db, passwords, { username: "root", password, role: "admin" });
  await inTurn(["anna", "berta"], (name) => client.register(name, password));
  await logEverybodyIn();
});

async function logEverybodyIn(): Promise<void> {
  await inTurn(
    [
      ["a user", "anna"],
      ["another user", "berta"],
      ["an administrator", "root"],
    ] as const,
    async ([actor, name]) => {
      headersOf.set(actor, (await client.enter(name, password)).headers);
    },
  );
}

const ask = (actor: Actor, method: string, path: string, body?: object): Promise<Answer> => {
  const headers = headersOf.get(actor) ?? {};
  return body === undefined
    ? client.ask(method, path, { headers })
    : client.send(method, path, body, { headers });
};

/** What an actor must be told at a path, where it is not for them. */
function refusalOf(actor: Actor, auth: Operation["auth"]) {
  if (auth === undefined) return null;
  if (actor === "nobody") return { status: 401, code: "unauthenticated" };
  // A key is nobody's role.
  if (auth === "merchant") return { status: 403, code: "forbidden" };
  return auth === "admin" && actor !== "an administrator"
    ? { status: 403, code: "forbidden" }
    : null;
}

test("every path of the table lets in whom it says, and nobody else", async () => {
  // Logging out ends the token that the others are asked with.
  const operations = operationsOf(routes)
    // A stream that is for everybody has no end to wait for; a challenge is there where one is asked
    // for, and a logo where the shop was given one.
    .filter(({ path }) => !["/events", "/challenge", "/api/logo"].includes(path))
    .toSorted((a, b) => Number(a.path.endsWith("/logout")) - Number(b.path.endsWith("/logout")));
  expect(operations.length).toBeGreaterThan(20);
  const unlike: object[] = [];
  await inTurn(operations, async ({ path, method, operation }) => {
    // Of what no id names there is nothing to change.
    const asked = path.replaceAll(/:\w+/g, "999999");
    await inTurn(actors, async (actor) => {
      const body = method === "GET" || method === "DELETE" ? undefined : {};
      const answer = await ask(actor, method, asked, body);
      const isRefused = answer.status === 401 || answer.status === 403;
      const { code = "" } = z
        .object({ code: z.string().optional() })
        .catch({})
        .parse(answer.text.startsWith("{") ? answer.json() : {});
      const got = isRefused ? { status: answer.status, code } : null;
      const expected = refusalOf(actor, operation?.auth);
      const isServed = answer.status < 500 && code !== "not_found";
      if (!isServed || !Bun.deepEquals(got, expected)) {
        unlike.push({ actor, method, path, status: answer.status, code, expected });
      }
    });
  });
  expect(unlike).toEqual([]);
  // The last of them has ended every token.
  await logEverybodyIn();
});

test("everything of administrators is for them alone; the rest of an account's is for users", () => {
  const unlike = operationsOf(routes).filter(({ path, method, operation }) => {
    const isPrivate =
      /^\/(?:reservations$|sales\/.*\/waitlist|api\/(?:purchases|auth\/(?:me|password|second-factor)|flash-sales\/.*\/checkout$))/.test(
        path,
      );
    const isForServers = /^\/reservations\/.*\/extend$/.test(path);
    const others = isPrivate ? "user" : isForServers ? "merchant" : undefined;
    const isForAdmins =
      path.startsWith("/api/admin/") ||
      path.endsWith("/claims.csv") ||
      (path.startsWith("/api/coupons/") && ["PATCH", "DELETE"].includes(method));
    const expected = isForAdmins ? "admin" : others;
    return operation?.auth !== expected;
  });
  expect(unlike).toEqual([]);
});

test("what is not read is refused to a page of another site", async () => {
  const token = headersOf.get("an administrator")?.["Authorization"]?.replace("Bearer ", "");
  const headers = { Cookie: `stampede_token=${token}`, "Sec-Fetch-Site": "cross-site" };
  const writing = operationsOf(routes).filter(
    ({ method, operation }) => method !== "GET" && operation?.auth !== undefined,
  );
  expect(writing.length).toBeGreaterThan(8);
  await inTurn(writing, async ({ path, method, operation }) => {
    const answer = await client.ask(method, path.replaceAll(/:\w+/g, "999999"), { headers });
    expectRefusal(answer, 403, "cross_site");
    expect(operation?.refusals).toContain("cross_site");
  });
});

describe("what belongs to one user", () => {
  const hourMs = 3_600_000;
  const made = z.object({ id: z.int() });

  test("no other user and no administrator can buy, give back or see", async () => {
    const product = await ask("an administrator", "POST", "/api/admin/products", {
      name: "Lamp",
      price_cents: 100,
    });
    const { id: productId } = made.parse(product.json());
    const sale = await ask("an administrator", "POST", "/api/admin/flash-sales", {
      title: "Lamps",
      starts_at: new Date(Date.now() - 1_000).toISOString(),
      ends_at: new Date(Date.now() + hourMs).toISOString(),
      per_user_limit: 1,
      items: [{ product_id: productId, stock: 5, price_cents: 50 }],
    });
    const { id: saleId } = made.parse(sale.json());
    const path = `/api/flash-sales/${saleId}/checkout`;
    const reserved = await ask("a user", "POST", path, { item_id: 1 });
    const { code } = z.object({ code: z.string() }).parse(reserved.json());
    await inTurn(["another user", "an administrator"] as const, async (actor) => {
      expectRefusal(await ask(actor, "POST", "/api/purchases", { code }), 404, "code_not_found");
      const back = await ask(actor, "DELETE", `${path}?code=${code}`);
      expectRefusal(back, 404, "code_not_found");
    });
    const bought = await ask("a user", "POST", "/api/purchases", { code });
    expect(bought.status).toBe(200);
    const orders = async (actor: Actor) => {
      const page = z.object({ purchases: z.array(z.object({ code: z.string() })) });
      const answer = await ask(actor, "GET", "/api/purchases/my-purchases");
      return page.parse(answer.json()).purchases.map((order) => order.code);
    };
    expect(await orders("a user")).toEqual([code]);
    expect(await orders("another user")).toEqual([]);
    expect(await orders("an administrator")).toEqual([]);
  });
});

/** What `docs/integrate.md` says, tried: the example shop end to end, and tokens made as it shows. */
import { beforeAll, describe, expect, test } from "bun:test";
import { Webhook } from "standardwebhooks";
import { z } from "zod";
import { openMailer } from "../../docs/examples/mailer.ts";
import { openShop } from "../../docs/examples/shop.ts";
import { LedgerClock } from "../../src/engine/clock.ts";
import { idleRoutes } from "../../src/idle.ts";
import { atEnd, newFolder } from "../support/leftovers.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { Receiver } from "../support/receiver.ts";
import { runProgram, startServer, type TestServer } from "../support/server.ts";
import { textOf } from "../support/sources.ts";
import { until } from "../support/wait.ts";

const postgres = usePostgres();
const tokenSecret = "a secret that the shop's server shares with us";
const guide = textOf("docs/integrate.md");
let url: string;
let stampede: TestServer;
let shopUrl: string;
let manager: Readonly<Record<string, string>>;
const paid: string[] = [];
const paidBack: string[] = [];
const payBack = (customer: string): Promise<void> => {
  paidBack.push(customer);
  return Promise.resolve();
};
/** What stands between the shop and Stampede says to purchases, once each, in their place or after them. */
const saysOfPurchases: ("lost" | "gone" | "away")[] = [];

/** As a proxy on the way that fails. */
async function onTheWay(request: Request): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  const says = pathname === "/purchase" ? saysOfPurchases.shift() : undefined;
  if (says === "gone")
    return Response.json({ code: "code_expired", detail: "It has gone." }, { status: 410 });
  if (says === "away") return new Response("<h1>503</h1>", { status: 503 });
  const { method, headers } = request;
  const answer = await fetch(stampede.url + pathname + search, { method, headers });
  return says === "lost" ? new Response("<h1>502</h1>", { status: 502 }) : answer;
}

const pay = (customer: string): Promise<void> => {
  if (customer === "broke") return Promise.reject(new Error("no money"));
  paid.push(customer);
  return Promise.resolve();
};

beforeAll(async () => {
  url = await postgres.newRecords();
  const environment = {
    DATABASE_URL: url,
    ACCESS: "guarded",
    USER_TOKEN_SECRET: tokenSecret,
    CORS_ORIGINS: "https://shop.example",
    WEBHOOK_PRIVATE: "1",
  };
  stampede = await startServer(environment);
  const made = await runProgram(["key", "create", "shop server", "--scope", "sell"], environment);
  const key = made.output.trim();
  const hooks = await runProgram(["key", "create", "hooks", "--scope", "manage"], environment);
  manager = { Authorization: `Bearer ${hooks.output.trim()}` };
  const way = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: onTheWay });
  atEnd(() => way.stop(true));
  const shop = openShop({ stampede: way.url.origin, key, tokenSecret, pay, payBack }, 0);
  atEnd(() => shop.stop(true));
  shopUrl = shop.url.href;
});

const at = (path: string, customer: string, body?: object) =>
  fetch(new URL(path, shopUrl), {
    method: body === undefined ? "GET" : "POST",
    headers: { "X-Customer": customer },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

describe("the example shop", () => {
  test("reserves, takes the payment, and confirms", async () => {
    const answer = await at("/order", "anna", { item: "7" });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({
      user_id: "anna",
      buyer: "customer",
      item: { id: 7 },
      replayed: false,
    });
    expect(paid).toEqual(["anna"]);
    const rows = await lookInto(url)`select user_id, buyer from purchases`;
    expect([...rows]).toEqual([{ user_id: "anna", buyer: "customer" }]);
  });

  test("tells what is sold, and takes nothing for it", async () => {
    const answer = await at("/order", "bert", { item: "7" });
    expect(answer.status).toBe(409);
    expect(await answer.json()).toMatchObject({ code: "item_sold_out" });
    expect(paid).toEqual(["anna"]);
  });

  test("gives back what was not paid", async () => {
    expect((await at("/order", "broke", { item: "8" })).status).toBe(402);
    expect((await at("/order", "carl", { item: "8" })).status).toBe(200);
  });

  test("an answer that is lost on the way is asked for again, and is one order", async () => {
    saysOfPurchases.push("lost");
    const answer = await at("/order", "lotte", { item: "11" });
    expect(await answer.json()).toMatchObject({ user_id: "lotte", replayed: true });
    expect(answer.status).toBe(200);
  });

  test("pays back what somebody else has got meanwhile", async () => {
    saysOfPurchases.push("gone");
    const answer = await at("/order", "gerd", { item: "12" });
    expect([answer.status, await answer.json()]).toEqual([
      410,
      { code: "code_expired", say: "It has gone." },
    ]);
    expect(paidBack).toEqual(["gerd"]);
  });

  test("does not say that it was not paid while nobody knows, and confirms it later", async () => {
    saysOfPurchases.push(...(["away", "away", "away", "away", "away", "away"] as const));
    const answer = await at("/order", "wilma", { item: "13" });
    expect([answer.status, await answer.json()]).toMatchObject([
      202,
      { code: "not_confirmed_yet" },
    ]);
    const bought = lookInto(url);
    await until("its order", async () => {
      const rows = await bought`select 1 from purchases where user_id = 'wilma'`;
      return rows.length === 1;
    });
    expect(paidBack).toEqual(["gerd"]);
  });

  test("vouches for a customer, whose browser buys by itself", async () => {
    const { token } = z
      .object({ token: z.string() })
      .parse(await (await at("/token", "dora")).json());
    const headers = { Authorization: `Bearer ${token}`, Origin: "https://shop.example" };
    const reserved = await stampede.client.ask("POST", "/checkout?id=any", { headers });
    expect(reserved.json()).toMatchObject({ user_id: "dora", buyer: "customer" });
    expect(reserved.headers.get("Access-Control-Allow-Origin")).toBe("https://shop.example");
  });
});

/** The programs of the guide in a language, in their order. */
const programsIn = (language: string): string[] =>
  guide
    .split(`\`\`\`${language}\n`)
    .slice(1)
    .map((rest) => rest.split("```")[0] ?? "");

/** Makes a webhook, and returns its secret. */
async function webhook(to: string, types: readonly string[]): Promise<string> {
  const answer = await stampede.client.ask("POST", "/api/admin/webhooks", {
    headers: manager,
    body: JSON.stringify({ url: to, types }),
  });
  return z.object({ secret: z.string() }).parse(answer.json()).secret;
}

describe("who is told", () => {
  test("the example mailer writes once about each order, and takes nothing that is not signed", async () => {
    const letters: string[] = [];
    const done = new Set<string>();
    let isDown = true;
    const send = (customer: string, subject: string): Promise<void> => {
      if (isDown) {
        isDown = false;
        return Promise.reject(new Error("the mail server is away"));
      }
      letters.push(`${customer}: ${subject}`);
      return Promise.resolve();
    };
    const mailer = { secret: "", send, done };
    const server = openMailer(mailer, 0);
    atEnd(() => server.stop(true));
    mailer.secret = await webhook(server.url.href, ["order.created", "reservation.made"]);
    const { order_id } = z
      .object({ order_id: z.string() })
      .parse(await (await at("/order", "emil", { item: "9" })).json());
    await until("the letter", () => letters.length > 0);
    expect(letters).toEqual([`emil: Your order ${order_id}`]);
    const forged = { method: "POST", body: "{}", headers: { "webhook-id": "evt_1" } };
    expect((await fetch(server.url, forged)).status).toBe(401);
    expect(letters).toHaveLength(1);
  });

  test("the example mailer writes once where an event comes again before it is done", async () => {
    const secret = `whsec_${Buffer.from("a secret of the tests, long enough").toString("base64")}`;
    const taken = Promise.withResolvers<void>();
    let sent = 0;
    const send = (): Promise<void> => {
      sent += 1;
      return taken.promise;
    };
    const server = openMailer({ secret, send, done: new Set<string>() }, 0);
    atEnd(() => server.stop(true));
    const body = JSON.stringify({ type: "order.created", data: { user_id: "a", order_id: "1" } });
    const now = new Date();
    const headers = {
      "webhook-id": "evt_7",
      "webhook-timestamp": String(Math.floor(now.getTime() / 1_000)),
      "webhook-signature": new Webhook(secret).sign("evt_7", now, body),
    };
    const tries = [1, 2].map(() => fetch(server.url, { method: "POST", body, headers }));
    await until("both under way", () => server.pendingRequests === 2);
    taken.resolve();
    expect((await Promise.all(tries)).map(({ status }) => status)).toEqual([204, 204]);
    expect(sent).toBe(1);
  });

  test.skipIf(Bun.which("python3") === null)(
    "by hand in Python a signature counts, and no other",
    async () => {
      const receiver = new Receiver();
      const secret = await webhook(receiver.url, ["order.created"]);
      expect((await at("/order", "fred", { item: "10" })).status).toBe(200);
      await until("its event", () => receiver.received.length > 0);
      const [first] = receiver.received;
      const program = `${programsIn("python")[1]}
import json, sys
given = json.load(sys.stdin)
print([signed_by_stampede(given["headers"], body.encode()) for body in given["bodies"]])`;
      const given = {
        headers: Object.fromEntries(first?.headers ?? []),
        bodies: [first?.text, `${first?.text} `],
      };
      const run = Bun.spawn(["python3", "-c", program], {
        env: { STAMPEDE_WEBHOOK: secret },
        stdin: new Blob([JSON.stringify(given)]),
      });
      expect(await new Response(run.stdout).text()).toBe("[True, False]\n");
    },
  );
});

const tools = [
  // As they have it in their records: a number, where a token's subject is a text.
  ["python", "python3", ["-c"], "customer_id = 4711\n", "\nprint(token)"],
  ["php", "php", ["-r"], "$customerId = 4711;\n", "\necho $token;"],
] as const;

describe("a token made as the guide shows", () => {
  test.each(tools.filter(([, tool]) => Bun.which(tool) !== null).map((tool) => [tool[0], tool]))(
    "in %s counts",
    async (language, [, tool, flags, before, after]) => {
      const program = before + (programsIn(language)[0] ?? "") + after;
      const run = Bun.spawn([tool, ...flags, program], {
        cwd: newFolder(),
        env: { PATH: process.env["PATH"] ?? "", HOME: "/", USER_TOKEN_SECRET: tokenSecret },
      });
      const token = (await new Response(run.stdout).text()).trim();
      const headers = { Authorization: `Bearer ${token}` };
      const reserved = await stampede.client.ask("POST", "/checkout?id=any", { headers });
      expect(reserved.json()).toMatchObject({ user_id: "4711", buyer: "customer" });
    },
  );
});

test("every call that the guide names is one that there is", () => {
  const there = new Set(
    idleRoutes("", new LedgerClock()).flatMap(({ path, methods }) =>
      Object.keys(methods).map((method) => `${method} ${path.replaceAll(/:\w+/g, "{}")}`),
    ),
  );
  const named = Array.from(
    guide.matchAll(/`((?:GET|POST|PATCH|DELETE) \/[^`?\s]*)/g),
    ([, call = ""]) => call.replaceAll(/\{\w+\}/g, "{}"),
  );
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((call) => !there.has(call))).toEqual([]);
});

test("the guide explains what a checkout and a purchase are refused by", () => {
  const calls = idleRoutes("", new LedgerClock()).filter(({ path }) =>
    ["/checkout", "/purchase"].includes(path),
  );
  const codes = calls.flatMap(({ methods }) => methods["POST"]?.refusals ?? []);
  // What there is not, the shop has not asked for.
  const clear = new Set(["item_not_found", "sale_not_found"]);
  const missing = codes.filter((code) => !clear.has(code) && !guide.includes(`\`${code}\``));
  expect(missing).toEqual([]);
});

/** What `docs/integrate.md` says, tried: the example shop end to end, and tokens made as it shows. */
import { beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { openShop } from "../../docs/examples/shop.ts";
import { LedgerClock } from "../../src/engine/clock.ts";
import { idleRoutes } from "../../src/program.ts";
import { atEnd, newFolder } from "../support/leftovers.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { runProgram, startServer, type TestServer } from "../support/server.ts";
import { textOf } from "../support/sources.ts";

const postgres = usePostgres();
const tokenSecret = "a secret that the shop's server shares with us";
const guide = textOf("docs/integrate.md");
let url: string;
let stampede: TestServer;
let shopUrl: string;
const paid: string[] = [];

const pay = (customer: string): Promise<void> => {
  if (customer === "broke") return Promise.reject(new Error("no money"));
  paid.push(customer);
  return Promise.resolve();
};

beforeAll(async () => {
  url = await postgres.newDatabase();
  const environment = {
    DATABASE_URL: url,
    ACCESS: "guarded",
    USER_TOKEN_SECRET: tokenSecret,
    CORS_ORIGINS: "https://shop.example",
  };
  stampede = await startServer(environment);
  const made = await runProgram(["key", "create", "shop server", "--scope", "sell"], environment);
  const key = made.output.trim();
  const shop = openShop({ stampede: stampede.url, key, tokenSecret, pay }, 0);
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

/** A program of the guide, by its language. */
const programIn = (language: string): string =>
  guide.split(`\`\`\`${language}\n`)[1]?.split("```")[0] ?? "";

const tools = [
  ["python", "python3", ["-c"], 'customer_id = "by-python"\n', "\nprint(token)"],
  ["php", "php", ["-r"], '$customerId = "by-php";\n', "\necho $token;"],
] as const;

describe("a token made as the guide shows", () => {
  test.each(tools.filter(([, tool]) => Bun.which(tool) !== null).map((tool) => [tool[0], tool]))(
    "in %s counts",
    async (language, [, tool, flags, before, after]) => {
      const program = before + programIn(language) + after;
      const run = Bun.spawn([tool, ...flags, program], {
        cwd: newFolder(),
        env: { PATH: process.env["PATH"] ?? "", HOME: "/", USER_TOKEN_SECRET: tokenSecret },
      });
      const token = (await new Response(run.stdout).text()).trim();
      const headers = { Authorization: `Bearer ${token}` };
      const reserved = await stampede.client.ask("POST", "/checkout?id=any", { headers });
      expect(reserved.json()).toMatchObject({ user_id: `by-${language}`, buyer: "customer" });
    },
  );
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

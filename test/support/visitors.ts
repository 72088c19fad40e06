/** People in front of pages: accounts that are registered over HTTP and log in by the form, and a shop. */
import type { Page } from "playwright-core";
import { z } from "zod";
import { visit, type Visit, type VisitOptions } from "./browser.ts";
import { runProgram, type Environment, type TestServer } from "./server.ts";

export const password = "a good password";

/** Somebody with an account, and a session for requests that no page makes. */
export type Member = {
  readonly name: string;
  readonly ask: (method: string, path: string, body?: object) => Promise<Response>;
};

async function member(server: TestServer, name: string): Promise<Member> {
  const credentials = JSON.stringify({ username: name, password });
  const json = { "Content-Type": "application/json" };
  const answer = await fetch(`${server.url}/api/auth/login`, {
    method: "POST",
    headers: json,
    body: credentials,
  });
  const { token } = z.object({ token: z.string() }).parse(await answer.json());
  const headers = { ...json, Authorization: `Bearer ${token}` };
  return {
    name,
    ask: (method, path, body) =>
      fetch(server.url + path, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
  };
}

export async function register(server: TestServer, name: string): Promise<Member> {
  const answer = await fetch(`${server.url}/api/auth/register`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ username: name, password }),
  });
  if (answer.status !== 201) throw new Error(`${name}: ${await answer.text()}`);
  return await member(server, name);
}

export async function makeAdmin(server: TestServer, env: Environment): Promise<Member> {
  const made = await runProgram(["user", "create", "root", "--role", "admin"], env, password);
  if (made.exitCode !== 0) throw new Error(made.log);
  return await member(server, "root");
}

/** Logs in by the form, and goes on to a path. */
export async function logIn(page: Page, server: TestServer, name: string, path: string) {
  await page.goto(`${server.url}/login?back=${encodeURIComponent(path)}`);
  await page.getByLabel("User name").fill(name);
  await page.getByLabel("Password").fill(password);
  await page.getByLabel("Password").press("Enter");
  await page.waitForURL(server.url + path);
}

export async function visitAs(
  server: TestServer,
  name: string,
  path: string,
  options: VisitOptions = {},
): Promise<Visit> {
  const { refusals = [], ...others } = options;
  // Who is not logged in yet is told so by a status.
  const visited = await visit(`${server.url}/login`, { ...others, refusals: [401, ...refusals] });
  await logIn(visited.page, server, name, path);
  return visited;
}

const made = z.object({ id: z.int() });

export async function newProduct(admin: Member, name: string): Promise<number> {
  const answer = await admin.ask("POST", "/api/admin/products", { name, price_cents: 2_000 });
  return made.parse(await answer.json()).id;
}

export type SaleWish = {
  readonly title?: string;
  /** ms from now */
  readonly startsIn?: number;
  readonly endsIn?: number;
  readonly limit?: number;
  readonly stock?: number;
  /** People are let in one after another. */
  readonly queue?: { readonly admit_per_second: number; readonly pass_ttl_ms: number };
};

/** A sale of one product for $12.50, which is open unless it is wished otherwise. */
export async function newSale(
  admin: Member,
  product: number,
  wish: SaleWish = {},
): Promise<number> {
  const { title = "The hour", startsIn = 0, endsIn = 3_600_000, limit = 5, stock = 20 } = wish;
  const answer = await admin.ask("POST", "/api/admin/flash-sales", {
    ...(wish.queue && { entry: "queue", ...wish.queue }),
    title,
    starts_at: new Date(Date.now() + startsIn).toISOString(),
    ends_at: new Date(Date.now() + endsIn).toISOString(),
    per_user_limit: limit,
    items: [{ product_id: product, stock, price_cents: 1_250 }],
  });
  const text = await answer.text();
  if (answer.status !== 201) throw new Error(text);
  return made.parse(JSON.parse(text)).id;
}

/** What a sale has sold and reserved. */
export async function figuresOf(server: TestServer, saleId: number) {
  const answer = await fetch(`${server.url}/sales/${saleId}`);
  return z.object({ sold: z.int(), reserved: z.int() }).parse(await answer.json());
}

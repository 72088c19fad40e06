/**
 * Answers that come late, in another order than they were asked for, or not at all: what is shown is what
 * was last known, of whoever is at the page, and nothing that somebody has is forgotten by it.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Page, Route } from "playwright-core";
import { z } from "zod";
import { newPage, noBrowser, says, useBrowser } from "../support/browser.ts";
import { usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import {
  makeAdmin,
  type Member,
  newProduct,
  newSale,
  password,
  register,
  visitAs,
} from "../support/visitors.ts";
import { until, upTo, within } from "../support/wait.ts";

const postgres = usePostgres();
const soonMs = 20_000;

const endsWith = (what: string) => (url: URL) => url.pathname.endsWith(what);
const tooOften = {
  status: 429,
  headers: { "Retry-After": "1" },
  json: { status: 429, code: "rate_limited", detail: "Too often.", retry_after_ms: 1_000 },
};

type Answered = NonNullable<Parameters<Route["fulfill"]>[0]>;

/** What has come is taken, and drawn, within a few frames. */
const hadItsTurn = (page: Page): Promise<void> =>
  page.evaluate(async () => {
    for (let frame = 0; frame < 4; frame++)
      // oxlint-disable-next-line no-await-in-loop
      await new Promise((done) => requestAnimationFrame(done));
  });

/** Has the next request of a kind answered as of now, and brings the answer only when it is let go. */
async function holdNext(page: Page, of: (url: URL) => boolean, answer?: Answered) {
  const [held, gone, brought] = [
    Promise.withResolvers<void>(),
    Promise.withResolvers<void>(),
    Promise.withResolvers<void>(),
  ];
  let isTaken = false;
  await page.route(of, async (route) => {
    if (isTaken) return await route.fallback();
    isTaken = true;
    const answered = answer ?? { response: await route.fetch() };
    held.resolve();
    await gone.promise;
    await route.fulfill(answered);
    brought.resolve();
  });
  return {
    held: within("a request to hold", soonMs, held.promise),
    /** Until the page has had its turn with it. */
    letGo: async () => {
      gone.resolve();
      await brought.promise;
      await hadItsTurn(page);
    },
  };
}

const mainOf = (page: Page) => page.getByRole("main");
const roomOf = (page: Page) => page.getByRole("region", { name: "Waiting room" });

describe.skipIf(noBrowser)("late answers", () => {
  useBrowser();
  let server: TestServer;
  let admin: Member;
  beforeAll(async () => {
    const env = { DATABASE_URL: await postgres.newRecords(), RATE_LIMITS: "off" };
    server = await startServer(env);
    admin = await makeAdmin(server, env);
  });
  afterAll(() => server.kill());

  async function queued(name: string): Promise<string> {
    const product = await newProduct(admin, name);
    await newSale(admin, product, {
      startsIn: 3_600_000,
      endsIn: 7_200_000,
      queue: { admit_per_second: 1, pass_ttl_ms: 600_000 },
    });
    return `/product?id=${product}`;
  }

  test("a place in the line outlives an answer that says nothing of it", async () => {
    await register(server, "anna");
    const path = await queued("Tin heron");
    await using visited = await visitAs(server, "anna", path, { refusals: [404, 429] });
    const { page } = visited;
    await roomOf(page).getByRole("button", { name: "Wait here" }).click();
    await says(roomOf(page), "You are in the draw");
    let isRefused = true;
    await page.route(endsWith("/queue/me"), (route) =>
      isRefused ? route.fulfill(tooOften) : route.fallback(),
    );
    await page.reload();
    await says(roomOf(page), "The waiting room");
    isRefused = false;
    await says(roomOf(page), "You are in the draw", soonMs);
    expect(visited.wrong).toEqual([]);
  });

  test("a place that was taken meanwhile is not forgotten for an answer of before", async () => {
    await register(server, "berta");
    const path = await queued("Tin stork");
    await using visited = await visitAs(server, "berta", "/account", { refusals: [404] });
    const { page } = visited;
    const before = await holdNext(page, endsWith("/queue/me"));
    await page.goto(server.url + path);
    await before.held;
    await roomOf(page).getByRole("button", { name: "Wait here" }).click();
    await says(roomOf(page), "You are in the draw");
    await before.letGo();
    expect(await roomOf(page).textContent()).toContain("You are in the draw");
  });

  test("who waits goes on waiting after a refusal, and not after leaving", async () => {
    const product = await newProduct(admin, "Tin giraffe");
    const sale = await newSale(admin, product, { stock: 1 });
    const holder = await register(server, "holder");
    await holder.ask("POST", `/checkout?sale_id=${sale}&id=1`);
    await register(server, "cleo");
    await using visited = await visitAs(server, "cleo", `/product?id=${product}`, {
      refusals: [429],
    });
    const { page } = visited;
    const tell = page.getByRole("button", { name: "Tell me when one comes free" });
    await tell.click();
    await says(mainOf(page), "You are the first in line");
    const refusal = await holdNext(page, endsWith("/waitlist/me"), tooOften);
    await refusal.held;
    await refusal.letGo();
    expect(await mainOf(page).textContent()).toContain("You are the first in line");

    const old = await holdNext(page, endsWith("/waitlist/me"));
    await old.held;
    await page.getByRole("button", { name: "Wait no more" }).click();
    await tell.waitFor();
    await old.letGo();
    expect(await tell.count()).toBe(1);
  });

  test("figures of a product do not go back", async () => {
    const product = await newProduct(admin, "Tin lark");
    const sale = await newSale(admin, product, { stock: 3 });
    await using visited = await newPage();
    const { page } = visited;
    await page.goto(`${server.url}/product?id=${product}`);
    await says(mainOf(page), "Only 3 left");
    const old = await holdNext(page, endsWith(`/api/products/${product}`));
    await old.held;
    const buyer = await register(server, "dora");
    await buyer.ask("POST", `/checkout?sale_id=${sale}&id=1`);
    await says(mainOf(page), "Only 2 left");
    await old.letGo();
    expect(await mainOf(page).textContent()).toContain("Only 2 left");
  });

  test("a session that has ended takes along none that was begun since", async () => {
    await register(server, "emil");
    await using visited = await visitAs(server, "emil", "/account", { refusals: [401, 503] });
    const { page } = visited;
    await says(mainOf(page), "Logged in as emil");
    const late = await holdNext(page, endsWith("/reservations"), {
      status: 401,
      json: { status: 401, code: "unauthenticated", detail: "No session." },
    });
    await page.mouse.move(10, 10);
    await late.held;
    const order: string[] = [];
    await page.route(endsWith("/api/auth/logout"), async (route) => {
      // The log-in is pressed, and under way where it does not wait.
      await until("the form", () => page.locator(".enter-form [aria-busy]").count());
      await route.fulfill({ status: 503, json: { status: 503, code: "unavailable" } });
      order.push("the old session ended");
    });
    page.on("request", (request) => {
      if (request.url().endsWith("/api/auth/login")) order.push("a new one asked for");
    });
    await page.context().clearCookies();
    // What is seen again is asked for again.
    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await page.getByLabel("User name").fill("emil");
    await page.getByLabel("Password").fill(password);
    await page.getByLabel("Password").press("Enter");
    await says(mainOf(page), "Logged in as emil");
    await late.letGo();
    expect(await mainOf(page).textContent()).toContain("Logged in as emil");
    expect(order).toEqual(["the old session ended", "a new one asked for"]);
    await page.unrouteAll();
    await page.reload();
    await says(mainOf(page), "Logged in as emil");
    await page.getByRole("heading", { name: "Nothing bought yet" }).waitFor();
  });

  test("who is logged in stays so where the server was asked too often", async () => {
    await register(server, "fritz");
    await using visited = await visitAs(server, "fritz", "/account", { refusals: [429] });
    const { page } = visited;
    const refusal = await holdNext(page, endsWith("/api/auth/me"), tooOften);
    await page.reload();
    await refusal.held;
    await refusal.letGo();
    expect(await mainOf(page).textContent()).toContain("Logged in as fritz");
  });

  test("figures of the drop do not go back, and neither does the sale", async () => {
    await using visited = await newPage();
    const { page } = visited;
    const told = z.looseObject({ current: z.looseObject({}), next: z.looseObject({}) });
    let answers = 0;
    const old = Promise.withResolvers<void>();
    const brought = Promise.withResolvers<void>();
    await page.route(endsWith("/sale"), async (route) => {
      const mine = ++answers;
      const body = told.parse(await (await route.fetch()).json());
      const sold = [0, 1, 2, 17][mine] ?? 17;
      // Until the third answer the sale is said to have ended: it is asked for again and again.
      const next = mine < 3 ? { ...body.next, starts_at: new Date(0).toISOString() } : body.next;
      if (mine === 2) await old.promise;
      await route.fulfill({ json: { ...body, next, current: { ...body.current, sold } } });
      if (mine === 2) brought.resolve();
    });
    await page.goto(server.url);
    const sold = page.locator(".hero .meter-figures dt.sold + dd, .meter-figures dt.sold + dd");
    await until("the later figures", async () => (await sold.first().textContent()) === "17");
    old.resolve();
    await brought.promise;
    await hadItsTurn(page);
    expect(await sold.first().textContent()).toBe("17");
  });

  test("more coupons, asked for twice in a hurry, come once", async () => {
    await Promise.all(
      upTo(70).map((n) => admin.ask("POST", "/api/coupons", { name: `LATE_${n}`, amount: 5 })),
    );
    await using visited = await newPage();
    const { page } = visited;
    await page.goto(`${server.url}/coupons`);
    const more = page.getByRole("button", { name: "Show more" });
    await more.waitFor();
    await more.dblclick();
    await until("all of them", async () => (await page.locator(".ticket").count()) >= 70);
    await more.waitFor({ state: "detached" });
    await hadItsTurn(page);
    expect(await page.locator(".ticket").count()).toBe(70);
  });

  test("what is typed and not yet looked for changes no list", async () => {
    await using visited = await visitAs(server, "root", "/admin#orders");
    const { page } = visited;
    const asked: string[] = [];
    await page.route(endsWith("/api/admin/orders"), async (route) => {
      const { search } = new URL(route.request().url());
      asked.push(search);
      await route.fulfill({ json: { orders: [], next_after: 9 } });
    });
    await page.reload();
    const more = page.getByRole("button", { name: "Show more" });
    await more.waitFor();
    await page.getByLabel("Number, code or user, or its beginning").fill("somebody");
    await more.click();
    await until("the next page", () => asked.some((query) => query.includes("after=9")));
    expect(asked.filter((query) => query.includes("somebody"))).toEqual([]);
    await page.getByRole("button", { name: "Find" }).click();
    await until("what is looked for", () => asked.at(-1)?.includes("q=somebody") === true);
  });
});

/**
 * The pages in a browser, against the program itself: what a visitor sees and can do. Without a
 * Chromium on the machine these tests say so and are skipped; where CI is set, they fail.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { pages } from "../src/web/pages.ts";
import { newDataFolder, useLeftovers } from "./support/leftovers.ts";
import { startServer, type TestServer } from "./support/server.ts";
import { until } from "./support/wait.ts";

useLeftovers();
const executablePath =
  Bun.which("chromium") ?? Bun.which("chromium-browser") ?? Bun.which("google-chrome");
if (executablePath === null) {
  const advice = "The browser tests need Chromium: apt-get install chromium, or Google Chrome.";
  if (process.env["CI"] !== undefined) throw new Error(advice);
  process.stderr.write(`${advice}\n`);
}
const narrow = { width: 360, height: 740 };
const wide = { width: 1440, height: 900 };
/** What is called good: https://web.dev/articles/cls */
const shiftMax = 0.1;

let browser: Browser;
let server: TestServer;

const env = { SALE_ITEMS: "40", SALE_PER_USER_LIMIT: "3" };

async function visit(path: string, viewport = wide): Promise<{ page: Page } & AsyncDisposable> {
  const context: BrowserContext = await browser.newContext({ viewport, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  await page.goto(server.url + path);
  return { page, [Symbol.asyncDispose]: () => context.close() };
}
const post = async (path: string, body?: object): Promise<unknown> => {
  const json = body && { body: JSON.stringify(body) };
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(server.url + path, { method: "POST", headers, ...json });
  return await answer.json();
};
const reading = (page: Page, where: string) => page.locator(where).first().textContent();
const says = (page: Page, where: string, what: string | RegExp) =>
  until(`${where} saying ${String(what)}`, async () => {
    const text = (await reading(page, where)) ?? "";
    return typeof what === "string" ? text.includes(what) : what.test(text);
  });

describe.skipIf(executablePath === null)("the pages", () => {
  beforeAll(async () => {
    server = await startServer({ ...env, STAMPEDE_DATA: newDataFolder() });
    browser = await chromium.launch({
      executablePath: executablePath ?? "",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    });
  });
  afterAll(async () => {
    await browser.close();
  });

  const htmls = [...pages]
    .filter(([, page]) => page.headers["Content-Type"]?.startsWith("text/html"))
    .map(([path]) => path);
  for (const path of htmls) {
    for (const viewport of [narrow, wide]) {
      test(`${path} at ${viewport.width} px: no error, no other host, nothing out of place`, async () => {
        const context = await browser.newContext({ viewport });
        const page = await context.newPage();
        const wrong: string[] = [];
        page.on("pageerror", (error) => wrong.push(String(error)));
        page.on("console", (message) => {
          // Who is not logged in is told so by a status, which the browser prints.
          if (message.type() === "error" && !/\b40[134]\b/.test(message.text()))
            wrong.push(message.text());
        });
        page.on("request", (request) => {
          const local = request.url().startsWith(server.url) || request.url().startsWith("data:");
          if (!local) wrong.push(`asks ${request.url()}`);
        });
        await page.addInitScript(() => {
          new PerformanceObserver((list) => {
            for (const entry of list.getEntries())
              if ("value" in entry) {
                const sum = Number(document.documentElement.dataset["shift"] ?? 0);
                document.documentElement.dataset["shift"] = String(sum + Number(entry.value));
              }
          }).observe({ type: "layout-shift", buffered: true });
        });
        await page.goto(server.url + path, { waitUntil: "load" });
        await until("the page's script", () =>
          page.evaluate(() => document.querySelector("#session button[title]") !== null),
        );
        await page.evaluate(() => new Promise((done) => setTimeout(done, 500)));
        const found = await page.evaluate(() => ({
          tooWide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
          shift: Number(document.documentElement.dataset["shift"] ?? 0),
          titles: document.querySelectorAll("h1").length,
        }));
        expect(wrong).toEqual([]);
        expect(found.tooWide).toBeLessThanOrEqual(0);
        expect(found.shift).toBeLessThan(shiftMax);
        expect(found.titles).toBe(1);
        await context.close();
      });
    }
  }

  test("the drop: reserve, keep it through a reload, buy; reserve another, give it back", async () => {
    await using visited = await visit("/");
    const { page } = visited;
    await page
      .locator(".pick")
      .getByRole("button", { name: /^Reserve/ })
      .first()
      .click();
    await says(page, "#mine-title + p", "1 reserved, 0 bought");
    await page.reload();
    await says(page, "#mine-title + p", "1 reserved, 0 bought");
    await page.locator(".mine").getByRole("button", { name: /^Buy/ }).click();
    await says(page, "#mine-title + p", "0 reserved, 1 bought");
    await page.getByRole("button", { name: "Surprise me" }).click();
    await says(page, "#mine-title + p", "1 reserved, 1 bought");
    await page
      .locator(".mine")
      .getByRole("button", { name: /^Give back/ })
      .click();
    await says(page, "#mine-title + p", "0 reserved, 1 bought");
    await says(page, ".notices", "is free again");
  });

  test("the drop: at the limit it says so, and reserves no more", async () => {
    await using visited = await visit("/", narrow);
    const { page } = visited;
    const any = page.getByRole("button", { name: "Surprise me" });
    await any.click();
    await says(page, "#mine-title + p", "1 reserved");
    await any.click();
    await says(page, "#mine-title + p", "2 reserved");
    await any.click();
    await says(page, ".hero-state", "You have 3");
    expect(await any.getAttribute("aria-disabled")).toBe("true");
  });

  test("the wall is driven by keys, and turns by itself when others are quicker", async () => {
    await using visited = await visit("/");
    const { page } = visited;
    await page.locator(".legend-coming button").click();
    const wall = page.getByRole("application");
    await wall.focus();
    await page.keyboard.press("End");
    await says(page, ".inspector", "No. 40");
    await says(page, ".inspector", "free");
    await post("/checkout?user_id=somebody&id=40");
    await says(page, ".inspector", "taken");
    await page.keyboard.press("ArrowLeft");
    await says(page, ".inspector", "No. 39");
    await page.keyboard.press("Enter");
    await says(page, ".inspector", "reserved for you");
    await says(page, "#mine-title + p", "1 reserved");
  });

  test("a theme that is chosen stays", async () => {
    await using visited = await visit("/proof");
    const { page } = visited;
    await page.getByRole("button", { name: "Use the dark theme" }).click();
    await page.reload();
    expect(await page.evaluate(() => document.documentElement.dataset["theme"])).toBe("dark");
    expect(await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme)).toBe(
      "dark",
    );
  });

  test("the proof: every promise kept, and no such sale", async () => {
    await using visited = await visit("/proof?sale=1");
    const { page } = visited;
    await says(page, "h1", "Every promise kept.");
    expect(await page.locator('.promise[data-kept="true"]').count()).toBe(8);
    await page.goto(`${server.url}/proof?sale=999`);
    await says(page, "main", "No such sale");
  });

  test("coupons: claimed once, and then known to be", async () => {
    const name = "Käse & 100% <b>";
    await post("/api/coupons", { name, amount: 2 });
    await using visited = await visit("/coupons");
    const { page } = visited;
    await page.getByRole("link", { name }).click();
    await says(page, ".left-figures", "2 of 2 left");
    await page.getByLabel("Claimed by").fill("ada");
    await page.getByRole("button", { name: "Claim it" }).click();
    await says(page, ".claim-done", "It is yours.");
    await says(page, ".left-figures", "1 of 2 left");
    await page.reload();
    await page.getByLabel("Claimed by").fill("ada");
    await says(page, ".claim-done", "Claimed already.");
    // Another browser does not know, and is told by the server.
    await using other = await visit(`/coupons?name=${encodeURIComponent(name)}`);
    await other.page.getByLabel("Claimed by").fill("ada");
    await other.page.getByRole("button", { name: "Claim it" }).click();
    await says(other.page, ".claim-done", "Claimed already.");
    await other.page.getByLabel("Claimed by").fill("bob");
    await other.page.getByRole("button", { name: "Claim it" }).click();
    await says(other.page, ".left-figures", "All claimed");
  });

  test("a server that is gone is said to be, and nothing is lost", async () => {
    await using visited = await visit("/");
    const { page } = visited;
    await page.getByRole("button", { name: "Surprise me" }).click();
    await says(page, "#mine-title + p", "1 reserved");
    await server.kill();
    await says(page, ".hero-lost", "Connection lost");
    await says(page, "#mine-title + p", "1 reserved");
  });
});

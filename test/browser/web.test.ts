/**
 * The pages in a browser, against the program itself: what a visitor sees and can do, page by
 * page. What several people live through together is in browser.test.ts.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { pages } from "../../src/web/pages.ts";
import {
  cutOff,
  narrow,
  noBrowser,
  says,
  useBrowser,
  visit as visitUrl,
  wide,
  watchShifts,
} from "../support/browser.ts";
import { usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

const postgres = usePostgres();
/** Half of what is called good: https://web.dev/articles/cls */
const shiftMax = 0.05;

let server: TestServer;

const env = { SALE_ITEMS: "40", SALE_PER_USER_LIMIT: "3" };

const visit = (path: string, viewport = wide) => visitUrl(server.url + path, { viewport });
const post = async (path: string, body?: object): Promise<unknown> => {
  const json = body && { body: JSON.stringify(body) };
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(server.url + path, { method: "POST", headers, ...json });
  return await answer.json();
};

/** Runs in the page: whether all that it waits for is there, and nothing moves towards its place. */
async function isAtRest(): Promise<boolean> {
  await document.fonts.ready;
  const isMoving = document.getAnimations().some(({ playState, effect }) => {
    return playState === "running" && effect?.getComputedTiming().iterations !== Infinity;
  });
  // What has moved is told of after the next frame.
  await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
  return !isMoving && document.querySelector(".skeleton") === null;
}

describe.skipIf(noBrowser)("the pages", () => {
  useBrowser();
  beforeAll(async () => {
    server = await startServer({ ...env, DATABASE_URL: await postgres.newRecords() });
  });

  const htmls = [...pages]
    .filter(([, page]) => page.headers["Content-Type"]?.startsWith("text/html"))
    .map(([path]) => path);
  for (const path of htmls) {
    for (const viewport of [narrow, wide]) {
      test(`${path} at ${viewport.width} px: no error, no other host, nothing out of place`, async () => {
        await using visited = await visitUrl(server.url + path, {
          viewport,
          reducedMotion: "no-preference",
          before: watchShifts,
          // Who is not logged in is told so by a status.
          refusals: [401, 403, 404],
        });
        const { page, wrong } = visited;
        await until("the page's script", () =>
          page.evaluate(() => document.querySelector("#session button[title]") !== null),
        );
        await until("the page to be at rest", () => page.evaluate(isAtRest));
        const found = await page.evaluate(() => ({
          shift: Number(document.documentElement.dataset["shift"] ?? 0),
          titles: document.querySelectorAll("h1").length,
        }));
        expect(wrong).toEqual([]);
        expect(await cutOff(page)).toEqual([]);
        expect(found.shift).toBeLessThan(shiftMax);
        expect(found.titles).toBe(1);
      });
    }
  }

  // Before others, by chance, take the last one.
  test("the wall is driven by keys, and turns by itself when others are quicker", async () => {
    await using visited = await visit("/");
    const { page } = visited;
    await page.locator(".legend-coming button").click();
    const wall = page.getByRole("application");
    await wall.focus();
    await page.keyboard.press("End");
    await says(page.locator(".inspector"), "No. 40");
    await says(page.locator(".inspector"), "free");
    await post("/checkout?user_id=somebody&id=40");
    await says(page.locator(".inspector"), "taken");
    await page.keyboard.press("ArrowLeft");
    await says(page.locator(".inspector"), "No. 39");
    await page.keyboard.press("Enter");
    await says(page.locator(".inspector"), "held for you");
    await says(page.locator("#mine-title + p"), "1 reserved");
  });

  test("the drop: reserve, keep it through a reload, buy; reserve another, give it back", async () => {
    await using visited = await visit("/");
    const { page } = visited;
    await page
      .locator(".pick")
      .getByRole("button", { name: /^Reserve/ })
      .first()
      .click();
    await says(page.locator("#mine-title + p"), "1 reserved, 0 bought");
    await page.reload();
    await says(page.locator("#mine-title + p"), "1 reserved, 0 bought");
    await page.locator("#bar").getByRole("button", { name: /^Buy/ }).click();
    await says(page.locator("#mine-title + p"), "0 reserved, 1 bought");
    await page.getByRole("button", { name: "Surprise me" }).click();
    await says(page.locator("#mine-title + p"), "1 reserved, 1 bought");
    await page
      .locator("#bar")
      .getByRole("button", { name: /^Give back/ })
      .click();
    await says(page.locator("#mine-title + p"), "0 reserved, 1 bought");
    await says(page.locator("#bar"), "is given back");
  });

  test("the drop: at the limit it says so, and reserves no more", async () => {
    await using visited = await visit("/", narrow);
    const { page } = visited;
    const any = page.getByRole("button", { name: "Surprise me" });
    await any.click();
    await says(page.locator("#mine-title + p"), "1 reserved");
    await any.click();
    await says(page.locator("#mine-title + p"), "2 reserved");
    await any.click();
    await says(page.locator(".hero-state"), "3 held and not paid yet; 3 is the most");
    expect(await any.getAttribute("aria-disabled")).toBe("true");
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
    await says(page.locator("h1"), "Every promise kept.");
    expect(await page.locator('.promise[data-kept="true"]').count()).toBe(10);
    await page.goto(`${server.url}/proof?sale=999`);
    await says(page.locator("main"), "No such sale");
  });

  test("coupons: claimed once, and then known to be", async () => {
    const name = "Käse & 100% <b>";
    await post("/api/coupons", { name, amount: 2 });
    await using visited = await visit("/coupons");
    const { page } = visited;
    await says(page.locator(".left-figures"), "2 of 2 left");
    await page.getByLabel("Claimed by").fill("ada");
    // In the list itself.
    await page.getByRole("button", { name: `Claim it: ${name}` }).click();
    await says(page.locator(".claim-done"), "It is yours.");
    await says(page.locator(".left-figures"), "1 of 2 left");
    await page.reload();
    await page.getByLabel("Claimed by").fill("ada");
    await says(page.locator(".claim-done"), "Claimed already.");
    await page.getByRole("link", { name }).click();
    // Another browser does not know, and is told by the server.
    await using other = await visit(`/coupons?name=${encodeURIComponent(name)}`);
    await other.page.getByLabel("Claimed by").fill("ada");
    await other.page.getByRole("button", { name: "Claim it" }).click();
    await says(other.page.locator(".claim-done"), "Claimed already.");
    await other.page.getByLabel("Claimed by").fill("bob");
    await other.page.getByRole("button", { name: "Claim it" }).click();
    await says(other.page.locator(".left-figures"), "All 2 claimed");
  });

  test("a server that is gone is said to be, and nothing is lost", async () => {
    await using visited = await visit("/");
    const { page } = visited;
    await page.getByRole("button", { name: "Surprise me" }).click();
    await says(page.locator("#mine-title + p"), "1 reserved");
    await server.kill();
    await says(page.locator(".hero-lost"), "Connection lost");
    await says(page.locator("#mine-title + p"), "1 reserved");
  });
});

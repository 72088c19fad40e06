/**
 * No purchase and no reservation by accident: looking is not taking, a hurried second press does
 * nothing, an answer that was lost is asked for again and not bought again, and the focus stays.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import type { Page } from "playwright-core";
import { narrow, noBrowser, says, useBrowser, visit } from "../support/browser.ts";
import { usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import {
  figuresOf,
  makeAdmin,
  type Member,
  newProduct,
  newSale,
  register,
  visitAs,
} from "../support/visitors.ts";
import { until } from "../support/wait.ts";

const postgres = usePostgres();

let server: TestServer;
let admin: Member;

/** Counts what a page asks to have: reservations and purchases. */
function countTakes(page: Page): { readonly made: string[] } {
  const made: string[] = [];
  page.on("request", (request) => {
    const { pathname } = new URL(request.url());
    if (request.method() === "POST" && /checkout|purchase/.test(pathname)) made.push(pathname);
  });
  return { made };
}

/** The moment after an act, in which nothing else is done about the same, is over. */
const settled = (page: Page) =>
  until(
    "the buttons, after a moment",
    async () => (await page.locator("[data-waits]").count()) === 0,
  );

const focused = (page: Page) =>
  page.evaluate(() => {
    const { activeElement: now } = document;
    return { isBody: now === document.body, isButton: now?.tagName === "BUTTON" };
  });

describe.skipIf(noBrowser)("once", () => {
  useBrowser();
  beforeAll(async () => {
    const env = { DATABASE_URL: await postgres.newRecords(), SALE_ITEMS: "2500" };
    server = await startServer(env);
    admin = await makeAdmin(server, env);
  });

  test("a double click on the wall looks, and takes nothing", async () => {
    await using visited = await visit(server.url);
    const { page } = visited;
    const { made } = countTakes(page);
    const wall = page.getByRole("application");
    await until(
      "the wall",
      async () => (await page.locator(".legend-coming button").count()) === 1,
    );
    await wall.dblclick({ position: { x: 200, y: 200 } });
    await says(page.locator(".inspector"), "No. ");
    await wall.click({ position: { x: 300, y: 250 }, clickCount: 3, delay: 10 });
    await page.getByRole("button", { name: "Lay out by number" }).waitFor();
    expect(made).toEqual([]);
    expect(await page.locator("#mine-title + p").textContent()).toContain("0 reserved");
  });

  test("a double tap does so, and a tap finds the nearest tile that is free", async () => {
    await using visited = await visit(server.url, { viewport: narrow, hasTouch: true });
    const { page } = visited;
    const { made } = countTakes(page);
    const wall = page.getByRole("application");
    await until(
      "the wall",
      async () => (await page.locator(".legend-coming button").count()) === 1,
    );
    await wall.scrollIntoViewIfNeeded();
    const box = (await wall.boundingBox()) ?? { x: 0, y: 0 };
    await page.touchscreen.tap(box.x + 120, box.y + 120);
    await page.touchscreen.tap(box.x + 120, box.y + 120);
    await says(page.locator(".inspector"), "free");
    // That one is taken by somebody else; the same tap finds a neighbour.
    const number = /No\. ([\d,]+)/.exec(
      (await page.locator(".inspector").textContent()) ?? "",
    )?.[1];
    await server.client.reserve("somebody", Number(number?.replace(",", "")));
    await says(page.locator(".inspector"), "taken");
    await page.touchscreen.tap(box.x + 120, (await wall.boundingBox())?.y ?? 0 + 120);
    await says(page.locator(".inspector"), "free");
    expect(made).toEqual([]);
  });

  test("a double click on Reserve reserves, and does not buy", async () => {
    await using visited = await visit(server.url);
    const { page } = visited;
    const { made } = countTakes(page);
    const pick = page.locator(".picks .pick").first();
    const reserve = pick.getByRole("button", { name: /^Reserve/ });
    const box = (await until("the button", () => reserve.boundingBox())) ?? { x: 0, y: 0 };
    await reserve.dblclick();
    // Where the button was stands Buy now: the next click of the same hurry comes there too.
    await page.mouse.click(box.x + 10, box.y + 10);
    await says(pick, "Held for you");
    await page.mouse.click(box.x + 10, box.y + 10);
    await until(
      "the buttons, after a moment",
      async () => (await page.locator("[data-waits]").count()) === 0,
    );
    expect(made).toEqual(["/checkout"]);
    await says(page.locator("#mine-title + p"), "1 reserved, 0 bought");
  });

  test("Enter twice, and held, on Buy buys one; another one is asked for on purpose", async () => {
    await register(server, "anna");
    const product = await newProduct(admin, "Tin giraffe");
    const sale = await newSale(admin, product);
    await using visited = await visitAs(server, "anna", `/product?id=${product}`);
    const { page } = visited;
    const { made } = countTakes(page);
    const buy = page.getByRole("button", { name: "Buy for $12.50" });
    await buy.focus();
    await page.keyboard.press("Enter");
    await page.keyboard.press("Enter");
    for (let i = 0; i < 10; i++) {
      // oxlint-disable-next-line no-await-in-loop
      await page.keyboard.down("Enter");
    }
    await page.keyboard.up("Enter");
    await says(page.locator(".counter-done"), "It is yours.");
    await page.keyboard.press("Enter");
    expect(await focused(page)).toEqual({ isBody: false, isButton: false });
    expect(await buy.count()).toBe(0);
    expect(made).toEqual(["/api/purchases"]);
    expect(await figuresOf(server, sale)).toEqual({ sold: 1, reserved: 0 });
    await page.getByRole("button", { name: "Buy another" }).click();
    await buy.dblclick();
    await page.getByRole("button", { name: "Buy another" }).waitFor();
    await until("two of them", async () => (await figuresOf(server, sale)).sold === 2);
  });

  test("a purchase whose answer is lost is one order, after a reload too", async () => {
    await register(server, "berta");
    const product = await newProduct(admin, "Paper kite");
    const sale = await newSale(admin, product);
    await using visited = await visitAs(server, "berta", `/product?id=${product}`);
    const { page } = visited;
    let isLost = true;
    await page.route("**/api/purchases", async (route) => {
      if (!isLost) return await route.continue();
      await route.fetch();
      await route.abort();
    });
    const buy = page.getByRole("button", { name: /^Buy for/ });
    await buy.click();
    await says(page.locator("#bar"), "No answer from the server.");
    expect(await figuresOf(server, sale)).toMatchObject({ sold: 1 });
    isLost = false;
    await page.reload();
    await buy.click();
    await says(page.locator("#bar"), /Paper kite is yours\. Order \d+\./);
    expect(await figuresOf(server, sale)).toEqual({ sold: 1, reserved: 0 });
    await page.getByRole("link", { name: "My purchases" }).first().click();
    await says(page.locator(".slip"), "Paper kite");
    expect(await page.locator(".slip").count()).toBe(1);
  });

  test("the focus stays where the act was: after Reserve, Give back and Buy", async () => {
    await using visited = await visit(server.url);
    const { page } = visited;
    const pick = page.locator(".picks .pick").first();
    await pick.getByRole("button", { name: /^Reserve/ }).focus();
    await page.keyboard.press("Enter");
    await says(pick, "Held for you");
    const stays = () => until("the focus", async () => !(await focused(page)).isBody);
    await stays();
    expect(await pick.evaluate((one) => one.contains(document.activeElement))).toBe(true);
    await settled(page);
    await pick.getByRole("button", { name: /^Give back/ }).press("Enter");
    await says(pick, "Reserve");
    await stays();
    expect(await pick.evaluate((one) => one.contains(document.activeElement))).toBe(true);
    await settled(page);
    await pick.getByRole("button", { name: /^Reserve/ }).press("Enter");
    await says(pick, "Held for you");
    await settled(page);
    const inBar = page.locator("#bar").getByRole("button", { name: /^Buy/ });
    await inBar.press("Enter");
    await says(page.locator("#bar"), "is yours.");
    await stays();
    expect(await page.locator("#bar").evaluate((bar) => bar.contains(document.activeElement))).toBe(
      true,
    );
  });
});

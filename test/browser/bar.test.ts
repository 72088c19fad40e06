/**
 * The bar: what somebody holds, on every page and on every device of an account; that it warns before
 * a hold ends, says what ended and why, and covers nothing that it belongs to.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
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

const barOf = (page: Page) => page.getByRole("region", { name: "What you hold" });
const button = (page: Page, name: RegExp) => barOf(page).getByRole("button", { name });
const isEmpty = async (page: Page) => (await barOf(page).boundingBox())?.height === 0;

describe.skipIf(noBrowser)("the bar", () => {
  useBrowser();
  let server: TestServer;
  let admin: Member;

  beforeAll(async () => {
    const env = { DATABASE_URL: await postgres.newRecords(), SALE_ITEMS: "400" };
    server = await startServer(env);
    admin = await makeAdmin(server, env);
  });
  afterAll(() => server.kill());

  test("what an account reserves on one device is bought on another, and both know", async () => {
    await register(server, "anna");
    const product = await newProduct(admin, "Tin giraffe");
    const sale = await newSale(admin, product, { limit: 1 });
    await using phone = await visitAs(server, "anna", `/product?id=${product}`, {
      viewport: narrow,
    });
    await using laptop = await visitAs(server, "anna", "/coupons");
    await phone.page.getByRole("button", { name: /^Reserve one/ }).click();
    await says(barOf(phone.page), "Tin giraffe");
    await says(barOf(laptop.page), "Tin giraffe");
    await button(laptop.page, /^Buy \$12\.50/).click();
    await says(barOf(laptop.page), /Tin giraffe is yours\. Order \d+\./);
    await says(barOf(phone.page), "was bought with your account, on another page or device");
    await says(phone.page.locator(".counter"), "It is yours.");
    expect(await figuresOf(server, sale)).toEqual({ sold: 1, reserved: 0 });
    expect([...phone.wrong, ...laptop.wrong]).toEqual([]);
  });

  test("what was asked before something was given back is no news of it", async () => {
    await register(server, "gina");
    const product = await newProduct(admin, "Tin badger");
    await newSale(admin, product, { limit: 1 });
    await using gina = await visitAs(server, "gina", `/product?id=${product}`);
    const { page, wrong } = gina;
    // The first answer that tells of the hold comes when the test says so.
    const isRead = Promise.withResolvers<void>();
    const comes = Promise.withResolvers<void>();
    const asked: string[] = [];
    await page.route("**/reservations", async (route) => {
      const response = await route.fetch();
      const told = await response.text();
      asked.push(told);
      if (asked.filter((one) => one.includes("Tin badger")).length === 1) {
        isRead.resolve();
        await comes.promise;
      }
      await route.fulfill({ response });
    });
    await page.getByRole("button", { name: /^Reserve one/ }).click();
    await isRead.promise;
    await button(page, /^Give back/).click();
    await says(barOf(page), "Tin badger is given back.");
    const before = asked.length;
    comes.resolve();
    await until("asked once more", () => asked.length > before);
    await says(barOf(page), "Tin badger is given back.");
    expect(await barOf(page).textContent()).not.toContain("another page or device");
    expect(await button(page, /^Buy/).count()).toBe(0);
    await page.unrouteAll({ behavior: "ignoreErrors" });
    expect(wrong).toEqual([]);
  });

  test("a guest's holds are on every page and in every tab; one is given back, all are bought", async () => {
    await using visited = await visit(server.url);
    const { page, wrong } = visited;
    for (const held of ["Held for you", "2 held for you", "3 held for you"]) {
      // oxlint-disable-next-line no-await-in-loop
      await page.getByRole("button", { name: "Surprise me" }).click();
      // oxlint-disable-next-line no-await-in-loop
      await says(barOf(page), held);
    }
    const tab = await page.context().newPage();
    await tab.goto(`${server.url}/shop`);
    await says(barOf(tab), "3 held for you");
    await button(tab, /^Show/).click();
    await button(tab, /^Give back/)
      .first()
      .click();
    await says(barOf(tab), "is given back");
    await says(barOf(page), "2 held for you");
    await button(page, /^Buy all /).click();
    await says(barOf(page), "All 2 are yours.");
    await until(
      "the other tab's bar, without holds",
      async () => (await barOf(tab).textContent())?.includes("held for you") === false,
    );
    await says(page.locator("#mine-title + p"), "0 reserved, 2 bought");
    expect(wrong).toEqual([]);
  });

  test("a hold that ends with its sale says so, and the page beside it too", async () => {
    await register(server, "berta");
    const product = await newProduct(admin, "Paper kite");
    await newSale(admin, product, { endsIn: 20_000 });
    await using visited = await visitAs(server, "berta", `/product?id=${product}`);
    const { page } = visited;
    await page.getByRole("button", { name: /^Reserve one/ }).click();
    await says(barOf(page), /Only \d+ s left to buy Paper kite\./);
    await says(barOf(page), "The sale has ended, and your hold on Paper kite with it.");
    await says(page.locator(".counter"), "This sale is over.");
    expect(await button(page, /^Try to buy/).count()).toBe(0);
    await button(page, /^Dismiss Paper kite/).click();
    await until("the bar, empty", () => isEmpty(page));
  });

  test("what is reserved of the wall's first row stays in sight, with its sheet, above the bar", async () => {
    await using visited = await visit(server.url, { viewport: { width: 390, height: 844 } });
    const { page } = visited;
    await page.locator(".legend-coming button").click();
    await page.evaluate(() => scrollTo({ top: 0, behavior: "instant" }));
    await page.getByRole("application").click({ position: { x: 200, y: 10 } });
    const sheet = page.locator(".inspector");
    await sheet.getByRole("button", { name: /^Reserve/ }).click();
    await says(barOf(page), "Held for you");
    const isAbove = async () => {
      const [above, below] = [await sheet.boundingBox(), await barOf(page).boundingBox()];
      return above !== null && below !== null && above.y + above.height <= below.y;
    };
    await until("the sheet above the bar", isAbove);
    const wall = await page.getByRole("application").boundingBox();
    const top = (await sheet.boundingBox())?.y ?? 0;
    expect(wall === null ? null : wall.y + 10 < top).toBe(true);
  });

  test("at 360 px with a notch: Buy is in reach, and nothing lies under the bar or the sheet for good", async () => {
    await using visited = await visit(server.url, { viewport: narrow, hasTouch: true });
    const { page } = visited;
    const devtools = await page.context().newCDPSession(page);
    const insets = { top: 44, topMax: 44, bottom: 34, bottomMax: 34 };
    await devtools.send("Emulation.setSafeAreaInsetsOverride", { insets });
    await page.getByRole("button", { name: "Surprise me" }).click();
    await says(barOf(page), "Held for you");
    const onTop = (selector: string) =>
      page.evaluate((what) => {
        const found = document.querySelector(what);
        const { left, right, top, bottom } = found?.getBoundingClientRect() ?? new DOMRect();
        const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
        return { isHit: found?.contains(hit) === true, bottom, fits: right <= innerWidth };
      }, selector);
    const buy = await onTop("#bar .button");
    expect(buy).toMatchObject({ isHit: true, fits: true });
    // Above what the phone keeps for itself.
    expect(buy.bottom).toBeLessThanOrEqual(narrow.height - insets.bottom);

    // The search is not under the sheet of what was picked, wherever the page is scrolled to.
    for (const top of [40, 200, 400, 600]) {
      // oxlint-disable-next-line no-await-in-loop
      await page.evaluate((to) => {
        const field = document.querySelector(".search input")?.getBoundingClientRect();
        scrollBy({ top: (field?.top ?? 0) - to, behavior: "instant" });
      }, top);
      // oxlint-disable-next-line no-await-in-loop
      const { isHit, bottom } = await onTop(".search input");
      const bar = (await barOf(page).boundingBox())?.y ?? 0; // oxlint-disable-line no-await-in-loop
      if (bottom < bar) expect({ top, isHit }).toEqual({ top, isHit: true });
    }
    // A tile that is tapped is seen beside the sheet that shows it.
    const wall = page.getByRole("application");
    await wall.scrollIntoViewIfNeeded();
    const box = (await wall.boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 };
    await page.evaluate((y) => scrollBy({ top: y - 20, behavior: "instant" }), box.y);
    await page.touchscreen.tap(180, 500);
    await says(page.locator(".inspector"), "No. ");
    const sheet = await page.locator(".inspector").boundingBox();
    const bar = await barOf(page).boundingBox();
    expect((sheet?.y ?? 0) + (sheet?.height ?? 0)).toBeLessThanOrEqual(bar?.y ?? 0);

    // At the page's end everything stands above the bar, and what has the focus is in sight.
    await page.evaluate(() => scrollTo({ top: document.body.scrollHeight, behavior: "instant" }));
    const foot = await page.locator(".foot").boundingBox();
    const barNow = await barOf(page).boundingBox();
    expect((foot?.y ?? 0) + (foot?.height ?? 0)).toBeLessThanOrEqual((barNow?.y ?? 0) + 1);
    await page.getByRole("link", { name: "All that you have bought" }).focus();
    const link = await page.getByRole("link", { name: "All that you have bought" }).boundingBox();
    expect((link?.y ?? 0) + (link?.height ?? 0)).toBeLessThanOrEqual(
      (await barOf(page).boundingBox())?.y ?? 0,
    );
  });
});

/** Counts the tones that a page plays. */
function countTones(): void {
  const { start } = OscillatorNode.prototype;
  OscillatorNode.prototype.start = function count(this: OscillatorNode, at?: number): void {
    const { dataset } = document.documentElement;
    dataset["tones"] = String(Number(dataset["tones"] ?? 0) + 1);
    start.call(this, at);
  };
}

describe.skipIf(noBrowser)("before a hold ends", () => {
  useBrowser();

  test("it warns at 30 and at 10 seconds by words, title, live region and, if wanted, a sound; then says that it ended", async () => {
    await using server = await startServer({
      DATABASE_URL: await postgres.newRecords(),
      RESERVATION_TTL_MS: "33000",
    });
    await using visited = await visit(server.url, { before: countTones });
    const { page } = visited;
    const live = barOf(page).getByRole("status").first();
    const tones = () => page.evaluate(() => Number(document.documentElement.dataset["tones"] ?? 0));
    await page.getByRole("button", { name: "Surprise me" }).click();
    await says(barOf(page), "Held for you");
    expect(await page.title()).toBe("The drop · Stampede");
    const sound = button(page, /^Warn by a sound/);
    await sound.click();
    expect(await sound.getAttribute("aria-pressed")).toBe("true");
    const before = await tones();
    await says(live, /: (?:30|29) seconds left to buy it\./);
    await says(barOf(page), /Only \d+ s left to buy/);
    expect(await page.title()).toMatch(/^⏳ 0:(?:30|2\d) · The drop/);
    expect(await tones()).toBe(before + 1);
    await says(live, /: (?:10|9) seconds left to buy it\./);
    expect(await tones()).toBe(before + 3);
    await says(live, /^Your hold on .* has run out\./);
    await until("the title, as before", async () => (await page.title()) === "The drop · Stampede");
    // What has ended is still there after a reload, and can be bought while nobody was quicker.
    await page.reload();
    await says(barOf(page), "has run out");
    await button(page, /^Try to buy/).click();
    await says(barOf(page), "is yours.");
  });
});

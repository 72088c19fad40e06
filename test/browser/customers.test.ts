/** The administrators' customers, coupons and activity. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { judged } from "../support/axe.ts";
import { narrow, noBrowser, says, untilClosed, useBrowser } from "../support/browser.ts";
import { usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import {
  makeAdmin,
  type Member,
  newProduct,
  newSale,
  register,
  visitAs,
} from "../support/visitors.ts";

const postgres = usePostgres();

describe.skipIf(noBrowser)("the administrators' customers, coupons and activity", () => {
  useBrowser();
  let server: TestServer;
  let admin: Member;
  let product: number;
  let sale: number;
  beforeAll(async () => {
    const env = { DATABASE_URL: await postgres.newRecords() };
    server = await startServer(env);
    admin = await makeAdmin(server, env);
    product = await newProduct(admin, "Tin giraffe");
    sale = await newSale(admin, product, { title: "The giraffe hour" });
  });
  afterAll(() => server.kill());

  test("a customer's page has what they bought and hold, disables them, and says how a name is erased", async () => {
    const anna = await register(server, "anna.lang");
    await register(server, "anna.lang.sister");
    await anna.ask("POST", "/api/purchases", {
      flash_sale_id: sale,
      product_id: product,
      quantity: 2,
    });
    await anna.ask("POST", `/checkout?sale_id=${sale}&id=1`);
    await using visited = await visitAs(server, "root", "/admin#customers");
    const { page } = visited;
    const main = page.getByRole("main");
    await page.getByRole("link", { name: "anna.lang", exact: true }).click();
    await says(page.getByRole("heading", { level: 2 }), "anna.lang account");
    await says(main, "$25.00");
    await says(page.getByRole("table", { name: "What they hold now" }), "Tin giraffe");
    await says(page.getByRole("table", { name: "Their orders" }), "The giraffe hour");
    await says(main, "stampede user erase 'anna.lang'");
    await page.getByRole("button", { name: "Disable anna.lang" }).click();
    await page.getByRole("button", { name: "Disable it" }).click();
    await says(main, "Disabled");
    expect((await anna.ask("GET", "/api/auth/me")).status).toBe(401);
    // The way from an order to its buyer, of whatever kind.
    await server.client.reserveAndBuy("guest/of anna's", 1);
    await page.goto(`${server.url}/admin#orders`);
    await page.getByRole("link", { name: "guest/of anna's" }).click();
    await says(page.getByRole("heading", { level: 2 }), "guest/of anna's guest");
    await says(main, "stampede user erase 'guest/of anna'\\''s'");
    expect(visited.wrong).toEqual([]);
  });

  test("a name is erased once it was typed: its pseudonym is shown, and nothing leads back to it", async () => {
    const name = "wilhelmina.with.a-long_name.of-fifty-two.letters.in-it";
    const person = await register(server, name);
    await person.ask("POST", "/api/purchases", {
      flash_sale_id: sale,
      product_id: product,
      quantity: 1,
    });
    // Of those who ask while nobody leads.
    const options = { bypassCSP: true, refusals: [503] };
    await using visited = await visitAs(server, "root", "/admin#customers", options);
    const { page } = visited;
    const main = page.getByRole("main");
    const sheet = page.getByRole("dialog");
    const typed = sheet.getByLabel("Type the name");
    await page.getByRole("link", { name, exact: true }).click();
    await page.getByRole("button", { name: "Erase this name…" }).press("Enter");
    await says(sheet, "pseudonym takes the place of");
    await says(sheet, "Backups made before");
    // Also of a page that is scrolled.
    await page.setViewportSize(narrow);
    await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
    expect(await page.evaluate(() => scrollY)).toBeGreaterThan(0);
    const { y = -1, height = Infinity } = (await sheet.boundingBox()) ?? {};
    expect({ y, end: y + height, isWhole: y >= 0 && y + height <= narrow.height }).toMatchObject({
      isWhole: true,
    });
    await typed.fill("wilhelmina");
    await typed.press("Enter");
    await says(sheet.getByRole("alert").last(), "Type the name as it stands above.");
    await judged(page);
    await page.emulateMedia({ colorScheme: "dark" });
    await judged(page);
    await page.keyboard.press("Escape");
    await untilClosed(page);
    expect((await person.ask("GET", "/api/auth/me")).status).toBe(200);
    await page.getByRole("button", { name: "Erase this name…" }).press("Enter");
    expect(await typed.inputValue()).toBe("");
    await typed.fill(name);
    await typed.press("Enter");
    await says(sheet, "for the last time");
    const pseudonym = (await sheet.locator(".copied-text").textContent()) ?? "";
    expect(pseudonym).toMatch(/^erased-[0-9a-f-]{36}$/);
    await judged(page);
    await page.emulateMedia({ colorScheme: "light" });
    await judged(page);
    await sheet.getByRole("button", { name: "Show what is left" }).press("Enter");
    await says(page.getByRole("heading", { level: 2 }), `${pseudonym} account`);
    await says(page.getByRole("table", { name: "Their orders" }), "The giraffe hour");
    await says(main, "Disabled");
    expect(await page.content()).not.toContain(name);
    expect((await person.ask("GET", "/api/auth/me")).status).toBe(401);
    await page.goBack();
    await page.getByRole("heading", { name: pseudonym }).waitFor({ state: "detached" });
    expect(page.url()).toBe(`${server.url}/admin#customers`);
    await page.goto(`${server.url}/admin#activity`);
    await says(page.getByRole("row", { name: /User erased/ }), pseudonym);
    await page.goto(`${server.url}/admin#customers/account/root`);
    await says(main, "This is you: another administrator can erase your name.");
    expect(visited.wrong).toEqual([]);
  });

  test("a coupon is made, given another amount and times, stopped, and deleted while nobody has it", async () => {
    await using visited = await visitAs(server, "root", "/admin#coupons");
    const { page } = visited;
    const sheet = page.getByRole("dialog");
    const row = page.getByRole("row", { name: /TEN OFF/ });
    await page.getByRole("button", { name: "New coupon" }).click();
    await sheet.getByRole("button", { name: "Make it" }).click();
    await says(sheet.getByRole("alert").last(), "needs a name");
    await sheet.getByLabel("Name").fill("TEN OFF");
    await sheet.getByLabel("How many there are").fill("10");
    await sheet.getByRole("button", { name: "Make it" }).click();
    await says(row, "0 of 10");
    await page.getByRole("button", { name: "Change TEN OFF" }).click();
    await sheet.getByLabel("How many there are").fill("12");
    await sheet.getByLabel("From").fill("2090-01-01T12:00");
    await sheet.getByRole("button", { name: "Change it" }).click();
    await says(row, "0 of 12");
    await says(row, "Coming");
    await page.getByRole("button", { name: "Stop TEN OFF" }).click();
    await says(sheet, "Nobody can claim it until you go on");
    await sheet.getByRole("button", { name: "Stop it" }).click();
    await says(row, "Stopped");
    await page.getByRole("button", { name: "Delete TEN OFF" }).click();
    await sheet.getByRole("button", { name: "Delete it" }).click();
    await row.waitFor({ state: "detached" });
    await admin.ask("POST", "/api/coupons", { name: "CLAIMED", amount: 2 });
    await admin.ask("POST", "/api/coupons/claim", { coupon_name: "CLAIMED" });
    await page.reload();
    await says(page.getByRole("row", { name: /CLAIMED/ }), "1 of 2");
    expect(await page.getByRole("button", { name: "Delete CLAIMED" }).count()).toBe(0);
    const download = page.waitForEvent("download");
    await page.getByRole("link", { name: "claims.csv of CLAIMED" }).click();
    expect(await Bun.file(await (await download).path()).text()).toContain("root");
    expect(visited.wrong).toEqual([]);
  });

  test("the activity says who changed what, from what to what", async () => {
    await admin.ask("PATCH", `/api/admin/products/${product}`, { price_cents: 2_500 });
    await using visited = await visitAs(server, "root", "/admin#activity");
    const { page } = visited;
    const row = page.getByRole("row", { name: /Product changed/ }).first();
    await says(row, "root");
    await says(row, "price $20.00 $25.00");
    await newSale(admin, product, { title: "In order" });
    await page.reload();
    const announced = page.getByRole("row", { name: /Sale announced/ }).first();
    await says(announced, /sale \d+title In orderstarts .* UTCends .* UTC/);
    expect(visited.wrong).toEqual([]);
  });
});

/**
 * What is longer and larger than most of what is shown and typed: nothing is cut off at the window's edge
 * (the page clips what is wider, so that it looks as if it fitted), and every figure can be typed that
 * the API takes.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cutOff, noBrowser, says, useBrowser, visit } from "../support/browser.ts";
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
import { until } from "../support/wait.ts";

const postgres = usePostgres();
const widths = [360, 768, 1_440];
const dear = 2_147_483_647;

describe.skipIf(noBrowser)("what is long", () => {
  useBrowser();
  let server: TestServer;
  let admin: Member;
  beforeAll(async () => {
    const env = { DATABASE_URL: await postgres.newRecords(), CURRENCY: "JPY", RATE_LIMITS: "off" };
    server = await startServer(env);
    admin = await makeAdmin(server, env);
  });
  afterAll(() => server.kill());

  test("a title without a space, dear things and a far opening are seen as a whole", async () => {
    const product = await newProduct(admin, "Lamp".repeat(30));
    await admin.ask("PATCH", `/api/admin/products/${product}`, { price_cents: dear });
    const answer = await admin.ask("POST", "/api/admin/flash-sales", {
      title: "W".repeat(120),
      starts_at: new Date().toISOString(),
      ends_at: new Date(Date.now() + 3_600_000).toISOString(),
      per_user_limit: 5,
      items: [{ product_id: product, stock: 1_000_000, price_cents: dear }],
    });
    expect(answer.status).toBe(201);
    await newSale(admin, await newProduct(admin, "Tin swan"), {
      title: "Far away",
      startsIn: 40 * 86_400_000,
      endsIn: 41 * 86_400_000,
    });
    const buyer = await register(server, "vera");
    const { id: sale } = (await answer.json()) as { id: number };
    await buyer.ask("POST", `/checkout?sale_id=${sale}&id=1`);
    await buyer.ask("POST", "/api/purchases", {
      flash_sale_id: sale,
      product_id: product,
      quantity: 4,
    });
    await using visited = await visitAs(server, "root", "/admin#live");
    await using shop = await visit(server.url);
    for (const [page, path, what] of [
      [visited.page, "/admin#live", "Average order"],
      [visited.page, `/admin#sales/${sale}`, "From try to order"],
      [shop.page, `/product?id=${product}`, "WWW"],
      [shop.page, "/shop", "1,000,000 left"],
    ] as const) {
      for (const width of widths) {
        // oxlint-disable no-await-in-loop
        await page.setViewportSize({ width, height: 900 });
        await page.goto("about:blank");
        await page.goto(server.url + path);
        await says(page.getByRole("main"), what === "1,000,000 left" ? /999,99\d left/ : what);
        await until("all of it", () =>
          page.evaluate(() => document.querySelector("main .skeleton, main .blanks") === null),
        );
        expect({ path, width, cut: await cutOff(page) }).toEqual({ path, width, cut: [] });
        // oxlint-enable no-await-in-loop
      }
    }
    // The last page is the shop's front.
    const far = shop.page.locator(".countdown-figures [aria-hidden]").filter({ hasText: "d" });
    expect(await far.first().textContent()).toMatch(/^(?:39|40) d$/);
  });

  test("what the API has a form takes: a price in yen, the number of a coupon", async () => {
    const named = await admin.ask("POST", "/api/admin/products", {
      name: "A villa",
      price_cents: 150_000_000,
    });
    expect(named.status).toBe(201);
    await admin.ask("POST", "/api/coupons", { name: "MANY", amount: 20_000_000 });
    await using visited = await visitAs(server, "root", "/admin#products");
    const { page } = visited;
    await page.getByRole("button", { name: "Edit A villa" }).click();
    const sheet = page.getByRole("dialog");
    await sheet.getByLabel("Regular price").fill("2147483648");
    await sheet.getByRole("button", { name: "Save" }).click();
    await says(sheet.getByRole("alert"), "at most 2147483647");
    await sheet.getByLabel("Regular price").fill("160000000");
    await sheet.getByRole("button", { name: "Save" }).click();
    await sheet.waitFor({ state: "detached" });
    await page.goto(`${server.url}/admin#coupons`);
    await page.getByRole("button", { name: /^Change.* MANY/ }).click();
    await sheet.getByLabel("How many").fill("30000000");
    await sheet.getByRole("button", { name: "Change it" }).click();
    await sheet.waitFor({ state: "detached" });
    expect(visited.wrong).toEqual([]);
  });
});

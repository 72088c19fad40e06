/** A receipt: reached from the bar and from the history, with its code as text and as a picture, and printed bare. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { judged } from "../support/axe.ts";
import { noBrowser, says, useBrowser, visit } from "../support/browser.ts";
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
const code = /[0-9a-f]{8}-[0-9a-f-]{27}/;

describe.skipIf(noBrowser)("the receipt", () => {
  useBrowser();
  let server: TestServer;
  let admin: Member;
  beforeAll(async () => {
    const env = { DATABASE_URL: await postgres.newRecords(), SHOP_NAME: "Tin & Paper" };
    server = await startServer(env);
    admin = await makeAdmin(server, env);
  });
  afterAll(() => server.kill());

  test("a guest gets there from the bar, with a QR code of each code; printed there is nothing else", async () => {
    await using visited = await visit(server.url, { bypassCSP: true });
    const { page } = visited;
    const bar = page.locator("#bar");
    await page.getByRole("button", { name: "Surprise me" }).click();
    await says(bar, "Held for you");
    await bar.getByRole("button", { name: /^Buy/ }).click();
    await says(bar, "is yours.");
    await bar.getByRole("link", { name: "Receipt" }).click();
    const receipt = page.locator(".receipt");
    const [shown = ""] = code.exec(await says(receipt, code)) ?? [];
    await says(receipt, "Total$");
    await page.getByRole("img", { name: `QR code of ${shown}` }).waitFor();
    await judged(page);
    await page.getByRole("button", { name: "Use the dark theme" }).click();
    await page.emulateMedia({ media: "print" });
    const paper = await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme);
    expect(paper).toBe("light");
    expect(await page.getByRole("button", { name: "Print or save it" }).isVisible()).toBe(false);
    expect(await page.locator(".top").isVisible()).toBe(false);
    expect(await receipt.isVisible()).toBe(true);
    // The shop's name above is not printed.
    expect(await receipt.innerText()).toContain("Tin & Paper, at 127.0.0.1");
    expect(visited.wrong).toEqual([]);
  });

  test("an account's is its own, from its history; to others there is none, and what was refunded is said", async () => {
    const product = await newProduct(admin, "Tin giraffe");
    const sale = await newSale(admin, product);
    const anna = await register(server, "anna");
    await register(server, "bert");
    const body = { flash_sale_id: sale, product_id: product, quantity: 2 };
    const bought: { order_id: string } = await (
      await anna.ask("POST", "/api/purchases", body)
    ).json();
    await admin.ask("POST", `/api/admin/orders/${bought.order_id}/refund`, { units: 1 });
    await using visited = await visitAs(server, "anna", "/account");
    const { page } = visited;
    await page.getByRole("link", { name: `Receipt of order ${bought.order_id}` }).click();
    const receipt = page.locator(".receipt");
    await says(receipt, "Partly refunded");
    await says(receipt, "$12.50, so that $12.50 stay");
    expect(await page.locator(".qr").count()).toBe(1);
    await page.goto(`${server.url}/receipt?order=${bought.order_id}`);
    await says(receipt, "Tin giraffe");
    await using other = await visitAs(server, "bert", `/receipt?order=${bought.order_id}`, {
      refusals: [404],
    });
    await says(other.page.getByRole("main"), "it is somebody else’s");
    expect(visited.wrong).toEqual([]);
  });
});

/** The administrators' orders: found by beginnings, read as a story, taken back once and with words before it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { noBrowser, says, untilClosed, useBrowser } from "../support/browser.ts";
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
const ordered = z.object({ order_id: z.string(), codes: z.array(z.string()) });
const refunded = z.object({ refunded_quantity: z.int(), refunds: z.array(z.unknown()) });

describe.skipIf(noBrowser)("the administrators' orders", () => {
  useBrowser();
  let server: TestServer;
  let admin: Member;
  let sale: number;
  let product: number;
  beforeAll(async () => {
    const env = { DATABASE_URL: await postgres.newRecords() };
    server = await startServer(env);
    admin = await makeAdmin(server, env);
    product = await newProduct(admin, "Tin giraffe");
    sale = await newSale(admin, product, { title: "The giraffe hour", limit: 9 });
  });
  afterAll(() => server.kill());

  const buy = async (buyer: Member, quantity: number) => {
    const body = { flash_sale_id: sale, product_id: product, quantity };
    return ordered.parse(await (await buyer.ask("POST", "/api/purchases", body)).json());
  };
  const statusOf = async (order: string) =>
    refunded.parse(await (await admin.ask("GET", `/api/admin/orders/${order}`)).json());

  test("an order is found by the beginning of its number, its code and its buyer, and by sale and status", async () => {
    const [anna, bert] = [await register(server, "annabelle"), await register(server, "bert")];
    const [hers, his] = [await buy(anna, 1), await buy(bert, 2)];
    await admin.ask("POST", `/api/admin/orders/${his.order_id}/refund`, { units: 1 });
    await using visited = await visitAs(server, "root", "/admin#orders");
    const { page } = visited;
    const rows = page.locator("tbody tr");
    const shows = async (orders: readonly string[]) => {
      await until(`orders ${orders.join()}`, async () => {
        const told = await page.locator("tbody .cell-link").allTextContents();
        return told.join() === orders.join();
      });
    };
    const field = page.getByLabel("Number, code or user, or its beginning");
    await says(rows.first(), "Partly refunded");
    for (const [text, found] of [
      ["annab", hers],
      [his.codes[1]?.slice(0, 25) ?? "", his],
      [hers.codes[0] ?? "", hers],
    ] as const) {
      await field.fill(text);
      await field.press("Enter");
      await shows([found.order_id]);
    }
    // Codes may begin with the same digits.
    await field.fill(his.order_id);
    await field.press("Enter");
    await page.getByRole("link", { name: his.order_id, exact: true }).waitFor();
    await field.fill("nobody at all");
    await field.press("Enter");
    await says(page.getByRole("main"), "No such order");
    await field.fill("");
    await page.getByLabel("Status").selectOption("Partly refunded");
    await shows([his.order_id]);
    await page.getByLabel("Status").selectOption("Any");
    await shows([his.order_id, hers.order_id]);
    await page.getByLabel("Sale").selectOption("The giraffe hour");
    await page.getByRole("link", { name: hers.order_id, exact: true }).click();
    await says(page.getByRole("heading", { level: 2 }), `Order ${hers.order_id}`);
    await page.goBack();
    await shows([his.order_id, hers.order_id]);
    expect(visited.wrong).toEqual([]);
  });

  test("what a refund will do is said before; a double click and a lost answer take back one unit, and the story tells of it", async () => {
    const carl = await register(server, "carl");
    const order = await buy(carl, 3);
    const { sold } = await figuresOf(server, sale);
    await using visited = await visitAs(server, "root", `/admin#orders/${order.order_id}`);
    const { page } = visited;
    // It is carried out, and nobody hears of it.
    const keys: (string | null)[] = [];
    await page.route("**/refund", async (route) => {
      keys.push(await route.request().headerValue("Idempotency-Key"));
      if (keys.length > 1) return await route.continue();
      await route.fetch();
      return await route.abort();
    });
    await page.getByRole("button", { name: "Refund…" }).click();
    const sheet = page.getByRole("dialog");
    const effect = sheet.locator(".effect");
    await says(effect, "All 3 units that are left will be marked as refunded: $37.50.");
    await sheet.getByLabel("Units to take back").fill("4");
    await sheet.getByRole("button", { name: "Refund", exact: true }).click();
    await says(sheet.getByRole("alert").last(), "from 1 to 3");
    await sheet.getByLabel("Units to take back").fill("1");
    await says(effect, "1 of 3 units will be marked as refunded: $12.50, 2 units stay sold.");
    await says(effect, "It stays out of the sale");
    await sheet.getByLabel("Put them on sale again").check();
    await says(effect, "It goes on sale again at once");
    await says(
      effect,
      "The limit of carl in this sale gets room for one more. The money is not moved from here",
    );
    await sheet.getByLabel("Reason").fill("A bent neck");
    await sheet.getByRole("button", { name: "Refund 1 unit" }).dblclick();
    await untilClosed(page);
    const story = page.getByRole("table", { name: "All that was tried" });
    await says(story, "root: 1 unit, put on sale again, “A bent neck”");
    await says(page.getByRole("main"), "Partly refunded");
    expect(await statusOf(order.order_id)).toMatchObject({ refunded_quantity: 1 });
    expect((await figuresOf(server, sale)).sold).toBe(sold - 1);
    expect(new Set(keys).size).toBe(1);

    await page.getByRole("button", { name: "Refund…" }).click();
    await sheet.getByRole("button", { name: "Refund 2 units" }).click();
    await page.getByRole("button", { name: "Refund…" }).waitFor({ state: "detached" });
    expect(await statusOf(order.order_id)).toMatchObject({ refunded_quantity: 3 });
    expect(visited.wrong.filter((one) => !one.includes("ERR_FAILED"))).toEqual([]);
  });

  test("an order that there is not is said, and one refunded meanwhile too", async () => {
    const order = await buy(await register(server, "dora"), 1);
    await using visited = await visitAs(server, "root", "/admin#orders/999999", {
      refusals: [404, 409],
    });
    const { page } = visited;
    await says(page.getByRole("main"), "There is no order 999999");
    await page.goto(`${server.url}/admin#orders/${order.order_id}`);
    await page.getByRole("button", { name: "Refund…" }).click();
    await admin.ask("POST", `/api/admin/orders/${order.order_id}/refund`, {});
    const sheet = page.getByRole("dialog");
    await sheet.getByRole("button", { name: "Refund 1 unit" }).click();
    await says(sheet.getByRole("alert").last(), "All of this order was taken back already");
    expect(visited.wrong).toEqual([]);
  });
});

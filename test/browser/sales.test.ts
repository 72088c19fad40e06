/** The administrators' sales: of both kinds, with each item's figures, and what can be done with one. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { noBrowser, says, useBrowser } from "../support/browser.ts";
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
const hourMs = 3_600_000;
const shown = z.object({
  status: z.string(),
  stock: z.int(),
  title: z.string(),
  ends_at: z.string(),
});

describe.skipIf(noBrowser)("the administrators' sales", () => {
  useBrowser();
  let server: TestServer;
  let admin: Member;
  let product: number;
  beforeAll(async () => {
    const env = { DATABASE_URL: await postgres.newRecords() };
    server = await startServer(env);
    admin = await makeAdmin(server, env);
    product = await newProduct(admin, "Tin giraffe");
  });
  afterAll(() => server.kill());

  const saleOf = async (id: number) =>
    shown.parse(await (await fetch(`${server.url}/sales/${id}`)).json());

  test("an open one shows what each item sold, holds and brought in; takes units, a title and another end; and is closed", async () => {
    const sale = await newSale(admin, product, { title: "The giraffe hour", stock: 4, limit: 4 });
    const anna = await register(server, "anna");
    await anna.ask("POST", "/api/purchases", {
      flash_sale_id: sale,
      product_id: product,
      quantity: 2,
    });
    await anna.ask("POST", `/checkout?sale_id=${sale}&id=1`);
    await using visited = await visitAs(server, "root", "/admin#sales");
    const { page } = visited;
    const list = page.getByRole("table");
    await says(list, "the drop");
    await page.getByRole("link", { name: "The giraffe hour" }).first().click();
    await says(page.getByRole("heading", { level: 2 }), "The giraffe hour");
    const main = page.getByRole("main");
    await says(main, "$25.00");
    await says(main, "2 of 4");
    const row = page.locator("tbody tr");
    await says(row, /Tin giraffe\$12\.504112/);

    await page.getByRole("button", { name: "Add units of Tin giraffe" }).click();
    const sheet = page.getByRole("dialog");
    await sheet.getByLabel("Units to add").fill("3");
    await says(sheet.locator(".effect"), "Its stock grows from 4 to 7");
    await sheet.getByRole("button", { name: "Add 3" }).click();
    await says(main, "2 of 7");
    expect((await saleOf(sale)).stock).toBe(7);

    await page.getByRole("button", { name: "Change title or end" }).click();
    await sheet.getByLabel("Title").fill("The longer hour");
    await sheet.getByLabel("Closes").fill("2020-01-01T12:00");
    await sheet.getByRole("button", { name: "Change it" }).click();
    await says(sheet.getByRole("alert").last(), "still to come");
    await sheet.getByLabel("Closes").fill("2090-01-01T12:00");
    await sheet.getByRole("button", { name: "Change it" }).click();
    await says(page.getByRole("heading", { level: 2 }), "The longer hour");
    expect((await saleOf(sale)).ends_at).toStartWith("2090-01-01");

    await page.getByRole("button", { name: "Close now" }).click();
    await says(sheet, "ends at once, with 4 left and 1 reserved");
    await sheet.getByRole("button", { name: "Keep it open" }).click();
    await page.getByRole("button", { name: "Close now" }).click();
    await sheet.getByRole("button", { name: "Close it now" }).click();
    await page.getByRole("button", { name: "Close now" }).waitFor({ state: "detached" });
    expect((await saleOf(sale)).status).toBe("closed");
    expect(visited.wrong).toEqual([]);
  });

  test("a coming one is opened now, or withdrawn for good; a product in two at once is warned of", async () => {
    const wish = { startsIn: hourMs, endsIn: 3 * hourMs };
    const opened = await newSale(admin, product, { title: "Early", ...wish });
    const gone = await newSale(admin, product, { title: "Never", ...wish });
    await using visited = await visitAs(server, "root", "/admin#sales", { refusals: [404] });
    const { page } = visited;
    const sheet = page.getByRole("dialog");
    await says(
      page.locator(".effect"),
      /In two sales at once.*Tin giraffe: Early and Never|Never and Early/,
    );
    await page.goto(`${server.url}/admin#sales/${gone}`);
    await page.getByRole("button", { name: "Withdraw" }).click();
    await says(sheet, "“Never” is taken back before it opens");
    await sheet.getByRole("button", { name: "Withdraw it" }).click();
    await page.getByRole("link", { name: "Early" }).first().waitFor();
    // The link may have been there before, beside the sheet.
    await until("its end", async () => (await fetch(`${server.url}/sales/${gone}`)).status === 404);
    await page.goto(`${server.url}/admin#sales/${gone}`);
    await says(page.getByRole("main"), `There is no sale ${gone}`);

    await page.goto(`${server.url}/admin#sales/${opened}`);
    await page.getByRole("button", { name: "Change", exact: true }).click();
    expect(await sheet.getByLabel("Title").inputValue()).toBe("Early");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Open now" }).click();
    await says(sheet, "“Early” opens at once");
    await sheet.getByRole("button", { name: "Open it now" }).click();
    await page.getByRole("button", { name: "Close now" }).waitFor();
    expect((await saleOf(opened)).status).toBe("open");
    expect(visited.wrong).toEqual([]);
  });

  test("a draft is made by hand or of another sale, announced or dropped; buyers see none", async () => {
    const sale = await newSale(admin, product, { title: "The first", endsIn: 2 * hourMs });
    await using visited = await visitAs(server, "root", `/admin#sales/${sale}`);
    const { page } = visited;
    const sheet = page.getByRole("dialog");
    await page.getByRole("button", { name: "Duplicate" }).click();
    await sheet.getByRole("button", { name: "Make the draft" }).click();
    const draft = page.getByRole("row", { name: /Draft/ });
    await page.getByRole("button", { name: /^Announce The first/ }).waitFor();
    await page.getByRole("button", { name: /^Drop The first/ }).click();
    await sheet.getByRole("button", { name: "Drop it" }).click();
    await draft.last().waitFor({ state: "detached" });
    await page.getByRole("button", { name: "New sale" }).click();
    await sheet.getByLabel("Title").fill("Secret so far");
    await sheet.getByLabel("Product").selectOption({ index: 1 });
    await sheet.getByLabel("Stock").fill("3");
    await sheet.getByLabel("Keep it as a draft").check();
    await sheet.getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Announce Secret so far" }).waitFor();
    const listed = async () => await (await fetch(`${server.url}/sales`)).text();
    expect(await listed()).not.toContain("Secret so far");
    await page.getByRole("button", { name: "Announce Secret so far" }).click();
    await sheet.getByRole("button", { name: "Announce it" }).click();
    await page.getByRole("link", { name: "Secret so far" }).first().waitFor();
    expect(await listed()).toContain("Secret so far");
    expect(visited.wrong).toEqual([]);
  });

  test("the dashboard's money is that of the records, a reload later too", async () => {
    const sale = await newSale(admin, product, { title: "For money", stock: 4 });
    const berta = await register(server, "berta");
    await berta.ask("POST", "/api/purchases", {
      flash_sale_id: sale,
      product_id: product,
      quantity: 1,
    });
    await using visited = await visitAs(server, "root", "/admin");
    const { page } = visited;
    const money = page.getByRole("region", { name: "Money" });
    for (let visits = 1; visits <= 2; visits++) {
      await says(money, /Revenue\$\d+\.\d\d/);
      await says(money, /Average order\$\d+\.\d\d/);
      await says(money, /From try to order\d+/);
      await page.reload();
    }
    expect(visited.wrong).toEqual([]);
  });
});

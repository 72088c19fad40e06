/** One history: all that an account has, on every device; a guest's in its browser; nothing at logout. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { noBrowser, says, useBrowser, visit } from "../support/browser.ts";
import { usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import {
  logIn,
  makeAdmin,
  type Member,
  newProduct,
  newSale,
  register,
  visitAs,
} from "../support/visitors.ts";

const postgres = usePostgres();

const code = /[0-9a-f]{8}-[0-9a-f-]{27}/;

describe.skipIf(noBrowser)("the history", () => {
  useBrowser();
  let server: TestServer;
  let admin: Member;
  beforeAll(async () => {
    const env = { DATABASE_URL: await postgres.newRecords() };
    server = await startServer(env);
    admin = await makeAdmin(server, env);
  });
  afterAll(() => server.kill());

  test("of an account has the drop and the shop, with orders and codes, on every device; logout leaves nothing", async () => {
    await register(server, "anna");
    const product = await newProduct(admin, "Tin giraffe");
    await newSale(admin, product, { title: "The giraffe hour" });
    await using visited = await visitAs(server, "anna", "/");
    const { page, wrong } = visited;
    const bar = page.locator("#bar");
    await page.getByRole("button", { name: "Surprise me" }).click();
    await says(bar, "Held for you");
    await bar.getByRole("button", { name: /^Buy/ }).click();
    const told = await says(bar, /is yours\. Order \d+\./);
    const order = /Order (\d+)\./.exec(told)?.[1] ?? "";
    // On the drop itself, with its code.
    const own = page.locator(".mine-one");
    await says(own, `Order ${order} `);
    const [codeOfDrop = ""] = code.exec(await says(own, code)) ?? [];
    await page.goto(`${server.url}/product?id=${product}`);
    await page.getByRole("button", { name: /^Buy for/ }).click();
    await says(page.locator(".counter-done"), code);

    await using other = await visitAs(server, "anna", "/account");
    const slips = other.page.locator(".slip");
    await says(slips.nth(0), "Tin giraffe");
    await says(slips.nth(0), "The giraffe hour");
    await says(slips.nth(1), `Order ${order}`);
    await says(slips.nth(1), codeOfDrop);
    await other.page.goto(server.url);
    await says(other.page.locator(".mine-one"), codeOfDrop);
    // A hold of hers is in the bar when she logs out.
    await page.goto(server.url);
    await page.getByRole("button", { name: "Surprise me" }).click();
    await says(bar, "Held for you");

    await page.getByRole("button", { name: "Log out anna" }).click();
    await page.getByRole("link", { name: "Log in" }).waitFor();
    await says(page.locator("#mine-title + p"), "0 reserved, 0 bought");
    expect(await bar.getByRole("button").count()).toBe(0);
    const kept = await page.evaluate(() =>
      JSON.stringify([{ ...localStorage }, { ...sessionStorage }]),
    );
    expect(kept).not.toContain("anna");
    expect(kept).not.toContain(codeOfDrop);
    await page.goto(`${server.url}/account`);
    await page.getByRole("button", { name: "Log in", exact: true }).first().waitFor();
    const seen = (await page.locator("body").textContent()) ?? "";
    for (const hers of ["anna", codeOfDrop, "Tin giraffe"]) expect(seen).not.toContain(hers);
    expect([...wrong, ...other.wrong]).toEqual([]);
  });

  test("of a guest is in this browser, with a way to keep it, and goes when it is told to", async () => {
    await using visited = await visit(server.url);
    const { page } = visited;
    const bar = page.locator("#bar");
    await page.getByRole("button", { name: "Surprise me" }).click();
    await says(bar, "Held for you");
    await bar.getByRole("button", { name: /^Buy/ }).click();
    await says(bar, "is yours.");
    await bar.getByRole("link", { name: "My purchases" }).click();
    const slip = page.locator(".slip");
    const [bought = ""] = code.exec(await says(slip, code)) ?? [];
    await says(slip, /Order \d+/);
    await says(page.getByRole("main"), "clearing its data loses them");
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Save as a file" }).click();
    const file = Bun.file(await (await download).path());
    expect(await file.text()).toContain(bought);

    // Logging in keeps it, apart from what the account has.
    await register(server, "berta");
    await logIn(page, server, "berta", "/account");
    await says(page.getByRole("main"), "Nothing bought yet");
    await says(slip, bought);
    await page.getByRole("button", { name: "Forget them here" }).click();
    await page.getByRole("button", { name: "Forget them", exact: true }).click();
    await page.getByText("Bought without an account").waitFor({ state: "detached" });
    expect(await page.evaluate(() => JSON.stringify({ ...localStorage }))).not.toContain(bought);
  });
});

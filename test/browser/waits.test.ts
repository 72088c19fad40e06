/** "Tell me when one comes free": an account waits, and what comes free stands in its bar, said and marked. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { judged } from "../support/axe.ts";
import { noBrowser, says, useBrowser } from "../support/browser.ts";
import { usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { makeAdmin, newProduct, newSale, register, visitAs } from "../support/visitors.ts";
import { until } from "../support/wait.ts";

const postgres = usePostgres();

describe.skipIf(noBrowser)("waiting for what cannot be had", () => {
  useBrowser();
  let server: TestServer;
  let sale: number;
  let product: number;
  beforeAll(async () => {
    const env = { DATABASE_URL: await postgres.newRecords() };
    server = await startServer(env);
    const admin = await makeAdmin(server, env);
    product = await newProduct(admin, "Tin giraffe");
    sale = await newSale(admin, product, { title: "The giraffe hour", stock: 1 });
  });
  afterAll(() => server.kill());

  test("who waits is told when one comes free, and can leave the line", async () => {
    const holder = await register(server, "holder");
    const held = await holder.ask("POST", `/checkout?sale_id=${sale}&id=1`);
    const { code } = z.object({ code: z.string() }).parse(await held.json());
    await register(server, "waiter");
    await using visited = await visitAs(server, "waiter", `/product?id=${product}`, {
      bypassCSP: true,
    });
    const { page } = visited;
    const main = page.getByRole("main");
    const bar = page.locator("#bar");
    await page.getByRole("button", { name: "Tell me when one comes free" }).click();
    await says(main, "You are the first in line");
    await page.getByRole("button", { name: "Wait no more" }).click();
    await page.getByRole("button", { name: "Tell me when one comes free" }).click();
    await says(main, "You are the first in line");
    await judged(page);
    await holder.ask("DELETE", `/checkout?code=${code}`);
    await says(bar, "Tin giraffe");
    await says(bar, "One came free, and is held for you");
    await until("a title that says so", async () => (await page.title()).includes("One for you"));
    await bar.getByRole("button", { name: /^Buy/ }).click();
    await says(bar, "is yours.");
    expect(visited.wrong).toEqual([]);
  });
});

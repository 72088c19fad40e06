/** The administrators' webhooks: made with a secret that is shown once, with what came of each delivery. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { judged } from "../support/axe.ts";
import { noBrowser, says, untilClosed, useBrowser } from "../support/browser.ts";
import { usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { makeAdmin, visitAs } from "../support/visitors.ts";

const postgres = usePostgres();

describe.skipIf(noBrowser)("the administrators' webhooks", () => {
  useBrowser();
  let server: TestServer;
  const heard: string[] = [];
  const receiver = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      heard.push(await request.text());
      return new Response("ok");
    },
  });
  beforeAll(async () => {
    const env = { DATABASE_URL: await postgres.newRecords(), WEBHOOK_PRIVATE: "1" };
    server = await startServer(env);
    await makeAdmin(server, env);
  });
  afterAll(async () => {
    await server.kill();
    await receiver.stop(true);
  });

  test("one is made, its secret shown once; an order is told, sent again, and it is switched off and removed", async () => {
    await using visited = await visitAs(server, "root", "/admin#webhooks", { bypassCSP: true });
    const { page } = visited;
    const [sheet, main] = [page.getByRole("dialog"), page.getByRole("main")];
    await says(main, "Nobody is told");
    await page.getByRole("button", { name: "New webhook" }).click();
    await sheet.getByLabel("Address").fill("no address");
    await sheet.getByRole("button", { name: "Make it" }).click();
    await says(sheet.getByRole("alert").last(), "has to be a whole one");
    const address = `http://127.0.0.1:${receiver.port}/told`;
    await sheet.getByLabel("Address").fill(address);
    await judged(page);
    await sheet.getByRole("button", { name: "Make it" }).click();
    await says(sheet, /whsec_/);
    await page.getByRole("button", { name: "I have it" }).click();
    await server.client.reserveAndBuy("ann", 1);
    await page.getByRole("link", { name: address }).click();
    const table = page.getByRole("table", { name: "Tries, newest first" });
    await says(table, "Somebody bought");
    await says(table, "Delivered");
    await judged(page);
    expect(heard.at(-1)).toContain("order.created");
    await page.getByRole("button", { name: "Send again…" }).click();
    await sheet.getByLabel("After event").fill("0");
    await sheet.getByRole("button", { name: "Send again" }).click();
    await untilClosed(page);
    await page.getByRole("button", { name: "Switch off" }).click();
    await says(sheet, "nothing is skipped");
    await sheet.getByRole("button", { name: "Switch off" }).click();
    await page.getByRole("button", { name: "Switch on" }).waitFor();
    await page.getByRole("button", { name: "Remove" }).click();
    await sheet.getByRole("button", { name: "Remove it" }).click();
    await says(main, "Nobody is told");
    expect(visited.wrong).toEqual([]);
  });
});

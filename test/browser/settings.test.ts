/** The house's own, as an administrator sets it in a page: what every other page shows then. */
import { beforeAll, describe, expect, test } from "bun:test";
import { noBrowser, says, useBrowser, visit } from "../support/browser.ts";
import { usePostgres } from "../support/postgres.ts";
import { runProgram, startServer, type TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

const postgres = usePostgres();

describe.skipIf(noBrowser)("the shop's settings", () => {
  useBrowser();
  let server: TestServer;

  beforeAll(async () => {
    const environment = { DATABASE_URL: await postgres.newRecords(), SALE_TIMEZONE: "Asia/Tokyo" };
    await runProgram(["seed", "--demo"], environment);
    server = await startServer(environment);
  });

  test("are set in a page, and every page has them", async () => {
    await using visited = await visit(`${server.url}/login?back=%2Fadmin%23settings`, {
      timezoneId: "Europe/Berlin",
      // Before anybody has logged in.
      refusals: [401],
    });
    const { page, wrong } = visited;
    await page.getByLabel("User name").fill("admin");
    await page.getByLabel("Password").fill("Satu123");
    await page.locator("main form").getByRole("button", { name: "Log in" }).click();
    const part = page.getByRole("region", { name: "The shop" });
    await says(part, "Asia/Tokyo");
    await page.getByLabel("Name of the shop").fill("Zoo & Co");
    await page.getByLabel("Currency").fill("eur");
    await page.getByLabel("Language of figures").fill("de");
    await says(part, /1\.23\d,\d\d\s€/);
    await page.getByLabel("Accent").fill("#ffee00");
    await page.getByRole("button", { name: "Save" }).click();
    await says(page.locator("#notices"), "Saved.");
    await says(part, "so that it can be read");
    await page.getByLabel("Logo").setInputFiles({
      name: "logo.png",
      mimeType: "image/png",
      buffer: Buffer.from(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
        "base64",
      ),
    });
    await page.getByRole("button", { name: "Take it away" }).waitFor();
    await until("the shop's new name", async () => {
      await page.goto(`${server.url}/shop`);
      return (await page.title()) === "Shop · Zoo & Co" || undefined;
    });
    await says(page.locator(".brand"), "Zoo & Co");
    expect(await page.locator(".brand img").getAttribute("src")).toMatch(/^\/api\/logo\?v=/);
    await says(page.locator("main"), /\d,\d\d\s€/);
    const accent = await page.evaluate(
      () =>
        getComputedStyle(document.querySelector(".button.strong") ?? document.body).backgroundColor,
    );
    expect(accent).not.toBe("rgb(181, 50, 26)");
    await page.goto(`${server.url}/admin`);
    await says(page.getByRole("region", { name: "Money" }), /Sell-through\d+(?:,\d)?\s%/);
    await says(page.getByRole("region", { name: "Sell-through" }), /\d+(?:,\d)?\s%/);
    expect(wrong).toEqual([]);
  });

  test("tell when a sale comes by the schedule's zone, too, to who lives in another", async () => {
    const beside = /\d:\d\d [AP]M \((?:[A-Z]\w\w )?\d+:\d\d [AP]M in Asia\/Tokyo\)/;
    await using berlin = await visit(`${server.url}/`, { timezoneId: "Europe/Berlin" });
    await says(berlin.page.locator(".hero-when"), beside);
    await berlin.page.goto(`${server.url}/shop`);
    // In the language that the shop was given.
    await says(berlin.page.locator(".coming"), /\d:\d\d \((?:\S+ )?\d+:\d\d in Asia\/Tokyo\)/);
    await berlin.page.goto(`${server.url}/proof`);
    await says(berlin.page.locator(".verdict-of"), /^Drop of \S+ \d\d:00 Asia\/Tokyo$/);
    await using tokyo = await visit(`${server.url}/`, { timezoneId: "Asia/Tokyo" });
    expect(await says(tokyo.page.locator(".hero-when"), /[AP]M/)).not.toContain("Asia/Tokyo");
  });
});

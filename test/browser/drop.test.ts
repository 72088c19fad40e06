/**
 * What is free on the wall, when the answer that says so and the stream of events come in an
 * awkward order: no change may be lost. In a browser, against the program.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import type { Page } from "playwright-core";
import { newPage, noBrowser, says as saysAt, useBrowser } from "../support/browser.ts";
import { usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

const postgres = usePostgres();
const items = 40;

let server: TestServer;

const says = (page: Page, where: string, what: string, boundMs?: number) =>
  saysAt(page.locator(where), what, boundMs);

/** Picks the wall's last tile, once the wall is here. */
async function pickLast(page: Page): Promise<void> {
  await page.locator(".legend-coming button").click();
  await page.getByRole("application").focus();
  await page.keyboard.press("End");
  await says(page, ".inspector", `No. ${items}`);
}

const ofAnother = (url: URL) => url.pathname.startsWith("/sales/9/");
const answersTo = (what: string) => (url: URL) => url.pathname.endsWith(what);

describe.skipIf(noBrowser)("the wall", () => {
  useBrowser();
  beforeAll(async () => {
    const settings = { SALE_ITEMS: String(items), SALE_PER_USER_LIMIT: "100" };
    server = await startServer({ ...settings, DATABASE_URL: await postgres.newRecords() });
  });

  test("is read by one request for what never changes and one for what is free", async () => {
    await using visited = await newPage();
    const { page } = visited;
    const asked: string[] = [];
    page.on("request", (request) => {
      const { pathname } = new URL(request.url());
      if (pathname.startsWith("/sale") && !pathname.endsWith(".svg")) asked.push(pathname);
    });
    await page.goto(server.url);
    await pickLast(page);
    const once = ["/sale", "/sales/1/catalogue", "/sales/1/availability"];
    expect(asked).toEqual(once);
    // And not again for what events say, as long as none is missing.
    const { code } = await server.client.reserve("somebody", items);
    await says(page, ".inspector", "taken");
    await server.client.release(code);
    await says(page, ".inspector", "free");
    expect(asked).toEqual(once);
  });

  test.each(["catalogue", "availability"])(
    "keeps what an event said while the %s was on its way",
    async (late) => {
      await using visited = await newPage();
      const { page } = visited;
      const held = Promise.withResolvers<void>();
      const sent = Promise.withResolvers<void>();
      await page.route(answersTo(`/${late}`), async (route) => {
        // Its text: the browser would decompress a second time what is said to be compressed.
        const body = await (await route.fetch()).text();
        held.resolve();
        await sent.promise;
        await route.fulfill({ contentType: "application/json", body });
      });
      const asked = page.waitForResponse((answer) => answer.url().endsWith("/availability"));
      await page.goto(server.url);
      await held.promise;
      // In the order in which it can go wrong: all that is asked for has been answered by now.
      if (late === "catalogue") await asked;
      const { code } = await server.client.reserve("somebody", items);
      await says(page, ".meter-figures", "Reserved1");
      sent.resolve();
      await pickLast(page);
      await says(page, ".inspector", "taken");
      await server.client.release(code);
      await says(page, ".inspector", "free");
    },
  );

  test("offers a few that are free as soon as some are, though none was, and again in another sale", async () => {
    const settings = { SALE_ITEMS: "2", DATABASE_URL: await postgres.newRecords() };
    await using small = await startServer(settings);
    const { code } = await small.client.reserve("somebody", 1);
    await small.client.reserve("somebody", 2);
    await using visited = await newPage();
    const { page } = visited;
    await page.goto(small.url);
    await says(page, ".picks", "None is free at the moment.");
    await small.client.release(code);
    await says(page, ".picks", "Reserve $");

    // The hour turns: another sale, of the same items.
    await page.route(answersTo("/sale"), async (route) => {
      const body = await (await route.fetch()).text();
      await route.fulfill({
        contentType: "application/json",
        body: body.replace('"id":1', '"id":9'),
      });
    });
    await page.route(ofAnother, async (route) => {
      const body = await (
        await fetch(route.request().url().replace("/sales/9/", "/sales/1/"))
      ).text();
      await route.fulfill({ contentType: "application/json", body });
    });
    // It asks now and then.
    await page.waitForResponse((answer) => ofAnother(new URL(answer.url())), { timeout: 30_000 });
    await says(page, ".legend-coming", "Lay out");
    await says(page, ".picks", "Reserve $");
  });

  test("asks again when the stream could be opened only later", async () => {
    await using visited = await newPage();
    const { page } = visited;
    let isRefused = true;
    await page.route(answersTo("/events"), (route) =>
      isRefused ? route.fulfill({ status: 503, body: "" }) : route.fallback(),
    );
    await page.goto(server.url);
    await pickLast(page);
    await says(page, ".inspector", "free");
    const { code } = await server.client.reserve("somebody", items);
    // No event will say it: it was said before anybody listened.
    await until("the event", async () =>
      (await server.client.get("/sales/1/availability")).text.includes('"reserved":1,'),
    );
    isRefused = false;
    // Sooner than by asking now and then, which it does without a stream.
    await says(page, ".inspector", "taken");
    await server.client.release(code);
    await says(page, ".inspector", "free");
  });
});

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

declare global {
  interface Window {
    sheets: { laid: number; bare: number };
  }
}

/** Runs in the page: how many tiles were drawn, and how often everything was wiped first. */
function countSheets(): void {
  window.sheets = { laid: 0, bare: 0 };
  const { drawImage, fillRect } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.drawImage = function count(...args: unknown[]) {
    window.sheets.laid++;
    Reflect.apply(drawImage, this, args);
  };
  CanvasRenderingContext2D.prototype.fillRect = function count(x, y, width, height) {
    if (width === this.canvas.width && height === this.canvas.height) window.sheets.bare++;
    Reflect.apply(fillRect, this, [x, y, width, height]);
  };
}

/** The wall as it looks after two more frames. */
const drawn = (page: Page): Promise<string> =>
  page.evaluate(async () => {
    for (let frame = 0; frame < 2; frame++)
      // oxlint-disable-next-line no-await-in-loop
      await new Promise(requestAnimationFrame);
    return document.querySelector<HTMLCanvasElement>(".wall canvas")?.toDataURL() ?? "";
  });

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

  test("is drawn with the next frame, once, and is what a new drawing shows", async () => {
    await using visited = await newPage();
    const { page } = visited;
    await page.addInitScript(countSheets);
    await page.goto(server.url);
    await pickLast(page);
    const { laid, bare } = await page.evaluate(() => window.sheets);
    // The backs of 10,000, before it is known how many there are; then backs, sheets, and by colour. Some
    // ten things ask for a drawing meanwhile.
    expect(laid).toBeLessThanOrEqual(20_000 + 4 * items);
    expect(bare).toBeLessThanOrEqual(6);

    const { code } = await server.client.reserve("somebody", 7);
    await says(page, ".meter-figures", "Reserved1");
    await page.getByRole("searchbox").fill("fox");
    await page.locator(".legend-coming button").click();
    await page.setViewportSize({ width: 700, height: 700 });
    const seen = await drawn(page);
    // Another theme and back: everything is drawn anew.
    for (const name of ["Use the dark theme", "Use the light theme"]) {
      // oxlint-disable-next-line no-await-in-loop
      await page.getByRole("button", { name }).click();
      // oxlint-disable-next-line no-await-in-loop
      expect((await drawn(page)) === seen).toBe(name === "Use the light theme");
    }
    await server.client.release(code);
  });

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

/**
 * How soon a page is there, and how still it stands: on a mid-range phone (a processor four times
 * slower, "fast 3G") the drop's largest part is drawn within 1.5 s, and no page moves by itself.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Page } from "playwright-core";
import { narrow, newPage, noBrowser, says, useBrowser } from "../support/browser.ts";
import { usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

const postgres = usePostgres();

const largestPaintMsMax = 1_500;
const shiftMax = 0.05;
/** Others may be at work on the machine: the best of so many visits counts. */
const triesMax = 3;
const slowerTimes = 4;
type Network = {
  readonly latencyMs: number;
  readonly bitsPerSecond: number;
  readonly bitsUpPerSecond: number;
};
/**
 * The name means two things: what the browser's tools call so, each request of which waits for more
 * than half a second, and Lighthouse's profile, by now "slow 4G"
 * (https://github.com/GoogleChrome/lighthouse/blob/main/docs/throttling.md).
 */
const fast3G: readonly [name: string, network: Network][] = [
  ["DevTools", { latencyMs: 562.5, bitsPerSecond: 1_440_000, bitsUpPerSecond: 675_000 }],
  ["Lighthouse", { latencyMs: 150, bitsPerSecond: 1_600_000, bitsUpPerSecond: 750_000 }],
];

/** Runs in the page. */
function watchVitals(): void {
  new PerformanceObserver((list) => {
    for (const { startTime } of list.getEntries())
      document.documentElement.dataset["largest"] = String(startTime);
  }).observe({ type: "largest-contentful-paint", buffered: true });
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries())
      if ("value" in entry) {
        const before = document.documentElement.dataset["shift"] ?? 0;
        document.documentElement.dataset["shift"] = String(Number(before) + Number(entry.value));
      }
  }).observe({ type: "layout-shift", buffered: true });
}

async function slowDown(page: Page, network: Network): Promise<void> {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("Network.enable");
  await devtools.send("Network.emulateNetworkConditions", {
    offline: false,
    latency: network.latencyMs,
    downloadThroughput: network.bitsPerSecond / 8,
    uploadThroughput: network.bitsUpPerSecond / 8,
  });
  await devtools.send("Emulation.setCPUThrottlingRate", { rate: slowerTimes });
}

const vital = (page: Page, name: "largest" | "shift") =>
  page.evaluate((which) => Number(document.documentElement.dataset[which] ?? 0), name);

/** Of somebody who has never been here. */
async function firstVisit(server: TestServer, network: Network) {
  await using visited = await newPage({ viewport: narrow });
  const { page } = visited;
  await page.addInitScript(watchVitals);
  await slowDown(page, network);
  await page.goto(server.url);
  const isLaidOut = async () => (await page.locator(".legend-coming button").count()) === 1;
  await until("the wall", isLaidOut);
  return { largest: await vital(page, "largest"), shift: await vital(page, "shift") };
}

describe.skipIf(noBrowser)("on a mid-range phone", () => {
  useBrowser();
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer({ DATABASE_URL: await postgres.newRecords(), SALE_ITEMS: "10000" });
    // The catalogue of ten thousand is made at its first asking.
    await server.client.get("/sales/1/catalogue");
  });
  afterAll(() => server.kill());

  test.each(fast3G)(
    "by %s the drop is painted in time, and stands still until its wall is laid out",
    async (_, network) => {
      const seen: { largest: number; shift: number }[] = [];
      while (seen.length < triesMax && !seen.some(({ largest }) => largest < largestPaintMsMax)) {
        // oxlint-disable-next-line no-await-in-loop
        seen.push(await firstVisit(server, network));
      }
      expect(seen.every(({ largest }) => largest > 0)).toBe(true);
      expect(Math.min(...seen.map(({ largest }) => largest))).toBeLessThan(largestPaintMsMax);
      expect(Math.max(...seen.map(({ shift }) => shift))).toBeLessThan(shiftMax);
    },
  );

  test("a page that opens with something held does not move either", async () => {
    await using visited = await newPage({ viewport: narrow });
    const { page } = visited;
    await page.addInitScript(watchVitals);
    await page.goto(server.url);
    await page.getByRole("button", { name: "Surprise me" }).click();
    await says(page.locator("#bar"), "Held for you");
    for (const path of ["/", "/shop", "/coupons", "/proof", "/account"]) {
      // oxlint-disable-next-line no-await-in-loop
      await page.goto(server.url + path);
      // oxlint-disable-next-line no-await-in-loop
      await says(page.locator("#bar"), "Held for you");
      // oxlint-disable-next-line no-await-in-loop
      await page.waitForLoadState("networkidle", { timeout: 3_000 }).catch(() => undefined);
      const shift = await vital(page, "shift"); // oxlint-disable-line no-await-in-loop
      expect({ path, isStill: shift < shiftMax, shift }).toEqual({ path, isStill: true, shift });
    }
  });
});

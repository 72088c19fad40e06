/**
 * A browser for the tests of the pages. Without a Chromium on the machine they say so in one line
 * and are skipped; where CI is set, they fail.
 */
import { afterAll, beforeAll } from "bun:test";
import {
  type Browser,
  type BrowserContextOptions,
  chromium,
  type Locator,
  type Page,
} from "playwright-core";
import { until, waitMaxMs } from "./wait.ts";

/** The one without a window takes half the processor's time. */
const executablePath = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"]
  .map((name) => Bun.which(name))
  .find((path) => path !== null);
const advice =
  "The browser tests need Chromium: apt-get install chromium-headless-shell, or chromium, or Google Chrome.";

/** For `describe.skipIf`. */
export const noBrowser = executablePath === undefined && process.env["CI"] === undefined;
if (noBrowser) process.stderr.write(`${advice}\n`);

export const narrow = { width: 360, height: 740 };
export const wide = { width: 1440, height: 900 };

let browser: Browser | null = null;

/** To be called in a `describe`: its tests have a browser. */
export function useBrowser(): void {
  beforeAll(async () => {
    if (executablePath === undefined) throw new Error(advice);
    const quiet = ["gpu", "background-networking", "component-update", "sync"];
    browser = await chromium.launch({
      executablePath,
      args: ["--no-sandbox", ...quiet.map((what) => `--disable-${what}`)],
    });
  });
  afterAll(async () => {
    await browser?.close();
    browser = null;
  });
}

export type Visit = {
  readonly page: Page;
  /** What no page may do: errors, and requests to other hosts. */
  readonly wrong: readonly string[];
} & AsyncDisposable;

export type VisitOptions = BrowserContextOptions & {
  /** Runs in the page before its own scripts. */
  readonly before?: () => void;
  /** Statuses that the page takes care of; the browser prints them as errors. */
  readonly refusals?: readonly number[];
};

/** A page of somebody who has never been here, before anything is opened in it. */
export async function newPage(
  options: BrowserContextOptions = {},
): Promise<{ readonly page: Page } & AsyncDisposable> {
  if (browser === null) throw new Error("useBrowser() comes first");
  const context = await browser.newContext({ viewport: wide, reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(waitMaxMs);
  return {
    page,
    [Symbol.asyncDispose]: async () => {
      // What a test answers in the server's place may be under way still, for nobody.
      await page.unrouteAll({ behavior: "ignoreErrors" });
      await context.close();
    },
  };
}

/** Opens a page as somebody who has never been here. */
export async function visit(url: string, options: VisitOptions = {}): Promise<Visit> {
  const { before, refusals = [], ...others } = options;
  const { origin } = new URL(url);
  const made = await newPage(others);
  const { page } = made;
  const wrong: string[] = [];
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("console", (message) => {
    const status = /status of (\d{3})/.exec(message.text())?.[1];
    if (message.type() === "error" && !refusals.includes(Number(status)))
      wrong.push(message.text());
  });
  page.on("request", (request) => {
    const asked = request.url();
    if (!/^(?:data|blob):/.test(asked) && new URL(asked).origin !== origin)
      wrong.push(`asks ${asked}`);
  });
  if (before !== undefined) await page.addInitScript(before);
  await page.goto(url);
  return { ...made, wrong };
}

/**
 * Texts of the page that reach beyond the window and cannot be scrolled to. The page clips what is wider
 * than it, so that its own width says nothing.
 */
export const cutOff = (page: Page): Promise<string[]> =>
  page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>("main *, #bar *")]
      .filter((one) => {
        const { left, right, width } = one.getBoundingClientRect();
        const shows = getComputedStyle(one).overflowX === "visible";
        const end = shows ? Math.max(right, left + one.scrollWidth) : right;
        if (width === 0 || end <= document.documentElement.clientWidth + 1) return false;
        let box: Element = one;
        while (box !== document.body && !/auto|scroll/.test(getComputedStyle(box).overflowX))
          box = box.parentElement ?? document.body;
        return (
          box === document.body && one.closest('.sr, svg, .wall, select, img[alt=""]') === null
        );
      })
      .filter((one) => one.childElementCount === 0)
      .map((one) => `${one.tagName}: ${one.textContent?.slice(0, 20) ?? ""}`),
  );

/** Runs in the page: adds up what moves by itself, in the root's `data-shift`. */
export function watchShifts(): void {
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries())
      if ("value" in entry) {
        const sum = Number(document.documentElement.dataset["shift"] ?? 0);
        document.documentElement.dataset["shift"] = String(sum + Number(entry.value));
      }
  }).observe({ type: "layout-shift", buffered: true });
}

/**
 * Until a page's dialog has left it: one that was closed is no dialog to whoever looks by role, before the
 * page has heard of it, and what is pressed in between opens nothing.
 */
export const untilClosed = (page: Page): Promise<void> =>
  page.locator("dialog").waitFor({ state: "detached" });

/** Waits until a part of the page has these words; returns all that it says. */
export async function says(
  where: Locator,
  what: string | RegExp,
  boundMs?: number,
): Promise<string> {
  let text = "";
  const isSaid = async () => {
    text = (await where.first().textContent()) ?? "";
    return typeof what === "string" ? text.includes(what) : what.test(text);
  };
  const awaited = `${String(where)} saying ${String(what)}`;
  await until(awaited, isSaid, boundMs).catch((error: unknown) => {
    throw new Error(`${String(error)}; it says: ${text}`, { cause: error });
  });
  return text;
}

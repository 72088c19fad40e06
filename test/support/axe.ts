/** A page judged by axe-core, at three widths. */
import { expect } from "bun:test";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { until } from "./wait.ts";

export const widths = [360, 768, 1440];

/** At each width. */
export async function judged(page: Page, every = false): Promise<void> {
  await until("the page's script", () =>
    page.evaluate(() => document.querySelector("#session button[title]") !== null),
  );
  await until("the figures", () =>
    page.evaluate(() => document.querySelector("main .skeleton") === null),
  );
  for (const width of widths) {
    // oxlint-disable-next-line no-await-in-loop
    await page.setViewportSize({ width, height: 900 });
    // oxlint-disable-next-line no-await-in-loop
    expect({ width, found: await judgment(page, every) }).toEqual({ width, found: [] });
  }
}

/**
 * What is wrong with a page as it is now.
 * @param every whether all rules are asked in the dark theme, too: there, contrast alone is another
 */
export async function judgment(page: Page, every = false): Promise<object[]> {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe.source);
  const isDark = await page.evaluate(() => matchMedia("(prefers-color-scheme: dark)").matches);
  const rules = isDark && !every ? { runOnly: ["cat.color"] } : {};
  // What passes is not described, which is most of the work.
  const options = { ...rules, resultTypes: ["violations" as const] };
  const { violations } = await page.evaluate(async (asked) => await window.axe.run(asked), options);
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, failureSummary }) => ({ id, help, target, failureSummary })),
  );
}

declare global {
  interface Window {
    readonly axe: typeof axe;
  }
}

/** Finding what can be bought: on a wall of which most is taken, beside the field, by price, by address. */
import { beforeAll, describe, expect, test } from "bun:test";
import type { Page } from "playwright-core";
import { z } from "zod";
import { narrow, noBrowser, says, useBrowser, visit, wide } from "../support/browser.ts";
import { usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

const postgres = usePostgres();

const freeFoxes = 3;
const catalogueShape = z.object({ names: z.array(z.string()), price_cents: z.array(z.int()) });

let server: TestServer;
let foxes: { id: number; cents: number }[] = [];

const free = () => foxes.slice(-freeFoxes);
const found = (page: Page) => page.locator(".found .pick");
const numbersOf = async (page: Page): Promise<number[]> =>
  (await found(page).locator("p").allTextContents()).map((text) =>
    Number(/No\. ([\d,]+)/.exec(text)?.[1]?.replace(",", "")),
  );

describe.skipIf(noBrowser)("the search", () => {
  useBrowser();
  beforeAll(async () => {
    server = await startServer({
      DATABASE_URL: await postgres.newRecords(),
      SALE_ITEMS: "1500",
      SALE_PER_USER_LIMIT: "1500",
      RESERVATION_TTL_MS: "3600000",
    });
    const answer = await server.client.get("/sales/1/catalogue");
    const { names, price_cents } = catalogueShape.parse(answer.json());
    foxes = names.flatMap((name, i) =>
      name.toLowerCase().includes("fox") ? [{ id: i + 1, cents: price_cents[i] ?? 0 }] : [],
    );
    expect(foxes.length).toBeGreaterThan(20);
    // The last ones are free.
    await Promise.all(
      foxes.slice(0, -freeFoxes).map(({ id }) => server.client.reserve("somebody", id)),
    );
  });

  test("tells how many there are and how many are free, these first; only those; by price", async () => {
    await using visited = await visit(server.url);
    const { page, wrong } = visited;
    await page.getByLabel("Find an animal").fill("fox");
    await says(page.locator(".found-count"), `“fox”: ${foxes.length}, ${freeFoxes} free.`);
    expect((await numbersOf(page)).slice(0, freeFoxes)).toEqual(free().map(({ id }) => id));
    expect(await found(page).count()).toBe(12);
    await page.getByRole("button", { name: /^Show more/ }).click();
    await until("more of them", async () => (await found(page).count()) > 12);

    await page.getByLabel("Only free").check();
    await until("the free ones alone", async () => (await found(page).count()) === freeFoxes);
    await page.getByLabel("Order").selectOption({ label: "Dearest first" });
    const dear = free().toSorted((a, b) => b.cents - a.cents || a.id - b.id);
    await until("the dearest first", async () =>
      Bun.deepEquals(
        await numbersOf(page),
        dear.map(({ id }) => id),
      ),
    );
    await page.getByLabel("Order").selectOption({ label: "Cheapest first" });
    const cheap = free().toSorted((a, b) => a.cents - b.cents || a.id - b.id);
    await until("the cheapest first", async () =>
      Bun.deepEquals(
        await numbersOf(page),
        cheap.map(({ id }) => id),
      ),
    );

    // The address has it, and a reload.
    expect(new URL(page.url()).search).toBe("?q=fox&free=1&order=cheap");
    await page.reload();
    await until("the same again", async () =>
      Bun.deepEquals(
        await numbersOf(page),
        cheap.map(({ id }) => id),
      ),
    );
    expect(await page.getByLabel("Find an animal").inputValue()).toBe("fox");
    await page.getByLabel("Find an animal").fill("no such beast");
    await says(page.locator(".found-count"), "none in this sale");
    expect(wrong).toEqual([]);
  });

  test("Enter goes to the first, which the sheet shows; held down, it takes nothing", async () => {
    await using visited = await visit(server.url);
    const { page } = visited;
    await page.getByLabel("Find an animal").fill("fox");
    await says(page.locator(".found-count"), "3 free");
    await page.getByLabel("Find an animal").press("Enter");
    await says(page.locator(".inspector"), `No. ${free()[0]?.id.toLocaleString("en")} `);
    const focused = () => page.evaluate(() => document.activeElement?.textContent ?? "");
    expect(await focused()).toBe((await found(page).first().locator("h3").textContent()) ?? "-");
    for (let i = 0; i < 5; i++) {
      // oxlint-disable-next-line no-await-in-loop
      await page.keyboard.down("Enter");
    }
    await page.keyboard.up("Enter");
    expect(await page.locator("#mine-title + p").textContent()).toContain("0 reserved");
  });

  test.each([narrow, { width: 390, height: 844 }, wide])(
    "what fits stands beside the field as one types, at $width px",
    async (viewport) => {
      await using visited = await visit(server.url, { viewport });
      const { page } = visited;
      await until("the wall", async () => (await page.locator(".picks .pick h3").count()) > 0);
      const field = page.getByLabel("Find an animal");
      await field.click();
      await page.keyboard.type("fox");
      await says(page.locator(".found-count"), "3 free");
      const reserve = found(page)
        .first()
        .getByRole("button", { name: /^Reserve/ });
      await until("the first one, in sight with the field", async () => {
        const [button, input] = [await reserve.boundingBox(), await field.boundingBox()];
        return (
          button !== null &&
          input !== null &&
          input.y >= 0 &&
          button.y > input.y &&
          button.y + button.height <= viewport.height
        );
      });
    },
  );

  test("what one holds is not shown as taken, and stays in its place", async () => {
    await using visited = await visit(`${server.url}/?q=fox`);
    const { page } = visited;
    await says(page.locator(".found-count"), "3 free");
    await found(page)
      .first()
      .getByRole("button", { name: /^Reserve/ })
      .click();
    await says(found(page).first(), "Held for you");
    await says(page.locator(".found-count"), "2 free");
    const [first] = await numbersOf(page);
    expect(first).toBe(free()[0]?.id ?? 0);
    expect(await found(page).first().getAttribute("data-taken")).toBeNull();
    expect(await found(page).first().getAttribute("data-mine")).toBe("held");
    await page
      .locator("#bar")
      .getByRole("button", { name: /^Give back/ })
      .click();
    await says(page.locator(".found-count"), "3 free");
  });

  test("Surprise me is a surprise: not the lowest number twice", async () => {
    const numbers = new Set<string>();
    await using visited = await visit(server.url);
    const { page } = visited;
    for (let i = 1; i <= 3; i++) {
      // oxlint-disable-next-line no-await-in-loop
      await page.getByRole("button", { name: "Surprise me" }).click();
      // oxlint-disable-next-line no-await-in-loop
      await says(page.locator("#mine-title + p"), `${i} reserved`);
      // oxlint-disable-next-line no-await-in-loop
      numbers.add(
        /No\. ([\d,]+)/.exec((await page.locator(".inspector").textContent()) ?? "")?.[1] ?? "",
      );
    }
    expect(numbers.size).toBe(3);
    expect([...numbers].toSorted()).not.toEqual(["1", "2", "3"]);
  });
});

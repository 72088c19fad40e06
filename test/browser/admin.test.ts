/**
 * The administrators' pages: usable at every width, with what was typed kept, times with their zone,
 * names in the tables, search by beginnings, and a word of who is logged in.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { namesMax } from "../../src/http/admin/names.ts";
import { cutOff, narrow, noBrowser, says, untilClosed, useBrowser } from "../support/browser.ts";
import { usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import {
  makeAdmin,
  type Member,
  newProduct,
  newSale,
  register,
  visitAs,
} from "../support/visitors.ts";
import { until } from "../support/wait.ts";

const postgres = usePostgres();

/** What a server of the tests has without being told. */
const itemsOfDrop = 20;

const parts = [
  "live",
  "orders",
  "products",
  "sales",
  "customers",
  "coupons",
  "webhooks",
  "activity",
  "keys",
  "attempts",
  "nodes",
] as const;

/** 720 px is a window of 1440 at 200 %. */
const widths = [360, 700, 720, 768, 899, 1024, 1440];

describe.skipIf(noBrowser)("the administrators' pages", () => {
  useBrowser();
  let server: TestServer;
  let admin: Member;
  beforeAll(async () => {
    const env = { DATABASE_URL: await postgres.newRecords() };
    server = await startServer(env);
    admin = await makeAdmin(server, env);
    const product = await newProduct(
      admin,
      "A tin giraffe with a rather long name, to be wound up",
    );
    const sale = await newSale(admin, product, { title: "The giraffe hour" });
    await newSale(admin, product, {
      title: "Giraffes at night",
      startsIn: 7_200_000,
      endsIn: 9_000_000,
    });
    const long = "a_name_without_any_place_to_break_it_that_does_not_fit_a_phone";
    await register(server, long);
    await newSale(admin, await newProduct(admin, long), { title: long });
    await newSale(admin, product, { title: "The giraffe day", endsIn: 86_400_000 });
    const anna = await register(server, "annabelle");
    await anna.ask("POST", `/checkout?sale_id=${sale}&id=1`);
    await server.client.reserveAndBuy("guest-with-a-name-of-some-length", 1);
  });
  afterAll(() => server.kill());

  test.each(parts)(
    "in the part %s every button is in sight or can be scrolled to at each width, and the page is not too wide",
    async (part) => {
      await using visited = await visitAs(server, "root", `/admin#${part}`);
      const { page } = visited;
      await until("the part", () =>
        page.evaluate(() => document.querySelector("main .skeleton, main .blanks") === null),
      );
      for (const width of widths) {
        // oxlint-disable-next-line no-await-in-loop
        await page.setViewportSize({ width, height: 900 });
        // oxlint-disable-next-line no-await-in-loop
        const found = await page.evaluate(() => {
          const outside = [...document.querySelectorAll("main button, main a, main input")]
            .filter((one) => {
              const { left, right, width: wide } = one.getBoundingClientRect();
              const scrolls = one.closest(".table-box, .tabs");
              const box = scrolls?.getBoundingClientRect();
              const isReached = box !== undefined && box.right <= innerWidth + 1;
              return wide > 0 && (left < -1 || right > innerWidth + 1) && !isReached;
            })
            .map((one) => one.textContent ?? "");
          // Where rows are cards there is nothing beside them to scroll to.
          const scrolling = [...document.querySelectorAll(".table-box")].filter(
            (box) => innerWidth <= 900 && box.scrollWidth > box.clientWidth,
          );
          return { outside, scrolling: scrolling.length };
        });
        const cut = await cutOff(page); // oxlint-disable-line no-await-in-loop
        expect({ width, cut, ...found }).toEqual({ width, cut: [], outside: [], scrolling: 0 });
        // oxlint-disable-next-line no-await-in-loop
        await says(page.locator(".top"), "Logged in as root");
        expect(await page.locator(".who").isVisible()).toBe(true); // oxlint-disable-line no-await-in-loop
      }
      expect(visited.wrong).toEqual([]);
    },
  );

  test("what was typed is kept: by a click beside, by Escape, by a reload; and can be begun anew", async () => {
    await using visited = await visitAs(server, "root", "/admin#sales", { viewport: narrow });
    const { page } = visited;
    const open = () => page.getByRole("button", { name: "New sale" }).click();
    const sheet = page.getByRole("dialog");
    await open();
    await sheet.getByLabel("Title").fill("Half a sale");
    await sheet.getByRole("button", { name: "Add a product" }).click();
    await sheet.getByLabel("Stock").nth(1).fill("77");
    await page.mouse.click(3, 3);
    expect(await sheet.getByLabel("Title").inputValue()).toBe("Half a sale");
    await page.keyboard.press("Escape");
    await untilClosed(page);
    await page.reload();
    await open();
    await says(sheet, "what you typed before");
    expect(await sheet.getByLabel("Title").inputValue()).toBe("Half a sale");
    expect(await sheet.getByLabel("Stock").nth(1).inputValue()).toBe("77");
    await sheet.getByRole("button", { name: "Start over" }).click();
    expect(await sheet.getByLabel("Title").inputValue()).toBe("");
    expect(await sheet.getByLabel("Stock").count()).toBe(1);
    await sheet.getByRole("button", { name: "Close" }).click();
    await open();
    expect(await sheet.textContent()).not.toContain("what you typed before");
  });

  test("what is wrong is said as to a person, and times have their zone", async () => {
    await using visited = await visitAs(server, "root", "/admin#sales", {
      timezoneId: "Asia/Kathmandu",
      refusals: [400],
    });
    const { page } = visited;
    const row = page.getByRole("row", { name: /The giraffe hour/ });
    await says(row, "GMT+5:45");
    await page.getByRole("button", { name: "New sale" }).click();
    const sheet = page.getByRole("dialog");
    await says(sheet, /Asia\/Kath?mandu, GMT\+5:45/);
    await sheet.getByLabel("Title").fill("Yesterday's sale");
    await sheet.getByLabel("Opens").fill("2020-01-01T12:00");
    await sheet.getByRole("button", { name: "Announce" }).click();
    await says(sheet.getByRole("alert").last(), "It cannot open in the past");
    // The server's own words, should the page not know better.
    const refused = JSON.stringify({
      code: "invalid_request",
      detail: "starts_at is more than a minute ago",
    });
    await page.route("**/api/admin/flash-sales", (route) =>
      route.fulfill({ status: 400, contentType: "application/problem+json", body: refused }),
    );
    await sheet.getByLabel("Opens").fill("2090-01-01T12:00");
    await sheet.getByLabel("Closes").fill("2090-01-01T13:00");
    await sheet.getByLabel("Product").selectOption({ index: 1 });
    await sheet.getByLabel("Stock").fill("1");
    await sheet.getByRole("button", { name: "Announce" }).click();
    await says(sheet.getByRole("alert").last(), "The opening is more than a minute ago.");
  });

  test("names are told of as many items as are asked for at most, and of those that there are", async () => {
    const ask = async (pairs: number) => {
      const of = Array.from({ length: pairs }, (_, i) => `1:${i + 1}`).join();
      const answer = await admin.ask("GET", `/api/admin/names?of=${of}`);
      return {
        status: answer.status,
        told: ((await answer.text()).match(/"item":/g) ?? []).length,
      };
    };
    expect(await ask(namesMax)).toEqual({ status: 200, told: itemsOfDrop });
    expect(await ask(namesMax + 1)).toMatchObject({ status: 400 });
    expect((await admin.ask("GET", "/api/admin/names?of=1:x")).status).toBe(400);
    expect((await fetch(`${server.url}/api/admin/names?of=1:1`)).status).toBe(401);
  });

  test("tables name items, sales and people, who are found by their beginning", async () => {
    await using visited = await visitAs(server, "root", "/admin#attempts");
    const { page } = visited;
    const table = page.getByRole("table");
    await says(table, "A tin giraffe with a rather long name, to be wound up (The giraffe hour)");
    await page.getByLabel("User, or its beginning").fill("annab");
    await page.getByRole("button", { name: "Search" }).click();
    await until("annabelle's alone", async () => (await table.locator("tbody tr").count()) === 1);
    await says(table, "annabelle");
    expect(await table.textContent()).not.toContain("guest-with-a-name");
    await page.goto(`${server.url}/admin#customers`);
    await page.getByLabel("Find an account").fill("annab");
    await page.getByRole("button", { name: "Find" }).click();
    await until("annabelle alone", async () => (await table.locator("tbody tr").count()) === 1);
  });
});

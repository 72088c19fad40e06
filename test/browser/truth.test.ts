/**
 * States that tell the truth: when the visitor's clock is wrong, when something changes elsewhere, when
 * a limit is reached and freed, when the connection or the session is lost, and without JavaScript.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Page } from "playwright-core";
import { z } from "zod";
import { newPage, noBrowser, says, useBrowser, visit } from "../support/browser.ts";
import { pageItemsMax } from "../../src/http/shop/shop.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import {
  logIn,
  makeAdmin,
  type Member,
  newProduct,
  newSale,
  register,
  visitAs,
} from "../support/visitors.ts";
import { inTurn, until } from "../support/wait.ts";

const postgres = usePostgres();

/** Runs in the page: the visitor's clock is 75 minutes fast. */
function fastClock(): void {
  const aheadMs = 75 * 60_000;
  const real = Date.now.bind(Date);
  Date.now = () => real() + aheadMs;
}
/** Runs in the page: the visitor's clock is 40 minutes slow. */
function slowClock(): void {
  const behindMs = 40 * 60_000;
  const real = Date.now.bind(Date);
  Date.now = () => real() - behindMs;
}

const barOf = (page: Page) => page.getByRole("region", { name: "What you hold" });
const counterOf = (page: Page) => page.getByRole("region", { name: "Buy" });

describe.skipIf(noBrowser)("the truth", () => {
  useBrowser();
  let server: TestServer;
  let admin: Member;
  beforeAll(async () => {
    const env = { DATABASE_URL: await postgres.newRecords(), SALE_PER_USER_LIMIT: "2" };
    server = await startServer(env);
    admin = await makeAdmin(server, env);
  });
  afterAll(() => server.kill());

  test.each([
    ["75 minutes fast", fastClock],
    ["40 minutes slow", slowClock],
  ])(
    "a clock that is %s changes nothing: two minutes are two, and a reload forgets no hold",
    async (_, before) => {
      await using visited = await visit(server.url, { before });
      const { page, wrong } = visited;
      await page.getByRole("button", { name: "Surprise me" }).click();
      await says(barOf(page).getByRole("img"), /(?:2:00|1:5\d)/);
      await page.reload();
      await says(barOf(page), "Held for you");
      await says(barOf(page).getByRole("img"), /(?:2:00|1:[45]\d)/);
      await barOf(page).getByRole("button", { name: /^Buy/ }).click();
      await says(barOf(page), "is yours.");
      await page.reload();
      await says(page.locator("#mine-title + p"), "0 reserved, 1 bought");
      expect(wrong).toEqual([]);
    },
  );

  test("the shop's counter too: reserved under a wrong clock, shown and bought", async () => {
    await register(server, "wanda");
    const product = await newProduct(admin, "Tin whale");
    await newSale(admin, product);
    await using visited = await visitAs(server, "wanda", `/product?id=${product}`, {
      before: fastClock,
    });
    const { page } = visited;
    await page.getByRole("button", { name: /^Reserve one/ }).click();
    await says(counterOf(page), "Held for you");
    await page.reload();
    await says(counterOf(page), "Held for you");
    await counterOf(page)
      .getByRole("button", { name: /^Buy \$12\.50/ })
      .click();
    await says(counterOf(page), "It is yours.");
  });

  test("a limit says what fills it, and is gone when that is, on another device too", async () => {
    await register(server, "anna");
    const product = await newProduct(admin, "Tin giraffe");
    await newSale(admin, product, { limit: 1 });
    await using phone = await visitAs(server, "anna", `/product?id=${product}`);
    await using laptop = await visitAs(server, "anna", `/product?id=${product}`);
    await phone.page.getByRole("button", { name: /^Reserve one/ }).click();
    await says(counterOf(laptop.page), "Held for you");
    await until(
      "no second one to reserve",
      async () => (await laptop.page.getByRole("button", { name: /^Reserve one/ }).count()) === 0,
    );
    await barOf(phone.page)
      .getByRole("button", { name: /^Give back/ })
      .click();
    await laptop.page.getByRole("button", { name: /^Reserve one/ }).waitFor();

    // On the drop: two held is the limit, with words why, and where.
    await using drop = await visitAs(server, "anna", "/");
    for (const n of [1, 2]) {
      // oxlint-disable-next-line no-await-in-loop
      await drop.page.getByRole("button", { name: "Surprise me" }).click();
      // oxlint-disable-next-line no-await-in-loop
      await says(drop.page.locator("#mine-title + p"), `${n} reserved`);
    }
    const why = "0 bought, 2 held and not paid yet; 2 is the most one person may have";
    await says(drop.page.locator(".hero-state"), why);
    expect(await drop.page.locator(".take-any").getAttribute("title")).toContain(why);
    // A button that is off says why when it is pressed all the same.
    await drop.page.getByRole("button", { name: "Surprise me" }).click({ force: true });
    await says(barOf(drop.page), why);
    await barOf(drop.page)
      .getByRole("button", { name: /^Buy all / })
      .click();
    await says(drop.page.locator(".hero-state"), "2 bought; 2 is the most");
  });

  test("a sale that is moved, extended, closed or over is said to be, on a page that stays open", async () => {
    await register(server, "berta");
    const product = await newProduct(admin, "Paper kite");
    const sale = await newSale(admin, product, {
      title: "Kites",
      startsIn: 3_600_000,
      endsIn: 7_200_000,
    });
    await using visited = await visitAs(server, "berta", `/product?id=${product}`);
    await using shop = await visit(`${server.url}/shop`);
    const { page } = visited;
    const counter = counterOf(page);
    await says(counter, "Opens in");
    const change = async (body: object) => {
      const answer = await admin.ask("PATCH", `/api/admin/flash-sales/${sale}`, body);
      expect({ status: answer.status, text: await answer.text() }).toMatchObject({ status: 200 });
    };
    // It opens at once, and will close in less than a minute.
    await change({
      starts_at: new Date(Date.now() - 1_000).toISOString(),
      ends_at: new Date(Date.now() + 50_000).toISOString(),
    });
    await says(counter, "Closes in");
    await says(shop.page.getByRole("main"), "Kites");
    await change({ ends_at: new Date(Date.now() + 110_000).toISOString() });
    await says(counter.getByRole("timer"), /1:[0-5]\d/);
    await page.getByRole("button", { name: /^Reserve one/ }).click();
    await says(counter, "Held for you");
    const closed = await admin.ask("POST", `/api/admin/flash-sales/${sale}/close`);
    expect(closed.status).toBe(200);
    await says(counter, "This sale is over.");
    await says(barOf(page), "The sale has ended, and your hold on Paper kite with it.");
    await until(
      "the shop without it",
      async () => (await shop.page.locator(".stage h1").textContent()) !== "Kites",
    );
    // The next one is announced while the page believes that all is over.
    await newSale(admin, product, { title: "More kites" });
    await says(counter, "More kites");
    await page.getByRole("button", { name: /^Buy for/ }).waitFor();
  });

  test("in two sales at once, the one that was chosen in the shop is the one that is bought from", async () => {
    const bell = await newProduct(admin, "Bell");
    const [plain, later] = [
      await newSale(admin, bell, { title: "Bells" }),
      await newSale(admin, bell, { title: "Bells again", startsIn: -1, endsIn: 7_200_000 }),
    ];
    await using visited = await visitAs(server, "berta", "/shop");
    const { page, wrong } = visited;
    const chosen = [
      { id: plain, words: /Bells(?! again)/ },
      { id: later, words: /Bells again/ },
    ];
    await inTurn(chosen, async ({ id, words }) => {
      await page.goto(`${server.url}/shop`);
      await page.locator(`a[href="/product?id=${bell}&sale=${id}"]`).first().click();
      await says(counterOf(page), words);
    });
    expect(wrong).toEqual([]);
  });

  test("a sale that is taken back, or that a product is taken out of, is said to be, and offers nothing", async () => {
    const kite = await newProduct(admin, "Blue kite");
    const lamp = await newProduct(admin, "Blue lamp");
    const coming = { startsIn: 3_600_000, endsIn: 7_200_000 };
    const sale = await newSale(admin, kite, coming);
    await using taken = await visit(`${server.url}/product?id=${kite}`);
    await says(counterOf(taken.page), "Not open yet");
    const items = [{ product_id: lamp, stock: 1, price_cents: 100 }];
    const changed = await admin.ask("PATCH", `/api/admin/flash-sales/${sale}`, { items });
    expect(changed.status).toBe(200);
    const words = "has been taken back, or this was taken out of it";
    await says(counterOf(taken.page), words);
    expect(await counterOf(taken.page).getByRole("button").count()).toBe(0);
    expect(taken.wrong).toEqual([]);

    // As the server answers once there is no such sale any more.
    await using gone = await visit(`${server.url}/product?id=${lamp}`, { refusals: [404] });
    const { page } = gone;
    await says(counterOf(page), "Not open yet");
    await page.route(`**/api/products/${lamp}`, async (route) => {
      const answer = await route.fetch();
      const product: object = z.looseObject({}).parse(await answer.json());
      await route.fulfill({ response: answer, json: { ...product, flash_sale: null } });
    });
    const problem = { status: 404, code: "sale_not_found", detail: "There is no such sale" };
    await page.route(`**/api/flash-sales/${sale}`, (route) =>
      route.fulfill({ status: 404, json: problem }),
    );
    await says(counterOf(page), words);
    expect(await counterOf(page).getByRole("button").count()).toBe(0);
  });

  test("a sold-out drop says when the next herd comes, and offers nothing", async () => {
    await using small = await startServer({
      DATABASE_URL: await postgres.newRecords(),
      SALE_ITEMS: "1",
    });
    await using visited = await visit(small.url);
    const { page } = visited;
    // The schedule of the tests lets one be open for a year: what is said is the sale's own.
    await says(page.locator(".hero-state"), /^One only, on sale for 36[56] days/);
    expect(await page.locator("main").innerText()).not.toMatch(/hour|10,000/i);
    await says(page.locator(".hero-tries"), "0 tries");
    await small.client.reserveAndBuy("somebody", 1);
    const main = page.getByRole("main");
    await says(page.locator(".hero-state"), /Sold out.*The next herd comes on \w/);
    await says(page.locator(".inspector"), /All gone.*The next herd comes on \w/);
    expect(await main.getByText("Free at this moment").count()).toBe(0);
    await says(page.locator(".hero-tries"), "2 tries");
  });

  test("the shop's front has every open sale, also where they have more items than fit an answer", async () => {
    const url = await postgres.newRecords();
    const env = { DATABASE_URL: url };
    await using small = await startServer(env);
    const boss = await makeAdmin(small, env);
    const many = 1 + pageItemsMax / 2;
    const made = await lookInto(url)<{ id: number }[]>`
      insert into products (name, description, picture_seed, price_cents)
      select 'Tin herring', '', n::text, 100 from generate_series(1, ${many}::int) n returning id`;
    const announce = async (title: string) => {
      const answer = await boss.ask("POST", "/api/admin/flash-sales", {
        title,
        starts_at: new Date(Date.now()).toISOString(),
        ends_at: new Date(Date.now() + 3_600_000).toISOString(),
        items: made.map(({ id }) => ({ product_id: id, stock: 1, price_cents: 50 })),
      });
      expect(answer.status).toBe(201);
    };
    await announce("The first shoal");
    await announce("The second shoal");
    await using visited = await visit(`${small.url}/shop`);
    const main = visited.page.getByRole("main");
    await says(main, "The first shoal");
    await says(main, "The second shoal");
    expect(visited.wrong).toEqual([]);
  });

  test("what was taken back fills no limit, and is nobody's; a drop of which nothing is left is over", async () => {
    const env = {
      DATABASE_URL: await postgres.newRecords(),
      SALE_ITEMS: "1",
      SALE_PER_USER_LIMIT: "1",
    };
    await using small = await startServer(env);
    const boss = await makeAdmin(small, env);
    const emil = await register(small, "emil");
    const refunded = z.object({ order_id: z.string() });
    const takeBack = async (answer: Response, restock: boolean) => {
      const { order_id } = refunded.parse(await answer.json());
      const path = `/api/admin/orders/${order_id}/refund`;
      expect((await boss.ask("POST", path, { restock })).status).toBe(200);
    };
    const product = await newProduct(boss, "Tin otter");
    const sale = await newSale(boss, product, { limit: 1, stock: 1 });
    const order = { flash_sale_id: sale, product_id: product, quantity: 1 };
    await takeBack(await emil.ask("POST", "/api/purchases", order), true);
    await using visited = await visitAs(small, "emil", `/product?id=${product}`);
    const { page } = visited;
    await page.getByRole("button", { name: /^Reserve one/ }).waitFor();
    expect(await counterOf(page).innerText()).not.toContain("It is yours");
    await takeBack(await emil.ask("POST", "/api/purchases", order), false);
    await says(counterOf(page), "Sold out: every one is gone.");

    const drop = z.object({ code: z.string() });
    const buy = async () => {
      const { code } = drop.parse(await (await emil.ask("POST", "/checkout?id=1")).json());
      return await emil.ask("POST", `/purchase?code=${code}`);
    };
    await takeBack(await buy(), true);
    await page.goto(small.url);
    await says(page.locator("#mine-title + p"), "0 reserved, 0 bought");
    await says(page.locator(".hero-state"), "One only");
    await takeBack(await buy(), false);
    await says(page.locator(".hero-state"), "Sold out");
    expect(visited.wrong).toEqual([]);
  });

  test("an account that is disabled is told so, at once where it acts", async () => {
    const carla = await register(server, "carla");
    await using visited = await visitAs(server, "carla", "/");
    const { page } = visited;
    const me = await carla.ask("GET", "/api/auth/me");
    const found = /"id":(\d+)/.exec(await me.text())?.[1];
    const done = await admin.ask("PATCH", `/api/admin/users/${found}`, { disabled: true });
    expect(done.status).toBe(200);
    await says(page.locator("#notices"), "carla is not logged in any more");
    await page.getByRole("link", { name: "Log in" }).waitFor();
    // As a guest the page goes on: the dead session's cookie is in nobody's way.
    await page.getByRole("button", { name: "Surprise me" }).click();
    await says(barOf(page), "Held for you");
  });

  test("who logs in or out in one tab has done so in the others", async () => {
    await register(server, "dora");
    await using visited = await visit(server.url, { refusals: [401] });
    const { page } = visited;
    const tab = await page.context().newPage();
    await logIn(tab, server, "dora", "/shop");
    await page.getByRole("button", { name: "Log out dora" }).waitFor();
    await tab.getByRole("button", { name: "Log out dora" }).click();
    await page.getByRole("link", { name: "Log in" }).waitFor();
  });

  test("without a connection the time of a hold is said to run on", async () => {
    await using visited = await visit(server.url);
    const { page } = visited;
    await page.getByRole("button", { name: "Surprise me" }).click();
    await says(barOf(page), "Held for you");
    await page.context().setOffline(true);
    const lost = page.locator(".hero-lost");
    await page.getByRole("button", { name: "Surprise me" }).click();
    await says(lost, /Connection lost; .*The time of what you hold runs on: .* ends in 1:\d\d/);
    expect(await lost.textContent()).not.toContain("stays yours");
    // A picture that cannot come leaves its place empty until it can.
    const picture = page.locator(".inspector .picture");
    const source = () => picture.getAttribute("src");
    const wall = page.locator(".wall canvas").first();
    await wall.press("End");
    await until("an empty place", async () => {
      if ((await source())?.startsWith("data:") === true) return true;
      // Some were shown before, and are there without a connection.
      await wall.press("ArrowLeft");
      return false;
    });
    await page.context().setOffline(false);
    await until("the picture", async () => (await source())?.endsWith("/image.svg") ?? false);
  });

  test("after too many tries to log in it says how long to wait", async () => {
    await register(server, "elsa");
    await using visited = await visit(`${server.url}/login`, { refusals: [401, 429] });
    const { page } = visited;
    await page.getByLabel("User name").fill("elsa");
    const submit = page.locator(".enter-form").getByRole("button");
    for (let i = 0; i < 30 && (await page.locator(".enter-wait").count()) === 0; i++) {
      // oxlint-disable-next-line no-await-in-loop
      await page.getByLabel("Password").fill(`wrong ${i} password`);
      // oxlint-disable-next-line no-await-in-loop
      await submit.click({ timeout: 2_000 }).catch(() => undefined);
      // oxlint-disable-next-line no-await-in-loop
      await until("an answer", async () => (await submit.getAttribute("aria-busy")) === null);
    }
    await says(page.locator(".enter-wait"), /Try again in \d+:\d\d\./);
    expect(await submit.getAttribute("aria-disabled")).toBe("true");
  });

  test("without JavaScript a page says what it needs, and waits for nothing", async () => {
    await using made = await newPage({ javaScriptEnabled: false });
    const { page } = made;
    for (const path of ["/", "/shop", "/proof", "/coupons", "/account", "/login"]) {
      // oxlint-disable-next-line no-await-in-loop
      await page.goto(server.url + path);
      // oxlint-disable-next-line no-await-in-loop
      await says(page.locator(".no-script"), "needs JavaScript");
      // oxlint-disable-next-line no-await-in-loop
      const seen = await page.locator("body").innerText();
      expect({ path, asks: /Asking|Counting/.test(seen) }).toEqual({ path, asks: false });
    }
  });
});

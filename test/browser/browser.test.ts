/**
 * What people live through in front of a page, from beginning to end, against the program itself:
 * a reservation that runs out, a race for the last one, a sale from the administrator's form to
 * the buyer's history, and a server that dies under an open page.
 */
import { describe, expect, test } from "bun:test";
import type { Locator, Page } from "playwright-core";
import { noBrowser, says, useBrowser, visit } from "../support/browser.ts";
import { accepted, audit, reservation } from "../support/contract.ts";
import { freePort } from "../support/leftovers.ts";
import { usePostgres } from "../support/postgres.ts";
import { runProgram, startServer, type TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

const postgres = usePostgres();

const password = "a good password";

/** The parts of the drop's page. */
const dropOf = (page: Page) => ({
  wall: page.getByRole("application", { name: /^The wall/ }),
  picked: page.getByRole("region", { name: "The picked item" }),
  mine: page.getByRole("region", { name: "Yours in this drop" }),
  /** What is held, and what came of the last act. */
  bar: page.getByRole("region", { name: "What you hold" }),
  any: page.getByRole("button", { name: "Surprise me" }),
  /** Where the sale stands. */
  standing: page.getByRole("main").getByRole("status").first(),
  lost: page.getByRole("main").getByRole("alert").first(),
  /** Whether the page is live, in its header. */
  line: page.getByRole("banner").getByRole("status"),
});
type Drop = ReturnType<typeof dropOf>;

const button = (where: Locator, name: RegExp): Locator => where.getByRole("button", { name });

/** Picks an item on the wall by keys, once the tiles lie by number. */
async function pick(page: Page, drop: Drop, id: number): Promise<void> {
  const byColour = page.getByRole("button", { name: "Lay out by number" });
  const byNumber = page.getByRole("button", { name: "Lay out by colour" });
  await byColour.or(byNumber).waitFor();
  if (await byColour.isVisible()) await byColour.click();
  await byNumber.waitFor();
  await drop.wall.press("Home");
  for (let at = 1; at < id; at++) await drop.wall.press("ArrowRight");
  await says(drop.picked, `No. ${id} `);
}

async function proves(server: TestServer, sold: number): Promise<void> {
  const proof = accepted(await server.client.get("/sales/1/audit"), audit);
  expect(proof).toMatchObject({ ok: true, sold });
}

/** Holds these pages' checkouts back until each has sent one, so that they arrive together. */
async function race(pages: readonly Page[]): Promise<void> {
  const gate = Promise.withResolvers<void>();
  let waiting = 0;
  await Promise.all(
    pages.map((page) =>
      page.route(/\/checkout\?/, async (route) => {
        waiting += 1;
        if (waiting === pages.length) gate.resolve();
        await gate.promise;
        await route.continue();
      }),
    ),
  );
}

/** Far from UTC, and not by full hours: a form that forgets the visitor's zone is found out. */
const kathmandu = { timezoneId: "Asia/Kathmandu", aheadMs: 20_700_000 };

/** A moment as the administrator's browser takes it: with seconds, which the picker leaves out. */
const localTime = (at: number): string =>
  new Date(at + kathmandu.aheadMs).toISOString().slice(0, 19);

/** Fills in the form for who comes in. */
async function enter(page: Page, username: string): Promise<void> {
  await page.getByLabel("User name").fill(username);
  await page.getByLabel("Password").fill(password);
  await page.getByLabel("Password").press("Enter");
}

describe.skipIf(noBrowser)("in front of a page", () => {
  useBrowser();

  test("a reservation that runs out is said to have, and the item is there to be had again", async () => {
    await using server = await startServer({
      DATABASE_URL: await postgres.newRecords(),
      RESERVATION_TTL_MS: "5000",
    });
    await using anna = await visit(server.url);
    await using berta = await visit(server.url);
    const [annas, bertas] = [dropOf(anna.page), dropOf(berta.page)];
    await pick(anna.page, annas, 3);
    await pick(berta.page, bertas, 3);
    await says(bertas.picked, "free");

    await annas.wall.press("Enter");
    await says(annas.picked, "held for you");
    await says(annas.mine, "1 reserved, 0 bought");
    await says(bertas.picked, "taken");

    await says(annas.bar, "has run out");
    await says(annas.mine, "0 reserved, 0 bought");
    await says(annas.picked, "has run out");
    await says(bertas.picked, "free");

    await button(annas.bar, /^Dismiss/).click();
    await until("the bar, empty", async () => (await annas.bar.boundingBox())?.height === 0);
    await button(annas.picked, /^Reserve/).click();
    await says(annas.mine, "1 reserved, 0 bought");
    // On a slow machine it may have run out again, and can be bought all the same.
    await button(annas.bar, /^(Buy|Try to buy) /).click();
    await says(annas.mine, "0 reserved, 1 bought");
    await says(annas.picked, "yours");
    await says(annas.bar, /is yours\. Order \d+\./);
    await says(bertas.picked, "taken");
    await anna.page.reload();
    await says(annas.mine, "0 reserved, 1 bought");
    await proves(server, 1);
    expect([...anna.wrong, ...berta.wrong]).toEqual([]);
  });

  test("whoever was quicker after a reservation ran out has it, and the page says so", async () => {
    await using server = await startServer({
      DATABASE_URL: await postgres.newRecords(),
      RESERVATION_TTL_MS: "2000",
    });
    await using anna = await visit(server.url, { refusals: [410] });
    const drop = dropOf(anna.page);
    await pick(anna.page, drop, 5);
    await drop.wall.press("Enter");
    await says(drop.bar, "has run out");
    const { code } = await until("the item, free again", async () => {
      const answer = await server.client.checkout("berta", 5);
      return answer.status === 200 && accepted(answer, reservation);
    });
    await server.client.buy(code);
    await button(drop.bar, /^Try to buy/).click();
    await says(drop.bar, "Your reservation ran out, and somebody else was quicker.");
    await says(drop.mine, "0 reserved, 0 bought");
    await says(drop.picked, "taken");
    await proves(server, 1);
    expect(anna.wrong).toEqual([]);
  });

  test("of two who want the only one at once, one gets it, and the other is told", async () => {
    await using server = await startServer({
      DATABASE_URL: await postgres.newRecords(),
      SALE_ITEMS: "1",
    });
    await using anna = await visit(server.url, { refusals: [409] });
    await using berta = await visit(server.url, { refusals: [409] });
    const [annas, bertas] = [dropOf(anna.page), dropOf(berta.page)];
    await pick(anna.page, annas, 1);
    await pick(berta.page, bertas, 1);
    await race([anna.page, berta.page]);
    const both = [annas, bertas];
    await Promise.all(both.map(({ picked }) => button(picked, /^Reserve/).click()));

    const told = await Promise.all(
      both.map(({ bar }) => says(bar, /is held for you|Somebody is holding/)),
    );
    const won = told.map((words) => words.includes("is held for you"));
    expect(won.toSorted()).toEqual([false, true]);
    const [winner, loser] = won[0] === true ? [annas, bertas] : [bertas, annas];
    await says(winner.mine, "1 reserved, 0 bought");
    await says(loser.mine, "0 reserved, 0 bought");
    await says(loser.picked, "Taken");
    await says(loser.standing, "All that is left is in somebody's hands.");

    await button(winner.bar, /^Buy/).click();
    await says(winner.mine, "0 reserved, 1 bought");
    for (const { standing } of [winner, loser]) await says(standing, "Sold out");
    await says(loser.picked, "Sold");
    await proves(server, 1);
    expect([...anna.wrong, ...berta.wrong]).toEqual([]);
  });

  test("a sale goes from the administrator's form to the buyer's history", async () => {
    const env = { DATABASE_URL: await postgres.newRecords() };
    await using server = await startServer(env);
    const made = await runProgram(["user", "create", "root", "--role", "admin"], env, password);
    expect(made).toMatchObject({ exitCode: 0 });

    // Who is not logged in is told so by a status.
    const refusals = [401];
    const { timezoneId } = kathmandu;
    await using root = await visit(`${server.url}/admin`, { refusals, timezoneId });
    const office = root.page;
    await office.getByRole("main").getByRole("link", { name: "Log in" }).click();
    await enter(office, "root");
    await office.getByRole("link", { name: "Products" }).click();
    await office.getByRole("button", { name: "New product" }).click();
    const sheet = office.getByRole("dialog");
    await sheet.getByLabel("Name").fill("Tin giraffe");
    await sheet.getByLabel("Regular price, in USD").fill("25");
    await sheet.getByLabel("Description").fill("Walks when it is wound up.");
    await sheet.getByRole("button", { name: "Create" }).click();
    await says(office.getByRole("table"), "Tin giraffe");

    await using anna = await visit(`${server.url}/shop`, { refusals });
    const { page } = anna;
    await says(page.getByRole("main"), "The first flash sale is yet to be announced.");
    await page.getByRole("link", { name: "Log in" }).click();
    await page.getByRole("button", { name: "New here" }).click();
    await enter(page, "anna");
    await page.getByRole("button", { name: "Log out anna" }).waitFor();

    await office.getByRole("link", { name: "Sales" }).click();
    await office.getByRole("button", { name: "New sale" }).click();
    await sheet.getByLabel("Title").fill("The giraffe hour");
    await sheet.getByLabel("Most a person may have").fill("1");
    await sheet.getByLabel("Product").selectOption({ label: "Tin giraffe" });
    await sheet.getByLabel("Stock").fill("2");
    await sheet.getByLabel("Price").fill("12.50");
    // Soon, and late enough that a slow machine sees it before it opens.
    const opens = Date.now() + 10_000;
    await sheet.getByLabel("Opens").fill(localTime(opens));
    await sheet.getByLabel("Closes").fill(localTime(opens + 3_600_000));
    await sheet.getByRole("button", { name: "Announce" }).click();
    const row = office.getByRole("row", { name: /The giraffe hour/ });
    await says(row, "Coming");

    await using guest = await visit(`${server.url}/shop`);
    const front = guest.page.getByRole("main");
    await says(front, "Opens soon");
    await page.reload();
    const main = page.getByRole("main");
    await says(main, "Opens soon");
    await main.getByRole("link", { name: "Tin giraffe" }).first().click();
    const counter = page.getByRole("region", { name: "Buy" });
    await says(counter, "Opens in");
    await says(counter.getByRole("timer"), /0:0\d$/);
    expect(await button(counter, /Not open yet/).getAttribute("aria-disabled")).toBe("true");

    await says(counter, "Closes in");
    await says(front, "Open now");
    await says(row, "Open");
    await says(counter, "2 left");
    await button(counter, /^Buy for \$12\.50$/).click();
    await says(counter, "It is yours.");
    await says(counter, "You have bought 1, as many as one person may have in this sale.");
    await page.getByRole("link", { name: "My purchases" }).first().click();
    const slip = page.getByRole("main").getByRole("listitem");
    await says(slip, "Tin giraffe");
    await says(slip, "The giraffe hour");
    await says(slip, "$12.50");
    expect(await slip.count()).toBe(1);

    await office.reload();
    await says(row, "1 of 2");
    expect([...root.wrong, ...anna.wrong, ...guest.wrong]).toEqual([]);
  });

  test.each([
    { behind: "nothing", refused: "No answer from the server." },
    { behind: "a proxy", refused: "Something is wrong on our side." },
  ])(
    "a page outlives its server, behind $behind: it says so, comes back, and sells again",
    async ({ behind, refused }) => {
      const env = { DATABASE_URL: await postgres.newRecords(), PORT: String(freePort()) };
      let serving = await startServer(env);
      const killed = serving;
      await using anna = await visit(killed.url, { refusals: [502] });
      const drop = dropOf(anna.page);
      // To a browser an answer of 502 is an end of the stream, after which it does not ask again.
      let isStreamEnded = false;
      if (behind === "a proxy")
        await anna.page.route("**/*", async (route) => {
          if (serving.program.isRunning) return await route.continue();
          await route.fulfill({ status: 502 });
          isStreamEnded ||= route.request().url().endsWith("/events");
        });
      await says(drop.line, "Live");
      await pick(anna.page, drop, 1);
      await drop.wall.press("Enter");
      await says(drop.mine, "1 reserved, 0 bought");
      await button(drop.bar, /^Buy/).click();
      await says(drop.mine, "0 reserved, 1 bought");
      await pick(anna.page, drop, 2);
      await drop.wall.press("Enter");
      await says(drop.mine, "1 reserved, 1 bought");
      await pick(anna.page, drop, 3);

      await killed.kill();
      await says(drop.lost, "Connection lost; trying again.");
      await says(drop.line, "Connection lost");
      await says(drop.mine, "1 reserved, 1 bought");
      await drop.wall.press("Enter");
      await says(drop.bar, refused);
      if (behind === "a proxy") await until("the stream's end", () => isStreamEnded);

      await using server = await startServer(env);
      serving = server;
      // Before the page is back: it must find out by itself.
      await server.client.reserveAndBuy("berta", 4);
      await says(drop.line, "Live");
      await drop.lost.waitFor({ state: "hidden" });
      await says(drop.mine, "1 reserved, 1 bought");
      await pick(anna.page, drop, 4);
      await says(drop.picked, "taken");
      await button(drop.bar, /^Buy/).click();
      await says(drop.mine, "0 reserved, 2 bought");
      await pick(anna.page, drop, 3);
      await drop.wall.press("Enter");
      await says(drop.mine, "1 reserved, 2 bought");
      await button(drop.bar, /^Buy/).click();
      await says(drop.mine, "0 reserved, 3 bought");
      await server.client.checkout("berta", 5);
      await pick(anna.page, drop, 5);
      await says(drop.picked, "taken");
      await proves(server, 4);
      // What the browser prints of requests that got no answer is no fault of the page.
      expect(anna.wrong.filter((what) => !what.includes("net::ERR_"))).toEqual([]);
    },
  );
});

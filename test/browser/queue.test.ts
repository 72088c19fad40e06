/**
 * The waiting room as people live through it: three come before the opening and one after, the draw is
 * made, each gets in, in order, and one lets the pass lapse. A place is the same after a reload, in a
 * second tab, on another device and for who comes back.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Locator, Page } from "playwright-core";
import { z } from "zod";
import { judged } from "../support/axe.ts";
import { noBrowser, says, useBrowser, visit, watchShifts } from "../support/browser.ts";
import { freePort } from "../support/leftovers.ts";
import { usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import {
  makeAdmin,
  type Member,
  newProduct,
  newSale,
  register,
  type SaleWish,
  visitAs,
} from "../support/visitors.ts";
import { until } from "../support/wait.ts";

const postgres = usePostgres();

const roomOf = (page: Page) => page.getByRole("region", { name: "Waiting room" });
const press = (page: Page, name: string) => roomOf(page).getByRole("button", { name }).click();
const slow = { admit_per_second: 1, pass_ttl_ms: 600_000 };

/** How bright a colour is, as WCAG counts it: what two differ by is one by the other. */
function brightness(color: string): number {
  const [red = 0, green = 0, blue = 0] = (color.match(/[\d.]+/g) ?? []).map((text) => {
    const share = Number(text) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
}

/** How well a text can be told from the page, from 1 to 21; the paper of a card is as bright as that. */
async function contrastOf(text: Locator): Promise<number> {
  const colors = await text.evaluate((element) => [
    getComputedStyle(element).color,
    getComputedStyle(document.documentElement).backgroundColor,
  ]);
  const [darker = 1, lighter = 1] = colors.map(brightness).toSorted((one, other) => one - other);
  return lighter / darker;
}

/** Runs in the page: notes when it was its turn. */
function noteTurn(): void {
  new MutationObserver(() => {
    const root = document.documentElement;
    if (document.querySelector(".queue")?.textContent.includes("It is your turn") === true)
      root.dataset["turn"] ??= String(Date.now());
  }).observe(document, { subtree: true, childList: true, attributes: true });
}
const turnOf = (page: Page) =>
  page.evaluate(() => Number(document.documentElement.dataset["turn"] ?? 0));

describe.skipIf(noBrowser)("the waiting room", () => {
  useBrowser();
  let server: TestServer;
  let admin: Member;

  beforeAll(async () => {
    const env = {
      DATABASE_URL: await postgres.newRecords(),
      SALE_ENTRY: "queue",
      SALE_ADMIT_PER_SECOND: "100",
      CHALLENGE: "join",
      RATE_LIMITS: "off",
    };
    server = await startServer(env);
    admin = await makeAdmin(server, env);
  });
  afterAll(() => server.kill());

  async function queued(name: string, wish: SaleWish) {
    const product = await newProduct(admin, name);
    const sale = await newSale(admin, product, wish);
    return { product, sale, path: `/product?id=${product}` };
  }

  async function openSoon(sale: number, product: number): Promise<void> {
    const answer = await admin.ask("PATCH", `/api/admin/flash-sales/${sale}`, {
      title: "The hour",
      starts_at: new Date(Date.now() + 2_000).toISOString(),
      ends_at: new Date(Date.now() + 3_600_000).toISOString(),
      per_user_limit: 5,
      items: [{ product_id: product, stock: 20, price_cents: 1_250 }],
    });
    expect([answer.status, await answer.text()]).toMatchObject([200, expect.anything()]);
  }

  /** Has others join until there is no room, which is left where nobody needed it. */
  async function fill(sale: number): Promise<void> {
    const made = await admin.ask("POST", "/api/admin/keys", { name: "shop", scopes: ["sell"] });
    const { key } = z.object({ key: z.string() }).parse(await made.json());
    let others = 0;
    await until("no room", async () => {
      others += 1;
      const joined = await fetch(`${server.url}/sales/${sale}/queue?user_id=other${others}`, {
        method: "POST",
        headers: { Authorization: `Bearer ${key}` },
      });
      const { state } = z.object({ state: z.string() }).parse(await joined.json());
      return state === "waiting";
    });
  }

  test("three come before the opening and are drawn; each gets in, in order", async () => {
    const { product, sale, path } = await queued("Tin heron", {
      startsIn: 3_600_000,
      endsIn: 7_200_000,
      queue: slow,
    });
    const names = ["anna", "bert", "cleo"] as const;
    for (const name of names) await register(server, name); // oxlint-disable-line no-await-in-loop
    const before = { before: noteTurn, refusals: [404, 409] };
    await using anna = await visitAs(server, "anna", path, before);
    await using bert = await visitAs(server, "bert", path, before);
    await using cleo = await visitAs(server, "cleo", path, before);
    const early = [anna.page, bert.page, cleo.page];
    for (const page of early) {
      // oxlint-disable-next-line no-await-in-loop
      await press(page, "Wait here");
      // oxlint-disable-next-line no-await-in-loop
      await says(roomOf(page), "You are in the draw");
    }
    for (const page of early) await says(roomOf(page), "3 are here."); // oxlint-disable-line no-await-in-loop
    await says(roomOf(anna.page), "The draw was sealed before anybody came");
    expect(await anna.page.title()).toStartWith("In the draw · ");

    await openSoon(sale, product);
    for (const page of early) await says(roomOf(page), "It is your turn"); // oxlint-disable-line no-await-in-loop
    const entries = await Promise.all(
      early.map((page) =>
        page.evaluate(() => /"entry":"(\w+)"/.exec(localStorage["stampede.account-tickets"])?.[1]),
      ),
    );
    const turns = await Promise.all(early.map(turnOf));
    const drawn = await (await fetch(`${server.url}/sales/${sale}/draw.csv`)).text();
    const ranks = entries.map((entry) => Number(new RegExp(`,${entry},(\\d+)`).exec(drawn)?.[1]));
    expect(ranks.toSorted()).toEqual([1, 2, 3]);
    // One a second is let in, in the order of the ranks, and no page says so before.
    const queue = z.object({ opens_at: z.iso.datetime() });
    const { opens_at } = queue.parse(
      await (await fetch(`${server.url}/sales/${sale}/queue`)).json(),
    );
    for (const [index, rank] of ranks.entries())
      expect(turns[index]).toBeGreaterThanOrEqual(Date.parse(opens_at) + (rank - 1) * 1_000);

    await anna.page.goto(`${server.url}/fair?sale=${sale}`);
    await anna.page.getByRole("button", { name: "Check the draw" }).click();
    await says(anna.page.locator(".fair-found"), /Holds.*Holds.*Holds/);
    expect([...anna.wrong, ...bert.wrong, ...cleo.wrong]).toEqual([]);
  });

  test("who comes after the opening gets in, buys, and has the same place elsewhere", async () => {
    const { sale, path } = await queued("Tin egret", { queue: slow });
    await register(server, "dora");
    const before = { refusals: [404, 409] };
    await using dora = await visitAs(server, "dora", path, before);
    await says(dora.page.locator(".counter"), "wait for your turn in the waiting room");
    await press(dora.page, "Let me in");
    await says(roomOf(dora.page), "It is your turn");

    await dora.page.getByRole("button", { name: /^Buy for/ }).click();
    await says(dora.page.locator(".counter"), "It is yours.");
    // A reload, and another device of the same account.
    await dora.page.reload();
    await says(roomOf(dora.page), "It is your turn");
    await using other = await visitAs(server, "dora", path, before);
    await says(roomOf(other.page), "It is your turn");
    const joined = await fetch(`${server.url}/sales/${sale}/queue`);
    expect(await joined.json()).toMatchObject({ joined: 1 });
    expect([...dora.wrong, ...other.wrong]).toEqual([]);
  });

  test("a pass that lapses is said to have, and who joins again goes to the end", async () => {
    await register(server, "eva");
    const { path } = await queued("Tin stork", {
      queue: { admit_per_second: 100, pass_ttl_ms: 1_000 },
    });
    await using eva = await visitAs(server, "eva", path, { refusals: [404, 409] });
    await press(eva.page, "Let me in");
    await says(roomOf(eva.page), "Your pass has run out");
    await judged(eva.page, true);
    await press(eva.page, "Join again");
    // Until it has the new ticket the page says what it said before.
    await until("another ticket", async () => {
      const kept = await eva.page.evaluate(() => localStorage["stampede.account-tickets"]);
      return /"key":"queue \d+ \w{64}"/.test(String(kept));
    });
    await says(roomOf(eva.page), "Your pass has run out");
    expect(eva.wrong).toEqual([]);
  });

  test("who has not joined is looked for once, and not again before something has changed", async () => {
    const { path } = await queued("Tin plover", { queue: slow });
    await register(server, "fay");
    await using fay = await visitAs(server, "fay", "/shop", { refusals: [404, 409] });
    const { page } = fay;
    let looks = 0;
    page.on("request", (request) => (looks += Number(request.url().endsWith("/queue/me"))));
    await page.goto(server.url + path);
    await roomOf(page).getByRole("button", { name: "Let me in" }).waitFor();
    const isRefreshed = () => page.waitForResponse(/\/api\/products\//);
    await isRefreshed();
    const before = looks;
    await isRefreshed();
    expect(looks).toBe(before);
    expect(fay.wrong).toEqual([]);
  });

  test("a guest shows to be no robot, is let into the drop, and is so in a second tab", async () => {
    await using visited = await visit(server.url, { refusals: [403, 404, 409], bypassCSP: true });
    const { page, wrong } = visited;
    const surprise = page.getByRole("button", { name: "Surprise me" });
    await until(
      "no way past",
      async () => (await surprise.getAttribute("aria-disabled")) === "true",
    );
    await press(page, "Let me in");
    await says(roomOf(page), "It is your turn");
    const tab = await page.context().newPage();
    await tab.goto(server.url);
    await says(roomOf(tab), "It is your turn");
    await surprise.click();
    await says(page.locator("#bar"), "Held for you");
    await says(roomOf(page), "While you hold something");
    await page.emulateMedia({ colorScheme: "dark" });
    await judged(page);
    await page.emulateMedia({ colorScheme: "light" });
    await judged(page);
    await page.goto(`${server.url}/fair?sale=1`);
    await judged(page);
    expect(wrong).toEqual([]);
  });

  test("whoever waits sees place, pace and pause, at every width and in both themes", async () => {
    await register(server, "finn");
    const { sale, path } = await queued("Tin crane", { queue: slow });
    await admin.ask("PATCH", `/api/admin/flash-sales/${sale}`, { paused: true });
    await using finn = await visitAs(server, "finn", path, {
      refusals: [404, 409],
      bypassCSP: true,
    });
    const { page } = finn;
    await press(page, "Let me in");
    await says(roomOf(page), /Your place1.*Nobody is let in at the moment/);
    expect(await page.title()).toStartWith("1 · ");
    await page.emulateMedia({ colorScheme: "light" });
    await judged(page);
    await page.emulateMedia({ colorScheme: "dark" });
    await judged(page);
    await admin.ask("PATCH", `/api/admin/flash-sales/${sale}`, { paused: false });
    await says(roomOf(page), "It is your turn");
    expect(finn.wrong).toEqual([]);
  });

  test("whoever comes to the drop before the hour reads all of it, in both themes", async () => {
    const opens = new Date(Date.now() + 10 * 60_000);
    const day = `${opens.getUTCDate()} ${opens.getUTCMonth() + 1}`;
    const env = {
      DATABASE_URL: await postgres.newRecords(),
      SALE_ENTRY: "queue",
      SALE_SCHEDULE: `${opens.getUTCMinutes()} ${opens.getUTCHours()} ${day} *`,
    };
    const early = await startServer(env);
    await using visited = await visit(early.url, { colorScheme: "light" });
    const { page } = visited;
    const room = roomOf(page).filter({ hasText: "The draw in" });
    await room.getByRole("button", { name: "Wait here" }).click();
    await says(room, "You are in the draw");
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      await judged(page);
      // The card's corner keeps axe from telling what is behind them.
      expect(await contrastOf(room.locator(".countdown-figures"))).toBeGreaterThan(3);
      expect(await contrastOf(room.locator(".countdown-label"))).toBeGreaterThan(4.5);
    }
    expect(visited.wrong).toEqual([]);
    await early.stop();
  });

  test("the rooms of the open sale and of the next one say which is which, and move nothing when they come", async () => {
    const opens = new Date(Date.now() + 5 * 60_000);
    const both = await startServer({
      DATABASE_URL: await postgres.newRecords(),
      SALE_ENTRY: "queue",
      SALE_SCHEDULE: `${opens.getUTCMinutes()} * * * *`,
    });
    await using visited = await visit(both.url, { before: watchShifts });
    const rooms = roomOf(visited.page);
    await says(rooms.first(), /^The open sale.*Let me in/);
    await says(rooms.last(), /^The next sale.*The draw in/);
    await visited.page.getByRole("region", { name: "The wall" }).waitFor();
    const shift = await visited.page.evaluate(() => document.documentElement.dataset["shift"]);
    expect(Number(shift ?? 0)).toBeLessThan(0.05);
    expect(visited.wrong).toEqual([]);
    await both.stop();
  });

  test("a lost connection and a restarted server take nobody's place away, and the page says so", async () => {
    const env = { DATABASE_URL: await postgres.newRecords(), PORT: String(freePort()) };
    const settings = { ...env, RATE_LIMITS: "off" };
    const first = await startServer(settings);
    const boss = await makeAdmin(first, settings);
    const product = await newProduct(boss, "Tin stork");
    const sale = await newSale(boss, product, { queue: slow });
    await boss.ask("PATCH", `/api/admin/flash-sales/${sale}`, { paused: true });
    await register(first, "gita");
    await using gita = await visitAs(first, "gita", `/product?id=${product}`, {
      refusals: [404, 409, 503],
    });
    const { page } = gita;
    await press(page, "Let me in");
    await says(roomOf(page), /Your place1.*Nobody is let in at the moment/);
    const lost = "Connection lost; trying again. Your place is kept.";

    await page.context().setOffline(true);
    await says(roomOf(page), lost);
    await says(roomOf(page), "Your place1");
    await page.context().setOffline(false);
    await until(
      "the connection",
      async () => !((await roomOf(page).textContent()) ?? "").includes(lost),
    );

    await first.kill();
    await says(roomOf(page), lost);
    const second = await startServer(settings);
    await until(
      "the server",
      async () => !((await roomOf(page).textContent()) ?? "").includes(lost),
    );
    await says(roomOf(page), /Your place1.*Nobody is let in at the moment/);
    await boss.ask("PATCH", `/api/admin/flash-sales/${sale}`, { paused: false });
    await says(roomOf(page), "It is your turn");
    await second.kill();
  });

  test("who waits is told at once that it is sold out", async () => {
    const { sale, path } = await queued("Tin ibis", { queue: slow, stock: 1 });
    await register(server, "hal");
    await register(server, "ida");
    const before = { refusals: [404, 409] };
    await using hal = await visitAs(server, "hal", path, before);
    await press(hal.page, "Let me in");
    await says(roomOf(hal.page), "It is your turn");
    await admin.ask("PATCH", `/api/admin/flash-sales/${sale}`, { paused: true });
    await fill(sale);
    await using ida = await visitAs(server, "ida", path, before);
    await press(ida.page, "Join the line");
    await says(roomOf(ida.page), /Your place\d/);
    await hal.page.getByRole("button", { name: /^Buy for/ }).click();
    await says(roomOf(ida.page), "Sold out");
    await says(roomOf(ida.page), "You need not wait any longer");
    expect([...hal.wrong, ...ida.wrong]).toEqual([]);
  });
});

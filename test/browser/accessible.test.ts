/**
 * The pages by the rules of WCAG 2.2 AA and good practice, as far as a program can judge them
 * (https://github.com/dequelabs/axe-core): names, roles, order, contrast. Each at three widths and in
 * both themes, with a shop's figures on it, and with an account logged in where it needs one; and the
 * states of buying: found, held, ended, bought.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { judged, widths } from "../support/axe.ts";
import { accepted } from "../support/contract.ts";
import {
  noBrowser,
  says,
  useBrowser,
  visit,
  type Visit,
  type VisitOptions,
} from "../support/browser.ts";
import { usePostgres } from "../support/postgres.ts";
import { runProgram, startServer, type TestServer } from "../support/server.ts";
import { z } from "zod";

const postgres = usePostgres();

type Who = "nobody" | "user1" | "user2" | "admin";

const places: readonly [path: string, who: Who][] = [
  ["/", "nobody"],
  ["/shop", "user1"],
  ["/product?id=5", "user1"],
  ["/login", "nobody"],
  ["/account", "user1"],
  ["/coupons", "nobody"],
  ["/coupons?name=FLASH_SALE_2024", "user1"],
  ["/proof?sale=1", "nobody"],
  ["/admin", "admin"],
  ["/admin#orders", "admin"],
  ["/admin#products", "admin"],
  ["/admin#sales", "admin"],
  ["/admin#customers", "admin"],
  ["/admin#coupons", "admin"],
  ["/admin#webhooks", "admin"],
  ["/admin#activity", "admin"],
  ["/admin#keys", "admin"],
  ["/admin#attempts", "admin"],
  ["/admin#nodes", "admin"],
  ["/admin#settings", "admin"],
  ["/fair", "nobody"],
  ["/receipt?order=999999", "nobody"],
  ["/docs/operate", "nobody"],
  ["/docs/architecture", "nobody"],
  ["/nothing/here", "nobody"],
];

describe.skipIf(noBrowser)("accessible", () => {
  useBrowser();
  let server: TestServer;
  const accounts = new Map<Who, { readonly cookie: string; readonly user: string }>();

  beforeAll(async () => {
    const env = { DATABASE_URL: await postgres.newRecords(), SALE_ITEMS: "500" };
    server = await startServer(env);
    expect(await runProgram(["seed", "--demo"], env)).toMatchObject({ exitCode: 0 });
    for (const username of ["user1", "user2", "admin"] as const) {
      // oxlint-disable-next-line no-await-in-loop
      const answer = await server.client.ask("POST", "/api/auth/login", {
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ username, password: "Satu123" }),
      });
      const { user } = accepted(answer, z.object({ user: z.looseObject({ id: z.int() }) }));
      accounts.set(username, {
        cookie: answer.headers.getSetCookie()[0]?.split(";")[0] ?? "",
        user: JSON.stringify(user),
      });
    }
  });

  for (const [path, who] of places) {
    test(`${path} in both themes, at ${widths.join(", ")} px`, async () => {
      await using visited = await open(who, { colorScheme: "light" });
      const { page } = visited;
      await page.goto(server.url + path);
      await judged(page);
      await page.emulateMedia({ colorScheme: "dark" });
      await judged(page);
      expect(visited.wrong).toEqual([]);
    });
  }

  for (const colorScheme of ["light", "dark"] as const) {
    test(`the drop and the shop with things held, found and ended, in the ${colorScheme} theme`, async () => {
      await using visited = await open(colorScheme === "light" ? "user1" : "user2", {
        colorScheme,
      });
      const { page } = visited;
      await page.goto(`${server.url}/?q=fox`);
      for (const held of ["Held for you", "2 held for you"]) {
        // oxlint-disable-next-line no-await-in-loop
        await page.getByRole("button", { name: "Surprise me" }).click();
        // oxlint-disable-next-line no-await-in-loop
        await says(page.locator("#bar"), held);
      }
      await page.getByRole("button", { name: "Show", exact: true }).click();
      await judged(page);
      await page
        .locator("#bar")
        .getByRole("button", { name: /^Give back/ })
        .first()
        .click();
      await says(page.locator("#bar"), "is given back");
      await page.goto(`${server.url}/product?id=5`);
      await judged(page);
      await page.locator("#bar").getByRole("button", { name: /^Buy/ }).click();
      await says(page.locator("#bar"), "is yours.");
      await page.goto(`${server.url}/account`);
      await page.locator(".slip").first().waitFor();
      await judged(page);
    });
  }

  test("the administrator's forms", async () => {
    await using visited = await open("admin", { colorScheme: "dark" });
    const { page } = visited;
    for (const [part, button] of [
      ["products", "New product"],
      ["sales", "New sale"],
    ] as const) {
      // oxlint-disable-next-line no-await-in-loop
      await page.goto(`${server.url}/admin#${part}`);
      // oxlint-disable-next-line no-await-in-loop
      await page.getByRole("button", { name: button }).click();
      // oxlint-disable-next-line no-await-in-loop
      await judged(page, true);
      // oxlint-disable-next-line no-await-in-loop
      await page.keyboard.press("Escape");
    }
  });

  /** A page of somebody, whom its script knows. */
  async function open(who: Who, options: VisitOptions): Promise<Visit> {
    const visited = await visit(`${server.url}/login`, {
      bypassCSP: true,
      refusals: [401, 404],
      ...options,
    });
    const account = accounts.get(who);
    if (account === undefined) return visited;
    const { cookie, user } = account;
    const [name = "", value = ""] = cookie.split("=");
    await visited.page.context().addCookies([{ name, value, url: server.url }]);
    // Before any script of each page: that of the one that is open may still forget who it was.
    await visited.page.addInitScript(
      (known) => localStorage.setItem("stampede.account", known),
      user,
    );
    return visited;
  }
});

/**
 * The pages by the rules of WCAG 2.2 AA and good practice, as far as a program can judge them
 * (https://github.com/dequelabs/axe-core): names, roles, order, contrast. Each in both themes, with
 * a shop's figures on it, and with an account logged in where it needs one.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import axe from "axe-core";
import { accepted } from "../support/contract.ts";
import { narrow, noBrowser, useBrowser, visit } from "../support/browser.ts";
import { newDataFolder, useLeftovers } from "../support/leftovers.ts";
import { runProgram, startServer, type TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";
import { z } from "zod";

useLeftovers();

type Who = "nobody" | "user1" | "admin";
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
  ["/admin#products", "admin"],
  ["/admin#sales", "admin"],
  ["/admin#users", "admin"],
  ["/admin#attempts", "admin"],
  ["/nothing/here", "nobody"],
];

describe.skipIf(noBrowser)("accessible", () => {
  useBrowser();
  let server: TestServer;
  const cookies = new Map<Who, string>();

  beforeAll(async () => {
    const env = { STAMPEDE_DATA: newDataFolder(), SALE_ITEMS: "500" };
    server = await startServer(env);
    expect(await runProgram(["seed", "--demo"], env)).toMatchObject({ exitCode: 0 });
    for (const username of ["user1", "admin"] as const) {
      // oxlint-disable-next-line no-await-in-loop
      const answer = await server.client.ask("POST", "/api/auth/login", {
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ username, password: "Satu123" }),
      });
      accepted(answer, z.object({ token: z.string() }));
      cookies.set(username, answer.headers.getSetCookie()[0]?.split(";")[0] ?? "");
    }
  });

  for (const [path, who] of places) {
    for (const colorScheme of ["light", "dark"] as const) {
      test(`${path} in the ${colorScheme} theme`, async () => {
        await using visited = await visit(`${server.url}/login`, {
          colorScheme,
          bypassCSP: true,
          ...(colorScheme === "dark" && { viewport: narrow }),
          refusals: [401, 404],
        });
        const { page } = visited;
        const [name = "", value = ""] = cookies.get(who)?.split("=") ?? [];
        if (name !== "") await page.context().addCookies([{ name, value, url: server.url }]);
        await page.goto(server.url + path);
        await until("the page's script", () =>
          page.evaluate(() => document.querySelector("#session button[title]") !== null),
        );
        await until("the figures", () =>
          page.evaluate(() => document.querySelector("main .skeleton") === null),
        );
        await page.evaluate(axe.source);
        const { violations } = await page.evaluate(async () => await window.axe.run());
        const found = violations.flatMap(({ id, help, nodes }) =>
          nodes.map(({ target, failureSummary }) => ({ id, help, target, failureSummary })),
        );
        expect(found).toEqual([]);
        expect(visited.wrong).toEqual([]);
      });
    }
  }
});

declare global {
  interface Window {
    readonly axe: typeof axe;
  }
}

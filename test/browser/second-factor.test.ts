/**
 * The second factor as people meet it: set up by the picture, asked for at the next login, demanded of
 * administrators, taken away by one; and the administrators' page of API keys.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Page } from "playwright-core";
import { codeOf } from "../support/authenticator.ts";
import { judgment } from "../support/axe.ts";
import {
  narrow,
  noBrowser,
  says,
  untilClosed,
  useBrowser,
  visit,
  wide,
} from "../support/browser.ts";
import { useLeftovers } from "../support/leftovers.ts";
import { newCluster } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { logIn, makeAdmin, password, register, visitAs } from "../support/visitors.ts";
import { until } from "../support/wait.ts";

useLeftovers();

const shots = process.env["SCREENSHOTS"];

/** What axe finds on a page as it is now. */
async function judged(page: Page, name: string): Promise<void> {
  if (shots !== undefined) {
    await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
  }
  const found = await judgment(page, true);
  const tooWide = await page.evaluate(() => {
    const boxes = [document.documentElement, ...document.querySelectorAll(".table-box")];
    return Math.max(...boxes.map(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth));
  });
  expect({ name, found, tooWide }).toEqual({
    name,
    found: [],
    tooWide: 0,
  });
}

describe.skipIf(noBrowser)("a second factor", () => {
  useBrowser();
  let server: TestServer;
  beforeAll(async () => {
    const env = { STAMPEDE_DATA: await newCluster(), ADMIN_SECOND_FACTOR: "demanded" };
    server = await startServer(env);
    await makeAdmin(server, env);
  });
  afterAll(() => server.kill());

  const looks = [
    { width: "360", viewport: narrow, colorScheme: "light" },
    { width: "1440", viewport: wide, colorScheme: "dark" },
  ] as const;

  test.each(looks)(
    "is set up, and asked for at the next login, at $width px",
    async ({ width, viewport, colorScheme }) => {
      const name = `anna-${width}`;
      await register(server, name);
      await using visited = await visitAs(server, name, "/account", {
        viewport,
        colorScheme,
        bypassCSP: true,
        refusals: [401],
      });
      const { page } = visited;
      const part = page.locator("#second-factor");
      await part.locator("summary").click();
      await part.getByRole("button", { name: "Set it up" }).click();
      await says(part, "The password is missing.");
      await part.getByLabel("Your password").fill("not the password");
      await part.getByRole("button", { name: "Set it up" }).click();
      await says(part, "This is not your password.");
      await judged(page, `factor-wrong-${width}`);
      await part.getByLabel("Your password").fill(password);
      await part.getByLabel("Your password").press("Enter");
      await part.getByRole("img", { name: /QR code/ }).waitFor();
      const secret = (await part.locator(".copied-text").textContent()) ?? "";
      await judged(page, `factor-qr-${width}`);
      await part.getByLabel("Code", { exact: true }).fill("000000");
      await part.getByRole("button", { name: "Switch it on" }).click();
      await says(part, "This code is wrong");
      const first = codeOf(secret, Date.now());
      await part.getByLabel("Code", { exact: true }).fill(first);
      await part.getByLabel("Code", { exact: true }).press("Enter");
      await says(part, "Keep these recovery codes");
      const codes = ((await part.locator(".copied-text").textContent()) ?? "").split("\n");
      expect(codes).toHaveLength(10);
      await judged(page, `factor-codes-${width}`);
      await part.getByRole("button", { name: "I have kept them" }).click();
      await says(part, "You have 10 recovery codes left.");
      await judged(page, `factor-on-${width}`);

      await page.getByRole("main").getByRole("button", { name: "Log out" }).click();
      await page.waitForURL(`${server.url}/`);
      await page.goto(`${server.url}/login`);
      await page.getByLabel("User name").fill(name);
      await page.getByLabel("Password").fill(password);
      await page.getByLabel("Password").press("Enter");
      const code = page.getByLabel("Code", { exact: true });
      await code.waitFor();
      expect(await code.evaluate((input) => input === document.activeElement)).toBe(true);
      expect(await code.getAttribute("autocomplete")).toBe("one-time-code");
      await judged(page, `login-code-${width}`);
      await code.press("Enter");
      await says(page.locator("main"), "The code is missing.");
      // The one that switched it on is used up.
      await code.fill(first);
      await code.press("Enter");
      await says(page.locator("main"), "This code is wrong, has run out, or was used before.");
      await page.getByRole("button", { name: "Use a recovery code instead" }).click();
      await page.getByLabel("Recovery code", { exact: true }).fill((codes[0] ?? "").toLowerCase());
      await page.getByLabel("Recovery code", { exact: true }).press("Enter");
      await page.waitForURL(`${server.url}/account`);

      await part.locator("summary").click();
      await says(part, "You have 9 recovery codes left.");
      await part.getByLabel("Your password").fill(password);
      await part.getByLabel("Code", { exact: true }).fill(codeOf(secret, Date.now() + 30_000));
      await part.getByRole("button", { name: "Switch it off" }).click();
      await says(page.locator("#notices"), "The second factor is off.");
      await says(part, "Off");
      expect(visited.wrong).toEqual([]);
    },
  );

  test("is demanded of an administrator, who then administrates, and resets others'", async () => {
    await using visited = await visitAs(server, "root", "/admin", { bypassCSP: true });
    const { page } = visited;
    await says(page.locator("main"), "A second factor first");
    await judged(page, "admin-demanded");
    await page.getByRole("link", { name: "Set it up" }).click();
    const part = page.locator("#second-factor");
    await says(part, "Whoever runs this shop asks it of administrators");
    await part.getByLabel("Your password").fill(password);
    await part.getByLabel("Your password").press("Enter");
    await part.getByRole("img", { name: /QR code/ }).waitFor();
    const secret = (await part.locator(".copied-text").textContent()) ?? "";
    await part.getByLabel("Code", { exact: true }).fill(codeOf(secret, Date.now()));
    await part.getByLabel("Code", { exact: true }).press("Enter");
    await part.getByRole("button", { name: "I have kept them" }).click();

    const bert = await register(server, "bert");
    const begun: { secret: string } = await (
      await bert.ask("POST", "/api/auth/second-factor", { password })
    ).json();
    const otp = codeOf(begun.secret, Date.now());
    expect((await bert.ask("POST", "/api/auth/second-factor/confirm", { otp })).status).toBe(200);
    await page.goto(`${server.url}/admin#customers`);
    const row = page.getByRole("row", { name: /bert/ });
    await says(row, "On");
    await row.getByRole("button", { name: "Reset factor of bert" }).click();
    await says(page.getByRole("dialog"), "by the password alone");
    await page.getByRole("button", { name: "Reset it" }).click();
    await says(row, "Off");
    await judged(page, "admin-users");
    expect((await bert.ask("GET", "/api/auth/me")).status).toBe(401);
    expect(visited.wrong).toEqual([]);
  });
});

describe.skipIf(noBrowser)("API keys", () => {
  useBrowser();
  let server: TestServer;
  beforeAll(async () => {
    const env = { STAMPEDE_DATA: await newCluster() };
    server = await startServer(env);
    await makeAdmin(server, env);
  });
  afterAll(() => server.kill());

  test.each([
    { width: 360, colorScheme: "dark" },
    { width: 768, colorScheme: "light" },
    { width: 1440, colorScheme: "light" },
  ] as const)("are made, shown once, and revoked, at $width px", async ({ width, colorScheme }) => {
    await using visited = await visit(`${server.url}/login`, {
      viewport: { width, height: 900 },
      colorScheme,
      bypassCSP: true,
      permissions: ["clipboard-read", "clipboard-write"],
      refusals: [401, 409],
    });
    const { page } = visited;
    await logIn(page, server, "root", "/admin#keys");
    const main = page.getByRole("region", { name: "API keys" });
    const sheet = page.getByRole("dialog");
    const name = `Shop server of ${width} pixels`;
    await main.getByRole("button", { name: "New key" }).click();
    await sheet.getByRole("button", { name: "Make the key" }).click();
    await says(sheet, "The key needs a name.");
    await sheet.getByLabel("Name", { exact: true }).fill(name);
    await sheet.getByRole("button", { name: "Make the key" }).click();
    await says(sheet, "Choose at least one thing that it may do.");
    await sheet.getByLabel(/^Sell/).check();
    await sheet.getByLabel(/^Read/).check();
    await judged(page, `keys-form-${width}`);
    await sheet.getByRole("button", { name: "Make the key" }).click();
    await says(sheet, "Copy it now.");
    await judged(page, `keys-made-${width}`);
    await sheet.getByRole("button", { name: "Copy the key" }).click();
    await says(page.locator("#notices"), "Copied.");
    const key = await page.evaluate(() => navigator.clipboard.readText());
    expect(key).toMatch(/^sk_[\w-]{43}$/);
    expect((await sheet.locator(".copied-text").textContent()) ?? "").toBe(key);
    await sheet.getByRole("button", { name: "I have it" }).click();
    await untilClosed(page);
    const row = page.getByRole("row", { name: new RegExp(name) });
    await says(row, "never");
    expect(await row.textContent()).not.toContain(key);
    expect(await page.content()).not.toContain(key);
    const asked = () =>
      fetch(`${server.url}/api/admin/stats`, { headers: { Authorization: `Bearer ${key}` } });
    expect((await asked()).status).toBe(200);

    // A second one of its name there cannot be; what was typed stays.
    await main.getByRole("button", { name: "New key" }).click();
    await sheet.getByLabel("Name", { exact: true }).fill(name);
    await sheet.getByLabel(/^Manage/).check();
    await sheet.getByRole("button", { name: "Make the key" }).click();
    await says(sheet, "There is a key of this name already");
    await sheet.getByRole("button", { name: "Close" }).click();

    await row.getByRole("button", { name: `Revoke ${name}` }).click();
    await says(sheet, "it can no longer reserve, buy or give back for your customers, nor read");
    await judged(page, `keys-revoke-${width}`);
    await sheet.getByRole("button", { name: "Keep it" }).click();
    expect((await asked()).status).toBe(200);
    await row.getByRole("button", { name: `Revoke ${name}` }).click();
    await sheet.getByRole("button", { name: "Revoke it" }).click();
    await says(row, "Revoked");
    await until("the key's end", async () => (await asked()).status === 401);
    await judged(page, `keys-list-${width}`);
    expect(await row.getByRole("button", { name: "Revoke" }).count()).toBe(0);
    expect(visited.wrong).toEqual([]);
  });
});

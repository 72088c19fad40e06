/** The account's page in a browser: changing the password. */
import { describe, expect, test } from "bun:test";
import { AccountClient } from "../support/accounts.ts";
import { narrow, newPage, noBrowser, useBrowser } from "../support/browser.ts";
import { usePostgres } from "../support/postgres.ts";
import { startServer } from "../support/server.ts";

const postgres = usePostgres();

describe.skipIf(noBrowser)("an account", () => {
  useBrowser();

  test("changes its password: what is wrong is said in words, and so is that it is done", async () => {
    const password = "a good password";
    const better = "a better password";
    await using server = await startServer({ DATABASE_URL: await postgres.newRecords() });
    const client = new AccountClient(() => server.url);
    await client.register("anna", password);
    const { token } = await client.enter("anna", password);
    await using visited = await newPage({ viewport: narrow });
    const { page } = visited;
    await page.context().addCookies([{ name: "stampede_token", value: token, url: server.url }]);
    await page.goto(`${server.url}/account`);
    await page.getByText("Change password", { exact: true }).click();
    const [current, wanted] = [
      page.getByLabel("Current password"),
      page.getByLabel("New password"),
    ] as const;
    expect(await current.getAttribute("autocomplete")).toBe("current-password");
    expect(await wanted.getAttribute("autocomplete")).toBe("new-password");
    const submit = page.getByRole("button", { name: "Change the password" });

    await submit.click();
    await page.getByText("The current password is missing.").waitFor();
    await current.fill("not the password");
    await wanted.fill("short");
    await submit.click();
    await page.getByText("The new password has fewer than 8 characters.").waitFor();
    await wanted.fill(better);
    await submit.click();
    await page.getByText("This is not your current password.").waitFor();
    expect(await current.getAttribute("aria-invalid")).toBe("true");
    await current.fill(password);
    await submit.click();
    await page.getByText("Your password is changed.").waitFor();
    await client.enter("anna", better);
    // This page is still logged in.
    await page.reload();
    await page.getByRole("main").getByText("Logged in as anna").waitFor();
  });
});

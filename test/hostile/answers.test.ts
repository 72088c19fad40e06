/** What answers give away or lead to: caches, guesses at types, spreadsheets, other hosts. */
import { beforeAll, describe, expect, test } from "bun:test";
import { AccountClient, expectRefusal } from "../support/accounts.ts";
import { newPage, noBrowser, useBrowser } from "../support/browser.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { runProgram, startServer, type TestServer } from "../support/server.ts";
import { inTurn } from "../support/wait.ts";

const postgres = usePostgres();
const password = "a good password";
let url: string;
let leader: TestServer;
let standby: TestServer;
let admin: { readonly Authorization: string };

beforeAll(async () => {
  url = await postgres.newRecords();
  leader = await startServer({ DATABASE_URL: url });
  standby = await startServer({ DATABASE_URL: url });
  await runProgram(["user", "create", "root", "--role", "admin"], { DATABASE_URL: url }, password);
  ({ headers: admin } = await new AccountClient(() => leader.url).enter("root", password));
  await leader.client.reserveAndBuy("buyer");
});

describe("what is told to one", () => {
  const paths = [
    "/sale",
    "/sales/1",
    "/reservations",
    "/api/auth/me",
    "/api/purchases/my-purchases",
    "/api/admin/stats",
    "/api/admin/nodes",
    "/api/admin/attempts",
    "/api/admin/users",
    "/api/admin/keys",
    "/api/admin/sales/1/attempts.csv",
    "/api/admin/sales/1/purchases.csv",
    "/api/admin/sales/1/curve",
    "/metrics",
    "/nothing",
    "/sales/999",
  ];

  test("is nobody's to keep, and what it says that it is, on a leader and on a standby", async () => {
    await inTurn([leader, standby], ({ client }) =>
      inTurn(paths, async (path) => {
        const { status, headers } = await client.get(path, { headers: admin });
        expect({ path, kept: headers.get("Cache-Control") }).toEqual({ path, kept: "no-store" });
        expect({ path, type: headers.get("X-Content-Type-Options") }).toEqual({
          path,
          type: "nosniff",
        });
        expect(status).toBeLessThan(500);
      }),
    );
  });
});

test("a cell that a spreadsheet would take for a formula is told apart", async () => {
  const sql = lookInto(url);
  const users = ["=1+1", " =1+1", "\u3000=1", "＝1+1", "＋1", "－1", "＠a", "@a", "-1", "+1"];
  await inTurn(users, async (user) => {
    await sql`
      update attempts set user_id = ${user}
      where seq = (select min(seq) from attempts where kind = 'checkout')`;
    const ask = { headers: admin };
    const { text } = await leader.client.get("/api/admin/sales/1/attempts.csv", ask);
    expect(text).toContain(`"'${user}"`);
  });
});

test("a field is refused where there is no body, on a leader and on a standby", async () => {
  const sale = (await leader.client.openSale()).id;
  const operations = [
    ["DELETE", `/sales/${sale}/waitlist`],
    ["POST", "/api/admin/flash-sales/1/close"],
    ["POST", "/api/admin/flash-sales/1/duplicate"],
    ["DELETE", "/api/admin/products/1"],
    ["DELETE", "/api/coupons/none"],
  ] as const;
  await inTurn([leader, standby], ({ client }) =>
    inTurn(operations, async ([method, path]) => {
      const asked = await client.ask(method, path, { headers: admin, body: '{"item_id":1}' });
      expectRefusal(asked, 400, "invalid_request");
      expect(asked.text).toContain("item_id is not a field");
      const empty = await client.ask(method, path, { headers: admin, body: "{}" });
      expect({ path, status: empty.status === 400 }).toEqual({ path, status: false });
    }),
  );
});

test("figures are not told to whom a proxy on this machine passes on", async () => {
  await using guarded = await startServer({ DATABASE_URL: url, ACCESS: "guarded" });
  expect((await guarded.client.get("/metrics")).status).toBe(200);
  for (const name of ["X-Forwarded-For", "X-Real-IP", "Forwarded", "Via"]) {
    // oxlint-disable-next-line no-await-in-loop
    const passed = await guarded.client.get("/metrics", { headers: { [name]: "192.0.2.1" } });
    expectRefusal(passed, 401, "unauthenticated");
  }
});

describe.skipIf(noBrowser)("going back after a login", () => {
  useBrowser();

  test.each(["/.//evil.example/x", "//evil.example", "/\\evil.example", "https://evil.example/"])(
    "by %s leads to no other host",
    async (back) => {
      await using visited = await newPage();
      const { page } = visited;
      await page.goto(`${leader.url}/login?back=${encodeURIComponent(back)}`);
      await page.getByLabel("User name").fill("root");
      await page.getByLabel("Password").fill(password);
      await page.locator("form").getByRole("button", { name: "Log in" }).click();
      await page.waitForURL((to) => to.pathname !== "/login");
      expect(new URL(page.url()).origin).toBe(leader.url);
    },
  );
});

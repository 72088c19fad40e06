/** `/docs`: that it is whole, from this origin alone, and that a browser draws it. */
import { beforeAll, describe, expect, test } from "bun:test";
import { newPage, noBrowser, useBrowser, visit } from "../support/browser.ts";
import { usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";

const postgres = usePostgres();
let server: TestServer;

beforeAll(async () => {
  server = await startServer({ DATABASE_URL: await postgres.newDatabase() });
});

const policyOf = (headers: Headers): string => headers.get("Content-Security-Policy") ?? "";

test("every file of it is there, under a policy that allows this origin alone", async () => {
  const page = await server.client.get("/docs");
  expect(page.headers.get("Content-Type")).toBe("text/html; charset=utf-8");
  expect(page.text).not.toMatch(/https?:\/\/|<script>|<style| on[a-z]+="/);
  const files = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path = ""]) => path);
  expect(files.filter((path) => path.startsWith("/docs/"))).toHaveLength(3);
  // The way back.
  expect(files).toContain("/");
  for (const path of ["/docs", ...files]) {
    const answer = await server.client.get(path);
    expect([path, answer.status]).toEqual([path, 200]);
    if (!path.startsWith("/docs")) continue;
    const directives = policyOf(answer.headers).split("; ");
    expect(directives).toContain("default-src 'none'");
    expect(directives).toContain("script-src 'self'");
    expect(directives.join("; ")).not.toMatch(/unsafe-eval|https?:|\*/);
    expect(answer.headers.get("X-Content-Type-Options")).toBe("nosniff");
  }
});

test("the document is sent compressed, once", async () => {
  const headers = { "Accept-Encoding": "gzip" };
  const answer = await fetch(`${server.url}/openapi.json`, { headers });
  expect(answer.headers.get("Content-Encoding")).toBe("gzip");
  expect(await answer.json()).toMatchObject({ openapi: "3.1.0" });
  const tag = answer.headers.get("ETag") ?? "";
  const again = await fetch(`${server.url}/openapi.json`, { headers: { "If-None-Match": tag } });
  expect(again.status).toBe(304);
});

test("it takes GET alone", async () => {
  const answer = await server.client.ask("POST", "/docs");
  expect([answer.status, answer.headers.get("Allow")]).toEqual([405, "GET, HEAD"]);
});

describe.skipIf(noBrowser)("in a browser", () => {
  useBrowser();
  test("its first words and the way back are there before the reference is", async () => {
    await using visited = await newPage();
    const { page } = visited;
    const gate = Promise.withResolvers<void>();
    await page.route(/reference/, async (route) => {
      await gate.promise;
      await route.continue();
    });
    await page.goto(`${server.url}/docs`, { waitUntil: "commit" });
    await page.getByRole("heading", { name: "The API" }).waitFor();
    await page.getByRole("link", { name: "Stampede" }).click();
    await page.waitForURL(`${server.url}/`);
    gate.resolve();
  });

  test("it is drawn, asks no other host, and a request can be tried", async () => {
    await using visited = await visit(`${server.url}/docs`);
    const { page, wrong } = visited;
    await page.getByRole("heading", { name: "Stampede" }).first().waitFor();
    await page.getByText("Reserve one unit of an item").first().waitFor();
    await page.getByRole("button", { name: "Test Request (get /sale)" }).click();
    await page.getByRole("button", { name: /^Send/ }).first().click();
    await page.getByText("200 OK").first().waitFor();
    expect(wrong).toEqual([]);
  });
});

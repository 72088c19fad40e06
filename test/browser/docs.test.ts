/**
 * `/docs`: that it is whole, from this origin alone, and that a browser draws it; and the guide beside
 * it: that links lead to what is there, and that each page fits its window.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { guidePages, pages } from "../../src/web/pages.ts";
import { cutOff, newPage, noBrowser, useBrowser, visit } from "../support/browser.ts";
import { widths } from "../support/axe.ts";
import { usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

const postgres = usePostgres();
let server: TestServer;

beforeAll(async () => {
  server = await startServer({ DATABASE_URL: await postgres.newRecords() });
});

const isOfReference = (path: string) => path === "/docs" || /^\/docs\/.*\.js$/.test(path);

const policyOf = (headers: Headers): string => headers.get("Content-Security-Policy") ?? "";

test("every file of it is there, under a policy that allows this origin alone", async () => {
  const page = await server.client.get("/docs");
  expect(page.headers.get("Content-Type")).toBe("text/html; charset=utf-8");
  expect(page.text).not.toMatch(/https?:\/\/|<script>| on[a-z]+="/);
  const files = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path = ""]) => path);
  expect(files.filter(isOfReference)).toHaveLength(2);
  // The way back, and on.
  expect(files).toContain("/");
  expect(files).toContain("/docs/start");
  for (const path of ["/docs", ...files]) {
    const answer = await server.client.get(path);
    expect([path, answer.status]).toEqual([path, 200]);
    if (!isOfReference(path)) continue;
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

const guide = Array.from(guidePages, ([path, { body }]) => {
  const links = Array.from(body.matchAll(/<a [^>]*href="([^"]+)"/g), ([, to = ""]) => to);
  const ids = Array.from(body.matchAll(/ id="([^"]+)"/g), ([, id = ""]) => id);
  return { path, body, links, ids: new Set(ids) };
});

describe("the guide", () => {
  test("is a page a document, and its links lead to what is there", () => {
    expect(guide.length).toBeGreaterThanOrEqual(9);
    const served = new Set([...pages.keys(), "/docs"]);
    const broken = guide.flatMap(({ path, links }) =>
      links
        .filter((to) => !/^https?:/.test(to))
        .filter((to) => {
          const [target = "", anchor] = to.split("#");
          const at = guide.find((one) => one.path === (target === "" ? path : target));
          if (at === undefined) return !served.has(target) || anchor !== undefined;
          return anchor !== undefined && anchor !== "app" && !at.ids.has(anchor);
        })
        .map((to) => ({ path, to })),
    );
    expect(broken).toEqual([]);
  });

  test("has words, a title of its own, and nothing of the reference's library", async () => {
    const titles = guide.map(({ body }) => /<title>([^<]*)<\/title>/.exec(body)?.[1]);
    expect(new Set(titles).size).toBe(guide.length);
    for (const { path, body } of guide) {
      const answer = await server.client.get(path);
      expect([path, answer.status]).toEqual([path, 200]);
      expect(policyOf(answer.headers)).not.toContain("unsafe-inline");
      expect(body).not.toContain("/docs/reference-");
      expect(body).not.toMatch(/\{(?:title|links|description)\}/);
      expect(body).toMatch(/<h1[ >]/);
      expect(body).not.toMatch(/<[^>]* (?:style|on[a-z]+)="/);
    }
  });
});

describe.skipIf(noBrowser)("in a browser", () => {
  useBrowser();
  test("its first words and the way back are painted before anything else has come", async () => {
    await using visited = await newPage();
    const { page } = visited;
    const gate = Promise.withResolvers<void>();
    await page.route(/\/docs\//, async (route) => {
      await gate.promise;
      await route.continue();
    });
    await page.goto(`${server.url}/docs`, { waitUntil: "commit" });
    await until("the first paint", () =>
      page.evaluate(
        () => performance.getEntriesByName("first-contentful-paint", "paint").length === 1,
      ),
    );
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

  test("no page of the guide is wider than its window, and it is gone through by its links", async () => {
    await using visited = await visit(`${server.url}/docs/start`);
    const { page, wrong } = visited;
    for (const { path } of guide) {
      await page.goto(server.url + path);
      for (const width of widths) {
        await page.setViewportSize({ width, height: 900 });
        expect({ path, width, cut: await cutOff(page) }).toEqual({ path, width, cut: [] });
      }
    }
    await page.getByRole("navigation", { name: "Guide" }).getByText("Operate").click();
    await page.getByRole("heading", { level: 1, name: "To keep it" }).waitFor();
    await page.getByRole("link", { name: "Backups" }).first().click();
    await page.waitForURL(/#backups$/);
    expect(wrong).toEqual([]);
  });
});

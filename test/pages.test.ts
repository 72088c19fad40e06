import { expect, test } from "bun:test";
import { type Page, pages, servePage } from "../src/web/pages.ts";

function pageAt(path: string): Page {
  const page = pages.get(path);
  if (!page) throw new Error(`no page at ${path}`);
  return page;
}
const get = (path: string, headers: HeadersInit = {}) =>
  servePage(pageAt(path), new Request(`http://host${path}`, { headers }));

test("every page names its type and allows this origin alone", () => {
  for (const path of pages.keys()) {
    const answer = get(path);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("Content-Type")).toMatch(/^(text\/(html|css|javascript)|image\/svg)/);
    expect(answer.headers.get("X-Content-Type-Options")).toBe("nosniff");
    expect(answer.headers.get("Content-Security-Policy")).toContain("default-src 'none'");
    expect(answer.headers.get("Content-Security-Policy")).not.toContain("unsafe");
  }
});

test("the home page asks for nothing it does not have, and holds no inline script or style", () => {
  const html = pageAt("/").body;
  const wanted = [...html.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, path = ""]) => path);
  expect(wanted.length).toBeGreaterThan(2);
  for (const path of wanted) expect(pages.has(path)).toBe(true);
  expect(html).not.toMatch(/<style|style="|<script(?![^>]* src=)| on[a-z]+="/);
  for (const path of ["/", "/home.css", "/home.js"])
    expect(pageAt(path).body).not.toMatch(/https?:\/\//);
});

test("the script is JavaScript, and every element it looks up is in the page", () => {
  const script = pageAt("/home.js").body;
  expect(() => new Bun.Transpiler({ loader: "js" }).transformSync(script)).not.toThrow();
  const ids = [...script.matchAll(/(?:element|show)\("([a-z-]+)"/g)].map(([, id = ""]) => id);
  expect(ids.length).toBeGreaterThan(10);
  for (const id of ids) expect(pageAt("/").body).toContain(`id="${id}"`);
});

test("all of it is under 20 KB as sent", async () => {
  const sizes = await Promise.all(
    [...pages.keys()].map(async (path) => {
      const answer = get(path, { "Accept-Encoding": "gzip, br" });
      expect(answer.headers.get("Content-Encoding")).toBe("gzip");
      const bytes = new Uint8Array(await answer.arrayBuffer());
      expect(new TextDecoder().decode(Bun.gunzipSync(bytes))).toBe(pageAt(path).body);
      expect(await get(path).text()).toBe(pageAt(path).body);
      return bytes.length;
    }),
  );
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(20_000);
});

test("a page the browser has is not sent again", async () => {
  const tag = get("/").headers.get("ETag") ?? "";
  const answer = get("/", { "If-None-Match": tag });
  expect(answer.status).toBe(304);
  expect(await answer.text()).toBe("");
  expect(get("/", { "If-None-Match": '"other"' }).status).toBe(200);
});

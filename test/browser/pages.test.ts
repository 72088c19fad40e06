/** The pages as they are sent. How they look and work in a browser is seen in web.test.ts. */
import { expect, test } from "bun:test";
import { Appearance } from "../../src/http/appearance.ts";
import { openPool } from "../../src/postgres/client.ts";
import { openDb } from "../../src/store/db.ts";
import {
  importsOf,
  originsMax,
  type Page,
  pageRoutes,
  pages,
  servePage,
} from "../../src/web/pages.ts";

const scriptBytesMax = 60_000;
const styleBytesMax = 20_000;
/** What a server may send at once, ten segments of 1,460 bytes (RFC 6928), less some for the headers. */
const pageBytesMax = 13_500;

function pageAt(path: string): Page {
  const page = pages.get(path);
  if (!page) throw new Error(`no page at ${path}`);
  return page;
}
const get = (path: string, headers: HeadersInit = {}) =>
  servePage(pageAt(path), new Request(`http://host${path}`, { headers }));

const nobodys = new Appearance(openDb(openPool({ url: "postgres://nobody@127.0.0.1:1/nothing" })), {
  name: "Stampede",
  currency: "USD",
  locale: "en",
  timeZone: "UTC",
});
const served = new Set(pageRoutes(nobodys).map(({ path }) => path));
/** Pages as they are sent at one origin. */
const bodies = new Map<string, string>();
for (const path of pages.keys()) bodies.set(path, await get(path).text());
const bodyAt = (path: string): string => bodies.get(path) ?? "";

const isHtml = ([, page]: [string, Page]) =>
  page.headers["Content-Type"]?.startsWith("text/html") === true;
const htmls = [...pages].filter(isHtml).map(([path]) => path);
const wantedBy = (path: string): string[] =>
  [...bodyAt(path).matchAll(/<(?:link|script|img)[^>]*? (?:src|href)="([^"#]+)"/g)].map(
    ([, wanted = ""]) => wanted,
  );

test("the shop's front is here", () => {
  for (const path of ["/", "/proof", "/coupons"]) expect(htmls).toContain(path);
});

test("everything names its type and allows this origin alone", () => {
  for (const path of pages.keys()) {
    const answer = get(path);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("Content-Type")).toMatch(
      /^(text\/(html|javascript)|image\/svg|application\/manifest\+json)/,
    );
    expect(answer.headers.get("X-Content-Type-Options")).toBe("nosniff");
    const policy = answer.headers.get("Content-Security-Policy") ?? "";
    for (const part of [
      "default-src 'none'",
      "script-src 'self'",
      "img-src 'self' data:",
      "connect-src 'self'",
    ])
      expect(policy).toContain(part);
    expect(policy).not.toContain("unsafe");
  }
});

/** The one style and the one script that stand in a page. */
const inlineOf = (body: string) =>
  ["style", "script"].map((tag) =>
    Array.from(
      body.matchAll(new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`, "g")),
      ([, text = ""]) => text,
    ),
  );
const digestOf = (text: string) =>
  `'sha256-${new Bun.CryptoHasher("sha256").update(text).digest("base64")}'`;

test("a page has what its first paint needs, and its policy names that by its digest and nothing else inline", () => {
  for (const path of htmls) {
    // At an origin of its own a page is made anew.
    const [styles = [], scripts = []] = inlineOf(bodyAt(path));
    expect({ path, styles: styles.length, scripts: scripts.length }).toEqual({
      path,
      styles: 1,
      scripts: 1,
    });
    const policy = get(path).headers.get("Content-Security-Policy")?.split("; ");
    expect(policy).toContain(`style-src ${styles.map(digestOf).join(" ")}`);
    expect(policy).toContain(`script-src 'self' ${scripts.map(digestOf).join(" ")}`);
    expect(bodyAt(path)).not.toMatch(/rel="stylesheet"|<script [^>]*src=/);
  }
});

test("a page asks for nothing it does not have, and has no attribute that is a script or a style", () => {
  for (const path of htmls) {
    const wanted = wantedBy(path);
    expect(wanted.length).toBeGreaterThan(4);
    for (const one of wanted) expect(served.has(one) ? "here" : one).toBe("here");
    expect(pageAt(path).body).not.toMatch(/<[^>]* (?:style|on[a-z]+)="/);
    expect(pageAt(path).body).toMatch(/<html lang="en">[\s\S]*<main id="app"[\s\S]*<\/main>/);
  }
});

test("no page, script or style names another host", () => {
  const named = /["'(`](?:https?:)?\/\/[a-z0-9.-]+/gi;
  for (const [path, { body }] of pages) {
    if (path.endsWith(".svg")) continue;
    const hosts = [...body.matchAll(named)].map(([host]) => host.slice(1));
    // Names of XML namespaces are no addresses, and nothing answers below .invalid (RFC 6761).
    const others = hosts.filter((host) => !/^http:\/\/(www\.w3\.org|.*\.invalid)$/.test(host));
    expect({ path, others }).toEqual({ path, others: [] });
  }
});

test(`a page's script is at most ${scriptBytesMax} bytes as sent, its style ${styleBytesMax}, the page with it ${pageBytesMax}`, () => {
  for (const path of htmls) {
    const wanted = wantedBy(path).filter((one) => one.startsWith("/assets/"));
    const entry = /data-entry href="\/assets\/([^"]+)"/.exec(pageAt(path).body)?.[1] ?? "";
    // What a script imports is preloaded, all of it: no round trip waits for another.
    for (const other of importsOf(entry)) expect(wanted).toContain(`/assets/${other}`);
    const [[style = ""] = [], [early = ""] = []] = inlineOf(bodyAt(path));
    const scriptBytes = wanted
      .filter((one) => one.endsWith(".js"))
      .reduce(
        (sum, one) => sum + (pageAt(one).gzip?.byteLength ?? Infinity),
        Bun.gzipSync(early).byteLength,
      );
    const styleBytes = Bun.gzipSync(style).byteLength;
    expect({ path, fits: scriptBytes <= scriptBytesMax }).toEqual({ path, fits: true });
    expect({ path, fits: styleBytes <= styleBytesMax }).toEqual({ path, fits: true });
    expect({ path, fits: (pageAt(path).gzip?.byteLength ?? Infinity) <= pageBytesMax }).toEqual({
      path,
      fits: true,
    });
  }
});

test("what is sent compressed is what is sent plain", async () => {
  for (const path of pages.keys()) {
    const answer = get(path, { "Accept-Encoding": "gzip, br" });
    expect(answer.headers.get("Content-Encoding")).toBe("gzip");
    const bytes = new Uint8Array(await answer.arrayBuffer());
    expect(new TextDecoder().decode(Bun.gunzipSync(bytes))).toBe(bodyAt(path));
    expect(await get(path).text()).toBe(bodyAt(path));
    const refusing = get(path, { "Accept-Encoding": "gzip;q=0" });
    expect(refusing.headers.get("Content-Encoding")).toBeNull();
  }
});

test("a page the browser has is not sent again, and what is named by its content is kept", async () => {
  const tag = get("/").headers.get("ETag") ?? "";
  const answer = get("/", { "If-None-Match": tag });
  expect(answer.status).toBe(304);
  expect(await answer.text()).toBe("");
  expect(get("/", { "If-None-Match": '"other"' }).status).toBe(200);
  for (const path of pages.keys()) {
    const caching = get(path).headers.get("Cache-Control");
    expect(caching).toBe(
      path.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache",
    );
  }
});

const pictureAt = async (url: string, headers: HeadersInit = {}) => {
  const text = await servePage(pageAt("/"), new Request(url, { headers })).text();
  return /property="og:image" content="([^"]+)"/.exec(text)?.[1];
};

test("a link's picture has a whole address, whatever strangers ask under, and one that is there", async () => {
  expect(await pictureAt("http://host/")).toBe("http://host/card.jpg");
  expect(await pictureAt("http://shop.test/", { "X-Forwarded-Proto": "https" })).toBe(
    "https://shop.test/card.jpg",
  );
  for (let i = 0; i < originsMax; i++) await pictureAt(`http://host-${i}/`);
  // Whoever asks under ever new names has nothing kept for them, and keeps nobody from what they ask for.
  expect(await pictureAt("http://one-too-many/")).toBe("http://one-too-many/card.jpg");
  const [kept, made] = ["host", "one-too-many"].map((host) => {
    const headers = { "Accept-Encoding": "gzip" };
    return servePage(pageAt("/"), new Request(`http://${host}/`, { headers })).headers;
  });
  expect(kept?.get("Content-Encoding")).toBe("gzip");
  expect(made?.get("Content-Encoding")).toBeNull();
  expect(await pictureAt("http://host/")).toBe("http://host/card.jpg");
  expect(served).toContain("/card.jpg");
});

/**
 * The pages and what they need, ready to send: text, gzip, entity tag and headers made once at start.
 *
 * The policy allows this origin alone and no inline script or style. Nothing here can fail at runtime.
 * What other programs show of a page (a link's picture, an app's icon) they ask for by whole addresses:
 * a page names the origin that it is asked for at, and is made once for each.
 */
import type { PageRoute } from "../http/server.ts";
import card from "./pictures/card.jpg" with { type: "file" };
import icon180 from "./pictures/icon-180.png" with { type: "file" };
import icon192 from "./pictures/icon-192.png" with { type: "file" };
import icon512 from "./pictures/icon-512.png" with { type: "file" };

import { takesGzip } from "../http/compressed.ts";
import { itemPicture } from "../art/pictures.ts";
import { bundle } from "./bundle.ts" with { type: "macro" };
import { originMark, shell } from "./shell.ts";

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "font-src 'none'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

export interface Page {
  readonly body: string;
  readonly gzip: Uint8Array<ArrayBuffer>;
  readonly headers: Readonly<Record<string, string>>;
}

/** Asked for again at every visit and mostly answered 304: a new release is seen at once. */
const revisited = "no-cache";
/** Its name changes with its content. */
const forEver = "public, max-age=31536000, immutable";

const types = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
  manifest: "application/manifest+json; charset=utf-8",
};

function page(body: string, type: keyof typeof types, caching: string): Page {
  return {
    body,
    gzip: Bun.gzipSync(body, { level: 9 }),
    headers: {
      "Content-Type": types[type],
      "Content-Security-Policy": policy,
      "X-Content-Type-Options": "nosniff",
      "Referrer-Policy": "no-referrer",
      "Cache-Control": caching,
      ETag: `"${Bun.hash(body).toString(36)}"`,
      Vary: "Accept-Encoding",
    },
  };
}

const bundled = bundle();
const asset = (file: string): string => `/assets/${file}`;

/** The scripts that a script is going to ask for, itself left out. */
export function importsOf(file: string, seen = new Set<string>()): Set<string> {
  for (const [, other = ""] of (bundled.files[file] ?? "").matchAll(/from"\.\/([^"]+\.js)"/g)) {
    if (seen.has(other)) continue;
    seen.add(other);
    importsOf(other, seen);
  }
  return seen;
}

const early = Object.keys(bundled.files).find((file) => file.startsWith("early-")) ?? "";

const shells = bundled.pages.map(({ name, html, script, styles }) =>
  shell({
    name,
    html,
    early: asset(early),
    script: asset(script),
    preload: Array.from(importsOf(script), asset),
    styles: styles.map(asset),
  }),
);

const manifest = {
  name: "Stampede",
  short_name: "Stampede",
  description: "Flash sales: what there is, to nobody twice.",
  start_url: "/",
  display: "standalone",
  background_color: "#f5eedf",
  theme_color: "#1d1a4b",
  icons: [
    { src: "/favicon.svg", sizes: "any", type: "image/svg+xml" },
    { src: "/icon-192.png", sizes: "192x192", type: "image/png" },
    { src: "/icon-512.png", sizes: "512x512", type: "image/png" },
  ],
};

/** The brand's own animals: seeds chosen for how they look side by side. */
const herd = [2137, 12, 26, 34, 6, 23, 31, 11, 21, 8, 37, 39].map((n) =>
  n === 2137 ? "stampede-2137" : `herd-${n}`,
);

/** By path. */
export const pages: ReadonlyMap<string, Page> = new Map([
  ...shells.map(({ path, html }): [string, Page] => [path, page(html, "html", revisited)]),
  ...Object.entries(bundled.files).map(([file, text]): [string, Page] => [
    asset(file),
    page(text, file.endsWith(".css") ? "css" : "js", forEver),
  ]),
  ["/manifest.webmanifest", page(JSON.stringify(manifest), "manifest", revisited)],
  ["/favicon.svg", page(itemPicture("stampede-2137", "Stampede"), "svg", revisited)],
  ...herd.map((seed, i): [string, Page] => [
    `/herd/${i}.svg`,
    page(itemPicture(seed), "svg", revisited),
  ]),
]);

/** Origins that pages are kept for; asked for at others, they name none. */
export const originsMax = 8;
const madeFor = new Map<string, Map<Page, Page>>();

/** The origin in the visitor's address bar, as far as the request tells. */
function originOf(request: Request): string {
  // Without a host, or with one that is none, a request has no URL.
  if (!URL.canParse(request.url)) return "";
  const { protocol, host } = new URL(request.url);
  const isSecure = request.headers.get("X-Forwarded-Proto") === "https";
  const origin = `${isSecure ? "https:" : protocol}//${host}`;
  if (!/^https?:\/\/[\w.:[\]-]+$/.test(origin)) return "";
  if (madeFor.has(origin)) return origin;
  return madeFor.size < originsMax ? origin : "";
}

function forOrigin(one: Page, request: Request): Page {
  if (!one.body.includes(originMark)) return one;
  const origin = originOf(request);
  const kept = madeFor.get(origin) ?? new Map<Page, Page>();
  madeFor.set(origin, kept);
  const made = kept.get(one) ?? page(one.body.replaceAll(originMark, origin), "html", revisited);
  kept.set(one, made);
  return made;
}

/** The answer to GET or HEAD of a page. */
export function servePage(one: Page, request: Request, status = 200): Response {
  const { body, gzip, headers } = forOrigin(one, request);
  if (status === 200 && request.headers.get("If-None-Match") === headers["ETag"])
    return new Response(null, { status: 304, headers });
  if (takesGzip(request.headers.get("Accept-Encoding")))
    return new Response(gzip, { status, headers: { ...headers, "Content-Encoding": "gzip" } });
  return new Response(body, { status, headers });
}

/** Pictures that are no text. */
const pictures = [
  ["/card.jpg", card, "image/jpeg"],
  ["/icon-180.png", icon180, "image/png"],
  ["/icon-192.png", icon192, "image/png"],
  ["/icon-512.png", icon512, "image/png"],
] as const;
const pictureHeaders = {
  "X-Content-Type-Options": "nosniff",
  "Cache-Control": "public, max-age=86400",
};

export const pageRoutes: readonly PageRoute[] = [
  ...Array.from(pages, ([path, one]): PageRoute => ({
    path,
    handle: (request) => servePage(one, request),
  })),
  ...pictures.map(([path, file, type]): PageRoute => ({
    path,
    handle: () =>
      new Response(Bun.file(file), { headers: { ...pictureHeaders, "Content-Type": type } }),
  })),
];

/**
 * The pages and what they need, ready to send: text, gzip, entity tag and headers made once at start.
 *
 * The policy allows this origin alone and no inline script or style. Nothing here can fail at runtime.
 */

import { takesGzip } from "../http/compressed.ts";
import { itemPicture } from "../art/pictures.ts";
import { bundle } from "./bundle.ts" with { type: "macro" };
import { shell } from "./shell.ts";

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "font-src 'none'",
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

const theme = Object.keys(bundled.files).find((file) => file.startsWith("theme-")) ?? "";

const shells = bundled.pages.map(({ name, html, script, styles }) =>
  shell({
    name,
    html,
    theme: asset(theme),
    script: asset(script),
    preload: Array.from(importsOf(script), asset),
    styles: styles.map(asset),
  }),
);

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
  ["/favicon.svg", page(itemPicture("stampede-2137", "Stampede"), "svg", revisited)],
  ...herd.map((seed, i): [string, Page] => [
    `/herd/${i}.svg`,
    page(itemPicture(seed), "svg", revisited),
  ]),
]);

/** The answer to GET or HEAD of a page. */
export function servePage({ body, gzip, headers }: Page, request: Request, status = 200): Response {
  if (status === 200 && request.headers.get("If-None-Match") === headers["ETag"])
    return new Response(null, { status: 304, headers });
  if (takesGzip(request.headers.get("Accept-Encoding")))
    return new Response(gzip, { status, headers: { ...headers, "Content-Encoding": "gzip" } });
  return new Response(body, { status, headers });
}

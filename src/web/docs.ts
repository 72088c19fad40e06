/**
 * `/docs`: the API's document to read and to try, drawn by a library that is part of the
 * executable. It asks no other host for anything.
 *
 * Its policy is that of the other pages but for `style-src 'unsafe-inline'`: the library puts
 * its styles into the page by itself. Scripts are this origin's files here too, none inline.
 * The script is some megabytes: it stays in its file, compressed, until somebody asks for it. The
 * page's first words and its way back wait for no other request: far from the server that is half
 * a second each.
 */
import packageJson from "../../package.json" with { type: "json" };
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { refusesGzip } from "../http/compressed.ts";
import type { PageRoute } from "../http/server.ts";
import { reference } from "./reference.ts";

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "font-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Its name changes with its content. */
const script = `/docs/reference-${packageJson.dependencies["@scalar/api-reference"]}.js`;

const style = `
:root { color-scheme: light dark; }
body { margin: 0; overflow-x: clip; font: 16px/1.5 system-ui, sans-serif; background: light-dark(#fff, #0f0f0f); color: light-dark(#1c1530, #f7f0e2); }
.docs-top { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 8px 16px; padding: 10px clamp(16px, 3vw, 40px); background: light-dark(#f5eedf, #131029); }
.docs-top a { display: flex; align-items: center; gap: 8px; min-height: 32px; color: inherit; font-weight: 700; }
@media (width < 24rem) { .docs-top { font-size: 0.875rem; } }
.docs-top img { border-radius: 8px 8px 8px 2px; }
.docs-first { max-width: 60ch; padding: 24px clamp(16px, 3vw, 40px); }
.docs-first a { color: inherit; }
@media (scripting: none) { .docs-wait { display: none; } }
`;

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta name="color-scheme" content="light dark" />
<meta name="description" content="Stampede's HTTP API, to read and to try" />
<title>API · Stampede</title>
<link rel="icon" href="/favicon.svg" type="image/svg+xml" />
<style>${style}</style>
<script src="${script}" defer></script>
<script src="/docs/start.js" defer></script>
</head>
<body>
<header class="docs-top"><a href="/"><img src="/favicon.svg" width="32" height="32" alt="" />Stampede</a><a href="/docs/start">Guide</a><a href="/openapi.json">openapi.json</a></header>
<div id="app">
<div class="docs-first">
<h1>The API</h1>
<p>All that the pages do can be done over HTTP: reserve, buy, give back, claim, and run the shop.</p>
<p class="docs-wait">The reference is on its way, some megabytes of it. For programs it is in <a href="/openapi.json">openapi.json</a>.</p>
</div>
</div>
<noscript><p class="docs-first">The reference needs JavaScript; <a href="/openapi.json">its content</a> does not.</p></noscript>
</body>
</html>
`;

/** No fonts, proxy, telemetry, agent, and no other service of the library's makers. */
const options = {
  url: "/openapi.json",
  theme: "none",
  withDefaultFonts: false,
  telemetry: false,
  agent: { disabled: true },
  mcp: { disabled: true },
  showDeveloperTools: "never",
  hideClientButton: true,
  documentDownloadType: "direct",
  defaultHttpClient: { targetKey: "shell", clientKey: "curl" },
};
const start = `document.querySelector(".docs-first")?.remove();\nScalar.createApiReference("#app", ${JSON.stringify(options)});\n`;

const headersOf = (type: string, caching: string): Record<string, string> => ({
  "Content-Type": `${type}; charset=utf-8`,
  "Content-Security-Policy": policy,
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cache-Control": caching,
});

export const docsRoutes: readonly PageRoute[] = [
  { path: "/docs", handle: () => small(page, "text/html") },
  { path: "/docs/start.js", handle: () => small(start, "text/javascript") },
  { path: script, handle: serveReference, cost: "costly" },
];

const small = (body: string, type: string): Response =>
  new Response(body, { headers: headersOf(type, "no-cache") });

/** For who refuses gzip, which hardly anybody does: made beside the event loop, and once. */
let plain: Promise<Blob> | null = null;

async function unpacked(): Promise<Blob> {
  return new Blob([await promisify(gunzip)(await Bun.file(reference.file).bytes())]);
}

async function serveReference(request: Request): Promise<Response> {
  const headers = {
    ...headersOf("text/javascript", "public, max-age=31536000, immutable"),
    Vary: "Accept-Encoding",
  };
  const file = Bun.file(reference.file);
  if (!reference.isGzip) return new Response(file, { headers });
  if (refusesGzip(request.headers.get("Accept-Encoding"))) {
    return new Response(await (plain ??= unpacked()), { headers });
  }
  return new Response(file, { headers: { ...headers, "Content-Encoding": "gzip" } });
}

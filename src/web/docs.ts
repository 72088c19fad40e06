/**
 * `/docs`: the API's document to read and to try, drawn by a library that is part of the
 * executable. It asks no other host for anything.
 *
 * Its policy is that of the other pages but for `style-src 'unsafe-inline'`: the library puts
 * its styles into the page by itself. Scripts are this origin's files here too, none inline.
 * The script is some megabytes: it stays in its file, compressed, until somebody asks for it.
 */
import packageJson from "../../package.json" with { type: "json" };
import { takesGzip } from "../http/compressed.ts";
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

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta name="color-scheme" content="light dark" />
<meta name="description" content="Stampede's HTTP API, to read and to try" />
<title>API · Stampede</title>
<link rel="icon" href="/favicon.svg" type="image/svg+xml" />
</head>
<body>
<div id="app"></div>
<noscript><p>This page needs JavaScript; <a href="/openapi.json">its content</a> does not.</p></noscript>
<script src="${script}"></script>
<script src="/docs/start.js"></script>
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
const start = `Scalar.createApiReference("#app", ${JSON.stringify(options)});\n`;

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
  { path: script, handle: serveReference },
];

const small = (body: string, type: string): Response =>
  new Response(body, { headers: headersOf(type, "no-cache") });

function serveReference(request: Request): Response {
  const headers = {
    ...headersOf("text/javascript", "public, max-age=31536000, immutable"),
    Vary: "Accept-Encoding",
  };
  const file = Bun.file(reference.file);
  if (!reference.isGzip) return new Response(file, { headers });
  if (takesGzip(request.headers.get("Accept-Encoding"))) {
    return new Response(file, { headers: { ...headers, "Content-Encoding": "gzip" } });
  }
  return new Response(file.stream().pipeThrough(new DecompressionStream("gzip")), { headers });
}

/**
 * The pages and what they need, ready to send: text, gzip, entity tag and headers made once at start.
 *
 * The policy allows this origin alone and no inline script or style. Nothing here can fail at runtime.
 */

import { itemPicture } from "../sales/pictures.ts";
import { embedded, embeddedScript } from "./embed.ts" with { type: "macro" };

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

export interface Page {
  readonly body: string;
  readonly gzip: Uint8Array<ArrayBuffer>;
  readonly headers: Readonly<Record<string, string>>;
}

function page(body: string, contentType: string): Page {
  return {
    body,
    gzip: Bun.gzipSync(body, { level: 9 }),
    headers: {
      "Content-Type": contentType,
      "Content-Security-Policy": policy,
      "X-Content-Type-Options": "nosniff",
      "Referrer-Policy": "no-referrer",
      // Asked for again at every visit and mostly answered 304: a new release is seen at once.
      "Cache-Control": "no-cache",
      ETag: `"${Bun.hash(body).toString(36)}"`,
      Vary: "Accept-Encoding",
    },
  };
}

/** By path. */
export const pages: ReadonlyMap<string, Page> = new Map([
  ["/", page(embedded("home.html"), "text/html; charset=utf-8")],
  ["/home.css", page(embedded("home.css"), "text/css; charset=utf-8")],
  ["/home.js", page(embeddedScript("home.ts"), "text/javascript; charset=utf-8")],
  ["/favicon.svg", page(itemPicture("stampede-2137", "Stampede"), "image/svg+xml")],
]);

/** The answer to GET or HEAD of a page. */
export function servePage({ body, gzip, headers }: Page, request: Request): Response {
  if (request.headers.get("If-None-Match") === headers["ETag"])
    return new Response(null, { status: 304, headers });
  if (/\bgzip\b/.test(request.headers.get("Accept-Encoding") ?? ""))
    return new Response(gzip, { headers: { ...headers, "Content-Encoding": "gzip" } });
  return new Response(body, { headers });
}

/**
 * The pages and what they need, ready to send: text, gzip, entity tag and headers made once at start.
 *
 * The policy allows this origin's files, and of inline scripts and styles those of the page, by their
 * digests: what would be slipped into a page does nothing. Nothing here can fail at runtime.
 * What other programs show of a page (a link's picture, an app's icon) they ask for by whole addresses:
 * a page names the origin that it is asked for at, and what the shop calls itself and looks like, and is
 * made once for each, or, where a stranger has used up the places by origins that there are not, each time.
 */
import { accentOf } from "../art/accent.ts";
import type { Appearance, Look } from "../http/appearance.ts";
import { originOf } from "../http/parse.ts";
import type { PageRoute } from "../http/server.ts";
import card from "./pictures/card.jpg" with { type: "file" };
import icon180 from "./pictures/icon-180.png" with { type: "file" };
import icon192 from "./pictures/icon-192.png" with { type: "file" };
import icon512 from "./pictures/icon-512.png" with { type: "file" };

import { takesGzip } from "../http/compressed.ts";
import { logoAddress } from "../http/logo.ts";
import { itemPicture } from "../art/pictures.ts";
import { bundle } from "./bundle.ts" with { type: "macro" };
import { guides } from "./guides.ts" with { type: "macro" };
import { marks, shell } from "./shell.ts";

const digestOf = (text: string): string =>
  `'sha256-${new Bun.CryptoHasher("sha256").update(text).digest("base64")}'`;

type Inline = { readonly style: string; readonly script: string };

/** Of a page with these inline, or of a file, which has none. */
const policyFor = (inline?: Inline): string =>
  [
    "default-src 'none'",
    `script-src 'self'${inline ? ` ${digestOf(inline.script)}` : ""}`,
    `style-src ${inline ? digestOf(inline.style) : "'none'"}`,
    "img-src 'self' data:",
    "connect-src 'self'",
    "font-src 'none'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
const filePolicy = policyFor();

export interface Page {
  readonly type: keyof typeof types;
  /** With marks in it where it is made for whoever asks. */
  readonly body: string;
  readonly inline: Inline | undefined;
  /** Null of one that is not kept: to pack it takes ten times as long as to make it. */
  readonly gzip: Uint8Array<ArrayBuffer> | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** Asked for again at every visit and mostly answered 304: a new release is seen at once. */
const revisited = "no-cache";
/** Its name changes with its content. */
const forEver = "public, max-age=31536000, immutable";

const types = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
  manifest: "application/manifest+json; charset=utf-8",
};

type Made = Pick<Page, "body" | "type"> & {
  readonly caching: string;
  readonly inline?: Inline | undefined;
};

function page({ body, type, caching, inline }: Made, isKept = true): Page {
  return {
    type,
    body,
    inline,
    gzip: isKept ? Bun.gzipSync(body, { level: 9 }) : null,
    headers: {
      "Content-Type": types[type],
      "Content-Security-Policy": inline === undefined ? filePolicy : policyFor(inline),
      "X-Content-Type-Options": "nosniff",
      "Referrer-Policy": "no-referrer",
      "Cache-Control": caching,
      ETag: `"${Bun.hash(body).toString(36)}"`,
      Vary: "Accept-Encoding",
    },
  };
}

const fileOf = (body: string, type: keyof typeof types): Page =>
  page({ body, type, caching: revisited });

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

function htmlPage({ name, html, script, style }: (typeof bundled.pages)[number]): [string, Page] {
  const { early } = bundled;
  const preload = Array.from(importsOf(script), asset);
  const made = shell({ name, html, style, early, script: asset(script), preload });
  const inline = { style: style + marks.accent, script: early };
  return [made.path, page({ body: made.html, type: "html", caching: revisited, inline })];
}

const guideName = "guide";

/** The guide, by path: one page a document, all of them made of one. */
export const guidePages: ReadonlyMap<string, Page> = new Map(
  bundled.pages.filter(({ name }) => name === guideName).flatMap(guidePagesOf),
);

function guidePagesOf(template: (typeof bundled.pages)[number]): [string, Page][] {
  const all = guides();
  return all.map(({ path, title, description, html }) => {
    const links = [...all, { path: "/docs", word: "The reference" }].map((one) => {
      const current = one.path === path ? ' aria-current="page"' : "";
      return `<li><a href="${one.path}"${current}>${one.word}</a></li>`;
    });
    const words = { title, description, path, links: links.join(""), text: html };
    const parts = Object.entries(words);
    const filledIn = parts.reduce(
      (text, [key, part]) => text.replace(`{${key}}`, () => part),
      template.html,
    );
    return htmlPage({ ...template, html: filledIn });
  });
}

const manifest = {
  name: marks.name,
  short_name: marks.name,
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
  ...bundled.pages.filter(({ name }) => name !== guideName).map(htmlPage),
  ...Object.entries(bundled.files).map(([file, text]): [string, Page] => [
    asset(file),
    page({ body: text, type: "js", caching: forEver }),
  ]),
  ["/manifest.webmanifest", fileOf(JSON.stringify(manifest), "manifest")],
  ["/favicon.svg", fileOf(itemPicture("stampede-2137", "Stampede"), "svg")],
  ...herd.map((seed, i): [string, Page] => [`/herd/${i}.svg`, fileOf(itemPicture(seed), "svg")]),
]);

/** Origins that pages are kept for; asked for at others, they are made for whoever asks alone. */
export const originsMax = 8;
const madeAt = new Map<string, Map<Page, Page>>();

/** What pages are made of that say nothing of a shop. */
const usualLook: Look = {
  name: "Stampede",
  currency: "USD",
  digits: 2,
  locale: "en",
  timeZone: "UTC",
  accent: null,
  logo: null,
};
/** What the pages that are kept were made for. */
let madeOf = usualLook;

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", '"': "&quot;" };
const escapedFor = {
  html: (text: string) => text.replaceAll(/[&<"]/g, (one) => escapes[one] ?? one),
  manifest: (text: string) => JSON.stringify(text).slice(1, -1),
  js: String,
  svg: String,
} as const;

function accentStyle({ accent }: Look): string {
  if (accent === null) return "";
  const [light, dark] = [accentOf(accent, "light"), accentOf(accent, "dark")];
  return (
    `:root{--accent:light-dark(${light.colour},${dark.colour});` +
    `--on-accent:light-dark(${light.on},${dark.on})}`
  );
}

/** A text with what its marks stand for. */
function filled(text: string, type: Page["type"], origin: string, look: Look): string {
  const { name, currency, digits, locale, timeZone: zone, logo } = look;
  const escaped = escapedFor[type];
  const values: Readonly<Record<string, string>> = {
    [marks.origin]: origin,
    [marks.name]: escaped(name),
    [marks.logo]: logoAddress(logo) ?? "/favicon.svg",
    [marks.accent]: accentStyle(look),
    [marks.house]: escaped(JSON.stringify({ name, currency, digits, locale, zone })),
  };
  return text.replaceAll(/\{[a-z]+\}/g, (mark) => values[mark] ?? mark);
}

const isMarked = ({ type }: Page): boolean => type === "html" || type === "manifest";

function madeFor(one: Page, request: Request, look: Look): Page {
  if (!isMarked(one)) return one;
  if (look !== madeOf) {
    madeOf = look;
    madeAt.clear();
  }
  const origin = originOf(request);
  const kept = madeAt.get(origin) ?? new Map<Page, Page>();
  const isKept = madeAt.has(origin) || madeAt.size < originsMax;
  let made = kept.get(one);
  if (made === undefined) {
    const fill = (text: string): string => filled(text, one.type, origin, look);
    const inline = one.inline && { ...one.inline, style: fill(one.inline.style) };
    const { type } = one;
    made = page({ body: fill(one.body), type, caching: revisited, inline }, isKept);
    if (isKept) madeAt.set(origin, kept.set(one, made));
  }
  return made;
}

/** The answer to GET or HEAD of a page. */
export function servePage(
  one: Page,
  request: Request,
  { status = 200, look = usualLook }: { readonly status?: number; readonly look?: Look } = {},
): Response {
  const { body, gzip, headers } = madeFor(one, request, look);
  if (status === 200 && request.headers.get("If-None-Match") === headers["ETag"])
    return new Response(null, { status: 304, headers });
  if (gzip !== null && takesGzip(request.headers.get("Accept-Encoding")))
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

/** Serves a file that is read once: to open it again takes as long as many small answers. */
function keptFile(path: string, headers: Readonly<Record<string, string>>): PageRoute["handle"] {
  let bytes: Promise<Uint8Array<ArrayBuffer>> | null = null;
  return async () => new Response(await (bytes ??= Bun.file(path).bytes()), { headers });
}

export const pageRoutes = (appearance: Appearance): readonly PageRoute[] => [
  ...Array.from([...pages, ...guidePages], ([path, one]): PageRoute => ({
    path,
    handle: async (request) => servePage(one, request, { look: await appearance.now() }),
  })),
  ...pictures.map(([path, file, type]): PageRoute => ({
    path,
    handle: keptFile(file, { ...pictureHeaders, "Content-Type": type }),
  })),
];

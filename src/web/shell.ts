/**
 * The HTML of a page: head, header with navigation, the page's own first paint, footer. All of it
 * stands before any script has run or any figure has come. What the first paint needs, the style and
 * the few lines that choose the theme, is in it: far from the server each request more is half a second.
 *
 * A page's file begins with what goes into its head, as a comment of `key: value` lines: `title` and
 * `description`, `path` where that is not `/<name>`, and `under`, the link that leads to it where
 * it has none of its own. The rest is the content of `<main id="app">`.
 */

const links = [
  { path: "/", word: "The drop" },
  { path: "/shop", word: "Shop" },
  { path: "/coupons", word: "Coupons" },
  { path: "/account", word: "My purchases" },
] as const;

type ShellParts = {
  readonly name: string;
  /** The page's file. */
  readonly html: string;
  readonly style: string;
  /** What runs before the first paint. */
  readonly early: string;
  /** An address. */
  readonly script: string;
  /** Addresses of what the script will ask for next. */
  readonly preload: readonly string[];
};

/**
 * What stands in a page for what is known when it is asked for: the origin (pictures of links have to
 * have whole addresses), and what the shop calls itself and looks like.
 */
export const marks = {
  origin: "{origin}",
  name: "{shop}",
  /** The address of its picture. */
  logo: "{logo}",
  /** In the style, at its end. */
  accent: "{accent}",
  /** As JSON, for the scripts. */
  house: "{house}",
} as const;

/** Throws on a page without a title: that is a mistake in the page. */
export function shell(parts: ShellParts): { readonly path: string; readonly html: string } {
  const { name, html, style, early, script, preload } = parts;
  const [, front = "", body = ""] = /^<!--([\s\S]*?)-->\s*([\s\S]*)$/.exec(html) ?? [];
  const field = (key: string) => new RegExp(`^\\s*${key}:\\s*(.+?)\\s*$`, "m").exec(front)?.[1];
  const title = field("title");
  if (title === undefined) throw new Error(`the page ${name} has no title`);
  const path = field("path") ?? `/${name}`;
  const head = [
    `<style>${style}${marks.accent}</style>`,
    `<script>${early}</script>`,
    ...preload.map((href) => `<link rel="modulepreload" fetchpriority="low" href="${href}" />`),
    `<link rel="modulepreload" fetchpriority="low" data-entry href="${script}" />`,
  ];
  const at = field("under") ?? path;
  return { path, html: page(path, at, title, field("description") ?? title, head, body) };
}

const link =
  (path: string, at: string) => (one: { readonly path: string; readonly word: string }) =>
    `<li><a href="${one.path}"${current(one.path, path, at)}>${one.word}</a></li>`;

/** A page below the link is not the one that the link leads to, but the visitor is in its part. */
const current = (to: string, path: string, at: string): string =>
  to === at ? ` aria-current="${to === path ? "page" : "true"}"` : "";

const page = (
  path: string,
  at: string,
  title: string,
  description: string,
  head: readonly string[],
  body: string,
): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover" />
<meta name="color-scheme" content="light dark" />
<meta name="theme-color" media="(prefers-color-scheme: light)" content="#f5eedf" />
<meta name="theme-color" media="(prefers-color-scheme: dark)" content="#131029" />
<meta name="description" content="${description}" />
<meta name="shop" content="${marks.house}" />
<title>${title} · ${marks.name}</title>
<link rel="icon" href="/favicon.svg" type="image/svg+xml" />
<link rel="apple-touch-icon" href="/icon-180.png" />
<link rel="manifest" href="/manifest.webmanifest" />
<meta property="og:type" content="website" />
<meta property="og:site_name" content="${marks.name}" />
<meta property="og:title" content="${title} · ${marks.name}" />
<meta property="og:description" content="${description}" />
<meta property="og:image" content="${marks.origin}/card.jpg" />
<meta property="og:image:width" content="1200" />
<meta property="og:image:height" content="630" />
<meta property="og:image:alt" content="Paper animals over a countdown" />
<meta name="twitter:card" content="summary_large_image" />
${head.join("\n")}
</head>
<body>
<a class="skip" href="#app">Skip to the content</a>
<header class="top">
<a class="brand" href="/"><img src="${marks.logo}" width="36" height="36" alt="" /><span>${marks.name}</span><span class="demo" hidden>Demo</span></a>
<nav aria-label="Pages"><ul class="nav">${links.map(link(path, at)).join("")}<li class="nav-admin" hidden><a href="/admin"${current("/admin", path, at)}>Admin</a></li></ul></nav>
<div class="top-end" id="session"><span class="line" data-line="idle" role="status"><span></span></span><button class="icon" type="button" aria-label="Theme"></button><a class="button quiet small" href="/login">Log in</a></div>
</header>
<noscript><p class="no-script wide">This page needs JavaScript, and the browser has none of it running. From a terminal everything works without: <a href="/docs">the API</a>, or begin with <code>curl /sale</code> at this address.</p></noscript>
<main id="app" tabindex="-1" data-page="${path}">
${body}
</main>
<footer class="foot">
<p><a href="/proof">The proof</a> that nothing is sold twice</p>
<p><a href="/docs/start">Guide</a> and <a href="/docs">API</a></p>
<p class="demo" hidden>A demo: anybody knows its passwords.</p>
</footer>
<div id="bar"></div>
<div id="notices"></div>
</body>
</html>
`;

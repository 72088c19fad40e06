/**
 * A Bun macro: the documents of `docs/` as pages of a guide beside the reference, drawn while the
 * program is being bundled or, run from source, is being loaded. A link from one to another leads to
 * its page; one to a file that is no page is left as its words, for the executable has no such file.
 */
import { readFileSync } from "node:fs";
import { basename, dirname, join, normalize } from "node:path";

type Guide = {
  readonly path: string;
  readonly title: string;
  readonly description: string;
  /** What it is called among the others. */
  readonly word: string;
  readonly html: string;
};

const root = join(import.meta.dir, "../..");

const documents = [
  { file: "docs/start.md", path: "/docs/start", word: "Start" },
  { file: "docs/integrate.md", path: "/docs/integrate", word: "Integrate" },
  { file: "docs/api.md", path: "/docs/api", word: "The API in words" },
  { file: "docs/fair.md", path: "/docs/fair", word: "A fair start" },
  { file: "docs/operating.md", path: "/docs/operate", word: "Operate" },
  { file: "docs/scale.md", path: "/docs/scale", word: "Scale" },
  { file: "docs/threats.md", path: "/docs/threats", word: "Threats" },
  { file: "docs/architecture.md", path: "/docs/architecture", word: "Architecture" },
  { file: "docs/testing.md", path: "/docs/testing", word: "Testing" },
  { file: "CONTRIBUTING.md", path: "/docs/contribute", word: "Contribute" },
] as const;

export function guides(): Guide[] {
  return documents.map(({ file, path, word }) => {
    const html = linked(
      Bun.markdown.html(readFileSync(join(root, file), "utf8"), { headings: { ids: true } }),
      file,
    );
    const title = textIn(/<h1[^>]*>([\s\S]*?)<\/h1>/.exec(html)?.[1] ?? word);
    const first = textIn(/<p>([\s\S]*?)<\/p>/.exec(html)?.[1] ?? title);
    return { path, word, title, description: sentenceOf(first), html: scrollable(html) };
  });
}

/** Without its tags; what HTML writes otherwise stays so. */
const textIn = (html: string): string => html.replaceAll(/<[^>]*>/g, "").replaceAll(/\s+/g, " ");

const sentenceOf = (text: string): string =>
  (/^.*?[.:](?= |$)/.exec(text)?.[0] ?? text).replaceAll('"', "&quot;");

function linked(html: string, file: string): string {
  return html
    .replaceAll(/<img [^>]*>/g, "")
    .replaceAll(
      /<a href="([^"]*)"([^>]*)>([\s\S]*?)<\/a>/g,
      (whole, to: string, rest: string, words: string) => {
        if (/^(?:https?:|#)/.test(to)) return whole;
        const [target = "", anchor] = to.split("#");
        const other = documents.find((one) => one.file === normalize(join(dirname(file), target)));
        if (other === undefined) return words;
        const said = words === basename(target) ? other.word : words;
        return `<a href="${other.path}${anchor === undefined ? "" : `#${anchor}`}"${rest}>${said}</a>`;
      },
    );
}

/** What may be wider than a phone is moved by itself, by keys too. */
const scrollable = (html: string): string =>
  html
    .replaceAll("<pre>", '<pre tabindex="0">')
    // A heading without words is none.
    .replaceAll("<th></th>", "<td></td>")
    .replaceAll("<table>", '<div class="guide-scroll" tabindex="0"><table>')
    .replaceAll("</table>", "</table></div>");

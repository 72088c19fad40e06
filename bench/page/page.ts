/** The report as one page that needs nothing else: no script, no other host, both themes. */
import { join } from "node:path";
import type { Chapter, Figure, Promised } from "../chapters/chapter.ts";
import { median, number } from "../report.ts";
import { drawChart } from "./charts.ts";
import { escape } from "./escape.ts";

export type Report = {
  readonly chapters: readonly Chapter[];
  /** What it was measured on and with. */
  readonly facts: readonly (readonly [name: string, value: string])[];
  /** How it was made: the command. */
  readonly command: string;
  readonly isQuick: boolean;
  /** What was incorrect, or could not be finished. */
  readonly wrong: readonly string[];
};

const style = await Bun.file(join(import.meta.dir, "style.css")).text();

export function pageOf(report: Report): string {
  const { chapters, facts, command, isQuick, wrong } = report;
  const promises = chapters.flatMap((chapter) => chapter.promises);
  const headlines = chapters.flatMap(({ headline }) => headline ?? []);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Stampede, measured</title>
<style>${style}</style>
</head>
<body>
<header>
<h1>Stampede, measured</h1>
<p class="soft">Everything on this page comes from one run on one machine, by <code>${escape(command)}</code>. ${isQuick ? "It was a quick run: an indication, no more. " : ""}Each figure is a median, with the least and the most of its turns beside it.</p>
${verdictOf(promises, wrong)}
<ul class="headlines">${headlines.map(headlineOf).join("")}</ul>
<nav>${chapters.map(({ title }, n) => `<a href="#c${n}">${escape(title)}</a>`).join("")}<a href="#with">Measured with</a></nav>
</header>
<main>
${chapters.map(chapterOf).join("\n")}
<section id="with"><h2>Measured with</h2>${factsTable(facts)}</section>
</main>
</body>
</html>
`;
}

function verdictOf(promises: readonly Promised[], wrong: readonly string[]): string {
  const held = promises.filter((promise) => promise.held).length;
  if (held === promises.length && wrong.length === 0) {
    return `<p class="verdict held">✓ All of ${promises.length} checks held: nothing was sold twice, nothing that was acknowledged is gone.</p>`;
  }
  const items = wrong.map((text) => `<li>${escape(text)}</li>`).join("");
  return `<p class="verdict broken">✗ ${held} of ${promises.length} checks held.</p><ul class="broken">${items}</ul>`;
}

const headlineOf = ({ what, values, digits, unit }: Figure): string =>
  `<li><b>${number(median(values), digits)}${unit === "" ? "" : ` ${unit}`}</b><small>${escape(what)} ${spreadOf({ values, digits })}</small></li>`;

/** Between which the turns lie. */
function spreadOf({ values, digits }: Pick<Figure, "values" | "digits">): string {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return values.length < 2
    ? "(one turn)"
    : `(${number(least, digits)}–${number(most, digits)} of ${values.length})`;
}

function chapterOf({ title, says, figures, charts, promises, table }: Chapter, n: number): string {
  return `<section id="c${n}"><h2>${escape(title)}</h2>
${says.map((text) => `<p>${escape(text)}</p>`).join("\n")}
${charts.map(drawChart).join("\n")}
${table === undefined ? "" : wideTable(table)}
<div class="scroll"><table><tbody>${figures.map(figureRow).join("")}</tbody></table></div>
<ul class="promises">${together(promises).map(promiseLine).join("")}</ul>
</section>`;
}

const figureRow = ({ what, values, digits, unit }: Figure): string =>
  `<tr><th>${escape(what)}</th><td>${number(median(values), digits)}${unit === "" ? "" : ` ${unit}`} <small>${spreadOf({ values, digits })}</small></td></tr>`;

/** What was promised in several turns, and held in all of them, is said once. */
function together(promises: readonly Promised[]): Promised[] {
  const counts = new Map<string, Promised & { readonly times: number }>();
  for (const { what, held } of promises) {
    const key = `${what} ${held}`;
    counts.set(key, { what, held, times: (counts.get(key)?.times ?? 0) + 1 });
  }
  return Array.from(counts.values(), ({ what, held, times }) => ({
    what: times === 1 ? what : `${what} (${times} times)`,
    held,
  }));
}

const promiseLine = ({ what, held }: Promised): string =>
  `<li><span class="${held ? "held" : "broken"}">${held ? "✓" : "✗"}</span> ${escape(what)}</li>`;

function wideTable({ head, rows }: NonNullable<Chapter["table"]>): string {
  const heads = head.map((text) => `<th>${escape(text)}</th>`).join("");
  const body = rows.map(([name = "", ...cells]) => {
    // On a phone each row is a list of its own, which says what each figure is.
    const own = cells
      .map((text, n) => `<td data-is="${escape(head[n + 1] ?? "")}">${escape(text)}</td>`)
      .join("");
    return `<tr><th>${escape(name)}</th>${own}</tr>`;
  });
  return `<div class="scroll"><table class="compared"><thead><tr>${heads}</tr></thead><tbody>${body.join("")}</tbody></table></div>`;
}

const factsTable = (facts: Report["facts"]): string =>
  `<table class="facts"><tbody>${facts
    .map(([name, value]) => `<tr><th>${escape(name)}</th><td>${escape(value)}</td></tr>`)
    .join("")}</tbody></table>`;

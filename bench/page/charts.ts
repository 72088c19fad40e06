/**
 * Charts as SVG. Each is drawn twice, for a wide page and for a phone, so that its text is of one size on
 * both; style sheets show one of them. Of the turns of a line the median is drawn, and around it the
 * spread; below it are the same figures as a table.
 */
import type { Chart, Line } from "../chapters/chapter.ts";
import { median, number, withSpread } from "../report.ts";
import { escape } from "./escape.ts";

type Size = { readonly name: "wide" | "narrow"; readonly width: number; readonly height: number };

const sizes: readonly Size[] = [
  { name: "wide", width: 840, height: 320 },
  { name: "narrow", width: 320, height: 260 },
];
const margin = { top: 12, right: 16, bottom: 34, left: 58 };

/** A line of a chart: x, the median of its turns, and between which the others lie. */
type Point = {
  readonly x: number;
  readonly y: number;
  readonly low: number;
  readonly high: number;
};

type Tick = { readonly at: number; readonly text: string };

/** Where a value is, in pixels of the drawing. */
type Scale = { readonly of: (value: number) => number; readonly ticks: readonly Tick[] };

export function drawChart(chart: Chart): string {
  const lines = chart.lines.map((line) => ({ name: line.name, points: pointsOf(line) }));
  const drawings =
    chart.kind === "bars"
      ? sizes.map((size) => drawBars(chart, size))
      : sizes.map((size) => drawLines(chart, lines, size));
  const legend = chart.lines
    .map(({ name }, n) => `<li><i class="key s${n}"></i>${escape(name)}</li>`)
    .join("");
  return `<figure><figcaption>${escape(chart.title)}</figcaption>
${chart.kind === "bars" || chart.lines.length < 2 ? "" : `<ul class="legend">${legend}</ul>`}
${drawings.join("\n")}
${tableOf(chart, lines)}</figure>`;
}

/** As far as most turns go: the last one may be a little shorter. */
function pointsOf({ turns }: Line): Point[] {
  const length = median(turns.map((turn) => turn.length));
  const longest = turns.find((turn) => turn.length >= length) ?? [];
  return longest.slice(0, Math.floor(length)).map(([x], n) => {
    const values = turns.flatMap((turn) => turn[n]?.[1] ?? []);
    return { x, y: median(values), low: Math.min(...values), high: Math.max(...values) };
  });
}

function drawLines(
  { kind, title, unit }: Chart,
  lines: readonly { readonly points: readonly Point[] }[],
  size: Size,
): string {
  const all = lines.flatMap(({ points }) => points);
  const xScale = kind === "time" ? timeScale(all, size) : percentileScale(all, size);
  const yScale = kind === "time" ? linearScale(all, size) : logScale(all, size);
  const [left, right] = [margin.left, size.width - margin.right];
  const bottom = size.height - margin.bottom;
  const grid = yScale.ticks.map(({ at, text }) => {
    const y = at.toFixed(1);
    return `<line class="grid" x1="${left}" x2="${right}" y1="${y}" y2="${y}"/><text x="${left - 6}" y="${y}" dy="0.32em" text-anchor="end">${text}</text>`;
  });
  const feet = xScale.ticks.map(({ at, text }) => {
    const x = at.toFixed(1);
    // What would stand over the edge ends there.
    const [place, anchor] = at > right - 20 ? [size.width, "end"] : [x, "middle"];
    return `<line class="tick" x1="${x}" x2="${x}" y1="${bottom}" y2="${bottom + 4}"/><text x="${place}" y="${bottom + 17}" text-anchor="${anchor}">${text}</text>`;
  });
  const place = (x: number, y: number): string =>
    `${xScale.of(x).toFixed(1)},${yScale.of(y).toFixed(1)}`;
  const drawn = lines.map(({ points }, n) => {
    const above = points.map(({ x, high }) => place(x, high));
    const below = points.map(({ x, low }) => place(x, low)).toReversed();
    const middle = points.map(({ x, y }) => place(x, y));
    return `<polygon class="band s${n}" points="${[...above, ...below].join(" ")}"/><polyline class="line s${n}" points="${middle.join(" ")}"/>`;
  });
  const under = kind === "time" ? "seconds" : "of the answers, that took no longer";
  return `<svg class="${size.name}" viewBox="0 0 ${size.width} ${size.height}" role="img" aria-label="${escape(`${title}, ${unit}`)}">
${grid.join("")}${feet.join("")}
<line class="axis" x1="${left}" x2="${right}" y1="${bottom}" y2="${bottom}"/>
${drawn.join("")}
<text class="unit" x="${right}" y="${size.height - 3}" text-anchor="end">${under}</text>
<text class="unit" x="${left + 4}" y="${margin.top + 2}">${escape(unit)}</text>
</svg>`;
}

const plotWidth = ({ width }: Size): number => width - margin.left - margin.right;
const plotHeight = ({ height }: Size): number => height - margin.top - margin.bottom;

function timeScale(points: readonly Point[], size: Size): Scale {
  const most = Math.max(1, ...points.map(({ x }) => x));
  const of = (x: number): number => margin.left + (x / most) * plotWidth(size);
  const step = niceStep(most, size.name === "wide" ? 8 : 4);
  return {
    of,
    ticks: ticksTo(most, step).map((x) => ({ at: of(x), text: number(x, step < 1 ? 1 : 0) })),
  };
}

const nines = (share: number): number => -Math.log10(1 - share);

/** Each nine as wide as the one before: the few slow ones are what there is to see. */
function percentileScale(points: readonly Point[], size: Size): Scale {
  const most = Math.max(2, ...points.map(({ x }) => nines(x)));
  const of = (share: number): number => margin.left + (nines(share) / most) * plotWidth(size);
  const shares = [0.5, 0.9, 0.99, 0.999, 0.9999].filter((share) => nines(share) <= most + 0.01);
  return { of, ticks: shares.map((share) => ({ at: of(share), text: percent(share) })) };
}

const percent = (share: number): string => `${Number((share * 100).toFixed(2))} %`;

function linearScale(points: readonly Point[], size: Size): Scale {
  const most = Math.max(1, ...points.map(({ high }) => high)) * 1.05;
  const of = (y: number): number => margin.top + (1 - y / most) * plotHeight(size);
  return {
    of,
    ticks: ticksTo(most, niceStep(most, 5)).map((y) => ({ at: of(y), text: short(y) })),
  };
}

function logScale(points: readonly Point[], size: Size): Scale {
  const values = points.flatMap(({ low, high }) => [low, high]);
  const least = 10 ** Math.floor(Math.log10(Math.min(...values)));
  const most = Math.max(...values) * 1.2;
  const share = (y: number): number => Math.log(y / least) / Math.log(most / least);
  const of = (y: number): number => margin.top + (1 - share(Math.max(y, least))) * plotHeight(size);
  const decades = Math.ceil(Math.log10(most / least));
  const steps = decades > 2 ? [1] : [1, 2, 5];
  const ticks = Array.from({ length: decades }, (_, n) =>
    steps.map((step) => step * least * 10 ** n),
  )
    .flat()
    .filter((y) => y <= most);
  return { of, ticks: ticks.map((y) => ({ at: of(y), text: short(y) })) };
}

const ticksTo = (most: number, step: number): number[] =>
  Array.from({ length: Math.floor(most / step) + 1 }, (_, n) => n * step);

/** 1, 2 or 5 of a power of ten, of which about `count` fit. */
function niceStep(most: number, count: number): number {
  const power = 10 ** Math.floor(Math.log10(most / count));
  return power * ([1, 2, 5].find((factor) => factor * power >= most / count) ?? 10);
}

const short = (value: number): string =>
  value >= 1000 ? `${number(value / 1000)},000` : String(Number(value.toPrecision(2)));

const barHeight = 16;
const barRow = 50;

/** One bar a line, with its spread; the name stands above it. */
function drawBars({ title, unit, lines }: Chart, { name, width }: Size): string {
  const values = lines.map((line) => line.turns.flatMap((turn) => turn[0]?.[1] ?? []));
  const most = Math.max(1, ...values.flat());
  const of = (value: number): number => (value / most) * (width - 4);
  const bars = lines.map((line, n) => {
    const [own, y] = [values[n] ?? [], n * barRow];
    const [low, high] = [of(Math.min(...own)).toFixed(1), of(Math.max(...own)).toFixed(1)];
    const middle = y + 20 + barHeight / 2;
    return `<text x="0" y="${y + 14}" class="name">${escape(line.name)}</text><text x="${width}" y="${y + 14}" text-anchor="end">${withSpread(own)}</text>
<rect class="bar s${n}" x="0" y="${y + 20}" rx="3" width="${of(median(own)).toFixed(1)}" height="${barHeight}"/><line class="whisker" x1="${low}" x2="${high}" y1="${middle}" y2="${middle}"/>`;
  });
  return `<svg class="${name}" viewBox="0 0 ${width} ${lines.length * barRow}" role="img" aria-label="${escape(`${title}, ${unit}`)}">${bars.join("\n")}</svg>`;
}

function tableOf(
  { kind, unit, lines }: Chart,
  drawn: readonly { readonly name: string; readonly points: readonly Point[] }[],
): string {
  if (kind === "bars") return "";
  const xs = [...new Set(drawn.flatMap(({ points }) => points.map(({ x }) => x)))].toSorted(
    (a, b) => a - b,
  );
  const digits = unit === "ms" ? 2 : 0;
  const head = lines.map(({ name }) => `<th>${escape(name)}</th>`).join("");
  const rows = xs.map((x) => {
    const cells = drawn.map(({ points }) => {
      const point = points.find((one) => one.x === x);
      return `<td>${point === undefined ? "" : number(point.y, digits)}</td>`;
    });
    const label = kind === "time" ? `${number(x, 1)} s` : percent(x);
    return `<tr><th>${label}</th>${cells.join("")}</tr>`;
  });
  return `<details><summary>The same as figures: medians, ${escape(unit)}</summary><div class="scroll"><table><thead><tr><th></th>${head}</tr></thead><tbody>${rows.join("")}</tbody></table></div></details>`;
}

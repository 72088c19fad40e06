/** The bench's page: that it needs nothing else, and says what was measured. */
import { describe, expect, test } from "bun:test";
import type { Chapter } from "../../bench/chapters/chapter.ts";
import { LatencyCounts, percentile } from "../../bench/latencies.ts";
import { pageOf } from "../../bench/page/page.ts";
import { withSpread } from "../../bench/report.ts";
import { upTo } from "../support/wait.ts";

const chapter: Chapter = {
  title: "Flood <of> it",
  headline: { what: "a second", values: [3, 1, 2], digits: 0, unit: "" },
  says: ["What was done."],
  figures: [{ what: "the slowest", values: [10, 30, 20], digits: 0, unit: "ms" }],
  charts: [
    {
      kind: "percentiles",
      title: "How long",
      unit: "ms",
      lines: [
        { name: "ours", turns: [1, 2, 4].map((ms) => [0.5, 0.9, 0.99].map((x) => [x, ms])) },
        { name: "theirs", turns: [[[0.5, 9]]] },
      ],
    },
    {
      kind: "time",
      title: "As time goes by",
      unit: "a second",
      lines: [{ name: "all", turns: [upTo(4).map((x) => [x, 1_000 * x])] }],
    },
    {
      kind: "bars",
      title: "Side by side",
      unit: "a second",
      lines: [{ name: "ours", turns: [[[0, 5]], [[0, 7]]] }],
    },
  ],
  promises: [{ what: "each is stored", held: true }],
  table: { head: ["", "a second"], rows: [["ours", "5"]] },
};
const report = { chapters: [chapter], facts: [["machine", "2 cores"]] as const, command: "bench" };
const sound = { ...report, isQuick: false, wrong: [] };

describe("the page", () => {
  test("asks no other host for anything, and runs nothing", () => {
    const page = pageOf(sound);
    expect(page).not.toMatch(/https?:|<script|<link|<img|url\(|@import|\/\/[a-z]/i);
    expect(page).toContain("<h2>Flood &lt;of&gt; it</h2>");
    // Each chart is there for a wide page and for a phone.
    expect(page.match(/<svg class="wide"/g)).toHaveLength(3);
    expect(page.match(/<svg class="narrow"/g)).toHaveLength(3);
    expect(page).not.toContain("NaN");
    expect(page).toContain("20 ms <small>(10–30 of 3)</small>");
  });

  test("says of all checks whether they held", () => {
    expect(pageOf(sound)).toContain("All of 1 checks held");
    const promises = [...chapter.promises, { what: "the audit is ok", held: false }];
    const wrong = ["flood: not so: the audit is ok"];
    const page = pageOf({ ...sound, chapters: [{ ...chapter, promises }], wrong });
    expect(page).toContain("1 of 2 checks held");
    expect(page).toContain("<li>flood: not so: the audit is ok</li>");
    // A scenario that broke off has no checks to fail.
    expect(pageOf({ ...sound, wrong: ["mix broke off"] })).toContain("mix broke off");
  });
});

test("a percentile of many is within two hundredths of what it is, and the slowest exact", () => {
  const counts = new LatencyCounts();
  for (const n of upTo(10_000)) counts.note(n / 100);
  const latencies = counts.report();
  expect(latencies).toMatchObject({ count: 10_000, maxMs: 100 });
  for (const share of [0.01, 0.5, 0.99, 0.999]) {
    expect(Math.abs(percentile(latencies, share) / (share * 100) - 1)).toBeLessThan(0.02);
  }
  expect(percentile(latencies, 1)).toBe(100);
  expect(percentile(new LatencyCounts().report(), 0.5)).toBeNaN();
});

test("a figure is told with the least and the most of it, where they differ", () => {
  expect(withSpread([3_000, 1_000, 2_000])).toBe("2,000 (1,000–3,000)");
  expect(withSpread([0, 0, 0])).toBe("0");
});

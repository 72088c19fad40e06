/** How many fronts there are, and their figures as one program's. */
import { expect, test } from "bun:test";
import { figuresOfAll } from "../../src/fronts/figures.ts";
import { frontCount, frontsMax } from "../../src/fronts/fronts.ts";

test("there are as many fronts as were asked for, or as cores beyond two", () => {
  expect([0, 1, 6].map((asked) => frontCount(asked, 1))).toEqual([0, 1, 6]);
  expect([0, 1, 2, 3, 8, 9, 64].map((cores) => frontCount("auto", cores))).toEqual([
    0, 0, 0, 1, 6, 6, 6,
  ]);
  expect(frontCount("auto", 1_000)).toBe(frontsMax);
});

const of = (name: string, value: number) =>
  `# HELP up Up\n# TYPE up gauge\nup{process="${name}"} ${value}\n\n# HELP sum Sum\n# TYPE sum counter\nsum{process="${name}"} 1\n`;

test("figures of several processes are described once, with the values of each", async () => {
  const own = "# HELP own Own\n# TYPE own gauge\nown 7\n";
  const first = { text: () => Promise.resolve(of("a", 1)) };
  const others = () => Promise.resolve(["", of("b", 2) + own]);
  expect(await figuresOfAll(first, others)).toBe(
    [
      "# HELP up Up",
      "# TYPE up gauge",
      'up{process="a"} 1',
      'up{process="b"} 2',
      "",
      "# HELP sum Sum",
      "# TYPE sum counter",
      'sum{process="a"} 1',
      'sum{process="b"} 1',
      "",
      "# HELP own Own",
      "# TYPE own gauge",
      "own 7",
      "",
      "",
    ].join("\n"),
  );
});

/** What a run tells of what failed in it: from the report of a real one. */
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { failuresIn } from "../support/failures.ts";

test("whatever fails is named with its file and its reason, and nothing else is", () => {
  const folder = mkdtempSync(join(tmpdir(), "failures-"));
  const head = `import { beforeAll, describe, expect, test } from "bun:test";\n`;
  const files = {
    "one.test.ts": `test("is <one> & \\"two\\"", () => { throw new Error("a > b\\nand so on"); });
      describe("a part", () => { test("fails", () => expect(1).toBe(2)); test("passes", () => {}); });`,
    "two.test.ts": `test("passes", () => {}); test.skip("is skipped", () => {});`,
    "three.test.ts": `beforeAll(() => { throw new Error("before all"); }); test("passes", () => {});`,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), head + text);
  const report = join(folder, "report.xml");
  const reporter = ["--reporter=junit", `--reporter-outfile=${report}`];
  Bun.spawnSync([process.execPath, "test", "--parallel=2", ...reporter, "."], { cwd: folder });
  const found = failuresIn(readFileSync(report, "utf8"));
  rmSync(folder, { recursive: true });
  expect(found).toContainEqual({
    file: "one.test.ts",
    test: 'is <one> & "two"',
    message: "a > b\nand so on",
  });
  const named = found.map(({ file, test: name }) => [file, name]);
  expect(named.toSorted()).toEqual([
    ["one.test.ts", "a part > fails"],
    ["one.test.ts", 'is <one> & "two"'],
    ["three.test.ts", "(unnamed)"],
  ]);
});

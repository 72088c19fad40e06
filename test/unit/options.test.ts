/** What the bench is asked: refused in words where there is no such thing, and told as it was. */
import { describe, expect, test } from "bun:test";
import { commandOf, readOptions } from "../../bench/options.ts";

const names = { scenarios: ["checkouts", "coupons"], chapters: ["flood", "mix"] };
const commandFor = (...args: string[]): string => commandOf(readOptions(args, names));

describe("the bench", () => {
  test.each([
    [[], "npm run bench"],
    [["--report"], "npm run bench -- --report"],
    [
      ["--only", "mix", "--quick", "--report", "--only", "flood"],
      "npm run bench -- --report --quick --only mix --only flood",
    ],
    [
      ["--load", "autocannon", "--executable", "elsewhere/stampede"],
      "npm run bench -- --load autocannon --executable …",
    ],
  ])("asked by %j says that it was by %s", (args, command) => {
    expect(commandFor(...args)).toBe(command);
  });

  test.each([
    [["--bogus"], "--bogus"],
    [["--only"], "--only"],
    [["quick"], "quick"],
    [["--only", "mix"], "There is no scenario mix."],
    [["--report", "--only", "coupons"], "There is no scenario coupons."],
    [["--load", "ab"], "--load is ab"],
  ])("refuses %j in words", (args, why) => {
    expect(() => commandFor(...args)).toThrow(why);
  });
});

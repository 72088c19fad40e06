/** Which answers a page takes, in whatever order they come. */
import { describe, expect, test } from "bun:test";
import { Answers } from "../../src/web/answers.ts";

describe("an answer", () => {
  test("is taken in the order of the questions, each once", () => {
    const answers = new Answers();
    const [first, second] = [answers.ask(), answers.ask()];
    expect([first(), second(), second(), first()]).toEqual([true, true, false, false]);
  });

  test("is not taken once a later one was", () => {
    const answers = new Answers();
    const [first, second, third] = [answers.ask(), answers.ask(), answers.ask()];
    expect([second(), first(), third()]).toEqual([true, false, true]);
  });

  test("is taken while there is no later one: on a slow line something is seen", () => {
    const answers = new Answers();
    const first = answers.ask();
    answers.ask();
    expect(first()).toBe(true);
  });

  test("is not taken when something else is asked, or is known better", () => {
    const answers = new Answers();
    const first = answers.ask();
    const second = answers.askAnew();
    expect([first(), second()]).toEqual([false, true]);
    const third = answers.ask();
    answers.void();
    expect([third(), answers.ask()()]).toEqual([false, true]);
  });
});

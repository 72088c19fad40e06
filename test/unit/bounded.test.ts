/** What is kept with a bound, at the bound. */
import { describe, expect, test } from "bun:test";
import { BoundedMap } from "../../src/bounded.ts";
import { Fresh, freshMax, freshMs } from "../../src/http/fresh.ts";
import { upTo } from "../support/wait.ts";

describe("a map with a bound", () => {
  test("forgets what was set longest ago, once there is more", () => {
    const map = new BoundedMap<string, number>(3);
    map.set("a", 1).set("b", 2).set("c", 3);
    expect([...map]).toEqual([
      ["a", 1],
      ["b", 2],
      ["c", 3],
    ]);
    map.set("d", 4);
    expect([...map.keys()]).toEqual(["b", "c", "d"]);
  });

  test("counts a key that is set again once, and forgets it last", () => {
    const map = new BoundedMap<string, number>(2);
    map.set("a", 1).set("b", 2).set("a", 3);
    expect(map.size).toBe(2);
    map.set("c", 4);
    expect([...map]).toEqual([
      ["a", 3],
      ["c", 4],
    ]);
  });

  test("has room again for what was deleted", () => {
    const map = new BoundedMap<string, number>(2);
    map.set("a", 1).set("b", 2);
    map.delete("a");
    map.set("c", 3);
    expect([...map.keys()]).toEqual(["b", "c"]);
  });

  test("may keep nothing, and anything as a key", () => {
    expect(new BoundedMap<undefined, number>(0).set(undefined, 1).size).toBe(0);
    const map = new BoundedMap<undefined | null, number>(1).set(undefined, 1).set(null, 2);
    expect([...map]).toEqual([[null, 2]]);
  });
});

describe("answers that are given again", () => {
  test("are asked for once, for a while, and anew when nobody answered", async () => {
    let asked = 0;
    const fresh = new Fresh<number>();
    const ask = (): Promise<number> => Promise.resolve((asked += 1));
    expect(await Promise.all([fresh.get(1, 0, ask), fresh.get(1, freshMs - 1, ask)])).toEqual([
      1, 1,
    ]);
    expect(await fresh.get(2, 0, ask)).toBe(2);
    expect(await fresh.get(1, freshMs, ask)).toBe(3);
    const away = fresh.get(3, 0, () => Promise.reject(new Error("away")));
    expect(await away.catch((error: unknown) => error)).toEqual(new Error("away"));
    expect(await fresh.get(3, 0, ask)).toBe(4);
  });

  test("are bounded", async () => {
    const asked: number[] = [];
    const fresh = new Fresh<number>();
    const get = (key: number) =>
      fresh.get(key, 0, () => {
        asked.push(key);
        return Promise.resolve(key);
      });
    await Promise.all(upTo(freshMax + 1).map(get));
    asked.length = 0;
    // The first was forgotten for the last.
    await Promise.all([get(freshMax + 1), get(2), get(1)]);
    expect(asked).toEqual([1]);
  });
});

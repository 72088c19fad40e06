import { describe, expect, test } from "bun:test";
import { itemColour, itemPicture, itemTraits } from "../../src/art/pictures.ts";

const seeds = Array.from({ length: 4000 }, (_, i) => `7-${i + 1}`);

/** The elements of a document in which every tag is closed; throws where one is not. */
function elements(svg: string): { name: string; attributes: Map<string, string> }[] {
  const found: { name: string; attributes: Map<string, string> }[] = [];
  const open: string[] = [];
  const markup = /<(\/?)([a-z]+)((?: [a-zA-Z-]+="[^"<>]*")*)(\/?)>|[^<]+/gy;
  let end = 0;
  for (const [whole, closing, name, attributes, empty] of svg.matchAll(markup)) {
    end += whole.length;
    if (name === undefined) continue;
    if (closing === "/") {
      if (open.pop() !== name) throw new Error(`</${name}> closes nothing in ${svg}`);
      continue;
    }
    const pairs = [...(attributes ?? "").matchAll(/ ([a-zA-Z-]+)="([^"]*)"/g)];
    const map = new Map(pairs.map(([, key = "", value = ""]) => [key, value]));
    if (map.size !== pairs.length) throw new Error(`<${name}> says an attribute twice`);
    found.push({ name, attributes: map });
    if (empty !== "/") open.push(name);
  }
  if (end !== svg.length || open.length > 0) throw new Error(`not well-formed: ${svg}`);
  return found;
}

describe("an item's picture", () => {
  test("is the same for the same seed, a number or its text", () => {
    expect(itemPicture("7-1")).toBe(itemPicture("7-1"));
    expect(itemPicture(42)).toBe(itemPicture("42"));
  });

  test("keeps its looks from release to release", () => {
    // Pictures are cached for ever. When this fails on purpose, renew it and say so in the changelog.
    const all = seeds.slice(0, 300).map((seed) => itemPicture(seed));
    expect(Bun.hash.crc32(all.join(""))).toBe(1_145_892_975);
  });

  test("differs from nearly every other one", () => {
    expect(new Set(seeds.map((seed) => itemPicture(seed, ""))).size).toBeGreaterThan(
      seeds.length - 5,
    );
  });

  test("is well-formed, small, and holds shapes only", () => {
    const shapes = new Set(["svg", "title", "g", "path", "circle", "ellipse", "rect"]);
    const strange: string[] = [];
    for (const seed of seeds) {
      const svg = itemPicture(seed);
      if (svg.length > 8192) strange.push(`${seed}: ${svg.length} characters`);
      const [root, ...rest] = elements(svg);
      if (root?.name !== "svg") strange.push(`${seed}: begins with ${root?.name}`);
      for (const { name, attributes } of rest) {
        if (!shapes.has(name)) strange.push(`${seed}: <${name}>`);
        for (const [key, value] of attributes) {
          const isActive = /^(on|id|style|href|class)/.test(key);
          if (isActive || /NaN|undefined|null|url|:|e-\d/.test(value)) {
            strange.push(`${seed}: ${key}="${value}"`);
          }
        }
      }
    }
    expect(strange).toEqual([]);
  });

  test("says its size and its role", () => {
    const root = elements(itemPicture("7-1"))[0]?.attributes;
    expect(root?.get("xmlns")).toBe("http://www.w3.org/2000/svg");
    expect(root?.get("width")).toBe("512");
    expect(root?.get("height")).toBe("512");
    expect(root?.get("viewBox")).toBe("0 0 100 100");
    expect(root?.get("role")).toBe("img");
  });

  test("has the title it was given, escaped, or names itself", () => {
    expect(itemPicture("7-1", `</title><script>"a" & 'b'`)).toContain(
      "<title>&lt;/title&gt;&lt;script&gt;&quot;a&quot; &amp; &apos;b&apos;</title>",
    );
    expect(itemPicture("7-1", "a\u0000b\u001f\ud800c")).toContain("<title>ab\ufffdc</title>");
    const { ground, coat, animal } = itemTraits("7-1");
    expect(itemPicture("7-1")).toContain(`<title>${ground} ${coat} ${animal}</title>`);
  });

  test("takes any seed", () => {
    for (const seed of ["", "\ud800", "<script>", "x".repeat(10_000), -1, 0, NaN, 2 ** 53])
      elements(itemPicture(seed));
  });

  test("is mostly of the colour the item is said to have", () => {
    for (const seed of seeds.slice(0, 200)) {
      expect(itemColour(seed)).toMatch(/^#[0-9a-f]{6}$/);
      expect(itemPicture(seed)).toContain(`<path d="M0 0H100V100H0Z" fill="${itemColour(seed)}"/>`);
    }
  });

  test("shows every animal, coat and ground, and a crown on one in fifty", () => {
    const traits = seeds.map((seed) => itemTraits(seed));
    expect(new Set(traits.map((t) => t.animal)).size).toBe(30);
    expect(new Set(traits.map((t) => t.coat)).size).toBe(23);
    expect(new Set(traits.map((t) => t.ground)).size).toBe(18);
    const crowns = traits.filter((t) => t.crowned).length;
    expect(crowns).toBeGreaterThan(seeds.length / 100);
    expect(crowns).toBeLessThan(seeds.length / 33);
  });
});

import { describe, expect, test } from "bun:test";
import { itemNames, itemPriceCents, nameCharactersMax, pictureSeed } from "../../src/art/names.ts";
import { itemTraits } from "../../src/art/pictures.ts";

const take = (seed: number, count: number) => [...itemNames(seed, count)];

describe("the names of a sale's items", () => {
  test("are as many as asked for, and no two alike", () => {
    for (const seed of [0, 1, 495_123]) {
      const names = take(seed, 10_000);
      expect(names.length).toBe(10_000);
      expect(new Set(names).size).toBe(10_000);
    }
    expect(take(1, 0)).toEqual([]);
  });

  test("stay distinct when the words run out", () => {
    const names = take(3, 120_000);
    expect(new Set(names).size).toBe(names.length);
    expect(names.some((name) => / No\. \d+$/.test(name))).toBe(true);
    expect(Math.max(...names.map((name) => name.length))).toBeLessThanOrEqual(nameCharactersMax);
  });

  test("fit and are free of markup and loose spaces", () => {
    for (const name of take(2, 10_000)) {
      expect(name.length).toBeLessThanOrEqual(nameCharactersMax);
      expect(name).toMatch(/^\p{Lu}[\p{L}\p{M}\d .,'’-]+$/u);
      expect(name).not.toMatch(/ {2}|^ | $/);
    }
  });

  test("follow the seed alone, also when two sales are made at once", () => {
    const alone = take(11, 500);
    const [one, other] = [itemNames(11, 500), itemNames(12, 500)];
    const together: string[] = [];
    for (const name of one) {
      together.push(name);
      other.next();
    }
    expect(together).toEqual(alone);
    expect(take(12, 500)).not.toEqual(alone);
    expect(take(11, 10)).toEqual(alone.slice(0, 10));
  });

  test("name the animal in the picture", () => {
    for (const [i, name] of take(5, 1000).entries())
      expect(name).toContain(itemTraits(pictureSeed(5, i + 1)).animal);
  });
});

describe("the price of an item", () => {
  const prices = Array.from({ length: 10_000 }, (_, i) => itemPriceCents(9, i + 1));

  test("is whole cents from 4.99 to 249.00 with an ending shops use", () => {
    for (const price of prices) {
      expect(Number.isInteger(price)).toBe(true);
      expect(price).toBeGreaterThanOrEqual(499);
      expect(price).toBeLessThanOrEqual(24_900);
      expect([0, 50, 99]).toContain(price % 100);
    }
  });

  test("is the same for the same item, and varied across a sale", () => {
    expect(itemPriceCents(9, 1)).toBe(prices[0] ?? 0);
    expect(new Set(prices).size).toBeGreaterThan(300);
    expect(prices.filter((price) => price < 6000).length).toBeGreaterThan(5000);
  });

  test("is high for what wears a crown", () => {
    const crowned = prices.filter((_, i) => itemTraits(pictureSeed(9, i + 1)).crowned);
    expect(crowned.length).toBeGreaterThan(0);
    expect(Math.min(...crowned)).toBeGreaterThanOrEqual(11_900);
  });
});

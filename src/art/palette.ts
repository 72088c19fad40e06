/**
 * The colours of the pictures: coats, the grounds they stand on, and which go together.
 *
 * Pure data and arithmetic on #rrggbb strings; nothing can fail. The order of the lists is part of
 * every seed's picture.
 */

import type { Paint } from "./animals.ts";
import type { Dice } from "./dice.ts";

export interface Ground {
  /** The word for it in an item's name. */
  readonly word: string;
  /** Covers most of the field. */
  readonly base: string;
  /** Close to `base`; large shapes. */
  readonly tone: string;
  /** Far from `base`; small shapes and clothes. */
  readonly spark: string;
}

export interface Coat {
  readonly word: string;
  readonly base: string;
  readonly light: string;
}

const coat = (word: string, base: string, light: string): Coat => ({ word, base, light });
export const coats: readonly Coat[] = [
  coat("Copper", "#c8683a", "#f8dfc4"),
  coat("Crimson", "#c8323f", "#f9d8cb"),
  coat("Coral", "#f0785e", "#fee5d6"),
  coat("Apricot", "#f4a259", "#fdeacb"),
  coat("Saffron", "#f0b429", "#fdf0c4"),
  coat("Lemon", "#f4d748", "#fff9dc"),
  coat("Moss", "#7c9a4e", "#e9efcf"),
  coat("Jade", "#2fa37c", "#d3f0e1"),
  coat("Teal", "#1f8a8c", "#cdebe7"),
  coat("Azure", "#3d8fd9", "#d9edfb"),
  coat("Cobalt", "#2f56c4", "#d5dffb"),
  coat("Indigo", "#4a3fa0", "#dcd8f7"),
  coat("Violet", "#8a56c2", "#eaddf8"),
  coat("Orchid", "#c763b5", "#f9dff2"),
  coat("Rose", "#ec7fa0", "#fde3e8"),
  coat("Plum", "#7a2f5e", "#f1d4e4"),
  coat("Cocoa", "#7b4a35", "#eed6c0"),
  coat("Sand", "#d9bd8f", "#fcf3e0"),
  coat("Silver", "#aeb8c6", "#f4f6f9"),
  coat("Slate", "#5c6b80", "#d9e0e8"),
  coat("Onyx", "#34364f", "#dcdae2"),
  coat("Ivory", "#efe3cb", "#fffaf0"),
  coat("Mint", "#86d3b2", "#eefaf3"),
];

const ground = (word: string, base: string, tone: string, spark: string): Ground => ({
  word,
  base,
  tone,
  spark,
});
const grounds: readonly Ground[] = [
  ground("Midnight", "#1d2250", "#2c3474", "#f2c14e"),
  ground("Dawn", "#fbd0b8", "#f9b69c", "#e8604c"),
  ground("Dusk", "#5b3a74", "#764c8c", "#f59a7b"),
  ground("Meadow", "#b8d98a", "#98c56d", "#3f7d4f"),
  ground("Desert", "#f3cf9a", "#eab676", "#c95f3c"),
  ground("Ocean", "#1f6f8b", "#2d88a4", "#f4d9a0"),
  ground("Arctic", "#d6ecf3", "#b5dae8", "#3c7fa8"),
  ground("Ember", "#7d1f2d", "#a02f38", "#f6a04d"),
  ground("Forest", "#1f4d3d", "#2d664f", "#e0c766"),
  ground("Lagoon", "#7fd1c7", "#5bbdb6", "#f26a5b"),
  ground("Neon", "#2b1055", "#46197f", "#3de0cf"),
  ground("Candy", "#ffc2d6", "#ffa3c1", "#d6336c"),
  ground("Lunar", "#cfcdde", "#b5b2cb", "#5a5680"),
  ground("Solar", "#ffd44a", "#ffbd33", "#e8542f"),
  ground("Paper", "#f4ead7", "#e6d6ba", "#d9583b"),
  ground("Storm", "#3a4658", "#4c5b71", "#9fd3e6"),
  ground("Lilac", "#cdb8ee", "#b79ee4", "#6a3fb0"),
  ground("Mango", "#ff9b54", "#ff8340", "#7a2048"),
];

type Rgb = readonly [number, number, number];

function rgb(hex: string): Rgb {
  const n = Number.parseInt(hex.slice(1), 16);
  return [n >> 16, (n >> 8) & 255, n & 255];
}

export function mix(from: string, to: string, share: number): string {
  const a = rgb(from);
  const b = rgb(to);
  const channel = (i: 0 | 1 | 2) => Math.round(a[i] + (b[i] - a[i]) * share) << (16 - 8 * i);
  return `#${(channel(0) | channel(1) | channel(2)).toString(16).padStart(6, "0")}`;
}

/** How bright a colour looks, 0…255. */
const brightness = (hex: string): number => {
  const [r, g, b] = rgb(hex);
  return 0.299 * r + 0.587 * g + 0.114 * b;
};

/** Too dark for details in ink. */
export const isDark = (hex: string): boolean => brightness(hex) < 95;

/** How far apart two colours look ("redmean", https://www.compuphase.com/cmetric.htm), 0…765. */
function distance(one: string, other: string): number {
  const [r1, g1, b1] = rgb(one);
  const [r2, g2, b2] = rgb(other);
  const mean = (r1 + r2) / 2;
  const [r, g, b] = [r1 - r2, g1 - g2, b1 - b2];
  return Math.sqrt((2 + mean / 256) * r * r + 4 * g * g + (2 + (255 - mean) / 256) * b * b);
}

const contrasting: ReadonlyMap<Coat, readonly Ground[]> = new Map(
  coats.map((c) => [
    c,
    grounds.filter((g) =>
      [g.base, g.tone].every(
        (tone) =>
          distance(c.base, tone) > 190 && Math.abs(brightness(c.base) - brightness(tone)) > 28,
      ),
    ),
  ]),
);

/** The grounds that a coat stands out from, in hue and in brightness. */
export const groundsOf = (c: Coat): readonly Ground[] => contrasting.get(c) ?? grounds;

export const shadow = "#150b2e";
export function paints(c: Coat): { lit: Paint; shaded: Paint } {
  const lit: Paint = {
    coat: c.base,
    light: c.light,
    deep: isDark(c.base) ? mix(c.base, c.light, 0.24) : mix(c.base, shadow, 0.42),
    inner: mix(c.light, "#f2637e", 0.5),
  };
  const shade = (hex: string, share: number) => mix(hex, shadow, share);
  return {
    lit,
    shaded: {
      coat: shade(lit.coat, 0.13),
      light: shade(lit.light, 0.1),
      deep: shade(lit.deep, 0.13),
      inner: shade(lit.inner, 0.1),
    },
  };
}

const dyes = ["#fdf6e8", "#2b2d4a", "#e8604c", "#2f7fc1", "#f2c14e", "#3f9d76"];

/** Clothes that stand out from coat and ground, and a trim that stands out from the clothes. */
export function garment(g: Ground, c: Coat, d: Dice): readonly [cloth: string, trim: string] {
  const all = [g.spark, ...dyes];
  const cloth = d.pick(
    all.filter((dye) => distance(dye, c.base) > 150 && distance(dye, g.base) > 120),
  );
  return [cloth, d.pick(all.filter((dye) => distance(dye, cloth) > 150))];
}

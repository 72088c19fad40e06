/**
 * A small deterministic random source for what an item looks like.
 *
 * The same seed gives the same throws on every machine and in every release; it decides nothing that
 * matters to a sale, and is no good for secrets. It cannot fail.
 */

export interface Dice {
  /** A number in [0, 1). */
  real(): number;
  /** A number in [low, high), to one decimal: what a coordinate needs, and short to print. */
  between(low: number, high: number): number;
  /** True with probability `p`. */
  chance(p: number): boolean;
  /** One of the list; `list` must not be empty. */
  pick<T>(list: readonly T[]): T;
}

/** FNV-1a over the UTF-16 units, then murmur3's finalizer so that "1" and "2" start far apart. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

export function dice(seed: string | number): Dice {
  let state = hash(String(seed));
  // mulberry32: 32 bits of state are plenty for a picture.
  const real = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return {
    real,
    between: (low, high) => Math.round((low + real() * (high - low)) * 10) / 10,
    chance: (p) => real() < p,
    pick: (list) => {
      const one = list[Math.floor(real() * list.length)];
      if (one === undefined) throw new RangeError("picked from an empty list");
      return one;
    },
  };
}

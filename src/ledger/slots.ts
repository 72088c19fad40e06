/**
 * Numbers found by a hash of what they stand for: a table of open addressing in typed arrays, a few
 * bytes a number. It is cut into parts that grow by themselves, so that none of it ever holds the
 * thread for long.
 */

/** Parts, by the highest bits of a hash. */
const partBits = 8;
const slotsMin = 16;
/** Of a part's slots; one that is fuller is twice as large. */
const filledMax = 0.7;

type Part = { slots: Int32Array; filled: number };

export class Slots {
  readonly #parts: Part[] = Array.from({ length: 2 ** partBits }, () => ({
    slots: new Int32Array(slotsMin),
    filled: 0,
  }));
  readonly #hashOf: (number: number) => number;

  /** @param hashOf the hash of what a number stands for, 32 bits */
  constructor(hashOf: (number: number) => number) {
    this.#hashOf = hashOf;
  }

  /** The number of that hash for which `isIt` holds; 0 for none. */
  find(hash: number, isIt: (number: number) => boolean): number {
    const { slots } = this.#partOf(hash);
    const mask = slots.length - 1;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const number = slots[at] ?? 0;
      if (number === 0 || (this.#hashOf(number) === hash && isIt(number))) return number;
    }
  }

  /** Puts a number there, from 1, or in the place of another that stands for the same. */
  set(hash: number, number: number, before: number): void {
    const part = this.#partOf(hash);
    if (before === 0) {
      part.filled += 1;
      if (part.filled > filledMax * part.slots.length) this.#grow(part);
    }
    const { slots } = part;
    const mask = slots.length - 1;
    let at = hash & mask;
    while (slots[at] !== before && slots[at] !== 0) at = (at + 1) & mask;
    slots[at] = number;
  }

  #partOf(hash: number): Part {
    const part = this.#parts[hash >>> (32 - partBits)];
    if (part === undefined) throw new Error(`${hash} is no hash of 32 bits`);
    return part;
  }

  #grow(part: Part): void {
    const before = part.slots;
    const slots = new Int32Array(2 * before.length);
    const mask = slots.length - 1;
    for (const number of before) {
      if (number === 0) continue;
      let at = this.#hashOf(number) & mask;
      while (slots[at] !== 0) at = (at + 1) & mask;
      slots[at] = number;
    }
    part.slots = slots;
  }
}

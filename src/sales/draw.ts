/**
 * The draw of a queue, as the contract has it: from the seed and the entries follows everybody's
 * rank, for whoever reckons it. In slices of a few milliseconds, for there may be a million.
 */

/** The name of a ticket that everybody may know: SHA-256 of its text. */
export const entryBytes = 32;

/** What was drawn. */
export type Drawn = {
  readonly seed: string;
  /** SHA-256 of all entries in the order of their numbers, each followed by a newline; in hex. */
  readonly entriesDigest: string;
  /** `entryBytes` each, in the order of their numbers. */
  readonly entries: Uint8Array;
  /** The rank of each, from 1. */
  readonly ranks: Uint32Array;
};

/** Entries, or keys, in one slice: one or two milliseconds' worth. */
const perSlice = 2_048;
/** Steps of sorting in one slice. */
const stepsPerSlice = 16_384;
/** Buckets that are sorted in one slice. */
const bucketsPerSlice = 512;
/** Keys that are sorted together, about; those with the same first bits. */
const perBucket = 8;

const digits = new TextEncoder().encode("0123456789abcdef");
const hexBytes = 2 * entryBytes;
const colon = 0x3a;
const newline = 0x0a;

/** Writes the hex of some bytes as text. */
function writeHex(to: Uint8Array, at: number, from: Uint8Array, start: number): void {
  for (let i = 0; i < entryBytes; i += 1) {
    const byte = from[start + i] ?? 0;
    to[at + 2 * i] = digits[byte >>> 4] ?? 0;
    to[at + 2 * i + 1] = digits[byte & 0x0f] ?? 0;
  }
}

/**
 * Draws; each step is a slice, between which others may have their turn.
 * @param seed 32 bytes, in hex
 * @param entries of everybody who is drawn, in the order of their numbers
 */
export function* drawing(seed: string, entries: Uint8Array): Generator<void, Drawn> {
  const entriesDigest = yield* digestOf(entries);
  const keys = yield* keysOf(seed, entriesDigest, entries);
  const ranks = yield* ranksBy(keys);
  return { seed, entriesDigest, entries, ranks };
}

function* digestOf(entries: Uint8Array): Generator<void, string> {
  const hasher = new Bun.CryptoHasher("sha256");
  const count = entries.length / entryBytes;
  const line = hexBytes + 1;
  const lines = new Uint8Array(perSlice * line).fill(newline);
  for (let from = 0; from < count; from += perSlice) {
    const some = Math.min(perSlice, count - from);
    for (let i = 0; i < some; i += 1) writeHex(lines, i * line, entries, (from + i) * entryBytes);
    hasher.update(lines.subarray(0, some * line));
    yield;
  }
  return hasher.digest("hex");
}

/** What is sorted by: of each entry, SHA-256 of `seed:entries_digest:entry`. */
function* keysOf(seed: string, digest: string, entries: Uint8Array): Generator<void, Uint8Array> {
  const text = new Uint8Array(3 * hexBytes + 2);
  text.set(new TextEncoder().encode(`${seed}:${digest}`));
  text[2 * hexBytes + 1] = colon;
  const keys = new Uint8Array(entries.length);
  for (let at = 0; at < entries.length; at += entryBytes) {
    writeHex(text, 2 * hexBytes + 2, entries, at);
    Bun.SHA256.hash(text, keys.subarray(at, at + entryBytes));
    if ((at / entryBytes) % perSlice === perSlice - 1) yield;
  }
  return keys;
}

/** The place of each key by ascending key, from 1: keys are random, so their first bits part them evenly. */
function* ranksBy(keys: Uint8Array): Generator<void, Uint32Array> {
  const view = new DataView(keys.buffer, keys.byteOffset, keys.byteLength);
  const count = keys.length / entryBytes;
  const bits = Math.max(1, Math.ceil(Math.log2(count / perBucket + 1)));
  const bucketOf = (index: number): number => view.getUint32(index * entryBytes) >>> (32 - bits);
  const ends = new Uint32Array(2 ** bits + 1);
  for (let i = 0; i < count; i += 1) {
    const next = bucketOf(i) + 1;
    ends[next] = (ends[next] ?? 0) + 1;
    if (i % stepsPerSlice === stepsPerSlice - 1) yield;
  }
  for (let i = 1; i < ends.length; i += 1) ends[i] = (ends[i] ?? 0) + (ends[i - 1] ?? 0);
  // Where the next of a bucket goes; when all are there, that is where the bucket ends.
  const order = new Uint32Array(count);
  for (let i = 0; i < count; i += 1) {
    const bucket = bucketOf(i);
    const at = ends[bucket] ?? 0;
    order[at] = i;
    ends[bucket] = at + 1;
    if (i % stepsPerSlice === stepsPerSlice - 1) yield;
  }
  const ranks = new Uint32Array(count);
  let start = 0;
  for (let bucket = 0; start < count; bucket += 1) {
    const end = ends[bucket] ?? count;
    sortBucket(order.subarray(start, end), (a, b) => isBefore(view, a, b));
    for (let at = start; at < end; at += 1) ranks[order[at] ?? 0] = at + 1;
    start = end;
    if (bucket % bucketsPerSlice === bucketsPerSlice - 1) yield;
  }
  return ranks;
}

/** By insertion: a bucket has a handful. */
function sortBucket(bucket: Uint32Array, comesFirst: (a: number, b: number) => boolean): void {
  for (let i = 1; i < bucket.length; i += 1) {
    const one = bucket[i] ?? 0;
    let at = i;
    while (at > 0 && comesFirst(one, bucket[at - 1] ?? 0)) {
      bucket[at] = bucket[at - 1] ?? 0;
      at -= 1;
    }
    bucket[at] = one;
  }
}

function isBefore(keys: DataView, a: number, b: number): boolean {
  for (let at = 0; at < entryBytes; at += 4) {
    const [one, other] = [keys.getUint32(a * entryBytes + at), keys.getUint32(b * entryBytes + at)];
    if (one !== other) return one < other;
  }
  return false;
}

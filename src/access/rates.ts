/**
 * How much one client may ask: a bucket of requests for each address, and one for each proven buyer,
 * that empties with every request and fills again evenly.
 *
 * A bucket is the time at which it will be full again, so that one that nobody uses need not be
 * kept. All of them lie in one table of a fixed size: by a seeded hash an address has one of `ways`
 * places of a set, and where all are taken, the one whose buckets are full soonest gives way. Nothing
 * grows, nothing is swept, and no address can choose which one it shares. What has to be looked at to
 * find a place lies in 64 bytes: in a flood of strangers each of them is far away in memory.
 *
 * Processes that are linked have the same seed, so they can tell each other how much of whose bucket
 * was used (`takeUsed`), and take that out of their own (`useUp`).
 */
import { bucketsPerFrameMax, type UsedBucket } from "../link/counts.ts";

const rateKinds = ["writes", "reads", "costly"] as const;
export type RateKind = (typeof rateKinds)[number];

/** `perSecond` come back, `atOnce` fit. */
type Rate = { readonly perSecond: number; readonly atOnce: number };
type RateLimits = Readonly<Record<RateKind, Rate>>;

export const usualRates: RateLimits = {
  writes: { perSecond: 20, atOnce: 60 },
  reads: { perSecond: 50, atOnce: 200 },
  costly: { perSecond: 2, atOnce: 10 },
};

const numberMax = 1_000_000;
const rateText = /^(writes|reads|costly)=([1-9]\d{0,6})\/([1-9]\d{0,6})$/;

/** `on`, `off`, or `writes=20/60,reads=50/200,costly=2/10`; null for `off`, undefined for junk. */
export function parseRates(text: string): RateLimits | null | undefined {
  if (text === "off") return null;
  if (text === "on") return usualRates;
  const given: Partial<Record<RateKind, Rate>> = {};
  for (const part of text.split(",").map((each) => each.trim())) {
    const [, name, perSecond, atOnce] = rateText.exec(part) ?? [];
    const kind = rateKinds.find((each) => each === name);
    if (kind === undefined || given[kind] !== undefined) return undefined;
    const rate = { perSecond: Number(perSecond), atOnce: Number(atOnce) };
    if (rate.perSecond > numberMax || rate.atOnce > numberMax) return undefined;
    given[kind] = rate;
  }
  return { ...usualRates, ...given };
}

/** Where a place's buckets are in it. */
const offsets: Readonly<Record<RateKind, number>> = { writes: 0, reads: 1, costly: 2 };

/** What a bucket is of: the guests of an address, the proven buyers of one, or one of these. */
const families = { guests: 0, proven: 1, account: 2, customer: 3 } as const;

/** How many buckets of each kind are kept: with 44 bytes each, 46 MB when all are in use. */
export const bucketsMax = 1_048_576;
const ways = 8;
/** Eighths of a second: in 32 bits they last for 17 years. */
const coarseMs = 125;
const sets = bucketsMax / ways;
const kinds = rateKinds.length;
/** Buckets of which can be told what was used since it was told last; of more it is not. */
const usedMax = 16_384;

/** Past a limit. */
export type RateRefusal = {
  readonly kind: RateKind;
  readonly of: "address" | "user";
  readonly rate: Rate;
  readonly retryAfterMs: number;
};

/** A rate as steps of the clock. */
type Steps = { readonly rate: Rate; readonly stepMs: number; readonly spanMs: number };

const stepsOf = ({ perSecond, atOnce }: Rate): Steps => ({
  rate: { perSecond, atOnce },
  stepMs: 1000 / perSecond,
  spanMs: (1000 / perSecond) * atOnce,
});

const scaled = ({ perSecond, atOnce }: Rate, by: number): Rate => ({
  perSecond: perSecond * by,
  atOnce: Math.max(1, Math.floor(atOnce * by)),
});

type StepsOfKinds = Readonly<Record<RateKind, Steps>>;

export class Rates {
  readonly #guests: StepsOfKinds;
  /** Of an address from which proven buyers come, who may share it. */
  readonly #addresses: StepsOfKinds;
  readonly #buyers: StepsOfKinds;
  readonly #now: () => number;
  readonly #seeds: Uint32Array;
  /** Of each set: whose its places are, and by when the buckets there are full again, in `coarseMs`. */
  readonly #sets = new Uint32Array(2 * bucketsMax);
  readonly #fullAt = new Float64Array(kinds * bucketsMax);
  /** What was used of each since it was told, ms; and which those are. */
  readonly #usedMs = new Float32Array(kinds * bucketsMax);
  readonly #used = new Uint32Array(usedMax);
  #usedCount = 0;
  #isShared = false;

  /**
   * @param secret of all processes that count together
   * @param now ms of a clock that only goes on; it begins above 0
   */
  constructor(limits: RateLimits, secret: string, now: () => number = () => performance.now()) {
    const { writes, reads, costly } = limits;
    const all = (factors: Readonly<Record<RateKind, number>>): StepsOfKinds => ({
      writes: stepsOf(scaled(writes, factors.writes)),
      reads: stepsOf(scaled(reads, factors.reads)),
      costly: stepsOf(scaled(costly, factors.costly)),
    });
    this.#guests = all({ writes: 1, reads: 1, costly: 1 });
    this.#addresses = all({ writes: 10, reads: 10, costly: 10 });
    this.#buyers = all({ writes: 0.25, reads: 0.5, costly: 0.5 });
    const digest = new Bun.CryptoHasher("sha256").update(`rates ${secret}`).digest();
    this.#seeds = Uint32Array.of(digest.readUInt32LE(0), digest.readUInt32LE(4));
    this.#now = now;
  }

  /** Whether what is used is to be told: it costs a tenth of counting, and a pause at each telling. */
  get isShared(): boolean {
    return this.#isShared;
  }

  set isShared(isShared: boolean) {
    // What was used by whoever had a place before is not theirs who have it now.
    if (isShared && !this.#isShared) {
      this.#usedMs.fill(0);
      this.#usedCount = 0;
    }
    this.#isShared = isShared;
  }

  /** A request of a guest; null when it may pass. */
  takeGuest(kind: RateKind, network: string): RateRefusal | null {
    return this.#take(kind, families.guests, network, this.#guests[kind]);
  }

  /** Whether a guest's next request would be refused; nothing is counted. */
  isSpent(kind: RateKind, network: string): boolean {
    const { stepMs, spanMs } = this.#guests[kind];
    const now = this.#now();
    const place = this.#placeOf(families.guests, network);
    const fullAt = this.#fullAt[kinds * place + offsets[kind]] ?? 0;
    return Math.max(fullAt, now) + stepMs - now > spanMs + 0.001;
  }

  /**
   * A request of a proven buyer.
   * @param buyer null for a key, which is nobody
   * @param name of the buyer; what of a key is asked here has none
   */
  takeProven(
    kind: RateKind,
    network: string,
    buyer: "account" | "customer" | null,
    name = "",
  ): RateRefusal | null {
    const refusal =
      buyer === null ? null : this.#take(kind, families[buyer], name, this.#buyers[kind]);
    return refusal ?? this.#take(kind, families.proven, network, this.#addresses[kind]);
  }

  #take(
    kind: RateKind,
    family: number,
    key: string,
    { rate, stepMs, spanMs }: Steps,
  ): RateRefusal | null {
    const now = this.#now();
    const place = this.#placeOf(family, key);
    const at = kinds * place + offsets[kind];
    const fullAt = Math.max(this.#fullAt[at] ?? 0, now) + stepMs;
    // Of a thousandth of a ms the clock itself is not sure.
    if (fullAt - now > spanMs + 0.001) {
      const of = family === families.guests || family === families.proven ? "address" : "user";
      return { kind, of, rate, retryAfterMs: Math.ceil(fullAt - now - spanMs) };
    }
    this.#fill(place, at, fullAt);
    if (!this.#isShared) return null;
    const usedMs = this.#usedMs[at] ?? 0;
    if (usedMs === 0) {
      if (this.#usedCount === usedMax) return null;
      this.#used[this.#usedCount] = at;
      this.#usedCount += 1;
    }
    this.#usedMs[at] = usedMs + stepMs;
    return null;
  }

  /** What was used here since this was asked last: of the most used buckets, where there are many. */
  takeUsed(): UsedBucket[] {
    const places = this.#used.subarray(0, this.#usedCount);
    const amounts = Float32Array.from(places, (at) => this.#usedMs[at] ?? 0).toSorted();
    const least = amounts.at(-bucketsPerFrameMax) ?? 0;
    // Of those that were used just as much, as many as fit beside those that were used more.
    let room = bucketsPerFrameMax - amounts.reduce((sum, ms) => sum + (ms > least ? 1 : 0), 0);
    const used: UsedBucket[] = [];
    for (const at of places) {
      const ms = this.#usedMs[at] ?? 0;
      this.#usedMs[at] = 0;
      // It was forgotten meanwhile, and perhaps used again, and is in the list twice.
      if (ms === 0 || ms < least || (ms === least && room-- <= 0)) continue;
      const place = Math.floor(at / kinds);
      const set = Math.floor(place / ways);
      const tag = this.#sets[2 * ways * set + (place % ways)] ?? 0;
      used.push({ tag, hash: set, kind: at % kinds, ms });
    }
    this.#usedCount = 0;
    return used;
  }

  /** Takes out of the buckets here what was used of them elsewhere, also where it is not there. */
  useUp(used: readonly UsedBucket[]): void {
    const now = this.#now();
    for (const { tag, hash, kind, ms } of used) {
      const place = this.#placeIn(hash % sets, tag);
      const at = kinds * place + kind;
      this.#fill(place, at, Math.max(this.#fullAt[at] ?? 0, now) + ms);
    }
  }

  /** Where a key's buckets are, from now on. */
  #placeOf(family: number, key: string): number {
    let [hash = 0, tag = 0] = this.#seeds;
    // Mixed in as a letter before the first, or a name could be chosen that is an address of another.
    hash = Math.imul(hash ^ family, 0x5bd1e995);
    tag = Math.imul(tag ^ family, 0x27d4eb2d);
    // By hand: for a dozen letters, calling into a library costs five times as much.
    for (let i = 0; i < key.length; i += 1) {
      const letter = key.charCodeAt(i);
      hash = Math.imul(hash ^ letter, 0x5bd1e995);
      hash ^= hash >>> 15;
      tag = Math.imul(tag ^ letter, 0x27d4eb2d);
      tag ^= tag >>> 13;
    }
    // 0 is a place that was never taken.
    return this.#placeIn((hash >>> 0) % sets, tag >>> 0 || 1);
  }

  #placeIn(set: number, tag: number): number {
    const first = 2 * ways * set;
    let oldest = 0;
    let oldestFullBy = Infinity;
    for (let way = 0; way < ways; way += 1) {
      if (this.#sets[first + way] === tag) return ways * set + way;
      const fullBy = this.#sets[first + ways + way] ?? 0;
      if (fullBy < oldestFullBy) {
        oldest = way;
        oldestFullBy = fullBy;
      }
    }
    this.#sets[first + oldest] = tag;
    this.#sets[first + ways + oldest] = 0;
    const place = ways * set + oldest;
    for (let at = kinds * place; at < kinds * (place + 1); at += 1) {
      this.#fullAt[at] = 0;
      if (this.#isShared) this.#usedMs[at] = 0;
    }
    return place;
  }

  /** A bucket is full again at `fullAt`. */
  #fill(place: number, at: number, fullAt: number): void {
    this.#fullAt[at] = fullAt;
    const by = 2 * ways * Math.floor(place / ways) + ways + (place % ways);
    this.#sets[by] = Math.max(this.#sets[by] ?? 0, Math.ceil(fullAt / coarseMs));
  }
}

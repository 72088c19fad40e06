/**
 * How much one client may ask: a bucket of requests for each address, and one for each proven buyer,
 * that empties with every request and fills again evenly.
 *
 * A bucket is the time at which it will be full again, so that one that nobody uses need not be
 * kept. All of them lie in one table of a fixed size: by a seeded hash of 64 bits an address has one
 * of `ways` places, and where all are taken, the one whose bucket is full soonest gives way. Nothing
 * grows, nothing is swept, and no address can choose which one it shares.
 */

const rateKinds = ["writes", "reads", "costly"] as const;
export type RateKind = (typeof rateKinds)[number];

/** `perSecond` come back, `atOnce` fit. */
type Rate = { readonly perSecond: number; readonly atOnce: number };
export type RateLimits = Readonly<Record<RateKind, Rate>>;

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

/** How many buckets of each kind are kept: with 32 bytes each, 33.5 MB when all are in use. */
export const bucketsMax = 1_048_576;
const ways = 8;
const sets = bucketsMax / ways;
const kinds = rateKinds.length;

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
  readonly #seeds = crypto.getRandomValues(new Uint32Array(2));
  readonly #keys = new Uint32Array(2 * bucketsMax);
  readonly #fullAt = new Float64Array(kinds * bucketsMax);

  /** @param now ms of a clock that only goes on; it begins above 0 */
  constructor(limits: RateLimits, now: () => number = () => performance.now()) {
    const { writes, reads, costly } = limits;
    const all = (factors: Readonly<Record<RateKind, number>>): StepsOfKinds => ({
      writes: stepsOf(scaled(writes, factors.writes)),
      reads: stepsOf(scaled(reads, factors.reads)),
      costly: stepsOf(scaled(costly, factors.costly)),
    });
    this.#guests = all({ writes: 1, reads: 1, costly: 1 });
    this.#addresses = all({ writes: 10, reads: 10, costly: 10 });
    this.#buyers = all({ writes: 0.25, reads: 0.5, costly: 0.5 });
    this.#now = now;
  }

  /** A request of a guest; null when it may pass. */
  takeGuest(kind: RateKind, network: string): RateRefusal | null {
    return this.#take(kind, network, this.#guests[kind], "address");
  }

  /** Whether a guest's next request would be refused; nothing is counted. */
  isSpent(kind: RateKind, network: string): boolean {
    const { stepMs, spanMs } = this.#guests[kind];
    const now = this.#now();
    const fullAt = this.#fullAt[kinds * this.#placeOf(network) + offsets[kind]] ?? 0;
    return Math.max(fullAt, now) + stepMs - now > spanMs + 0.001;
  }

  /**
   * A request of a proven buyer.
   * @param buyer one text for a buyer, which is no address; null for a key, which is nobody
   */
  takeProven(kind: RateKind, network: string, buyer: string | null): RateRefusal | null {
    const refusal = buyer === null ? null : this.#take(kind, buyer, this.#buyers[kind], "user");
    return refusal ?? this.#take(kind, `proven ${network}`, this.#addresses[kind], "address");
  }

  #take(
    kind: RateKind,
    key: string,
    { rate, stepMs, spanMs }: Steps,
    of: RateRefusal["of"],
  ): RateRefusal | null {
    const now = this.#now();
    const at = kinds * this.#placeOf(key) + offsets[kind];
    const fullAt = Math.max(this.#fullAt[at] ?? 0, now) + stepMs;
    // Of a thousandth of a ms the clock itself is not sure.
    if (fullAt - now > spanMs + 0.001) {
      return { kind, of, rate, retryAfterMs: Math.ceil(fullAt - now - spanMs) };
    }
    this.#fullAt[at] = fullAt;
    return null;
  }

  /** Where a key's buckets are, from now on. */
  #placeOf(key: string): number {
    let [hash = 0, tag = 0] = this.#seeds;
    // By hand: for a dozen letters, calling into a library costs five times as much.
    for (let i = 0; i < key.length; i += 1) {
      const letter = key.charCodeAt(i);
      hash = Math.imul(hash ^ letter, 0x5bd1e995);
      hash ^= hash >>> 15;
      tag = Math.imul(tag ^ letter, 0x27d4eb2d);
      tag ^= tag >>> 13;
    }
    hash >>>= 0;
    // 0 is a place that was never taken.
    tag = tag >>> 0 || 1;
    const first = (hash % sets) * ways;
    let oldest = first;
    let oldestFullAt = Infinity;
    for (let place = first; place < first + ways; place += 1) {
      if (this.#keys[2 * place] === tag && this.#keys[2 * place + 1] === hash) return place;
      const fullAt = this.#fullAgain(place);
      if (fullAt < oldestFullAt) {
        oldest = place;
        oldestFullAt = fullAt;
      }
    }
    this.#keys[2 * oldest] = tag;
    this.#keys[2 * oldest + 1] = hash;
    this.#fullAt.fill(0, kinds * oldest, kinds * (oldest + 1));
    return oldest;
  }

  /** When the last of the buckets at a place is full. */
  #fullAgain(place: number): number {
    const at = kinds * place;
    return Math.max(this.#fullAt[at] ?? 0, this.#fullAt[at + 1] ?? 0, this.#fullAt[at + 2] ?? 0);
  }
}

/**
 * How often somebody may try. A failed login counts against three things:
 *
 * - the account as seen from the address: whoever guesses locks out themselves alone;
 * - the address, whatever accounts it tries;
 * - the account as seen from everywhere, for guessing from many addresses. An address from
 *   which this account has logged in before is exempt, or else strangers could keep its owner
 *   out for as long as they please.
 *
 * A browser in which the account has logged in before (see `devices.ts`) is counted by itself, and
 * by nothing that strangers can use up.
 *
 * Names are counted as they were given: whether there is such an account makes no difference.
 * An attempt counts when it begins and is given back when it did not fail, so that many at
 * once do not slip through. What is counted is in memory, and bounded; what failed logins have used
 * up is handed out to be kept, by hashes that name nobody, so that a restart gives no new tries.
 */
import { BoundedMap } from "../bounded.ts";
import { sameName } from "../store/users.ts";

const minuteMs = 60_000;

/** Attempts that are allowed at once, and come back evenly over the time. */
type Allowance = { readonly times: number; readonly perMs: number };

export const allowances = {
  loginOfAccountFromAddress: { times: 10, perMs: 15 * minuteMs },
  loginFromAddress: { times: 50, perMs: 15 * minuteMs },
  loginOfAccount: { times: 50, perMs: 15 * minuteMs },
  /** Wide, for many people may share an address on the day of a sale. */
  registration: { times: 300, perMs: 60 * minuteMs },
} as const satisfies Record<string, Allowance>;

/** Keys that one limit counts. Past it the one longest untouched is forgotten. */
export const keysMax = 50_000;

/** A bucket for each key, kept as the time when it will be full again. */
export class Limit {
  readonly #allowance: Allowance;
  readonly #fullAt = new BoundedMap<string, number>(keysMax);

  constructor(allowance: Allowance) {
    this.#allowance = allowance;
  }

  get size(): number {
    return this.#fullAt.size;
  }

  get #stepMs(): number {
    return this.#allowance.perMs / this.#allowance.times;
  }

  /** Takes one; 0, or in how many ms there will be one. */
  take(key: string, now: number): number {
    const { perMs } = this.#allowance;
    // A clock that was set back must not make anybody wait for longer than a full bucket.
    const fullAt = Math.min(Math.max(this.#fullAt.get(key) ?? now, now), now + perMs);
    const waitMs = Math.ceil(fullAt + this.#stepMs - now - perMs);
    if (waitMs > 0) {
      // Kept too when it was shortened, or the wait would be told again until the clock has caught up.
      this.#fullAt.set(key, fullAt);
      return waitMs;
    }
    this.#fullAt.set(key, fullAt + this.#stepMs);
    return 0;
  }

  /** 0 for one that is full. */
  fullAt(key: string): number {
    return this.#fullAt.get(key) ?? 0;
  }

  restore(key: string, fullAt: number): void {
    this.#fullAt.set(key, fullAt);
  }

  giveBack(key: string, now: number): void {
    const fullAt = this.#fullAt.get(key);
    if (fullAt === undefined) return;
    if (fullAt - this.#stepMs <= now) this.#fullAt.delete(key);
    else this.#fullAt.set(key, fullAt - this.#stepMs);
  }
}

/** One attempt that was allowed. */
type Attempt = {
  /** It did not fail: it never happened. */
  giveBack(now: number): void;
};

const nameCharactersMax = 64;

/** Limits that outlive the process, by the names that they are kept under. */
const keptLimits = ["pair", "address", "name", "device"] as const;
type KeptLimit = (typeof keptLimits)[number];

/** When buckets will be full again (ms since the Unix epoch), by their keys. */
type KeptBuckets = ReadonlyMap<string, number>;

export class AttemptLimits {
  readonly #kept: Readonly<Record<KeptLimit, Limit>> = {
    pair: new Limit(allowances.loginOfAccountFromAddress),
    address: new Limit(allowances.loginFromAddress),
    name: new Limit(allowances.loginOfAccount),
    device: new Limit(allowances.loginOfAccountFromAddress),
  };
  readonly #registrations = new Limit(allowances.registration);
  /** Account and address of those who have logged in. */
  readonly #familiar = new BoundedMap<string, true>(keysMax);
  readonly #changed = new Set<string>();

  /** Goes on from what was kept. */
  restore(buckets: KeptBuckets): void {
    for (const [key, fullAt] of buckets) {
      const limit = keptLimits.find((name) => key.startsWith(`${name}:`));
      if (limit !== undefined) this.#kept[limit].restore(key, fullAt);
    }
  }

  /** What was changed since this was last asked. */
  takeChanges(): KeptBuckets {
    const changes = new Map<string, number>();
    for (const key of this.#changed) {
      const limit = keptLimits.find((name) => key.startsWith(`${name}:`));
      if (limit !== undefined) changes.set(key, this.#kept[limit].fullAt(key));
    }
    this.#changed.clear();
    return changes;
  }

  /**
   * An attempt to log in, or in how many ms one may be made.
   * @param device of a browser in which the account has logged in before
   */
  login(
    username: string,
    { address, device }: { readonly address: string; readonly device: string | null },
    now: number,
  ): Attempt | number {
    const name = nameKey(username);
    if (device !== null) return this.#take([["device", device]], now);
    const pair = pairKey(name, address);
    const counted: [KeptLimit, string][] = [
      ["pair", pair],
      ["address", address],
    ];
    if (!this.#familiar.has(pair)) counted.push(["name", name]);
    return this.#take(counted, now);
  }

  #take(counted: readonly [KeptLimit, string][], now: number): Attempt | number {
    const keyed = counted.map(([limit, of]): [Limit, string] => [
      this.#kept[limit],
      `${limit}:${hashOf(of)}`,
    ]);
    const attempt = takeAll(keyed, now);
    for (const [, key] of keyed) this.#changed.add(key);
    return attempt;
  }

  /** Somebody has logged in from there. */
  succeeded(username: string, address: string): void {
    this.#familiar.set(pairKey(nameKey(username), address), true);
  }

  /** An attempt to register, or in how many ms one may be made. */
  registration(address: string, now: number): Attempt | number {
    return takeAll([[this.#registrations, address]], now);
  }
}

const hashOf = (text: string): string =>
  new Bun.CryptoHasher("sha256").update(text).digest("base64url");

/** One of each, or none of any. */
function takeAll(counted: readonly [Limit, string][], now: number): Attempt | number {
  const taken: [Limit, string][] = [];
  const giveBack = (at: number): void => {
    for (const [limit, key] of taken) limit.giveBack(key, at);
  };
  for (const [limit, key] of counted) {
    const waitMs = limit.take(key, now);
    if (waitMs > 0) {
      giveBack(now);
      return waitMs;
    }
    taken.push([limit, key]);
  }
  return { giveBack };
}

const nameKey = (username: string): string => sameName(username.slice(0, nameCharactersMax));

/** A name that the rules allow holds no space. */
const pairKey = (name: string, address: string): string => `${address} ${name}`;

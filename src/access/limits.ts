/**
 * How often somebody may try. A failed login counts against three things:
 *
 * - the account as seen from the address: whoever guesses locks out themselves alone;
 * - the address, whatever accounts it tries;
 * - the account as seen from everywhere, for guessing from many addresses. An address from
 *   which this account has logged in within a month, at any process, is exempt, or else strangers
 *   could keep its owner out for as long as they please.
 *
 * A wrong code of a second factor counts as a failed login, and by itself against its account.
 *
 * A browser in which the account has logged in before (see `devices.ts`) is counted by itself, and
 * by nothing that strangers can use up.
 *
 * Names are counted as they were given: whether there is such an account makes no difference.
 * An attempt counts when it begins and is given back when it did not fail, so that many at
 * once do not slip through. What is counted is in memory, and bounded, and in the records by hashes
 * that name nobody: so it counts on every process, and a restart gives no new tries.
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
  /** Whoever knows the password guesses a code of six digits after years, not after weeks. */
  secondFactorOfAccount: { times: 10, perMs: 60 * minuteMs },
  /** Wide, for many people may share an address on the day of a sale. */
  registration: { times: 300, perMs: 60 * minuteMs },
} as const satisfies Record<string, Allowance>;

/** An address from which an account has logged in is one of its own for so long; in the records alone. */
const familiarMs = 30 * 24 * 60 * minuteMs;

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
    if (fullAt > 0) this.#fullAt.set(key, fullAt);
  }

  giveBack(key: string, now: number): void {
    const fullAt = this.#fullAt.get(key);
    if (fullAt === undefined) return;
    if (fullAt - this.#stepMs <= now) this.#fullAt.delete(key);
    else this.#fullAt.set(key, fullAt - this.#stepMs);
  }
}

/** One attempt that was allowed. */
export type Attempt = {
  /** It did not fail: it never happened. Returns what is to be kept of that. */
  giveBack(now: number): KeptBuckets;
};

const nameCharactersMax = 64;

/** Limits, by the names that their buckets are kept under. */
const limitNames = ["pair", "address", "name", "device", "factor", "registration"] as const;
type LimitName = (typeof limitNames)[number];

/** When buckets will be full again (ms since the Unix epoch), by their keys. */
export type KeptBuckets = ReadonlyMap<string, number>;

export class AttemptLimits {
  readonly #limits: Readonly<Record<LimitName, Limit>> = {
    pair: new Limit(allowances.loginOfAccountFromAddress),
    address: new Limit(allowances.loginFromAddress),
    name: new Limit(allowances.loginOfAccount),
    device: new Limit(allowances.loginOfAccountFromAddress),
    factor: new Limit(allowances.secondFactorOfAccount),
    registration: new Limit(allowances.registration),
  };

  /**
   * What an attempt to log in counts against.
   * @param device of a browser in which the account has logged in before
   */
  login(
    username: string,
    { address, device }: { readonly address: string; readonly device: string | null },
  ): Counted {
    const name = nameKey(username);
    if (device !== null) return this.#counted([["device", device]]);
    const pair = pairKey(name, address);
    const own = this.#counted([
      ["pair", pair],
      ["address", address],
    ]);
    return own.andOfStrangers(this.#counted([["name", name]]), familiarKey(pair));
  }

  /**
   * What a code of an account's second factor counts against. Only whoever knows the password comes
   * so far, so that strangers cannot use it up.
   */
  secondFactor(username: string): Counted {
    return this.#counted([["factor", nameKey(username)]]);
  }

  /** What an attempt to register counts against. */
  registration(address: string): Counted {
    return this.#counted([["registration", address]]);
  }

  /** What is to be kept of a login: that its address is one of the account's. */
  succeeded(username: string, address: string, now: number): KeptBuckets {
    return new Map([[familiarKey(pairKey(nameKey(username), address)), now + familiarMs]]);
  }

  #counted(of: readonly [LimitName, string][]): Counted {
    return new Counted(
      of.map(([name, what]) => [this.#limits[name], `${name}:${hashOf(what)}`] as const),
    );
  }
}

type Buckets = readonly (readonly [Limit, string])[];
type Strangers = { readonly buckets: Buckets; readonly familiar: string };

/** The buckets that one attempt takes from: of each, or of none. */
export class Counted {
  #buckets: Buckets;
  readonly #strangers: Strangers | null;

  constructor(buckets: Buckets, strangers: Strangers | null = null) {
    this.#buckets = buckets;
    this.#strangers = strangers;
  }

  /** Takes from others too, unless the records have this key, and a time to come with it. */
  andOfStrangers(others: Counted, familiar: string): Counted {
    return new Counted(this.#buckets, { buckets: others.#buckets, familiar });
  }

  /** What is to be looked for in the records. */
  get keys(): string[] {
    const keys = [...this.#buckets, ...(this.#strangers?.buckets ?? [])].map(([, key]) => key);
    return this.#strangers === null ? keys : [...keys, this.#strangers.familiar];
  }

  /** Goes on from what is kept, where others have counted more. */
  goOnFrom(kept: KeptBuckets, now: number): void {
    const strangers = this.#strangers;
    if (strangers !== null && (kept.get(strangers.familiar) ?? 0) <= now) {
      this.#buckets = [...this.#buckets, ...strangers.buckets];
    }
    for (const [limit, key] of this.#buckets) {
      limit.restore(key, Math.max(limit.fullAt(key), kept.get(key) ?? 0));
    }
  }

  /** An attempt, or in how many ms one may be made. */
  take(now: number): Attempt | number {
    const taken: (readonly [Limit, string])[] = [];
    const giveBack = (at: number): KeptBuckets => {
      for (const [limit, key] of taken) limit.giveBack(key, at);
      return this.kept();
    };
    for (const [limit, key] of this.#buckets) {
      const waitMs = limit.take(key, now);
      if (waitMs > 0) {
        giveBack(now);
        return waitMs;
      }
      taken.push([limit, key]);
    }
    return { giveBack };
  }

  kept(): KeptBuckets {
    return new Map(this.#buckets.map(([limit, key]) => [key, limit.fullAt(key)]));
  }
}

const hashOf = (text: string): string =>
  new Bun.CryptoHasher("sha256").update(text).digest("base64url");

const nameKey = (username: string): string => sameName(username.slice(0, nameCharactersMax));

const familiarKey = (pair: string): string => `familiar:${hashOf(pair)}`;

/** A name that the rules allow holds no space. */
const pairKey = (name: string, address: string): string => `${address} ${name}`;

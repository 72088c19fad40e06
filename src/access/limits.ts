/**
 * How often somebody may try. A failed login counts against three things:
 *
 * - the account as seen from the address: whoever guesses locks out themselves alone;
 * - the address, whatever accounts it tries;
 * - the account as seen from everywhere, for guessing from many addresses. An address from
 *   which this account has logged in before is exempt, or else strangers could keep its owner
 *   out for as long as they please.
 *
 * Names are counted as they were given: whether there is such an account makes no difference.
 * An attempt counts when it begins and is given back when it did not fail, so that many at
 * once do not slip through. What is counted is in memory, and bounded; it begins anew with
 * the process.
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
    if (waitMs > 0) return waitMs;
    this.#fullAt.set(key, fullAt + this.#stepMs);
    return 0;
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

export class AttemptLimits {
  readonly #pairs = new Limit(allowances.loginOfAccountFromAddress);
  readonly #addresses = new Limit(allowances.loginFromAddress);
  readonly #names = new Limit(allowances.loginOfAccount);
  readonly #registrations = new Limit(allowances.registration);
  /** Account and address of those who have logged in. */
  readonly #familiar = new BoundedMap<string, true>(keysMax);

  /** An attempt to log in, or in how many ms one may be made. */
  login(username: string, address: string, now: number): Attempt | number {
    const name = nameKey(username);
    const pair = pairKey(name, address);
    const counted: [Limit, string][] = [
      [this.#pairs, pair],
      [this.#addresses, address],
    ];
    if (!this.#familiar.has(pair)) counted.push([this.#names, name]);
    return takeAll(counted, now);
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

/**
 * Checks what somebody logs in with: name and password, and where it is asked for the code of a second
 * factor. What fails is counted, and refused past the limits (`limits.ts`). What all processes have
 * counted is in the records: it is read before, and written before anything is looked at.
 *
 * Whoever does not know the password learns nothing: neither whether there is such an account, nor
 * whether it has a second factor. The answer is the same, and takes the same time.
 */
import { networkOf } from "./clients.ts";
import type { Devices } from "./devices.ts";
import { AttemptLimits, type Attempt, type Counted, type KeptBuckets } from "./limits.ts";
import { readCode, stepOf, type FactorSeals } from "./otp.ts";
import type { Passwords } from "./passwords.ts";
import { reaching } from "./reach.ts";
import { madeAs } from "../engine/made.ts";
import type { Db } from "../store/db.ts";
import { findLoginLimits, keepLoginLimits } from "../store/login-limits.ts";
import { takeCode, takeRecoveryCode } from "../store/second-factors.ts";
import { findCredentials, type Credentials } from "../store/users.ts";

/** Where a password is tried from. */
export type LoginFrom = { readonly address: string; readonly deviceCookie: string | null };

export type TooMany = { readonly word: "too_many_attempts"; readonly retryAfterMs: number };

export const tooMany = (retryAfterMs: number): TooMany => ({
  word: "too_many_attempts",
  retryAfterMs,
});

/** A code that was not good. */
export type WrongCode = { readonly word: "invalid_second_factor" } | TooMany;

type RefusedCode = { readonly word: "second_factor_required" } | WrongCode;

/** What was given is wrong, or is not all that it takes. */
export type Refused = { readonly word: "invalid_credentials" } | RefusedCode;

export type GivenCredentials = {
  readonly username: string;
  readonly password: string;
  /** The code of a second factor; null for none. Without this field none is asked for. */
  readonly otp?: string | null;
};

type CredentialCheckOptions = {
  readonly db: Db;
  readonly passwords: Passwords;
  readonly devices: Devices;
  readonly seals: FactorSeals;
  /** ms since the Unix epoch */
  readonly clock: () => number;
};

export class CredentialCheck {
  readonly #options: CredentialCheckOptions;
  readonly #limits = new AttemptLimits();

  constructor(options: CredentialCheckOptions) {
    this.#options = options;
  }

  /**
   * Goes on with a user who has given what it takes. That they have not, or that `go` comes to
   * nothing, counts as a failed login; a code that is still missing does not.
   */
  async verified<T>(
    { username, password, otp }: GivenCredentials,
    { address, deviceCookie }: LoginFrom,
    go: (user: Credentials) => Promise<T | null>,
  ): Promise<T | Refused> {
    const { db, passwords, devices, clock } = this.#options;
    const device = devices.of(username, deviceCookie, clock());
    const counted = this.#limits.login(username, { address: networkOf(address), device });
    const attempt = await this.#begin(counted);
    if (typeof attempt === "number") return tooMany(attempt);
    let failed = false;
    try {
      const user = await reaching(() => findCredentials(db, username));
      // Also without a user: the answer takes the same time.
      const matches = await passwords.verify(password, user?.passwordHash ?? null);
      if (user !== null && matches) {
        const refused = otp === undefined ? null : await this.#refusedCode(user, otp);
        failed = refused?.word === "invalid_second_factor";
        if (refused !== null) return refused;
        // A code is good once: the same request would not do again.
        const isCodeTaken = otp !== undefined && user.factorSecret !== null;
        const done = await (isCodeTaken ? madeAs(() => go(user)) : go(user));
        if (done !== null) return done;
      }
      failed = true;
      return { word: "invalid_credentials" };
    } finally {
      if (!failed) await this.giveBack(attempt);
    }
  }

  /** An attempt to register, or in how many ms one may be made. */
  registration(address: string): Promise<Attempt | number> {
    return this.#begin(this.#limits.registration(networkOf(address)));
  }

  async giveBack(attempt: Attempt): Promise<void> {
    await this.#keep(attempt.giveBack(this.#options.clock()));
  }

  /** Somebody has logged in from there. */
  async succeeded(username: string, address: string): Promise<void> {
    const { clock } = this.#options;
    await this.#keep(this.#limits.succeeded(username, networkOf(address), clock()));
  }

  /** Counts an attempt, or tells in how many ms one may be made. */
  async #begin(counted: Counted): Promise<Attempt | number> {
    const { db, clock } = this.#options;
    const kept = await reaching(() => findLoginLimits(db, counted.keys));
    counted.goOnFrom(kept, clock());
    const attempt = counted.take(clock());
    await this.#keep(counted.kept());
    return attempt;
  }

  async #keep(buckets: KeptBuckets): Promise<void> {
    const { db, clock } = this.#options;
    try {
      await keepLoginLimits(db, buckets, clock());
    } catch {
      // What cannot be kept now is counted in memory all the same.
    }
  }

  /**
   * Has a code of an account's second factor tried, as often as one may try any of them: of one that is
   * being set up, too. That it comes to nothing counts.
   */
  async code<T>(username: string, go: () => Promise<T | null>): Promise<T | WrongCode> {
    const attempt = await this.#begin(this.#limits.secondFactor(username));
    if (typeof attempt === "number") return tooMany(attempt);
    let isWrong = false;
    try {
      const done = await go();
      isWrong = done === null;
      return done ?? { word: "invalid_second_factor" };
    } finally {
      if (!isWrong) await this.giveBack(attempt);
    }
  }

  /** Takes the code of a user whose password was given; null when it is good, or none is needed. */
  async #refusedCode(user: Credentials, otp: string | null): Promise<RefusedCode | null> {
    if (user.factorSecret === null) return null;
    if (otp === null) return { word: "second_factor_required" };
    const { factorSecret } = user;
    const taken = await this.code(user.username, async () =>
      (await this.#take(user, factorSecret, otp)) ? "taken" : null,
    );
    return taken === "taken" ? null : taken;
  }

  async #take(user: Credentials, sealed: string, otp: string): Promise<boolean> {
    const { db, seals, clock } = this.#options;
    const code = readCode(otp);
    if (code === null) return false;
    if ("recoveryHash" in code) {
      return await reaching(() => takeRecoveryCode(db, user, code.recoveryHash));
    }
    const step = stepOf(seals.open(sealed, user.id), code.digits, clock());
    return step !== null && (await reaching(() => takeCode(db, user, step)));
  }
}

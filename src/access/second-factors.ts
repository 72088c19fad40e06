/**
 * Second factors of accounts, switched on and off by their owners: asking for a secret takes the
 * password; a code that was made with it switches it on; with it come recovery codes, shown once.
 * Switching it off, and new recovery codes, take password and code.
 */
import type { Account } from "./accounts.ts";
import type { CredentialCheck, LoginFrom, Refused, WrongCode } from "./credentials.ts";
import { newFactorSecret, newRecoveryCodes, stepOf, type FactorSeals } from "./otp.ts";
import { reaching } from "./reach.ts";
import type { Db } from "../store/db.ts";
import {
  findFactor,
  keepPending,
  replaceRecoveryCodes,
  switchOff,
  switchOn,
} from "../store/second-factors.ts";

type SecondFactorsOptions = {
  readonly db: Db;
  readonly check: CredentialCheck;
  readonly seals: FactorSeals;
  /** The session that a request came by; null without one. */
  readonly sessionOf: (request: Request) => Promise<string | null>;
  /** Forgets what was read of a user's sessions. */
  readonly forget: (userId: number) => void;
  /** ms since the Unix epoch */
  readonly clock: () => number;
};

type State = { readonly isOn: boolean; readonly recoveryCodesLeft: number };

type WithCodes<Word> = { readonly word: Word; readonly recoveryCodes: readonly string[] };

type NotThere = { readonly word: "second_factor_off" };

type BeginOutcome =
  | { readonly word: "begun"; readonly secret: string; readonly username: string }
  | { readonly word: "second_factor_on" }
  | Refused;

type ConfirmOutcome =
  | WithCodes<"switched_on">
  | {
      readonly word: "unauthenticated" | "second_factor_on" | "second_factor_off";
    }
  | WrongCode;

type RenewOutcome = WithCodes<"renewed"> | NotThere | Refused;

type OffOutcome = { readonly word: "switched_off" | "unauthenticated" } | NotThere | Refused;

export class SecondFactors {
  readonly #options: SecondFactorsOptions;

  constructor(options: SecondFactorsOptions) {
    this.#options = options;
  }

  async state({ id }: Account): Promise<State> {
    const found = await reaching(() => findFactor(this.#options.db, id));
    const isOn = found?.factorSecret != null;
    return { isOn, recoveryCodesLeft: isOn ? found.recoveryCodesLeft : 0 };
  }

  /** A new secret, in place of one that was not confirmed. */
  async begin({ username }: Account, password: string, from: LoginFrom): Promise<BeginOutcome> {
    const { db, check, seals } = this.#options;
    return await check.verified<BeginOutcome>({ username, password }, from, async (user) => {
      if (user.factorSecret !== null) return { word: "second_factor_on" };
      const secret = newFactorSecret();
      const kept = await reaching(() => keepPending(db, user, seals.seal(secret, user.id)));
      return kept ? { word: "begun", secret, username: user.username } : null;
    });
  }

  /** Switches it on by a first code. Other sessions of the account end. */
  async confirm(request: Request, { id, username }: Account, otp: string): Promise<ConfirmOutcome> {
    const { db, check, seals, sessionOf, clock } = this.#options;
    const sessionId = await sessionOf(request);
    const user = await reaching(() => findFactor(db, id));
    if (sessionId === null || user === null) return { word: "unauthenticated" };
    const { pending } = user;
    if (user.factorSecret !== null) return { word: "second_factor_on" };
    if (pending === null) return { word: "second_factor_off" };
    return await check.code<ConfirmOutcome>(username, async () => {
      const step = stepOf(seals.open(pending, id), otp.replaceAll(/\s/g, ""), clock());
      if (step === null) return null;
      const { codes, hashes } = newRecoveryCodes();
      const changed = await this.#changing(id, () =>
        switchOn(db, sessionId, { ...user, pending }, { step, recoveryHashes: hashes }),
      );
      return changed ? { word: "switched_on", recoveryCodes: codes } : { word: "unauthenticated" };
    });
  }

  /** New recovery codes; those that were left count no more. */
  async renew(
    { username }: Account,
    given: { readonly password: string; readonly otp: string | null },
    from: LoginFrom,
  ): Promise<RenewOutcome> {
    const { db, check } = this.#options;
    return await check.verified<RenewOutcome>({ username, ...given }, from, async (user) => {
      if (user.factorSecret === null) return { word: "second_factor_off" };
      const { codes, hashes } = newRecoveryCodes();
      const replaced = await reaching(() => replaceRecoveryCodes(db, user, hashes));
      return replaced ? { word: "renewed", recoveryCodes: codes } : null;
    });
  }

  /** Other sessions of the account end. */
  async switchOff(
    request: Request,
    { id, username }: Account,
    given: { readonly password: string; readonly otp: string | null },
    from: LoginFrom,
  ): Promise<OffOutcome> {
    const { db, check, sessionOf } = this.#options;
    const sessionId = await sessionOf(request);
    if (sessionId === null) return { word: "unauthenticated" };
    return await check.verified<OffOutcome>({ username, ...given }, from, async (user) => {
      if (user.factorSecret === null) return { word: "second_factor_off" };
      const changed = await this.#changing(id, () => switchOff(db, sessionId, user));
      return changed ? { word: "switched_off" } : null;
    });
  }

  /** False when somebody else has changed the account meanwhile. */
  async #changing(userId: number, change: () => Promise<boolean>): Promise<boolean> {
    try {
      return await reaching(change);
    } finally {
      // Also when nobody knows whether it was done.
      this.#options.forget(userId);
    }
  }
}

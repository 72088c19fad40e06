/**
 * What a second factor is made of: codes of six digits from an authenticator app (TOTP, RFC 6238, with
 * the parameters that every app knows: SHA-1 and 30 seconds), and recovery codes for whoever has lost
 * it. One step before and one after now is good, for clocks differ.
 *
 * A secret is stored sealed, and bound to its user: see `seals.ts`.
 */
import { Secret, TOTP } from "otpauth";
import { Seals } from "./seals.ts";

const periodMs = 30_000;
/** Steps that a code may be early or late by. */
const stepsApartMax = 1;

const totpOf = (secret: string, shown: { issuer?: string; label?: string } = {}): TOTP =>
  new TOTP({ ...shown, secret: Secret.fromBase32(secret), period: periodMs / 1000 });

/** 160 random bits in base32, as the RFC advises. */
export const newFactorSecret = (): string => new Secret({ size: 20 }).base32;

/**
 * What an app reads from a QR code.
 * @param shop what it calls itself: the app lists the account by it. A colon would end it there.
 */
export const factorUri = (secret: string, username: string, shop: string): string =>
  totpOf(secret, { issuer: shop.replaceAll(":", ""), label: username }).toString();

/** The time step of a code; null for one that is none of now. @param now ms since the Unix epoch */
export function stepOf(secret: string, code: string, now: number): number | null {
  const delta = totpOf(secret).validate({ token: code, timestamp: now, window: stepsApartMax });
  return delta === null ? null : Math.floor(now / periodMs) + delta;
}

/** What somebody has typed; null when it is neither kind of code. */
export function readCode(
  typed: string,
): { readonly digits: string } | { readonly recoveryHash: string } | null {
  const text = typed.replaceAll(/[\s-]/g, "").toUpperCase();
  if (/^\d{6}$/.test(text)) return { digits: text };
  return /^[A-Z2-7]{16}$/.test(text) ? { recoveryHash: hashOf(text) } : null;
}

const recoveryCodes = 10;

/** Ten codes of 80 random bits each, to be shown once, and their hashes, to be stored. */
export function newRecoveryCodes(): { readonly codes: string[]; readonly hashes: string[] } {
  const texts = Array.from({ length: recoveryCodes }, () => new Secret({ size: 10 }).base32);
  return {
    codes: texts.map((text) => text.match(/.{4}/g)?.join("-") ?? text),
    hashes: texts.map(hashOf),
  };
}

/** For what nobody can guess as good as a slow hash. */
const hashOf = (text: string): string => new Bun.CryptoHasher("sha256").update(text).digest("hex");

export class FactorSeals {
  readonly #seals: Seals;

  /** @param secret 32 bytes or more */
  constructor(secret: string) {
    this.#seals = new Seals(secret, "stampede second factor");
  }

  seal(secret: string, userId: number): string {
    return this.#seals.seal(secret, `user ${userId}`);
  }

  /** @throws when it was not sealed by this key for this user */
  open(sealed: string, userId: number): string {
    return this.#seals.open(sealed, `user ${userId}`);
  }
}

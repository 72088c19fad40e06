/**
 * User tokens: JSON Web Tokens by which a merchant's own site vouches for a customer. Signed with a
 * secret that it shares with us (HS256), or with a key of which it publishes the public half in a
 * JWKS, in a file or at an address (EdDSA, ES256, RS256).
 *
 * A token needs `sub`, the user id, and `exp`, at most a day ahead; `sale` confines it to one sale.
 * One that was verified is remembered to the letter until it ends.
 */
import { createSecretKey, type KeyObject } from "node:crypto";
import { decodeProtectedHeader, errors, jwtVerify } from "jose";
import { z } from "zod";
import { UnavailableError } from "../engine/writer.ts";
import { BoundedMap } from "../bounded.ts";
import { Jwks, JwksError } from "./jwks.ts";
import { userIdOf } from "./text.ts";

const lifeMaxMs = 24 * 3_600_000;
/** Clocks of two machines differ: a token may begin a little ahead of ours, and end it. */
const leewaySeconds = 5;
const tokenCharactersMax = 4_096;
/** About 25 MB with tokens of 300 characters. */
const rememberedMax = 50_000;
/** While the keys cannot be read, the first new token after so long says so again. */
const unreadEveryMs = 60_000;

export type Customer = {
  readonly userId: string;
  /** The one sale that the token is for; null for any. */
  readonly saleId: number | null;
};

type Remembered = { readonly customer: Customer; readonly expiresAt: number };

type UserTokensOptions = {
  readonly secret: string | undefined;
  /** A file, or an address that begins with http. */
  readonly jwks: string | undefined;
  /** Told why no key can be read, once in a while as long as it is so. */
  readonly onUnread?: ((why: string) => void) | undefined;
  /** ms since the Unix epoch */
  readonly clock: () => number;
};

const payload = z.object({
  sub: z.string(),
  exp: z.number(),
  sale: z
    .union([
      z.int().min(1),
      z
        .string()
        .regex(/^[1-9]\d{0,9}$/)
        .transform(Number),
    ])
    .optional(),
});

export class UserTokens {
  readonly #secret: KeyObject | null;
  readonly #jwks: Jwks | null;
  readonly #onUnread: (why: string) => void;
  #unreadAt = -Infinity;
  readonly #clock: () => number;
  readonly #remembered = new BoundedMap<string, Remembered>(rememberedMax);

  constructor({ secret, jwks, onUnread = () => {}, clock }: UserTokensOptions) {
    this.#secret = secret === undefined ? null : createSecretKey(Buffer.from(secret, "utf8"));
    this.#jwks = jwks === undefined ? null : new Jwks(jwks);
    this.#onUnread = onUnread;
    this.#clock = clock;
    // Whoever runs the program hears of it now, and not from the first customers.
    this.#jwks?.read().catch((error: unknown) => this.#unread(error));
  }

  get remembered(): number {
    return this.#remembered.size;
  }

  /** Whom a token vouches for that was verified before; undefined for one that was not. */
  known(token: string): Customer | null | undefined {
    const found = this.#remembered.get(token);
    if (found === undefined || this.#clock() < found.expiresAt) return found?.customer;
    this.#remembered.delete(token);
    return null;
  }

  /**
   * Whom a token vouches for; null when it does not count.
   * @throws UnavailableError when the keys cannot be had
   */
  find(token: string): Promise<Customer | null> {
    return token.length > tokenCharactersMax ? Promise.resolve(null) : this.#verify(token);
  }

  async #verify(token: string): Promise<Customer | null> {
    const now = this.#clock();
    try {
      const { alg } = decodeProtectedHeader(token);
      const common = {
        requiredClaims: ["exp", "sub"],
        currentDate: new Date(now),
        clockTolerance: leewaySeconds,
      };
      const verified =
        alg === "HS256"
          ? this.#secret && (await jwtVerify(token, this.#secret, { ...common, algorithms: [alg] }))
          : this.#jwks &&
            (await jwtVerify(token, this.#jwks.key, {
              ...common,
              algorithms: ["EdDSA", "Ed25519", "ES256", "RS256"],
            }));
      if (verified === null) return null;
      return this.#remember(token, payload.parse(verified.payload), now);
    } catch (error) {
      if (error instanceof JwksError) {
        this.#unread(error);
        throw new UnavailableError(`the keys of user tokens cannot be read: ${error.message}`);
      }
      // jose answers what is no token at all with a TypeError.
      const isBad =
        error instanceof errors.JOSEError ||
        error instanceof z.ZodError ||
        error instanceof TypeError;
      if (isBad) return null;
      throw error;
    }
  }

  #unread(error: unknown): void {
    if (performance.now() - this.#unreadAt < unreadEveryMs) return;
    this.#unreadAt = performance.now();
    this.#onUnread(error instanceof Error ? error.message : String(error));
  }

  #remember(
    token: string,
    { sub, exp, sale }: z.output<typeof payload>,
    now: number,
  ): Customer | null {
    const expiresAt = exp * 1000;
    const userId = userIdOf(sub);
    // The leeway is for tokens that are new. One that has ended has ended, as what is remembered has.
    if (userId === null || expiresAt <= now) return null;
    if (expiresAt > now + lifeMaxMs + leewaySeconds * 1000) return null;
    const customer = { userId, saleId: sale ?? null };
    this.#remembered.set(token, { customer, expiresAt });
    return customer;
  }
}

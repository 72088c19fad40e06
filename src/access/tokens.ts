/**
 * Tokens: JSON Web Tokens, signed with HMAC-SHA-256, that name a session and its user. What
 * a user may do is not in them, for it may change while they last.
 */
import { createSecretKey, type KeyObject } from "node:crypto";
import { decodeJwt, errors, jwtVerify, SignJWT } from "jose";
import { z } from "zod";

export const tokenLifeMs = 12 * 3_600_000;
/** Ours have about 200 characters; nothing longer is looked at. */
const tokenCharactersMax = 1_024;
const issuer = "stampede";
const algorithm = "HS256";

export type TokenClaims = {
  readonly sessionId: string;
  readonly userId: number;
  /** ms since the Unix epoch */
  readonly expiresAt: number;
};

const payload = z.object({
  jti: z.uuid(),
  sub: z.string().regex(/^[1-9]\d{0,9}$/),
  exp: z.int(),
});

/** Whether a token says that it is one of ours; what it says is not checked. */
export function isLoginToken(token: string): boolean {
  if (token.length > tokenCharactersMax) return false;
  try {
    return decodeJwt(token).iss === issuer;
  } catch {
    return false;
  }
}

export class Tokens {
  readonly #key: KeyObject;

  /** @param secret 32 bytes or more */
  constructor(secret: string) {
    this.#key = createSecretKey(Buffer.from(secret, "utf8"));
  }

  /** @param now ms since the Unix epoch */
  sign({ sessionId, userId, expiresAt }: TokenClaims, now: number): Promise<string> {
    return new SignJWT()
      .setProtectedHeader({ alg: algorithm, typ: "JWT" })
      .setIssuer(issuer)
      .setSubject(String(userId))
      .setJti(sessionId)
      .setIssuedAt(Math.floor(now / 1000))
      .setExpirationTime(Math.floor(expiresAt / 1000))
      .sign(this.#key);
  }

  /** What a token says; null when it is not ours, has been changed, or is past its end. */
  async verify(token: string, now: number): Promise<TokenClaims | null> {
    if (token.length > tokenCharactersMax) return null;
    try {
      const verified = await jwtVerify(token, this.#key, {
        algorithms: [algorithm],
        issuer,
        requiredClaims: ["exp", "sub", "jti"],
        currentDate: new Date(now),
      });
      const { jti, sub, exp } = payload.parse(verified.payload);
      return { sessionId: jti, userId: Number(sub), expiresAt: exp * 1000 };
    } catch (error) {
      if (error instanceof errors.JOSEError || error instanceof z.ZodError) return null;
      throw error;
    }
  }
}

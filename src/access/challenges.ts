/**
 * Challenges that a browser solves before a guest joins a queue: ALTCHA's proof of work. Any process
 * makes them, and takes a solution of any other's: they are signed with a secret of the database. A
 * solution is good once, for whoever uses it first, which the records decide.
 *
 * A phone works on one for about a second: 256 keys on the average, each of so many rounds. What is
 * asked of this process for it is one key, off the main thread, and of no solution that was not made
 * here.
 */
import { createChallenge, verifySolution, type Challenge } from "altcha-lib";
import { deriveKey } from "altcha-lib/algorithms/pbkdf2";
import { z } from "zod";
import { spendChallenge } from "../store/challenges.ts";
import type { Db } from "../store/db.ts";
import { keepSecret } from "../store/secrets.ts";
import { newSecret } from "./open.ts";

/** Rounds of PBKDF2 for one key. */
const cost = 5_000;
/** The first byte of the key that is looked for: one in 256 has it. */
const keyPrefix = "00";
/** How long there is for solving it and for joining with it. */
const goodForMs = 10 * 60_000;
/** Of a solution, as text; what is longer is none. */
const solutionCharactersMax = 4_096;

const payload = z.object({
  challenge: z.object({
    parameters: z.looseObject({
      algorithm: z.literal("PBKDF2/SHA-256"),
      nonce: z.string().max(64),
      salt: z.string().max(64),
      cost: z.literal(cost),
      keyLength: z.literal(32),
      keyPrefix: z.literal(keyPrefix),
      expiresAt: z.int(),
    }),
    signature: z.string(),
  }),
  solution: z.object({ counter: z.int(), derivedKey: z.string() }),
});

export class Challenges {
  readonly #db: Db;
  readonly #secret: string;
  readonly #clock: () => number;

  /**
   * @param secret the same in every process
   * @param clock ms since the Unix epoch
   */
  constructor(db: Db, secret: string, clock: () => number) {
    this.#db = db;
    this.#secret = secret;
    this.#clock = clock;
  }

  make(): Promise<Challenge> {
    return createChallenge({
      algorithm: "PBKDF2/SHA-256",
      cost,
      keyPrefix,
      deriveKey,
      expiresAt: new Date(this.#clock() + goodForMs),
      hmacSignatureSecret: this.#secret,
    });
  }

  /**
   * Takes a solution, which is good no more from then on.
   * @param text as the widget sends it: JSON in base64
   * @returns what is wrong with it; null when nothing is
   */
  async spend(text: string): Promise<string | null> {
    const solved = parse(text);
    if (solved === null) return "is not what GET /challenge asks for";
    const { challenge } = solved;
    const { parameters, signature } = challenge;
    // The library asks the machine's clock, and this program has its own.
    if (parameters.expiresAt * 1_000 <= this.#clock()) return "has run out";
    const { verified } = await verifySolution({
      challenge: challenge as Challenge,
      solution: solved.solution,
      deriveKey,
      hmacSignatureSecret: this.#secret,
    });
    if (!verified) return "is not the solution of a challenge that was made here";
    const isFirst = await spendChallenge(this.#db, signature, parameters.expiresAt * 1_000);
    return isFirst ? null : "was used already";
  }
}

/**
 * What guests solve before they join a queue; null: nothing.
 * @param clock ms since the Unix epoch
 */
export async function openChallenges(
  { challenge }: { readonly challenge: "off" | "join" },
  db: Db,
  clock: () => number,
): Promise<Challenges | null> {
  if (challenge === "off") return null;
  return new Challenges(db, await keepSecret(db, "challenges", newSecret()), clock);
}

function parse(text: string): z.output<typeof payload> | null {
  if (text.length > solutionCharactersMax) return null;
  try {
    const read = payload.safeParse(JSON.parse(Buffer.from(text, "base64").toString()));
    return read.success ? read.data : null;
  } catch {
    return null;
  }
}

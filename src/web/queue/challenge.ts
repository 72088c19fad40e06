/**
 * Solves the challenge that guests get before they join a queue: ALTCHA's proof of work, by the
 * library that the server checks it with. Loaded when one is asked for. The work is the browser's own
 * cryptography, off the page's thread.
 */
import { type Challenge, solveChallenge } from "altcha-lib";
import { deriveKey } from "altcha-lib/algorithms/web/pbkdf2";
import { get } from "../api.ts";
import { Problem } from "../problems.ts";

/** @returns what a join takes: JSON in base64 */
export async function solve(): Promise<string> {
  const challenge = await get<Challenge>("/challenge");
  const solution = await solveChallenge({ challenge, deriveKey });
  if (solution === null) throw new Problem(403, { code: "challenge_required" });
  return btoa(JSON.stringify({ challenge, solution }));
}

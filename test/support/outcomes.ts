/** Comparing an outcome that was made again of the records with the first. */
import type { Outcome } from "../../src/ledger/commands.ts";

/** What is told as of now: how long to wait, and what has become of it since. */
const passing = new Set("retryAt retryMs opensAt at expiresAt before".split(" "));
/** … and where a ticket stands. */
const standing = new Set("state rank ahead etaMs supersedes".split(" "));

/** Of what a commit has made, the ledger tells more than is kept: this is what both tell. */
function essenceOf(outcome: Outcome): unknown {
  const isOfReservation = "reservation" in outcome;
  return JSON.parse(
    JSON.stringify(outcome, (name, value: unknown) => {
      if (name === "coupon" && typeof value === "object" && value !== null) {
        return "name" in value ? value.name : null;
      }
      if (passing.has(name) || standing.has(name) || (isOfReservation && name === "sold"))
        return undefined;
      if (name !== "sold" || typeof value !== "object" || value === null) return value;
      return "seq" in value ? { seq: value.seq } : value;
    }),
  );
}

/** Whether the second says what the first has said. */
export const saysTheSame = (first: Outcome, second: Outcome): boolean =>
  Bun.deepEquals(essenceOf(first), essenceOf(second));

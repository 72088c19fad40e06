/**
 * Erasing whoever has a name, of any kind of buyer, for the command and for administrators alike: an
 * account of this name is disabled first, and once no process lets anybody act under it any more, the
 * name is taken out of the records, in all of them or in none. Ended in between, an account is disabled
 * and the name is there: what is asked again does the rest.
 */
import type { Sql } from "postgres";
import { decideWithinMs } from "../engine/current-writer.ts";
import type { Actor } from "../ledger/commands.ts";
import { isAway, isTooSlow } from "../postgres/client.ts";
import { CommitUnknownError } from "../store/db.ts";
import { eraseName, findName, type Erased } from "../store/erase.ts";
import type { StoredUser } from "../store/users.ts";
import { cacheAgeMaxMs } from "./cache.ts";

/**
 * What a process has read of a session counts for so long, and what was asked by it may wait for somebody
 * to lead, and be decided; then nothing is done under the name any more.
 */
const forgottenMs = 1.5 * cacheAgeMaxMs + decideWithinMs;

/**
 * @param sql for what may take long: all of the journal is looked through
 * @param by who has asked for it; null: whoever runs the program
 * @param disable disables the account of this name; gives `user_not_found` where there is none, and
 * another word where it has to stay
 * @throws CommitUnknownError where nobody can tell whether it was done, all of it or a part
 */
export async function erase<Refusal extends string>(
  sql: Sql,
  { name, by }: { readonly name: string; readonly by: Actor | null },
  disable: () => Promise<StoredUser | Refusal | "user_not_found">,
): Promise<Erased | Refusal | "user_not_found"> {
  const found = await findName(sql, name);
  if (found === null) return "user_not_found";
  const disabled = await disable();
  // A guest or a customer alone.
  if (disabled === "user_not_found") return (await eraseName(sql, found, by)) ?? "user_not_found";
  if (typeof disabled === "string") return disabled;
  await Bun.sleep(forgottenMs);
  try {
    return (await eraseName(sql, found, by)) ?? "user_not_found";
  } catch (error) {
    throw isAway(error) || isTooSlow(error) ? new CommitUnknownError(error) : error;
  }
}

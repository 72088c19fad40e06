/** `stampede user list|disable|role|erase`: accounts, looked after by whoever runs the program. */
import { cacheAgeMaxMs } from "../access/cache.ts";
import type { Connection } from "../postgres/client.ts";
import type { Db } from "../store/db.ts";
import { eraseName } from "../store/erase.ts";
import { changeAccount, type AccountChange } from "../store/user-changes.ts";
import { listUsers, type StoredUser, type UserRole } from "../store/users.ts";
import { minuteOf, tableLines } from "./table.ts";

/** The account is there already, or is not there, or has to stay as it is. */
export class AccountError extends Error {}

export type UserCall =
  | { readonly command: "user list" }
  | { readonly command: "user disable"; readonly name: string }
  | { readonly command: "user role"; readonly name: string; readonly role: UserRole };

export type EraseCall = { readonly command: "user erase"; readonly name: string };

type Telling = {
  readonly say: (line: string) => void;
  /** When servers that run have heard of it, in words. */
  readonly knownSoon: string;
};

const usersPerPage = 500;

/** @throws AccountError */
export async function runUserCommand(db: Db, call: UserCall, tell: Telling): Promise<void> {
  switch (call.command) {
    case "user list":
      return await list(db, tell.say);
    case "user disable": {
      const { username } = await changed(db, call.name, { disabled: true });
      tell.say(`Disabled ${username}, and ended its sessions; ${tell.knownSoon}.`);
      return;
    }
    case "user role": {
      const { username, role } = await changed(db, call.name, { role: call.role });
      tell.say(`${username} has the role ${role} now, and its sessions end; ${tell.knownSoon}.`);
      return;
    }
    default:
      return call satisfies never;
  }
}

async function changed(db: Db, name: string, change: AccountChange): Promise<StoredUser> {
  const outcome = await changeAccount(db, name, change);
  if (outcome === "user_not_found") throw new AccountError(`There is no account ${name}.`);
  if (outcome === "last_admin") {
    throw new AccountError(
      `${name} is the last who administrates. Make another first: stampede user role NAME admin.`,
    );
  }
  return outcome;
}

/** A page at a time, so that any number of accounts can be listed. */
async function list(db: Db, say: (line: string) => void): Promise<void> {
  const title = ["name", "role", "state", "second factor", "made (UTC)"];
  let after = 0;
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop
    const users = await listUsers(db, { after, limit: usersPerPage, q: "" });
    const rows = users.map((user) => [
      user.username,
      user.role,
      user.disabled ? "disabled" : "enabled",
      user.hasSecondFactor ? "on" : "off",
      minuteOf(user.createdAt, ""),
    ]);
    for (const line of tableLines(after === 0 ? [title, ...rows] : rows)) say(line);
    const last = users.at(-1);
    if (last === undefined || users.length < usersPerPage) return;
    after = last.id;
  }
}

/** What a process has read of a session counts for so long; then nobody acts under the name any more. */
const forgottenMs = 1.5 * cacheAgeMaxMs;

/**
 * Takes a name out of everything, whatever kind of buyer has it.
 * @throws AccountError when nobody has it, or the last who administrates
 */
export async function runErase(
  connection: Connection,
  db: Db,
  { name }: EraseCall,
  say: (line: string) => void,
): Promise<void> {
  const outcome = await changeAccount(db, name, { disabled: true });
  if (outcome === "last_admin") return void (await changed(db, name, { disabled: true }));
  if (outcome !== "user_not_found") await Bun.sleep(forgottenMs);
  const pseudonym = `erased-${crypto.randomUUID()}`;
  const erased = await eraseName(connection, name, pseudonym);
  if (erased === null) throw new AccountError(`Nobody is called ${name}.`);
  const rows = Object.entries(erased.rows).filter(([, count]) => count > 0);
  const where = rows.map(([table, count]) => `${count} of ${table}`).join(", ") || "no records";
  say(`Erased the name in ${where}${erased.accounts > 0 ? ", and its account" : ""}.`);
  say(`Whoever had it is called ${pseudonym} there. Backups still have the name.`);
}

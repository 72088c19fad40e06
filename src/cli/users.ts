/** `stampede user list|disable|role|erase`: accounts, looked after by whoever runs the program. */
import { erase } from "../access/erase.ts";
import { openLasting, type Connection } from "../postgres/client.ts";
import { CommitUnknownError, type Db } from "../store/db.ts";
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
  if (outcome === "last_admin") throw lastAdmin(name);
  return outcome;
}

const lastAdmin = (name: string): AccountError =>
  new AccountError(
    `${name} is the last who administrates. Make another first: stampede user role NAME admin.`,
  );

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

/** Hours, of a journal that fills disks. */
const lookingMaxMs = 6 * 3_600_000;

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
  const sql = openLasting(connection, lookingMaxMs);
  try {
    const erased = await erase(sql, { name, by: null }, () =>
      changeAccount(db, name, { disabled: true }),
    );
    if (erased === "user_not_found") throw new AccountError(`Nobody is called ${name}.`);
    if (erased === "last_admin") throw lastAdmin(name);
    const rows = Object.entries(erased.rows).filter(([, count]) => count > 0);
    const where = rows.map(([table, count]) => `${count} of ${table}`).join(", ") || "no records";
    say(`Erased the name in ${where}${erased.accounts > 0 ? ", and its account" : ""}.`);
    say(`Whoever had it is called ${erased.pseudonym} there. Backups still have the name.`);
  } catch (error) {
    if (!(error instanceof CommitUnknownError)) throw error;
    throw new AccountError(`${error.message}. Ask again: if it was done, nobody has the name.`);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** `stampede key create|list|revoke`: API keys, made and ended by whoever runs the program. */
import type { Db } from "../store/db.ts";
import { createKey } from "../access/keys.ts";
import { integerMax } from "../store/integer.ts";
import { listKeys, revokeKey, type Scope } from "../store/keys.ts";
import { minuteOf, tableLines } from "./table.ts";

/** The key is there already, or is not there. */
export class KeyError extends Error {}

const keysPerPage = 500;

export type KeyCall =
  | {
      readonly command: "key create";
      readonly name: string;
      readonly scopes: readonly Scope[];
      readonly lifeMs: number | null;
    }
  | { readonly command: "key list" }
  | { readonly command: "key revoke"; readonly name: string };

/** @param now ms since the Unix epoch */
export async function runKeyCommand(
  db: Db,
  call: KeyCall,
  { now, say }: { readonly now: number; readonly say: (line: string) => void },
): Promise<void> {
  switch (call.command) {
    case "key create": {
      const { name, scopes, lifeMs } = call;
      const expiresAt = lifeMs === null ? null : new Date(now + lifeMs);
      const made = await createKey(db, { name, scopes, expiresAt });
      if (made === null) throw new KeyError(`There is a key ${name} already.`);
      say(made.text);
      return;
    }
    case "key list":
      return await list(db, say);
    case "key revoke": {
      const revoked = await revokeKey(db, { name: call.name });
      if (revoked === null) throw new KeyError(`There is no key ${call.name} that counts.`);
      say(`Revoked the key ${revoked.name}; servers that run know of it within two seconds.`);
      return;
    }
    default:
      return call satisfies never;
  }
}

async function list(db: Db, say: (line: string) => void): Promise<void> {
  const keys = await listKeys(db, { before: integerMax, limit: keysPerPage });
  const rows = keys.map((key) => [
    key.name,
    key.scopes.join(","),
    minuteOf(key.createdAt, ""),
    minuteOf(key.lastUsedAt, "never"),
    key.revokedAt === null ? minuteOf(key.expiresAt, "does not expire") : "revoked",
  ]);
  const title = ["name", "scopes", "made (UTC)", "last used", "expires"];
  for (const line of tableLines([title, ...rows])) say(line);
}

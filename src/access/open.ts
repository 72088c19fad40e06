/** Puts the accounts of a process together. */
import type { BlockList } from "node:net";
import { Accounts } from "./accounts.ts";
import type { Engine } from "../engine/engine.ts";
import type { Db } from "../store/db.ts";
import { keepSecret } from "../store/secrets.ts";
import { Clients } from "./clients.ts";
import { Passwords } from "./passwords.ts";

export type OpenOptions = {
  readonly db: Db;
  readonly engine: Engine;
  /** Undefined: the one that is kept in the database. */
  readonly jwtSecret: string | undefined;
  /** What user tokens are signed with; without any, there are none. */
  readonly userTokenSecret?: string | undefined;
  readonly userTokenJwks?: string | undefined;
  readonly trustedProxies: BlockList;
  /** Told once, when there seems to be a proxy that the operator has not named. */
  readonly onUnnamedProxy?: (address: string) => void;
  readonly passwords?: Passwords;
  /** ms since the Unix epoch */
  readonly clock: () => number;
};

/** Every process on the same database has the same secrets: made by whoever came first. */
export async function openAccounts(options: OpenOptions): Promise<Accounts> {
  const { db, engine, jwtSecret, trustedProxies, clock } = options;
  const { onUnnamedProxy = () => {} } = options;
  const tokenSecret = jwtSecret ?? (await keepSecret(db, "tokens", newSecret()));
  const sealKey = await keepSecret(db, "seals", newSecret());
  return new Accounts({
    db,
    tokenSecret,
    epoch: () => (engine.role.name === "leader" ? engine.role.epoch : null),
    userTokenSecret: options.userTokenSecret,
    userTokenJwks: options.userTokenJwks,
    clients: new Clients({ sealKey, trustedProxies, onUnnamedProxy, clock }),
    passwords: options.passwords ?? new Passwords(),
    clock,
  });
}

const newSecret = (): string =>
  Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");

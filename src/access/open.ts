/** Puts the accounts of a process together. */
import type { BlockList } from "node:net";
import { Accounts } from "./accounts.ts";
import type { Log } from "../engine/engine.ts";
import type { Db } from "../store/db.ts";
import { keepSecret } from "../store/secrets.ts";
import { Clients, unnamedProxy } from "./clients.ts";
import { Passwords } from "./passwords.ts";

export type OpenOptions = {
  readonly db: Db;
  /** Undefined: the one that is kept in the database. */
  readonly jwtSecret: string | undefined;
  /** What user tokens are signed with; without any, there are none. */
  readonly userTokenSecret?: string | undefined;
  readonly userTokenJwks?: string | undefined;
  /** Whether administrators have to have a second factor. */
  readonly demandsFactor: boolean;
  readonly trustedProxies: BlockList;
  /** Told what the operator has to see to. */
  readonly log: Log;
  /** Where the server listens. */
  readonly host?: string;
  readonly passwords?: Passwords;
  /** ms since the Unix epoch */
  readonly clock: () => number;
};

const unreadKeys =
  "the keys in USER_TOKEN_JWKS cannot be read, and customers with a new token are refused: correct " +
  "it, or see that this machine reaches it";

/** Every process on the same database has the same secrets: made by whoever came first. */
export async function openAccounts(options: OpenOptions): Promise<Accounts> {
  const { db, jwtSecret, trustedProxies, clock } = options;
  const { log, host } = options;
  const tokenSecret = jwtSecret ?? (await keepSecret(db, "tokens", newSecret()));
  const factorSecret = await keepSecret(db, "second factors", newSecret());
  return new Accounts({
    db,
    tokenSecret,
    factorSecret,
    demandsFactor: options.demandsFactor,
    userTokenSecret: options.userTokenSecret,
    userTokenJwks: options.userTokenJwks,
    onUnreadKeys: (why) => log.warn({ why }, unreadKeys),
    clients: new Clients({
      trustedProxies,
      onUnnamedProxy: (address) => log.warn({ address }, unnamedProxy),
      onlyPeer: onlyPeerOf(host),
    }),
    passwords: options.passwords ?? new Passwords(),
    clock,
  });
}

const onlyPeerOf = (host: string | undefined): string | undefined =>
  host === "127.0.0.1" || host === "::1" ? host : undefined;

/** A secret that nobody can guess. */
export const newSecret = (): string =>
  Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");

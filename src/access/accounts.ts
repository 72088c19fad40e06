/**
 * Accounts: registering, logging in and out, and telling who sends a request.
 *
 * A login makes a session, a row in PostgreSQL; the token names it. A session counts until the
 * token's time is over, somebody logs out of it, its user is disabled, or gets another password
 * by another session; what the user may do is read with it and not from the token. All of this
 * is the leader's: it keeps what it has read of sessions in memory, for the length of its term,
 * and drops it there before it answers that something was changed. What is changed behind its
 * back, in PostgreSQL by hand or by `stampede user password`, counts after `cacheAgeMaxMs`.
 */
import type { Clients } from "./clients.ts";
import { networkOf } from "./clients.ts";
import { AttemptLimits } from "./limits.ts";
import type { Passwords } from "./passwords.ts";
import { SessionCache } from "./cache.ts";
import { keepLoginLimits, loadLoginLimits } from "../store/login-limits.ts";
import { Devices } from "./devices.ts";
import { cookieOf, sessionCookie } from "./cookies.ts";
import { identify, type Identity, type Proofs, type Unauthenticated } from "./identity.ts";
import { tokenLifeMs, Tokens, type TokenClaims } from "./tokens.ts";
import { Keys } from "./keys.ts";
import { UserTokens } from "./user-tokens.ts";
import {
  changePassword,
  changeUser,
  endSession,
  findCredentials,
  findSessionUser,
  hasOtherAdmin,
  hasUser,
  insertUser,
  listUsers,
  startSession,
  type Credentials,
  type StoredUser,
  type UserChange,
  type UserRole,
} from "../store/users.ts";
import type { Db } from "../store/db.ts";
import { isAway } from "../postgres/client.ts";
import { UnavailableError } from "../engine/writer.ts";

/** Somebody with an account, as the rest of the program knows them. */
export type Account = {
  readonly id: number;
  readonly username: string;
  readonly role: UserRole;
};

export type AccountsOptions = {
  readonly db: Db;
  /** The key of the tokens, 32 bytes or more. */
  readonly tokenSecret: string;
  /** The term in which this process leads; null when it does not. */
  readonly epoch: () => number | null;
  readonly clients: Clients;
  readonly passwords: Passwords;
  /** What user tokens are signed with; without any, there are none. */
  readonly userTokenSecret?: string | undefined;
  readonly userTokenJwks?: string | undefined;
  /** ms since the Unix epoch */
  readonly clock: () => number;
};

/** Where a password is tried from. */
export type LoginFrom = { readonly address: string; readonly deviceCookie: string | null };

/** How soon what failed logins have used up is kept. */
const keepLimitsMs = 500;

/** An attempt with a password that counts as a failed login. */
export type Refused = { readonly word: "invalid_credentials" } | TooMany;

export type TooMany = { readonly word: "too_many_attempts"; readonly retryAfterMs: number };

export type LoginOutcome =
  | {
      readonly word: "logged_in";
      readonly token: string;
      /** What tells the browser from those of strangers, next time. */
      readonly device: string;
      readonly account: Account;
      /** Of the token. */
      readonly lifeMs: number;
    }
  | Refused;

export type PasswordOutcome = { readonly word: "changed" | "unauthenticated" } | Refused;

export type RegisterOutcome =
  | { readonly word: "registered"; readonly account: Account }
  | { readonly word: "user_exists" }
  | TooMany;

export type ChangeOutcome =
  | { readonly word: "changed"; readonly user: StoredUser }
  | { readonly word: "user_not_found" | "forbidden" | "own_account" | "last_admin" };

type GivenCredentials = { readonly username: string; readonly password: string };
type NewAccount = GivenCredentials & { readonly role: UserRole };

const always = (): boolean => true;

const notLeading = "this process does not lead any more";

/**
 * Makes an account; null when the name is taken. That name and password keep to the rules is
 * for the caller to see to. Needs no leader: nobody has read of a user who was not there.
 */
export async function createAccount(
  db: Db,
  passwords: Passwords,
  { username, password, role }: NewAccount,
): Promise<Account | null> {
  // Saves the hash; who comes in between is refused by the index.
  if (await hasUser(db, username)) return null;
  const passwordHash = await passwords.hash(password);
  const user = await insertUser(db, { username, passwordHash, role });
  return user === null ? null : accountOf(user);
}

export class Accounts {
  readonly keys: Keys;
  readonly #options: AccountsOptions;
  readonly #tokens: Tokens;
  readonly #devices: Devices;
  #limits: { readonly epoch: number; readonly restored: Promise<AttemptLimits> } | null = null;
  #keeping: Timer | null = null;
  readonly #proofs: Proofs;
  #cache: SessionCache | null = null;

  constructor(options: AccountsOptions) {
    this.#options = options;
    const { db, clock, userTokenSecret: secret, userTokenJwks: jwks } = options;
    this.keys = new Keys(db, clock);
    const userTokens = new UserTokens({ secret, jwks, clock });
    this.#proofs = { account: (token) => this.#accountOf(token), keys: this.keys, userTokens };
    this.#tokens = new Tokens(options.tokenSecret);
    this.#devices = new Devices(options.tokenSecret);
  }

  get clients(): Clients {
    return this.#options.clients;
  }

  /**
   * Who sends a request.
   * @throws UnavailableError where nobody can tell at the moment
   */
  identify(
    request: Request,
    mayVerify: () => boolean = always,
  ): Identity | Unauthenticated | Promise<Identity | Unauthenticated> {
    return identify(request, this.#proofs, mayVerify);
  }

  /**
   * The account that sends a request; null for nobody, or somebody else.
   * @throws UnavailableError where nobody can tell at the moment
   */
  async authenticate(request: Request): Promise<Account | null> {
    const who = await this.identify(request);
    return who !== "unauthenticated" && who.kind === "account" ? who.account : null;
  }

  async #accountOf(token: string): Promise<Account | null> {
    const cache = this.#cacheOfTerm();
    const now = this.#options.clock();
    const cached = cache.get(token, now);
    if (cached !== undefined) return cached.account;

    const claims = await this.#tokens.verify(token, now);
    if (claims === null) return null;
    const { version } = cache;
    const user = await this.#ask((db) => findSessionUser(db, claims.sessionId));
    const account = user?.id === claims.userId ? accountOf(user) : null;
    cache.put(token, { ...claims, account, readAt: now }, version);
    return account;
  }

  async login(credentials: GivenCredentials, from: LoginFrom): Promise<LoginOutcome> {
    this.#cacheOfTerm();
    return await this.#verified(credentials, from, async (user, limits) => {
      const begun = await this.#begin(user);
      if (begun !== null) limits.succeeded(credentials.username, networkOf(from.address));
      return begun;
    });
  }

  /**
   * Changes the password of whoever sends a request. Their other sessions end; the one that the
   * request came by stays.
   */
  async changePassword(
    request: Request,
    { id, username }: Account,
    { present, next }: { readonly present: string; readonly next: string },
    from: LoginFrom,
  ): Promise<PasswordOutcome> {
    const cache = this.#cacheOfTerm();
    const claims = await this.#claimsOf(request);
    if (claims === null) return { word: "unauthenticated" };
    const { sessionId } = claims;
    const { epoch } = cache;
    return await this.#verified({ username, password: present }, from, async (user) => {
      const passwordHash = await this.#options.passwords.hash(next);
      try {
        const changed = await this.#ask((db) =>
          changePassword(db, { epoch, sessionId }, user, passwordHash),
        );
        if (changed === "term_over") throw new UnavailableError(notLeading);
        return changed === "changed" ? { word: changed } : null;
      } finally {
        // Also when nobody knows whether it was done.
        cache.dropUser(id);
      }
    });
  }

  /**
   * Goes on with a user whose password was given. That it was not, or that `go` comes to
   * nothing, counts as a failed login.
   */
  async #verified<T>(
    { username, password }: GivenCredentials,
    { address, deviceCookie }: LoginFrom,
    go: (user: Credentials, limits: AttemptLimits) => Promise<T | null>,
  ): Promise<T | Refused> {
    const { passwords, clock } = this.#options;
    const limits = await this.#limitsOfTerm();
    const device = this.#devices.of(username, deviceCookie, clock());
    const attempt = limits.login(username, { address: networkOf(address), device }, clock());
    this.#keepLimits(limits);
    if (typeof attempt === "number") return tooMany(attempt);
    let failed = false;
    try {
      const user = await this.#ask((db) => findCredentials(db, username));
      // Also without a user: the answer takes the same time.
      const matches = await passwords.verify(password, user?.passwordHash ?? null);
      const done = user !== null && matches ? await go(user, limits) : null;
      failed = done === null;
      return done ?? { word: "invalid_credentials" };
    } finally {
      if (!failed) attempt.giveBack(clock());
      this.#keepLimits(limits);
    }
  }

  async register(
    { username, password }: GivenCredentials,
    address: string,
  ): Promise<RegisterOutcome> {
    this.#cacheOfTerm();
    const { passwords, clock } = this.#options;
    const limits = await this.#limitsOfTerm();
    const attempt = limits.registration(networkOf(address), clock());
    if (typeof attempt === "number") return tooMany(attempt);
    try {
      const account = await this.#ask((db) =>
        createAccount(db, passwords, { username, password, role: "user" }),
      );
      return account === null ? { word: "user_exists" } : { word: "registered", account };
    } catch (error) {
      attempt.giveBack(clock());
      throw error;
    }
  }

  /** Ends the session of a request's token, if it has one. */
  async logout(request: Request): Promise<void> {
    if (credentialOf(request) === null) return;
    const cache = this.#cacheOfTerm();
    const claims = await this.#claimsOf(request);
    if (claims === null) return;
    const { sessionId } = claims;
    try {
      const done = await this.#ask((db) => endSession(db, cache.epoch, sessionId));
      if (!done) throw new UnavailableError(notLeading);
    } finally {
      // Also when nobody knows whether it was done.
      cache.dropSession(sessionId);
    }
  }

  list(page: { after: number; limit: number; q: string }): Promise<StoredUser[]> {
    return this.#ask((db) => listUsers(db, page));
  }

  /** Changes a user in the name of an administrator; it counts at once. */
  async change(admin: Account, id: number, change: UserChange): Promise<ChangeOutcome> {
    if (admin.id === id && (change.role === "user" || change.disabled === true)) {
      const another = await this.#ask((db) => hasOtherAdmin(db, id));
      return { word: another ? "own_account" : "last_admin" };
    }
    const cache = this.#cacheOfTerm();
    const by = { epoch: cache.epoch, adminId: admin.id };
    try {
      const changed = await this.#ask((db) => changeUser(db, by, id, change));
      if (changed === "term_over") throw new UnavailableError(notLeading);
      if (changed === "not_admin") return { word: "forbidden" };
      if (changed === "user_not_found") return { word: "user_not_found" };
      return { word: "changed", user: changed };
    } finally {
      cache.dropUser(id);
    }
  }

  async #claimsOf(request: Request): Promise<TokenClaims | null> {
    const token = credentialOf(request);
    return token === null ? null : await this.#tokens.verify(token, this.#options.clock());
  }

  async #begin(user: Credentials): Promise<LoginOutcome | null> {
    const now = this.#options.clock();
    const expiresAt = now + tokenLifeMs;
    const id = crypto.randomUUID();
    const begun = await this.#ask((db) => startSession(db, { id, expiresAt, now }, user));
    if (!begun) return null;
    const token = await this.#tokens.sign({ sessionId: id, userId: user.id, expiresAt }, now);
    const device = this.#devices.issue(user.username, now);
    return { word: "logged_in", token, device, account: accountOf(user), lifeMs: tokenLifeMs };
  }

  /** What this term has read; of an earlier one nothing is left. */
  #cacheOfTerm(): SessionCache {
    const epoch = this.#options.epoch();
    if (epoch === null) throw new UnavailableError("this process does not lead");
    if (this.#cache?.epoch !== epoch) this.#cache = new SessionCache(epoch);
    return this.#cache;
  }

  /** What earlier terms have counted goes on to count. */
  async #limitsOfTerm(): Promise<AttemptLimits> {
    const { epoch } = this.#cacheOfTerm();
    if (this.#limits?.epoch !== epoch) {
      const restored = this.#ask((db) => loadLoginLimits(db, this.#options.clock())).then(
        (kept) => {
          const limits = new AttemptLimits();
          limits.restore(kept);
          return limits;
        },
      );
      this.#limits = { epoch, restored };
      restored.catch(() => (this.#limits = null));
    }
    return await this.#limits.restored;
  }

  /** Off the path: in a moment, what has changed by then. */
  #keepLimits(limits: AttemptLimits): void {
    if (this.#keeping !== null) return;
    this.#keeping = setTimeout(() => {
      this.#keeping = null;
      const changes = limits.takeChanges();
      // What cannot be kept now is counted in memory all the same.
      if (changes.size > 0) keepLoginLimits(this.#options.db, changes).catch(() => {});
    }, keepLimitsMs);
    this.#keeping.unref();
  }

  async #ask<T>(ask: (db: Db) => Promise<T>): Promise<T> {
    try {
      return await ask(this.#options.db);
    } catch (error) {
      if (isAway(error)) throw new UnavailableError("PostgreSQL does not answer");
      throw error;
    }
  }
}

const accountOf = ({ id, username, role }: StoredUser): Account => ({ id, username, role });

const tooMany = (retryAfterMs: number): TooMany => ({ word: "too_many_attempts", retryAfterMs });

/**
 * The login token that a request carries. One in the Authorization header goes before the cookie,
 * also when it is not good: a request has one sender.
 */
function credentialOf(request: Request): string | null {
  const authorization = request.headers.get("Authorization");
  if (authorization === null) return cookieOf(request, sessionCookie);
  return /^bearer +(\S+) *$/i.exec(authorization)?.[1] ?? null;
}

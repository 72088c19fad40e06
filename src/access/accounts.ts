/**
 * Accounts: registering, logging in and out, and telling who sends a request.
 *
 * A login makes a session, a row in PostgreSQL; the token names it. A session counts until the
 * token's time is over, somebody logs out of it, its user is disabled, or gets another password
 * by another session; what the user may do is read with it and not from the token. Every process
 * tells all of this by itself: it keeps what it has read of sessions in memory, and drops it there
 * before it answers that something was changed. What another process has changed, or somebody in
 * PostgreSQL by hand, counts after `cacheAgeMaxMs`.
 */
import type { Clients } from "./clients.ts";
import {
  CredentialCheck,
  tooMany,
  type GivenCredentials,
  type LoginFrom,
  type Refused,
  type TooMany,
} from "./credentials.ts";
import { FactorSeals } from "./otp.ts";
import type { Passwords } from "./passwords.ts";
import { reaching } from "./reach.ts";
import { SecondFactors } from "./second-factors.ts";
import { SessionCache } from "./cache.ts";
import { Devices } from "./devices.ts";
import { cookieOf, sessionCookie } from "./cookies.ts";
import { identify, type Identity, type Proofs, type Unauthenticated } from "./identity.ts";
import { tokenLifeMs, Tokens, type TokenClaims } from "./tokens.ts";
import { Keys } from "./keys.ts";
import { UserTokens } from "./user-tokens.ts";
import {
  changePassword,
  endSession,
  findSessionUser,
  findUserId,
  hasUser,
  insertUser,
  listUsers,
  startSession,
  type Credentials,
  type StoredUser,
  type UserRole,
} from "../store/users.ts";
import { changeUser, hasOtherAdmin, type UserChange } from "../store/user-changes.ts";
import type { Db } from "../store/db.ts";

/** Somebody with an account, as the rest of the program knows them. */
export type Account = {
  readonly id: number;
  readonly username: string;
  readonly role: UserRole;
  readonly hasSecondFactor: boolean;
  /** Administrates only once it has a second factor: the operator demands one. */
  readonly lacksFactor: boolean;
};

export type AccountsOptions = {
  readonly db: Db;
  /** The key of the tokens, 32 bytes or more. */
  readonly tokenSecret: string;
  /** What secrets of second factors are sealed with, 32 bytes or more. */
  readonly factorSecret: string;
  /** Whether administrators have to have a second factor. */
  readonly demandsFactor: boolean;
  readonly clients: Clients;
  readonly passwords: Passwords;
  /** What user tokens are signed with; without any, there are none. */
  readonly userTokenSecret?: string | undefined;
  readonly userTokenJwks?: string | undefined;
  /** Told why the keys of user tokens cannot be read. */
  readonly onUnreadKeys?: (why: string) => void;
  /** ms since the Unix epoch */
  readonly clock: () => number;
};

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
  { readonly word: "changed"; readonly user: StoredUser } | { readonly word: RefusedChange };

type RefusedChange = "user_not_found" | "forbidden" | "own_account" | "last_admin";

type NewAccount = {
  readonly username: string;
  readonly password: string;
  readonly role: UserRole;
};

const always = (): boolean => true;

/**
 * Makes an account; null when the name is taken. That name and password keep to the rules is
 * for the caller to see to.
 */
export async function createAccount(
  db: Db,
  passwords: Passwords,
  { username, password, role }: NewAccount,
): Promise<StoredUser | null> {
  // Saves the hash; who comes in between is refused by the index.
  if (await hasUser(db, username)) return null;
  const passwordHash = await passwords.hash(password);
  return await insertUser(db, { username, passwordHash, role });
}

export class Accounts {
  readonly keys: Keys;
  readonly secondFactors: SecondFactors;
  readonly #options: AccountsOptions;
  readonly #tokens: Tokens;
  readonly #devices: Devices;
  readonly #check: CredentialCheck;
  readonly #proofs: Proofs;
  readonly #cache = new SessionCache();

  constructor(options: AccountsOptions) {
    this.#options = options;
    const { db, clock, passwords, userTokenSecret: secret, userTokenJwks: jwks } = options;
    this.keys = new Keys(db, clock);
    const userTokens = new UserTokens({ secret, jwks, onUnread: options.onUnreadKeys, clock });
    this.#proofs = { account: (token) => this.#accountOf(token), keys: this.keys, userTokens };
    this.#tokens = new Tokens(options.tokenSecret);
    const devices = new Devices(options.tokenSecret);
    const seals = new FactorSeals(options.factorSecret);
    this.#devices = devices;
    this.#check = new CredentialCheck({ db, passwords, devices, seals, clock });
    this.secondFactors = new SecondFactors({
      db,
      check: this.#check,
      seals,
      sessionOf: async (request) => (await this.#claimsOf(request))?.sessionId ?? null,
      forget: (userId) => this.#cache.dropUser(userId),
      clock,
    });
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
    const { db, clock } = this.#options;
    const cache = this.#cache;
    const now = clock();
    const cached = cache.get(token, now);
    if (cached !== undefined) return cached.account;

    const claims = await this.#tokens.verify(token, now);
    if (claims === null) return null;
    const { version } = cache;
    const user = await reaching(() => findSessionUser(db, claims.sessionId));
    const account = user?.id === claims.userId ? this.#shown(user) : null;
    cache.put(token, { ...claims, account, readAt: now }, version);
    return account;
  }

  async login(
    credentials: GivenCredentials & { readonly otp: string | null },
    from: LoginFrom,
  ): Promise<LoginOutcome> {
    return await this.#check.verified(credentials, from, async (user) => {
      const begun = await this.#begin(user);
      if (begun !== null) await this.#check.succeeded(credentials.username, from.address);
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
    const { db, passwords } = this.#options;
    const claims = await this.#claimsOf(request);
    if (claims === null) return { word: "unauthenticated" };
    const { sessionId } = claims;
    return await this.#check.verified({ username, password: present }, from, async (user) => {
      const passwordHash = await passwords.hash(next);
      try {
        const isChanged = await reaching(() => changePassword(db, sessionId, user, passwordHash));
        return isChanged ? { word: "changed" as const } : null;
      } finally {
        // Also when nobody knows whether it was done.
        this.#cache.dropUser(id);
      }
    });
  }

  async register(
    { username, password }: GivenCredentials,
    address: string,
  ): Promise<RegisterOutcome> {
    const { db, passwords } = this.#options;
    const attempt = await this.#check.registration(address);
    if (typeof attempt === "number") return tooMany(attempt);
    try {
      const user = await reaching(() =>
        createAccount(db, passwords, { username, password, role: "user" }),
      );
      if (user === null) return { word: "user_exists" };
      return { word: "registered", account: this.#shown(user) };
    } catch (error) {
      await this.#check.giveBack(attempt);
      throw error;
    }
  }

  /** Ends the session of a request's token, if it has one. */
  async logout(request: Request): Promise<void> {
    if (credentialOf(request) === null) return;
    const { db } = this.#options;
    const claims = await this.#claimsOf(request);
    if (claims === null) return;
    const { sessionId } = claims;
    try {
      await reaching(() => endSession(db, sessionId));
    } finally {
      // Also when nobody knows whether it was done.
      this.#cache.dropSession(sessionId);
    }
  }

  list(page: { after: number; limit: number; q: string }): Promise<StoredUser[]> {
    return reaching(() => listUsers(this.#options.db, page));
  }

  /** Changes a user in the name of an administrator; it counts at once. */
  async change(admin: Account, id: number, change: UserChange): Promise<ChangeOutcome> {
    const { db } = this.#options;
    if (admin.id === id && (change.role === "user" || change.disabled === true)) {
      const another = await reaching(() => hasOtherAdmin(db, id));
      return { word: another ? "own_account" : "last_admin" };
    }
    // That takes the password and a code.
    if (admin.id === id && change.resetsFactor === true) return { word: "own_account" };
    try {
      const changed = await reaching(() => changeUser(db, admin, id, change));
      if (changed === "not_admin") return { word: "forbidden" };
      if (changed === "user_not_found") return { word: "user_not_found" };
      return { word: "changed", user: changed };
    } finally {
      this.#cache.dropUser(id);
    }
  }

  /** Disables the account of a name, in any case of its letters, as `change` does. */
  async disable(admin: Account, name: string): Promise<StoredUser | RefusedChange> {
    const id = await reaching(() => findUserId(this.#options.db, name));
    if (id === null) return "user_not_found";
    const outcome = await this.change(admin, id, { disabled: true });
    return outcome.word === "changed" ? outcome.user : outcome.word;
  }

  async #claimsOf(request: Request): Promise<TokenClaims | null> {
    const token = credentialOf(request);
    return token === null ? null : await this.#tokens.verify(token, this.#options.clock());
  }

  async #begin(user: Credentials): Promise<LoginOutcome | null> {
    const { db, clock } = this.#options;
    const now = clock();
    const expiresAt = now + tokenLifeMs;
    const id = crypto.randomUUID();
    const begun = await reaching(() => startSession(db, { id, expiresAt, now }, user));
    if (!begun) return null;
    const token = await this.#tokens.sign({ sessionId: id, userId: user.id, expiresAt }, now);
    const device = this.#devices.issue(user.username, now);
    return { word: "logged_in", token, device, account: this.#shown(user), lifeMs: tokenLifeMs };
  }

  #shown({ id, username, role, hasSecondFactor }: StoredUser): Account {
    const lacksFactor = role === "admin" && !hasSecondFactor && this.#options.demandsFactor;
    return { id, username, role, hasSecondFactor, lacksFactor };
  }
}

/**
 * The login token that a request carries. One in the Authorization header goes before the cookie,
 * also when it is not good: a request has one sender.
 */
function credentialOf(request: Request): string | null {
  const authorization = request.headers.get("Authorization");
  if (authorization === null) return cookieOf(request, sessionCookie);
  return /^bearer +(\S+) *$/i.exec(authorization)?.[1] ?? null;
}

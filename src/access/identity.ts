/**
 * Who sends a request, by what it carries:
 *
 * - nothing, or cookies that are not ours: a guest, whose user id is anybody's word;
 * - `Authorization: Bearer sk_…`: a merchant's server, with a key;
 * - a login token there, or in our cookie: an account;
 * - another token there: a customer, for whom the merchant vouches.
 *
 * What is carried and does not count makes nobody a guest: it is `unauthenticated`. The header goes
 * before the cookie, for a request has one sender.
 *
 * Guests are most, and told without waiting, by two looks at headers.
 */
import type { Account } from "./accounts.ts";
import { cookieOf, sessionCookie } from "./cookies.ts";
import { keyPrefix, type ApiKey, type Keys } from "./keys.ts";
import { isLoginToken } from "./tokens.ts";
import type { Customer, UserTokens } from "./user-tokens.ts";
import type { Scope } from "../store/keys.ts";

export type Identity =
  | { readonly kind: "guest" }
  | { readonly kind: "account"; readonly account: Account }
  | { readonly kind: "customer"; readonly customer: Customer }
  | { readonly kind: "key"; readonly key: ApiKey };

/** Who may buy, claim and make coupons: everybody, or those who are known. */
export type Access = "open" | "guarded";

/** What a request carries does not count. */
export type Unauthenticated = "unauthenticated";

/** Whether somebody may do what only administrators may. */
export const administrates = ({ role, lacksFactor }: Account): boolean =>
  role === "admin" && !lacksFactor;

/** Whether somebody may do what a scope allows; an administrator may manage and read. */
export function mayDo(who: Identity, scope: Scope): boolean {
  switch (who.kind) {
    case "guest":
    case "customer":
      return false;
    case "account":
      return administrates(who.account) && scope !== "sell";
    case "key":
      return who.key.scopes.includes(scope);
    default:
      return who satisfies never;
  }
}

const guest: Identity = { kind: "guest" };

const bearer = /^bearer +(\S+) *$/i;
const usualBearer = "Bearer ";

/** The token of an Authorization header, as nearly every client writes it, or in any other way. */
function tokenIn(authorization: string): string | null {
  const rest = usualBearer.length;
  if (authorization.startsWith(usualBearer) && !authorization.includes(" ", rest)) {
    return authorization.slice(rest) || null;
  }
  return bearer.exec(authorization)?.[1] ?? null;
}

export type Proofs = {
  /** The account of a login token; null for one that does not count. */
  readonly account: (token: string) => Promise<Account | null>;
  readonly keys: Pick<Keys, "find">;
  readonly userTokens: Pick<UserTokens, "find" | "known">;
};

/**
 * @param mayVerify asked before a token is verified that is not known: that takes a while, and who
 * sends what does not count may not have it done as often as they please
 * @throws UnavailableError where nobody can tell at the moment
 */
export function identify(
  request: Request,
  proofs: Proofs,
  mayVerify: () => boolean,
): Identity | Unauthenticated | Promise<Identity | Unauthenticated> {
  const { headers } = request;
  const authorization = headers.get("Authorization");
  if (authorization === null) {
    if (headers.get("Cookie") === null) return guest;
    const token = cookieOf(request, sessionCookie);
    return token === null ? guest : proofs.account(token).then(accountIdentity);
  }
  const token = tokenIn(authorization);
  if (token === null) return "unauthenticated";
  if (token.startsWith(keyPrefix)) {
    const key = proofs.keys.find(token);
    return key instanceof Promise ? key.then(keyIdentity) : keyIdentity(key);
  }
  const known = proofs.userTokens.known(token);
  if (known !== undefined) return customerIdentity(known);
  if (!mayVerify()) return "unauthenticated";
  return isLoginToken(token)
    ? proofs.account(token).then(accountIdentity)
    : proofs.userTokens.find(token).then(customerIdentity);
}

const keyIdentity = (key: ApiKey | null): Identity | Unauthenticated =>
  key === null ? "unauthenticated" : { kind: "key", key };

const customerIdentity = (customer: Customer | null): Identity | Unauthenticated =>
  customer === null ? "unauthenticated" : { kind: "customer", customer };

const accountIdentity = (account: Account | null): Identity | Unauthenticated =>
  account === null ? "unauthenticated" : { kind: "account", account };

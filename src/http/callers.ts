/** Who may call a route, where it is a scope that lets somebody in. */
import type { Account, Accounts } from "../access/accounts.ts";
import { mayDo, type Identity } from "../access/identity.ts";
import type { Actor } from "../ledger/commands.ts";
import type { Scope } from "../store/keys.ts";
import { problem } from "./problems.ts";
import type { Handler } from "./server.ts";

/** A handler of a request of whom it is known who administers by it. */
type ScopeHandler = (...asked: [...Parameters<Handler>, by: Actor]) => Response | Promise<Response>;

/** Lets in administrators, and keys with the scope, or with one of several. */
export function withScope(
  accounts: Accounts,
  scope: Scope | readonly Scope[],
  handle: ScopeHandler,
): Handler {
  const scopes = [scope].flat();
  return async (request, server) => {
    const who = await accounts.identify(request);
    if (who === "unauthenticated" || who.kind === "guest") {
      return unauthenticated("unauthenticated");
    }
    const by = actorOf(who);
    if (by !== null && scopes.some((one) => mayDo(who, one)))
      return await handle(request, server, by);
    return who.kind === "account" ? notAdmin(who.account) : problem("forbidden");
  };
}

/**
 * Who administers by a request that anybody may send, if anybody does.
 * @returns `"unauthenticated"` for a token or key that does not count
 */
export async function administratorOf(
  accounts: Accounts,
  request: Request,
  scope: Scope,
): Promise<Actor | "unauthenticated" | null> {
  const who = await accounts.identify(request);
  if (who === "unauthenticated") return who;
  return who.kind !== "guest" && mayDo(who, scope) ? actorOf(who) : null;
}

/** Who sends a request, as what they change is noted; null for a customer. */
function actorOf(who: Exclude<Identity, { readonly kind: "guest" }>): Actor | null {
  switch (who.kind) {
    case "account":
      return { kind: "account", name: who.account.username };
    case "key":
      return { kind: "key", name: who.key.name };
    case "customer":
      return null;
    default:
      return who satisfies never;
  }
}

/** The answer to an account that may not administrate, or not yet. */
export const notAdmin = ({ lacksFactor }: Account): Response =>
  problem(lacksFactor ? "second_factor_demanded" : "forbidden");

type UnauthenticatedCode =
  "unauthenticated" | "invalid_credentials" | "second_factor_required" | "invalid_second_factor";

export function unauthenticated(code: UnauthenticatedCode): Response {
  return problem(code, { headers: { "WWW-Authenticate": "Bearer", "Cache-Control": "no-store" } });
}

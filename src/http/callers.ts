/** Who may call a route, where it is a scope that lets somebody in. */
import type { Accounts } from "../access/accounts.ts";
import { mayDo } from "../access/identity.ts";
import type { Scope } from "../store/keys.ts";
import { problem } from "./problems.ts";
import type { Handler } from "./server.ts";

/** Lets in administrators, and keys with the scope. */
export function withScope(accounts: Accounts, scope: Scope, handle: Handler): Handler {
  return async (request, server) => {
    const who = await accounts.identify(request);
    if (who === "unauthenticated" || who.kind === "guest") {
      return unauthenticated("unauthenticated");
    }
    return mayDo(who, scope) ? await handle(request, server) : problem("forbidden");
  };
}

export function unauthenticated(code: "unauthenticated" | "invalid_credentials"): Response {
  return problem(code, { headers: { "WWW-Authenticate": "Bearer", "Cache-Control": "no-store" } });
}

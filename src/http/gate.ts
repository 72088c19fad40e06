/**
 * What every request passes before its handler: that no page of another site has a browser send it,
 * and that its sender does not ask more often than one may.
 *
 * A page of another site may send what changes something only where its origin is one of
 * `CORS_ORIGINS`, and with a token in the Authorization header, which a browser does not add by
 * itself. Browsers tell where a page is by Sec-Fetch-Site, or where that is missing (over plain
 * HTTP) by Origin; what sends neither is no browser.
 *
 * This machine itself and keys with the scope `sell` are not counted.
 */
import type { Server } from "bun";
import type { Accounts } from "../access/accounts.ts";
import { networkOf, type Clients } from "../access/clients.ts";
import { mayDo, type Identity, type Unauthenticated } from "../access/identity.ts";
import type { RateKind, RateRefusal, Rates } from "../access/rates.ts";
import { isLoopback } from "./connections.ts";
import { problem } from "./problems.ts";
import type { Lane, ReadCost } from "./reads.ts";

type GateOptions = {
  readonly accounts: Pick<Accounts, "identify">;
  readonly clients: Clients;
  /** Null: nothing is counted. */
  readonly rates: Rates | null;
  /** Origins of shop fronts that may call from a browser. */
  readonly corsOrigins: ReadonlySet<string>;
};

/** Of an operation, what the gate asks. */
export type Gated = {
  /** Of a read that takes more than little. */
  readonly cost?: ReadCost;
  /** The handler asks the gate itself, when it knows that the request is sound. */
  readonly admitsItself?: true;
};

const reading: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

const exposed = "Retry-After, RateLimit, RateLimit-Policy, Location, X-Request-Id";
const preflightSeconds = 600;

export class Gate {
  readonly #options: GateOptions;
  readonly #rates: Rates | null;

  constructor(options: GateOptions) {
    this.#options = options;
    this.#rates = options.rates;
  }

  /** The refusal of a request; null when it may pass. */
  check(
    request: Request,
    server: Server<undefined>,
    { cost, admitsItself }: Gated,
  ): Response | null | Promise<Response | null> {
    const changes = !reading.has(request.method);
    if (changes && this.#isCrossSite(request, server)) return problem("cross_site");
    if (admitsItself === true || this.#rates === null) return null;
    const kind = changes ? "writes" : cost === "costly" ? "costly" : "reads";
    const network = networkOf(this.#options.clients.addressOf(request, server));
    if (isLoopback(network)) return null;
    const rates = this.#rates;
    const who = this.#options.accounts.identify(request, () => !rates.isSpent(kind, network));
    return who instanceof Promise
      ? who.then((known) => this.#take(kind, network, known))
      : this.#take(kind, network, who);
  }

  /**
   * As `check` does, for a sender who is known: the refusal, or the network that is counted; null
   * for one that is not.
   */
  admit(
    request: Request,
    server: Server<undefined>,
    kind: RateKind,
    who: Identity | Unauthenticated,
  ): Response | string | null {
    if (this.#rates === null || isSelling(who)) return null;
    const network = networkOf(this.#options.clients.addressOf(request, server));
    return isLoopback(network) ? null : (this.#take(kind, network, who) ?? network);
  }

  /** Whose turn something costly is that a request asks for. */
  laneOf(request: Request): Lane | Promise<Lane> {
    const who = this.#options.accounts.identify(request);
    return who instanceof Promise ? who.then(laneOf) : laneOf(who);
  }

  /** Whether somebody whose token is not known may have it verified. */
  mayVerify(request: Request, server: Server<undefined>, kind: RateKind): boolean {
    if (this.#rates === null) return true;
    const network = networkOf(this.#options.clients.addressOf(request, server));
    return isLoopback(network) || !this.#rates.isSpent(kind, network);
  }

  #take(kind: RateKind, network: string, who: Identity | Unauthenticated): Response | null {
    if (this.#rates === null) return null;
    const refusal = takeOf(this.#rates, kind, network, who);
    return refusal === null ? null : tooOften(refusal);
  }

  #isCrossSite(request: Request, server: Server<undefined>): boolean {
    const { headers } = request;
    const site = headers.get("Sec-Fetch-Site");
    if (site === "same-origin" || site === "none") return false;
    const origin = headers.get("Origin");
    if (site === null) {
      if (origin === null) return false;
      const { host } = this.#options.clients.of(request, server);
      if (isOriginOf(origin, host)) return false;
    }
    return !(this.#isAllowed(origin) && headers.get("Authorization") !== null);
  }

  #isAllowed(origin: string | null): origin is string {
    return origin !== null && this.#options.corsOrigins.has(origin);
  }

  /** The answer to a browser that asks whether a page of another site may call. */
  preflight(request: Request, allow: string): Response | null {
    const origin = request.headers.get("Origin");
    if (!this.#isAllowed(origin) || !request.headers.has("Access-Control-Request-Method")) {
      return null;
    }
    return new Response(null, {
      status: 204,
      headers: {
        "Access-Control-Allow-Methods": allow,
        "Access-Control-Allow-Headers":
          "Authorization, Content-Type, Idempotency-Key, Queue-Ticket, X-Request-Id, Last-Event-ID",
        "Access-Control-Max-Age": String(preflightSeconds),
      },
    });
  }

  /** Whether there are pages of other sites that may read answers. */
  get isShared(): boolean {
    return this.#options.corsOrigins.size > 0;
  }

  /** Lets an allowed origin's page read an answer. */
  shared(request: Request, response: Response): Response {
    response.headers.append("Vary", "Origin");
    const origin = request.headers.get("Origin");
    if (!this.#isAllowed(origin)) return response;
    response.headers.set("Access-Control-Allow-Origin", origin);
    response.headers.set("Access-Control-Expose-Headers", exposed);
    return response;
  }
}

/** Whether an origin's host is the one that the client asked for. */
function isOriginOf(origin: string, host: string): boolean {
  if (!URL.canParse(origin)) return false;
  const { protocol, host: named } = new URL(origin);
  // Origins leave out their scheme's own port.
  const url = `${protocol}//${host}`;
  return URL.canParse(url) && new URL(url).host === named;
}

const laneOf = (who: Identity | Unauthenticated): Lane =>
  who !== "unauthenticated" && (mayDo(who, "read") || mayDo(who, "manage"))
    ? "administrators"
    : "anybody";

const isSelling = (who: Identity | Unauthenticated): boolean =>
  who !== "unauthenticated" && who.kind === "key" && who.key.scopes.includes("sell");

function takeOf(
  rates: Rates,
  kind: RateKind,
  network: string,
  who: Identity | Unauthenticated,
): RateRefusal | null {
  if (who === "unauthenticated") return rates.takeGuest(kind, network);
  switch (who.kind) {
    case "guest":
      return rates.takeGuest(kind, network);
    case "account":
      return rates.takeProven(kind, network, "account", who.account.username);
    case "customer":
      return rates.takeProven(kind, network, "customer", who.customer.userId);
    case "key":
      return isSelling(who) ? null : rates.takeProven(kind, network, null);
    default:
      return who satisfies never;
  }
}

/** 429, with the headers of draft-ietf-httpapi-ratelimit-headers. */
function tooOften({ kind, of, rate, retryAfterMs }: RateRefusal): Response {
  const name = of === "user" ? `${kind}-user` : kind;
  const window = Math.max(1, Math.ceil(rate.atOnce / rate.perSecond));
  return problem("rate_limited", {
    retryAfterMs,
    headers: {
      "RateLimit-Policy": `"${name}";q=${rate.atOnce};w=${window}`,
      RateLimit: `"${name}";r=0;t=${Math.ceil(retryAfterMs / 1000)}`,
    },
  });
}

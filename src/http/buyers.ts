/**
 * In whose name something is bought, claimed or given back: by what the request proves, and by the
 * `user_id` that it names.
 *
 * - a guest is whoever it names, where guests may buy;
 * - an account and a customer are who they prove to be: another name is refused;
 * - a merchant's key with the scope `sell` buys for the customer that it names.
 *
 * Whoever is known is counted, and refused with 429 past a limit: after what is wrong with the request
 * itself, and after 401 and 403.
 */
import type { BunRequest, Server } from "bun";
import type { Account, Accounts } from "../access/accounts.ts";
import { mayDo, type Access, type Identity, type Unauthenticated } from "../access/identity.ts";
import type { Buyer } from "../ledger/buyers.ts";
import type { CodeUser } from "../ledger/commands.ts";
import type { Gate } from "./gate.ts";
import { preparedProblem, problem } from "./problems.ts";
import type { Handler } from "./server.ts";

/** An account as a buyer: it goes by its name. */
export const buyerOf = ({ username }: Account): Buyer => ({ kind: "account", userId: username });

/** Who asks to buy. */
export type Asker = {
  readonly buyer: Buyer;
  /** The one sale that a token is for; null for any. */
  readonly onlySaleId: number | null;
};

/** Who asks about a code. */
export type CodeAsker = { readonly by: CodeUser; readonly onlySaleId: number | null };

type Answer = Response | Promise<Response>;

const unauthenticated = preparedProblem("unauthenticated");
const mismatch = preparedProblem("user_mismatch");
const forbidden = preparedProblem("forbidden");

export class Buyers {
  readonly #accounts: Pick<Accounts, "identify">;
  readonly #gate: Pick<Gate, "admit" | "mayVerify"> | null;
  readonly #access: Access;

  constructor(by: {
    readonly accounts: Pick<Accounts, "identify">;
    /** Null: nobody is counted. */
    readonly gate: Pick<Gate, "admit" | "mayVerify"> | null;
    readonly access: Access;
  }) {
    this.#accounts = by.accounts;
    this.#gate = by.gate;
    this.#access = by.access;
  }

  /**
   * Goes on with who buys, and with the network that is counted for it; null for none.
   * @param userId whom the request names; null for nobody
   */
  asBuyer(
    request: Request,
    server: Server<undefined>,
    userId: string | null,
    go: (asker: Asker, network: string | null) => Answer,
  ): Answer {
    return this.#known(request, server, (who) => {
      const asker = this.#askerOf(who, userId);
      return asker instanceof Response ? asker : this.#counted(request, server, who, asker, go);
    });
  }

  /** Goes on with who shows a code: a guest need not say who they are. */
  withCode(request: Request, server: Server<undefined>, go: (asker: CodeAsker) => Answer): Answer {
    return this.#known(request, server, (who) => {
      const asker = this.#codeAskerOf(who);
      return asker instanceof Response ? asker : this.#counted(request, server, who, asker, go);
    });
  }

  /** Goes on with a buyer who is proven, or whom a merchant names; the gate has counted them. */
  asProven(
    request: Request,
    server: Server<undefined>,
    userId: string | null,
    go: (asker: Asker) => Answer,
  ): Answer {
    return this.#proven(
      request,
      server,
      (who) => this.#askerOf(who, userId),
      (_who, asker) => go(asker),
    );
  }

  /** Goes on with a buyer who asks for themselves, and with the network that is counted for it. */
  asProvenBuyer(
    request: Request,
    server: Server<undefined>,
    go: (asker: Asker, network: string | null) => Answer,
  ): Answer {
    const askerOf = (who: Identity) =>
      who.kind === "key" && mayDo(who, "sell") ? nobodyNamedHere() : this.#askerOf(who, null);
    return this.#proven(request, server, askerOf, (who, asker) =>
      this.#counted(request, server, who, asker, go),
    );
  }

  #proven(
    request: Request,
    server: Server<undefined>,
    askerOf: (who: Identity) => Asker | Response,
    go: (who: Identity, asker: Asker) => Answer,
  ): Answer {
    return this.#known(request, server, (who) => {
      if (who.kind === "guest") return notKnown();
      const asker = askerOf(who);
      return asker instanceof Response ? asker : go(who, asker);
    });
  }

  /** Without waiting for what is known at once: who is a guest nearly always is. */
  #known(request: Request, server: Server<undefined>, go: (who: Identity) => Answer): Answer {
    const gate = this.#gate;
    const who = this.#accounts.identify(
      request,
      () => gate?.mayVerify(request, server, "writes") ?? true,
    );
    const settled = (known: Identity | Unauthenticated): Answer => {
      if (known !== "unauthenticated") return go(known);
      const refused = gate?.admit(request, server, "writes", known);
      return refused instanceof Response ? refused : notKnown();
    };
    return who instanceof Promise ? who.then(settled) : settled(who);
  }

  #counted<T>(
    request: Request,
    server: Server<undefined>,
    who: Identity,
    asker: T,
    go: (asker: T, network: string | null) => Answer,
  ): Answer {
    const network = this.#gate?.admit(request, server, "writes", who) ?? null;
    return network instanceof Response ? network : go(asker, network);
  }

  #askerOf(who: Identity, userId: string | null): Asker | Response {
    switch (who.kind) {
      case "guest":
        if (userId === null) return nobodyNamed();
        if (this.#access === "guarded") return notKnown();
        return { buyer: { kind: "guest", userId }, onlySaleId: null };
      case "account": {
        const buyer = buyerOf(who.account);
        return isNamed(buyer, userId) ? { buyer, onlySaleId: null } : mismatch();
      }
      case "customer": {
        const { userId: proven, saleId } = who.customer;
        const buyer: Buyer = { kind: "customer", userId: proven };
        return isNamed(buyer, userId) ? { buyer, onlySaleId: saleId } : mismatch();
      }
      case "key":
        if (!mayDo(who, "sell")) return forbidden();
        if (userId === null) return nobodyNamed();
        return { buyer: { kind: "customer", userId }, onlySaleId: null };
      default:
        return who satisfies never;
    }
  }

  #codeAskerOf(who: Identity): CodeAsker | Response {
    switch (who.kind) {
      case "guest":
        return this.#access === "guarded" ? notKnown() : { by: null, onlySaleId: null };
      case "account":
        return { by: buyerOf(who.account), onlySaleId: null };
      case "customer": {
        const { userId, saleId } = who.customer;
        return { by: { kind: "customer", userId }, onlySaleId: saleId };
      }
      case "key":
        return mayDo(who, "sell") ? { by: "merchant", onlySaleId: null } : forbidden();
      default:
        return who satisfies never;
    }
  }
}

/** A handler of a request of a proven buyer. */
type BuyerHandler = (request: BunRequest, server: Server<undefined>, asker: Asker) => Answer;

/** Lets in accounts and customers: on the shop's paths nobody is named. */
export function withBuyer(accounts: Pick<Accounts, "identify">, handle: BuyerHandler): Handler {
  const buyers = new Buyers({ accounts, gate: null, access: "guarded" });
  return (request, server) =>
    buyers.asProvenBuyer(request, server, (asker) => handle(request, server, asker));
}

const isNamed = (buyer: Buyer, userId: string | null): boolean =>
  userId === null || userId === buyer.userId;

const nobodyNamed = (): Response => problem("invalid_request", { detail: "user_id is missing" });

/** What a token that is for one sale is told in another. */
export const otherSale = (): Response =>
  problem("forbidden", { detail: "This token is for another sale." });

/** On the shop's paths, where no name is taken. */
const nobodyNamedHere = (): Response =>
  problem("invalid_request", {
    detail: "A key names no customer here. POST /checkout takes user_id, id and sale_id.",
  });

function notKnown(): Response {
  const response = unauthenticated();
  response.headers.set("WWW-Authenticate", "Bearer");
  return response;
}

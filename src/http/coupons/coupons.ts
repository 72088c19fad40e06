/** Coupons, as they are claimed and read. */
import type { BunRequest, Server } from "bun";
import { z } from "zod";
import type { Accounts } from "../../access/accounts.ts";
import { mayDo, type Access } from "../../access/identity.ts";
import { unauthenticated } from "../callers.ts";
import type { Buyer } from "../../ledger/buyers.ts";
import type { ClaimOutcome, RecordsNeeded } from "../../ledger/commands.ts";
import type { SaleEngine } from "../../sales/selling.ts";
import { integerMax } from "../../store/integer.ts";
import type { Db } from "../../store/db.ts";
import { findClaim, listClaimants, listCoupons } from "../../store/coupons.ts";
import { readBody, textField } from "../body.ts";
import { nameIn, time } from "../fields.ts";
import { Invalid, parseIdempotencyKey, parseWhole, queryOf } from "../parse.ts";
import { json, jsonText, problem } from "../problems.ts";
import {
  claimantsQuery,
  claimedCoupon,
  claimShape,
  couponPage,
  couponPageQuery,
  couponParam,
  idempotencyHeader,
} from "../schemas.ts";
import { buyerOf, type Buyers } from "../buyers.ts";
import type { Reads } from "../reads.ts";
import type { Operation, Route } from "../server.ts";
import { changeMethods, createOperation } from "./making.ts";
import { showCoupon } from "./shown.ts";

const couponsPerPage = 100;
const couponsPerPageMax = 500;
/** Users listed in one answer, and as many as may be asked for; who wants more pages through them. */
const claimantsPerPage = 1_000;
const claimantsPerPageMax = 10_000;

const claimBody = z.object({
  user_id: textField.optional().describe("Who claims; an account may leave it out"),
  coupon_name: textField,
});

type Context = {
  readonly engine: SaleEngine;
  readonly db: Db;
  readonly accounts: Accounts;
  readonly buyers: Buyers;
  readonly access: Access;
  readonly reads: Pick<Reads, "listed">;
  /** ms since the Unix epoch */
  readonly clock: () => number;
  /** 409, or 400 for clients that were written for it. */
  readonly soldOutStatus: number;
};

export function couponRoutes(context: Context): Route[] {
  const reading: Operation = {
    handle: (request) => read(context, request),
    cost: "records",
    summary: "One coupon, with who has claimed it",
    description:
      `Lists ${claimantsPerPage} names, unless \`claims_limit\` asks for more. With ` +
      "`ACCESS=guarded` the names are for administrators and keys with the scope `read`; a proven " +
      "buyer is told of their own claim.",
    path: couponParam,
    query: claimantsQuery(claimantsPerPageMax),
    answers: { 200: claimedCoupon },
    refusals: [
      "invalid_request",
      ...(context.access === "guarded" ? (["unauthenticated"] as const) : []),
      "coupon_not_found",
    ],
  };
  const changing = changeMethods(context);
  return [
    { path: "/api/coupons", methods: couponMethods(context) },
    {
      path: "/api/coupons/claim",
      methods: {
        ...ofTheNameClaim({ GET: reading, ...changing }),
        POST: {
          handle: (request, server) => claim(context, request, server),
          admitsItself: true,
          summary: "Claim a coupon, once a user",
          headers: idempotencyHeader,
          body: claimBody,
          answers: { 200: claimShape },
          refusals: [
            "invalid_request",
            "unauthenticated",
            "forbidden",
            "user_mismatch",
            "coupon_not_found",
            "already_claimed",
            "coupon_not_active",
            "sold_out",
            "idempotency_key_reused",
            "overloaded",
          ],
          statuses: { sold_out: context.soldOutStatus },
        },
      },
    },
    { path: "/api/coupons/:name", methods: { GET: reading, ...changing } },
  ];
}

/** A coupon may well be called `claim`: its path is another one's, which has no name in it. */
const ofTheNameClaim = (methods: Route["methods"]): Route["methods"] =>
  Object.fromEntries(
    Object.entries(methods).map(([method, { path: _path, ...operation }]) => {
      const summary = `${operation.summary}: the one of the name \`claim\``;
      return [method, { ...operation, summary }];
    }),
  );

const couponMethods = (context: Context): Route["methods"] => ({
  GET: {
    handle: (request) => list(context, queryOf(request.url)),
    cost: "records",
    summary: "A page of coupons, without who has claimed them",
    query: couponPageQuery(couponsPerPageMax),
    answers: { 200: couponPage },
    refusals: ["invalid_request"],
  },
  POST: createOperation(context),
});

async function claim(
  context: Context,
  request: Request,
  server: Server<undefined>,
): Promise<Response> {
  const key = parseIdempotencyKey(request.headers.get("Idempotency-Key"));
  if (key instanceof Invalid) return problem("invalid_request", key);
  const body = await readBody(request, claimBody);
  if (body instanceof Response) return body;
  const { user_id: userId, coupon_name: coupon } = body;
  return await context.buyers.asBuyer(request, server, userId ?? null, ({ buyer }) =>
    context.engine.writer.submit({ kind: "claim", coupon, buyer, key }, (outcome) =>
      renderClaim(outcome, context.soldOutStatus, context.clock()),
    ),
  );
}

function renderClaim(
  outcome: Exclude<ClaimOutcome, RecordsNeeded>,
  soldOutStatus: number,
  now: number,
): Response {
  switch (outcome.word) {
    case "claimed":
    case "claimed_again": {
      const { coupon, buyer, ordinal, at } = outcome.claim;
      return jsonText(
        `{"message":"Coupon claimed","user_id":${JSON.stringify(buyer.userId)},` +
          `"buyer":"${buyer.kind}",` +
          `"coupon_name":${JSON.stringify(coupon.name)},"remaining_amount":${coupon.amount - ordinal},` +
          `"claimed_at":"${time(at)}"}`,
      );
    }
    case "already_claimed":
      return problem("already_claimed", {
        more: { claimed_at: time(outcome.claimedAt) },
      });
    case "coupon_not_active":
      return problem(
        "coupon_not_active",
        outcome.opensAt === null ? {} : { retryAfterMs: outcome.opensAt - now },
      );
    case "coupon_sold_out":
      return problem("sold_out", {
        status: soldOutStatus,
        detail: "Every one of this coupon is claimed.",
      });
    case "coupon_not_found":
      return problem("coupon_not_found");
    case "idempotency_key_reused":
      return problem("idempotency_key_reused");
    default:
      return outcome satisfies never;
  }
}

async function read(context: Context, request: BunRequest): Promise<Response> {
  const { engine, db } = context;
  const name = nameIn(request);
  if (name instanceof Invalid) return problem("invalid_request", name);
  const page = claimsPageOf(queryOf(request.url));
  if (page instanceof Invalid) return problem("invalid_request", page);
  const seen = await seenBy(context, request);
  if (seen === "unauthenticated") return unauthenticated(seen);
  const found = await engine.writer.read((view) => view.coupon(name));
  if (found === null) return problem("coupon_not_found");
  const shown = JSON.stringify(showCoupon(found)).slice(0, -1);
  if (seen !== "all") {
    const claimedAt = seen === null ? null : await findClaim(db, name, seen);
    const mine = claimedAt === null ? null : { claimed_at: time(claimedAt) };
    const claims = `"claimed_by":null,"next_claims_after":null`;
    return jsonText(
      `${shown},${claims}${seen === null ? "" : `,"my_claim":${JSON.stringify(mine)}`}}`,
    );
  }
  // What the ledger has committed the records have: the list agrees with the figures.
  const claimed = found.amount - found.remaining;
  const { after, limit } = page;
  const claimants =
    limit === 0
      ? { json: "[]", count: 0 }
      : await listClaimants(db, name, { after, upTo: claimed, limit });
  context.reads.listed(claimants.count);
  const last = after + claimants.count;
  const next = last < claimed ? last : null;
  return jsonText(`${shown},"claimed_by":${claimants.json},"next_claims_after":${next}}`);
}

function claimsPageOf(query: string): { readonly after: number; readonly limit: number } | Invalid {
  const after = parseWhole(query, "claims_after", { min: 0, max: integerMax, otherwise: 0 });
  if (after instanceof Invalid) return after;
  const bounds = { min: 0, max: claimantsPerPageMax, otherwise: claimantsPerPage };
  const limit = parseWhole(query, "claims_limit", bounds);
  return limit instanceof Invalid ? limit : { after, limit };
}

/**
 * Whose claims somebody sees: all, or their own as a buyer; null: none.
 * @returns `"unauthenticated"` for a token or key that does not count. A cookie that has ended is
 * no claim to be anybody: its browser reads on as a guest.
 */
async function seenBy(
  { access, accounts }: Context,
  request: Request,
): Promise<"all" | "unauthenticated" | Buyer | null> {
  if (access === "open") return "all";
  const who = await accounts.identify(request);
  if (who === "unauthenticated") return request.headers.has("authorization") ? who : null;
  if (mayDo(who, "read")) return "all";
  switch (who.kind) {
    case "account":
      return buyerOf(who.account);
    case "customer":
      return { kind: "customer", userId: who.customer.userId };
    case "guest":
    case "key":
      return null;
    default:
      return who satisfies never;
  }
}

async function list({ db }: Context, query: string): Promise<Response> {
  const after = parseWhole(query, "after", { min: 0, max: integerMax, otherwise: 0 });
  if (after instanceof Invalid) return problem("invalid_request", after);
  const bounds = { min: 1, max: couponsPerPageMax, otherwise: couponsPerPage };
  const limit = parseWhole(query, "limit", bounds);
  if (limit instanceof Invalid) return problem("invalid_request", limit);
  const coupons = await listCoupons(db, after, limit + 1);
  const page = coupons.slice(0, limit);
  return json({
    coupons: page.map(showCoupon),
    next_after: coupons.length > limit ? (page.at(-1)?.id ?? null) : null,
  });
}

/** Coupons: made, claimed and read. Every claim and every making goes through the writer. */
import type { BunRequest, Server } from "bun";
import { z } from "zod";
import type { Accounts } from "../../access/accounts.ts";
import { mayDo, type Access } from "../../access/identity.ts";
import type { Buyer } from "../../ledger/buyers.ts";
import type { ClaimOutcome, RecordsNeeded } from "../../ledger/commands.ts";
import type { CouponFigures } from "../../ledger/coupons.ts";
import { leaderOf, type SaleEngine } from "../../sales/selling.ts";
import { integerMax } from "../../store/integer.ts";
import type { Db } from "../../store/db.ts";
import { findClaim, listClaimants, listCoupons } from "../../store/coupons.ts";
import { readBody, textField } from "../body.ts";
import { time, whole } from "../fields.ts";
import { Invalid, parseIdempotencyKey, parseText, parseWhole, pathOf, queryOf } from "../parse.ts";
import { json, jsonText, problem } from "../problems.ts";
import {
  claimantsQuery,
  claimedCoupon,
  claimShape,
  couponPage,
  couponExample,
  couponPageQuery,
  couponParam,
  couponShape,
  idempotencyHeader,
} from "../schemas.ts";
import { buyerOf, type Buyers } from "../buyers.ts";
import { withScope } from "../callers.ts";
import type { Operation, Route } from "../server.ts";

const couponsPerPage = 100;
const couponsPerPageMax = 500;
/** Users listed in one answer, and as many as may be asked for; who wants more pages through them. */
const claimantsPerPage = 1_000;
const claimantsPerPageMax = 10_000;

const createBody = z.object({
  name: textField.meta({ example: couponExample }),
  amount: whole(1, integerMax),
});

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
  /** 409, or 400 for clients that were written for it. */
  readonly soldOutStatus: number;
};

export function couponRoutes(context: Context): Route[] {
  const reading: Operation = {
    handle: (request) => read(context, request),
    summary: "One coupon, with who has claimed it",
    description:
      `Lists ${claimantsPerPage} names, unless \`claims_limit\` asks for more. With ` +
      "`ACCESS=guarded` the names are for administrators and keys with the scope `read`; a proven " +
      "buyer is told of their own claim.",
    path: couponParam,
    query: claimantsQuery(claimantsPerPageMax),
    answers: { 200: claimedCoupon },
    refusals: ["invalid_request", "coupon_not_found"],
  };
  // A coupon may well be called `claim`.
  const { path: _path, ...readingClaim } = reading;
  return [
    { path: "/api/coupons", leaderOnly: true, methods: couponMethods(context) },
    {
      path: "/api/coupons/claim",
      leaderOnly: true,
      methods: {
        GET: { ...readingClaim, summary: "The coupon of the name `claim`" },
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
            "sold_out",
            "idempotency_key_reused",
            "overloaded",
          ],
          statuses: { sold_out: context.soldOutStatus },
        },
      },
    },
    { path: "/api/coupons/:name", leaderOnly: true, methods: { GET: reading } },
  ];
}

const couponMethods = (context: Context): Route["methods"] => ({
  GET: {
    handle: (request) => list(context, queryOf(request.url)),
    summary: "A page of coupons, without who has claimed them",
    query: couponPageQuery(couponsPerPageMax),
    answers: { 200: couponPage },
    refusals: ["invalid_request"],
  },
  POST: {
    handle:
      context.access === "open"
        ? (request) => create(context, request)
        : withScope(context.accounts, "manage", (request) => create(context, request)),
    summary: "Make a coupon, of which so many users may have one each",
    description: "With `ACCESS=guarded` for administrators, and keys with the scope `manage`.",
    body: createBody,
    answers: { 201: couponShape },
    sends: ["Location"],
    refusals: [
      "invalid_request",
      "coupon_exists",
      "overloaded",
      ...(context.access === "open" ? [] : (["unauthenticated", "forbidden"] as const)),
    ],
  },
});

async function create({ engine }: Context, request: Request): Promise<Response> {
  const body = await readBody(request, createBody);
  if (body instanceof Response) return body;
  const { word, coupon } = await leaderOf(engine).writer.submit({
    kind: "create_coupon",
    coupon: body.name,
    amount: body.amount,
  });
  if (word === "coupon_exists") return problem("coupon_exists");
  const { id, name, amount, createdAt } = coupon;
  const made = showCoupon({ id, name, amount, remaining: amount, createdAt });
  const response = json(made, 201);
  response.headers.set("Location", pathTo(name));
  return response;
}

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
  return await context.buyers.asBuyer(request, server, userId ?? null, async ({ buyer }) => {
    const { lookups } = leaderOf(context.engine).selling;
    const outcome = await lookups.claim({ kind: "claim", coupon, buyer, key });
    return renderClaim(outcome, context.soldOutStatus);
  });
}

function renderClaim(
  outcome: Exclude<ClaimOutcome, RecordsNeeded>,
  soldOutStatus: number,
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
  const { writer } = leaderOf(engine);
  const found = await writer.read((view) => view.coupon(name));
  if (found === null) return problem("coupon_not_found");
  const shown = JSON.stringify(showCoupon(found)).slice(0, -1);
  const seen = await seenBy(context, request);
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

/** Whose claims somebody sees: all, or their own as a buyer; null: none. */
async function seenBy(
  { access, accounts }: Context,
  request: Request,
): Promise<"all" | Buyer | null> {
  if (access === "open") return "all";
  const who = await accounts.identify(request);
  if (who === "unauthenticated") return null;
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

const showCoupon = ({ id, name, amount, remaining, createdAt }: CouponFigures) => ({
  id,
  name,
  amount,
  remaining_amount: remaining,
  created_at: time(createdAt),
});

/** A name of dots alone is written in full: clients take dot segments out of a path. */
const pathTo = (name: string): string => {
  const segment = /^\.{1,2}$/.test(name) ? name.replaceAll(".", "%2E") : encodeURIComponent(name);
  return `/api/coupons/${segment}`;
};

/** The last segment of a path, decoded strictly: what is not UTF-8 names no coupon. */
function nameIn({ url, params }: BunRequest): string | Invalid {
  // The request's URL has dot segments taken out, %2E too; the router's parameter has not.
  const segment: unknown = Reflect.get(params, "name");
  if (segment === "." || segment === "..") return segment;
  const path = pathOf(url);
  try {
    return parseText(decodeURIComponent(path.slice(path.lastIndexOf("/") + 1)), "name");
  } catch {
    return new Invalid("name", "is not percent-encoded UTF-8");
  }
}

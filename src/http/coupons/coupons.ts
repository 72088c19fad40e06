/** Coupons: made, claimed and read. Every claim and every making goes through the writer. */
import type { BunRequest } from "bun";
import type { Sql } from "postgres";
import { z } from "zod";
import type { ClaimOutcome, LookUp } from "../../ledger/commands.ts";
import type { CouponFigures } from "../../ledger/coupons.ts";
import { leaderOf, type SaleEngine } from "../../sales/selling.ts";
import { listClaimants, listCoupons } from "../../store/coupons.ts";
import { readBody, textField } from "../body.ts";
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
import type { Operation, Route } from "../server.ts";

const integerMax = 2_147_483_647;
const couponsPerPage = 100;
const couponsPerPageMax = 500;
/** Users listed in one answer; who wants more pages through them. */
export const claimantsPerPageMax = 10_000;

const createBody = z.object({
  name: textField.meta({ example: couponExample }),
  amount: z
    .int(`is not an integer from 1 to ${integerMax}`)
    .min(1, `is not an integer from 1 to ${integerMax}`)
    .max(integerMax, `is not an integer from 1 to ${integerMax}`),
});

const claimBody = z.object({ user_id: textField, coupon_name: textField });

type Context = {
  readonly engine: SaleEngine;
  readonly sql: Sql;
  /** 409, or 400 for clients that were written for it. */
  readonly soldOutStatus: number;
};

export function couponRoutes(context: Context): Route[] {
  const reading: Operation = {
    handle: (request) => read(context, request),
    summary: "One coupon, with who has claimed it",
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
          handle: (request) => claim(context, request),
          summary: "Claim a coupon, once a user",
          headers: idempotencyHeader,
          body: claimBody,
          answers: { 200: claimShape },
          refusals: [
            "invalid_request",
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
    handle: (request) => create(context, request),
    summary: "Make a coupon, of which so many users may have one each",
    body: createBody,
    answers: { 201: couponShape },
    sends: ["Location"],
    refusals: ["invalid_request", "coupon_exists", "overloaded"],
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

async function claim(context: Context, request: Request): Promise<Response> {
  const key = parseIdempotencyKey(request.headers.get("Idempotency-Key"));
  if (key instanceof Invalid) return problem("invalid_request", key);
  const body = await readBody(request, claimBody);
  if (body instanceof Response) return body;
  const { lookups } = leaderOf(context.engine).selling;
  const { user_id: userId, coupon_name: coupon } = body;
  const buyer = { kind: "guest", userId } as const;
  const outcome = await lookups.claim({ kind: "claim", coupon, buyer, key });
  return renderClaim(outcome, context.soldOutStatus);
}

function renderClaim(outcome: Exclude<ClaimOutcome, LookUp>, soldOutStatus: number): Response {
  switch (outcome.word) {
    case "claimed":
    case "claimed_again": {
      const { coupon, buyer, ordinal, at } = outcome.claim;
      return jsonText(
        `{"message":"Coupon claimed","user_id":${JSON.stringify(buyer.userId)},` +
          `"buyer":"${buyer.kind}",` +
          `"coupon_name":${JSON.stringify(coupon.name)},"remaining_amount":${coupon.amount - ordinal},` +
          `"claimed_at":"${new Date(at).toISOString()}"}`,
      );
    }
    case "already_claimed":
      return problem("already_claimed", {
        more: { claimed_at: new Date(outcome.claimedAt).toISOString() },
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

async function read({ engine, sql }: Context, request: BunRequest): Promise<Response> {
  const name = nameIn(request);
  if (name instanceof Invalid) return problem("invalid_request", name);
  const query = queryOf(request.url);
  const after = parseWhole(query, "claims_after", { min: 0, max: integerMax, otherwise: 0 });
  if (after instanceof Invalid) return problem("invalid_request", after);
  const bounds = { min: 0, max: claimantsPerPageMax, otherwise: claimantsPerPageMax };
  const limit = parseWhole(query, "claims_limit", bounds);
  if (limit instanceof Invalid) return problem("invalid_request", limit);

  const { writer } = leaderOf(engine);
  const found = await writer.read((view) => view.coupon(name));
  if (found === null) return problem("coupon_not_found");
  // What the ledger has committed the records have: the list agrees with the figures.
  const claimed = found.amount - found.remaining;
  const claimants =
    limit === 0 ? [] : await listClaimants(sql, name, { after, upTo: claimed, limit });
  const last = after + claimants.length;
  return json({
    ...showCoupon(found),
    claimed_by: claimants,
    next_claims_after: last < claimed ? last : null,
  });
}

async function list({ sql }: Context, query: string): Promise<Response> {
  const after = parseWhole(query, "after", { min: 0, max: integerMax, otherwise: 0 });
  if (after instanceof Invalid) return problem("invalid_request", after);
  const bounds = { min: 1, max: couponsPerPageMax, otherwise: couponsPerPage };
  const limit = parseWhole(query, "limit", bounds);
  if (limit instanceof Invalid) return problem("invalid_request", limit);
  const coupons = await listCoupons(sql, after, limit + 1);
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
  created_at: new Date(createdAt).toISOString(),
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

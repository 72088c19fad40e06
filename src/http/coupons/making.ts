/** Coupons as those make, change and remove them who may. All of it goes through the writer. */
import type { BunRequest } from "bun";
import { z } from "zod";
import type { Accounts } from "../../access/accounts.ts";
import type { Access } from "../../access/identity.ts";
import { wholeLife, type Actor } from "../../ledger/commands.ts";
import type { SaleEngine } from "../../sales/selling.ts";
import { integerMax } from "../../store/integer.ts";
import { readBody, textField } from "../body.ts";
import { administratorOf, unauthenticated, withScope } from "../callers.ts";
import { instant, nameIn, whole } from "../fields.ts";
import { Invalid } from "../parse.ts";
import { json, problem } from "../problems.ts";
import { couponExample, couponParam, couponShape } from "../schemas.ts";
import type { Operation, Route } from "../server.ts";
import { pathTo, showCoupon } from "./shown.ts";

const createBody = z.object({
  name: textField.meta({ example: couponExample }),
  amount: whole(1, integerMax),
});

const changeBody = z
  .object({
    amount: whole(1, integerMax).optional(),
    starts_at: instant.nullable().optional().describe("null: from its making on"),
    ends_at: instant.nullable().optional().describe("null: never"),
    disabled: z.boolean("is neither true nor false").optional(),
  })
  .refine((change) => Object.values(change).some((value) => value !== undefined), {
    message: "has nothing that can be changed",
  });

type Context = {
  readonly engine: SaleEngine;
  readonly accounts: Accounts;
  readonly access: Access;
};

export const createOperation = (context: Context): Operation => ({
  handle:
    context.access === "open"
      ? (request) => createOpenly(context, request)
      : withScope(context.accounts, "manage", (request, _, by) => create(context, request, by)),
  summary: "Make a coupon, of which so many users may have one each",
  description: "With `ACCESS=guarded` for administrators, and keys with the scope `manage`.",
  body: createBody,
  answers: { 201: couponShape },
  sends: ["Location"],
  refusals: [
    "invalid_request",
    "coupon_exists",
    "overloaded",
    "unauthenticated",
    ...(context.access === "open" ? [] : (["forbidden"] as const)),
  ],
});

const changing = [
  "invalid_request",
  "unauthenticated",
  "forbidden",
  "cross_site",
  "coupon_not_found",
  "overloaded",
] as const;

export const changeMethods = (context: Context): Route["methods"] => ({
  PATCH: {
    handle: withScope(context.accounts, "manage", (request, _, by) =>
      changeCoupon(context, request, by),
    ),
    summary: "Change a coupon: how many there are, when it can be claimed, and whether at all",
    auth: "admin",
    path: couponParam,
    body: changeBody,
    answers: { 200: couponShape },
    refusals: [...changing, "amount_too_small"],
  },
  DELETE: {
    handle: withScope(context.accounts, "manage", (request, _, by) =>
      removeCoupon(context, request, by),
    ),
    summary: "Remove a coupon that nobody has",
    auth: "admin",
    path: couponParam,
    answers: { 204: null },
    refusals: [...changing, "coupon_claimed"],
  },
});

/** Anybody may; whoever administers is noted. */
async function createOpenly(context: Context, request: Request): Promise<Response> {
  const by = await administratorOf(context.accounts, request, "manage");
  return by === "unauthenticated" ? unauthenticated(by) : await create(context, request, by);
}

async function create({ engine }: Context, request: Request, by: Actor | null): Promise<Response> {
  const body = await readBody(request, createBody);
  if (body instanceof Response) return body;
  const { word, coupon } = await engine.writer.submit({
    kind: "create_coupon",
    coupon: body.name,
    amount: body.amount,
    by,
  });
  if (word === "coupon_exists") return problem("coupon_exists");
  const { id, name, amount, createdAt } = coupon;
  const made = showCoupon({ id, name, amount, remaining: amount, createdAt, ...wholeLife });
  const response = json(made, 201);
  response.headers.set("Location", pathTo(name));
  return response;
}

async function changeCoupon(
  { engine }: Context,
  request: BunRequest,
  by: Actor,
): Promise<Response> {
  const name = nameIn(request);
  if (name instanceof Invalid) return problem("invalid_request", name);
  const body = await readBody(request, changeBody);
  if (body instanceof Response) return body;
  const { amount = null, starts_at: startsAt, ends_at: endsAt, disabled = null } = body;
  const outcome = await engine.writer.submit({
    kind: "change_coupon",
    coupon: name,
    amount,
    startsAt: startsAt === undefined ? "kept" : startsAt,
    endsAt: endsAt === undefined ? "kept" : endsAt,
    disabled,
    by,
  });
  switch (outcome.word) {
    case "coupon_changed":
      return json(showCoupon(outcome.coupon));
    case "end_not_later":
      return problem("invalid_request", { detail: "ends_at is not after starts_at" });
    case "coupon_not_found":
    case "amount_too_small":
      return problem(outcome.word);
    default:
      return outcome satisfies never;
  }
}

async function removeCoupon(
  { engine }: Context,
  request: BunRequest,
  by: Actor,
): Promise<Response> {
  const name = nameIn(request);
  if (name instanceof Invalid) return problem("invalid_request", name);
  const { word } = await engine.writer.submit({ kind: "remove_coupon", coupon: name, by });
  return word === "coupon_removed" ? new Response(null, { status: 204 }) : problem(word);
}
